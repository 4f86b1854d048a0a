"""How good a trained pipeline is: each measure beside its baselines, each figure with its interval."""

from typing import TYPE_CHECKING

from minidalle.lazy import lazy

if TYPE_CHECKING:
    from minidalle.evaluation.bootstrap import Estimate as Estimate
    from minidalle.evaluation.bootstrap import estimates as estimates
    from minidalle.evaluation.distances import pixel_distances as pixel_distances
    from minidalle.evaluation.free_text import load_prompts as load_prompts
    from minidalle.evaluation.parts import HELD_OUT as HELD_OUT
    from minidalle.evaluation.parts import some_rows as some_rows
    from minidalle.evaluation.retrieval import bags_of_words as bags_of_words
    from minidalle.evaluation.retrieval import caption_similarity as caption_similarity
    from minidalle.evaluation.retrieval import recall_at_k as recall_at_k
    from minidalle.evaluation.retrieval import tfidf as tfidf
    from minidalle.evaluation.retrieval import word_counts as word_counts
    from minidalle.evaluation.scoring import Evaluation as Evaluation
    from minidalle.evaluation.scoring import evaluate as evaluate
    from minidalle.evaluation.splits import score_splits as score_splits
else:
    __getattr__, __dir__, __all__ = lazy(
        __name__,
        {
            "bags_of_words": "retrieval",
            "caption_similarity": "retrieval",
            "Estimate": "bootstrap",
            "estimates": "bootstrap",
            "evaluate": "scoring",
            "Evaluation": "scoring",
            "HELD_OUT": "parts",
            "load_prompts": "free_text",
            "pixel_distances": "distances",
            "recall_at_k": "retrieval",
            "score_splits": "splits",
            "some_rows": "parts",
            "tfidf": "retrieval",
            "word_counts": "retrieval",
        },
    )
