import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.checkpoint import Checkpoint
from berthub.formats import read
from berthub.head import Head
from berthub.tokenization.tokenizer import Tokenizer
from berthub.training.examples import Examples, TrainingBatch
from berthub.training.hyperparameters import Hyperparameters
from berthub.training.state import StateStore
from berthub.training.steps import TrainingStep
from berthub.training.trainer import Trained, Watcher, train

_TEXTS = ["the war"] * 7 + ["of love and the city"] * 6


class Steps(TrainingStep):
    """Counts: the one weight is how many steps have been done, and a digest of what they saw."""

    few_shapes = False

    def __init__(self, losses: Mapping[int, float] | None = None, *, stop_at: int | None = None) -> None:
        self.done = 0
        self.seen = 0.0
        self.rates: list[float] = []
        self._losses = losses or {}
        self._stop_at = stop_at

    def run(self, batch: TrainingBatch, learning_rate: float) -> float:
        if self.done == self._stop_at:
            raise KeyboardInterrupt
        self.done += 1
        self.seen = self.seen / 2 + float(batch.inputs["input_word_ids"].sum()) * learning_rate
        self.rates.append(learning_rate)
        return self._losses.get(self.done, 1.0 / self.done)

    def state(self) -> dict[str, Any]:
        return {"done": np.array(self.done), "seen": np.array(self.seen)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.done, self.seen = int(state["done"]), float(state["seen"])


@pytest.fixture(scope="module")
def start(models: Path) -> Checkpoint:
    checkpoint = read(models / "tf2_v4")
    head = Head(
        task="classify",
        labels=("a", "b"),
        pooling="pooled",
        max_length=16,
        kernel=np.zeros((checkpoint.config.hidden_size, 2), np.float32),
        bias=np.zeros(2, np.float32),
    )
    return dataclasses.replace(checkpoint, head=head)


@pytest.fixture(scope="module")
def examples(start: Checkpoint) -> Examples:
    tokens = Tokenizer.from_checkpoint(start).tokens(_TEXTS)
    return Examples(tokens, np.zeros(len(_TEXTS), np.int32), pad=0)


class Run:
    """One call of `train`, four steps an epoch, with dev scores as given."""

    def __init__(self, start: Checkpoint, examples: Examples) -> None:
        self.start, self.examples = start, examples

    def __call__(
        self,
        steps: Steps,
        scores: list[float] | None = None,
        *,
        store: StateStore | None = None,
        **hyperparameters: Any,
    ) -> Trained:
        def snapshot() -> Checkpoint:
            assert self.start.head is not None
            bias = np.array([steps.done, steps.seen], np.float32)
            return dataclasses.replace(self.start, head=dataclasses.replace(self.start.head, bias=bias))

        def evaluation(model: Checkpoint) -> dict[str, float]:
            assert scores is not None
            assert model.head is not None
            return {"dev_loss": 0.5, "dev_main": scores[int(model.head.bias[0]) // 4 - 1]}

        return train(
            steps,
            self.examples,
            hyperparameters=Hyperparameters(batch_size=4, **hyperparameters),
            peak_rate=1.0,
            seed=0,
            snapshot=snapshot,
            evaluation=None if scores is None else evaluation,
            store=store,
            resumed=None if store is None else store.read(),
            watcher=Watcher(),
            max_width=16,
        )


@pytest.fixture
def run(start: Checkpoint, examples: Examples) -> Run:
    return Run(start, examples)


def _steps_of(trained: Trained) -> int:
    assert trained.checkpoint is not None
    assert trained.checkpoint.head is not None
    return int(trained.checkpoint.head.bias[0])


def test_the_best_epoch_is_kept_and_patience_ends(run: Run) -> None:
    steps = Steps()
    trained = run(steps, [0.1, 0.7, 0.7, 0.6, 0.9], epochs=5, patience=2)
    assert (trained.best_epoch, _steps_of(trained), len(trained.history)) == (2, 8, 4)
    assert steps.done == 16
    patient = run(Steps(), [0.1, 0.7, 0.7, 0.6, 0.9], epochs=5, patience=None)
    assert (patient.best_epoch, _steps_of(patient), len(patient.history)) == (5, 20, 5)
    assert run(Steps(), [0.9, 0.1, 0.1], epochs=3, patience=1).best_epoch == 1


def test_a_score_that_is_undefined_is_worse_than_any(run: Run) -> None:
    undefined = float("-inf")
    assert run(Steps(), [undefined, -5.0, undefined], epochs=3).best_epoch == 2
    assert run(Steps(), [undefined, undefined], epochs=2).best_epoch == 1


def test_without_dev_data_the_last_epoch_is_kept(run: Run) -> None:
    trained = run(Steps(), epochs=3, patience=1)
    assert (trained.best_epoch, _steps_of(trained)) == (3, 12)
    assert list(trained.history[0]) == ["epoch", "loss", "seconds", "examples_per_second"]
    # The mean over examples: the last batch of the 13 has one.
    assert [entry["epoch"] for entry in trained.history] == [1, 2, 3]


def test_the_loss_of_an_epoch_is_the_mean_over_its_examples(run: Run, examples: Examples) -> None:
    class Sizes(Steps):
        def run(self, batch: TrainingBatch, learning_rate: float) -> float:
            super().run(batch, learning_rate)
            return float(batch.examples)

    assert run(Sizes(), epochs=1).history[0]["loss"] == pytest.approx((3 * 4 * 4 + 1 * 1) / 13)


def test_the_rate_rises_and_falls_over_all_epochs(run: Run) -> None:
    steps = Steps()
    run(steps, epochs=5, warmup=0.2)
    np.testing.assert_allclose(steps.rates[:5], [0.25, 0.5, 0.75, 1.0, 1.0])
    np.testing.assert_allclose(steps.rates[4:], np.arange(16, 0, -1) / 16)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops(run: Run, loss: float) -> None:
    steps = Steps({7: loss})
    trained = run(steps, [0.5, 0.9], epochs=4)
    assert trained.diverged is not None
    assert "in step 3 of epoch 2, at learning rate" in trained.diverged
    assert (trained.best_epoch, _steps_of(trained), len(trained.history), steps.done) == (1, 4, 1, 7)
    first = run(Steps({2: loss}), epochs=4)
    assert (first.checkpoint, first.best_epoch, first.history) == (None, 0, [])


def test_weights_that_are_no_numbers_are_never_kept(run: Run) -> None:
    class Broken(Steps):
        def run(self, batch: TrainingBatch, learning_rate: float) -> float:
            loss = super().run(batch, learning_rate)
            # The last step of the second epoch: no loss tells.
            if self.done == 8:
                self.seen = float("nan")
            return loss

    for scores in (None, [0.5, 0.9]):
        trained = run(Broken(), scores, epochs=2)
        assert trained.diverged == "at the end of epoch 2"
        assert _steps_of(trained) == 4


@pytest.mark.parametrize("stop_at", range(1, 12))
def test_interrupted_anywhere_it_ends_the_same(run: Run, tmp_path: Path, stop_at: int) -> None:
    scores = [0.1, 0.7, 0.3]
    whole = run(Steps(), scores, epochs=3)
    store = StateStore(tmp_path / "state", {})
    with pytest.raises(KeyboardInterrupt):
        run(Steps(stop_at=stop_at), scores, epochs=3, store=store, checkpoint_steps=2)
    steps = Steps()
    resumed = run(steps, scores, epochs=3, store=store, checkpoint_steps=2)
    # No more than what came after the last state is done again.
    assert steps.done == 12
    assert len(steps.rates) == 12 - stop_at // 2 * 2
    assert resumed.checkpoint is not None
    assert whole.checkpoint is not None
    assert resumed.checkpoint.head is not None
    assert whole.checkpoint.head is not None
    np.testing.assert_array_equal(resumed.checkpoint.head.bias, whole.checkpoint.head.bias)
    assert resumed.best_epoch == whole.best_epoch == 2
    for ours, theirs in zip(resumed.history, whole.history, strict=True):
        assert {**ours, "seconds": 0, "examples_per_second": 0} == {**theirs, "seconds": 0, "examples_per_second": 0}
