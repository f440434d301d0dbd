"""What the tests of the Keras side share; they run on the backend that Keras has in this process."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.formats import read
from support.gradients import batch
from support.needs import module_needs

pytest_pycollect_makemodule = module_needs("keras")


@pytest.fixture(scope="session")
def keras() -> Any:
    from berthub.training.backend import import_keras

    return import_keras()


@pytest.fixture(scope="session")
def layer(models: Path) -> hub.KerasLayer:
    """A frozen layer that no test changes."""
    return hub.KerasLayer(models / "tf2_v4")


@pytest.fixture(scope="session")
def start(models: Path) -> Checkpoint:
    """A model of one layer, which is what training tests need: graphs are built and compiled for each of them."""
    checkpoint = read(models / "tf2_v4")
    return dataclasses.replace(
        checkpoint,
        config=dataclasses.replace(checkpoint.config, num_layers=1),
        weights={name: weight for name, weight in checkpoint.weights.items() if "layer_1" not in name},
    )


@pytest.fixture
def inputs() -> dict[str, np.ndarray]:
    return batch()


@pytest.fixture(scope="session", autouse=True)
def small_models_are_quick(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Spare the backends what pays for large models only."""
    match keras.config.backend():
        case "torch":
            import torch

            # Threads that wait for each other on a busy machine take ten times as long as the work.
            torch.set_num_threads(1)
        case "jax":
            import jax

            # One compilation takes as long as all else here, and many tests train alike.
            jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("jax")))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
            jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
