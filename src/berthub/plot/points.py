"""A map of texts: a point for each, in the two directions in which the vectors differ most."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from berthub.errors import InputError
from berthub.plot.drawing import Drawn, Floats, checked, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["main_directions", "map"]

_MOST = 20_000
# More, and the words cover each other.
_NAMED = 40
_LONGEST_NAME = 32
_LONGEST_LABEL = 24
# Distinct for the colour-blind, too (Okabe and Ito, https://jfly.uni-koeln.de/color/).
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "os^Dv"
_OTHERS = "#BBBBBB"


def map(
    texts: Iterable[Any], vectors: Any, labels: Sequence[Any] | None = None, *, title: str | None = None
) -> "Figure":
    """Draw texts as points, near each other where their vectors are: a matplotlib `Figure`.

    `vectors` are an array [n, width], as `embed` returns it. The two axes are the directions in which the vectors
    differ most (a principal component analysis); each says how much of the difference it shows, and what lies in other
    directions is not seen. `labels`, one a text, give the points colours, with a legend; of many labels the rarer ones
    are grey. Up to 40 texts, or pairs of texts as tuples, stand beside their points. The same vectors give the same
    picture. `InputError` for more than 20,000 texts: draw a sample. It needs matplotlib; `MissingDependencyError` says
    how to install it.
    """
    listed, array = checked(texts, vectors, most=_MOST)
    if labels is not None and len(labels) != len(listed):
        raise InputError(f"there are {len(listed):,} texts and {len(labels):,} labels: give one label for each text")
    figure = new_figure(width=7.2, height=5.4)
    drawn = Drawn()
    places, shares = main_directions(array)
    axes = figure.add_subplot()
    size = float(np.clip(4000 / len(listed), 6, 36))
    for label, color, marker, rows in _groups(labels, len(listed)):
        shown = None if label is None else drawn.name(label, _LONGEST_LABEL)
        axes.scatter(
            places[rows, 0], places[rows, 1], s=size, color=color, marker=marker, linewidths=0, alpha=0.8, label=shown
        )
    if labels is not None:
        for text in figure.legend(frameon=False, loc="outside right upper").get_texts():
            text.set(**drawn.options)
    if len(listed) <= _NAMED:
        middle = float(np.median(places[:, 0]))
        for text, (x, y) in zip(listed, places, strict=True):
            # Into the picture, not out of it.
            side, shift = ("left", 5) if x <= middle else ("right", -5)
            axes.annotate(
                drawn.name(text, _LONGEST_NAME),
                (x, y),
                xytext=(shift, 3),
                textcoords="offset points",
                ha=side,
                fontsize=8,
                **drawn.options,
            )
    axes.set_xlabel(f"first direction: {shares[0]:.0%} of the difference")
    axes.set_ylabel(f"second direction: {shares[1]:.0%}")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.08)
    axes.spines[["top", "right"]].set_visible(False)
    if title is not None:
        axes.set_title(drawn.name(title, 80), **drawn.options)
    return figure


def main_directions(vectors: Floats) -> tuple[Floats, Floats]:
    """The places [n, 2] of vectors [n, width] in the two directions of most variance, and their shares of it, [2].

    A direction and its opposite serve equally: the one is taken whose largest component is positive.
    """
    centred = vectors - vectors.mean(axis=0)
    # The triangle of a QR factorization has the same directions, and no more rows than there are components.
    _, scales, directions = np.linalg.svd(np.linalg.qr(centred, mode="r"), full_matrices=False)
    count = min(2, len(scales))
    kept = np.zeros((2, vectors.shape[1]))
    kept[:count] = directions[:count]
    largest = np.take_along_axis(kept, np.abs(kept).argmax(1)[:, None], 1)
    variances, total = np.zeros(2), float((scales**2).sum())
    variances[:count] = scales[:count] ** 2
    return centred @ (kept * np.where(largest < 0, -1, 1)).T, variances / (total or 1.0)


def _groups(labels: Sequence[Any] | None, count: int) -> list[tuple[str | None, str, str, list[int]]]:
    """The name, colour and marker of each label, and the rows that have it; rare labels first, beneath the others."""
    if labels is None:
        return [(None, _COLORS[0], "o", list(range(count)))]
    names = [str(label) for label in labels]
    most = len(_COLORS) * 2
    common = sorted(name for name, _ in Counter(names).most_common(most))
    rows: dict[str, list[int]] = {name: [] for name in common}
    others: list[int] = []
    for row, name in enumerate(names):
        rows.get(name, others).append(row)
    groups: list[tuple[str | None, str, str, list[int]]] = []
    if others:
        groups.append((f"{len(set(names)) - len(common):,} other labels", _OTHERS, "o", others))
    for place, name in enumerate(common):
        color, marker = _COLORS[place % len(_COLORS)], _MARKERS[place // len(_COLORS) % len(_MARKERS)]
        groups.append((name, color, marker, rows[name]))
    return groups
