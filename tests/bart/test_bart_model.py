"""What must hold for every kind of BART: causality, padding, the cache, gradients, dropout, the draft."""

import pytest
import torch
from bart_models import SIZES, make_bart
from torch import Tensor

from minidalle.bart import Bart, BartConfig, attend, caption_vector, sequence_loss, shift_right
from minidalle.errors import InvalidValue

Captions = tuple[Tensor, Tensor]


def inputs_of(bart: Bart, image_tokens: Tensor) -> Tensor:
    return shift_right(image_tokens, bart.config.start_token)


def test_shapes(bart: Bart, captions: Captions, image_tokens: Tensor) -> None:
    logits = bart(*captions, inputs_of(bart, image_tokens))
    assert logits.shape == (5, 16, bart.config.image_vocab)
    assert bart.encode(*captions).shape == (5, 9, 24)


@pytest.mark.parametrize("place", [0, 6, 15])
def test_a_later_token_never_changes_an_earlier_logit(
    bart: Bart, captions: Captions, image_tokens: Tensor, place: int
) -> None:
    inputs = inputs_of(bart, image_tokens)
    changed = inputs.clone()
    changed[:, place] = (changed[:, place] + 1) % 16
    before, after = bart(*captions, inputs), bart(*captions, changed)
    assert torch.equal(before[:, :place], after[:, :place])
    assert (before[:, place] - after[:, place]).abs().amax() > 1e-3


def test_padding_never_changes_a_logit(bart: Bart, captions: Captions, image_tokens: Tensor) -> None:
    text, mask = captions
    inputs = inputs_of(bart, image_tokens)
    other = torch.where(mask, text, (text + 5) % 37)
    torch.testing.assert_close(bart(text, mask, inputs), bart(other, mask, inputs), atol=0, rtol=0)
    alone = bart(text[1:2, :3], mask[1:2, :3], inputs[1:2])
    torch.testing.assert_close(alone, bart(text, mask, inputs)[1:2], atol=2e-5, rtol=1e-5)


def test_a_real_word_does_change_the_logits(bart: Bart, captions: Captions, image_tokens: Tensor) -> None:
    text, mask = captions
    inputs = inputs_of(bart, image_tokens)
    other = text.clone()
    other[:, 0] = (other[:, 0] + 5) % 37
    assert (bart(text, mask, inputs) - bart(other, mask, inputs)).abs().amax((1, 2)).min() > 1e-3


def test_the_cache_gives_the_same_logits(bart: Bart, captions: Captions, image_tokens: Tensor) -> None:
    inputs = inputs_of(bart, image_tokens)
    cache = bart.start(*captions)
    stepped = torch.stack([bart.step(tokens, cache) for tokens in inputs.T], 1)
    torch.testing.assert_close(stepped, bart(*captions, inputs), atol=1e-5, rtol=1e-5)
    with pytest.raises(InvalidValue, match="image tokens=17"):
        bart.step(inputs[:, 0], cache)


def test_the_caption_is_projected_once(
    captions: Captions, image_tokens: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bart = make_bart()
    cache = bart.start(*captions)
    text_lengths = []

    def spy(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        text_lengths.append(key.shape[2])
        return attend(query, key, value, mask)

    monkeypatch.setattr("minidalle.bart.cache.attend", spy)
    across = [keys.clone() for keys, _ in cache.across]
    storage = [keys.data_ptr() for keys, _ in cache.within]
    for tokens in inputs_of(bart, image_tokens).T[:3]:
        bart.step(tokens, cache)
    assert text_lengths == [1, 9, 1, 9, 1, 9, 2, 9, 2, 9, 2, 9, 3, 9, 3, 9, 3, 9]
    assert all(torch.equal(a, b) for a, (b, _) in zip(across, cache.across, strict=True))
    assert storage == [keys.data_ptr() for keys, _ in cache.within]


def test_every_weight_gets_a_gradient(bart: Bart, captions: Captions, image_tokens: Tensor) -> None:
    text, mask = captions
    memory = bart.encode(text, mask)
    draft = bart.draft(memory, mask) if bart.config.draft_width else None
    logits = bart.decode(memory, mask, inputs_of(bart, image_tokens), draft)
    loss = sequence_loss(logits, image_tokens)
    if draft:
        loss = loss + draft.colors.square().mean()
        loss = loss + sequence_loss(bart.draft_logits(draft.cells), image_tokens)
    loss.backward()
    silent = [name for name, weight in bart.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert silent == []


def test_dropout_acts_only_in_training(captions: Captions, image_tokens: Tensor) -> None:
    bart = make_bart(dropout=0.3)
    inputs = inputs_of(bart, image_tokens)
    quiet = bart(*captions, inputs)
    assert torch.equal(quiet, make_bart()(*captions, inputs))
    bart.train()
    torch.manual_seed(0)
    first, second = bart(*captions, inputs), bart(*captions, inputs)
    torch.manual_seed(0)
    again = bart(*captions, inputs)
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def test_too_long_inputs_are_named(captions: Captions, image_tokens: Tensor) -> None:
    bart = make_bart(text_length=8)
    with pytest.raises(InvalidValue, match="text tokens=9: expected at most 8"):
        bart.encode(*captions)
    text, mask = captions[0][:, :8], captions[1][:, :8]
    with pytest.raises(InvalidValue, match="image tokens=17: expected at most 16"):
        bart(text, mask, torch.zeros(5, 17, dtype=torch.long))


def test_rows_and_columns_make_up_a_place() -> None:
    """With the same row vectors everywhere, cells of one column become indistinguishable, and only those."""
    bart = make_bart(image_length=16)
    with torch.no_grad():
        bart.decoder["positions"]["rows"]["weight"][:] = bart.decoder["positions"]["rows"]["weight"][0]
    places = bart.start(torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 2, dtype=torch.bool)).positions
    same = (places[:, None] == places).all(-1)
    columns = torch.arange(16) % 4
    assert torch.equal(same, columns[:, None] == columns)


def test_a_new_draft_changes_nothing(captions: Captions, image_tokens: Tensor) -> None:
    torch.manual_seed(0)
    bart = Bart(BartConfig(**SIZES, draft_width=5)).eval()
    inputs = inputs_of(bart, image_tokens)
    plain = Bart(BartConfig(**SIZES)).eval()
    plain.load_state_dict({k: v for k, v in bart.state_dict().items() if not k.startswith("drafter")})
    assert torch.equal(bart(*captions, inputs), plain(*captions, inputs))


def test_the_draft_knows_the_caption_and_not_its_padding(captions: Captions, image_tokens: Tensor) -> None:
    bart = make_bart(draft_width=5)
    text, mask = captions
    memory = bart.encode(text, mask)
    draft = bart.draft(memory, mask)
    assert (draft.cells.shape, draft.additions.shape, draft.colors.shape) == (
        (5, 16, 5),
        (5, 16, 24),
        (5, 16, 3),
    )
    assert bart.draft_logits(draft.cells[:, [3, 1]]).shape == (5, 2, 16)
    torch.testing.assert_close(caption_vector(memory, mask)[2], memory[2, :2].mean(0))
    inputs = inputs_of(bart, image_tokens)
    assert torch.equal(bart.decode(memory, mask, inputs, draft), bart.decode(memory, mask, inputs))
    nothing = draft._replace(additions=torch.zeros_like(draft.additions))
    assert not torch.equal(bart.decode(memory, mask, inputs, nothing), bart.decode(memory, mask, inputs))


def test_a_new_model_begins_close_to_its_embeddings(captions: Captions) -> None:
    torch.manual_seed(0)
    bart = Bart(BartConfig(**{**SIZES, "encoder_layers": 12}))
    text, mask = captions
    weights = bart.encoder
    embeddings = weights["tokens"]["weight"][text] + weights["positions"]["weight"]
    layer_norm = torch.nn.functional.layer_norm
    change = bart.encode(text, mask) - layer_norm(embeddings, (24,))
    assert 0 < change[mask].std() < 0.5


@pytest.mark.parametrize("norm", ["post", "pre", "normformer"])
def test_the_initial_loss_is_near_that_of_a_uniform_guess(norm: str) -> None:
    torch.manual_seed(0)
    config = BartConfig(
        text_vocab=50, text_length=8, image_codes=512, image_length=16, width=96, heads=3, hidden=192,
        encoder_layers=4, decoder_layers=4, norm=norm, glu=norm == "normformer", embedding_norm=norm != "pre",
    )  # fmt: skip
    text, image = torch.randint(0, 50, (8, 8)), torch.randint(0, 512, (8, 16))
    logits = Bart(config)(text, torch.ones(8, 8, dtype=torch.bool), shift_right(image, 512))
    assert sequence_loss(logits, image).item() == pytest.approx(6.24, abs=0.4)
    assert logits.std() < 1.0


def test_the_model_runs_in_bfloat16(bart: Bart, captions: Captions, image_tokens: Tensor) -> None:
    inputs = inputs_of(bart, image_tokens)
    exact = bart(*captions, inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = bart(*captions, inputs)
        cache = bart.start(*captions)
        stepped = torch.stack([bart.step(tokens, cache) for tokens in inputs.T], 1)
    scale = exact.std()
    assert (rough - exact).abs().mean() < 0.03 * scale
    assert (stepped - exact).abs().mean() < 0.03 * scale


def test_the_model_trains_in_bfloat16(bart: Bart, captions: Captions, image_tokens: Tensor) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = sequence_loss(bart(*captions, inputs_of(bart, image_tokens)), image_tokens)
    loss.backward()
    without = [n for n, p in bart.named_parameters() if p.grad is None and "drafter" not in n]
    assert not without
