"""Heat maps of cosine similarity: of texts, and of the tokens of a text."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from berthub.plot.drawing import Drawn, Floats, checked, new_figure
from berthub.vector_layers import unit_length

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["similarity", "tokens"]

_MOST = 1000
# More, and names cover each other, or numbers do not fit into their cells.
_NAMED, _NUMBERED = 60, 16
_LONGEST_NAME = 36
_MOST_TOKENS = 60


def similarity(texts: Iterable[Any], vectors: Any, *, title: str | None = None) -> "Figure":
    """Draw how alike each text is to each other one, a heat map of cosine similarity: a matplotlib `Figure`.

    `vectors` are an array [n, width], as `embed` returns it. The names of up to 60 texts stand at the side, of pairs
    both; cells of up to 16 have numbers. `InputError` for more than 1,000 texts. It needs matplotlib;
    `MissingDependencyError` says how to install it.
    """
    listed, array = checked(texts, vectors, most=_MOST)
    return _drawn(listed, array, title="cosine similarity" if title is None else title)


def tokens(pieces: Sequence[str], vectors: Any, *, title: str | None = None) -> "Figure":
    """Draw how alike the vectors [tokens, width] of a text's pieces are: a matplotlib `Figure`.

    Of more than 60 pieces the first 60 are drawn, and the title says so.
    """
    total = len(pieces)
    listed, array = checked(pieces[:_MOST_TOKENS], vectors[:_MOST_TOKENS], most=_MOST_TOKENS)
    words = "cosine similarity of the token vectors" if title is None else title
    return _drawn(listed, array, title=f"{words}, first {len(listed)} of {total:,}" if total > len(listed) else words)


def _drawn(texts: list[Any], vectors: Floats, *, title: str) -> "Figure":
    unit = unit_length(vectors.astype(np.float32))
    cosines = unit @ unit.T
    count = len(texts)
    side = float(np.clip(0.36 * count, 2.6, 9))
    drawn_names = count <= _NAMED
    figure = new_figure(width=side + (3.2 if drawn_names else 1.2), height=side + (0.9 if drawn_names else 0.6))
    drawn = Drawn()
    axes = figure.add_subplot()
    low = min(0.0, float(cosines.min()))
    image = axes.imshow(cosines, cmap="viridis", vmin=low, vmax=1)
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.02)
    bar.outline.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if drawn_names:
        size = float(np.clip(72 * 0.7 * side / count, 4, 9))
        names = [drawn.name(text, _LONGEST_NAME) for text in texts]
        numbers = [str(number) for number in range(count)]
        axes.set_yticks(
            range(count),
            [f"{name}  {number}" for name, number in zip(names, numbers, strict=True)],
            fontsize=size,
            **drawn.options,
        )
        axes.set_xticks(range(count), numbers, fontsize=min(size, 8))
    else:
        axes.set_xlabel("number of the text")
    if count <= _NUMBERED:
        for (row, column), value in np.ndenumerate(cosines):
            # Light on the dark end of the colours, dark on the light one.
            color = "white" if (value - low) / (1 - low) < 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=7)
    axes.set_title(drawn.name(title, 80), fontsize=10, **drawn.options)
    return figure
