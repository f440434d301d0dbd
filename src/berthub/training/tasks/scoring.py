"""The scores of a model on the dev data, epoch by epoch."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.encoding.encoder import Encoder
from berthub.encoding.prediction import Logits, Predictions
from berthub.evaluation.scores import main_score, scores
from berthub.training.trainer import Evaluation

__all__ = ["as_list", "dev_evaluation"]


def dev_evaluation(
    texts: list[Any],
    truth: list[Any],
    *,
    encoder_of: Callable[[Checkpoint], Encoder],
    loss: Callable[[Logits], float],
) -> Evaluation:
    """The function that scores a model after each epoch: on the engine, as `berthub.load` will run it."""

    def evaluate(checkpoint: Checkpoint) -> Mapping[str, float]:
        assert checkpoint.head is not None
        # By the stages, which do not warn: once for all epochs is enough, and that is when training ends.
        logits = encoder_of(checkpoint).stages.logits(texts)
        if not np.isfinite(logits.values).all():
            return {"dev_loss": float("nan")}
        task, predicted = checkpoint.head.task, as_list(logits.predictions())
        found = scores(task, labels=checkpoint.head.labels, truth=truth, predicted=predicted)
        main = found[main_score(task, found)]
        return {
            "dev_loss": loss(logits),
            **{f"dev_{name}": value for name, value in found.items()},
            # A correlation may be undefined, which is worse than any.
            "dev_main": main if np.isfinite(main) else float("-inf"),
        }

    return evaluate


def as_list(predictions: Predictions) -> list[Any]:
    """Predictions as a list, which `scores` takes."""
    return predictions.tolist() if isinstance(predictions, np.ndarray) else list(predictions)
