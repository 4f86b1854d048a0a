"""Classic BART against Hugging Face's, with the same random weights."""

import pytest
import torch
import transformers
from bart_models import CLASSIC, make_bart
from torch import Tensor

from minidalle.bart import Bart, shift_right

BRANCHES = {
    "self_attn": "attention",
    "encoder_attn": "cross_attention",
    "self_attn_layer_norm": "attention.after",
    "encoder_attn_layer_norm": "cross_attention.after",
    "fc1": "feed_forward.up",
    "fc2": "feed_forward.down",
    "final_layer_norm": "feed_forward.after",
}
PARTS = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "output"}
TABLES = {"embed_positions": "positions", "layernorm_embedding": "embedding_norm", "embed_tokens": "tokens"}


def our_name(theirs: str) -> str:
    """`model.encoder.layers.0.self_attn.q_proj.bias` → `encoder.layers.0.attention.query.bias`."""
    words = [{**BRANCHES, **PARTS, **TABLES}.get(word, word) for word in theirs.split(".")[1:]]
    if words == ["shared", "weight"]:
        return "encoder.tokens.weight"
    name = ".".join(words)
    return name.replace(".weight", ".scale") if "norm" in name or ".after." in name else name


@pytest.fixture(params=[False, True], ids=["plain", "scaled embeddings"])
def pair(request: pytest.FixtureRequest) -> tuple[Bart, transformers.BartForConditionalGeneration]:
    ours = make_bart(**CLASSIC, scale_embedding=request.param)
    sizes = ours.config
    theirs = transformers.BartForConditionalGeneration(
        transformers.BartConfig(
            vocab_size=sizes.text_vocab,
            max_position_embeddings=16,
            d_model=sizes.width,
            encoder_layers=sizes.encoder_layers,
            decoder_layers=sizes.decoder_layers,
            encoder_attention_heads=sizes.heads,
            decoder_attention_heads=sizes.heads,
            encoder_ffn_dim=sizes.hidden,
            decoder_ffn_dim=sizes.hidden,
            scale_embedding=request.param,
        )
    ).eval()
    weights = ours.state_dict()
    used = set()
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            value = weights[our_name(name)]
            weight[: len(value)] = value  # their table of text positions is as long as the image's
            used.add(our_name(name))
    assert used == set(weights)
    return ours, theirs


def test_encoder(pair: tuple, captions: tuple[Tensor, Tensor]) -> None:
    ours, theirs = pair
    text, mask = captions
    expected = theirs.model.encoder(input_ids=text, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(ours.encode(text, mask)[mask], expected[mask], atol=1e-5, rtol=1e-5)


def test_logits(pair: tuple, captions: tuple[Tensor, Tensor], image_tokens: Tensor) -> None:
    ours, theirs = pair
    text, mask = captions
    inputs = shift_right(image_tokens, ours.config.start_token)
    expected = theirs(input_ids=text, attention_mask=mask.long(), decoder_input_ids=inputs).logits
    assert expected.std() > 0.5
    torch.testing.assert_close(ours(text, mask, inputs), expected, atol=1e-5, rtol=1e-5)


def test_cached_logits(pair: tuple, captions: tuple[Tensor, Tensor], image_tokens: Tensor) -> None:
    ours, theirs = pair
    text, mask = captions
    inputs = shift_right(image_tokens, ours.config.start_token)
    memory = theirs.model.encoder(input_ids=text, attention_mask=mask.long())
    past, cache = None, ours.start(text, mask)
    for tokens in inputs.T:
        out = theirs(
            encoder_outputs=memory,
            attention_mask=mask.long(),
            decoder_input_ids=tokens[:, None],
            past_key_values=past,
            use_cache=True,
        )
        past = out.past_key_values
        torch.testing.assert_close(ours.step(tokens, cache), out.logits[:, 0], atol=1e-5, rtol=1e-5)
