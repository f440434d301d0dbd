"""Counters, gauges and histograms that are cheap to update and are shown by prometheus_client.

They differ from prometheus_client's own in four ways. One lock guards them all, so that an exposition is one moment. A
histogram takes n equal observations at once. A counter may have a name without `_total`, as text-embeddings-inference
writes its counters. The number of label values is bounded, whatever callers pass.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from threading import Lock

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["Counter", "Gauge", "Histogram", "Labels", "Series"]

Labels = tuple[str, ...]

# Past so many combinations of label values, further ones are counted together.
_MOST_SERIES = 1000


class _Family:
    """What the three kinds share: a name, a description, names of labels. Callers hold the lock of all series."""

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self._about = about
        self._labels = tuple(labels)

    def _bounded(self, labels: Labels, known: int) -> Labels:
        return labels if known < _MOST_SERIES else ("other",) * len(self._labels)


class Counter(_Family):
    """A number that grows. `plain` leaves `_total` off its name."""

    def __init__(self, name: str, about: str, labels: Sequence[str] = (), *, plain: bool = False) -> None:
        super().__init__(name, about, labels)
        self.plain = plain
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}

    def add(self, amount: float = 1.0, labels: Labels = ()) -> None:
        """Add to the value of these labels."""
        values = self._values
        if labels not in values:
            labels = self._bounded(labels, len(values))
        values[labels] = values.get(labels, 0.0) + amount

    def copy(self) -> Metric:
        """The values of now, for an exposition."""
        if self.plain:
            # OpenMetrics knows no counter without `_total`, and has "unknown" for such.
            plain = Metric(self.name, self._about, "unknown")
            for labels, value in self._values.items():
                plain.add_sample(self.name, dict(zip(self._labels, labels, strict=True)), value)
            return plain
        family = CounterMetricFamily(self.name, self._about, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return family


class Gauge(_Family):
    """A number that is set, or goes up and down."""

    def __init__(self, name: str, about: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, about, labels)
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}

    def set(self, value: float, labels: Labels = ()) -> None:
        """Set the value of these labels."""
        if labels not in self._values:
            labels = self._bounded(labels, len(self._values))
        self._values[labels] = value

    def add(self, amount: float, labels: Labels = ()) -> None:
        """Add to the value of these labels."""
        if labels not in self._values:
            labels = self._bounded(labels, len(self._values))
        self._values[labels] = self._values.get(labels, 0.0) + amount

    def total(self) -> float:
        """The sum over all labels."""
        return sum(self._values.values())

    def copy(self) -> Metric:
        """The values of now, for an exposition."""
        family = GaugeMetricFamily(self.name, self._about, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        return family


class Histogram(_Family):
    """How often a value fell into each of the buckets, which are given by their upper bounds."""

    def __init__(self, name: str, about: str, labels: Sequence[str] = (), *, bounds: Sequence[float]) -> None:
        super().__init__(name, about, labels)
        self._bounds = list(bounds)
        self._names = [repr(float(bound)) for bound in bounds] + ["+Inf"]
        self._values: dict[Labels, list[float]] = {} if labels else {(): self._empty()}

    def observe(self, value: float, labels: Labels = (), times: int = 1) -> None:
        """Count a value, as often as it occurred."""
        counts = self._values.get(labels)
        if counts is None:
            counts = self._values.setdefault(self._bounded(labels, len(self._values)), self._empty())
        counts[bisect_left(self._bounds, value)] += times
        counts[-1] += value * times

    def observe_all(self, values: np.ndarray) -> None:
        """Count many values, of a histogram without labels."""
        counts = self._values[()]
        for position, count in enumerate(np.bincount(np.searchsorted(self._bounds, values)).tolist()):
            counts[position] += count
        counts[-1] += float(values.sum())

    def copy(self) -> Metric:
        """The values of now, for an exposition."""
        family = HistogramMetricFamily(self.name, self._about, labels=self._labels)
        for labels, counts in self._values.items():
            buckets = zip(self._names, accumulate(counts[:-1]), strict=True)
            family.add_metric(labels, list(buckets), counts[-1])
        return family

    def _empty(self) -> list[float]:
        """A count for each bucket, one for what is above all of them, and the sum of the values."""
        return [0.0] * (len(self._bounds) + 2)


class Series(Collector):
    """All families, as one collector; `lock` is held while they are updated and copied."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._families: list[Counter | Gauge | Histogram] = []

    def counter(self, name: str, about: str, labels: Sequence[str] = (), *, plain: bool = False) -> Counter:
        """A new counter among these series."""
        counter = Counter(name, about, labels, plain=plain)
        self._families.append(counter)
        return counter

    def gauge(self, name: str, about: str, labels: Sequence[str] = ()) -> Gauge:
        """A new gauge among these series."""
        gauge = Gauge(name, about, labels)
        self._families.append(gauge)
        return gauge

    def histogram(self, name: str, about: str, labels: Sequence[str] = (), *, bounds: Sequence[float]) -> Histogram:
        """A new histogram among these series."""
        histogram = Histogram(name, about, labels, bounds=bounds)
        self._families.append(histogram)
        return histogram

    @property
    def plain(self) -> list[str]:
        """The names of the counters without `_total`."""
        return [family.name for family in self._families if isinstance(family, Counter) and family.plain]

    def collect(self) -> list[Metric]:
        """Every family with its values of now."""
        with self.lock:
            return [family.copy() for family in self._families]
