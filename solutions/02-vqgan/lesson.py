# ---
# title: VQGAN
# minutes: 270
# ---

# %% [markdown]
# A language model writes one token after another from a fixed list. If it is to *draw*, a picture must become such a row
# of tokens, and the row must become a picture again. That is the work of a **VQGAN**: an encoder turns the picture into
# a small grid of vectors, each vector is replaced by the nearest one of a list, the **codebook**, and a decoder paints
# the picture from what is left. In this lesson you write its parts, watch it fail in the usual ways, and train one.
#
# ![Four boxes in a row: caption, text tokens, image tokens, picture. The box image tokens and the two arrows between it and the picture, labeled VQGAN, are highlighted: they are this lesson. The tokenizer was lesson 01; BART, from text tokens to image tokens, is lessons 03 and 04.](pipeline.svg)
#
# **You will be able to**
#
# - say why pixels are too many for a sequence model, and what 64 tokens of 9 bits keep of a picture;
# - find the nearest code, send a gradient through that choice, and say which loss moves what;
# - recognize a collapsed codebook in a plot, and cure it;
# - train a VQGAN, and measure what it loses in decibels, in bits and in faces.
#
# **You need** lesson 01, and PyTorch as far as this: tensors and shapes, `backward()`, what an optimizer does, what a
# convolution is. About four and a half hours; each section can be done on another day.
#
# **How a section goes** is as in lesson 01: predict, read something worked, write, check, look. Hints are folded, and
# nothing has to be finished before you go on.
#
# **Do you remember?** Answer first, then unfold.
#
# <details><summary>Lesson 00: why may only the split <code>dev</code> choose between two recipes?</summary>
#
# Whoever picks the better of two by a split's score has fitted to that split: the winner's score there is too good. The
# other splits stay honest because nothing was ever chosen by them.
#
# </details>
# <details><summary>Lesson 00: what does a score say without a baseline?</summary>
#
# Hardly anything: 17 dB may be much or little. Section 2.2 therefore starts with one that needs no model.
#
# </details>
# <details><summary>Lesson 01: what is the oldest merge of a word, and why does it go first?</summary>
#
# The pair that was learned first, that is, the one with the smallest rank. Encoding replays the training in its order.
#
# </details>
# <details><summary>Lesson 01: a larger vocabulary makes rows shorter. What does it cost?</summary>
#
# A larger table in the model, whose entries are each seen less often; some are never used. Keep this in mind for codes.
#
# </details>

# %% setup
import io
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import minidalle
from minidalle.course import mine, use
from minidalle.data import emoji_pictures
from minidalle.data.pixels import sheet, to_floats, to_pixels
from minidalle.evaluation.bootstrap import estimate
from minidalle.presets import CPU, SMALL_VQGAN
from minidalle.training.config import SMALL_DISCRIMINATOR
from minidalle.vqgan import VQGAN, Discriminator, blocks, losses, quantizer
from minidalle.vqgan.clustering import kmeans

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"  # Okabe and Ito's, told apart by everybody

emoji = emoji_pictures(32)  # drawn once, which takes some ten seconds, and then kept
roles = emoji.columns["role"]
shipped = minidalle.load().vqgan
dev_rows, iid_rows = emoji.rows("dev")[:128], emoji.rows("iid")
dev, iid = to_floats(emoji.pictures[dev_rows]), to_floats(emoji.pictures[iid_rows])


def show(pictures, columns, labels=(), title="", scale=2, width=10):
    """Show pictures, uint8 [B, H, W, 3] or float [B, 3, H, W], on one sheet; `labels` stand beside the rows."""
    pictures = to_pixels(pictures) if isinstance(pictures, torch.Tensor) else pictures
    page = sheet(pictures, columns, scale)
    figure, axis = plt.subplots(figsize=(width, width * page.shape[0] / page.shape[1] + 0.3))
    axis.imshow(page, interpolation="nearest")
    rows = len(labels)
    axis.set_yticks([(row + 0.5) * page.shape[0] / rows for row in range(rows)], labels)
    axis.set_xticks([])
    axis.set_title(title, fontsize=10)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    figure.tight_layout()
    plt.show()


show(dev[:16], 16, title="Sixteen pictures of dev, 32 × 32 pixels each")

# %% [markdown]
# *The figure in words: a row of sixteen emoji, such as they will be encoded below.*
#
# ## 2.1 Count the pixels
#
# Why not let the model write pixels? Count. A pixel is three numbers of 8 bits. A token that chooses one of K codes is
# $\log_2 K$ bits. And a model with attention compares every position with every other: its work grows with the *square*
# of the length.
#
# **Predict.** Our pictures have 32 × 32 pixels and become 64 tokens out of 512. The published VQGAN makes 256 tokens out of
# 16,384 from 256 × 256 pixels. How many times fewer bits is each? Then run the cell.

# %%
print("                        numbers    bits      tokens  bits    fewer bits   fewer comparisons")
for name, side, tokens, codes in [("ours", 32, 64, 512), ("the published VQGAN", 256, 256, 16384)]:
    numbers, bits = 3 * side**2, tokens * int(np.log2(codes))
    ratios = f"{8 * numbers / bits:8.0f} ×   {(numbers / tokens) ** 2:13,.0f} ×"
    print(f"{name:20} {numbers:10,} {8 * numbers:10,} {tokens:8} {bits:6,}   {ratios}")

# %% [markdown]
# 576 bits are 72 bytes: less than this sentence has. With so few, something must be lost, and the art is in losing what
# nobody misses. One warning before you are impressed: the decoder knows what emoji look like. It *remembers* most of what it paints;
# the tokens only say which memories to use.
#
# ## 2.2 How good is a copy?
#
# To speak of loss we need a measure. The mean squared error (MSE) between picture and copy is one; people prefer it on a
# scale like loudness, in **decibels**: $\text{PSNR} = -10 \log_{10} \text{MSE}$ for numbers between 0 and 1. Ten times less
# error is 10 dB more. It is infinite for a perfect copy.
#
# Worked, on a neighboring problem: the mean *absolute* error of each picture of a batch.

# %%
copies, originals = torch.tensor([[[0.0, 0.5]], [[1.0, 1.0]]]), torch.tensor([[[0.0, 1.0]], [[1.0, 1.0]]])
differences = (copies - originals).abs()  # [B, …]
per_picture = differences.flatten(1).mean(dim=1)  # all that belongs to one picture in one row; then a mean per row
print(per_picture)

# %% [markdown]
# **Predict.** Every number of a copy is wrong by exactly 0.1. What is its PSNR? And by 0.01?
#
# <details><summary>Answer</summary>
#
# The MSE is 0.01, so 20 dB; with 0.0001 it is 40 dB.
#
# </details>
#
# **Your turn.** One number for each picture, not one for the batch: below we want to know *which* pictures suffer.

# %% exercise: vqgan.psnr

# %% [markdown]
# **Look.** A baseline before any model: keep only the mean color of each 4 × 4 block. That is an 8 × 8 grid as well, but of
# 64 colors with 24 bits each, almost three times the bits of our tokens.

# %%
mosaic = F.avg_pool2d(dev, 4)
smooth = F.interpolate(mosaic, scale_factor=4.0, mode="bilinear")
with use(mine(globals())), torch.no_grad():  # in this block your functions stand in for the package's
    through = shipped.decode(shipped.encode(dev))
    for name, copy in {"white paper": torch.ones_like(dev), "mean colors": smooth, "shipped VQGAN": through}.items():
        print(f"{name:14} {losses.psnr(copy, dev).mean():5.1f} dB")
rows = torch.cat([dev[:12], smooth[:12], through[:12]])
show(rows, 12, ["real", "mean colors", "64 tokens"], "What 64 colors keep, and what 64 tokens keep")

# %% [markdown]
# *The figure in words: three rows of the same twelve emoji. Of the mean colors only blurs are left; the VQGAN's copies can hardly be
# told from the real ones but for small details.*
#
# White paper gets 9.5 dB and the blurs 16.7, the shipped VQGAN about 25. Whatever you train below has to beat the blurs.
#
# ## 2.3 Down, up, and around
#
# The encoder halves the sides of the picture and widens the channels until an 8 × 8 grid is left, the decoder goes the way back.
# Between the steps stand **residual blocks**: they leave the size alone and *add* something to what came in,
# $x + f(x)$. A block that has learned nothing yet just passes $x$ on, and the gradient reaches the first layer of a deep
# stack undamaged.
#
# `downsample` is a convolution that moves two pixels at a time; `upsample` repeats each pixel and smooths. Both are
# given (`minidalle/vqgan/blocks.py`). On the way our small VQGAN makes of a picture:

# %%
small = replace(SMALL_VQGAN, channels=16, decoder_blocks=(1, 1), latent_width=16, code_width=16, codes=256)
torch.manual_seed(0)
untrained = VQGAN(small)
x = F.pixel_unshuffle(dev[:1], small.patch)  # 2 × 2 pixels become one cell of 12 numbers: nothing is lost
print("picture", tuple(dev[:1].shape), "→ unshuffled", tuple(x.shape))
x = untrained.encoder.conv_in(x)
for number, level in enumerate(untrained.encoder.down):
    print(f"level {number} gets", tuple(x.shape), end="")
    x = level(x)
    print(", gives", tuple(x.shape))
print("latents", tuple(untrained.latents(dev[:1]).shape), " – 64 cells, each a vector of 16 numbers")

# %% [markdown]
# Worked, on a neighboring problem: the same idea for plain vectors, with two linear layers.

# %%
vectors, first, second = torch.randn(4, 8), torch.randn(8, 8), torch.zeros(8, 8)
hidden = F.silu(vectors) @ first  # bend, then mix
hidden = F.silu(hidden) @ second  # again
result = vectors + hidden  # what came in, and what is added to it
print("second is zero, so nothing was added:", torch.equal(result, vectors))

# %% [markdown]
# **Predict.** A block shall turn 16 channels into 32. Then $x$ and $f(x)$ have different shapes. What could be done?
#
# <details><summary>Answer</summary>
#
# Widen $x$, too, by the cheapest layer that can: a 1 × 1 convolution, called `nin_shortcut` in the published weights.
#
# </details>
#
# **Your turn.** The first half is there; write the second, and what is returned.

# %% exercise: vqgan.residual_block
# blank: hidden = convolve(weights["conv2"]
# blank: return

# %% [markdown]
# **Look.** An autoencoder of your blocks: no codes yet, each cell is a vector of 16 free numbers. This loop is all that
# training is, and it serves for all small experiments of this lesson. With `quantize=False` the codebook is
# left out. The loss is L1 plus edges, which you write in section 2.8.

# %%
EDGES = losses.LossWeights(l1=1, mse=0, gradient=1)
train_rows = emoji.rows("train")


def batch(n, size=32):
    """Batch n of the training pictures, float [size, 3, 32, 32]: always the same for the same n."""
    chosen = np.random.default_rng([0, n]).choice(train_rows, size, replace=False)
    return to_floats(emoji.pictures[np.sort(chosen)])


def train_small(vqgan, steps, first=0, quantize=True, weights=EDGES, rate=3e-3, window=25):
    """Train from batch `first` on; for each window of steps: usage of codes, PSNR, distance to codes, length."""
    optimizer = torch.optim.Adam(vqgan.parameters(), lr=rate, betas=(0.9, 0.99))
    log, seen = {}, torch.zeros(vqgan.config.codes)
    for n in range(first, first + steps):
        pictures = batch(n)
        output = vqgan(pictures, quantize)
        loss = losses.reconstruction_loss(output.pictures, pictures, weights) + output.commitment
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vqgan.parameters(), 1.0)
        optimizer.step()
        counts, sums = quantizer.code_statistics(output.latents, output.tokens, vqgan.config.codes)
        seen += counts
        if quantize:  # the codebook follows: sections 2.6 and 2.7
            latents = output.latents.detach().flatten(0, 1)
            vqgan.quantize.update(counts, sums, latents, torch.randperm(len(latents)))
        if (n - first + 1) % window == 0:
            used, perplexity = quantizer.codebook_usage(seen)
            decibels = losses.psnr(output.pictures.detach().clamp(0, 1), pictures).mean().item()
            apart = (output.latents - output.quantized).square().sum(-1).mean().sqrt().item()
            length = output.latents.square().sum(-1).mean().sqrt().item()
            for name, value in dict(step=n + 1, used=used, perplexity=perplexity, psnr=decibels, apart=apart, length=length).items():
                log.setdefault(name, []).append(value)
            seen.zero_()
    return log


torch.manual_seed(0)
autoencoder = VQGAN(small)
with use(mine(globals())), torch.no_grad():
    before = autoencoder(dev, quantize=False).pictures.clamp(0, 1)
    with torch.enable_grad():
        log = train_small(autoencoder, 150, quantize=False)
    after = autoencoder(dev, quantize=False).pictures.clamp(0, 1)
    print("training, every 25 steps:", *[f"{value:.1f}" for value in log["psnr"]], "dB")
    print(f"held out: {losses.psnr(after, dev).mean():.1f} dB")
show(torch.cat([dev[:12], before[:12], after[:12]]), 12, ["real", "untrained", "150 steps"], "A plain autoencoder")

# %% [markdown]
# *The figure in words: real emoji, noise from the untrained network, and after 150 steps copies that are a little soft but
# plain to see.*
#
# It beats the blurs after 50 steps. But its 64 × 16 free numbers are no tokens. Not yet.
#
# ## 2.4 The nearest code
#
# A codebook is a list of K vectors. Each latent is replaced by its **nearest code**, and the *number* of that code is the image
# token. You do the same when you paint with eight pencils: for each color you take the pencil that is closest.
#
# Worked, on a neighboring problem: numbers, and the nearest mark of a ruler.

# %%
numbers, marks = torch.tensor([0.2, 3.9, 2.4]), torch.tensor([0.0, 2.0, 4.0])
distances = (numbers[:, None] - marks[None, :]).abs()  # each with each: 3 numbers × 3 marks
print(distances, "→", distances.argmin(dim=1))

# %% [markdown]
# In more dimensions the distance is $\|x - e\|^2 = \|x\|^2 - 2\,x \cdot e + \|e\|^2$. Written so, all distances come
# from one matrix product, without a table of all differences, which for 2,048 latents, 512 codes and 32 dimensions would hold 34
# million numbers.
#
# **Predict.** Which of the three terms can you leave out when only the *nearest* code matters?
#
# <details><summary>Answer</summary>
#
# $\|x\|^2$: it is the same for every code, so it changes no comparison. Not $\|e\|^2$: without it long codes win too often.
#
# </details>

# %% exercise: vqgan.nearest_code

# %% [markdown]
# **Look.** In two dimensions every code owns a cell of the plane, its **Voronoi cell**: the points that are nearer to it than to any other. On the
# right the latents are the colors of a picture, three numbers each, and the codebook is eight pencils.

# %%
torch.manual_seed(4)
plane_codes = torch.randn(8, 2)
grid = torch.stack(torch.meshgrid(torch.linspace(-3, 3, 200), torch.linspace(-3, 3, 200), indexing="xy"), -1)
pencils = torch.tensor([[0, 0, 0], [1, 1, 1], [1, 0, 0], [1, 0.8, 0], [0.2, 0.6, 0.2], [0.1, 0.4, 0.8], [0.5, 0.3, 0.1], [0.6, 0.6, 0.6]])
with use(mine(globals())):
    cells = quantizer.nearest_code(grid, plane_codes)
    colors = dev[:4].permute(0, 2, 3, 1)
    painted = pencils[quantizer.nearest_code(colors, pencils)]
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4))
axes[0].imshow(cells, origin="lower", extent=(-3, 3, -3, 3), cmap="Pastel1")
for number, (across, up) in enumerate(plane_codes.tolist()):
    axes[0].text(across, up, str(number), ha="center", va="center", fontweight="bold")
axes[0].set_title("Cells of eight codes")
for axis, pictures, title in ((axes[1], colors, "Real colors"), (axes[2], painted, "Eight pencils")):
    axis.imshow(sheet((pictures * 255).round().byte().numpy(), 2, 4))
    axis.set_title(title)
    axis.axis("off")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: on the left a plane, cut by straight lines into eight cells with the numbers 0 to 7 at their codes. On
# the right four emoji, real and painted with eight colors: shapes stay, shades become flat.*
#
# ## 2.5 A gradient through a choice
#
# Move a latent a little, and its nearest code stays the same. So the derivative of what comes out with respect to what
# went in is **zero**, everywhere but on the borders between cells, where it does not exist. No gradient reaches the
# encoder, and it learns nothing.
#
# The way out is a white lie, the **straight-through** estimator: forward, the decoder gets the code; backward, we act as if it had got the
# latent, and hand its gradient to the encoder unchanged. As code and latent are close, the advice is about right.
#
# Worked, on a neighboring problem: `detach()` gives the value and hides where it comes from.

# %%
a = torch.tensor(3.0, requires_grad=True)
(a * a).backward()
plain = a.grad.item()
a.grad = None
(a * a.detach()).backward()  # the same value, 9; but the second factor counts as a constant
print("gradient of a·a:", plain, " of a·a.detach():", a.grad.item())

# %% [markdown]
# **Predict.** What is the value of `a + (5 - a).detach()` for a = 3, and its gradient with respect to a?
#
# <details><summary>Answer</summary>
#
# Its value is 5, its gradient 1: the bracket is a constant, 2.
#
# </details>

# %% exercise: vqgan.straight_through

# %% [markdown]
# **Look.** A latent, one number, should make a decoder's error small. The codes are −1, 0, 1 and 2, and the best output would be
# 1.3.

# %%
line, codes = torch.linspace(-1.5, 2.5, 401), torch.tensor([-1.0, 0.0, 1.0, 2.0])
with use(mine(globals())):
    latent = line.clone().requires_grad_()
    chosen = codes[quantizer.nearest_code(latent[:, None], codes[:, None])]
    errors = (quantizer.straight_through(latent, chosen) - 1.3).square()
    errors.sum().backward()
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3))
left.plot(line, errors.detach(), color=BLUE)
left.set(xlabel="latent", title="The error is a staircase", ylabel="error")
right.plot(line, torch.zeros_like(line), "--", color=ORANGE, label="true gradient")
right.plot(line, latent.grad, color=BLUE, label="straight-through")
right.set(xlabel="latent", title="Its gradient")
right.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: the error is constant on four steps and jumps between them. Its true gradient is zero; the straight-through one is
# −4.6, −2.6, −0.6 and 1.4, so that descent pushes latents right as long as their code is too far left.*
#
# ## 2.6 Two losses, and who moves
#
# The lie only works while latents and codes stay close. Two terms see to that:
#
# $$\underbrace{\|\,\text{sg}(z) - e\,\|^2}_{\text{codebook: moves } e} \;+\; \beta\,\underbrace{\|\,z - \text{sg}(e)\,\|^2}_{\text{commitment: moves } z}$$
#
# where *z* is the latent, *e* its code, and sg ("stop gradient") is `detach()`. Both have the same value, and each moves
# one side only. β, mostly 0.25, makes the *encoder* the slower one of the two: codes should come to the latents, more than latents to the
# codes, for the latents also have a picture to describe.
#
# **Predict.** In widely used code β multiplied the other term for years. What happens to the codebook, and what to the encoder, with
# β = 0.25 in the wrong place?
#
# <details><summary>Answer</summary>
#
# Codes follow four times more slowly, and latents are pulled four times harder. It still trains, which is why it was
# found late: the value of the loss is the same for β = 1, and nothing crashes.
#
# </details>
#
# **Your turn.** The first term is there. Mean over all numbers, as everywhere.

# %% exercise: vqgan.quantizer_loss
# blank: commitment =
# blank: return

# %% [markdown]
# **Look.** Arrows show where one step of descent moves latents (dots) and codes (squares).

# %%
torch.manual_seed(0)
start_latents = torch.randn(12, 2) + torch.tensor([1.0, 0.0])
start_codes = torch.tensor([[-1.0, 0.5], [0.5, -1.0], [0.0, 1.5]])
figure, axes = plt.subplots(1, 3, figsize=(10, 3.3), sharex=True, sharey=True)
with use(mine(globals())):
    for axis, beta in zip(axes, (0.0, 0.25, 1.0), strict=True):
        z, e = start_latents.clone().requires_grad_(), start_codes.clone().requires_grad_()
        quantizer.quantizer_loss(z, e[quantizer.nearest_code(z, e)], beta).backward()
        for points, mark, color in ((z, "o", BLUE), (e, "s", ORANGE)):
            places, moves = points.detach(), -3 * points.grad
            axis.plot(*places.T, mark, color=color)
            axis.quiver(*places.T, *moves.T, angles="xy", scale_units="xy", scale=1, color=color, width=0.008)
        axis.set_title(f"β = {beta}")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: three times the same twelve blue dots and three orange squares. The squares' arrows towards their dots are the same in all three. The
# dots have no arrows for β = 0, short ones towards their square for β = 0.25, and four times as long ones for β = 1.*
#
# ### A codebook without gradient
#
# Look at the first term alone: its minimum puts every code at the **mean of the latents that chose it**. That is k-means, and a mean
# needs no gradient and no learning rate. So keep for each code a running count *n* and a running sum *s* of its latents, both
# with an exponential moving average (EMA), and let the code be *s / n*. It is k-means that never stops, over batches
# that it sees once.
#
# Worked, on a neighboring problem: the mean price of bread, when some days nobody buys any.

# %%
count, total = 1.0, 2.0  # one loaf for 2
for sold, paid in [(3, 9.0), (0, 0.0), (1, 5.0)]:  # each day: how many, and how much for all together
    count, total = 0.5 * count + 0.5 * sold, 0.5 * total + 0.5 * paid
    print(f"count {count:.2f}, sum {total:.2f}, mean {total / count:.2f}")

# %% [markdown]
# On the day without a sale both halve, and the mean stays: that is why the count and the sum are averaged, and not the mean.
# One thing is left: if a code is never chosen, its count goes to 0. Laplace smoothing, in the docstring, keeps the
# division safe.

# %% exercise: vqgan.ema_update

# %% [markdown]
# **Look.** Three clouds of latents, three codes that start in a corner, forty batches.

# %%
chance = torch.Generator().manual_seed(1)
centers = torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.5, -2.0]])
book = torch.tensor([[-2.2, 1.7], [-2.0, 2.0], [-1.6, 2.2]])
counts, sums, path = torch.ones(3), book.clone(), [book]
with use(mine(globals())):
    for _ in range(40):
        cloud = centers[torch.randint(3, (60,), generator=chance)] + 0.4 * torch.randn(60, 2, generator=chance)
        found = quantizer.code_statistics(cloud, quantizer.nearest_code(cloud, book), 3)
        counts, sums, book = quantizer.ema_update(counts, sums, *found, 0.8)
        path.append(book)
figure, axis = plt.subplots(figsize=(5.5, 3.6))
axis.plot(*cloud.T, "o", color="#999999", ms=3, label="the last batch")
for code, (color, mark) in enumerate(((BLUE, "s"), (ORANGE, "^"), (GREEN, "D"))):
    walk = torch.stack(path)[:, code]
    axis.plot(*walk.T, ".-", color=color, lw=1, ms=3)
    axis.plot(*walk[-1], mark, color=color, ms=9, label=f"code {code}, chosen {counts[code]:.1f} times a batch")
axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
axis.set_title("Codes walk to the means of those who chose them")
figure.tight_layout()
plt.show()
