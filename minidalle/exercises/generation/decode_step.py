"""Exercise: draw one token of each picture."""

from collections.abc import Callable

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.generation import probe_decode_step
from minidalle.runtime import generator
from minidalle.sampling import apply_temperature, decode_step, top_k_filter, top_p_filter
from minidalle.sampling_config import SamplingConfig

Answer = Callable[[Tensor, Tensor, SamplingConfig], Tensor]

TRIES = 2000


def cases(seed: int) -> list[Case]:
    """One token each, on which some mistakes show: noise, temperature, extra ids, filters, their order; then many."""
    chance = generator(seed, "generation.decode_step")

    def case(size: tuple[int, int], config: SamplingConfig, *mistakes: Answer, extra: int = 0) -> Case:
        """Logits and noise, in tenths: of many pictures some for which these mistakes draw other tokens."""
        pictures, codes = size
        logits = torch.randint(-20, 40, (TRIES, codes + extra), generator=chance) / 10
        noise = torch.randint(-15, 30, (TRIES, codes), generator=chance) / 10
        clear = _is_clear(logits, noise, config)
        logits, noise = logits[clear], noise[clear]
        right = decode_step(logits, noise, config)
        telling = [mistake(logits, noise, config) != right for mistake in mistakes]
        chosen = torch.stack([torch.ones_like(right, dtype=torch.bool), *telling]).all(dim=0)
        chosen[0] |= pictures > 1  # what is taken from the first picture is taken from this one
        settings = {"temperature": config.temperature, "top_k": config.top_k, "top_p": config.top_p}
        kept = {"logits": logits[chosen][:pictures], "noise": noise[chosen][:pictures]}
        return {**kept, **settings, "guidance": config.guidance}

    plain = SamplingConfig()
    hot = SamplingConfig(temperature=float(torch.randint(4, 9, (), generator=chance)) / 2)
    cold = SamplingConfig(temperature=float(torch.randint(3, 7, (), generator=chance)) / 10)
    both = SamplingConfig(temperature=1.5, top_k=5, top_p=0.5)
    return [
        case((1, 2), plain, leaves_the_noise_out, subtracts_the_noise, takes_the_smallest),
        case((1, 4), hot, leaves_the_temperature_out, multiplies_the_noise_by_the_temperature),
        case((1, 3), plain, draws_one_of_the_last_ids, extra=1),
        case((1, 4), SamplingConfig(top_k=2), leaves_top_k_out, adds_the_noise_before_the_filters, extra=1),
        case((1, 4), SamplingConfig(top_p=0.7), leaves_top_p_out, drops_other_ids_after_the_filters, extra=2),
        case((1, 3), SamplingConfig(temperature=0.0), leaves_the_temperature_out, divides_by_a_temperature_of_0),
        case((1, 4), SamplingConfig(temperature=3.0, top_p=0.8), filters_before_the_temperature),
        case((1, 5), SamplingConfig(top_k=3, top_p=0.7), filters_by_top_p_first),
        case((3, 3), plain, takes_the_noise_of_the_first_picture),
        case((2, 4), SamplingConfig(temperature=cold.temperature, guidance=3.0), applies_the_guidance_once_more),
        case((40, 9), cold, extra=1),
        case((40, 9), both, extra=1),
    ]


def _is_clear(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """For which pictures rounding decides nothing: no equal logits or largest sums, p not just reached; bool [B]."""
    differences = logits.sort(dim=-1).values.diff(dim=-1)
    logits = apply_temperature(logits[:, : noise.shape[1]], config.temperature)
    if config.top_k is not None:
        logits = top_k_filter(logits, config.top_k)
    reached = logits.softmax(-1).sort(descending=True).values.cumsum(-1)
    largest = (top_p_filter(logits, config.top_p) + noise).topk(2).values
    short_of_p = (reached - config.top_p).abs() + (config.top_p == 1)
    return (torch.cat([differences, largest[:, :1] - largest[:, 1:], short_of_p], dim=1) > 1e-3).all(dim=1)


def _kept(logits: Tensor, config: SamplingConfig) -> Tensor:
    """Both filters, in their order."""
    logits = logits if config.top_k is None else top_k_filter(logits, config.top_k)
    return top_p_filter(logits, config.top_p)


def _cooled(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The codebook's logits, divided by the temperature."""
    return apply_temperature(logits[:, : noise.shape[1]], config.temperature)


def _draw(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """All of it."""
    return (_kept(_cooled(logits, noise, config), config) + noise).argmax(-1)


def leaves_the_noise_out(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """That always takes the likeliest token. Chance comes in with the noise: add it before you look for the largest."""
    return _kept(_cooled(logits, noise, config), config).argmax(-1)


def subtracts_the_noise(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Add the noise: turned around, it has another distribution, and your draws are not those of softmax."""
    return (_kept(_cooled(logits, noise, config), config) - noise).argmax(-1)


def takes_the_smallest(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """A large logit is a likely token: `argmax`."""
    return (_kept(_cooled(logits, noise, config), config) + noise).argmin(-1)


def adds_the_noise_to_probabilities(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The noise is for logits. Beside it, probabilities are too small to matter, and what is ruled out comes back."""
    return (_kept(_cooled(logits, noise, config), config).softmax(-1) + noise).argmax(-1)


def takes_the_noise_of_the_first_picture(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Each picture has a row of noise of its own; with the same chance for all, equal captions draw equal pictures."""
    return (_kept(_cooled(logits, noise, config), config) + noise[:1]).argmax(-1)


def divides_the_noise_too(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The temperature is for the logits only, and comes before the noise. If both are divided, nothing changes."""
    if config.temperature == 0:
        return _draw(logits, noise, config)
    kept = _kept(_cooled(logits, noise, config), config)
    return (kept + noise / config.temperature).argmax(-1)


def multiplies_the_noise_by_the_temperature(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The logits are divided by the temperature already: leave the noise as it is, or it counts twice."""
    return (_kept(_cooled(logits, noise, config), config) + config.temperature * noise).argmax(-1)


def leaves_the_temperature_out(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """`config.temperature` is not used: `apply_temperature` comes first."""
    return (_kept(logits[:, : noise.shape[1]], config) + noise).argmax(-1)


def divides_by_a_temperature_of_0(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The temperature may be 0, and nothing can be divided by that: `apply_temperature` knows what to do."""
    return (_kept(logits[:, : noise.shape[1]] / config.temperature, config) + noise).argmax(-1)


def leaves_top_k_out(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """`config.top_k` is not used: unless it is None, `top_k_filter` comes after the temperature."""
    return (top_p_filter(_cooled(logits, noise, config), config.top_p) + noise).argmax(-1)


def leaves_top_p_out(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """`config.top_p` is not used: `top_p_filter` comes after top-k."""
    logits = _cooled(logits, noise, config)
    return ((logits if config.top_k is None else top_k_filter(logits, config.top_k)) + noise).argmax(-1)


def filters_before_the_temperature(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The temperature changes how many tokens it takes to have probability p: divide first, then filter."""
    return (apply_temperature(_kept(logits[:, : noise.shape[1]], config), config.temperature) + noise).argmax(-1)


def filters_by_top_p_first(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Top-k comes first, and top-p takes what it left: p is then a part of what those k have, and fewer stay."""
    logits = top_p_filter(_cooled(logits, noise, config), config.top_p)
    return ((logits if config.top_k is None else top_k_filter(logits, config.top_k)) + noise).argmax(-1)


def filters_by_one_of_the_two(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Both filters may be wanted at once: `if` and once more `if`, not `else`."""
    logits = _cooled(logits, noise, config)
    kept = top_p_filter(logits, config.top_p) if config.top_k is None else top_k_filter(logits, config.top_k)
    return (kept + noise).argmax(-1)


def adds_the_noise_before_the_filters(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The largest of all passes every filter, so they do nothing: filter the logits, then add the noise."""
    return (_cooled(logits, noise, config) + noise).argmax(-1)


def draws_one_of_the_last_ids(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The codebook's ids come first, others behind them: keep the first K logits."""
    return _draw(logits[:, logits.shape[1] - noise.shape[1] :], noise, config)


def drops_other_ids_after_the_filters(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """What is no token must not take the place of one that is: drop those ids before anything else."""
    kept = _kept(apply_temperature(logits, config.temperature), config)
    return (kept[:, : noise.shape[1]] + noise).argmax(-1)


def keeps_other_ids(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The model has more outputs than there are codes. Keep the first K, as many as the noise has: `noise.shape[1]`."""
    return (_kept(apply_temperature(logits, config.temperature), config) + noise).argmax(-1)


def applies_the_guidance_once_more(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """`config.guidance` has nothing to do here: these logits are guided already."""
    return _draw(logits * config.guidance, noise, config)


def counts_tokens_from_1(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Tokens are 0 … K − 1, the rows of the codebook: return what argmax says."""
    return _draw(logits, noise, config) + 1


def as_an_exponential_race(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Right: with e = exp(−noise), the largest of probability / e, which is the same up to a logarithm."""
    logits = apply_temperature(logits[:, : noise.shape[-1]], config.temperature)
    logits = top_k_filter(logits, config.top_k or logits.shape[-1])
    probability = top_p_filter(logits, config.top_p).softmax(dim=-1)
    return (probability / (-noise).exp()).argmax(dim=-1)


def in_one_expression(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Right: one inside the other, from the inside out."""
    codes = noise.shape[1]
    k = codes if config.top_k is None else config.top_k
    kept = top_p_filter(top_k_filter(apply_temperature(logits[:, :codes], config.temperature), k), config.top_p)
    return torch.max(kept + noise, dim=1).indices


def picture_by_picture(logits: Tensor, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Right: a loop over the pictures."""
    tokens = []
    for row, chance in zip(logits, noise, strict=True):
        kept = apply_temperature(row[: len(chance)], config.temperature)
        if config.top_k:
            kept = top_k_filter(kept, config.top_k)
        if config.top_p < 1:
            kept = top_p_filter(kept, config.top_p)
        tokens.append(int(torch.argmax(kept.log_softmax(0) + chance)))
    return torch.tensor(tokens, device=logits.device)


HINTS = (
    "You have written most of this: it is your functions in a row, each with one number of the config. Before the "
    "first of them, drop what is no token; after the last, add the noise and take the largest.",
    "Keep the first K logits, K = `noise.shape[1]`. Then temperature, top-k unless it is None, top-p. The token is the "
    "place of the largest of logits + noise in each row: `argmax(-1)`.",
    """\
def decode_step(logits, noise, config):
    logits = logits[:, ...]
    logits = apply_temperature(logits, config.temperature)
    if config.top_k is not None:
        logits = ...
    logits = ...
    return (... + ...).argmax(-1)
""",
)

EXERCISE = Exercise(
    id="generation.decode_step",
    points=3,
    minutes=15,
    stars=2,
    reference=decode_step,
    cases=cases,
    wrong=(
        leaves_the_noise_out,
        subtracts_the_noise,
        takes_the_smallest,
        adds_the_noise_to_probabilities,
        takes_the_noise_of_the_first_picture,
        divides_the_noise_too,
        multiplies_the_noise_by_the_temperature,
        leaves_the_temperature_out,
        divides_by_a_temperature_of_0,
        leaves_top_k_out,
        leaves_top_p_out,
        filters_before_the_temperature,
        filters_by_top_p_first,
        filters_by_one_of_the_two,
        adds_the_noise_before_the_filters,
        draws_one_of_the_last_ids,
        drops_other_ids_after_the_filters,
        keeps_other_ids,
        applies_the_guidance_once_more,
        counts_tokens_from_1,
    ),
    also_right=(as_an_exponential_race, in_one_expression, picture_by_picture),
    hints=HINTS,
    reaches="TextToImage.draw",
    needs=("generation.apply_temperature", "generation.top_k_filter", "generation.top_p_filter"),
    probe=probe_decode_step,
)
