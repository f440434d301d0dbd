"""Group hashes of any number by their first bits, in a file: each group can then be looked at in memory."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from berthub.atomic import write_errors

__all__ = ["BUCKETS", "Partition"]

BUCKETS = 256
# Hashes that are sorted into their buckets at once: 12 MiB, of which each bucket gets a run of about 48 KiB.
_ROWS = 1 << 19
_ENTRY = np.dtype([("high", "<u8"), ("low", "<u8"), ("row", "<i8")])


class Partition:
    """Rows with hashes of 16 bytes, by the hashes' first byte; a context, in which a nameless file holds them.

    The file needs 24 bytes a row. It has no name, so that nothing is left of it when the process is killed.
    """

    def __init__(self, folder: Path, *, rows: int = _ROWS) -> None:
        self._folder, self._most = folder, rows
        self._hashes: list[bytes] = []
        self._rows: list[npt.NDArray[np.int64]] = []
        self._waiting = 0
        # For each run of entries, where each bucket begins in it, and where it ends; in entries of the file.
        self._runs: list[npt.NDArray[np.int64]] = []
        self._written = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Partition":
        with write_errors(self._folder):
            self._file: IO[bytes] = self._stack.enter_context(tempfile.TemporaryFile(dir=self._folder))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, hashes: bytes, rows: npt.NDArray[np.int64]) -> None:
        """Add hashes, one after the other, and their rows; rows come in increasing order."""
        self._hashes.append(hashes)
        self._rows.append(rows)
        self._waiting += len(rows)
        if self._waiting >= self._most:
            self._flush()

    def buckets(self) -> Iterator[npt.NDArray[Any]]:
        """The entries of each bucket (fields "high" and "low" of the hash, "row"), rows in increasing order."""
        self._flush()
        for number in range(BUCKETS):
            parts = [self._read(int(run[number]), int(run[number + 1])) for run in self._runs]
            yield np.concatenate(parts) if parts else np.empty(0, _ENTRY)

    def _flush(self) -> None:
        if not self._waiting:
            return
        entries = np.empty(self._waiting, _ENTRY)
        halves = np.frombuffer(b"".join(self._hashes), "<u8").reshape(-1, 2)
        entries["high"], entries["low"], entries["row"] = halves[:, 0], halves[:, 1], np.concatenate(self._rows)
        # Of a hash, one byte is as good as another.
        first = (entries["high"] & 0xFF).astype(np.uint8)
        order = np.argsort(first, kind="stable")
        with write_errors(self._folder):
            self._file.write(entries[order].tobytes())
        self._runs.append(self._written + np.searchsorted(first[order], np.arange(BUCKETS + 1)))
        self._written += len(entries)
        self._hashes, self._rows, self._waiting = [], [], 0

    def _read(self, begin: int, end: int) -> npt.NDArray[Any]:
        with write_errors(self._folder):
            self._file.seek(begin * _ENTRY.itemsize)
            return np.frombuffer(self._file.read((end - begin) * _ENTRY.itemsize), _ENTRY)
