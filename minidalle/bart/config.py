"""The shape of a BART: one config for classic BART, DALL·E mini and small models that train on a laptop."""

from dataclasses import dataclass
from math import isqrt

from minidalle.errors import require, require_kinds

NORMS = ("post", "pre", "normformer")
POSITIONS = ("absolute", "grid")


@dataclass(frozen=True, kw_only=True)
class BartConfig:
    """An encoder-decoder transformer that turns text tokens into image tokens.

    Only sizes are needed; every other field has the value of the small recipe. Sources: BART (Lewis et al.
    2020), NormFormer (Shleifer et al. 2021), GLU (Shazeer 2020), DALL·E mini (Dayma et al. 2021).

    Attributes:
        text_vocab: rows of the text embedding.
        text_length: most text tokens, T.
        image_codes: K, the codebook's size; ids from 0 to K − 1 are what a picture is made of.
        image_length: image tokens of a picture, N.
        width: D, the size of the vector that stands for one token.
        heads: attention heads; each is D / heads wide.
        hidden: width inside the feed-forward layer.
        encoder_layers: layers that read the text.
        decoder_layers: layers that write the picture.
        image_extra: ids after the codebook's, in the embedding and the head: the start token, and padding.
        start: the decoder's first input; None for the first id after the codebook.
        norm: where LayerNorm stands. "post": after each residual sum (classic BART). "pre": before each
            branch. "normformer": before each branch, on what each attention gives, and inside each
            feed-forward layer (DALL·E mini).
        embedding_norm: whether the embeddings are normalized too.
        scale_before_linear: whether a norm that only feeds linear layers has a scale; they could absorb it.
        glu: whether the feed-forward layer is gated.
        bias: whether linear layers have a bias.
        tied: whether text embedding, image embedding and head are one matrix.
        scale_embedding: whether token embeddings are multiplied by √D.
        positions: how an image token knows its place: "absolute" (a vector per position) or
            "grid" (a vector per row plus a vector per column).
        position_offset: unused rows at the start of the tables of positions; classic BART has 2.
        dropout: chance of dropping a feature of the embeddings and of each branch while training.
        draft_width: features per cell of the draft (see `minidalle.bart.draft`); 0 for none.
    """

    text_vocab: int
    text_length: int
    image_codes: int
    image_length: int
    width: int
    heads: int
    hidden: int
    encoder_layers: int
    decoder_layers: int
    image_extra: int = 1
    start: int | None = None
    norm: str = "pre"
    embedding_norm: bool = False
    scale_before_linear: bool = True
    glu: bool = False
    bias: bool = False
    tied: bool = False
    scale_embedding: bool = False
    positions: str = "grid"
    position_offset: int = 0
    dropout: float = 0.0
    draft_width: int = 0

    def __post_init__(self) -> None:
        require_kinds(self)
        sizes = ("text_vocab", "text_length", "image_codes", "image_length", "width", "heads", "hidden")
        for field in (*sizes, "encoder_layers", "decoder_layers"):
            require(getattr(self, field) >= 1, field, getattr(self, field), "at least 1")
        for field in ("image_extra", "position_offset", "draft_width"):
            require(getattr(self, field) >= 0, field, getattr(self, field), "0 or more")
        require(self.width % self.heads == 0, "heads", self.heads, f"a divisor of width={self.width}")
        require(self.norm in NORMS, "norm", self.norm, f"one of {', '.join(NORMS)}")
        require(self.positions in POSITIONS, "positions", self.positions, f"one of {', '.join(POSITIONS)}")
        fits = self.positions != "grid" or self.grid**2 == self.image_length
        require(fits, "image_length", self.image_length, "a square number, for positions='grid'")
        known = 0 <= self.start_token < self.image_vocab
        require(known, "start", self.start, f"an id below image_codes + image_extra = {self.image_vocab}")
        same = not self.tied or self.text_vocab == self.image_vocab
        require(same, "text_vocab", self.text_vocab, f"image_codes + image_extra = {self.image_vocab}, if tied")
        require(0 <= self.dropout < 1, "dropout", self.dropout, "a chance from 0 to below 1")

    @property
    def image_vocab(self) -> int:
        """V, the rows of the image embedding and of the head: the codebook's ids and the extra ones."""
        return self.image_codes + self.image_extra

    @property
    def start_token(self) -> int:
        """The decoder's first input, which stands before the first image token."""
        return self.image_codes if self.start is None else self.start

    @property
    def grid(self) -> int:
        """Rows, and columns, of the square of image tokens."""
        return isqrt(self.image_length)
