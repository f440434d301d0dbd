"""The bounds on what a body may hold, and the fields of bodies."""

import json
import random
from typing import Any

import pytest

from berthub.serving import bodies
from berthub.serving.bodies import json_value
from berthub.serving.failures import TooLargeError


@pytest.mark.parametrize(
    "value", ["[]", "[[]]", "{}", '"a"', r'"\""', '{"b64":""}', '{"a":1}'], ids=["[]", "[[]]", "{}", "a", "q", "b", "k"]
)
def test_millions_of_values_are_refused_before_they_are_parsed(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = f"[{','.join([value] * 100_000)}]".encode()
    monkeypatch.setattr(bodies, "orjson", None)
    with pytest.raises(TooLargeError, match=r"the body has [12]\d\d,\d{3} or more lists, objects and strings, and at"):
        json_value(body)


@pytest.mark.parametrize(
    "value", [["[]{}" * 50_000], ['"' * 200_000], ['\\"[\\' * 50_000], [1] * 200_000, [["[MASK]", "b"]] * 8192]
)
def test_long_texts_and_many_numbers_are_taken(value: Any) -> None:
    assert json_value(json.dumps(value).encode()) == value


def test_values_are_counted_outside_of_strings() -> None:
    choose = random.Random(3)

    def made(depth: int) -> Any:
        kind = choose.random()
        if kind < 0.4 or depth > 5:
            return "".join(choose.choices('\\"[{a]}:,', k=choose.randrange(6)))
        if kind < 0.7:
            return [made(depth + 1) for _ in range(choose.randrange(4))]
        return {str(made(9)): made(depth + 1) for _ in range(choose.randrange(4))}

    def count(value: Any) -> int:
        if isinstance(value, list):
            return 1 + sum(map(count, value))
        return 1 + sum(1 + count(each) for each in value.values()) if isinstance(value, dict) else 1

    for _ in range(300):
        value = made(0)
        body, there = json.dumps(value).encode(), count(value)
        bodies._check_values(body, there)
        with pytest.raises(TooLargeError):
            bodies._check_values(body, there - 1)
