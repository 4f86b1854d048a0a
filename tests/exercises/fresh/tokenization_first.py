"""Answers of imagined students to four exercises of lesson 01, written from the lesson's text alone.

WRONG:  exercise → [(function, what the student misunderstands), …]
RIGHT:  exercise → [function, …]
UNSURE: exercise → [(function, why the text leaves it open), …]; neither right nor wrong by the lesson's words alone.

Every function is complete in itself (helpers are nested), except that answers of `encode` may call a global
`merge_pair`, as a student's would.
"""

import math
from collections import Counter, defaultdict
from itertools import pairwise

import torch
from torch import Tensor

from minidalle.errors import require
from minidalle.tokenization.bpe import BYTE_OF, SYMBOLS, Pair, split_words, word_symbols


def merge_pair(word, pair):
    """A plain right one, for the answers of `encode` that call it."""
    merged = []
    at = 0
    while at < len(word):
        if tuple(word[at : at + 2]) == tuple(pair):
            merged.append(pair[0] + pair[1])
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


# ------------------------------------------------------------------------------------------- count_pairs, wrong


def count_pairs__counts_words_once(words, counts):
    pairs = Counter()
    for word in words:
        for pair in pairwise(word):
            pairs[pair] += 1
    return pairs


def count_pairs__once_per_word(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in set(pairwise(word)):
            pairs[pair] += count
    return pairs


def count_pairs__last_word_wins(words, counts):
    pairs = {}
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] = count
    return pairs


def count_pairs__without_overlap(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        last_end = {}
        for at in range(len(word) - 1):
            pair = (word[at], word[at + 1])
            if last_end.get(pair, 0) <= at:
                pairs[pair] += count
                last_end[pair] = at + 2
    return pairs


def count_pairs__steps_of_two(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for at in range(0, len(word) - 1, 2):
            pairs[word[at], word[at + 1]] += count
    return pairs


def count_pairs__order_does_not_matter(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for left, right in pairwise(word):
            pairs[min(left, right), max(left, right)] += count
    return pairs


def count_pairs__all_combinations(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for i in range(len(word)):
            for j in range(i + 1, len(word)):
                pairs[word[i], word[j]] += count
    return pairs


def count_pairs__across_words(words, counts):
    pairs = Counter()
    before = None
    for word, count in zip(words, counts, strict=True):
        for symbol in word:
            if before is not None:
                pairs[before, symbol] += count
            before = symbol
    return pairs


def count_pairs__last_pair_missing(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for at in range(len(word) - 2):
            pairs[word[at], word[at + 1]] += count
    return pairs


def count_pairs__round_the_end(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for at in range(len(word)):
            pairs[word[at - 1], word[at]] += count
    return pairs


def count_pairs__letters_not_symbols(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise("".join(word)):
            pairs[pair] += count
    return pairs


def count_pairs__places_twice(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        neighbors = list(pairwise(word))
        for pair in neighbors:
            pairs[pair] += count * neighbors.count(pair)
    return pairs


def count_pairs__no_doubles(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for left, right in pairwise(word):
            if left != right:
                pairs[left, right] += count
    return pairs


def count_pairs__returns_after_first_word(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] += count
        return pairs
    return pairs


def count_pairs__joined_keys(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for left, right in pairwise(word):
            pairs[left + right] += count
    return pairs


# ------------------------------------------------------------------------------------------- count_pairs, right


def count_pairs__given_loop(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] += count
    return pairs


def count_pairs__indices_plain_dict(words, counts):
    pairs = {}
    for number in range(len(words)):
        word = words[number]
        at = 0
        while at + 1 < len(word):
            key = (word[at], word[at + 1])
            if key not in pairs:
                pairs[key] = 0
            pairs[key] = pairs[key] + counts[number]
            at += 1
    return pairs


def count_pairs__group_then_sum(words, counts):
    found = defaultdict(list)
    for word, count in zip(words, counts, strict=True):
        for left, right in zip(word[:-1], word[1:], strict=True):
            found[left, right].append(count)
    return {pair: sum(numbers) for pair, numbers in found.items()}


def count_pairs__defaultdict_places(words, counts):
    totals = defaultdict(int)
    for word, count in zip(words, counts, strict=True):
        for pair, places in Counter(pairwise(word)).items():
            totals[pair] += places * count
    return totals


def count_pairs__halves(words, counts):
    def count(first, end):
        if end - first == 0:
            return {}
        if end - first == 1:
            places = Counter(pairwise(words[first]))
            return {pair: number * counts[first] for pair, number in places.items()}
        middle = (first + end) // 2
        left, right = count(first, middle), count(middle, end)
        return {pair: left.get(pair, 0) + right.get(pair, 0) for pair in [*left, *right]}

    return count(0, len(words))


def count_pairs__torch_bincount(words, counts):
    places = [(pair, count) for word, count in zip(words, counts, strict=True) for pair in pairwise(word)]
    number = {pair: n for n, pair in enumerate(dict.fromkeys(pair for pair, _ in places))}
    totals = torch.zeros(len(number), dtype=torch.long)
    which = torch.tensor([number[pair] for pair, _ in places], dtype=torch.long)
    totals.index_add_(0, which, torch.tensor([count for _, count in places], dtype=torch.long))
    return dict(zip(number, totals.tolist(), strict=True))


def count_pairs__three_fingers(words, counts):
    pairs = Counter()
    for word, count in zip(words, counts, strict=True):
        symbols = iter(word)
        before = next(symbols, None)
        for symbol in symbols:
            pairs.update({(before, symbol): count})
            before = symbol
    return dict(pairs)


# -------------------------------------------------------------------------------------------- merge_pair, wrong


def merge_pair__from_the_right(word, pair):
    merged = []
    at = len(word) - 1
    while at >= 0:
        if at > 0 and (word[at - 1], word[at]) == pair:
            merged.insert(0, "".join(pair))
            at -= 2
        else:
            merged.insert(0, word[at])
            at -= 1
    return merged


def merge_pair__uses_symbols_twice(word, pair):
    merged = []
    for at in range(len(word)):
        if tuple(word[at : at + 2]) == pair:
            merged.append("".join(pair))
        else:
            merged.append(word[at])
    return merged


def merge_pair__overlapping_windows(word, pair):
    merged = []
    used = False  # the symbol here is the right half of a pair
    for at in range(len(word)):
        begins = tuple(word[at : at + 2]) == pair
        if begins:
            merged.append("".join(pair))
        elif not used:
            merged.append(word[at])
        used = begins
    return merged


def merge_pair__first_place_only(word, pair):
    for at in range(len(word) - 1):
        if (word[at], word[at + 1]) == pair:
            return [*word[:at], "".join(pair), *word[at + 2 :]]
    return list(word)


def merge_pair__last_symbol_lost(word, pair):
    merged = []
    at = 0
    while at < len(word) - 1:
        if (word[at], word[at + 1]) == pair:
            merged.append("".join(pair))
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def merge_pair__compares_joined_text(word, pair):
    joined = "".join(pair)
    merged = []
    at = 0
    while at < len(word):
        if at + 1 < len(word) and word[at] + word[at + 1] == joined:
            merged.append(joined)
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def merge_pair__changes_its_argument(word, pair):
    at = 0
    while at < len(word) - 1:
        if (word[at], word[at + 1]) == pair:
            word[at : at + 2] = ["".join(pair)]
        at += 1
    return word


def merge_pair__replaces_in_text(word, pair):
    text = " ".join(word)
    return text.replace(" ".join(pair), "".join(pair)).split()


def merge_pair__any_order(word, pair):
    merged = []
    at = 0
    while at < len(word):
        if sorted(word[at : at + 2]) == sorted(pair):
            merged.append("".join(pair))
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def merge_pair__fixed_blocks_of_two(word, pair):
    merged = []
    for at in range(0, len(word), 2):
        block = word[at : at + 2]
        if tuple(block) == pair:
            merged.append("".join(pair))
        else:
            merged.extend(block)
    return merged


def merge_pair__glues_runs(word, pair):
    merged = []
    for symbol in word:
        if merged and merged[-1].endswith(pair[0]) and symbol == pair[1]:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def merge_pair__drops_every_right_symbol(word, pair):
    if pair not in list(pairwise(word)):
        return list(word)
    left, right = pair
    return [left + right if symbol == left else symbol for symbol in word if symbol != right]


def merge_pair__index_finds_the_first(word, pair):
    merged = []
    skip = False
    for symbol in word:
        if skip:
            skip = False
            continue
        at = list(word).index(symbol)
        if tuple(word[at : at + 2]) == pair:
            merged.append("".join(pair))
            skip = True
        else:
            merged.append(symbol)
    return merged


def merge_pair__jumps_two_always(word, pair):
    merged = []
    at = 0
    while at < len(word):
        if tuple(word[at : at + 2]) == pair:
            merged.append("".join(pair))
        else:
            merged.append(word[at])
        at += 2
    return merged


def merge_pair__end_of_word_forgotten(word, pair):
    merged = []
    at = 0
    while at < len(word):
        if word[at] == pair[0] and word[at + 1] == pair[1]:  # IndexError where a word ends with the left symbol
            merged.append("".join(pair))
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


# -------------------------------------------------------------------------------------------- merge_pair, right


def merge_pair__walk(word, pair):
    merged = []
    at = 0
    while at < len(word):
        if tuple(word[at : at + 2]) == pair:
            merged.append("".join(pair))
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def merge_pair__looks_back(word, pair):
    left, right = pair
    merged = []
    free = False  # the last symbol of `merged` is one of the word's own, not yet used
    for symbol in word:
        if free and merged[-1] == left and symbol == right:
            merged[-1] = left + right
            free = False
        else:
            merged.append(symbol)
            free = True
    return merged


def merge_pair__shrinks_a_copy(word, pair):
    merged = list(word)
    at = 0
    while at < len(merged) - 1:
        if merged[at] == pair[0] and merged[at + 1] == pair[1]:
            merged[at] = merged[at] + merged.pop(at + 1)
        at += 1
    return merged


def merge_pair__delimited_text(word, pair):
    if not word:
        return []
    text = "".join(f"\0{symbol}\0" for symbol in word)
    text = text.replace(f"\0{pair[0]}\0\0{pair[1]}\0", f"\0{pair[0]}{pair[1]}\0")
    return text[1:-1].split("\0\0")


def merge_pair__recursion(word, pair):
    def rest(at):
        for place in range(at, len(word) - 1):
            if (word[place], word[place + 1]) == pair:
                return [*word[at:place], "".join(pair), *rest(place + 2)]
        return [*word[at:]]

    return rest(0)  # as deep as there are occurrences


def merge_pair__starts_first(word, pair):
    starts = set()
    for at, neighbors in enumerate(pairwise(word)):
        if neighbors == pair and at - 1 not in starts:
            starts.add(at)
    return ["".join(pair) if at in starts else symbol for at, symbol in enumerate(word) if at - 1 not in starts]


def merge_pair__generator(word, pair):
    def pieces():
        symbols = iter(word)
        held = next(symbols, None)
        while held is not None:
            following = next(symbols, None)
            if (held, following) == pair:
                yield held + following
                held = next(symbols, None)
            else:
                yield held
                held = following

    return list(pieces())


# ------------------------------------------------------------------------------------------------ encode, wrong


def encode__leftmost_learned_pair(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while True:
            for pair in pairwise(symbols):
                if pair in ranks:
                    symbols = merge_pair(symbols, pair)
                    break
            else:
                break
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__longest_entry(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        written = "".join(word_symbols(word))
        while written:
            end = len(written)
            while end > 1 and written[:end] not in vocab:
                end -= 1
            ids.append(vocab[written[:end]])
            written = written[end:]
    return ids


def encode__one_merge_a_word(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        known = [pair for pair in pairwise(symbols) if pair in ranks]
        if known:
            symbols = merge_pair(symbols, min(known, key=lambda pair: ranks[pair]))
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__latest_merge_first(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while len(symbols) > 1:
            best = max(pairwise(symbols), key=lambda pair: ranks.get(pair, -1))
            if best not in ranks:
                break
            symbols = merge_pair(symbols, best)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__rank_zero_is_nothing(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while len(symbols) > 1:
            best = min(pairwise(symbols), key=lambda pair: ranks.get(pair) or math.inf)
            if not ranks.get(best):
                break
            symbols = merge_pair(symbols, best)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__never_looks_again(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        known = {pair for pair in pairwise(symbols) if pair in ranks}
        for pair in sorted(known, key=lambda pair: ranks[pair]):
            symbols = merge_pair(symbols, pair)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


# The next and encode__whole_word_shortcut are wrong by the rule, e.g. "abc" with (b, c), (a, b), (ab, c) → a bc; but on
# 8,435 small vocabularies that were really trained they gave the right ids. Only ranks made by hand find them.


def encode__any_entry_may_be_joined(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while len(symbols) > 1:
            best = min(pairwise(symbols), key=lambda pair: vocab.get(pair[0] + pair[1], math.inf))
            if best[0] + best[1] not in vocab:
                break
            symbols = merge_pair(symbols, best)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__whole_word_shortcut(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        if "".join(symbols) in vocab:
            ids.append(vocab["".join(symbols)])
            continue
        while len(symbols) > 1:
            best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
            if best not in ranks:
                break
            symbols = merge_pair(symbols, best)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__words_without_spaces(text, vocab, ranks):
    ids = []
    for word in text.split():
        symbols = word_symbols(word)
        while len(symbols) > 1:
            best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
            if best not in ranks:
                break
            symbols = merge_pair(symbols, best)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__text_is_one_word(text, vocab, ranks):
    symbols = word_symbols(text)
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
        if best not in ranks:
            break
        symbols = merge_pair(symbols, best)
    return [vocab[symbol] for symbol in symbols]


def encode__special_tokens_in_text(text, vocab, ranks):
    special = [entry for entry in vocab if len(entry) > 2 and entry[0] == "<" and entry[-1] == ">"]

    def plain(part):
        ids = []
        for word in split_words(part):
            symbols = word_symbols(word)
            while len(symbols) > 1:
                best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
                if best not in ranks:
                    break
                symbols = merge_pair(symbols, best)
            ids += [vocab[symbol] for symbol in symbols]
        return ids

    ids, at, begin = [], 0, 0
    while at < len(text):
        here = [entry for entry in special if text.startswith(entry, at)]
        if here:
            ids += [*plain(text[begin:at]), vocab[here[0]]]
            at += len(here[0])
            begin = at
        else:
            at += 1
    return ids + plain(text[begin:])


def encode__first_occurrence_then_next_merge(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        done = set()
        while True:
            known = [pair for pair in pairwise(symbols) if pair in ranks and pair not in done]
            if not known:
                break
            best = min(known, key=lambda pair: ranks[pair])
            at = list(pairwise(symbols)).index(best)
            symbols = [*symbols[:at], best[0] + best[1], *symbols[at + 2 :]]
            done.add(best)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__gives_up_at_first_unlearned_pair(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while len(symbols) > 1:
            known = []
            for pair in pairwise(symbols):
                if pair not in ranks:
                    break
                known.append(pair)
            if not known:
                break
            symbols = merge_pair(symbols, min(known, key=lambda pair: ranks[pair]))
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__one_sweep_from_the_left(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        pieces = []
        for symbol in word_symbols(word):
            if pieces and (pieces[-1], symbol) in ranks:
                pieces[-1] += symbol
            else:
                pieces.append(symbol)
        ids += [vocab[piece] for piece in pieces]
    return ids


def encode__adds_start_and_end(text, vocab, ranks):
    ids = [vocab["<s>"]]
    for word in split_words(text):
        symbols = word_symbols(word)
        while len(symbols) > 1:
            best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
            if best not in ranks:
                break
            symbols = merge_pair(symbols, best)
        ids += [vocab[symbol] for symbol in symbols]
    return [*ids, vocab["</s>"]]


def encode__characters_not_bytes(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = list(word.replace(" ", "Ġ"))
        while len(symbols) > 1:
            best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
            if best not in ranks:
                break
            symbols = merge_pair(symbols, best)
        ids += [vocab[symbol] for symbol in symbols]  # KeyError at 苹, a wrong byte at é
    return ids


# ------------------------------------------------------------------------------------------------ encode, right


def encode__as_the_hints_say(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while len(symbols) > 1:
            first = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
            if math.isinf(ranks.get(first, math.inf)):
                break
            symbols = merge_pair(symbols, first)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__recursive_and_remembered(text, vocab, ranks):
    known = {}

    def pieces(symbols):
        learned = {ranks[pair]: pair for pair in pairwise(symbols) if pair in ranks}
        return pieces(merge_pair(symbols, learned[min(learned)])) if learned else symbols

    def word_ids(word):
        if word not in known:
            known[word] = [vocab[piece] for piece in pieces(word_symbols(word))]
        return known[word]

    return [id for word in split_words(text) for id in word_ids(word)]


def encode__by_hand_without_merge_pair(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = list(word_symbols(word))
        while True:
            lowest, oldest = None, None
            for at in range(len(symbols) - 1):
                rank = ranks.get((symbols[at], symbols[at + 1]))
                if rank is not None and (lowest is None or rank < lowest):
                    lowest, oldest = rank, (symbols[at], symbols[at + 1])
            if oldest is None:
                break
            at = 0
            while at < len(symbols) - 1:
                if (symbols[at], symbols[at + 1]) == oldest:
                    symbols[at : at + 2] = [oldest[0] + oldest[1]]
                at += 1
        for symbol in symbols:
            ids.append(vocab[symbol])
    return ids


def encode__torch_argmin(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = list(word_symbols(word))
        while len(symbols) > 1:
            neighbors = list(pairwise(symbols))
            scores = torch.tensor([ranks.get(pair, math.inf) for pair in neighbors], dtype=torch.float64)
            where = int(scores.argmin())
            if torch.isinf(scores[where]):
                break
            symbols = merge_pair(symbols, neighbors[where])
        ids.extend(map(vocab.__getitem__, symbols))
    return ids


def encode__sorted_candidates(text, vocab, ranks):
    def learned_pairs(symbols):
        return sorted((ranks[pair], pair) for pair in set(pairwise(symbols)) & ranks.keys())

    result = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while candidates := learned_pairs(symbols):
            _, pair = candidates[0]
            symbols = merge_pair(symbols, pair)
        result = result + [vocab[symbol] for symbol in symbols]
    return result


def encode__all_words_at_once(text, vocab, ranks):
    words = [word_symbols(word) for word in split_words(text)]
    busy = True
    while busy:  # one round: one merge in every word that still has one
        busy = False
        for number, symbols in enumerate(words):
            learned = [pair for pair in pairwise(symbols) if pair in ranks]
            if learned:
                words[number] = merge_pair(symbols, min(learned, key=ranks.__getitem__))
                busy = True
    return [vocab[symbol] for symbols in words for symbol in symbols]


# --------------------------------------------------------------------------------------------- pad_batch, wrong


def pad_batch__cuts_the_end_off(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = row[:length]
        tokens[number, : len(kept)] = torch.tensor(kept, dtype=torch.long)
        mask[number, : len(kept)] = True
    return tokens, mask


def pad_batch__keeps_the_tail(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = row[-length:]
        tokens[number, : len(kept)] = torch.tensor(kept, dtype=torch.long)
        mask[number, : len(kept)] = True
    return tokens, mask


def pad_batch__keeps_start_and_tail(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = list(row)
        while len(kept) > length:
            kept.pop(1 if length > 1 else 0)
        tokens[number, : len(kept)] = torch.tensor(kept, dtype=torch.long)
        mask[number, : len(kept)] = True
    return tokens, mask


def pad_batch__mask_from_pad_id(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], row[-1]] if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(kept, dtype=torch.long)
    return tokens, tokens != pad


def pad_batch__mask_marks_the_filling(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.ones((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], row[-1]] if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(kept, dtype=torch.long)
        mask[number, : len(kept)] = False
    return tokens, mask


def pad_batch__fills_at_the_left(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], row[-1]] if len(row) > length else row
        tokens[number, length - len(kept) :] = torch.tensor(kept, dtype=torch.long)
        mask[number, length - len(kept) :] = True
    return tokens, mask


def pad_batch__end_always_in_last_column(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        front = row[:-1][: length - 1]
        tokens[number, : len(front)] = torch.tensor(front, dtype=torch.long)
        mask[number, : len(front)] = True
        if len(row) > 0:
            tokens[number, -1] = row[-1]
            mask[number, -1] = True
    return tokens, mask


def pad_batch__end_twice(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], *row[-1:]]
        tokens[number, : len(kept)] = torch.tensor(kept, dtype=torch.long)
        mask[number, : len(kept)] = True
    return tokens, mask


def pad_batch__end_is_two(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], 2] if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(kept, dtype=torch.long)
        mask[number, : len(kept)] = True
    return tokens, mask


def pad_batch__pad_is_one(rows, length, pad):
    tokens = torch.ones((len(rows), length), dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], row[-1]] if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(kept, dtype=torch.long)
        mask[number, : len(kept)] = True
    return tokens, mask


def pad_batch__end_is_not_real(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], row[-1]] if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(kept, dtype=torch.long)
        mask[number, : max(len(kept) - 1, 0)] = True
    return tokens, mask


def pad_batch__same_list_for_all_rows(rows, length, pad):
    tokens = [[pad] * length] * len(rows)
    mask = [[False] * length] * len(rows)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], row[-1]] if len(row) > length else row
        for at, id in enumerate(kept):
            tokens[number][at] = id
            mask[number][at] = True
    return (
        torch.tensor(tokens, dtype=torch.long).reshape(len(rows), length),
        torch.tensor(mask, dtype=torch.bool).reshape(len(rows), length),
    )


def pad_batch__cut_is_not_real(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        if len(row) > length:
            tokens[number] = torch.tensor([*row[: length - 1], row[-1]], dtype=torch.long)
            mask[number, : length - 1] = True
        else:
            tokens[number, : len(row)] = torch.tensor(row, dtype=torch.long)
            mask[number, : len(row)] = True
    return tokens, mask


def pad_batch__room_kept_for_an_end(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        if len(row) >= length:
            kept = [*row[: max(length - 2, 0)], row[-1]]
        else:
            kept = row
        tokens[number, : len(kept)] = torch.tensor(kept, dtype=torch.long)
        mask[number, : len(kept)] = True
    return tokens, mask


def pad_batch__as_long_as_the_longest(rows, length, pad):
    kept = [[*row[: length - 1], row[-1]] if len(row) > length else list(row) for row in rows]
    longest = max((len(row) for row in kept), default=0)
    tokens = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.bool)
    for number, row in enumerate(kept):
        tokens[number, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[number, : len(row)] = True
    return tokens, mask


# --------------------------------------------------------------------------------------------- pad_batch, right


def pad_batch__write_over_filling(rows, length, pad):
    require(length >= 1, "length", length, "at least 1")
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], row[-1]] if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(kept, dtype=torch.long)
        mask[number, : len(kept)] = True
    return tokens, mask


def pad_batch__lists_then_tensors(rows, length, pad):
    table, real = [], []
    for row in rows:
        kept = list(row)
        if len(kept) > length:
            kept = kept[: length - 1] + kept[-1:]
        missing = length - len(kept)
        table.append(kept + [pad] * missing)
        real.append([True] * len(kept) + [False] * missing)
    shape = (len(rows), length)
    return torch.tensor(table, dtype=torch.long).reshape(shape), torch.tensor(real, dtype=torch.bool).reshape(shape)


def pad_batch__mask_by_comparing(rows, length, pad):
    require(length >= 1, "length", length, "at least 1")
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
    mask = torch.arange(length)[None, :] < lengths[:, None]
    tokens = torch.full(mask.shape, pad, dtype=torch.long)
    flat = [id for row in rows for id in ((*row[: length - 1], row[-1]) if len(row) > length else row)]
    tokens[mask] = torch.tensor(flat, dtype=torch.long)
    return tokens, mask


def pad_batch__cell_by_cell(rows, length, pad):
    tokens = torch.empty((len(rows), length), dtype=torch.int64)
    mask = torch.empty((len(rows), length), dtype=torch.bool)
    for i, row in enumerate(rows):
        for j in range(length):
            mask[i, j] = j < len(row)
            if j >= len(row):
                tokens[i, j] = pad
            elif j == length - 1:
                tokens[i, j] = row[-1]
            else:
                tokens[i, j] = row[j]
    return tokens, mask


def pad_batch__pad_wide_then_cut(rows, length, pad):
    require(length >= 1, "length", length, "at least 1")
    widest = max([length, *map(len, rows)])
    wide = torch.tensor([[*row, *[pad] * (widest - len(row))] for row in rows], dtype=torch.long)
    tokens = wide.reshape(len(rows), widest)[:, :length].clone()
    sizes = torch.tensor([len(row) for row in rows], dtype=torch.long)
    for number in (sizes > length).nonzero().flatten().tolist():
        tokens[number, -1] = rows[number][-1]
    mask = torch.arange(length).expand(len(rows), length) < sizes.unsqueeze(1)
    return tokens, mask


def pad_batch__row_helper_and_stack(rows, length, pad):
    def one(row):
        ids = torch.tensor(list(row), dtype=torch.long)
        if len(ids) > length:
            ids = torch.cat([ids[: length - 1], ids[-1:]])
        real = torch.ones(len(ids), dtype=torch.bool)
        fill = length - len(ids)
        return (
            torch.nn.functional.pad(ids, (0, fill), value=pad),
            torch.nn.functional.pad(real, (0, fill), value=False),
        )

    if len(rows) == 0:
        return torch.empty((0, length), dtype=torch.long), torch.empty((0, length), dtype=torch.bool)
    tokens, masks = zip(*map(one, rows), strict=True)
    return torch.stack(tokens), torch.stack(masks)


# ------------------------------------------------------------------------------------- neither right nor wrong


def encode__one_pass_over_all_merges(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        for pair in sorted(ranks, key=lambda pair: ranks[pair]):
            symbols = merge_pair(symbols, pair)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__one_place_at_a_time(text, vocab, ranks):
    ids = []
    for word in split_words(text):
        symbols = list(word_symbols(word))
        while True:
            places = [(ranks[pair], at) for at, pair in enumerate(pairwise(symbols)) if pair in ranks]
            if not places:
                break
            at = min(places)[1]
            symbols[at : at + 2] = [symbols[at] + symbols[at + 1]]
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__merges_in_the_order_of_the_dict(text, vocab, ranks):
    ids = []
    order = list(ranks)
    for word in split_words(text):
        symbols = word_symbols(word)
        while known := [pair for pair in set(pairwise(symbols)) if pair in ranks]:
            symbols = merge_pair(symbols, min(known, key=order.index))
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def pad_batch__cuts_its_argument(rows, length, pad):
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        if len(row) > length:
            del row[length - 1 : -1]
        tokens[number, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[number, : len(row)] = True
    return tokens, mask


WRONG = {
    "count_pairs": [
        (
            count_pairs__counts_words_once,
            "You add 1 for every word in the list, but a word that occurs five times in the captions has to count "
            "five times: you never use `counts`.",
        ),
        (
            count_pairs__once_per_word,
            "You count a pair at most once in each word, although `banana` has (a, n) at two places and both count.",
        ),
        (
            count_pairs__last_word_wins,
            "You write the count over what was there instead of adding to it, so only the last place where a pair "
            "stands is left.",
        ),
        (
            count_pairs__without_overlap,
            "You count as if the pair were being merged already, without overlap; here every place counts, so "
            "`c c c` has (c, c) twice.",
        ),
        (
            count_pairs__steps_of_two,
            "You cut the word into blocks of two and count the blocks, but a pair may begin at every symbol, also "
            "in the middle of another pair.",
        ),
        (
            count_pairs__order_does_not_matter,
            "You treat (a, b) and (b, a) as the same pair, but which symbol is at the left is part of the pair.",
        ),
        (
            count_pairs__all_combinations,
            "You combine every symbol with every later one of the word; only direct neighbors are a pair.",
        ),
        (
            count_pairs__across_words,
            "You run over the border of a word: the last symbol of one word and the first of the next are no pair.",
        ),
        (
            count_pairs__last_pair_missing,
            "You stop one place too early: a word of n symbols has n − 1 pairs, and you leave out the last.",
        ),
        (
            count_pairs__round_the_end,
            "At the first symbol your index is −1, which in Python is the word's end: you pair the last symbol with "
            "the first, as if the word were a ring.",
        ),
        (
            count_pairs__letters_not_symbols,
            "You glue the word together and count pairs of letters, but after a merge a symbol is longer than one "
            "letter and must stay whole.",
        ),
        (
            count_pairs__places_twice,
            "You multiply by the number of places *and* visit each of the places, so a pair that stands twice in a "
            "word counts four times.",
        ),
        (
            count_pairs__no_doubles,
            "You think that a pair needs two different symbols, but (c, c) is a pair like any other.",
        ),
        (
            count_pairs__returns_after_first_word,
            "Your `return` is inside the loop, so you are finished after the first word and never see the others.",
        ),
        (
            count_pairs__joined_keys,
            "Your keys are the joined texts, but a pair is a tuple of two symbols: from `abc` nobody can tell "
            "whether it was (a, bc) or (ab, c).",
        ),
    ],
    "merge_pair": [
        (
            merge_pair__from_the_right,
            "You walk from the right end, so in `a a a` the last two are joined; the rule is left to right.",
        ),
        (
            merge_pair__uses_symbols_twice,
            "After joining you go on by one symbol only, so the right half of the pair stands in the result once more.",
        ),
        (
            merge_pair__overlapping_windows,
            "You let the right half of one pair be the left half of the next, so `a a a` becomes `aa aa`: a symbol "
            "was used twice.",
        ),
        (
            merge_pair__first_place_only,
            "You stop at the first place where the pair stands; it has to be joined everywhere in the word.",
        ),
        (
            merge_pair__last_symbol_lost,
            "Your loop ends one symbol before the end, so a last symbol that belongs to no pair is lost.",
        ),
        (
            merge_pair__compares_joined_text,
            "You compare the glued texts, but the neighbors `ab`, `c` are not the pair (a, bc) although both read "
            "`abc`.",
        ),
        (
            merge_pair__changes_its_argument,
            "You join inside the list that was handed to you: the caller's word is changed, where a new list was "
            "promised.",
        ),
        (
            merge_pair__replaces_in_text,
            "You replace in the text with spaces between, and there the pair (a, b) is also found in the symbols "
            "`xa`, `bc`, of which it is only a part.",
        ),
        (
            merge_pair__any_order,
            "You also join the pair the wrong way round: `b a` is not (a, b), and the letters even change places.",
        ),
        (
            merge_pair__fixed_blocks_of_two,
            "You cut the word into blocks of two and look only into these, so a pair that begins at an odd place is "
            "never found.",
        ),
        (
            merge_pair__glues_runs,
            "You look at how the piece just made ends instead of at the symbols of the word, so a joined piece goes "
            "on growing and `a a a` becomes `aaa`.",
        ),
        (
            merge_pair__drops_every_right_symbol,
            "As soon as the pair stands somewhere you replace all its left symbols and delete all its right ones, "
            "also where they stand alone.",
        ),
        (
            merge_pair__index_finds_the_first,
            "`index` always gives the first place of a symbol, so at the second `a` you look at the neighbor of the "
            "first one.",
        ),
        (
            merge_pair__jumps_two_always,
            "You move on by two also where nothing was joined, and so jump over symbols that then are missing.",
        ),
        (
            merge_pair__end_of_word_forgotten,
            "You look at `word[at + 1]` without asking whether there is one: a word that ends with the pair's left "
            "symbol crashes.",
        ),
    ],
    "encode": [
        (
            encode__leftmost_learned_pair,
            "You join the first learned pair from the left, but the one that was learned first in training goes "
            "first, wherever it stands.",
        ),
        (
            encode__longest_entry,
            "You take the longest entry of the vocabulary that fits; BPE replays the merges in their order and may "
            "end with shorter pieces.",
        ),
        (
            encode__one_merge_a_word,
            "You join once in each word and are done; you have to look again until no learned pair is left.",
        ),
        (
            encode__latest_merge_first,
            "You take the highest rank, that is the youngest merge; the lowest rank was learned first and goes first.",
        ),
        (
            encode__rank_zero_is_nothing,
            "Rank 0 is false for Python, so you treat the very first merge as if it had never been learned.",
        ),
        (
            encode__never_looks_again,
            "You collect the learned pairs once, from the bytes, and never look again, so pairs of already joined "
            "symbols are not found.",
        ),
        (
            encode__any_entry_may_be_joined,
            "You join two neighbors whenever their joined text has an id, but only a pair that itself was learned "
            "may be joined: from (ab, c) it does not follow that (a, bc) is a merge.",
        ),
        (
            encode__whole_word_shortcut,
            "You take a word's own entry where it has one and skip the merges, but the merges in their order need "
            "not arrive at that entry.",
        ),
        (
            encode__words_without_spaces,
            "You cut at spaces and throw them away, so the words get the ids without `Ġ` and the text cannot be "
            "put together again; that is what `split_words` is for.",
        ),
        (
            encode__text_is_one_word,
            "You never cut the text into words, so pairs are joined across the borders of words.",
        ),
        (
            encode__special_tokens_in_text,
            "You turn a `<s>` that somebody typed into the special token: users could then forge the start and "
            "the end of a row.",
        ),
        (
            encode__first_occurrence_then_next_merge,
            "You use every merge only once in a word, at its first place; it belongs at all its places.",
        ),
        (
            encode__gives_up_at_first_unlearned_pair,
            "You stop looking at the first pair that was not learned, but further right in the word there may be "
            "one that was.",
        ),
        (
            encode__one_sweep_from_the_left,
            "You let one piece grow from the left as long as a merge fits; the order of the ranks plays no part, "
            "and two joined pieces never meet.",
        ),
        (
            encode__adds_start_and_end,
            "You put `<s>` and `</s>` around the ids, but this function only turns the text itself into ids.",
        ),
        (
            encode__characters_not_bytes,
            "You start with the characters of the word, not with the symbols of its bytes, so é gets the id of "
            "another byte and 苹 has none at all.",
        ),
    ],
    "pad_batch": [
        (
            pad_batch__cuts_the_end_off,
            "You simply cut the row off at the right and lose `</s>`: a row that is cut must still end.",
        ),
        (
            pad_batch__keeps_the_tail,
            "You keep the last ids of a long row and lose its beginning, `<s>` included.",
        ),
        (
            pad_batch__keeps_start_and_tail,
            "You keep `<s>` and then the end of the caption; what is kept is the first T − 1 ids and the last one.",
        ),
        (
            pad_batch__mask_from_pad_id,
            "You call everything filling that looks like `pad`, but a real token may have that id: whether a place "
            "is real depends on the row's length.",
        ),
        (
            pad_batch__mask_marks_the_filling,
            "Your mask is the wrong way round: True says that a token is real, not that it is filling.",
        ),
        (
            pad_batch__fills_at_the_left,
            "You put the filling in front of the row; it belongs behind it.",
        ),
        (
            pad_batch__end_always_in_last_column,
            "You move `</s>` to the last column of every row and fill in between; a short row ends where it ends, "
            "and the filling comes after that.",
        ),
        (
            pad_batch__end_twice,
            "You handle every row as if it were too long, so a short row gets its last id a second time.",
        ),
        (
            pad_batch__end_is_two,
            "You write the 2 of the example at the end of a cut row; the row's own last id should stay, whatever "
            "its number is.",
        ),
        (
            pad_batch__pad_is_one,
            "You fill up with the 1 of the example and never use the argument `pad`.",
        ),
        (
            pad_batch__end_is_not_real,
            "You leave `</s>` out of the mask, but it is a real token of the row that the model should see.",
        ),
        (
            pad_batch__same_list_for_all_rows,
            "`[[pad] * length] * n` is n times the *same* list, so what you write into one row is in all of them.",
        ),
        (
            pad_batch__cut_is_not_real,
            "In a row that was cut you do not count the `</s>` that you put at its end as real, but it is the row's "
            "own token.",
        ),
        (
            pad_batch__room_kept_for_an_end,
            "You make room for one more token than you need, so a long row, or one that fits exactly, gets shorter "
            "than T and ends with filling.",
        ),
        (
            pad_batch__as_long_as_the_longest,
            "You make the rows as long as the longest of this batch, but the tensor should have `length` columns "
            "in every batch.",
        ),
    ],
}

RIGHT = {
    "count_pairs": [
        count_pairs__given_loop,
        count_pairs__indices_plain_dict,
        count_pairs__group_then_sum,
        count_pairs__defaultdict_places,
        count_pairs__halves,
        count_pairs__torch_bincount,
        count_pairs__three_fingers,
    ],
    "merge_pair": [
        merge_pair__walk,
        merge_pair__looks_back,
        merge_pair__shrinks_a_copy,
        merge_pair__delimited_text,
        merge_pair__recursion,
        merge_pair__starts_first,
        merge_pair__generator,
    ],
    "encode": [
        encode__as_the_hints_say,
        encode__recursive_and_remembered,
        encode__by_hand_without_merge_pair,
        encode__torch_argmin,
        encode__sorted_candidates,
        encode__all_words_at_once,
    ],
    "pad_batch": [
        pad_batch__write_over_filling,
        pad_batch__lists_then_tensors,
        pad_batch__mask_by_comparing,
        pad_batch__cell_by_cell,
        pad_batch__pad_wide_then_cut,
        pad_batch__row_helper_and_stack,
    ],
}

UNSURE = {
    "encode": [
        (
            encode__one_pass_over_all_merges,
            "Same as the rule unless two merges make the same symbol; hint 1 ('Replay the training') reads like this.",
        ),
        (
            encode__one_place_at_a_time,
            "Joins one place, then looks again; same as the rule unless two merges make the same symbol.",
        ),
        (
            encode__merges_in_the_order_of_the_dict,
            "Takes the order of the keys for the order of learning; same unless `ranks` is not sorted by rank.",
        ),
    ],
    "pad_batch": [
        (
            pad_batch__cuts_its_argument,
            "Shortens the caller's rows; here, unlike in merge_pair, the docstring does not say 'not changed'.",
        ),
    ],
}
