"""Exercise: find the nearest code of each latent."""

import torch
import torch.nn.functional as F
from torch import Tensor

from minidalle.exercises.exercise import Case, Exercise
from minidalle.exercises.probes.vqgan_quantizer import probe_nearest_code
from minidalle.runtime import generator
from minidalle.vqgan.quantizer import nearest_code

LONG = ([[2.0, 1.0]], [[1.0, 2.0], [6.0, 4.0]])
BESIDE = ([[2.0, 1.0]], [[5.0, 4.0], [7.0, 1.0]])
"""A latent and two codes: one of these is long, and in the latent's direction; one is off in one number only."""

CODES = [[0.0, -5], [-6, 1], [2, -5], [1, -2], [5, -5], [0, -1]]
LATENTS = [[-1.0, 1], [1, 1], [-4, 3], [2, -4], [2, 3], [2, 2]]
"""Any two of the answers below differ here in at least one latent. All numbers are whole: they add up exactly."""


def cases(seed: int) -> list[Case]:
    """One latent and two codes, twice; a tie; then several, a batch of one picture, pictures, numbers of float64."""
    chance = generator(seed, "vqgan.nearest_code")
    codes, latents = torch.tensor(CODES), torch.tensor(LATENTS)
    codes, latents = codes[_order(len(codes), chance)], latents[_order(len(latents), chance)]
    return [
        *(_turned(*pair, chance) for pair in (LONG, BESIDE)),
        _tie(chance),
        {"latents": latents[:3], "codebook": codes},
        {"latents": latents, "codebook": codes},
        {"latents": _clear(codes, 4, chance).unsqueeze(0), "codebook": codes},
        *(_pictures(*shape, chance) for shape in ((2, 6, 3, 5), (3, 4, 4, 9))),
        {name: tensor.double() for name, tensor in _pictures(2, 9, 2, 7, chance).items()},
    ]


def _order(count: int, chance: torch.Generator) -> Tensor:
    return torch.randperm(count, generator=chance)


def _turned(latents: list[list[float]], codes: list[list[float]], chance: torch.Generator) -> Case:
    """The same latent and codes in a mirror, larger, and in another order."""
    mirror = (1 - 2 * torch.randint(2, (2,), generator=chance)) * torch.randint(1, 4, (), generator=chance)
    axes = _order(2, chance)
    codebook = torch.tensor(codes)[_order(2, chance)] * mirror
    return {"latents": (torch.tensor(latents) * mirror)[:, axes], "codebook": codebook[:, axes]}


def _tie(chance: torch.Generator) -> Case:
    """Two codes at the same distance of one latent, on opposite sides, and one far away: whole, so the tie is exact."""
    latents, step = _whole(1, 2, chance), torch.randint(1, 6, (1, 2), generator=chance).float()
    codes = torch.cat([latents + step, latents - step, latents + 9 * step])
    return {"latents": latents, "codebook": codes[_order(len(codes), chance)]}


def _whole(rows: int, width: int, chance: torch.Generator) -> Tensor:
    return torch.randint(-9, 10, (rows, width), generator=chance).float()


def _clear(codes: Tensor, rows: int, chance: torch.Generator) -> Tensor:
    """Latents each of which one code is nearest to by far: rounding decides nothing."""
    latents = _whole(50 * rows, codes.shape[1], chance)
    squares = (latents[:, None] - codes).square().sum(dim=-1).sort(dim=-1).values
    return latents[squares[:, 1] - squares[:, 0] >= 4][:rows]


def _pictures(batch: int, tokens: int, width: int, codes: int, chance: torch.Generator) -> dict[str, Tensor]:
    codebook = _whole(codes, width, chance)
    return {"latents": _clear(codebook, batch * tokens, chance).view(batch, tokens, width), "codebook": codebook}


def takes_the_farthest_code(latents: Tensor, codebook: Tensor) -> Tensor:
    """You want the smallest distance: argmin, not argmax."""
    return (codebook.square().sum(dim=1) - 2 * latents @ codebook.T).argmax(dim=-1)


def leaves_the_length_of_the_codes_out(latents: Tensor, codebook: Tensor) -> Tensor:
    """The distance has ‖e‖² in it, too: ‖e‖² − 2 x·e. The dot product alone is large for every long code."""
    return (latents @ codebook.T).argmax(dim=-1)


def compares_only_the_directions(latents: Tensor, codebook: Tensor) -> Tensor:
    """You compare angles; two codes in the same direction can be at different distances. Do not normalize."""
    return (F.normalize(latents, dim=-1) @ F.normalize(codebook, dim=-1).T).argmax(dim=-1)


def adds_up_differences_with_their_signs(latents: Tensor, codebook: Tensor) -> Tensor:
    """Without squares, a difference of −3 and one of +3 make 0: square each before you add them up."""
    return (latents.unsqueeze(-2) - codebook).sum(dim=-1).argmin(dim=-1)


def squares_the_sum_of_differences(latents: Tensor, codebook: Tensor) -> Tensor:
    """First square each difference, then add them up. The other way round, −3 and +3 make 0."""
    return (latents.unsqueeze(-2) - codebook).sum(dim=-1).square().argmin(dim=-1)


def adds_up_absolute_differences(latents: Tensor, codebook: Tensor) -> Tensor:
    """That is the city-block distance. Square the differences."""
    return (latents.unsqueeze(-2) - codebook).abs().sum(dim=-1).argmin(dim=-1)


def forgets_the_factor_2(latents: Tensor, codebook: Tensor) -> Tensor:
    """(x − e)² = x² − 2 x e + e²: the product counts twice."""
    return (codebook.square().sum(dim=1) - latents @ codebook.T).argmin(dim=-1)


def adds_the_dot_product(latents: Tensor, codebook: Tensor) -> Tensor:
    """A large dot product makes the distance small: it is subtracted. You find the code nearest to −x."""
    return (codebook.square().sum(dim=1) + 2 * latents @ codebook.T).argmin(dim=-1)


def forgets_to_square_the_length(latents: Tensor, codebook: Tensor) -> Tensor:
    """‖e‖² is the sum of the squares; `norm` has taken the root of it."""
    return (codebook.norm(dim=1) - 2 * latents @ codebook.T).argmin(dim=-1)


def finds_the_nearest_latent_of_each_code(latents: Tensor, codebook: Tensor) -> Tensor:
    """Each latent has a token: take the argmin over the codes, which are the last dimension of the distances."""
    return (codebook.square().sum(dim=1) - 2 * latents @ codebook.T).argmin(dim=-2)


def counts_the_codes_from_1(latents: Tensor, codebook: Tensor) -> Tensor:
    """Tokens are 0 … K−1, the rows of the codebook: return what argmin says."""
    return (codebook.square().sum(dim=1) - 2 * latents @ codebook.T).argmin(dim=-1) + 1


def takes_the_last_one_of_a_tie(latents: Tensor, codebook: Tensor) -> Tensor:
    """Of codes that are equally near it is the first: with `<`, not `<=`, or with argmin as it is."""
    squares = codebook.square().sum(dim=1) - 2 * latents @ codebook.T
    return len(codebook) - 1 - squares.flip(-1).argmin(dim=-1)


def subtracts_each_code_from_each_latent(latents: Tensor, codebook: Tensor) -> Tensor:
    """Right: the distance as it is defined; it needs memory for all differences."""
    return (latents.unsqueeze(-2) - codebook).pow(2).sum(dim=-1).sqrt().argmin(dim=-1)


def flattens_first(latents: Tensor, codebook: Tensor) -> Tensor:
    """Right: one long list of latents, all three terms, and the shape put back."""
    rows = latents.reshape(-1, codebook.shape[1])
    squares = (rows**2).sum(1, keepdim=True) - 2 * torch.einsum("md,kd->mk", rows, codebook) + (codebook**2).sum(1)
    return squares.min(dim=1).indices.reshape(latents.shape[:-1])


def keeps_the_best_so_far(latents: Tensor, codebook: Tensor) -> Tensor:
    """Right: one code after the other, with little memory."""
    tokens = torch.zeros(latents.shape[:-1], dtype=torch.long, device=latents.device)
    best = torch.full_like(latents[..., 0], torch.inf)
    for k, code in enumerate(codebook):
        distance = torch.linalg.vector_norm(latents - code, dim=-1)
        tokens = torch.where(distance < best, k, tokens)
        best = torch.minimum(best, distance)
    return tokens


HINTS = (
    "Make a table of all distances first, a row for each latent and a column for each code. Then take the place of "
    "the smallest number of each row.",
    "‖x − e‖² = ‖x‖² − 2 x·e + ‖e‖². `latents @ codebook.T` [..., K] has all dot products, "
    "`codebook.square().sum(dim=1)` [K] all ‖e‖², and ‖x‖² changes no row's order. No root is needed: the smallest "
    "square is that of the smallest distance.",
    """\
def nearest_code(latents, codebook):
    lengths = ...  # ‖e‖² of each code, [K]
    distances = lengths - ...  # but for ‖x‖²: [..., K]
    return distances.argmin(dim=...)
""",
)

EXERCISE = Exercise(
    id="vqgan.nearest_code",
    points=4,
    minutes=20,
    stars=2,
    reference=nearest_code,
    cases=cases,
    wrong=(
        takes_the_farthest_code,
        leaves_the_length_of_the_codes_out,
        compares_only_the_directions,
        adds_up_differences_with_their_signs,
        squares_the_sum_of_differences,
        adds_up_absolute_differences,
        forgets_the_factor_2,
        adds_the_dot_product,
        forgets_to_square_the_length,
        finds_the_nearest_latent_of_each_code,
        counts_the_codes_from_1,
        takes_the_last_one_of_a_tie,
    ),
    also_right=(subtracts_each_code_from_each_latent, flattens_first, keeps_the_best_so_far),
    hints=HINTS,
    reaches="VQGAN.encode",
    forbid=("torch.cdist",),
    probe=probe_nearest_code,
)
