"""DALL·E mini's BART against the package min-dalle, with the same random weights."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bart_models import PUBLISHED, make_bart
from torch import Tensor

from minidalle.bart import Bart
from minidalle.checkpoint import load_tensors, save_tensors

PEER = Path(__file__).parents[1] / "min_dalle_bart_peer.py"
LAYERS = {
    "attention.before": "pre_self_attn_layer_norm",
    "attention.inside": "self_attn_layer_norm",
    "attention": "self_attn",
    "cross_attention.before": "pre_encoder_attn_layer_norm",
    "cross_attention.inside": "encoder_attn_layer_norm",
    "cross_attention": "encoder_attn",
    "feed_forward.before": "glu.ln0",
    "feed_forward.hidden": "glu.ln1",
    "feed_forward.gate": "glu.fc0",
    "feed_forward.up": "glu.fc1",
    "feed_forward.down": "glu.fc2",
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "output": "out_proj",
}
ENDS = {
    "tokens": "embed_tokens",
    "positions": "embed_positions",
    "embedding_norm": "layernorm_embedding",
    "final_norm": "final_ln",
    "head": "lm_head",
    "scale": "weight",
}


def their_name(ours: str) -> str:
    """`encoder.layers.0.attention.query.weight` → `encoder.layers.0.self_attn.q_proj.weight`."""
    names = {**LAYERS, **ENDS}
    pattern = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    return re.sub(rf"(?<=\.)({pattern})(?=\.|$)", lambda match: names[match[0]], ours)


def their_weights(bart: Bart) -> dict[str, Tensor]:
    """Our weights under their names; the scales that we leave out are ones."""
    theirs = {their_name(name): weight for name, weight in bart.state_dict().items()}
    biases = [name for name in theirs if name.endswith(".bias")]
    ones = {name.replace(".bias", ".weight"): torch.ones_like(theirs[name]) for name in biases}
    return {**ones, **theirs}


STEPS = 4  # tokens that are decoded one by one; min-dalle is slow at it
LENGTHS = {"narrow": 256, "published heads and depth": 40}
SHAPES = {
    "narrow": {"width": 24, "heads": 3, "hidden": 40, "encoder_layers": 2, "decoder_layers": 2},
    "published heads and depth": {
        "width": 128,
        "heads": 16,
        "hidden": 341,
        "encoder_layers": 12,
        "decoder_layers": 12,
    },
}


@pytest.fixture(scope="module", params=SHAPES)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, dict]:
    """What we and they make of the same weights, captions and 256 image tokens."""
    sizes = {"text_vocab": 50, "text_length": 64, "image_codes": 96, "image_length": 256}
    bart = make_bart(**PUBLISHED, **sizes, **SHAPES[request.param])
    generator = torch.Generator().manual_seed(3)
    text = torch.randint(3, 50, (2, 64), generator=generator)
    text[0, 2:] = 1  # <pad>
    text[1, 40:] = 1
    image_in = torch.randint(0, 97, (1, LENGTHS[request.param]), generator=generator)

    folder = tmp_path_factory.mktemp("peer")
    shape = {name: SHAPES[request.param][name] for name in ("width", "heads", "hidden")}
    shape |= {"layers": bart.config.encoder_layers, "text_vocab": 50, "codes": 96, "steps": STEPS}
    save_tensors(
        folder / "in.safetensors",
        {**their_weights(bart), "text": text, "image_in": image_in},
        {name: str(value) for name, value in shape.items()},
    )
    command = [sys.executable, str(PEER), str(folder / "in.safetensors"), str(folder / "out.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    mask, pair = text != 1, image_in.expand(2, -1)
    with torch.no_grad():
        cache = bart.start(text, mask)
        ours = {
            "memory": bart.encode(text, mask),
            "whole": bart(text, mask, pair),
            "steps": torch.stack([bart.step(tokens, cache) for tokens in pair.T[:STEPS]], 1),
        }
    return ours, load_tensors(folder / "out.safetensors")


@pytest.mark.parametrize("what", ["memory", "whole", "steps"])
def test_equals_min_dalle(both: tuple[dict, dict], what: str) -> None:
    ours, theirs = both
    assert theirs[what].std() > 0.5
    torch.testing.assert_close(ours[what], theirs[what], atol=1e-4, rtol=1e-4)
