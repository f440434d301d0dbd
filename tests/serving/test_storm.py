"""A sample of `tests/storm_server.py`, whose full runs are a script."""

import pytest

import storm_server

pytestmark = pytest.mark.timeout(240)


def test_requests_of_all_kinds() -> None:
    assert storm_server.requests(600, clients=8) == []


def test_it_ends_under_load() -> None:
    assert storm_server.terminate(1) == []


def test_it_loads_anew_under_load() -> None:
    assert storm_server.reload(3) == []


def test_the_queue_is_full_for_some_time() -> None:
    assert storm_server.full(1.0) == []
