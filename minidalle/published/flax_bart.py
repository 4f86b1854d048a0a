"""Where DALL·E mini's flax trees keep what our BART needs: layers stacked on a first axis (scanned), or one by one.

A flax kernel is [inputs, outputs], a linear layer's weight of ours [outputs, inputs]. Norms that only feed linear
layers are published without a scale.
"""

import re

from minidalle.published.stored import Layout, Leaf, Tree

BRANCHES = {
    "attention.before": "LayerNorm_0",
    "attention.inside": "LayerNorm_1",
    "cross_attention.before": "LayerNorm_2",
    "cross_attention.inside": "LayerNorm_3",
    "attention": "FlaxBartAttention_0",
    "cross_attention": "FlaxBartAttention_1",
    "feed_forward.before": "GLU_0/LayerNorm_0",
    "feed_forward.hidden": "GLU_0/LayerNorm_1",
    "feed_forward": "GLU_0",
}
LINEAR = {
    "query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "out_proj",
    "gate": "Dense_0", "up": "Dense_1", "down": "Dense_2",
}  # fmt: skip
ENDS = {
    "tokens.weight": "embed_tokens/embedding",
    "positions.weight": "embed_positions/embedding",
    "embedding_norm.scale": "layernorm_embedding/scale",
    "embedding_norm.bias": "layernorm_embedding/bias",
    "final_norm.scale": "final_ln/scale",
    "final_norm.bias": "final_ln/bias",
}
BEFORE_LINEAR = ("before.scale", "hidden.scale", "final_norm.scale")
"""Scales that published trees may leave out, since the linear layer after them can absorb them."""


def is_scanned(tree: Tree) -> bool:
    """Whether the layers are stacked."""
    return any("/layers/FlaxBartEncoderLayers/" in name for name in tree)


def layout(scanned: bool) -> Layout:
    """The naming scheme of one of the two variants."""

    def leaf(name: str) -> Leaf:
        side, rest = name.split(".", 1)
        optional = rest.endswith(BEFORE_LINEAR)
        if rest == "head.weight":
            return Leaf("lm_head/kernel", axes=(1, 0))
        if rest in ENDS:
            return Leaf(f"model/{side}/{ENDS[rest]}", or_ones=optional)
        found = re.fullmatch(r"layers\.(\d+)\.(.+)\.(\w+)", rest)
        if found is None:
            return Leaf(f"{name}, which no published tree has")
        number, part, kind = int(found[1]), found[2], found[3]
        title = f"FlaxBart{side.capitalize()}Layer"
        folder = f"model/{side}/layers/{title}s" if scanned else f"model/{side}/layers/{title}_{number}"
        layer = number if scanned else None
        if part in BRANCHES:
            return Leaf(f"{folder}/{BRANCHES[part]}/{kind}", layer, or_ones=optional)
        branch, _, linear = part.rpartition(".")
        return Leaf(f"{folder}/{BRANCHES[branch]}/{LINEAR[linear]}/kernel", layer, axes=(1, 0))

    return leaf
