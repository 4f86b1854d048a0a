"""From logits to image tokens: temperature, top-k, top-p, guidance, the loop. The model is passed in.

Chance comes in as Gumbel noise: the largest of logits + noise is a draw from softmax(logits). A picture's
noise depends on its own seed only, so a picture is the same whatever batch it is in.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minidalle.runtime import generator
from minidalle.sampling_config import SamplingConfig as SamplingConfig

NextLogits = Callable[[Tensor], Tensor]
"""The model, as the loop sees it: the tokens so far, long [B, t] → logits of the next one [B, K or more]."""


def apply_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Sharpen (below 1) or flatten (above 1) what softmax makes of logits: divide by the temperature.

    [1.0, 3.0, 2.0], 2.0 → [0.5, 1.5, 1.0]. Nothing can be divided by 0: close to it, all probability goes
    to the largest logit, and at 0 to the first of equals: [1.0, 3.0, 2.0], 0 → [−inf, 0.0, −inf].

    Args:
        logits: [..., K]: any number of dimensions, the last of them K; −inf where a token is ruled out.
        temperature: 0 or more.

    Returns:
        Logits [..., K]; at temperature 0, each row's largest is 0 and all others are −inf. Source:
        Holtzman et al. 2020, section 3.3.
    """
    if temperature > 0:
        return logits / temperature
    best = logits.argmax(-1, keepdim=True)
    return torch.full_like(logits, float("-inf")).scatter(-1, best, 0.0)


def top_k_filter(logits: Tensor, k: int) -> Tensor:
    """Rule out all but the k largest logits of each row; those equal to the k-th stay, too.

    [1.0, 4.0, 0.0, 3.0], 2 → [−inf, 4.0, −inf, 3.0]; [2.0, 1.0, 2.0], 1 → [2.0, −inf, 2.0].

    Args:
        logits: [..., K].
        k: 1 or more; K or more keeps all.

    Returns:
        Logits [..., K], in their order: −inf where ruled out, else as they were. Source: Fan et al. 2018,
        section 5.4.
    """
    smallest = logits.topk(min(k, logits.shape[-1])).values[..., -1:]
    return logits.masked_fill(logits < smallest, float("-inf"))


def top_p_filter(logits: Tensor, p: float) -> Tensor:
    """Rule out all but the fewest most likely tokens of each row that have probability p together.

    [−1.6, −0.7, −1.2], with probabilities of about [0.2, 0.5, 0.3]: 0.6 → [−inf, −0.7, −1.2], as 0.5 is
    too little and 0.8 enough; 0.4 → [−inf, −0.7, −inf]; with 0.9 all stay. Of equals, the first comes
    first.

    Args:
        logits: [..., K], not normalized; −inf where a token is ruled out already.
        p: above 0, so at least one token stays; at most 1, which keeps all, however unlikely.

    Returns:
        Logits [..., K], in their order: −inf where ruled out, else as they were. Source: Holtzman et al.
        2020, section 3.1.
    """
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probability = ordered.softmax(-1)
    enough_before = probability.cumsum(-1) - probability >= p
    ruled_out = torch.zeros_like(enough_before).scatter(-1, order, enough_before)
    return logits.masked_fill(ruled_out, float("-inf"))


def guide(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (super-conditioning): start without the caption, go its way and beyond.

    [2.0, 0.0], [1.0, 1.0], 3.0 → [4.0, −2.0].

    Args:
        conditional: c, logits given the caption [..., K].
        unconditional: u, logits given the empty caption [..., K].
        scale: 0 = without the caption, 1 = with it, above 1 = beyond.

    Returns:
        Logits [..., K]: u + scale · (c − u). Source: Ho and Salimans 2022, section 3.2; w there is
        scale − 1.
    """
    return unconditional + scale * (conditional - unconditional)


def decode_step(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Draw one token of each picture: temperature, top-k, top-p, then the largest of logits + noise.

    [[1.0, 2.0, 9.0]], [[0.5, 0.0]], SamplingConfig(temperature=4.0) → [0]: without the third, which is no
    token, the logits are [0.25, 0.5], and with noise [0.75, 0.5].

    Args:
        logits: [B, K or more]; what comes after the codebook's K ids is dropped first, and never drawn.
        noise: [B, K], Gumbel noise, see `picture_noise`: with it, the largest is a draw from the softmax.
        config: temperature, top_k (None keeps all) and top_p. Its guidance is in the logits already.

    Returns:
        Tokens, long [B], each from 0 to K − 1. Source: Maddison et al. 2014, section 2.
    """
    logits = logits[:, : noise.shape[1]].float()  # half precision would be too coarse to divide
    logits = apply_temperature(logits, config.temperature)
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    logits = top_p_filter(logits, config.top_p)
    return (logits + noise).argmax(-1)


def generate_tokens(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Draw whole pictures, token after token, each given those before it.

    If `next_logits` says [[0.0, 1.0]] to no tokens [[]] and [[5.0, 0.0]] to [[1]]: next_logits, zeros
    [1, 2, 2], SamplingConfig() → [[1, 0]].

    Args:
        next_logits: the model (with guidance in it, if any): tokens so far, long [B, t] → logits of the
            next one [B, K or more]. Call it once for each t from 0 to N − 1, in order, as it may keep a
            cache.
        noise: [B, N, K], for each token of each picture its own; see `picture_noise`.
        config: temperature, top_k and top_p.

    Returns:
        Tokens, long [B, N], each from 0 to K − 1.
    """
    pictures, length, _ = noise.shape
    tokens = torch.zeros(pictures, length, dtype=torch.long, device=noise.device)
    for position in range(length):
        logits = next_logits(tokens[:, :position])
        tokens[:, position] = decode_step(logits, noise[:, position], config)
    return tokens


def picture_noise(seeds: Sequence[int], length: int, codes: int) -> Tensor:
    """Standard Gumbel noise for some pictures, each from its own seed alone.

    Args:
        seeds: a seed per picture, B of them.
        length: tokens of a picture, N.
        codes: the codebook's size, K.

    Returns:
        [B, N, K], on the CPU. Source: Gumbel 1954; Maddison et al. 2014, section 2.
    """
    uniform = torch.empty(len(seeds), length, codes)
    for row, seed in zip(uniform, seeds, strict=True):
        row.copy_(torch.rand(length, codes, generator=generator(seed, "sample")))
    return -(-uniform.clamp(min=torch.finfo(uniform.dtype).tiny).log()).log()
