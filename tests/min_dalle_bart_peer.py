"""Run min-dalle's encoder and decoder on weights and inputs from a file; a program of its own, not a test.

Importing min-dalle turns autograd off for a whole process; so `tests/bart/test_bart_min_dalle.py` starts this
as `python min_dalle_bart_peer.py INPUTS OUTPUTS`, both safetensors.
"""

import sys

import torch
from min_dalle.models import DalleBartDecoder, DalleBartEncoder
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def main(inputs: str, outputs: str) -> None:
    tensors = load_file(inputs)
    with safe_open(inputs, "pt") as file:
        sizes = {name: int(value) for name, value in file.metadata().items()}
    shape = {
        "layer_count": sizes["layers"],
        "embed_count": sizes["width"],
        "attention_head_count": sizes["heads"],
        "glu_embed_count": sizes["hidden"],
        "device": "cpu",
    }
    text = tensors["text"]  # two rows: min-dalle's encoder takes nothing else
    encoder = DalleBartEncoder(text_vocab_count=sizes["text_vocab"], text_token_count=text.shape[1], **shape).eval()
    encoder.load_state_dict(part(tensors, "encoder."), strict=True)
    decoder = DalleBartDecoder(image_vocab_count=sizes["codes"], **shape).eval()
    decoder.load_state_dict(part(tensors, "decoder."), strict=True)

    memory = encoder(text)
    mask = text.ne(1)[:, None, None, :]
    kept = torch.zeros(sizes["layers"], 4, 256, sizes["width"])
    tokens = tensors["image_in"]  # [1, N]: the decoder repeats them for both captions
    places = torch.arange(tokens.shape[1])
    whole, _ = decoder(mask, memory, kept, tokens, places)
    steps = []
    for place in places[: sizes["steps"]]:
        logits, kept = decoder(mask, memory, kept, tokens[:, place : place + 1], place[None])
        steps.append(logits)
    save_file({"memory": memory, "whole": whole, "steps": torch.cat(steps, 1)}, outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
