"""Answers of students who see lesson 04 for the first time: right ones in different ways, and plausible mistakes."""

import torch
from minidalle.sampling import NextLogits, apply_temperature, decode_step, top_k_filter, top_p_filter
from minidalle.sampling_config import SamplingConfig
from torch import Tensor
from torch.nn import functional as F

INF = float("inf")

# ---------------------------------------------------------------------------------------------- apply_temperature


def apply_temperature__right_scatter(logits: Tensor, temperature: float) -> Tensor:
    if temperature > 0:
        return logits / temperature
    best = logits.argmax(-1, keepdim=True)
    return torch.full_like(logits, -INF).scatter(-1, best, 0.0)


def apply_temperature__right_places(logits: Tensor, temperature: float) -> Tensor:
    if temperature == 0:
        places = torch.arange(logits.shape[-1], device=logits.device)
        is_best = places == logits.max(dim=-1, keepdim=True).indices
        return torch.zeros_like(logits).masked_fill(~is_best, -INF)
    return logits * (1 / temperature)


def apply_temperature__right_first_of_equals(logits: Tensor, temperature: float) -> Tensor:
    if temperature != 0:
        return torch.div(logits, temperature)
    largest = logits == logits.amax(-1, keepdim=True)
    first = largest & (largest.cumsum(-1) == 1)
    return first.to(logits.dtype).log()


# Multiplies by the temperature instead of dividing by it.
def apply_temperature__multiplies(logits, temperature):
    if temperature == 0:
        best = logits.argmax(-1, keepdim=True)
        return torch.full_like(logits, -INF).scatter(-1, best, 0.0)
    return logits * temperature


# Takes the logits to the power 1 / T, as the worked example does with probabilities.
def apply_temperature__power_of_logits(logits, temperature):
    if temperature == 0:
        best = logits.argmax(-1, keepdim=True)
        return torch.full_like(logits, -INF).scatter(-1, best, 0.0)
    return logits ** (1 / temperature)


# Returns the probabilities after softmax instead of logits.
def apply_temperature__returns_probabilities(logits, temperature):
    if temperature == 0:
        best = logits.argmax(-1, keepdim=True)
        return torch.zeros_like(logits).scatter(-1, best, 1.0)
    return (logits / temperature).softmax(-1)


# Has no case for 0, but divides by a very small number there, so that no logit is 0 or -inf.
def apply_temperature__tiny_temperature(logits, temperature):
    return logits / max(temperature, 1e-6)


# At 0 gives a 0 to all that are equal to the largest, not to the first of them alone.
def apply_temperature__all_equals_at_zero(logits, temperature):
    if temperature > 0:
        return logits / temperature
    largest = logits.max(-1, keepdim=True).values
    return torch.where(logits == largest, 0.0, -INF)


# At 0 rules out the others but leaves the largest logit as it was instead of making it 0.
def apply_temperature__largest_keeps_its_value(logits, temperature):
    if temperature > 0:
        return logits / temperature
    best = logits.argmax(-1, keepdim=True)
    return torch.full_like(logits, -INF).scatter(-1, best, logits.gather(-1, best))


# At 0 looks for the largest of the whole tensor, so all rows but one are -inf everywhere.
def apply_temperature__one_argmax_for_all_rows(logits, temperature):
    if temperature > 0:
        return logits / temperature
    result = torch.full_like(logits, -INF).flatten()
    result[logits.argmax()] = 0.0
    return result.reshape(logits.shape)


# At 0 returns a one-hot row, 1 for the largest and 0 for the others: probabilities, not logits.
def apply_temperature__one_hot_at_zero(logits, temperature):
    if temperature > 0:
        return logits / temperature
    return F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)


# --------------------------------------------------------------------------------------------------- top_k_filter


def top_k_filter__right_topk(logits: Tensor, k: int) -> Tensor:
    k = min(k, logits.shape[-1])
    bound = logits.topk(k).values[..., -1:]
    return logits.masked_fill(logits < bound, -INF)


def top_k_filter__right_count_larger(logits: Tensor, k: int) -> Tensor:
    larger = (logits.unsqueeze(-2) > logits.unsqueeze(-1)).sum(-1)  # how many are larger than each
    return torch.where(larger < k, logits, torch.full_like(logits, -INF))


def top_k_filter__right_kthvalue(logits: Tensor, k: int) -> Tensor:
    size = logits.size(-1)
    if k >= size:
        return logits
    bound = logits.kthvalue(size - k + 1, dim=-1, keepdim=True).values
    result = logits.clone()
    result[logits < bound] = -INF
    return result


# Keeps exactly k by their indices, so that logits equal to the k-th are ruled out.
def top_k_filter__exactly_k(logits, k):
    values, places = logits.topk(min(k, logits.shape[-1]))
    return torch.full_like(logits, -INF).scatter(-1, places, values)


# Compares with <= and so rules out the k-th largest itself.
def top_k_filter__kth_ruled_out(logits, k):
    if k >= logits.shape[-1]:
        return logits
    bound = logits.topk(k).values[..., -1:]
    return logits.masked_fill(logits <= bound, -INF)


# Fills with 0, as in the worked example, instead of with -inf.
def top_k_filter__filled_with_zero(logits, k):
    k = min(k, logits.shape[-1])
    bound = logits.topk(k).values[..., -1:]
    return logits.masked_fill(logits < bound, 0.0)


# Takes the k largest of the whole tensor and not of each row.
def top_k_filter__bound_of_all_rows(logits, k):
    k = min(k, logits.numel())
    bound = logits.flatten().topk(k).values[-1]
    return logits.masked_fill(logits < bound, -INF)


# Returns the logits in sorted order, not in their own.
def top_k_filter__stays_sorted(logits, k):
    ordered = logits.sort(dim=-1, descending=True).values
    k = min(k, logits.shape[-1])
    return ordered.masked_fill(ordered < ordered[..., k - 1 : k], -INF)


# Counts from 1: takes the sorted value at index k, which is the (k + 1)-th largest, as the bound.
def top_k_filter__index_one_too_far(logits, k):
    ordered = logits.sort(dim=-1, descending=True).values
    k = min(k, logits.shape[-1] - 1)
    return logits.masked_fill(logits < ordered[..., k : k + 1], -INF)


# Forgets that k may be larger than K: topk raises an error there.
def top_k_filter__k_too_large(logits, k):
    bound = logits.topk(k).values[..., -1:]
    return logits.masked_fill(logits < bound, -INF)


# Sorts upwards but reads the k-th from the beginning, so the bound is the k-th smallest.
def top_k_filter__kth_smallest(logits, k):
    k = min(k, logits.shape[-1])
    bound = logits.sort(dim=-1).values[..., k - 1 : k]
    return logits.masked_fill(logits < bound, -INF)


# --------------------------------------------------------------------------------------------------- top_p_filter


def top_p_filter__right_sum_before(logits: Tensor, p: float) -> Tensor:
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probability = ordered.softmax(-1)
    ruled_out = probability.cumsum(-1) - probability >= p
    ruled_out = torch.zeros_like(ruled_out).scatter(-1, order, ruled_out)
    return logits.masked_fill(ruled_out, -INF)


def top_p_filter__right_how_many(logits: Tensor, p: float) -> Tensor:
    if p == 1:
        return logits.clone()
    order = logits.argsort(dim=-1, descending=True, stable=True)
    rank = order.argsort(dim=-1)  # the place of each token in the sorted row
    reached = logits.softmax(-1).gather(-1, order).cumsum(-1)
    many = (reached < p).sum(-1, keepdim=True) + 1  # those that are too little together, and the one that reaches p
    return torch.where(rank < many, logits, torch.full_like(logits, -INF))


def top_p_filter__right_walk(logits: Tensor, p: float) -> Tensor:
    if p >= 1:
        return logits
    rows = logits.reshape(-1, logits.shape[-1])
    result = torch.full_like(rows, -INF)
    for row, probability in enumerate(rows.softmax(-1).tolist()):
        total = 0.0
        for token in sorted(range(len(probability)), key=lambda token: -rows[row, token].item()):
            if total >= p:
                break
            result[row, token] = rows[row, token]
            total += probability[token]
    return result.reshape(logits.shape)


# Compares the sum with the token in it, so the token that reaches p is ruled out, too.
def top_p_filter__reaching_token_out(logits, p):
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    ruled_out = ordered.softmax(-1).cumsum(-1) > p
    ruled_out = torch.zeros_like(ruled_out).scatter(-1, order, ruled_out)
    return logits.masked_fill(ruled_out, -INF)


# Compares with > instead of >=, so one token too many stays where the sum is exactly p.
def top_p_filter__one_more_at_exactly_p(logits, p):
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probability = ordered.softmax(-1)
    ruled_out = probability.cumsum(-1) - probability > p
    ruled_out = torch.zeros_like(ruled_out).scatter(-1, order, ruled_out)
    return logits.masked_fill(ruled_out, -INF)


# Does not carry the answer back: the mask of the sorted row is laid over the unsorted logits.
def top_p_filter__mask_not_carried_back(logits, p):
    if p >= 1:
        return logits
    ordered = logits.sort(dim=-1, descending=True, stable=True).values
    probability = ordered.softmax(-1)
    ruled_out = probability.cumsum(-1) - probability >= p
    return logits.masked_fill(ruled_out, -INF)


# Carries the answer back with gather instead of scatter, which sorts it once more.
def top_p_filter__gather_for_scatter(logits, p):
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probability = ordered.softmax(-1)
    ruled_out = probability.cumsum(-1) - probability >= p
    return logits.masked_fill(ruled_out.gather(-1, order), -INF)


# Takes the softmax of the unsorted logits, so the running sum goes along them in the wrong order.
def top_p_filter__unsorted_probabilities(logits, p):
    if p >= 1:
        return logits
    order = logits.argsort(dim=-1, descending=True, stable=True)
    probability = logits.softmax(-1)
    ruled_out = probability.cumsum(-1) - probability >= p
    ruled_out = torch.zeros_like(ruled_out).scatter(-1, order, ruled_out)
    return logits.masked_fill(ruled_out, -INF)


# Sorts upwards, so it keeps the least likely tokens until they have p together.
def top_p_filter__least_likely_first(logits, p):
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, stable=True)
    probability = ordered.softmax(-1)
    ruled_out = probability.cumsum(-1) - probability >= p
    ruled_out = torch.zeros_like(ruled_out).scatter(-1, order, ruled_out)
    return logits.masked_fill(ruled_out, -INF)


# Has no case for p = 1: the rounded sum reaches 1 early, and very unlikely tokens are ruled out.
def top_p_filter__no_case_for_one(logits, p):
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probability = ordered.softmax(-1)
    ruled_out = probability.cumsum(-1) - probability >= p
    ruled_out = torch.zeros_like(ruled_out).scatter(-1, order, ruled_out)
    return logits.masked_fill(ruled_out, -INF)


# Uses the smallest logit that is kept as a bound, as in top-k, so all its equals stay, too.
def top_p_filter__all_equals_stay(logits, p):
    if p >= 1:
        return logits
    ordered = logits.sort(dim=-1, descending=True, stable=True).values
    probability = ordered.softmax(-1)
    kept = probability.cumsum(-1) - probability < p
    bound = ordered.masked_fill(~kept, INF).amin(-1, keepdim=True)
    return logits.masked_fill(logits < bound, -INF)


# ---------------------------------------------------------------------------------------------------------- guide


def guide__right_walk(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    return unconditional + scale * (conditional - unconditional)


def guide__right_weights(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    return scale * conditional + (1 - scale) * unconditional


def guide__right_lerp(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    return torch.lerp(unconditional, conditional, scale)


# Takes the two the wrong way round: starts with the caption and goes to the empty one.
def guide__roles_swapped(conditional, unconditional, scale):
    return conditional + scale * (unconditional - conditional)


# Starts at the logits with the caption, which is the paper's formula with w = scale instead of scale - 1.
def guide__starts_at_caption(conditional, unconditional, scale):
    return conditional + scale * (conditional - unconditional)


# Has the sign of the way wrong, u - c, and so walks away from the caption.
def guide__away_from_caption(conditional, unconditional, scale):
    return unconditional + scale * (unconditional - conditional)


# Forgets the parentheses, so that only scale times c is left.
def guide__no_parentheses(conditional, unconditional, scale):
    return unconditional + scale * conditional - unconditional


# Returns the way alone and forgets to add the start.
def guide__way_without_start(conditional, unconditional, scale):
    return scale * (conditional - unconditional)


# Believes that guidance begins above 1 and returns c for every smaller scale, also for 0.
def guide__nothing_up_to_one(conditional, unconditional, scale):
    if scale <= 1:
        return conditional
    return unconditional + scale * (conditional - unconditional)


# Puts w = scale - 1 into the formula that starts at u, and so goes one way too few.
def guide__scale_minus_one(conditional, unconditional, scale):
    return unconditional + (scale - 1) * (conditional - unconditional)


# Makes log-probabilities of both first, so the values are shifted against u + scale * (c - u).
def guide__normalized_first(conditional, unconditional, scale):
    c, u = conditional.log_softmax(-1), unconditional.log_softmax(-1)
    return u + scale * (c - u)


# ---------------------------------------------------------------------------------------------------- decode_step


def decode_step__right_in_a_row(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    logits = apply_temperature(logits[:, : noise.shape[1]], config.temperature)
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    logits = top_p_filter(logits, config.top_p)
    return (logits + noise).argmax(-1)


def decode_step__right_bus_stop(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    codes = noise.size(-1)
    left = apply_temperature(logits.narrow(1, 0, codes), config.temperature)
    left = top_k_filter(left, codes if config.top_k is None else config.top_k)
    rates = top_p_filter(left, config.top_p).double().softmax(-1)
    waiting = torch.exp(-noise.double()) / rates  # the bus that comes first; infinite where ruled out
    return waiting.argmin(dim=1)


def decode_step__right_picture_by_picture(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    tokens = []
    for row, chance in zip(logits, noise, strict=True):
        row = row[: len(chance)]
        if config.temperature == 0:
            tokens.append(int(row.argmax()))
            continue
        row = row / config.temperature
        if config.top_k is not None and config.top_k < len(row):
            row = torch.where(row >= row.sort(descending=True).values[config.top_k - 1], row, -INF)
        row = top_p_filter(row, config.top_p)
        allowed = row.isfinite().nonzero().flatten()
        tokens.append(int(allowed[(row + chance)[allowed].argmax()]))
    return torch.tensor(tokens, dtype=torch.long, device=logits.device)


# Drops what is no token only after the filters, so that it takes part in them and in the case 0.
def decode_step__dropped_at_the_end(logits, noise, config):
    logits = apply_temperature(logits, config.temperature)
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    logits = top_p_filter(logits, config.top_p)
    return (logits[:, : noise.shape[1]] + noise).argmax(-1)


# Keeps the last K logits instead of the first K.
def decode_step__last_logits_kept(logits, noise, config):
    logits = apply_temperature(logits[:, -noise.shape[1] :], config.temperature)
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    logits = top_p_filter(logits, config.top_p)
    return (logits + noise).argmax(-1)


# Adds the noise before temperature and filters, so noise is divided, too: the settings change nothing.
def decode_step__noise_first(logits, noise, config):
    logits = apply_temperature(logits[:, : noise.shape[1]] + noise, config.temperature)
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    logits = top_p_filter(logits, config.top_p)
    return logits.argmax(-1)


# Applies the temperature after the filters, so that top-p cuts at the wrong probabilities.
def decode_step__temperature_last(logits, noise, config):
    logits = logits[:, : noise.shape[1]]
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    logits = top_p_filter(logits, config.top_p)
    return (apply_temperature(logits, config.temperature) + noise).argmax(-1)


# Applies top-p before top-k, so that p is a share of all probability and not of what top-k left.
def decode_step__p_before_k(logits, noise, config):
    logits = apply_temperature(logits[:, : noise.shape[1]], config.temperature)
    logits = top_p_filter(logits, config.top_p)
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    return (logits + noise).argmax(-1)


# Takes the largest logit and forgets the noise, so it is always greedy.
def decode_step__noise_forgotten(logits, noise, config):
    logits = apply_temperature(logits[:, : noise.shape[1]], config.temperature)
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    logits = top_p_filter(logits, config.top_p)
    return logits.argmax(-1)


# Adds the noise to probabilities instead of logits, so a ruled out token can win.
def decode_step__noise_on_probabilities(logits, noise, config):
    logits = apply_temperature(logits[:, : noise.shape[1]], config.temperature)
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    logits = top_p_filter(logits, config.top_p)
    return (logits.softmax(-1) + noise).argmax(-1)


# Uses either top-k or top-p: where top_k is given, top_p is forgotten.
def decode_step__either_k_or_p(logits, noise, config):
    logits = apply_temperature(logits[:, : noise.shape[1]], config.temperature)
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    else:
        logits = top_p_filter(logits, config.top_p)
    return (logits + noise).argmax(-1)


# ------------------------------------------------------------------------------------------------ generate_tokens


def generate_tokens__right_room_for_all(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    pictures, length, _ = noise.shape
    tokens = torch.zeros(pictures, length, dtype=torch.long, device=noise.device)
    for position in range(length):
        tokens[:, position] = decode_step(next_logits(tokens[:, :position]), noise[:, position], config)
    return tokens


def generate_tokens__right_appended(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    tokens = torch.empty(len(noise), 0, dtype=torch.long, device=noise.device)
    for here in noise.unbind(dim=1):
        token = decode_step(next_logits(tokens), here, config)
        tokens = torch.cat([tokens, token[:, None]], dim=1)
    return tokens


def generate_tokens__right_recursion(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    if noise.shape[1] == 0:
        return torch.empty(noise.shape[0], 0, dtype=torch.long, device=noise.device)
    before = generate_tokens__right_recursion(next_logits, noise[:, :-1], config)
    token = decode_step(next_logits(before), noise[:, -1], config)
    return torch.hstack([before, token.unsqueeze(1)])


# Shows the model the whole row, with the zeros at the places that are still empty.
def generate_tokens__whole_row_shown(next_logits, noise, config):
    pictures, length, _ = noise.shape
    tokens = torch.zeros(pictures, length, dtype=torch.long, device=noise.device)
    for position in range(length):
        tokens[:, position] = decode_step(next_logits(tokens), noise[:, position], config)
    return tokens


# Slices one place too far, so the model also sees the zero of the place that it is asked for.
def generate_tokens__one_place_too_far(next_logits, noise, config):
    pictures, length, _ = noise.shape
    tokens = torch.zeros(pictures, length, dtype=torch.long, device=noise.device)
    for position in range(length):
        tokens[:, position] = decode_step(next_logits(tokens[:, : position + 1]), noise[:, position], config)
    return tokens


# Shows the model only the token before and not all tokens so far.
def generate_tokens__last_token_only(next_logits, noise, config):
    pictures, length, _ = noise.shape
    tokens = torch.zeros(pictures, length, dtype=torch.long, device=noise.device)
    for position in range(length):
        so_far = tokens[:, max(position - 1, 0) : position]
        tokens[:, position] = decode_step(next_logits(so_far), noise[:, position], config)
    return tokens


# Begins at the second place, as if the zero at the first were a start token, so the first is never drawn.
def generate_tokens__first_place_left_zero(next_logits, noise, config):
    pictures, length, _ = noise.shape
    tokens = torch.zeros(pictures, length, dtype=torch.long, device=noise.device)
    for position in range(1, length):
        tokens[:, position] = decode_step(next_logits(tokens[:, :position]), noise[:, position], config)
    return tokens


# Puts a start token 0 of its own before the tokens that the model is shown, and removes it at the end.
def generate_tokens__start_token_shown(next_logits, noise, config):
    tokens = torch.zeros(noise.shape[0], 1, dtype=torch.long, device=noise.device)
    for position in range(noise.shape[1]):
        token = decode_step(next_logits(tokens), noise[:, position], config)
        tokens = torch.cat([tokens, token[:, None]], dim=1)
    return tokens[:, 1:]


# Uses the noise of the first position at every position.
def generate_tokens__noise_of_first_position(next_logits, noise, config):
    pictures, length, _ = noise.shape
    tokens = torch.zeros(pictures, length, dtype=torch.long, device=noise.device)
    for position in range(length):
        tokens[:, position] = decode_step(next_logits(tokens[:, :position]), noise[:, 0], config)
    return tokens


# Draws each picture by itself, so the model is asked B times for each t, which spoils its cache.
def generate_tokens__picture_after_picture(next_logits, noise, config):
    pictures, length, _ = noise.shape
    tokens = torch.zeros(pictures, length, dtype=torch.long, device=noise.device)
    for picture in range(pictures):
        for position in range(length):
            logits = next_logits(tokens[picture : picture + 1, :position])
            tokens[picture, position] = decode_step(logits[:1], noise[picture : picture + 1, position], config)[0]
    return tokens


# Takes the likeliest token in the loop instead of calling decode_step, so noise and config are forgotten.
def generate_tokens__always_greedy(next_logits, noise, config):
    pictures, length, codes = noise.shape
    tokens = torch.zeros(pictures, length, dtype=torch.long, device=noise.device)
    for position in range(length):
        tokens[:, position] = next_logits(tokens[:, :position])[:, :codes].argmax(-1)
    return tokens


# ------------------------------------------------------------------------------------------------------ clip_loss


def clip_loss__right_cross_entropy(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    logits = scale * image_vectors @ text_vectors.T
    right = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def clip_loss__right_logsumexp(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    logits = torch.einsum("ie,je->ij", image_vectors, text_vectors) * scale
    both = logits.logsumexp(0) + logits.logsumexp(1)
    return (both / 2 - logits.diagonal()).mean()


def clip_loss__right_one_hot(image_vectors: Tensor, text_vectors: Tensor, scale: Tensor | float) -> Tensor:
    size = image_vectors.shape[0]
    cosines = (image_vectors[:, None, :] * text_vectors[None, :, :]).sum(-1)
    right = torch.eye(size, device=cosines.device, dtype=cosines.dtype)
    surprise = (cosines * scale).log_softmax(1) + (cosines * scale).log_softmax(0)
    return -(right * surprise).sum() / (2 * size)


# Asks only the pictures for their captions (rows), not the captions for their pictures.
def clip_loss__pictures_only(image_vectors, text_vectors, scale):
    logits = scale * image_vectors @ text_vectors.T
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


# Adds the two cross-entropies and does not halve the sum.
def clip_loss__sum_of_both(image_vectors, text_vectors, scale):
    logits = scale * image_vectors @ text_vectors.T
    right = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)


# Divides the cosines by scale, as if it were a temperature, instead of multiplying them.
def clip_loss__divided_by_scale(image_vectors, text_vectors, scale):
    logits = image_vectors @ text_vectors.T / scale
    right = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


# Detaches scale, so that it gets no gradient and is never learned.
def clip_loss__scale_without_gradient(image_vectors, text_vectors, scale):
    logits = torch.as_tensor(scale).detach() * image_vectors @ text_vectors.T
    right = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


# Takes e to the power of scale, as CLIP's figure 3 does with t, though scale is the factor already.
def clip_loss__exp_of_scale(image_vectors, text_vectors, scale):
    logits = torch.as_tensor(scale).exp() * image_vectors @ text_vectors.T
    right = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


# Hands probabilities to cross_entropy, which takes the softmax of them once more.
def clip_loss__softmax_twice(image_vectors, text_vectors, scale):
    logits = scale * image_vectors @ text_vectors.T
    right = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits.softmax(1), right) + F.cross_entropy(logits.T.softmax(1), right)) / 2


# Asks of every pair by itself, right or wrong, with a sigmoid, instead of a choice among B.
def clip_loss__yes_or_no(image_vectors, text_vectors, scale):
    logits = scale * image_vectors @ text_vectors.T
    return F.binary_cross_entropy_with_logits(logits, torch.eye(len(logits), device=logits.device, dtype=logits.dtype))


# Leaves out other rows with the same caption, though they count as wrong, too.
def clip_loss__same_captions_left_out(image_vectors, text_vectors, scale):
    logits = scale * image_vectors @ text_vectors.T
    right = torch.arange(len(logits), device=logits.device)
    same = (text_vectors[:, None] == text_vectors[None]).all(-1)
    same = same & ~torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(same, -INF)
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


# --------------------------------------------------------------------------------------------------------- rerank


def rerank__right_argsort(similarity: Tensor, keep: int) -> Tensor:
    return similarity.argsort(dim=1, descending=True, stable=True)[:, :keep]


def rerank__right_sorted_rows(similarity: Tensor, keep: int) -> Tensor:
    rows = [sorted(range(len(row)), key=lambda place, row=row: -row[place])[:keep] for row in similarity.tolist()]
    return torch.tensor(rows, dtype=torch.long, device=similarity.device).reshape(len(similarity), keep)


def rerank__right_best_again_and_again(similarity: Tensor, keep: int) -> Tensor:
    left, chosen = similarity.clone(), []
    for _ in range(keep):
        best = left.argmax(1, keepdim=True)  # the first of equals
        chosen.append(best)
        left.scatter_(1, best, -INF)
    return torch.cat(chosen, 1)


# Forgets descending=True, so the worst come first and are kept.
def rerank__worst_first(similarity, keep):
    return similarity.argsort(dim=1, stable=True)[:, :keep]


# Sorts upwards and turns the line round, which also turns equals round: the later comes first.
def rerank__later_equal_first(similarity, keep):
    return similarity.argsort(dim=1, stable=True).flip(1)[:, :keep]


# Sorts along the captions (dimension 0) instead of along the candidates.
def rerank__wrong_dimension(similarity, keep):
    return similarity.argsort(dim=0, descending=True, stable=True)[:, :keep]


# Returns the rank of each of the first candidates instead of the places of the best.
def rerank__ranks_for_places(similarity, keep):
    return similarity.argsort(dim=1, descending=True, stable=True).argsort(dim=1)[:, :keep]


# Keeps the right ones, but in the order in which they stood and not best first.
def rerank__not_best_first(similarity, keep):
    return similarity.argsort(dim=1, descending=True, stable=True)[:, :keep].sort(dim=1).values


# Sorts best first, but takes the end of the line instead of its beginning.
def rerank__end_of_the_line(similarity, keep):
    return similarity.argsort(dim=1, descending=True, stable=True)[:, -keep:]


# Keeps the first rows instead of the first columns, so the shape is wrong.
def rerank__first_rows(similarity, keep):
    return similarity.argsort(dim=1, descending=True, stable=True)[:keep]


# Marks a candidate that was chosen with 0, so where all others are below 0 it is chosen again.
def rerank__marked_with_zero(similarity, keep):
    left, chosen = similarity.clone(), []
    for _ in range(keep):
        best = left.argmax(1, keepdim=True)
        chosen.append(best)
        left.scatter_(1, best, 0.0)
    return torch.cat(chosen, 1)


RIGHT = {
    "apply_temperature": [
        apply_temperature__right_scatter,
        apply_temperature__right_places,
        apply_temperature__right_first_of_equals,
    ],
    "top_k_filter": [
        top_k_filter__right_topk,
        top_k_filter__right_count_larger,
        top_k_filter__right_kthvalue,
    ],
    "top_p_filter": [
        top_p_filter__right_sum_before,
        top_p_filter__right_how_many,
        top_p_filter__right_walk,
    ],
    "guide": [
        guide__right_walk,
        guide__right_weights,
        guide__right_lerp,
    ],
    "decode_step": [
        decode_step__right_in_a_row,
        decode_step__right_bus_stop,
        decode_step__right_picture_by_picture,
    ],
    "generate_tokens": [
        generate_tokens__right_room_for_all,
        generate_tokens__right_appended,
        generate_tokens__right_recursion,
    ],
    "clip_loss": [
        clip_loss__right_cross_entropy,
        clip_loss__right_logsumexp,
        clip_loss__right_one_hot,
    ],
    "rerank": [
        rerank__right_argsort,
        rerank__right_sorted_rows,
        rerank__right_best_again_and_again,
    ],
}

WRONG = {
    "apply_temperature": [
        (
            apply_temperature__multiplies,
            "Multiplies by the temperature instead of dividing by it.",
        ),
        (
            apply_temperature__power_of_logits,
            "Takes the logits to the power 1 / T, as the worked example does with probabilities.",
        ),
        (
            apply_temperature__returns_probabilities,
            "Returns the probabilities after softmax instead of logits.",
        ),
        (
            apply_temperature__tiny_temperature,
            "Has no case for 0, but divides by a very small number there, so that no logit is 0 or -inf.",
        ),
        (
            apply_temperature__all_equals_at_zero,
            "At 0 gives a 0 to all that are equal to the largest, not to the first of them alone.",
        ),
        (
            apply_temperature__largest_keeps_its_value,
            "At 0 rules out the others but leaves the largest logit as it was instead of making it 0.",
        ),
        (
            apply_temperature__one_argmax_for_all_rows,
            "At 0 looks for the largest of the whole tensor, so all rows but one are -inf everywhere.",
        ),
        (
            apply_temperature__one_hot_at_zero,
            "At 0 returns a one-hot row, 1 for the largest and 0 for the others: probabilities, not logits.",
        ),
    ],
    "top_k_filter": [
        (
            top_k_filter__exactly_k,
            "Keeps exactly k by their indices, so that logits equal to the k-th are ruled out.",
        ),
        (
            top_k_filter__kth_ruled_out,
            "Compares with <= and so rules out the k-th largest itself.",
        ),
        (
            top_k_filter__filled_with_zero,
            "Fills with 0, as in the worked example, instead of with -inf.",
        ),
        (
            top_k_filter__bound_of_all_rows,
            "Takes the k largest of the whole tensor and not of each row.",
        ),
        (
            top_k_filter__stays_sorted,
            "Returns the logits in sorted order, not in their own.",
        ),
        (
            top_k_filter__index_one_too_far,
            "Counts from 1: takes the sorted value at index k, which is the (k + 1)-th largest, as the bound.",
        ),
        (
            top_k_filter__k_too_large,
            "Forgets that k may be larger than K: topk raises an error there.",
        ),
        (
            top_k_filter__kth_smallest,
            "Sorts upwards but reads the k-th from the beginning, so the bound is the k-th smallest.",
        ),
    ],
    "top_p_filter": [
        (
            top_p_filter__reaching_token_out,
            "Compares the sum with the token in it, so the token that reaches p is ruled out, too.",
        ),
        (
            top_p_filter__one_more_at_exactly_p,
            "Compares with > instead of >=, so one token too many stays where the sum is exactly p.",
        ),
        (
            top_p_filter__mask_not_carried_back,
            "Does not carry the answer back: the mask of the sorted row is laid over the unsorted logits.",
        ),
        (
            top_p_filter__gather_for_scatter,
            "Carries the answer back with gather instead of scatter, which sorts it once more.",
        ),
        (
            top_p_filter__unsorted_probabilities,
            "Takes the softmax of the unsorted logits, so the running sum goes along them in the wrong order.",
        ),
        (
            top_p_filter__least_likely_first,
            "Sorts upwards, so it keeps the least likely tokens until they have p together.",
        ),
        (
            top_p_filter__no_case_for_one,
            "Has no case for p = 1: the rounded sum reaches 1 early, and very unlikely tokens are ruled out.",
        ),
        (
            top_p_filter__all_equals_stay,
            "Uses the smallest logit that is kept as a bound, as in top-k, so all its equals stay, too.",
        ),
    ],
    "guide": [
        (
            guide__roles_swapped,
            "Takes the two the wrong way round: starts with the caption and goes to the empty one.",
        ),
        (
            guide__starts_at_caption,
            "Starts at the logits with the caption, which is the paper's formula with w = scale instead of scale - 1.",
        ),
        (
            guide__away_from_caption,
            "Has the sign of the way wrong, u - c, and so walks away from the caption.",
        ),
        (
            guide__no_parentheses,
            "Forgets the parentheses, so that only scale times c is left.",
        ),
        (
            guide__way_without_start,
            "Returns the way alone and forgets to add the start.",
        ),
        (
            guide__nothing_up_to_one,
            "Believes that guidance begins above 1 and returns c for every smaller scale, also for 0.",
        ),
        (
            guide__scale_minus_one,
            "Puts w = scale - 1 into the formula that starts at u, and so goes one way too few.",
        ),
        (
            guide__normalized_first,
            "Makes log-probabilities of both first, so the values are shifted against u + scale * (c - u).",
        ),
    ],
    "decode_step": [
        (
            decode_step__dropped_at_the_end,
            "Drops what is no token only after the filters, so that it takes part in them and in the case 0.",
        ),
        (
            decode_step__last_logits_kept,
            "Keeps the last K logits instead of the first K.",
        ),
        (
            decode_step__noise_first,
            "Adds the noise before temperature and filters, so noise is divided, too: the settings change nothing.",
        ),
        (
            decode_step__temperature_last,
            "Applies the temperature after the filters, so that top-p cuts at the wrong probabilities.",
        ),
        (
            decode_step__p_before_k,
            "Applies top-p before top-k, so that p is a share of all probability and not of what top-k left.",
        ),
        (
            decode_step__noise_forgotten,
            "Takes the largest logit and forgets the noise, so it is always greedy.",
        ),
        (
            decode_step__noise_on_probabilities,
            "Adds the noise to probabilities instead of logits, so a ruled out token can win.",
        ),
        (
            decode_step__either_k_or_p,
            "Uses either top-k or top-p: where top_k is given, top_p is forgotten.",
        ),
    ],
    "generate_tokens": [
        (
            generate_tokens__whole_row_shown,
            "Shows the model the whole row, with the zeros at the places that are still empty.",
        ),
        (
            generate_tokens__one_place_too_far,
            "Slices one place too far, so the model also sees the zero of the place that it is asked for.",
        ),
        (
            generate_tokens__last_token_only,
            "Shows the model only the token before and not all tokens so far.",
        ),
        (
            generate_tokens__first_place_left_zero,
            "Begins at the second place, as if the zero at the first were a start token, so the first is never drawn.",
        ),
        (
            generate_tokens__start_token_shown,
            "Puts a start token 0 of its own before the tokens that the model is shown, and removes it at the end.",
        ),
        (
            generate_tokens__noise_of_first_position,
            "Uses the noise of the first position at every position.",
        ),
        (
            generate_tokens__picture_after_picture,
            "Draws each picture by itself, so the model is asked B times for each t, which spoils its cache.",
        ),
        (
            generate_tokens__always_greedy,
            "Takes the likeliest token in the loop instead of calling decode_step, so noise and config are forgotten.",
        ),
    ],
    "clip_loss": [
        (
            clip_loss__pictures_only,
            "Asks only the pictures for their captions (rows), not the captions for their pictures.",
        ),
        (
            clip_loss__sum_of_both,
            "Adds the two cross-entropies and does not halve the sum.",
        ),
        (
            clip_loss__divided_by_scale,
            "Divides the cosines by scale, as if it were a temperature, instead of multiplying them.",
        ),
        (
            clip_loss__scale_without_gradient,
            "Detaches scale, so that it gets no gradient and is never learned.",
        ),
        (
            clip_loss__exp_of_scale,
            "Takes e to the power of scale, as CLIP's figure 3 does with t, though scale is the factor already.",
        ),
        (
            clip_loss__softmax_twice,
            "Hands probabilities to cross_entropy, which takes the softmax of them once more.",
        ),
        (
            clip_loss__yes_or_no,
            "Asks of every pair by itself, right or wrong, with a sigmoid, instead of a choice among B.",
        ),
        (
            clip_loss__same_captions_left_out,
            "Leaves out other rows with the same caption, though they count as wrong, too.",
        ),
    ],
    "rerank": [
        (
            rerank__worst_first,
            "Forgets descending=True, so the worst come first and are kept.",
        ),
        (
            rerank__later_equal_first,
            "Sorts upwards and turns the line round, which also turns equals round: the later comes first.",
        ),
        (
            rerank__wrong_dimension,
            "Sorts along the captions (dimension 0) instead of along the candidates.",
        ),
        (
            rerank__ranks_for_places,
            "Returns the rank of each of the first candidates instead of the places of the best.",
        ),
        (
            rerank__not_best_first,
            "Keeps the right ones, but in the order in which they stood and not best first.",
        ),
        (
            rerank__end_of_the_line,
            "Sorts best first, but takes the end of the line instead of its beginning.",
        ),
        (
            rerank__first_rows,
            "Keeps the first rows instead of the first columns, so the shape is wrong.",
        ),
        (
            rerank__marked_with_zero,
            "Marks a candidate that was chosen with 0, so where all others are below 0 it is chosen again.",
        ),
    ],
}
