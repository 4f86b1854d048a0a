"""All exercises, in the order of the lessons."""

from minidalle.exercises.bart import (
    attend,
    causal_mask,
    decoder_layer,
    encoder_layer,
    glu_feed_forward,
    padding_mask,
    sequence_loss,
    shift_right,
    split_heads,
    warmup_schedule,
)
from minidalle.exercises.exercise import Exercise
from minidalle.exercises.explore import find_duplicates, recall_at_k, tfidf, word_counts
from minidalle.exercises.generalization import hvp
from minidalle.exercises.generation import (
    apply_temperature,
    clip_loss,
    decode_step,
    generate_tokens,
    guide,
    rerank,
    top_k_filter,
    top_p_filter,
)
from minidalle.exercises.tokenization import (
    build_vocab,
    count_pairs,
    decode,
    encode,
    merge_pair,
    pad_batch,
    text_to_bytes,
    train_bpe,
)
from minidalle.exercises.vqgan import (
    adaptive_weight,
    codebook_usage,
    ema_update,
    gradient_loss,
    hinge_loss,
    nearest_code,
    psnr,
    quantizer_loss,
    residual_block,
    restart_dead_codes,
    straight_through,
)

EXERCISES: dict[str, Exercise] = {
    exercise.id: exercise
    for exercise in (
        word_counts.EXERCISE,
        find_duplicates.EXERCISE,
        tfidf.EXERCISE,
        recall_at_k.EXERCISE,
        text_to_bytes.EXERCISE,
        count_pairs.EXERCISE,
        merge_pair.EXERCISE,
        train_bpe.EXERCISE,
        build_vocab.EXERCISE,
        encode.EXERCISE,
        decode.EXERCISE,
        pad_batch.EXERCISE,
        psnr.EXERCISE,
        residual_block.EXERCISE,
        nearest_code.EXERCISE,
        straight_through.EXERCISE,
        quantizer_loss.EXERCISE,
        ema_update.EXERCISE,
        codebook_usage.EXERCISE,
        restart_dead_codes.EXERCISE,
        gradient_loss.EXERCISE,
        hinge_loss.EXERCISE,
        adaptive_weight.EXERCISE,
        shift_right.EXERCISE,
        causal_mask.EXERCISE,
        padding_mask.EXERCISE,
        attend.EXERCISE,
        split_heads.EXERCISE,
        glu_feed_forward.EXERCISE,
        encoder_layer.EXERCISE,
        decoder_layer.EXERCISE,
        sequence_loss.EXERCISE,
        warmup_schedule.EXERCISE,
        apply_temperature.EXERCISE,
        top_k_filter.EXERCISE,
        top_p_filter.EXERCISE,
        guide.EXERCISE,
        decode_step.EXERCISE,
        generate_tokens.EXERCISE,
        clip_loss.EXERCISE,
        rerank.EXERCISE,
        hvp.EXERCISE,
    )
}
