"""Answers of a group of students to the four exercises of lesson 00: right ones and wrong ones."""

import heapq
import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import torch
from minidalle.evaluation.retrieval import caption_words

# ---------------------------------------------------------------------------------------------- word_counts: right


def word_counts__right_plus_one(captions):
    # Fills in the line that was left out.
    counts = Counter()
    for caption in captions:
        for word in caption_words(caption):
            counts[word] += 1
    return counts


def word_counts__right_dict_get(captions):
    # A plain dictionary; a word that is not in it counts as 0.
    counts = {}
    for caption in captions:
        for word in caption_words(caption):
            counts[word] = counts.get(word, 0) + 1
    return counts


def word_counts__right_chain(captions):
    # One long row of words, handed to Counter at once.
    return dict(Counter(itertools.chain.from_iterable(caption_words(caption) for caption in captions)))


def word_counts__right_groupby(captions):
    # Sorts all words, so that equal ones stand together, and measures each run.
    words = sorted(word for caption in captions for word in caption_words(caption))
    return {word: len(list(run)) for word, run in itertools.groupby(words)}


def word_counts__right_places(captions):
    # Keeps for each word the list of captions where it was met; its length is the count.
    met = defaultdict(list)
    for row, caption in enumerate(captions):
        for word in caption_words(caption):
            met[word].append(row)
    return {word: len(rows) for word, rows in met.items()}


# ---------------------------------------------------------------------------------------------- word_counts: wrong


def word_counts__once_per_caption(captions):
    counts = Counter()
    for caption in captions:
        for word in set(caption_words(caption)):
            counts[word] += 1
    return counts


def word_counts__set_to_one(captions):
    counts = Counter()
    for caption in captions:
        for word in caption_words(caption):
            counts[word] = 1
    return counts


def word_counts__letters_of_word(captions):
    counts = Counter()
    for caption in captions:
        for word in caption_words(caption):
            counts[word] += len(word)
    return counts


def word_counts__counts_again(captions):
    counts = Counter()
    for caption in captions:
        words = list(caption_words(caption))
        for word in words:
            counts[word] += words.count(word)
    return counts


def word_counts__substrings(captions):
    counts = Counter()
    for caption in captions:
        for word in set(caption_words(caption)):
            counts[word] += caption.lower().count(word)
    return counts


def word_counts__doubles(captions):
    counts = Counter()
    for caption in captions:
        for word in caption_words(caption):
            counts[word] += counts[word] + 1
    return counts


def word_counts__starts_at_one(captions):
    counts = {}
    for caption in captions:
        for word in caption_words(caption):
            counts[word] = counts.get(word, 1) + 1
    return counts


def word_counts__first_meeting_forgotten(captions):
    counts = {}
    for caption in captions:
        for word in caption_words(caption):
            if word not in counts:
                counts[word] = 0
            else:
                counts[word] += 1
    return counts


def word_counts__update_overwrites(captions):
    counts = {}
    for caption in captions:
        counts.update(Counter(caption_words(caption)))
    return counts


def word_counts__starts_anew(captions):
    counts = Counter()
    for caption in captions:
        counts = Counter()
        for word in caption_words(caption):
            counts[word] += 1
    return counts


def word_counts__split_only(captions):
    counts = Counter()
    for caption in captions:
        for word in caption.lower().split():
            counts[word] += 1
    return counts


def word_counts__different_captions(captions):
    counts = Counter()
    for caption in set(captions):
        for word in caption_words(caption):
            counts[word] += 1
    return counts


def word_counts__most_frequent(captions):
    counts = Counter()
    for caption in captions:
        counts.update(caption_words(caption))
    return dict(counts.most_common(10))


# ------------------------------------------------------------------------------------------ find_duplicates: right


def find_duplicates__right_setdefault(pictures):
    # A table from bytes to first row; setdefault writes only what is not there yet.
    first = {}
    return [first.setdefault(picture.tobytes(), row) for row, picture in enumerate(pictures)]


def find_duplicates__right_backwards(pictures):
    # Fills the table from the last row to the first, so that the first row is what stays written.
    keys = [picture.tobytes() for picture in pictures]
    first = {keys[row]: row for row in range(len(keys) - 1, -1, -1)}
    return [first[key] for key in keys]


def find_duplicates__right_unique(pictures):
    # np.unique of flat pictures: where each kind stood first, and of which kind each picture is.
    flat = pictures.reshape(len(pictures), math.prod(pictures.shape[1:]))
    _, index, inverse = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    return index[inverse.reshape(-1)].tolist()


def find_duplicates__right_list_index(pictures):
    # list.index gives the first place of an equal element; nested lists compare number by number.
    lists = pictures.tolist()
    return [lists.index(one) for one in lists]


def find_duplicates__right_compare_all(pictures):
    # Compares each picture with all; argmax of Trues and Falses is the first True. Slow, but right.
    return [int((pictures == picture).all(axis=(1, 2, 3)).argmax()) for picture in pictures]


# ------------------------------------------------------------------------------------------ find_duplicates: wrong


def find_duplicates__last_row(pictures):
    keys = [picture.tobytes() for picture in pictures]
    table = {key: row for row, key in enumerate(keys)}
    return [table[key] for key in keys]


def find_duplicates__copy_before(pictures):
    seen, rows = {}, []
    for row, picture in enumerate(pictures):
        key = picture.tobytes()
        rows.append(seen.get(key, row))
        seen[key] = row
    return rows


def find_duplicates__minus_one(pictures):
    first, rows = {}, []
    for row, picture in enumerate(pictures):
        key = picture.tobytes()
        rows.append(first.get(key, -1))
        first.setdefault(key, row)
    return rows


def find_duplicates__number_of_kind(pictures):
    first, rows = {}, []
    for picture in pictures:
        key = picture.tobytes()
        if key not in first:
            first[key] = len(first)
        rows.append(first[key])
    return rows


def find_duplicates__another_one(pictures):
    places = defaultdict(list)
    for row, picture in enumerate(pictures):
        places[picture.tobytes()].append(row)
    rows = []
    for row, picture in enumerate(pictures):
        others = [place for place in places[picture.tobytes()] if place != row]
        rows.append(others[0] if others else row)
    return rows


def find_duplicates__sum_as_key(pictures):
    first = {}
    return [first.setdefault(int(picture.sum()), row) for row, picture in enumerate(pictures)]


def find_duplicates__set_of_colors(pictures):
    first = {}
    rows = []
    for row, picture in enumerate(pictures):
        key = frozenset(map(tuple, picture.reshape(-1, 3).tolist()))
        rows.append(first.setdefault(key, row))
    return rows


def find_duplicates__first_line(pictures):
    first = {}
    return [first.setdefault(picture[0].tobytes(), row) for row, picture in enumerate(pictures)]


def find_duplicates__only_red(pictures):
    first = {}
    return [first.setdefault(picture[..., 0].tobytes(), row) for row, picture in enumerate(pictures)]


def find_duplicates__str_as_key(pictures):
    first = {}
    return [first.setdefault(str(picture), row) for row, picture in enumerate(pictures)]


def find_duplicates__only_neighbor(pictures):
    rows = list(range(len(pictures)))
    for row in range(1, len(pictures)):
        if np.array_equal(pictures[row], pictures[row - 1]):
            rows[row] = rows[row - 1]
    return rows


def find_duplicates__near_is_equal(pictures):
    scaled = pictures.reshape(len(pictures), -1) / 255
    rows = []
    for one in scaled:
        far = np.sqrt(np.square(scaled - one).mean(axis=1))
        rows.append(int((far < 0.05).argmax()))
    return rows


def find_duplicates__only_copies(pictures):
    first, rows = {}, []
    for row, picture in enumerate(pictures):
        key = picture.tobytes()
        if key in first:
            rows.append(first[key])
        else:
            first[key] = row
    return rows


# ---------------------------------------------------------------------------------------------------- tfidf: right


def tfidf__right_clamp(counts, captions_with, captions):
    # Step by step as in the docstring; a length of 0 is lifted to something small.
    rarity = ((1 + captions) / (1 + captions_with)).log() + 1
    weighted = counts * rarity
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__right_normalize(counts, captions_with, captions):
    # The logarithm of a ratio is a difference, and PyTorch has a function for rows of length 1.
    rarity = math.log1p(captions) - torch.log1p(captions_with) + 1
    return torch.nn.functional.normalize(counts * rarity, dim=1)


def tfidf__right_where(counts, captions_with, captions):
    # Rarity as a diagonal matrix; the length by hand; empty rows are divided by 1.
    rarity = 1 - torch.log((1 + captions_with) / (1 + captions))
    weighted = counts @ torch.diag(rarity)
    length = weighted.square().sum(1).sqrt()
    length = torch.where(length == 0, torch.ones_like(length), length)
    return weighted / length[:, None]


def tfidf__right_loops(counts, captions_with, captions):
    # Number by number, without tensors.
    rarity = [math.log((1 + captions) / (1 + with_word)) + 1 for with_word in captions_with.tolist()]
    result = torch.zeros_like(counts)
    for row, numbers in enumerate(counts.tolist()):
        weighted = [number * rare for number, rare in zip(numbers, rarity, strict=True)]
        length = math.sqrt(sum(number * number for number in weighted))
        if length > 0:
            result[row] = torch.tensor([number / length for number in weighted], dtype=counts.dtype)
    return result


def tfidf__right_nonempty_rows(counts, captions_with, captions):
    # Shares of a caption first, which falls out again, and then only the rows that have a word.
    result = torch.zeros_like(counts)
    some = counts.sum(dim=1) > 0
    shares = counts[some] / counts[some].sum(dim=1, keepdim=True)
    weighted = shares * torch.log(math.e * (1 + captions) / (1 + captions_with))
    result[some] = weighted * torch.einsum("bw,bw->b", weighted, weighted).rsqrt().unsqueeze(1)
    return result


# ---------------------------------------------------------------------------------------------------- tfidf: wrong


def tfidf__no_plus_one(counts, captions_with, captions):
    rarity = torch.log((1 + captions) / (1 + captions_with))
    weighted = counts * rarity
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__plus_one_in_the_log(counts, captions_with, captions):
    rarity = torch.log((1 + captions) / (1 + captions_with) + 1)
    weighted = counts * rarity
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__half_smoothed(counts, captions_with, captions):
    rarity = torch.log(captions / (1 + captions_with)) + 1
    weighted = counts * rarity
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__upside_down(counts, captions_with, captions):
    rarity = torch.log((1 + captions_with) / (1 + captions)) + 1
    weighted = counts * rarity
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__log10(counts, captions_with, captions):
    rarity = torch.log10((1 + captions) / (1 + captions_with)) + 1
    weighted = counts * rarity
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__columns(counts, captions_with, captions):
    rarity = torch.log((1 + captions) / (1 + captions_with)) + 1
    weighted = counts * rarity
    return weighted / weighted.norm(dim=0, keepdim=True).clamp(min=1e-9)


def tfidf__sum_as_length(counts, captions_with, captions):
    rarity = torch.log((1 + captions) / (1 + captions_with)) + 1
    weighted = counts * rarity
    return weighted / weighted.sum(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__root_forgotten(counts, captions_with, captions):
    rarity = torch.log((1 + captions) / (1 + captions_with)) + 1
    weighted = counts * rarity
    return weighted / weighted.square().sum(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__length_before_rarity(counts, captions_with, captions):
    rarity = torch.log((1 + captions) / (1 + captions_with)) + 1
    return counts / counts.norm(dim=1, keepdim=True).clamp(min=1e-9) * rarity


def tfidf__captions_of_the_batch(counts, captions_with, captions):
    captions = counts.shape[0]
    rarity = torch.log((1 + captions) / (1 + captions_with)) + 1
    weighted = counts * rarity
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__presence(counts, captions_with, captions):
    rarity = torch.log((1 + captions) / (1 + captions_with)) + 1
    weighted = (counts > 0) * rarity
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def tfidf__empty_row_nan(counts, captions_with, captions):
    rarity = torch.log((1 + captions) / (1 + captions_with)) + 1
    weighted = counts * rarity
    return weighted / weighted.norm(dim=1, keepdim=True)


def tfidf__length_plus_one(counts, captions_with, captions):
    rarity = torch.log((1 + captions) / (1 + captions_with)) + 1
    weighted = counts * rarity
    return weighted / (weighted.norm(dim=1, keepdim=True) + 1)


# ---------------------------------------------------------------------------------------------- recall_at_k: right


def recall_at_k__right_gather(scores, right, k):
    # Sort, keep the first k, look them up.
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return right.gather(1, best).any(1)


def recall_at_k__right_topk(scores, right, k):
    # topk chooses; a table of Trues marks what was chosen. Among equals topk may take any.
    chosen = torch.zeros_like(right).scatter(1, scores.topk(k, dim=1).indices, True)
    return (chosen & right).any(1)


def recall_at_k__right_ranks(scores, right, k):
    # Sorting the order once more gives the rank of each thing.
    rank = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return ((rank < k) & right).any(dim=1)


def recall_at_k__right_first_place(scores, right, k):
    # The place of the first right thing; a query without one gets a place behind all.
    order = scores.sort(dim=1, descending=True, stable=True).indices
    places = torch.arange(scores.shape[1], device=scores.device).expand(scores.shape)
    behind = torch.full_like(places, scores.shape[1])
    return torch.where(right.gather(1, order), places, behind).amin(dim=1) < k


def recall_at_k__right_heap(scores, right, k):
    # Query by query with lists.
    found = []
    for numbers, truths in zip(scores.tolist(), right.tolist(), strict=True):
        best = heapq.nlargest(k, range(len(numbers)), key=numbers.__getitem__)
        found.append(any(truths[thing] for thing in best))
    return torch.tensor(found, dtype=torch.bool)


# ---------------------------------------------------------------------------------------------- recall_at_k: wrong


def recall_at_k__worst(scores, right, k):
    best = scores.sort(dim=1, stable=True).indices[:, :k]
    return right.gather(1, best).any(1)


def recall_at_k__one_too_few(scores, right, k):
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, : k - 1]
    return right.gather(1, best).any(1)


def recall_at_k__only_the_kth(scores, right, k):
    order = scores.sort(dim=1, descending=True, stable=True).indices
    return right.gather(1, order)[:, k - 1]


def recall_at_k__all_k(scores, right, k):
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return right.gather(1, best).all(1)


def recall_at_k__along_the_queries(scores, right, k):
    best = scores.sort(dim=0, descending=True, stable=True).indices[:, :k]
    return right.gather(1, best).any(1)


def recall_at_k__order_as_rank(scores, right, k):
    rank = scores.argsort(dim=1, descending=True, stable=True)
    return ((rank < k) & right).any(1)


def recall_at_k__only_the_first_right(scores, right, k):
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    answer = right.int().argmax(dim=1, keepdim=True)
    return (best == answer).any(1) & right.any(1)


def recall_at_k__none_is_found(scores, right, k):
    order = scores.sort(dim=1, descending=True, stable=True).indices
    place = right.gather(1, order).int().argmax(dim=1)
    return place < k


def recall_at_k__ties_all_count(scores, right, k):
    bar = scores.topk(k, dim=1).values[:, -1:]
    return ((scores >= bar) & right).any(1)


def recall_at_k__ties_against(scores, right, k):
    best_right = scores.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
    return ((scores >= best_right).sum(dim=1) <= k) & right.any(1)


def recall_at_k__every_right_found(scores, right, k):
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return right.gather(1, best).sum(dim=1) == right.sum(dim=1)


def recall_at_k__best_of_any_query(scores, right, k):
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return right[:, best].flatten(1).any(1)


def recall_at_k__mean(scores, right, k):
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return right.gather(1, best).any(1).float().mean()


RIGHT = {
    "word_counts": [
        word_counts__right_plus_one,
        word_counts__right_dict_get,
        word_counts__right_chain,
        word_counts__right_groupby,
        word_counts__right_places,
    ],
    "find_duplicates": [
        find_duplicates__right_setdefault,
        find_duplicates__right_backwards,
        find_duplicates__right_unique,
        find_duplicates__right_list_index,
        find_duplicates__right_compare_all,
    ],
    "tfidf": [
        tfidf__right_clamp,
        tfidf__right_normalize,
        tfidf__right_where,
        tfidf__right_loops,
        tfidf__right_nonempty_rows,
    ],
    "recall_at_k": [
        recall_at_k__right_gather,
        recall_at_k__right_topk,
        recall_at_k__right_ranks,
        recall_at_k__right_first_place,
        recall_at_k__right_heap,
    ],
}

WRONG = {
    "word_counts": [
        (word_counts__once_per_caption, "A word that a caption has twice is counted once: captions, not occurrences."),
        (word_counts__set_to_one, "Writes = 1 in place of += 1, so that every word has the count 1."),
        (word_counts__letters_of_word, "Adds the number of letters of the word in place of 1."),
        (word_counts__counts_again, "Adds the word's count in the caption at each meeting: twice in one becomes four."),
        (
            word_counts__substrings,
            "Counts the word in the text of the caption, also inside of longer words (a in car).",
        ),
        (word_counts__doubles, "Adds the old count plus 1 with +=, so that the count doubles: 1, 3, 7."),
        (word_counts__starts_at_one, "A new word starts from 1 and gets 1 more: all counts are one too many."),
        (word_counts__first_meeting_forgotten, "A new word is entered with 0: all counts are one too few."),
        (
            word_counts__update_overwrites,
            "dict.update overwrites: what stays is the count in the last caption of a word.",
        ),
        (word_counts__starts_anew, "The counter is made anew for each caption: only the last caption is counted."),
        (word_counts__split_only, "Splits at spaces without caption_words: marks stay, and `car,` is not `car`."),
        (
            word_counts__different_captions,
            "Goes through the set of captions: a caption that is there twice counts once.",
        ),
        (word_counts__most_frequent, "Keeps the ten most frequent words only."),
    ],
    "find_duplicates": [
        (find_duplicates__last_row, "The table is overwritten: it gives the last equal row, not the first."),
        (find_duplicates__copy_before, "Gives the equal row just before, not the first: A, A, A becomes 0, 0, 1."),
        (find_duplicates__minus_one, "A picture that is the first of its kind gets -1, not its own row."),
        (find_duplicates__number_of_kind, "Numbers the kinds 0, 1, 2, …, in place of giving the row where each began."),
        (
            find_duplicates__another_one,
            "Looks for the first other picture that is equal, so that a first one gets its copy.",
        ),
        (
            find_duplicates__sum_as_key,
            "Compares sums of the pixels: other pictures with the same sum are taken as equal.",
        ),
        (
            find_duplicates__set_of_colors,
            "Compares the sets of colors: where and how often a color stands is forgotten.",
        ),
        (find_duplicates__first_line, "Compares the uppermost line of pixels only."),
        (find_duplicates__only_red, "Compares the first of the three colors only."),
        (
            find_duplicates__str_as_key,
            "Takes str(picture) as the key, which leaves out the middle of an array over 1,000 long.",
        ),
        (find_duplicates__only_neighbor, "Compares with the row just before only: a copy further on is not found."),
        (find_duplicates__near_is_equal, "Takes near pictures (distance below 0.05) as equal, too."),
        (
            find_duplicates__only_copies,
            "Gives rows for the copies only, so that the list is shorter than the pictures.",
        ),
    ],
    "tfidf": [
        (tfidf__no_plus_one, "Forgets the + 1 after the logarithm: a word that all captions have gets 0."),
        (tfidf__plus_one_in_the_log, "Adds the 1 inside of the logarithm, not after it."),
        (tfidf__half_smoothed, "Has no 1 + above the fraction line: ln(captions / (1 + captions_with)) + 1."),
        (tfidf__upside_down, "Turns the fraction over: what is frequent counts more."),
        (tfidf__log10, "Takes the logarithm to base 10, not the natural one."),
        (tfidf__columns, "Divides each column by its length, not each row."),
        (tfidf__sum_as_length, "Divides by the sum of the row, not by its Euclidean length."),
        (tfidf__root_forgotten, "Divides by the sum of squares: the root is forgotten."),
        (
            tfidf__length_before_rarity,
            "Makes rows of length 1 first and multiplies by rarity then: the length is not 1.",
        ),
        (
            tfidf__captions_of_the_batch,
            "Takes the number of rows of counts for the number of captions of the collection.",
        ),
        (tfidf__presence, "Takes 1 for each word that is there, in place of how often it is there."),
        (tfidf__empty_row_nan, "Divides an empty row by its length 0: it becomes nan, and does not stay 0."),
        (tfidf__length_plus_one, "Adds 1 to the length so as not to divide by 0: all rows are too short."),
    ],
    "recall_at_k": [
        (recall_at_k__worst, "Forgets descending: looks at the k worst."),
        (recall_at_k__one_too_few, "Looks at k - 1 things; at k = 1 nothing is ever found."),
        (recall_at_k__only_the_kth, "Asks whether the thing at place k is right, not one of the first k."),
        (recall_at_k__all_k, "Asks whether all of the k best are right."),
        (
            recall_at_k__along_the_queries,
            "Sorts along dim 0, the queries; it crashes if there are more queries than things.",
        ),
        (
            recall_at_k__order_as_rank,
            "Takes the order (which thing is at a place) for the ranks (at which place a thing is).",
        ),
        (recall_at_k__only_the_first_right, "Looks for the first right thing only, if there are several."),
        (recall_at_k__none_is_found, "argmax of a row without a right thing is 0: such a query counts as found."),
        (
            recall_at_k__ties_all_count,
            "Counts all things with the score of the k-th: of equals, more than k are looked at.",
        ),
        (
            recall_at_k__ties_against,
            "Places a right thing behind all of its equals, right ones as well: the order looks at right.",
        ),
        (
            recall_at_k__every_right_found,
            "Asks whether all right things are among the k best; a query without any is found.",
        ),
        (recall_at_k__best_of_any_query, "right[:, best] looks at the k best of every query, not at those of its own."),
        (recall_at_k__mean, "Gives the mean, one number, in place of one answer for each query."),
    ],
}
