"""What notebooks show of a training: the learning curves as inline SVG."""

import math
from collections.abc import Mapping, Sequence

from berthub.html import card, escaped, rows_table

__all__ = ["training_html"]

_LOSSES = {"loss": "training", "dev_loss": "dev"}
_NOT_DRAWN = {"epoch", "seconds", "examples_per_second"}
# Readable on light and on dark pages.
_COLORS = ("#2f8fd0", "#e07b39", "#1fa37a", "#c774ae", "#b5902a", "#8a8f98")
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 320, 200, 42, 22, 12, 38
_MOST_POINTS = 200
_MOST_CURVES = 6


def training_html(
    title: str, *, history: Sequence[Mapping[str, float]], best_epoch: int, facts: list[tuple[str, str]]
) -> str:
    """The facts as a table, and under it the losses and the scores on dev data over the epochs."""
    keys = [key for key in dict.fromkeys(key for row in history for key in row) if key not in _NOT_DRAWN]
    panels = [
        _panel(history, [key for key in keys if (key in _LOSSES) is losses], panel_title, best_epoch)
        for losses, panel_title in ((True, "loss"), (False, "score on dev data"))
    ]
    drawn = '<div style="display:flex;flex-wrap:wrap;gap:12px">' + "".join(panels) + "</div>" if any(panels) else ""
    return card(title, rows_table(facts), drawn)


def _panel(history: Sequence[Mapping[str, float]], keys: list[str], title: str, best_epoch: int) -> str:
    step = max(1, math.ceil(len(history) / _MOST_POINTS))
    rows = [row for place, row in enumerate(history) if place % step == 0 or place == len(history) - 1]
    curves = {
        key: points
        for key in keys[:_MOST_CURVES]
        if (points := [(row["epoch"], row[key]) for row in rows if key in row and math.isfinite(row[key])])
    }
    if not curves:
        return ""
    epochs = [epoch for points in curves.values() for epoch, _ in points]
    values = [value for points in curves.values() for _, value in points]
    across = _Scale(min(epochs), max(epochs), _LEFT, _WIDTH - _RIGHT)
    up = _Scale(min(values), max(values), _HEIGHT - _BOTTOM, _TOP)
    parts = [_text(_LEFT, 13, title, "start", 'font-weight="600"')]
    for value in up.marks():
        place = up(value)
        parts.append(f'<path d="M{_LEFT} {place:.1f}H{_WIDTH - _RIGHT}" stroke="currentColor" opacity=".15"/>')
        parts.append(_text(_LEFT - 5, place + 4, f"{value:.3g}", "end"))
    for epoch in sorted({min(epochs), max(epochs)}):
        parts.append(_text(across(epoch), _HEIGHT - _BOTTOM + 15, f"{epoch:g}", "middle"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - _BOTTOM + 15, "epoch", "middle"))
    if min(epochs) < best_epoch < max(epochs) or (best_epoch in epochs and min(epochs) < max(epochs)):
        line = f"M{across(best_epoch):.1f} {_TOP}V{_HEIGHT - _BOTTOM}"
        dashes = 'stroke="currentColor" stroke-dasharray="3 3" opacity=".5"'
        parts.append(f'<path d="{line}" {dashes}><title>the best epoch</title></path>')
    legend = []
    for (key, points), color in zip(curves.items(), _COLORS, strict=False):
        places = [(across(epoch), up(value)) for epoch, value in points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        if len(places) <= 30:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in places]
        name = escaped(_LOSSES.get(key, key)[:30])
        legend.append(f'<span style="white-space:nowrap"><b style="color:{color}">&#9679;</b> {name}</span> ')
    return (
        f'<div><svg width="{_WIDTH}" height="{_HEIGHT - 14}" viewBox="0 0 {_WIDTH} {_HEIGHT - 14}" font-size="11" '
        f'font-family="system-ui,sans-serif" role="img" aria-label="{escaped(title)}">{"".join(parts)}</svg>'
        f'<div style="max-width:{_WIDTH}px;padding-left:{_LEFT}px;box-sizing:border-box;font-size:12px">'
        f"{''.join(legend)}</div></div>"
    )


class _Scale:
    """Where numbers from `low` to `high` lie between two places of the picture."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        self._low, self._high = (low, high) if high > low else (low - 0.5, high + 0.5)
        self._begin, self._end = begin, end

    def __call__(self, value: float) -> float:
        return self._begin + (value - self._low) / (self._high - self._low) * (self._end - self._begin)

    def marks(self) -> list[float]:
        return [self._low + part * (self._high - self._low) / 3 for part in range(4)]


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor" {more}>{escaped(text)}</text>'
