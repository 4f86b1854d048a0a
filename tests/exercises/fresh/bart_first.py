"""Answers of students who see the lesson BART for the first time: two right and seven wrong for each exercise."""

import math

import torch
from torch.nn import functional as F

from minidalle.bart.attention import multi_head_attention
from minidalle.bart.layers import enter, feed_forward, join
from minidalle.bart.primitives import linear, optional_norm

# ---------------------------------------------------------------- shift_right


def shift_right__right_cat(tokens, start):
    first = torch.full_like(tokens[:, :1], start)
    return torch.cat([first, tokens[:, :-1]], dim=1)


def shift_right__right_roll(tokens, start):
    moved = tokens.roll(1, dims=1)
    moved[:, 0] = start
    return moved


def shift_right__roll_only(tokens, start):
    # Moves the tokens in a circle, so that the last token and not the start token stands in front.
    return torch.roll(tokens, 1, dims=1)


def shift_right__to_the_left(tokens, start):
    # Moves to the left: each position gets the token after it, and the start token stands at the end.
    last = torch.full_like(tokens[:, :1], start)
    return torch.cat([tokens[:, 1:], last], dim=1)


def shift_right__first_replaced(tokens, start):
    # Drops the first token and not the last, so that nothing has moved and only the first is replaced.
    first = torch.full_like(tokens[:, :1], start)
    return torch.cat([first, tokens[:, 1:]], dim=1)


def shift_right__down_the_batch(tokens, start):
    # Takes the wrong axis: each row becomes the row before it, and the first row consists of start tokens.
    first = torch.full_like(tokens[:1], start)
    return torch.cat([first, tokens[:-1]], dim=0)


def shift_right__copied_in_place(tokens, start):
    # Copies from left to right in the same tensor, so that the start token overwrites everything.
    moved = tokens.clone()
    moved[:, 0] = start
    for n in range(1, tokens.shape[1]):
        moved[:, n] = moved[:, n - 1]
    return moved


def shift_right__first_row(tokens, start):
    # Writes the start token to row 0 and not to column 0, after moving in a circle.
    moved = tokens.roll(1, dims=1)
    moved[0] = start
    return moved


def shift_right__padded_with_zero(tokens, start):
    # Forgets `start` and pads with zeros in front, so that token 0 stands for the beginning.
    return F.pad(tokens, (1, 0))[:, :-1]


# ---------------------------------------------------------------- causal_mask


def causal_mask__right_tril(length, device=None):
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def causal_mask__right_compare(length, device=None):
    place = torch.arange(length, device=device)
    return place[:, None] >= place[None, :]


def causal_mask__upper(length, device=None):
    # Mixes up rows and columns: each position looks at itself and those after it.
    place = torch.arange(length, device=device)
    return place[:, None] <= place[None, :]


def causal_mask__without_itself(length, device=None):
    # Lets a position see only those strictly before it, since it believes that itself would be the answer.
    return torch.ones(length, length, dtype=torch.bool, device=device).tril(-1)


def causal_mask__one_too_many(length, device=None):
    # Also allows the next position: the diagonal of tril is one too high.
    return torch.ones(length, length, dtype=torch.bool, device=device).tril(1)


def causal_mask__forbidden(length, device=None):
    # Marks what is forbidden (True = may not look), as torch's own modules want it.
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


def causal_mask__two_guests(length, device=None):
    # Takes over the guests' example with its limit: only itself and the one just before it.
    place = torch.arange(length, device=device)
    apart = place[:, None] - place[None, :]
    return (apart >= 0) & (apart < 2)


def causal_mask__only_itself(length, device=None):
    # Each position looks at itself only: the diagonal without what is before it.
    return torch.eye(length, dtype=torch.bool, device=device)


def causal_mask__last_sees_least(length, device=None):
    # Counts down instead of up: row i may look at the first N - i columns.
    place = torch.arange(length, device=device)
    return place[None, :] < length - place[:, None]


# ---------------------------------------------------------------- padding_mask


def padding_mask__right_none(mask):
    return mask[:, None, None, :]


def padding_mask__right_reshape(mask):
    batch, length = mask.shape
    return mask.reshape(batch, 1, 1, length)


def padding_mask__who_looks(mask):
    # Puts the tokens in the third place, that of those who look and not of those who are looked at.
    return mask[:, None, :, None]


def padding_mask__inverted(mask):
    # Turns the mask round, since it believes that a padding mask says where the padding is.
    return ~mask[:, None, None, :]


def padding_mask__any_row(mask):
    # Makes one mask for the whole batch: a place counts as real if it is real in any row.
    return mask.any(dim=0).expand_as(mask)[:, None, None, :]


def padding_mask__one_too_many(mask):
    # Builds it anew from the lengths with <= and lets one token of filling pass.
    lengths = mask.sum(dim=1, keepdim=True)
    return (torch.arange(mask.shape[1], device=mask.device) <= lengths)[:, None, None, :]


def padding_mask__always_in_front(mask):
    # Builds it anew from the lengths, which is wrong where filling stands before or between real tokens.
    lengths = mask.sum(dim=1, keepdim=True)
    return (torch.arange(mask.shape[1], device=mask.device) < lengths)[:, None, None, :]


def padding_mask__scrambled(mask):
    # Transposes and then reshapes, so that the tokens of different rows are mixed up.
    batch, length = mask.shape
    return mask.T.reshape(batch, 1, 1, length)


def padding_mask__no_end(mask):
    # Takes the end sign for filling, too: the last real token of each row is not allowed.
    following = F.pad(mask, (0, 1))[:, 1:]
    return (mask & following)[:, None, None, :]


# ---------------------------------------------------------------- attend


def _wide(x):
    return x.to(torch.promote_types(x.dtype, torch.float32))


def attend__right_matmul(query, key, value, mask=None):
    scores = _wide(query) @ _wide(key).transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return (scores.softmax(dim=-1) @ _wide(value)).to(value.dtype)


def attend__right_einsum(query, key, value, mask=None):
    scores = torch.einsum("bhtd,bhsd->bhts", _wide(query) * query.shape[-1] ** -0.5, _wide(key))
    if mask is not None:
        scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
    raised = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    shares = raised / raised.sum(dim=-1, keepdim=True)
    return torch.einsum("bhts,bhsd->bhtd", shares, _wide(value)).to(value.dtype)


def attend__whole_width(query, key, value, mask=None):
    # Divides by the root of the whole width h * d, and not of the d features that one head has.
    width = query.shape[1] * query.shape[-1]
    scores = _wide(query) @ _wide(key).transpose(-2, -1) / math.sqrt(width)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return (scores.softmax(dim=-1) @ _wide(value)).to(value.dtype)


def attend__softmax_over_queries(query, key, value, mask=None):
    # Takes the softmax over the queries (dim=-2), so that a query's shares do not add up to 1.
    scores = _wide(query) @ _wide(key).transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return (scores.softmax(dim=-2) @ _wide(value)).to(value.dtype)


def attend__mask_after_softmax(query, key, value, mask=None):
    # Sets the forbidden shares to 0 only after the softmax, so that the others do not add up to 1.
    scores = _wide(query) @ _wide(key).transpose(-2, -1) / math.sqrt(query.shape[-1])
    shares = scores.softmax(dim=-1)
    if mask is not None:
        shares = shares * mask
    return (shares @ _wide(value)).to(value.dtype)


def attend__score_zero(query, key, value, mask=None):
    # Sets the forbidden scores to 0 before the softmax: e to the 0 is 1, so that they still get a share.
    scores = _wide(query) @ _wide(key).transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores * mask
    return (scores.softmax(dim=-1) @ _wide(value)).to(value.dtype)


def attend__penalty_added(query, key, value, mask=None):
    # Adds -10,000 and does not replace the score: who may look nowhere gets a weighted, not the plain mean.
    scores = _wide(query) @ _wide(key).transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores + (1.0 - mask.to(scores.dtype)) * -1e4
    return (scores.softmax(dim=-1) @ _wide(value)).to(value.dtype)


def attend__nowhere_is_zero(query, key, value, mask=None):
    # Masks with -inf and turns the NaN into 0: who may look nowhere gets zeros, not the mean of all values.
    scores = _wide(query) @ _wide(key).transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return (scores.softmax(dim=-1).nan_to_num(0.0) @ _wide(value)).to(value.dtype)


def attend__exp_by_hand(query, key, value, mask=None):
    # Computes the softmax as exp / sum without taking off the largest, which overflows at scores above 88.
    scores = _wide(query) @ _wide(key).transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    raised = scores.exp()
    return (raised / raised.sum(dim=-1, keepdim=True) @ _wide(value)).to(value.dtype)


# ---------------------------------------------------------------- split_heads


def split_heads__right_unflatten(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def split_heads__right_chunks(x, heads):
    return torch.stack(x.chunk(heads, dim=-1), dim=1)


def split_heads__reshape_alone(x, heads):
    # Reshapes to the wanted shape at once, which mixes up tokens and features.
    batch, length, width = x.shape
    return x.reshape(batch, heads, length, width // heads)


def split_heads__every_hth(x, heads):
    # Cuts into (d, h) and not (h, d): head i gets every h-th feature and not the i-th piece.
    return x.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2)


def split_heads__not_swapped(x, heads):
    # Cuts the features and forgets to swap tokens and heads.
    return x.unflatten(-1, (heads, -1))


def split_heads__overlapping(x, heads):
    # Begins the i-th piece at feature i and not at i * d, so that the pieces overlap.
    d = x.shape[-1] // heads
    return torch.stack([x[..., i : i + d] for i in range(heads)], dim=1)


def split_heads__swapped_before(x, heads):
    # Swaps tokens and features before it cuts, and then reshapes, which mixes them up.
    batch, length, width = x.shape
    return x.transpose(1, 2).reshape(batch, heads, length, width // heads)


def split_heads__heads_in_front(x, heads):
    # Views with the heads in front and swaps them with the rows, so that head 0 gets the first rows' numbers.
    batch, length, width = x.shape
    return x.reshape(heads, batch, length, width // heads).transpose(0, 1)


def split_heads__joined_by_rows(x, heads):
    # Joins the pieces along the rows and views that as [B, h, …], which mixes up rows and heads of a batch.
    batch, length, width = x.shape
    return torch.cat(x.chunk(heads, dim=-1), dim=0).view(batch, heads, length, width // heads)


# ---------------------------------------------------------------- glu_feed_forward


def glu_feed_forward__right_gelu(weights, x):
    hidden = F.gelu(linear(weights["gate"], x)) * linear(weights["up"], x)
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward__right_erf(weights, x):
    gate = linear(weights["gate"], x)
    open_by = gate * (1 + torch.erf(gate / math.sqrt(2))) / 2
    hidden = torch.mul(linear(weights["up"], x), open_by)
    hidden = optional_norm(weights, "hidden", hidden)
    return linear(weights["down"], hidden)


def glu_feed_forward__bends_up(weights, x):
    # Bends the wrong half: GELU is taken of `up` and the gate goes through as it is.
    hidden = linear(weights["gate"], x) * F.gelu(linear(weights["up"], x))
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward__bends_product(weights, x):
    # Multiplies first and takes GELU of the product.
    hidden = F.gelu(linear(weights["gate"], x) * linear(weights["up"], x))
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward__sigmoid(weights, x):
    # Opens the gate with a sigmoid, as in the worked example of the interval, and not with GELU.
    hidden = torch.sigmoid(linear(weights["gate"], x)) * linear(weights["up"], x)
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward__no_norm(weights, x):
    # Forgets the norm before `down`.
    hidden = F.gelu(linear(weights["gate"], x)) * linear(weights["up"], x)
    return linear(weights["down"], hidden)


def glu_feed_forward__norm_twice(weights, x):
    # Normalizes in `hidden = …` and again in the line that was given.
    hidden = F.gelu(linear(weights["gate"], x)) * linear(weights["up"], x)
    hidden = optional_norm(weights, "hidden", hidden)
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward__up_twice(weights, x):
    # Makes the gate of the same layer `up` as what goes through it; `gate` is never used.
    widened = linear(weights["up"], x)
    hidden = F.gelu(widened) * widened
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward__norm_on_gate(weights, x):
    # Normalizes the bent gate before the product, and not the product.
    hidden = optional_norm(weights, "hidden", F.gelu(linear(weights["gate"], x))) * linear(weights["up"], x)
    return linear(weights["down"], hidden)


# ---------------------------------------------------------------- encoder_layer


def encoder_layer__right_as_given(weights, x, mask, heads, dropout=0.0):
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def encoder_layer__right_loop(weights, x, mask, heads, dropout=0.0):
    def look(branch, entered):
        return multi_head_attention(branch, entered, entered, mask, heads)

    for name, compute in (("attention", look), ("feed_forward", feed_forward)):
        added = compute(weights[name], enter(weights[name], x))
        x = join(weights[name], x, added, dropout)
    return x


def encoder_layer__not_entered(weights, x, mask, heads, dropout=0.0):
    # The second branch thinks about x itself and not about enter(branch, x).
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, x), dropout)


def encoder_layer__sum_with_entered(weights, x, mask, heads, dropout=0.0):
    # The second sum is made with what has entered and not with x, so that the straight way is normalized.
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    x = enter(branch, x)
    return join(branch, x, feed_forward(branch, x), dropout)


def encoder_layer__plain_sum(weights, x, mask, heads, dropout=0.0):
    # Adds with + and not with join, so that the second branch's norms after it and its dropout are missing.
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return x + feed_forward(branch, enter(branch, x))


def encoder_layer__old_entered(weights, x, mask, heads, dropout=0.0):
    # The second branch gets the `entered` of the first one, from before the tokens looked at each other.
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, entered), dropout)


def encoder_layer__added_twice(weights, x, mask, heads, dropout=0.0):
    # Adds x to the branch itself and lets join add it once more.
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, x + feed_forward(branch, enter(branch, x)), dropout)


def encoder_layer__join_swapped(weights, x, mask, heads, dropout=0.0):
    # Gives x and what is added to join in the wrong order, so that dropout meets x and not what is added.
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, feed_forward(branch, enter(branch, x)), x, dropout)


def encoder_layer__no_dropout(weights, x, mask, heads, dropout=0.0):
    # Copies the 0.0 of the worked example into the second join, so that this branch has no dropout.
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), 0.0)


# ---------------------------------------------------------------- decoder_layer


def decoder_layer__right_plain(weights, x, mask, memory, memory_mask, heads, dropout=0.0):
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["cross_attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, memory, memory_mask, heads), dropout)

    branch = weights["feed_forward"]
    entered = enter(branch, x)
    return join(branch, x, feed_forward(branch, entered), dropout)


def decoder_layer__right_table(weights, x, mask, memory, memory_mask, heads, dropout=0.0):
    branches = {
        "attention": lambda branch, entered: multi_head_attention(branch, entered, entered, mask, heads),
        "cross_attention": lambda branch, entered: multi_head_attention(branch, entered, memory, memory_mask, heads),
        "feed_forward": feed_forward,
    }
    for name, compute in branches.items():
        x = join(weights[name], x, compute(weights[name], enter(weights[name], x)), dropout)
    return x


def decoder_layer__memory_entered(weights, x, mask, memory, memory_mask, heads, dropout=0.0):
    # Lets the memory enter cross-attention, too, so that it is normalized once more.
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["cross_attention"]
    answers = enter(branch, memory)
    x = join(branch, x, multi_head_attention(branch, enter(branch, x), answers, memory_mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__no_memory_mask(weights, x, mask, memory, memory_mask, heads, dropout=0.0):
    # Looks at the caption without a mask, since "the whole caption is known": filling is looked at, too.
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, enter(branch, x), memory, None, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__sees_the_future(weights, x, mask, memory, memory_mask, heads, dropout=0.0):
    # Forgets the causal mask in self-attention, so that the image tokens see those after them.
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, None, heads), dropout)

    branch = weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, enter(branch, x), memory, memory_mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__text_first(weights, x, mask, memory, memory_mask, heads, dropout=0.0):
    # Takes the branches in another order: first the text, and then the image tokens look back at each other.
    branch = weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, enter(branch, x), memory, memory_mask, heads), dropout)

    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__old_entered(weights, x, mask, memory, memory_mask, heads, dropout=0.0):
    # Asks the text with the `entered` of self-attention, and not with what came of it.
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, entered, memory, memory_mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__same_branch(weights, x, mask, memory, memory_mask, heads, dropout=0.0):
    # Copies the first branch and forgets its name: cross-attention works with the weights of self-attention.
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, memory, memory_mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__no_way_around_text(weights, x, mask, memory, memory_mask, heads, dropout=0.0):
    # Goes on with what cross-attention gives and does not add it to x.
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["cross_attention"]
    x = multi_head_attention(branch, enter(branch, x), memory, memory_mask, heads)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


# ---------------------------------------------------------------- sequence_loss


def sequence_loss__right_logsumexp(logits, targets, mask=None):
    logits = _wide(logits)
    chosen = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    surprise = logits.logsumexp(dim=-1) - chosen
    return surprise.mean() if mask is None else surprise[mask].mean()


def sequence_loss__right_one_hot(logits, targets, mask=None):
    real = F.one_hot(targets, logits.shape[-1]).bool()
    surprise = -_wide(logits).log_softmax(dim=-1).masked_fill(~real, 0.0).sum(dim=-1)
    counts = torch.ones_like(surprise) if mask is None else mask.to(surprise.dtype)
    return (surprise * counts).sum() / counts.sum()


def sequence_loss__mean_of_rows(logits, targets, mask=None):
    # Takes the mean of each row and then the mean of the rows, so that tokens of short rows weigh more.
    surprise = -_wide(logits).log_softmax(dim=-1).gather(-1, targets[..., None])[..., 0]
    if mask is None:
        return surprise.mean()
    return ((surprise * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()


def sequence_loss__over_all(logits, targets, mask=None):
    # Sets the filling's surprise to 0 and still divides by all positions.
    surprise = -_wide(logits).log_softmax(dim=-1).gather(-1, targets[..., None])[..., 0]
    if mask is not None:
        surprise = surprise * mask
    return surprise.mean()


def sequence_loss__shifted_again(logits, targets, mask=None):
    # Shifts once more, as if logits[b, n] were about the token after targets[b, n].
    surprise = -_wide(logits)[:, :-1].log_softmax(dim=-1).gather(-1, targets[:, 1:, None])[..., 0]
    return surprise.mean() if mask is None else surprise[mask[:, 1:]].mean()


def sequence_loss__log_of_softmax(logits, targets, mask=None):
    # Takes the log of the softmax in two steps, which is infinite where the chance is rounded to 0.
    chance = _wide(logits).softmax(dim=-1).gather(-1, targets[..., None])[..., 0]
    surprise = -chance.log()
    return surprise.mean() if mask is None else surprise[mask].mean()


def sequence_loss__over_positions(logits, targets, mask=None):
    # Takes the softmax over the positions (dim=1) and not over the tokens.
    surprise = -_wide(logits).log_softmax(dim=1).gather(-1, targets[..., None])[..., 0]
    return surprise.mean() if mask is None else surprise[mask].mean()


def sequence_loss__log_of_mean(logits, targets, mask=None):
    # Averages the chances and takes the logarithm of that, and not the mean of the logarithms.
    chance = _wide(logits).softmax(dim=-1).gather(-1, targets[..., None])[..., 0]
    return -(chance.mean() if mask is None else chance[mask].mean()).log()


def sequence_loss__half_precision(logits, targets, mask=None):
    # Computes in the logits' own precision and converts only the result: coarse for bfloat16 logits.
    surprise = -logits.log_softmax(dim=-1).gather(-1, targets[..., None])[..., 0]
    return _wide(surprise.mean() if mask is None else surprise[mask].mean())


# ---------------------------------------------------------------- warmup_schedule


def warmup_schedule__right_cases(step, steps, warmup, hold=0.0, decay="linear"):
    if step < warmup:
        return (step + 1) / warmup
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__right_smallest(step, steps, warmup, hold=0.0, decay="linear"):
    rise = min(1.0, (step + 1) / max(warmup, 1))
    flat = max(warmup, round(hold * steps))
    left = min(1.0, (steps - step) / max(steps - flat, 1))
    fall = left if decay == "linear" else math.sin(math.pi / 2 * left) ** 2
    return min(rise, fall)


def warmup_schedule__begins_at_zero(step, steps, warmup, hold=0.0, decay="linear"):
    # Rises with step / warmup, so that the first step is lost at 0 and the last of the warm-up is below 1.
    if step < warmup:
        return step / warmup
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__hold_after_warmup(step, steps, warmup, hold=0.0, decay="linear"):
    # Counts the hold from the end of the warm-up and not from the first step.
    if step < warmup:
        return (step + 1) / warmup
    flat = min(steps, warmup + round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__last_is_zero(step, steps, warmup, hold=0.0, decay="linear"):
    # Reaches 0 at the last step that is taken and not at the step after it.
    if step < warmup:
        return (step + 1) / warmup
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step - flat) / max(steps - 1 - flat, 1)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__falls_from_hold(step, steps, warmup, hold=0.0, decay="linear"):
    # Counts the fall from the end of the hold even if the warm-up is longer: the rate jumps down after it.
    if step < warmup:
        return (step + 1) / warmup
    flat = round(hold * steps)
    if step < flat:
        return 1.0
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__hold_first(step, steps, warmup, hold=0.0, decay="linear"):
    # Asks about the hold before the warm-up, so that a hold cuts the warm-up short.
    if step < round(hold * steps):
        return 1.0
    if step < warmup:
        return (step + 1) / warmup
    flat = max(warmup, round(hold * steps))
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__quarter_turn(step, steps, warmup, hold=0.0, decay="linear"):
    # Lets the cosine fall by a quarter of a turn, cos(π/2 · p), and not by half a turn.
    if step < warmup:
        return (step + 1) / warmup
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else math.cos(math.pi / 2 * progress)


def warmup_schedule__share_of_all(step, steps, warmup, hold=0.0, decay="linear"):
    # Divides the fall by all steps and not by those that are left, so that it does not come down to 0.
    if step < warmup:
        return (step + 1) / warmup
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step - flat) / steps
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


RIGHT = {
    "shift_right": [shift_right__right_cat, shift_right__right_roll],
    "causal_mask": [causal_mask__right_tril, causal_mask__right_compare],
    "padding_mask": [padding_mask__right_none, padding_mask__right_reshape],
    "attend": [attend__right_matmul, attend__right_einsum],
    "split_heads": [split_heads__right_unflatten, split_heads__right_chunks],
    "glu_feed_forward": [glu_feed_forward__right_gelu, glu_feed_forward__right_erf],
    "encoder_layer": [encoder_layer__right_as_given, encoder_layer__right_loop],
    "decoder_layer": [decoder_layer__right_plain, decoder_layer__right_table],
    "sequence_loss": [sequence_loss__right_logsumexp, sequence_loss__right_one_hot],
    "warmup_schedule": [warmup_schedule__right_cases, warmup_schedule__right_smallest],
}

WRONG = {
    "shift_right": [
        (
            shift_right__roll_only,
            "Moves the tokens in a circle, so that the last token and not the start token stands in front.",
        ),
        (
            shift_right__to_the_left,
            "Moves to the left: each position gets the token after it, and the start token stands at the end.",
        ),
        (
            shift_right__first_replaced,
            "Drops the first token and not the last, so that nothing has moved and only the first is replaced.",
        ),
        (
            shift_right__down_the_batch,
            "Takes the wrong axis: each row becomes the row before it, and the first row consists of start tokens.",
        ),
        (
            shift_right__copied_in_place,
            "Copies from left to right in the same tensor, so that the start token overwrites everything.",
        ),
        (shift_right__first_row, "Writes the start token to row 0 and not to column 0, after moving in a circle."),
        (
            shift_right__padded_with_zero,
            "Forgets `start` and pads with zeros in front, so that token 0 stands for the beginning.",
        ),
    ],
    "causal_mask": [
        (causal_mask__upper, "Mixes up rows and columns: each position looks at itself and those after it."),
        (
            causal_mask__without_itself,
            "Lets a position see only those strictly before it, since it believes that itself would be the answer.",
        ),
        (causal_mask__one_too_many, "Also allows the next position: the diagonal of tril is one too high."),
        (causal_mask__forbidden, "Marks what is forbidden (True = may not look), as torch's own modules want it."),
        (
            causal_mask__two_guests,
            "Takes over the guests' example with its limit: only itself and the one just before it.",
        ),
        (causal_mask__only_itself, "Each position looks at itself only: the diagonal without what is before it."),
        (causal_mask__last_sees_least, "Counts down instead of up: row i may look at the first N - i columns."),
    ],
    "padding_mask": [
        (
            padding_mask__who_looks,
            "Puts the tokens in the third place, that of those who look and not of those who are looked at.",
        ),
        (
            padding_mask__inverted,
            "Turns the mask round, since it believes that a padding mask says where the padding is.",
        ),
        (padding_mask__any_row, "Makes one mask for the whole batch: a place counts as real if it is real in any row."),
        (padding_mask__one_too_many, "Builds it anew from the lengths with <= and lets one token of filling pass."),
        (
            padding_mask__always_in_front,
            "Builds it anew from the lengths, which is wrong where filling stands before or between real tokens.",
        ),
        (padding_mask__scrambled, "Transposes and then reshapes, so that the tokens of different rows are mixed up."),
        (padding_mask__no_end, "Takes the end sign for filling, too: the last real token of each row is not allowed."),
    ],
    "attend": [
        (
            attend__whole_width,
            "Divides by the root of the whole width h * d, and not of the d features that one head has.",
        ),
        (
            attend__softmax_over_queries,
            "Takes the softmax over the queries (dim=-2), so that a query's shares do not add up to 1.",
        ),
        (
            attend__mask_after_softmax,
            "Sets the forbidden shares to 0 only after the softmax, so that the others do not add up to 1.",
        ),
        (
            attend__score_zero,
            "Sets the forbidden scores to 0 before the softmax: e to the 0 is 1, so that they still get a share.",
        ),
        (
            attend__penalty_added,
            "Adds -10,000 and does not replace the score: who may look nowhere gets a weighted, not the plain mean.",
        ),
        (
            attend__nowhere_is_zero,
            "Masks with -inf and turns the NaN into 0: who may look nowhere gets zeros, not the mean of all values.",
        ),
        (
            attend__exp_by_hand,
            "Computes the softmax as exp / sum without taking off the largest, which overflows at scores above 88.",
        ),
    ],
    "split_heads": [
        (split_heads__reshape_alone, "Reshapes to the wanted shape at once, which mixes up tokens and features."),
        (
            split_heads__every_hth,
            "Cuts into (d, h) and not (h, d): head i gets every h-th feature and not the i-th piece.",
        ),
        (split_heads__not_swapped, "Cuts the features and forgets to swap tokens and heads."),
        (split_heads__overlapping, "Begins the i-th piece at feature i and not at i * d, so that the pieces overlap."),
        (
            split_heads__swapped_before,
            "Swaps tokens and features before it cuts, and then reshapes, which mixes them up.",
        ),
        (
            split_heads__heads_in_front,
            "Views with the heads in front and swaps them with the rows, so that head 0 gets the first rows' numbers.",
        ),
        (
            split_heads__joined_by_rows,
            "Joins the pieces along the rows and views that as [B, h, …], which mixes up rows and heads of a batch.",
        ),
    ],
    "glu_feed_forward": [
        (glu_feed_forward__bends_up, "Bends the wrong half: GELU is taken of `up` and the gate goes through as it is."),
        (glu_feed_forward__bends_product, "Multiplies first and takes GELU of the product."),
        (
            glu_feed_forward__sigmoid,
            "Opens the gate with a sigmoid, as in the worked example of the interval, and not with GELU.",
        ),
        (glu_feed_forward__no_norm, "Forgets the norm before `down`."),
        (glu_feed_forward__norm_twice, "Normalizes in `hidden = …` and again in the line that was given."),
        (
            glu_feed_forward__up_twice,
            "Makes the gate of the same layer `up` as what goes through it; `gate` is never used.",
        ),
        (glu_feed_forward__norm_on_gate, "Normalizes the bent gate before the product, and not the product."),
    ],
    "encoder_layer": [
        (encoder_layer__not_entered, "The second branch thinks about x itself and not about enter(branch, x)."),
        (
            encoder_layer__sum_with_entered,
            "The second sum is made with what has entered and not with x, so that the straight way is normalized.",
        ),
        (
            encoder_layer__plain_sum,
            "Adds with + and not with join, so that the second branch's norms after it and its dropout are missing.",
        ),
        (
            encoder_layer__old_entered,
            "The second branch gets the `entered` of the first one, from before the tokens looked at each other.",
        ),
        (encoder_layer__added_twice, "Adds x to the branch itself and lets join add it once more."),
        (
            encoder_layer__join_swapped,
            "Gives x and what is added to join in the wrong order, so that dropout meets x and not what is added.",
        ),
        (
            encoder_layer__no_dropout,
            "Copies the 0.0 of the worked example into the second join, so that this branch has no dropout.",
        ),
    ],
    "decoder_layer": [
        (
            decoder_layer__memory_entered,
            "Lets the memory enter cross-attention, too, so that it is normalized once more.",
        ),
        (
            decoder_layer__no_memory_mask,
            "Looks at the caption without a mask, since 'the whole caption is known': filling is looked at, too.",
        ),
        (
            decoder_layer__sees_the_future,
            "Forgets the causal mask in self-attention, so that the image tokens see those after them.",
        ),
        (
            decoder_layer__text_first,
            "Takes the branches in another order: first the text, and then the image tokens look back at each other.",
        ),
        (
            decoder_layer__old_entered,
            "Asks the text with the `entered` of self-attention, and not with what came of it.",
        ),
        (
            decoder_layer__same_branch,
            "Copies the first branch and forgets its name: cross-attention works with the weights of self-attention.",
        ),
        (decoder_layer__no_way_around_text, "Goes on with what cross-attention gives and does not add it to x."),
    ],
    "sequence_loss": [
        (
            sequence_loss__mean_of_rows,
            "Takes the mean of each row and then the mean of the rows, so that tokens of short rows weigh more.",
        ),
        (sequence_loss__over_all, "Sets the filling's surprise to 0 and still divides by all positions."),
        (
            sequence_loss__shifted_again,
            "Shifts once more, as if logits[b, n] were about the token after targets[b, n].",
        ),
        (
            sequence_loss__log_of_softmax,
            "Takes the log of the softmax in two steps, which is infinite where the chance is rounded to 0.",
        ),
        (sequence_loss__over_positions, "Takes the softmax over the positions (dim=1) and not over the tokens."),
        (
            sequence_loss__log_of_mean,
            "Averages the chances and takes the logarithm of that, and not the mean of the logarithms.",
        ),
        (
            sequence_loss__half_precision,
            "Computes in the logits' own precision and converts only the result: coarse for bfloat16 logits.",
        ),
    ],
    "warmup_schedule": [
        (
            warmup_schedule__begins_at_zero,
            "Rises with step / warmup, so that the first step is lost at 0 and the last of the warm-up is below 1.",
        ),
        (
            warmup_schedule__hold_after_warmup,
            "Counts the hold from the end of the warm-up and not from the first step.",
        ),
        (warmup_schedule__last_is_zero, "Reaches 0 at the last step that is taken and not at the step after it."),
        (
            warmup_schedule__falls_from_hold,
            "Counts the fall from the end of the hold even if the warm-up is longer: the rate jumps down after it.",
        ),
        (warmup_schedule__hold_first, "Asks about the hold before the warm-up, so that a hold cuts the warm-up short."),
        (
            warmup_schedule__quarter_turn,
            "Lets the cosine fall by a quarter of a turn, cos(π/2 · p), and not by half a turn.",
        ),
        (
            warmup_schedule__share_of_all,
            "Divides the fall by all steps and not by those that are left, so that it does not come down to 0.",
        ),
    ],
}
