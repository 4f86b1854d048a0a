"""Answers of a student to lesson 05: two right ones and eight wrong ones for each exercise."""

import math
import random
from collections import Counter, defaultdict
from copy import deepcopy

import numpy as np
import torch

from minidalle.data.splits import draw_lot
from minidalle.generalization.copying import heldout_distances, nearest_distances
from minidalle.generalization.gap import LossGap, TokenNLL
from minidalle.generalization.hessian import check_loss, check_params, flatten, second_derivatives
from minidalle.generalization.lanczos import (
    apply,
    default_width,
    density_grid,
    lanczos,
    random_signs,
    random_start,
    slq_nodes,
)
from minidalle.generalization.landscape import interpolate, require_alike, row_lengths
from minidalle.generalization.rescaling import attention_branches
from minidalle.runtime import generator
from minidalle.training.sam import global_norm

RIGHT, WRONG = {}, {}


# ---------------------------------------------------------------------------------------- hold_out_groups


def hold_out_groups__right_skeleton(groups, share, seed):
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: round(share * len(ranked))])
    return [group in drawn for group in groups]


def hold_out_groups__right_ranks(groups, share, seed):
    lots = {group: draw_lot(seed, group) for group in groups}
    how_many = round(share * len(lots))
    rank = {group: place for place, (_, group) in enumerate(sorted((lot, group) for group, lot in lots.items()))}
    return [rank[group] < how_many for group in groups]


def hold_out_groups__rounded_down(groups, share, seed):
    """int() cuts the number of groups off where round() was asked for."""
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: int(share * len(ranked))])
    return [group in drawn for group in groups]


def hold_out_groups__forgot_set(groups, share, seed):
    """The list to draw from has a group once for each of its rows, so a large group uses up several places."""
    ranked = sorted(groups, key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: round(share * len(set(groups)))])
    return [group in drawn for group in groups]


def hold_out_groups__single_rows(groups, share, seed):
    """Each row has its own lot, so a group's rows land on both sides."""
    rows = sorted(range(len(groups)), key=lambda row: draw_lot(seed, groups[row], str(row)))
    drawn = set(rows[: round(share * len(groups))])
    return [row in drawn for row in range(len(groups))]


def hold_out_groups__largest_lots(groups, share, seed):
    """The groups with the largest lots are held out instead of the smallest."""
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group), reverse=True)
    drawn = set(ranked[: round(share * len(ranked))])
    return [group in drawn for group in groups]


def hold_out_groups__own_shuffle(groups, share, seed):
    """Shuffles the sorted groups by Python's random in place of draw_lot, so one more group changes who is drawn."""
    names = sorted(set(groups))
    random.Random(seed).shuffle(names)
    drawn = set(names[: round(share * len(names))])
    return [group in drawn for group in groups]


def hold_out_groups__own_coin_each(groups, share, seed):
    """Each group is out if its lot, read as a number from 0 to 1, is below the share: the count is only right on average."""

    def fraction(group):
        lot = draw_lot(seed, group)
        return int.from_bytes(lot, "big") / 256 ** len(lot)

    return [fraction(group) < share for group in groups]


def hold_out_groups__share_of_rows(groups, share, seed):
    """Groups are drawn until the share of the rows is reached, not the share of the groups."""
    sizes = Counter(groups)
    drawn, rows = set(), 0
    for group in sorted(sizes, key=lambda group: draw_lot(seed, group)):
        if rows >= round(share * len(groups)):
            break
        drawn.add(group)
        rows += sizes[group]
    return [group in drawn for group in groups]


def hold_out_groups__at_least_one(groups, share, seed):
    """Always holds out at least one group, also where share · G rounds to 0."""
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: max(1, round(share * len(ranked)))])
    return [group in drawn for group in groups]


RIGHT["hold_out_groups"] = [hold_out_groups__right_skeleton, hold_out_groups__right_ranks]
WRONG["hold_out_groups"] = [
    hold_out_groups__rounded_down,
    hold_out_groups__forgot_set,
    hold_out_groups__single_rows,
    hold_out_groups__largest_lots,
    hold_out_groups__own_shuffle,
    hold_out_groups__own_coin_each,
    hold_out_groups__share_of_rows,
    hold_out_groups__at_least_one,
]


# ---------------------------------------------------------------------------------------- token_nll


def _nats(logits, targets):
    """−log p of each target, [B, N]."""
    logs = torch.log_softmax(logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits, dim=-1)
    return -logs.gather(-1, targets[..., None]).squeeze(-1)


def token_nll__right_skeleton(logits, targets, mask):
    nats = _nats(logits, targets).where(mask, 0)
    totals, counts = nats.sum(1), mask.sum(1)
    mean = totals.sum() / counts.sum()
    errors = totals - mean * counts
    images = len(logits)
    se = (images / (images - 1) * errors.square().sum()).sqrt() / counts.sum()
    return mean, se, totals / counts


def token_nll__right_cross_entropy(logits, targets, mask):
    nats = torch.nn.functional.cross_entropy(logits.float().transpose(1, 2), targets, reduction="none")
    weight = mask.to(nats.dtype)
    per_image = (nats * weight).sum(1) / weight.sum(1)
    share = weight.sum(1) / weight.sum()
    mean = (share * per_image).sum()
    pulls = share * (per_image - mean)  # (s − m n) / Σ n
    number = logits.shape[0]
    return TokenNLL(mean, torch.sqrt(number / (number - 1) * (pulls**2).sum()), per_image)


def token_nll__mean_of_image_means(logits, targets, mask):
    """The mean is that of the images' means, so tokens of short images weigh more."""
    nats = _nats(logits, targets).where(mask, 0)
    totals, counts = nats.sum(1), mask.sum(1)
    per_image = totals / counts
    mean = per_image.mean()
    images = len(logits)
    se = (images / (images - 1) * (totals - mean * counts).square().sum()).sqrt() / counts.sum()
    return mean, se, per_image


def token_nll__error_over_tokens(logits, targets, mask):
    """The error is s/√n over all tokens that count, as if tokens were independent."""
    nats = _nats(logits, targets)
    counted = nats[mask]
    se = counted.std(correction=0) / math.sqrt(len(counted))
    return counted.mean(), se, nats.where(mask, 0).sum(1) / mask.sum(1)


def token_nll__error_of_image_means(logits, targets, mask):
    """The error is the standard deviation of the images' means over √B, which ignores how many tokens each has."""
    nats = _nats(logits, targets).where(mask, 0)
    totals, counts = nats.sum(1), mask.sum(1)
    per_image = totals / counts
    return totals.sum() / counts.sum(), per_image.std() / math.sqrt(len(per_image)), per_image


def token_nll__no_bessel(logits, targets, mask):
    """The factor B / (B − 1) is forgotten."""
    nats = _nats(logits, targets).where(mask, 0)
    totals, counts = nats.sum(1), mask.sum(1)
    mean = totals.sum() / counts.sum()
    se = (totals - mean * counts).square().sum().sqrt() / counts.sum()
    return mean, se, totals / counts


def token_nll__images_divided_by_all_places(logits, targets, mask):
    """Each image's mean is taken over all N places (masked ones as zeros), not over the tokens that count."""
    nats = _nats(logits, targets).where(mask, 0)
    totals, counts = nats.sum(1), mask.sum(1)
    mean = totals.sum() / counts.sum()
    images = len(logits)
    se = (images / (images - 1) * (totals - mean * counts).square().sum()).sqrt() / counts.sum()
    return mean, se, nats.mean(1)


def token_nll__spread_of_totals(logits, targets, mask):
    """The error compares each total with the mean total instead of with m · nᵢ."""
    nats = _nats(logits, targets).where(mask, 0)
    totals, counts = nats.sum(1), mask.sum(1)
    mean = totals.sum() / counts.sum()
    images = len(logits)
    se = (images / (images - 1) * (totals - totals.mean()).square().sum()).sqrt() / counts.sum()
    return mean, se, totals / counts


def token_nll__half_stays_half(logits, targets, mask):
    """The softmax is taken in half precision and only its result is raised to float32."""
    nats = -torch.log_softmax(logits, dim=-1).gather(-1, targets[..., None]).squeeze(-1).float()
    nats = nats.where(mask, 0)
    totals, counts = nats.sum(1), mask.sum(1)
    mean = totals.sum() / counts.sum()
    images = len(logits)
    se = (images / (images - 1) * (totals - mean * counts).square().sum()).sqrt() / counts.sum()
    return mean, se, totals / counts


def token_nll__log_of_softmax(logits, targets, mask):
    """Takes the logarithm of the softmax, which is infinite where a probability is too small for a float."""
    chances = torch.softmax(logits.float(), dim=-1).gather(-1, targets[..., None]).squeeze(-1)
    nats = -chances.log() * mask
    totals, counts = nats.sum(1), mask.sum(1)
    mean = totals.sum() / counts.sum()
    images = len(logits)
    se = (images / (images - 1) * (totals - mean * counts).square().sum()).sqrt() / counts.sum()
    return mean, se, totals / counts


RIGHT["token_nll"] = [token_nll__right_skeleton, token_nll__right_cross_entropy]
WRONG["token_nll"] = [
    token_nll__mean_of_image_means,
    token_nll__error_over_tokens,
    token_nll__error_of_image_means,
    token_nll__no_bessel,
    token_nll__images_divided_by_all_places,
    token_nll__spread_of_totals,
    token_nll__half_stays_half,
    token_nll__log_of_softmax,
]


# ---------------------------------------------------------------------------------------- loss_gap


def _sums_by_group(errors, groups):
    names, numbers = groups.unique(return_inverse=True)
    return errors.new_zeros(len(names)).index_add(0, numbers, errors)


def loss_gap__right_skeleton(seen, unseen, seen_groups, unseen_groups):
    errors = torch.cat([-(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    sums = _sums_by_group(errors, torch.cat([seen_groups, unseen_groups]))
    count = len(sums)
    se = (count / (count - 1) * sums.square().sum()).sqrt()
    return unseen.mean() - seen.mean(), se


def loss_gap__right_dictionary(seen, unseen, seen_groups, unseen_groups):
    moves = defaultdict(float)
    mean_seen, mean_unseen = seen.double().mean().item(), unseen.double().mean().item()
    for loss, group in zip(unseen.tolist(), unseen_groups.tolist(), strict=True):
        moves[group] += (loss - mean_unseen) / len(unseen)
    for loss, group in zip(seen.tolist(), seen_groups.tolist(), strict=True):
        moves[group] -= (loss - mean_seen) / len(seen)
    variance = len(moves) / (len(moves) - 1) * sum(move**2 for move in moves.values())
    return LossGap(seen.new_tensor(mean_unseen - mean_seen), seen.new_tensor(math.sqrt(variance)))


def loss_gap__seen_minus_unseen(seen, unseen, seen_groups, unseen_groups):
    """The gap is taken the other way round, seen minus unseen."""
    errors = torch.cat([(seen - seen.mean()) / len(seen), -(unseen - unseen.mean()) / len(unseen)])
    sums = _sums_by_group(errors, torch.cat([seen_groups, unseen_groups]))
    se = (len(sums) / (len(sums) - 1) * sums.square().sum()).sqrt()
    return seen.mean() - unseen.mean(), se


def loss_gap__independent_examples(seen, unseen, seen_groups, unseen_groups):
    """The error squares each example's part, without adding up within groups first."""
    errors = torch.cat([-(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    se = (len(errors) / (len(errors) - 1) * errors.square().sum()).sqrt()
    return unseen.mean() - seen.mean(), se


def loss_gap__sides_apart(seen, unseen, seen_groups, unseen_groups):
    """Each side gets its own error over groups, and the variances are added: a group on both sides counts as two."""

    def variance(losses, groups):
        sums = _sums_by_group((losses - losses.mean()) / len(losses), groups)
        return len(sums) / max(len(sums) - 1, 1) * sums.square().sum()

    se = (variance(seen, seen_groups) + variance(unseen, unseen_groups)).sqrt()
    return unseen.mean() - seen.mean(), se


def loss_gap__no_minus_on_seen(seen, unseen, seen_groups, unseen_groups):
    """Seen examples enter u(g) with a plus, so what both sides have in common doubles instead of cancelling."""
    errors = torch.cat([(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    sums = _sums_by_group(errors, torch.cat([seen_groups, unseen_groups]))
    se = (len(sums) / (len(sums) - 1) * sums.square().sum()).sqrt()
    return unseen.mean() - seen.mean(), se


def loss_gap__no_correction(seen, unseen, seen_groups, unseen_groups):
    """The factor G / (G − 1) is forgotten."""
    errors = torch.cat([-(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    sums = _sums_by_group(errors, torch.cat([seen_groups, unseen_groups]))
    return unseen.mean() - seen.mean(), sums.square().sum().sqrt()


def loss_gap__groups_counted_twice(seen, unseen, seen_groups, unseen_groups):
    """G is the groups of one side plus those of the other, so a group on both sides is counted twice."""
    errors = torch.cat([-(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    sums = _sums_by_group(errors, torch.cat([seen_groups, unseen_groups]))
    count = len(seen_groups.unique()) + len(unseen_groups.unique())
    se = (count / (count - 1) * sums.square().sum()).sqrt()
    return unseen.mean() - seen.mean(), se


def loss_gap__standard_error_of_mean_again(seen, unseen, seen_groups, unseen_groups):
    """Takes the standard deviation of u(g) over √G, as for a mean, though the u(g) add up."""
    errors = torch.cat([-(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    sums = _sums_by_group(errors, torch.cat([seen_groups, unseen_groups]))
    return unseen.mean() - seen.mean(), sums.std() / math.sqrt(len(sums))


def loss_gap__divided_by_group_size(seen, unseen, seen_groups, unseen_groups):
    """u(g) uses the mean within the group on each side, dividing by the group's size and not by the side's."""
    names = torch.cat([seen_groups, unseen_groups]).unique().tolist()
    moves = []
    for name in names:
        move = seen.new_zeros(())
        if (unseen_groups == name).any():
            move = move + (unseen[unseen_groups == name] - unseen.mean()).mean()
        if (seen_groups == name).any():
            move = move - (seen[seen_groups == name] - seen.mean()).mean()
        moves.append(move)
    moves = torch.stack(moves)
    se = (len(names) / (len(names) - 1) * moves.square().sum()).sqrt()
    return unseen.mean() - seen.mean(), se


RIGHT["loss_gap"] = [loss_gap__right_skeleton, loss_gap__right_dictionary]
WRONG["loss_gap"] = [
    loss_gap__seen_minus_unseen,
    loss_gap__independent_examples,
    loss_gap__sides_apart,
    loss_gap__no_minus_on_seen,
    loss_gap__no_correction,
    loss_gap__groups_counted_twice,
    loss_gap__standard_error_of_mean_again,
    loss_gap__divided_by_group_size,
]


# ---------------------------------------------------------------------------------------- shuffle_captions


def _random_line(rows, seed):
    places = torch.randperm(len(rows), generator=generator(seed, "shuffled captions")).tolist()
    return [rows[place] for place in places]


def _in_blocks(rows, captions):
    """Rows of equal captions together, in the order in which captions are met."""
    blocks = {}
    for row in rows:
        blocks.setdefault(captions[row], []).append(row)
    return [row for block in blocks.values() for row in block]


def _most(rows, captions):
    return max(Counter(captions[row] for row in rows).values())


def _give(line, further, captions):
    order = list(range(len(captions)))
    for row, other in zip(line, line[further:] + line[:further], strict=True):
        order[row] = other
    return order


def shuffle_captions__right_skeleton(captions, splits, seed=0):
    train = [row for row, split in enumerate(splits) if split == "train"]
    line = _in_blocks(_random_line(train, seed), captions)
    return _give(line, _most(train, captions), captions)


def shuffle_captions__right_half_a_round(captions, splits, seed=0):
    # No caption has more than half of the rows, so half a round is far enough for each of them.
    train = [row for row in range(len(captions)) if splits[row] == "train"]
    random.Random(seed).shuffle(train)
    first_met = {}
    for row in train:
        first_met.setdefault(captions[row], len(first_met))
    train.sort(key=lambda row: first_met[captions[row]])  # stable
    order = list(range(len(captions)))
    for place, row in enumerate(train):
        order[row] = train[(place + len(train) // 2) % len(train)]
    return order


def shuffle_captions__plain_shuffle(captions, splits, seed=0):
    """A random permutation of the training rows, in which some rows keep their caption by chance."""
    train = [row for row, split in enumerate(splits) if split == "train"]
    order = list(range(len(captions)))
    for row, other in zip(train, _random_line(train, seed), strict=True):
        order[row] = other
    return order


def shuffle_captions__next_in_circle(captions, splits, seed=0):
    """As with the presents, each row takes the next one's caption: never its own row, but perhaps the same words."""
    train = [row for row, split in enumerate(splits) if split == "train"]
    return _give(_random_line(train, seed), 1, captions)


def shuffle_captions__heldout_too(captions, splits, seed=0):
    """All rows are shuffled, so held-out rows get other captions and training rows get theirs."""
    rows = list(range(len(captions)))
    line = _in_blocks(_random_line(rows, seed), captions)
    return _give(line, _most(rows, captions), captions)


def shuffle_captions__alphabetical(captions, splits, seed=0):
    """Equal captions are brought together by sorting, so that different captions stand the same way for every seed."""
    train = [row for row, split in enumerate(splits) if split == "train"]
    line = sorted(_random_line(train, seed), key=lambda row: captions[row])
    return _give(line, _most(train, captions), captions)


def shuffle_captions__not_in_blocks(captions, splits, seed=0):
    """Moves on by m places in the random order without bringing equal captions together."""
    train = [row for row, split in enumerate(splits) if split == "train"]
    return _give(_random_line(train, seed), _most(train, captions), captions)


def shuffle_captions__most_of_all_rows(captions, splits, seed=0):
    """Counts the most frequent caption over all rows, held-out ones included, so the shift can be too far."""
    train = [row for row, split in enumerate(splits) if split == "train"]
    line = _in_blocks(_random_line(train, seed), captions)
    return _give(line, max(Counter(captions).values()), captions)


def shuffle_captions__any_other_words(captions, splits, seed=0):
    """Each row draws a caption from all training rows with other words, so some captions occur twice and some never."""
    chance = random.Random(seed)
    train = [row for row, split in enumerate(splits) if split == "train"]
    order = list(range(len(captions)))
    for row in train:
        order[row] = chance.choice([other for other in train if captions[other] != captions[row]])
    return order


def shuffle_captions__new_each_time(captions, splits, seed=0):
    """Takes torch's global random numbers and not the seed: each call, and so each epoch, gives another order."""
    train = [row for row, split in enumerate(splits) if split == "train"]
    shuffled = [train[place] for place in torch.randperm(len(train)).tolist()]
    return _give(_in_blocks(shuffled, captions), _most(train, captions), captions)


RIGHT["shuffle_captions"] = [shuffle_captions__right_skeleton, shuffle_captions__right_half_a_round]
WRONG["shuffle_captions"] = [
    shuffle_captions__plain_shuffle,
    shuffle_captions__next_in_circle,
    shuffle_captions__heldout_too,
    shuffle_captions__alphabetical,
    shuffle_captions__not_in_blocks,
    shuffle_captions__most_of_all_rows,
    shuffle_captions__any_other_words,
    shuffle_captions__new_each_time,
]


# ---------------------------------------------------------------------------------------- hvp


def _slopes(loss, params):
    return torch.autograd.grad(loss, params, create_graph=True, materialize_grads=True)


def hvp__right_skeleton(loss_fn, params, v):
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slopes = _slopes(loss, params)
        slope = flatten(slopes) @ v.to(slopes[0].dtype)
        if not slope.requires_grad:
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v.dtype)


def hvp__right_pieces(loss_fn, params, v):
    params = list(params)
    check_params(params, v)
    pieces = [piece.reshape(param.shape).to(param.dtype)
              for piece, param in zip(v.detach().split([param.numel() for param in params]), params, strict=True)]  # fmt: skip
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slopes = torch.autograd.grad(loss, params, create_graph=True, allow_unused=True)
        bending = [(slope, piece) for slope, piece in zip(slopes, pieces, strict=True)
                   if slope is not None and slope.requires_grad]  # fmt: skip
        if not bending:
            return torch.zeros_like(v)
        found = torch.autograd.grad([slope for slope, _ in bending], params, [piece for _, piece in bending],
                                    allow_unused=True)  # fmt: skip
    found = [torch.zeros_like(param) if one is None else one for one, param in zip(found, params, strict=True)]
    return torch.cat([one.reshape(-1) for one in found]).to(v.dtype)


def hvp__slope_times_gradient(loss_fn, params, v):
    """Multiplies the gradient by the slope along v, g (g · v), in place of differentiating the slope."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        gradient = flatten(torch.autograd.grad(loss, params, materialize_grads=True))
        return (gradient * (gradient @ v.to(gradient.dtype))).to(v.dtype)


def hvp__difference_of_gradients(loss_fn, params, v):
    """Takes the difference of two gradients, a step of 0.01 v apart, which is exact only for quadratic losses."""
    check_params(params, v)
    step = 0.01
    pieces = [piece.reshape(param.shape).to(param.dtype)
              for piece, param in zip(v.split([param.numel() for param in params]), params, strict=True)]  # fmt: skip
    before = [param.detach().clone() for param in params]
    with second_derivatives(params):
        here = flatten(torch.autograd.grad(loss_fn(), params, materialize_grads=True))
        with torch.no_grad():
            for param, piece in zip(params, pieces, strict=True):
                param.add_(step * piece)
        there = flatten(torch.autograd.grad(loss_fn(), params, materialize_grads=True))
        with torch.no_grad():
            for param, old in zip(params, before, strict=True):
                param.copy_(old)
    return ((there - here) / step).to(v.dtype)


def hvp__flat_means_linear(loss_fn, params, v):
    """Takes a slope of 0 for the sign of a linear loss, and so gives 0 at every minimum."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slopes = _slopes(loss, params)
        slope = flatten(slopes) @ v.to(slopes[0].dtype)
        if slope == 0 or not slope.requires_grad:
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v.dtype)


def hvp__through_grad(loss_fn, params, v):
    """Uses backward(), so that what was in .grad is lost and the product is left there."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slopes = _slopes(loss, params)
        slope = flatten(slopes) @ v.to(slopes[0].dtype)
        if not slope.requires_grad:
            return torch.zeros_like(v)
        for param in params:
            param.grad = None
        slope.backward(inputs=list(params))
        parts = [torch.zeros_like(param) if param.grad is None else param.grad for param in params]
        return flatten(parts).detach().clone().to(v.dtype)


def hvp__unit_vector(loss_fn, params, v):
    """Makes v a unit vector first, as for a directional derivative, so the length of v is lost."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slopes = _slopes(loss, params)
        direction = v.to(slopes[0].dtype)
        length = direction.norm()
        slope = flatten(slopes) @ (direction / length if length > 0 else direction)
        if not slope.requires_grad:
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v.dtype)


def hvp__mean_slope(loss_fn, params, v):
    """Takes the mean of g ⊙ v and not the sum, so the product is P times too small."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slopes = _slopes(loss, params)
        slope = (flatten(slopes) * v.to(slopes[0].dtype)).mean()
        if not slope.requires_grad:
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v.dtype)


def hvp__row_sums(loss_fn, params, v):
    """Differentiates the sum of the gradient and multiplies by v afterwards: row sums of H times v, number by number."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        total = flatten(_slopes(loss, params)).sum()
        if not total.requires_grad:
            return torch.zeros_like(v)
        sums = flatten(torch.autograd.grad(total, params, materialize_grads=True))
        return sums.to(v.dtype) * v


def hvp__checks_another_loss(loss_fn, params, v):
    """Calls loss_fn a second time for the check, so it is called twice and random numbers or data may move on."""
    check_params(params, v)
    with second_derivatives(params):
        check_loss(loss_fn())
        slopes = _slopes(loss_fn(), params)
        slope = flatten(slopes) @ v.to(slopes[0].dtype)
        if not slope.requires_grad:
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v.dtype)


RIGHT["hvp"] = [hvp__right_skeleton, hvp__right_pieces]
WRONG["hvp"] = [
    hvp__slope_times_gradient,
    hvp__difference_of_gradients,
    hvp__flat_means_linear,
    hvp__through_grad,
    hvp__unit_vector,
    hvp__mean_slope,
    hvp__row_sums,
    hvp__checks_another_loss,
]


# ---------------------------------------------------------------------------------------- top_eigenvalue


def _end(values, which):
    if which == "LM":
        return 0 if abs(values[0]) > abs(values[-1]) else -1
    return 0 if which == "SA" else -1


def top_eigenvalue__right_skeleton(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = _end(ritz.values, which)
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance * abs(value):
            break
    return value, error


def top_eigenvalue__right_candidates(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    height = {"LA": lambda pair: pair[0], "SA": lambda pair: -pair[0], "LM": lambda pair: abs(pair[0])}[which]
    found = None
    for ritz in lanczos(product, random_start(dim, seed), most):
        found = max(zip(ritz.values.tolist(), ritz.errors.tolist(), strict=True), key=height)
        if found[1] <= tolerance * abs(found[0]):
            return found
    return found


def top_eigenvalue__magnitude_without_sign(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """For "LM" the magnitude itself is returned: 10 for −10."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = _end(ritz.values, which)
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if which == "LM":
            value = abs(value)
        if error <= tolerance * abs(value):
            break
    return value, error


def top_eigenvalue__magnitude_is_last(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Takes the last Ritz value for "LM", too, as if the largest were always the largest in magnitude."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = 0 if which == "SA" else -1
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance * abs(value):
            break
    return value, error


def top_eigenvalue__smallest_magnitude(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Reads "SA" as the smallest in magnitude: 1 and not −10."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = int(ritz.values.abs().argmin()) if which == "SA" else _end(ritz.values, which)
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance * abs(value):
            break
    return value, error


def top_eigenvalue__stops_when_it_moves_little(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Stops when two values in a row differ by less than the tolerance, and takes their difference for the error."""
    value, error = None, math.inf
    for ritz in lanczos(product, random_start(dim, seed), most):
        new = ritz.values[_end(ritz.values, which)].item()
        if value is not None:
            error = abs(new - value)
        value = new
        if error <= tolerance * abs(value):
            break
    return value, error


def top_eigenvalue__absolute_tolerance(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Compares the error with the tolerance itself and not with tolerance · |value|."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = _end(ritz.values, which)
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance:
            break
    return value, error


def top_eigenvalue__relative_error_returned(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Returns the error relative to the value, which is no bound in the value's units."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = _end(ritz.values, which)
        value = ritz.values[end].item()
        error = ritz.errors[end].item() / max(abs(value), 1e-12)
        if error <= tolerance:
            break
    return value, error


def top_eigenvalue__error_of_the_last(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Always looks at the last error, also where the value is the first one."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        value, error = ritz.values[_end(ritz.values, which)].item(), ritz.errors[-1].item()
        if error <= tolerance * abs(value):
            break
    return value, error


def top_eigenvalue__starts_with_ones(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Starts with a vector of ones, to which an eigenvector may be orthogonal, so that it is left out."""
    for ritz in lanczos(product, torch.ones(dim, dtype=torch.float64), most):
        end = _end(ritz.values, which)
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance * abs(value):
            break
    return value, error


RIGHT["top_eigenvalue"] = [top_eigenvalue__right_skeleton, top_eigenvalue__right_candidates]
WRONG["top_eigenvalue"] = [
    top_eigenvalue__magnitude_without_sign,
    top_eigenvalue__magnitude_is_last,
    top_eigenvalue__smallest_magnitude,
    top_eigenvalue__stops_when_it_moves_little,
    top_eigenvalue__absolute_tolerance,
    top_eigenvalue__relative_error_returned,
    top_eigenvalue__error_of_the_last,
    top_eigenvalue__starts_with_ones,
]


# ---------------------------------------------------------------------------------------- hutchinson_trace


def _samples(product, dim, samples, seed):
    signs = [random_signs(dim, seed, k) for k in range(samples)]
    return torch.stack([z @ apply(product, z) for z in signs])


def hutchinson_trace__right_skeleton(product, dim, samples, seed=0):
    values = _samples(product, dim, samples, seed)
    return values.mean().item(), (values.std() / math.sqrt(samples)).item()


def hutchinson_trace__right_numpy(product, dim, samples, seed=0):
    chance = np.random.default_rng([seed, 5])
    found = []
    for _ in range(samples):
        z = torch.from_numpy(chance.choice([-1.0, 1.0], size=dim))
        found.append(float((z * apply(product, z)).sum()))
    mean = sum(found) / samples
    variance = sum((one - mean) ** 2 for one in found) / (samples - 1)
    return mean, math.sqrt(variance / samples)


def hutchinson_trace__normal_numbers(product, dim, samples, seed=0):
    """Takes normal numbers for z in place of signs, so that a diagonal matrix's trace has an error."""
    starts = [random_start(dim, seed * samples + k) for k in range(samples)]
    values = torch.stack([z @ apply(product, z) for z in starts])
    return values.mean().item(), (values.std() / math.sqrt(samples)).item()


def hutchinson_trace__mean_over_weights(product, dim, samples, seed=0):
    """Takes the mean of z ⊙ Hz and not the sum: the mean eigenvalue, the trace over P."""
    signs = [random_signs(dim, seed, k) for k in range(samples)]
    values = torch.stack([(z * apply(product, z)).mean() for z in signs])
    return values.mean().item(), (values.std() / math.sqrt(samples)).item()


def hutchinson_trace__divided_by_n(product, dim, samples, seed=0):
    """The standard deviation has n below, as numpy's does, and not n − 1."""
    values = _samples(product, dim, samples, seed).numpy()
    return float(values.mean()), float(values.std() / np.sqrt(samples))


def hutchinson_trace__standard_deviation(product, dim, samples, seed=0):
    """Gives the standard deviation of a sample for the standard error of the mean: √n is forgotten."""
    values = _samples(product, dim, samples, seed)
    return values.mean().item(), values.std().item()


def hutchinson_trace__variance_of_the_mean(product, dim, samples, seed=0):
    """Gives the variance over n, and forgets the root."""
    values = _samples(product, dim, samples, seed)
    return values.mean().item(), (values.var() / samples).item()


def hutchinson_trace__same_signs(product, dim, samples, seed=0):
    """k is not passed on, so all samples are of the same vector and the error is always 0."""
    signs = [random_signs(dim, seed) for _ in range(samples)]
    values = torch.stack([z @ apply(product, z) for z in signs])
    return values.mean().item(), (values.std() / math.sqrt(samples)).item()


def hutchinson_trace__stops_when_it_moves_little(product, dim, samples, seed=0):
    """Stops as soon as another vector changes the mean by less than a hundredth."""
    values = []
    for k in range(samples):
        z = random_signs(dim, seed, k)
        before = sum(values) / len(values) if values else math.inf
        values.append(float(z @ apply(product, z)))
        mean = sum(values) / len(values)
        if len(values) > 1 and abs(mean - before) <= 0.01 * abs(mean):
            break
    return mean, float(np.std(values, ddof=1) / np.sqrt(len(values)))


def hutchinson_trace__n_minus_one_twice(product, dim, samples, seed=0):
    """n − 1 stands below the root, too: std() / √(n − 1)."""
    values = _samples(product, dim, samples, seed)
    return values.mean().item(), (values.std() / math.sqrt(samples - 1)).item()


RIGHT["hutchinson_trace"] = [hutchinson_trace__right_skeleton, hutchinson_trace__right_numpy]
WRONG["hutchinson_trace"] = [
    hutchinson_trace__normal_numbers,
    hutchinson_trace__mean_over_weights,
    hutchinson_trace__divided_by_n,
    hutchinson_trace__standard_deviation,
    hutchinson_trace__variance_of_the_mean,
    hutchinson_trace__same_signs,
    hutchinson_trace__stops_when_it_moves_little,
    hutchinson_trace__n_minus_one_twice,
]


# ---------------------------------------------------------------------------------------- slq_density


def _bells(grid, values, width):
    return torch.exp(-0.5 * ((grid[:, None] - values) / width) ** 2) / (width * math.sqrt(2 * math.pi))


def slq_density__right_skeleton(product, dim, steps, probes, seed=0, width=None):
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    return grid, _bells(grid, values, width) @ weights


def slq_density__right_loop(product, dim, steps, probes, seed=0, width=None):
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    if width is None:
        width = default_width(values)
    grid = density_grid(values, width)
    density = torch.zeros_like(grid)
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        density += weight * torch.distributions.Normal(value, width).log_prob(grid).exp()
    return grid, density


def slq_density__no_half(product, dim, steps, probes, seed=0, width=None):
    """The 2 in the exponent is forgotten: exp(−(x − v)² / width²)."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    bells = torch.exp(-(((grid[:, None] - values) / width) ** 2)) / (width * math.sqrt(2 * math.pi))
    return grid, bells @ weights


def slq_density__bells_without_width(product, dim, steps, probes, seed=0, width=None):
    """Divides by √(2π) only, the constant of the standard normal, so bells do not have the area 1."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    bells = torch.exp(-0.5 * ((grid[:, None] - values) / width) ** 2) / math.sqrt(2 * math.pi)
    return grid, bells @ weights


def slq_density__equal_weights(product, dim, steps, probes, seed=0, width=None):
    """Takes the mean of all bells, as if every Ritz value weighed the same."""
    values, _ = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    return grid, _bells(grid, values, width).mean(1)


def slq_density__probes_again(product, dim, steps, probes, seed=0, width=None):
    """Divides by the number of probes once more, though the weights of all of them already add up to 1."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    return grid, _bells(grid, values, width) @ weights / probes


def slq_density__counts_eigenvalues(product, dim, steps, probes, seed=0, width=None):
    """Multiplies by P, so the area is the number of eigenvalues and not 1."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    return grid, dim * (_bells(grid, values, width) @ weights)


def slq_density__width_not_used(product, dim, steps, probes, seed=0, width=None):
    """The default width overwrites the one that was given."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values)
    grid = density_grid(values, width)
    return grid, _bells(grid, values, width) @ weights


def slq_density__seed_not_passed(product, dim, steps, probes, seed=0, width=None):
    """The seed is not passed on to slq_nodes, so every seed gives the curve of 0."""
    values, weights = slq_nodes(product, dim, steps, probes)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    return grid, _bells(grid, values, width) @ weights


def slq_density__width_is_variance(product, dim, steps, probes, seed=0, width=None):
    """Uses the width as if it were a variance: exp(−(x − v)² / (2 width)) / √(2π width)."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    bells = torch.exp(-((grid[:, None] - values) ** 2) / (2 * width)) / math.sqrt(2 * math.pi * width)
    return grid, bells @ weights


RIGHT["slq_density"] = [slq_density__right_skeleton, slq_density__right_loop]
WRONG["slq_density"] = [
    slq_density__no_half,
    slq_density__bells_without_width,
    slq_density__equal_weights,
    slq_density__probes_again,
    slq_density__counts_eigenvalues,
    slq_density__width_not_used,
    slq_density__seed_not_passed,
    slq_density__width_is_variance,
]


# ---------------------------------------------------------------------------------------- sam_perturbation


def sam_perturbation__right_skeleton(params, gradients, rho, adaptive=False):
    weights = [param.detach().abs() if adaptive else torch.ones_like(param) for param in params]
    scaled = [weight * gradient for weight, gradient in zip(weights, gradients, strict=True)]
    norm = global_norm(scaled)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [rho * weight * part / norm for weight, part in zip(weights, scaled, strict=True)]


def sam_perturbation__right_by_hand(params, gradients, rho, adaptive=False):
    with torch.no_grad():
        squares = 0.0
        for param, gradient in zip(params, gradients, strict=True):
            part = gradient.double() * param.abs().double() if adaptive else gradient.double()
            squares += float(part.square().sum())
        length = math.sqrt(squares) if math.isfinite(squares) else math.inf
        if length == 0 or not math.isfinite(length):
            return [param.new_zeros(param.shape) for param in params]
        if adaptive:
            return [
                param.square() * gradient * (rho / length) for param, gradient in zip(params, gradients, strict=True)
            ]
        return [gradient * (rho / length) for gradient in gradients]


def sam_perturbation__each_tensor_alone(params, gradients, rho, adaptive=False):
    """Each tensor is divided by its own length, so each takes a step of ρ."""
    steps = []
    for param, gradient in zip(params, gradients, strict=True):
        weight = param.detach().abs() if adaptive else torch.ones_like(param)
        norm = global_norm([weight * gradient])
        steps.append(rho * weight**2 * gradient / norm if 0 < norm < math.inf else torch.zeros_like(param))
    return steps


def sam_perturbation__downhill(params, gradients, rho, adaptive=False):
    """Steps against the gradient, as in descent, and not where the loss rises."""
    weights = [param.detach().abs() if adaptive else torch.ones_like(param) for param in params]
    scaled = [weight * gradient for weight, gradient in zip(weights, gradients, strict=True)]
    norm = global_norm(scaled)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [-rho * weight * part / norm for weight, part in zip(weights, scaled, strict=True)]


def sam_perturbation__adaptive_is_delta(params, gradients, rho, adaptive=False):
    """Adaptive, gives δ = ρ |w| g / ‖|w| g‖ and forgets to multiply by |w| once more."""
    weights = [param.detach().abs() if adaptive else torch.ones_like(param) for param in params]
    scaled = [weight * gradient for weight, gradient in zip(weights, gradients, strict=True)]
    norm = global_norm(scaled)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [rho * part / norm for part in scaled]


def sam_perturbation__adaptive_length_of_step(params, gradients, rho, adaptive=False):
    """Adaptive, divides by ‖w² g‖, so the length of ε is ρ and not that of ε / |w|."""
    scaled = [
        param.detach() ** 2 * gradient if adaptive else gradient
        for param, gradient in zip(params, gradients, strict=True)
    ]
    norm = global_norm(scaled)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [rho * part / norm for part in scaled]


def sam_perturbation__adaptive_plain_norm(params, gradients, rho, adaptive=False):
    """Adaptive, divides w² g by the length of the plain gradient."""
    norm = global_norm(gradients)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [
        rho * (param.detach() ** 2 if adaptive else 1.0) * gradient / norm
        for param, gradient in zip(params, gradients, strict=True)
    ]


def sam_perturbation__small_number_below(params, gradients, rho, adaptive=False):
    """Adds 1e-12 to the norm against 0 / 0, and forgets gradients that are not finite: ε is NaN."""
    weights = [param.detach().abs() if adaptive else torch.ones_like(param) for param in params]
    scaled = [weight * gradient for weight, gradient in zip(weights, gradients, strict=True)]
    norm = global_norm(scaled) + 1e-12
    return [rho * weight * part / norm for weight, part in zip(weights, scaled, strict=True)]


def sam_perturbation__only_bad_numbers_zero(params, gradients, rho, adaptive=False):
    """Sets only the numbers that are not finite to zero and steps along the rest, where all of ε should be 0."""
    gradients = [torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0) for gradient in gradients]
    weights = [param.detach().abs() if adaptive else torch.ones_like(param) for param in params]
    scaled = [weight * gradient for weight, gradient in zip(weights, gradients, strict=True)]
    norm = global_norm(scaled)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [rho * weight * part / norm for weight, part in zip(weights, scaled, strict=True)]


def sam_perturbation__adaptive_by_tensor(params, gradients, rho, adaptive=False):
    """Adaptive, takes the length ‖w‖ of each tensor for |w|, and not each number's own size."""
    weights = [
        torch.full_like(param.detach(), float(param.detach().norm())) if adaptive else torch.ones_like(param)
        for param in params
    ]
    scaled = [weight * gradient for weight, gradient in zip(weights, gradients, strict=True)]
    norm = global_norm(scaled)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [rho * weight * part / norm for weight, part in zip(weights, scaled, strict=True)]


RIGHT["sam_perturbation"] = [sam_perturbation__right_skeleton, sam_perturbation__right_by_hand]
WRONG["sam_perturbation"] = [
    sam_perturbation__each_tensor_alone,
    sam_perturbation__downhill,
    sam_perturbation__adaptive_is_delta,
    sam_perturbation__adaptive_length_of_step,
    sam_perturbation__adaptive_plain_norm,
    sam_perturbation__small_number_below,
    sam_perturbation__only_bad_numbers_zero,
    sam_perturbation__adaptive_by_tensor,
]


# ---------------------------------------------------------------------------------------- filter_normalize


def filter_normalize__right_skeleton(direction, params):
    require_alike("direction", direction, params)
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() <= 1:
            normalized.append(torch.zeros_like(step))
        else:
            length = row_lengths(step)
            normalized.append(step * torch.where(length > 0, row_lengths(weights) / length, 0.0))
    return normalized


def filter_normalize__right_row_by_row(direction, params):
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        new = torch.zeros_like(step)
        if step.dim() > 1:
            for i in range(len(step)):
                length = step[i].norm()
                if length > 0:
                    new[i] = step[i] / length * weights[i].detach().norm()
        normalized.append(new)
    return normalized


def filter_normalize__whole_tensors(direction, params):
    """Gives each tensor the length of its weights as a whole, and not each row."""
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        length = step.norm()
        if step.dim() <= 1 or length == 0:
            normalized.append(torch.zeros_like(step))
        else:
            normalized.append(step * weights.detach().norm() / length)
    return normalized


def filter_normalize__columns(direction, params):
    """Measures along the first axis: columns, what one input feeds, in place of rows."""
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() <= 1:
            normalized.append(torch.zeros_like(step))
        else:
            length = step.norm(dim=0, keepdim=True)
            normalized.append(step * torch.where(length > 0, weights.detach().norm(dim=0, keepdim=True) / length, 0.0))
    return normalized


def filter_normalize__last_axis_only(direction, params):
    """Measures along the last axis only, which is a row of a matrix but not of a convolution."""
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() <= 1:
            normalized.append(torch.zeros_like(step))
        else:
            length = step.norm(dim=-1, keepdim=True)
            normalized.append(step * torch.where(length > 0, weights.detach().norm(dim=-1, keepdim=True) / length, 0.0))
    return normalized


def filter_normalize__biases_kept(direction, params):
    """Leaves the direction of biases and norms as it is in place of setting it to zero."""
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() <= 1:
            normalized.append(step.clone())
        else:
            length = row_lengths(step)
            normalized.append(step * torch.where(length > 0, row_lengths(weights.detach()) / length, 0.0))
    return normalized


def filter_normalize__biases_scaled(direction, params):
    """Gives the direction of a bias the length of the bias, as if it were one row, and not zero."""
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() <= 1:
            length = step.norm()
            normalized.append(step * weights.detach().norm() / length if length > 0 else torch.zeros_like(step))
        else:
            length = row_lengths(step)
            normalized.append(step * torch.where(length > 0, row_lengths(weights.detach()) / length, 0.0))
    return normalized


def filter_normalize__zero_over_zero(direction, params):
    """Divides without a look at rows of the direction that are all zero: they become NaN."""
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() <= 1:
            normalized.append(torch.zeros_like(step))
        else:
            normalized.append(step * row_lengths(weights.detach()) / row_lengths(step))
    return normalized


def filter_normalize__zero_weights_keep_direction(direction, params):
    """Where a row of weights is zero, its direction is left as it is and not set to zero."""
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() <= 1:
            normalized.append(torch.zeros_like(step))
        else:
            length, target = row_lengths(step), row_lengths(weights.detach())
            normalized.append(step * torch.where((length > 0) & (target > 0), target / length, 1.0))
    return normalized


def filter_normalize__upside_down(direction, params):
    """Multiplies by the direction's length over that of the weights: the fraction is upside down."""
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() <= 1:
            normalized.append(torch.zeros_like(step))
        else:
            length = row_lengths(weights.detach())
            normalized.append(step * torch.where(length > 0, row_lengths(step) / length, 0.0))
    return normalized


RIGHT["filter_normalize"] = [filter_normalize__right_skeleton, filter_normalize__right_row_by_row]
WRONG["filter_normalize"] = [
    filter_normalize__whole_tensors,
    filter_normalize__columns,
    filter_normalize__last_axis_only,
    filter_normalize__biases_kept,
    filter_normalize__biases_scaled,
    filter_normalize__zero_over_zero,
    filter_normalize__zero_weights_keep_direction,
    filter_normalize__upside_down,
]


# ---------------------------------------------------------------------------------------- barrier


def _way(loss, w0, w1, ts):
    return [float(loss(interpolate(w0, w1, t))) for t in ts]


def barrier__right_skeleton(loss, w0, w1, points=11):
    way = torch.linspace(0, 1, points, dtype=torch.float64)
    losses = torch.tensor([loss(interpolate(w0, w1, t)) for t in way.tolist()], dtype=torch.float64)
    line = torch.lerp(losses[0], losses[-1], way)
    return float((losses - line).max())


def barrier__right_loop(loss, w0, w1, points=11):
    first, last = float(loss(w0)), float(loss(w1))
    highest = 0.0
    for i in range(1, points - 1):
        t = i / (points - 1)
        rise = float(loss(interpolate(w0, w1, t))) - ((1 - t) * first + t * last)
        highest = max(highest, rise)
    return highest


def barrier__above_the_lower_end(loss, w0, w1, points=11):
    """Measures from the lower one of both ends and not from the line between them."""
    losses = _way(loss, w0, w1, np.linspace(0, 1, points).tolist())
    return max(losses) - min(losses[0], losses[-1])


def barrier__above_the_higher_end(loss, w0, w1, points=11):
    """Measures from the higher one of both ends and not from the line between them."""
    losses = _way(loss, w0, w1, np.linspace(0, 1, points).tolist())
    return max(losses) - max(losses[0], losses[-1])


def barrier__above_the_mean_of_ends(loss, w0, w1, points=11):
    """Subtracts the mean of both ends everywhere, which is the line in the middle only."""
    losses = _way(loss, w0, w1, np.linspace(0, 1, points).tolist())
    return max(losses) - (losses[0] + losses[-1]) / 2


def barrier__where_the_loss_is_highest(loss, w0, w1, points=11):
    """Takes the place with the highest loss and measures there, though another place may be further above the line."""
    ts = np.linspace(0, 1, points).tolist()
    losses = _way(loss, w0, w1, ts)
    top = int(np.argmax(losses))
    return losses[top] - ((1 - ts[top]) * losses[0] + ts[top] * losses[-1])


def barrier__without_the_ends(loss, w0, w1, points=11):
    """Looks between the ends only, so that a way below the line gives a negative barrier."""
    ts = np.linspace(0, 1, points).tolist()
    losses = _way(loss, w0, w1, ts)
    return max(losses[i] - ((1 - ts[i]) * losses[0] + ts[i] * losses[-1]) for i in range(1, points - 1))


def barrier__line_the_wrong_way(loss, w0, w1, points=11):
    """The line goes from the second model's loss to the first one's."""
    ts = np.linspace(0, 1, points).tolist()
    losses = _way(loss, w0, w1, ts)
    return max(one - (t * losses[0] + (1 - t) * losses[-1]) for t, one in zip(ts, losses, strict=True))


def barrier__middle_only(loss, w0, w1, points=11):
    """Looks at t = 1/2 only, where the barrier is expected to be highest."""
    first, middle, last = _way(loss, w0, w1, [0.0, 0.5, 1.0])
    return max(0.0, middle - (first + last) / 2)


def barrier__largest_distance(loss, w0, w1, points=11):
    """Takes the largest distance from the line, so a valley between two models is a barrier, too."""
    ts = np.linspace(0, 1, points).tolist()
    losses = _way(loss, w0, w1, ts)
    return max(abs(one - ((1 - t) * losses[0] + t * losses[-1])) for t, one in zip(ts, losses, strict=True))


RIGHT["barrier"] = [barrier__right_skeleton, barrier__right_loop]
WRONG["barrier"] = [
    barrier__above_the_lower_end,
    barrier__above_the_higher_end,
    barrier__above_the_mean_of_ends,
    barrier__where_the_loss_is_highest,
    barrier__without_the_ends,
    barrier__line_the_wrong_way,
    barrier__middle_only,
    barrier__largest_distance,
]


# ---------------------------------------------------------------------------------------- reparameterize


def reparameterize__right_skeleton(model, alpha, layers=None):
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            for parameter in branch["query"].parameters():
                parameter.mul_(alpha)
            for parameter in branch["key"].parameters():
                parameter.div_(alpha)
    return other


def reparameterize__right_weight_and_bias(model, alpha, layers=None):
    other = deepcopy(model)
    for branch in attention_branches(other, layers).values():
        query, key = branch["query"], branch["key"]
        query.weight.data = query.weight.data * alpha
        key.weight.data = key.weight.data / alpha
        if query.bias is not None:
            query.bias.data = query.bias.data * alpha
        if key.bias is not None:
            key.bias.data = key.bias.data / alpha
    return other


def reparameterize__changes_the_model(model, alpha, layers=None):
    """Works on the model itself and not on a copy."""
    with torch.no_grad():
        for branch in attention_branches(model, layers).values():
            for parameter in branch["query"].parameters():
                parameter.mul_(alpha)
            for parameter in branch["key"].parameters():
                parameter.div_(alpha)
    return model


def reparameterize__weights_only(model, alpha, layers=None):
    """Forgets the biases: only the weights of query and key are changed."""
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            branch["query"].weight.mul_(alpha)
            branch["key"].weight.div_(alpha)
    return other


def reparameterize__key_bias_kept(model, alpha, layers=None):
    """Multiplies the bias of the query, but leaves the key's bias as it is."""
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            for parameter in branch["query"].parameters():
                parameter.mul_(alpha)
            branch["key"].weight.div_(alpha)
    return other


def reparameterize__the_wrong_way_round(model, alpha, layers=None):
    """Divides the queries and multiplies the keys."""
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            for parameter in branch["query"].parameters():
                parameter.div_(alpha)
            for parameter in branch["key"].parameters():
                parameter.mul_(alpha)
    return other


def reparameterize__keys_forgotten(model, alpha, layers=None):
    """Multiplies the queries and does nothing to the keys, so that outputs change."""
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            for parameter in branch["query"].parameters():
                parameter.mul_(alpha)
    return other


def reparameterize__all_layers(model, alpha, layers=None):
    """Does not pass `layers` on: all branches are changed."""
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other).values():
            for parameter in branch["query"].parameters():
                parameter.mul_(alpha)
            for parameter in branch["key"].parameters():
                parameter.div_(alpha)
    return other


def reparameterize__first_branch_only(model, alpha, layers=None):
    """The return is indented too far, so only the first branch is changed."""
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            for parameter in branch["query"].parameters():
                parameter.mul_(alpha)
            for parameter in branch["key"].parameters():
                parameter.div_(alpha)
            return other


def reparameterize__key_bias_multiplied(model, alpha, layers=None):
    """Multiplies both biases by α, and divides only the key's weight."""
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            branch["query"].weight.mul_(alpha)
            branch["key"].weight.div_(alpha)
            for name in ("query", "key"):
                if branch[name].bias is not None:
                    branch[name].bias.mul_(alpha)
    return other


RIGHT["reparameterize"] = [reparameterize__right_skeleton, reparameterize__right_weight_and_bias]
WRONG["reparameterize"] = [
    reparameterize__changes_the_model,
    reparameterize__weights_only,
    reparameterize__key_bias_kept,
    reparameterize__the_wrong_way_round,
    reparameterize__keys_forgotten,
    reparameterize__all_layers,
    reparameterize__first_branch_only,
    reparameterize__key_bias_multiplied,
]


# ---------------------------------------------------------------------------------------- copy_test


def copy_test__right_skeleton(generated, train, heldout):
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    wins = (far[:, None] < null).double() + (far[:, None] == null).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__right_sorted(generated, train, heldout):
    far, nearest = nearest_distances(generated, train)
    null = np.sort(heldout_distances(heldout, train).numpy())
    far = far.numpy()
    farther = len(null) - np.searchsorted(null, far, side="right")
    not_nearer = len(null) - np.searchsorted(null, far, side="left")
    return float((farther + not_nearer).sum() / (2 * len(far) * len(null))), np.asarray(nearest, dtype=np.int64)


def copy_test__ties_lost(generated, train, heldout):
    """Pairs of equal distance count as nothing and not as half."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    return float((far[:, None] < null).double().mean()), nearest.numpy()


def copy_test__ties_won(generated, train, heldout):
    """Pairs of equal distance count as won (≤) and not as half."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    return float((far[:, None] <= null).double().mean()), nearest.numpy()


def copy_test__heldout_nearer(generated, train, heldout):
    """Counts the pairs in which the held-out picture is the nearer one."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    wins = (far[:, None] > null).double() + (far[:, None] == null).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__nearer_to_train_than_to_heldout(generated, train, heldout):
    """Asks of each drawing whether it is nearer to training than to the held-out pictures: another question."""
    far, nearest = nearest_distances(generated, train)
    other, _ = nearest_distances(generated, heldout)
    wins = (far < other).double() + (far == other).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__against_the_median(generated, train, heldout):
    """Compares each drawing with the median of the held-out distances in place of with each of them."""
    far, nearest = nearest_distances(generated, train)
    middle = torch.quantile(heldout_distances(heldout, train), 0.5)
    wins = (far < middle).double() + (far == middle).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__white_counts(generated, train, heldout):
    """Uses the plain mean squared difference over all pixels, in which white paper counts."""

    def flat(pictures):
        return torch.from_numpy(pictures.reshape(len(pictures), -1).astype(np.float64)) / 255

    far, nearest = (torch.cdist(flat(generated), flat(train)) ** 2).min(1)
    null = (torch.cdist(flat(heldout), flat(train)) ** 2).min(1).values
    wins = (far[:, None] < null).double() + (far[:, None] == null).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__pairs_by_position(generated, train, heldout):
    """Compares the first with the first, the second with the second and so on, and not each with each."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    both = min(len(far), len(null))
    wins = (far[:both] < null[:both]).double() + (far[:both] == null[:both]).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__fixed_threshold(generated, train, heldout):
    """Calls a drawing a copy if its distance is below 0.1, and gives their share: held-out pictures are not used."""
    far, nearest = nearest_distances(generated, train)
    return float((far < 0.1).double().mean()), nearest.numpy()


RIGHT["copy_test"] = [copy_test__right_skeleton, copy_test__right_sorted]
WRONG["copy_test"] = [
    copy_test__ties_lost,
    copy_test__ties_won,
    copy_test__heldout_nearer,
    copy_test__nearer_to_train_than_to_heldout,
    copy_test__against_the_median,
    copy_test__white_counts,
    copy_test__pairs_by_position,
    copy_test__fixed_threshold,
]

WRONG = {name: [(answer, answer.__doc__) for answer in answers] for name, answers in WRONG.items()}
