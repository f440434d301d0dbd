"""A sample of `tests/fuzz_server.py`, whose full run is a script, against the protocol and a tiny application."""

from collections import Counter

import pytest

import fuzz_server
from berthub.serving.bounds import Bounds
from support.bounded_server import BoundedServer
from support.needs import needs


@pytest.mark.parametrize("loop", ["asyncio", pytest.param("uvloop", marks=needs("uvloop"))])
def test_damaged_and_random_requests(loop: str) -> None:
    outcomes: Counter[str] = Counter()
    with BoundedServer(Bounds(header_count=50), loop) as server:
        address = ("127.0.0.1", server.port)
        assert fuzz_server.run_batch(address, range(300), outcomes) == []
        assert server.serves()
    # The sample reaches what it is about.
    assert {"200", "400", "431", "no answer"} <= set(outcomes)


def test_a_case_is_its_seed() -> None:
    cases = [fuzz_server.make_case(fuzz_server.random.Random(seed), key="secret") for seed in range(50)]
    assert cases == [fuzz_server.make_case(fuzz_server.random.Random(seed), key="secret") for seed in range(50)]
    assert len(set(cases)) > 40


def test_a_server_that_breaks_is_found() -> None:
    outcomes: Counter[str] = Counter()
    with BoundedServer(Bounds(), "asyncio", broken=True) as server:
        failures = fuzz_server.run_batch(("127.0.0.1", server.port), range(20), outcomes)
    assert any(failure.endswith("500") for failure in failures)
    assert failures[-1].startswith("GET /health after seed 19: 500")
    failures = fuzz_server.run_batch(("127.0.0.1", server.port), range(1), outcomes)
    assert failures[-1].startswith("GET /health after seed 0: ConnectionRefusedError")
