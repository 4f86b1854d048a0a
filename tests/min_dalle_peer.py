"""Run a part of the PyPI package `min-dalle` on given weights, in a process of its own.

Importing min-dalle turns autograd off for the whole process, so the tests never import it: they call `ask`,
which starts `python min_dalle_peer.py PART IN OUT`. IN and OUT are safetensors files: IN holds the part's
inputs and, as `weights.<name>`, its weights under min-dalle's own names; OUT holds what the part said.
"""

import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


def ask(part: str, tensors: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """What min-dalle's `part` makes of the tensors (inputs, and weights as `weights.<name>`)."""
    question, answer = folder / f"{part}-in.safetensors", folder / f"{part}-out.safetensors"
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, question)
    command = [sys.executable, __file__, part, str(question), str(answer)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return load_file(answer)


def vqgan_decoder(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """`tokens` [B, 256] → `raw` [B, 3, 256, 256] before min-dalle clips, and its `sheet` in 0 … 255."""
    from min_dalle.models.vqgan_detokenizer import VQGanDetokenizer

    with torch.device("meta"):
        model = VQGanDetokenizer()
    weights = {name.removeprefix("weights."): t for name, t in tensors.items() if name.startswith("weights.")}
    model.load_state_dict(weights, strict=True, assign=True)
    heard = []
    decode = model.decoder.forward  # min-dalle calls forward itself, so a hook would not be called
    model.decoder.forward = lambda latents: heard.append(decode(latents)) or heard[0]
    sheet = model(False, tensors["tokens"])
    return {"raw": heard[0].contiguous(), "sheet": sheet.contiguous()}


PARTS = {"vqgan-decoder": vqgan_decoder}

if __name__ == "__main__":
    part, question, answer = sys.argv[1:]
    save_file(PARTS[part](load_file(question)), answer)
