"""The texts of a stream in chunks that fit in memory, and the tokens of some rows alone."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from berthub.tokenization.assemble import ranges
from berthub.tokenization.tokenizer import Text
from berthub.tokenization.tokens import Tokens

__all__ = ["chunks", "part", "runs", "taken"]


def chunks(texts: Iterable[Text], *, size: int | None = None, characters: int | None = None) -> Iterator[list[Text]]:
    """Lists of `size` texts, shorter ones where they have `characters` before; no text is read before it is needed.

    None is no limit.
    """
    chunk: list[Text] = []
    total = 0
    for text in texts:
        chunk.append(text)
        # What is no text is refused where texts are tokenized.
        total += sum(map(len, text)) if isinstance(text, tuple | list) else len(text) if isinstance(text, str) else 0
        if len(chunk) == size or (characters is not None and total >= characters):
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def runs(lengths: npt.NDArray[np.int64], *, places: int | None) -> Iterator[slice]:
    """Rows that follow each other, as many as have at most `places` tokens when padded to the longest; at least one.

    `places` None takes all of them together.
    """
    start, longest = 0, 0
    for row, length in enumerate(lengths.tolist()):
        longest = max(longest, length)
        if places is not None and row > start and (row + 1 - start) * longest > places:
            yield slice(start, row)
            start, longest = row, length
    if start < len(lengths):
        yield slice(start, len(lengths))


def part(tokens: Tokens, rows: slice) -> Tokens:
    """The tokens of some rows that follow each other, as views."""
    row_splits = tokens.row_splits[rows.start : rows.stop + 1]
    flat = slice(row_splits[0], row_splits[-1])
    return Tokens(
        ids=tokens.ids[flat],
        type_ids=tokens.type_ids[flat],
        row_splits=row_splits - row_splits[0],
        truncated=tokens.truncated[rows],
        offsets=None if tokens.offsets is None else tokens.offsets[flat],
        bounds=None if tokens.bounds is None else tokens.bounds[rows],
    )


def taken(tokens: Tokens, rows: npt.NDArray[np.int64]) -> Tokens:
    """The tokens of any rows, in the order of these, as copies and without offsets."""
    lengths = tokens.lengths[rows]
    flat = ranges(tokens.row_splits[rows], lengths)
    return Tokens(
        ids=tokens.ids[flat],
        type_ids=tokens.type_ids[flat],
        row_splits=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        truncated=tokens.truncated[rows],
        bounds=None if tokens.bounds is None else tokens.bounds[rows],
    )
