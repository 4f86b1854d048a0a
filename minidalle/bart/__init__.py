"""Text tokens → image tokens: an encoder that reads the caption, a decoder that writes the picture."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.bart.attention import (
        attend,
        causal_mask,
        merge_heads,
        multi_head_attention,
        padding_mask,
        split_heads,
    )
    from minidalle.bart.cache import DecoderCache
    from minidalle.bart.config import BartConfig
    from minidalle.bart.draft import Draft, caption_vector, draw_draft
    from minidalle.bart.layers import (
        decoder_layer,
        encoder_layer,
        feed_forward,
        gelu_feed_forward,
        glu_feed_forward,
    )
    from minidalle.bart.model import Bart
    from minidalle.bart.running import Running
    from minidalle.bart.sequences import corrupt_tokens, drop_captions, sequence_loss, shift_right

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Bart": "model",
        "BartConfig": "config",
        "DecoderCache": "cache",
        "Draft": "draft",
        "Running": "running",
        "attend": "attention",
        "caption_vector": "draft",
        "causal_mask": "attention",
        "corrupt_tokens": "sequences",
        "decoder_layer": "layers",
        "draw_draft": "draft",
        "drop_captions": "sequences",
        "encoder_layer": "layers",
        "feed_forward": "layers",
        "gelu_feed_forward": "layers",
        "glu_feed_forward": "layers",
        "merge_heads": "attention",
        "multi_head_attention": "attention",
        "padding_mask": "attention",
        "sequence_loss": "sequences",
        "shift_right": "sequences",
        "split_heads": "attention",
    },
)
