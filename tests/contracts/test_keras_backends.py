"""What holds for the Keras side holds on each backend: Keras can have one in a process, so the others get their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from berthub.keras_backend import BACKENDS
from support.needs import needs, why_skipped

_ROOT = Path(__file__).parent.parent.parent
# The others do not come near a backend.
_NAMES = (
    "gradients",
    "keras_layer",
    "keras_models",
    "randomness",
    "resume",
    "saving",
    "steps",
    "tasks",
    "torch_forward",
    "torch_ops",
)
_TESTS = [*(f"tests/training/test_{name}.py" for name in _NAMES), "tests/contracts/test_examples.py"]


@pytest.mark.slow
@needs("keras")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", BACKENDS)
def test_on_every_backend(backend: str) -> None:
    from berthub.training.backend import import_keras

    if reason := why_skipped(backend):
        pytest.skip(reason)
    if backend == import_keras().config.backend():
        pytest.skip(f"Keras is on {backend} in this process: its tests are run beside this one")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *_TESTS],
        cwd=_ROOT,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"on {backend}:\n{done.stdout[-6000:]}\n{done.stderr[-1000:]}"
