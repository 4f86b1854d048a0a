"""Other people's training steps at the same shape, timed: a program of its own.

    python -m minidalle.reports.training_peers '[{"peer": "transformers, sdpa", "width": 1024, …}, …]'

prints, for each that is asked for, seconds per run, most memory and number of weights, or why there are none.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minidalle.bart import shift_right
from minidalle.reports.peers import answer, timed_peer
from minidalle.reports.training_tasks import captions, gigabytes, image_tokens, random_pictures
from minidalle.runtime import autocast

NEEDS = {
    "transformers, sdpa": ("transformers",),
    "transformers, eager": ("transformers",),
    "taming": ("taming", "einops"),
}
"""The modules that have to be there for a peer, which is called by its attention where it has two."""

WEIGHTS: dict[str, int] = {}  # of the last peer that was built


def bart(asked: dict[str, Any], device: torch.device) -> Callable[[], object]:
    """A BART with as many weights per layer, and as ours three tables of embeddings: text, image, and the head."""
    from transformers import BartConfig, BartForConditionalGeneration

    hidden = round(asked["hidden"] * 1.5 / 64) * 64 if asked["glu"] else asked["hidden"]  # two matrices, not three
    config = BartConfig(  # type: ignore[call-arg]  # its attention is a keyword of the class it inherits from
        vocab_size=asked["image_vocab"], d_model=asked["width"], max_position_embeddings=512,
        encoder_layers=asked["encoder_layers"], decoder_layers=asked["decoder_layers"],
        encoder_ffn_dim=hidden, decoder_ffn_dim=hidden, encoder_attention_heads=asked["heads"],
        decoder_attention_heads=asked["heads"], dropout=0.0, use_cache=False, pad_token_id=1, bos_token_id=0,
        eos_token_id=2, decoder_start_token_id=0, attn_implementation=asked["peer"].partition(", ")[2],
    )  # fmt: skip
    with device:
        model = BartForConditionalGeneration(config).train()
        model.model.encoder.embed_tokens = nn.Embedding(asked["text_vocab"], asked["width"])
        model.model.decoder.embed_tokens = nn.Embedding(asked["image_vocab"], asked["width"])
    text, mask = captions(asked, device)
    image = image_tokens(asked, device)
    inputs = {"input_ids": text, "attention_mask": mask.long(), "labels": image,
              "decoder_input_ids": shift_right(image, asked["start"])}  # fmt: skip
    return step_of(model.parameters(), asked, device, lambda: model(**inputs).loss)


def taming(asked: dict[str, Any], device: torch.device) -> Callable[[], object]:
    """The VQGAN of taming-transformers, without its discriminator and its perceptual loss."""
    from taming.modules.diffusionmodules.model import Decoder, Encoder  # type: ignore[import-not-found]
    from taming.modules.vqvae.quantize import VectorQuantizer2  # type: ignore[import-not-found]

    layout = {"ch": asked["channels"], "out_ch": 3, "ch_mult": tuple(asked["multipliers"]), "num_res_blocks": 2,
              "attn_resolutions": list(asked["attention_sizes"]), "in_channels": 3, "double_z": False,
              "resolution": asked["image_size"], "z_channels": asked["latent_width"]}  # fmt: skip
    with device:
        model = nn.ModuleDict({
            "encoder": Encoder(**layout),
            "before": nn.Conv2d(asked["latent_width"], asked["code_width"], 1),
            "quantize": VectorQuantizer2(asked["codes"], asked["code_width"], beta=0.25, legacy=False),
            "after": nn.Conv2d(asked["code_width"], asked["latent_width"], 1),
            "decoder": Decoder(**layout),
        }).train()  # fmt: skip
    pictures = 2 * random_pictures(asked, device) - 1

    def loss() -> Tensor:
        quantized, commitment, _ = model["quantize"](model["before"](model["encoder"](pictures)))
        return F.l1_loss(model["decoder"](model["after"](quantized)).float(), pictures) + commitment

    return step_of(model.parameters(), asked, device, loss)


def step_of(
    parameters: Iterable[nn.Parameter], asked: dict[str, Any], device: torch.device, loss: Callable[[], Tensor]
) -> Callable[[], object]:
    """Some steps, each forward, backward, clipped, and the optimizer's; with weights that stay as they are."""
    trained = list(parameters)
    WEIGHTS["all"] = sum(parameter.numel() for parameter in trained)
    optimizer = torch.optim.AdamW(trained, lr=1e-20, betas=(0.9, 0.99), weight_decay=0.0, fused=True)

    def steps() -> None:
        for _ in range(asked["steps"]):
            with autocast(device, asked["precision"]):
                found = loss()
            found.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return steps


def timed(asked: dict[str, Any]) -> dict[str, Any] | str:
    """`runs`, `gigabytes` and `weights` of a peer, or why there are none."""
    device = torch.device(asked["device"])
    prepare = {"transformers, sdpa": bart, "transformers, eager": bart, "taming": taming}
    with gigabytes(device) as most:
        runs = timed_peer(asked, NEEDS, prepare)
    return runs if isinstance(runs, str) else {"runs": runs, "gigabytes": most(), "weights": WEIGHTS["all"]}


if __name__ == "__main__":
    answer(timed)
