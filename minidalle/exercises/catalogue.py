"""All exercises, in the order of the lessons."""

from minidalle.exercises.exercise import Exercise
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
    codebook_usage,
    ema_update,
    nearest_code,
    quantizer_loss,
    restart_dead_codes,
    straight_through,
)

EXERCISES: dict[str, Exercise] = {
    exercise.id: exercise
    for exercise in (
        text_to_bytes.EXERCISE,
        count_pairs.EXERCISE,
        merge_pair.EXERCISE,
        train_bpe.EXERCISE,
        build_vocab.EXERCISE,
        encode.EXERCISE,
        decode.EXERCISE,
        pad_batch.EXERCISE,
        nearest_code.EXERCISE,
        straight_through.EXERCISE,
        quantizer_loss.EXERCISE,
        ema_update.EXERCISE,
        codebook_usage.EXERCISE,
        restart_dead_codes.EXERCISE,
    )
}
