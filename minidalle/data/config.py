"""Which pictures to train on, when they are not the bundled ones."""

from dataclasses import dataclass

from minidalle.errors import require, require_kinds


@dataclass(frozen=True)
class DataConfig:
    """A source of captioned pictures, and how to read it. What is None is found out, where there is no doubt.

    source: a folder, parquet or tar files (`*` and `**` stand for several), or `owner/name` of a data set on the
    Hugging Face Hub, if need be with `@revision`. split: which of the source's own splits to train on. subset: which
    of a Hub data set's configurations. most: at most so many rows of each split, the first ones.
    """

    source: str
    split: str | None = None
    subset: str | None = None
    image_column: str | None = None
    caption_column: str | None = None
    most: int | None = None

    def __post_init__(self) -> None:
        require_kinds(self)
        require(bool(self.source.strip()), "data", self.source, "a folder, files, or owner/name of a Hub data set")
        require(self.most is None or self.most >= 2, "most", self.most, "at least 2: one to train, one to test")
