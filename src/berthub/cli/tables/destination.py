"""Where results go: a file that appears when it is whole, or standard output."""

import contextlib
import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar, cast

from berthub.atomic import write_errors, written_file
from berthub.choices import OutputFormat, PredictionFormat
from berthub.errors import InputError

__all__ = ["Destination", "find_destination", "find_prediction_destination"]

_VECTORS: Mapping[str, OutputFormat] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".npy": "npy",
    ".csv": "csv",
    ".tsv": "tsv",
}
_STREAMED = ("jsonl", "csv", "tsv")
_PREDICTIONS: Mapping[str, PredictionFormat] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".conll": "conll",
    ".iob": "conll",
    ".bio": "conll",
}

F = TypeVar("F", bound=str)


@dataclass(frozen=True, kw_only=True)
class Destination(Generic[F]):
    """A format, and the file to write; None is standard output."""

    format: F
    path: Path | None
    overwrite: bool

    @property
    def name(self) -> str:
        """What messages call it."""
        return "standard output" if self.path is None else str(self.path)

    def check(self, source: Path | None) -> None:
        """Raise `InputError` where the file must not be written; `source` is the file that is read."""
        if self.path is not None:
            with write_errors(self.path):
                self._check(self.path, source)

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """A file that gets its name when the block ends well, and is removed when it does not.

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
    """Standard output, whose errors say what it is."""

    def write(self, data: Any, /) -> int:
        with write_errors("standard output"):
            return sys.stdout.buffer.write(data)


def find_destination(
    output_file: str | None, output_format: OutputFormat | None, *, overwrite: bool
) -> Destination[OutputFormat] | None:
    """The destination of vectors that the options mean; None where they name none."""
    if output_file is None and output_format is None:
        return None
    if output_file is None or output_file == "-":
        if output_format not in (None, *_STREAMED):
            raise InputError(
                f"standard output takes JSON lines, CSV and TSV: write {output_format} to a file, with -o FILE"
            )
        return Destination(format=output_format or "jsonl", path=None, overwrite=overwrite)
    return _file(output_file, output_format, _VECTORS, overwrite=overwrite)


def find_prediction_destination(
    output_file: str | None, output_format: PredictionFormat | None, *, overwrite: bool
) -> Destination[PredictionFormat] | None:
    """The destination of predictions that the options mean; None where they name none."""
    if output_file is None and output_format is None:
        return None
    if output_file is None or output_file == "-":
        if output_format == "parquet":
            raise InputError("Parquet cannot go to standard output: write it to a file, with -o FILE")
        return Destination(format=output_format or "jsonl", path=None, overwrite=overwrite)
    return _file(output_file, output_format, _PREDICTIONS, overwrite=overwrite)


def _file(output_file: str, output_format: F | None, formats: Mapping[str, F], *, overwrite: bool) -> Destination[F]:
    path = Path(output_file)
    if output_format is None:
        output_format = formats.get(path.suffix.lower())
    if output_format is None:
        raise InputError(
            f"the extension of {path} tells no format: use one of {', '.join(formats)}, or say it with --to"
        )
    return Destination(format=output_format, path=path, overwrite=overwrite)
