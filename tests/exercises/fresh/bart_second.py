"""Answers of other students who see the lesson BART for the first time: two right and seven wrong for each."""

import math

import torch
from minidalle.bart.attention import multi_head_attention
from minidalle.bart.layers import enter, feed_forward, join
from minidalle.bart.primitives import linear, optional_norm
from torch import Tensor
from torch.nn import functional as F

# ---------------------------------------------------------------- shift_right


def shift_right__right_cat(tokens: Tensor, start: int) -> Tensor:
    """Right: a column of start tokens and all tokens but the last."""
    first = torch.full_like(tokens[:, :1], start)
    return torch.cat([first, tokens[:, :-1]], dim=1)


def shift_right__right_roll_then_overwrite(tokens: Tensor, start: int) -> Tensor:
    """Right: roll along the row, then write the start token over what came round."""
    rolled = tokens.roll(1, dims=1)
    rolled[:, 0] = start
    return rolled


def shift_right__rolled_last_token_in_front(tokens: Tensor, start: int) -> Tensor:
    """Takes 'moved to the right' for a rotation: the last token comes round to the front, start is not used."""
    return tokens.roll(1, dims=1)


def shift_right__shifted_left(tokens: Tensor, start: int) -> Tensor:
    """Shifts the wrong way: the input is the token after, and the start token stands at the end."""
    return torch.cat([tokens[:, 1:], torch.full_like(tokens[:, :1], start)], dim=1)


def shift_right__first_token_replaced(tokens: Tensor, start: int) -> Tensor:
    """Writes start over the first token and moves nothing, so that each position still sees its own target."""
    result = tokens.clone()
    result[:, 0] = start
    return result


def shift_right__along_the_batch(tokens: Tensor, start: int) -> Tensor:
    """Wrong axis: moves the rows down by one and makes the first row all start tokens."""
    return torch.cat([torch.full_like(tokens[:1], start), tokens[:-1]], dim=0)


def shift_right__last_token_kept(tokens: Tensor, start: int) -> Tensor:
    """Puts start in front and forgets that the last token drops out: N + 1 positions."""
    return torch.cat([torch.full_like(tokens[:, :1], start), tokens], dim=1)


def shift_right__copied_in_a_forward_loop(tokens: Tensor, start: int) -> Tensor:
    """Moves token by token from the left in the same tensor, so that the start token overwrites everything."""
    result = tokens.clone()
    result[:, 0] = start
    for n in range(1, result.shape[1]):
        result[:, n] = result[:, n - 1]
    return result


def shift_right__zero_instead_of_start(tokens: Tensor, start: int) -> Tensor:
    """Leaves the room in front at zero (an ordinary token) and ignores the argument start."""
    result = torch.zeros_like(tokens)
    result[:, 1:] = tokens[:, :-1]
    return result


# ---------------------------------------------------------------- causal_mask


def causal_mask__right_tril(length: int, device: torch.device | None = None) -> Tensor:
    """Right: the lower triangle of a square of True, with its diagonal."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def causal_mask__right_compare(length: int, device: torch.device | None = None) -> Tensor:
    """Right: column number at most row number."""
    place = torch.arange(length, device=device)
    return place[None, :] <= place[:, None]


def causal_mask__upper_triangle(length: int, device: torch.device | None = None) -> Tensor:
    """Takes rows for who is looked at: the upper triangle, everybody looks at the future."""
    return torch.ones(length, length, dtype=torch.bool, device=device).triu()


def causal_mask__not_itself(length: int, device: torch.device | None = None) -> Tensor:
    """Reads 'must not be seen' as 'not even itself': without the diagonal, the first may look nowhere."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril(-1)


def causal_mask__true_means_forbidden(length: int, device: torch.device | None = None) -> Tensor:
    """Inverted, as in other libraries: True where looking is forbidden."""
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)


def causal_mask__one_too_far(length: int, device: torch.device | None = None) -> Tensor:
    """Off by one: each position also sees the next one."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril(1)


def causal_mask__numbers_to_add(length: int, device: torch.device | None = None) -> Tensor:
    """Makes the additive kind of mask, 0 and minus infinity, instead of True and False."""
    return torch.full((length, length), -math.inf, device=device).triu(1)


def causal_mask__band_as_in_the_example(length: int, device: torch.device | None = None) -> Tensor:
    """Copies the guests' example: only itself and the one just before."""
    place = torch.arange(length, device=device)
    apart = place[:, None] - place[None, :]
    return (apart >= 0) & (apart < 2)


def causal_mask__start_always_but_not_itself(length: int, device: torch.device | None = None) -> Tensor:
    """Leaves out the diagonal and repairs the empty first row by letting everybody see the start token."""
    mask = torch.ones(length, length, dtype=torch.bool, device=device).tril(-1)
    mask[:, :1] = True
    return mask


# --------------------------------------------------------------- padding_mask


def padding_mask__right_none(mask: Tensor) -> Tensor:
    """Right: two new dimensions by indexing with None."""
    return mask[:, None, None, :]


def padding_mask__right_view(mask: Tensor) -> Tensor:
    """Right: two dimensions of size 1 by unsqueeze."""
    return mask.unsqueeze(1).unsqueeze(1)


def padding_mask__in_the_queries_place(mask: Tensor) -> Tensor:
    """Puts T in the third place: filling may not look, and everybody looks at it."""
    return mask[:, None, :, None]


def padding_mask__inverted(mask: Tensor) -> Tensor:
    """Makes a mask of the padding, as the name says: True = filling."""
    return ~mask[:, None, None, :]


def padding_mask__one_dimension_only(mask: Tensor) -> Tensor:
    """Adds only one dimension, [B, 1, T]: broadcasting then takes the batch for the heads."""
    return mask[:, None, :]


def padding_mask__dimensions_in_front(mask: Tensor) -> Tensor:
    """Adds both dimensions in front, [1, 1, B, T]: the batch stands where the queries belong."""
    return mask[None, None, :, :]


def padding_mask__both_must_be_real(mask: Tensor) -> Tensor:
    """Forbids filling to look as well as to be looked at: [B, 1, T, T]."""
    return mask[:, None, :, None] & mask[:, None, None, :]


def padding_mask__numbers_to_add(mask: Tensor) -> Tensor:
    """Makes the additive kind of mask, 0 and a very small number, instead of True and False."""
    return (~mask[:, None, None, :]).float() * torch.finfo(torch.float32).min


def padding_mask__in_the_heads_place(mask: Tensor) -> Tensor:
    """Adds both dimensions at the end, [B, T, 1, 1]: the tokens stand where the heads belong."""
    return mask[:, :, None, None]


# --------------------------------------------------------------------- attend


def attend__right_masked_fill(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Right: scores, masked_fill, softmax in float32 at least, mix."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1).to(value.dtype) @ value


def attend__right_einsum_by_hand(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Right: einsum, and the softmax written out by hand."""
    wide = torch.promote_types(query.dtype, torch.float32)
    scores = torch.einsum("bhtd,bhsd->bhts", query.to(wide), key.to(wide)) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = torch.where(mask, scores, torch.finfo(wide).min)
    parts = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    shares = parts / parts.sum(dim=-1, keepdim=True)
    return torch.einsum("bhts,bhsd->bhtd", shares, value.to(wide)).to(value.dtype)


def attend__not_scaled(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Forgets to divide by the root of d."""
    scores = query @ key.mT
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1) @ value


def attend__divided_by_d(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Divides by d, not by its root."""
    scores = query @ key.mT / query.shape[-1]
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1) @ value


def attend__mask_inverted(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Fills where the mask is True: looks exactly where it is forbidden."""
    scores = query @ key.mT / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1) @ value


def attend__masked_after_the_softmax(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Sets forbidden shares to 0 after the softmax, so that the others no longer add up to 1."""
    shares = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
    if mask is not None:
        shares = shares.masked_fill(~mask, 0.0)
    return shares @ value


def attend__softmax_over_queries(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Wrong axis: the softmax shares each key out among the queries."""
    scores = query @ key.mT / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-2) @ value


def attend__forbidden_scores_are_zero(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Takes a score of 0 before the softmax for a share of 0."""
    scores = query @ key.mT / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores * mask
    return scores.softmax(-1) @ value


def attend__minus_infinity(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Fills with minus infinity: NaN for a query that may look nowhere."""
    scores = query @ key.mT / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return scores.softmax(-1) @ value


# ---------------------------------------------------------------- split_heads


def split_heads__right_unflatten(x: Tensor, heads: int) -> Tensor:
    """Right: cut the last dimension in two, swap tokens and heads."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def split_heads__right_chunk(x: Tensor, heads: int) -> Tensor:
    """Right: chunks of features, stacked as a new dimension 1."""
    return torch.stack(x.chunk(heads, dim=-1), dim=1)


def split_heads__reshaped_alone(x: Tensor, heads: int) -> Tensor:
    """Reshapes straight to the wanted shape: tokens and features are mixed up."""
    rows, length, width = x.shape
    return x.reshape(rows, heads, length, width // heads)


def split_heads__not_swapped(x: Tensor, heads: int) -> Tensor:
    """Cuts the features and forgets to swap: [B, T, h, d]."""
    return x.unflatten(-1, (heads, -1))


def split_heads__every_hth_feature(x: Tensor, heads: int) -> Tensor:
    """Deals the features out like cards: head i gets features i, i + h, i + 2h, …"""
    return x.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2)


def split_heads__swapped_before_the_cut(x: Tensor, heads: int) -> Tensor:
    """Swaps tokens and features first and reshapes then: right shape, each head reads down the tokens."""
    rows, length, width = x.shape
    return x.transpose(1, 2).reshape(rows, heads, length, width // heads)


def split_heads__heads_taken_for_the_width(x: Tensor, heads: int) -> Tensor:
    """Takes `heads` for the size of a piece: D / h heads of h features."""
    return x.unflatten(-1, (-1, heads)).transpose(1, 2)


def split_heads__features_before_tokens(x: Tensor, heads: int) -> Tensor:
    """Permutes too far: [B, h, d, T], as the keys stand in the product."""
    return x.unflatten(-1, (heads, -1)).permute(0, 2, 3, 1)


def split_heads__heads_before_the_batch(x: Tensor, heads: int) -> Tensor:
    """Puts the heads in the very first place: [h, B, T, d]."""
    return torch.stack(x.chunk(heads, dim=-1), dim=0)


# ----------------------------------------------------------- glu_feed_forward


def glu_feed_forward__right(weights, x: Tensor) -> Tensor:
    """Right: gelu(gate) times up, norm, down."""
    hidden = F.gelu(linear(weights["gate"], x)) * linear(weights["up"], x)
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward__right_gelu_by_hand(weights, x: Tensor) -> Tensor:
    """Right: GELU as its definition, z times the normal distribution function at z."""
    gate, up = (linear(weights[name], x) for name in ("gate", "up"))
    below = (1 + torch.erf(gate / math.sqrt(2))) / 2
    normed = optional_norm(weights, "hidden", up * gate * below)
    return linear(weights["down"], normed)


def glu_feed_forward__gelu_on_the_wrong_half(weights, x: Tensor) -> Tensor:
    """Bends `up` and leaves the gate straight."""
    hidden = linear(weights["gate"], x) * F.gelu(linear(weights["up"], x))
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward__gelu_of_the_product(weights, x: Tensor) -> Tensor:
    """Multiplies first and bends the product."""
    hidden = F.gelu(linear(weights["gate"], x) * linear(weights["up"], x))
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward__sigmoid_gate(weights, x: Tensor) -> Tensor:
    """Takes a sigmoid for the gate, as in the worked example of the interval."""
    hidden = torch.sigmoid(linear(weights["gate"], x)) * linear(weights["up"], x)
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward__sum_instead_of_product(weights, x: Tensor) -> Tensor:
    """Adds the two halves in place of multiplying them."""
    hidden = F.gelu(linear(weights["gate"], x)) + linear(weights["up"], x)
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward__both_bent(weights, x: Tensor) -> Tensor:
    """Applies GELU to both halves."""
    hidden = F.gelu(linear(weights["gate"], x)) * F.gelu(linear(weights["up"], x))
    return linear(weights["down"], optional_norm(weights, "hidden", hidden))


def glu_feed_forward__without_the_norm(weights, x: Tensor) -> Tensor:
    """Forgets the norm before `down`."""
    return linear(weights["down"], F.gelu(linear(weights["gate"], x)) * linear(weights["up"], x))


def glu_feed_forward__adds_x(weights, x: Tensor) -> Tensor:
    """Adds the tokens already here, though `join` will add them again."""
    hidden = F.gelu(linear(weights["gate"], x)) * linear(weights["up"], x)
    return x + linear(weights["down"], optional_norm(weights, "hidden", hidden))


# -------------------------------------------------------------- encoder_layer


def encoder_layer__right(weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Right: enter, compute, join, for attention and then feed-forward."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def encoder_layer__right_as_a_loop(weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Right: a loop over the two branches and what each computes."""
    computes = {
        "attention": lambda branch, seen: multi_head_attention(branch, seen, seen, mask, heads),
        "feed_forward": feed_forward,
    }
    for name, compute in computes.items():
        x = join(weights[name], x, compute(weights[name], enter(weights[name], x)), dropout)
    return x


def encoder_layer__second_branch_not_entered(
    weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Gives the feed-forward x itself and not enter(branch, x)."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, x), dropout)


def encoder_layer__joined_to_what_entered(weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Makes the second sum with the normalized tokens and not with x."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    entered = enter(branch, x)
    return join(branch, entered, feed_forward(branch, entered), dropout)


def encoder_layer__stale_entered(weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Forgets the second enter: the feed-forward sees what entered the attention."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, entered), dropout)


def encoder_layer__no_residual(weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Returns what the feed-forward gives, without joining it to the tokens."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return feed_forward(branch, enter(branch, x))


def encoder_layer__residual_twice(weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Adds x by hand and then lets join add it again."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, x + feed_forward(branch, enter(branch, x)), dropout)


def encoder_layer__dropout_forgotten(weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Gives the second join the default 0.0, so that the feed-forward is never dropped."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), 0.0)


def encoder_layer__plain_sum(weights, x: Tensor, mask: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
    """Adds with + in place of join: the norms on what is added and after the sum are missing."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return x + F.dropout(feed_forward(branch, enter(branch, x)), dropout)


# -------------------------------------------------------------- decoder_layer


def decoder_layer__right(
    weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Right: self-attention, cross-attention, feed-forward, each with enter and join."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, enter(branch, x), memory, memory_mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__right_with_a_helper(
    weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Right: one helper for all three branches."""

    def through(name, tokens, compute):
        branch = weights[name]
        return join(branch, tokens, compute(branch, enter(branch, tokens)), dropout)

    x = through("attention", x, lambda branch, seen: multi_head_attention(branch, seen, seen, mask, heads))
    x = through(
        "cross_attention", x, lambda branch, seen: multi_head_attention(branch, seen, memory, memory_mask, heads)
    )
    return through("feed_forward", x, feed_forward)


def decoder_layer__memory_entered_too(
    weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Normalizes the encoder's output once more, with the branch's norm."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["cross_attention"]
    added = multi_head_attention(branch, enter(branch, x), enter(branch, memory), memory_mask, heads)
    x = join(branch, x, added, dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__no_causal_mask(
    weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Gives self-attention no mask: each image token sees those after it."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, None, heads), dropout)

    branch = weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, enter(branch, x), memory, memory_mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__cross_before_self(
    weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Wrong order: looks at the caption first, then back at the image tokens."""
    branch = weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, enter(branch, x), memory, memory_mask, heads), dropout)

    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__caption_without_its_mask(
    weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Takes 'no causal mask is needed there' for 'no mask': the caption's filling is looked at."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, enter(branch, x), memory, None, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__stale_entered(
    weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Enters once: cross-attention asks with what entered the first branch."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)

    branch = weights["cross_attention"]
    x = join(branch, x, multi_head_attention(branch, entered, memory, memory_mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__self_weights_in_cross(
    weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Forgets to change the branch: cross-attention runs with the weights of self-attention."""
    branch = weights["attention"]
    entered = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, entered, entered, mask, heads), dropout)
    x = join(branch, x, multi_head_attention(branch, enter(branch, x), memory, memory_mask, heads), dropout)

    branch = weights["feed_forward"]
    return join(branch, x, feed_forward(branch, enter(branch, x)), dropout)


def decoder_layer__joined_to_what_entered(
    weights, x: Tensor, mask: Tensor, memory: Tensor, memory_mask: Tensor, heads: int, dropout: float = 0.0
) -> Tensor:
    """Overwrites x by what has entered, so that each sum is made with the normalized tokens."""
    branch = weights["attention"]
    x = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, x, x, mask, heads), dropout)

    branch = weights["cross_attention"]
    x = enter(branch, x)
    x = join(branch, x, multi_head_attention(branch, x, memory, memory_mask, heads), dropout)

    branch = weights["feed_forward"]
    x = enter(branch, x)
    return join(branch, x, feed_forward(branch, x), dropout)


# -------------------------------------------------------------- sequence_loss


def sequence_loss__right_logsumexp(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Right: logsumexp minus the target's logit, mean over those that count."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    chosen = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    surprise = logits.logsumexp(-1) - chosen
    return surprise.mean() if mask is None else surprise[mask].mean()


def sequence_loss__right_log_softmax(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Right: picks the positions that count first, then log_softmax and indexing by number."""
    if mask is None:
        mask = torch.ones_like(targets, dtype=torch.bool)
    logits, targets = logits[mask], targets[mask]
    chances = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=-1)
    return -chances[torch.arange(len(targets), device=targets.device), targets].sum() / len(targets)


def sequence_loss__divided_by_all_positions(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Sets the filling's surprise to 0 and still divides by all positions."""
    surprise = -logits.float().log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return surprise.mean() if mask is None else (surprise * mask).mean()


def sequence_loss__mean_of_the_rows_means(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Takes each row's mean first and then the mean of these: short rows weigh as much as long ones."""
    surprise = -logits.float().log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    if mask is None:
        return surprise.mean()
    return ((surprise * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()


def sequence_loss__exp_overflows(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Writes log of the sum of exp as the formula stands: infinite for large logits."""
    logits = logits.float()
    chosen = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    surprise = logits.exp().sum(dim=-1).log() - chosen
    return surprise.mean() if mask is None else surprise[mask].mean()


def sequence_loss__sum_not_mean(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Adds up the surprises and forgets to divide: nats per batch."""
    surprise = -logits.float().log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return surprise.sum() if mask is None else surprise[mask].sum()


def sequence_loss__shifted_once_more(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Shifts here as well: the logits of position n are compared with the target of n + 1."""
    logits, targets = logits[:, :-1].float(), targets[:, 1:]
    surprise = -logits.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return surprise.mean() if mask is None else surprise[mask[:, 1:]].mean()


def sequence_loss__softmax_over_positions(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Wrong axis: the softmax runs over the positions of the row."""
    surprise = -logits.float().log_softmax(dim=1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return surprise.mean() if mask is None else surprise[mask].mean()


def sequence_loss__softmax_twice(logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Makes probabilities first and then treats them as logits."""
    chances = logits.float().softmax(-1)
    surprise = chances.logsumexp(-1) - chances.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return surprise.mean() if mask is None else surprise[mask].mean()


# ------------------------------------------------------------ warmup_schedule


def warmup_schedule__right_three_parts(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """Right: rises, stays, falls, one after another."""
    if step < warmup:
        return (step + 1) / warmup
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__right_as_minimum(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """Right: the lower of a rising and a falling line, the fall clipped at the peak."""
    flat = max(warmup, round(hold * steps))
    rising = min(1.0, (step + 1) / max(warmup, 1))
    left = min(1.0, (steps - step) / max(steps - flat, 1))
    falling = left if decay == "linear" else math.sin(math.pi / 2 * left) ** 2
    return min(rising, falling) if step < warmup else falling


def warmup_schedule__first_step_at_zero(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """Off by one: step / warmup, so that the first step is thrown away."""
    if step < warmup:
        return step / warmup
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__last_warmup_step_below_one(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """Divides by warmup + 1: the last step of the warm-up does not reach the peak."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__hold_counted_after_the_warmup(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """Counts the hold from the end of the warm-up and not from the first step."""
    if step < warmup:
        return (step + 1) / warmup
    flat = warmup + round(hold * steps)
    if step < flat:
        return 1.0
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__hold_of_the_steps_left(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """Takes hold for a share of the steps that are left after the warm-up."""
    if step < warmup:
        return (step + 1) / warmup
    flat = warmup + round(hold * (steps - warmup))
    if step < flat:
        return 1.0
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__fall_has_begun_during_the_warmup(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """Forgets the maximum with warmup: a fall that begins before the warm-up ends leaves a jump below the peak."""
    if step < warmup:
        return (step + 1) / warmup
    flat = round(hold * steps)
    if step < flat:
        return 1.0
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__zero_at_the_last_step(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """Falls one step early: the last step that is taken has rate 0."""
    if step < warmup:
        return (step + 1) / warmup
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step + 1 - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else (1 + math.cos(math.pi * progress)) / 2


def warmup_schedule__cosine_a_quarter_turn(
    step: int, steps: int, warmup: int, hold: float = 0.0, decay: str = "linear"
) -> float:
    """Reads 'half a turn' as the way of the cosine from 1 to 0, which is a quarter."""
    if step < warmup:
        return (step + 1) / warmup
    flat = max(warmup, round(hold * steps))
    if step < flat:
        return 1.0
    progress = (step - flat) / (steps - flat)
    return 1 - progress if decay == "linear" else math.cos(math.pi / 2 * progress)


RIGHT = {
    "shift_right": [shift_right__right_cat, shift_right__right_roll_then_overwrite],
    "causal_mask": [causal_mask__right_tril, causal_mask__right_compare],
    "padding_mask": [padding_mask__right_none, padding_mask__right_view],
    "attend": [attend__right_masked_fill, attend__right_einsum_by_hand],
    "split_heads": [split_heads__right_unflatten, split_heads__right_chunk],
    "glu_feed_forward": [glu_feed_forward__right, glu_feed_forward__right_gelu_by_hand],
    "encoder_layer": [encoder_layer__right, encoder_layer__right_as_a_loop],
    "decoder_layer": [decoder_layer__right, decoder_layer__right_with_a_helper],
    "sequence_loss": [sequence_loss__right_logsumexp, sequence_loss__right_log_softmax],
    "warmup_schedule": [warmup_schedule__right_three_parts, warmup_schedule__right_as_minimum],
}

WRONG = {
    "shift_right": [
        (shift_right__rolled_last_token_in_front, shift_right__rolled_last_token_in_front.__doc__),
        (shift_right__shifted_left, shift_right__shifted_left.__doc__),
        (shift_right__first_token_replaced, shift_right__first_token_replaced.__doc__),
        (shift_right__along_the_batch, shift_right__along_the_batch.__doc__),
        (shift_right__last_token_kept, shift_right__last_token_kept.__doc__),
        (shift_right__copied_in_a_forward_loop, shift_right__copied_in_a_forward_loop.__doc__),
        (shift_right__zero_instead_of_start, shift_right__zero_instead_of_start.__doc__),
    ],
    "causal_mask": [
        (causal_mask__upper_triangle, causal_mask__upper_triangle.__doc__),
        (causal_mask__not_itself, causal_mask__not_itself.__doc__),
        (causal_mask__true_means_forbidden, causal_mask__true_means_forbidden.__doc__),
        (causal_mask__one_too_far, causal_mask__one_too_far.__doc__),
        (causal_mask__numbers_to_add, causal_mask__numbers_to_add.__doc__),
        (causal_mask__band_as_in_the_example, causal_mask__band_as_in_the_example.__doc__),
        (causal_mask__start_always_but_not_itself, causal_mask__start_always_but_not_itself.__doc__),
    ],
    "padding_mask": [
        (padding_mask__in_the_queries_place, padding_mask__in_the_queries_place.__doc__),
        (padding_mask__inverted, padding_mask__inverted.__doc__),
        (padding_mask__one_dimension_only, padding_mask__one_dimension_only.__doc__),
        (padding_mask__dimensions_in_front, padding_mask__dimensions_in_front.__doc__),
        (padding_mask__both_must_be_real, padding_mask__both_must_be_real.__doc__),
        (padding_mask__numbers_to_add, padding_mask__numbers_to_add.__doc__),
        (padding_mask__in_the_heads_place, padding_mask__in_the_heads_place.__doc__),
    ],
    "attend": [
        (attend__not_scaled, attend__not_scaled.__doc__),
        (attend__divided_by_d, attend__divided_by_d.__doc__),
        (attend__mask_inverted, attend__mask_inverted.__doc__),
        (attend__masked_after_the_softmax, attend__masked_after_the_softmax.__doc__),
        (attend__softmax_over_queries, attend__softmax_over_queries.__doc__),
        (attend__forbidden_scores_are_zero, attend__forbidden_scores_are_zero.__doc__),
        (attend__minus_infinity, attend__minus_infinity.__doc__),
    ],
    "split_heads": [
        (split_heads__reshaped_alone, split_heads__reshaped_alone.__doc__),
        (split_heads__not_swapped, split_heads__not_swapped.__doc__),
        (split_heads__every_hth_feature, split_heads__every_hth_feature.__doc__),
        (split_heads__swapped_before_the_cut, split_heads__swapped_before_the_cut.__doc__),
        (split_heads__heads_taken_for_the_width, split_heads__heads_taken_for_the_width.__doc__),
        (split_heads__features_before_tokens, split_heads__features_before_tokens.__doc__),
        (split_heads__heads_before_the_batch, split_heads__heads_before_the_batch.__doc__),
    ],
    "glu_feed_forward": [
        (glu_feed_forward__gelu_on_the_wrong_half, glu_feed_forward__gelu_on_the_wrong_half.__doc__),
        (glu_feed_forward__gelu_of_the_product, glu_feed_forward__gelu_of_the_product.__doc__),
        (glu_feed_forward__sigmoid_gate, glu_feed_forward__sigmoid_gate.__doc__),
        (glu_feed_forward__sum_instead_of_product, glu_feed_forward__sum_instead_of_product.__doc__),
        (glu_feed_forward__both_bent, glu_feed_forward__both_bent.__doc__),
        (glu_feed_forward__without_the_norm, glu_feed_forward__without_the_norm.__doc__),
        (glu_feed_forward__adds_x, glu_feed_forward__adds_x.__doc__),
    ],
    "encoder_layer": [
        (encoder_layer__second_branch_not_entered, encoder_layer__second_branch_not_entered.__doc__),
        (encoder_layer__joined_to_what_entered, encoder_layer__joined_to_what_entered.__doc__),
        (encoder_layer__stale_entered, encoder_layer__stale_entered.__doc__),
        (encoder_layer__no_residual, encoder_layer__no_residual.__doc__),
        (encoder_layer__residual_twice, encoder_layer__residual_twice.__doc__),
        (encoder_layer__dropout_forgotten, encoder_layer__dropout_forgotten.__doc__),
        (encoder_layer__plain_sum, encoder_layer__plain_sum.__doc__),
    ],
    "decoder_layer": [
        (decoder_layer__memory_entered_too, decoder_layer__memory_entered_too.__doc__),
        (decoder_layer__no_causal_mask, decoder_layer__no_causal_mask.__doc__),
        (decoder_layer__cross_before_self, decoder_layer__cross_before_self.__doc__),
        (decoder_layer__caption_without_its_mask, decoder_layer__caption_without_its_mask.__doc__),
        (decoder_layer__stale_entered, decoder_layer__stale_entered.__doc__),
        (decoder_layer__self_weights_in_cross, decoder_layer__self_weights_in_cross.__doc__),
        (decoder_layer__joined_to_what_entered, decoder_layer__joined_to_what_entered.__doc__),
    ],
    "sequence_loss": [
        (sequence_loss__divided_by_all_positions, sequence_loss__divided_by_all_positions.__doc__),
        (sequence_loss__mean_of_the_rows_means, sequence_loss__mean_of_the_rows_means.__doc__),
        (sequence_loss__exp_overflows, sequence_loss__exp_overflows.__doc__),
        (sequence_loss__sum_not_mean, sequence_loss__sum_not_mean.__doc__),
        (sequence_loss__shifted_once_more, sequence_loss__shifted_once_more.__doc__),
        (sequence_loss__softmax_over_positions, sequence_loss__softmax_over_positions.__doc__),
        (sequence_loss__softmax_twice, sequence_loss__softmax_twice.__doc__),
    ],
    "warmup_schedule": [
        (warmup_schedule__first_step_at_zero, warmup_schedule__first_step_at_zero.__doc__),
        (warmup_schedule__last_warmup_step_below_one, warmup_schedule__last_warmup_step_below_one.__doc__),
        (warmup_schedule__hold_counted_after_the_warmup, warmup_schedule__hold_counted_after_the_warmup.__doc__),
        (warmup_schedule__hold_of_the_steps_left, warmup_schedule__hold_of_the_steps_left.__doc__),
        (warmup_schedule__fall_has_begun_during_the_warmup, warmup_schedule__fall_has_begun_during_the_warmup.__doc__),
        (warmup_schedule__zero_at_the_last_step, warmup_schedule__zero_at_the_last_step.__doc__),
        (warmup_schedule__cosine_a_quarter_turn, warmup_schedule__cosine_a_quarter_turn.__doc__),
    ],
}
