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
    """Sharpen (below 1) or flatten (above 1) what softmax makes of logits.

    Args:
        logits: [..., K].
        temperature: 0 or more. 0 is the limit: all probability to the largest logit, the first of equals.

    Returns:
        [..., K]; −inf where the probability is 0.
    """
    if temperature > 0:
        return logits / temperature
    best = logits.argmax(-1, keepdim=True)
    return torch.full_like(logits, float("-inf")).scatter(-1, best, 0.0)


def top_k_filter(logits: Tensor, k: int) -> Tensor:
    """Rule out all but the k largest logits; those equal to the k-th stay too.

    Args:
        logits: [..., K].
        k: 1 or more; K or more keeps all.

    Returns:
        [..., K]; −inf where ruled out. Source: Fan et al. 2018, section 5.4.
    """
    smallest = logits.topk(min(k, logits.shape[-1])).values[..., -1:]
    return logits.masked_fill(logits < smallest, float("-inf"))


def top_p_filter(logits: Tensor, p: float) -> Tensor:
    """Rule out all but the fewest most likely tokens that together have probability p; one always stays.

    Args:
        logits: [..., K].
        p: above 0, at most 1; 1 keeps all.

    Returns:
        [..., K]; −inf where ruled out. Source: Holtzman et al. 2020, section 3.1.
    """
    if p >= 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probability = ordered.softmax(-1)
    enough_before = probability.cumsum(-1) - probability >= p
    ruled_out = torch.zeros_like(enough_before).scatter(-1, order, enough_before)
    return logits.masked_fill(ruled_out, float("-inf"))


def guide(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (super-conditioning): start without the caption, and go its way, or beyond.

    Args:
        conditional: logits given the caption [..., K].
        unconditional: logits given the empty caption [..., K].
        scale: 0 = without the caption, 1 = with it, above 1 = beyond.

    Returns:
        [..., K]: u + scale · (c − u). Source: Ho and Salimans 2022, section 3.2.
    """
    return unconditional + scale * (conditional - unconditional)


def decode_step(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Draw one token of each picture: temperature, filters, then the largest of logits + Gumbel noise.

    Args:
        logits: [B, K or more]; what comes after the codebook's K ids is never drawn.
        noise: [B, K], see `picture_noise`.
        config: temperature, top-k and top-p.

    Returns:
        long [B], each from 0 to K − 1.
    """
    logits = apply_temperature(logits[:, : noise.shape[1]].float(), config.temperature)
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    logits = top_p_filter(logits, config.top_p)
    return (logits + noise).argmax(-1)


def generate_tokens(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Draw whole pictures, token after token, each given those before it.

    Args:
        next_logits: the model (with guidance in it, if any): tokens so far, long [B, t] → [B, K or more].
            It is called once for each t from 0 to N − 1, in order, so it may keep a cache.
        noise: [B, N, K], see `picture_noise`.
        config: temperature, top-k and top-p.

    Returns:
        long [B, N], each from 0 to K − 1.
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
    uniform = torch.stack([torch.rand(length, codes, generator=generator(seed, "sample")) for seed in seeds])
    return -(-uniform.clamp(min=torch.finfo(uniform.dtype).tiny).log()).log()
