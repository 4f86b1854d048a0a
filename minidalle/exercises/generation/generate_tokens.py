"""Exercise: draw whole pictures, token after token."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.generation import TableModel, probe_generate_tokens
from minidalle.runtime import generator
from minidalle.sampling import NextLogits, decode_step, generate_tokens
from minidalle.sampling_config import SamplingConfig

Answer = Callable[[NextLogits, Tensor, SamplingConfig], Tensor]

TRIES = 100


def cases(seed: int) -> list[Case]:
    """Two tokens; three, two pictures of three, on which some mistakes show; a temperature, top-k; four long ones."""
    chance = generator(seed, "generation.generate_tokens")

    def one_try(
        size: tuple[int, int, int], config: SamplingConfig, mistakes: tuple[Answer, ...], extra: int
    ) -> dict[str, Any]:
        """A model of halves, noise of tenths, and of many pictures some for which these mistakes draw other tokens."""
        pictures, length, codes = size
        start, after = (torch.randint(-3, 7, (rows, codes + extra), generator=chance) / 2 for rows in (1, codes))
        noise = torch.randint(-15, 30, (TRIES, length, codes), generator=chance) / 10

        def tokens(answer: Answer) -> Tensor:
            return answer(TableModel(start[0].tolist(), after.tolist()), noise, config)

        noise = noise[_is_clear(TableModel(start[0].tolist(), after.tolist()), noise, config)]
        right = tokens(generate_tokens)
        telling = [(tokens(mistake) != right).any(dim=1) for mistake in mistakes]
        chosen = torch.stack([torch.ones(len(noise), dtype=torch.bool), *telling]).all(dim=0)
        chosen[0] |= pictures > 1  # what is taken from the first picture is taken from this one
        noise = noise[chosen][:pictures]
        settings = {"temperature": config.temperature, "top_k": config.top_k, "top_p": config.top_p}
        return {"start": start[0], "after": after, "noise": noise, **settings}

    def case(size: tuple[int, int, int], config: SamplingConfig, *mistakes: Answer, extra: int = 0) -> Case:
        """The first try that has as many pictures as it should."""
        tries = (one_try(size, config, mistakes, extra) for _ in range(1000))
        return next(one for one in tries if len(one["noise"]) == size[0])

    plain, hot = SamplingConfig(), SamplingConfig(temperature=float(torch.randint(4, 9, (), generator=chance)) / 2)
    return [
        case((1, 2, 2), plain, leaves_chance_out, draws_all_without_looking, takes_the_first_noise_for_all),
        case((1, 3, 2), plain, shows_only_the_newest_token, is_one_token_behind, puts_the_newest_in_front),
        case((1, 3, 2), plain, shows_tokens_that_are_not_drawn_yet, shows_the_place_that_is_drawn_now),
        case((2, 2, 3), plain, takes_the_noise_of_the_first_picture, shows_the_first_picture_for_all),
        case((1, 2, 3), hot, leaves_the_settings_out, extra=1),
        case((1, 2, 4), SamplingConfig(top_k=2), leaves_the_settings_out),
        case((4, 6, 5), plain, extra=1),
        case((3, 5, 4), SamplingConfig(temperature=0.7, top_k=3)),
    ]


def _is_clear(model: TableModel, noise: Tensor, config: SamplingConfig) -> Tensor:
    """For which pictures rounding decides nothing: a little more or less noise draws the same tokens, bool [B]."""
    tilt = 1e-3 * torch.arange(noise.shape[-1], device=noise.device)
    less, more = (generate_tokens(model, noise + step, config) for step in (-tilt, tilt))
    return (less == more).all(dim=1)


def _empty(noise: Tensor) -> Tensor:
    """A place for every token."""
    return torch.zeros(noise.shape[:2], dtype=torch.long, device=noise.device)


def _written(
    next_logits: NextLogits, noise: Tensor, config: SamplingConfig, shown: Callable[[Tensor, int], Tensor]
) -> Tensor:
    """The loop, where `shown` tells what the model is shown of the tokens at a position."""
    tokens = _empty(noise)
    for position in range(noise.shape[1]):
        tokens[:, position] = decode_step(next_logits(shown(tokens, position)), noise[:, position], config)
    return tokens


def shows_only_the_newest_token(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Each token depends on all before it: hand the model the whole beginning, [B, t], and not its last column."""
    return _written(next_logits, noise, config, lambda tokens, t: tokens[:, max(t - 1, 0) : t])


def is_one_token_behind(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The model does not see the newest token: when t are drawn, it gets t of them, `tokens[:, :t]`."""
    return _written(next_logits, noise, config, lambda tokens, t: tokens[:, : max(t - 1, 0)])


def shows_the_place_that_is_drawn_now(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The slice is one too long: the token that you are about to draw is not there yet, what is there is a 0."""
    return _written(next_logits, noise, config, lambda tokens, t: tokens[:, : t + 1])


def shows_tokens_that_are_not_drawn_yet(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The zeros in the places that are still empty look like token 0. Show only what has been drawn."""
    return _written(next_logits, noise, config, lambda tokens, t: tokens.clone())


def draws_all_without_looking(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The model has to see what was drawn before the next token: hand it the tokens so far, each time anew."""
    return _written(next_logits, noise, config, lambda tokens, t: tokens[:, :0])


def puts_the_newest_in_front(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Tokens are in the order in which they are drawn: the newest comes last."""
    return _written(next_logits, noise, config, lambda tokens, t: tokens[:, :t].flip(1))


def shows_the_first_picture_for_all(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Each picture goes on from its own tokens: hand on all rows."""
    return _written(next_logits, noise, config, lambda tokens, t: tokens[:1, :t].expand(len(tokens), t).clone())


def leaves_chance_out(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """That always takes the likeliest token, so each caption has one picture: hand the noise on."""
    return _written(next_logits, torch.zeros_like(noise), config, lambda tokens, t: tokens[:, :t])


def takes_the_first_noise_for_all(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Each position has noise of its own, noise[:, t]. With the same chance everywhere, tokens repeat."""
    return _written(next_logits, noise[:, :1].expand_as(noise), config, lambda tokens, t: tokens[:, :t])


def takes_the_noise_of_the_position_before(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The noise is one position off: token t has noise[:, t], and counting begins at 0."""
    return _written(next_logits, noise.roll(1, dims=1), config, lambda tokens, t: tokens[:, :t])


def takes_the_noise_of_the_first_picture(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Each picture has noise of its own: take all rows of it."""
    return _written(next_logits, noise[:1].expand_as(noise), config, lambda tokens, t: tokens[:, :t])


def leaves_the_settings_out(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Temperature and filters are in `config`: hand it on to `decode_step`."""
    return _written(next_logits, noise, SamplingConfig(), lambda tokens, t: tokens[:, :t])


def hands_probabilities_on(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """`decode_step` takes logits: leave the softmax to it."""
    return _written(lambda tokens: next_logits(tokens).softmax(-1), noise, config, lambda tokens, t: tokens[:, :t])


def writes_over_the_first_token(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Every token goes to a place of its own, `tokens[:, t]`. You write all of them to the first."""
    tokens = _empty(noise)
    for position in range(noise.shape[1]):
        tokens[:, 0] = decode_step(next_logits(tokens[:, :position]), noise[:, position], config)
    return tokens


def leaves_the_last_token_out(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The last place is still empty. There are N tokens to draw, for t = 0 … N − 1: `range(N)`."""
    tokens = _empty(noise)
    for position in range(noise.shape[1] - 1):
        tokens[:, position] = decode_step(next_logits(tokens[:, :position]), noise[:, position], config)
    return tokens


def leaves_the_first_token_out(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The first token is drawn, too, from what the model says to no tokens at all, [B, 0]: begin at t = 0."""
    tokens = _empty(noise)
    for position in range(1, noise.shape[1]):
        tokens[:, position] = decode_step(next_logits(tokens[:, :position]), noise[:, position], config)
    return tokens


def begins_with_a_token_of_its_own(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """A start token is the model's business: begin with no tokens, [B, 0], and return the N that were drawn."""
    tokens = torch.zeros(len(noise), 1, dtype=torch.long, device=noise.device)
    for position in range(noise.shape[1]):
        drawn = decode_step(next_logits(tokens), noise[:, position], config)
        tokens = torch.cat([tokens, drawn.unsqueeze(1)], dim=1)
    return tokens[:, : noise.shape[1]]


def asks_the_model_twice(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The tokens are right, but the model is asked more than once for each: it may keep a cache, which spoils it."""
    _written(next_logits, noise, config, lambda tokens, t: tokens[:, :t])
    return _written(next_logits, noise, config, lambda tokens, t: tokens[:, :t])


def asks_the_model_once_too_often(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The tokens are right, but after the last one nothing is left to ask: the model is called N times."""
    tokens = _written(next_logits, noise, config, lambda tokens, t: tokens[:, :t])
    next_logits(tokens)
    return tokens


def draws_one_picture_after_the_other(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """The tokens are right, but the model knows captions for the whole batch: draw a token of all pictures at once."""
    return torch.cat([_written(next_logits, one, config, lambda tokens, t: tokens[:, :t]) for one in noise.split(1)])


def with_a_list(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Right: columns in a list, stacked at the end."""
    columns: list[Tensor] = []
    for chance in noise.unbind(dim=1):
        so_far = torch.stack(columns, dim=1) if columns else noise.new_zeros(len(noise), 0, dtype=torch.long)
        columns.append(decode_step(next_logits(so_far), chance, config))
    return torch.stack(columns, dim=1)


def with_tokens_that_grow(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Right: a tensor that gets longer by a column each time."""
    tokens = torch.empty(noise.shape[0], 0, dtype=torch.long, device=noise.device)
    while tokens.shape[1] < noise.shape[1]:
        drawn = decode_step(next_logits(tokens), noise[:, tokens.shape[1]], config)
        tokens = torch.cat([tokens, drawn[:, None]], dim=1)
    return tokens


def until_the_end(next_logits: NextLogits, noise: Tensor, config: SamplingConfig) -> Tensor:
    """Right: it calls itself for all but the last token."""
    if noise.shape[1] == 0:
        return torch.zeros(len(noise), 0, dtype=torch.long, device=noise.device)
    before = until_the_end(next_logits, noise[:, :-1], config)
    return torch.cat([before, decode_step(next_logits(before), noise[:, -1], config).unsqueeze(1)], dim=1)


HINTS = (
    "Begin with empty places. For each position ask the model what comes next after the tokens so far, draw one token "
    "of every picture, write it down, and go on: the model sees it the next time.",
    "For t = 0, 1, … N − 1: logits = next_logits(tokens[:, :t]), where for t = 0 that is [B, 0], and tokens[:, t] = "
    "decode_step(logits, noise[:, t], config). B and N are in `noise.shape`.",
    """\
def generate_tokens(next_logits, noise, config):
    pictures, length, codes = noise.shape
    tokens = torch.zeros(pictures, length, dtype=torch.long, device=noise.device)
    for position in range(length):
        logits = next_logits(...)
        tokens[:, position] = decode_step(logits, ..., config)
    return tokens
""",
)

EXERCISE = Exercise(
    id="generation.generate_tokens",
    points=3,
    minutes=15,
    stars=2,
    reference=generate_tokens,
    cases=cases,
    wrong=(
        shows_only_the_newest_token,
        is_one_token_behind,
        shows_the_place_that_is_drawn_now,
        shows_tokens_that_are_not_drawn_yet,
        draws_all_without_looking,
        puts_the_newest_in_front,
        shows_the_first_picture_for_all,
        leaves_chance_out,
        takes_the_first_noise_for_all,
        takes_the_noise_of_the_position_before,
        takes_the_noise_of_the_first_picture,
        leaves_the_settings_out,
        hands_probabilities_on,
        writes_over_the_first_token,
        leaves_the_last_token_out,
        leaves_the_first_token_out,
        begins_with_a_token_of_its_own,
        asks_the_model_twice,
        asks_the_model_once_too_often,
        draws_one_picture_after_the_other,
    ),
    also_right=(with_a_list, with_tokens_that_grow, until_the_end),
    hints=HINTS,
    reaches="TextToImage.draw",
    needs=("generation.decode_step",),
    probe=probe_generate_tokens,
)
