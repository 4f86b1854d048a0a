"""All exercises, in the order of the lessons."""

from minidalle.exercises.exercise import Exercise
from minidalle.exercises.explore import find_duplicates, recall_at_k, tfidf, word_counts
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
    )
}
