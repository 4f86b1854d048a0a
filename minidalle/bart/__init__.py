"""Text tokens → image tokens: an encoder that reads the caption, a decoder that writes the picture."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.bart.attention import attend as attend
    from minidalle.bart.attention import causal_mask as causal_mask
    from minidalle.bart.attention import merge_heads as merge_heads
    from minidalle.bart.attention import multi_head_attention as multi_head_attention
    from minidalle.bart.attention import padding_mask as padding_mask
    from minidalle.bart.attention import split_heads as split_heads
    from minidalle.bart.cache import DecoderCache as DecoderCache
    from minidalle.bart.config import BartConfig as BartConfig
    from minidalle.bart.draft import Draft as Draft
    from minidalle.bart.draft import caption_vector as caption_vector
    from minidalle.bart.draft import draw_draft as draw_draft
    from minidalle.bart.layers import decoder_layer as decoder_layer
    from minidalle.bart.layers import encoder_layer as encoder_layer
    from minidalle.bart.layers import feed_forward as feed_forward
    from minidalle.bart.layers import gelu_feed_forward as gelu_feed_forward
    from minidalle.bart.layers import glu_feed_forward as glu_feed_forward
    from minidalle.bart.model import Bart as Bart
    from minidalle.bart.running import Running as Running
    from minidalle.bart.sequences import corrupt_tokens as corrupt_tokens
    from minidalle.bart.sequences import drop_captions as drop_captions
    from minidalle.bart.sequences import sequence_loss as sequence_loss
    from minidalle.bart.sequences import shift_right as shift_right
else:
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
