"""Ray for tests: quiet, small, and without a trace in the home folder."""

import gc
import os
import warnings
from typing import Any

import pytest

from support.needs import why_skipped

__all__ = ["OBJECT_STORE", "quiet_ray", "shut_down"]

OBJECT_STORE = 80 << 20
"""About the least size of an object store that Ray takes; it is enough for what tests send."""


def quiet_ray() -> Any:
    """The module `ray`, set up before a cluster starts: no telemetry, no token in the home folder, no progress bars."""
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


def shut_down(ray: Any) -> None:
    """End Ray, and forget its processes now: it does not wait for them, of which Python warns when it does so later."""
    ray.shutdown()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
