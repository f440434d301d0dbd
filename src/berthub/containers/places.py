"""Check that no two tensors of a file share bytes."""

from collections.abc import Iterable

from berthub.errors import CorruptFileError

__all__ = ["check_apart"]


def check_apart(places: Iterable[tuple[str, int, int]], *, source: str) -> None:
    """`CorruptFileError`, naming both, if two of these (name, offset, size) share a byte of `source`.

    No writer does that: a weight that is used twice is stored once. If two share bytes, the index was damaged, and
    nothing tells which of them the bytes belong to.
    """
    last, end = "", 0
    for offset, size, name in sorted((offset, size, name) for name, offset, size in places if size):
        if offset < end:
            raise CorruptFileError(
                f"{source} is damaged: {last!r} and {name!r} lie on the same bytes, {offset:,} to "
                f"{min(end, offset + size):,}"
            )
        last, end = name, offset + size
