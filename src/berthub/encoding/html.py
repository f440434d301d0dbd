"""What notebooks show of an encoder and of encodings: HTML of bounded size."""

import dataclasses
import itertools
import unicodedata
from typing import TYPE_CHECKING

from berthub.encoding.compared import compared_vectors
from berthub.encoding.similarity import similarity
from berthub.errors import OutputNotComputedError
from berthub.html import card, escaped, rows_table, shortened

if TYPE_CHECKING:
    from berthub.encoding.encodings import Encodings
    from berthub.encoding.ready_model import ReadyModel

__all__ = ["encoder_html", "encodings_html"]

_TEXTS = 10
_PIECES = 40
_LONGEST_PIECE = 30
_LONGEST_NAME = 24
# Transparent, so that the page's own colour of text is readable on them.
_WORDS = ("rgba(0,114,178,.25)", "rgba(230,159,0,.28)", "rgba(0,158,115,.25)", "rgba(204,121,167,.28)")
_SPECIAL = "rgba(128,128,128,.22)"


def encoder_html(encoder: "ReadyModel") -> str:
    """The summary of an encoder as a table."""
    lines = (line.partition(":") for line in encoder.summary().splitlines())
    return card("Encoder", rows_table([(name, value.strip()) for name, _, value in lines]))


def encodings_html(encodings: "Encodings") -> str:
    """The pieces of the texts in the colours of their words, over a heat map of how alike the texts are."""
    first = _first(encodings, _TEXTS)
    total = len(encodings.texts)
    rows = [
        _row(number, text, pieces, words)
        for number, (text, pieces, words) in enumerate(zip(first.texts, first.tokens, first.word_ids, strict=True))
    ]
    if total > len(rows):
        rows.append(_note(f"and {total - len(rows):,} more texts"))
    return card(repr(encodings).strip("<>"), *rows, _heat_map(first) if total > 1 else "")


def _first(encodings: "Encodings", count: int) -> "Encodings":
    tokens = encodings.ragged_tokens
    splits = tokens.row_splits[: count + 1]
    kept = dataclasses.replace(
        tokens,
        ids=tokens.ids[: splits[-1]],
        type_ids=tokens.type_ids[: splits[-1]],
        row_splits=splits,
        truncated=tokens.truncated[:count],
        offsets=None if tokens.offsets is None else tokens.offsets[: splits[-1]],
        bounds=None if tokens.bounds is None else tokens.bounds[:count],
    )
    # Layers are not shown.
    outputs = {name: value[:count] for name, value in encodings.outputs.items() if name != "encoder_outputs"}
    return dataclasses.replace(encodings, ragged_tokens=kept, texts=encodings.texts[:count], outputs=outputs)


def _row(number: int, text: object, pieces: list[str], words: list[int | None]) -> str:
    """The pieces of one text; those of one word have one colour."""
    shown = pieces[:_PIECES]
    colors, count = [], -1
    for previous, word in itertools.pairwise([None, *words[:_PIECES]]):
        count += word is not None and word != previous
        colors.append(_SPECIAL if word is None else _WORDS[count % len(_WORDS)])
    spans = "".join(
        f'<bdi style="background:{color};padding:1px 3px;margin:1px;border-radius:3px;display:inline-block">'
        f"{escaped(shortened(piece, _LONGEST_PIECE)) or '&nbsp;'}</bdi>"
        for piece, color in zip(shown, colors, strict=True)
    )
    more = f" and {len(pieces) - len(shown):,} more pieces" if len(pieces) > len(shown) else ""
    direction = ' dir="rtl"' if _is_right_to_left(text) else ""
    return f'<div style="margin:2px 0"{direction}><small style="opacity:.7">{number}</small> {spans}{_note(more)}</div>'


def _note(text: str) -> str:
    return f'<small style="opacity:.7">{escaped(text)}</small>' if text else ""


def _is_right_to_left(text: object) -> bool:
    first = text if isinstance(text, str) else str(text[0]) if isinstance(text, tuple) and text else ""
    kinds = (unicodedata.bidirectional(each) for each in first[:200])
    return next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L"


def _heat_map(encodings: "Encodings") -> str:
    try:
        vectors, words = compared_vectors(encodings)
    except OutputNotComputedError:
        return ""
    cosines = similarity(vectors, vectors, "cosine")
    cell = "padding:2px 6px;text-align:right;font-variant-numeric:tabular-nums"
    lines = []
    for number, (row, text) in enumerate(zip(cosines.tolist(), encodings.texts, strict=True)):
        cells = "".join(
            f'<td style="{cell};background:rgba(0,114,178,{max(0.0, min(value, 1.0)) * 0.6:.2f})">{value:.2f}</td>'
            for value in row
        )
        name = text if isinstance(text, str) else " / ".join(map(str, text))
        side = f'<td style="{cell};text-align:left;white-space:nowrap;background:none"><bdi>'
        lines.append(
            f'<tr style="background:none"><td style="{cell};opacity:.7;background:none">{number}</td>{cells}'
            f"{side}{escaped(shortened(name, _LONGEST_NAME))}</bdi></td></tr>"
        )
    head = "".join(f'<td style="{cell};opacity:.7;background:none">{number}</td>' for number in range(len(cosines)))
    return (
        f'<div style="margin-top:6px">{_note(f"cosine similarity of {words}")}</div>'
        f'<table style="border-collapse:collapse;font-size:12px"><tr style="background:none"><td></td>{head}</tr>'
        f"{''.join(lines)}</table>"
    )
