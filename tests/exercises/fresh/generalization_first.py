"""Answers of a student who sees the lesson Generalization for the first time."""

import math
from collections import Counter
from copy import deepcopy

import numpy as np
import torch

from minidalle.data.splits import draw_lot
from minidalle.errors import require
from minidalle.generalization.copying import heldout_distances, nearest_distances
from minidalle.generalization.gap import LossGap, TokenNLL, require_losses, require_tokens
from minidalle.generalization.hessian import check_loss, check_params, flatten, second_derivatives
from minidalle.generalization.lanczos import (
    ENDS,
    apply,
    default_width,
    density_grid,
    lanczos,
    random_signs,
    random_start,
    slq_nodes,
)
from minidalle.generalization.landscape import interpolate, require_alike, row_lengths
from minidalle.generalization.rescaling import attention_branches, require_finite
from minidalle.runtime import generator
from minidalle.training.sam import global_norm

RIGHT, WRONG = {}, {}


# ---------------------------------------------------------------- hold_out_groups
def hold_out_groups__right_sorted(groups, share, seed):
    """Right: groups once, by lot, the first round(share G)."""
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: round(share * len(ranked))])
    return [group in drawn for group in groups]


def hold_out_groups__right_rank(groups, share, seed):
    """Right: a group is held out if fewer than round(share G) groups have a smaller lot."""
    lots = {group: draw_lot(seed, group) for group in groups}
    count = round(share * len(lots))
    return [sum(other < lots[group] for other in lots.values()) < count for group in groups]


def hold_out_groups__share_of_rows(groups, share, seed):
    """The share is taken of the rows and not of the groups: len(groups) in place of len(set)."""
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: round(share * len(groups))])
    return [group in drawn for group in groups]


def hold_out_groups__groups_not_once(groups, share, seed):
    """Forgets that a group counts once: sorts the rows' groups, so that large groups take several places."""
    ranked = sorted(groups, key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: round(share * len(set(groups)))])
    return [group in drawn for group in groups]


def hold_out_groups__rounds_down(groups, share, seed):
    """int(...) in place of round(...): rounds down."""
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: int(share * len(ranked))])
    return [group in drawn for group in groups]


def hold_out_groups__largest_lots(groups, share, seed):
    """Draws the largest lots in place of the smallest."""
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group), reverse=True)
    drawn = set(ranked[: round(share * len(ranked))])
    return [group in drawn for group in groups]


def hold_out_groups__kept_not_held(groups, share, seed):
    """True = kept in training: the answers are the other way round."""
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: round(share * len(ranked))])
    return [group not in drawn for group in groups]


def hold_out_groups__first_seen(groups, share, seed):
    """Takes the groups in order of first appearance, no lot: depends on the order of rows, not the seed."""
    ranked = list(dict.fromkeys(groups))
    drawn = set(ranked[: round(share * len(ranked))])
    return [group in drawn for group in groups]


RIGHT["hold_out_groups"] = [hold_out_groups__right_sorted, hold_out_groups__right_rank]
WRONG["hold_out_groups"] = [
    hold_out_groups__share_of_rows,
    hold_out_groups__groups_not_once,
    hold_out_groups__rounds_down,
    hold_out_groups__largest_lots,
    hold_out_groups__kept_not_held,
    hold_out_groups__first_seen,
]


# ---------------------------------------------------------------- token_nll
def _nats(logits, targets):
    return -logits.float().log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def _wide_nats(logits, targets):
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return logits.logsumexp(-1) - logits.gather(-1, targets[..., None])[..., 0]


def _tokens_ok(logits, targets, mask):
    require(bool(logits.isfinite().all()), "logits", "not finite", "finite")
    require(len(mask) >= 2, "mask", len(mask), "at least two images")
    require(bool(mask.any(1).all()), "mask", "nothing counts", "a token in each image")


def token_nll__right_skeleton(logits, targets, mask):
    """Right, as in hint 3."""
    _tokens_ok(logits, targets, mask)
    nats = _nats(logits, targets)
    totals, counts = nats.where(mask, 0.0).sum(1), mask.sum(1)
    mean = totals.sum() / counts.sum()
    size = len(totals)
    se = (size / (size - 1) * (totals - mean * counts).square().sum()).sqrt() / counts.sum()
    return mean, se, totals / counts


def token_nll__right_logsumexp(logits, targets, mask):
    """Right, by logsumexp, keeping float64."""
    _tokens_ok(logits, targets, mask)
    nats = _wide_nats(logits, targets) * mask
    totals, counts = nats.sum(1), mask.sum(1)
    mean = nats.sum() / mask.sum()
    off = totals - mean * counts
    return mean, off.square().sum().mul(len(off) / (len(off) - 1)).sqrt() / counts.sum(), totals / counts


def token_nll__mean_of_means(logits, targets, mask):
    """The mean is that of the images' means: tokens of short images weigh more."""
    _, _, each = token_nll__right_skeleton(logits, targets, mask)
    return each.mean(), each.std() / math.sqrt(len(each)), each


def token_nll__error_over_tokens(logits, targets, mask):
    """s / sqrt(n) over all tokens that count, as if they were independent."""
    mean, _, each = token_nll__right_skeleton(logits, targets, mask)
    nats = _nats(logits, targets)[mask]
    return mean, (nats - mean).square().mean().sqrt() / math.sqrt(len(nats)), each


def token_nll__no_small_sample_factor(logits, targets, mask):
    """Forgets B / (B - 1)."""
    mean, se, each = token_nll__right_skeleton(logits, targets, mask)
    return mean, se * math.sqrt((len(each) - 1) / len(each)), each


def token_nll__mask_ignored(logits, targets, mask):
    """Counts all tokens, also those that the mask leaves out."""
    return token_nll__right_skeleton(logits, targets, torch.ones_like(mask))


def token_nll__bits(logits, targets, mask):
    """log2 in place of the natural logarithm: bits, no nats."""
    return tuple(part / math.log(2) for part in token_nll__right_skeleton(logits, targets, mask))


def token_nll__divided_by_length(logits, targets, mask):
    """per_image divides by N, not by the tokens that count."""
    mean, se, each = token_nll__right_skeleton(logits, targets, mask)
    return mean, se, each * mask.sum(1) / mask.shape[1]


def token_nll__variance(logits, targets, mask):
    """Forgets the root: the square of the standard error."""
    mean, se, each = token_nll__right_skeleton(logits, targets, mask)
    return mean, se.square(), each


RIGHT["token_nll"] = [token_nll__right_skeleton, token_nll__right_logsumexp]
WRONG["token_nll"] = [
    token_nll__mean_of_means,
    token_nll__error_over_tokens,
    token_nll__no_small_sample_factor,
    token_nll__mask_ignored,
    token_nll__bits,
    token_nll__divided_by_length,
    token_nll__variance,
]


# ---------------------------------------------------------------- loss_gap
def _gap(seen, unseen, seen_groups, unseen_groups, factor=True, sign=-1, apart=False, center=True, sizes=True):
    require(len(seen) > 0 and len(unseen) > 0, "seen", len(seen), "not empty")
    require(bool(seen.isfinite().all() and unseen.isfinite().all()), "losses", "nan", "numbers")
    groups = torch.cat([seen_groups, unseen_groups])
    require(len(groups.unique()) > 1, "groups", 1, "two or more")
    a, b = (seen - seen.mean(), unseen - unseen.mean()) if center else (seen, unseen)
    errors = torch.cat([sign * a / len(seen), b / len(unseen)])
    if apart:
        groups = torch.cat([seen_groups, unseen_groups + groups.max() - groups.min() + 1])
    names, numbers = groups.unique(return_inverse=True)
    sums = errors.new_zeros(len(names)).index_add(0, numbers, errors)
    size = len(names)
    se = ((size / (size - 1) if factor else 1.0) * sums.square().sum()).sqrt()
    return unseen.mean() - seen.mean(), se


def loss_gap__right_skeleton(seen, unseen, seen_groups, unseen_groups):
    """Right, as in hint 3."""
    return _gap(seen, unseen, seen_groups, unseen_groups)


def loss_gap__right_loop(seen, unseen, seen_groups, unseen_groups):
    """Right, by a loop over the groups."""
    require(len(seen) > 0 and len(unseen) > 0, "seen", len(seen), "not empty")
    require(bool(seen.isfinite().all() and unseen.isfinite().all()), "losses", "nan", "numbers")
    names = set(seen_groups.tolist()) | set(unseen_groups.tolist())
    require(len(names) > 1, "groups", 1, "two or more")
    total = 0.0
    for name in names:
        u = (unseen[unseen_groups == name] - unseen.mean()).sum() / len(unseen)
        u = u - (seen[seen_groups == name] - seen.mean()).sum() / len(seen)
        total = total + u**2
    return unseen.mean() - seen.mean(), (len(names) / (len(names) - 1) * total).sqrt()


def loss_gap__independent_examples(seen, unseen, seen_groups, unseen_groups):
    """Each example is a group of its own: errors over pictures."""
    count = len(seen) + len(unseen)
    each = torch.arange(count)
    return _gap(seen, unseen, each[: len(seen)], each[len(seen) :])


def loss_gap__groups_apart_on_each_side(seen, unseen, seen_groups, unseen_groups):
    """A group on both sides is taken for two: nothing cancels."""
    return _gap(seen, unseen, seen_groups, unseen_groups, apart=True)


def loss_gap__plus_on_the_seen_side(seen, unseen, seen_groups, unseen_groups):
    """Forgets the minus of the seen side in u(g): what is common adds up in place of cancelling."""
    return _gap(seen, unseen, seen_groups, unseen_groups, sign=1)


def loss_gap__seen_minus_unseen(seen, unseen, seen_groups, unseen_groups):
    """The gap the other way round."""
    gap, se = _gap(seen, unseen, seen_groups, unseen_groups)
    return -gap, se


def loss_gap__no_small_sample_factor(seen, unseen, seen_groups, unseen_groups):
    """Forgets G / (G - 1)."""
    return _gap(seen, unseen, seen_groups, unseen_groups, factor=False)


def loss_gap__means_of_groups(seen, unseen, seen_groups, unseen_groups):
    """Group means in place of sums in u(g): each over its own rows, then over the number of groups."""
    gap, _ = _gap(seen, unseen, seen_groups, unseen_groups)
    names = torch.cat([seen_groups, unseen_groups]).unique().tolist()
    total = torch.zeros(())
    for name in names:
        u = torch.zeros(())
        for sign, losses, groups in ((1, unseen, unseen_groups), (-1, seen, seen_groups)):
            if (groups == name).any():
                u = u + sign * (losses[groups == name].mean() - losses.mean()) / len(groups.unique())
        total = total + u**2
    return gap, (len(names) / (len(names) - 1) * total).sqrt()


def loss_gap__factor_of_examples(seen, unseen, seen_groups, unseen_groups):
    """n / (n - 1) with the number of examples in place of the number of groups."""
    gap, se = _gap(seen, unseen, seen_groups, unseen_groups, factor=False)
    n = len(seen) + len(unseen)
    return gap, se * math.sqrt(n / (n - 1))


RIGHT["loss_gap"] = [loss_gap__right_skeleton, loss_gap__right_loop]
WRONG["loss_gap"] = [
    loss_gap__independent_examples,
    loss_gap__groups_apart_on_each_side,
    loss_gap__plus_on_the_seen_side,
    loss_gap__seen_minus_unseen,
    loss_gap__no_small_sample_factor,
    loss_gap__means_of_groups,
    loss_gap__factor_of_examples,
]


# ---------------------------------------------------------------- shuffle_captions
def _shuffled(captions, splits, seed, most=None, block=True, train_only=True, inverse=False):
    require(len(captions) == len(splits), "splits", len(splits), "as many as captions")
    train = [row for row, split in enumerate(splits) if split == "train" or not train_only]
    require(len(train) >= 2, "train", len(train), "two or more")
    top = max(Counter(captions[row] for row in train).values())
    require(2 * top <= len(train), "captions", top, "at most half the same")
    places = torch.randperm(len(train), generator=generator(seed, "shuffled captions")).tolist()
    shuffled = [train[place] for place in places]
    if block:
        shuffled.sort(key=lambda row: captions[row])
    most = top if most is None else most
    order = list(range(len(captions)))
    for row, other in zip(shuffled, shuffled[most:] + shuffled[:most], strict=True):
        order[row] = other
    return order


def shuffle_captions__right_skeleton(captions, splits, seed=0):
    """Right, as in hint 3."""
    return _shuffled(captions, splits, seed)


def shuffle_captions__right_by_first_place(captions, splits, seed=0):
    """Right by the docstring: blocks in the order in which their captions come first in the random order."""
    require(len(captions) == len(splits), "splits", len(splits), "as many as captions")
    train = [row for row, split in enumerate(splits) if split == "train"]
    require(len(train) >= 2, "train", len(train), "two or more")
    places = torch.randperm(len(train), generator=generator(seed, "shuffled captions")).tolist()
    blocks = {}
    for place in places:
        blocks.setdefault(captions[train[place]], []).append(train[place])
    most = max(map(len, blocks.values()))
    require(2 * most <= len(train), "captions", most, "at most half the same")
    shuffled = [row for block in blocks.values() for row in block]
    order = list(range(len(captions)))
    for i, row in enumerate(shuffled):
        order[row] = shuffled[(i + most) % len(shuffled)]
    return order


def shuffle_captions__moves_by_one(captions, splits, seed=0):
    """Moves on by one place only, as in the present circle: most rows of a block keep their words."""
    return _shuffled(captions, splits, seed, most=1)


def shuffle_captions__plain_shuffle(captions, splits, seed=0):
    """A plain random permutation of the training rows: some keep their captions by chance."""
    train = [row for row, split in enumerate(splits) if split == "train"]
    places = torch.randperm(len(train), generator=generator(seed, "shuffled captions")).tolist()
    order = list(range(len(captions)))
    for row, place in zip(train, places, strict=True):
        order[row] = train[place]
    return order


def shuffle_captions__held_out_too(captions, splits, seed=0):
    """Shuffles the rows of all splits."""
    return _shuffled(captions, splits, seed, train_only=False)


def shuffle_captions__not_brought_together(captions, splits, seed=0):
    """Forgets to bring equal captions together before moving on."""
    return _shuffled(captions, splits, seed, block=False)


def shuffle_captions__one_place_too_few(captions, splits, seed=0):
    """Moves on by one place less than the most frequent caption has rows: one row keeps its words."""
    train = [caption for caption, split in zip(captions, splits, strict=True) if split == "train"]
    return _shuffled(captions, splits, seed, most=max(Counter(train).values()) - 1)


def shuffle_captions__positions_in_train(captions, splits, seed=0):
    """Returns places among the training rows in place of rows of the whole."""
    order = _shuffled(captions, splits, seed)
    place = {row: i for i, row in enumerate(row for row, split in enumerate(splits) if split == "train")}
    return [place.get(other, other) for other in order]


def shuffle_captions__seed_ignored(captions, splits, seed=0):
    """Python's global random numbers in place of the seed: another order on each call."""
    return _shuffled(captions, splits, int(torch.randint(0, 2**31, ())))


def shuffle_captions__no_random_order(captions, splits, seed=0):
    """Sorts by caption without a random order first: the seed changes nothing."""
    return _shuffled(captions, splits, 0)


RIGHT["shuffle_captions"] = [shuffle_captions__right_skeleton, shuffle_captions__right_by_first_place]
WRONG["shuffle_captions"] = [
    shuffle_captions__moves_by_one,
    shuffle_captions__plain_shuffle,
    shuffle_captions__held_out_too,
    shuffle_captions__not_brought_together,
    shuffle_captions__one_place_too_few,
    shuffle_captions__positions_in_train,
    shuffle_captions__seed_ignored,
    shuffle_captions__no_random_order,
]


# ---------------------------------------------------------------- hvp
def hvp__right_skeleton(loss_fn, params, v):
    """Right, as in hint 3."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slopes = torch.autograd.grad(loss, params, create_graph=True, materialize_grads=True)
        slope = flatten(slopes) @ v.to(slopes[0])
        if not slope.requires_grad:
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v)


def hvp__right_split(loss_fn, params, v):
    """Right, with v cut into the parameters' shapes."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slopes = torch.autograd.grad(loss, params, create_graph=True, materialize_grads=True)
        parts = v.split([param.numel() for param in params])
        slope = sum((g * part.view_as(g).to(g)).sum() for g, part in zip(slopes, parts, strict=True))
        if not slope.requires_grad:
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v)


def _hvp(loss_fn, params, v, slope_of):
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slopes = torch.autograd.grad(loss, params, create_graph=True, materialize_grads=True)
        slope = slope_of(flatten(slopes), v.to(slopes[0]))
        if not slope.requires_grad:
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v)


def hvp__sum_of_gradient_times_v(loss_fn, params, v):
    """Differentiates the gradient's sum and multiplies by v afterwards: v * (H 1), not H v."""
    return _hvp(loss_fn, params, v, lambda g, v: g.sum()) * v


def hvp__gradient_norm(loss_fn, params, v):
    """Differentiates half the squared gradient: H g, v is forgotten."""
    return _hvp(loss_fn, params, v, lambda g, v: g.square().sum() / 2)


def hvp__twice(loss_fn, params, v):
    """Squares the slope along v: 2 (g v) H v."""
    return _hvp(loss_fn, params, v, lambda g, v: (g @ v) ** 2)


def hvp__diagonal_only(loss_fn, params, v):
    """Multiplies each parameter tensor's own block only: what couples two tensors is forgotten."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        slopes = torch.autograd.grad(loss, params, create_graph=True, materialize_grads=True)
        out = []
        for param, g, part in zip(params, slopes, v.split([p.numel() for p in params]), strict=True):
            slope = (g * part.view_as(g).to(g)).sum()
            if slope.requires_grad:
                out.append(
                    torch.autograd.grad(slope, [param], retain_graph=True, materialize_grads=True)[0].reshape(-1)
                )
            else:
                out.append(torch.zeros_like(part))
        return torch.cat(out).to(v)


def hvp__gauss_newton_of_the_gradient(loss_fn, params, v):
    """Takes g gᵀ v for H v: the outer product of gradients in place of second derivatives."""
    check_params(params, v)
    g = flatten(torch.autograd.grad(loss_fn(), params, materialize_grads=True)).to(v)
    return g * (g @ v)


def hvp__v_normalized(loss_fn, params, v):
    """Makes v a unit vector first, as in power iteration."""
    return _hvp(loss_fn, params, v / v.norm().clamp(min=1e-30), lambda g, v: g @ v)


def hvp__finite_difference(loss_fn, params, v):
    """Finite differences with a step of 0.1 in one direction: calls the loss twice and is only near."""
    check_params(params, v)
    before = flatten(torch.autograd.grad(loss_fn(), params, materialize_grads=True)).to(v)
    parts = v.split([param.numel() for param in params])
    with torch.no_grad():
        for param, part in zip(params, parts, strict=True):
            param.add_(0.1 * part.view_as(param).to(param))
    after = flatten(torch.autograd.grad(loss_fn(), params, materialize_grads=True)).to(v)
    with torch.no_grad():
        for param, part in zip(params, parts, strict=True):
            param.sub_(0.1 * part.view_as(param).to(param))
    return (after - before) / 0.1


RIGHT["hvp"] = [hvp__right_skeleton, hvp__right_split]
WRONG["hvp"] = [
    hvp__sum_of_gradient_times_v,
    hvp__gradient_norm,
    hvp__twice,
    hvp__diagonal_only,
    hvp__gauss_newton_of_the_gradient,
    hvp__v_normalized,
    hvp__finite_difference,
]


# ---------------------------------------------------------------- top_eigenvalue
def top_eigenvalue__right_skeleton(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Right, as in hint 3."""
    require(which in ENDS, "which", which, "one of ENDS")
    for ritz in lanczos(product, random_start(dim, seed), most):
        low, high = ritz.values[0].item(), ritz.values[-1].item()
        end = {"LA": -1, "SA": 0, "LM": -1 if abs(high) >= abs(low) else 0}[which]
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance * abs(value):
            break
    return value, error


def top_eigenvalue__right_argmax(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Right, with argmax over the Ritz values."""
    require(which in ENDS, "which", which, "one of ENDS")
    key = {"LA": lambda values: values, "SA": lambda values: -values, "LM": lambda values: values.abs()}[which]
    for ritz in lanczos(product, random_start(dim, seed), most):
        at = int(key(ritz.values).argmax())
        value, error = float(ritz.values[at]), float(ritz.errors[at])
        if error <= tolerance * abs(value):
            return value, error
    return value, error


def _top(product, dim, which, seed, tolerance, most, end_of=None, enough=None, error_of=None):
    before = None
    for ritz in lanczos(product, random_start(dim, seed), most):
        low, high = ritz.values[0].item(), ritz.values[-1].item()
        end = {"LA": -1, "SA": 0, "LM": -1 if abs(high) >= abs(low) else 0}[which]
        if end_of:
            end = end_of(low, high, end)
        value = ritz.values[end].item()
        error = ritz.errors[end if error_of is None else error_of(end)].item()
        if enough(value, error, before) if enough else error <= tolerance * abs(value):
            break
        before = value
    return value, error


def top_eigenvalue__magnitude_always(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """ "Top" is the largest in magnitude, whatever `which` says: -10 for -10, 3 and 1."""
    return _top(product, dim, which, seed, tolerance, most, lambda low, high, end: -1 if abs(high) >= abs(low) else 0)


def top_eigenvalue__ends_swapped(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Takes Ritz values for descending: the largest and the smallest are swapped."""
    return _top(product, dim, which, seed, tolerance, most, lambda low, high, end: -1 - end if which != "LM" else end)


def top_eigenvalue__stops_when_it_moves_little(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Stops when two values in a row differ by less than the tolerance, which is no bound."""
    return _top(
        product,
        dim,
        which,
        seed,
        tolerance,
        most,
        enough=lambda value, error, before: before is not None and abs(value - before) <= tolerance * abs(value),
    )


def top_eigenvalue__absolute_tolerance(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """The tolerance is taken for absolute: the error is compared with it, not with tolerance times the value."""
    return _top(product, dim, which, seed, tolerance, most, enough=lambda value, error, before: error <= tolerance)


def top_eigenvalue__sign_forgotten_in_tolerance(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Compares with tolerance * value without |...|: for negative values it never stops early."""
    return _top(
        product, dim, which, seed, tolerance, most, enough=lambda value, error, before: error <= tolerance * value
    )


def top_eigenvalue__error_of_the_other_end(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """The error is that of the other end of the spectrum."""
    return _top(product, dim, which, seed, tolerance, most, error_of=lambda end: -1 - end)


def top_eigenvalue__LM_without_sign(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """LM gives the magnitude, 10, in place of the eigenvalue, -10."""
    value, error = _top(product, dim, which, seed, tolerance, most)
    return (abs(value) if which == "LM" else value), error


def top_eigenvalue__relative_error_returned(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Returns the relative error, error / |value|, in place of the bound."""
    value, error = _top(product, dim, which, seed, tolerance, most)
    return value, error / abs(value) if value else error


RIGHT["top_eigenvalue"] = [top_eigenvalue__right_skeleton, top_eigenvalue__right_argmax]
WRONG["top_eigenvalue"] = [
    top_eigenvalue__magnitude_always,
    top_eigenvalue__ends_swapped,
    top_eigenvalue__stops_when_it_moves_little,
    top_eigenvalue__absolute_tolerance,
    top_eigenvalue__sign_forgotten_in_tolerance,
    top_eigenvalue__error_of_the_other_end,
    top_eigenvalue__LM_without_sign,
    top_eigenvalue__relative_error_returned,
]


# ---------------------------------------------------------------- hutchinson_trace
def _traces(product, dim, samples, seed, first=0):
    values = []
    for k in range(first, first + samples):
        z = random_signs(dim, seed, k)
        hz = apply(product, z)
        values.append(z.to(hz) @ hz)
    return torch.stack(values)


def hutchinson_trace__right_skeleton(product, dim, samples, seed=0):
    """Right, as in hint 3."""
    require(samples >= 2, "samples", samples, "2 or more")
    values = _traces(product, dim, samples, seed)
    return values.mean().item(), values.std().item() / math.sqrt(samples)


def hutchinson_trace__right_numpy(product, dim, samples, seed=0):
    """Right, with NumPy and ddof=1."""
    require(samples >= 2, "samples", samples, "2 or more")
    values = _traces(product, dim, samples, seed).double().numpy()
    return float(values.mean()), float(np.sqrt(values.var(ddof=1) / samples))


def hutchinson_trace__std_not_error(product, dim, samples, seed=0):
    """Forgets the division by the root of n: the samples' standard deviation."""
    values = _traces(product, dim, samples, seed)
    return values.mean().item(), values.std().item()


def hutchinson_trace__divides_by_n(product, dim, samples, seed=0):
    """Divides by n and not by n - 1 in the standard deviation."""
    values = _traces(product, dim, samples, seed)
    return values.mean().item(), values.std(unbiased=False).item() / math.sqrt(samples)


def hutchinson_trace__same_signs(product, dim, samples, seed=0):
    """Uses sample 0 for all: k is not passed on."""
    z = random_signs(dim, seed, 0)
    values = torch.stack([z.to(torch.float64) @ apply(product, z) for _ in range(samples)])
    return values.mean().item(), values.std().item() / math.sqrt(samples)


def hutchinson_trace__counts_from_one(product, dim, samples, seed=0):
    """Samples 1 to n in place of 0 to n - 1."""
    values = _traces(product, dim, samples, seed, first=1)
    return values.mean().item(), values.std().item() / math.sqrt(samples)


def hutchinson_trace__divided_by_dim(product, dim, samples, seed=0):
    """The mean eigenvalue, not the sum: divides by dim."""
    values = _traces(product, dim, samples, seed) / dim
    return values.mean().item(), values.std().item() / math.sqrt(samples)


def hutchinson_trace__sum_of_Hz(product, dim, samples, seed=0):
    """Sums Hz without multiplying by z again."""
    values = torch.stack([apply(product, random_signs(dim, seed, k)).sum() for k in range(samples)])
    return values.mean().item(), values.std().item() / math.sqrt(samples)


def hutchinson_trace__seed_plus_k(product, dim, samples, seed=0):
    """Makes sample k by seed + k, sample 0."""
    values = torch.stack(
        [
            random_signs(dim, seed + k, 0).double() @ apply(product, random_signs(dim, seed + k, 0))
            for k in range(samples)
        ]
    )
    return values.mean().item(), values.std().item() / math.sqrt(samples)


RIGHT["hutchinson_trace"] = [hutchinson_trace__right_skeleton, hutchinson_trace__right_numpy]
WRONG["hutchinson_trace"] = [
    hutchinson_trace__std_not_error,
    hutchinson_trace__divides_by_n,
    hutchinson_trace__same_signs,
    hutchinson_trace__counts_from_one,
    hutchinson_trace__divided_by_dim,
    hutchinson_trace__sum_of_Hz,
    hutchinson_trace__seed_plus_k,
]


# ---------------------------------------------------------------- slq_density
def slq_density__right_skeleton(product, dim, steps, probes, seed=0, width=None):
    """Right, as in hint 3."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    bells = torch.exp(-(((grid[:, None] - values) / width) ** 2) / 2) / (width * math.sqrt(2 * math.pi))
    return grid, bells @ weights


def slq_density__right_loop(product, dim, steps, probes, seed=0, width=None):
    """Right, by a loop over the values."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    if width is None:
        width = default_width(values)
    grid = density_grid(values, width)
    density = torch.zeros_like(grid)
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        density += weight * torch.exp(-((grid - value) ** 2) / (2 * width**2)) / (width * math.sqrt(2 * math.pi))
    return grid, density


def _density(product, dim, steps, probes, seed, width, bell, weigh=lambda weights: weights):
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    return grid, bell(grid[:, None] - values, width) @ weigh(weights)


def slq_density__half_forgotten(product, dim, steps, probes, seed=0, width=None):
    """Forgets the half in the exponent: bells too narrow, area too small."""
    return _density(
        product, dim, steps, probes, seed, width, lambda x, w: torch.exp(-((x / w) ** 2)) / (w * math.sqrt(2 * math.pi))
    )


def slq_density__width_not_in_the_norm(product, dim, steps, probes, seed=0, width=None):
    """Divides by the root of 2 pi only, the width is forgotten: area is the width."""
    return _density(
        product, dim, steps, probes, seed, width, lambda x, w: torch.exp(-((x / w) ** 2) / 2) / math.sqrt(2 * math.pi)
    )


def slq_density__weights_all_equal(product, dim, steps, probes, seed=0, width=None):
    """All values weigh the same: the mean of the bells."""
    return _density(
        product,
        dim,
        steps,
        probes,
        seed,
        width,
        lambda x, w: torch.exp(-((x / w) ** 2) / 2) / (w * math.sqrt(2 * math.pi)),
        lambda weights: torch.full_like(weights, 1 / len(weights)),
    )


def slq_density__width_squared_once(product, dim, steps, probes, seed=0, width=None):
    """Width is taken for a variance: (x - v)^2 / (2 width)."""
    return _density(
        product, dim, steps, probes, seed, width, lambda x, w: torch.exp(-(x**2) / (2 * w)) / math.sqrt(2 * math.pi * w)
    )


def slq_density__given_width_ignored(product, dim, steps, probes, seed=0, width=None):
    """Always takes the default width."""
    return slq_density__right_skeleton(product, dim, steps, probes, seed, None)


def slq_density__times_dim(product, dim, steps, probes, seed=0, width=None):
    """Counts of eigenvalues in place of a density: the area is dim."""
    grid, density = slq_density__right_skeleton(product, dim, steps, probes, seed, width)
    return grid, density * dim


def slq_density__divided_by_probes(product, dim, steps, probes, seed=0, width=None):
    """Divides by the number of probes once more, though the weights have it already."""
    grid, density = slq_density__right_skeleton(product, dim, steps, probes, seed, width)
    return grid, density / probes


RIGHT["slq_density"] = [slq_density__right_skeleton, slq_density__right_loop]
WRONG["slq_density"] = [
    slq_density__half_forgotten,
    slq_density__width_not_in_the_norm,
    slq_density__weights_all_equal,
    slq_density__width_squared_once,
    slq_density__given_width_ignored,
    slq_density__times_dim,
    slq_density__divided_by_probes,
]


# ---------------------------------------------------------------- sam_perturbation
def sam_perturbation__right_skeleton(params, gradients, rho, adaptive=False):
    """Right, as in hint 3."""
    weights = [param.detach().abs() if adaptive else torch.ones_like(param) for param in params]
    scaled = [weight * gradient for weight, gradient in zip(weights, gradients, strict=True)]
    norm = float(global_norm(scaled))
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [rho * weight * part / norm for weight, part in zip(weights, scaled, strict=True)]


def sam_perturbation__right_plain(params, gradients, rho, adaptive=False):
    """Right, with w squared."""
    parts = [w.detach().abs() * g if adaptive else g for w, g in zip(params, gradients, strict=True)]
    norm = math.sqrt(sum(float(part.double().square().sum()) for part in parts))
    if norm == 0 or not math.isfinite(norm):
        return [torch.zeros_like(param) for param in params]
    return [(rho / norm) * (w.detach() ** 2 * g if adaptive else g) for w, g in zip(params, gradients, strict=True)]


def sam_perturbation__each_tensor_its_own(params, gradients, rho, adaptive=False):
    """Each tensor has its own norm, so each layer makes a step of length rho."""
    return [
        sam_perturbation__right_skeleton([w], [g], rho, adaptive)[0] for w, g in zip(params, gradients, strict=True)
    ]


def sam_perturbation__downhill(params, gradients, rho, adaptive=False):
    """The minus of gradient descent: goes to the best place nearby."""
    return [-part for part in sam_perturbation__right_skeleton(params, gradients, rho, adaptive)]


def sam_perturbation__not_normalized(params, gradients, rho, adaptive=False):
    """rho times the gradient, the length is forgotten."""
    return [rho * (w.detach() ** 2 if adaptive else 1) * g for w, g in zip(params, gradients, strict=True)]


def sam_perturbation__adaptive_scaled_once(params, gradients, rho, adaptive=False):
    """Adaptive: multiplies by |w| once only."""
    parts = [w.detach().abs() * g if adaptive else g for w, g in zip(params, gradients, strict=True)]
    norm = float(global_norm(parts))
    return [rho * part / norm if 0 < norm < math.inf else torch.zeros_like(part) for part in parts]


def sam_perturbation__adaptive_plain_norm(params, gradients, rho, adaptive=False):
    """Adaptive: divides by the norm of the gradient, not of |w| g."""
    norm = float(global_norm(list(gradients)))
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [rho * (w.detach() ** 2 if adaptive else 1) * g / norm for w, g in zip(params, gradients, strict=True)]


def sam_perturbation__adaptive_norm_of_w2g(params, gradients, rho, adaptive=False):
    """Adaptive: divides by the norm of w^2 g, so that the step has the plain length rho."""
    parts = [w.detach() ** 2 * g if adaptive else g for w, g in zip(params, gradients, strict=True)]
    norm = float(global_norm(parts))
    return [rho * part / norm if 0 < norm < math.inf else torch.zeros_like(part) for part in parts]


def sam_perturbation__norm_squared(params, gradients, rho, adaptive=False):
    """Divides by the squared norm: the root is forgotten."""
    parts = [w.detach().abs() * g if adaptive else g for w, g in zip(params, gradients, strict=True)]
    norm = float(global_norm(parts))
    step = sam_perturbation__right_skeleton(params, gradients, rho, adaptive)
    return [part / norm if 0 < norm < math.inf else part for part in step]


def sam_perturbation__adaptive_w_with_sign(params, gradients, rho, adaptive=False):
    """Adaptive: takes w for |w| and for w^2, so that negative weights turn the direction round."""
    step = sam_perturbation__right_skeleton(params, gradients, rho, adaptive)
    return [part * w.detach().sign() if adaptive else part for part, w in zip(step, params, strict=True)]


def sam_perturbation__no_line_for_zero(params, gradients, rho, adaptive=False):
    """No line of its own for a gradient of zero: 0 / 0 is NaN."""
    parts = [w.detach().abs() if adaptive else torch.ones_like(w) for w in params]
    norm = global_norm([s * g for s, g in zip(parts, gradients, strict=True)])
    return [rho * s * s * g / norm for s, g in zip(parts, gradients, strict=True)]


RIGHT["sam_perturbation"] = [sam_perturbation__right_skeleton, sam_perturbation__right_plain]
WRONG["sam_perturbation"] = [
    sam_perturbation__each_tensor_its_own,
    sam_perturbation__downhill,
    sam_perturbation__not_normalized,
    sam_perturbation__adaptive_scaled_once,
    sam_perturbation__adaptive_plain_norm,
    sam_perturbation__adaptive_norm_of_w2g,
    sam_perturbation__norm_squared,
    sam_perturbation__adaptive_w_with_sign,
    sam_perturbation__no_line_for_zero,
]


# ---------------------------------------------------------------- filter_normalize
def _require_finite_tensors(direction, params):
    for tensor in (*direction, *params):
        require(bool(tensor.isfinite().all()), "direction", "not finite", "finite numbers")


def filter_normalize__right_skeleton(direction, params):
    """Right, as in hint 3."""
    require_alike("direction", direction, params)
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() <= 1:
            normalized.append(torch.zeros_like(step))
        else:
            length = row_lengths(step)
            normalized.append(step * torch.where(length > 0, row_lengths(weights) / length, 0.0))
    return normalized


def filter_normalize__right_flat(direction, params):
    """Right, with rows made flat."""
    require_alike("direction", direction, params)
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() < 2:
            normalized.append(torch.zeros_like(step))
            continue
        d, w = step.flatten(1), weights.detach().flatten(1)
        long, wanted = d.norm(dim=1, keepdim=True), w.norm(dim=1, keepdim=True)
        scale = torch.where(long > 0, wanted / long.where(long > 0, 1.0), 0.0)
        normalized.append((d * scale).view_as(step))
    return normalized


def _filter(direction, params, length, flat=lambda step, weights: torch.zeros_like(step)):
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() < 2:
            normalized.append(flat(step, weights.detach()))
        else:
            long, wanted = length(step), length(weights.detach())
            normalized.append(step * torch.where(long > 0, wanted / long.where(long > 0, 1.0), 0.0))
    return normalized


def _rows(tensor):
    return tensor.flatten(1).norm(dim=1).view(-1, *[1] * (tensor.dim() - 1))


def filter_normalize__columns(direction, params):
    """Wrong axis: columns (what one input feeds) in place of rows."""
    return _filter(direction, params, lambda t: t.norm(dim=0, keepdim=True))


def filter_normalize__whole_tensor(direction, params):
    """One length for the whole tensor: layer normalization in place of filter normalization."""
    return _filter(direction, params, lambda t: t.norm())


def filter_normalize__last_axis_only(direction, params):
    """The norm over the last axis only: a convolution's row is cut into pieces."""
    return _filter(direction, params, lambda t: t.norm(dim=-1, keepdim=True))


def filter_normalize__biases_moved(direction, params):
    """Biases are not left alone: they get the length of the weights' bias."""
    return _filter(
        direction, params, _rows, lambda d, w: d * w.norm() / d.norm() if d.norm() > 0 else torch.zeros_like(d)
    )


def filter_normalize__biases_as_they_are(direction, params):
    """Biases' directions are kept as they are in place of zero."""
    return _filter(direction, params, _rows, lambda d, w: d.clone())


def filter_normalize__unit_rows(direction, params):
    """Makes rows of length one: the weights' length is forgotten."""
    return [step / _rows(step).clamp(min=1e-30) if step.dim() > 1 else torch.zeros_like(step) for step in direction]


def filter_normalize__not_divided(direction, params):
    """Multiplies by the weights' length without dividing by the direction's."""
    return [
        step * _rows(w.detach()) if step.dim() > 1 else torch.zeros_like(step)
        for step, w in zip(direction, params, strict=True)
    ]


def filter_normalize__upside_down(direction, params):
    """Divides by the weights' length and multiplies by the direction's."""
    return [
        step * _rows(step) / _rows(w.detach()).clamp(min=1e-12) if step.dim() > 1 else torch.zeros_like(step)
        for step, w in zip(direction, params, strict=True)
    ]


def filter_normalize__nan_for_zero_rows(direction, params):
    """No care for a direction's row of zeros: 0 / 0."""
    return [
        step * _rows(w.detach()) / _rows(step) if step.dim() > 1 else torch.zeros_like(step)
        for step, w in zip(direction, params, strict=True)
    ]


def filter_normalize__zero_weights_skipped(direction, params):
    """Rows whose weights are all zero keep their direction."""

    def one(step, w):
        if step.dim() < 2:
            return torch.zeros_like(step)
        long, wanted = _rows(step), _rows(w.detach())
        return step * torch.where((long > 0) & (wanted > 0), wanted / long.where(long > 0, 1.0), 1.0)

    return [one(step, w) for step, w in zip(direction, params, strict=True)]


RIGHT["filter_normalize"] = [filter_normalize__right_skeleton, filter_normalize__right_flat]
WRONG["filter_normalize"] = [
    filter_normalize__columns,
    filter_normalize__whole_tensor,
    filter_normalize__last_axis_only,
    filter_normalize__biases_moved,
    filter_normalize__biases_as_they_are,
    filter_normalize__unit_rows,
    filter_normalize__not_divided,
    filter_normalize__upside_down,
    filter_normalize__nan_for_zero_rows,
    filter_normalize__zero_weights_skipped,
]


# ---------------------------------------------------------------- barrier
def _losses(loss, w0, w1, points, way=None):
    require(points >= 3, "points", points, "at least 3")
    way = torch.linspace(0, 1, points, dtype=torch.float64) if way is None else way
    losses = torch.tensor([float(loss(interpolate(w0, w1, t))) for t in way.tolist()], dtype=torch.float64)
    require(bool(losses.isfinite().all()), "loss", losses.tolist(), "finite")
    return way, losses


def barrier__right_skeleton(loss, w0, w1, points=11):
    """Right, as in hint 3."""
    way, losses = _losses(loss, w0, w1, points)
    return float((losses - torch.lerp(losses[0], losses[-1], way)).max())


def barrier__right_floats(loss, w0, w1, points=11):
    """Right, in plain Python, never below 0."""
    way, losses = _losses(loss, w0, w1, points)
    first, last = losses[0].item(), losses[-1].item()
    return max(0.0, *(one - ((1 - t) * first + t * last) for t, one in zip(way.tolist(), losses.tolist(), strict=True)))


def barrier__above_the_lower_end(loss, w0, w1, points=11):
    """Above the lower of both ends."""
    _, losses = _losses(loss, w0, w1, points)
    return float(losses.max() - min(losses[0], losses[-1]))


def barrier__above_the_higher_end(loss, w0, w1, points=11):
    """Above the higher of both ends."""
    _, losses = _losses(loss, w0, w1, points)
    return float(losses.max() - max(losses[0], losses[-1]))


def barrier__above_the_mean_of_the_ends(loss, w0, w1, points=11):
    """Above the mean of both ends, at every t."""
    _, losses = _losses(loss, w0, w1, points)
    return float(losses.max() - (losses[0] + losses[-1]) / 2)


def barrier__line_the_wrong_way(loss, w0, w1, points=11):
    """The line runs from the last loss to the first: t and 1 - t are swapped."""
    way, losses = _losses(loss, w0, w1, points)
    return float((losses - torch.lerp(losses[-1], losses[0], way)).max())


def barrier__middle_only(loss, w0, w1, points=11):
    """Looks at the middle only, t = 1/2."""
    _, losses = _losses(loss, w0, w1, 3)
    return max(0.0, float(losses[1] - (losses[0] + losses[2]) / 2))


def barrier__ends_not_included(loss, w0, w1, points=11):
    """t = i / points for i below points: w1 is never reached, and the last loss is another one."""
    way, losses = _losses(loss, w0, w1, points, torch.arange(points, dtype=torch.float64) / points)
    line = torch.lerp(losses[0], losses[-1], torch.linspace(0, 1, points, dtype=torch.float64))
    return float((losses - line).max())


def barrier__absolute(loss, w0, w1, points=11):
    """The largest distance from the line, below it, too."""
    way, losses = _losses(loss, w0, w1, points)
    return float((losses - torch.lerp(losses[0], losses[-1], way)).abs().max())


def barrier__inner_points_only(loss, w0, w1, points=11):
    """Leaves out both ends, so that it can be negative."""
    way, losses = _losses(loss, w0, w1, points)
    return float((losses - torch.lerp(losses[0], losses[-1], way))[1:-1].max())


def barrier__one_point_too_many(loss, w0, w1, points=11):
    """`points` steps in place of points: points + 1 values of t."""
    return barrier__right_skeleton(loss, w0, w1, points + 1)


RIGHT["barrier"] = [barrier__right_skeleton, barrier__right_floats]
WRONG["barrier"] = [
    barrier__above_the_lower_end,
    barrier__above_the_higher_end,
    barrier__above_the_mean_of_the_ends,
    barrier__line_the_wrong_way,
    barrier__middle_only,
    barrier__ends_not_included,
    barrier__absolute,
    barrier__inner_points_only,
    barrier__one_point_too_many,
]


# ---------------------------------------------------------------- reparameterize
def reparameterize__right_skeleton(model, alpha, layers=None):
    """Right, as in hint 3."""
    require(alpha > 0, "alpha", alpha, "above 0")
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            for parameter in branch["query"].parameters():
                parameter.mul_(alpha)
            for parameter in branch["key"].parameters():
                parameter.div_(alpha)
    return other


def reparameterize__right_named(model, alpha, layers=None):
    """Right, by weight and bias."""
    require(alpha > 0, "alpha", alpha, "above 0")
    other = deepcopy(model)
    for branch in attention_branches(other, layers).values():
        for name, factor in (("query", alpha), ("key", 1 / alpha)):
            branch[name].weight.data *= factor
            if branch[name].bias is not None:
                branch[name].bias.data *= factor
    return other


def _scaled(model, layers, query, key, query_bias=None, key_bias=None, copy=True):
    other = deepcopy(model) if copy else model
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            for name, weight, bias in (("query", query, query_bias), ("key", key, key_bias)):
                branch[name].weight.mul_(weight)
                if branch[name].bias is not None:
                    branch[name].bias.mul_(weight if bias is None else bias)
    return other


def reparameterize__biases_forgotten(model, alpha, layers=None):
    """Rescales weights only, no biases."""
    return _scaled(model, layers, alpha, 1 / alpha, 1.0, 1.0)


def reparameterize__key_bias_forgotten(model, alpha, layers=None):
    """Rescales the query's bias, and not the key's."""
    return _scaled(model, layers, alpha, 1 / alpha, None, 1.0)


def reparameterize__the_other_way_round(model, alpha, layers=None):
    """Divides the query and multiplies the key: outputs stay, but it is alpha for 1 / alpha."""
    return _scaled(model, layers, 1 / alpha, alpha)


def reparameterize__key_not_divided(model, alpha, layers=None):
    """Multiplies both by alpha."""
    return _scaled(model, layers, alpha, alpha)


def reparameterize__root_of_alpha(model, alpha, layers=None):
    """Multiplies by the root of alpha, so that the product would be alpha."""
    return _scaled(model, layers, math.sqrt(alpha), 1 / math.sqrt(alpha))


def reparameterize__in_place(model, alpha, layers=None):
    """Changes the model itself and returns it: no copy."""
    return _scaled(model, layers, alpha, 1 / alpha, copy=False)


def reparameterize__all_layers_always(model, alpha, layers=None):
    """`layers` is ignored: rescales all branches."""
    return _scaled(model, None, alpha, 1 / alpha)


def reparameterize__only_the_first_branch(model, alpha, layers=None):
    """Returns inside of the loop: only the first branch is rescaled."""
    other = deepcopy(model)
    first = list(attention_branches(other, layers))[:1]
    return _scaled(other, first, alpha, 1 / alpha)


def reparameterize__key_only(model, alpha, layers=None):
    """Divides the key only: the query is forgotten."""
    return _scaled(model, layers, 1.0, 1 / alpha)


RIGHT["reparameterize"] = [reparameterize__right_skeleton, reparameterize__right_named]
WRONG["reparameterize"] = [
    reparameterize__biases_forgotten,
    reparameterize__key_bias_forgotten,
    reparameterize__the_other_way_round,
    reparameterize__key_not_divided,
    reparameterize__root_of_alpha,
    reparameterize__in_place,
    reparameterize__all_layers_always,
    reparameterize__only_the_first_branch,
    reparameterize__key_only,
]


# ---------------------------------------------------------------- copy_test
def copy_test__right_skeleton(generated, train, heldout):
    """Right, as in hint 3."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    wins = (far[:, None] < null).double() + (far[:, None] == null).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__right_by_sign(generated, train, heldout):
    """Right, by the sign of the difference."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    return float(0.5 + (null[None, :] - far[:, None]).sign().double().mean() / 2), nearest.numpy()


def _share(generated, train, heldout, wins):
    far, nearest = nearest_distances(generated, train)
    return float(wins(far, heldout_distances(heldout, train)).double().mean()), nearest.numpy()


def copy_test__ties_lose(generated, train, heldout):
    """Equal distances count nothing."""
    return _share(generated, train, heldout, lambda far, null: far[:, None] < null)


def copy_test__ties_win(generated, train, heldout):
    """Equal distances count in full."""
    return _share(generated, train, heldout, lambda far, null: far[:, None] <= null)


def copy_test__farther(generated, train, heldout):
    """How often a drawn picture is farther away: the wrong direction."""
    return _share(
        generated,
        train,
        heldout,
        lambda far, null: (far[:, None] > null).double() + (far[:, None] == null).double() / 2,
    )


def copy_test__against_the_mean(generated, train, heldout):
    """Compares with the mean distance of held-out pictures, not with each."""
    return _share(
        generated, train, heldout, lambda far, null: (far < null.mean()).double() + (far == null.mean()).double() / 2
    )


def copy_test__against_the_median(generated, train, heldout):
    """Compares with the median distance of held-out pictures: a threshold."""
    return _share(
        generated,
        train,
        heldout,
        lambda far, null: (far < null.median()).double() + (far == null.median()).double() / 2,
    )


def copy_test__pair_by_pair(generated, train, heldout):
    """Compares the first with the first, the second with the second: not all pairs."""

    def wins(far, null):
        size = min(len(far), len(null))
        return (far[:size] < null[:size]).double() + (far[:size] == null[:size]).double() / 2

    return _share(generated, train, heldout, wins)


def copy_test__nearest_of_heldout(generated, train, heldout):
    """`nearest` are rows of the held-out pictures in place of train."""
    share, _ = copy_test__right_skeleton(generated, train, heldout)
    return share, nearest_distances(generated, heldout)[1].numpy()


def copy_test__drawn_against_heldout(generated, train, heldout):
    """The null is the distance from drawn to held-out pictures, not from held-out ones to train."""
    far, nearest = nearest_distances(generated, train)
    null, _ = nearest_distances(generated, heldout)
    wins = (far[:, None] < null).double() + (far[:, None] == null).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__any_heldout(generated, train, heldout):
    """A drawing is nearer if it is nearer than the nearest of all held-out ones."""
    return _share(
        generated, train, heldout, lambda far, null: (far < null.min()).double() + (far == null.min()).double() / 2
    )


RIGHT["copy_test"] = [copy_test__right_skeleton, copy_test__right_by_sign]
WRONG["copy_test"] = [
    copy_test__ties_lose,
    copy_test__ties_win,
    copy_test__farther,
    copy_test__against_the_mean,
    copy_test__against_the_median,
    copy_test__pair_by_pair,
    copy_test__nearest_of_heldout,
    copy_test__drawn_against_heldout,
    copy_test__any_heldout,
]


RIGHT["shuffle_captions"].remove(shuffle_captions__right_skeleton)  # the alphabet undoes the random order
WRONG["shuffle_captions"].append(shuffle_captions__right_skeleton)
WRONG = {name: [(answer, answer.__doc__) for answer in answers] for name, answers in WRONG.items()}
