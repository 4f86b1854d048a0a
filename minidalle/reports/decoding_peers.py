"""Other people's decoders at the same shape, timed: a program of its own, as min-dalle turns autograd off for good.

    python -m minidalle.reports.decoding_peers '[{"peer": "min-dalle", "width": 1024, …}, …]'

prints, for each that is asked for, a list of seconds, one per run, or why there is none. Weights are random: what is
measured does not depend on them.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from minidalle.bart.fast_linear import DTYPES
from minidalle.reports.peers import answer, timed_peer

PEERS = {"min-dalle": "min_dalle", "transformers": "transformers"}
"""How a peer is called, and the module that has to be there."""


def min_dalle(asked: dict[str, Any], device: torch.device) -> Callable[[], object]:
    """The loop of `MinDalle.generate_raw_image_stream`, from the encoded caption to the last token."""
    from min_dalle.models import DalleBartDecoder  # type: ignore[import-untyped]

    dtype = DTYPES[asked["precision"]]
    shape = {"embed_count": asked["width"], "attention_head_count": asked["heads"], "layer_count": asked["layers"]}
    with device:
        decoder = DalleBartDecoder(image_vocab_count=asked["image_vocab"] - 1, glu_embed_count=asked["hidden"],
                                   device=str(device), **shape).to(dtype).eval()  # fmt: skip
    rows, pictures = 2 * asked["pictures"], asked["pictures"]
    memory = torch.randn(rows, asked["text_length"], asked["width"], device=device, dtype=dtype)
    mask = torch.ones(rows, 1, 1, asked["text_length"], dtype=torch.bool, device=device)
    settings = torch.tensor([1.0, 256, 10], device=device)
    places = torch.arange(256, device=device)

    def draw() -> None:
        kept = torch.zeros(asked["layers"], 2 * rows, 256, asked["width"], device=device)
        tokens = torch.full((pictures, 257), 2**14 - 1, dtype=torch.long, device=device)
        for place in range(asked["tokens"]):
            torch.cuda.empty_cache()
            with torch.autocast("cuda", dtype=dtype, enabled=device.type == "cuda"):
                tokens[:, place + 1], kept = decoder.sample_tokens(
                    settings=settings, attention_mask=mask, encoder_state=memory, attention_state=kept,
                    prev_tokens=tokens[:, [place]], token_index=places[[place]],
                )  # fmt: skip

    return draw


def transformers(asked: dict[str, Any], device: torch.device) -> Callable[[], object]:
    """`generate` of a BART with as many weights per layer, given the encoded captions; greedy, with guidance."""
    from transformers import BartConfig, BartForConditionalGeneration, GenerationConfig
    from transformers.modeling_outputs import BaseModelOutput

    dtype = DTYPES[asked["precision"]]
    hidden = asked["hidden"] * 3 // 2 if asked["glu"] else asked["hidden"]  # two matrices instead of three
    config = BartConfig(vocab_size=asked["image_vocab"], d_model=asked["width"], max_position_embeddings=512,
                        encoder_layers=1, decoder_layers=asked["layers"], encoder_ffn_dim=hidden,
                        decoder_ffn_dim=hidden, encoder_attention_heads=asked["heads"],
                        decoder_attention_heads=asked["heads"], forced_eos_token_id=None,
                        eos_token_id=None)  # fmt: skip
    with device:
        model = BartForConditionalGeneration(config).eval()
    model.to(dtype=dtype)
    rows, n = 2 * asked["pictures"], asked["tokens"]
    memory = torch.randn(rows, asked["text_length"], asked["width"], device=device, dtype=dtype)
    mask = torch.ones(rows, asked["text_length"], dtype=torch.long, device=device)
    settings = GenerationConfig(max_new_tokens=n, min_new_tokens=n, do_sample=False, num_beams=1, use_cache=True,
                                decoder_start_token_id=asked["image_vocab"] - 1, bos_token_id=0, pad_token_id=1,
                                eos_token_id=None)  # fmt: skip

    def guide(_: Tensor, scores: Tensor) -> Tensor:
        conditional, unconditional = scores.chunk(2)
        return (unconditional + 10 * (conditional - unconditional)).repeat(2, 1)

    def draw() -> None:
        made = model.generate(encoder_outputs=BaseModelOutput(last_hidden_state=memory), attention_mask=mask,
                              generation_config=settings, logits_processor=[guide])  # fmt: skip
        assert made.shape == (rows, n + 1), made.shape

    return draw


def timed(asked: dict[str, Any]) -> list[float] | str:
    """Seconds of each run, or why there are none: other people's code may fail in any way."""
    prepare = {"min-dalle": min_dalle, "transformers": transformers}
    needs = {peer: (module,) for peer, module in PEERS.items()}
    return timed_peer(asked, needs, prepare, torch.inference_mode)


if __name__ == "__main__":
    answer(timed)
