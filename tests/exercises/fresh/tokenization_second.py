"""Fresh answers to six exercises of lesson 01: typical wrong ones and different right ones."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from minidalle.errors import require
from minidalle.tokenization.bpe import BYTE_OF, SYMBOLS, Pair, split_words, word_symbols

# ---------------------------------------------------------------- plain correct earlier exercises


def text_to_bytes(text: str) -> list[int]:
    return list(text.encode("utf-8"))


def count_pairs(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] += count
    return pairs


def merge_pair(word: Sequence[str], pair: Pair) -> list[str]:
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


# ---------------------------------------------------------------- count_pairs, wrong


def count_pairs__counts_words_once(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] += 1
    return pairs


def count_pairs__overwrites(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] = count
    return pairs


def count_pairs__places_twice(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            places = list(pairwise(word)).count(pair)
            pairs[pair] += count * places
    return pairs


def count_pairs__once_in_each_word(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in set(pairwise(word)):
            pairs[pair] += count
    return pairs


def count_pairs__misses_last_pair(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    pairs = {}
    for word, count in zip(words, counts):
        for i in range(len(word) - 2):
            pair = (word[i], word[i + 1])
            if pair not in pairs:
                pairs[pair] = 0
            pairs[pair] += count
    return pairs


# ---------------------------------------------------------------- count_pairs, right


def count_pairs__scaffold(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    pairs: Counter[Pair] = Counter()
    for word, count in zip(words, counts, strict=True):
        for pair in pairwise(word):
            pairs[pair] += count
    return pairs


def count_pairs__index_and_get(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    pairs = {}
    for number in range(len(words)):
        word = words[number]
        for at in range(1, len(word)):
            pair = (word[at - 1], word[at])
            pairs[pair] = pairs.get(pair, 0) + counts[number]
    return pairs


def count_pairs__places_first(words: Sequence[Sequence[str]], counts: Sequence[int]) -> dict[Pair, int]:
    where = defaultdict(list)
    for word, count in zip(words, counts, strict=True):
        for pair, places in Counter(zip(word, word[1:])).items():
            where[pair].append(places * count)
    return {pair: sum(numbers) for pair, numbers in where.items()}


# ---------------------------------------------------------------- merge_pair, wrong


def merge_pair__does_not_jump(word: Sequence[str], pair: Pair) -> list[str]:
    merged = []
    for at in range(len(word)):
        if tuple(word[at : at + 2]) == pair:
            merged.append("".join(pair))
        else:
            merged.append(word[at])
    return merged


def merge_pair__list_is_no_tuple(word: Sequence[str], pair: Pair) -> list[str]:
    merged = []
    at = 0
    while at < len(word):
        if word[at : at + 2] == pair:
            merged.append("".join(pair))
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def merge_pair__loses_last_symbol(word: Sequence[str], pair: Pair) -> list[str]:
    merged = []
    at = 0
    while at < len(word) - 1:
        if word[at] == pair[0] and word[at + 1] == pair[1]:
            merged.append(pair[0] + pair[1])
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def merge_pair__runs_over_the_end(word: Sequence[str], pair: Pair) -> list[str]:
    merged = []
    at = 0
    while at < len(word):
        if (word[at], word[at + 1]) == pair:
            merged.append("".join(pair))
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def merge_pair__compares_joined(word: Sequence[str], pair: Pair) -> list[str]:
    joined = "".join(pair)
    merged = []
    at = 0
    while at < len(word):
        if "".join(word[at : at + 2]) == joined:
            merged.append(joined)
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


# ---------------------------------------------------------------- merge_pair, right


def merge_pair__walk(word: Sequence[str], pair: Pair) -> list[str]:
    merged = []
    at = 0
    while at < len(word):
        if at + 1 < len(word) and word[at] == pair[0] and word[at + 1] == pair[1]:
            merged.append(pair[0] + pair[1])
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def merge_pair__skip_flag(word: Sequence[str], pair: Pair) -> list[str]:
    merged = []
    used = False
    for here, after in zip(word, [*word[1:], None]):
        if used:
            used = False
        elif (here, after) == tuple(pair):
            merged.append(here + after)
            used = True
        else:
            merged.append(here)
    return merged


def merge_pair__looks_back(word: Sequence[str], pair: Pair) -> list[str]:
    left, right = pair
    merged = []
    free = False  # is the last symbol of merged one that was not joined?
    for symbol in word:
        if free and merged[-1] == left and symbol == right:
            merged[-1] = left + right
            free = False
        else:
            merged.append(symbol)
            free = True
    return merged


# ---------------------------------------------------------------- train_bpe, wrong


def train_bpe__first_seen_wins_ties(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    words = [word_symbols(word) for word in word_counts]
    counts = list(word_counts.values())
    merges = []
    while 256 + len(merges) < size:
        pairs = count_pairs(words, counts)
        if not pairs:
            break
        best = max(pairs, key=pairs.get)
        merges.append(best)
        words = [merge_pair(word, best) for word in words]
    return merges


def train_bpe__alphabet_breaks_ties(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    words = [word_symbols(word) for word in word_counts]
    counts = list(word_counts.values())
    merges = []
    while len(SYMBOLS) + len(merges) < size:
        pairs = count_pairs(words, counts)
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair[0], pair[1]))
        merges.append(best)
        words = [merge_pair(word, best) for word in words]
    return merges


def train_bpe__forgets_the_bytes_in_size(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    words = [word_symbols(word) for word in word_counts]
    counts = list(word_counts.values())
    age = {symbol: number for number, symbol in enumerate(sorted(SYMBOLS))}
    merges = []
    while len(merges) < size:
        pairs = count_pairs(words, counts)
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], age[pair[0]], age[pair[1]]))
        merges.append(best)
        age["".join(best)] = len(age)
        words = [merge_pair(word, best) for word in words]
    return merges


def train_bpe__youngest_wins_ties(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    words = [word_symbols(word) for word in word_counts]
    counts = list(word_counts.values())
    age = {symbol: number for number, symbol in enumerate(sorted(SYMBOLS))}
    merges = []
    while len(age) < size:
        pairs = count_pairs(words, counts)
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], age[pair[0]], age[pair[1]]))
        merges.append(best)
        age[best[0] + best[1]] = len(age)
        words = [merge_pair(word, best) for word in words]
    return merges


def train_bpe__no_stop_without_pairs(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    words = [word_symbols(word) for word in word_counts]
    counts = list(word_counts.values())
    age = {symbol: number for number, symbol in enumerate(sorted(SYMBOLS))}
    merges = []
    for number in range(256, size):
        pairs = count_pairs(words, counts)
        best = min(pairs, key=lambda pair: (-pairs[pair], age[pair[0]], age[pair[1]]))
        merges.append(best)
        age["".join(best)] = number
        words = [merge_pair(word, best) for word in words]
    return merges


# ---------------------------------------------------------------- train_bpe, right


def train_bpe__counts_again(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    words = [word_symbols(word) for word in word_counts]
    counts = list(word_counts.values())
    age = {symbol: number for number, symbol in enumerate(sorted(SYMBOLS))}
    merges = []
    while len(age) < size:
        pairs = count_pairs(words, counts)
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], age[pair[0]], age[pair[1]]))
        merges.append(best)
        age["".join(best)] = len(age)
        words = [merge_pair(word, best) for word in words]
    return merges


def train_bpe__with_numbers(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    # a word is a tuple of ages, so that a comparison of pairs is one of ages
    names = sorted(SYMBOLS)
    number_of = {symbol: number for number, symbol in enumerate(names)}
    rows = [([number_of[symbol] for symbol in word_symbols(word)], count) for word, count in word_counts.items()]
    merges = []
    for _ in range(size - 256):
        totals = defaultdict(int)
        for row, count in rows:
            for at in range(len(row) - 1):
                totals[row[at], row[at + 1]] += count
        if len(totals) == 0:
            return merges
        most = max(totals.values())
        left, right = sorted(pair for pair, total in totals.items() if total == most)[0]
        merges.append((names[left], names[right]))
        names.append(names[left] + names[right])
        for row, _count in rows:
            at = 0
            while at < len(row) - 1:
                if row[at] == left and row[at + 1] == right:
                    row[at : at + 2] = [len(names) - 1]
                at += 1
    return merges


def train_bpe__only_changed_words(word_counts: Mapping[str, int], size: int) -> list[Pair]:
    words = [word_symbols(word) for word in word_counts]
    counts = list(word_counts.values())
    order = sorted(SYMBOLS)
    age = dict(zip(order, range(len(order))))
    totals = defaultdict(int)
    where = defaultdict(set)
    for number, word in enumerate(words):
        for pair in pairwise(word):
            totals[pair] += counts[number]
            where[pair].add(number)
    merges = []
    while len(merges) < size - 256 and where:
        best = None
        for pair in where:
            key = (totals[pair], -age[pair[0]], -age[pair[1]])
            if best is None or key > best_key:
                best, best_key = pair, key
        merges.append(best)
        age[best[0] + best[1]] = 256 + len(merges) - 1
        for number in list(where[best]):
            for pair in pairwise(words[number]):
                totals[pair] -= counts[number]
                where[pair].discard(number)
            words[number] = merge_pair(words[number], best)
            for pair in pairwise(words[number]):
                totals[pair] += counts[number]
                where[pair].add(number)
        for pair in [pair for pair, numbers in where.items() if not numbers]:
            del where[pair], totals[pair]
    return merges


# ---------------------------------------------------------------- encode, wrong


def encode__leftmost_learned_pair(text: str, vocab: Mapping[str, int], ranks: Mapping[Pair, int]) -> list[int]:
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        changed = True
        while changed:
            changed = False
            for pair in pairwise(symbols):
                if pair in ranks:
                    symbols = merge_pair(symbols, pair)
                    changed = True
                    break
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__order_of_the_mapping(text: str, vocab: Mapping[str, int], ranks: Mapping[Pair, int]) -> list[int]:
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        for pair in ranks:
            symbols = merge_pair(symbols, pair)
        for symbol in symbols:
            ids.append(vocab[symbol])
    return ids


def encode__text_is_one_word(text: str, vocab: Mapping[str, int], ranks: Mapping[Pair, int]) -> list[int]:
    symbols = word_symbols(text)
    while len(symbols) > 1:
        first = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
        if first not in ranks:
            break
        symbols = merge_pair(symbols, first)
    return [vocab[symbol] for symbol in symbols]


def encode__characters_for_symbols(text: str, vocab: Mapping[str, int], ranks: Mapping[Pair, int]) -> list[int]:
    ids = []
    for word in split_words(text):
        symbols = list(word)
        while len(symbols) > 1:
            first = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
            if first not in ranks:
                break
            symbols = merge_pair(symbols, first)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__longest_piece(text: str, vocab: Mapping[str, int], ranks: Mapping[Pair, int]) -> list[int]:
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        start = 0
        while start < len(symbols):
            end = len(symbols)
            while "".join(symbols[start:end]) not in vocab:
                end -= 1
            ids.append(vocab["".join(symbols[start:end])])
            start = end
    return ids


# ---------------------------------------------------------------- encode, right


def encode__lowest_rank(text: str, vocab: Mapping[str, int], ranks: Mapping[Pair, int]) -> list[int]:
    ids = []
    for word in split_words(text):
        symbols = word_symbols(word)
        while len(symbols) > 1:
            first = min(pairwise(symbols), key=lambda pair: ranks.get(pair, math.inf))
            if ranks.get(first, math.inf) == math.inf:
                break
            symbols = merge_pair(symbols, first)
        ids += [vocab[symbol] for symbol in symbols]
    return ids


def encode__recursive(text: str, vocab: Mapping[str, int], ranks: Mapping[Pair, int]) -> list[int]:
    def join(symbols):
        learned = {ranks[pair]: pair for pair in zip(symbols, symbols[1:]) if pair in ranks}
        if not learned:
            return symbols
        return join(merge_pair(symbols, learned[min(learned)]))

    return [vocab[symbol] for word in split_words(text) for symbol in join(word_symbols(word))]


def encode__sorted_merges(text: str, vocab: Mapping[str, int], ranks: Mapping[Pair, int]) -> list[int]:
    merges = sorted(ranks, key=lambda pair: ranks[pair])
    done = {}
    ids = []
    for word in split_words(text):
        if word not in done:
            symbols = word_symbols(word)
            while True:
                here = set(pairwise(symbols))
                pair = next((pair for pair in merges if pair in here), None)
                if pair is None:
                    break
                joined = []
                skip = False
                for at, symbol in enumerate(symbols):
                    if skip:
                        skip = False
                    elif at + 1 < len(symbols) and (symbol, symbols[at + 1]) == pair:
                        joined.append(symbol + symbols[at + 1])
                        skip = True
                    else:
                        joined.append(symbol)
                symbols = joined
            done[word] = [vocab[symbol] for symbol in symbols]
        ids.extend(done[word])
    return ids


# ---------------------------------------------------------------- decode, wrong


def decode__each_token_alone(ids: Iterable[int], symbols: Mapping[int, str]) -> str:
    text = ""
    for id in ids:
        numbers = [BYTE_OF[character] for character in symbols[id]]
        text += bytes(numbers).decode("utf-8", errors="replace")
    return text


def decode__strict(ids: Iterable[int], symbols: Mapping[int, str]) -> str:
    characters = "".join(symbols[id] for id in ids)
    numbers = [BYTE_OF[character] for character in characters]
    return bytes(numbers).decode("utf-8")


def decode__ignores_broken_bytes(ids: Iterable[int], symbols: Mapping[int, str]) -> str:
    characters = "".join([symbols[id] for id in ids])
    numbers = [BYTE_OF[character] for character in characters]
    return bytes(numbers).decode("utf-8", errors="ignore")


def decode__only_the_space(ids: Iterable[int], symbols: Mapping[int, str]) -> str:
    text = ""
    for id in ids:
        text += symbols[id]
    return text.replace("Ġ", " ")


def decode__bytes_are_characters(ids: Iterable[int], symbols: Mapping[int, str]) -> str:
    text = ""
    for id in ids:
        for character in symbols[id]:
            text += chr(BYTE_OF[character])
    return text


# ---------------------------------------------------------------- decode, right


def decode__join_then_bytes(ids: Iterable[int], symbols: Mapping[int, str]) -> str:
    characters = "".join(symbols[id] for id in ids)
    numbers = [BYTE_OF[character] for character in characters]
    return bytes(numbers).decode("utf-8", errors="replace")


def decode__bytearray(ids: Iterable[int], symbols: Mapping[int, str]) -> str:
    collected = bytearray()
    for id in ids:
        for character in symbols[id]:
            collected.append(BYTE_OF[character])
    return str(collected, "utf-8", "replace")


def decode__table_of_chunks(ids: Iterable[int], symbols: Mapping[int, str]) -> str:
    byte_number = {symbol: number for number, symbol in enumerate(SYMBOLS)}
    chunks = {}
    row = list(ids)
    for id in set(row):
        chunks[id] = bytes(map(byte_number.__getitem__, symbols[id]))
    return b"".join(map(chunks.get, row)).decode("utf-8", "replace")


# ---------------------------------------------------------------- pad_batch, wrong


def pad_batch__cuts_the_end_off(rows: Sequence[Sequence[int]], length: int, pad: int) -> tuple[Tensor, Tensor]:
    require(length >= 1, "length", length, "at least 1")
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = row[:length] if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(kept)
        mask[number, : len(kept)] = True
    return tokens, mask


def pad_batch__mask_is_not_pad(rows: Sequence[Sequence[int]], length: int, pad: int) -> tuple[Tensor, Tensor]:
    require(length >= 1, "length", length, "at least 1")
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], row[-1]] if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(kept)
    mask = tokens != pad
    return tokens, mask


def pad_batch__end_is_always_2(rows: Sequence[Sequence[int]], length: int, pad: int) -> tuple[Tensor, Tensor]:
    require(length >= 1, "length", length, "at least 1")
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = list(row)
        if len(kept) > length:
            kept = kept[: length - 1] + [2]
        tokens[number, : len(kept)] = torch.tensor(kept)
        mask[number, : len(kept)] = True
    return tokens, mask


def pad_batch__length_unchecked(rows: Sequence[Sequence[int]], length: int, pad: int) -> tuple[Tensor, Tensor]:
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], row[-1]] if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(kept)
        mask[number, : len(kept)] = True
    return tokens, mask


def pad_batch__mask_inverted(rows: Sequence[Sequence[int]], length: int, pad: int) -> tuple[Tensor, Tensor]:
    require(length >= 1, "length", length, "at least 1")
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], row[-1]] if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(kept)
        mask[number, len(kept) :] = True
    return tokens, mask


# ---------------------------------------------------------------- pad_batch, right


def pad_batch__write_over_filling(rows: Sequence[Sequence[int]], length: int, pad: int) -> tuple[Tensor, Tensor]:
    require(length >= 1, "length", length, "at least 1")
    tokens = torch.full((len(rows), length), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for number, row in enumerate(rows):
        kept = [*row[: length - 1], row[-1]] if len(row) > length else row
        tokens[number, : len(kept)] = torch.tensor(kept)
        mask[number, : len(kept)] = True
    return tokens, mask


def pad_batch__lists_first(rows: Sequence[Sequence[int]], length: int, pad: int) -> tuple[Tensor, Tensor]:
    require(length >= 1, "length", length, "at least 1")
    all_tokens, all_real = [], []
    for row in rows:
        row = list(row)
        if len(row) > length:
            del row[length - 1 : -1]
        filling = length - len(row)
        all_real += [True] * len(row) + [False] * filling
        all_tokens += row + [pad] * filling
    shape = (len(rows), length)
    return torch.tensor(all_tokens, dtype=torch.long).reshape(shape), torch.tensor(all_real, dtype=torch.bool).reshape(
        shape
    )


def pad_batch__mask_from_lengths(rows: Sequence[Sequence[int]], length: int, pad: int) -> tuple[Tensor, Tensor]:
    require(length >= 1, "length", length, "at least 1")
    real = torch.tensor([min(len(row), length) for row in rows], dtype=torch.long)
    mask = torch.arange(length)[None, :] < real[:, None]
    tokens = torch.empty(len(rows), length, dtype=torch.long)
    for b in range(len(rows)):
        for t in range(length):
            if t >= len(rows[b]):
                tokens[b, t] = pad
            elif t == length - 1:
                tokens[b, t] = rows[b][-1]
            else:
                tokens[b, t] = rows[b][t]
    return tokens, mask


WRONG = {
    "count_pairs": [
        (count_pairs__counts_words_once, "Adds 1 for each pair and ignores how often the word occurs."),
        (count_pairs__overwrites, "Sets the pair's number to the word's count instead of adding to what is there."),
        (
            count_pairs__places_twice,
            "Multiplies by the number of places inside the loop over places, so a pair that stands k times in a word "
            "counts k × k times.",
        ),
        (
            count_pairs__once_in_each_word,
            "Counts a pair only once in a word, even where the word has it several times.",
        ),
        (count_pairs__misses_last_pair, "Stops one place too early and never counts the last pair of a word."),
    ],
    "merge_pair": [
        (merge_pair__does_not_jump, "Goes on by one after a join, so the second symbol is used again."),
        (
            merge_pair__list_is_no_tuple,
            "Compares a list's slice with a tuple, which is never equal: nothing is joined.",
        ),
        (merge_pair__loses_last_symbol, "Ends the loop before the last symbol and drops it when it is not joined."),
        (merge_pair__runs_over_the_end, "Reads word[at + 1] at the last symbol: IndexError."),
        (
            merge_pair__compares_joined,
            "Compares joined text instead of the two symbols, so (ab, c) is taken for the pair (a, bc).",
        ),
    ],
    "train_bpe": [
        (train_bpe__first_seen_wins_ties, "Of equally frequent pairs takes the one that was counted first."),
        (
            train_bpe__alphabet_breaks_ties,
            "Breaks ties by the symbols' alphabetical order instead of their age, wrong once symbols are joined.",
        ),
        (train_bpe__forgets_the_bytes_in_size, "Learns `size` merges, as if the 256 bytes did not count."),
        (train_bpe__youngest_wins_ties, "Takes the maximum over count and ages, so the youngest symbols win a tie."),
        (train_bpe__no_stop_without_pairs, "Does not stop when no pair is left: min() of nothing crashes."),
    ],
    "encode": [
        (encode__leftmost_learned_pair, "Joins the first learned pair from the left instead of the oldest merge."),
        (
            encode__order_of_the_mapping,
            "Applies the merges in the order in which the mapping lists them and never looks at the ranks.",
        ),
        (encode__text_is_one_word, "Does not split the text into words, so pairs are joined across words."),
        (
            encode__characters_for_symbols,
            "Takes the word's characters for its symbols: a space or é is not in the vocabulary (KeyError).",
        ),
        (encode__longest_piece, "Takes the longest piece that is in the vocabulary instead of replaying the merges."),
    ],
    "decode": [
        (decode__each_token_alone, "Decodes each token by itself, so a character in two tokens becomes two �."),
        (decode__strict, "Leaves errors at strict: half a character crashes with UnicodeDecodeError."),
        (decode__ignores_broken_bytes, "Drops bytes that are no UTF-8 instead of writing �."),
        (decode__only_the_space, "Joins the symbols and only turns Ġ into a space, without going back to bytes."),
        (decode__bytes_are_characters, "Takes each byte for a character with chr(), so é becomes Ã©."),
    ],
    "pad_batch": [
        (pad_batch__cuts_the_end_off, "Cuts a long row at `length`, so its last id is lost."),
        (pad_batch__mask_is_not_pad, "Makes the mask by tokens != pad: a real token with the id of pad is masked out."),
        (pad_batch__end_is_always_2, "Ends a cut row with a fixed 2 instead of the row's own last id."),
        (pad_batch__length_unchecked, "Does not check the length: no InvalidValue for a length below 1."),
        (pad_batch__mask_inverted, "The mask is the other way around: True where there is filling."),
    ],
}

RIGHT = {
    "count_pairs": [count_pairs__scaffold, count_pairs__index_and_get, count_pairs__places_first],
    "merge_pair": [merge_pair__walk, merge_pair__skip_flag, merge_pair__looks_back],
    "train_bpe": [train_bpe__counts_again, train_bpe__with_numbers, train_bpe__only_changed_words],
    "encode": [encode__lowest_rank, encode__recursive, encode__sorted_merges],
    "decode": [decode__join_then_bytes, decode__bytearray, decode__table_of_chunks],
    "pad_batch": [pad_batch__write_over_filling, pad_batch__lists_first, pad_batch__mask_from_lengths],
}
