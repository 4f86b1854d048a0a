"""How large a published DALL·E's BART is: its tensors' shapes tell, and its `config.json` if there is one."""

from typing import Any

from minidalle.bart import BartConfig
from minidalle.checkpoint import CheckpointError
from minidalle.published.fields import flag, shown, start_token, whole
from minidalle.published.stored import Layout, Tree, is_there, shape_of

HEAD_WIDTH = 64  # of both published models: 16 heads of 1024, 32 of 2048
MOST_LAYERS = 256

EXPECTED: dict[str, Any] = {
    "model_type": "dallebart",
    "activation_function": "gelu", "ln_type": "layernorm", "ln_positions": "normformer", "use_bias": False,
    "use_head_scale": False, "use_cosine_attention": False, "use_absolute_position_embeddings": True,
    "use_swin_position_embeddings": False, "use_deepnet_scaling": False, "use_glu": True, "use_alibi": False,
    "sinkhorn_iters": 1, "use_final_ln_encoder": True, "use_final_ln_decoder": True, "tie_word_embeddings": False,
}  # fmt: skip
"""What the published models are; other variants of the same code have other layers."""


def layers_of(tree: Tree, layout: Layout, side: str) -> int:
    """Layers of the encoder or decoder: one more than the highest that the file has anything of."""
    there = [n for n in range(MOST_LAYERS) if is_there(tree, layout(f"{side}.layers.{n}.attention.query.weight"))]
    if not there:
        raise CheckpointError(f"missing: {layout(f'{side}.layers.0.attention.query.weight').name}")
    return there[-1] + 1


def has_scales(tree: Tree, layout: Layout, layers: dict[str, int]) -> bool:
    """Whether any norm that only feeds linear layers has a scale; those that have none are ones then."""
    parts = [f"{branch}.before.scale" for branch in ("attention", "cross_attention", "feed_forward")]
    names = [f"{side}.final_norm.scale" for side in layers]
    names += [
        f"{side}.layers.{number}.{part}"
        for side, count in layers.items()
        for number in range(count)
        for part in (*parts, "feed_forward.hidden.scale")
    ]
    return any(is_there(tree, layout(name)) for name in names)


def dalle_config(tree: Tree, layout: Layout, codes: int, fields: dict[str, Any] | None = None) -> BartConfig:
    """The config of a published BART.

    The start token is the first id after the codebook, as the models were trained (min-dalle starts with the
    codebook's last id instead), unless `config.json` names another.

    Args:
        tree: what its files hold.
        layout: their naming scheme.
        codes: K, the codebook's size.
        fields: its `config.json`.

    Raises:
        CheckpointError: a tensor that tells a size is missing, or the model is a variant that our BART is not.
    """
    fields = fields or {}
    for name, value in EXPECTED.items():
        if fields.get(name, value) != value:
            raise CheckpointError(f"config.json: {name} is {shown(fields[name])}, expected {value!r}")
    text, width = _table(tree, layout, "encoder.tokens.weight")
    rows, _ = _table(tree, layout, "decoder.tokens.weight")
    if rows <= codes:
        raise CheckpointError(f"the image embedding has {rows} rows: expected more than the VQGAN's {codes} codes")
    heads = whole(fields, "encoder_attention_heads", width // HEAD_WIDTH)
    if fields.get("decoder_attention_heads", heads) != heads:
        raise CheckpointError(
            f"config.json: decoder_attention_heads is {shown(fields['decoder_attention_heads'])}, expected {heads}"
        )
    layers = {side: layers_of(tree, layout, side) for side in ("encoder", "decoder")}
    return BartConfig(
        text_vocab=text, text_length=_table(tree, layout, "encoder.positions.weight")[0],
        image_codes=codes, image_length=_table(tree, layout, "decoder.positions.weight")[0], image_extra=rows - codes,
        width=width, heads=heads, hidden=_table(tree, layout, "encoder.layers.0.feed_forward.up.weight")[0],
        encoder_layers=layers["encoder"], decoder_layers=layers["decoder"],
        start=start_token(fields), norm="normformer", embedding_norm=True,
        scale_before_linear=has_scales(tree, layout, layers), glu=True, positions="absolute",
        scale_embedding=flag(fields, "scale_embedding", False),
    )  # fmt: skip


def _table(tree: Tree, layout: Layout, name: str) -> tuple[int, ...]:
    return shape_of(tree, layout(name), axes=2)
