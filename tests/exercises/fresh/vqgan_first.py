"""Right and wrong answers to seven exercises of lesson 02, written from the notebook alone."""

import math

import torch
import torch.nn.functional as F

# ------------------------------------------------------------------ nearest_code


def nearest_code__right_expanded(latents, codebook):
    lengths = codebook.square().sum(dim=1)
    return (lengths - 2 * latents @ codebook.T).argmin(dim=-1)


def nearest_code__right_differences(latents, codebook):
    differences = latents.unsqueeze(-2) - codebook
    return torch.linalg.vector_norm(differences, dim=-1).argmin(dim=-1)


def nearest_code__right_flat_three_terms(latents, codebook):
    flat = latents.reshape(-1, latents.shape[-1])
    squares = (flat**2).sum(1, keepdim=True) - 2 * torch.einsum("nd,kd->nk", flat, codebook) + (codebook**2).sum(1)
    return squares.min(dim=1).indices.view(latents.shape[:-1])


def nearest_code__right_loop_over_codes(latents, codebook):
    best = torch.full(latents.shape[:-1], math.inf, dtype=latents.dtype)
    tokens = torch.zeros(latents.shape[:-1], dtype=torch.long)
    for k in range(len(codebook)):
        distance = ((latents - codebook[k]) ** 2).sum(-1)
        closer = distance < best
        best[closer] = distance[closer]
        tokens[closer] = k
    return tokens


def nearest_code__right_argmax_of_score(latents, codebook):
    scores = F.linear(latents, codebook, -0.5 * codebook.pow(2).sum(-1))
    return scores.argmax(-1)


def nearest_code__no_lengths(latents, codebook):
    # leaves out ‖e‖² of the codes, long codes win
    return (-2 * latents @ codebook.T).argmin(dim=-1)


def nearest_code__argmax(latents, codebook):
    # takes the farthest code
    return (codebook.square().sum(dim=1) - 2 * latents @ codebook.T).argmax(dim=-1)


def nearest_code__dim0(latents, codebook):
    # argmin over the first dimension, the latents, not over the codes
    return (codebook.square().sum(dim=1) - 2 * latents @ codebook.T).argmin(dim=0)


def nearest_code__dim1(latents, codebook):
    # argmin over dim 1, which is the codes only if latents are [N, D]; wrong for [B, N, D]
    distances = codebook.square().sum(dim=1) - 2 * latents @ codebook.T
    return distances.argmin(dim=min(1, distances.dim() - 1))


def nearest_code__no_factor_two(latents, codebook):
    # the factor 2 of x·e is forgotten
    return (codebook.square().sum(dim=1) - latents @ codebook.T).argmin(dim=-1)


def nearest_code__plus_dot(latents, codebook):
    # + 2 x·e in place of − 2 x·e
    return (codebook.square().sum(dim=1) + 2 * latents @ codebook.T).argmin(dim=-1)


def nearest_code__cosine(latents, codebook):
    # normalizes both: compares directions only, not distances
    return (F.normalize(latents, dim=-1) @ F.normalize(codebook, dim=-1).T).argmax(dim=-1)


def nearest_code__l1(latents, codebook):
    # sum of absolute differences in place of squares
    return (latents[..., None, :] - codebook).abs().sum(dim=-1).argmin(dim=-1)


def nearest_code__one_based(latents, codebook):
    # counts codes from 1
    return (codebook.square().sum(dim=1) - 2 * latents @ codebook.T).argmin(dim=-1) + 1


def nearest_code__the_vectors(latents, codebook):
    # returns the codes themselves, not their numbers
    return codebook[(codebook.square().sum(dim=1) - 2 * latents @ codebook.T).argmin(dim=-1)]


def nearest_code__length_without_square(latents, codebook):
    # ‖e‖ where ‖e‖² belongs
    return (codebook.norm(dim=1) - 2 * latents @ codebook.T).argmin(dim=-1)


def nearest_code__last_of_tie(latents, codebook):
    # the last one of a tie instead of the first
    distances = (latents[..., None, :] - codebook).square().sum(dim=-1)
    return len(codebook) - 1 - distances.flip(-1).argmin(dim=-1)


def nearest_code__stays_flat(latents, codebook):
    # flattens the latents and does not restore their shape
    flat = latents.reshape(-1, latents.shape[-1])
    return (codebook.square().sum(dim=1) - 2 * flat @ codebook.T).argmin(dim=1)


def nearest_code__the_distance(latents, codebook):
    # returns the smallest distance, not its index
    return (latents[..., None, :] - codebook).norm(dim=-1).min(dim=-1).values


def nearest_code__signed_sum(latents, codebook):
    # sums the differences and squares afterwards, so that they cancel
    return (latents[..., None, :] - codebook).sum(dim=-1).square().argmin(dim=-1)


def nearest_code__argmin_of_all(latents, codebook):
    # argmin without a dim: a single number for everything
    return (codebook.square().sum(dim=1) - 2 * latents @ codebook.T).argmin()


def nearest_code__lengths_over_wrong_axis(latents, codebook):
    # ‖e‖² summed over the codes, dim 0: [D], crashes unless K = D
    return (codebook.square().sum(dim=0) - 2 * latents @ codebook.T).argmin(dim=-1)


# ------------------------------------------------------------------ straight_through


def straight_through__right_formula(latents, quantized):
    return latents + (quantized - latents).detach()


def straight_through__right_add_zero(latents, quantized):
    return quantized.detach() + (latents - latents.detach())


class _Copy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, latents, quantized):
        return quantized.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


def straight_through__right_autograd_function(latents, quantized):
    return _Copy.apply(latents, quantized)


def straight_through__right_no_grad_step(latents, quantized):
    with torch.no_grad():
        step = quantized - latents
    return latents + step


def straight_through__right_overwrite_clone(latents, quantized):
    result = latents.clone()
    with torch.no_grad():
        result.copy_(quantized)
    return result


def straight_through__just_quantized(latents, quantized):
    # returns the codes: no gradient to the latents
    return quantized


def straight_through__just_latents(latents, quantized):
    # returns the latents: right gradient, wrong value
    return latents


def straight_through__no_detach(latents, quantized):
    # forgot detach: the latents cancel, the gradient goes to quantized
    return latents + (quantized - latents)


def straight_through__roles_swapped(latents, quantized):
    # the two are swapped: value of latents, gradient to quantized
    return quantized + (latents - quantized).detach()


def straight_through__quantized_detached(latents, quantized):
    # the codes as a constant: no gradient anywhere
    return quantized.detach()


def straight_through__all_detached(latents, quantized):
    # detach around everything
    return (latents + (quantized - latents)).detach()


def straight_through__added_whole_code(latents, quantized):
    # adds the code itself, not the step to it
    return latents + quantized.detach()


def straight_through__step_backwards(latents, quantized):
    # the step has the wrong sign
    return latents + (latents - quantized).detach()


def straight_through__codes_get_gradient_too(latents, quantized):
    # quantized is not detached and gets the gradient, too
    return quantized + latents - latents.detach()


def straight_through__detach_half(latents, quantized):
    # only quantized is detached in the step: the latents cancel, gradient 0
    return latents + (quantized.detach() - latents)


def straight_through__only_latents_detached_in_step(latents, quantized):
    # only the latents are detached in the step: quantized gets the gradient, too
    return latents + (quantized - latents.detach())


def straight_through__minus_sign_gradient(latents, quantized):
    # detached the wrong latents: latents get minus the gradient, quantized gets it
    return latents.detach() + (quantized - latents)


def straight_through__average(latents, quantized):
    # half way between the two
    return latents + 0.5 * (quantized - latents).detach()


# ------------------------------------------------------------------ quantizer_loss


def quantizer_loss__right_mse(latents, quantized, beta):
    codebook = F.mse_loss(quantized, latents.detach())
    commitment = F.mse_loss(latents, quantized.detach())
    return codebook + beta * commitment


def quantizer_loss__right_by_hand(latents, quantized, beta):
    pull_codes = (latents.detach() - quantized) ** 2
    pull_latents = (latents - quantized.detach()) ** 2
    return (pull_codes + beta * pull_latents).mean()


def quantizer_loss__right_norms(latents, quantized, beta):
    n = latents.numel()
    with torch.no_grad():
        z, e = latents.clone(), quantized.clone()
    return torch.sum(torch.square(quantized - z)) / n + torch.sum(torch.square(e - latents)) * beta / n


def quantizer_loss__right_reduction_sum(latents, quantized, beta):
    total = F.mse_loss(quantized, latents.detach(), reduction="sum")
    total = total + F.mse_loss(quantized.detach(), latents, reduction="sum").mul(beta)
    return total.div(quantized.numel())


def quantizer_loss__beta_on_codebook(latents, quantized, beta):
    # β multiplies the codebook term
    return beta * F.mse_loss(quantized, latents.detach()) + F.mse_loss(latents, quantized.detach())


def quantizer_loss__no_detach(latents, quantized, beta):
    # no detach at all: each term moves both sides
    return F.mse_loss(quantized, latents) + beta * F.mse_loss(latents, quantized)


def quantizer_loss__commitment_not_detached(latents, quantized, beta):
    # the commitment term is not detached and moves the codes, too
    return F.mse_loss(quantized, latents.detach()) + beta * F.mse_loss(latents, quantized)


def quantizer_loss__same_term_twice(latents, quantized, beta):
    # detaches the latents in both terms: nothing moves the latents
    return F.mse_loss(quantized, latents.detach()) + beta * F.mse_loss(quantized, latents.detach())


def quantizer_loss__commitment_twice(latents, quantized, beta):
    # detaches the codes in both terms: nothing moves the codes
    return F.mse_loss(quantized.detach(), latents) + beta * F.mse_loss(latents, quantized.detach())


def quantizer_loss__sum(latents, quantized, beta):
    # sum in place of the mean
    codebook = (quantized - latents.detach()).square().sum()
    return codebook + beta * (latents - quantized.detach()).square().sum()


def quantizer_loss__sum_over_d(latents, quantized, beta):
    # sum over D, mean over the latents only: squared length, D times too much
    codebook = (quantized - latents.detach()).square().sum(dim=-1).mean()
    return codebook + beta * (latents - quantized.detach()).square().sum(dim=-1).mean()


def quantizer_loss__no_beta(latents, quantized, beta):
    # β is forgotten
    return F.mse_loss(quantized, latents.detach()) + F.mse_loss(latents, quantized.detach())


def quantizer_loss__only_commitment(latents, quantized, beta):
    # the codebook term is not added
    return beta * F.mse_loss(latents, quantized.detach())


def quantizer_loss__beta_on_both(latents, quantized, beta):
    # β multiplies the sum of both terms
    return beta * (F.mse_loss(quantized, latents.detach()) + F.mse_loss(latents, quantized.detach()))


def quantizer_loss__mixture(latents, quantized, beta):
    # 1 − β on the codebook term, as in a weighted mean
    return (1 - beta) * F.mse_loss(quantized, latents.detach()) + beta * F.mse_loss(latents, quantized.detach())


def quantizer_loss__l1(latents, quantized, beta):
    # absolute differences in place of squared ones
    return F.l1_loss(quantized, latents.detach()) + beta * F.l1_loss(latents, quantized.detach())


def quantizer_loss__minus(latents, quantized, beta):
    # the commitment term is subtracted
    return F.mse_loss(quantized, latents.detach()) - beta * F.mse_loss(latents, quantized.detach())


def quantizer_loss__both_sides_detached(latents, quantized, beta):
    # the commitment term is wholly detached: nothing moves the latents
    return F.mse_loss(quantized, latents.detach()) + beta * F.mse_loss(latents.detach(), quantized.detach())


def quantizer_loss__per_latent(latents, quantized, beta):
    # one number for each latent, not a scalar
    codebook = (quantized - latents.detach()).square().mean(dim=-1)
    return codebook + beta * (latents - quantized.detach()).square().mean(dim=-1)


# ------------------------------------------------------------------ ema_update


def ema_update__right_formula(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    total = counts.sum()
    smoothed = (counts + epsilon) / (total + len(counts) * epsilon) * total
    return counts, sums, sums / smoothed[:, None]


def ema_update__right_lerp(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    new_counts = torch.lerp(batch_counts, counts, decay)
    new_sums = torch.lerp(batch_sums, sums, decay)
    n, k = new_counts.sum(), new_counts.numel()
    shares = (new_counts + epsilon) / (n + k * epsilon)
    return new_counts, new_sums, torch.einsum("kd,k->kd", new_sums, 1 / (n * shares))


def ema_update__right_in_place_on_clones(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    counts, sums = counts.clone(), sums.clone()
    counts.mul_(decay).add_(batch_counts, alpha=1 - decay)
    sums.mul_(decay).add_(batch_sums, alpha=1 - decay)
    total = counts.sum()
    factor = total / (total + counts.shape[0] * epsilon)
    return counts, sums, sums / ((counts + epsilon) * factor).unsqueeze(1)


def ema_update__right_loop(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    new_counts = counts - (1 - decay) * (counts - batch_counts)
    new_sums = sums - (1 - decay) * (sums - batch_sums)
    n = float(new_counts.sum())
    codes = []
    for count, s in zip(new_counts, new_sums):
        codes.append(s / ((count + epsilon) * n / (n + len(new_counts) * epsilon)))
    return new_counts, new_sums, torch.stack(codes)


def ema_update__decay_swapped(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # decay on the batch, 1 − decay on the past
    return ema_update__right_formula(counts, sums, batch_counts, batch_sums, 1 - decay, epsilon)


def ema_update__no_smoothing(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # divides by the raw counts, no Laplace smoothing
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    return counts, sums, sums / counts[:, None]


def ema_update__plain_epsilon(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # only adds ε to the counts, does not rescale them to N
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    return counts, sums, sums / (counts + epsilon)[:, None]


def ema_update__batch_whole(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # the batch is added whole, without 1 − decay
    counts = decay * counts + batch_counts
    sums = decay * sums + batch_sums
    total = counts.sum()
    smoothed = (counts + epsilon) / (total + len(counts) * epsilon) * total
    return counts, sums, sums / smoothed[:, None]


def ema_update__returns_smoothed(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # the smoothed counts are returned as the new counts
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    total = counts.sum()
    counts = (counts + epsilon) / (total + len(counts) * epsilon) * total
    return counts, sums, sums / counts[:, None]


def ema_update__changes_arguments(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # in place: changes the arguments
    counts.mul_(decay).add_(batch_counts, alpha=1 - decay)
    sums.mul_(decay).add_(batch_sums, alpha=1 - decay)
    total = counts.sum()
    smoothed = (counts + epsilon) / (total + len(counts) * epsilon) * total
    return counts, sums, sums / smoothed[:, None]


def ema_update__averages_the_means(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # the codebook is a running mean of the means, not the mean sum by the mean count
    new_counts = decay * counts + (1 - decay) * batch_counts
    new_sums = decay * sums + (1 - decay) * batch_sums
    old = sums / counts.clamp(min=epsilon)[:, None]
    new = batch_sums / batch_counts.clamp(min=epsilon)[:, None]
    return new_counts, new_sums, decay * old + (1 - decay) * new


def ema_update__not_times_total(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # forgot · N: divides by shares, not by counts
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    smoothed = (counts + epsilon) / (counts.sum() + len(counts) * epsilon)
    return counts, sums, sums / smoothed[:, None]


def ema_update__d_instead_of_k(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # K ε with the width D in place of the number of codes K
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    total = counts.sum()
    smoothed = (counts + epsilon) / (total + sums.shape[1] * epsilon) * total
    return counts, sums, sums / smoothed[:, None]


def ema_update__one_epsilon(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # N + ε below, K is forgotten
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    total = counts.sum()
    smoothed = (counts + epsilon) / (total + epsilon) * total
    return counts, sums, sums / smoothed[:, None]


def ema_update__old_total(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # N is the sum of the old counts
    total = counts.sum()
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    smoothed = (counts + epsilon) / (total + len(counts) * epsilon) * total
    return counts, sums, sums / smoothed[:, None]


def ema_update__old_counts_divide(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # the new sums are divided by the old counts
    total = counts.sum()
    smoothed = (counts + epsilon) / (total + len(counts) * epsilon) * total
    new_counts = decay * counts + (1 - decay) * batch_counts
    new_sums = decay * sums + (1 - decay) * batch_sums
    return new_counts, new_sums, new_sums / smoothed[:, None]


def ema_update__sums_not_decayed(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # counts are averaged, but the sums are only added up
    counts = decay * counts + (1 - decay) * batch_counts
    sums = sums + batch_sums
    total = counts.sum()
    smoothed = (counts + epsilon) / (total + len(counts) * epsilon) * total
    return counts, sums, sums / smoothed[:, None]


def ema_update__codebook_first(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # returned in the wrong order
    counts, sums, codebook = ema_update__right_formula(counts, sums, batch_counts, batch_sums, decay, epsilon)
    return codebook, counts, sums


def ema_update__no_column(counts, sums, batch_counts, batch_sums, decay, epsilon=1e-5):
    # [K, D] by [K]: the counts are no column, crashes unless K = D
    counts = decay * counts + (1 - decay) * batch_counts
    sums = decay * sums + (1 - decay) * batch_sums
    total = counts.sum()
    return counts, sums, sums / ((counts + epsilon) / (total + len(counts) * epsilon) * total)


# ------------------------------------------------------------------ codebook_usage


def codebook_usage__right_xlogy(counts):
    shares = counts / counts.sum()
    entropy = -torch.xlogy(shares, shares).sum()
    return int((counts > 0).sum()), float(entropy.exp())


def codebook_usage__right_only_used(counts):
    used = counts[counts > 0].double()
    p = used / used.sum()
    return len(used), math.exp(-(p * p.log()).sum().item())


def codebook_usage__right_plain_python(counts):
    numbers = [int(n) for n in counts.tolist()]
    total, used, entropy = sum(numbers), 0, 0.0
    for n in numbers:
        if n:
            used += 1
            entropy -= n / total * math.log(n / total)
    return used, math.e**entropy


def codebook_usage__right_categorical(counts):
    entropy = torch.distributions.Categorical(probs=counts.double()).entropy()
    return torch.count_nonzero(counts).item(), entropy.exp().item()


def codebook_usage__right_tiny_epsilon(counts):
    p = counts.float() / counts.float().sum()
    return int((counts != 0).sum()), float(torch.exp(-torch.sum(p * torch.log(p + 1e-10))))


def codebook_usage__all_codes(counts):
    # the number of codes in the book, not of those in use
    p = counts / counts.sum()
    return len(counts), float((-torch.xlogy(p, p).sum()).exp())


def codebook_usage__counts_unused(counts):
    # counts the codes that were never chosen
    p = counts / counts.sum()
    return int((counts == 0).sum()), float((-torch.xlogy(p, p).sum()).exp())


def codebook_usage__more_than_once(counts):
    # > 1: codes chosen exactly once do not count
    p = counts / counts.sum()
    return int((counts > 1).sum()), float((-torch.xlogy(p, p).sum()).exp())


def codebook_usage__total_chosen(counts):
    # adds up the counts instead of counting the codes
    p = counts / counts.sum()
    return int(counts.sum()), float((-torch.xlogy(p, p).sum()).exp())


def codebook_usage__no_minus(counts):
    # the minus of the entropy is forgotten: 1 / perplexity
    p = counts / counts.sum()
    return int((counts > 0).sum()), float(torch.xlogy(p, p).sum().exp())


def codebook_usage__bits_with_e(counts):
    # log to base 2, but e to the power
    p = counts[counts > 0] / counts.sum()
    return int((counts > 0).sum()), float((-(p * p.log2()).sum()).exp())


def codebook_usage__nats_with_two(counts):
    # log to base e, but 2 to the power
    p = counts / counts.sum()
    return int((counts > 0).sum()), float(2 ** (-torch.xlogy(p, p).sum()))


def codebook_usage__entropy_itself(counts):
    # returns the entropy, e to it is forgotten
    p = counts / counts.sum()
    return int((counts > 0).sum()), float(-torch.xlogy(p, p).sum())


def codebook_usage__nan(counts):
    # 0 · log 0 is nan where a code was never chosen
    p = counts / counts.sum()
    return int((counts > 0).sum()), float((-(p * p.log()).sum()).exp())


def codebook_usage__not_shares(counts):
    # entropy of the raw counts, not of shares
    n = counts.double()
    return int((counts > 0).sum()), float((-torch.xlogy(n, n).sum()).exp())


def codebook_usage__divided_by_k(counts):
    # counts are divided by the number of codes, not by their sum
    p = counts / len(counts)
    return int((counts > 0).sum()), float((-torch.xlogy(p, p).sum()).exp())


def codebook_usage__mean_entropy(counts):
    # mean over the codes in place of the sum
    p = counts / counts.sum()
    return int((counts > 0).sum()), float((-torch.xlogy(p, p).mean()).exp())


def codebook_usage__softmax(counts):
    # shares by softmax
    p = torch.softmax(counts.double(), dim=0)
    return int((counts > 0).sum()), float((-torch.xlogy(p, p).sum()).exp())


def codebook_usage__inverse_simpson(counts):
    # 1 / Σ p², another measure of "how many it feels like"
    p = counts / counts.sum()
    return int((counts > 0).sum()), float(1 / p.square().sum())


def codebook_usage__swapped(counts):
    # perplexity first, number of codes second
    p = counts / counts.sum()
    return float((-torch.xlogy(p, p).sum()).exp()), int((counts > 0).sum())


def codebook_usage__distinct_values(counts):
    # number of different counts
    p = counts / counts.sum()
    return len(counts.unique()), float((-torch.xlogy(p, p).sum()).exp())


def codebook_usage__in_place(counts):
    # divides in place: changes the argument, and crashes on whole-number dtypes
    counts /= counts.sum()
    return int((counts > 0).sum()), float((-torch.xlogy(counts, counts).sum()).exp())


# ------------------------------------------------------------------ gradient_loss


def gradient_loss__right_of_the_error(pictures, targets, scales=3):
    error = pictures - targets
    total = error.new_zeros(())
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return total / scales


def gradient_loss__right_two_pyramids(pictures, targets, scales=3):
    terms = []
    for _ in range(scales):
        across = F.l1_loss(pictures[..., 1:] - pictures[..., :-1], targets[..., 1:] - targets[..., :-1])
        down = F.l1_loss(pictures[..., 1:, :] - pictures[..., :-1, :], targets[..., 1:, :] - targets[..., :-1, :])
        terms.append(across + down)
        if len(terms) < scales:
            pictures, targets = F.avg_pool2d(pictures, 2), F.avg_pool2d(targets, 2)
    return torch.stack(terms).mean()


def gradient_loss__right_convolution(pictures, targets, scales=3):
    total = 0.0
    for scale in range(scales):
        error = F.avg_pool2d(pictures - targets, 2**scale)
        one = error.flatten(0, 1)[:, None]
        kernel = torch.tensor([-1.0, 1.0], dtype=one.dtype)
        across = F.conv2d(one, kernel.view(1, 1, 1, 2))
        down = F.conv2d(one, kernel.view(1, 1, 2, 1))
        total = total + across.abs().mean() + down.abs().mean()
    return total / scales


def gradient_loss__right_recursive(pictures, targets, scales=3):
    def of(error, left):
        here = sum(torch.diff(error, dim=d).abs().mean() for d in (-1, -2))
        if left == 1:
            return here
        height, width = error.shape[-2] // 2 * 2, error.shape[-1] // 2 * 2
        error = error[..., :height, :width]
        rows = (error[..., ::2, :] + error[..., 1::2, :]) / 2
        return here + of((rows[..., ::2] + rows[..., 1::2]) / 2, left - 1)

    return of(pictures - targets, scales) / scales


def gradient_loss__not_divided(pictures, targets, scales=3):
    # the sum over scales, not the mean
    return scales * gradient_loss__right_of_the_error(pictures, targets, scales)


def gradient_loss__only_across(pictures, targets, scales=3):
    # the edges down are missing
    error, total = pictures - targets, 0
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + error.diff(dim=3).abs().mean()
    return total / scales


def gradient_loss__mean_of_both(pictures, targets, scales=3):
    # mean of the two directions in place of their sum
    return gradient_loss__right_of_the_error(pictures, targets, scales) / 2


def gradient_loss__wrong_dims(pictures, targets, scales=3):
    # dims 1 and 2: differences of channels and rows, not of rows and columns
    error, total = pictures - targets, torch.zeros(())
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        channels = error.diff(dim=1).abs()
        total = total + error.diff(dim=2).abs().mean() + (channels.mean() if channels.numel() else 0)
    return total / scales


def gradient_loss__squares(pictures, targets, scales=3):
    # squared in place of absolute differences
    error, total = pictures - targets, 0
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + error.diff(dim=2).square().mean() + error.diff(dim=3).square().mean()
    return total / scales


def gradient_loss__no_abs(pictures, targets, scales=3):
    # abs is forgotten: differences cancel
    error, total = pictures - targets, 0
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + error.diff(dim=2).mean() + error.diff(dim=3).mean()
    return total / scales


def gradient_loss__abs_edges_compared(pictures, targets, scales=3):
    # compares the sizes of the edges: an edge with the wrong sign costs nothing
    total = 0
    for scale in range(scales):
        if scale:
            pictures, targets = F.avg_pool2d(pictures, 2), F.avg_pool2d(targets, 2)
        for dim in (2, 3):
            total = total + (pictures.diff(dim=dim).abs() - targets.diff(dim=dim).abs()).abs().mean()
    return total / scales


def gradient_loss__edges_of_absolute_error(pictures, targets, scales=3):
    # takes abs before diff, so the edges are those of the absolute error
    error, total = (pictures - targets).abs(), 0
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return total / scales


def gradient_loss__never_halved(pictures, targets, scales=3):
    # all scales are the finest one
    error, total = pictures - targets, 0
    for _ in range(scales):
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return total / scales


def gradient_loss__halved_first(pictures, targets, scales=3):
    # halves before the first scale, so that the finest is missing
    error, total = pictures - targets, 0
    for _ in range(scales):
        error = F.avg_pool2d(error, 2)
        for dim in (2, 3):
            edges = error.diff(dim=dim)
            if edges.numel():
                total = total + edges.abs().mean()
    return total / scales + 0 * error.sum()


def gradient_loss__every_second_pixel(pictures, targets, scales=3):
    # takes every second pixel in place of means of blocks
    error, total = pictures - targets, 0
    for scale in range(scales):
        if scale:
            error = error[:, :, ::2, ::2]
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return total / scales


def gradient_loss__max_pool(pictures, targets, scales=3):
    # the largest of each block in place of the mean
    total = 0
    for scale in range(scales):
        if scale:
            pictures, targets = F.max_pool2d(pictures, 2), F.max_pool2d(targets, 2)
        error = pictures - targets
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return total / scales


def gradient_loss__kernel_two_times_scale(pictures, targets, scales=3):
    # blocks of 1, 2, 4, 6, … instead of 1, 2, 4, 8: differs from the fourth scale on
    start, total = pictures - targets, 0
    for scale in range(scales):
        error = F.avg_pool2d(start, 2 * scale) if scale else start
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return total / scales


def gradient_loss__one_scale_too_few(pictures, targets, scales=3):
    # range(1, scales): the last scale is left out
    error, total = pictures - targets, 0 * pictures.sum()
    for _ in range(1, scales):
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        error = F.avg_pool2d(error, 2)
    return total / scales


def gradient_loss__wraps_around(pictures, targets, scales=3):
    # roll: the last column is compared with the first one
    error, total = pictures - targets, 0
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + sum((error.roll(-1, dim) - error).abs().mean() for dim in (2, 3))
    return total / scales


def gradient_loss__sum_over_pixels(pictures, targets, scales=3):
    # sum over pixels in place of the mean
    error, total = pictures - targets, 0
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + error.diff(dim=2).abs().sum() + error.diff(dim=3).abs().sum()
    return total / scales


def gradient_loss__no_edges(pictures, targets, scales=3):
    # plain L1 at each scale: the pixels themselves, not their differences
    error, total = pictures - targets, 0
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total = total + error.abs().mean()
    return total / scales


def gradient_loss__item(pictures, targets, scales=3):
    # collects floats with item(): right value, but no gradient
    error, total = pictures - targets, 0.0
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        total += error.diff(dim=2).abs().mean().item() + error.diff(dim=3).abs().mean().item()
    return torch.tensor(total / scales)


# ------------------------------------------------------------------ adaptive_weight


def adaptive_weight__right_norm(rec_grad, gan_grad, clamp=1e4):
    return (rec_grad.norm() / (gan_grad.norm() + 1e-4)).clamp(max=clamp).detach()


def adaptive_weight__right_no_grad(rec_grad, gan_grad, clamp=1e4):
    with torch.no_grad():
        rec, gan = torch.linalg.vector_norm(rec_grad), torch.linalg.vector_norm(gan_grad)
        return torch.clamp(rec / (gan + 1e-4), 0.0, clamp)


def adaptive_weight__right_root_of_squares(rec_grad, gan_grad, clamp=1e4):
    rec_grad, gan_grad = rec_grad.detach(), gan_grad.detach()
    weight = rec_grad.square().sum().sqrt() / (gan_grad.square().sum().sqrt() + 1e-4)
    return torch.minimum(weight, torch.full_like(weight, clamp))


def adaptive_weight__right_min_python(rec_grad, gan_grad, clamp=1e4):
    weight = torch.sqrt((rec_grad**2).sum()) / (1e-4 + torch.sqrt((gan_grad**2).sum()))
    if weight > clamp:
        return rec_grad.new_tensor(clamp)
    return weight.detach()


def adaptive_weight__upside_down(rec_grad, gan_grad, clamp=1e4):
    # the fraction is upside down
    return (gan_grad.norm() / (rec_grad.norm() + 1e-4)).clamp(max=clamp).detach()


def adaptive_weight__no_detach(rec_grad, gan_grad, clamp=1e4):
    # not detached: stays in the graph
    return (rec_grad.norm() / (gan_grad.norm() + 1e-4)).clamp(max=clamp)


def adaptive_weight__half_detached(rec_grad, gan_grad, clamp=1e4):
    # only the critic's gradient is detached
    return (rec_grad.norm() / (gan_grad.detach().norm() + 1e-4)).clamp(max=clamp)


def adaptive_weight__no_epsilon(rec_grad, gan_grad, clamp=1e4):
    # 1e-4 is forgotten
    return (rec_grad.norm() / gan_grad.norm()).clamp(max=clamp).detach()


def adaptive_weight__no_clamp(rec_grad, gan_grad, clamp=1e4):
    # the limit is forgotten
    return (rec_grad.norm() / (gan_grad.norm() + 1e-4)).detach()


def adaptive_weight__clamp_min(rec_grad, gan_grad, clamp=1e4):
    # clamp is taken as the smallest value: clamp(clamp) sets min
    return (rec_grad.norm() / (gan_grad.norm() + 1e-4)).clamp(clamp).detach()


def adaptive_weight__clamp_fixed(rec_grad, gan_grad, clamp=1e4):
    # the limit is always 1e4, whatever `clamp` says
    return (rec_grad.norm() / (gan_grad.norm() + 1e-4)).clamp(max=1e4).detach()


def adaptive_weight__squared(rec_grad, gan_grad, clamp=1e4):
    # no root: squared lengths
    return (rec_grad.square().sum() / (gan_grad.square().sum() + 1e-4)).clamp(max=clamp).detach()


def adaptive_weight__l1(rec_grad, gan_grad, clamp=1e4):
    # sum of absolute values in place of the Euclidean length
    return (rec_grad.abs().sum() / (gan_grad.abs().sum() + 1e-4)).clamp(max=clamp).detach()


def adaptive_weight__rms(rec_grad, gan_grad, clamp=1e4):
    # root of the mean square, not of the sum: 1e-4 weighs too much
    rec, gan = rec_grad.square().mean().sqrt(), gan_grad.square().mean().sqrt()
    return (rec / (gan + 1e-4)).clamp(max=clamp).detach()


def adaptive_weight__epsilon_outside(rec_grad, gan_grad, clamp=1e4):
    # missing brackets: 1e-4 is added to the quotient
    return (rec_grad.norm() / gan_grad.norm() + 1e-4).clamp(max=clamp).detach()


def adaptive_weight__clamps_denominator(rec_grad, gan_grad, clamp=1e4):
    # at least 1e-4 in place of plus 1e-4
    return (rec_grad.norm() / gan_grad.norm().clamp(min=1e-4)).clamp(max=clamp).detach()


def adaptive_weight__elementwise(rec_grad, gan_grad, clamp=1e4):
    # a weight for each number, not one of the lengths
    return (rec_grad.abs() / (gan_grad.abs() + 1e-4)).clamp(max=clamp).detach()


def adaptive_weight__per_row(rec_grad, gan_grad, clamp=1e4):
    # lengths of rows, not of the whole gradient
    return (rec_grad.norm(dim=-1) / (gan_grad.norm(dim=-1) + 1e-4)).clamp(max=clamp).detach()


def adaptive_weight__largest(rec_grad, gan_grad, clamp=1e4):
    # the largest number of the gradient in place of its length
    return (rec_grad.abs().max() / (gan_grad.abs().max() + 1e-4)).clamp(max=clamp).detach()


def adaptive_weight__smaller_epsilon(rec_grad, gan_grad, clamp=1e4):
    # 1e-6 in place of 1e-4
    return (rec_grad.norm() / (gan_grad.norm() + 1e-6)).clamp(max=clamp).detach()


def adaptive_weight__clamp_gradients(rec_grad, gan_grad, clamp=1e4):
    # limits the length of the reconstruction's gradient, not the weight
    return (rec_grad.norm().clamp(max=clamp) / (gan_grad.norm() + 1e-4)).detach()


# ------------------------------------------------------------------ the two dictionaries

RIGHT = {
    "nearest_code": [
        nearest_code__right_expanded,
        nearest_code__right_differences,
        nearest_code__right_flat_three_terms,
        nearest_code__right_loop_over_codes,
        nearest_code__right_argmax_of_score,
    ],
    "straight_through": [
        straight_through__right_formula,
        straight_through__right_add_zero,
        straight_through__right_autograd_function,
        straight_through__right_no_grad_step,
        straight_through__right_overwrite_clone,
    ],
    "quantizer_loss": [
        quantizer_loss__right_mse,
        quantizer_loss__right_by_hand,
        quantizer_loss__right_norms,
        quantizer_loss__right_reduction_sum,
    ],
    "ema_update": [
        ema_update__right_formula,
        ema_update__right_lerp,
        ema_update__right_in_place_on_clones,
        ema_update__right_loop,
    ],
    "codebook_usage": [
        codebook_usage__right_xlogy,
        codebook_usage__right_only_used,
        codebook_usage__right_plain_python,
        codebook_usage__right_categorical,
        codebook_usage__right_tiny_epsilon,
    ],
    "gradient_loss": [
        gradient_loss__right_of_the_error,
        gradient_loss__right_two_pyramids,
        gradient_loss__right_convolution,
        gradient_loss__right_recursive,
    ],
    "adaptive_weight": [
        adaptive_weight__right_norm,
        adaptive_weight__right_no_grad,
        adaptive_weight__right_root_of_squares,
        adaptive_weight__right_min_python,
    ],
}

WRONG = {
    "nearest_code": [
        (nearest_code__no_lengths, "‖e‖² is left out: long codes win"),
        (nearest_code__argmax, "the farthest code, argmax in place of argmin"),
        (nearest_code__dim0, "argmin over dim 0, the latents, not over the codes"),
        (nearest_code__dim1, "argmin over dim 1, right only for latents [N, D], wrong for [B, N, D]"),
        (nearest_code__no_factor_two, "the factor 2 of x·e is missing"),
        (nearest_code__plus_dot, "+ 2 x·e in place of − 2 x·e"),
        (nearest_code__cosine, "compares directions (cosine), not distances"),
        (nearest_code__l1, "sum of absolute differences, not Euclidean"),
        (nearest_code__one_based, "tokens are counted from 1"),
        (nearest_code__the_vectors, "returns the codes, not their indices"),
        (nearest_code__length_without_square, "‖e‖ in place of ‖e‖²"),
        (nearest_code__last_of_tie, "the last of a tie"),
        (nearest_code__stays_flat, "the leading dimensions are flattened and not restored"),
        (nearest_code__the_distance, "returns the distance, not the index"),
        (nearest_code__signed_sum, "sums signed differences before squaring: they cancel"),
        (nearest_code__argmin_of_all, "argmin without dim: one number for everything"),
        (nearest_code__lengths_over_wrong_axis, "‖e‖² summed over dim 0, crashes unless K = D"),
    ],
    "straight_through": [
        (straight_through__just_quantized, "returns quantized as it is: no gradient for latents"),
        (straight_through__just_latents, "returns the latents: wrong value"),
        (straight_through__no_detach, "no detach: the latents' gradient cancels, quantized gets it"),
        (straight_through__roles_swapped, "latents and quantized are swapped"),
        (straight_through__quantized_detached, "a constant: no gradient for anybody"),
        (straight_through__all_detached, "everything is detached: no gradient for anybody"),
        (straight_through__added_whole_code, "adds the whole code, not the step: value is latents + quantized"),
        (straight_through__step_backwards, "the step has the wrong sign: value 2·latents − quantized"),
        (straight_through__codes_get_gradient_too, "quantized gets the gradient, too"),
        (straight_through__detach_half, "only quantized is detached in the step: the latents' gradient is 0"),
        (
            straight_through__only_latents_detached_in_step,
            "only latents are detached in the step: quantized gets the gradient, too",
        ),
        (
            straight_through__minus_sign_gradient,
            "the wrong latents are detached: the latents' gradient has the wrong sign",
        ),
        (straight_through__average, "only half of the step is added"),
    ],
    "quantizer_loss": [
        (quantizer_loss__beta_on_codebook, "β on the codebook term"),
        (quantizer_loss__no_detach, "no detach at all: each term moves both"),
        (quantizer_loss__commitment_not_detached, "quantized is not detached in the commitment term"),
        (quantizer_loss__same_term_twice, "latents are detached in both terms: nothing moves the latents"),
        (quantizer_loss__commitment_twice, "quantized is detached in both terms: nothing moves the codes"),
        (quantizer_loss__sum, "sum in place of mean"),
        (quantizer_loss__sum_over_d, "sum over D, then mean: squared lengths"),
        (quantizer_loss__no_beta, "β is not used"),
        (quantizer_loss__only_commitment, "the codebook term is missing"),
        (quantizer_loss__beta_on_both, "β multiplies both terms"),
        (quantizer_loss__mixture, "1 − β on the codebook term"),
        (quantizer_loss__l1, "absolute in place of squared differences"),
        (quantizer_loss__minus, "the commitment term is subtracted"),
        (
            quantizer_loss__both_sides_detached,
            "the commitment term is detached on both sides: nothing moves the latents",
        ),
        (quantizer_loss__per_latent, "one number per latent, no scalar"),
    ],
    "ema_update": [
        (ema_update__decay_swapped, "decay and 1 − decay are swapped"),
        (ema_update__no_smoothing, "no Laplace smoothing"),
        (ema_update__plain_epsilon, "only + ε, without the rescaling to N"),
        (ema_update__batch_whole, "1 − decay on the batch is missing"),
        (ema_update__returns_smoothed, "returns the smoothed counts"),
        (ema_update__changes_arguments, "changes its arguments in place"),
        (ema_update__averages_the_means, "a running mean of the means"),
        (ema_update__not_times_total, "· N is missing: divides by shares"),
        (ema_update__d_instead_of_k, "D in place of K in the smoothing"),
        (ema_update__one_epsilon, "N + ε in place of N + K ε"),
        (ema_update__old_total, "N from the old counts"),
        (ema_update__old_counts_divide, "new sums are divided by the old counts"),
        (ema_update__sums_not_decayed, "the sums are added up, not averaged"),
        (ema_update__codebook_first, "returned in the wrong order"),
        (ema_update__no_column, "counts are not made a column: crashes unless K = D"),
    ],
    "codebook_usage": [
        (codebook_usage__all_codes, "K, not the number of codes in use"),
        (codebook_usage__counts_unused, "counts the unused codes"),
        (codebook_usage__more_than_once, "codes chosen exactly once are not counted"),
        (codebook_usage__total_chosen, "adds the counts up in place of counting codes"),
        (codebook_usage__no_minus, "the minus of the entropy is missing"),
        (codebook_usage__bits_with_e, "entropy in bits, but e to it"),
        (codebook_usage__nats_with_two, "entropy in nats, but 2 to it"),
        (codebook_usage__entropy_itself, "the entropy itself, e to it is missing"),
        (codebook_usage__nan, "nan where a code was never chosen"),
        (codebook_usage__not_shares, "raw counts in place of shares"),
        (codebook_usage__divided_by_k, "divided by K in place of the sum"),
        (codebook_usage__mean_entropy, "mean over the codes in place of the sum"),
        (codebook_usage__softmax, "shares by softmax"),
        (codebook_usage__inverse_simpson, "1 / Σ p², not e to the entropy"),
        (codebook_usage__swapped, "the two results are swapped"),
        (codebook_usage__distinct_values, "number of different counts"),
        (codebook_usage__in_place, "changes the argument in place; crashes on whole-number dtypes"),
    ],
    "gradient_loss": [
        (gradient_loss__not_divided, "sum over scales in place of the mean"),
        (gradient_loss__only_across, "the edges down are missing"),
        (gradient_loss__mean_of_both, "mean of the two directions in place of the sum"),
        (gradient_loss__wrong_dims, "dims 1 and 2 in place of 2 and 3: channels are compared"),
        (gradient_loss__squares, "squares in place of absolute values"),
        (gradient_loss__no_abs, "abs is missing: edges cancel"),
        (gradient_loss__abs_edges_compared, "compares sizes of edges: the sign is lost"),
        (gradient_loss__edges_of_absolute_error, "abs of the error before diff"),
        (gradient_loss__never_halved, "never halves: all scales are the first"),
        (gradient_loss__halved_first, "halves before the first scale"),
        (gradient_loss__every_second_pixel, "every second pixel in place of block means"),
        (gradient_loss__max_pool, "maximum of blocks in place of the mean"),
        (gradient_loss__kernel_two_times_scale, "blocks of 2·scale: wrong from the fourth scale on"),
        (gradient_loss__one_scale_too_few, "one scale too few"),
        (gradient_loss__wraps_around, "wraps around: the last column is compared with the first"),
        (gradient_loss__sum_over_pixels, "sum over pixels in place of the mean"),
        (gradient_loss__no_edges, "pixels are compared, not edges"),
        (gradient_loss__item, "item(): no gradient"),
    ],
    "adaptive_weight": [
        (adaptive_weight__upside_down, "the fraction is upside down"),
        (adaptive_weight__no_detach, "not detached"),
        (adaptive_weight__half_detached, "only the critic's gradient is detached"),
        (adaptive_weight__no_epsilon, "+ 1e-4 is missing"),
        (adaptive_weight__no_clamp, "clamp is missing"),
        (adaptive_weight__clamp_min, "clamp is used as the minimum"),
        (adaptive_weight__clamp_fixed, "the limit is always 1e4, the argument is ignored"),
        (adaptive_weight__squared, "no root: squared lengths"),
        (adaptive_weight__l1, "sum of absolute values in place of the Euclidean length"),
        (adaptive_weight__rms, "root of the mean, not of the sum, of squares"),
        (adaptive_weight__epsilon_outside, "1e-4 added to the quotient: brackets are missing"),
        (adaptive_weight__clamps_denominator, "max(‖gan‖, 1e-4) in place of ‖gan‖ + 1e-4"),
        (adaptive_weight__elementwise, "a weight for each number, no length"),
        (adaptive_weight__per_row, "lengths of rows in place of the whole"),
        (adaptive_weight__largest, "the largest number in place of the length"),
        (adaptive_weight__smaller_epsilon, "1e-6 in place of 1e-4"),
        (adaptive_weight__clamp_gradients, "the length of the gradient is limited, not the weight"),
    ],
}
