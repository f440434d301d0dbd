"""Pieces of HTML for notebooks: escaped, styled in place, without scripts, readable on light and dark pages."""

import html
import unicodedata

__all__ = ["card", "escaped", "rows_table", "shortened"]

# Colours are transparent, and texts have the page's own colour. Notebooks typeset formulas between dollar signs, but
# not in these classes.
_CARD = (
    '<div class="tex2jax_ignore mathjax_ignore" style="font:13px/1.6 system-ui,sans-serif;max-width:60em;'
    'overflow-x:auto;text-align:left">'
)
_CELL = "text-align:left;vertical-align:top;padding:1px 12px 1px 0;background:none"


def card(title: str, *contents: str) -> str:
    """A block of HTML under a title, which is plain text; `contents` are HTML."""
    return f'{_CARD}<div style="font-weight:600">{escaped(title)}</div>{"".join(contents)}</div>'


def rows_table(rows: list[tuple[str, str]]) -> str:
    """Names with their values, plain text both, as a table."""
    lines = (
        f'<tr style="background:none"><td style="{_CELL};opacity:.7;white-space:nowrap">{escaped(name)}</td>'
        f'<td style="{_CELL};overflow-wrap:anywhere">{escaped(value)}</td></tr>'
        for name, value in rows
    )
    return f'<table style="border-collapse:collapse;margin:4px 0">{"".join(lines)}</table>'


def escaped(text: str) -> str:
    """Plain text as HTML; control characters and lone surrogates, which HTML does not have, become U+FFFD."""
    shown = "".join("\ufffd" if unicodedata.category(each) in ("Cc", "Cs") else each for each in text)
    return html.escape(shown)


def shortened(text: str, most: int) -> str:
    """A text of at most `most` characters, with an ellipsis where some are left out; line breaks become blanks."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most and len(text) <= 4 * most else line[: most - 1] + "…"
