"""What was measured, as tables, and the exponents that say how it grows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.tables import Table

# All texts in one call, or encodings that are let go one after the other.
WAYS = ("encode", "stream")
_MEASURES = ("seconds", "cpu_seconds", "mebibytes")


@dataclass(frozen=True)
class Point:
    """A measured point: texts and real tokens, the time that they took, and the process's peak memory."""

    model: str
    way: str
    texts: int
    tokens: int
    seconds: float
    cpu_seconds: float
    mebibytes: float

    @property
    def series(self) -> str:
        return f"{self.model}, {self.way}"


def by_series(points: Sequence[Point]) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.series, []).append(point)
    return found


def exponents(points: Sequence[Point]) -> dict[str, dict[str, float]]:
    """Each measure as a power of the tokens: 1 is linear, 0 constant. Least squares of logarithms, by series."""
    found = {}
    for series, own in by_series(points).items():
        if len(own) > 1:
            tokens = np.log([point.tokens for point in own])
            logs = {name: np.log([getattr(point, name) for point in own]) for name in _MEASURES}
            found[series] = {name: float(np.polyfit(tokens, values, 1)[0]) for name, values in logs.items()}
    return found


def tables(points: Sequence[Point]) -> Iterator[Table]:
    for series, own in by_series(points).items():
        header = ["texts", "tokens", "seconds", "tokens/s", "tokens per CPU second", "peak MiB"]
        lines = [
            [
                f"{point.texts:,}",
                f"{point.tokens:,}",
                f"{point.seconds:.2f}",
                f"{point.tokens / point.seconds:,.0f}",
                f"{point.tokens / point.cpu_seconds:,.0f}",
                f"{point.mebibytes:,.0f}",
            ]
            for point in own
        ]
        yield series, header, lines
    fitted = [[series, *(f"{found[name]:.3f}" for name in _MEASURES)] for series, found in exponents(points).items()]
    if fitted:
        yield "As a power of the tokens", ["", "seconds", "CPU seconds", "peak memory"], fitted
