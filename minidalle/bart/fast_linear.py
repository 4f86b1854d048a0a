"""Matrix products for decoding, where a token is one or two rows: how the weights lie in memory decides the speed.

On a CPU, oneDNN's own layout of the weights is read about 1.5 times as fast as a plain matrix by two rows in
float32, and 1.5 to 2 times as fast in bfloat16. A GPU takes plain matrices.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from minidalle.bart.primitives import linear
from minidalle.errors import require
from minidalle.runtime import Weights

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.bfloat16}
"""The precisions, and what the activations are in each."""

ROWS = 2  # what oneDNN is told to expect: a caption and the empty one; more work as well
LANES = 64  # int8 kernels read so many columns at a time
FEW = 4  # rows up to which a compiled GPU product is a sum of products: the weights are read once, by every unit


def check_precision(precision: str, device: torch.device) -> None:
    """Raise `InvalidValue` unless weights can be of that precision on that device."""
    ours = ("fp32", "bf16", "int8") if device.type == "cpu" else ("fp32", "bf16", "fp16")
    require(precision in ours, "precision", precision, f"one of {', '.join(ours)} on {device.type}")


def pack(layers: Sequence[Weights], precision: str) -> Weights:
    """Make linear layers that read the same input one layer, its weights laid out for `product`.

    Args:
        layers: each has `weight` [outputs, inputs], and perhaps `bias` [outputs].
        precision: a key of `DTYPES`.

    Returns:
        Weights for `product`: copies. Its outputs are those of all layers, one after the other.
    """
    dtype = DTYPES[precision]
    weight = torch.cat([layer["weight"].detach() for layer in layers])
    biases = [layer["bias"].detach() for layer in layers if "bias" in layer]
    bias = {"bias": torch.cat(biases).to(dtype)} if biases else {}
    if precision == "int8":
        return {**_quantize(weight), **bias}
    weight = weight.to(dtype)
    if _onednn_packs(weight):
        return {"packed": torch.ops.mkldnn._reorder_linear_weight(weight, ROWS), **bias}
    return {"weight": weight, **bias}


def product(weights: Weights, x: Tensor) -> Tensor:
    """The linear layer of `pack`: [R, inputs] → [R, outputs]."""
    if "packed" in weights:
        return torch.ops.mkldnn._linear_pointwise(x, weights["packed"], weights.get("bias"), "none", [], "")
    if "int8" in weights:
        padded = F.pad(x, (0, weights["int8"].shape[1] - x.shape[1]))
        y = torch._weight_int8pack_mm(padded, weights["int8"], weights["scale"])
        return y + weights["bias"] if "bias" in weights else y
    if x.is_cuda and len(x) <= FEW and torch.compiler.is_compiling():
        return _few_rows(weights, x)
    return linear(weights, x)


def _few_rows(weights: Weights, x: Tensor) -> Tensor:
    """`linear`, written so that a compiler makes it one kernel that reads each weight once for all rows."""
    weight = weights["weight"].float()
    y = torch.stack([(weight * row).sum(-1) for row in x.float()]).to(x.dtype)
    return y + weights["bias"] if "bias" in weights else y


def _quantize(weight: Tensor) -> Weights:
    """Whole numbers from −127 to 127, and for each row what one of them is worth (rounded to the nearest)."""
    scale = weight.float().abs().amax(1).clamp(min=1e-12) / 127
    scale = scale.bfloat16()
    whole = (weight.float() / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
    return {"int8": F.pad(whole, (0, -whole.shape[1] % LANES)), "scale": scale}


def _onednn_packs(weight: Tensor) -> bool:
    """Whether this CPU multiplies such weights faster in oneDNN's layout."""
    if weight.device.type != "cpu" or not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return False
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")):
        return False
    return weight.dtype == torch.float32 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
