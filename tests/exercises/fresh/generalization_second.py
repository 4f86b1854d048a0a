"""Answers of a first-time student to lesson 05: two right and eight wrong ones for each exercise."""

import math
import random
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


# ---------------------------------------------------------------- 5.1 hold_out_groups


def hold_out_groups__right_sorted(groups, share, seed):
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: round(share * len(ranked))])
    return [group in drawn for group in groups]


def hold_out_groups__right_rank_of_each(groups, share, seed):
    lots = {}
    for group in groups:
        if group not in lots:
            lots[group] = draw_lot(seed, group)
    count = round(share * len(lots))
    answers = []
    for group in groups:
        before = sum(other < lots[group] for other in lots.values())
        answers.append(before < count)
    return answers


def hold_out_groups__share_of_rows(groups, share, seed):
    """Takes groups in the order of their lots until the share of the ROWS is held out, not of the groups."""
    counts = Counter(groups)
    drawn, rows = set(), 0
    for group in sorted(counts, key=lambda group: draw_lot(seed, group)):
        if rows >= round(share * len(groups)):
            break
        drawn.add(group)
        rows += counts[group]
    return [group in drawn for group in groups]


def hold_out_groups__lot_for_each_row(groups, share, seed):
    """Gives each row a lot of its own (group and row number), so a group can be on both sides."""
    ranked = sorted(range(len(groups)), key=lambda row: draw_lot(seed, groups[row], str(row)))
    drawn = set(ranked[: round(share * len(groups))])
    return [row in drawn for row in range(len(groups))]


def hold_out_groups__largest_lots(groups, share, seed):
    """Holds out the groups with the largest lots, not those with the smallest."""
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group), reverse=True)
    drawn = set(ranked[: round(share * len(ranked))])
    return [group in drawn for group in groups]


def hold_out_groups__rounds_down(groups, share, seed):
    """Rounds the number of groups down with int(), where the docstring says as `round` does."""
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: int(share * len(ranked))])
    return [group in drawn for group in groups]


def hold_out_groups__sampled_from_a_list(groups, share, seed):
    """Draws with Python's random.sample from the list of groups: one more group changes which others are drawn."""
    names = sorted(set(groups))
    drawn = set(random.Random(seed).sample(names, round(share * len(names))))
    return [group in drawn for group in groups]


def hold_out_groups__true_means_train(groups, share, seed):
    """Returns True for the rows that stay in training, the wrong way round."""
    ranked = sorted(set(groups), key=lambda group: draw_lot(seed, group))
    drawn = set(ranked[: round(share * len(ranked))])
    return [group not in drawn for group in groups]


def hold_out_groups__lot_below_share(groups, share, seed):
    """Reads the lot as a number from 0 to 1 and holds out groups below the share: right only on average."""

    def chance(group):
        lot = draw_lot(seed, group)
        return int.from_bytes(lot, "big") / 256 ** len(lot)

    return [chance(group) < share for group in groups]


def hold_out_groups__lot_of_the_number(groups, share, seed):
    """Draws lots for the groups' numbers in order of appearance, so that the order of rows changes who is drawn."""
    numbers = {}
    for group in groups:
        numbers.setdefault(group, len(numbers))
    ranked = sorted(numbers, key=lambda group: draw_lot(seed, str(numbers[group])))
    drawn = set(ranked[: round(share * len(ranked))])
    return [group in drawn for group in groups]


RIGHT["hold_out_groups"] = [hold_out_groups__right_sorted, hold_out_groups__right_rank_of_each]
WRONG["hold_out_groups"] = [
    hold_out_groups__share_of_rows,
    hold_out_groups__lot_for_each_row,
    hold_out_groups__largest_lots,
    hold_out_groups__rounds_down,
    hold_out_groups__sampled_from_a_list,
    hold_out_groups__true_means_train,
    hold_out_groups__lot_below_share,
    hold_out_groups__lot_of_the_number,
]


# ---------------------------------------------------------------- 5.2 token_nll


def _nats(logits, targets):
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    return -logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]


def token_nll__right_gather(logits, targets, mask):
    require_tokens(logits, targets, mask)
    nats = _nats(logits, targets)
    totals, counts = nats.where(mask, 0).sum(1), mask.sum(1)
    mean = totals.sum() / counts.sum()
    errors = totals - mean * counts
    images = len(totals)
    se = (images / (images - 1) * errors.square().sum()).sqrt() / counts.sum()
    return TokenNLL(mean, se, totals / counts)


def token_nll__right_image_by_image(logits, targets, mask):
    require_tokens(logits, targets, mask)
    if logits.dtype != torch.float64:
        logits = logits.to(torch.float32)
    sums, numbers = [], []
    for image in range(len(logits)):
        counts = mask[image]
        loss = torch.nn.functional.cross_entropy(logits[image][counts], targets[image][counts], reduction="none")
        sums.append(loss.sum())
        numbers.append(int(counts.sum()))
    s, n = torch.stack(sums), torch.tensor(numbers, dtype=logits.dtype, device=logits.device)
    mean = s.sum() / n.sum()
    b = len(s)
    return mean, torch.sqrt(b / (b - 1) * ((s - mean * n) ** 2).sum()) / n.sum(), s / n


def token_nll__mean_of_image_means(logits, targets, mask):
    """Takes the mean of the images' means, so a token of an image with few tokens weighs more."""
    require_tokens(logits, targets, mask)
    nats = _nats(logits, targets)
    totals, counts = nats.where(mask, 0).sum(1), mask.sum(1)
    per_image = totals / counts
    mean = per_image.mean()
    errors = totals - mean * counts
    se = (len(totals) / (len(totals) - 1) * errors.square().sum()).sqrt() / counts.sum()
    return mean, se, per_image


def token_nll__error_over_tokens(logits, targets, mask):
    """Uses s / √n over all tokens for the standard error, as if the tokens of an image were independent."""
    require_tokens(logits, targets, mask)
    nats = _nats(logits, targets)
    totals, counts = nats.where(mask, 0).sum(1), mask.sum(1)
    those = nats[mask]
    return those.mean(), those.std() / math.sqrt(len(those)), totals / counts


def token_nll__mask_forgotten(logits, targets, mask):
    """Counts every token, also those that the mask leaves out."""
    require_tokens(logits, targets, mask)
    nats = _nats(logits, targets)
    totals, counts = nats.sum(1), torch.full((len(nats),), nats.shape[1], device=nats.device)
    mean = totals.sum() / counts.sum()
    errors = totals - mean * counts
    se = (len(totals) / (len(totals) - 1) * errors.square().sum()).sqrt() / counts.sum()
    return mean, se, totals / counts


def token_nll__error_of_image_means(logits, targets, mask):
    """Takes std(per_image) / √B for the error: each image weighs the same, however many tokens count in it."""
    require_tokens(logits, targets, mask)
    nats = _nats(logits, targets)
    totals, counts = nats.where(mask, 0).sum(1), mask.sum(1)
    per_image = totals / counts
    return totals.sum() / counts.sum(), per_image.std() / math.sqrt(len(per_image)), per_image


def token_nll__no_correction_for_few_images(logits, targets, mask):
    """Leaves out the factor B / (B − 1) in the standard error."""
    require_tokens(logits, targets, mask)
    nats = _nats(logits, targets)
    totals, counts = nats.where(mask, 0).sum(1), mask.sum(1)
    mean = totals.sum() / counts.sum()
    se = (totals - mean * counts).square().sum().sqrt() / counts.sum()
    return mean, se, totals / counts


def token_nll__image_mean_over_all_places(logits, targets, mask):
    """Divides an image's nats by N in per_image, `mean(1)` after masking with zeros, not by its tokens that count."""
    require_tokens(logits, targets, mask)
    nats = _nats(logits, targets).where(mask, 0)
    totals, counts = nats.sum(1), mask.sum(1)
    mean = totals.sum() / counts.sum()
    errors = totals - mean * counts
    se = (len(totals) / (len(totals) - 1) * errors.square().sum()).sqrt() / counts.sum()
    return mean, se, nats.mean(1)


def token_nll__always_float32(logits, targets, mask):
    """Calls .float() on any logits, as hint 2 does: float64 does not stay float64 and loses its digits."""
    require_tokens(logits, targets, mask)
    nats = -logits.float().log_softmax(-1).gather(-1, targets[..., None])[..., 0]
    totals, counts = nats.where(mask, 0).sum(1), mask.sum(1)
    mean = totals.sum() / counts.sum()
    errors = totals - mean * counts
    se = (len(totals) / (len(totals) - 1) * errors.square().sum()).sqrt() / counts.sum()
    return mean, se, totals / counts


def token_nll__errors_from_the_mean_total(logits, targets, mask):
    """Takes each image's sum minus the mean SUM, s − s.mean(), in place of s − m n: long images look far off."""
    require_tokens(logits, targets, mask)
    nats = _nats(logits, targets)
    totals, counts = nats.where(mask, 0).sum(1), mask.sum(1)
    errors = totals - totals.mean()
    se = (len(totals) / (len(totals) - 1) * errors.square().sum()).sqrt() / counts.sum()
    return totals.sum() / counts.sum(), se, totals / counts


RIGHT["token_nll"] = [token_nll__right_gather, token_nll__right_image_by_image]
WRONG["token_nll"] = [
    token_nll__mean_of_image_means,
    token_nll__error_over_tokens,
    token_nll__mask_forgotten,
    token_nll__error_of_image_means,
    token_nll__no_correction_for_few_images,
    token_nll__image_mean_over_all_places,
    token_nll__always_float32,
    token_nll__errors_from_the_mean_total,
]


# ---------------------------------------------------------------- 5.3 loss_gap


def _group_sums(errors, groups):
    names, numbers = groups.unique(return_inverse=True)
    return errors.new_zeros(len(names)).index_add(0, numbers, errors)


def loss_gap__right_index_add(seen, unseen, seen_groups, unseen_groups):
    require_losses(seen, unseen, seen_groups, unseen_groups)
    errors = torch.cat([-(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    sums = _group_sums(errors, torch.cat([seen_groups, unseen_groups]))
    se = (len(sums) / (len(sums) - 1) * sums.square().sum()).sqrt()
    return LossGap(unseen.mean() - seen.mean(), se)


def loss_gap__right_group_by_group(seen, unseen, seen_groups, unseen_groups):
    require_losses(seen, unseen, seen_groups, unseen_groups)
    names = set(seen_groups.tolist()) | set(unseen_groups.tolist())
    total = seen.new_zeros(())
    for name in names:
        u = (unseen[unseen_groups == name] - unseen.mean()).sum() / len(unseen)
        u = u - (seen[seen_groups == name] - seen.mean()).sum() / len(seen)
        total = total + u**2
    count = len(names)
    return unseen.mean() - seen.mean(), torch.sqrt(total * count / (count - 1))


def loss_gap__groups_ignored(seen, unseen, seen_groups, unseen_groups):
    """Takes the error for independent examples, √(var/B + var/C), and ignores the groups."""
    require_losses(seen, unseen, seen_groups, unseen_groups)
    se = (seen.var(correction=0) / len(seen) + unseen.var(correction=0) / len(unseen)).sqrt()
    return unseen.mean() - seen.mean(), se


def loss_gap__sides_apart(seen, unseen, seen_groups, unseen_groups):
    """Takes a group on both sides for two groups: adds up each side's squares apart, so nothing can cancel."""
    require_losses(seen, unseen, seen_groups, unseen_groups)
    left = _group_sums((seen - seen.mean()) / len(seen), seen_groups)
    right = _group_sums((unseen - unseen.mean()) / len(unseen), unseen_groups)
    count = len(left) + len(right)
    se = (count / (count - 1) * (left.square().sum() + right.square().sum())).sqrt()
    return unseen.mean() - seen.mean(), se


def loss_gap__plus_on_the_seen_side(seen, unseen, seen_groups, unseen_groups):
    """Forgets the minus of the seen side: what a group has in common adds up where it should cancel."""
    require_losses(seen, unseen, seen_groups, unseen_groups)
    errors = torch.cat([(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    sums = _group_sums(errors, torch.cat([seen_groups, unseen_groups]))
    se = (len(sums) / (len(sums) - 1) * sums.square().sum()).sqrt()
    return unseen.mean() - seen.mean(), se


def loss_gap__mean_of_both_sides(seen, unseen, seen_groups, unseen_groups):
    """Measures all losses from one mean of both sides together, not from their own side's."""
    require_losses(seen, unseen, seen_groups, unseen_groups)
    middle = torch.cat([seen, unseen]).mean()
    errors = torch.cat([-(seen - middle) / len(seen), (unseen - middle) / len(unseen)])
    sums = _group_sums(errors, torch.cat([seen_groups, unseen_groups]))
    se = (len(sums) / (len(sums) - 1) * sums.square().sum()).sqrt()
    return unseen.mean() - seen.mean(), se


def loss_gap__no_correction_for_few_groups(seen, unseen, seen_groups, unseen_groups):
    """Leaves out the factor G / (G − 1)."""
    require_losses(seen, unseen, seen_groups, unseen_groups)
    errors = torch.cat([-(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    sums = _group_sums(errors, torch.cat([seen_groups, unseen_groups]))
    return unseen.mean() - seen.mean(), sums.square().sum().sqrt()


def loss_gap__gap_of_group_means(seen, unseen, seen_groups, unseen_groups):
    """Lets every group weigh the same in the gap: takes the mean of the groups' means on each side."""
    require_losses(seen, unseen, seen_groups, unseen_groups)

    def of_groups(losses, groups):
        return torch.stack([losses[groups == name].mean() for name in groups.unique()]).mean()

    errors = torch.cat([-(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    sums = _group_sums(errors, torch.cat([seen_groups, unseen_groups]))
    se = (len(sums) / (len(sums) - 1) * sums.square().sum()).sqrt()
    return of_groups(unseen, unseen_groups) - of_groups(seen, seen_groups), se


def loss_gap__groups_counted_twice(seen, unseen, seen_groups, unseen_groups):
    """Counts G as the seen side's groups plus the unseen side's, so that groups on both sides count twice."""
    require_losses(seen, unseen, seen_groups, unseen_groups)
    errors = torch.cat([-(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    sums = _group_sums(errors, torch.cat([seen_groups, unseen_groups]))
    count = len(seen_groups.unique()) + len(unseen_groups.unique())
    se = (count / (count - 1) * sums.square().sum()).sqrt()
    return unseen.mean() - seen.mean(), se


def loss_gap__means_within_groups(seen, unseen, seen_groups, unseen_groups):
    """Takes the mean of the errors within a group in place of their sum: large groups count too little."""
    require_losses(seen, unseen, seen_groups, unseen_groups)
    errors = torch.cat([-(seen - seen.mean()) / len(seen), (unseen - unseen.mean()) / len(unseen)])
    groups = torch.cat([seen_groups, unseen_groups])
    u = _group_sums(errors, groups) / groups.unique(return_counts=True)[1]
    se = (len(u) / (len(u) - 1) * u.square().sum()).sqrt()
    return unseen.mean() - seen.mean(), se


RIGHT["loss_gap"] = [loss_gap__right_index_add, loss_gap__right_group_by_group]
WRONG["loss_gap"] = [
    loss_gap__groups_ignored,
    loss_gap__sides_apart,
    loss_gap__plus_on_the_seen_side,
    loss_gap__mean_of_both_sides,
    loss_gap__no_correction_for_few_groups,
    loss_gap__gap_of_group_means,
    loss_gap__groups_counted_twice,
    loss_gap__means_within_groups,
]


# ---------------------------------------------------------------- 5.5 shuffle_captions


def _rows_to_shuffle(captions, splits):
    """The training rows and how often the most frequent caption is among them, checked."""
    require(len(captions) == len(splits), "splits", len(splits), f"as many as captions, {len(captions)}")
    train = [row for row, split in enumerate(splits) if split == "train"]
    require(len(train) >= 2, "splits", len(train), "at least two rows in train")
    most = max(Counter(captions[row] for row in train).values())
    require(2 * most <= len(train), "captions", most, "no caption in more than half of the training rows")
    return train, most


def _mixed(train, seed):
    places = torch.randperm(len(train), generator=generator(seed, "shuffled captions")).tolist()
    return [train[place] for place in places]


def _in_blocks(rows, captions):
    first = {}
    return sorted(rows, key=lambda row: first.setdefault(captions[row], len(first)))


def _passed_on(captions, rows, givers):
    order = list(range(len(captions)))
    for row, other in zip(rows, givers, strict=True):
        order[row] = other
    return order


def shuffle_captions__right_blocks(captions, splits, seed=0):
    train, most = _rows_to_shuffle(captions, splits)
    shuffled = _in_blocks(_mixed(train, seed), captions)
    return _passed_on(captions, shuffled, shuffled[most:] + shuffled[:most])


def shuffle_captions__right_own_random_order(captions, splits, seed=0):
    train, most = _rows_to_shuffle(captions, splits)
    mixed = np.random.default_rng(seed).permutation(train).tolist()
    blocks = {}
    for row in mixed:
        blocks.setdefault(captions[row], []).append(row)
    line = [row for block in blocks.values() for row in block]
    order = list(range(len(captions)))
    for place, row in enumerate(line):
        order[row] = line[(place + most) % len(line)]
    return order


def shuffle_captions__plain_shuffle(captions, splits, seed=0):
    """Just shuffles the training rows: a row can keep its own caption by chance."""
    train, _ = _rows_to_shuffle(captions, splits)
    return _passed_on(captions, train, _mixed(train, seed))


def shuffle_captions__circle_of_rows(captions, splits, seed=0):
    """Does as the worked example, a random circle in which each gives to the next: the same words can come back."""
    train, _ = _rows_to_shuffle(captions, splits)
    shuffled = _mixed(train, seed)
    return _passed_on(captions, shuffled, shuffled[1:] + shuffled[:1])


def shuffle_captions__blocks_but_one_further(captions, splits, seed=0):
    """Brings equal captions together but goes on by one place only: most rows of a block keep their words."""
    train, _ = _rows_to_shuffle(captions, splits)
    shuffled = _in_blocks(_mixed(train, seed), captions)
    return _passed_on(captions, shuffled, shuffled[1:] + shuffled[:1])


def shuffle_captions__all_splits(captions, splits, seed=0):
    """Shuffles all rows, whatever their split: held-out rows lose their captions and training gets them."""
    _rows_to_shuffle(captions, splits)
    everybody = list(range(len(captions)))
    most = max(Counter(captions).values())
    shuffled = _in_blocks(_mixed(everybody, seed), captions)
    return _passed_on(captions, shuffled, shuffled[most:] + shuffled[:most])


def shuffle_captions__by_the_alphabet(captions, splits, seed=0):
    """Brings equal captions together by sorting them by the alphabet, so every seed gives nearly the same order."""
    train, most = _rows_to_shuffle(captions, splits)
    shuffled = sorted(_mixed(train, seed), key=lambda row: captions[row])
    return _passed_on(captions, shuffled, shuffled[most:] + shuffled[:most])


def shuffle_captions__drawn_with_replacement(captions, splits, seed=0):
    """Draws for each row any row with other words: nobody keeps words, but rows occur twice or never."""
    train, _ = _rows_to_shuffle(captions, splits)
    chance = np.random.default_rng(seed)
    order = list(range(len(captions)))
    for row in train:
        others = [other for other in train if captions[other] != captions[row]]
        order[row] = others[int(chance.integers(len(others)))]
    return order


def shuffle_captions__places_not_rows(captions, splits, seed=0):
    """Puts places in the list of training rows into the order where rows of the data are wanted."""
    train, most = _rows_to_shuffle(captions, splits)
    shuffled = _in_blocks(_mixed(train, seed), captions)
    place = {row: number for number, row in enumerate(train)}
    givers = [place[row] for row in shuffled[most:] + shuffled[:most]]
    return _passed_on(captions, shuffled, givers)


def shuffle_captions__most_frequent_of_all_rows(captions, splits, seed=0):
    """Counts the most frequent caption over all splits: the shift can be too far and come round to the own words."""
    train, _ = _rows_to_shuffle(captions, splits)
    most = max(Counter(captions).values()) % len(train)
    shuffled = _in_blocks(_mixed(train, seed), captions)
    return _passed_on(captions, shuffled, shuffled[most:] + shuffled[:most])


RIGHT["shuffle_captions"] = [shuffle_captions__right_blocks, shuffle_captions__right_own_random_order]
WRONG["shuffle_captions"] = [
    shuffle_captions__plain_shuffle,
    shuffle_captions__circle_of_rows,
    shuffle_captions__blocks_but_one_further,
    shuffle_captions__all_splits,
    shuffle_captions__by_the_alphabet,
    shuffle_captions__drawn_with_replacement,
    shuffle_captions__places_not_rows,
    shuffle_captions__most_frequent_of_all_rows,
]


# ---------------------------------------------------------------- 5.6 hvp


def _slopes(loss, params):
    return torch.autograd.grad(loss, params, create_graph=True, materialize_grads=True)


def hvp__right_dot_product(loss_fn, params, v):
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        gradient = flatten(_slopes(loss, params))
        slope = gradient @ v.to(gradient.dtype)
        if not slope.requires_grad:
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v.dtype)


def hvp__right_grad_outputs(loss_fn, params, v):
    check_params(params, v)
    pieces = [
        piece.view(param.shape).to(param.dtype)
        for piece, param in zip(v.split([param.numel() for param in params]), params, strict=True)
    ]
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slopes = torch.autograd.grad(loss, params, create_graph=True, allow_unused=True)
        curved = [(s, p) for s, p in zip(slopes, pieces, strict=True) if s is not None and s.requires_grad]
        if not curved:
            return torch.zeros_like(v)
        bends = torch.autograd.grad(
            [s for s, _ in curved], params, grad_outputs=[p for _, p in curved], allow_unused=True
        )
        full = [torch.zeros_like(p) if b is None else b for b, p in zip(bends, params, strict=True)]
        return torch.cat([b.detach().reshape(-1).to(v.dtype) for b in full])


def hvp__gradient_times_slope(loss_fn, params, v):
    """Takes (g · v) g: the outer product of the gradient with itself in place of the Hessian."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        gradient = flatten(torch.autograd.grad(loss, params, materialize_grads=True)).detach()
        return (gradient * (gradient @ v.to(gradient.dtype))).to(v.dtype)


def hvp__each_parameter_by_itself(loss_fn, params, v):
    """Differentiates each parameter's slope by that parameter alone: the blocks beside the diagonal are lost."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        slopes, rows, start = _slopes(loss, params), [], 0
        for param, slope in zip(params, slopes, strict=True):
            part = v[start : start + param.numel()].to(slope.dtype)
            start += param.numel()
            along = slope.reshape(-1) @ part
            if along.requires_grad:
                (row,) = torch.autograd.grad(along, [param], retain_graph=True, materialize_grads=True)
            else:
                row = torch.zeros_like(param)
            rows.append(row)
        return flatten(rows).to(v.dtype)


def hvp__unused_ones_dropped(loss_fn, params, v):
    """Leaves out parameters whose second gradient is None, so the vector gets too short."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        gradient = flatten(_slopes(loss, params))
        slope = gradient @ v.to(gradient.dtype)
        if not slope.requires_grad:
            return torch.zeros_like(v)
        rows = torch.autograd.grad(slope, params, allow_unused=True)
        return flatten([row for row in rows if row is not None]).to(v.dtype)


def hvp__v_made_a_unit_vector(loss_fn, params, v):
    """Divides v by its length first, because a slope is along a direction: the product is too small by ‖v‖."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        gradient = flatten(_slopes(loss, params))
        direction = v / v.norm().clamp(min=1e-30)
        slope = gradient @ direction.to(gradient.dtype)
        if not slope.requires_grad:
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v.dtype)


def hvp__v_multiplied_afterwards(loss_fn, params, v):
    """Differentiates the sum of the gradient and multiplies by v afterwards: row sums times v, not H times v."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        total = flatten(_slopes(loss, params)).sum()
        if not total.requires_grad:
            return torch.zeros_like(v)
        rows = flatten(torch.autograd.grad(total, params, materialize_grads=True))
        return (rows * v).to(v.dtype)


def hvp__precision_of_the_parameters(loss_fn, params, v):
    """Returns the product in the parameters' precision, not in that of v."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        gradient = flatten(_slopes(loss, params))
        slope = gradient @ v.to(gradient.dtype)
        if not slope.requires_grad:
            return torch.zeros_like(gradient)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True))


def hvp__grad_thrown_away(loss_fn, params, v):
    """Gets the gradient by backward() through .grad and sets that to None: gradients that were there are lost."""
    check_params(params, v)
    with second_derivatives(params):
        for param in params:
            param.grad = None
        loss = loss_fn()
        check_loss(loss)
        loss.backward(create_graph=True)
        slopes = [torch.zeros_like(param) if param.grad is None else param.grad for param in params]
        for param in params:
            param.grad = None
        gradient = flatten(slopes)
        slope = gradient @ v.to(gradient.dtype)
        if not slope.requires_grad:
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v.dtype)


def hvp__flat_taken_for_linear(loss_fn, params, v):
    """Takes a slope of 0 for a linear loss: at a minimum, where the gradient is 0, the product comes out 0."""
    check_params(params, v)
    with second_derivatives(params):
        loss = loss_fn()
        check_loss(loss)
        gradient = flatten(_slopes(loss, params))
        slope = gradient @ v.to(gradient.dtype)
        if slope == 0 or not slope.requires_grad:
            return torch.zeros_like(v)
        return flatten(torch.autograd.grad(slope, params, materialize_grads=True)).to(v.dtype)


RIGHT["hvp"] = [hvp__right_dot_product, hvp__right_grad_outputs]
WRONG["hvp"] = [
    hvp__gradient_times_slope,
    hvp__each_parameter_by_itself,
    hvp__unused_ones_dropped,
    hvp__v_made_a_unit_vector,
    hvp__v_multiplied_afterwards,
    hvp__precision_of_the_parameters,
    hvp__grad_thrown_away,
    hvp__flat_taken_for_linear,
]


# ---------------------------------------------------------------- 5.6 top_eigenvalue


def _end(values, which):
    if which == "LM":
        return -1 if values[-1].abs() >= values[0].abs() else 0
    return {"LA": -1, "SA": 0}[which]


def top_eigenvalue__right_loop(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    require(which in ENDS, "which", which, f"one of {ENDS}")
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = _end(ritz.values, which)
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance * abs(value):
            break
    return value, error


def top_eigenvalue__right_by_score(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    require(which in ENDS, "which", which, f"one of {ENDS}")
    score = {"LA": lambda values: values, "SA": lambda values: -values, "LM": torch.abs}[which]
    found = (math.nan, math.inf)
    for ritz in lanczos(product, random_start(dim, seed), most):
        at = int(score(ritz.values).argmax())
        found = float(ritz.values[at]), float(ritz.errors[at])
        if found[1] <= abs(found[0]) * tolerance:
            return found
    return found


def top_eigenvalue__largest_for_magnitude(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Takes the last Ritz value for "LM", too, and so misses a large negative eigenvalue."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = 0 if which == "SA" else -1
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance * abs(value):
            break
    return value, error


def top_eigenvalue__values_taken_to_descend(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Believes that Ritz values descend, as singular values do: LA and SA are exchanged."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = _end(ritz.values, which) if which == "LM" else {"LA": 0, "SA": -1}[which]
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance * abs(value):
            break
    return value, error


def top_eigenvalue__absolute_tolerance(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Compares the error with the tolerance itself, not relative to the value."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = _end(ritz.values, which)
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance:
            break
    return value, error


def top_eigenvalue__stops_when_it_moves_little(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Stops when two values in a row differ by less than the tolerance, and gives that difference as the error."""
    before = math.inf
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = _end(ritz.values, which)
        value = ritz.values[end].item()
        error = abs(value - before)
        if error <= tolerance * abs(value):
            break
        before = value
    return value, error


def top_eigenvalue__tolerance_for_the_error(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Returns tolerance · |value| as the error bound, whether or not that was reached."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = _end(ritz.values, which)
        value = ritz.values[end].item()
        if ritz.errors[end].item() <= tolerance * abs(value):
            break
    return value, tolerance * abs(value)


def top_eigenvalue__error_of_the_last(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Looks at the error of the largest Ritz value always, also when the smallest was asked for."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        value, error = ritz.values[_end(ritz.values, which)].item(), ritz.errors[-1].item()
        if error <= tolerance * abs(value):
            break
    return value, error


def top_eigenvalue__magnitude_without_sign(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Returns the absolute value for "LM": 10 where the eigenvalue is −10."""
    for ritz in lanczos(product, random_start(dim, seed), most):
        end = _end(ritz.values, which)
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance * abs(value):
            break
    return abs(value) if which == "LM" else value, error


def top_eigenvalue__start_of_ones(product, dim, which="LA", seed=0, tolerance=0.01, most=100):
    """Starts with a vector of ones for reproducibility: an eigenvector at right angles to it is never found."""
    for ritz in lanczos(product, torch.ones(dim, dtype=torch.float64), most):
        end = _end(ritz.values, which)
        value, error = ritz.values[end].item(), ritz.errors[end].item()
        if error <= tolerance * abs(value):
            break
    return value, error


RIGHT["top_eigenvalue"] = [top_eigenvalue__right_loop, top_eigenvalue__right_by_score]
WRONG["top_eigenvalue"] = [
    top_eigenvalue__largest_for_magnitude,
    top_eigenvalue__values_taken_to_descend,
    top_eigenvalue__absolute_tolerance,
    top_eigenvalue__stops_when_it_moves_little,
    top_eigenvalue__tolerance_for_the_error,
    top_eigenvalue__error_of_the_last,
    top_eigenvalue__magnitude_without_sign,
    top_eigenvalue__start_of_ones,
]


# ---------------------------------------------------------------- 5.6 hutchinson_trace


def _samples(product, dim, samples, seed):
    signs = [random_signs(dim, seed, k) for k in range(samples)]
    return torch.stack([z @ apply(product, z) for z in signs])


def hutchinson_trace__right_stack(product, dim, samples, seed=0):
    require(samples >= 2, "samples", samples, "at least 2")
    values = _samples(product, dim, samples, seed)
    return values.mean().item(), values.std().item() / math.sqrt(samples)


def hutchinson_trace__right_by_hand(product, dim, samples, seed=0):
    require(samples >= 2, "samples", samples, "at least 2")
    found = []
    for k in range(samples):
        z = random_signs(dim, seed, k)
        found.append(float((z * apply(product, z)).sum()))
    mean = sum(found) / samples
    variance = sum((one - mean) ** 2 for one in found) / (samples - 1)
    return mean, (variance / samples) ** 0.5


def hutchinson_trace__normal_numbers(product, dim, samples, seed=0):
    """Takes normal random numbers in place of signs: also a diagonal matrix gets an error."""
    vectors = [random_start(dim, seed + k) for k in range(samples)]
    values = torch.stack([z @ apply(product, z) for z in vectors])
    return values.mean().item(), values.std().item() / math.sqrt(samples)


def hutchinson_trace__one_vector_again_and_again(product, dim, samples, seed=0):
    """Forgets k: every sample is of the same signs, so the error comes out 0."""
    values = torch.stack([z @ apply(product, z) for z in [random_signs(dim, seed) for _ in range(samples)]])
    return values.mean().item(), values.std().item() / math.sqrt(samples)


def hutchinson_trace__mean_eigenvalue(product, dim, samples, seed=0):
    """Makes z a unit vector first (divides by √dim), which gives the mean eigenvalue and not the sum."""
    signs = [random_signs(dim, seed, k) / math.sqrt(dim) for k in range(samples)]
    values = torch.stack([z @ apply(product, z) for z in signs])
    return values.mean().item(), values.std().item() / math.sqrt(samples)


def hutchinson_trace__deviation_for_the_error(product, dim, samples, seed=0):
    """Returns the samples' standard deviation, without the division by √n."""
    values = _samples(product, dim, samples, seed)
    return values.mean().item(), values.std().item()


def hutchinson_trace__divides_by_n(product, dim, samples, seed=0):
    """Has n in place of n − 1 below the sum of squares, as np.std does."""
    values = _samples(product, dim, samples, seed).numpy()
    return float(values.mean()), float(values.std() / np.sqrt(samples))


def hutchinson_trace__counts_from_one(product, dim, samples, seed=0):
    """Takes samples 1 to n where the text says 0 to n − 1."""
    signs = [random_signs(dim, seed, k) for k in range(1, samples + 1)]
    values = torch.stack([z @ apply(product, z) for z in signs])
    return values.mean().item(), values.std().item() / math.sqrt(samples)


def hutchinson_trace__sum_of_the_product(product, dim, samples, seed=0):
    """Adds up Hz and forgets to multiply by z once more: on average that is 0."""
    values = torch.stack([apply(product, random_signs(dim, seed, k)).sum() for k in range(samples)])
    return values.mean().item(), values.std().item() / math.sqrt(samples)


def hutchinson_trace__stops_when_settled(product, dim, samples, seed=0):
    """Stops as soon as the running mean moves by less than 5 %, and leaves out the other samples."""
    values = []
    for k in range(samples):
        z = random_signs(dim, seed, k)
        values.append(z @ apply(product, z))
        if len(values) > 2:
            before, now = torch.stack(values[:-1]).mean(), torch.stack(values).mean()
            if abs(now - before) < 0.05 * abs(now):
                break
    values = torch.stack(values)
    return values.mean().item(), values.std().item() / math.sqrt(len(values))


RIGHT["hutchinson_trace"] = [hutchinson_trace__right_stack, hutchinson_trace__right_by_hand]
WRONG["hutchinson_trace"] = [
    hutchinson_trace__normal_numbers,
    hutchinson_trace__one_vector_again_and_again,
    hutchinson_trace__mean_eigenvalue,
    hutchinson_trace__deviation_for_the_error,
    hutchinson_trace__divides_by_n,
    hutchinson_trace__counts_from_one,
    hutchinson_trace__sum_of_the_product,
    hutchinson_trace__stops_when_settled,
]


# ---------------------------------------------------------------- 5.6 slq_density


def slq_density__right_bells(product, dim, steps, probes, seed=0, width=None):
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    if width is None:
        width = default_width(values)
    grid = density_grid(values, width)
    bells = torch.exp(-0.5 * ((grid[:, None] - values) / width) ** 2) / (width * math.sqrt(2 * math.pi))
    return grid, bells @ weights


def slq_density__right_one_after_another(product, dim, steps, probes, seed=0, width=None):
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    density = torch.zeros_like(grid)
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        density += weight * torch.distributions.Normal(value, width).log_prob(grid).exp()
    return grid, density


def _bells(grid, values, width):
    return torch.exp(-((grid[:, None] - values) ** 2) / (2 * width**2)) / (width * math.sqrt(2 * math.pi))


def slq_density__default_width_always(product, dim, steps, probes, seed=0, width=None):
    """Uses the default width also where a width was given."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values)
    grid = density_grid(values, width)
    return grid, _bells(grid, values, width) @ weights


def slq_density__height_without_width(product, dim, steps, probes, seed=0, width=None):
    """Divides the bells by √2π only and forgets the width: their area is not 1."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    bells = torch.exp(-((grid[:, None] - values) ** 2) / (2 * width**2)) / math.sqrt(2 * math.pi)
    return grid, bells @ weights


def slq_density__root_of_two_times_pi(product, dim, steps, probes, seed=0, width=None):
    """Reads √2π as √2 · π."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    bells = torch.exp(-((grid[:, None] - values) ** 2) / (2 * width**2)) / (width * math.sqrt(2) * math.pi)
    return grid, bells @ weights


def slq_density__exponent_without_two(product, dim, steps, probes, seed=0, width=None):
    """Forgets the 2 below the square in the exponent: the bells are too narrow."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    bells = torch.exp(-(((grid[:, None] - values) / width) ** 2)) / (width * math.sqrt(2 * math.pi))
    return grid, bells @ weights


def slq_density__all_values_weigh_the_same(product, dim, steps, probes, seed=0, width=None):
    """Takes the plain mean of the bells and ignores the weights."""
    values, _ = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    return grid, _bells(grid, values, width).mean(1)


def slq_density__divided_by_probes_again(product, dim, steps, probes, seed=0, width=None):
    """Takes the mean over the probes, though their weights add up to 1 all together already."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    return grid, _bells(grid, values, width) @ weights / probes


def slq_density__grid_from_end_to_end(product, dim, steps, probes, seed=0, width=None):
    """Draws on an even grid from the smallest to the largest value, which cuts off half of the outer bells."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = torch.linspace(
        float(values.min()), float(values.max()), len(density_grid(values, width)), dtype=torch.float64
    )
    return grid, _bells(grid, values, width) @ weights


def slq_density__points_add_up_to_one(product, dim, steps, probes, seed=0, width=None):
    """Divides the density by its sum, so that its points add up to 1 and not its area."""
    values, weights = slq_nodes(product, dim, steps, probes, seed)
    width = default_width(values) if width is None else width
    grid = density_grid(values, width)
    density = _bells(grid, values, width) @ weights
    return grid, density / density.sum()


RIGHT["slq_density"] = [slq_density__right_bells, slq_density__right_one_after_another]
WRONG["slq_density"] = [
    slq_density__default_width_always,
    slq_density__height_without_width,
    slq_density__root_of_two_times_pi,
    slq_density__exponent_without_two,
    slq_density__all_values_weigh_the_same,
    slq_density__divided_by_probes_again,
    slq_density__grid_from_end_to_end,
    slq_density__points_add_up_to_one,
]


# ---------------------------------------------------------------- 5.7 sam_perturbation


def _scales(params, adaptive):
    return [param.detach().abs() if adaptive else torch.ones_like(param).detach() for param in params]


def sam_perturbation__right_scaled(params, gradients, rho, adaptive=False):
    scales = _scales(params, adaptive)
    scaled = [scale * gradient for scale, gradient in zip(scales, gradients, strict=True)]
    norm = global_norm(scaled)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [rho * scale * part / norm for scale, part in zip(scales, scaled, strict=True)]


def sam_perturbation__right_two_cases(params, gradients, rho, adaptive=False):
    with torch.no_grad():
        if adaptive:
            up = [w * w * g for w, g in zip(params, gradients, strict=True)]
            norm = global_norm([w.abs() * g for w, g in zip(params, gradients, strict=True)])
        else:
            up = list(gradients)
            norm = global_norm(gradients)
        if norm == 0 or not math.isfinite(norm):
            return [torch.zeros_like(w) for w in params]
        return [(rho / norm) * one for one in up]


def sam_perturbation__each_tensor_by_itself(params, gradients, rho, adaptive=False):
    """Divides each tensor by its own norm: every layer gets a step of length rho."""
    steps = []
    for scale, gradient in zip(_scales(params, adaptive), gradients, strict=True):
        norm = float((scale * gradient).norm())
        fine = 0 < norm < math.inf
        steps.append(rho * scale**2 * gradient / norm if fine else torch.zeros_like(gradient))
    return steps


def sam_perturbation__weights_once(params, gradients, rho, adaptive=False):
    """Adaptive: ε = ρ |w| g / ‖|w| g‖, with |w| where w² belongs above."""
    scaled = [scale * g for scale, g in zip(_scales(params, adaptive), gradients, strict=True)]
    norm = global_norm(scaled)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [rho * part / norm for part in scaled]


def sam_perturbation__norm_of_the_numerator(params, gradients, rho, adaptive=False):
    """Adaptive: divides by ‖w² g‖, the norm of what stands above, so that ε has length rho."""
    above = [scale**2 * g for scale, g in zip(_scales(params, adaptive), gradients, strict=True)]
    norm = global_norm(above)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [rho * part / norm for part in above]


def sam_perturbation__downhill(params, gradients, rho, adaptive=False):
    """Goes against the gradient, as an optimizer does, so that the loss falls."""
    scales = _scales(params, adaptive)
    scaled = [scale * g for scale, g in zip(scales, gradients, strict=True)]
    norm = global_norm(scaled)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [-rho * scale * part / norm for scale, part in zip(scales, scaled, strict=True)]


def sam_perturbation__norm_by_adding_norms(params, gradients, rho, adaptive=False):
    """Takes the sum of the tensors' norms for the norm of all together: 3 and 4 would be 7."""
    scales = _scales(params, adaptive)
    scaled = [scale * g for scale, g in zip(scales, gradients, strict=True)]
    norm = sum(float(part.norm()) for part in scaled)
    if not 0 < norm < math.inf:
        return [torch.zeros_like(param) for param in params]
    return [rho * scale * part / norm for scale, part in zip(scales, scaled, strict=True)]


def sam_perturbation__small_number_below(params, gradients, rho, adaptive=False):
    """Adds 1e-12 to the norm against 0 / 0, as many codes do, and forgets gradients that are not finite."""
    scales = _scales(params, adaptive)
    scaled = [scale * g for scale, g in zip(scales, gradients, strict=True)]
    norm = global_norm(scaled) + 1e-12
    return [rho * scale * part / norm for scale, part in zip(scales, scaled, strict=True)]


def sam_perturbation__only_bad_numbers_zero(params, gradients, rho, adaptive=False):
    """Puts 0 for the single numbers that are not finite and goes on with the others, where all of ε should be 0."""
    scales = _scales(params, adaptive)
    scaled = [
        torch.nan_to_num(scale * g, nan=0.0, posinf=0.0, neginf=0.0) for scale, g in zip(scales, gradients, strict=True)
    ]
    norm = global_norm(scaled)
    if norm == 0:
        return [torch.zeros_like(param) for param in params]
    return [rho * scale * part / norm for scale, part in zip(scales, scaled, strict=True)]


def sam_perturbation__weights_after_the_step(params, gradients, rho, adaptive=False):
    """Returns the perturbed weights w + ε, not the step ε."""
    scales = _scales(params, adaptive)
    scaled = [scale * g for scale, g in zip(scales, gradients, strict=True)]
    norm = global_norm(scaled)
    if not 0 < norm < math.inf:
        return [param.detach().clone() for param in params]
    return [p.detach() + rho * s * part / norm for p, s, part in zip(params, scales, scaled, strict=True)]


RIGHT["sam_perturbation"] = [sam_perturbation__right_scaled, sam_perturbation__right_two_cases]
WRONG["sam_perturbation"] = [
    sam_perturbation__each_tensor_by_itself,
    sam_perturbation__weights_once,
    sam_perturbation__norm_of_the_numerator,
    sam_perturbation__downhill,
    sam_perturbation__norm_by_adding_norms,
    sam_perturbation__small_number_below,
    sam_perturbation__only_bad_numbers_zero,
    sam_perturbation__weights_after_the_step,
]


# ---------------------------------------------------------------- 5.8 filter_normalize


def filter_normalize__right_lengths(direction, params):
    require_alike("direction", direction, params)
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() < 2:
            normalized.append(torch.zeros_like(step))
        else:
            length = row_lengths(step)
            normalized.append(step * torch.where(length > 0, row_lengths(weights) / length, 0.0))
    return normalized


def filter_normalize__right_row_by_row(direction, params):
    require_alike("direction", direction, params)
    normalized = []
    for d, w in zip(direction, params, strict=True):
        new = torch.zeros_like(d)
        if d.dim() >= 2:
            for i in range(len(d)):
                length = d[i].norm()
                if length > 0:
                    new[i] = d[i] * (w[i].detach().norm() / length)
        normalized.append(new)
    return normalized


def _scaled(step, weights, dims):
    """step with the weights' lengths over `dims`, 0 where the step has no length."""
    length = torch.linalg.vector_norm(step, dim=dims, keepdim=True)
    wanted = torch.linalg.vector_norm(weights.detach(), dim=dims, keepdim=True)
    return step * torch.where(length > 0, wanted / length, 0.0)


def filter_normalize__whole_tensor(direction, params):
    """Normalizes each tensor as a whole, not each of its rows."""
    require_alike("direction", direction, params)
    return [
        torch.zeros_like(step) if step.dim() < 2 else _scaled(step, weights, tuple(range(step.dim())))
        for step, weights in zip(direction, params, strict=True)
    ]


def filter_normalize__columns(direction, params):
    """Takes norms along dimension 0: columns, w[:, j], in place of rows."""
    require_alike("direction", direction, params)
    return [
        torch.zeros_like(step) if step.dim() < 2 else _scaled(step, weights, 0)
        for step, weights in zip(direction, params, strict=True)
    ]


def filter_normalize__biases_as_they_are(direction, params):
    """Reads "leaves biases and norms alone" as keeping them: their direction is kept as it is, where it should become 0."""
    require_alike("direction", direction, params)
    return [
        step.clone() if step.dim() < 2 else _scaled(step, weights, tuple(range(1, step.dim())))
        for step, weights in zip(direction, params, strict=True)
    ]


def filter_normalize__biases_as_one_row(direction, params):
    """Gives biases the length of the bias, as if each were one row, and so moves them."""
    require_alike("direction", direction, params)
    return [
        _scaled(step, weights, tuple(range(step.dim())) if step.dim() < 2 else tuple(range(1, step.dim())))
        if step.dim()
        else torch.zeros_like(step)
        for step, weights in zip(direction, params, strict=True)
    ]


def filter_normalize__zero_by_zero(direction, params):
    """Divides by the direction's length without care: a row of zeros becomes NaN."""
    require_alike("direction", direction, params)
    return [
        torch.zeros_like(step) if step.dim() < 2 else step * row_lengths(weights.detach()) / row_lengths(step)
        for step, weights in zip(direction, params, strict=True)
    ]


def filter_normalize__last_dimension_only(direction, params):
    """Takes norms over the last dimension: right for matrices, wrong for filters [out, in, height, width]."""
    require_alike("direction", direction, params)
    return [
        torch.zeros_like(step) if step.dim() < 2 else _scaled(step, weights, -1)
        for step, weights in zip(direction, params, strict=True)
    ]


def filter_normalize__not_divided(direction, params):
    """Multiplies rows by the weights' length and forgets to divide by their own."""
    require_alike("direction", direction, params)
    return [
        torch.zeros_like(step) if step.dim() < 2 else step * row_lengths(weights.detach())
        for step, weights in zip(direction, params, strict=True)
    ]


def filter_normalize__zero_weights_left_out(direction, params):
    """Keeps the direction's row where the weights' row is zero ("nothing to compare with"), where it should be 0."""
    require_alike("direction", direction, params)
    normalized = []
    for step, weights in zip(direction, params, strict=True):
        if step.dim() < 2:
            normalized.append(torch.zeros_like(step))
            continue
        length, wanted = row_lengths(step), row_lengths(weights.detach())
        normalized.append(step * torch.where((length > 0) & (wanted > 0), wanted / length, 1.0))
    return normalized


RIGHT["filter_normalize"] = [filter_normalize__right_lengths, filter_normalize__right_row_by_row]
WRONG["filter_normalize"] = [
    filter_normalize__whole_tensor,
    filter_normalize__columns,
    filter_normalize__biases_as_they_are,
    filter_normalize__biases_as_one_row,
    filter_normalize__zero_by_zero,
    filter_normalize__last_dimension_only,
    filter_normalize__not_divided,
    filter_normalize__zero_weights_left_out,
]


# ---------------------------------------------------------------- 5.8 barrier


def _walk(loss, w0, w1, times):
    losses = [float(loss(interpolate(w0, w1, t))) for t in times]
    require(all(math.isfinite(one) for one in losses), "loss", losses, "a finite number at every point")
    return losses


def _times(points):
    require(points >= 3, "points", points, "at least 3: both ends and one between them")
    return [i / (points - 1) for i in range(points)]


def barrier__right_tensors(loss, w0, w1, points=11):
    require(points >= 3, "points", points, "at least 3: both ends and one between them")
    way = torch.linspace(0, 1, points, dtype=torch.float64)
    losses = torch.tensor([loss(interpolate(w0, w1, t)) for t in way.tolist()], dtype=torch.float64)
    require(bool(losses.isfinite().all()), "loss", losses.tolist(), "a finite number at every point")
    line = torch.lerp(losses[0], losses[-1], way)
    return float((losses - line).max().clamp(min=0.0))


def barrier__right_running_maximum(loss, w0, w1, points=11):
    times = _times(points)
    losses = _walk(loss, w0, w1, times)
    highest = 0.0
    for t, here in zip(times, losses, strict=True):
        highest = max(highest, here - ((1 - t) * losses[0] + t * losses[-1]))
    return highest


def barrier__above_the_lower_end(loss, w0, w1, points=11):
    """Measures from the lower end, not from the line between both."""
    losses = _walk(loss, w0, w1, _times(points))
    return max(losses) - min(losses[0], losses[-1])


def barrier__above_the_higher_end(loss, w0, w1, points=11):
    """Measures from the higher end, as one would for a mountain pass."""
    losses = _walk(loss, w0, w1, _times(points))
    return max(losses) - max(losses[0], losses[-1])


def barrier__above_the_mean_of_the_ends(loss, w0, w1, points=11):
    """Subtracts the mean of the ends' losses at every t, which is the line in the middle only."""
    losses = _walk(loss, w0, w1, _times(points))
    return max(0.0, max(losses) - (losses[0] + losses[-1]) / 2)


def barrier__line_the_wrong_way_round(loss, w0, w1, points=11):
    """Has t L(w0) + (1 − t) L(w1) for the line: each end is compared with the other's loss."""
    times = _times(points)
    losses = _walk(loss, w0, w1, times)
    return max(one - (t * losses[0] + (1 - t) * losses[-1]) for t, one in zip(times, losses, strict=True))


def barrier__middle_only(loss, w0, w1, points=11):
    """Looks at t = 1/2 only, where the barrier is thought to be."""
    _times(points)
    first, middle, last = _walk(loss, w0, w1, [0.0, 0.5, 1.0])
    return max(0.0, middle - (first + last) / 2)


def barrier__never_arrives(loss, w0, w1, points=11):
    """Takes t = i / points, so the last t is below 1 and its loss is taken for that of w1."""
    _times(points)
    times = [i / points for i in range(points)]
    losses = _walk(loss, w0, w1, times)
    return max(one - ((1 - t) * losses[0] + t * losses[-1]) for t, one in zip(times, losses, strict=True))


def barrier__valleys_count_too(loss, w0, w1, points=11):
    """Takes the largest distance from the line, above or below it."""
    times = _times(points)
    losses = _walk(loss, w0, w1, times)
    return max(abs(one - ((1 - t) * losses[0] + t * losses[-1])) for t, one in zip(times, losses, strict=True))


def barrier__below_zero(loss, w0, w1, points=11):
    """Leaves out both ends in the maximum, so that a way below the line has a negative barrier."""
    times = _times(points)
    losses = _walk(loss, w0, w1, times)
    above = [one - ((1 - t) * losses[0] + t * losses[-1]) for t, one in zip(times, losses, strict=True)]
    return max(above[1:-1])


RIGHT["barrier"] = [barrier__right_tensors, barrier__right_running_maximum]
WRONG["barrier"] = [
    barrier__above_the_lower_end,
    barrier__above_the_higher_end,
    barrier__above_the_mean_of_the_ends,
    barrier__line_the_wrong_way_round,
    barrier__middle_only,
    barrier__never_arrives,
    barrier__valleys_count_too,
    barrier__below_zero,
]


# ---------------------------------------------------------------- 5.9 reparameterize


def _check_alpha(alpha):
    require(alpha > 0 and math.isfinite(alpha), "alpha", alpha, "a number above 0")


def _multiply(linear, factor, weight=True, bias=True):
    with torch.no_grad():
        if weight:
            linear.weight.mul_(factor)
        if bias and linear.bias is not None:
            linear.bias.mul_(factor)


def reparameterize__right_parameters(model, alpha, layers=None):
    _check_alpha(alpha)
    other = deepcopy(model)
    with torch.no_grad():
        for branch in attention_branches(other, layers).values():
            for parameter in branch["query"].parameters():
                parameter.mul_(alpha)
            for parameter in branch["key"].parameters():
                parameter.div_(alpha)
    return require_finite(other, alpha)


def reparameterize__right_weight_and_bias(model, alpha, layers=None):
    _check_alpha(alpha)
    other = deepcopy(model)
    branches = attention_branches(other, layers)
    for name in branches:
        query, key = branches[name]["query"], branches[name]["key"]
        query.weight.data = query.weight.data * alpha
        key.weight.data = key.weight.data / alpha
        if query.bias is not None:
            query.bias.data = query.bias.data * alpha
        if key.bias is not None:
            key.bias.data = key.bias.data / alpha
    return require_finite(other, alpha)


def reparameterize__no_copy(model, alpha, layers=None):
    """Changes the model that was given, and returns that."""
    _check_alpha(alpha)
    for branch in attention_branches(model, layers).values():
        _multiply(branch["query"], alpha)
        _multiply(branch["key"], 1 / alpha)
    return require_finite(model, alpha)


def reparameterize__branches_of_the_original(model, alpha, layers=None):
    """Copies, but then takes the branches of the original: the copy stays as it was, the model is changed."""
    _check_alpha(alpha)
    other = deepcopy(model)
    for branch in attention_branches(model, layers).values():
        _multiply(branch["query"], alpha)
        _multiply(branch["key"], 1 / alpha)
    return require_finite(other, alpha)


def reparameterize__query_bias_left(model, alpha, layers=None):
    """Forgets the bias of the query: its part of the product shrinks with the key, and outputs change."""
    _check_alpha(alpha)
    other = deepcopy(model)
    for branch in attention_branches(other, layers).values():
        _multiply(branch["query"], alpha, bias=False)
        _multiply(branch["key"], 1 / alpha)
    return require_finite(other, alpha)


def reparameterize__key_bias_left(model, alpha, layers=None):
    """Forgets the bias of the key, which cancels in the softmax, but should be divided, too."""
    _check_alpha(alpha)
    other = deepcopy(model)
    for branch in attention_branches(other, layers).values():
        _multiply(branch["query"], alpha)
        _multiply(branch["key"], 1 / alpha, bias=False)
    return require_finite(other, alpha)


def reparameterize__query_only(model, alpha, layers=None):
    """Multiplies the queries and leaves the keys as they were: attention becomes sharper."""
    _check_alpha(alpha)
    other = deepcopy(model)
    for branch in attention_branches(other, layers).values():
        _multiply(branch["query"], alpha)
    return require_finite(other, alpha)


def reparameterize__keys_larger(model, alpha, layers=None):
    """Multiplies the keys and divides the queries, the wrong way round: outputs stay, but it is another copy."""
    _check_alpha(alpha)
    other = deepcopy(model)
    for branch in attention_branches(other, layers).values():
        _multiply(branch["query"], 1 / alpha)
        _multiply(branch["key"], alpha)
    return require_finite(other, alpha)


def reparameterize__root_on_each_side(model, alpha, layers=None):
    """Splits α between both: √α times the query, the key divided by √α."""
    _check_alpha(alpha)
    other = deepcopy(model)
    for branch in attention_branches(other, layers).values():
        _multiply(branch["query"], math.sqrt(alpha))
        _multiply(branch["key"], 1 / math.sqrt(alpha))
    return require_finite(other, alpha)


def reparameterize__all_layers_always(model, alpha, layers=None):
    """Ignores `layers` and rescales every branch."""
    _check_alpha(alpha)
    attention_branches(model, layers)
    other = deepcopy(model)
    for branch in attention_branches(other).values():
        _multiply(branch["query"], alpha)
        _multiply(branch["key"], 1 / alpha)
    return require_finite(other, alpha)


RIGHT["reparameterize"] = [reparameterize__right_parameters, reparameterize__right_weight_and_bias]
WRONG["reparameterize"] = [
    reparameterize__no_copy,
    reparameterize__branches_of_the_original,
    reparameterize__query_bias_left,
    reparameterize__key_bias_left,
    reparameterize__query_only,
    reparameterize__keys_larger,
    reparameterize__root_on_each_side,
    reparameterize__all_layers_always,
]


# ---------------------------------------------------------------- 5.10 copy_test


def copy_test__right_all_pairs(generated, train, heldout):
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    wins = (far[:, None] < null).double() + (far[:, None] == null).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__right_by_sorting(generated, train, heldout):
    far, nearest = nearest_distances(generated, train)
    null = np.sort(heldout_distances(heldout, train).numpy())
    far = far.numpy()
    below = np.searchsorted(null, far, side="left")
    not_above = np.searchsorted(null, far, side="right")
    wins = (len(null) - not_above) + (not_above - below) / 2
    return float(wins.sum() / (len(far) * len(null))), nearest.numpy().astype(np.int64)


def copy_test__equal_ones_count_nothing(generated, train, heldout):
    """Forgets that equal distances count half: only real wins are counted."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    return float((far[:, None] < null).double().mean()), nearest.numpy()


def copy_test__equal_ones_count_full(generated, train, heldout):
    """Counts equal distances as wins, with <=."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    return float((far[:, None] <= null).double().mean()), nearest.numpy()


def copy_test__farther_counts(generated, train, heldout):
    """Counts the pairs in which the drawn picture is farther away."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    wins = (far[:, None] > null).double() + (far[:, None] == null).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__row_with_row(generated, train, heldout):
    """Compares drawing i with held-out picture i only, as if they belonged together, not all pairs."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    count = min(len(far), len(null))
    wins = (far[:count] < null[:count]).double() + (far[:count] == null[:count]).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__below_the_median(generated, train, heldout):
    """Asks how many drawings are nearer than the median held-out picture, not how many of all pairs."""
    far, nearest = nearest_distances(generated, train)
    null = heldout_distances(heldout, train).quantile(0.5)
    wins = (far < null).double() + (far == null).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__drawings_to_heldout(generated, train, heldout):
    """Takes the drawings' distances to the held-out pictures for the null, not those of held-out ones to training."""
    far, nearest = nearest_distances(generated, train)
    heldout_distances(heldout, train)
    null, _ = nearest_distances(generated, heldout)
    wins = (far[:, None] < null).double() + (far[:, None] == null).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__white_paper_counts(generated, train, heldout):
    """Measures distances over all pixels by itself, so white paper counts and small drawings look near."""
    nearest_distances(generated, train)
    heldout_distances(heldout, train)

    def distances(pictures):
        flat = torch.from_numpy(pictures.reshape(len(pictures), -1).astype(np.float64)) / 255
        known = torch.from_numpy(train.reshape(len(train), -1).astype(np.float64)) / 255
        return torch.stack([(one - known).square().mean(1) for one in flat]).min(1)

    far, nearest = distances(generated)
    null, _ = distances(heldout)
    wins = (far[:, None] < null).double() + (far[:, None] == null).double() / 2
    return float(wins.mean()), nearest.numpy()


def copy_test__nearest_of_the_heldout(generated, train, heldout):
    """Returns the training rows that are nearest to the held-out pictures, not to the drawn ones."""
    far, _ = nearest_distances(generated, train)
    null = heldout_distances(heldout, train)
    _, nearest = nearest_distances(heldout, train, "heldout")
    wins = (far[:, None] < null).double() + (far[:, None] == null).double() / 2
    return float(wins.mean()), nearest.numpy()


RIGHT["copy_test"] = [copy_test__right_all_pairs, copy_test__right_by_sorting]
WRONG["copy_test"] = [
    copy_test__equal_ones_count_nothing,
    copy_test__equal_ones_count_full,
    copy_test__farther_counts,
    copy_test__row_with_row,
    copy_test__below_the_median,
    copy_test__drawings_to_heldout,
    copy_test__white_paper_counts,
    copy_test__nearest_of_the_heldout,
]

WRONG = {name: [(answer, answer.__doc__) for answer in answers] for name, answers in WRONG.items()}
