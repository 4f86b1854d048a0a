"""The VQGAN as a whole: its sizes, its names, its neighbors, and what it does to pictures."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from minidalle.errors import InvalidValue
from minidalle.vqgan import VQGAN, VQGANConfig

sys.path.insert(0, str(Path(__file__).parents[1]))
import min_dalle_peer

SMALL = VQGANConfig(
    image_size=32,
    patch=2,
    channels=16,
    multipliers=(1, 2),
    encoder_blocks=(1, 1),
    decoder_blocks=(1, 2),
    attention_sizes=(),
    middle=False,
    groups=0,
    refinement=4,
    latent_width=8,
    code_width=8,
    codes=32,
    ema_decay=0.9,
    restart_below=0.05,
)
NARROW = replace(
    SMALL,
    patch=1,
    groups=4,
    middle=True,
    attention_sizes=(16,),
    refinement=0,
    ema_decay=0.0,
    restart_below=0.0,
)


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def pictures(batch: int = 2, side: int = 32) -> Tensor:
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=[SMALL, NARROW], ids=["small", "narrow"])
def vqgan(request: pytest.FixtureRequest) -> VQGAN:
    torch.manual_seed(0)
    return VQGAN(request.param)


def test_published_shape_has_the_published_parameters() -> None:
    with torch.device("meta"):
        published = VQGAN(VQGANConfig())
    assert count(published) == 76_073_859
    assert count(published.post_quant_conv, published.decoder, published.quantize) == 46_709_891
    assert (published.config.grid, published.config.tokens, published.config.factor) == (16, 256, 16)
    assert len(list(published.buffers())) == 0


def published_names() -> set[str]:
    """The published tree, written down from its description."""
    modules = []
    for i in range(5):
        modules += [f"encoder.down.{i}.block.{j}" for j in range(2)] + [f"decoder.up.{i}.block.{j}" for j in range(3)]
    modules += [f"{side}.mid.block_{j}" for side in ("encoder", "decoder") for j in (1, 2)]
    leaves = [f"{block}.{part}" for block in modules for part in ("norm1", "conv1", "norm2", "conv2")]
    leaves += [f"encoder.down.{i}.block.0.nin_shortcut" for i in (2, 4)]
    leaves += [f"decoder.up.{i}.block.0.nin_shortcut" for i in (1, 3)]
    attention = ["encoder.mid.attn_1", "decoder.mid.attn_1"]
    attention += [f"encoder.down.4.attn.{j}" for j in range(2)] + [f"decoder.up.4.attn.{j}" for j in range(3)]
    leaves += [f"{block}.{part}" for block in attention for part in ("norm", "q", "k", "v", "proj_out")]
    leaves += [f"encoder.down.{i}.downsample.conv" for i in range(4)]
    leaves += [f"decoder.up.{i}.upsample.conv" for i in range(1, 5)]
    leaves += [f"{side}.{part}" for side in ("encoder", "decoder") for part in ("conv_in", "norm_out", "conv_out")]
    leaves += ["quant_conv", "post_quant_conv"]
    return {f"{leaf}.{kind}" for leaf in leaves for kind in ("weight", "bias")} | {"quantize.codebook"}


def test_published_shape_has_the_published_names() -> None:
    with torch.device("meta"):
        names = VQGAN(VQGANConfig()).state_dict().keys()
    assert set(names) == published_names()
    assert len(names) == 343


def randomized(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Weights for every name, none near zero: norms too have scales and biases that matter."""
    weights = {}
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() == 4:
            noise *= parameter[0].numel() ** -0.5
        elif "norm" in name and name.endswith("weight"):
            noise = 1 + 0.3 * noise
        elif name != "quantize.codebook":
            noise *= 0.3
        weights[name] = noise
    return weights


def test_decoder_equals_min_dalle(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.device("meta"):
        model = VQGAN(VQGANConfig(pixel_range=(0.0, 1.0)))
    weights = randomized(model, generator)
    model.load_state_dict(weights, assign=True)
    tokens = torch.randint(16384, (1, 256), generator=generator)
    theirs = {f"weights.{name}": weight for name, weight in weights.items() if name.startswith(("post", "decoder"))}
    theirs["weights.embedding.weight"] = weights["quantize.codebook"]
    answer = min_dalle_peer.ask("vqgan-decoder", theirs | {"tokens": tokens}, tmp_path)
    with torch.no_grad():
        raw = model.pictures(model.quantize.codes()[tokens])
        ours = model.decode(tokens)
    assert raw.std() > 0.3
    torch.testing.assert_close(raw, answer["raw"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours[0].permute(1, 2, 0), answer["sheet"] / 255, rtol=1e-4, atol=1e-4)
    assert torch.is_grad_enabled()


def test_shapes_and_ranges(vqgan: VQGAN) -> None:
    config = vqgan.config
    output = vqgan(pictures())
    assert output.pictures.shape == (2, 3, 32, 32)
    assert output.latents.shape == output.quantized.shape == (2, config.tokens, config.code_width)
    assert output.tokens.shape == (2, config.tokens)
    assert output.tokens.dtype == torch.long
    assert output.commitment.shape == ()
    tokens = vqgan.encode(pictures())
    assert torch.equal(tokens, output.tokens)
    decoded = vqgan.decode(tokens)
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    torch.testing.assert_close(decoded, output.pictures.clamp(0, 1))


def test_tokens_are_row_major(vqgan: VQGAN) -> None:
    """Latent 3 is the fourth of the first row, and the second row starts after one grid's side."""
    with torch.no_grad():
        latents = vqgan.encoder(pictures(1) * 2 - 1)
        flat = vqgan.latents(pictures(1))
    grid = vqgan.quant_conv(latents)[0]
    torch.testing.assert_close(flat[0, 3], grid[:, 0, 3])
    torch.testing.assert_close(flat[0, vqgan.config.grid], grid[:, 1, 0])


def test_pixel_range_is_only_a_change_of_units() -> None:
    """A model that draws in [−1, 1] and one that draws in [0, 1] agree if the last layer makes up for it."""
    torch.manual_seed(0)
    config = replace(SMALL, patch=1, refinement=0)
    centered, unit = VQGAN(config), VQGAN(replace(config, pixel_range=(0.0, 1.0)))
    unit.load_state_dict(centered.state_dict())
    with torch.no_grad():
        unit.decoder.conv_out.weight /= 2
        unit.decoder.conv_out.bias.copy_((unit.decoder.conv_out.bias + 1) / 2)
    tokens = torch.randint(config.codes, (2, config.tokens))
    codes = centered.quantize.codes()[tokens]
    torch.testing.assert_close(unit.pictures(codes), centered.pictures(codes))
    seen = []
    centered.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    centered.encode(torch.stack([torch.zeros(3, 32, 32), torch.ones(3, 32, 32)]))
    assert seen[0].unique().tolist() == [-1, 1]


def test_every_parameter_learns(vqgan: VQGAN) -> None:
    with torch.no_grad():
        for parameter in vqgan.parameters():  # a block's conv2 starts at zero, which hides its conv1
            parameter += 0.01 * torch.randn(parameter.shape)
    output = vqgan(pictures())
    (output.pictures.square().mean() + output.commitment).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in vqgan.parameters())


def test_the_picture_teaches_the_encoder_through_the_codes(vqgan: VQGAN) -> None:
    """Without the commitment: what reaches the latents is what reaches the codes that stand for them."""
    output = vqgan(pictures())
    (through,) = torch.autograd.grad(output.pictures.square().sum(), output.latents)
    codes = output.quantized.detach().requires_grad_()
    (direct,) = torch.autograd.grad(vqgan.pictures(codes).square().sum(), codes)
    assert direct.norm() > 0
    assert (through - direct).norm() < 1e-4 * direct.norm()  # x + (q − x) is q but for rounding


def test_warm_up_passes_latents_on_unchanged(vqgan: VQGAN) -> None:
    output = vqgan(pictures(), quantize=False)
    torch.testing.assert_close(output.pictures, vqgan.pictures(output.latents))
    assert output.commitment == 0
    assert not torch.allclose(output.pictures, vqgan(pictures()).pictures)


def test_last_layer_is_the_last(vqgan: VQGAN) -> None:
    assert vqgan.last_layer is list(vqgan.decoder.parameters())[-2]
    assert vqgan.last_layer.shape[1:] == (vqgan.config.refinement or vqgan.config.channels, 3, 3)


def test_channels_last_and_batching_change_nothing(vqgan: VQGAN) -> None:
    with torch.no_grad():
        plain = vqgan(pictures(3)).pictures
        alone = vqgan(pictures(3)[1:2]).pictures
        vqgan.to(memory_format=torch.channels_last)
        last = vqgan(pictures(3).contiguous(memory_format=torch.channels_last)).pictures
    torch.testing.assert_close(plain[1:2], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(plain, last, rtol=1e-4, atol=1e-5)


def test_codebook_stays_float32_under_autocast(vqgan: VQGAN) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = vqgan(pictures())
    numbers = (output.pictures, output.latents, output.quantized, output.commitment)
    assert {tensor.dtype for tensor in numbers} == {torch.float32}
    codes = vqgan.quantize.codes()
    assert torch.equal(output.quantized, codes[output.tokens])
    exact = torch.cdist(output.latents.double(), codes.double()).argmin(dim=-1)
    assert torch.equal(output.tokens, exact)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.zeros(1, 63, dtype=torch.long), r"tokens=\(1, 63\): expected \[B, 64\]"),
        (torch.zeros(64, dtype=torch.long), r"tokens=\(64,\)"),
        (torch.full((1, 64), 32), r"32 … 32.*expected 0 … 31"),
        (torch.full((1, 64), -1), r"-1 … -1"),
    ],
)
def test_decode_refuses_what_is_no_grid_of_codes(tokens: Tensor, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        VQGAN(SMALL).decode(tokens)


def test_encode_refuses_whole_numbers() -> None:
    """Of 0 … 255, which it would take for colors far out of its range."""
    with pytest.raises(InvalidValue, match=r"pictures=torch.uint8: expected floats in \[0, 1\], as `minidalle.data"):
        VQGAN(SMALL).encode((255 * pictures(1)).byte())


def test_encode_refuses_other_sizes() -> None:
    with pytest.raises(InvalidValue, match=r"pictures=\(1, 3, 16, 32\)"):
        VQGAN(SMALL).encode(torch.zeros(1, 3, 16, 32))
    assert VQGAN(SMALL).decode(torch.zeros(0, 64, dtype=torch.long)).shape == (0, 3, 32, 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 30}, "image_size=30: expected a multiple of 4"),
        ({"patch": 0}, "patch=0"),
        ({"multipliers": ()}, "multipliers"),
        ({"multipliers": (1, 0)}, "multipliers"),
        ({"encoder_blocks": (1,)}, "encoder_blocks"),
        ({"decoder_blocks": (1, 0)}, "decoder_blocks"),
        ({"attention_sizes": (7,)}, r"attention_sizes=\(7,\)"),
        ({"groups": 3}, "groups=3: expected 0 or a divisor"),
        ({"codes": 1}, "codes=1"),
        ({"commitment": -0.1}, "commitment"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"ema_decay": 0.0}, "restart_below"),
        ({"restart_below": 1.0}, "restart_below"),
        ({"pixel_range": (1, 1)}, "pixel_range"),
        ({"refinement": -1}, "refinement"),
    ],
)
def test_config_names_the_field_that_is_wrong(change: dict, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        replace(SMALL, **change)


def test_config_survives_json() -> None:
    assert VQGANConfig(**json.loads(json.dumps(asdict(SMALL)))) == SMALL
