"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from berthub.networks.bert import BertConfig
from support.needs import why_elsewhere

_ROOT = Path(__file__).parent.parent

# Tests run in several processes, in which threads only get into each other's way: by more of them, and by sums in
# another order from time to time.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
    os.environ.setdefault(_name, "1")
# Tiny models spend their time in compilers. JAX reads this when it is imported.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

# No test asserts a time, and on a busy machine any example can take long: to compute, or to be drawn.
settings.register_profile("berthub", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("berthub")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that have a session of their own, unless this is it."""
    for item in items:
        if reason := why_elsewhere(item):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def models() -> Path:
    """Tiny models, one folder for each format, as their original exporters wrote them."""
    return Path(__file__).parent / "data" / "models"


@pytest.fixture(scope="session")
def minilm() -> Path:
    """A real, trained model with TensorFlow's outputs, where the surroundings of the checkout have it."""
    folder = _ROOT.parent / "shared" / "models" / "minilm"
    if not folder.is_dir():
        pytest.skip(f"needs {os.path.relpath(folder, _ROOT)}, which is not part of the repository")
    return folder


@pytest.fixture
def config() -> BertConfig:
    """A configuration, for what needs any."""
    return BertConfig(
        vocab_size=10,
        hidden_size=8,
        num_layers=2,
        num_heads=2,
        intermediate_size=12,
        max_positions=16,
        type_vocab_size=2,
        activation="gelu_tanh",
        layer_norm_eps=1e-12,
        lower_case=True,
    )
