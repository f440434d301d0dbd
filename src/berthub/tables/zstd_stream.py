"""Read zstd data by pyarrow's decoder: any number of frames, one after the other."""

import io
from typing import Any, BinaryIO

import pyarrow as pa

from berthub.errors import InputError

__all__ = ["ZSTD", "DamagedZstdError", "ZstdStream"]

ZSTD = b"\x28\xb5\x2f\xfd"
"""What a frame begins with."""


class DamagedZstdError(Exception):
    """Data that are no whole zstd frames; the message says what is wrong."""


class ZstdStream(io.RawIOBase):
    """What is packed in `file`, which stays open.

    Memory is bounded: what comes out is taken in pieces, and zstd's decoder refuses frames that refer to more than
    128 MB before. `zstd --long=28` and above write such frames, and its own command line reads them by option only.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._unpacked = pa.CompressedInputStream(pa.PythonFile(_KeptOpen(file), mode="r"), "zstd")

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer, but for the end of the data."""
        try:
            data = self._unpacked.read(len(buffer))
        except InputError:
            raise
        except OSError as error:
            # The system's errors have a number, the decoder's have none.
            if error.errno is not None:
                raise
            if "Truncated" in str(error):
                raise EOFError(str(error)) from error
            raise DamagedZstdError(str(error).removeprefix("ZSTD decompress failed: ")) from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Free the decoder, and leave the file open."""
        if not self.closed:
            self._unpacked.close()
        super().close()


class _KeptOpen:
    """A file for pyarrow, which closes what it is given."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        """Leave it to its owner."""
