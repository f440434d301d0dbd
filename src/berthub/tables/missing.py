"""What is said of the input at the end: rows without a text (null, empty, a missing key), and delimiters found."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from berthub.choices import Missing
from berthub.errors import InputError
from berthub.tables.block import Block
from berthub.tables.reading_options import DELIMITERS

__all__ = ["Tally", "filled", "is_missing", "settled"]

_WAYS_OUT = "--missing empty takes it as an empty text, --missing skip leaves the row out"


@dataclass
class Tally:
    """Counts the rows of the input that had no text, and says what became of them.

    `delimiters` are those that nobody gave and that the first lines of files show, by the files' names.
    """

    missing: Missing | None
    rows: int = 0
    delimiters: dict[str, str] = field(default_factory=dict)

    @property
    def described(self) -> str:
        """A sentence on the rows without a text and on delimiters; an empty string where nothing is to be said."""
        return "; ".join(filter(None, [self._missing_described, self._delimiters_described]))

    @property
    def _delimiters_described(self) -> str:
        if not self.delimiters:
            return ""
        (name, mark), *more = self.delimiters.items()
        others = f" and {len(more):,} more files" if more else ""
        return f"{name}{others} read with {DELIMITERS[mark]} between fields, as the header shows"

    @property
    def _missing_described(self) -> str:
        if not self.rows:
            return ""
        what = "1 row had no text and was" if self.rows == 1 else f"{self.rows:,} rows had no text and were"
        if self.missing == "skip":
            return f"{what} left out"
        return f"{what} taken as empty (--missing error or skip)" if self.missing is None else f"{what} taken as empty"

    @property
    def ending(self) -> str:
        """The same, as the end of a message."""
        return f" ({self.described})" if self.described else ""


def settled(blocks: Iterator[Block], tally: Tally, *, lines: bool) -> Iterator[Block]:
    """Apply the tally's policy: yield the blocks with a text in every row, without blocks that have no rows.

    Where rows are `lines` of text, empty ones are texts unless something was said about missing ones.
    """
    for block in blocks:
        which = (
            []
            if lines and tally.missing is None
            else [index for index, text in enumerate(block.texts) if is_missing(text) and index not in block.faults]
        )
        if block.faults:
            block = replace(
                block,
                texts=[filled(text) if index in block.faults else text for index, text in enumerate(block.texts)],
            )
        if not which:
            yield block
            continue
        if tally.missing == "error":
            raise InputError(f"{block.place(which[0])}: the row has no text; {_WAYS_OUT}")
        tally.rows += len(which)
        if tally.missing == "skip":
            left_out = {*which}
            kept = [index for index in range(len(block.texts)) if index not in left_out]
            if kept:
                yield block.chosen(kept)
            continue
        texts = list(block.texts)
        for index in which:
            texts[index] = filled(texts[index])
        yield replace(block, texts=texts)


def is_missing(text: Any) -> bool:
    """Whether a text, or one of a pair, is missing; readers put None for what is null."""
    return not text or (isinstance(text, tuple) and not (text[0] and text[1]))


def filled(text: Any) -> Any:
    """The text with an empty one in place of what is missing; of a pair each part."""
    if isinstance(text, tuple):
        return tuple(part or "" for part in text)
    return text if isinstance(text, list) else ""
