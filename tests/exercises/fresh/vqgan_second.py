"""Right and wrong answers to the exercises of lesson 02, VQGAN, from readers who saw the notebook for the first time.

Every function stands for itself. The comment above a wrong answer says what it does wrong.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.runtime import Weights
from minidalle.vqgan.blocks import convolve, normalize

# ---------------------------------------------------------------- psnr


def psnr__right_flatten(pictures: Tensor, targets: Tensor) -> Tensor:
    error = (pictures - targets).square().flatten(1).mean(dim=1)
    return -10 * error.log10()


def psnr__right_root(pictures: Tensor, targets: Tensor) -> Tensor:
    root = ((pictures - targets) ** 2).mean(dim=(1, 2, 3)).sqrt()
    return 20 * torch.log10(1 / root)


def psnr__right_loop(pictures: Tensor, targets: Tensor) -> Tensor:
    values = [F.mse_loss(one, other).log() / math.log(10) for one, other in zip(pictures, targets, strict=True)]
    return torch.stack(values) * -10


# It takes the natural logarithm in place of the one to base 10.
def psnr__natural_log(pictures: Tensor, targets: Tensor) -> Tensor:
    error = (pictures - targets).square().flatten(1).mean(dim=1)
    return -10 * torch.log(error)


# It takes the factor 20, which belongs to the root of the error, with the squared error.
def psnr__factor_20(pictures: Tensor, targets: Tensor) -> Tensor:
    error = (pictures - targets).square().flatten(1).mean(dim=1)
    return -20 * error.log10()


# It squares the mean absolute error, which is the mean squared error only if all errors are equal.
def psnr__square_of_mean_absolute(pictures: Tensor, targets: Tensor) -> Tensor:
    error = (pictures - targets).abs().flatten(1).mean(dim=1) ** 2
    return -10 * error.log10()


# It averages the signed differences before it squares, so errors of both signs cancel.
def psnr__mean_before_square(pictures: Tensor, targets: Tensor) -> Tensor:
    error = (pictures - targets).flatten(1).mean(dim=1).square()
    return -10 * error.log10()


# It adds a small number against log 0, so a perfect copy has 80 dB and not infinitely many.
def psnr__epsilon(pictures: Tensor, targets: Tensor) -> Tensor:
    error = (pictures - targets).square().flatten(1).mean(dim=1)
    return -10 * torch.log10(error + 1e-8)


# It computes decibels for each channel and averages the decibels, not the errors.
def psnr__mean_of_channels(pictures: Tensor, targets: Tensor) -> Tensor:
    error = (pictures - targets).square().mean(dim=(2, 3))
    return (-10 * error.log10()).mean(dim=1)


# It takes the brightest pixel of the target as the peak, where the peak is always 1.
def psnr__peak_of_target(pictures: Tensor, targets: Tensor) -> Tensor:
    error = (pictures - targets).square().flatten(1).mean(dim=1)
    peak = targets.flatten(1).amax(dim=1)
    return 10 * torch.log10(peak.square() / error)


# It adds the squared errors of the three channels where it should average them.
def psnr__sum_of_channels(pictures: Tensor, targets: Tensor) -> Tensor:
    error = (pictures - targets).square().sum(dim=1).mean(dim=(1, 2))
    return -10 * error.log10()


# It averages over the whole batch, so there is one number and not one for each picture.
def psnr__one_for_the_batch(pictures: Tensor, targets: Tensor) -> Tensor:
    return -10 * torch.log10(F.mse_loss(pictures, targets))


# ---------------------------------------------------------------- residual_block


def residual_block__right_lines(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    hidden = convolve(weights["conv1"], F.silu(normalize(weights, "norm1", x, groups)))
    hidden = convolve(weights["conv2"], F.silu(normalize(weights, "norm2", hidden, groups)))
    if "nin_shortcut" in weights:
        x = convolve(weights["nin_shortcut"], x)
    return x + hidden


def residual_block__right_loop(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    hidden = x
    for number in "12":
        hidden = normalize(weights, "norm" + number, hidden, groups)
        hidden = hidden * torch.sigmoid(hidden)
        hidden = convolve(weights["conv" + number], hidden)
    return hidden + (convolve(weights["nin_shortcut"], x) if "nin_shortcut" in weights else x)


def residual_block__right_matrix(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    def through(norm, conv, value):
        return convolve(weights[conv], F.silu(normalize(weights, norm, value, groups)))

    added = through("norm2", "conv2", through("norm1", "conv1", x))
    if "nin_shortcut" not in weights:
        return added + x
    shortcut = weights["nin_shortcut"]  # a 1 × 1 convolution is a matrix for each pixel
    mixed = torch.einsum("oi,bihw->bohw", shortcut["weight"][:, :, 0, 0], x)
    return added + mixed + shortcut["bias"][:, None, None]


# It forgets SiLU in the second round.
def residual_block__second_silu_missing(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    hidden = convolve(weights["conv1"], F.silu(normalize(weights, "norm1", x, groups)))
    hidden = convolve(weights["conv2"], normalize(weights, "norm2", hidden, groups))
    if "nin_shortcut" in weights:
        x = convolve(weights["nin_shortcut"], x)
    return x + hidden


# It uses ReLU in the second round in place of SiLU.
def residual_block__relu(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    hidden = convolve(weights["conv1"], F.silu(normalize(weights, "norm1", x, groups)))
    hidden = convolve(weights["conv2"], F.relu(normalize(weights, "norm2", hidden, groups)))
    if "nin_shortcut" in weights:
        x = convolve(weights["nin_shortcut"], x)
    return x + hidden


# It copied the first line and forgot to change the name of the convolution: conv1 is used twice.
def residual_block__conv1_twice(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    hidden = convolve(weights["conv1"], F.silu(normalize(weights, "norm1", x, groups)))
    hidden = convolve(weights["conv1"], F.silu(normalize(weights, "norm2", hidden, groups)))
    if "nin_shortcut" in weights:
        x = convolve(weights["nin_shortcut"], x)
    return x + hidden


# It forgets the normalization of the second round.
def residual_block__second_norm_missing(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    hidden = convolve(weights["conv1"], F.silu(normalize(weights, "norm1", x, groups)))
    hidden = convolve(weights["conv2"], F.silu(hidden))
    if "nin_shortcut" in weights:
        x = convolve(weights["nin_shortcut"], x)
    return x + hidden


# It bends first and normalizes afterwards in the second round.
def residual_block__silu_before_norm(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    hidden = convolve(weights["conv1"], F.silu(normalize(weights, "norm1", x, groups)))
    hidden = convolve(weights["conv2"], normalize(weights, "norm2", F.silu(hidden), groups))
    if "nin_shortcut" in weights:
        x = convolve(weights["nin_shortcut"], x)
    return x + hidden


# It does the second round in the order convolution, normalization, SiLU.
def residual_block__convolution_first(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    hidden = convolve(weights["conv1"], F.silu(normalize(weights, "norm1", x, groups)))
    hidden = F.silu(normalize(weights, "norm2", convolve(weights["conv2"], hidden), groups))
    if "nin_shortcut" in weights:
        x = convolve(weights["nin_shortcut"], x)
    return x + hidden


# It bends the sum once more, as the first residual networks did, so what came in is not just passed on.
def residual_block__silu_after_sum(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    hidden = convolve(weights["conv1"], F.silu(normalize(weights, "norm1", x, groups)))
    hidden = convolve(weights["conv2"], F.silu(normalize(weights, "norm2", hidden, groups)))
    if "nin_shortcut" in weights:
        x = convolve(weights["nin_shortcut"], x)
    return F.silu(x + hidden)


# It adds what came in only where the shortcut is, and forgets it where the channels stay the same.
def residual_block__adds_only_a_shortcut(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    hidden = convolve(weights["conv1"], F.silu(normalize(weights, "norm1", x, groups)))
    hidden = convolve(weights["conv2"], F.silu(normalize(weights, "norm2", hidden, groups)))
    if "nin_shortcut" in weights:
        hidden = hidden + convolve(weights["nin_shortcut"], x)
    return hidden


# It adds the normalized and bent input, not the input itself.
def residual_block__adds_activated_input(weights: Weights, x: Tensor, groups: int = 32) -> Tensor:
    x = F.silu(normalize(weights, "norm1", x, groups))
    hidden = convolve(weights["conv1"], x)
    hidden = convolve(weights["conv2"], F.silu(normalize(weights, "norm2", hidden, groups)))
    if "nin_shortcut" in weights:
        x = convolve(weights["nin_shortcut"], x)
    return x + hidden


# ---------------------------------------------------------------- nearest_code


def nearest_code__right_product(latents: Tensor, codebook: Tensor) -> Tensor:
    lengths = codebook.square().sum(dim=1)
    return (lengths - 2 * latents @ codebook.T).argmin(dim=-1)


def nearest_code__right_differences(latents: Tensor, codebook: Tensor) -> Tensor:
    return torch.linalg.vector_norm(latents.unsqueeze(-2) - codebook, dim=-1).argmin(dim=-1)


def nearest_code__right_loop(latents: Tensor, codebook: Tensor) -> Tensor:
    best = torch.full(latents.shape[:-1], math.inf, device=latents.device)
    tokens = torch.zeros(latents.shape[:-1], dtype=torch.long, device=latents.device)
    for number, code in enumerate(codebook):
        distance = ((latents - code) ** 2).sum(dim=-1)
        closer = distance < best
        best, tokens = torch.where(closer, distance, best), tokens.masked_fill(closer, number)
    return tokens


# It takes the code with the largest dot product, so long codes win too often.
def nearest_code__dot_product(latents: Tensor, codebook: Tensor) -> Tensor:
    return (latents @ codebook.T).argmax(dim=-1)


# It compares directions only (cosine), so the lengths do not matter.
def nearest_code__cosine(latents: Tensor, codebook: Tensor) -> Tensor:
    return (F.normalize(latents, dim=-1) @ F.normalize(codebook, dim=-1).T).argmax(dim=-1)


# It forgets the factor 2 of the dot products.
def nearest_code__without_2(latents: Tensor, codebook: Tensor) -> Tensor:
    return (codebook.square().sum(dim=1) - latents @ codebook.T).argmin(dim=-1)


# It adds the lengths of the codes where their squares belong.
def nearest_code__length_not_squared(latents: Tensor, codebook: Tensor) -> Tensor:
    return (codebook.norm(dim=1) - 2 * latents @ codebook.T).argmin(dim=-1)


# It has the sign of the dot products wrong, so it finds the code nearest to the opposite latent.
def nearest_code__plus(latents: Tensor, codebook: Tensor) -> Tensor:
    return (codebook.square().sum(dim=1) + 2 * latents @ codebook.T).argmin(dim=-1)


# It measures with absolute differences (L1) and not with the Euclidean distance.
def nearest_code__l1(latents: Tensor, codebook: Tensor) -> Tensor:
    return (latents.unsqueeze(-2) - codebook).abs().sum(dim=-1).argmin(dim=-1)


# It adds the differences up before it squares them, so differences of both signs cancel.
def nearest_code__sum_before_square(latents: Tensor, codebook: Tensor) -> Tensor:
    return (latents.unsqueeze(-2) - codebook).sum(dim=-1).square().argmin(dim=-1)


# It keeps the last one of a tie, for a later code that is as near replaces the earlier one.
def nearest_code__last_of_a_tie(latents: Tensor, codebook: Tensor) -> Tensor:
    best = torch.full(latents.shape[:-1], math.inf)
    tokens = torch.zeros(latents.shape[:-1], dtype=torch.long)
    for number, code in enumerate(codebook):
        distance = (latents - code).square().sum(dim=-1)
        closer = distance <= best
        best, tokens = torch.where(closer, distance, best), tokens.masked_fill(closer, number)
    return tokens


# It searches along the wrong axis and finds the nearest latent of each code.
def nearest_code__wrong_axis(latents: Tensor, codebook: Tensor) -> Tensor:
    return (codebook.square().sum(dim=1) - 2 * latents @ codebook.T).argmin(dim=0)


# ---------------------------------------------------------------- straight_through


def straight_through__right_step(latents: Tensor, quantized: Tensor) -> Tensor:
    return latents + (quantized - latents).detach()


def straight_through__right_zero(latents: Tensor, quantized: Tensor) -> Tensor:
    nothing = latents - latents.detach()  # zeros, with the gradient of the latents
    return quantized.detach() + nothing


def straight_through__right_function(latents: Tensor, quantized: Tensor) -> Tensor:
    class Through(torch.autograd.Function):
        @staticmethod
        def forward(ctx, latents, quantized):
            return quantized.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient, torch.zeros_like(gradient)

    return Through.apply(latents, quantized)


# It forgets detach, so the gradient goes to the codes and none to the latents.
def straight_through__no_detach(latents: Tensor, quantized: Tensor) -> Tensor:
    return latents + (quantized - latents)


# It swaps the two: the value is that of the latents, and the gradient goes to the codes.
def straight_through__swapped(latents: Tensor, quantized: Tensor) -> Tensor:
    return quantized + (latents - quantized).detach()


# It detaches only the codes in the bracket, so the two gradients of the latents cancel to 0.
def straight_through__only_codes_detached(latents: Tensor, quantized: Tensor) -> Tensor:
    return latents + (quantized.detach() - latents)


# It detaches only the latents in the bracket, so the gradient goes to the latents and to the codes.
def straight_through__only_latents_detached(latents: Tensor, quantized: Tensor) -> Tensor:
    return latents + (quantized - latents.detach())


# It detaches the latents outside the bracket: their gradient has the wrong sign, and the codes get one.
def straight_through__outside_detached(latents: Tensor, quantized: Tensor) -> Tensor:
    return latents.detach() + (quantized - latents)


# It takes the step in the wrong direction, so the value is as far beyond the latents on the other side.
def straight_through__wrong_direction(latents: Tensor, quantized: Tensor) -> Tensor:
    return latents + (latents - quantized).detach()


# It multiplies by a constant ratio, so the value is right, but the gradient is scaled by that ratio.
def straight_through__ratio(latents: Tensor, quantized: Tensor) -> Tensor:
    return latents * (quantized / latents).detach()


# It makes the codes a fresh leaf: the gradient ends there and never reaches the latents.
def straight_through__fresh_leaf(latents: Tensor, quantized: Tensor) -> Tensor:
    return quantized.detach().clone().requires_grad_()


# It detaches the whole sum, so there is no gradient at all (backward crashes).
def straight_through__all_detached(latents: Tensor, quantized: Tensor) -> Tensor:
    return (latents + (quantized - latents)).detach()


# ---------------------------------------------------------------- quantizer_loss


def quantizer_loss__right_mse(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    codebook = F.mse_loss(quantized, latents.detach())
    commitment = F.mse_loss(latents, quantized.detach())
    return codebook + beta * commitment


def quantizer_loss__right_by_hand(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    to_latents = (latents.detach() - quantized).square()
    to_codes = (latents - quantized.detach()).square()
    return (to_latents + beta * to_codes).mean()


def quantizer_loss__right_no_grad(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    with torch.no_grad():
        fixed_latents, fixed_codes = latents.clone(), quantized.clone()
    codebook = torch.sum((quantized - fixed_latents) ** 2)
    commitment = torch.sum((fixed_codes - latents) ** 2)
    return (codebook + commitment * beta) / latents.numel()


# It multiplies the codebook term by beta in place of the commitment.
def quantizer_loss__beta_on_codebook(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    codebook = F.mse_loss(quantized, latents.detach())
    commitment = F.mse_loss(latents, quantized.detach())
    return beta * codebook + commitment


# It forgets to detach the codes in the commitment, which then moves the codes, too.
def quantizer_loss__commitment_not_detached(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    codebook = F.mse_loss(quantized, latents.detach())
    commitment = F.mse_loss(latents, quantized)
    return codebook + beta * commitment


# It detaches the latents in the commitment again, so nothing moves the latents.
def quantizer_loss__latents_detached_twice(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    codebook = F.mse_loss(quantized, latents.detach())
    commitment = F.mse_loss(latents.detach(), quantized)
    return codebook + beta * commitment


# It notices that both terms have the same value and writes one term without any detach.
def quantizer_loss__one_term(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    return (1 + beta) * F.mse_loss(latents, quantized)


# It forgets beta.
def quantizer_loss__without_beta(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    codebook = F.mse_loss(quantized, latents.detach())
    commitment = F.mse_loss(latents, quantized.detach())
    return codebook + commitment


# It multiplies both terms by beta.
def quantizer_loss__beta_on_both(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    codebook = F.mse_loss(quantized, latents.detach())
    commitment = F.mse_loss(latents, quantized.detach())
    return beta * (codebook + commitment)


# It weighs the codebook term with 1 - beta, as if the weights had to add up to 1.
def quantizer_loss__one_minus_beta(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    codebook = F.mse_loss(quantized, latents.detach())
    commitment = F.mse_loss(latents, quantized.detach())
    return (1 - beta) * codebook + beta * commitment


# It leaves the codebook term out, as an EMA codebook would allow.
def quantizer_loss__commitment_only(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    return beta * F.mse_loss(latents, quantized.detach())


# It sums over the numbers of a vector, as the formula's norm suggests, and averages over the vectors only.
def quantizer_loss__sum_over_vector(latents: Tensor, quantized: Tensor, beta: float) -> Tensor:
    codebook = (quantized - latents.detach()).square().sum(dim=-1).mean()
    commitment = (latents - quantized.detach()).square().sum(dim=-1).mean()
    return codebook + beta * commitment


# ---------------------------------------------------------------- ema_update


def ema_update__right_formula(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    total = counts.sum()
    smoothed = (counts + epsilon) / (total + len(counts) * epsilon) * total
    return counts, sums, sums / smoothed[:, None]


def ema_update__right_lerp(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    new_counts = counts.lerp(batch_counts.to(counts), 1 - decay)
    new_sums = sums.lerp(batch_sums.to(sums), 1 - decay)
    size, total = new_counts.numel(), new_counts.sum()
    factor = (total + size * epsilon) / total
    codebook = factor * new_sums / (new_counts + epsilon).unsqueeze(1)
    return new_counts, new_sums, codebook


def ema_update__right_loop(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    counts = counts + (1 - decay) * (batch_counts - counts)
    sums = sums + (1 - decay) * (batch_sums - sums)
    shares = (counts + epsilon) / (counts + epsilon).sum()
    codes = [row / (share * counts.sum()) for row, share in zip(sums, shares, strict=True)]
    return counts, sums, torch.stack(codes)


# It swaps decay and 1 - decay: the past is nearly forgotten, and the batch kept.
def ema_update__decay_swapped(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    counts = (1 - decay) * counts + decay * batch_counts
    sums = (1 - decay) * sums + decay * batch_sums
    total = counts.sum()
    smoothed = (counts + epsilon) / (total + len(counts) * epsilon) * total
    return counts, sums, sums / smoothed[:, None]


# It leaves out the smoothing, so a code that was never chosen becomes nan.
def ema_update__no_smoothing(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    return counts, sums, sums / counts[:, None]


# It only adds epsilon to the counts and does not scale them back to their total.
def ema_update__only_epsilon(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    return counts, sums, sums / (counts + epsilon)[:, None]


# It divides by the smoothed shares, for it forgets to multiply by the total.
def ema_update__divides_by_shares(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    smoothed = (counts + epsilon) / (counts.sum() + len(counts) * epsilon)
    return counts, sums, sums / smoothed[:, None]


# It returns the smoothed counts where the plain ones should be kept.
def ema_update__returns_smoothed(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    total = counts.sum()
    counts = (counts + epsilon) / (total + len(counts) * epsilon) * total
    return counts, sums, sums / counts[:, None]


# It computes the total N from the old counts, before they were moved.
def ema_update__old_total(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    total = counts.sum()
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    smoothed = (counts + epsilon) / (total + len(counts) * epsilon) * total
    return counts, sums, sums / smoothed[:, None]


# It takes K from the wrong axis of the sums: the width of the codes, not their number.
def ema_update__k_is_width(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    total, size = counts.sum(), sums.shape[-1]
    smoothed = (counts + epsilon) / (total + size * epsilon) * total
    return counts, sums, sums / smoothed[:, None]


# It averages the old codes with the means of the batch, so a batch of few counts as much as all the past.
def ema_update__mean_of_means(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    old = sums / (counts + epsilon)[:, None]
    batch = batch_sums / (batch_counts + epsilon)[:, None]
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    return counts, sums, decay * old + (1 - decay) * batch


# It works in place, so the caller's running counts and sums are changed.
def ema_update__in_place(
    counts: Tensor, sums: Tensor, batch_counts: Tensor, batch_sums: Tensor, decay: float, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    counts *= decay
    counts += (1 - decay) * batch_counts
    sums *= decay
    sums += (1 - decay) * batch_sums
    total = counts.sum()
    smoothed = (counts + epsilon) / (total + len(counts) * epsilon) * total
    return counts, sums, sums / smoothed[:, None]


# ---------------------------------------------------------------- codebook_usage


def codebook_usage__right_xlogy(counts: Tensor) -> tuple[int, float]:
    shares = counts.double() / counts.double().sum()
    entropy = -torch.xlogy(shares, shares).sum()
    return int((counts > 0).sum()), float(entropy.exp())


def codebook_usage__right_without_zeros(counts: Tensor) -> tuple[int, float]:
    used = counts[counts != 0].to(torch.float64)
    shares = used / used.sum()
    return len(used), math.exp(-(shares * shares.log()).sum().item())


def codebook_usage__right_python(counts: Tensor) -> tuple[int, float]:
    numbers = [int(count) for count in counts.tolist() if count > 0]
    total = sum(numbers)
    product = 1.0
    for number in numbers:  # e to a sum of logarithms is a product of powers
        product *= (total / number) ** (number / total)
    return len(numbers), product


# It takes the entropy in bits, but e to the power of it.
def codebook_usage__bits_and_e(counts: Tensor) -> tuple[int, float]:
    shares = counts[counts > 0] / counts.sum()
    entropy = -(shares * shares.log2()).sum()
    return int((counts > 0).sum()), float(entropy.exp())


# It takes the entropy in nats, but 2 to the power of it.
def codebook_usage__nats_and_2(counts: Tensor) -> tuple[int, float]:
    shares = counts / counts.sum()
    entropy = -torch.xlogy(shares, shares).sum()
    return int((counts > 0).sum()), float(2**entropy)


# It does not mind codes that were never chosen: 0 · log 0 makes the perplexity nan.
def codebook_usage__zero_log_zero(counts: Tensor) -> tuple[int, float]:
    shares = counts / counts.sum()
    entropy = -(shares * shares.log()).sum()
    return int((counts > 0).sum()), float(entropy.exp())


# It lifts counts of 0 to 1 against log 0, so unused codes count as if each had been chosen once.
def codebook_usage__zeros_to_one(counts: Tensor) -> tuple[int, float]:
    lifted = counts.clamp(min=1)
    shares = lifted / lifted.sum()
    return int((counts > 0).sum()), float((-(shares * shares.log()).sum()).exp())


# It makes shares of the counts by softmax and not by dividing by their sum.
def codebook_usage__softmax(counts: Tensor) -> tuple[int, float]:
    shares = torch.softmax(counts.float(), dim=0)
    entropy = -torch.xlogy(shares, shares).sum()
    return int((counts > 0).sum()), float(entropy.exp())


# It returns the entropy and forgets to take e to the power of it.
def codebook_usage__entropy(counts: Tensor) -> tuple[int, float]:
    shares = counts / counts.sum()
    entropy = -torch.xlogy(shares, shares).sum()
    return int((counts > 0).sum()), float(entropy)


# It forgets the minus sign of the entropy, so it returns one divided by the perplexity.
def codebook_usage__no_minus(counts: Tensor) -> tuple[int, float]:
    shares = counts / counts.sum()
    entropy = torch.xlogy(shares, shares).sum()
    return int((counts > 0).sum()), float(entropy.exp())


# It takes one divided by the sum of the squared shares, which is another effective number.
def codebook_usage__inverse_squares(counts: Tensor) -> tuple[int, float]:
    shares = counts / counts.sum()
    return int((counts > 0).sum()), float(1 / shares.square().sum())


# It counts how many different counts there are, as if the counts were tokens.
def codebook_usage__unique_counts(counts: Tensor) -> tuple[int, float]:
    shares = counts / counts.sum()
    entropy = -torch.xlogy(shares, shares).sum()
    return len(counts.unique()), float(entropy.exp())


# ---------------------------------------------------------------- restart_dead_codes


def restart_dead_codes__right_clone(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    dead = (counts < threshold).nonzero().squeeze(1)[: len(candidates)]
    moved, restarted = codebook.clone(), torch.zeros_like(counts, dtype=torch.bool)
    moved[dead] = candidates[order[: len(dead)]]
    restarted[dead] = True
    return moved, restarted


def restart_dead_codes__right_rank(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    dead = counts < threshold
    restarted = dead & (dead.cumsum(dim=0) <= len(order))
    moved = codebook.masked_scatter(restarted[:, None].expand_as(codebook), candidates[order])
    return moved, restarted


def restart_dead_codes__right_loop(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    rows, restarted, left = list(codebook), [False] * len(codebook), order.tolist()
    for number, count in enumerate(counts.tolist()):
        if count < threshold and left:
            rows[number], restarted[number] = candidates[left.pop(0)], True
    return torch.stack(rows), torch.tensor(restarted, device=codebook.device)


# It counts a code whose count is exactly the threshold as dead.
def restart_dead_codes__at_most(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    dead = (counts <= threshold).nonzero().squeeze(1)[: len(candidates)]
    moved, restarted = codebook.clone(), torch.zeros_like(counts, dtype=torch.bool)
    moved[dead] = candidates[order[: len(dead)]]
    restarted[dead] = True
    return moved, restarted


# It compares with a share of the mean count, as in the lesson's training, not with the threshold.
def restart_dead_codes__share_of_mean(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    dead = (counts < threshold * counts.float().mean()).nonzero().squeeze(1)[: len(candidates)]
    moved, restarted = codebook.clone(), torch.zeros_like(counts, dtype=torch.bool)
    moved[dead] = candidates[order[: len(dead)]]
    restarted[dead] = True
    return moved, restarted


# It does not use the order: the first candidates are taken as they come.
def restart_dead_codes__no_order(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    dead = (counts < threshold).nonzero().squeeze(1)[: len(candidates)]
    moved, restarted = codebook.clone(), torch.zeros_like(counts, dtype=torch.bool)
    moved[dead] = candidates[: len(dead)]
    restarted[dead] = True
    return moved, restarted


# It reads the order the other way round: candidate i goes to place order[i], the inverse permutation.
def restart_dead_codes__inverse_order(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    shuffled = torch.empty_like(candidates)
    shuffled[order] = candidates
    dead = (counts < threshold).nonzero().squeeze(1)[: len(candidates)]
    moved, restarted = codebook.clone(), torch.zeros_like(counts, dtype=torch.bool)
    moved[dead] = shuffled[: len(dead)]
    restarted[dead] = True
    return moved, restarted


# It looks the order up at the number of the code, not at the place among the dead, and counts modulo M.
def restart_dead_codes__order_by_code(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    dead = (counts < threshold).nonzero().squeeze(1)[: len(candidates)]
    moved, restarted = codebook.clone(), torch.zeros_like(counts, dtype=torch.bool)
    moved[dead] = candidates[order[dead % len(order)]]
    restarted[dead] = True
    return moved, restarted


# It begins again with the first candidate when there are more dead codes than candidates.
def restart_dead_codes__round_and_round(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    dead = (counts < threshold).nonzero().squeeze(1)
    moved, restarted = codebook.clone(), torch.zeros_like(counts, dtype=torch.bool)
    moved[dead] = candidates[order[torch.arange(len(dead)) % len(order)]]
    restarted[dead] = True
    return moved, restarted


# It reports all dead codes as restarted, also those for which no candidate was left.
def restart_dead_codes__reports_all_dead(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    restarted = counts < threshold
    dead = restarted.nonzero().squeeze(1)[: len(candidates)]
    moved = codebook.clone()
    moved[dead] = candidates[order[: len(dead)]]
    return moved, restarted


# It serves the rarest codes first, where the i-th dead code is meant by its place in the codebook.
def restart_dead_codes__rarest_first(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    by_count = counts.argsort(stable=True)
    dead = by_count[counts[by_count] < threshold][: len(candidates)]
    moved, restarted = codebook.clone(), torch.zeros_like(counts, dtype=torch.bool)
    moved[dead] = candidates[order[: len(dead)]]
    restarted[dead] = True
    return moved, restarted


# It writes into the codebook that was given, not into a copy.
def restart_dead_codes__in_place(
    codebook: Tensor, counts: Tensor, candidates: Tensor, threshold: float, order: Tensor
) -> tuple[Tensor, Tensor]:
    dead = (counts < threshold).nonzero().squeeze(1)[: len(candidates)]
    restarted = torch.zeros_like(counts, dtype=torch.bool)
    codebook[dead] = candidates[order[: len(dead)]]
    restarted[dead] = True
    return codebook, restarted


# ---------------------------------------------------------------- gradient_loss


def gradient_loss__right_diff(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    error = pictures - targets
    total = error.new_zeros(())
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return total / scales


def gradient_loss__right_slices(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    terms = []
    for _ in range(scales):
        across = (pictures[..., 1:] - pictures[..., :-1]) - (targets[..., 1:] - targets[..., :-1])
        down = (pictures[..., 1:, :] - pictures[..., :-1, :]) - (targets[..., 1:, :] - targets[..., :-1, :])
        terms.append(across.abs().mean() + down.abs().mean())
        pictures, targets = F.avg_pool2d(pictures, 2), F.avg_pool2d(targets, 2)
    return torch.stack(terms).mean()


def gradient_loss__right_convolution(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    error = (pictures - targets).flatten(0, 1)[:, None]
    step = error.new_tensor([-1.0, 1.0])
    total = 0.0
    for _ in range(scales):
        total = total + F.conv2d(error, step.view(1, 1, 1, 2)).abs().mean()
        total = total + F.conv2d(error, step.view(1, 1, 2, 1)).abs().mean()
        high, wide = error.shape[2] // 2, error.shape[3] // 2
        blocks = error[:, :, : 2 * high, : 2 * wide].reshape(-1, 1, high, 2, wide, 2)
        error = blocks.mean(dim=(3, 5))
    return total / scales


# It compares how strong the edges are and loses which side is brighter.
def gradient_loss__strength_only(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    total = pictures.new_zeros(())
    for scale in range(scales):
        if scale:
            pictures, targets = F.avg_pool2d(pictures, 2), F.avg_pool2d(targets, 2)
        for dim in (2, 3):
            total = total + (pictures.diff(dim=dim).abs() - targets.diff(dim=dim).abs()).abs().mean()
    return total / scales


# It takes the absolute error of the pixels first and the differences of neighbors afterwards.
def gradient_loss__absolute_first(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    error = (pictures - targets).abs()
    total = error.new_zeros(())
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return total / scales


# It adds the scales up and forgets to divide by their number.
def gradient_loss__sum_of_scales(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    error = pictures - targets
    total = error.new_zeros(())
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return total


# It averages the edges across and the edges down, where they should be added.
def gradient_loss__mean_of_directions(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    error = pictures - targets
    total = error.new_zeros(())
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + (error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()) / 2
    return total / scales


# It takes the edges down twice and those across never.
def gradient_loss__down_twice(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    error = pictures - targets
    total = error.new_zeros(())
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=-2).abs().mean()
    return total / scales


# It compares each pixel with a rolled picture, so the last row and column meet the first ones.
def gradient_loss__around_the_border(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    error = pictures - targets
    total = error.new_zeros(())
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + (error - error.roll(1, dims=2)).abs().mean() + (error - error.roll(1, dims=3)).abs().mean()
    return total / scales


# It halves the first picture at every scale, so from the third scale on nothing gets coarser.
def gradient_loss__halves_the_original(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    error = pictures - targets
    total = error.new_zeros(())
    for scale in range(scales):
        level = F.avg_pool2d(error, 2) if scale else error
        total = total + level.diff(dim=2).abs().mean() + level.diff(dim=3).abs().mean()
    return total / scales


# It keeps every second pixel where it should average blocks of 2 × 2.
def gradient_loss__every_second_pixel(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    error = pictures - targets
    total = error.new_zeros(())
    for scale in range(scales):
        if scale:
            error = error[:, :, ::2, ::2]
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return total / scales


# It resizes by area, which mixes an odd last row or column in where it should be dropped.
def gradient_loss__odd_row_mixed_in(pictures: Tensor, targets: Tensor, scales: int = 3) -> Tensor:
    error = pictures - targets
    total = error.new_zeros(())
    for scale in range(scales):
        if scale:
            error = F.interpolate(error, scale_factor=0.5, mode="area")
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return total / scales


# ---------------------------------------------------------------- hinge_loss


def hinge_loss__right_relu(real: Tensor, fake: Tensor) -> Tensor:
    return (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2


def hinge_loss__right_minimum(real: Tensor, fake: Tensor) -> Tensor:
    of_real = 1 - real.clamp(max=1).mean()
    of_fake = 1 + fake.clamp(min=-1).mean()
    return 0.5 * of_real + 0.5 * of_fake


def hinge_loss__right_mask(real: Tensor, fake: Tensor) -> Tensor:
    of_real = ((1 - real) * (real < 1)).sum() / real.numel()
    of_fake = ((fake + 1) * (fake > -1)).sum() / fake.numel()
    return torch.stack([of_real, of_fake]).mean()


# It has the signs of real and fake the wrong way round.
def hinge_loss__swapped(real: Tensor, fake: Tensor) -> Tensor:
    return (F.relu(1 + real).mean() + F.relu(1 - fake).mean()) / 2


# It forgets to divide by 2.
def hinge_loss__not_halved(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


# It forgets a pair of brackets, so only the cost of the copies is halved.
def hinge_loss__half_of_the_second(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean() / 2


# It forgets the margin of 1: a verdict of the right sign costs nothing at all.
def hinge_loss__no_margin(real: Tensor, fake: Tensor) -> Tensor:
    return (F.relu(-real).mean() + F.relu(fake).mean()) / 2


# It averages the verdicts before the hinge, so a very good one pays for a bad one.
def hinge_loss__hinge_of_the_mean(real: Tensor, fake: Tensor) -> Tensor:
    return (F.relu(1 - real.mean()) + F.relu(1 + fake.mean())) / 2


# It forgets max(0, …), so verdicts beyond the margin are rewarded.
def hinge_loss__no_hinge(real: Tensor, fake: Tensor) -> Tensor:
    return ((1 - real).mean() + (1 + fake).mean()) / 2


# It squares the costs.
def hinge_loss__squared(real: Tensor, fake: Tensor) -> Tensor:
    return (F.relu(1 - real).square().mean() + F.relu(1 + fake).square().mean()) / 2


# It clamps the costs between 0 and 1, so a very wrong verdict costs no more than a verdict of 0.
def hinge_loss__at_most_one(real: Tensor, fake: Tensor) -> Tensor:
    return ((1 - real).clamp(0, 1).mean() + (1 + fake).clamp(0, 1).mean()) / 2


# It averages over all verdicts together, so the side with more verdicts weighs more.
def hinge_loss__one_mean(real: Tensor, fake: Tensor) -> Tensor:
    return torch.cat([F.relu(1 - real).flatten(), F.relu(1 + fake).flatten()]).mean()


# ---------------------------------------------------------------- adaptive_weight


def adaptive_weight__right_norm(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    weight = rec_grad.norm() / (gan_grad.norm() + 1e-4)
    return weight.clamp(max=clamp).detach()


def adaptive_weight__right_no_grad(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    with torch.no_grad():
        rec, gan = (gradient.square().sum().sqrt() for gradient in (rec_grad, gan_grad))
        return torch.minimum(rec / (gan + 1e-4), rec.new_tensor(clamp))


def adaptive_weight__right_python(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    rec, gan = torch.linalg.vector_norm(rec_grad).item(), torch.linalg.vector_norm(gan_grad).item()
    return rec_grad.new_tensor(min(rec / (gan + 1e-4), clamp))


# It divides the wrong way round, so the louder critic becomes louder still.
def adaptive_weight__upside_down(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    weight = gan_grad.norm() / (rec_grad.norm() + 1e-4)
    return weight.clamp(max=clamp).detach()


# It forgets a pair of brackets: 0.0001 is added to the quotient and not to the denominator.
def adaptive_weight__epsilon_outside(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    weight = rec_grad.norm() / gan_grad.norm() + 1e-4
    return weight.clamp(max=clamp).detach()


# It keeps the denominator at 0.0001 or more where it should add 0.0001 to it.
def adaptive_weight__epsilon_as_minimum(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    weight = rec_grad.norm() / gan_grad.norm().clamp(min=1e-4)
    return weight.clamp(max=clamp).detach()


# It gives the limit as the first argument of clamp, which is the minimum: the weight is never below it.
def adaptive_weight__clamp_is_minimum(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    weight = rec_grad.norm() / (gan_grad.norm() + 1e-4)
    return weight.clamp(clamp).detach()


# It forgets the limit.
def adaptive_weight__no_limit(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    return (rec_grad.norm() / (gan_grad.norm() + 1e-4)).detach()


# It forgets to take the weight out of the graph, so one could learn through it.
def adaptive_weight__no_detach(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    weight = rec_grad.norm() / (gan_grad.norm() + 1e-4)
    return weight.clamp(max=clamp)


# It forgets the roots and divides the sums of squares.
def adaptive_weight__no_root(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    weight = rec_grad.square().sum() / (gan_grad.square().sum() + 1e-4)
    return weight.clamp(max=clamp).detach()


# It compares the mean sizes of the numbers, not the lengths of the gradients.
def adaptive_weight__mean_size(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    weight = rec_grad.abs().mean() / (gan_grad.abs().mean() + 1e-4)
    return weight.clamp(max=clamp).detach()


# It takes the length of each last row and averages them, where one length over all numbers is meant.
def adaptive_weight__mean_of_rows(rec_grad: Tensor, gan_grad: Tensor, clamp: float = 1e4) -> Tensor:
    weight = rec_grad.norm(dim=-1).mean() / (gan_grad.norm(dim=-1).mean() + 1e-4)
    return weight.clamp(max=clamp).detach()


RIGHT = {
    "psnr": [
        psnr__right_flatten,
        psnr__right_root,
        psnr__right_loop,
    ],
    "residual_block": [
        residual_block__right_lines,
        residual_block__right_loop,
        residual_block__right_matrix,
    ],
    "nearest_code": [
        nearest_code__right_product,
        nearest_code__right_differences,
        nearest_code__right_loop,
    ],
    "straight_through": [
        straight_through__right_step,
        straight_through__right_zero,
        straight_through__right_function,
    ],
    "quantizer_loss": [
        quantizer_loss__right_mse,
        quantizer_loss__right_by_hand,
        quantizer_loss__right_no_grad,
    ],
    "ema_update": [
        ema_update__right_formula,
        ema_update__right_lerp,
        ema_update__right_loop,
    ],
    "codebook_usage": [
        codebook_usage__right_xlogy,
        codebook_usage__right_without_zeros,
        codebook_usage__right_python,
    ],
    "restart_dead_codes": [
        restart_dead_codes__right_clone,
        restart_dead_codes__right_rank,
        restart_dead_codes__right_loop,
    ],
    "gradient_loss": [
        gradient_loss__right_diff,
        gradient_loss__right_slices,
        gradient_loss__right_convolution,
    ],
    "hinge_loss": [
        hinge_loss__right_relu,
        hinge_loss__right_minimum,
        hinge_loss__right_mask,
    ],
    "adaptive_weight": [
        adaptive_weight__right_norm,
        adaptive_weight__right_no_grad,
        adaptive_weight__right_python,
    ],
}

WRONG = {
    "psnr": [
        (psnr__natural_log, "It takes the natural logarithm in place of the one to base 10."),
        (psnr__factor_20, "It takes the factor 20, which belongs to the root of the error, with the squared error."),
        (
            psnr__square_of_mean_absolute,
            "It squares the mean absolute error, which is the mean squared error only if all errors are equal.",
        ),
        (
            psnr__mean_before_square,
            "It averages the signed differences before it squares, so errors of both signs cancel.",
        ),
        (psnr__epsilon, "It adds a small number against log 0, so a perfect copy has 80 dB and not infinitely many."),
        (psnr__mean_of_channels, "It computes decibels for each channel and averages the decibels, not the errors."),
        (psnr__peak_of_target, "It takes the brightest pixel of the target as the peak, where the peak is always 1."),
        (psnr__sum_of_channels, "It adds the squared errors of the three channels where it should average them."),
        (
            psnr__one_for_the_batch,
            "It averages over the whole batch, so there is one number and not one for each picture.",
        ),
    ],
    "residual_block": [
        (residual_block__second_silu_missing, "It forgets SiLU in the second round."),
        (residual_block__relu, "It uses ReLU in the second round in place of SiLU."),
        (
            residual_block__conv1_twice,
            "It copied the first line and forgot to change the name of the convolution: conv1 is used twice.",
        ),
        (residual_block__second_norm_missing, "It forgets the normalization of the second round."),
        (residual_block__silu_before_norm, "It bends first and normalizes afterwards in the second round."),
        (residual_block__convolution_first, "It does the second round in the order convolution, normalization, SiLU."),
        (
            residual_block__silu_after_sum,
            "It bends the sum once more, as the first residual networks did, so what came in is not just passed on.",
        ),
        (
            residual_block__adds_only_a_shortcut,
            "It adds what came in only where the shortcut is, and forgets it where the channels stay the same.",
        ),
        (residual_block__adds_activated_input, "It adds the normalized and bent input, not the input itself."),
    ],
    "nearest_code": [
        (nearest_code__dot_product, "It takes the code with the largest dot product, so long codes win too often."),
        (nearest_code__cosine, "It compares directions only (cosine), so the lengths do not matter."),
        (nearest_code__without_2, "It forgets the factor 2 of the dot products."),
        (nearest_code__length_not_squared, "It adds the lengths of the codes where their squares belong."),
        (
            nearest_code__plus,
            "It has the sign of the dot products wrong, so it finds the code nearest to the opposite latent.",
        ),
        (nearest_code__l1, "It measures with absolute differences (L1) and not with the Euclidean distance."),
        (
            nearest_code__sum_before_square,
            "It adds the differences up before it squares them, so differences of both signs cancel.",
        ),
        (
            nearest_code__last_of_a_tie,
            "It keeps the last one of a tie, for a later code that is as near replaces the earlier one.",
        ),
        (nearest_code__wrong_axis, "It searches along the wrong axis and finds the nearest latent of each code."),
    ],
    "straight_through": [
        (straight_through__no_detach, "It forgets detach, so the gradient goes to the codes and none to the latents."),
        (
            straight_through__swapped,
            "It swaps the two: the value is that of the latents, and the gradient goes to the codes.",
        ),
        (
            straight_through__only_codes_detached,
            "It detaches only the codes in the bracket, so the two gradients of the latents cancel to 0.",
        ),
        (
            straight_through__only_latents_detached,
            "It detaches only the latents in the bracket, so the gradient goes to the latents and to the codes.",
        ),
        (
            straight_through__outside_detached,
            "It detaches the latents outside the bracket: their gradient has the wrong sign, and the codes get one.",
        ),
        (
            straight_through__wrong_direction,
            "It takes the step in the wrong direction, so the value is as far beyond the latents on the other side.",
        ),
        (
            straight_through__ratio,
            "It multiplies by a constant ratio, so the value is right, but the gradient is scaled by that ratio.",
        ),
        (
            straight_through__fresh_leaf,
            "It makes the codes a fresh leaf: the gradient ends there and never reaches the latents.",
        ),
        (
            straight_through__all_detached,
            "It detaches the whole sum, so there is no gradient at all (backward crashes).",
        ),
    ],
    "quantizer_loss": [
        (quantizer_loss__beta_on_codebook, "It multiplies the codebook term by beta in place of the commitment."),
        (
            quantizer_loss__commitment_not_detached,
            "It forgets to detach the codes in the commitment, which then moves the codes, too.",
        ),
        (
            quantizer_loss__latents_detached_twice,
            "It detaches the latents in the commitment again, so nothing moves the latents.",
        ),
        (
            quantizer_loss__one_term,
            "It notices that both terms have the same value and writes one term without any detach.",
        ),
        (quantizer_loss__without_beta, "It forgets beta."),
        (quantizer_loss__beta_on_both, "It multiplies both terms by beta."),
        (
            quantizer_loss__one_minus_beta,
            "It weighs the codebook term with 1 - beta, as if the weights had to add up to 1.",
        ),
        (quantizer_loss__commitment_only, "It leaves the codebook term out, as an EMA codebook would allow."),
        (
            quantizer_loss__sum_over_vector,
            "It sums over the numbers of a vector, as the formula's norm suggests, and averages over the vectors only.",
        ),
    ],
    "ema_update": [
        (ema_update__decay_swapped, "It swaps decay and 1 - decay: the past is nearly forgotten, and the batch kept."),
        (ema_update__no_smoothing, "It leaves out the smoothing, so a code that was never chosen becomes nan."),
        (ema_update__only_epsilon, "It only adds epsilon to the counts and does not scale them back to their total."),
        (ema_update__divides_by_shares, "It divides by the smoothed shares, for it forgets to multiply by the total."),
        (ema_update__returns_smoothed, "It returns the smoothed counts where the plain ones should be kept."),
        (ema_update__old_total, "It computes the total N from the old counts, before they were moved."),
        (
            ema_update__k_is_width,
            "It takes K from the wrong axis of the sums: the width of the codes, not their number.",
        ),
        (
            ema_update__mean_of_means,
            "It averages the old codes with the means of the batch, so a batch of few counts as much as all the past.",
        ),
        (ema_update__in_place, "It works in place, so the caller's running counts and sums are changed."),
    ],
    "codebook_usage": [
        (codebook_usage__bits_and_e, "It takes the entropy in bits, but e to the power of it."),
        (codebook_usage__nats_and_2, "It takes the entropy in nats, but 2 to the power of it."),
        (
            codebook_usage__zero_log_zero,
            "It does not mind codes that were never chosen: 0 · log 0 makes the perplexity nan.",
        ),
        (
            codebook_usage__zeros_to_one,
            "It lifts counts of 0 to 1 against log 0, so unused codes count as if each had been chosen once.",
        ),
        (codebook_usage__softmax, "It makes shares of the counts by softmax and not by dividing by their sum."),
        (codebook_usage__entropy, "It returns the entropy and forgets to take e to the power of it."),
        (
            codebook_usage__no_minus,
            "It forgets the minus sign of the entropy, so it returns one divided by the perplexity.",
        ),
        (
            codebook_usage__inverse_squares,
            "It takes one divided by the sum of the squared shares, which is another effective number.",
        ),
        (codebook_usage__unique_counts, "It counts how many different counts there are, as if the counts were tokens."),
    ],
    "restart_dead_codes": [
        (restart_dead_codes__at_most, "It counts a code whose count is exactly the threshold as dead."),
        (
            restart_dead_codes__share_of_mean,
            "It compares with a share of the mean count, as in the lesson's training, not with the threshold.",
        ),
        (restart_dead_codes__no_order, "It does not use the order: the first candidates are taken as they come."),
        (
            restart_dead_codes__inverse_order,
            "It reads the order the other way round: candidate i goes to place order[i], the inverse permutation.",
        ),
        (
            restart_dead_codes__order_by_code,
            "It looks the order up at the number of the code, not at the place among the dead, and counts modulo M.",
        ),
        (
            restart_dead_codes__round_and_round,
            "It begins again with the first candidate when there are more dead codes than candidates.",
        ),
        (
            restart_dead_codes__reports_all_dead,
            "It reports all dead codes as restarted, also those for which no candidate was left.",
        ),
        (
            restart_dead_codes__rarest_first,
            "It serves the rarest codes first, where the i-th dead code is meant by its place in the codebook.",
        ),
        (restart_dead_codes__in_place, "It writes into the codebook that was given, not into a copy."),
    ],
    "gradient_loss": [
        (gradient_loss__strength_only, "It compares how strong the edges are and loses which side is brighter."),
        (
            gradient_loss__absolute_first,
            "It takes the absolute error of the pixels first and the differences of neighbors afterwards.",
        ),
        (gradient_loss__sum_of_scales, "It adds the scales up and forgets to divide by their number."),
        (
            gradient_loss__mean_of_directions,
            "It averages the edges across and the edges down, where they should be added.",
        ),
        (gradient_loss__down_twice, "It takes the edges down twice and those across never."),
        (
            gradient_loss__around_the_border,
            "It compares each pixel with a rolled picture, so the last row and column meet the first ones.",
        ),
        (
            gradient_loss__halves_the_original,
            "It halves the first picture at every scale, so from the third scale on nothing gets coarser.",
        ),
        (gradient_loss__every_second_pixel, "It keeps every second pixel where it should average blocks of 2 × 2."),
        (
            gradient_loss__odd_row_mixed_in,
            "It resizes by area, which mixes an odd last row or column in where it should be dropped.",
        ),
    ],
    "hinge_loss": [
        (hinge_loss__swapped, "It has the signs of real and fake the wrong way round."),
        (hinge_loss__not_halved, "It forgets to divide by 2."),
        (hinge_loss__half_of_the_second, "It forgets a pair of brackets, so only the cost of the copies is halved."),
        (hinge_loss__no_margin, "It forgets the margin of 1: a verdict of the right sign costs nothing at all."),
        (
            hinge_loss__hinge_of_the_mean,
            "It averages the verdicts before the hinge, so a very good one pays for a bad one.",
        ),
        (hinge_loss__no_hinge, "It forgets max(0, …), so verdicts beyond the margin are rewarded."),
        (hinge_loss__squared, "It squares the costs."),
        (
            hinge_loss__at_most_one,
            "It clamps the costs between 0 and 1, so a very wrong verdict costs no more than a verdict of 0.",
        ),
        (hinge_loss__one_mean, "It averages over all verdicts together, so the side with more verdicts weighs more."),
    ],
    "adaptive_weight": [
        (adaptive_weight__upside_down, "It divides the wrong way round, so the louder critic becomes louder still."),
        (
            adaptive_weight__epsilon_outside,
            "It forgets a pair of brackets: 0.0001 is added to the quotient and not to the denominator.",
        ),
        (
            adaptive_weight__epsilon_as_minimum,
            "It keeps the denominator at 0.0001 or more where it should add 0.0001 to it.",
        ),
        (
            adaptive_weight__clamp_is_minimum,
            "It gives the limit as the first argument of clamp, which is the minimum: the weight is never below it.",
        ),
        (adaptive_weight__no_limit, "It forgets the limit."),
        (adaptive_weight__no_detach, "It forgets to take the weight out of the graph, so one could learn through it."),
        (adaptive_weight__no_root, "It forgets the roots and divides the sums of squares."),
        (adaptive_weight__mean_size, "It compares the mean sizes of the numbers, not the lengths of the gradients."),
        (
            adaptive_weight__mean_of_rows,
            "It takes the length of each last row and averages them, where one length over all numbers is meant.",
        ),
    ],
}
