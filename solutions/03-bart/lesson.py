# ---
# title: BART
# minutes: 360
# ---

# %% [markdown]
# A caption is a row of numbers since lesson 01, and a picture is one since lesson 02. What is left is to write the
# second row when the first is given. A program that translates English into German does just that, with an *encoder*
# that reads and a *decoder* that writes, one token after another. DALL·E mini took such a pair: **BART**, bidirectional
# and auto-regressive transformers. In this lesson you write its parts, check them against somebody else's BART to six
# significant digits, and train one on captions and pictures.
#
# BART itself was made to repair damaged text: it reads a text with holes, all of it at once, and writes the whole one
# from left to right. Is what it learned of English used? In the DALL·E mini of July 2021 yes: its encoder began with
# BART's weights, and a new decoder learned to write image tokens. For the one whose weights people use the code was
# rebuilt in 2022, with the changes of section 3.7, and all of it was trained from nothing, as ours is. (DALL·E has no
# encoder: one decoder continues the row of text tokens. With two parts a caption is read once, and each of its words
# sees those after it, too.)
#
# ![Four boxes in a row: caption, text tokens, image tokens, picture. Between text tokens and image tokens stands a highlighted box, BART: it is this lesson. The tokenizer was lesson 01 and the VQGAN lesson 02; lesson 04 draws the tokens.](pipeline.svg)
#
# **You will be able to**
#
# - say what an encoder-decoder learns, on any two rows of tokens, and why its input is shifted;
# - write attention with its masks, the layers around it, the loss and the schedule, and find the usual mistakes in
#   them;
# - read nats per token: beside which baselines, on which split, and what shows that captions are read at all;
# - say which of DALL·E mini's changes to BART matter in a fair comparison, and what attention maps do not tell.
#
# **You need** lessons 01 and 02, and PyTorch as far as this: tensors and shapes, broadcasting, `backward()`, what an
# optimizer does. About six hours; each section can be done on another day. After a restart of the kernel let the
# cells above run again (*Run All Above Selected Cell*), which takes a few minutes at most.
#
# **How a section goes** is as before: predict, read something worked, write, check, look. Hints are folded, and
# nothing has to be finished before you go on. The trainings are real, small, and done once with one seed: your numbers
# may differ a little from those in the text.
#
# **Do you remember?** Answer first, then unfold.
#
# <details><summary>Lesson 01: what does the mask of a batch of captions say, and why is it needed?</summary>
#
# Where a token is real. Short rows are filled up to the length of the longest; without the mask the same caption would
# mean something else in another batch. Section 3.3 uses it.
#
# </details>
# <details><summary>Lesson 01: which tokens stand at the two ends of every caption?</summary>
#
# `<s>` (0) and `</s>` (2). Remember them when you look at attention.
#
# </details>
# <details><summary>Lesson 02: what does perplexity say?</summary>
#
# How many equally frequent codes would be as hard to guess. It is e to the entropy in nats, and nats are what this
# lesson counts in.
#
# </details>
# <details><summary>Lesson 00: which splits may only report, and why does <code>dev</code> not?</summary>
#
# All held-out splits but `dev`: that one chooses between recipes, and who is chosen by a number looks too good in it.
#
# </details>

# %% setup
import importlib.util
import inspect
import itertools
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import minidalle
from minidalle import runtime
from minidalle.bart import Bart, BartConfig, Draft, attention, layers, sequences
from minidalle.course import mine, use
from minidalle.data import emoji_pictures
from minidalle.data.batches import batch_rows
from minidalle.data.pixels import to_floats
from minidalle.data.tokens import tokenize
from minidalle.evaluation.bootstrap import estimate
from minidalle.evaluation.drawing import draw_many
from minidalle.evaluation.parts import some_rows
from minidalle.presets import DALLE_MINI, SHIPPED
from minidalle.tokenization import Tokenizer, TokenizerConfig
from minidalle.training import schedule
from minidalle.training.bart import row_nats

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"  # Okabe and Ito's, told apart by everybody
QUICK = bool(os.environ.get("MINIDALLE_QUICK"))  # shorter trainings, for a computer room

emoji = emoji_pictures(32)  # drawn once, which takes some ten seconds, and then kept
columns = emoji.columns
pipeline = minidalle.load()
shipped = pipeline.bart  # in sections 3.3, 3.9 and 3.11
print(f"the shipped BART: {sum(weights.numel() for weights in shipped.parameters()):,} weights")

# %% [markdown]
# ## 3.1 From any row to any row
#
# The model does not know that one row is English and the other a picture. It gets two rows of whole numbers. So begin
# with a task that you can see through: **write a word backwards**. `apple` has to become `elppa`.
#
# The **encoder** reads the whole word and makes a vector of each letter. The **decoder** writes: given the word's
# vectors and the letters that it has written so far, it gives a number to each sign that it could write,
# its **logits**, and the largest is the likeliest next one. It learns from pairs of a word and what should come out.
#
# Letters are the numbers 0 to 25. 26 is the stop sign, written `.` here, and 27 fills up short words on the one side
# and begins the row on the other. (The functions below only make such rows; they need not be read.) Training words are
# random letters, so that nothing can be learned by heart; afterwards it must reverse English words.

# %%
LETTERS, STOP, START, LONGEST = "abcdefghijklmnopqrstuvwxyz", 26, 27, 10

TOY = BartConfig(
    text_vocab=28, text_length=LONGEST, image_codes=27, image_length=LONGEST + 1, width=64, heads=2, hidden=128,
    encoder_layers=1, decoder_layers=1, glu=True, positions="absolute",
)  # fmt: skip


def reversed_words(letters, lengths):
    """Words long [B, 10] and their lengths [B, 1] → text, text mask, target, target mask; a stop sign ends the target."""
    place = torch.arange(LONGEST + 1)
    text_mask = place[:-1] < lengths
    backwards = lengths - 1 - place
    target = letters.gather(1, backwards.clamp(min=0)).masked_fill(backwards < 0, STOP)
    return letters.masked_fill(~text_mask, START), text_mask, target, backwards >= -1


def random_words(n, size=64):
    """Batch n of random words of 3 to 10 letters: always the same for the same n."""
    chance = torch.Generator().manual_seed(n)
    letters = torch.randint(26, (size, LONGEST), generator=chance)
    return reversed_words(letters, torch.randint(3, LONGEST + 1, (size, 1), generator=chance))


def as_text(row):
    """Numbers → letters, up to the stop sign or the filling."""
    return "".join((LETTERS + ".")[number] for number in row.tolist() if number < START).split(".")[0]


text, text_mask, target, target_mask = random_words(0)
print("text       ", text[0].tolist(), as_text(text[0]))
print("its mask   ", text_mask[0].int().tolist())
print("target     ", target[0].tolist(), as_text(target[0]))
print("its mask   ", target_mask[0].int().tolist(), "the stop sign counts, what is behind it does not")
torch.manual_seed(0)
print(f"{sum(weights.numel() for weights in Bart(TOY).parameters()):,} weights")

# %% [markdown]
# This loop is all that training is, and it serves for every training of this lesson, the one on pictures too. Four of
# your functions are in it; until you have written them, the package's stand in. Its last two arguments are for the
# mistakes that you will look at.


# %%
def fit(bart, batches, steps, rate=5e-3, warmup=50, precision="fp32", shifted=True, masked=True):
    """Train on batches(n) for n = 0, 1, …; returns the loss in nats per token, a mean for every ten steps."""
    optimizer = torch.optim.AdamW(bart.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0)
    bart.train()
    losses = []
    for n in range(steps):
        text, text_mask, target, target_mask = batches(n)
        decoder_input = sequences.shift_right(target, bart.config.start_token) if shifted else target
        with runtime.autocast(torch.device("cpu"), precision):  # bf16: products of matrices in half the bits, faster
            logits = bart(text, text_mask, decoder_input)
        loss = sequences.sequence_loss(logits, target, target_mask if masked else None)
        optimizer.param_groups[0]["lr"] = rate * schedule.warmup_schedule(n, steps, warmup, 0.5)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(bart.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    bart.eval()
    return np.array(losses[: steps // 10 * 10]).reshape(-1, 10).mean(axis=1)


@torch.no_grad()
def write(bart, text, text_mask):
    """Write a row for each text, always the likeliest next token: long [B, N]. Lesson 04 does this better and faster."""
    written = torch.zeros(len(text), 0, dtype=torch.long)
    for _ in range(bart.config.image_length):
        begin = torch.cat([torch.full((len(text), 1), bart.config.start_token), written], dim=1)
        written = torch.cat([written, bart(text, text_mask, begin)[:, -1:].argmax(-1)], dim=1)
    return written


def words_right(bart, n=10**6, size=250):
    """The share of 250 unseen random words that are written backwards without a mistake."""
    text, text_mask, target, target_mask = random_words(n, size)
    return ((write(bart, text, text_mask) == target) | ~target_mask).all(dim=1).float().mean().item()


# %% [markdown]
# **Predict.** Its 28 logits are for 26 letters, the stop sign, and the start sign, which is never right. A model that
# knows nothing gives all 28 the same chance. How many nats is its loss? (Something that had the chance $p$ surprises by
# $-\ln p$, and **nats** are the unit: one is 1.44 bits, so that lesson 02's 9 bits for a token are 6.24 nats.) And how many words will be right after 300 steps of
# 64 words: a third, nine tenths, all? It takes about ten seconds.

# %%
word_list = ["apple", "astronaut", "noto", "rainbow", "levels", "umbrella"]
spelled = torch.tensor([[LETTERS.index(letter) for letter in word.ljust(LONGEST, "a")] for word in word_list])
english = reversed_words(spelled, torch.tensor([[len(word)] for word in word_list]))

torch.manual_seed(0)
reverser = Bart(TOY)
with use(mine(globals())):  # in this block your functions stand in for the package's, if they pass their checks
    before = words_right(reverser)
    reverse_losses = fit(reverser, random_words, 300)
    print(f"loss: first {reverse_losses[0]:.2f}, last {reverse_losses[-1]:.3f}; nothing known: {np.log(28):.2f}")
    print(f"words right: {before:.0%} before, {words_right(reverser):.0%} after")
    for word, row in zip(word_list, write(reverser, *english[:2]), strict=True):
        print(f"{word:>12} → {as_text(row)}")

# %% [markdown]
# The loss starts near ln 28 = 3.33 and falls to almost nothing; all or nearly all of 250 words that it never saw come
# out right, and none did before. Still, one of the six English words is wrong here: `elpaa` for `apple`. Both can be:
# if there is no mistake among 250, then mistakes are rarer than about one in 80 (three divided by how many were tried).
# No more than that is known, and only of words such as those that were tried.
#
# Nothing in this knows about letters or about order: the model found out from examples that the last letter comes
# first. In section 3.6 you will see how. Caption and picture are the same task with other numbers: 4,096 kinds of text
# tokens and 512 kinds of image tokens, 64 of them in a row.
#
# ## 3.2 One to the right
#
# To *write*, the decoder needs the tokens before the next one. In training they are all known, so all positions are
# learned at once: at each position the input is **the token before it**, and the target is the token itself. This is
# called *teacher forcing*: even after a wrong guess the next input is what would have been right.
#
# So the decoder's input is the target, moved to the right by one. The last token drops out, for nothing comes after
# it, and in front there is room for one token that says "begin": the **start token**, an id that no picture has.
#
# Worked, on a neighboring problem: the change of a price from day to day, where the day before the first is known.

# %%
prices, opening = torch.tensor([[5.0, 7.0, 4.0]]), 6.0
yesterday = torch.cat([torch.full((1, 1), opening), prices[:, :-1]], dim=1)  # the last price is nobody's yesterday
print("yesterday", yesterday.tolist(), " change", (prices - yesterday).tolist())

# %% [markdown]
# **Predict.** The target is `4 4 9 2`, the start token 27. What is the decoder's input?
#
# <details><summary>Answer</summary>
#
# `27 4 4 9`. As many as before: for each target the one before it.
#
# </details>

# %% exercise: bart.shift_right

# %% [markdown]
# **Look.** What if somebody forgets the shift? **Predict**: is the loss higher, lower, or the same? And the words?

# %%
with use(mine(globals())):
    unshifted = {}
    for name, shifted in [("shifted", True), ("not shifted", False)]:
        torch.manual_seed(0)
        model = Bart(TOY)
        unshifted[name] = fit(model, random_words, 120, shifted=shifted)
        rows = [as_text(row) for row in write(model, *english[:2])]
        print(f"{name:12} loss {unshifted[name][-1]:.3f}, words right {words_right(model):.0%}, writes {rows[:3]}")

# %% [markdown]
# After 120 steps the loss without the shift is forty times lower, and not one word is right. The decoder sees the very
# token that it should predict, and copies it. When it has to write, there is nothing to copy. **A loss that is too
# good, too soon, is an alarm.**
#
# ## 3.3 Who may look where
#
# In a moment every token will look at other tokens. Not at all of them. Two rules:
#
# - A token that is to be written must not be seen. Position *i* of the decoder looks at the positions 0 to *i*, whose
#   inputs are the start token and what was written before. This is the **causal mask**.
# - Filling is nothing to look at. This is the **padding mask**, made from the one that `pad_batch` of lesson 01 gave.
#
# Worked, on a neighboring problem: who has met whom, when guests come one after another and each stays for two.

# %%
guests = torch.arange(5)
apart = guests[:, None] - guests[None, :]  # row i, column j: how much later guest i came than guest j
print(((apart >= 0) & (apart < 2)).int())  # who is there when guest i arrives

# %% [markdown]
# **Predict.** How many `True` has the causal mask of 64 tokens?
#
# <details><summary>Answer</summary>
#
# 1 + 2 + … + 64 = 2,080. Not 2,016: a position sees itself, which is the token *before* the one to be written.
#
# </details>

# %% exercise: bart.causal_mask

# %% [markdown]
# A mask of captions is `[B, T]`. The table of who looks at whom will be `[B, h, N, T]`: for each of h *heads*, each of
# N who look, each of T who are looked at. To **broadcast** over it, a mask needs as many dimensions, of size 1 where
# it says the same for all.
#
# **Predict.** In which of the four places do the T of the mask belong, and what goes wrong if they are in the one
# before?
#
# <details><summary>Answer</summary>
#
# In the last, that of those who are looked at. In the third place it would forbid filling to *look*, and let everybody
# look at it. If N and T are equal, nothing crashes.
#
# </details>

# %% exercise: bart.padding_mask

# %% [markdown]
# **Look.** Not at the masks, but at what they do to the shipped BART. On the left, each image token in its turn is
# replaced by another, and it is measured where the logits change. On the right, one caption is read alone, and again
# beside a longer one, so that it is filled up: with its mask, and with a mask that says that all is real. (Our BART has a
# part that DALL·E mini has not, a *draft*: a first guess of the whole picture from the caption. Section 3.11 looks at it.)

# %%
with use(mine(globals())), torch.no_grad():
    row = int(emoji.rows("dev")[0])
    picture = pipeline.vqgan.encode(to_floats(emoji.pictures[[row]]))
    text, text_mask = pipeline.encode_text([emoji.captions[row]])
    memory = shipped.encode(text, text_mask).expand(65, -1, -1)
    inputs = sequences.shift_right(picture, shipped.config.start_token).repeat(65, 1)
    inputs[torch.arange(64), torch.arange(64)] = (inputs.diagonal() + 100) % 512  # row j has another token at j
    changed = shipped.decode(memory, text_mask.expand(65, -1), inputs)
    influence = (changed[:64] - changed[64:]).abs().mean(dim=-1).T  # [who is influenced, by whom]

    length = int(text_mask.sum())
    alone = shipped.encode(text[:, :length], text_mask[:, :length])  # without any filling
    text, text_mask = pipeline.encode_text([emoji.captions[row], "woman and man holding hands medium-light skin tone"])
    text_mask = text_mask[:, : text_mask.sum(dim=1).max()]
    text = text[:, : text_mask.shape[1]]
    for name, mask in [("with its mask", text_mask), ("all said to be real", torch.ones_like(text_mask))]:
        beside = shipped.encode(text, mask)[0, :length]
        print(f"{name:20} differs from the caption alone by up to {(beside - alone[0]).abs().max():.6f}")
figure, axes = plt.subplots(1, 2, figsize=(9, 4))
axes[0].imshow(influence.clamp(min=1e-6).log10(), cmap="cividis")
axes[0].set(title="Influence on the logits (brighter = more)", xlabel="token that is changed", ylabel="prediction")
axes[1].imshow(text_mask.int(), cmap="cividis", aspect="auto", interpolation="nearest")
axes[1].set(title="Mask of two captions (bright = real)", xlabel="text token", yticks=[0, 1], ylabel="caption")
figure.tight_layout()
plt.show()
print(
    "influence from the future:",
    influence.triu(1).max().item(),
    " from the past, mean:",
    f"{influence.tril().mean():.2f}",
)

# %% [markdown]
# *The figure in words: on the left a square of 64 × 64, dark above the diagonal and bright on and below it, brightest
# on the diagonal and along a second line seven below it. On the right two rows of cells: the upper is bright up to its
# last real token and dark after it, the lower is bright throughout.*
#
# From the future: exactly nothing. And with its mask the caption means the same in company as alone (up to the sixth
# decimal, which is rounding); without the mask its vectors differ by more than 2. The second line is the picture:
# what is written at input *j* is token *j* − 1, so that the input seven before a prediction is the cell above it.
#
# ## 3.4 Attention
#
# How does a letter find its partner at the other end of the word, wherever that is? By asking. Each token makes three
# vectors of its own: a **query**, what it looks for; a **key**, what can be found at it; a **value**, what it has to
# tell. Query and key are compared by their dot product, the products become shares by softmax, and the token receives
# the mean of all values, in these shares:
#
# $$\text{attend}(Q, K, V) = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt d}\right) V$$
#
# A dictionary gives one value for the key that fits; attention gives a *mixture*, more of what fits better. So it has
# a derivative, and can be learned. Where the mask forbids, the product is replaced by a very small number
# *before* the softmax: then its share is 0, and the other shares still add up to 1.
#
# Worked, on a neighboring problem: a weather forecast for a place is the mean of its neighbors', and the nearer ones
# count more. One station is broken.

# %%
kilometers, degrees = torch.tensor([5.0, 20.0, 8.0]), torch.tensor([12.0, 18.0, -99.0])
works = torch.tensor([True, True, False])
nearness = -kilometers / 10
shares = nearness.masked_fill(~works, torch.finfo(torch.float32).min).softmax(-1)
print("shares", shares, "→", f"{(shares * degrees).sum():.1f} degrees")

# %% [markdown]
# **Predict.** Queries and keys have d numbers with variance 1. Which variance has their dot product? What does the
# softmax of 64 such products look like for d = 256, if nobody divides by $\sqrt d$?
#
# <details><summary>Answer</summary>
#
# d: it is a sum of d terms of variance 1. Products of ±16 and more: the largest takes nearly all, and softmax has
# hardly any gradient left. Dividing by √d brings the variance back to 1 for every width.
#
# </details>

# %% exercise: bart.attend

# %% [markdown]
# **Look.** Your `attend` with an identity matrix as values gives the shares themselves: a trick to remember. On the
# left, the largest of 64 shares as the width grows, with the root and without. On the right, shares of one query at
# several temperatures: dividing by $\sqrt d$ *is* a temperature.

# %%
torch.manual_seed(0)
widths = [4, 16, 64, 256, 1024]
with use(mine(globals())):
    largest = {"with √d": [], "without": []}
    for width in widths:
        query, key = torch.randn(1, 1, 200, width), torch.randn(1, 1, 64, width)
        for name, factor in (("with √d", 1.0), ("without", width**0.5)):  # times √d takes the root out again
            shares = attention.attend(factor * query, key, torch.eye(64)[None, None])
            largest[name].append(shares.amax(dim=-1).mean().item())
    query, key = torch.randn(1, 1, 1, 64), torch.randn(1, 1, 12, 64)
    by_temperature = {t: attention.attend(query / t, key, torch.eye(12)[None, None])[0, 0, 0] for t in (0.2, 1, 5)}
    order = torch.randperm(64)
    query, key, value = torch.randn(1, 1, 5, 16), torch.randn(1, 1, 64, 16), torch.randn(1, 1, 64, 16)
    mixed = attention.attend(query, key[:, :, order], value[:, :, order])
    print(
        f"keys and values in another order: differs by {(mixed - attention.attend(query, key, value)).abs().max():.7f}"
    )
for name, values in largest.items():
    print(f"largest share, {name}:", ", ".join(f"{v:.2f} at d = {d}" for d, v in zip(widths, values, strict=True)))
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
for (name, values), mark, color in zip(largest.items(), ("o-", "s--"), (BLUE, ORANGE), strict=True):
    left.plot(widths, values, mark, color=color, label=name)
left.set(xscale="log", xlabel="width d", ylim=(0, 1), title="Largest of 64 shares, mean over queries")
left.set_xticks(widths, [str(width) for width in widths])
left.minorticks_off()
left.legend()
for (temperature, shares), mark, color in zip(by_temperature.items(), "so^", (ORANGE, BLUE, GREEN), strict=True):
    right.plot(shares, mark + "-", color=color, label=f"temperature {temperature}")
right.set(xlabel="key", ylabel="share", title="One query, three temperatures")
right.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: on the left, without the root the largest share climbs from 0.29 at width 4 to 0.95 at 1,024;
# with it, it stays at 0.11 or 0.12. On the right, the shares of twelve keys: at temperature 0.2 four keys share
# everything and one of them has 0.4, at 5 all have about a twelfth.*
#
# And the printed line: **attention does not see order.** Keys and values may be shuffled together, and the result is
# the same. Whatever BART's encoder knows of order comes from the vectors that are added to its tokens for their
# *positions*. Without them a caption would be a bag of words. (A decoder's causal mask tells it a little, too: how many
# came before.)
#
# ### Heads
#
# One mixture for each token is little: a letter may want its neighbor *and* its partner. So the D features are cut
# into h pieces, the **heads**; each head attends for itself with D / h features, and the pieces are put together
# again.
#
# **Predict.** `x` has the shape `[2, 5, 8]`: 2 rows, 5 tokens, 8 features. Which shape is needed for 4 heads, so that
# `attend` works on each head by itself? Why is `x.reshape(2, 4, 5, 2)` wrong, though it has that shape?
#
# <details><summary>Answer</summary>
#
# `[2, 4, 5, 2]`. A reshape keeps the order of the numbers: head 0 would get the first 10 of the 40 numbers, that is,
# all features of token 0 and two of token 1. First cut the features, then swap two dimensions.
#
# </details>

# %%
letters = np.array([[f"{token}{feature}" for feature in "abcd"] for token in "XYZ"])  # 3 tokens, 4 features
print("2 heads, cut and swapped:", letters.reshape(3, 2, 2).swapaxes(0, 1).tolist())
print("2 heads, reshaped alone: ", letters.reshape(2, 3, 2).tolist(), "← tokens and features are mixed up")

# %% exercise: bart.split_heads

# %% [markdown]
# `merge_heads` is the way back and is given, and so is `multi_head_attention`, which puts all of it together. Read it
# now; from here on you will call it. `linear(weights, x)` is a linear layer, with a bias if its weights have one.

# %%
print(inspect.getsource(attention.multi_head_attention))

# %% [markdown]
# Who asks is `x`, who answers is `memory`. If both are the same tokens, it is **self-attention**; if `x` are image
# tokens and `memory` is the caption, **cross-attention**.
#
# ## 3.5 Think for yourself
#
# Attention carries things from token to token. Between two such exchanges each token thinks by itself: its D features
# are widened, bent, and narrowed again. The bend is GELU, a smooth ReLU.
#
# In the **gated** form (GLU, Shazeer 2020) there are two widenings. One is bent and acts as a *gate*, and the
# other is multiplied by it: feature by feature one half decides how much of the other half goes on. A product of two
# features can say "this *and* that", which a sum cannot. Two widenings cost more, so gated layers are
# made two thirds as wide: DALL·E mini's has 2,730 features where BART has 4,096.
#
# Worked, on a neighboring problem: is a number in an interval? One soft gate opens above 1, one closes above 3.

# %%
points = torch.linspace(0, 4, 9)
opens, closes = torch.sigmoid(8 * (points - 1)), torch.sigmoid(8 * (3 - points))
print("point", points.tolist())
print("and  ", [f"{value:.1f}" for value in opens * closes])  # the product: open and not yet closed

# %% [markdown]
# `optional_norm(weights, "hidden", x)` is LayerNorm with the weights of that name, and does nothing where there are
# none. NormFormer, and so DALL·E mini, has one here, between gate and narrowing. LayerNorm makes each token's features
# have mean 0 and variance 1, and then gives each a scale and a shift that are learned.
#
# **Predict.** D = 1,024. How many weights has a plain layer with 4,096 hidden features, and a gated one with 2,730?
#
# <details><summary>Answer</summary>
#
# 2 · 1,024 · 4,096 = 8,388,608, and 3 · 1,024 · 2,730 = 8,386,560: as many.
#
# </details>

# %% exercise: bart.glu_feed_forward
# blank: hidden =

# %% [markdown]
# **Look.** What one hidden feature can say: plain, and gated, as a function of two input features. The gate looks at
# the first, what goes through it at the second.

# %%
side = torch.linspace(-3, 3, 121)
plane = torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1)
first, second, both = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 1.0]])
narrow = {"weight": torch.ones(1, 1)}
with use(mine(globals())):
    plain = layers.gelu_feed_forward({"up": {"weight": both}, "down": narrow}, plane)
    weights = {"gate": {"weight": first}, "up": {"weight": second}, "down": narrow}
    gated = layers.glu_feed_forward(weights, plane)
figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.4), sharey=True, layout="constrained")
for axis, values, title in ((axes[0], plain, "plain: GELU(a + b)"), (axes[1], gated, "gated: GELU(a) · b")):
    image = axis.contourf(side, side, values[..., 0], levels=np.linspace(-9, 9, 19), cmap="PuOr")
    axis.set(title=title, xlabel="feature a")
axes[0].set_ylabel("feature b")
figure.colorbar(image, ax=axes, label="what comes out")
plt.show()

# %% [markdown]
# *The figure in words: two planes. The plain one is flat on the lower left and rises in straight parallel lines
# towards the upper right. The gated one is zero on the left half; on the right it is positive above and negative
# below, and the more so the further right.*
#
# ## 3.6 Layers
#
# A layer is a row of **branches**, and each branch *adds* something to the tokens: $x + \text{branch}(x)$, as the
# residual blocks of lesson 02. What a LayerNorm does depends on where it stands: after the sum (classic BART,
# "post-norm"), before the branch ("pre-norm"), or before it and again on what it adds (NormFormer). Three small
# functions take care of that, so that your layers need not know:
#
# - `enter(branch, x)`: what a branch sees of the tokens, normalized if the branch has a norm before it;
# - `join(branch, x, added, dropout)`: the sum, with the norms that stand on what is added or after the sum;
# - `feed_forward(branch, x)`: your `glu_feed_forward` if the branch has a gate, else the plain one.
#
# `branch = weights["attention"]` is a branch's weights: its linear layers and its norms, by name.
#
# Worked, on a neighboring problem: a layer with one branch, in which each token hears the mean of all tokens.

# %%
branch = runtime.weights_of(reverser.encoder)["layers"]["0"]["attention"]
print("the branch has:", ", ".join(branch))
tokens = torch.randn(1, 4, 64)
entered = layers.enter(branch, tokens)  # normalized, because this branch has a norm "before"
added = entered.mean(dim=1, keepdim=True).expand_as(tokens)  # each token gets the same: the mean
print("shape before and after:", tuple(tokens.shape), tuple(layers.join(branch, tokens, added, 0.0).shape))

# %% [markdown]
# **Predict.** The encoder's layer has two branches, self-attention and feed-forward. In the first, does the query come
# from `x` or from `enter(branch, x)`? And what is the sum made with?
#
# <details><summary>Answer</summary>
#
# Query, key and value all come from what has entered; the sum is made with `x` itself, un-normalized: so a straight
# way leads through all layers.
#
# </details>
#
# **Your turn.** The first branch is there; write the second.

# %% exercise: bart.encoder_layer
# blank: return

# %% [markdown]
# The decoder's layer has three branches: the image tokens look at those before them (`mask` is the causal one), then
# at the caption (`memory`, with its padding mask), then each thinks. What enters the second branch are the image
# tokens only: `memory` is taken as it is. (An encoder that has a norm before each branch ends with one, too.)
#
# **Predict.** In cross-attention with 64 image tokens and 11 text tokens, which shape have the shares of one head? Is
# a causal mask needed there?
#
# <details><summary>Answer</summary>
#
# `[64, 11]`. No: the whole caption is known before the first token is written.
#
# </details>

# %% exercise: bart.decoder_layer

# %% [markdown]
# **Look.** How does the model of section 3.1 write words backwards? An `attend` that takes notes stands in the place
# of yours and calls it, with the identity trick, so that all shares are kept. **Predict** first what the picture of
# cross-attention will be: who writes letter *i* has to look where?


# %%
def shares_of(bart, text, text_mask, decoder_input):
    """The shares of every attention: encoder's layers [B, h, T, T], decoder's selves and crosses [B, h, N, N | T]."""
    seen, inner = [], attention.attend

    def noting(query, key, value, mask=None):
        seen.append(inner(query, key, torch.eye(key.shape[-2]).expand(*key.shape[:2], -1, -1), mask))
        return inner(query, key, value, mask)

    with use({"bart.attend": noting}), torch.no_grad():
        bart(text, text_mask, decoder_input)
    first = bart.config.encoder_layers
    return {"encoder": seen[:first], "self": seen[first::2], "cross": seen[first + 1 :: 2]}


with use(mine(globals())):
    decoder_input = sequences.shift_right(english[2], START)
    shares = shares_of(reverser, *english[:2], decoder_input)
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.6))
for axis, (number, head) in zip(axes, [(3, 0), (3, 1), (0, 0)], strict=True):
    word = word_list[number]
    axis.imshow(shares["cross"][0][number, head, : len(word) + 1, : len(word)], cmap="cividis", vmin=0, vmax=1)
    axis.set_xticks(range(len(word)), list(word))
    axis.set_yticks(range(len(word) + 1), [*word[::-1], "stop"])
    axis.set(xlabel="looks at", title=f"{word}, head {head}")
axes[0].set_ylabel("what has to be written")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: three squares, letters to be written against letters looked at. In each a bright trail runs
# from the upper right to the lower left: for the first letter to be written at the last of the word, and so on. Head 1
# of `rainbow` has it sharp, head 0 with some blur; in `apple` one `p` is found at the `a` beside it.*
#
# The trail runs against the diagonal: the last letter first. So *this* map shows how the task is solved, and even how
# it fails: the second `p` of `apple` is looked for at the `a`, and an `a` is what was written in section 3.1. Other
# heads look elsewhere, though, and the encoder has mixed neighbors before anybody looks; section 3.11 asks how far
# such maps can be trusted.
#
# ## 3.7 Is it right? Ask somebody else's BART
#
# Hugging Face's `transformers` has a BART, written by other people. If your layers, **with its weights, give its
# logits**, they are right, and not only by our checks. No download is needed: a small one is built here, its weights
# are random, and only their names have to be translated.

# %%
ATTENTION = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "output"}
NAMES = ATTENTION | {
    "self_attn": "attention", "encoder_attn": "cross_attention", "fc1": "feed_forward.up", "fc2": "feed_forward.down",
    "self_attn_layer_norm": "attention.after", "encoder_attn_layer_norm": "cross_attention.after",
    "final_layer_norm": "feed_forward.after", "embed_positions": "positions", "layernorm_embedding": "embedding_norm",
    "shared": "encoder.tokens",
}  # fmt: skip


def our_name(theirs):
    """`model.decoder.layers.0.self_attn.q_proj.weight` → `decoder.layers.0.attention.query.weight`."""
    name = ".".join(NAMES.get(part, part) for part in theirs.removeprefix("model.").split("."))
    return name.replace(".weight", ".scale") if "norm" in name or ".after." in name else name


CLASSIC = BartConfig(
    text_vocab=60, text_length=20, image_codes=60, image_extra=0, start=2, image_length=20, width=48, heads=4, hidden=96,
    encoder_layers=2, decoder_layers=2, norm="post", embedding_norm=True, bias=True, tied=True, positions="absolute",
    position_offset=2,
)  # fmt: skip

if importlib.util.find_spec("transformers") is None:
    print("transformers is not installed here: pip install transformers")
else:
    import transformers

    torch.manual_seed(0)
    theirs = transformers.BartForConditionalGeneration(
        transformers.BartConfig(
            vocab_size=60, max_position_embeddings=20, d_model=48, encoder_layers=2, decoder_layers=2,
            encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=96, decoder_ffn_dim=96, init_std=0.2,
        )
    ).eval()  # fmt: skip
    with torch.no_grad():
        for weight in theirs.parameters():
            weight += 0.1 * torch.randn(weight.shape)  # norms begin as ones and zeros, which would hide mistakes
    weights = {our_name(name): weight for name, weight in theirs.named_parameters()}
    text, target = torch.randint(3, 60, (4, 9)), torch.randint(3, 60, (4, 12))
    text_mask = torch.arange(9) < torch.tensor([[9], [4], [7], [9]])
    with use(mine(globals())), torch.no_grad():
        decoder_input = sequences.shift_right(target, 2)
        expected = theirs(input_ids=text, attention_mask=text_mask.long(), decoder_input_ids=decoder_input).logits
        for heads in (4, 2):
            ours = Bart(replace(CLASSIC, heads=heads)).eval()
            ours.load_state_dict(weights)  # every name and every shape must fit
            difference = (ours(text, text_mask, decoder_input) - expected).abs().max()
            print(f"{heads} heads: logits from {expected.min():.1f} to {expected.max():.1f}", end=", ")
            print(f"ours differ by up to {difference:.7f}")

# %% [markdown]
# Some six significant digits are what float32 can promise: your layers are BART's. The second line is a warning. With 2
# heads in place of 4 every weight has the same shape, so that nothing complains, and the model is another one. A
# checkpoint without its config is half a model.
#
# **What DALL·E mini changed.** It is not this BART. The table says what is different; section 3.10 asks what it is worth.
#
# | | BART (Lewis and others 2020) | DALL·E mini | source |
# |---|---|---|---|
# | LayerNorm | after each sum | before each branch, after each attention, inside the feed-forward (NormFormer) | Shleifer and others 2021 |
# | feed-forward | GELU, 4,096 wide | gated, 2,730 wide: as many weights | Shazeer 2020 |
# | biases | everywhere | none in linear layers | |
# | tables | one for encoder, decoder and head | three: its words and its codes are not the same things | |
# | what is written | text | 256 image tokens out of 16,384 | |
#
# **Predict.** How many weights has it? Two tables of 50,264 and 16,385 rows, a head, 12 + 12 layers, 1,024 wide. To
# count, the device `meta` makes tensors with a shape and without numbers.

# %%
with torch.device("meta"):
    published = Bart(DALLE_MINI.bart)
parts = {
    "text table": published.encoder["tokens"], "encoder's layers": published.encoder["layers"],
    "image table": published.decoder["tokens"], "decoder's layers": published.decoder["layers"],
    "head": published.decoder["head"], "all of it": published,
}  # fmt: skip
for name, part in parts.items():
    print(f"{name:17} {sum(weights.numel() for weights in part.parameters()):13,}")

# %% [markdown]
# 438 million. The decoder's layers have a third more than the encoder's, for each of them attends twice.
#
# ## 3.8 Loss and schedule
#
# The loss asks one question at each position: which chance did the model give to the token that came? Its surprise,
# $-\ln p$, in nats, is averaged over all tokens that count. From logits: $-\ln p = \ln \sum_k e^{z_k} -
# z_\text{target}$, and `logsumexp` computes the first term without overflow.
#
# Worked, on a neighboring problem: the mean grade of those who sat the exam.

# %%
grades, was_there = torch.tensor([[2.0, 3.0], [1.0, 0.0]]), torch.tensor([[True, True], [True, False]])
print("mean of those who were there:", grades[was_there].mean().item(), " not:", (grades * was_there).mean().item())

# %% [markdown]
# **Predict.** All logits are 0, and there are 512 codes. Which loss? And if all logits are 100?
#
# <details><summary>Answer</summary>
#
# ln 512 = 6.24 both times: only differences of logits matter. A first loss far above ln K says that the model begins
# with opinions that it cannot have.
#
# </details>

# %% exercise: bart.sequence_loss

# %% [markdown]
# **Look.** One and the same model, trained on 60 batches, and its loss, told with the mask and without. **Predict**
# which is lower.

# %%
with use(mine(globals())):
    torch.manual_seed(0)
    model = Bart(TOY)
    fit(model, random_words, 60)
    text, text_mask, target, target_mask = random_words(10**6)
    with torch.no_grad():
        logits = model(text, text_mask, sequences.shift_right(target, START))
        for name, mask in (("real tokens", target_mask), ("all of them", None)):
            print(f"{name}: {sequences.sequence_loss(logits, target, mask):.3f} nats per token")
    print(
        f"{(~target_mask).float().mean():.0%} of all tokens are filling, and {words_right(model):.0%} of words are right"
    )

# %% [markdown]
# The model is the same, and its loss is lower when filling counts. It was never trained on filling, but at the end
# of a word it says stop, and says it again after that, which counts as right. Whoever counts it reports
# a number that is better than the model, and better for short words than for long ones.
#
# ### Warm up, stay, cool down
#
# The learning rate is not one number. Adam divides each step by the size of recent gradients, which at first it hardly
# knows; and the norms, gates and shares of a fresh model are as good as random. So the rate **rises** from almost
# nothing for some steps, then stays at its peak, and at the end falls to 0, so that the weights come to rest.
#
# **Predict.** `warmup` is 4 and the peak is 1. Which rate has the step number 0: 0 or 0.25?
#
# <details><summary>Answer</summary>
#
# 0.25. A step with rate 0 would be thrown away; the last of the four steps reaches 1.
#
# </details>

# %% exercise: bart.warmup_schedule

# %% [markdown]
# **Look.** On the left the shapes; on the right two trainings that differ in the warm-up alone, with a peak rate of
# 0.02, four times that of section 3.1. **Predict** what happens without.

# %%
with use(mine(globals())):
    shapes = {
        "linear": [schedule.warmup_schedule(step, 100, 10, 0.5) for step in range(100)],
        "cosine": [schedule.warmup_schedule(step, 100, 10, 0.0, "cosine") for step in range(100)],
    }
    fast = {}
    for name, warmup in (("50 steps of warm-up", 50), ("none", 0)):
        torch.manual_seed(0)
        fast[name] = fit(Bart(TOY), random_words, 120, rate=2e-2, warmup=warmup)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
for (name, values), style, color in zip(shapes.items(), ("-", "--"), (BLUE, ORANGE), strict=True):
    left.plot(values, style, color=color, label={"linear": "stays till half, then linear"}.get(name, name))
left.set(xlabel="step of 100", ylabel="share of the peak", title="Two schedules, 10 steps of warm-up")
left.legend()
for (name, values), mark, color in zip(fast.items(), "os", (BLUE, ORANGE), strict=True):
    right.plot(np.arange(1, len(values) + 1) * 10, values, mark + "-", color=color, label=name)
right.axhline(np.log(26), color="#999999", ls=":")
right.set(xlabel="step", ylabel="nats per token", title="Writing backwards, peak rate 0.02", ylim=(0, None))
right.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: on the left both curves rise in a straight line to 1 within ten steps; one stays there until
# half of the steps and falls in a straight line, the other falls at once in a smooth half wave. On the right the run
# with warm-up falls below 1 nat within 120 steps; the one without stays between 3 and 3.3, just below the dotted line
# at ln 26.*
#
# Without a warm-up the first steps threw the weights so far that in all 120 steps the model learned no more
# than that some letter comes. With it, the *same* peak rate works. At a rate of 0.005 both do (try it): a warm-up is not needed always, it
# makes the range of rates wider that work.

# %% [markdown]
# ## 3.9 From captions to pictures
#
# Now the real rows: captions as text tokens, pictures as the shipped VQGAN's 64 image tokens. For the small models of
# this and the next section a tokenizer of 1,024 entries is enough. Encoding all pictures takes about twenty seconds.

# %%
with use(mine(globals())):
    train_rows, dev_rows = emoji.rows("train"), emoji.rows("dev")
    tokenizer = Tokenizer.train([emoji.captions[row] for row in train_rows], TokenizerConfig(1024, text_length=32))
    encoders = tokenizer.encode_batch, pipeline.vqgan.encode
    tokens = tokenize(emoji.captions, emoji.pictures, *encoders, torch.device("cpu"), batch_size=64)
    text, text_mask = pipeline.encode_text(emoji.captions)
shipped_tokens = replace(tokens, text=text, text_mask=text_mask)  # the shipped BART has a vocabulary of its own
print(f"{len(tokens.image):,} rows of {tokens.image.shape[1]} image tokens")

# %% [markdown]
# **How surprised is the shipped BART?** The splits are those of lesson 00, from easy to hard:
#
# - `train`: what it learned from. `dev`, `iid`: unseen rows, by lot; `dev` chose the recipe.
# - `tone`: a person in a skin tone that this role and gender never had in training.
# - `combo`: a role in skin tones, seen in training in the default yellow only.
# - `cell`: a thing or person in a style that it was never seen in. `concept`: never seen at all.
#
# A number alone says little, so the same pictures are asked about again **with another row's caption**. If the model
# only knew how pictures continue, and did not read, both would be the same.
#
# **Predict.** Guessing costs 6.24 nats. How many on `train`, on `iid`, on `concept`? And where is the wrong caption
# dearest?

# %%
SPLITS = ["train", "dev", "iid", "tone", "combo", "cell", "concept"]


def nats(bart, encoded, rows, captions_of=None):
    """Nats per token of each row's picture, given its own caption or that of other rows."""
    if captions_of is not None:
        text, text_mask = encoded.text.clone(), encoded.text_mask.clone()
        text[rows], text_mask[rows] = encoded.text[captions_of], encoded.text_mask[captions_of]
        encoded = replace(encoded, text=text, text_mask=text_mask)
    return row_nats(bart, encoded, rows).numpy() / encoded.image.shape[1]


def told(values, rows):
    """The mean over rows with its 95 % interval, which resamples roles: four styles of one thing are not four facts."""
    mean = estimate(values, columns["role"][rows])
    return mean, f"{mean.mean:.2f} [{mean.low:.2f}, {mean.high:.2f}]"


by_split = {}
with use(mine(globals())):
    print("split     its own caption       another row's        difference")
    for split in SPLITS:
        rows = some_rows(emoji, split, 100)  # by lot, the same ones every time
        own, other = nats(shipped, shipped_tokens, rows), nats(shipped, shipped_tokens, rows, np.roll(rows, 1))
        by_split[split] = [told(values, rows)[0] for values in (own, other)]
        print(f"{split:9}", *[told(values, rows)[1] + "   " for values in (own, other, other - own)])
figure, axis = plt.subplots(figsize=(8, 3.2))
for number, (name, mark, color) in enumerate((("its own caption", "o", BLUE), ("another row's", "s", ORANGE))):
    means = [by_split[split][number] for split in SPLITS]
    spread = np.array([[mean.mean - mean.low, mean.high - mean.mean] for mean in means]).T
    place = np.arange(len(SPLITS)) + 0.15 * (2 * number - 1)
    axis.errorbar(place, [mean.mean for mean in means], spread, fmt=mark, color=color, capsize=3, label=name)
axis.axhline(np.log(512), color="#999999", ls=":")
axis.text(len(SPLITS) - 0.5, np.log(512), "guessing", va="bottom", ha="right", fontsize=8)
axis.set(ylabel="nats per token", ylim=(0, None), title="The shipped BART, 100 rows of each split")
axis.set_xticks(range(len(SPLITS)), SPLITS)
axis.legend(loc="lower right", fontsize=8)
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: with its own caption the surprise climbs from 1.5 nats on train to 2.4 on iid, 2.9 on combo and
# over 4 on cell and concept; with another row's it is near 7 on the easy splits, above guessing, and on concept the
# two are half a nat apart.*
#
# Three things to see. **It reads**: a wrong caption costs 4 to 5 nats per token on the splits from train to tone.
# **It is sure of itself**: with the wrong caption it is worse than guessing (6.24), for it puts its money on another
# picture. And **what it never saw it hardly reads**: on `concept` the right caption is worth half a nat.
#
# **Does it read words, or sentences?** The words between `<s>` and `</s>` in another order; no caption at all; and,
# where two captions are made of the same words, the caption of the twin.

# %%
with use(mine(globals())):
    rows = some_rows(emoji, "iid", 100)
    own = nats(shipped, shipped_tokens, rows)
    shuffled = text.clone()
    chance = torch.Generator().manual_seed(0)
    for row in rows:
        last = int(text_mask[row].sum()) - 1
        shuffled[row, 1:last] = text[row, 1:last][torch.randperm(last - 1, generator=chance)]
    empty, empty_mask = pipeline.encode_text([""])
    no_mask = torch.zeros_like(text_mask)
    no_mask[:, : empty.shape[1]] = empty_mask
    no_text = torch.zeros_like(text)
    no_text[:, : empty.shape[1]] = empty
    blind = replace(shipped_tokens, text=no_text, text_mask=no_mask)
    for name, encoded in {"other order": replace(shipped_tokens, text=shuffled), "no caption": blind}.items():
        more = nats(shipped, encoded, rows) - own
        print(f"{name}: {told(more, rows)[1]} nats per token more than with the caption as it is")
    of_words = {}
    for row, caption in enumerate(emoji.captions):
        of_words.setdefault(" ".join(sorted(caption.split())), []).append(row)
    twins = np.array([pair for pair in of_words.values() if len(pair) == 2])  # two captions of the same words
    twins = np.concatenate([twins, twins[:, ::-1]])
    print(
        f"{len(twins):,} of {len(emoji):,} captions have a twin, such as", [emoji.captions[row] for row in twins[100]]
    )
    twins = twins[np.isin(emoji.splits[twins[:, 0]], ["dev", "iid"])]
    more = nats(shipped, shipped_tokens, twins[:, 0], twins[:, 1]) - nats(shipped, shipped_tokens, twins[:, 0])
    print(f"the twin's caption: {told(more, twins[:, 0])[1]}, of {len(twins)} unseen rows")

# %% [markdown]
# Another order does hardly any harm, 0.08 nats: mostly it reads a *bag of words*, and for these captions that is
# nearly always enough. But 1,140 captions have a twin of the same words, nearly all of them two people in two skin
# tones, where the order says whose is whose. There the wrong order costs 0.6 nats. A model learns of order as much as
# its data ask for. No caption at all costs 1.3 nats, less than a wrong one: it says nothing wrong, and in training
# every tenth caption was an empty one.
#
# ### Train one
#
# With **all your functions**, in the shape of DALL·E mini but 128 wide and 2 + 2 layers deep. It takes one to two
# minutes on two quiet cores (with `MINIDALLE_QUICK=1` some ten seconds). First, what any model must beat: models that
# count.
#
# **Predict.** Which helps more: to know how frequent each code is *at its place*, or to know the token before?

# %%
image_in = sequences.shift_right(tokens.image, 512)
train_in, train_out = image_in[train_rows], tokens.image[train_rows]
dev_in, dev_out = image_in[dev_rows], tokens.image[dev_rows]
place = torch.arange(64)
frequency = torch.bincount(train_out.flatten(), minlength=512) + 1.0
frequency /= frequency.sum()


def counted(contexts, known_in, asked_in):
    """Nats per token on dev of a table: how often which code came in which context, mixed with plain frequency."""
    table = torch.bincount((known_in * 512 + train_out).flatten(), minlength=512 * contexts).view(contexts, 512)
    chance = (table + 20 * frequency) / (table.sum(dim=1, keepdim=True) + 20)
    return -chance[asked_in, dev_out].log().mean().item()


baselines = {
    "guessing": np.log(512),
    "frequency": -frequency[dev_out].log().mean().item(),
    "frequency at its place": counted(64, place.expand_as(train_out), place.expand_as(dev_out)),
    "the token before": counted(513, train_in, dev_in),
}
for name, value in baselines.items():
    print(f"{name:24} {value:.2f} nats per token on dev")

# %%
SMALL = BartConfig(
    text_vocab=1024, text_length=32, image_codes=512, image_length=64, width=128, heads=2, hidden=341,
    encoder_layers=2, decoder_layers=2, norm="normformer", embedding_norm=True, scale_before_linear=False, glu=True,
    positions="absolute",
)  # fmt: skip


def picture_batch(n, size=64):
    """Batch n: captions, their mask, image tokens, and a mask that counts them all."""
    rows = torch.from_numpy(batch_rows(train_rows, size, 0, n))
    longest = int(tokens.text_mask[rows].sum(dim=1).max())
    image = tokens.image[rows]
    return (
        tokens.text[rows, :longest],
        tokens.text_mask[rows, :longest],
        image,
        torch.ones_like(image, dtype=torch.bool),
    )


steps = 40 if QUICK else 500
torch.manual_seed(0)
yours = Bart(SMALL)
with use(mine(globals())):
    began = time.perf_counter()
    picture_losses = fit(yours, picture_batch, steps, rate=3e-3, warmup=steps // 8, precision="bf16")
    print(f"{steps} steps in {time.perf_counter() - began:.0f} seconds")
    scores = {"yours": nats(yours, tokens, dev_rows), "the shipped one": nats(shipped, shipped_tokens, dev_rows)}
    scores["yours, another row's caption"] = nats(yours, tokens, dev_rows, np.roll(dev_rows, 1))
for name, values in scores.items():
    print(f"{name:29} {told(values, dev_rows)[1]} nats per token on dev")
toned = emoji.toned[dev_rows]
for name, some in (("a skin tone is named", toned), ("none is named", ~toned)):
    difference = told((scores["the shipped one"] - scores["yours"])[some], dev_rows[some])[1]
    print(f"shipped − yours, {name}: {difference}")
figure, axis = plt.subplots(figsize=(7.5, 3.4))
axis.plot(np.arange(1, len(picture_losses) + 1) * 10, picture_losses, color=BLUE, label="yours, on training batches")
for (name, value), style in zip(baselines.items(), (":", "--", "-.", (0, (1, 1))), strict=True):
    axis.axhline(value, color="#666666", ls=style, lw=1)
    axis.text(steps, value, name, va="bottom", ha="right", fontsize=8)
axis.plot(steps, scores["yours"].mean(), "o", color=BLUE, label="yours, dev")
axis.plot(steps, scores["the shipped one"].mean(), "s", color=ORANGE, label="the shipped one, dev")
axis.set(xlabel="step", ylabel="nats per token", title="Your BART", ylim=(2, 6.6))
axis.legend(loc="lower left", fontsize=8)
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: the loss falls steeply from 6.2, crosses the lines of the counting models within the first
# hundred steps, and goes on falling, ever more slowly, to 3.1 after 500. On dev yours ends at 3.2, the shipped one
# lies at 2.5.*
#
# With 500 steps yours has 3.23 nats [3.04, 3.41] here; the shipped one, with six times the weights and fourteen times
# the steps (its decoder took part in the last three of seven), 2.53 [2.29, 2.75]. The two can be compared because they
# write the same tokens; nats per token of two different VQGANs answer two different questions. Two things are worth a thought. First, *when* it learns to read: another row's caption
# costs 0.03 nats after 100 steps, 0.1 after 200 and 0.4 after 500 (with `MINIDALLE_QUICK=1` you see the beginning:
# next to nothing). **A small model learns how pictures continue long before it learns to read**, and its falling loss
# does not say which of the two it is learning. Second, the shipped model's lead is 1.25 nats where a skin tone is
# named and only 0.2 where none is: of single things it has learned its training pictures, and they are no great help
# with others.
#
# ## 3.10 What did DALL·E mini's changes bring?
#
# Five changes, and each has a paper that says that it helps. Does it, here? To find out, make **one change after
# another** and keep all else: data, batches, steps. (One of the changes is of two parts: with the biases, `no biases`
# leaves out the scales of norms that a linear layer follows, as DALL·E mini does.) Each arm got its own best learning rate of two, chosen with a
# seed that is not used again: otherwise a change that likes another rate would be judged by the rate. And each was
# trained **three times**, from other first weights and on other batches, because two trainings of the *same* model
# differ too. That took some 45 minutes and was done once, by a script; `ablation.json` beside this notebook holds what
# came out.
#
# **Predict.** Order the five changes by what they bring after 510 steps. Which one will be indistinguishable from
# nothing?

# %%
ablation = json.loads(Path("ablation.json").read_text(encoding="utf-8"))
arms = ablation["arms"]
print("arm         weights     rate  dev, seeds 0, 1, 2      what it changes in the arm above")
for name, arm in arms.items():
    ends = "  ".join(f"{seed['dev'][-1]:.3f}" for seed in arm["seeds"].values())
    print(f"{name:10} {arm['parameters']:9,} {arm['learning_rate']:7g}  {ends}  {arm['differs']}")


def final(arm):
    """The last nats per token on dev of an arm's three seeds."""
    return np.array([seed["dev"][-1] for seed in arms[arm]["seeds"].values()])


figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4), width_ratios=[1.25, 1])
marks = zip("osD^vP", (BLUE, ORANGE, "#E69F00", GREEN, PURPLE, "#000000"), strict=True)
for (name, arm), (mark, color) in zip(arms.items(), marks, strict=False):
    curves = np.array([seed["dev"] for seed in arm["seeds"].values()])
    at = arm["seeds"]["0"]["steps"]
    left.plot(at, curves.mean(axis=0), mark + "-", color=color, ms=4, lw=1, label=name)
    left.fill_between(at, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.25, lw=0)
left.set(
    xlabel="step", ylabel="nats per token on dev", title="Mean of three seeds; the band is their range", ylim=(3.2, 5.2)
)
left.legend(fontsize=8)
names = list(arms)
for number, (before, name) in enumerate(itertools.pairwise(names)):
    change = final(name) - final(before)  # seed by seed: both had the same batches
    half = 4.30 * change.std(ddof=1) / np.sqrt(3)  # 95 % by Student's t with two degrees of freedom
    right.errorbar(change.mean(), -number, xerr=half, color="#666666", capsize=4)
    right.plot(change, [-number] * 3, "o", color=BLUE, mfc="none")
    print(f"{before} → {name}: {change.mean():+.3f} ± {half:.3f}")
right.axvline(0, color="#999999", ls=":")
right.set_yticks([-number for number in range(len(names) - 1)], [f"→ {name}" for name in names[1:]])
right.set(xlabel="change in nats per token (left is better)", title="One change each: three seeds, 95 % interval")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: on the left six curves of the loss on dev over 510 steps. Those of bart and pre-norm run
# together and end at 3.6, the four others run together below them and end between 3.27 and 3.38. On the right the five
# changes, each with three dots and an interval: normformer far to the left at −0.24, glu at −0.06 and untied at −0.08
# a little to the left of zero, pre-norm and no biases on both sides of it.*
#
# **One change does most of it: NormFormer's norms**, −0.24 ± 0.07 nats. **GLU** is worth a quarter of that, −0.06 ±
# 0.03, with no more weights. **Untied tables**: −0.08 ± 0.07, just beyond the noise, and they have 12 % more weights,
# so that tables of one's own and a larger model cannot be told apart here. **Pre-norm alone and no biases cannot be
# told from nothing**, +0.01 ± 0.07 and +0.03 ± 0.06; leaving biases out is then a matter of taste and of speed.
#
# Be as strict with this table as with those of others:
#
# - It is of one small model after 510 steps. What learns *faster* need not end up *better*.
# - The changes were made in one order; GLU without NormFormer may be another matter.
# - Of two learning rates the higher won in all six arms: an arm that would bear an even higher one has not shown all.
# - With five intervals of 95 %, one table in four has one that misses.
# - `dev` has chosen the rates, too; but all arms had the same choice.
#
# **One arm again, with your functions.** The file's recipe, the same seed and the same batches: if your functions are
# right, your points fall on the published curve. Up to a minute; `MINIDALLE_QUICK=1` takes the first 30 steps only.

# %%
from minidalle.training.bart import BartStage
from minidalle.training.config import BartTraining
from minidalle.training.distributed import Ranks

again = 30 if QUICK else 120
recipe = BartTraining(**{**ablation["recipe"]["training"], "learning_rate": arms["untied"]["learning_rate"]})
with use(mine(globals())):
    torch.manual_seed(runtime.stream_seed(0, "bart weights"))
    codec = minidalle.TextToImage(tokenizer, pipeline.vqgan, shipped)
    stage = BartStage(recipe, Bart(SMALL), emoji, tokens, codec, 0, Ranks())
    rerun = {}
    for n in range(again):
        stage.step(n)
        if (n + 1) % 30 == 0:
            rerun[n + 1] = stage.evaluate()["dev_loss"]
            there = dict(zip(arms["untied"]["seeds"]["0"]["steps"], arms["untied"]["seeds"]["0"]["dev"], strict=True))
            print(f"step {n + 1:3}: yours {rerun[n + 1]:.4f}, in the file {there[n + 1]:.4f}")

# %% [markdown]
# To the fourth decimal, if your processor rounds as ours did; otherwise a little beside, and the more so the longer it
# goes on. A result that anybody can repeat, seed by seed, is one that can be argued about.
#
# ## 3.11 What attention shows, and what not
#
# The shipped BART has three cross-attentions, in which each of the 64 cells looks at the caption's words. Such shares
# are often shown as an explanation: "the model drew the hat here because of *this* word". Look first, then test.
#
# **Predict.** Where will the cells of the helmet look? And which token gets most of all? (The functions in the cells
# of this section are for measuring; they need not be read.)

# %%
from minidalle.reports.trace import text_pieces


def crosses(caption, row):
    """A caption's pieces, and the shares [N, T] that the cells of a row's picture give to them, mean of layers and heads."""
    text, text_mask = pipeline.encode_text([caption])
    decoder_input = sequences.shift_right(tokens.image[[row]], shipped.config.start_token)
    shares = shares_of(shipped, text, text_mask, decoder_input)["cross"]
    pieces = [piece.name for piece in text_pieces(pipeline.tokenizer, caption)]
    return pieces, torch.cat(shares).mean(dim=(0, 1))[:, : len(pieces)]


row_named = {caption: row for row, caption in enumerate(emoji.captions)}
shown = ["woman firefighter dark skin tone, noto style", "red apple, twemoji style"]
with use(mine(globals())):
    figure, axes = plt.subplots(2, 8, figsize=(12, 3.6))
    for line, caption in zip(axes, shown, strict=True):
        pieces, shares = crosses(caption, row_named[caption])
        line[0].imshow(emoji.pictures[row_named[caption]])
        line[0].set_title("the picture", fontsize=8)
        chosen = [place for place, piece in enumerate(pieces) if piece not in (",", "-")][:7]
        for axis, place in zip(line[1:], chosen, strict=False):
            axis.imshow(shares[:, place].view(8, 8), cmap="cividis", vmin=0, vmax=0.3)
            axis.set_title(f"{pieces[place].strip('␣')}  {shares[:, place].mean():.0%}", fontsize=8)
        print(
            caption, "→ shares:", {piece: f"{share:.0%}" for piece, share in zip(pieces, shares.mean(0), strict=True)}
        )
    for axis in axes.flat:
        axis.axis("off")
    figure.tight_layout()
    plt.show()

# %% [markdown]
# *The figure in words: two pictures, a firefighter and an apple, and for each text token a map of the 8 × 8 cells. The
# map of `<s>` is bright everywhere, with 89 % and 68 % of all attention. For the firefighter the map of `tone` lights
# up where the face is; the others are nearly dark. For the apple `twemoji` is bright almost everywhere.*
#
# A tempting figure: *tone* lights up on the face! But nine tenths of the attention go to `<s>`, which says nothing. It
# is a place to look at when there is nothing to look for; such **attention sinks** are found in large models, too
# (Xiao and others 2024). And `apple`, the one word that says what to draw, gets 1 %.
#
# **The test.** If a share told what matters, then hiding a much-looked-at word should change the predictions much. So
# hide each word in its turn, from cross-attention only, and measure how far the prediction at each cell moves
# (Kullback–Leibler divergence, in nats). For each picture, the words are ranked by share and by effect.
#
# A second way to hide: take the word from the caption altogether. That cuts two other ways, too: the encoder has mixed
# every word into its neighbors' vectors; and our BART has a *draft*, a short way from the mean of the caption's
# vectors to each cell, which DALL·E mini has not. How much goes by which way? The last lines give a wrong caption to
# one of them, and the right one to the other.


# %%
def ranks(values):
    """Each value's place in the order, for a rank correlation."""
    return values.argsort().argsort().float()


@torch.no_grad()
def share_and_effect(bart, encoded, row):
    """For each token of a row's caption: its mean share, and how far hiding it moves the predictions, in two ways."""
    count = int(encoded.text_mask[row].sum())
    text, real = encoded.text[[row], :count], encoded.text_mask[[row], :count]
    without = ~torch.eye(count, dtype=torch.bool)  # row t hides token t
    inputs = sequences.shift_right(encoded.image[[row]], bart.config.start_token)
    share = torch.cat(shares_of(bart, text, real, inputs)["cross"]).mean(dim=(0, 1, 2))
    memory, draft = bart.encode(text, real), None
    full = bart(text, real, inputs).log_softmax(-1)
    many = inputs.expand(count, -1)
    if bart.config.draft_width:  # the draft still sees all words
        draft = Draft(*(part.expand(count, -1, -1) for part in bart.draft(memory, real)))
    hidden = bart.decode(memory.expand(count, -1, -1), without, many, draft).log_softmax(-1)
    gone = bart(text.expand(count, -1), without, many).log_softmax(-1)
    return share, *((full.exp() * (full - other)).sum(dim=-1).mean(dim=1) for other in (hidden, gone))


def compare(measured, number):
    """Words' shares, their effects (1: hidden from cross-attention, 2: taken away), and both compared, as a text."""
    pairs = [(parts[0][1:-1], parts[number][1:-1]) for parts in measured]  # without <s> and </s>
    rank = np.mean([np.corrcoef(ranks(share), ranks(effect))[0, 1] for share, effect in pairs])
    same = np.mean([int(share.argmax() == effect.argmax()) for share, effect in pairs])
    chance = np.mean([1 / len(share) for share, _ in pairs])
    said = f"rank correlation {rank:.2f}; the most looked-at word matters most in {same:.0%} (by chance {chance:.0%})"
    return *(torch.cat(values) for values in zip(*pairs, strict=True)), said


@torch.no_grad()
def nats_by_way(rows, cross, draft):
    """Nats per token of rows' pictures where cross-attention sees the captions of some rows, the draft those of others."""
    by_cross, by_draft = [(shipped_tokens.text[some], shipped_tokens.text_mask[some]) for some in (cross, draft)]
    guess = shipped.draft(shipped.encode(*by_draft), by_draft[1])
    inputs = sequences.shift_right(tokens.image[rows], shipped.config.start_token)
    logits = shipped.decode(shipped.encode(*by_cross), by_cross[1], inputs, guess)
    return sequences.sequence_loss(logits, tokens.image[rows]).item()


with use(mine(globals())):
    rows = some_rows(emoji, "iid", 30)
    measured = [share_and_effect(shipped, shipped_tokens, int(row)) for row in rows]
    without_draft = [share_and_effect(yours, tokens, int(row)) for row in rows]
    other = np.roll(rows, 1)
    ways = {"both right": (rows, rows), "cross-attention wrong": (other, rows), "draft wrong": (rows, other),
            "both wrong": (other, other)}  # fmt: skip
    ways = {name: nats_by_way(rows, *captions) for name, captions in ways.items()}
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6))
for axis, number, name in ((axes[0], 1, "hidden from cross-attention"), (axes[1], 2, "taken from the caption")):
    share, effect, said = compare(measured, number)
    print(f"the shipped one, word {name}: {said}")
    axis.plot(share, effect, ".", color=BLUE)
    axis.set(xlabel="share of the cells' attention", ylabel="nats that the predictions move", title=f"A word {name}")
    axis.set(xscale="log", yscale="log")
figure.tight_layout()
plt.show()
print(f"yours, which has no draft, word taken from the caption: {compare(without_draft, 2)[-1]}")
for name, parts in (("shipped", measured), ("yours", without_draft)):
    ends = torch.stack([torch.stack([share[0], share[-1], share[1:-1].sum()]) for share, *_ in parts]).mean(dim=0)
    print(f"{name}: share of <s> {ends[0]:.0%}, of </s> {ends[1]:.0%}, of all words {ends[2]:.0%}")
print("the shipped one, nats per token:", ", ".join(f"{name} {value:.2f}" for name, value in ways.items()))

# %% [markdown]
# *The figure in words: two clouds on logarithmic axes, share against effect. Hidden from cross-attention, the effect
# rises with the share almost on a line, but never passes a tenth of a nat. Taken from the caption, words move
# predictions by up to several nats, and words of the same share lie in two heaps, a thousandfold apart.*
#
# **Within its own layer, attention tells the truth**: of what a cell hears through cross-attention, more comes from
# where it looks more (rank correlation 0.82). **As an explanation of the picture it fails**: if a word is really taken
# away, the most looked-at word is the one that matters in 17 % of the pictures, and picking at random would give 14 %.
# The last line says why. With a wrong caption in cross-attention the loss hardly changes; with a wrong one in the
# draft it is 4.5 nats worse. The shipped BART reads *by its draft*, and the maps above show a way that it hardly uses.
# Nothing in the maps could have told you; an intervention did.
#
# **And without a draft?** Yours has none, and must read by cross-attention. After 500 steps 77 % of its attention go
# to words, not 14 %, and the most looked-at word matters most in 40 %, with a rank correlation of 0.60: above chance
# (13 %), and still not in most pictures. And a warning about the measure: with the few steps of `MINIDALLE_QUICK=1`
# the 40 % are reached, too, by a model that does not read at all. Ranks do not say how large an effect is; look at the
# nats. So "is attention an explanation?" has no answer in general. Measure it, on *your* model.
#
# ### Whom does it show?
#
# A caption such as `judge, noto style` names neither gender nor skin. The model has to draw somebody. **Whom?** The
# data have 22 occupations and the like that come as a man, as a woman and with neither word. Each is drawn in all four
# styles, and of the real men and women of that role and style, in all skin tones, the one that is nearest in pixels
# tells what came out. Beside it, the same for what the *artist* drew for the neutral word.
#
# And two words that people use, but that no caption has: `doctor` and `nurse`. In the list of other words that
# training used for four captions in ten, both belong to the very same pictures: those of the `health worker`, man,
# woman or neither.
#
# **Predict.** How many of 100 of these figures are men? In which skin tone? And doctors, and nurses?

# %%
from minidalle.evaluation.distances import pixel_distances

STYLES = ["noto", "fluent", "twemoji", "openmoji"]
gender, tone, role_of, style_of = (columns[name] for name in ("gender", "tone", "role", "style"))
bare = {name: {*role_of[(gender == name) & (tone == "")]} for name in ("", "man", "woman")}
occupations = sorted(bare[""] & bare["man"] & bare["woman"])


def who_is_it(pictures, roles, styles):
    """Of each picture: is the nearest of that role's men and women a man, has it no tone, is the nearest of all in the role?"""
    far = pixel_distances(pictures, emoji.pictures)
    own = (role_of == roles[:, None]) & (style_of == styles[:, None]) & np.isin(gender, ["man", "woman"])
    nearest = far.masked_fill(~torch.from_numpy(own), torch.inf).argmin(dim=1).numpy()
    return gender[nearest] == "man", tone[nearest] == "", role_of[far.argmin(dim=1).numpy()] == roles


roles, styles = np.repeat(occupations, 4), np.tile(STYLES, len(occupations))
captions = [f"{role}, {style} style" for role, style in zip(roles, styles, strict=True)]
there = np.array([caption in row_named for caption in captions])  # not every artist drew every one
roles, styles, captions = roles[there], styles[there], [caption for caption in captions if caption in row_named]
by_artists = emoji.pictures[[row_named[caption] for caption in captions]]


def draw(some, seeds):
    """Drawn by the shipped model, with its settings; lesson 04 says what sampling is."""
    return pipeline.draw(some, seeds, SHIPPED.sampling)


with use(mine(globals())):
    by_model = draw_many(draw, captions, [0] * len(captions))
    words = [f"{word}, {style} style" for word in ("doctor", "nurse") for style in STYLES for _ in range(4)]
    by_word = draw_many(draw, words, [*range(4)] * 8)
is_man, no_tone, is_right = {}, {}, {}
for name, pictures in (("the artists", by_artists), ("the model", by_model)):
    is_man[name], no_tone[name], is_right[name] = who_is_it(pictures, roles, styles)
    men = told(is_man[name].astype(float), np.array([row_named[caption] for caption in captions]))[1]
    each = "  ".join(f"{style} {is_man[name][styles == style].mean():.0%}" for style in STYLES)
    print(f"{name:12} men: {men}   {each}   without a skin tone: {no_tone[name].mean():.0%}")
print(
    f"the model's figure has the gender of the artist's in {(is_man['the artists'] == is_man['the model']).mean():.0%}"
)
for number, word in enumerate(("doctor", "nurse")):
    found = who_is_it(by_word[16 * number :][:16], np.full(16, "health worker"), np.repeat(STYLES, 4))
    is_man[word], no_tone[word], is_right[word] = found
    print(f"{word:12} men: {found[0].mean():.0%} of 16")

# %% [markdown]
# **Predict.** Twice as many doctors as nurses are men, from the very same pictures! Would you publish it? What would
# you do first?

# %%
figure, axes = plt.subplots(4, 10, figsize=(11, 4.6))
shown = [
    occupations.index(name) for name in ("judge", "scientist", "firefighter", "teacher", "artist", "health worker")
]
for place, style in enumerate(STYLES):
    line = [by_model[captions.index(f"{occupations[number]}, {style} style")] for number in shown]
    line += [by_word[start + 4 * place + seed] for start in (0, 16) for seed in (0, 1)]
    for axis, picture in zip(axes[place], line, strict=True):
        axis.imshow(picture)
        axis.set(xticks=[], yticks=[])
    axes[place, 0].set_ylabel(style)
for axis, name in zip(
    axes[0], [*(occupations[number] for number in shown), *["doctor"] * 2, *["nurse"] * 2], strict=True
):
    axis.set_title(name, fontsize=8)
figure.tight_layout()
plt.show()
for name in ("the model", "doctor", "nurse"):
    print(f"{name}: the nearest of all {len(emoji):,} pictures is of the right role in {is_right[name].mean():.0%}")

# %% [markdown]
# *The figure in words: six occupations in four styles, all of them yellow people, soft but plain to see; Noto's mostly
# with longer hair, the others' mostly men. The four columns of doctor and nurse show no people: pale blue, red and
# blue squares, some smudges.*
#
# Two findings, and the second is about us. **The default is the artist's**: about seven of ten neutral figures are
# nearer to the man, from one in four (Noto) to nearly all (OpenMoji), and the model's figure has the gender of the
# artist's in 97 %. Nearly all are yellow, the color of no tone named. It invents no stereotype; it hands on the one it
# got, caption by caption.
#
# **And doctors and nurses were never drawn.** The method says man or woman of *anything*, a red square included, and
# its 81 % against 44 % looked like a discovery. Look at the pictures before you count them, and give each measure a
# way to say "neither". That the model shows a square when it does not know a word, and no person, is a failure of
# another kind: those words stood in its training.

# %% [markdown]
# ## 3.12 My training looks like this
#
# Six pictures that everybody meets who trains such a model, each made here in a few seconds with words written
# backwards.


# %%
def mixed_up(n):
    """A batch in which texts and targets belong to different words."""
    text, text_mask, target, target_mask = random_words(n)
    return text.roll(1, 0), text_mask.roll(1, 0), target, target_mask


def always_the_same(n):
    """128 words, again and again."""
    return random_words(n % 2)


with use(mine(globals())):
    sick = {"healthy": unshifted["shifted"], "1": unshifted["not shifted"]}
    for name, batches, options in [
        ("2", random_words, {"masked": False}),
        ("3", mixed_up, {}),
        ("5", always_the_same, {}),
    ]:
        torch.manual_seed(0)
        model = Bart(TOY)
        sick[name] = fit(model, batches, 120, **options)
        if name == "5":
            text, text_mask, target, target_mask = random_words(10**6, 500)
            with torch.no_grad():
                logits = model(text, text_mask, sequences.shift_right(target, START))
            unseen = sequences.sequence_loss(logits, target, target_mask).item()
    torch.manual_seed(0)
    model = Bart(TOY)
    with torch.no_grad():
        model.decoder["head"].weight *= 30
    sick["6"] = fit(model, random_words, 120)
figure, axes = plt.subplots(2, 3, figsize=(11, 5.6), sharex=True)
at = np.arange(1, 13) * 10
titles = [
    "1 Too good, too soon",
    "2 Lower, and no better",
    "3 Stuck",
    "4 Stuck after a high rate",
    "5 Learned by heart",
]
titles += ["6 Begins far too high"]
for axis, title in zip(axes.flat, titles, strict=True):
    number = title[0]
    axis.plot(at, sick["healthy"], "o-", color=BLUE, ms=4, label="healthy")
    if number == "4":
        axis.plot(at, fast["none"], "s--", color=ORANGE, ms=4, label="no warm-up, rate 0.02")
    else:
        axis.plot(at, sick[number], "s--", color=ORANGE, ms=4, label="sick")
    axis.set(title=title, ylim=(0, 4.2 if number != "6" else None))
axes[0, 2].axhline(np.log(26), color="#999999", ls=":")
axes[1, 1].plot(120, unseen, "^", color=GREEN, ms=9, label="on unseen words")
for axis in axes.flat:
    axis.legend(fontsize=8)
for axis in axes[1]:
    axis.set_xlabel("step")
for axis in axes[:, 0]:
    axis.set_ylabel("nats per token")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: six small plots, the healthy curve in blue in each, falling from 3.4 to 0.1 in 120 steps. 1 is
# near zero from step 40 on. 2 runs a little below the healthy one. 3 stays at 3.1, and 4 a little above 3. 5 falls
# faster than the healthy one, to nearly 0, but the loss on unseen words, a triangle, is 3.7: worse than guessing. 6
# starts at 29, falls steeply, and is still a little above the healthy curve at the end.*
#
# | | it looks like this | because | do this |
# |---|---|---|---|
# | 1 | loss near 0 within an epoch; what is written is rubbish | the target leaks: no shift, or no causal mask | change a later token: nothing before it may move (section 3.3) |
# | 2 | a lower loss than others, with no better results | filling is counted | a mask in the loss; compare it on rows without filling |
# | 3 | falls to the entropy of single tokens and stays | the text says nothing: rows mixed up, its mask inverted, cross-attention over the wrong tokens | another row's caption should cost more (section 3.9) |
# | 4 | flat or jumping from the first steps on | the rate is too high for a fresh model, no warm-up, gradients not clipped | a warm-up, a third of the rate; look at the gradient's length |
# | 5 | training loss falls on, held-out loss rises | few rows, seen too often | more or varied data, dropout, stop where `dev` is best |
# | 6 | the first loss is far above ln K | weights of the head or the tables begin too large, or nothing divides by √d | check the first loss against ln K before you wait for an hour |
#
# ## 3.13 What goes wrong in real life
#
# **Improvements that do not travel.** Narang and others put many published changes to the transformer into one code
# base, and trained all of them alike: most brought nothing. Gated layers were among those that did. A table of three
# seeds, as above, is the least that one should ask for.
#
# **Warm-up as a crutch.** Xiong and others showed why post-norm models need it: at the start, gradients near the last
# layers are large. Pre-norm, used nearly everywhere today, removes most of the need, though not all of it: the model
# of section 3.8 is pre-norm, and at four times the rate it was lost without.
#
# **Maps as proof.** "Attention is not explanation" (Jain and Wallace) found other shares that give the same
# predictions; "Attention is not *not* explanation" (Wiegreffe and Pinter) answers that it depends on what one calls an
# explanation, and proposes tests. You have made one of your own above.
#
# **A default that is somebody.** Bianchi and others asked Stable Diffusion for occupations without a word of gender or
# color, and got people more lopsided than the occupations are; naming the contrary often did not help. A model has to
# draw *somebody*; who that is was decided by whoever made and chose its pictures.
#
# - S. Narang and others: *Do Transformer Modifications Transfer Across Implementations and Applications?*, EMNLP 2021,
#   arXiv:2102.11972.
# - R. Xiong and others: *On Layer Normalization in the Transformer Architecture*, ICML 2020, arXiv:2002.04745.
# - G. Xiao and others: *Efficient Streaming Language Models with Attention Sinks*, ICLR 2024, arXiv:2309.17453.
# - S. Jain, B. Wallace: *Attention is not Explanation*, NAACL 2019, arXiv:1902.10186.
# - S. Wiegreffe, Y. Pinter: *Attention is not not Explanation*, EMNLP 2019, arXiv:1908.04626.
# - F. Bianchi and others: *Easily Accessible Text-to-Image Generation Amplifies Demographic Stereotypes at Large
#   Scale*, FAccT 2023, arXiv:2211.03759.

# %% written: bart.a_colleagues_table [markdown]
# points: 3
# question: **In your own words** (four or five sentences). A colleague has changed three things in a BART at once and
# shows: old 3.61, new 3.58 nats per token on `dev`, one training each. "It is better, and the attention maps prove
# that it now looks at the right words." What three things do you ask for before you believe the first half of the
# sentence? What would you have to do to say anything about the second half?
# rubric:
# - 1 point: several seeds for both, paired on the same batches, and an interval: 0.03 is compared with how far
#   trainings of one model lie apart (section 3.10). "More data" alone is no answer.
# - 1 point: one change at a time, each with a learning rate of its own and as many weights and steps; or: that `dev`
#   has chosen, so another split should report. One of these with its reason is enough.
# - 1 point: a test of what attention claims: hide or replace a word and measure how predictions change, beside a
#   baseline such as another word; looking at maps, however many, does not count.
# answer:
# I would ask for at least three seeds of both, trained on the same batches, and for the differences with an interval:
# trainings of one model differ by about as much as 0.03. I would ask for the three changes one by one, each with its
# own best learning rate, for otherwise one may help and two may hurt. If dev has chosen the rate, another split has to
# report. For the maps, I would hide the words in turn and measure which of them moves the predictions; only if words
# with large shares move them more than words with small ones do the maps say something about what the model uses.

# %% [markdown]
# ## Bonus: write the tests yourself
#
# These are the mistakes that the check of `split_heads` knows by name. A test here is a shape: B rows, T tokens, D
# features, and the number of heads; `x` then counts 0, 1, 2, … The first finds few. Which shapes find all? How small
# can they be?

# %%
from minidalle.exercises import EXERCISES
from minidalle.exercises.exercise import mistake

inputs = [((1, 1, 4), 1)]  # add yours: a shape (B, T, D), and a number of heads

exercise, found = EXERCISES["bart.split_heads"], 0
for wrong in exercise.wrong:
    finds = []
    for shape, heads in inputs:
        x = torch.arange(float(np.prod(shape))).view(shape)
        right = exercise.reference(x, heads)
        try:
            answer = wrong(x, heads)
            differs = answer.shape != right.shape or not torch.equal(answer, right)
        except Exception:  # a mistake that crashes is found, too
            differs = True
        finds += [f"{shape}, {heads} heads"] if differs else []
    found += bool(finds)
    print("✓ found by" if finds else "✗ not found", *finds[:1], "–", mistake(wrong)[0])
print(f"{found} of {len(exercise.wrong)} mistakes found; inputs: {len(inputs)}")

# %% [markdown]
# ## Where to read on
#
# - A. Vaswani and others: *Attention Is All You Need*, NeurIPS 2017, arXiv:1706.03762: attention, heads, masks,
#   warm-up.
# - M. Lewis and others: *BART: Denoising Sequence-to-Sequence Pre-training*, ACL 2020, arXiv:1910.13461.
# - N. Shazeer: *GLU Variants Improve Transformer*, 2020, arXiv:2002.05202.
# - S. Shleifer, J. Weston, M. Ott: *NormFormer: Improved Transformer Pretraining with Extra Normalization*, 2021,
#   arXiv:2110.09456.
# - B. Dayma and others: *DALL·E mini*, 2021, doi:10.5281/zenodo.5146400.
# - In this package: `minidalle/bart/attention.py`, `layers.py` and `sequences.py` are what you have just written;
#   `model.py` puts them together, `training/bart.py` trains.
#
# **Next:** lesson 04, in which your BART's chances become pictures.

# %% instructor [markdown]
# **For the instructor.** About six hours; good places to stop are the ends of 3.4, 3.7 and 3.9. Planned as the
# longest are `attend`, `decoder_layer` and `sequence_loss`. The check names the usual mistakes (a mask after the
# softmax, a reshape in place of a transpose, a sum made with what has entered, filling that counts): let it speak
# first. All trainings together take about three minutes on two cores; set `MINIDALLE_QUICK=1` in a computer room.
# `ablation.json` is made by `benchmarks/ablation.py`, which has to be run again if the package's layers change what
# they compute. If time is short, leave out `warmup_schedule` and `padding_mask` with a `course.toml`
# (docs/authoring.md).
