"""First-try answers of a student to the four exercises of lesson 00, right and wrong."""

import hashlib
import math
import re
from collections import Counter, defaultdict
from itertools import chain, groupby

import numpy as np
import torch
from minidalle.evaluation.retrieval import caption_words

# ---------------------------------------------------------------- word_counts, right


def word_counts__plain_counter_loop(captions):
    counts = Counter()
    for caption in captions:
        for word in caption_words(caption):
            counts[word] += 1
    return counts


def word_counts__dict_get(captions):
    counts = {}
    for caption in captions:
        for word in caption_words(caption):
            counts[word] = counts.get(word, 0) + 1
    return counts


def word_counts__chain(captions):
    return dict(Counter(chain.from_iterable(map(caption_words, captions))))


def word_counts__sort_and_group(captions):
    words = sorted(word for caption in captions for word in caption_words(caption))
    return {word: len(list(group)) for word, group in groupby(words)}


def word_counts__numpy_unique(captions):
    words = [word for caption in captions for word in caption_words(caption)]
    if not words:
        return {}
    names, numbers = np.unique(np.array(words), return_counts=True)
    return dict(zip(names.tolist(), numbers.tolist(), strict=True))


# ---------------------------------------------------------------- word_counts, wrong


def word_counts__each_caption_once(captions):
    # counts the captions that have the word, not the occurrences
    counts = Counter()
    for caption in captions:
        for word in set(caption_words(caption)):
            counts[word] += 1
    return counts


def word_counts__split_at_spaces(captions):
    # splits at spaces and does not use caption_words: capitals and marks are kept
    counts = Counter()
    for caption in captions:
        for word in caption.split():
            counts[word] += 1
    return counts


def word_counts__lower_but_marks_kept(captions):
    # small letters, but the marks are still stuck to the words ("car," is not "car")
    counts = Counter()
    for caption in captions:
        for word in caption.lower().split():
            counts[word] += 1
    return counts


def word_counts__return_in_the_loop(captions):
    # the return is indented too far: only the first caption is counted
    counts = Counter()
    for caption in captions:
        for word in caption_words(caption):
            counts[word] += 1
        return counts
    return counts


def word_counts__new_counter_per_caption(captions):
    # the counter is made anew for each caption: only the last caption is left
    counts = Counter()
    for caption in captions:
        counts = Counter()
        for word in caption_words(caption):
            counts[word] += 1
    return counts


def word_counts__set_to_one(captions):
    # = 1 instead of += 1: every word has the number 1
    counts = Counter()
    for caption in captions:
        for word in caption_words(caption):
            counts[word] = 1
    return counts


def word_counts__starts_at_zero(captions):
    # a word that is met for the first time gets 0: each number is one too small
    counts = {}
    for caption in captions:
        for word in caption_words(caption):
            if word in counts:
                counts[word] += 1
            else:
                counts[word] = 0
    return counts


def word_counts__counts_letters(captions):
    # goes through the letters of the caption, not through its words
    counts = Counter()
    for caption in captions:
        for word in caption.lower():
            counts[word] += 1
    return counts


def word_counts__shares(captions):
    # returns shares of all words instead of numbers
    counts = word_counts__plain_counter_loop(captions)
    total = sum(counts.values())
    return {word: count / total for word, count in counts.items()}


def word_counts__adds_letters(captions):
    # adds the length of the word instead of 1
    counts = Counter()
    for caption in captions:
        for word in caption_words(caption):
            counts[word] += len(word)
    return counts


def word_counts__substrings(captions):
    # str.count finds the word inside other words, too: "car" in "card"
    captions = list(captions)
    words = {word for caption in captions for word in caption_words(caption)}
    return {word: sum(caption.lower().count(word) for caption in captions) for word in words}


def word_counts__list_of_pairs(captions):
    # returns a sorted list of pairs instead of a dictionary
    return word_counts__plain_counter_loop(captions).most_common()


def word_counts__drops_one_letter_words(captions):
    # leaves out words of one letter such as "a"
    counts = Counter()
    for caption in captions:
        for word in caption_words(caption):
            if len(word) > 1:
                counts[word] += 1
    return counts


def word_counts__goes_through_twice(captions):
    # goes through captions twice; any Iterable, a generator too, may come, and it is empty the second time
    counts = {word: 0 for caption in captions for word in caption_words(caption)}
    for caption in captions:
        for word in caption_words(caption):
            counts[word] += 1
    return counts


def word_counts__key_error(captions):
    # a plain dict does not know a new word: KeyError
    counts = {}
    for caption in captions:
        for word in caption_words(caption):
            counts[word] += 1
    return counts


# ---------------------------------------------------------------- find_duplicates, right


def find_duplicates__bytes_table(pictures):
    first, rows = {}, []
    for row, picture in enumerate(pictures):
        key = picture.tobytes()
        if key not in first:
            first[key] = row
        rows.append(first[key])
    return rows


def find_duplicates__setdefault(pictures):
    first = {}
    return [first.setdefault(picture.tobytes(), row) for row, picture in enumerate(pictures)]


def find_duplicates__two_loops(pictures):
    rows = []
    for i in range(len(pictures)):
        for j in range(i + 1):
            if np.array_equal(pictures[i], pictures[j]):
                rows.append(j)
                break
    return rows


def find_duplicates__numpy_unique(pictures):
    flat = pictures.reshape(len(pictures), -1)
    _, index, inverse = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    return index[inverse.reshape(-1)].tolist()


def find_duplicates__list_index(pictures):
    keys = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures]
    return [keys.index(key) for key in keys]


def find_duplicates__backwards(pictures):
    table = {}
    for row in range(len(pictures) - 1, -1, -1):
        table[tuple(pictures[row].flatten().tolist())] = row
    return [table[tuple(picture.flatten().tolist())] for picture in pictures]


# ---------------------------------------------------------------- find_duplicates, wrong


def find_duplicates__last_row(pictures):
    # the table is overwritten each time: the last row with the picture, not the first
    table = {}
    for row, picture in enumerate(pictures):
        table[picture.tobytes()] = row
    return [table[picture.tobytes()] for picture in pictures]


def find_duplicates__previous_row(pictures):
    # gives the copy before this one, not the first: A, A, A gives 0, 0, 1
    seen, rows = {}, []
    for row, picture in enumerate(pictures):
        key = picture.tobytes()
        rows.append(seen.get(key, row))
        seen[key] = row
    return rows


def find_duplicates__group_numbers(pictures):
    # numbers the different pictures 0, 1, 2 … instead of giving the row: A, A, B gives 0, 0, 1
    first, rows = {}, []
    for picture in pictures:
        key = picture.tobytes()
        if key not in first:
            first[key] = len(first)
        rows.append(first[key])
    return rows


def find_duplicates__same_sum(pictures):
    # takes pictures for equal if the sum of their pixels is
    first = {}
    return [first.setdefault(int(picture.sum()), row) for row, picture in enumerate(pictures)]


def find_duplicates__first_line(pictures):
    # compares only the uppermost line of pixels
    first = {}
    return [first.setdefault(picture[0].tobytes(), row) for row, picture in enumerate(pictures)]


def find_duplicates__red_only(pictures):
    # compares only the red channel
    first = {}
    return [first.setdefault(picture[:, :, 0].tobytes(), row) for row, picture in enumerate(pictures)]


def find_duplicates__any_pixel(pictures):
    # any instead of all: one equal number is enough
    rows = []
    for i in range(len(pictures)):
        for j in range(i + 1):
            if (pictures[i] == pictures[j]).any():
                rows.append(j)
                break
    return rows


def find_duplicates__str_as_key(pictures):
    # str(picture) leaves out the middle of a large array ("..."), so different pictures have the same key
    first = {}
    return [first.setdefault(str(picture), row) for row, picture in enumerate(pictures)]


def find_duplicates__true_false(pictures):
    # says whether a picture is a copy, not of which row
    seen, rows = set(), []
    for picture in pictures:
        rows.append(picture.tobytes() in seen)
        seen.add(picture.tobytes())
    return rows


def find_duplicates__minus_one(pictures):
    # gives -1 instead of its own row to a picture that was not there before
    first, rows = {}, []
    for row, picture in enumerate(pictures):
        key = picture.tobytes()
        rows.append(first.get(key, -1))
        first.setdefault(key, row)
    return rows


def find_duplicates__only_copies(pictures):
    # lists only the copies; the firsts have no entry
    first, rows = {}, []
    for row, picture in enumerate(pictures):
        key = picture.tobytes()
        if key in first:
            rows.append(first[key])
        else:
            first[key] = row
    return rows


def find_duplicates__neighbors_only(pictures):
    # compares each picture only with the one just before it
    rows = []
    for row in range(len(pictures)):
        if row and np.array_equal(pictures[row], pictures[row - 1]):
            rows.append(rows[-1])
        else:
            rows.append(row)
    return rows


def find_duplicates__near_ones_too(pictures):
    # takes nearly equal pictures (mean difference under 2 of 255) for copies
    rows = []
    for i in range(len(pictures)):
        for j in range(i + 1):
            if np.abs(pictures[i].astype(int) - pictures[j].astype(int)).mean() < 2:
                rows.append(j)
                break
    return rows


def find_duplicates__same_colors(pictures):
    # sorts the pixels before comparing: the same colors in other places count as a copy
    first = {}
    return [first.setdefault(np.sort(picture.ravel()).tobytes(), row) for row, picture in enumerate(pictures)]


def find_duplicates__forgets_row_zero(pictures):
    # the search starts at row 1: copies of picture 0 are not found
    rows = []
    for i in range(len(pictures)):
        found = i
        for j in range(1, i):
            if np.array_equal(pictures[i], pictures[j]):
                found = j
                break
        rows.append(found)
    return rows


def find_duplicates__from_one(pictures):
    # counts rows from 1
    first = {}
    return [first.setdefault(picture.tobytes(), row) for row, picture in enumerate(pictures, 1)]


def find_duplicates__array_as_key(pictures):
    # an array cannot be a key: TypeError
    first, rows = {}, []
    for row, picture in enumerate(pictures):
        if picture not in first:
            first[picture] = row
        rows.append(first[picture])
    return rows


# ---------------------------------------------------------------- tfidf, right


def tfidf__four_lines(counts, captions_with, captions):
    rarity = ((1 + captions) / (1 + captions_with)).log() + 1
    weighted = counts * rarity
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__functional_normalize(counts, captions_with, captions):
    rarity = math.log(1 + captions) - torch.log1p(captions_with) + 1
    return torch.nn.functional.normalize(counts * rarity, dim=1)


def tfidf__where(counts, captions_with, captions):
    rarity = torch.log((1 + captions) / (1 + captions_with)) + 1
    weighted = counts * rarity
    lengths = (weighted**2).sum(1, keepdim=True).sqrt()
    return torch.where(lengths > 0, weighted / lengths, torch.zeros_like(weighted))


def tfidf__python_loops(counts, captions_with, captions):
    result = torch.zeros(counts.shape)
    for b in range(counts.shape[0]):
        row = [
            counts[b, w].item() * (math.log((1 + captions) / (1 + captions_with[w].item())) + 1)
            for w in range(counts.shape[1])
        ]
        length = math.sqrt(sum(x * x for x in row))
        for w, x in enumerate(row):
            result[b, w] = x / length if length else 0.0
    return result


def tfidf__nan_to_num(counts, captions_with, captions):
    weighted = counts * (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return (weighted / weighted.norm(dim=1, keepdim=True)).nan_to_num(0.0)


def tfidf__zero_length_becomes_one(counts, captions_with, captions):
    weighted = counts @ torch.diag(torch.log((1 + captions) / (1 + captions_with)) + 1)
    lengths = weighted.norm(dim=1)
    lengths[lengths == 0] = 1
    return (weighted.T / lengths).T


def tfidf__shares_first(counts, captions_with, captions):
    # dividing by the number of words first changes nothing, as the length becomes 1 all the same
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    weighted = shares * (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


# ---------------------------------------------------------------- tfidf, wrong


def tfidf__not_normalized(counts, captions_with, captions):
    # forgets to divide by the length
    return counts * (torch.log((1 + captions) / (1 + captions_with)) + 1)


def tfidf__columns_normalized(counts, captions_with, captions):
    # the wrong axis: columns, not rows, get length 1
    weighted = counts * (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return weighted / weighted.norm(dim=0, keepdim=True).clamp(min=1e-9)


def tfidf__divided_by_sum(counts, captions_with, captions):
    # divides by the sum of the row, not by its Euclidean length
    weighted = counts * (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return weighted / weighted.sum(1, keepdim=True).clamp(min=1e-9)


def tfidf__nan_for_empty_rows(counts, captions_with, captions):
    # 0 / 0: a row without words becomes NaN
    weighted = counts * (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True)


def tfidf__no_plus_one_at_the_end(counts, captions_with, captions):
    # forgets the + 1 after the logarithm
    weighted = counts * torch.log((1 + captions) / (1 + captions_with))
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__not_smoothed(counts, captions_with, captions):
    # ln(n / d) + 1: forgets the 1 + above and below the line
    weighted = counts * (torch.log(captions / captions_with.clamp(min=1)) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__one_above_forgotten(counts, captions_with, captions):
    # 1 + only below the line: ln(n / (1 + d)) + 1
    weighted = counts * (torch.log(captions / (1 + captions_with)) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__log10(counts, captions_with, captions):
    # the logarithm to base 10 instead of the natural one
    weighted = counts * (torch.log10((1 + captions) / (1 + captions_with)) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__upside_down(counts, captions_with, captions):
    # the fraction is upside down: frequent words count more
    weighted = counts * (torch.log((1 + captions_with) / (1 + captions)) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__plus_one_inside_log(counts, captions_with, captions):
    # the + 1 is inside the logarithm
    weighted = counts * torch.log((1 + captions) / (1 + captions_with) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__no_log(counts, captions_with, captions):
    # forgets the logarithm
    weighted = counts * ((1 + captions) / (1 + captions_with) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__normalized_first(counts, captions_with, captions):
    # normalizes first and multiplies by the rarity after: the rows do not have length 1
    unit = counts / counts.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return unit * (torch.log((1 + captions) / (1 + captions_with)) + 1)


def tfidf__yes_or_no(counts, captions_with, captions):
    # a word that is there twice counts once
    weighted = counts.gt(0).float() * (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__batch_is_collection(counts, captions_with, captions):
    # takes the number of rows of counts for the number of captions of the collection
    weighted = counts * (torch.log((1 + len(counts)) / (1 + captions_with)) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__captions_with_from_batch(counts, captions_with, captions):
    # counts the captions with a word in this batch, instead of using captions_with
    weighted = counts * (torch.log((1 + captions) / (1 + counts.gt(0).sum(0))) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__squared_length(counts, captions_with, captions):
    # forgets the root: divides by the square of the length
    weighted = counts * (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return weighted / weighted.square().sum(1, keepdim=True).clamp(min=1e-9)


def tfidf__one_norm_for_all(counts, captions_with, captions):
    # divides all rows by the length of the whole table
    weighted = counts * (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return weighted / weighted.norm().clamp(min=1e-9)


def tfidf__length_plus_one(counts, captions_with, captions):
    # adds 1 to the length, so as not to divide by 0: the rows become shorter than 1
    weighted = counts * (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return weighted / (weighted.norm(dim=1, keepdim=True) + 1)


def tfidf__length_of_counts(counts, captions_with, captions):
    # divides by the length of the counts, not of the weighted row
    weighted = counts * (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return weighted / counts.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__rarity_added(counts, captions_with, captions):
    # adds the rarity where it should multiply
    weighted = counts + (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__rounded(counts, captions_with, captions):
    # rounds to two places, as the example shows them
    return (tfidf__four_lines(counts, captions_with, captions) * 100).round() / 100


def tfidf__no_keepdim(counts, captions_with, captions):
    # forgets keepdim: the shapes do not fit (or, in a square table, columns are divided by the lengths of rows)
    weighted = counts * (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return weighted / weighted.norm(dim=1).clamp(min=1e-9)


# ---------------------------------------------------------------- recall_at_k, right


def recall_at_k__sort_gather(scores, right, k):
    best = scores.sort(dim=1, descending=True).indices[:, :k]
    return right.gather(1, best).any(1)


def recall_at_k__topk(scores, right, k):
    return right.gather(1, scores.topk(k, dim=1).indices).any(dim=1)


def recall_at_k__python(scores, right, k):
    found = []
    for line, truths in zip(scores.tolist(), right.tolist(), strict=True):
        order = sorted(range(len(line)), key=lambda thing: -line[thing])
        found.append(any(truths[thing] for thing in order[:k]))
    return torch.tensor(found, dtype=torch.bool)


def recall_at_k__numpy(scores, right, k):
    best = np.argsort(-scores.numpy(), axis=1, kind="stable")[:, :k]
    return torch.from_numpy(np.take_along_axis(right.numpy(), best, axis=1).any(axis=1))


def recall_at_k__ranks(scores, right, k):
    ranks = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return ((ranks < k) & right).any(1)


def recall_at_k__best_taken_away_k_times(scores, right, k):
    left = scores.clone()
    queries = torch.arange(len(scores))
    found = torch.zeros(len(scores), dtype=torch.bool)
    for _ in range(k):
        best = left.argmax(1)
        found |= right[queries, best]
        left[queries, best] = -torch.inf
    return found


# ---------------------------------------------------------------- recall_at_k, wrong


def recall_at_k__worst_first(scores, right, k):
    # sorts ascending: looks at the k worst
    return right.gather(1, scores.sort(dim=1).indices[:, :k]).any(1)


def recall_at_k__all_of_them(scores, right, k):
    # all instead of any: each of the k best has to be right
    return right.gather(1, scores.topk(k, dim=1).indices).all(1)


def recall_at_k__k_minus_one(scores, right, k):
    # off by one: looks at k - 1 things
    return right.gather(1, scores.sort(dim=1, descending=True).indices[:, : k - 1]).any(1)


def recall_at_k__k_plus_one(scores, right, k):
    # off by one: looks at k + 1 things
    return right.gather(1, scores.sort(dim=1, descending=True).indices[:, : k + 1]).any(1)


def recall_at_k__only_the_kth(scores, right, k):
    # looks only at the thing at place k
    order = scores.sort(dim=1, descending=True).indices
    return right.gather(1, order[:, k - 1 : k]).any(1)


def recall_at_k__first_k_queries(scores, right, k):
    # order[:k] takes the first k queries, not the first k places
    order = scores.sort(dim=1, descending=True).indices
    return right.gather(1, order[:k]).any(1)


def recall_at_k__not_sorted(scores, right, k):
    # looks at the first k columns without sorting
    return right[:, :k].any(1)


def recall_at_k__mean(scores, right, k):
    # returns the share, one number, instead of yes or no for each query
    return recall_at_k__sort_gather(scores, right, k).float().mean()


def recall_at_k__how_many(scores, right, k):
    # returns how many of the k best are right
    return right.gather(1, scores.topk(k, dim=1).indices).sum(1)


def recall_at_k__any_of_dim_0(scores, right, k):
    # any along the wrong dimension: one answer for each place
    return right.gather(1, scores.topk(k, dim=1).indices).any(0)


def recall_at_k__sorted_along_queries(scores, right, k):
    # sorts along dim 0, that is, compares queries, not things
    order = scores.sort(dim=0, descending=True).indices
    return right.gather(0, order)[:, :k].any(1)


def recall_at_k__only_the_best(scores, right, k):
    # ignores k: only the best is looked at
    return right.gather(1, scores.argmax(1, keepdim=True)).any(1)


def recall_at_k__places_taken_for_ranks(scores, right, k):
    # takes the indices of sort for ranks: place p holds a thing, not the rank of thing p
    places = scores.sort(dim=1, descending=True).indices
    return ((places < k) & right).any(1)


def recall_at_k__above_the_kth(scores, right, k):
    # > instead of >=: the thing at place k itself does not count
    kth = scores.sort(dim=1, descending=True).values[:, k - 1 : k]
    return ((scores > kth) & right).any(1)


def recall_at_k__one_right_thing(scores, right, k):
    # argmax of right: knows only the first right thing, and takes thing 0 if there is none
    truth = right.float().argmax(1, keepdim=True)
    return (scores.topk(k, dim=1).indices == truth).any(1)


def recall_at_k__scores_times_right(scores, right, k):
    # scores × right puts 0 where a thing is wrong, which beats negative scores and is found where all scores are 0
    kth = scores.sort(dim=1, descending=True).values[:, k - 1]
    return (scores * right).max(1).values >= kth


def recall_at_k__none_is_found(scores, right, k):
    # counts a query without anything right as found
    return recall_at_k__sort_gather(scores, right, k) | ~right.any(1)


def recall_at_k__best_of_all_queries(scores, right, k):
    # takes the k best of the whole table, not of each query
    kth = scores.flatten().sort(descending=True).values[min(k, scores.numel()) - 1]
    return ((scores >= kth) & right).any(1)


def recall_at_k__needs_min_k_right(scores, right, k):
    # the other recall: whether all right things are among the k best
    hits = right.gather(1, scores.topk(k, dim=1).indices).sum(1)
    return hits == right.sum(1)


def recall_at_k__floats(scores, right, k):
    # returns 1.0 and 0.0 instead of True and False
    return recall_at_k__sort_gather(scores, right, k).float()


def recall_at_k__gather_without_dim(scores, right, k):
    # forgets the dimension of gather: TypeError
    return right.gather(scores.topk(k, dim=1).indices).any(1)


RIGHT = {
    "word_counts": [
        word_counts__plain_counter_loop,
        word_counts__dict_get,
        word_counts__chain,
        word_counts__sort_and_group,
        word_counts__numpy_unique,
    ],
    "find_duplicates": [
        find_duplicates__bytes_table,
        find_duplicates__setdefault,
        find_duplicates__two_loops,
        find_duplicates__numpy_unique,
        find_duplicates__list_index,
        find_duplicates__backwards,
    ],
    "tfidf": [
        tfidf__four_lines,
        tfidf__functional_normalize,
        tfidf__where,
        tfidf__python_loops,
        tfidf__nan_to_num,
        tfidf__zero_length_becomes_one,
        tfidf__shares_first,
    ],
    "recall_at_k": [
        recall_at_k__sort_gather,
        recall_at_k__topk,
        recall_at_k__python,
        recall_at_k__numpy,
        recall_at_k__ranks,
        recall_at_k__best_taken_away_k_times,
    ],
}

WRONG = {
    "word_counts": [
        (word_counts__each_caption_once, "counts the captions that have the word, not the occurrences"),
        (word_counts__split_at_spaces, "splits at spaces instead of caption_words: capitals and marks are kept"),
        (word_counts__lower_but_marks_kept, "small letters, but the marks are still stuck to the words"),
        (word_counts__return_in_the_loop, "the return is indented too far: only the first caption is counted"),
        (word_counts__new_counter_per_caption, "the counter is made anew for each caption: only the last one is left"),
        (word_counts__set_to_one, "= 1 instead of += 1: every word has the number 1"),
        (word_counts__starts_at_zero, "a word met for the first time gets 0: each number is one too small"),
        (word_counts__counts_letters, "goes through the letters of the caption, not its words"),
        (word_counts__shares, "returns shares of all words instead of numbers"),
        (word_counts__adds_letters, "adds the length of the word instead of 1"),
        (word_counts__substrings, "str.count finds the word inside other words, too"),
        (word_counts__list_of_pairs, "returns a sorted list of pairs instead of a dictionary"),
        (word_counts__drops_one_letter_words, "leaves out words of one letter"),
        (word_counts__goes_through_twice, "goes through captions twice: a generator is empty the second time"),
        (word_counts__key_error, "crash: a plain dict does not know a new word (KeyError)"),
    ],
    "find_duplicates": [
        (find_duplicates__last_row, "the last row with the picture, not the first"),
        (find_duplicates__previous_row, "the copy before this one, not the first"),
        (find_duplicates__group_numbers, "numbers the different pictures 0, 1, 2 instead of giving the row"),
        (find_duplicates__same_sum, "takes pictures for equal if the sum of their pixels is"),
        (find_duplicates__first_line, "compares only the uppermost line of pixels"),
        (find_duplicates__red_only, "compares only the red channel"),
        (find_duplicates__any_pixel, "any instead of all: one equal number is enough"),
        (find_duplicates__str_as_key, "str(picture) leaves out the middle of a large array"),
        (find_duplicates__true_false, "says whether a picture is a copy, not of which row"),
        (find_duplicates__minus_one, "-1 instead of its own row for a picture that was not there before"),
        (find_duplicates__only_copies, "lists only the copies; the firsts have no entry"),
        (find_duplicates__neighbors_only, "compares each picture only with the one just before it"),
        (find_duplicates__near_ones_too, "takes nearly equal pictures for copies"),
        (find_duplicates__same_colors, "the same colors in other places count as a copy"),
        (find_duplicates__forgets_row_zero, "the search starts at row 1: copies of picture 0 are not found"),
        (find_duplicates__from_one, "counts rows from 1"),
        (find_duplicates__array_as_key, "crash: an array cannot be a key"),
    ],
    "tfidf": [
        (tfidf__not_normalized, "forgets to divide by the length"),
        (tfidf__columns_normalized, "the wrong axis: columns, not rows, get length 1"),
        (tfidf__divided_by_sum, "divides by the sum of the row, not by its Euclidean length"),
        (tfidf__nan_for_empty_rows, "a row without words becomes NaN"),
        (tfidf__no_plus_one_at_the_end, "forgets the + 1 after the logarithm"),
        (tfidf__not_smoothed, "forgets the 1 + above and below the line"),
        (tfidf__one_above_forgotten, "1 + only below the line"),
        (tfidf__log10, "the logarithm to base 10 instead of the natural one"),
        (tfidf__upside_down, "the fraction is upside down: frequent words count more"),
        (tfidf__plus_one_inside_log, "the + 1 is inside the logarithm"),
        (tfidf__no_log, "forgets the logarithm"),
        (tfidf__normalized_first, "normalizes first and multiplies by the rarity after"),
        (tfidf__yes_or_no, "a word that is there twice counts once"),
        (tfidf__batch_is_collection, "takes the number of rows of counts for the number of captions"),
        (
            tfidf__captions_with_from_batch,
            "counts the captions with a word in this batch instead of using captions_with",
        ),
        (tfidf__squared_length, "forgets the root: divides by the square of the length"),
        (tfidf__one_norm_for_all, "divides all rows by the length of the whole table"),
        (tfidf__length_plus_one, "adds 1 to the length so as not to divide by 0"),
        (tfidf__length_of_counts, "divides by the length of the counts, not of the weighted row"),
        (tfidf__rarity_added, "adds the rarity where it should multiply"),
        (tfidf__rounded, "rounds to two places, as the example shows them"),
        (tfidf__no_keepdim, "forgets keepdim: the shapes do not fit"),
    ],
    "recall_at_k": [
        (recall_at_k__worst_first, "sorts ascending: looks at the k worst"),
        (recall_at_k__all_of_them, "all instead of any: each of the k best has to be right"),
        (recall_at_k__k_minus_one, "off by one: looks at k - 1 things"),
        (recall_at_k__k_plus_one, "off by one: looks at k + 1 things"),
        (recall_at_k__only_the_kth, "looks only at the thing at place k"),
        (recall_at_k__first_k_queries, "order[:k] takes the first k queries, not the first k places"),
        (recall_at_k__not_sorted, "looks at the first k columns without sorting"),
        (recall_at_k__mean, "returns the share, one number, instead of yes or no for each query"),
        (recall_at_k__how_many, "returns how many of the k best are right"),
        (recall_at_k__any_of_dim_0, "any along the wrong dimension: one answer for each place"),
        (recall_at_k__sorted_along_queries, "sorts along dim 0: compares queries, not things"),
        (recall_at_k__only_the_best, "ignores k: only the best is looked at"),
        (recall_at_k__places_taken_for_ranks, "takes the indices of sort for ranks"),
        (recall_at_k__above_the_kth, "> instead of >=: the thing at place k itself does not count"),
        (recall_at_k__one_right_thing, "knows only the first right thing, and takes thing 0 if there is none"),
        (recall_at_k__scores_times_right, "0 for wrong things beats negative scores, and ties with scores of 0"),
        (recall_at_k__none_is_found, "counts a query without anything right as found"),
        (recall_at_k__best_of_all_queries, "takes the k best of the whole table, not of each query"),
        (recall_at_k__needs_min_k_right, "whether all right things are among the k best"),
        (recall_at_k__floats, "returns 1.0 and 0.0 instead of True and False"),
        (recall_at_k__gather_without_dim, "crash: forgets the dimension of gather"),
    ],
}


# ---------------------------------------------------------------- open cases: neither clearly right nor wrong


def tfidf__in_place(counts, captions_with, captions):
    # result right, but the caller's counts are changed
    counts *= torch.log((1 + captions) / (1 + captions_with)) + 1
    counts /= counts.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return counts


def tfidf__clamp_one(counts, captions_with, captions):
    # right for whole counts (each length is at least 1), though not for halves
    weighted = counts * (torch.log((1 + captions) / (1 + captions_with)) + 1)
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1)


def recall_at_k__at_least_the_kth(scores, right, k):
    # >= the k-th best score: of equal scores the right one is taken to be better ("another order is as good"?)
    kth = scores.sort(dim=1, descending=True).values[:, k - 1 : k]
    return ((scores >= kth) & right).any(1)


def recall_at_k__changes_scores(scores, right, k):
    # result right, but scores are overwritten
    queries = torch.arange(len(scores))
    found = torch.zeros(len(scores), dtype=torch.bool)
    for _ in range(k):
        best = scores.argmax(1)
        found |= right[queries, best]
        scores[queries, best] = -torch.inf
    return found


def recall_at_k__list(scores, right, k):
    # a list of bools instead of a tensor
    return recall_at_k__sort_gather(scores, right, k).tolist()


def find_duplicates__array(pictures):
    # a numpy array instead of a list
    return np.array(find_duplicates__bytes_table(pictures))


def word_counts__own_regex(captions):
    # an own reading of "small letters, marks away", hyphens kept apart; caption_words is not used
    counts = defaultdict(int)
    for caption in captions:
        for word in re.findall(r"\w+", caption.lower()):
            counts[word] += 1
    return counts


OPEN = {
    "word_counts": [word_counts__own_regex],
    "find_duplicates": [find_duplicates__array],
    "tfidf": [tfidf__in_place, tfidf__clamp_one],
    "recall_at_k": [recall_at_k__at_least_the_kth, recall_at_k__changes_scores, recall_at_k__list],
}
