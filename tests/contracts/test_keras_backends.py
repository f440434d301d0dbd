"""What holds for the Keras side holds on each backend: Keras can have one in a process, so the others get their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from berthub.keras_backend import BACKENDS
from support.needs import needs, why_skipped

_ROOT = Path(__file__).parent.parent.parent
_TRAINING = "tests/training/test_"
# The others do not come near a backend.
_NAMES = (
    "gradients",
    "keras_export",
    "keras_layer",
    "keras_models",
    "preprocessing_layer",
    "randomness",
    "resume",
    "saving",
    "scikit_learn",
    "steps",
    "tasks",
    "torch_forward",
    "torch_ops",
)
_ALL = [*(f"{_TRAINING}{name}.py" for name in _NAMES), "tests/contracts/test_examples.py"]
# The part of them that runs wherever all tests run: numbers and gradients, the step, saved, reloaded, and resumed.
_SOME = [
    f"{_TRAINING}keras_export.py::test_saved_by_tensorflow",
    f"{_TRAINING}keras_layer.py::test_float32_equals_the_original[tf2_v4]",
    f"{_TRAINING}keras_layer.py::test_in_a_model_wrong_values_are_an_error_or_nan",
    f"{_TRAINING}gradients.py::test_gradients_equal_the_original",
    f"{_TRAINING}randomness.py::test_dropout_keeps_the_mean",
    f"{_TRAINING}steps.py",
    f"{_TRAINING}saving.py::test_a_training_goes_on_after_a_reload",
    # PyTorch's own, which no other backend can run.
    f"{_TRAINING}torch_forward.py",
    f"{_TRAINING}torch_ops.py",
]

pytestmark = [pytest.mark.slow, needs("keras")]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", BACKENDS)
def test_each_backend_trains(backend: str) -> None:
    # The processors have other tests to run.
    _run(backend, "-n", "0", *_SOME)


@pytest.mark.backends
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backend", BACKENDS)
def test_on_every_backend(backend: str) -> None:
    _run(backend, *_ALL)


def _run(backend: str, *arguments: str) -> None:
    """Run tests in a process whose Keras is on `backend`."""
    if reason := why_skipped(backend):
        pytest.skip(reason)
    if backend == _here():
        pytest.skip(f"Keras is on {backend} in this process: its tests are run beside this one")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments],
        cwd=_ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"on {backend}:\n{done.stdout[-6000:]}\n{done.stderr[-1000:]}"


def _here() -> str:
    """The backend that Keras has in this process."""
    from berthub.training.backend import import_keras

    backend: str = import_keras().config.backend()
    return backend
