"""The naming schemes at the published sizes: every key is asked for once, with its shape, and faults are named."""

import math
from dataclasses import replace

import published_trees as trees
import pytest
import torch

from minidalle.bart import Bart
from minidalle.checkpoint import CheckpointError
from minidalle.presets import DALLE_MEGA, DALLE_MINI
from minidalle.published import flax_bart, min_dalle, vqgan_names
from minidalle.published.dalle_shape import dalle_config
from minidalle.published.stored import Layout, Stored, Tree, check, plan
from minidalle.vqgan import VQGAN, VQGANConfig


def unread(shapes: dict[str, trees.Shape]) -> dict[str, Stored]:
    """A tree of which nothing can be read: shapes have to be enough."""

    def read(layer: int | None) -> torch.Tensor:
        raise AssertionError("nothing may be read yet")

    return {name: Stored(shape, torch.float16, read) for name, shape in shapes.items()}


def torch_shapes(size: dict[str, int]) -> dict[str, trees.Shape]:
    halves = trees.torch_bart(size)
    return {f"{side}.{name}": shape for side, half in halves.items() for name, shape in half.items()}


FORMS = {
    "flax, scanned": (lambda size: trees.flax_bart(size, True), flax_bart.layout(True)),
    "flax, unscanned": (lambda size: trees.flax_bart(size, False), flax_bart.layout(False)),
    "torch": (torch_shapes, min_dalle.layout),
}


def checked(tree: Tree, layout: Layout, codes: int = 16384, fields: dict | None = None) -> Bart:
    with torch.device("meta"):
        model = Bart(dalle_config(tree, layout, codes, fields))
    check(tree, model, layout)
    return model


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("size", "preset"), [(trees.MINI, DALLE_MINI), (trees.MEGA, DALLE_MEGA)])
def test_published_sizes(form: str, size: dict, preset: object) -> None:
    shapes, layout = FORMS[form][0](size), FORMS[form][1]
    model = checked(unread(shapes), layout)
    scaled = form == "torch"
    assert model.config == replace(preset.bart, scale_before_linear=scaled)
    assert sum(weight.numel() for weight in model.parameters()) == sum(map(math.prod, shapes.values()))
    assert {leaf.name for leaf in plan(model, layout).values()} == shapes.keys()


def test_published_numbers() -> None:
    for size, plain, scaled in ((trees.MINI, 437_833_712, 437_962_720), (trees.MEGA, 2_587_521_024, 2_587_967_488)):
        for scan in (True, False):
            assert sum(map(math.prod, trees.flax_bart(size, scan).values())) == plain
        assert sum(map(math.prod, torch_shapes(size).values())) == scaled
    assert len(trees.flax_bart(trees.MEGA, True)) == 42
    assert len(dict(trees.vqgan_leaves(trees.IMAGENET))) == 343


@pytest.mark.parametrize("form", ["flax", "taming", "torch"])
def test_the_published_vqgan(form: str) -> None:
    tree = {name: torch.empty(shape, device="meta") for name, shape in trees.vqgan_leaves(trees.IMAGENET)}
    layout = {
        "flax": vqgan_names.flax_layout,
        "taming": vqgan_names.taming_layout,
        "torch": vqgan_names.detoker_layout,
    }[form]
    theirs = {"flax": trees.flax_vqgan, "taming": dict, "torch": trees.detoker}[form](tree)
    stored = unread({name: tuple(tensor.shape) for name, tensor in theirs.items()})
    config = vqgan_names.vqgan_config(stored, layout, 256, (-1.0, 1.0))
    assert config == VQGANConfig(decoder_only=form == "torch", encoder_blocks=(1,) * 5 if form == "torch" else (2,) * 5)
    with torch.device("meta"):
        model = VQGAN(config)
    check(stored, model, layout)
    count = sum(weight.numel() for weight in model.parameters())
    assert count == (46_709_891 if form == "torch" else 76_073_859)


def complaint(form: str, change: dict[str, trees.Shape | None], fields: dict | None = None) -> str:
    """What is said of a small tree with some shapes changed, added or (None) taken away."""
    shapes = {**FORMS[form][0](trees.SMALL), **change}
    with pytest.raises(CheckpointError) as said:
        checked(
            unread({name: shape for name, shape in shapes.items() if shape is not None}), FORMS[form][1], 96, fields
        )
    return str(said.value)


LAYERS = "model/encoder/layers/FlaxBartEncoderLayers"


def test_every_missing_and_unexpected_key_is_named() -> None:
    gone = {"model/encoder/final_ln/bias": None, f"{LAYERS}/GLU_0/Dense_2/kernel": None}
    said = complaint("flax, scanned", {**gone, "model/head_scale": (3,), "opt_state/mu": (1,)})
    assert "missing: model/encoder/final_ln/bias, " + f"{LAYERS}/GLU_0/Dense_2/kernel" in said
    assert "unexpected: model/head_scale, opt_state/mu" in said
    said = complaint("torch", {"encoder.layers.0.glu.fc2.weight": None, "encoder.extra": (1,)})
    assert "missing: encoder.layers.0.glu.fc2.weight" in said
    assert "unexpected: encoder.extra" in said


def test_a_layer_that_is_missing_in_the_middle_is_named() -> None:
    size = {**trees.SMALL, "encoder": 3}
    shapes = {name: shape for name, shape in torch_shapes(size).items() if not name.startswith("encoder.layers.1.")}
    with pytest.raises(
        CheckpointError, match=r"missing: encoder.layers.1.glu.fc0.weight, .*self_attn_layer_norm.weight$"
    ):
        checked(unread(shapes), min_dalle.layout, 96)


def test_a_wrong_shape_is_said_with_the_right_one() -> None:
    said = complaint("flax, scanned", {f"{LAYERS}/FlaxBartAttention_0/k_proj/kernel": (2, 128, 64)})
    assert f"{LAYERS}/FlaxBartAttention_0/k_proj/kernel, layer 0, has the shape [64, 128]: expected [128, 128]" in said
    said = complaint("flax, scanned", {f"{LAYERS}/GLU_0/LayerNorm_1/bias": (3, 80)})
    assert "LayerNorm_1/bias has 3 layers: expected 2" in said
    said = complaint("flax, scanned", {f"{LAYERS}/GLU_0/LayerNorm_1/bias": (1, 80)})
    assert f"missing: {LAYERS}/GLU_0/LayerNorm_1/bias" in said
    said = complaint("torch", {"decoder.lm_head.weight": (97, 130)})
    assert said == "decoder.lm_head.weight has the shape [97, 130]: expected [97, 128]"
    said = complaint("flax, scanned", {"lm_head/kernel": (128,)})
    assert "lm_head/kernel has the shape [128]: expected 2 axes" in said


def test_whole_numbers_are_no_weights() -> None:
    shapes = torch_shapes(trees.SMALL)
    tree = unread(shapes)
    tree["decoder.lm_head.weight"] = replace(tree["decoder.lm_head.weight"], dtype=torch.int64)
    with pytest.raises(CheckpointError, match=r"torch\.int64: expected floating point"):
        checked(tree, min_dalle.layout, 96)


def test_scales_that_are_left_out_are_ones_where_some_are_there() -> None:
    shapes = trees.flax_bart(trees.SMALL, True)
    assert not checked(unread(shapes), flax_bart.layout(True), 96).config.scale_before_linear
    shapes["model/decoder/final_ln/scale"] = (128,)
    model = checked(unread(shapes), flax_bart.layout(True), 96)
    assert model.config.scale_before_linear
    said = complaint("flax, scanned", {f"{LAYERS}/LayerNorm_1/scale": None})
    assert said == f"missing: {LAYERS}/LayerNorm_1/scale"  # of a norm that feeds no linear layer


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"use_bias": True}, "use_bias is True, expected False"),
        ({"ln_positions": "postln"}, "ln_positions is 'postln', expected 'normformer'"),
        ({"use_head_scale": True}, "use_head_scale"),
        ({"model_type": "bart"}, "model_type is 'bart', expected 'dallebart'"),
        ({"encoder_attention_heads": 4, "decoder_attention_heads": 2}, "decoder_attention_heads is 2, expected 4"),
    ],
)
def test_other_variants_of_the_model_are_refused_by_name(fields: dict, message: str) -> None:
    assert message in complaint("flax, scanned", {}, fields)


def test_the_start_token_is_the_first_after_the_codebook() -> None:
    """dalle-mini starts with 16384; min-dalle with 16383, which is a code that a picture can have."""
    for size in (trees.MINI, trees.MEGA):
        assert checked(unread(torch_shapes(size)), min_dalle.layout).config.start_token == 16384
    small = checked(
        unread(trees.flax_bart(trees.SMALL, True)), flax_bart.layout(True), 96, {"decoder_start_token_id": 95}
    )
    assert small.config.start_token == 95


def test_a_vqgan_with_more_codes_than_the_bart_has_rows_is_refused() -> None:
    with pytest.raises(CheckpointError, match="97 rows: expected more than the VQGAN's 97 codes"):
        checked(unread(torch_shapes(trees.SMALL)), min_dalle.layout, 97)


@pytest.mark.parametrize(
    "name", ["encoder.mid.attn_1.q.bias", "decoder.up.1.block.1.conv1.weight", "post_quant_conv.bias"]
)
def test_a_vqgan_that_lacks_a_tensor_is_refused_by_name(name: str) -> None:
    shapes = dict(trees.vqgan_leaves(trees.PAINTER))
    tree = unread({key: shape for key, shape in shapes.items() if key != name} | {"decoder.more": (1,)})
    with torch.device("meta"):
        model = VQGAN(vqgan_names.vqgan_config(tree, vqgan_names.taming_layout, trees.SIDE, (-1.0, 1.0)))
    with pytest.raises(CheckpointError, match=f"missing: {name}; unexpected: decoder.more"):
        check(tree, model, vqgan_names.taming_layout)
