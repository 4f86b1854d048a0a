# ---
# title: Generalization
# minutes: 420
# ---

# %% [markdown]
# Your model draws. Has it understood something, or does it remember? A loss on training pictures cannot say, and one
# number on held-out pictures says less than it seems. In this lesson you hold out in five ways, put honest intervals on
# what comes out, let a model learn nonsense by heart, look at how its loss bends, and test whether a drawing is a copy.
# And you take apart a theory that you hear everywhere: that flat minima generalize.
#
# ![Four boxes in a row: caption, text tokens, image tokens, pictures. A bracket over all of them, which asks: seen, or unseen? It is this lesson.](pipeline.svg)
#
# **You will be able to**
#
# - hold out what a question is about, and say what a random split hides;
# - measure a generalization gap with an interval that holds what it promises, and take out how hard the pictures are;
# - compute eigenvalues, trace and spectrum of a Hessian that is too large to write down;
# - train with SAM, draw a loss landscape, and show why flatness alone explains nothing;
# - test whether a model copies, against pictures that it cannot have copied.
#
# **You need** lessons 01 to 04 for the pictures, and of the functions in them none: everything runs with the shipped
# weights. Derivatives of functions of several variables should be familiar. Seven to nine hours; each section can be done
# on another day. After a restart of the kernel let the cells above run again (*Run All Above Selected Cell*).
#
# **How a section goes** is as before: predict, read something worked, write, check, look. Hints are folded, and nothing
# has to be finished before you go on. Cells that take longer than some ten seconds say so above.
#
# **Do you remember?** Answer first, then unfold.
#
# <details><summary>Lesson 00: why are exact copies put into one split?</summary>
#
# A held-out picture that is also in training is no held-out picture.
#
# </details>
# <details><summary>Lesson 00: what does an interval over roles say that one over rows does not?</summary>
#
# Four artists' drawings of one thing are not four independent facts. Who resamples rows believes too much.
#
# </details>
# <details><summary>Lesson 03: what is a nat, and what does guessing among 512 codes cost?</summary>
#
# The unit of surprise: something that had the chance p surprises by −ln p nats. ln 512 = 6.24 of them, or 9 bits.
#
# </details>
# <details><summary>Lesson 03: another row's caption costs 4 to 5 nats on seen roles and half a nat on unseen ones. What does that say?</summary>
#
# That the model reads what it knows, and hardly what it does not. In section 5.3 this becomes a measure.
#
# </details>
# <details><summary>Lesson 04: why may a judge that chose not report?</summary>
#
# What was chosen by a score has a high score, whether or not it is good. The same holds for a split that chose.
#
# </details>

# %% setup
import json
import os
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

import minidalle
from minidalle.bart import Bart, BartConfig, sequences
from minidalle.course import mine, use
from minidalle.data import emoji_pictures, splits
from minidalle.data.pixels import sheet
from minidalle.data.splits import Row
from minidalle.evaluation import some_rows
from minidalle.evaluation.drawing import draw_rows
from minidalle.evaluation.reconstruction import reconstruct
from minidalle.generalization import copying, gap, landscape, memorization, rescaling, sharpness
from minidalle.generalization import lanczos as spectrum
from minidalle.generalization.mean_loss import bart_loss
from minidalle.presets import SHIPPED
from minidalle.runtime import numpy_generator
from minidalle.tokenization import Tokenizer, TokenizerConfig
from minidalle.training import sam

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"  # Okabe and Ito's, told apart by everybody
QUICK = bool(os.environ.get("MINIDALLE_QUICK"))  # fewer rows and steps: then numbers differ from those in the text
SPLITS = ("iid", "cell", "tone", "combo", "concept")

emoji = emoji_pictures(32)  # drawn once, which takes some ten seconds, and then kept
columns, roles = emoji.columns, emoji.columns["role"]
pipeline = minidalle.load()  # the weights that come with the package
train_rows = emoji.rows("train")
print(f"{len(emoji):,} pictures, {len(train_rows):,} of them in train")


# What follows draws figures and tells numbers, and need not be read.
def show(pictures, width, labels=(), title="", scale=3):
    """Show pictures, uint8 [B, H, W, 3], so many in a row; `labels` stand beside the rows."""
    framed = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=190)  # a white picture is seen, too
    page = sheet(framed, width, scale)
    figure, axis = plt.subplots(figsize=(11, 11 * page.shape[0] / page.shape[1] + 0.4))
    axis.imshow(page, interpolation="nearest")
    axis.set_yticks([(i + 0.5) * page.shape[0] / len(labels) for i in range(len(labels))], labels, fontsize=8)
    axis.set(xticks=[], title=title)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    figure.tight_layout()
    plt.show()


def with_reach(value, reach, digits=2):
    """A number and its 95 % interval: `+1.05 [+0.85, +1.25]`."""
    return f"{value:+.{digits}f} [{value - reach:+.{digits}f}, {value + reach:+.{digits}f}]"


def over_seeds(values):
    """Mean of a few seeds and half of its 95 % interval, by Student's t."""
    values = np.asarray(values, float)
    quantile = {3: 4.30, 4: 3.18, 5: 2.78, 10: 2.26}[len(values)]
    return values.mean(), quantile * values.std(ddof=1) / np.sqrt(len(values))


# %% [markdown]
# ## 5.1 What is held out?
#
# "Tested on unseen data" can mean very different things. Take a waving hand in five skin tones by four artists, twenty
# pictures. Hold out one at random, and nineteen near copies of it stay in training. Hold out all twenty, and none does.
# Both are unseen.
#
# So name a split after *what* is unseen. A **role** is what a picture shows, without tone, gender and style: `waving
# hand`, `red apple`. If the waving hand is drawn, its twenty pictures go
#
# | split | out | stay in training |
# |---|---|---|
# | `iid` (independent and identically distributed) | one of them, drawn on its own | the other 19 |
# | `cell` | the five tones of one artist | 15, by the other three |
# | `tone` | one tone, by all four artists | 16, in the other four tones |
# | `combo` | all tones but the default yellow, 16 | the four yellow ones |
# | `concept` | all 20 | none |
#
# To hold out roles, draw *roles* by lot, and take all rows of those. A lot should depend on the role's name and a seed,
# and on nothing else: then it stays when rows are sorted, added or removed. `draw_lot(seed, name)` is such a lot, a
# hash. Python's own `hash` of a text is another one in every session.
#
# Worked, on a neighboring problem: who has to bring the cake? The smallest lot of four.

# %%
for seed in (0, 1):
    lots = {name: splits.draw_lot(seed, name).hex()[:6] for name in ("Ada", "Bo", "Cy", "Di")}
    print(f"seed {seed}: {lots} → {min(lots, key=lots.get)}")

# %% [markdown]
# **Predict.** 12 rows of 3 roles, one of which has ten rows. A third of the *roles* is held out. How many rows can that
# be? And what would go wrong if single rows were drawn, until a third of the *rows* is held out?
#
# <details><summary>Answer</summary>
#
# One role: 1 row or 10. Drawn row by row, the large role would be on both sides, nearly for sure.
#
# </details>
#
# **Your turn.**

# %% exercise: generalization.hold_out_groups

# %% [markdown]
# **Look.** `make_splits` makes a split of each kind with your function, for this figure alone: the shipped model was
# trained on another partition, `emoji.rows("train")`. How far is a held-out picture from the nearest one in training?
# The distance is the root mean squared difference over the pixels that at least one of the two has drawn on.
# **Predict**: which kinds of unseen are the nearest, and how much nearer than `concept`? (Half a minute.)

# %%
KEYS = ("key", "style", "role", "gender", "tone", "duplicate_of")
rows_of_data = [Row(*values) for values in zip(*(columns[key].tolist() for key in KEYS), strict=True)]
figure, axis = plt.subplots(figsize=(8, 3.6))
with use(mine(globals())):
    for kind, style, color in zip(
        SPLITS, ("-", "--", "-.", ":", "-"), (BLUE, GREEN, ORANGE, PURPLE, "#000000"), strict=True
    ):
        names = np.array(splits.make_splits(rows_of_data, kind, seed=1, share=0.1))
        unseen, seen = np.flatnonzero(names == kind), np.flatnonzero(names == "train")
        some = numpy_generator(0, "some", kind).permutation(unseen)[: 40 if QUICK else 100]
        known = set(roles[seen].tolist())
        far, _ = copying.nearest_distances(emoji.pictures[some], emoji.pictures[seen])
        far = far.sqrt().numpy()
        print(
            f"{kind:8} {len(unseen):5,} unseen, {len(seen):6,} seen; role is seen: "
            f"{np.mean([role in known for role in roles[unseen]]):4.0%}; distance, median: {np.median(far):.3f}"
        )
        axis.step(np.sort(far), np.arange(1, len(far) + 1) / len(far), style, where="post", color=color, label=kind)
axis.set(xlabel="distance to the nearest training picture", ylabel="share of unseen pictures", xlim=(0, None))
axis.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: five rising curves. Those of tone and iid lie at the left, combo beside them; concept and cell lie
# at the right, nearly one upon the other.*
#
# Half of the unseen pictures of `tone` have a picture in training that is 0.09 or less away, those of `iid` 0.14: near
# copies in another skin tone, or of the other gender. For a role in an unseen style (`cell`), which is in training, but
# drawn by somebody else, the nearest is as far away as for whole unseen roles (`concept`), if not farther. So a random
# split is not a hard test, and "the role is seen" does not make an easy one.
#
# Two rules follow. What is *reported* has to be held out in the way that the claim needs: "draws unseen people" needs
# `tone` or `combo`, and "knows what a kiwi is" needs `concept`. And what *chooses* (a checkpoint, a learning rate, a
# picture for the paper) has seen the split: that is what the sixth split of this data is for, `dev`, and no other.
#
# ## 5.2 How surprised, and how sure?
#
# The loss of lesson 03 is a mean over tokens. How sure is it? The formula that everybody knows, $s/\sqrt n$ with n
# tokens, is for *independent* numbers. But the tokens of a picture are hard or easy together. What was drawn by lot
# were pictures, so pictures are what may vary.
#
# If pictures have different numbers of tokens that count, the mean is a ratio $m = \sum_i s_i / \sum_i n_i$: picture
# $i$ has the sum $s_i$ of its tokens' nats, and $n_i$ tokens. Its standard error comes from how far each picture is from
# what the mean would give it, $s_i - m n_i$: with $B$ pictures it is
# $\sqrt{B / (B - 1) \sum_i (s_i - m n_i)^2} / \sum_i n_i$.
#
# Worked, on a neighboring problem: goals per match of four teams that played a different number of matches.

# %%
goals, matches = torch.tensor([9.0, 2.0, 6.0, 3.0]), torch.tensor([3.0, 2.0, 4.0, 1.0])
per_match = goals.sum() / matches.sum()
off = goals - per_match * matches  # what each team scored more than that many matches would give
error = (4 / 3 * off.square().sum()).sqrt() / matches.sum()  # B = 4 teams
print(
    f"{per_match:.2f} goals per match, standard error {error:.2f}; mean of the teams' means {(goals / matches).mean():.2f}"
)

# %% [markdown]
# **Predict.** 60 pictures of 64 tokens. Two tokens of one picture have a correlation of 0.2, those of two pictures none.
# The variance of a picture's sum is how many times that of 64 independent tokens? And how much too short is the
# interval over tokens?
#
# <details><summary>Answer</summary>
#
# Each token has its own variance, and 0.2 of it with each of 63 others: $1 + 63 · 0.2 = 13.6$ times (the *design
# effect*). So the interval is too short by $\sqrt{13.6} = 3.7$.
#
# </details>
#
# **Your turn.**

# %% exercise: generalization.token_nll

# %% [markdown]
# **Look.** A world whose truth is known: surprises around 5 nats, and tokens of one picture have a correlation of 0.2.
# How many of 300 intervals that promise 95 % hold the 5?


# %%
def world(chance, pictures=60, tokens=64, shared=0.2):
    """Surprises of tokens around 5 nats, as logits of two codes and targets."""
    nats = 5 + np.sqrt(shared) * chance.normal(size=(pictures, 1))
    nats = torch.from_numpy(nats + np.sqrt(1 - shared) * chance.normal(size=(pictures, tokens))).clamp(min=0.01)
    return torch.stack([-nats, torch.log1p(-(-nats).exp())], -1), torch.zeros(nats.shape, dtype=torch.long)


chance, held = np.random.default_rng(0), {"over pictures": 0, "over tokens": 0}
with use(mine(globals())):
    for _ in range(300):
        logits, targets = world(chance)
        mean, se, _ = gap.token_nll(logits, targets, torch.ones(targets.shape, dtype=torch.bool))
        naive = (-logits[..., 0]).std() / np.sqrt(targets.numel())
        held["over pictures"] += bool(abs(mean - 5) < 1.96 * se)
        held["over tokens"] += bool(abs(mean - 5) < 1.96 * naive)
for name, count in held.items():
    print(f"{name}: {count / 300:.0%} of the intervals hold the truth")

# %% [markdown]
# Intervals over pictures hold what they promise (95 % or close to it), those over tokens less than half of the time: a
# promise of 95 % that is worth 44 %. (They are about 3.7 times too short, so 1.96 errors are really about half of one.)
#
# ## 5.3 The gap
#
# The **generalization gap** is the loss on unseen examples minus the loss on seen ones, both with the final weights in
# eval mode. (The loss that a training prints is another one: of weights that no longer exist, with dropout, on reworded
# captions.) Three things make it hard to read.
#
# **How sure?** Four styles of a role are alike, so the role is what varies; and `cell` has roles that are in training,
# too, so that both sides vary *together*. Ask how far each role $g$ moves the gap. Let $\ell_i$ be the loss of picture
# $i$, and $\bar\ell$ the mean of its side. What is harder than its side's mean moves that mean by the $C$-th part of its
# distance from it, if it is one of $C$ unseen pictures, and the gap goes up; if it is one of $B$ seen ones, by the $B$-th
# part, and the gap goes down. Added up over all pictures of the role, on both sides,
#
# $$u(g) = \frac{1}{C} \sum_{\text{unseen } i \in g} (\ell_i - \bar\ell_{\text{unseen}})
# - \frac{1}{B} \sum_{\text{seen } i \in g} (\ell_i - \bar\ell_{\text{seen}}).$$
#
# All $u(g)$ together are zero. Roles are independent, so their variances add up: with $G$ roles the standard error is
# $\sqrt{\frac{G}{G - 1} \sum_g u(g)^2}$. (The $u(g)$ are parts of the gap, and not guesses of it: nothing is divided by
# $\sqrt G$ once more. $G / (G - 1)$ makes up for the means, which were computed from the same roles.) A role on both sides
# has one $u(g)$ like any other, in which what both sides have in common cancels.
#
# Worked, on a neighboring problem: children of $G = 3$ families; before lunch is the seen side, after it the unseen one.

# %%
weights = {"before": [("A", 20.0), ("A", 22.0), ("B", 30.0)], "after": [("A", 20.5), ("B", 30.4), ("C", 26.0)]}
means = {when: np.mean([kilos for _, kilos in those]) for when, those in weights.items()}
moves = dict.fromkeys("ABC", 0.0)
for when, sign in (("before", -1), ("after", 1)):
    for family, kilos in weights[when]:
        moves[family] += sign * (kilos - means[when]) / len(weights[when])
print({family: f"{move:+.2f}" for family, move in moves.items()}, f"gap {means['after'] - means['before']:+.2f}")
print(f"error {np.sqrt(3 / 2 * sum(move**2 for move in moves.values())):.2f}")

# %% [markdown]
# Nobody lost weight, and the gap of 1.63 is there because other children were weighed. The error knows: A moves it by
# +2.00 before lunch and by −1.71 after, B by −2.00 and +1.59, and only the rest is left. C is on one side only.
#
# **Predict.** Training losses are 1.4 on average. Could a held-out split have *less*? How?
#
# <details><summary>Answer</summary>
#
# If its pictures are easier: a gap can be negative, and a small one need not be good news.
#
# </details>
#
# **Your turn.**

# %% exercise: generalization.loss_gap

# %% [markdown]
# **How hard are the pictures?** The second difficulty: the gap mixes what was not learned with how hard a split's
# pictures are. Take out the latter with a **baseline** that cannot read:
#
# - **caption gain** = baseline's loss − model's loss, what the caption brings;
# - **adjusted gap** = caption gain on seen pictures − caption gain on unseen ones, what of it is lost.
#
# A baseline that costs nothing is the model itself with the empty caption, which it knows from training for guidance.
#
# **Look.** The shipped model, on all splits. **Predict** first: on which split is the gap largest, and is there one on
# which the adjusted gap is zero? (Half a minute.)

# %%
COUNT = 40 if QUICK else 100
with use(mine(globals())):
    sides = {split: gap.examples(pipeline, emoji, some_rows(emoji, split, COUNT)) for split in ("train", *SPLITS)}
    known = {split: gap.surprise(pipeline.bart, side) for split, side in sides.items()}
    gaps = {split: gap.gap_between(known["train"], known[split]) for split in SPLITS}
print(f"train: {known['train'].nats.mean():.2f} nats per token, caption gain {known['train'].caption_gain.mean():.2f}")
print(f"{'split':8}{'loss':>6}{'gain':>7}{'gap, 95 % over roles':>24}{'over pictures':>24}{'adjusted, over roles':>24}")
for split, found in gaps.items():
    ends = [with_reach(one.gap, 1.96 * se) for one, se in ((found.raw, found.raw.role_se), (found.raw, found.raw.image_se),
                                                           (found.adjusted, found.adjusted.role_se))]  # fmt: skip
    print(
        f"{split:8}{known[split].nats.mean():6.2f}{known[split].caption_gain.mean():7.2f}"
        + "".join(f"{end:>24}" for end in ends)
    )
figure, axis = plt.subplots(figsize=(8, 3.4))
for number, (name, mark, color) in enumerate((("gap", "o", BLUE), ("adjusted gap", "s", ORANGE))):
    for place, found in enumerate(gaps.values()):
        one, at = (found.raw, found.adjusted)[number], place + 0.2 * number - 0.1
        axis.plot([at, at], one.interval("role"), color=color, lw=1.5)
        axis.plot([at, at], one.interval("image"), color=color, lw=5, alpha=0.35)
        axis.plot(at, one.gap, mark, color=color, label=name if place == 0 else None)
axis.axhline(0, color="#888888", lw=0.8)
axis.set_xticks(range(len(SPLITS)), SPLITS)
axis.set(ylabel="nats per token above train", title="Thick: 95 % over pictures; thin: over roles")
axis.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: for each of five splits the gap and the adjusted gap, with intervals. tone is near 0.2, and
# adjusted at zero; iid near 1 and combo near 1.4, adjusted a little less; cell and concept near 2.8, adjusted a little
# less, too. The thin intervals are longer than the thick ones for cell and concept, and as long for the others.*
#
# Read it line by line.
#
# - **`tone`**: the raw gap is small, and the adjusted one cannot be told from zero: what an unseen skin tone costs is
#   less than a quarter of a nat, as far as the interval reaches.
# - **`iid`**: 0.9 nats are lost of 2.2 that captions bring on training pictures. So even pictures whose near copies are
#   in training are drawn much less surely than those that are *themselves* in training: this model has learned a good
#   deal by heart. And more than the gap shows: after training, its logits were divided by 1.27, which fits `dev` best.
#   That makes it less sure everywhere, dearer on `train` and cheaper elsewhere; without it this gap would be 1.2.
# - **`cell` and `concept`**: the caption gain is *negative*. On what it never saw, a caption makes the model more
#   surprised than none would: it is sure of itself, and wrong.
# - **`combo`** lies between.
#
# One number, "the gap", would have been any of these, by the choice of a split.
#
# And the intervals: over roles they are a third longer on `concept` and `cell`, where several rows of a role are drawn,
# and the same on `iid`, where hardly any are.
#
# **Which baseline?** The third difficulty. The empty caption is not a neutral judge: the model knows its training
# pictures without their captions, too, so that the baseline has a gap of its own. The other choice is a second model,
# trained on the same pictures with *shuffled* captions, which costs a training. `experiments.json` beside this notebook
# has both, for a small BART, five times (`benchmarks/generalization.py`; it took hours, once).

# %%
experiments = json.loads(Path("experiments.json").read_text(encoding="utf-8"))["arms"]
whole = list(experiments["pictures 8871"]["seeds"].values())
print(f"a small BART after 400 steps on {8871:,} pictures, five seeds; adjusted by …")
print(f"{'split':8}{'raw gap':>22}{'empty caption':>22}{'shuffled captions':>22}")
for split in SPLITS:
    three = [[seed[which][split][form]["gap"] for seed in whole] for which, form in
             (("gaps", "raw"), ("gaps", "adjusted"), ("baseline_gaps", "adjusted"))]  # fmt: skip
    print(f"{split:8}" + "".join(f"{with_reach(*over_seeds(values)):>22}" for values in three))

# %% [markdown]
# This is another model than the shipped one, of 8,871 of the pictures, and after 400 steps it has learned little by
# heart: the raw gaps are small. Most of them is how hard the
# pictures are: with the shuffled baseline nothing is left of the gap on `iid` and `tone`, and 0.09 to 0.13 nats on the
# others, all clear of zero. With the empty caption the adjusted gaps are 1.6 to 1.8 times as large on `cell`, `combo` and
# `concept`. Neither is the truth; they answer two questions. The second model has seen the same pictures, as often,
# and only lacks the captions: what it cannot explain is the captions' doing. Say which baseline it was.
#
# ## 5.4 What does the gap depend on?
#
# On how many pictures there are, how long one trains, and how large the model is. The curves are of small BARTs, five
# seeds each, all measured on 200 seen and 200 unseen pictures (`iid`), in eval mode. **Predict** for 250, 1,000, 4,000
# and 8,871 pictures and 400 steps of 64: how many times is each picture seen? Which of them is learned by heart? And
# whose loss on unseen pictures is the lowest?

# %%
figure, axes = plt.subplots(1, 3, figsize=(13, 3.8))
for (name, color), mark in zip((("pictures 250", ORANGE), ("pictures 1000", PURPLE), ("pictures 4000", GREEN),
                                ("pictures 8871", BLUE)), "osD^", strict=True):  # fmt: skip
    runs = list(experiments[name]["seeds"].values())
    steps = [point["step"] for point in runs[0]["curve"]]
    for side, style in (("train", ":"), ("iid", "-")):
        values = np.array([[point[side] for point in run["curve"]] for run in runs])
        label = f"{int(name.split()[1]):,} pictures" if side == "iid" else None
        axes[0].plot(steps, values.mean(0), style + mark, ms=3, color=color, label=label)
        axes[0].fill_between(steps, values.min(0), values.max(0), color=color, alpha=0.2, lw=0)
axes[0].set(xlabel="step", ylabel="nats per token", title="Seen (dotted) and unseen (solid)")
axes[0].legend(fontsize=8)
for name in ("width 32", "width 128"):
    unseen_mean = np.mean(
        [[point["iid"] for point in run["curve"]] for run in experiments[name]["seeds"].values()], axis=0
    )
    print(f"{name}: lowest unseen loss {unseen_mean.min():.2f}, at step {steps[unseen_mean.argmin()]}")
for axis, what, names, label in (
    (axes[1], "pictures", ["pictures 250", "pictures 1000", "pictures 4000", "pictures 8871"], "training pictures"),
    (axes[2], "width", ["width 32", "pictures 1000", "width 128"], "width of the model (1,000 pictures)"),
):
    at = [experiments[name]["arm"]["pictures" if what == "pictures" else "width"] for name in names]
    ends = [over_seeds([run["curve"][-1]["iid"] - run["curve"][-1]["train"] for run in experiments[name]["seeds"].values()])
            for name in names]  # fmt: skip
    axis.errorbar(at, [mean for mean, _ in ends], [reach for _, reach in ends], fmt="o-", color=BLUE, capsize=3)
    axis.set(xlabel=label, ylabel="gap, nats per token", xscale="log", ylim=(0, None))
    axis.set_xticks(at, [f"{one:,}" for one in at], minor=False)
    axis.minorticks_off()
    print(what, {number: f"{mean:.2f} ± {reach:.2f}" for number, (mean, reach) in zip(at, ends, strict=True)})
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: on the left, dotted and solid curves start together. For 250 pictures the dotted one falls to
# zero, and the solid one turns after 100 steps and climbs above 9; for 1,000 it turns after 200; for 4,000 and 8,871
# both go on falling side by side. In the middle the gap falls with the number of pictures, from 9.4 to 0.2; on the right it
# rises with the width, from 0.9 to 5.8.*
#
# Each picture was seen 102, 26, 6 and 3 times on average. Three times or six do little harm (Muennighoff and others 2023 find
# hardly any up to four, for text). A hundred times, and all 250 pictures are known by heart: 0.05 nats per token on
# them, and 9.5 on others, which is far *above* the 6.24 of guessing: on others it is as sure, and wrong. The width does the same in another way: four times
# as wide, and 1,000 pictures have a gap of 5.8 in place of 0.9, after the same number of steps.
#
# Look at the *lowest* point of each solid curve, too. In the runs of the right panel (1,000 pictures) the widest model
# has its lowest, 4.5, after 150 steps; the narrowest has 4.8, after 350. The larger model is better *and* has the larger gap, if one stops in time. **A gap
# is no grade**: what counts is the loss on what is unseen.
#
# One of these arms again, with your functions and in a plainer loop: 250 pictures, other first weights. The model that
# comes out is the one that the rest of the lesson looks at. (Half a minute; `MINIDALLE_QUICK=1` takes fewer steps.)

# %%
SMALL = BartConfig(
    text_vocab=1024, text_length=32, image_codes=512, image_length=64, width=64, heads=2, hidden=256,
    encoder_layers=1, decoder_layers=2,
)  # fmt: skip
tokenizer = Tokenizer.train([emoji.captions[row] for row in train_rows], TokenizerConfig(1024, text_length=32))
codec = minidalle.TextToImage(tokenizer, pipeline.vqgan, Bart(SMALL))


def small_training(seen, seed, steps, rate=2e-3, watch=None):
    """A small BART after some steps of 64 on some tokens; `watch(bart, step)` is called every 50 steps."""
    torch.manual_seed(seed)
    bart = Bart(SMALL)
    optimizer = torch.optim.AdamW(bart.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(1, steps + 1):
        rows = torch.from_numpy(numpy_generator(seed, "batch", step).integers(len(seen.image), size=64))
        optimizer.param_groups[0]["lr"] = rate * min(1.0, step / 50)
        longest = int(seen.text_mask[rows].sum(1).max())
        text, mask, image = seen.text[rows, :longest], seen.text_mask[rows, :longest], seen.image[rows]
        image_in = sequences.shift_right(image, SMALL.start_token)
        optimizer.zero_grad()
        sequences.sequence_loss(bart.train()(text, mask, image_in), image).backward()
        optimizer.step()
        if watch and step % 50 == 0:
            watch(bart, step)
    return bart.eval()


MEASURED = np.arange(16 if QUICK else 32)  # of the training pictures: those whose loss is looked at closely below
few = numpy_generator(0, "training rows").permutation(train_rows)[:250]
seen, unseen = gap.examples(codec, emoji, few), gap.examples(codec, emoji, some_rows(emoji, "iid", 60))
curve, kept = [], {}


def note(bart, step):
    """The losses of both sides, in eval mode; and the weights, for section 5.8."""
    kept[step] = [weights.detach().clone() for weights in bart.parameters()]
    curve.append(
        (step, gap.token_nats(bart, seen.tokens).mean().item(), gap.token_nats(bart, unseen.tokens).mean().item())
    )


with use(mine(globals())):
    by_heart = small_training(seen.tokens, 0, 100 if QUICK else 250, watch=note)
for step, on_seen, on_unseen in curve:
    print(f"step {step:3}: seen {on_seen:.2f}, unseen {on_unseen:.2f}, gap {on_unseen - on_seen:+.2f}")

# %% [markdown]
# As the curve above: after 100 steps the unseen loss is at its lowest, 5.2, and while the seen loss falls to 0.4 it
# climbs beyond guessing. (With `MINIDALLE_QUICK=1` it stops after those 100 steps.)
#
# ## 5.5 Learned by heart
#
# How do you know that a model *could* learn by heart? Give it something that can be learned in no other way. Zhang and
# others (2017) gave pictures random labels, and networks learned those to the last one. For a BART the test is: give
# every picture another one's caption, *once and for all*. What a caption says is then no help for any other picture.
#
# Two traps. A shuffle that is drawn anew in each epoch teaches that captions mean nothing, which is another lesson. And
# a row that keeps its caption by chance has learned something true; so does a row that gets the *same words* from
# another row.
#
# Worked, on a neighboring problem: everybody gives a present to somebody else. Stand in a circle, and give to the next.

# %%
friends = ["Ada", "Bo", "Cy", "Di"]
order = torch.randperm(4, generator=torch.Generator().manual_seed(0)).tolist()
gives = {friends[order[i]]: friends[order[(i + 1) % 4]] for i in range(4)}
print(gives, "– nobody to themselves:", all(giver != taker for giver, taker in gives.items()))

# %% [markdown]
# **Predict.** Of n captions in a random order, how many stay with their picture on average, for n = 10 and n = 10,000?
#
# <details><summary>Answer</summary>
#
# One, both times: each of n has the chance 1/n. So a plain shuffle is nearly right for many rows, and quite wrong for
# few.
#
# </details>
#
# **Your turn.**

# %% exercise: generalization.shuffle_captions

# %% [markdown]
# **Look.** First yours, on the 250 pictures; then the same pictures with true and with shuffled captions, five seeds.
# **Predict**: does the training loss of shuffled captions fall as far? And the loss on unseen pictures with their *true*
# captions?

# %%
captions = [emoji.captions[row] for row in few]
with use(mine(globals())):
    order = memorization.shuffle_captions(captions, ["train"] * len(captions), seed=0)
for row in range(3):
    print(f"{captions[row]!r} gets {captions[order[row]]!r}")
print("kept their words:", sum(captions[row] == captions[order[row]] for row in range(len(captions))))

figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.6), sharey=True)
for axis, count in zip(axes, (250, 1000), strict=True):
    for name, words, color, mark in (
        (f"pictures {count}", "true", BLUE, "o"),
        (f"shuffled {count}", "shuffled", ORANGE, "s"),
    ):
        runs = list(experiments[name]["seeds"].values())
        steps = [point["step"] for point in runs[0]["curve"]]
        for side, style in (("train", ":"), ("iid", "-")):
            values = np.array([[point[side] for point in run["curve"]] for run in runs])
            axis.plot(
                steps,
                values.mean(0),
                style + mark,
                ms=3,
                color=color,
                label=f"{words} captions, {'seen' if side == 'train' else 'unseen'}",
            )
            axis.fill_between(steps, values.min(0), values.max(0), color=color, alpha=0.2, lw=0)
        mean = {side: over_seeds([run["curve"][-1][side] for run in runs]) for side in ("train", "iid")}
        print(f"{count:5,} pictures, {words:8} captions: seen {mean['train'][0]:.2f} ± {mean['train'][1]:.2f}, "
              f"unseen {mean['iid'][0]:.2f} ± {mean['iid'][1]:.2f}")  # fmt: skip
    axis.set(xlabel="step", title=f"{count:,} pictures")
axes[0].set_ylabel("nats per token")
axes[0].legend(fontsize=7)
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: two panels, 250 and 1,000 pictures. In each the curves of true and of shuffled captions lie almost
# upon each other, dotted as well as solid.*
#
# The model learns nonsense by heart as easily as the truth: to 0.05 nats for 250 pictures, and to 2.59 ± 0.03 for 2.48 ±
# 0.03 after 400 steps for 1,000. On unseen pictures, true captions are better by 0.4 and 0.2 nats: so much of what they
# say carries over, even where the model as a whole is worse than guessing. So a low training loss shows that a model is able to remember. It shows nothing else.
#
# ## 5.6 How the loss bends
#
# Is there something about the *weights* that says whether they will generalize? An old idea (Hochreiter and Schmidhuber
# 1997): a wide, flat valley can be described with few digits, and unseen data move it only a little. To test it, flat
# has to be measured: by second derivatives. The **Hessian** H holds them all, $H_{ij} = \partial^2 L / \partial w_i
# \partial w_j$. The small model has 315,776 weights, so its Hessian has 10¹¹ numbers. Nobody writes it down. But what it
# does to *one vector* is cheap: the loss's slope along $v$ is a number like any other, and *its* gradient is $Hv$.
#
# $$Hv = \nabla\,(\nabla L \cdot v)$$
#
# Worked, on a neighboring problem: the same with one variable, where $Hv$ is the second derivative times a number.

# %%
x = torch.tensor(2.0, requires_grad=True)
(slope,) = torch.autograd.grad(x**3, x, create_graph=True)  # 3 x² = 12, and PyTorch remembers where it is from
(bend,) = torch.autograd.grad(slope * 5.0, x)  # 6 x · 5
print(f"slope {slope:.0f}, second derivative times 5: {bend:.0f}")

# %% [markdown]
# `create_graph=True` is what makes the slope a number with a derivative of its own. `materialize_grads=True` gives zeros
# for a weight that the loss does not use. And `slope.requires_grad` says whether PyTorch remembers: whether there is
# anything to differentiate.
#
# **Predict.** What is $Hv$ for a loss that is a *linear* function of the weights?
#
# <details><summary>Answer</summary>
#
# Zero: it does not bend. PyTorch then finds nothing to differentiate, which is a case of its own. Not of this kind is a
# slope of 0, as at every minimum: there it bends.
#
# </details>
#
# **Your turn.**

# %% exercise: generalization.hvp

# %% [markdown]
# Now eigenvalues. Along the eigenvector of the largest one, λ, the loss bends most: beyond what the slope says, it rises
# by ½λε² after a step of ε. **Power iteration** finds it: multiply a random vector by H again and again. But it finds the
# one of the largest *magnitude*: for eigenvalues −10, 3 and 1 that is −10. **Lanczos' iteration** remembers all vectors
# so far, makes each new one orthogonal to them, and knows both ends of the spectrum after a few products; and it knows
# how far off it may be. It is in `minidalle/generalization/lanczos.py`, thirty lines, and worth a look. The bound says that *some*
# eigenvalue is that near; that it is the last one is likely, after a random start, and not certain.
#
# Worked: what it knows of −10, 3 and 1 after one, two and three products.

# %%
diagonal = torch.tensor([-10.0, 3.0, 1.0], dtype=torch.float64)
for k, ritz in enumerate(spectrum.lanczos(lambda v: diagonal * v, spectrum.random_start(3, seed=0), 3), start=1):
    print(
        k,
        [f"{value:.3f} ± {error:.3f}" for value, error in zip(ritz.values.tolist(), ritz.errors.tolist(), strict=True)],
    )

# %% [markdown]
# **Predict.** Which value does a tool report that stops as soon as two results in a row differ by less than 1 %, if it
# converges slowly? What is wrong with that as an error bound?
#
# <details><summary>Answer</summary>
#
# For the largest eigenvalue, one that is too small (for the smallest, too large). Small steps may be many: that it moves
# slowly does not say how far it has to go.
#
# </details>
#
# **Your turn.**

# %% exercise: generalization.top_eigenvalue

# %% [markdown]
# One eigenvalue is one direction out of 315,776. Their **sum** is the trace, $\sum_i H_{ii}$, and a trick gets it from
# a few products: for a vector $z$ of random signs, $z \cdot Hz = \sum_{ij} z_i z_j H_{ij}$, and on average all terms with
# $i \ne j$ vanish (Hutchinson 1990).
#
# **Predict.** Why signs, and not normal numbers, which would do, too? Think of a diagonal matrix.
#
# <details><summary>Answer</summary>
#
# Signs have $z_i^2 = 1$ exactly, so that a diagonal matrix's trace comes out without any error. The variance is
# $2(\|H\|_F^2 - \sum_i H_{ii}^2)$ in place of $2\|H\|_F^2$.
#
# </details>
#
# **Your turn.**

# %% exercise: generalization.hutchinson_trace

# %% [markdown]
# And the whole **spectrum**? Lanczos gives, for each start, a few values with weights: how much of the start's square
# lies along each. A random start has as much of every eigenvector, on average, so the weights say which share of the
# eigenvalues is near each value (stochastic Lanczos quadrature, Ghorbani and others 2019). Drawn as small bells, that
# is a density.
#
# **Your turn.**

# %% exercise: generalization.slq_density

# %% [markdown]
# **Look.** The loss of the small model on 32 of its training pictures, at its first weights, and after it has learned
# by heart. **Predict**: will the largest eigenvalue have grown or fallen? Are there negative ones? (Half a minute.)

# %%
torch.manual_seed(0)
states, tops = {"first weights": Bart(SMALL).eval(), "by heart": by_heart}, {}
figure, axis = plt.subplots(figsize=(8, 3.4))
with use(mine(globals())):
    for (name, bart), style, color in zip(states.items(), ("--", "-"), (ORANGE, BLUE), strict=True):
        loss = bart_loss(bart, seen.tokens, MEASURED)
        top, bound = spectrum.top_eigenvalue(loss.product, loss.dim, tolerance=0.02)
        tops[name] = top
        trace, error = spectrum.hutchinson_trace(loss.product, loss.dim, 5)
        grid, density = spectrum.slq_density(loss.product, loss.dim, steps=12, probes=1)
        print(f"{name:14} loss {loss.value():.2f}; largest eigenvalue {top:.1f} ± {bound:.1f} (a bound); "
              f"trace {trace:,.0f} ± {error:,.0f}; area {torch.trapezoid(density, grid):.4f}; "
              f"from {grid[density > 1e-7 * density.max()].min():.1f}")  # fmt: skip
        axis.semilogy(grid, density.clamp(min=float(density.max()) * 1e-7), style, color=color, label=name)
axis.set(xlabel="eigenvalue", ylabel="density", title="Spectrum of the Hessian of the training loss")
axis.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: densities of eigenvalues on a logarithmic axis. At first weights a narrow peak at zero, from −4 to
# 4. By heart, a peak at zero with a long tail of small bumps to the right, up to 66, and a short one to the left, to −6.*
#
# At first weights the loss bends up and down alike: negative eigenvalues, and a trace that cannot be told from zero.
# Where it has learned by heart, most of the density is at zero, so most directions are flat, and a few are steep: the largest eigenvalue
# is 82, the trace about 16,700. A few negative ones are left: it is no minimum yet. And note what the error bars mean:
# ± 1.0 of the eigenvalue is a *bound*, ± 215 of the trace a *standard error*. (The spectrum's last bump is at 66: twelve
# products from one random start do not find a single direction among so many. A density is not for its ends.)
#
# ## 5.7 The worst place nearby
#
# A Hessian is expensive, and it looks at an infinitely small neighborhood. **Sharpness-aware minimization** (SAM; Foret
# and others 2021) takes a step of length ρ in the direction in which the loss rises most, as far as the gradient knows,
# takes the gradient *there*, and with it moves the weights where they were: it descends from the worst place nearby.
#
# $$\varepsilon = \rho \, \frac{g}{\|g\|}$$
#
# The length is that of *all* weights together, one number, not one for each layer. The *adaptive* form (Kwon and others
# 2021) measures each step relative to its weight: the length of $\varepsilon / |w|$ is ρ. In $\delta = \varepsilon / |w|$
# the slope is $|w| g$, so that $\delta = \rho\, |w| g / \||w| g\|$ and $\varepsilon = |w| \delta = \rho\, w^2 g /
# \||w| g\|$, all products number by number.
#
# Worked, on a neighboring problem: with at most 5 minutes on foot, go uphill as steeply as you can.

# %%
gradient, minutes = torch.tensor([3.0, -4.0]), 5.0
step = minutes * gradient / gradient.norm()
print(
    step.tolist(), f"length {step.norm():.1f}, rise {step @ gradient:.1f}; along the first axis only: {minutes * 3:.1f}"
)

# %% [markdown]
# **Predict.** At a minimum the gradient is zero. What should ε be there?
#
# <details><summary>Answer</summary>
#
# Zero: no direction is better than another. The formula gives 0 / 0, and needs a line of its own.
#
# </details>
#
# **Your turn.**

# %% exercise: generalization.sam_perturbation

# %% [markdown]
# **Look.** How much the loss rises at the worst place within ρ, after one step of your direction and after five, beside
# what slope and curvature say: ρ‖g‖, and ½ρ²λmax. **Predict** which of the two it follows, at first weights and by
# heart.

# %%
with use(mine(globals())):
    for name, bart in states.items():
        loss = bart_loss(bart, seen.tokens, MEASURED)
        slope = float(sam.global_norm(loss.gradient()))
        for rho in (0.02, 0.2):
            one, five = (sharpness.sam_sharpness(loss, rho, steps).value for steps in (1, 5))
            print(
                f"{name:14} ρ {rho}: one step {one:+.3f}, five {five:+.3f}; slope {rho * slope:.3f}, curvature {rho**2 / 2 * tops[name]:.3f}"
            )

# %% [markdown]
# - At first weights the slope explains the rise, and curvature hardly adds to it.
# - By heart and near, slope and curvature add up.
# - By heart at ρ = 0.2, one step finds a rise of 0.9, and five find 2.7: the direction of the gradient is not the worst
#   direction.
#
# So a *sharpness* of one step, away from a minimum, is mostly a gradient with another name; say how many steps, and
# which ρ.
#
# **Look.** Does SAM find flatter minima, and do those generalize better? `flatness.json` has the answer for small BARTs
# that learn 500 pictures by heart, each until its loss on them is 2.0 nats, so that all are compared at *the same
# training loss* (as the loss falls, the curvature falls with it). Five seeds; differences are taken seed by seed. In
# the arms called *noise* a fifth of the captions are other pictures'. Beside the largest eigenvalue stands that of
# |W|H|W| (|W| is the diagonal matrix of the weights' sizes: curvature per *relative* change, see section 5.9), the
# trace, and the sharpness of one step with ρ = 0.1. **Predict** the order of the arms, by curvature and by gap.
# (The last two columns say what an arm changes, seed by seed: in the gap, and in the loss on unseen pictures alone.)

# %%
flatness = json.loads(Path("flatness.json").read_text(encoding="utf-8"))["arms"]


def of_arm(arm, what):
    """One number for each seed; `gap` is computed."""
    seeds = flatness[arm]["seeds"].values()
    return np.array([one["iid"] - one["train"] if what == "gap" else one[what] for one in seeds])


print(f"{'arm':16}{'steps':>7}{'seen':>7}{'unseen':>8}{'λmax':>8}{'|W|H|W|':>9}{'trace':>9}{'SAM':>7}"
      f"{'gap, by seed':>22}{'unseen, by seed':>22}   against the first of its kind")  # fmt: skip
for name in flatness:
    reference = "noise, AdamW" if name.startswith("noise") else "AdamW"
    changes = [with_reach(*over_seeds(of_arm(name, what) - of_arm(reference, what))) for what in ("gap", "iid")]
    print(f"{name:16}{of_arm(name, 'steps').mean():7.0f}{of_arm(name, 'train').mean():7.2f}{of_arm(name, 'iid').mean():8.2f}"
          f"{of_arm(name, 'top').mean():8.1f}{of_arm(name, 'relative_top').mean():9.2f}{of_arm(name, 'trace').mean():9,.0f}"
          f"{of_arm(name, 'sam').mean():7.2f}" + "".join(f"{change:>22}" for change in changes if name != reference))  # fmt: skip


def of_runs(what, within):
    """One number for each run without noise, curvatures as logarithms; within its way of training, if asked for."""
    values = [of_arm(arm, what) for arm in flatness if not arm.startswith("noise")]
    values = [one if what in ("gap", "train") else np.log(one) for one in values]
    return np.concatenate([one - one.mean() for one in values] if within else values)


print("\ncorrelation with the gap, 25 runs")
print(f"{'of the logarithm of':20}{'all':>6}{'within ways':>13}{'and at one training loss':>26}")
for label, what in {"λmax": "top", "|W|H|W|": "relative_top", "trace": "trace", "SAM sharpness": "sam"}.items():
    every, ways = (np.corrcoef(of_runs(what, within), of_runs("gap", within))[0, 1] for within in (False, True))
    loss = of_runs("train", True)
    rest = [one - loss * (one @ loss) / (loss @ loss) for one in (of_runs(what, True), of_runs("gap", True))]
    print(f"{label:20}{every:6.2f}{ways:13.2f}{np.corrcoef(rest)[0, 1]:26.2f}")
figure, axis = plt.subplots(figsize=(7, 4))
for name, mark, color in zip(
    flatness, "osD^vPX", (BLUE, GREEN, ORANGE, PURPLE, "#56B4E9", "#999999", "#000000"), strict=False
):
    axis.plot(of_arm(name, "top"), of_arm(name, "gap"), mark, color=color, mfc="none", label=name)
axis.set(
    xlabel="largest eigenvalue of the Hessian",
    ylabel="gap, nats per token",
    xscale="log",
    title="One mark for each seed",
)
axis.legend(fontsize=8)
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: gaps between 3.4 and 4.0 against the largest eigenvalue, on a logarithmic axis. Two clouds: SAM,
# dropout and noise with SAM at 23, all others at 67 to 92. In each cloud gaps are spread, and the clouds overlap.*
#
# SAM does what it promises: at the same training loss the largest eigenvalue is 23 in place of 79, and 0.35 in place of
# 0.85 for |W|H|W|. Its gap is smaller by 0.16 ± 0.13 nats, of 3.9. (Training losses are the same only to 0.1 nats. By
# the loss on unseen pictures alone, which needs no matching, SAM gains 0.14 ± 0.08.) Is flatness the reason? Three
# lines say "not so fast":
#
# - **average**, the running average of the weights, gains 0.18 ± 0.15 at the curvature of AdamW, 75: as much as SAM,
#   as far as five seeds can tell (their difference is 0.02 ± 0.12; by the unseen loss it is the better one, by 0.07 ±
#   0.07).
# - **dropout** has SAM's largest eigenvalue, 23, and gains 0.35 ± 0.12: more than SAM by 0.18 ± 0.10. (By trace and
#   |W|H|W| it is the flattest of all. So it matters *which* flatness is meant, and one can be found that fits.)
# - **small batches**, which are said to find flat minima (Keskar and others 2017), do neither here.
#
# Over all 25 runs without noise, flatter ones do have smaller gaps: between the logarithm of λmax and the gap there is a
# correlation of 0.63. But most of it is between the five ways of training, which differ in more than flatness; within
# them it is 0.29. By the trace it is 0.66 within them, |W|H|W| has 0.21. And if what comes from training losses that are
# not quite the same is taken out (last column), λmax has 0.42, the trace 0.46 and |W|H|W| 0.19. So flatter runs of one
# way of training seem to have somewhat smaller gaps; how much depends on which flatness and which correction one picks,
# and nobody had said beforehand which. (These are many comparisons, with five seeds each: one that is barely clear of
# zero may be chance.) A fifth of wrong captions changes nothing of it: SAM gains 0.11 ± 0.11. The honest sentence: at matched
# training loss, on one small model, SAM found flatter minima and a gap smaller by 4 %; a small λmax was not necessary
# for a gain of about that size, and λmax did not say how large the gain was. Whether the trace would, is for runs to
# say that are made for this question.
#
# ## 5.8 Landscapes
#
# Pictures of loss landscapes are everywhere. They show the loss along one or two *directions* out of a third of a
# million, and how they look depends on how long a step is. A network whose weights are twice as large needs steps twice
# as large for the same picture. **Filter normalization** (Li and others 2018) makes each row of a direction as long as
# the row of weights that it moves, and sets the direction of biases and norms to zero.
#
# Worked, on a neighboring problem: an arrow with the direction of one and the length of another.

# %%
arrow, length_of = torch.tensor([3.0, 4.0]), torch.tensor([0.0, 10.0])
print(arrow * length_of.norm() / arrow.norm())

# %% [markdown]
# **Predict.** A row of weights is all zero. What becomes of its direction? And what if the *direction's* row is zero?
#
# <details><summary>Answer</summary>
#
# Zero both times. Without care, the second is 0 / 0.
#
# </details>
#
# **Your turn.**

# %% exercise: generalization.filter_normalize

# %% [markdown]
# **Look.** The model that has learned by heart: its loss on seen and on unseen pictures in the same plane. **Predict**:
# is the lowest place the same for both? (Half a minute.)

# %%
with use(mine(globals())):
    loss_seen = bart_loss(by_heart, seen.tokens, MEASURED)
    loss_unseen = bart_loss(by_heart, unseen.tokens, MEASURED)
    plane = landscape.random_plane(loss_seen.params, seed=0)
    steps = landscape.centered_grid(1.0, 5 if QUICK else 9)
    surfaces = {name: landscape.loss_surface(one.value, one.params, plane, steps)
                for name, one in (("seen", loss_seen), ("unseen", loss_unseen))}  # fmt: skip
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4))
for axis, (name, surface) in zip(axes, surfaces.items(), strict=True):
    lines = axis.contourf(steps.numpy(), steps.numpy(), surface.numpy().T, levels=16, cmap="cividis")
    axis.plot(0, 0, "+", color="white", ms=12)
    low = np.unravel_index(int(surface.argmin()), tuple(surface.shape))
    axis.plot(steps[low[0]], steps[low[1]], "o", color="white", mfc="none", ms=10)
    axis.set(title=f"{name}: {surface.min():.1f} to {surface.max():.1f} nats", xlabel="first direction")
    figure.colorbar(lines, ax=axis)
    print(
        f"{name}: here {surface[len(steps) // 2, len(steps) // 2]:.2f}, lowest {surface.min():.2f} at {steps[low[0]]:+.2f}, {steps[low[1]]:+.2f}"
    )
axes[0].set_ylabel("second direction")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: two round valleys, dark in the middle and bright outside. Both have their lowest place in the
# middle. On the left the loss rises from 0.4 to 12 nats; on the right it rises from 7.5 to about as much.*
#
# A beautiful valley, and it shows nothing of what one would like to know: the middle is the lowest place for seen *and*
# for unseen pictures, although the model knows the former by heart and is worse than guessing on the latter. In two
# random directions out of 315,776 everything gets worse. The direction in which unseen pictures would get better exists
# (150 steps back along the training it was 5.2), and the picture does not contain it.
#
# ### Between two models
#
# Train twice, with other first weights and batches: two models of the same loss. Is there a valley between them? Walk
# straight from one to the other, $w_t = (1 - t) w_0 + t w_1$. How far the loss rises *above the straight line between
# both ends' losses* is the **barrier**.
#
# **Predict.** The losses on the way are 1, 4, 3. How high is the barrier?
#
# <details><summary>Answer</summary>
#
# In the middle of the line between 1 and 3 is 2, so 4 − 2 = 2. Minus the lower end would give 3, minus the higher 1.
#
# </details>
#
# **Your turn.**

# %% exercise: generalization.barrier

# %% [markdown]
# **Look.** From the model that has learned by heart to another one that learned the same 250 pictures from other first
# weights; and to itself, 50 steps earlier. **Predict** both barriers. (Half a minute.)

# %%
with use(mine(globals())):
    other = small_training(seen.tokens, 1, 100 if QUICK else 250)
    at = landscape.loss_at(loss_seen.value, loss_seen.params)
    *_, earlier, last = sorted(kept)
    ends = {"other seed": [weights.detach() for weights in other.parameters()], "50 steps earlier": kept[earlier]}
    way = np.linspace(0, 1, 9)
    figure, axis = plt.subplots(figsize=(7, 3.2))
    for name, mark, color in (("other seed", "o", ORANGE), ("50 steps earlier", "s", BLUE)):
        height = landscape.barrier(at, kept[last], ends[name], points=9)
        losses = [at(landscape.interpolate(kept[last], ends[name], t)) for t in way]
        axis.plot(way, losses, mark + "-", color=color, label=f"to {name}: barrier {height:.2f}")
        print(f"{name}: losses of the ends {losses[0]:.2f} and {losses[-1]:.2f}, barrier {height:.2f} nats")
axis.axhline(np.log(512), color="#999999", ls=":")
axis.set(xlabel="t", ylabel="nats per token, seen pictures", ylim=(0, None))
axis.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: the way to the other seed is a high arch, from 0.4 up to nearly 6 nats in the middle, close to
# the dotted line of guessing. The way to 50 steps earlier rises slightly and straight.*
#
# Between two models that do the same equally well lies a mountain of 5.4 nats: in the middle, their mean knows nothing.
# Part of the reason is a matter of names. The hidden features of a layer can be put into any order without changing the
# model, and two trainings have no reason to choose the same (Entezari and others 2022). Fifty steps earlier on the same
# way there is no barrier at all, which is why an average *along* a training works, and one of two trainings does not.
#
# ## 5.9 The same model, as sharp as you like
#
# Now the proof that flatness, as it is usually measured, is not enough to explain anything (Dinh and others 2017). In
# attention a query meets a key only in their product: $(\alpha q) \cdot (k / \alpha) = q \cdot k$. Multiply the query weights by α,
# divide the key weights by it: *no output changes*. It is the same function, with the same loss on every picture in the
# world. Its Hessian is another one.
#
# Worked, on a neighboring problem: a field of 30 × 20 meters, one side measured in a unit that is α times as short, the
# other in one that is α times as long.

# %%
for alpha in (1, 2, 10):
    width, height = 30 * alpha, 20 / alpha
    area = f"{width:3} × {height:2.0f} = {width * height:.0f}"
    print(f"α = {alpha:2}: {area}; one unit more of one side adds {height:.0f}, of the other {width}")

# %% [markdown]
# **Predict.** α = 4. By what factor does the curvature along a direction grow that moves *key* weights only?
#
# <details><summary>Answer</summary>
#
# By α² = 16: a step of the same length moves a key that is four times smaller, relatively, four times as far, and
# curvature is about squares.
#
# </details>
#
# **Your turn.** This BART has no biases in attention, but other models have, and so do some cases of the check: a bias
# belongs to its query, or to its key.

# %% exercise: generalization.reparameterize

# %% [markdown]
# **Look.** The model that has learned by heart, rescaled: its losses, its largest eigenvalue, and that of |W|H|W|,
# which measures curvature per *relative* change of a weight. **Predict** each. (Half a minute.)

# %%
with use(mine(globals())):
    alphas = (1.0, 4.0, 16.0)
    curved = rescaling.curvature_by_scale(
        by_heart, alphas, lambda bart: bart_loss(bart, seen.tokens, MEASURED), tolerance=0.02
    )
    for alpha, (top, relative) in zip(alphas, curved, strict=True):
        same = rescaling.reparameterize(by_heart, alpha)
        on_seen, on_unseen = (gap.token_nats(same, side.tokens).mean() for side in (seen, unseen))
        print(f"α = {alpha:4.0f}: seen {on_seen:.6f}, unseen {on_unseen:.6f}; λmax {top:9.1f}; |W|H|W| {relative:.3f}")

# %% [markdown]
# The losses are the same to six digits, as they must be: it is the same function. The largest eigenvalue goes from 82 to
# 356 as α goes to 16, and could be had as large as you like. (Key directions bend α² times as much, but at first they bend
# little: as long as another direction bends more, that one is the largest.) That of |W|H|W| stays: it counts curvature per *relative*
# change of a weight, and a weight that is α times as large has steps that are. In `flatness.json` the same was done to
# all five AdamW models with α = 16: 79 became 408 on average, and no loss moved.
#
# Even that is no last word. With any matrix A that has an inverse, A q and A⁻ᵀ k have the same products as q and k, and
# against this |W|H|W| is not safe: in a trial with a BART of this size and matrices that stretch up to 20 times, it grew
# from 0.46 to 43, and the loss kept its six digits.
#
# So no statement "λmax is small, *therefore* it generalizes" can be true of weights as they are. What a measure must
# survive before it may be called a cause is a change of names and scales.

# %% written: generalization.flat_minima [markdown]
# points: 4
# question: **In your own words** (five or six sentences). A blog writes: "Large models generalize because SGD finds
# flat minima." Which of the results of sections 5.7 and 5.9 speak for it, which against it, and what can neither say?
# What would have to be measured, and against what, before you would believe a claim of this kind?
# rubric:
# - 1 point: for it: at the same training loss, an optimizer that looks for flatness found flatter minima; what the gap
#   did, with its interval, as the table has it.
# - 1 point: against it: rescaling changes the curvature at will and no output, so that λmax alone cannot be a cause; or
#   the arms with noise, if they show flatter minima without a smaller gap.
# - 1 point: what was not tried: one small architecture, one data set, one training loss, five seeds; a correlation over
#   arms that differ in other things than flatness.
# - 1 point: what would be needed: a measure that no change of names or scales moves, matched training loss, interventions with
#   pairs and intervals, several data sets and architectures, and a prediction that could fail.
# answer:
# With SAM the small BART had a much smaller largest eigenvalue at the same training loss, and the table shows what that
# did to the gap, seed by seed. But queries and keys can be rescaled so that the eigenvalue grows many times while every
# output stays, so λmax alone cannot be why anything generalizes. Both results are of one small model on one kind of
# picture; SAM changes more than flatness, such as which pictures are learned first. I would want a measure that
# no change of this kind moves (|W|H|W| stands the rescaling, but not every matrix), named beforehand, arms at the same
# training loss in pairs with intervals, several data sets, and a prediction made before: that among models trained in the same way the flatter half has the smaller gap.

# %% [markdown]
# ## 5.10 Does it copy?
#
# A drawing that looks like a training picture: is it a copy? Nearly every emoji looks like some other. So ask against
# a **null**: how near are *held-out* pictures to training, which no model has copied? If drawings were new pictures of
# the same kind, a drawing would be nearer to training than a held-out picture in half of all pairs (after Meehan and
# others 2020). A fixed threshold ("copies are below 0.1") knows nothing of this.
#
# Worked, on a neighboring problem: did the class practice *these* questions? Compare with a class that cannot have.

# %%
ours, theirs = np.array([9, 7, 8, 10]), np.array([6, 8, 5])
better = (ours[:, None] > theirs).mean() + (ours[:, None] == theirs).mean() / 2
print(f"one of ours is better than one of theirs in {better:.2f} of all pairs; a half, if nobody practiced")

# %% [markdown]
# **Predict.** A fifth of the drawings are exact copies, the rest like new. How often is a drawing nearer?
#
# <details><summary>Answer</summary>
#
# A copy has distance 0 and wins always, the others in half of the cases: 0.2 + 0.8 · 0.5 = 0.6.
#
# </details>
#
# **Your turn.** `nearest_distances` does the looking up, with a distance in which white paper does not count.

# %% exercise: generalization.copy_test

# %% [markdown]
# **Look.** Drawings of the shipped model for captions of `iid`, with planted copies for comparison; real held-out
# pictures that only went through the VQGAN; and drawings of *training* captions. Each is compared with held-out pictures
# as they are, and with held-out ones that went through the VQGAN: it blurs, which changes distances, and drawings come
# out of it, too. **Predict** each. (Half a minute.)

# %%
DRAWN = 40 if QUICK else 100
draw = partial(pipeline.draw, sampling=SHIPPED.sampling)
unseen_rows, seen_rows = some_rows(emoji, "iid", DRAWN), some_rows(emoji, "train", DRAWN)
train_pictures, real = emoji.pictures[train_rows], emoji.pictures[unseen_rows]
with use(mine(globals())):
    drawn = draw_rows(draw, unseen_rows, emoji)
    planted = np.concatenate([train_pictures[: DRAWN // 5], drawn[DRAWN // 5 :]])
    blurred = reconstruct(pipeline, real)[0]
    tried = {"drawn, iid captions": drawn, "a fifth of them copies": planted, "real ones through the VQGAN": blurred,
             "drawn, train captions": draw_rows(draw, seen_rows, emoji)}  # fmt: skip
    print(f"{'nearer to train, share of pairs:':34}{'than real ones':>18}{'than ones through the VQGAN':>30}")
    for name, pictures in tried.items():
        groups, shown = roles[seen_rows if "train" in name else unseen_rows], ""
        for heldout, wide in ((real, 18), (blurred, 30)):
            share, _ = copying.copy_test(pictures, train_pictures, heldout)
            found = copying.copy_interval(pictures, train_pictures, heldout, groups, roles[unseen_rows])
            shown += f"{f'{share:.2f} [{found.low:.2f}, {found.high:.2f}]':>{wide}}"
        print(f"{name:34}{shown}")
    _, nearest = copying.copy_test(drawn, train_pictures, real)
    far, _ = copying.nearest_distances(drawn, train_pictures)
first = far.argsort()[:12].numpy()
show(np.concatenate([drawn[first], train_pictures[nearest[first]], real[first]]), 12, ["drawn", "nearest of train", "real"],
     "The twelve drawings that come nearest to a training picture")  # fmt: skip

# %% [markdown]
# *The figure in words: twelve columns. Most drawings show the same people as the nearest training picture, some in another
# skin tone or with other hair; below stands the real picture, which is often just as near. The number 3 became a scribble
# whose nearest is the 8, and the clock's nearest is the same clock at another hour.*
#
# Read the first column: 0.36, far *less* than a half. But a half is not what this pipeline would give without copying:
# real unseen pictures that only went through the VQGAN have 0.43. So the second column is the fair one, in which those
# have a half by construction. Drawings are nearer in 0.41 [0.38, 0.45] of all pairs, so that no copying is to be seen;
# those of training captions in 0.56 [0.48, 0.63], which cannot be told from a half.
#
# And look at the planted copies: a fifth of *exact* copies lifts 0.36 to 0.48, as 0.2 + 0.8 · 0.36 says, and 0.41 to 0.52,
# which nobody would notice! **Clearly more than the null shows copying; less does not show that there is none.** So look
# at the nearest, too. The twelve nearest drawings are near because their *real* pictures are: the same person in another
# tone is in training.

# %% [markdown]
# ## 5.11 What goes wrong in real life
#
# **Random splits of a web crawl.** Pictures occur on the web again and again. When a data set is split at random, the
# test half has near copies in the training half, and the test loss is a training loss in disguise. Lee and others
# (2022) found near copies in all text corpora that they looked at; over one percent of what a model wrote without being
# asked was copied word for word. Once the copies were removed from training, it was ten times less, and the model as good.
#
# **Pictures that come back.** Somepalli and others (2023) and Carlini and others (2023) got pictures out of Stable
# Diffusion that are, to the eye, those of its training set: posters, logos, and portraits of people who never agreed to
# be in it, mostly pictures that occurred many times. That is a *small* share of what is drawn, and no comfort for whom
# it shows. Who copies a rare artist's style harms somebody who has a name.
#
# **A mean hides whom it fails.** A gap is a mean over pictures, and a group that few pictures show is a small part of it.
# Look at the groups, as `minidalle evaluate` prints them, before you call a gap small.
#
# **Tools** that compute what this lesson computes have been wrong, silently: the "top" eigenvalue of −10, 3 and 1 was
# −9.996, a value of two products in section 5.6; a tolerance was no error bound; batches of unequal size counted alike; weights stayed perturbed after a SAM
# step. For each of these this package has a test with a known answer. A closed form is the cheapest colleague.
#
# ## 5.12 My gap looks like this
#
# | | what you see | because | do this |
# |---|---|---|---|
# | 1 | the gap is negative | the split's pictures are easier, or the training loss is the running one, with dropout and reworded captions | both sides in eval mode with the final weights; adjust by a baseline |
# | 2 | no gap, and poor pictures | nothing is learned by heart because little is learned at all | look at the loss itself; train longer |
# | 3 | a tiny gap on `iid`, a large one on `concept` | near copies of `iid` pictures are in training | hold out what the claim is about |
# | 4 | the interval shrinks when styles are added | rows of a role are taken for independent facts | errors over roles |
# | 5 | it falls, then rises while training goes on | learning by heart | stop on `dev`, or more pictures, other words, noise on tokens |
# | 6 | the held-out loss is better than of all others' runs | this split has chosen the checkpoint | a split that chooses, and another one that reports |
# | 7 | λmax differs from run to run by much | dropout is on, or each product has another batch | eval mode, one fixed set of rows |
#
# **Everything at once, for your own model.** In a terminal; it writes a page with tables, plots and the nearest pictures
# (two or three minutes on two quiet cores):
#
# ```
# minidalle gap --run runs/mine
# ```

# %% [markdown]
# ## Bonus: write the tests yourself
#
# These are the mistakes that the check of `loss_gap` knows by name. Which inputs find them? The first finds some. Add
# losses and groups until all are found; few are enough if they are chosen well. Hints: groups of several rows, groups
# on both sides, sides of other lengths.

# %%
from minidalle.exercises import EXERCISES
from minidalle.exercises.exercise import mistake

# Add yours to the list: losses seen, losses unseen, groups seen, groups unseen.
inputs = [([1.0, 2.0], [4.0, 6.0], [0, 1], [2, 3])]

exercise, found_mistakes = EXERCISES["generalization.loss_gap"], 0
for wrong in exercise.wrong:
    finders = []
    for seen_losses, unseen_losses, *groups in inputs:
        given = [torch.tensor(seen_losses), torch.tensor(unseen_losses), *map(torch.tensor, groups)]
        expected = exercise.reference(*given)
        try:
            answer = wrong(*given)
            differs = not all(abs(float(a) - float(b)) < 1e-4 for a, b in zip(answer, expected, strict=True))
        except Exception:  # a mistake that crashes is found, too
            differs = True
        finders += [str((seen_losses, unseen_losses))] if differs else []
    found_mistakes += bool(finders)
    print("✓ found by" if finders else "✗ not found", *finders[:1], "–", mistake(wrong)[0])
print(f"{found_mistakes} of {len(exercise.wrong)} mistakes found; inputs: {len(inputs)}")

# %% [markdown]
# ## Where to read on
#
# - C. Zhang and others: *Understanding deep learning requires rethinking generalization*, ICLR 2017, arXiv:1611.03530.
# - L. Dinh and others: *Sharp Minima Can Generalize For Deep Nets*, ICML 2017, arXiv:1703.04933.
# - S. Hochreiter, J. Schmidhuber: *Flat Minima*, Neural Computation 9, 1997; N. S. Keskar and others: *On Large-Batch
#   Training for Deep Learning: Generalization Gap and Sharp Minima*, ICLR 2017, arXiv:1609.04836.
# - P. Foret and others: *Sharpness-Aware Minimization for Efficiently Improving Generalization*, ICLR 2021,
#   arXiv:2010.01412; J. Kwon and others: *ASAM*, ICML 2021, arXiv:2102.11600; M. Andriushchenko and others: *A Modern
#   Look at the Relationship between Sharpness and Generalization*, ICML 2023, arXiv:2302.07011.
# - H. Li and others: *Visualizing the Loss Landscape of Neural Nets*, NeurIPS 2018, arXiv:1712.09913; R. Entezari and
#   others: *The Role of Permutation Invariance in Linear Mode Connectivity*, ICLR 2022, arXiv:2110.06296.
# - B. Ghorbani, S. Krishnan, Y. Xiao: *An Investigation into Neural Net Optimization via Hessian Eigenvalue Density*,
#   ICML 2019, arXiv:1901.10159.
# - C. Meehan, K. Chaudhuri, S. Dasgupta: *A Non-Parametric Test to Detect Data-Copying in Generative Models*, AISTATS
#   2020, arXiv:2004.05675.
# - N. Muennighoff and others: *Scaling Data-Constrained Language Models*, NeurIPS 2023, arXiv:2305.16264: how often data
#   can be repeated.
# - K. Lee and others: *Deduplicating Training Data Makes Language Models Better*, ACL 2022, arXiv:2107.06499.
# - G. Somepalli and others: *Diffusion Art or Digital Forgery?*, CVPR 2023, arXiv:2212.03860; N. Carlini and others:
#   *Extracting Training Data from Diffusion Models*, USENIX Security 2023, arXiv:2301.13188.
# - In this package: `minidalle/generalization/` is what you have just written, and `measuring.py` puts it together.

# %% instructor [markdown]
# **For the instructor.** Two readers estimated seven and eight to nine hours, about four of them writing; good places to stop are the ends of 5.3, 5.5
# and 5.9. `experiments.json` and `flatness.json` come from `benchmarks/generalization.py` and `benchmarks/flatness.py`.
# If time is short, leave out 5.6's `slq_density` and 5.8 with a `course.toml` (docs/authoring.md); 5.3, 5.9 and 5.10 are
# the heart. Section 5.7 is meant to end in an argument: let students defend both sides before they unfold anything.
