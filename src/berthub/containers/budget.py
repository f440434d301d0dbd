"""Bound the memory that the values of a file take by the bytes that they are read from."""

from berthub.errors import CorruptFileError

__all__ = ["Budget"]

# Files of weights need 10 times the bytes at most; with what is not counted (pointers to the values that wait to be put
# into a container), reading stays under the 48 times that docs/concepts/reading-files.md promises.
_BYTES_A_BYTE, _ANYWAY = 24, 1 << 16


class Budget:
    """What the small values of one file may take: 24 times the bytes that were read, and 64 KiB."""

    __slots__ = ("_source", "_spent")

    def __init__(self, source: str) -> None:
        self._source = source
        self._spent = 0

    def spend(self, size: int, read: int) -> None:
        """Count `size` bytes of memory, when `read` bytes of the file have been read."""
        self._spent += size
        if self._spent > _ANYWAY + _BYTES_A_BYTE * read:
            raise CorruptFileError(
                f"{self._source} is no model's: its first {read:,} bytes call for {self._spent:,} bytes of memory"
            )
