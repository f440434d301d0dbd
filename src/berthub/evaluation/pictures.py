"""Draw pictures of a training and of its result, as PNG files or in the format of the path's extension."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from berthub.atomic import written_path
from berthub.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_confusion", "draw_learning_curves", "draw_regression"]

_DPI = 150
# More, and numbers in the cells can no longer be read.
_NUMBERED_LABELS = 25
# More, and the names at the axes cover each other.
_NAMED_LABELS = 60
_LONGEST_NAME = 30
# In points; where numbers would have to be smaller, they are rounded.
_SMALLEST_DIGITS = 5.0
_LOSSES = {"loss": "training", "dev_loss": "dev"}
# Distinct for the colour-blind, too (Okabe and Ito, https://jfly.uni-koeln.de/color/).
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def draw_learning_curves(history: Sequence[Mapping[str, float]], path: str | os.PathLike[str]) -> None:
    """Draw the learning curves: losses in one panel, the scores on dev data, where there are any, in another.

    `history` has one mapping for each epoch: `epoch` and `loss`, perhaps `dev_loss`, and every other key is a score.
    Of a single epoch there are bars.
    `InputError` for an empty one, `MissingDependencyError` without matplotlib.
    """
    if not history:
        raise InputError("the history has no epochs, and there is nothing to draw")
    keys = list(dict.fromkeys(key for row in history for key in row if key != "epoch"))
    losses, scores = [key for key in keys if key in _LOSSES], [key for key in keys if key not in _LOSSES]
    panels = [part for part in ((losses, "loss"), (scores, "score on dev data")) if part[0]]
    figure = _figure(width=4.8 * len(panels), height=3.6)
    for axes, (names, title) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        if len(history) == 1:
            _draw_bars(axes, {_LOSSES.get(name, name): history[0][name] for name in names}, title)
            continue
        for name, color in zip(names, _cycled(len(names)), strict=True):
            points = [(row["epoch"], row[name]) for row in history if name in row]
            axes.plot(*zip(*points, strict=True), marker="o", markersize=4, color=color, label=_LOSSES.get(name, name))
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.legend(frameon=False)
        _plain(axes)
    _save(figure, path)


def _draw_bars(axes: "Axes", values: Mapping[str, float], title: str) -> None:
    """Write the values where there is one epoch: no curve goes through a single point."""
    bars = axes.bar(list(values), list(values.values()), width=0.5, color=_cycled(len(values)))
    axes.bar_label(bars, fmt="{:.3f}")
    axes.set_title(f"{title}, one epoch")
    axes.margins(y=0.15)
    if len(values) > 2:
        axes.tick_params(axis="x", rotation=30)
    _plain(axes)


def draw_confusion(matrix: npt.NDArray[np.integer[Any]], labels: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Draw a confusion matrix: integers [n, n] of counts, a row for each true label, a column for each predicted one.

    Colours are shares of the row, since labels differ in how often they occur; cells show counts where there are at
    most 25 labels, rounded where they would not fit. `InputError` for a matrix that does not fit the labels,
    `MissingDependencyError` without matplotlib.
    """
    matrix = np.asarray(matrix)
    count = len(labels)
    if not count or matrix.shape != (count, count):
        raise InputError(f"the matrix has shape {matrix.shape}, and {count} labels call for {(count, count)}")
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = float(np.clip(0.45 * count + 2, 4, 14))
    figure = _figure(width=side + 0.8, height=side)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.02)
    bar.set_label("share of the true label")
    bar.outline.set_visible(False)
    ticks = np.arange(count) if count <= _NAMED_LABELS else np.array([], np.int64)
    names = [_shortened(labels[index]) for index in ticks]
    rotation = 90 if max(map(len, labels)) > 4 else 0
    # A label may hold dollar signs, which would begin a formula.
    axes.set_xticks(ticks, names, rotation=rotation, parse_math=False)
    axes.set_yticks(ticks, names, parse_math=False)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    if count <= _NUMBERED_LABELS:
        # What is left for the cells beside names, bar and margins.
        size = _digit_size(int(matrix.max()), cell=0.75 * side / count)
        for (row, column), number in np.ndenumerate(matrix):
            color = "white" if shares[row, column] > 0.5 else "black"
            shown = f"{number:,}" if size >= _SMALLEST_DIGITS else _rounded(int(number))
            axes.text(column, row, shown, ha="center", va="center", color=color, fontsize=max(size, _SMALLEST_DIGITS))
    _save(figure, path)


def draw_regression(truth: Sequence[float], predicted: Sequence[float], path: str | os.PathLike[str]) -> None:
    """Draw predicted numbers over true ones, n of each, with the diagonal on which they are equal.

    `InputError` for different numbers or none, `MissingDependencyError` without matplotlib.
    """
    true, said = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if true.shape != said.shape or true.ndim != 1 or not len(true):
        raise InputError(f"there are true numbers {true.shape} and predicted {said.shape}: give as many of each")
    figure = _figure(width=4.8, height=4.8)
    axes = figure.add_subplot()
    low, high = min(true.min(), said.min()), max(true.max(), said.max())
    margin = 0.04 * (high - low) or 1.0
    span = (low - margin, high + margin)
    axes.plot(span, span, color="0.6", linewidth=1, linestyle="--", zorder=1)
    opacity = float(np.clip(300 / len(true), 0.1, 0.7))
    axes.scatter(true, said, s=14, color=_COLORS[0], alpha=opacity, linewidths=0, zorder=2)
    axes.set_xlim(span)
    axes.set_ylim(span)
    axes.set_aspect("equal")
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    _plain(axes)
    _save(figure, path)


def _figure(*, width: float, height: float) -> "Figure":
    # Not pyplot: it keeps figures and chooses a screen's backend for the whole process.
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "pictures need matplotlib, which is not installed: pip install 'berthub[finetune]'"
        ) from error
    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _save(figure: "Figure", path: str | os.PathLike[str]) -> None:
    with written_path(Path(path), overwrite=True) as unfinished:
        figure.savefig(unfinished)


def _digit_size(largest: int, *, cell: float) -> float:
    """The font size in points at which the largest number fits into a cell; a digit is 0.6 as wide as high."""
    return min(8.0, 0.9 * cell * 72 / (0.6 * len(f"{largest:,}")))


def _rounded(number: int) -> str:
    """A number in four characters at most: 9500, 12k, 4M."""
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if number >= unit:
            return f"{number // (1000 if name == 'k' else unit)}{name}"
    return str(number)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 3] + "..."


def _cycled(count: int) -> list[str]:
    return [_COLORS[index % len(_COLORS)] for index in range(count)]


def _plain(axes: "Axes") -> None:
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
