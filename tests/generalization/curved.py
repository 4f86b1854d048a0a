"""Losses whose curvature is known: quadratics, and tiny BARTs whose whole Hessian is computed another way."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from minidalle.bart import Bart, BartConfig, sequence_loss, shift_right
from minidalle.data.tokens import TokenizedPictures

KINDS: dict[str, dict[str, object]] = {
    "small": {},
    "draft": {"draft_width": 3},  # its colors are parameters that the tokens' loss does not use
    "tied": {"text_vocab": 6, "image_codes": 6, "image_extra": 0, "start": 2, "norm": "post", "embedding_norm": True,
             "bias": True, "tied": True, "positions": "absolute"},
    "published": {"norm": "normformer", "embedding_norm": True, "scale_before_linear": False, "glu": True,
                  "positions": "absolute"},
}  # fmt: skip


def tiny_bart(dropout: float = 0.0, **changes: object) -> Bart:
    """A real BART of a few hundred float64 weights, none of them at its special first value."""
    sizes = {"text_vocab": 7, "text_length": 5, "image_codes": 5, "image_length": 4, "width": 4, "heads": 2,
             "hidden": 6, "encoder_layers": 1, "decoder_layers": 1, "dropout": dropout}  # fmt: skip
    bart = Bart(BartConfig(**{**sizes, **changes})).double()
    chance = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in bart.parameters():
            noise = torch.randn(weight.shape, generator=chance, dtype=torch.float64)
            weight.copy_(0.6 * noise if weight.dim() == 2 else 1 + 0.3 * noise)
    return bart


def tiny_tokens(rows: int = 7) -> TokenizedPictures:
    """Captions of 2 to 5 tokens, and pictures of 4."""
    chance = torch.Generator().manual_seed(4)
    mask = torch.arange(5) < torch.tensor([5, 2, 3, 4, 2, 5, 3])[:rows, None]
    text = torch.randint(0, 6, (rows, 5), generator=chance) * mask
    return TokenizedPictures(text, mask, torch.randint(0, 5, (rows, 4), generator=chance), torch.rand(rows, 4, 3))


def nats(bart: Bart, tokens: TokenizedPictures) -> Tensor:
    """Nats per token of all rows, in one batch."""
    image_in = shift_right(tokens.image, bart.config.start_token)
    return sequence_loss(bart(tokens.text, tokens.text_mask, image_in), tokens.image)


def whole_hessian(model: nn.Module, loss_fn: Callable[..., Tensor]) -> Tensor:
    """[P, P] by torch.func, all rows at once, of a loss that takes a function for the model.

    Reverse over reverse: in torch 2.13 forward over reverse (`torch.func.hessian`) is wrong, and not even symmetric,
    for a layer norm that has a scale.
    """
    shapes = {name: param.shape for name, param in model.named_parameters()}

    def loss_of(flat: Tensor) -> Tensor:
        pieces = flat.split([shape.numel() for shape in shapes.values()])
        weights = {name: piece.view(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}
        return loss_fn(lambda *inputs: functional_call(model, weights, inputs))

    flat = torch.cat([param.detach().flatten() for param in model.parameters()])
    return torch.func.jacrev(torch.func.grad(loss_of))(flat)


def bart_hessian(bart: Bart, tokens: TokenizedPictures) -> Tensor:
    """The Hessian of `nats`, in eval mode."""
    was = bart.training
    bart.eval()
    image_in = shift_right(tokens.image, bart.config.start_token)
    inputs = (tokens.text, tokens.text_mask, image_in)
    matrix = whole_hessian(bart, lambda model: sequence_loss(model(*inputs), tokens.image))
    bart.train(was)
    return matrix


def trace_matrix() -> Tensor:
    """[30, 30] with trace 105, Σ Aᵢᵢ² = 380 and Σ of the squares beside the diagonal 439."""
    signs = torch.randint(2, (30, 30), generator=torch.Generator().manual_seed(5)).double() * 2 - 1
    beside = (439 / 870) ** 0.5 * signs.triu(1)
    return beside + beside.T + (3.5 + (12.5 / 30) ** 0.5 * torch.tensor([1.0, -1.0]).double().repeat(15)).diag()


def random_symmetric(size: int, seed: int = 0) -> Tensor:
    matrix = torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return matrix + matrix.T


def rotated(values: Tensor, seed: int = 0) -> Tensor:
    """A symmetric matrix with these eigenvalues, and eigenvectors in no special direction."""
    basis = torch.linalg.qr(random_symmetric(len(values), seed))[0]
    return basis @ values.double().diag() @ basis.T


def quadratic(matrix: Tensor, point: Tensor) -> tuple[list[Tensor], Callable[[], Tensor]]:
    """½ xᵀAx at a point, whose numbers are spread over two parameters: the parameters and the loss."""
    first = point[:-2].clone().requires_grad_()
    second = point[-2:].clone().view(1, 2).requires_grad_()

    def loss() -> Tensor:
        x = torch.cat([first, second.flatten()])
        return 0.5 * x @ matrix @ x

    return [first, second], loss
