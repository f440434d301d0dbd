"""The destination of results: a file that appears when it is whole, or standard output."""

import contextlib
import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar, cast

from berthub.atomic import write_errors, written_file
from berthub.choices import OutputFormat, PredictionFormat, TableFormat
from berthub.errors import InputError

__all__ = ["PREDICTIONS", "VECTORS", "Destination", "Formats", "find_destination"]

F = TypeVar("F", bound=TableFormat)


@dataclass(frozen=True, kw_only=True)
class Formats(Generic[F]):
    """The formats that can be written: that of each extension of a file, and those for standard output.

    The first of these is its format where none is said. `refusal` is said of the others.
    """

    extensions: Mapping[str, F]
    streamed: tuple[F, ...]
    refusal: str


VECTORS = Formats[OutputFormat](
    extensions={
        ".parquet": "parquet",
        ".pq": "parquet",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".npy": "npy",
        ".csv": "csv",
        ".tsv": "tsv",
    },
    streamed=("jsonl", "csv", "tsv"),
    refusal="standard output takes JSON lines, CSV and TSV: write {} to a file, with -o FILE",
)
PREDICTIONS = Formats[PredictionFormat](
    extensions={
        ".parquet": "parquet",
        ".pq": "parquet",
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".csv": "csv",
        ".tsv": "tsv",
        ".conll": "conll",
        ".iob": "conll",
        ".bio": "conll",
    },
    streamed=("jsonl", "csv", "tsv", "conll"),
    refusal="Parquet cannot go to standard output: write it to a file, with -o FILE",
)


@dataclass(frozen=True, kw_only=True)
class Destination(Generic[F]):
    """A format, and the file to write; None is standard output."""

    format: F
    path: Path | None
    overwrite: bool

    @property
    def name(self) -> str:
        """The name of the destination in messages."""
        return "standard output" if self.path is None else str(self.path)

    def check(self, source: Path | None) -> None:
        """Raise `InputError` where the file must not be written; `source` is the file that is read."""
        if self.path is not None:
            with write_errors(self.path):
                self._check(self.path, source)

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open a file that gets its name when the block ends well, and is removed when it does not.

        What cannot be written is a `WriteError`, a closed pipe a `BrokenPipeError`.
        """
        if self.path is None:
            yield cast(BinaryIO, _StandardOutput())
            with write_errors(self.name):
                sys.stdout.buffer.flush()
            return
        with written_file(self.path, overwrite=self.overwrite) as file:
            yield file

    def _check(self, path: Path, source: Path | None) -> None:
        if not path.parent.is_dir():
            raise InputError(f"the folder of {path} does not exist: create it first")
        if not path.exists():
            return
        if not path.is_file():
            raise InputError(f"{path} exists and is no file; use -o - for standard output")
        if source is not None and path.samefile(source):
            raise InputError(f"{path} is the input: write to another file")
        if not self.overwrite:
            raise InputError(f"{path} exists; use --overwrite to replace it, or write to another file")


class _StandardOutput(io.RawIOBase):
    """Standard output as a file whose errors name it."""

    def write(self, data: Any, /) -> int:
        with write_errors("standard output"):
            return sys.stdout.buffer.write(data)


def find_destination(
    output_file: str | None, output_format: F | None, formats: Formats[F], *, overwrite: bool
) -> Destination[F] | None:
    """The destination that the options mean; None where they name none."""
    if output_file is None and output_format is None:
        return None
    if output_file is None or output_file == "-":
        to = output_format or formats.streamed[0]
        if to not in formats.streamed:
            raise InputError(formats.refusal.format(to))
        return Destination(format=to, path=None, overwrite=overwrite)
    path = Path(output_file)
    chosen = output_format or formats.extensions.get(path.suffix.lower())
    if chosen is None:
        raise InputError(
            f"the extension of {path} tells no format: use one of {', '.join(formats.extensions)}, or say it with "
            f"--to; for a job, which writes a folder, end it with a slash: {path}/"
        )
    return Destination(format=chosen, path=path, overwrite=overwrite)
