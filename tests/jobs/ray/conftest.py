"""Ray for the tests: one small local cluster, which is quiet and writes nothing to the home folder."""

import os
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from support.needs import why_skipped

# Object stores of the least size that Ray takes are enough for what the tests send.
OBJECT_STORE = 80 << 20


def quiet_ray() -> Any:
    """The module `ray`, set up before a cluster starts: no telemetry, no token in the home folder, few words."""
    if reason := why_skipped("ray"):
        pytest.skip(reason)
    os.environ.update(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0", RAY_DATA_DISABLE_PROGRESS_BARS="1")
    import ray
    import ray.data

    with warnings.catch_warnings():
        # Ray warns of a default of its own.
        warnings.simplefilter("ignore", DeprecationWarning)
        context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    return ray


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Ray with two processors on this machine."""
    ray = quiet_ray()
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=OBJECT_STORE, log_to_driver=False)
    yield ray
    ray.shutdown()
