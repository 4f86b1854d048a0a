# ---
# title: Tokenization
# minutes: 90
# ---

# %% [markdown]
# DALL·E mini reads a caption and draws. But a model computes with numbers, so the first thing that happens to `red
# apple, noto style` is that it turns into a short row of whole numbers, its **text tokens**. In this lesson you write
# that step: a byte-level BPE tokenizer, the kind that GPT-2, BART and DALL·E mini use. At the end a trained model draws
# pictures from the tokens that *your* functions make.
#
# ![Four boxes in a row: caption, text tokens, image tokens, picture. The box text tokens is highlighted: it is this lesson, and the arrow to it is the tokenizer. BART leads to the image tokens, VQGAN to the picture.](pipeline.svg)
#
# **You will be able to**
#
# - say what a byte, a symbol, a merge and a token are, and turn one into the next;
# - train a vocabulary on 11,731 real captions, and encode and decode any text with it, without losing a character;
# - make a batch of equal rows, with a mask that says which tokens are real;
# - name what tokenizers do badly, and to whom, and measure it.
#
# **You need** Python: lists, dictionaries, `for`. No knowledge of machine learning. A tensor appears once, in the last
# exercise.
#
# **How a section goes.** First you *predict* something: write it down, on paper or in your head, before you run the
# cell. Then you write a function, and the cell below checks it in a moment. Where it goes wrong, the check says what
# the mistake looks like. Hints are folded away; after the same mistake three times, the check shows you one.
# Nothing has to be finished before you go on: later cells then use the package's function in place of yours, and say
# so.

# %% setup
import matplotlib.pyplot as plt

import minidalle
from minidalle.course import mine, use
from minidalle.data import emoji_pictures
from minidalle.presets import SHIPPED
from minidalle.tokenization import Tokenizer, TokenizerConfig

emoji = emoji_pictures(32)  # drawn once, which takes some ten seconds, and then kept
captions = [emoji.captions[row] for row in emoji.rows("train")]
print(f"{len(captions):,} captions to learn from, such as")
for caption in captions[:4000:800]:
    print("   ", caption)

# %% [markdown]
# ## 1.1 Bytes
#
# Which numbers should a text become? One number per *word* needs a list of all words, and the first word that is not on
# the list is lost. One number per *character* is better, but there are 150,000 characters in Unicode. A computer stores
# a text as **bytes** anyway, and there are only 256 of those. Starting from bytes, no text is unknown.
#
# UTF-8 writes a character as one to four bytes: one for English letters, digits and marks, two for é, three for 苹, four
# for 😀.
#
# **Predict.** How many bytes has each of these? Then run the cell.

# %%
for text in ["apple", "café", "яблоко", "苹果", "🍎"]:
    print(f"{text:8} {len(text)} characters, {len(text.encode('utf-8'))} bytes")

# %% [markdown]
# **Your turn.** A warm-up: one line is enough.

# %% exercise: tokenization.text_to_bytes

# %% [markdown]
# ### Bytes you can read
#
# Bytes are hard to read, and some, such as the space, do not print at all. So GPT-2 writes every byte as one printable
# character, its **symbol**. Letters stand for themselves; a space is `Ġ`. From here on a word is a list of symbols.
#
# Four things are given, and you will use them later. `split_words` cuts a text into words (a space belongs to the word
# after it), and `word_symbols` writes a word as symbols. `SYMBOLS[byte]` is a byte's symbol, and `BYTE_OF[symbol]` the
# way back.

# %%
from minidalle.tokenization.bpe import BYTE_OF, SYMBOLS, split_words, word_symbols

for word in split_words("red apple's café"):
    print(repr(word), "→", word_symbols(word))
print("byte 195 →", SYMBOLS[195], "→ byte", BYTE_OF[SYMBOLS[195]])

# %% [markdown]
# ## 1.2 Count pairs
#
# Byte tokens lose nothing, but they make long rows: `woman firefighter medium-dark skin tone, openmoji style` is 55
# bytes, and a model's work grows with the length of the row. The captions say ` style` 11,731 times. It deserves a
# number of its own.
#
# **Byte-pair encoding** (BPE) finds such pieces by itself: *count all pairs of neighboring symbols, join the most
# frequent pair into a new symbol, and begin again.* Counting comes first.
#
# A small example, with letters. The words `low`, `lower` and `new`, where `low` occurs five times and the others twice:
#
# | pair | in `low` × 5 | in `lower` × 2 | in `new` × 2 | together |
# |---|---|---|---|---|
# | l o | 5 | 2 | | **7** |
# | o w | 5 | 2 | | **7** |
# | w e | | 2 | | **2** |
# | e r | | 2 | | **2** |
# | n e | | | 2 | **2** |
# | e w | | | 2 | **2** |
#
# Words are counted once, and their pairs many times over: 11,731 captions have 89,329 words, but only 1,963 different
# ones.
#
# **Predict.** In the word `b a n a n a`, which occurs three times, how often does the pair `(a, n)` occur?
#
# <details><summary>Answer</summary>
#
# Six times: twice in the word, and the word occurs three times.
#
# </details>
#
# **Your turn.** Everything is there but the line that counts.

# %% exercise: tokenization.count_pairs
# blank: pairs[pair] +=

# %% [markdown]
# **Look.** The most frequent pairs of the real captions. Can you guess from which words they come?

# %%
from minidalle.tokenization.bpe import count_words

word_counts = count_words(captions)
with use(mine(globals())):  # in this block your functions stand in for the package's, if they pass their checks
    caption_pairs = minidalle.tokenization.count_pairs(
        [word_symbols(word) for word in word_counts], list(word_counts.values())
    )
top = sorted(caption_pairs, key=caption_pairs.get, reverse=True)[:12]
plt.figure(figsize=(7, 3.2))
plt.barh([" ".join(two) for two in top][::-1], [caption_pairs[two] for two in top][::-1], color="#0072B2")
plt.xlabel("times in the captions")
plt.title("The twelve most frequent pairs of symbols (Ġ is a space)")
plt.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: a bar chart. The pair "Ġ s" leads with 19,345, from "style" and "skin"; then "l e", "s t", "t
# y", "y l" and "i n" with about 12,000 each.*
#
# ## 1.3 Merge a pair
#
# To merge a pair is to replace it, everywhere in a word, by one symbol. Go from left to right, and never use a symbol
# twice.
#
# Worked, on a neighboring problem: counting how often a pair fits into a list *without overlap*.

# %%
letters, wanted = list("banana"), ("a", "n")
place = times = 0
while place < len(letters):  # a position that we move ourselves: a for loop could not jump
    if tuple(letters[place : place + 2]) == wanted:  # at the very end the slice has one letter and is no pair: fine
        times += 1
        place += 2  # jump over both: neither can be used again
    else:
        place += 1
print(times)

# %% [markdown]
# **Predict.** What becomes of `a a a` when the pair `(a, a)` is merged? Of `a a a a`?
#
# <details><summary>Answer</summary>
#
# `aa a`, and `aa aa`: from left to right, and no symbol twice.
#
# </details>
#
# **Your turn.** The same walk, but now you build the new word.

# %% exercise: tokenization.merge_pair

# %% [markdown]
# ## 1.4 Train BPE
#
# Now both together, again and again: **count, take the most frequent pair, merge it in every word, write it down.** The
# list of merges, in this order, *is* the trained tokenizer.
#
# By hand, for `low` × 5, `lower` × 2, `new` × 2 (the table above): `l o` and `o w` both occur 7 times. A tie needs a
# rule, or two computers would learn different tokenizers. Ours is that of Hugging Face's `tokenizers`: *of equally
# frequent pairs, the one with the oldest first symbol, then the oldest second.* The 256 bytes are there from the start,
# in the order of their characters (`sorted(SYMBOLS)`); every merge makes the next younger symbol. `l` comes before `o`,
# so `l o` wins, and the words become `lo w` × 5, `lo w e r` × 2, `n e w` × 2.
#
# **Predict.** Which pair is next?
#
# <details><summary>Answer</summary>
#
# `(lo, w)`: it occurs 7 times. `(w, e)`, `(e, r)`, `(n, e)` and `(e, w)` occur twice each.
#
# </details>
#
# **Your turn.** The simplest version counts everything again in every round. That is right, and takes seconds rather
# than a fraction of one; the package's version counts only the words that a merge has changed. Stop when there are
# `size` symbols, bytes included, or when no pair is left. `word_symbols`, `SYMBOLS`, and your `count_pairs` and
# `merge_pair` are there to be used.

# %% exercise: tokenization.train_bpe

# %% [markdown]
# **Look.** The first and the last merges of 512 symbols. What is most frequent comes first: ` style`, ` skin` and ` tone` are whole
# within sixteen merges. The last ones are pieces of rarer words.

# %%
with use(mine(globals())):
    learned = minidalle.tokenization.train_bpe(word_counts, 512)
names = [left + right for left, right in learned]
print("first:", " ".join(names[:16]))
print("last: ", " ".join(names[-16:]))

# %% [markdown]
# ## 1.5 Numbers and special tokens
#
# A symbol becomes a token when it gets a number, its **id**. Our vocabulary is numbered as BART's is:
#
# | ids | entries | what for |
# |---|---|---|
# | 0, 1, 2, 3 | `<s>`, `<pad>`, `</s>`, `<unk>` | start; filling; end; unknown (bytes never need it) |
# | 4 – 259 | the 256 bytes, in the order of their symbols | so that no text is unknown |
# | 260 – | the merges' symbols, in the order in which they were learned | |
# | the last | `<mask>` | BART learned by filling masks in; we keep its place |
#
# `<s>` and `</s>` look like text, but they are not: each is one entry with one id, and a caption in which somebody
# *writes* `<s>` is three characters like any other. A tokenizer that forgets this lets its users forge the start and
# the end of a row. Ours cannot be fooled, because `split_words` never leaves `<` and a letter in one word.
#
# **Predict.** Two merges can make the same symbol: `a` + `bc` and `ab` + `c`. It hardly ever happens, but a list of
# merges may come from anywhere. How many ids should `abc` have?

# %% exercise: tokenization.build_vocab

# %% [markdown]
# ## 1.6 Encode
#
# Encoding a new text replays what was learned. In each word, join **the pair that was learned first**, then look again;
# stop when no pair of the word was ever learned. Not the longest piece, not the first from the left: the *oldest
# merge*. So the rank of a merge, 0 for the first, decides.
#
# **Predict.** The merges are `(h, e)`, `(l, l)`, `(he, ll)`, `(l, o)`, in this order. What are the pieces of `hello`?
# And would they change if `(l, o)` had been learned first of all?
#
# <details><summary>Answer</summary>
#
# `hell o`. With `(l, o)` learned first: `he l lo`, for then no `l l` is left to join.
#
# </details>
#
# **Your turn.** You have the signature, and what it promises.

# %% exercise: tokenization.encode

# %% [markdown]
# ## 1.7 Decode
#
# The way back: ids → symbols → bytes → characters. One trap: a character such as é is *two* bytes, and they can be in
# two tokens. Half a character is no character, so first put all bytes together, and only then read them as text.
#
# **Predict.** The bytes of é are 195 and 169. What should become of 195 alone, the half of a character?

# %% exercise: tokenization.decode

# %% [markdown]
# **Look.** There and back again, with your functions: nothing is lost, whatever the text.

# %%
with use(mine(globals())):
    tokenizer = Tokenizer.train(captions, TokenizerConfig(vocab_size=1024))
    for text in [
        "red apple, noto style",
        "woman firefighter medium-dark skin tone, openmoji style",
        "café 🍎 苹果",
        "<s> is text",
    ]:
        ids = tokenizer.encode(text)
        pieces = "|".join(tokenizer.decode([id]) for id in ids[1:-1])
        print(f"{len(ids):3} tokens, the same text again: {tokenizer.decode(ids) == text}   {pieces}")

# %% [markdown]
# Pieces of half a character print as �; put together they are whole again.
#
# ## 1.8 A batch
#
# A model takes many captions at once, as one tensor `[B, T]`: B rows of T tokens. Captions differ in length, so short
# rows are filled up with `<pad>`, long ones are cut, and a **mask** says where a token is real. Two details matter
# later. The model must not look at filling, or the same caption would mean something else in another batch; that is
# what the mask is for. And a row that is cut must still *end*: its last token stays `</s>`.
#
# Worked, with fixed numbers: two rows for T = 4, where 1 is `<pad>` and 2 is `</s>`.
#
# | row | tokens | mask |
# |---|---|---|
# | `0 5 2` | `0 5 2 1` | `True True True False` |
# | `0 5 6 7 8 2` | `0 5 6 2` | `True True True True` |
#
# **Predict.** What does the row `0 2`, the empty caption, become?

# %% [markdown]
# A tensor is an array of numbers of one kind, with a shape. All that you need of `torch` is in this cell:

# %%
numbers = torch.full((2, 3), 7, dtype=torch.long)  # 2 rows of 3 whole numbers, all 7
numbers[0, :2] = torch.tensor([5, 6])  # write a list into the beginning of row 0
flags = torch.zeros(2, 3, dtype=torch.bool)  # all False
print(numbers, numbers.shape, numbers.dtype, flags, sep="\n")

# %% exercise: tokenization.pad_batch

# %% [markdown]
# ## 1.9 Your tokenizer at work
#
# Is it right? Hugging Face's `tokenizers` is written in Rust by other people. Trained on the same captions it should
# find the same merges, and encode every caption alike.

# %%
import importlib.util

with use(mine(globals())):
    tokenizer = Tokenizer.train(captions, TokenizerConfig(vocab_size=1024))
    ours = [tokenizer.encode(caption) for caption in captions[:2000]]

if importlib.util.find_spec("tokenizers") is None:
    print("tokenizers is not installed here: pip install tokenizers")
else:
    from tokenizers import ByteLevelBPETokenizer

    theirs = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    theirs.train_from_iterator(captions, vocab_size=1024, min_frequency=1, special_tokens=special, show_progress=False)
    same = 0
    for caption, row in zip(captions, ours, strict=False):
        pieces = [theirs.decode([id]) for id in theirs.encode(caption).ids]
        same += pieces == [tokenizer.decode([id]) for id in row[1:-1]]
    print(f"{same:,} of {len(ours):,} captions are cut into the same pieces")

# %% [markdown]
# **How large should a vocabulary be?** More merges make shorter rows, and a larger table of entries, each of which has
# to be learned from fewer examples. **Predict** the shape of the curve, then run the cell.

# %%
sizes = [261, 300, 400, 512, 724, 1024, 1448, 2048, 2896, 4096]
lengths, unused = [], []
with use(mine(globals())):
    everything = minidalle.tokenization.train_bpe(word_counts, 4091)  # once: fewer merges are the first of these
    for size in sizes:
        merged = everything[: size - 261]  # 256 bytes and 5 special tokens are there without a merge
        vocab = minidalle.tokenization.build_vocab(merged, ["<s>", "<pad>", "</s>", "<unk>"], "<mask>")
        trained = Tokenizer(vocab, merged, TokenizerConfig(vocab_size=4096))
        rows = [trained.encode(caption) for caption in captions]
        lengths.append(sum(map(len, rows)) / len(rows))
        used = {id for row in rows for id in row}
        unused.append(sum(id not in used for id in range(260, trained.vocab_size - 1)))
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
left.plot(sizes, lengths, "o-", color="#0072B2")
left.set(ylabel="tokens per caption", ylim=(0, None), title="Rows get shorter")
right.plot(sizes, unused, "s--", color="#D55E00")
right.set(ylabel="unused entries", title="Entries go to waste")
for axis in (left, right):
    axis.set(xscale="log", xlabel="entries of the vocabulary")
    axis.set_xticks([261, 512, 1024, 2048, 4096], ["261", "512", "1024", "2048", "4096"])
    axis.minorticks_off()
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: on the left, tokens per caption fall steeply from about 41 at 261 entries to about 13 at 512,
# then slowly to under 10 at 4,096. On the right, the merged entries that no training caption uses rise from none to
# almost half of the vocabulary.*
#
# Those unused entries were only steps on the way to longer pieces. Their rows in the model's table are never trained.
# In large language models such tokens are one kind of *glitch tokens*, with strange effects (below).
#
# **And now pictures.** The shipped model was trained with the package's tokenizer. Here its captions go through your
# functions.

# %%
wanted = [
    "red apple, noto style",
    "woman firefighter medium-dark skin tone, openmoji style",
    "blue heart, twemoji style",
    "man running, noto style",
]
pipeline = minidalle.load()
with use(mine(globals())):
    pictures = pipeline.draw(wanted, seeds=[0, 1, 2, 3], sampling=SHIPPED.sampling)  # lesson 04 says what sampling is
figure, axes = plt.subplots(1, 4, figsize=(10, 2.9))
for axis, caption, picture in zip(axes, wanted, pictures, strict=True):
    axis.imshow(picture.permute(1, 2, 0).clamp(0, 1))
    axis.set_title(caption.replace(", ", "\n").replace(" medium", "\nmedium"), fontsize=8, loc="left")
    axis.axis("off")
plt.show()

# %% [markdown]
# *The figure in words: a red apple with an odd stalk, the head and shoulders of a firefighter in a helmet, a blue heart
# and a man who runs to the left.*
#
# How each of them comes out of its tokens is what lessons 02 to 04 are about.
#
# ## 1.10 What goes wrong in real life
#
# **Some people pay more.** Rows are short for texts like those that the vocabulary was learned from, and long for all others. Petrov and
# others compared the tokenizers of language models: the same text can take up to 15 times as many tokens in one
# language as in another, and whoever pays by the token, or has a limited row, feels it. Measure it on yours:

# %%
apples = {
    "English": "red apple",
    "German": "roter Apfel",
    "Spanish": "manzana roja",
    "Russian": "красное яблоко",
    "Hindi": "लाल सेब",
    "Chinese": "红苹果",
}
with use(mine(globals())):
    for language, text in apples.items():
        print(f"{language:8} {len(tokenizer.encode(text)) - 2:3} tokens for {len(text):2} characters   {text}")

# %% [markdown]
# Our tokenizer never saw anything but English names of emoji. It can *write* every language, byte by byte; the model
# behind it has learned none of them.
#
# **What is thrown away before the first token.** The published DALL·E mini cleans its captions first: lower case, no
# accents, everything in ASCII, most marks become commas. Predict what is left of each, then look:

# %%
from minidalle.tokenization import normalize_caption

for text in ["Zürich", "北京", "I ❤️ NY", "Beyoncé (live)!"]:
    print(f"{text:16} → {normalize_caption(text)!r}")

# %% [markdown]
# 北京 becomes the sound of its characters in Latin letters; for a model trained on such captions "bei jing" and "北京"
# are one thing, and for names in many languages the spelling is simply gone.
#
# **Tokens that nobody trained.** Entries that stand in the vocabulary but hardly ever in the training text can make a
# large model say odd things. Land and Bartolo searched many language models for such *under-trained tokens*, and found
# them across the board. You have counted your own above.
#
# **The tokenizer is part of the model.** Change one merge, and every id after it moves: the model reads noise. That is
# why the merges are saved with the weights, and never trained again.
#
# - A. Petrov, E. La Malfa, P. Torr, A. Bibi: *Language Model Tokenizers Introduce Unfairness Between Languages*,
#   NeurIPS 2023, arXiv:2305.15425.
# - S. Land, M. Bartolo: *Fishing for Magikarp: Automatically Detecting Under-trained Tokens in Large Language Models*,
#   EMNLP 2024, arXiv:2405.05417.

# %% written: tokenization.who_pays [markdown]
# points: 3
# question: **In your own words** (three or four sentences). Your tokenizer was trained on English names. Somebody wants
# to offer the model to people who write Hindi. Who pays for that, and with what? How would you measure it? What would
# you change first, and what does the change cost?
# rubric:
# - 1 point: longer rows for the same content (or: characters cut into bytes) for Hindi writers; cost in time, money, or
#   captions cut at T tokens. "It cannot read Hindi at all" alone is wrong: every byte is known.
# - 1 point: a measurement: tokens per sentence (or per character) on the same sentences in both languages; number of
#   captions that are cut.
# - 1 point: a change with its cost: train on Hindi captions too (merges are shared out, English rows get longer, or the
#   vocabulary grows), and the *model* has to be trained again, because the ids move.
# answer:
# Hindi letters are three bytes each and no merge of ours joins them, so a Hindi caption takes many times as many
# tokens: drawing takes longer, and a long caption is cut at 32 tokens. I would translate a few hundred captions and
# compare tokens per caption and how many are cut. First I would train the merges on captions of both languages. With
# the same size of vocabulary English rows get a little longer, a larger one has more entries to learn, and in both
# cases the model must be trained again because the ids have moved, on Hindi captions too.

# %% [markdown]
# ## Bonus: write the tests yourself
#
# A check is only as good as its inputs. Below are all the mistakes that the check of `merge_pair` knows by name. Which
# inputs find them? The first list of one input finds few. Add inputs until every mistake is found; how few do you need?

# %%
from minidalle.exercises import EXERCISES
from minidalle.exercises.exercise import mistake

inputs = [(["a", "b"], ("a", "b"))]  # add yours: a word, which is a list of symbols, and a pair

exercise, found = EXERCISES["tokenization.merge_pair"], 0
for wrong in exercise.wrong:
    finds = []
    for word, joined in inputs:
        given = list(word)
        try:
            differs = wrong(given, joined) != exercise.reference(word, joined) or given != word
        except Exception:  # a mistake that crashes is found, too
            differs = True
        finds += [" ".join(word)] if differs else []
    found += bool(finds)
    print("✓ found by" if finds else "✗ not found", *finds[:1], "–", mistake(wrong)[0])
print(f"{found} of {len(exercise.wrong)} mistakes found; inputs: {len(inputs)}")

# %% [markdown]
# ## Where to read on
#
# - R. Sennrich, B. Haddow, A. Birch: *Neural Machine Translation of Rare Words with Subword Units*, ACL 2016,
#   arXiv:1508.07909: BPE for text; section 3.2 is what you have written.
# - A. Radford and others: *Language Models are Unsupervised Multitask Learners*, 2019, section 2.2: why bytes.
# - A. Karpathy: *minbpe*, a repository: the same algorithm, taught in another way.
# - In this package: `minidalle/tokenization/bpe.py` is what you have just written; `normalize.py` is the published
#   cleaning, step by step.
#
# **Next:** lesson 02, in which a picture becomes a row of numbers, too.

# %% instructor [markdown]
# **For the instructor.** About an hour and a half; `train_bpe` and `encode` are planned to take almost half of it. The check
# names the usual mistakes (a word's number forgotten in `count_pairs`, overlapping merges in `merge_pair`, the tie rule
# in `train_bpe`): let it speak first. The written answer is graded by hand with the rubric above. If time is short,
# leave out `build_vocab` and `decode` with a `course.toml` (docs/authoring.md).
