"""Split a stream of texts into chunks that fit in memory, and take the tokens of some rows."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from berthub.tokenization.assemble import ranges
from berthub.tokenization.tokenizer import Text
from berthub.tokenization.tokens import Tokens

__all__ = ["chunks", "part", "runs", "taken"]


def chunks(texts: Iterable[Text], *, size: int | None = None, characters: int | None = None) -> Iterator[list[Text]]:
    """Split texts into lists of `size` texts each, or fewer where these have `characters` characters already.

    None is no limit. No text is read before it is needed.
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


def runs(lengths: npt.NDArray[np.int64], *, max_tokens: int | None) -> Iterator[slice]:
    """Split rows into runs of consecutive ones that have at most `max_tokens` tokens when padded to the longest.

    A run has at least one row. `max_tokens` None puts all rows into one.
    """
    start, longest = 0, 0
    for row, length in enumerate(lengths.tolist()):
        longest = max(longest, length)
        if max_tokens is not None and row > start and (row + 1 - start) * longest > max_tokens:
            yield slice(start, row)
            start, longest = row, length
    if start < len(lengths):
        yield slice(start, len(lengths))


def part(tokens: Tokens, rows: slice) -> Tokens:
    """The tokens of consecutive rows, as views."""
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
