"""Where the torch re-publication (the package min-dalle's) keeps what our BART needs: `encoder.pt` and `decoder.pt`."""

from minidalle.published.flax_bart import BEFORE_LINEAR
from minidalle.published.stored import Leaf

BRANCHES = {
    "attention.before": "pre_self_attn_layer_norm",
    "attention.inside": "self_attn_layer_norm",
    "cross_attention.before": "pre_encoder_attn_layer_norm",
    "cross_attention.inside": "encoder_attn_layer_norm",
    "feed_forward.before": "glu.ln0",
    "feed_forward.hidden": "glu.ln1",
    "attention.": "self_attn.",
    "cross_attention.": "encoder_attn.",
    "feed_forward.": "glu.",
    "embedding_norm": "layernorm_embedding",
    "final_norm": "final_ln",
    "tokens": "embed_tokens",
    "positions": "embed_positions",
    "head": "lm_head",
}
LINEAR = {
    "query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "out_proj",
    "gate": "fc0", "up": "fc1", "down": "fc2",
}  # fmt: skip


def layout(name: str) -> Leaf:
    """Our name → theirs, with the file's name in front: `encoder.layers.0.self_attn.q_proj.weight`."""
    side, rest = name.split(".", 1)
    layer = ""
    if rest.startswith("layers."):
        _, number, rest = rest.split(".", 2)
        layer = f"layers.{number}."
    ours = next((part for part in BRANCHES if rest.startswith(part)), "")
    rest = BRANCHES.get(ours, "") + rest.removeprefix(ours)
    *branch, part, kind = rest.split(".")
    words = [*branch, LINEAR.get(part, part), "weight" if kind == "scale" else kind]
    return Leaf(f"{side}.{layer}{'.'.join(words)}", or_ones=name.endswith(BEFORE_LINEAR))
