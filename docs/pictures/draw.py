"""Draw the pictures of the documentation: `python docs/pictures/draw.py` writes the SVG files beside this script.

The heat map has the vectors of the default model, and the learning curves are those of history.json, which `train.py`
writes. All of them have a white ground, so that they can be read on dark pages, too.
"""

import json
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

import berthub as hub

_FOLDER = Path(__file__).parent
_BLUE, _ORANGE, _GREEN, _GREY = "#0072B2", "#D55E00", "#009E73", "#888888"


def svg(width: int, height: int, *parts: str) -> str:
    """A picture on a white card."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="15" fill="#222">\n'
        f'<rect width="{width}" height="{height}" rx="8" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def box(x: float, y: float, width: float, *, color: str, text: str = "", height: float = 30) -> str:
    """A rounded box with a text in its middle."""
    shape = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" fill="{color}" fill-opacity=".22"/>'
    return shape + label(x + width / 2, y + height / 2 + 5, text)


def label(x: float, y: float, text: str, *, anchor: str = "middle", color: str = "#222") -> str:
    """A text at a place."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{color}">{text}</text>'


def line(x1: float, y1: float, x2: float, y2: float, *, color: str = _GREY) -> str:
    """A thin line."""
    return f'<path d="M{x1} {y1}L{x2} {y2}" stroke="{color}" stroke-width="1.5" fill="none"/>'


def pooling() -> str:
    """Token vectors, and which of them each pooling takes."""
    pieces = ["[CLS]", "the", "fox", "runs", "[SEP]"]
    parts = [label(14, 24, "pieces, and their vectors", anchor="start", color="#555")]
    places = [42 + 74 * number for number in range(5)]
    for x, piece in zip(places, pieces, strict=True):
        parts.append(box(x - 28, 34, 62, color=_GREY, text=piece))
        parts += [line(x + 3, 66, x + 3, 98), box(x - 28, 100, 62, color=_BLUE, height=26, text="vector")]
    rows = [
        ("cls", [0], "the first token's vector"),
        ("mean", range(5), "the mean of all of them"),
        ("max", range(5), "the largest of each component"),
        ("pooled", [0], "the first, through one more layer"),
    ]
    for number, (name, taken, words) in enumerate(rows):
        y = 150 + 58 * number
        for place, x in enumerate(places):
            color = _ORANGE if place in taken else _GREY
            opacity = 1 if place in taken else 0.25
            parts.append(f'<circle cx="{x + 3}" cy="{y}" r="7" fill="{color}" fill-opacity="{opacity}"/>')
        parts.append(f'<text x="14" y="{y + 30}"><tspan font-weight="600">{name}</tspan>: {words}</text>')
    return svg(390, 368, *parts)


def windows() -> str:
    """A long text in windows that overlap, and from which one each token's vector is taken."""
    step, left = 22, 20
    parts = [label(left, 24, "16 tokens, window=10, stride=4", anchor="start", color="#555")]

    def row(y: float, first: int, count: int, kept: range, color: str) -> list[str]:
        return [
            f'<rect x="{left + step * place}" y="{y}" width="{step - 3}" height="24" rx="3" fill="{color}" '
            f'fill-opacity="{0.8 if place in kept else 0.2}"/>'
            for place in range(first, first + count)
        ]

    parts += row(36, 0, 16, range(16), _GREY)
    for number, (first, kept, color) in enumerate(_windows(16, 8, 4)):
        y = 92 + 62 * number
        parts.append(label(left, y - 8, f"window {number + 1}", anchor="start", color=color))
        parts += row(y, first, min(8, 16 - first), kept, color)
    parts.append(label(left, 284, "the vectors of the whole text", anchor="start", color="#555"))
    for _, kept, color in _windows(16, 8, 4):
        parts += row(294, kept.start, len(kept), kept, color)
    parts.append(label(left, 344, "Dark: taken from this window, where the", anchor="start"))
    parts.append(label(left, 364, "token has the most context. [CLS] and", anchor="start"))
    parts.append(label(left, 384, "[SEP] of each window are not drawn.", anchor="start"))
    return svg(390, 400, *parts)


def _windows(tokens: int, room: int, stride: int) -> list[tuple[int, range, str]]:
    """The first token of each window, the tokens taken from it, and its colour."""
    starts = list(range(0, tokens - stride, room - stride))
    owners = []
    for token in range(tokens):
        context = [
            min(token - start, min(start + room, tokens) - 1 - token) if start <= token < start + room else -1
            for start in starts
        ]
        owners.append(context.index(max(context)))
    return [
        (start, range(owners.index(number), owners.index(number) + owners.count(number)), color)
        for number, (start, color) in enumerate(zip(starts, (_BLUE, _ORANGE, _GREEN), strict=True))
    ]


def similarity() -> Figure:
    """How alike nine sentences on three subjects are."""
    texts = [
        "Banks raise interest rates.",
        "Inflation worries investors.",
        "The stock market fell.",
        "The striker scored twice.",
        "Our team won the cup.",
        "The keeper saved a penalty.",
        "Bake the bread slowly.",
        "The soup needs salt.",
        "Basil goes with tomatoes.",
    ]
    return hub.plot.similarity(texts, hub.load().embed(texts))


def curves() -> Figure:
    """The losses and the accuracy of a fine-tuning."""
    history = json.loads((_FOLDER / "history.json").read_text(encoding="utf-8"))
    figure = Figure(figsize=(4.4, 5.2), layout="constrained")
    above, below = figure.subplots(2, 1)
    epochs = [row["epoch"] for row in history]
    for axes, name, words, color in (
        (above, "loss", "training loss", _BLUE),
        (above, "dev_loss", "dev loss", _ORANGE),
        (below, "dev_accuracy", "accuracy on dev data", _GREEN),
    ):
        axes.plot(epochs, [row[name] for row in history], marker="o", color=color, label=words)
    for axes in (above, below):
        axes.set_xticks(epochs)
        axes.grid(color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    below.set_xlabel("epoch")
    return figure


if __name__ == "__main__":
    # The same bytes every time, and texts as texts.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "berthub"})
    for drawn in (pooling, windows):
        (_FOLDER / f"{drawn.__name__}.svg").write_text(drawn(), encoding="utf-8")
    for figure, name in ((similarity, "similarity"), (curves, "learning-curves")):
        figure().savefig(_FOLDER / f"{name}.svg", facecolor="white", metadata={"Date": None})
