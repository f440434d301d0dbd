"""One step against AdamW in NumPy, on a softmax regression, whose gradient is known in closed form."""

from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.errors import CorruptFileError
from berthub.training.backend import import_keras
from berthub.training.examples import TrainingBatch
from berthub.training.hyperparameters import Hyperparameters
from berthub.training.model import loss_of
from berthub.training.steps import _decayed, create_step

Pair = tuple[np.ndarray, np.ndarray]
RATES = (0.01, 0.02, 0.005)


@pytest.fixture
def model(keras: Any) -> Any:
    inputs = {name: keras.Input((4,), name=name) for name in ("input_word_ids", "input_mask")}
    dense = keras.layers.Dense(3, name="dense")
    return keras.Model(inputs, dense(inputs["input_word_ids"] + 0 * inputs["input_mask"]))


def _batches() -> list[TrainingBatch]:
    rng = np.random.default_rng(0)
    return [
        TrainingBatch(
            inputs={
                "input_word_ids": (scale * rng.standard_normal((5, 4))).astype(np.float32),  # type: ignore[dict-item]
                "input_mask": np.ones((5, 4), np.float32),  # type: ignore[dict-item]
            },
            targets=rng.integers(0, 3, 5).astype(np.int32),
            # The last row fills up.
            weights=np.array([1, 1, 1, 1, 0], np.float32),
            examples=4,
        )
        for scale in (0.2, 5.0, 1.0)
    ]


def _gradient(weights: Pair, batch: TrainingBatch) -> tuple[float, Pair]:
    x = batch.inputs["input_word_ids"].astype(np.float64)
    logits = x @ weights[0] + weights[1]
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    rows = np.arange(len(x))
    counted = batch.weights / batch.weights.sum()
    loss = -float((np.log(shares[rows, batch.targets]) * counted).sum())
    shares[rows, batch.targets] -= 1
    shares *= counted[:, None]
    return loss, (x.T @ shares, shares.sum(0))


def _reference(weights: Pair, batches: list[TrainingBatch], *, decay: float, clip: float) -> tuple[list[float], Pair]:
    kernel, bias = (weight.astype(np.float64) for weight in weights)
    moments = [np.zeros_like(kernel), np.zeros_like(bias)], [np.zeros_like(kernel), np.zeros_like(bias)]
    losses = []
    for step, (batch, rate) in enumerate(zip(batches, RATES, strict=True), 1):
        loss, gradients = _gradient((kernel, bias), batch)
        losses.append(loss)
        norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
        # The matrix alone is decayed.
        kernel = kernel * (1 - rate * decay)
        moved = []
        for place, (weight, gradient) in enumerate(zip((kernel, bias), gradients, strict=True)):
            gradient = gradient * min(1, clip / norm)
            moments[0][place] = 0.9 * moments[0][place] + 0.1 * gradient
            moments[1][place] = 0.999 * moments[1][place] + 0.001 * gradient**2
            mean, square = moments[0][place] / (1 - 0.9**step), moments[1][place] / (1 - 0.999**step)
            moved.append(weight - rate * mean / (np.sqrt(square) + _epsilon(step)))
        kernel, bias = moved
    return losses, (kernel, bias)


def _epsilon(step: int) -> float:
    # Keras adds it before the correction, as at the end of section 2 of Kingma and Ba; soon there is no difference.
    corrected = import_keras().config.backend() == "torch"
    return 1e-8 if corrected else float(1e-8 / np.sqrt(1 - 0.999**step))


@pytest.mark.parametrize("clip", [0.1, 1000.0, float("inf")])
def test_it_is_adamw_with_bias_correction_decay_of_matrices_and_clipping(model: Any, clip: float) -> None:
    start = tuple(weight.copy() for weight in model.get_weights())
    batches = _batches()
    step = create_step(model, loss_of("classify"), Hyperparameters(weight_decay=0.5, clip_norm=clip))
    losses = [step.run(batch, rate) for batch, rate in zip(batches, RATES, strict=True)]
    expected_losses, expected = _reference(start, batches, decay=0.5, clip=clip)  # type: ignore[arg-type]
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    for ours, theirs in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)
    if clip < 1:
        # Neither decay nor clipping is lost in the tolerance.
        for other in ({"decay": 0.0, "clip": clip}, {"decay": 0.5, "clip": 1000.0}):
            assert np.abs(_reference(start, batches, **other)[1][0] - expected[0]).max() > 1e-4  # type: ignore[arg-type]


def test_restored_it_goes_on_the_same(keras: Any, model: Any) -> None:
    batches = _batches()
    hyperparameters = Hyperparameters(weight_decay=0.1)
    step = create_step(model, loss_of("classify"), hyperparameters)
    step.run(batches[0], RATES[0])
    state = step.state()
    kept = {name: array.copy() for name, array in state.items()}
    step.run(batches[1], RATES[1])
    expected = model.get_weights()
    other = keras.models.clone_model(model)
    again = create_step(other, loss_of("classify"), hyperparameters)
    again.restore(state)
    again.run(batches[1], RATES[1])
    for ours, theirs in zip(other.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # What was taken is not changed by what comes later.
    for name, array in kept.items():
        np.testing.assert_array_equal(state[name], array)


def test_a_state_of_another_model_is_refused(model: Any) -> None:
    step = create_step(model, loss_of("classify"), Hyperparameters())
    state = dict(step.state())
    name = next(name for name, array in state.items() if array.shape == (4, 3))
    for other in ({**state, name: np.zeros((3, 3), np.float32)}, {key: state[key] for key in state if key != name}):
        with pytest.raises(CorruptFileError, match="does not fit the model in 1 of"):
            step.restore(other)


def test_all_matrices_are_decayed_and_no_vector(start: Checkpoint) -> None:
    def decayed(**options: Any) -> set[str]:
        layer = hub.KerasLayer(start, trainable=True, **options)
        return {variable.name.replace("-", "/") for variable in _decayed(layer.trainable_variables)}

    # As in Google's optimization.py, which leaves out what has LayerNorm, layer_norm or bias in its name.
    assert decayed() == {name for name in start.weights if "LayerNorm" not in name and "bias" not in name}
    kernels = [name.removesuffix("/kernel") for name in start.weights if name.endswith("/kernel")]
    assert decayed(lora_rank=2) == {f"{name}/lora_{part}" for name in kernels for part in ("down", "up")}
