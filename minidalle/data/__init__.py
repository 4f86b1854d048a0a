"""Captioned pictures: the bundled emoji, other people's pictures, their splits, and batches of them."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.data.batches import batch_rows as batch_rows
    from minidalle.data.batches import rank_slice as rank_slice
    from minidalle.data.config import DataConfig as DataConfig
    from minidalle.data.duplicates import find_duplicates as find_duplicates
    from minidalle.data.emoji import emoji_pictures as emoji_pictures
    from minidalle.data.foreign import foreign_pictures as foreign_pictures
    from minidalle.data.names import parse_name as parse_name
    from minidalle.data.partition import load_partition as load_partition
    from minidalle.data.pictures import CaptionedPictures as CaptionedPictures
    from minidalle.data.render import UnreadablePicture as UnreadablePicture
    from minidalle.data.render import render_svg as render_svg
    from minidalle.data.render import to_rgb as to_rgb
    from minidalle.data.splits import assign_splits as assign_splits
    from minidalle.data.splits import make_splits as make_splits
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "assign_splits": "splits",
            "batch_rows": "batches",
            "CaptionedPictures": "pictures",
            "DataConfig": "config",
            "emoji_pictures": "emoji",
            "find_duplicates": "duplicates",
            "foreign_pictures": "foreign",
            "load_partition": "partition",
            "make_splits": "splits",
            "parse_name": "names",
            "rank_slice": "batches",
            "render_svg": "render",
            "to_rgb": "render",
            "UnreadablePicture": "render",
        },
    )
