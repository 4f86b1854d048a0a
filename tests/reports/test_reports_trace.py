"""The map of the course: what it says is so, and it is one page for everybody."""

import importlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from minidalle import pipeline as pipeline_module
from minidalle.bart import Bart, BartConfig
from minidalle.data.pixels import to_pixels
from minidalle.errors import InvalidValue
from minidalle.pipeline import TextToImage
from minidalle.reports import trace
from minidalle.reports.trace import (
    SHARES,
    growing_pictures,
    paint_codes,
    text_pieces,
    token_probabilities,
    two_sided,
    write_trace,
)
from minidalle.sampling import NextLogits, generate_tokens
from minidalle.sampling_config import SamplingConfig
from minidalle.tokenization import Tokenizer, TokenizerConfig
from minidalle.vqgan import VQGAN, VQGANConfig

CAPTION = "woman firefighter, noto style"
VOCAB, TEXT, SIDE, GRID, CODES = 280, 20, 16, 4, 24
TOKENS = GRID**2
GUIDED = SamplingConfig(temperature=0.7, guidance=2.0)


def make_pipeline(draft_width: int = 0) -> TextToImage:
    """Untrained, but with weights far from zero, so that every code, token and draft is different."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.train([CAPTION] * 3, TokenizerConfig(vocab_size=VOCAB, text_length=TEXT))
    vqgan = VQGAN(
        VQGANConfig(image_size=SIDE, patch=2, channels=8, multipliers=(1, 2), encoder_blocks=(1, 1),
                    decoder_blocks=(1, 1), attention_sizes=(), middle=False, groups=0, latent_width=8,
                    code_width=4, codes=CODES)
    )  # fmt: skip
    bart = Bart(
        BartConfig(text_vocab=VOCAB, text_length=TEXT, image_codes=CODES, image_length=TOKENS, width=12, heads=2,
                   hidden=20, encoder_layers=1, decoder_layers=2, draft_width=draft_width)
    )  # fmt: skip
    with torch.no_grad():
        for weight in [*vqgan.parameters(), *bart.parameters()]:
            weight.add_(0.2 * torch.randn_like(weight))
        vqgan.quantize.codebook.normal_()
    return TextToImage(tokenizer, vqgan, bart)


@pytest.fixture(scope="module")
def pipeline() -> TextToImage:
    return make_pipeline()


class Page(HTMLParser):
    """A page as a browser sees it: its tags with their attributes, and its words."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def ids(self) -> set[str | None]:
        return {section["id"] for section in self.all("section")}


@pytest.fixture
def follow(pipeline: TextToImage, tmp_path: Path) -> Callable[..., Page]:
    """Write a page and read it."""

    def written(caption: str = CAPTION, model: TextToImage = pipeline, **options: object) -> Page:
        path = tmp_path / "pages" / "trace.html"
        assert write_trace(path, model, caption, 3, GUIDED, **options) == path
        return Page(path.read_text(encoding="utf-8"))

    return written


def picture(seed: int = 0, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def test_the_page_needs_no_other(follow: Callable[..., Page]) -> None:
    page = follow(real=picture(), split="iid")
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "base"})
    addresses = [a[key] for _, a in page.tags for key in ("src", "href", "srcset") if a.get(key)]
    assert len(addresses) > 20
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses if address)
    assert not re.search(r"url\(|@import|https?:", page.words)


def test_links_lead_to_stages_and_pictures_have_words(follow: Callable[..., Page]) -> None:
    page = follow(model=make_pipeline(draft_width=3), real=picture())
    assert page.ids == {"bytes", "text", "memory", "draft", "image", "picture", "real"}
    assert {f"#{id}" for id in page.ids - {"real"}} == {link["href"] for link in page.all("a")}
    sections = [n for n, (tag, _) in enumerate(page.tags) if tag == "section"]
    assert all(a["alt"] for n, (tag, a) in enumerate(page.tags) if tag == "img" and n > sections[0])


def test_every_function_that_is_named_is_there(follow: Callable[..., Page]) -> None:
    page = follow(model=make_pipeline(draft_width=3), real=picture())
    names = set(re.findall(r"minidalle(?:\.\w+)+", page.words))
    assert len(names) >= 7
    for name in names:
        parts = name.split(".")
        home = max(n for n in range(1, len(parts)) if importable(".".join(parts[:n])))
        value = importlib.import_module(".".join(parts[:home]))
        for part in parts[home:]:
            value = getattr(value, part)
        assert callable(value), name
    assert not importable("minidalle.nothing")


def importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def test_shapes_and_tokens_are_those_of_the_models(follow: Callable[..., Page], pipeline: TextToImage) -> None:
    page = follow()
    for shape in (f"[1, {TEXT}]", f"[1, {TEXT}, 12]", f"[1, {TOKENS}]", f"[1, 3, {SIDE}, {SIDE}]"):
        assert shape in page.words
    text, mask = pipeline.encode_text([CAPTION])
    tokens = pipeline.predict(text, mask, [3], GUIDED)[0].tolist()
    titles = [cell["title"] for cell in page.all("td")]
    assert titles[:TOKENS] == [f"token {place}: code {code}" for place, code in enumerate(tokens)]
    assert len(titles) == 2 * TOKENS
    assert f"<pad> × {TEXT - int(mask.sum())}" in page.words


def test_the_same_caption_and_seed_give_the_same_page(pipeline: TextToImage, tmp_path: Path) -> None:
    pages = [tmp_path / "1.html", tmp_path / "2.html", tmp_path / "3.html"]
    for path, seed in zip(pages, (5, 5, 6), strict=True):
        write_trace(path, pipeline, CAPTION, seed, GUIDED)
    first, again, other = (path.read_bytes() for path in pages)
    assert first == again
    assert first != other


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_probabilities_are_those_that_the_tokens_were_drawn_from(
    pipeline: TextToImage, guidance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one pass over all tokens, and step by step with the cache, where `predict` draws."""
    steps: list[torch.Tensor] = []

    def generate(next_logits: NextLogits, noise: torch.Tensor, config: SamplingConfig) -> torch.Tensor:
        def noted(prefix: torch.Tensor) -> torch.Tensor:
            logits = next_logits(prefix)
            steps.append(logits[0, :CODES])
            return logits

        return generate_tokens(noted, noise, config)

    monkeypatch.setattr(pipeline_module, "generate_tokens", generate)
    text, mask = pipeline.encode_text([CAPTION])
    tokens = pipeline.predict(text, mask, [0], SamplingConfig(guidance=guidance))
    with torch.inference_mode():
        expected = token_probabilities(pipeline, text, mask, tokens, guidance)
        unguided = token_probabilities(pipeline, text, mask, tokens)
    assert expected.shape == (TOKENS, CODES)
    torch.testing.assert_close(expected, torch.stack(steps).softmax(-1), rtol=0, atol=1e-5)
    assert torch.allclose(expected, unguided, atol=1e-3) == (guidance == 1)


def test_the_picture_grows_from_nothing_to_itself(pipeline: TextToImage) -> None:
    tokens = torch.arange(TOKENS).unsqueeze(0)
    with torch.inference_mode():
        pictures = growing_pictures(pipeline, tokens)
        whole = to_pixels(pipeline.decode_image(tokens))[0]
    assert [p[..., 3].mean() / 255 for p in pictures] == [share / 100 for share in SHARES]
    assert (pictures[1][: SIDE // GRID, :, 3] == 255).all()  # a quarter of the tokens is the first row of cells
    assert np.array_equal(pictures[-1][..., :3], whole)
    assert not np.array_equal(pictures[2][..., :3], whole)


def test_a_code_paints_what_a_grid_of_it_decodes_to(pipeline: TextToImage) -> None:
    with torch.inference_mode():
        painted = paint_codes(pipeline, list(range(CODES)))  # more than one batch of them
        alone = pipeline.decode_image(torch.full((1, TOKENS), CODES - 1))
    assert list(painted) == list(range(CODES))
    np.testing.assert_allclose(painted[CODES - 1], to_pixels(alone)[0], atol=1)
    assert not np.array_equal(painted[0], painted[1])


@pytest.mark.parametrize("caption", [CAPTION, "", "naïve 🦊 犬\n", "<s> & </s>"])
def test_pieces_are_the_captions_bytes(pipeline: TextToImage, caption: str) -> None:
    pieces = text_pieces(pipeline.tokenizer, caption)
    assert [piece.id for piece in pieces] == pipeline.tokenizer.encode(caption)
    assert b"".join(piece.content or b"" for piece in pieces) == caption.encode()
    assert [piece.name for piece in pieces if piece.content is None] == ["<s>", "</s>"]


def test_a_character_that_is_cut_in_two_is_shown_as_bytes(follow: Callable[..., Page]) -> None:
    page = follow("é 🦊")
    assert r"\xc3" in page.words  # this tokenizer knows only single bytes of it
    assert all(f"{byte:02x}" in page.words for byte in "é 🦊".encode())
    assert "é" in page.words


def test_a_long_caption_says_what_was_cut(follow: Callable[..., Page], pipeline: TextToImage) -> None:
    caption = "x" * 40
    cut = len(pipeline.tokenizer.encode(caption)) - TEXT
    page = follow(caption)
    assert f"the last {cut} before" in page.words
    assert "<pad>" not in page.words
    assert len([i for i in page.all("i") if i.get("class") == "cut"]) == 40 - (TEXT - 2)


def test_a_caption_is_text_and_never_html(follow: Callable[..., Page]) -> None:
    caption = '<script>alert("&amp;")</script>'
    page = follow(caption)
    assert not page.all("script")
    assert f"How {caption} becomes" in page.words
    assert any(caption in (image["alt"] or "") for image in page.all("img"))


def test_a_draft_is_shown_only_by_a_model_that_has_one_and_as_ours(follow: Callable[..., Page]) -> None:
    assert "draft" not in follow().ids
    page = follow(model=make_pipeline(draft_width=3))
    assert "draft" in page.ids
    assert "DALL·E mini has no such step" in page.words


def test_the_real_picture_is_shown_beside(follow: Callable[..., Page], pipeline: TextToImage) -> None:
    assert "real" not in follow().ids
    with torch.inference_mode():
        tokens = pipeline.predict(*pipeline.encode_text([CAPTION]), [3], GUIDED)
        drawn = to_pixels(pipeline.decode_image(tokens))[0]
        real = torch.from_numpy(drawn).permute(2, 0, 1)[None].float() / 255
        same = int((pipeline.vqgan.encode(real) == tokens).sum())
    page = follow(real=drawn, split="train")
    assert f"{same} of {TOKENS} are those that were drawn" in page.words
    assert sum(cell.get("class") == "same" for cell in page.all("td")) == 2 * same
    assert "which the models were trained on" in page.words
    assert "not trained on" in follow(real=drawn, split="cell").words
    assert "in the split" not in follow(real=drawn).words


@pytest.mark.parametrize("real", [picture(side=SIDE * 2), picture()[..., :1]])
def test_a_real_picture_of_another_size_is_refused(follow: Callable[..., Page], real: np.ndarray) -> None:
    with pytest.raises(InvalidValue, match=r"real=.*\[16, 16, 3\]"):
        follow(real=real)


def test_writing_stands_out_from_every_color() -> None:
    def light(color: np.ndarray) -> float:
        part = color / 255
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for color in np.random.default_rng(0).integers(0, 256, (500, 3)).astype(float):
        cell = trace._cell("1", color, "")
        assert cell.color == "#{:02x}{:02x}{:02x}".format(*color.astype(int))
        ink = 1.0 if cell.ink == "#fff" else 0.0
        low, high = sorted((light(color), ink))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2.2, level AA


def test_signs_have_colors_that_everybody_can_tell_apart() -> None:
    colors = two_sided(np.array([-9.0, -1.0, 0.0, 1.0, 9.0]))
    assert colors.tolist() == [[0, 114, 178]] * 2 + [[255, 255, 255]] + [[213, 94, 0]] * 2
