"""A cluster of Ray for the tests of this folder."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.ray_cluster import OBJECT_STORE, quiet_ray, shut_down


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Ray with two processors on this machine."""
    ray = quiet_ray()
    if not ray.is_initialized():
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=OBJECT_STORE, log_to_driver=False)
    yield ray
    shut_down(ray)
