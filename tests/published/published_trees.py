"""Published weights in small: the trees as their descriptions say, with random numbers, written as their files are.

Nothing here knows how `minidalle.published` reads them: names, shapes and files are made from the descriptions.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minidalle.tokenization import Tokenizer, TokenizerConfig

Shape = tuple[int, ...]

MINI = {"text": 50264, "rows": 16385, "width": 1024, "hidden": 2730, "encoder": 12, "decoder": 12, "heads": 16}
MEGA = {"text": 50272, "rows": 16416, "width": 2048, "hidden": 4096, "encoder": 24, "decoder": 24, "heads": 32}
SMALL = {"text": 300, "rows": 97, "width": 128, "hidden": 80, "encoder": 2, "decoder": 2, "heads": 2}
CODES = 96
IMAGENET = {"channels": 128, "multipliers": (1, 1, 2, 2, 4), "latent": 256, "code": 256, "codes": 16384}
PAINTER = {"channels": 32, "multipliers": (1, 1, 2), "latent": 16, "code": 24, "codes": CODES}
SIDE = 64  # of the small VQGAN's pictures: three levels, a grid of 16 × 16
CAPTIONS = ["a red apple", "an armchair in the shape of an avocado", "a woman with a dark skin tone", "two cats"] * 3


def flax_bart(size: dict[str, int], scanned: bool) -> dict[str, Shape]:
    """Every leaf of DALL·E mini's flax tree."""
    width, hidden = size["width"], size["hidden"]
    tree: dict[str, Shape] = {"lm_head/kernel": (width, size["rows"])}
    for side, title, rows, length in (
        ("encoder", "Encoder", size["text"], 64),
        ("decoder", "Decoder", size["rows"], 256),
    ):
        top = f"model/{side}"
        tree |= {f"{top}/embed_tokens/embedding": (rows, width), f"{top}/embed_positions/embedding": (length, width)}
        tree |= {f"{top}/layernorm_embedding/{kind}": (width,) for kind in ("scale", "bias")}
        tree[f"{top}/final_ln/bias"] = (width,)
        layer: dict[str, Shape] = {
            "LayerNorm_0/bias": (width,),
            "LayerNorm_1/scale": (width,),
            "LayerNorm_1/bias": (width,),
        }
        attentions = ["FlaxBartAttention_0"]
        if side == "decoder":
            layer |= {"LayerNorm_2/bias": (width,), "LayerNorm_3/scale": (width,), "LayerNorm_3/bias": (width,)}
            attentions.append("FlaxBartAttention_1")
        for attention in attentions:
            layer |= {f"{attention}/{part}_proj/kernel": (width, width) for part in ("q", "k", "v", "out")}
        layer |= {"GLU_0/LayerNorm_0/bias": (width,), "GLU_0/LayerNorm_1/bias": (hidden,)}
        layer |= {f"GLU_0/Dense_{n}/kernel": (width, hidden) for n in (0, 1)} | {
            "GLU_0/Dense_2/kernel": (hidden, width)
        }
        if scanned:
            tree |= {f"{top}/layers/FlaxBart{title}Layers/{n}": (size[side], *shape) for n, shape in layer.items()}
        else:
            for i in range(size[side]):
                tree |= {f"{top}/layers/FlaxBart{title}Layer_{i}/{name}": shape for name, shape in layer.items()}
    return tree


def torch_bart(size: dict[str, int]) -> dict[str, dict[str, Shape]]:
    """Every key of `encoder.pt` and `decoder.pt`; here all norms have a weight."""
    width, hidden = size["width"], size["hidden"]

    def norm(name: str, features: int = width) -> dict[str, Shape]:
        return {f"{name}.weight": (features,), f"{name}.bias": (features,)}

    halves: dict[str, dict[str, Shape]] = {}
    for side, rows, length in (("encoder", size["text"], 64), ("decoder", size["rows"], 256)):
        half: dict[str, Shape] = {"embed_tokens.weight": (rows, width), "embed_positions.weight": (length, width)}
        for i in range(size[side]):
            for attention in ("self_attn", "encoder_attn")[: 1 + (side == "decoder")]:
                half |= {f"layers.{i}.{attention}.{p}_proj.weight": (width, width) for p in ("k", "v", "q", "out")}
                half |= norm(f"layers.{i}.pre_{attention}_layer_norm") | norm(f"layers.{i}.{attention}_layer_norm")
            half |= norm(f"layers.{i}.glu.ln0") | norm(f"layers.{i}.glu.ln1", hidden)
            half |= {f"layers.{i}.glu.fc{n}.weight": (hidden, width) for n in (0, 1)}
            half[f"layers.{i}.glu.fc2.weight"] = (width, hidden)
        halves[side] = half | norm("layernorm_embedding") | norm("final_ln")
    halves["decoder"]["lm_head.weight"] = (size["rows"], width)
    return halves


def as_torch(tree: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The same weights as min-dalle has them, from an unscanned flax tree: kernels turned, left-out scales as ones."""
    words = {
        "FlaxBartAttention_0": "self_attn", "FlaxBartAttention_1": "encoder_attn", "GLU_0": "glu",
        "LayerNorm_0": "pre_self_attn_layer_norm", "LayerNorm_1": "self_attn_layer_norm",
        "LayerNorm_2": "pre_encoder_attn_layer_norm", "LayerNorm_3": "encoder_attn_layer_norm",
        "Dense_0": "fc0", "Dense_1": "fc1", "Dense_2": "fc2",
        "kernel": "weight", "embedding": "weight", "scale": "weight",
    }  # fmt: skip
    halves: dict[str, dict[str, Tensor]] = {"encoder": {}, "decoder": {}}
    for name, tensor in tree.items():
        name = name.replace("GLU_0/LayerNorm_", "GLU_0/ln").replace("lm_head", "model/decoder/lm_head")
        name = name.replace("layers/FlaxBartEncoderLayer_", "layers/").replace(
            "layers/FlaxBartDecoderLayer_", "layers/"
        )
        _, side, *path = name.split("/")
        halves[side][".".join(words.get(word, word) for word in path)] = tensor.T if path[-1] == "kernel" else tensor
    for half in halves.values():
        for name in [name for name in half if name.endswith(".bias")]:
            half.setdefault(name.replace(".bias", ".weight"), torch.ones_like(half[name]))
    return {side: {name: tensor.contiguous() for name, tensor in half.items()} for side, half in halves.items()}


def stack_layers(tree: dict[str, Tensor]) -> dict[str, Tensor]:
    """An unscanned flax tree as a scanned one."""
    stacked: dict[str, Any] = {}
    for name, tensor in tree.items():
        before, found, after = name.partition("Layer_")
        if not found or "/layers/" not in name or "GLU" in before:
            stacked[name] = tensor
            continue
        number, _, rest = after.partition("/")
        stacked.setdefault(f"{before}Layers/{rest}", {})[int(number)] = tensor
    return {
        name: torch.stack([value[i] for i in range(len(value))]) if isinstance(value, dict) else value
        for name, value in stacked.items()
    }


def vqgan_leaves(size: dict[str, Any]) -> Iterator[tuple[str, Shape]]:
    """Every tensor of the VQGAN under taming's names, with the shapes of torch's convolutions."""
    widths = [size["channels"] * multiplier for multiplier in size["multipliers"]]
    last, levels = widths[-1], len(widths)

    def conv(name: str, inputs: int, outputs: int, kernel: int = 3) -> Iterator[tuple[str, Shape]]:
        yield f"{name}.weight", (outputs, inputs, kernel, kernel)
        yield f"{name}.bias", (outputs,)

    def norm(name: str, width: int) -> Iterator[tuple[str, Shape]]:
        yield from ((f"{name}.{kind}", (width,)) for kind in ("weight", "bias"))

    def block(name: str, inputs: int, outputs: int) -> Iterator[tuple[str, Shape]]:
        yield from (*norm(f"{name}.norm1", inputs), *conv(f"{name}.conv1", inputs, outputs))
        yield from (*norm(f"{name}.norm2", outputs), *conv(f"{name}.conv2", outputs, outputs))
        if inputs != outputs:
            yield from conv(f"{name}.nin_shortcut", inputs, outputs, 1)

    def attention(name: str) -> Iterator[tuple[str, Shape]]:
        yield from norm(f"{name}.norm", last)
        for part in ("q", "k", "v", "proj_out"):
            yield from conv(f"{name}.{part}", last, last, 1)

    for side, word, blocks in (("encoder", "down", 2), ("decoder", "up", 3)):
        ends = (3, size["channels"]) if side == "encoder" else (size["latent"], last)
        yield from conv(f"{side}.conv_in", *ends)
        order = range(levels) if side == "encoder" else reversed(range(levels))
        width = size["channels"] if side == "encoder" else last
        for level in order:
            for number in range(blocks):
                yield from block(f"{side}.{word}.{level}.block.{number}", width, widths[level])
                width = widths[level]
                if level == levels - 1:
                    yield from attention(f"{side}.{word}.{level}.attn.{number}")
            if side == "encoder" and level < levels - 1:
                yield from conv(f"encoder.down.{level}.downsample.conv", width, width)
            if side == "decoder" and level:
                yield from conv(f"decoder.up.{level}.upsample.conv", width, width)
        yield from (*block(f"{side}.mid.block_1", last, last), *attention(f"{side}.mid.attn_1"))
        yield from block(f"{side}.mid.block_2", last, last)
        yield from norm(f"{side}.norm_out", last if side == "encoder" else widths[0])
        yield from conv(f"{side}.conv_out", *((last, size["latent"]) if side == "encoder" else (widths[0], 3)))
    yield from conv("quant_conv", size["latent"], size["code"], 1)
    yield from conv("post_quant_conv", size["code"], size["latent"], 1)
    yield "quantize.embedding.weight", (size["codes"], size["code"])


def flax_vqgan(tree: dict[str, Tensor]) -> dict[str, Tensor]:
    """A VQGAN under flax's names, from taming's: `down_0/block_1`, kernels as [height, width, inputs, outputs]."""
    flax = {}
    for name, tensor in tree.items():
        words = name.split(".")
        for at in range(len(words) - 1, 0, -1):
            if words[at].isdigit():
                words[at - 1 : at + 1] = [f"{words[at - 1]}_{words[at]}"]
        if tensor.dim() == 4:
            words[-1], tensor = "kernel", tensor.permute(2, 3, 1, 0)
        elif "embedding" in words:
            words[-1] = "embedding"
        elif words[-1] == "weight":
            words[-1] = "scale"
        flax["/".join(words)] = tensor
    return flax


def detoker(tree: dict[str, Tensor]) -> dict[str, Tensor]:
    """The decoder's half as `detoker.pt` has it."""
    half = {name: tensor for name, tensor in tree.items() if name.startswith(("decoder.", "post_quant_conv."))}
    return half | {"embedding.weight": tree["quantize.embedding.weight"]}


def random(shapes: dict[str, Shape], seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Numbers for every name, none near zero in norms, so that no part can hide."""
    generator = torch.Generator().manual_seed(seed)
    tree = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        last = name.rsplit("/", 1)[-1].rsplit(".", 1)[-1]
        lonely = len(shape) == 1 or (len(shape) == 2 and last in ("bias", "scale") and "/layers/" in name)
        if lonely:
            noise = 0.3 * noise + (last in ("scale", "weight"))
        elif len(shape) == 4:
            noise = noise * (shape[1] * shape[2] * shape[3]) ** -0.5
        elif "embedding" not in name and "embed" not in name:
            noise = 0.15 * noise
        tree[name] = noise.to(dtype)
    return tree


def write_flax(path: Path, tree: dict[str, Tensor], chunk: int = 1 << 30) -> None:
    """Write a tree as `flax.serialization.to_bytes` does; arrays of more bytes than `chunk` are cut into chunks."""
    nested: dict[str, Any] = {}
    for name, tensor in tree.items():
        *folders, leaf = name.split("/")
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
        place[leaf] = tensor
    path.write_bytes(packed(nested, chunk))


def packed(value: Any, chunk: int = 1 << 30) -> bytes:
    """A value in msgpack, with the largest forms of every kind: they are always allowed."""
    if isinstance(value, Tensor):
        return _packed_array(value, chunk)
    if isinstance(value, dict):
        entries = b"".join(packed(key, chunk) + packed(one, chunk) for key, one in value.items())
        return b"\xdf" + struct.pack(">I", len(value)) + entries
    if isinstance(value, list | tuple):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(packed(one, chunk) for one in value)
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    text = value.encode()
    return b"\xdb" + struct.pack(">I", len(text)) + text


def _packed_array(tensor: Tensor, chunk: int) -> bytes:
    content = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    if len(content) > chunk:
        pieces = tensor.flatten().split(max(chunk // tensor.element_size(), 1))
        shape = {str(axis): size for axis, size in enumerate(tensor.shape)}
        chunks = {str(number): piece for number, piece in enumerate(pieces)}
        return packed({"__msgpack_chunked_array__": True, "shape": shape, "chunks": chunks})
    inner = packed([list(tensor.shape), str(tensor.dtype).removeprefix("torch."), content])
    return b"\xc9" + struct.pack(">I", len(inner)) + b"\x01" + inner


def write_vocabulary(folder: Path, end: str = "") -> Tokenizer:
    """A small published tokenizer: `vocab.json` and `merges.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.train([f" {caption}" for caption in CAPTIONS], TokenizerConfig(300, 64, "published"))
    tokenizer.save_vocabulary(folder)
    if end:
        (folder / "vocab.json").rename(folder / f"vocab{end}.json")
        (folder / "merges.txt").rename(folder / f"merges{end}.txt")
    return tokenizer


def dalle_fields(size: dict[str, int]) -> dict[str, Any]:
    """A `config.json` as DALL·E mini's."""
    sides = {f"{side}_{key}": size[name] for side in ("encoder", "decoder")
             for key, name in (("layers", side), ("ffn_dim", "hidden"), ("attention_heads", "heads"))}  # fmt: skip
    return {
        "model_type": "dallebart", "activation_function": "gelu", "d_model": size["width"], "ln_type": "layernorm",
        "ln_positions": "normformer", "use_bias": False, "use_glu": True, "use_head_scale": False,
        "encoder_vocab_size": size["text"], "image_vocab_size": size["rows"] - 1, "image_length": 256,
        "max_text_length": 64, "normalize_text": True, "decoder_start_token_id": CODES, "tie_word_embeddings": False,
        "scale_embedding": False, **sides,
    }  # fmt: skip


def write_flax_dalle(folder: Path, tree: dict[str, Tensor], size: dict[str, int] = SMALL) -> None:
    """A folder as DALL·E mini's on the Hub."""
    write_vocabulary(folder)
    write_flax(folder / "flax_model.msgpack", tree)
    (folder / "config.json").write_text(json.dumps(dalle_fields(size)))


def write_torch_dalle(
    folder: Path, halves: dict[str, dict[str, Tensor]], painter: dict[str, Tensor], end: str = ""
) -> None:
    """A folder as min-dalle's on the Hub."""
    write_vocabulary(folder, end)
    for side, half in halves.items():
        torch.save(half, folder / f"{side}{end}.pt")
    torch.save(detoker(painter), folder / "detoker.pt")


def write_flax_vqgan(folder: Path, painter: dict[str, Tensor]) -> None:
    """A folder as the VQGAN's flax port on the Hub."""
    folder.mkdir(parents=True, exist_ok=True)
    write_flax(folder / "flax_model.msgpack", flax_vqgan(painter))
    (folder / "config.json").write_text(json.dumps({"resolution": SIDE, "ch": 32}))


def small_painter(seed: int = 7) -> dict[str, Tensor]:
    """A small VQGAN's weights under taming's names."""
    return random(dict(vqgan_leaves(PAINTER)), seed)
