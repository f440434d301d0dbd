"""Where the blanks of texts are: offsets of tokens leave them out."""

import functools

import numpy as np
import numpy.typing as npt

__all__ = ["around_blanks", "without_blanks"]

Ints = npt.NDArray[np.int64]


def without_blanks(offsets: npt.NDArray[np.int32], lengths: Ints, texts: list[str]) -> npt.NDArray[np.int32]:
    """Offsets, int32 [t, 2], of texts with so many tokens each, without the blanks around the characters meant.

    A token that is made of blanks alone has an empty range.
    """
    counts = np.fromiter(map(len, texts), np.int64, len(texts))
    shift = np.repeat(np.cumsum(counts) - counts, lengths)
    first, behind = around_blanks("".join(texts))
    start, stop = offsets[:, 0] + shift, offsets[:, 1] + shift
    start = np.minimum(first[start], stop)
    stop = np.maximum(behind[stop], start)
    return np.stack([start - shift, stop - shift], 1).astype(np.int32)


def around_blanks(text: str) -> tuple[Ints, Ints]:
    """For every place in the text, int64 [len(text) + 1] both: the first character from there on that is no blank, and
    the place behind the last one before it that is none.
    """
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    known = _is_blank()
    filled = np.flatnonzero(~known[np.minimum(codes, len(known) - 1)])
    first = np.append(filled, len(text))
    before = np.searchsorted(filled, np.arange(len(text) + 1))
    return first[before], np.append(0, filled + 1)[before]


@functools.cache
def _is_blank() -> npt.NDArray[np.bool_]:
    """Which characters are blanks; all beyond the last of these are none."""
    return np.array([chr(code).isspace() for code in range(0x3002)])
