# ---
# title: VQGAN
# minutes: 330
# ---

# %% [markdown]
# A language model writes one token after another from a fixed list. If it is to *draw*, a picture must become such a
# row of tokens, and the row must become a picture again. That is the work of a **VQGAN**: an encoder turns the picture
# into a small grid of vectors, each vector is replaced by the nearest one of a list, the **codebook**, and a decoder
# paints the picture from what is left. In this lesson you write its parts, watch it fail in the usual ways, and train
# one.
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
# convolution is. Of attention you need to know nothing yet: it comes in lesson 03. Five to six hours; each section can be
# done on another day. After a restart of the kernel let the cells above run again (*Run All Above Selected Cell*), which
# takes a few minutes.
#
# **How a section goes** is as in lesson 01: predict, read something worked, write, check, look. Hints are folded, and
# nothing has to be finished before you go on. The small experiments train for real, once, with one seed: your numbers
# may differ a little from those in the text.
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
import inspect
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
from minidalle.vqgan import VQGAN, Discriminator, losses, quantizer
from minidalle.vqgan.clustering import kmeans

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # Okabe and Ito's, told apart by everybody

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
# $\log_2 K$ bits. And a model with attention, such as lesson 03's, compares every position with every other: its work
# grows with the *square* of the length.
#
# **Predict.** Our pictures have 32 × 32 pixels and become 64 tokens out of 512. The published VQGAN makes 256 tokens
# out of 16,384 from 256 × 256 pixels. Divide the bits of the pixels by the bits of the tokens: what comes out for
# ours, and what for the published one? Then run the cell.

# %%
print("                        numbers    bits      tokens  bits    bits divided by  comparisons divided by")
for name, side, tokens, codes in [("ours", 32, 64, 512), ("the published VQGAN", 256, 256, 16384)]:
    numbers, bits = 3 * side**2, tokens * int(np.log2(codes))
    ratios = f"{8 * numbers / bits:12.0f} {(numbers / tokens) ** 2:20,.0f}"
    print(f"{name:20} {numbers:10,} {8 * numbers:10,} {tokens:8} {bits:6,}   {ratios}")

# %% [markdown]
# 576 bits are 72 bytes, about one line of this text. With so few, something must be lost, and the art is in losing what
# nobody misses. One warning before you are impressed: the decoder knows what emoji look like. It *remembers* most of
# what it paints; the tokens only say which memories to use.
#
# ## 2.2 How good is a copy?
#
# To speak of loss we need a measure. The mean squared error (MSE) between picture and copy is one; people prefer it on
# a scale like loudness, in **decibels**: $\text{PSNR} = -10 \log_{10} \text{MSE}$ for numbers between 0 and 1. A
# tenth of the MSE is 10 dB more. It is infinite for a perfect copy.
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
# **Look.** A baseline before any model: keep only the mean color of each 4 × 4 block. That is an 8 × 8 grid as well,
# but of 64 colors with 24 bits each, almost three times the bits of our tokens.

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
# *The figure in words: three rows of the same twelve emoji. Of the mean colors only blurs are left; the VQGAN's copies
# can hardly be told from the real ones but for small details.*
#
# White paper gets 9.5 dB and the blurs 16.7, the shipped VQGAN 25.6. Whatever you train below has to beat the
# blurs.
#
# ## 2.3 Down, up, and around
#
# The encoder halves the sides of the picture and widens the channels until an 8 × 8 grid is left (the first time by
# packing 2 × 2 pixels into one cell), the decoder goes the way back. Between the steps stand **residual blocks**: they
# leave the size alone and *add* something to what came in, $x + f(x)$. The last layer of $f$ begins at zero, so that a
# block that has learned nothing yet just passes $x$ on, and the gradient reaches the first layer of a deep stack
# undamaged.
#
# Three things that you will use: `F.silu(x)`, $x \cdot \text{sigmoid}(x)$, is a soft ReLU; `normalize(weights, name, x,
# groups)` is group normalization, and does nothing if there are no weights of that name, as in our small VQGAN;
# `convolve(weights["conv1"], x)` is a convolution with one entry of the weights.
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
# training is, and it serves for all small experiments of this lesson. With `quantize=False` the codebook is left out.
# The loss is L1 plus edges, which you write in section 2.10. The training takes about ten seconds on a quiet core.

# %%
EDGES = losses.LossWeights(l1=1, mse=0, gradient=1)
train_rows = emoji.rows("train")


def batch(n, size=32):
    """Batch n of the training pictures, float [size, 3, 32, 32]: always the same for the same n."""
    chosen = np.random.default_rng([0, n]).choice(train_rows, size, replace=False)
    return to_floats(emoji.pictures[np.sort(chosen)])


def train_small(vqgan, steps, first=0, quantize=True, weights=None, rate=3e-3, window=25):
    """Train from batch `first` on; what a window of steps gave is a row of the log that is returned."""
    optimizer = torch.optim.Adam(vqgan.parameters(), lr=rate, betas=(0.9, 0.99))
    log, seen, decibels = [], torch.zeros(vqgan.config.codes), []
    for n in range(first, first + steps):
        pictures = batch(n)
        output = vqgan(pictures, quantize)
        loss = losses.reconstruction_loss(output.pictures, pictures, weights or EDGES) + output.commitment
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vqgan.parameters(), 1.0)
        optimizer.step()
        counts, sums = quantizer.code_statistics(output.latents, output.tokens, vqgan.config.codes)
        seen += counts
        decibels.append(losses.psnr(output.pictures.detach().clamp(0, 1), pictures).mean().item())
        if quantize:  # the codebook follows: sections 2.6 to 2.8
            latents = output.latents.detach().flatten(0, 1)
            vqgan.quantize.update(counts, sums, latents, torch.randperm(len(latents)))
        if (n - first + 1) % window == 0:
            used, perplexity = quantizer.codebook_usage(seen)
            psnr = sum(decibels[-window:]) / window  # a single batch may be an easy one
            length = output.latents.detach().norm(dim=-1).mean().item()  # of a latent; section 2.14 looks at it
            log.append({"step": n + 1, "used": used, "perplexity": perplexity, "psnr": psnr, "length": length})
            seen.zero_()
    return log


def column(log, name):
    """One number of each row of a log."""
    return [row[name] for row in log]


@torch.no_grad()
def without_codes(vqgan):
    """The pictures of dev through the encoder and the decoder alone."""
    return vqgan(dev, quantize=False).pictures.clamp(0, 1)


torch.manual_seed(0)
autoencoder = VQGAN(small)
with use(mine(globals())):
    before = without_codes(autoencoder)
    log = train_small(autoencoder, 150, quantize=False)
    after = without_codes(autoencoder)
    print("training, every 25 steps:", *[f"{value:.1f}" for value in column(log, "psnr")], "dB")
    print(f"held out: {losses.psnr(after, dev).mean():.1f} dB")
show(torch.cat([dev[:12], before[:12], after[:12]]), 12, ["real", "untrained", "150 steps"], "A plain autoencoder")

# %% [markdown]
# *The figure in words: real emoji, gray noise from the untrained network, and after 150 steps copies that are a little
# soft but plain to see.*
#
# It passes the blurs, 16.7 dB, after some 50 steps. But its 64 × 16 free numbers are no tokens. Not yet.
#
# ## 2.4 The nearest code
#
# A codebook is a list of K vectors. Each latent is replaced by its **nearest code**, and the *number* of that code is
# the image token. You do the same when you paint with eight pencils: for each color you take the pencil that is
# closest.
#
# Worked, on a neighboring problem: numbers, and the nearest mark of a ruler.

# %%
numbers, marks = torch.tensor([0.2, 3.9, 2.4]), torch.tensor([0.0, 2.0, 4.0])
distances = (numbers[:, None] - marks[None, :]).abs()  # each with each: 3 numbers × 3 marks
print(distances, "→", distances.argmin(dim=1))

# %% [markdown]
# In more dimensions the distance is $\|x - e\|^2 = \|x\|^2 - 2\,x \cdot e + \|e\|^2$. Written so, all distances come
# from one matrix product, without a table of all differences, which for 2,048 latents, 512 codes and 32 dimensions
# would hold 34 million numbers.
#
# **Predict.** Which of the three terms can you leave out when only the *nearest* code matters?
#
# <details><summary>Answer</summary>
#
# $\|x\|^2$: it is the same for every code, so it changes no comparison. Not $\|e\|^2$: without it long codes win too
# often.
#
# </details>

# %% exercise: vqgan.nearest_code

# %% [markdown]
# **Look.** In two dimensions every code owns a cell of the plane, its **Voronoi cell**: the points that are nearer to
# it than to any other. On the right the latents are the colors of a picture, three numbers each, and the codebook is
# eight pencils.

# %%
torch.manual_seed(140)
plane_codes = 1.2 * torch.randn(8, 2)
grid = torch.stack(torch.meshgrid(torch.linspace(-3, 3, 200), torch.linspace(-3, 3, 200), indexing="xy"), -1)
pencils = ["000000", "ffffff", "ff0000", "ffcc00", "339933", "1a66cc", "804d1a", "999999"]  # black, white, red, …
pencils = torch.tensor([list(bytes.fromhex(pencil)) for pencil in pencils]) / 255
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
# *The figure in words: on the left a plane, cut by straight lines into eight cells with the numbers 0 to 7 at their
# codes. On the right four emoji, real and painted with eight colors: shapes stay, shades become flat.*
#
# ## 2.5 A gradient through a choice
#
# Move a latent a little, and its nearest code stays the same. So the derivative of what comes out with respect to what
# went in is **zero**, everywhere but on the borders between cells, where it does not exist. No gradient reaches the
# encoder, and it learns nothing.
#
# The way out is a white lie, the **straight-through** estimator: forward, the decoder gets the code; backward, we act
# as if it had got the latent, and hand its gradient to the encoder unchanged. As code and latent are close, the advice
# is about right.
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
# **Look.** A latent, one number, should make a decoder's error small. The codes are −1, 0, 1 and 2, and the best output
# would be 1.3.

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
# *The figure in words: the error is constant on four steps and jumps between them. Its true gradient is zero; the
# straight-through one is −4.6, −2.6, −0.6 and 1.4, so that descent pushes latents right as long as their code is too
# far left.*
#
# ## 2.6 Two losses, and who moves
#
# The lie only works while latents and codes stay close. Two terms see to that:
#
# $$\underbrace{\|\,\text{sg}(z) - e\,\|^2}_{\text{codebook: moves } e} \;+\; \beta\,\underbrace{\|\,z - \text{sg}(e)\,\|^2}_{\text{commitment: moves } z}$$
#
# where *z* is the latent, *e* its code, and sg ("stop gradient") is `detach()`. Both have the same value, and each
# moves one side only. β, mostly 0.25, makes the *encoder* the slower one of the two: codes should come to the latents,
# more than latents to the codes, for the latents also have a picture to describe. From the end of this section on the
# codebook does not need its term: there it follows the latents by a running mean, and only the commitment is left in
# the loss.
#
# **Predict.** In widely used code β multiplied the other term for years. What happens to the codebook, and what to the
# encoder, with β = 0.25 in the wrong place?
#
# <details><summary>Answer</summary>
#
# Latents are pulled four times harder. Codes would follow four times more slowly under plain gradient descent; Adam,
# which that code uses, divides such a factor out again. It still trains, and the *value* of the loss is exactly the same:
# that is why it went unnoticed.
#
# </details>
#
# **Your turn.** The first term is there. Mean over all numbers, as everywhere.

# %% exercise: vqgan.quantizer_loss
# blank: commitment =
# blank: return

# %% [markdown]
# **Look.** Arrows show where one step of descent moves latents (dots) and codes (squares). So that all can be seen, the
# arrows of the dots are drawn on a scale four times that of the squares'.

# %%
torch.manual_seed(0)
start_latents = torch.randn(12, 2) + torch.tensor([1.0, 0.0])
start_codes = torch.tensor([[-1.0, 0.5], [0.5, -1.0], [0.0, 1.5]])
figure, axes = plt.subplots(1, 3, figsize=(10, 3.3), sharex=True, sharey=True)
with use(mine(globals())):
    for axis, beta in zip(axes, (0.0, 0.25, 1.0), strict=True):
        z, e = start_latents.clone().requires_grad_(), start_codes.clone().requires_grad_()
        quantizer.quantizer_loss(z, e[quantizer.nearest_code(z, e)], beta).backward()
        for points, mark, color, scale in ((z, "o", BLUE, 12), (e, "s", ORANGE, 3)):
            places, moves = points.detach(), -scale * points.grad
            axis.plot(*places.T, mark, color=color)
            axis.quiver(*places.T, *moves.T, angles="xy", scale_units="xy", scale=1, color=color, width=0.008)
        axis.set_title(f"β = {beta}")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: three times the same twelve blue dots and three orange squares. Two squares' arrows point to the
# middle of their dots and are the same in all three; the third square, nearest to no dot, has none. The dots have no
# arrows for β = 0, short ones towards their square for β = 0.25, and for β = 1 ones that are four times as long and
# reach the square.*
#
# The square without an arrow is chosen by nobody, and so nothing moves it. Remember it: section 2.7 is about such
# codes.
#
# ### A codebook without gradient
#
# Look at the first term alone: its minimum puts every code at the **mean of the latents that chose it**. That is
# k-means, and a mean needs no gradient and no learning rate. So keep for each code a running count *n* and a running
# sum *s* of its latents, both with an exponential moving average (EMA), and let the code be *s / n*. It is k-means that
# never stops, over batches that it sees once.
#
# Worked, on a neighboring problem: the mean price of bread, when some days nobody buys any.

# %%
count, total = 1.0, 2.0  # one loaf for 2
for sold, paid in [(3, 9.0), (0, 0.0), (1, 5.0)]:  # each day: how many, and how much for all together
    count, total = 0.5 * count + 0.5 * sold, 0.5 * total + 0.5 * paid
    print(f"count {count:.2f}, sum {total:.2f}, mean {total / count:.2f}")

# %% [markdown]
# On the day without a sale both halve, and the mean stays: that is why the count and the sum are averaged, and not the
# mean. One thing is left: if a code is never chosen, its count goes to 0. Laplace smoothing, in the docstring, keeps
# the division safe.

# %% exercise: vqgan.ema_update

# %% [markdown]
# **Look.** Three clouds of latents, three codes that start in a corner, forty batches.

# %%
chance = torch.Generator().manual_seed(1)
centers = torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.5, -2.0]])
book = torch.tensor([[-1.6, 1.2], [-2.0, 2.0], [-3.0, 3.0]])
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

# %% [markdown]
# *The figure in words: three gray clouds, and three codes that begin side by side in a corner. Code 1 has walked to the
# middle of the nearest cloud, code 0 to a place between the other two, and code 2 is almost where it was.*
#
# Code 2 was never the nearest of anything. Nothing in the rule will ever bring it to a cloud (its short step is the
# smoothing's), while code 0 stands for two clouds and fits neither. Code 2 is **dead**.
#
# ## 2.7 Collapse
#
# A codebook **collapses** when a few codes are chosen for everything and the others never move again. To see it, count.
# The number of codes in use is a coarse measure: a code chosen once counts as much as one chosen a thousand times.
# **Perplexity** says how many equally frequent codes would be as hard to guess: $e^{H}$, where $H = -\sum p \ln p$ is
# the entropy of the codes' shares *p*.
#
# Worked: four codes, chosen 2, 1, 1 and 0 times. Their shares are ½, ¼, ¼ and 0, so
# $H = ½ \ln 2 + ¼ \ln 4 + ¼ \ln 4 = 1.04$ and $e^H = 2.83$. Three codes are used, as hard to guess as 2.8
# equally frequent ones ($0 \ln 0$ counts as 0).
#
# **Predict.** What is the perplexity of 512 codes that are chosen equally often? And if one takes half of all, and the
# others share the rest?
#
# <details><summary>Answer</summary>
#
# 512. And $H = ½ \ln 2 + ½ \ln(2 · 511) ≈ 3.81$, so about 45: one greedy code costs more than nine tenths of the book.
#
# </details>

# %% exercise: vqgan.codebook_usage

# %% [markdown]
# ## 2.8 Two cures
#
# Both are simple. **Start where the latents are**: first train a while without codes, then let
# k-means put the codes there. And **restart the dead**: a code that is hardly ever chosen is moved onto some latent of
# the present batch, where it will be chosen at least once.
#
# Worked, on a neighboring problem: fill the gaps of a list from spare parts, in order.

# %%
values, spare = torch.tensor([5.0, -1.0, 7.0, -1.0]), torch.tensor([10.0, 20.0, 30.0])
gaps = (values < 0).nonzero().squeeze(1)  # where: 1 and 3
print(values.index_copy(0, gaps, spare[: len(gaps)]))  # a new tensor; the old one is as it was

# %% [markdown]
# **Predict.** A batch has 2,048 latents, and the model 16,384 codes, all of them dead. How many can be restarted in one
# step?
#
# <details><summary>Answer</summary>
#
# At most 2,048: each candidate is used once. The rest has to wait.
#
# </details>

# %% exercise: vqgan.restart_dead_codes

# %% [markdown]
# **Look.** Three trainings that differ in nothing but the codebook. All go on from the autoencoder above. **A** has 256
# random codes near zero, as many programs start; **B** the same, with restarts; **C** starts from k-means and has
# restarts. One "epoch" is 25 steps here: 51,200 tokens, enough to see every code. All three together take about fifteen
# seconds.


# %%
def with_codebook(start, **changes):
    """The autoencoder's weights with a fresh codebook: random, or from k-means."""
    torch.manual_seed(1)
    vqgan = VQGAN(replace(small, **changes))
    own = {name: tensor for name, tensor in autoencoder.state_dict().items() if not name.startswith("quantize")}
    vqgan.load_state_dict(own, strict=False)
    if start == "k-means":
        with torch.no_grad():
            latents = torch.cat([autoencoder.latents(batch(n)) for n in range(8)]).flatten(0, 1)
        vqgan.quantize.initialize(latents, torch.randperm(len(latents)))
    return vqgan


books = {
    "A random": with_codebook("random", restart_below=0.0),
    "B random + restarts": with_codebook("random", restart_below=0.03),
    "C k-means + restarts": with_codebook("k-means", restart_below=0.03),
}
with use(mine(globals())):
    logs = {name: train_small(vqgan, 100, first=150) for name, vqgan in books.items()}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2))
for (name, log), color, mark in zip(logs.items(), (ORANGE, GREEN, BLUE), "so^", strict=True):
    for axis, key in zip(axes, ("used", "perplexity", "psnr"), strict=True):
        axis.plot(range(1, 5), column(log, key), mark + "-", color=color, label=name)
        axis.set(
            xlabel="epoch of 25 steps",
            title={"used": "codes used, of 256", "psnr": "PSNR of the epoch, dB"}.get(key, key),
        )
        axis.set_xticks(range(1, 5))
for axis in axes[:2]:
    axis.set_ylim(0, 265)
axes[0].legend(fontsize=8)
figure.tight_layout()
plt.show()
with use(mine(globals())), torch.no_grad():
    for name, vqgan in books.items():
        print(f"{name:22} held out: {losses.psnr(vqgan.decode(vqgan.encode(dev)), dev).mean():.1f} dB")

# %% [markdown]
# *The figure in words: codes used, perplexity and PSNR over four epochs. C uses all 256 codes throughout, at a
# perplexity from 228 down to 202. A and B fall from 127 codes to about 70, at a perplexity of 33 to 40; then A ends at
# 86 codes and a perplexity of 43, and B leaps to 256 and 156. PSNR rises for all, from 16.8 to 18.4 dB for C, from 14.8
# to 18.0 for A, and B parts from A only in the last epoch, at 18.2.*
#
# A has collapsed: in the last epoch two thirds of its codes see no latent. B follows A exactly until its dead codes are
# found out. A code is dead when its running count is below 0.03 of the mean count: that of a code that nothing chooses
# falls from 1 by 2 % a step, while the mean rises from 1 towards 8, and after some 80 steps they are that far apart. On
# held-out pictures A reaches 18.3 dB, B and C 18.7 to 19.0, one a little ahead on one machine and the other on the next:
# bits that are not used are bits that are missing.
#
# **Paint both codebooks.** What does a code look like? Fill the whole grid with it, decode, and cut out the middle.
# Codes that no picture of `dev` uses are crossed out. Every tile has a gray outline, or white ones could not be seen on
# white paper.


# %%
@torch.no_grad()
def paint(vqgan):
    """Each code as the decoder paints it among its own kind: float [K, 3, 8, 8]."""
    codes = vqgan.quantize.codes()
    tiles = [vqgan.pictures(part[:, None].expand(-1, vqgan.config.tokens, -1)) for part in codes.split(128)]
    return torch.cat(tiles)[:, :, 12:20, 12:20].clamp(0, 1)


def crossed(tiles, unused):
    """Tiles, those that are not used gray with a cross."""
    cross = torch.eye(8) + torch.eye(8).flip(1)
    return torch.where(unused[:, None, None, None], 0.9 - 0.5 * cross, tiles)


def outlined(tiles):
    """Tiles with a gray line around each."""
    return F.pad(tiles, (1, 1, 1, 1), value=0.6)


for name in ("A random", "C k-means + restarts"):
    with use(mine(globals())), torch.no_grad():
        used = torch.bincount(books[name].encode(dev).flatten(), minlength=256)
    tiles = paint(books[name])
    order = (tiles.mean(dim=(1, 2, 3)) + 10 * (used == 0)).argsort()  # from dark to bright, the unused at the end
    title = f"{name}: {int((used > 0).sum())} of 256 codes are in use"
    show(outlined(crossed(tiles, used == 0)[order]), 32, title=title)

# %% [markdown]
# *The figure in words: two sheets of 256 tiles. Of A's, 83 are painted, in few shades, and all others are crossed out.
# Of C's none is crossed out: every hue in many shades, and the last two rows almost white.*
#
# Almost white is not waste. Most of an emoji is white paper, and C tells its shades and borders apart.

# %% written: vqgan.which_code_dies [markdown]
# points: 3
# question: **In your own words** (three or four sentences). A friend trains a VQGAN with 4,096 codes on X-ray pictures:
# black with some gray. After an hour 40 codes are in use, and PSNR no longer grows. Why do dead codes stay dead? What
# in the data makes it worse here? What two things would you change, and which curve should show within minutes whether
# they help?
# rubric:
# - 1 point: only a chosen code is moved (by its latents' mean, or by the gradient of its term); an unchosen one gets no
#   signal, so distance never shrinks by itself.
# - 1 point: most latents are alike (black background), so a few codes win nearly everything, or: the start far from the
#   latents. "Too many codes" alone is half a point.
# - 1 point: two of: k-means start after some steps without codes, restart of dead codes, lower width of codes or
#   normalized codes, sampling richer patches; and codes used or perplexity per epoch as the curve (PSNR alone is no
#   answer).
# answer:
# A code is moved only by latents that choose it, so one that is nearest to nothing stays where it is for ever. Most of
# an X-ray is black, and nearly all latents lie in one place: the few codes that are near take all of them. I would
# train a few hundred steps without codes, start the codebook with k-means on those latents, and restart codes that get
# less than a small share. Codes used and perplexity per epoch show within the first epochs whether it works.

# %% [markdown]
# ## 2.9 What a code paints
#
# **Predict.** Of 512 codes, how many will be plain white? And will there be eyes?

# %%
with use(mine(globals())), torch.no_grad():
    tokens = torch.cat([shipped.encode(part) for part in iid.split(128)])
    used, perplexity = quantizer.codebook_usage(torch.bincount(tokens.flatten(), minlength=512))
tiles = paint(shipped)
show(outlined(tiles[tiles.mean(dim=(1, 2, 3)).argsort()]), 32, title="All 512 codes, from dark to bright", scale=2)
print(f"399 pictures of iid: {used} codes used, perplexity {perplexity:.0f}")
white = (tiles > 0.97).flatten(1).all(dim=1)
print(f"{int(white.sum())} codes paint plain white; they are {white[tokens].float().mean():.0%} of all tokens")
often = torch.bincount(tokens.flatten(), minlength=512).argsort(descending=True)
share = torch.isin(tokens, often[:5]).float().mean()
print(f"the five most frequent codes, {often[:5].tolist()}, are {share:.0%} of all tokens", end="")
print(f"; {int(white[often[:5]].sum())} of them paint plain white")
paper = (F.avg_pool2d(iid.amin(dim=1, keepdim=True), 4) > 0.999).flatten(1)  # of a cell's 16 pixels
print(f"{paper.float().mean():.0%} of all cells are nothing but paper; {len(tokens[paper].unique())} codes stand there")

# %% [markdown]
# *The figure in words: 512 tiles with gray outlines, from black to white. Most are one flat color; some have stripes or a
# grid, and the last three rows can hardly be told from paper.*
#
# 77 are plain white, and there are no eyes. A code alone is a color, an edge or a texture; what it becomes depends on
# its neighbors, which the decoder's convolutions see, too. Stripes show codes in a company that they never have in a
# picture.
#
# Used evenly, five codes would be 1 % of all tokens; the five most frequent ones are 11 %, and four of these are white.
# No wonder: a third of all cells is nothing but paper. As one code, paper would be a third of all tokens, and easy to
# guess. Spread over 94 codes it is not: the model of the next lessons has to say *which* white, though nobody can see
# a difference.
#
# And one picture with the numbers over it: this, row by row, is what the model of the next lessons will write.

# %%
row = int(np.flatnonzero(np.array([emoji.captions[row].startswith("red apple") for row in range(len(emoji))]))[0])
apple = to_floats(emoji.pictures[[row]])
with use(mine(globals())), torch.no_grad():
    numbers = shipped.encode(apple)
figure, axes = plt.subplots(1, 2, figsize=(10, 5))
for axis, picture in zip(axes, (apple, shipped.decode(numbers)), strict=True):
    axis.imshow(to_pixels(picture)[0], extent=(0, 8, 8, 0))
    axis.axis("off")
for place, number in enumerate(numbers[0].tolist()):
    down, across = divmod(place, 8)
    box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "alpha": 0.75, "linewidth": 0}
    axes[1].text(across + 0.5, down + 0.5, str(number), ha="center", va="center", fontsize=9, bbox=box)
axes[0].set_title(emoji.captions[row])
axes[1].set_title("painted from its 64 tokens")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: a red apple with a green leaf, and beside it the copy with 64 numbers. The middle of the apple
# says 190 again and again; along its outline and in the white corners almost every number is another.*
#
# ## 2.10 Edges
#
# What should a copy get right? L1, the mean absolute error, treats every pixel for itself. But people see **edges**: an
# outline that is a little soft offends more than a surface that is a little too dark. The published VQGAN compares the
# features of a large network that was trained on a million photos (LPIPS, with VGG). Ours needs no network: an edge is
# the difference of two neighboring pixels, so compare those, too, at three scales.
#
# Worked, on a neighboring problem: the steps of a row of numbers.

# %%
heights = torch.tensor([0.0, 0.0, 1.0, 1.0])
print("steps:", heights.diff(), " mean size:", heights.diff().abs().mean())
print("half as fine:", F.avg_pool1d(heights[None], 2))

# %% [markdown]
# **Predict.** A copy is everywhere too bright by 0.1. What is its L1 error, and what its edge error?
#
# <details><summary>Answer</summary>
#
# 0.1, and 0: all differences of neighbors are right.
#
# </details>

# %% exercise: vqgan.gradient_loss

# %% [markdown]
# **Look.** The autoencoder of section 2.3 was trained with L1 + edges. Here it is again from the same start, with L1
# alone (about ten seconds).

# %%
torch.manual_seed(0)
flat = VQGAN(small)
with use(mine(globals())):
    train_small(flat, 150, quantize=False, weights=losses.LossWeights(l1=1, mse=0, gradient=0))
    washed = without_codes(flat)
    color = dev - dev.mean(dim=1, keepdim=True)  # what a pixel has beyond its gray
    vivid = (color.square().mean(dim=1) > 0.03)[:, None]
    for name, copy in {"L1 alone": washed, "L1 + edges": after}.items():
        kept = ((copy - copy.mean(dim=1, keepdim=True)) * color * vivid).sum() / (color.square() * vivid).sum()
        l1, edges = F.l1_loss(copy, dev), losses.gradient_loss(copy, dev)
        print(f"{name:11} {losses.psnr(copy, dev).mean():5.2f} dB   L1 {l1:.4f}   edges {edges:.4f}", end="   ")
        print(f"saturation kept of vivid colors {kept:.0%}")
show(torch.cat([dev[:12], washed[:12], after[:12]]), 12, ["real", "L1 alone", "L1 + edges"], "150 steps each")

# %% [markdown]
# *The figure in words: three rows of twelve emoji. With L1 alone colors are paler, outlines soft and some small shapes
# gone; with edges the copies are closer to the real ones.*
#
# The edges make *everything* better, even the L1 error itself: 20.3 dB instead of 18.9, and 78 % instead of 71 % of the
# saturation of vivid colors. Why? L1 asks for the median: where white is likelier than not, the decoder paints white, and
# forgives itself a few large errors. White has no edges, so that the edge term is not content with it and goes on
# pushing. The package's full recipe adds MSE, which does not forgive large errors either.
#
# ## 2.11 A critic
#
# The G, A and N of VQGAN: a **discriminator** looks at patches of real pictures and of copies, and learns to tell which
# is which; the VQGAN learns to get its copies past it. A critic punishes what no pixel-wise loss sees, such as a texture
# that is too smooth.
#
# The critic learns with the **hinge loss**. Its verdict is a number, positive for real. A real picture judged above 1,
# or a copy judged below −1, costs nothing more: it need not shout.
#
# | verdict | of a real picture: max(0, 1 − v) | of a copy: max(0, 1 + v) |
# |---|---|---|
# | 2 | 0 | 3 |
# | 0.5 | 0.5 | 1.5 |
# | −2 | 3 | 0 |
#
# **Predict.** A critic who knows nothing says 0 to everything. What is its loss, if the means of both columns are
# averaged?
#
# <details><summary>Answer</summary>
#
# 1. So a discriminator's loss that stays at 1 has learned nothing, and one at 0 has won.
#
# </details>

# %% [markdown]
# **Your turn.** From here on you get the signature and one line. The loss is the mean of the first cost over all
# verdicts on real pictures, plus the mean of the second over all verdicts on copies, divided by 2.

# %% exercise: vqgan.hinge_loss
# docstring: first line

# %% [markdown]
# And what does the *VQGAN* minimize? The critic's verdicts *v* on its copies shall rise, without any margin:
#
# $$\mathcal{L}_\text{generator} = -\,\text{mean}(v_\text{copies})$$
#
# The gradient goes through the critic, whose weights stay as they are in this step, into the decoder. It is one line,
# and given:

# %%
print(inspect.getsource(losses.generator_loss))
for verdict in (-2.0, 0.5, 2.0):
    loss = losses.generator_loss(torch.full((4,), verdict))
    print(f"verdicts of {verdict:4} on all copies: the VQGAN's loss is {loss:4}")

# %% [markdown]
# All in all the VQGAN minimizes reconstruction + commitment + λ · generator loss. How loud may the critic be, how large
# is λ? Its gradient can be many times larger or smaller than that of the reconstruction, and changes all the time. The
# **adaptive weight** measures both at the decoder's last layer and makes the two pull equally hard:
# $\|\nabla_\text{rec}\| / (\|\nabla_\text{gan}\| + 10^{-4})$, at most `clamp`. The length of a gradient
# is the root of the sum of all its squares, `norm()`. The weight is a number to multiply by, and nothing that one could
# learn through.
#
# **Predict.** The gradients' norms are 0.2 and 4. Which weight? And if the critic has no gradient at all?
#
# <details><summary>Answer</summary>
#
# About 0.05; and 0.2 / 0.0001 = 2,000. That is loud, but 2,000 times nothing is nothing.
#
# </details>

# %% exercise: vqgan.adaptive_weight
# docstring: first line

# %% [markdown]
# **Look.** Two critics, 40 steps each. The first sees the blurs of section 2.2, the second the copies of the shipped
# VQGAN. The pulls that are printed are those of the second one, on three batches. This takes some five seconds.

# %%
pulls = []
with use(mine(globals())):
    verdicts = {}
    for name in ("blurs", "the shipped VQGAN's"):
        torch.manual_seed(0)
        critic = Discriminator(SMALL_DISCRIMINATOR)
        optimizer = torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.5, 0.9))
        verdicts[name] = []
        for n in range(40):
            real = batch(n % 10, 16)
            with torch.no_grad():
                copy = F.interpolate(F.avg_pool2d(real, 4), scale_factor=4.0, mode="bilinear")
                copy = copy if name == "blurs" else shipped.decode(shipped.encode(real))
            of_real, of_copy = critic(torch.cat([real, copy])).chunk(2)
            loss = losses.hinge_loss(of_real, of_copy)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            verdicts[name].append(loss.item())
    for n in range(3):
        pictures = batch(n, 8)
        copy = shipped(pictures).pictures
        terms = losses.reconstruction_loss(copy, pictures, EDGES), losses.generator_loss(critic(copy))
        pulls.append([torch.autograd.grad(term, shipped.last_layer, retain_graph=True)[0] for term in terms])
    for pixels, opinion in pulls:
        weight = losses.adaptive_weight(pixels, opinion)
        print(f"pull of pixels {pixels.norm():.3f}, of critic 2 {opinion.norm():.3f}: adaptive weight {weight:.3f}")
figure, axis = plt.subplots(figsize=(6, 3))
for (name, values), style, color in zip(verdicts.items(), ("-", "--"), (BLUE, ORANGE), strict=True):
    axis.plot(values, style, color=color, label=f"copies: {name}")
axis.axhline(1, color="#999999", lw=1)
axis.set(xlabel="step of the critic", ylabel="hinge loss", ylim=(0, 2), title="A critic learns what there is to see")
axis.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: the loss of the critic who sees blurs falls, with jumps, from 1 to about 0.2. That of the critic
# who sees the shipped VQGAN's copies stays at 1, but for two jumps up, and ends a little below: within 40 steps it has
# found next to nothing.*
#
# The second critic's gradient is about twenty times that of the pixels, though it knows hardly anything. Without the
# adaptive weight, here 0.05, its noise would drown the pixels.
#
# Honestly: **on 32 × 32 emoji a critic brought no gain that one could see.** In the trial behind the package's presets,
# a whole training that ended with one reached 22.7 dB, and 22.6 dB without. Flat drawings of 32 pixels have no texture
# to get right, so the presets for 32 × 32 leave it out. At the published scale a token stands for 16 × 16 pixels
# of a photograph, and pixel losses alone fill them with an average: there the critic is the difference between soft and
# crisp (Esser and others, 2021). It enters late, in the preset `dalle-mini` after 250,000 of a million steps, because a
# critic that starts beside a decoder that paints noise learns nothing useful.
#
# ## 2.12 Yours
#
# All parts together: **your functions train a VQGAN**, the small one of the presets, with 512 codes and 0.76 million
# weights. The first 100 steps go without codes, then k-means starts the codebook, and dead codes are restarted. It
# takes about two minutes on two quiet cores (with `MINIDALLE_QUICK=1` in the environment less than one).
#
# **Predict.** Which PSNR will it reach on pictures that it has not seen? Blurs have 16.7 dB, the shipped one about 25.

# %%
from minidalle.training.distributed import Ranks
from minidalle.training.history import read_metrics
from minidalle.training.loop import train
from minidalle.training.vqgan import VQGANStage

steps = 500 if os.environ.get("MINIDALLE_QUICK") else 1800
settings = replace(CPU.training.vqgan, steps=steps, unquantized=100, checkpoint_every=steps)


def watch(progress):
    """A line every now and then."""
    if progress.step % (steps // 5) == 0:
        print(f"step {progress.step:5} of {steps}, {progress.pictures_per_second:.0f} pictures a second")


with tempfile.TemporaryDirectory() as folder, use(mine(globals())):
    torch.manual_seed(0)
    stage = VQGANStage(settings, VQGAN(SMALL_VQGAN), emoji, seed=0, ranks=Ranks())
    train(stage, settings, Path(folder), Ranks(), watch)
    metrics = read_metrics(Path(folder))
yours = stage.average.model

# %%
with use(mine(globals())), torch.no_grad():
    copies = {"yours": torch.cat([yours.decode(yours.encode(part)) for part in iid.split(128)])}
    copies["shipped"] = torch.cat([shipped.decode(shipped.encode(part)) for part in iid.split(128)])
    scores = {name: losses.psnr(copy, iid).numpy() for name, copy in copies.items()}
    used, perplexity = quantizer.codebook_usage(torch.bincount(yours.encode(iid[:128]).flatten(), minlength=512))
for name, values in {**scores, "shipped − yours": scores["shipped"] - scores["yours"]}.items():
    mean = estimate(values, roles[iid_rows])  # resamples whole roles: four styles of one thing are not four facts
    print(f"{name:16} {mean.mean:5.1f} dB, 95 % interval {mean.low:.1f} to {mean.high:.1f}")
print(f"yours, on 128 pictures: {used} of 512 codes used, perplexity {perplexity:.0f}")
figure, axis = plt.subplots(figsize=(7, 3))
axis.plot(column(metrics, "step"), column(metrics, "psnr"), color=BLUE, lw=1)
axis.axvline(100, color="#999999", ls=":")
axis.text(100, axis.get_ylim()[0], " codes begin", va="bottom", fontsize=8)
axis.set(xlabel="step", ylabel="PSNR of the batch, dB", title="Your training")
figure.tight_layout()
plt.show()
show(torch.cat([iid[:14], copies["yours"][:14], copies["shipped"][:14]]), 14, ["real", "yours", "shipped"])

# %% [markdown]
# *The figures in words: PSNR climbs to 20 dB within 100 steps, drops by almost 3 dB when the codes begin, and climbs
# again, ever more slowly. Below, real pictures, your copies and the shipped VQGAN's: yours have the right shapes and
# colors; small parts, above all faces, are soft.*
#
# With 1,800 steps it was 23.2 dB [22.8, 23.5] here, with 500 steps 21.2 [20.9, 21.5]; the shipped one has 25.3 [24.8,
# 25.8]. It had 10,000 steps and twice the weights. More steps would bring yours nearer, each dB for more steps than the
# one before.
#
# ## 2.13 What it costs: bits, and faces
#
# **Bits against quality.** Fewer codes, fewer bits. Training one VQGAN for each K would take an evening; here only the
# codebook of the shipped one is made anew, by k-means over latents of training pictures, and its decoder stays as it
# is. So all K are at a disadvantage, small ones most: even K = 512 is made anew here, and gets 24.6 dB where the trained
# codebook gets about 25.
#
# Beside them are the file formats. One emoji alone would be unfair to them: a JPEG file has some 600 bytes before its
# first pixel. So 200 pictures are packed as one large sheet, and its bytes divided by 200.
#
# **Predict.** How many bytes does WebP need for the quality of 72 bytes of tokens? (The cell takes some five seconds, as
# does the next one.)

# %%
sample, sample_pixels = iid[:200], emoji.pictures[iid_rows[:200]]
with use(mine(globals())), torch.no_grad():
    latents = torch.cat([shipped.latents(batch(n)) for n in range(8)]).flatten(0, 1)
    wanted = torch.cat([shipped.latents(part) for part in sample.split(100)])
    order = torch.randperm(len(latents), generator=torch.Generator().manual_seed(0))
    by_codes = []
    for size in (4, 16, 64, 256, 512):
        codebook = kmeans(latents, latents[order[:size]], 6)
        copy = shipped.pictures(codebook[quantizer.nearest_code(wanted, codebook)]).clamp(0, 1)
        by_codes.append((64 * np.log2(size) / 8, losses.psnr(copy, sample).mean().item(), f"K = {size}"))
    page = sample_pixels.reshape(10, 20, 32, 32, 3).swapaxes(1, 2).reshape(320, 640, 3)
    by_format = {"WebP": [], "JPEG": []}
    for name, points in by_format.items():
        for quality in (0, 5, 10, 20, 40, 60):
            file = io.BytesIO()
            Image.fromarray(page).save(file, name, quality=quality)
            back = np.asarray(Image.open(file).convert("RGB")).reshape(10, 32, 20, 32, 3).swapaxes(1, 2)
            copy = to_floats(back.reshape(200, 32, 32, 3))
            points.append((len(file.getvalue()) / 200, losses.psnr(copy, sample).mean().item()))
    file = io.BytesIO()
    Image.fromarray(page).save(file, "PNG", optimize=True)
figure, axis = plt.subplots(figsize=(8, 4))
axis.plot(*zip(*[point[:2] for point in by_codes], strict=True), "o-", color=BLUE, label="tokens (decoder not counted)")
for size, decibels, name in by_codes:
    axis.annotate(name, (size, decibels), (-6, 4), textcoords="offset points", ha="right", fontsize=8)
    print(f"{name:8} {size:4.0f} bytes {decibels:5.1f} dB")
for (name, points), mark, color in zip(by_format.items(), ("s--", "^:"), (ORANGE, GREEN), strict=True):
    axis.plot(*zip(*points, strict=True), mark, color=color, label=name)
    print(f"{name:8}", *[f"{size:.0f} bytes {decibels:.1f} dB;" for size, decibels in points])
print(f"PNG, without any loss: {len(file.getvalue()) / 200:.0f} bytes")
axis.set(xlabel="bytes per picture", ylabel="PSNR, dB", title="200 unseen pictures", xscale="log", xlim=(12, 350))
axis.set_xticks([16, 32, 64, 128, 256], ["16", "32", "64", "128", "256"])
axis.minorticks_off()
axis.legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: PSNR against bytes on a logarithmic axis. Tokens rise from 15.9 dB at 16 bytes (K = 4) to 24.6
# dB at 72 bytes (K = 512). There WebP is to the right of them by a factor of about two, JPEG by about four; at fewer
# bytes the factors are smaller.*
#
# Each doubling of K adds one bit to every token, eight bytes to the picture, and about 1.5 dB at first, then less.
# Against WebP, 72 bytes of tokens are about half of what the same PSNR takes, against JPEG a quarter. But the comparison flatters
# them: the decoder has megabytes of weights that nobody counted, and knows nothing but emoji. WebP takes any picture,
# and with more bytes becomes as good as one likes; PNG, at 942 bytes, loses nothing at all.
#
# **Faces.** Many who used DALL·E mini noticed that faces come out as smears. Is that so here?
#
# **Predict.** PSNR of rows that show people in a skin tone, against rows that name no tone (mostly things,
# animals and signs, but also yellow faces): higher or lower? The rows are those of three held-out splits, for `iid`
# alone has few people: any rows (`iid`), people in a skin tone that this role never had in training (`tone`), and roles
# in a style that they never had (`cell`).

# %%
held_out = np.concatenate([emoji.rows(split) for split in ("iid", "tone", "cell")])
real = to_floats(emoji.pictures[held_out])
with use(mine(globals())), torch.no_grad():
    copy = torch.cat([shipped.decode(shipped.encode(part)) for part in real.split(128)])
    decibels = losses.psnr(copy, real).numpy()
toned, gender = emoji.toned[held_out], emoji.columns["gender"][held_out]
people = toned & (gender != "")
for name, some in {"people": people, "no skin tone": ~toned}.items():
    mean = estimate(decibels[some], roles[held_out][some])
    print(f"{name:14} {some.sum():4} rows: {mean.mean:.1f} dB [{mean.low:.1f}, {mean.high:.1f}]")

# %% [markdown]
# Higher, by more than 1 dB: 25.3 [24.6, 26.0] against 24.1 [23.9, 24.4]. So the complaint is wrong? No, the measure is.
# An average over 1,024 pixels does not see what we see: a face is known by two dark dots, some six pixels. So measure
# *those*. Where is a face? Pictures of one person in five skin tones differ exactly where there is skin, and what skin
# encloses is eyes and mouth. Then take all **small dark details**, pixels that are darker by 0.15 or more than a ring
# around them, and ask how much of their darkness is left in the copy: inside faces, elsewhere on the same people, and
# on rows that name no tone.


# %%
def skin_of(rows):
    """Where the pictures of one person in several skin tones differ: bool [B, 32, 32]."""
    columns, found = emoji.columns, np.zeros((len(rows), 32, 32), bool)
    keys = np.array(["|".join(parts) for parts in zip(columns["style"], roles, columns["gender"], strict=True)])
    for place, row in enumerate(rows):
        alike = emoji.pictures[emoji.toned & (keys == keys[row])].astype(int) if emoji.toned[row] else []
        if len(alike) > 2:
            found[place] = np.ptp(alike, axis=0).sum(axis=-1) > 40
    return torch.from_numpy(found)


def enclosed(region):
    """What a region [B, H, W] encloses: what cannot be reached from the border without crossing it."""
    outside = F.pad(torch.zeros_like(region[:, 1:-1, 1:-1]), (1, 1, 1, 1), value=True) & ~region
    for _ in range(64):
        grown = outside.clone()
        grown[:, 1:] |= outside[:, :-1]
        grown[:, :-1] |= outside[:, 1:]
        grown[:, :, 1:] |= outside[:, :, :-1]
        grown[:, :, :-1] |= outside[:, :, 1:]
        outside = grown & ~region
    return ~outside & ~region


def darker_than_around(pictures):
    """How much darker each pixel is than the ring of 16 pixels at distance two: [B, H, W]."""
    gray = pictures.mean(dim=1, keepdim=True)
    ring = 25 * F.avg_pool2d(gray, 5, 1, 2) - 9 * F.avg_pool2d(gray, 3, 1, 1)
    return (ring / 16 - gray)[:, 0]


skin = skin_of(held_out)
eyes = enclosed(skin)
in_real, in_copy = darker_than_around(real), darker_than_around(copy)
dots = (in_real > 0.15) & (real < 0.98).any(dim=1)
kept = {}
for name, where, some in [
    ("in faces", dots & eyes, people),
    ("elsewhere on people", dots & ~skin & ~eyes, people),
    ("no tone named", dots, ~toned),
]:
    before, left = (value.mul(where).sum(dim=(1, 2)).numpy() for value in (in_real, in_copy))
    enough = some & (where.sum(dim=(1, 2)).numpy() >= 2)
    kept[name] = mean = estimate(left[enough] / before[enough], roles[held_out][enough])
    print(f"{name:20} {enough.sum():4} pictures keep {mean.mean:.2f} [{mean.low:.2f}, {mean.high:.2f}]")
figure, axis = plt.subplots(figsize=(6.5, 2.4))
for place, (mean, mark, color) in enumerate(zip(kept.values(), "os^", (ORANGE, BLUE, GREEN), strict=True)):
    ends = [[mean.mean - mean.low], [mean.high - mean.mean]]
    axis.errorbar(mean.mean, -place, xerr=ends, fmt=mark, color=color, capsize=4)
axis.set_yticks([0, -1, -2], list(kept))
axis.set(xlim=(0, 1), ylim=(-2.5, 0.5), xlabel="darkness of small dark details that is left (1 = all)")
figure.tight_layout()
plt.show()
worst = np.flatnonzero(people & ((dots & eyes).sum(dim=(1, 2)).numpy() >= 4))[::5][:14]
show(torch.cat([real[worst], copy[worst]]), len(worst), ["real", "64 tokens"], "Faces, every fifth that was found")

# %% [markdown]
# *The figures in words: small dark details keep 0.64 of their darkness in faces, with an interval from 0.54 to 0.73;
# elsewhere on people 0.90, from 0.88 to 0.91; on rows that name no tone 0.83, from 0.82 to 0.84. Below, faces and their copies: eyes
# have become pale, merged, moved or gone, while hair, clothes and outlines are right.*
#
# **Faces do come out worse than the rest**, and on the very same people. Two remarks to be honest. Many of the details
# elsewhere are lines, and a line is easier than two dots. And the faces are those that this method finds: skin in at
# least three tones, with holes. Both could be done better; that PSNR alone would have said the contrary is the lesson.
#
# **Whom might it fail?** A mean over everybody hides who pays for it. So measure group by group: by skin tone, gender
# and style, among rows that name a skin tone, with intervals.
#
# **Predict.** Which tones lose most? And if women's mean is 0.9 dB below men's, does the VQGAN treat them worse, or are
# they drawn doing other things?


# %%
def paired(name, one, other):
    """dB of rows with `one` minus those of rows that differ from them in nothing but `name`, which is `other`."""
    fields = [emoji.columns[field][held_out] for field in ("role", "style", "gender", "tone") if field != name]
    keys, kinds = ["|".join(parts) for parts in zip(*fields, strict=True)], emoji.columns[name][held_out]
    found = {(keys[row], kinds[row]): decibels[row] for row in np.flatnonzero(toned)}
    both = [key for key, kind in found if kind == one and (key, other) in found]
    gaps = np.array([found[key, one] - found[key, other] for key in both])
    return estimate(gaps, np.array([key.split("|")[0] for key in both]))


GROUPS = {
    "tone": ["light", "medium-light", "medium", "medium-dark", "dark"],
    "gender": ["man", "person", "woman"],
    "style": ["twemoji", "fluent", "noto", "openmoji"],
}
AGAINST = {"tone": "medium", "gender": "man", "style": "twemoji"}
figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True)
names, place = [], 0
for (field, kinds), mark, color in zip(GROUPS.items(), "os^", (ORANGE, BLUE, GREEN), strict=True):
    for kind in kinds:
        some = toned & (emoji.columns[field][held_out] == kind)
        means = [estimate(decibels[some], roles[held_out][some])]
        means += [paired(field, kind, AGAINST[field])] if kind != AGAINST[field] else []
        for axis, mean in zip(axes, means, strict=False):
            ends = [[mean.mean - mean.low], [mean.high - mean.mean]]
            axis.errorbar(mean.mean, -place, xerr=ends, fmt=mark, color=color, capsize=3)
        alone, *pair = [f"{one.mean:5.1f} [{one.low:5.1f}, {one.high:5.1f}]" for one in means]
        against = f"   against {AGAINST[field]}: {pair[0]}, {means[1].rows} pairs" if pair else ""
        print(f"{kind:13} {means[0].rows:4} rows: {alone}{against}")
        names, place = [*names, f"{kind} ({field})"], place + 1
axes[0].set_yticks([-n for n in range(place)], names)
axes[0].set(xlabel="PSNR, dB", title="Each group by itself")
axes[1].axvline(0, color="#999999", lw=1)
axes[1].set(xlabel="dB more than medium, man, twemoji", title="Same role, all else equal")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: on the left twelve groups' PSNR with intervals, most of which overlap: light skin has the least,
# 24.4 dB, medium the most, 26.3; men have 25.4, women 24.5. On the right the differences of pairs that share everything
# else: light −0.8, medium-dark −0.3 and dark −0.6 dB to medium, women −0.5 to men, Noto's style −0.4 to Twemoji's, all
# with intervals that stay below 0, if only just for the darker tones and for Noto.*
#
# On the left each group is drawn doing other things, and the intervals are wide. On the right only pairs count, such as
# a man and a woman with one role, one tone and one style. There about half of the gap between men and women is left, so
# both guesses were partly right; and skin at *either* end of the scale loses, not the dark one alone. What is it worth?
# Half a dB would hardly be seen. But there was nothing to see for whoever looked at the mean over all, and 37 pairs are
# few: the interval of dark skin nearly reaches 0.

# %% [markdown]
# ## 2.14 My training looks like this
#
# Six pictures that everybody who trains a VQGAN meets, each made here by a training of a few seconds (or, for the
# checkerboard, by layers without any training). The cell takes about ten seconds.

# %%
with use(mine(globals())):
    runs = {}
    for name, beta, rate in [("as above", 0.25, 3e-3), ("learning rate × 10", 0.25, 3e-2), ("β = 0", 0.0, 3e-3)]:
        start = with_codebook("k-means", restart_below=0.03, commitment=beta)
        runs[name] = train_small(start, 40, first=150, rate=rate, window=1)
torch.manual_seed(0)
plain = torch.ones(1, 8, 8, 8)
transposed = torch.nn.ConvTranspose2d(8, 1, 3, stride=2)
figure, axes = plt.subplots(2, 3, figsize=(11, 5.6))
for name, mark, color in (("A random", "s--", ORANGE), ("C k-means + restarts", "^-", BLUE)):
    axes[0, 0].plot(range(1, 5), column(logs[name], "used"), mark, color=color, label=name)
axes[0, 0].set(title="1 Few codes are used", xlabel="epoch", ylim=(0, 265), xticks=range(1, 5))
for axis, key, title in (
    (axes[0, 1], "psnr", "2 PSNR crashed, and comes back"),
    (axes[0, 2], "length", "3 Latents run away"),
):
    sick = "learning rate × 10" if key == "psnr" else "β = 0"
    axis.plot(column(runs[sick], "step"), column(runs[sick], key), "s--", color=ORANGE, label=sick, markevery=6)
    own = runs["as above"]
    axis.plot(column(own, "step"), column(own, key), "^-", color=BLUE, label="as above", markevery=6)
    axis.set(title=title, xlabel="step", ylabel="dB" if key == "psnr" else "mean length of a latent")
axes[0, 2].set(yscale="log", ylim=(1, 200))
axes[0, 2].set_yticks([1, 10, 100], ["1", "10", "100"])
for axis in axes[0]:
    axis.legend(fontsize=8)
bright = [[int(place)] for place in vivid.float().mean(dim=(1, 2, 3)).argsort(descending=True)[:3]]
pairs = torch.cat([torch.cat([dev[place], washed[place]]) for place in bright])
axes[1, 0].imshow(sheet(to_pixels(pairs), 2, 2))
axes[1, 0].set_title("4 Washed out (right: the copy)")
axes[1, 1].imshow(transposed(plain)[0, 0, :12, :12].detach(), cmap="gray")
axes[1, 1].set_title("5 A checkerboard")
early = [row for row in metrics if row["step"] <= 250]
axes[1, 2].plot(column(early, "step"), column(early, "psnr"), color=BLUE)
axes[1, 2].axvline(100, color="#999999", ls=":")
axes[1, 2].set(title="6 A step down when codes begin", xlabel="step", ylabel="dB")
for axis in axes[1, :2]:
    axis.axis("off")
figure.tight_layout()
plt.show()

# %% [markdown]
# *The figure in words: 1, one curve of codes used stays at 256, the other falls to 70 to 90. 2, both curves start from
# more than 17 dB. With ten times the learning rate PSNR crashes to less than 5 in three steps and has come back to 11
# after 40; as above it dips to 12 for a step, as picture 6 explains, and is back at once. 3, without β the latents'
# length grows from 1.4 to more than 50 in 40 steps; with it, it stays between 2 and 3 after the first steps. 4, three
# signs with paler, softer copies. 5, a regular grid of dark and bright cells, although the layer was given a flat picture. 6,
# PSNR climbs, drops by almost 3 dB at step 100, and climbs again.*
#
# | | it looks like this | because | do this |
# |---|---|---|---|
# | 1 | few codes in use, perplexity low, PSNR stands still | the codebook started where no latents are; the dead get no signal | some steps without codes, k-means, restarts; look at an epoch, not at a batch |
# | 2 | loss jumps up, PSNR falls and stays low, perhaps `nan` | the learning rate is too high: the latents leap, and the codes cannot follow | a tenth of the rate, a warm-up |
# | 3 | latents grow and grow, the commitment loss with them | nothing ties them to their codes: β is 0, or on the wrong term; or the EMA's decay is too close to 1 | β = 0.25 on the latents' side; a decay such as 0.98; or latents of length 1 |
# | 4 | shapes are right, colors pale and outlines soft | L1 alone forgives a few large errors, and short training stays near the average color | edges in the loss, and some MSE; more steps |
# | 5 | a regular grid in flat areas | a transposed convolution whose kernel, 3, is not a multiple of its stride, 2, covers some pixels more often | repeat pixels, then convolve: `upsample` |
# | 6 | PSNR drops when the codes begin, then recovers | no illness: free vectors became one of 512 | wait |
#
# ## 2.15 What goes wrong in real life
#
# **A codebook that swapped digits.** In 2013 David Kriesel found that office copiers changed numbers in what they
# copied: a 6 came out as an 8, sharp and clean. Their compression (JBIG2) kept one small picture for all patches that
# looked alike, a codebook, and took the nearest. A blurred digit is seen to be blurred; a wrong code is *convincing*.
# Whoever stores pictures as tokens inherits this risk.
#
# **Faces.** The model card of DALL·E mini says itself that faces and people are not generated properly. The card of its
# first VQGAN says that it was tuned on two million more pictures to encode them better, for ImageNet, from which it had
# learned, has few. Gafni and others (Make-A-Scene) gave faces a loss of their own in their VQGAN, before any text is
# involved. You have measured why: what the tokenizer loses, no language model can bring back.
#
# **Large codebooks.** 16,384 codes are useful only if they are used. ViT-VQGAN found codes of few dimensions and of
# length 1 to be used more; finite scalar quantization (FSQ) has no codebook that could collapse: it rounds a few
# numbers to a few levels each.
#
# **A factor on the wrong term.** In the code that most people took over, β multiplies the codebook's term by default;
# it was left so, with a comment that says so, to stay compatible with what had been trained that way. An error in a
# loss does not crash.
#
# - D. Kriesel: *Xerox scanners/photocopiers randomly alter numbers in scanned documents*, 2013, dkriesel.com.
# - O. Gafni and others: *Make-A-Scene: Scene-Based Text-to-Image Generation with Human Priors*, ECCV 2022,
#   arXiv:2203.13131.
# - J. Yu and others: *Vector-quantized Image Modeling with Improved VQGAN*, ICLR 2022, arXiv:2110.04627.
# - F. Mentzer and others: *Finite Scalar Quantization: VQ-VAE Made Simple*, ICLR 2024, arXiv:2309.15505.
# - A. Odena, V. Dumoulin, C. Olah: *Deconvolution and Checkerboard Artifacts*, Distill 2016.

# %% written: vqgan.what_to_trust [markdown]
# points: 3
# question: **In your own words** (four or five sentences). A clinic wants to store photographs of skin as VQGAN tokens,
# for they are far smaller than JPEG files at the same PSNR; the VQGAN was trained on photographs from the internet.
# What could be wrong with a picture that comes back, although its PSNR is high? Whom might it fail more often than
# others? Which two measurements would you ask for before you agree?
# rubric:
# - 1 point: the decoder paints what is likely in *its* training data: details are replaced by plausible ones (a mole
#   that is gone or moved), without looking wrong; PSNR averages over all pixels and hides a small spot. "It is blurred"
#   alone is half a point.
# - 1 point: those who are rare in the training data, such as people with dark skin or rare illnesses; with the reason.
# - 1 point: two measurements that see it: error on the small regions that matter (as with the dots above); the same per
#   group with intervals; doctors' decisions on originals and copies, blind. Overall PSNR does not count.
# answer:
# The decoder fills in what its own training pictures make likely, so that a small mark can vanish or change its border
# and the skin still looks sharp and real. PSNR averages over all pixels and hardly notices a spot of a few. It will
# fail more often for skin and illnesses that were rare on the internet, dark skin first. I would ask for the error
# inside marked lesions, per skin tone and with intervals, and for a blind test: do doctors decide the same on originals
# and on copies?

# %% [markdown]
# ## Bonus: write the tests yourself
#
# These are the mistakes that the check of `nearest_code` knows by name. Which inputs find them? The first finds some.
# Add latents and codebooks until all are found; few are enough if they are chosen well. A hint: long codes, codes that
# are off in one number only, two codes at the same distance (a tie), and latents of a whole batch, [B, T, D].

# %%
from minidalle.exercises import EXERCISES
from minidalle.exercises.exercise import mistake

inputs = [([[0.0, 1.0]], [[0.0, 2.0], [3.0, 3.0]])]  # add yours: a list of latents, and a codebook

exercise, found = EXERCISES["vqgan.nearest_code"], 0
for wrong in exercise.wrong:
    finds = []
    for latents, codebook in inputs:
        given = torch.tensor(latents), torch.tensor(codebook)
        right = exercise.reference(*given)
        try:
            answer = wrong(*given)
            differs = answer.shape != right.shape or not torch.equal(answer, right)
        except Exception:  # a mistake that crashes is found, too
            differs = True
        finds += [str(latents)] if differs else []
    found += bool(finds)
    print("✓ found by" if finds else "✗ not found", *finds[:1], "–", mistake(wrong)[0])
print(f"{found} of {len(exercise.wrong)} mistakes found; inputs: {len(inputs)}")

# %% [markdown]
# ## Where to read on
#
# - A. van den Oord, O. Vinyals, K. Kavukcuoglu: *Neural Discrete Representation Learning* (VQ-VAE), NeurIPS 2017,
#   arXiv:1711.00937: nearest code, straight-through, both losses, and EMA in the appendix.
# - P. Esser, R. Rombach, B. Ommer: *Taming Transformers for High-Resolution Image Synthesis*, CVPR 2021,
#   arXiv:2012.09841: the VQGAN.
# - A. Razavi, A. van den Oord, O. Vinyals: *Generating Diverse High-Fidelity Images with VQ-VAE-2*, NeurIPS 2019,
#   arXiv:1906.00446.
# - P. Dhariwal and others: *Jukebox*, 2020, arXiv:2005.00341: restarts, for music.
# - In this package: `minidalle/vqgan/quantizer.py` and `losses.py` are what you have just written; `training/vqgan.py`
#   is the loop that trained it.
#
# **Next:** lesson 03, in which a BART reads the caption and writes these 64 numbers.

# %% instructor [markdown]
# **For the instructor.** Five to six hours; good places to stop are the ends of 2.3, 2.6, 2.9 and 2.11. Planned as the
# longest are `nearest_code`, `ema_update` (counts and sums are averaged, not the codes) and `gradient_loss` (the mean
# of each direction, then their sum). All small trainings together take about a minute on two cores, the large one about
# two; set `MINIDALLE_QUICK=1` in a computer room. If time is short, leave out `hinge_loss` and `adaptive_weight` with a
# `course.toml` (docs/authoring.md); section 2.11 then still shows what a critic does.
