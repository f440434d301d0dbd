"""Where results go: a file that appears when it is whole, or standard output."""

import contextlib
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from berthub.cli.options import OutputFormat, PredictionFormat
from berthub.errors import InputError

__all__ = ["Destination", "find_destination", "find_prediction_destination"]

_VECTORS = {
    ".parquet": OutputFormat.PARQUET,
    ".pq": OutputFormat.PARQUET,
    ".jsonl": OutputFormat.JSONL,
    ".ndjson": OutputFormat.JSONL,
    ".npy": OutputFormat.NPY,
}
_PREDICTIONS = {
    ".parquet": PredictionFormat.PARQUET,
    ".pq": PredictionFormat.PARQUET,
    ".jsonl": PredictionFormat.JSONL,
    ".ndjson": PredictionFormat.JSONL,
    ".csv": PredictionFormat.CSV,
    ".tsv": PredictionFormat.TSV,
    ".conll": PredictionFormat.CONLL,
    ".iob": PredictionFormat.CONLL,
    ".bio": PredictionFormat.CONLL,
}

F = TypeVar("F", bound=StrEnum)


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
            with self.errors_told():
                self._check(self.path, source)

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """A file that gets its name when the block ends well, and is removed when it does not."""
        if self.path is None:
            yield sys.stdout.buffer
            with self.errors_told():
                sys.stdout.buffer.flush()
            return
        # Through a link, its target is replaced, not the link.
        final = self.path.resolve()
        temporary = final.with_name(f".{final.name[:200]}.{secrets.token_hex(4)}.part")
        with self.errors_told():
            file = temporary.open("x+b")
        try:
            with file:
                yield file
                with self.errors_told():
                    file.flush()
            with self.errors_told():
                if not self.overwrite and final.exists():
                    raise InputError(f"{final} has come into being in the meantime; use --overwrite to replace it")
                temporary.replace(final)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            raise

    @contextlib.contextmanager
    def errors_told(self) -> Iterator[None]:
        """What the system refuses (permission, a full disk) becomes an `InputError`; a closed pipe stays one."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise InputError(f"{self.name} cannot be written: {error.strerror or error}") from error

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


def find_destination(
    output_file: str | None, output_format: OutputFormat | None, *, overwrite: bool
) -> Destination[OutputFormat] | None:
    """The destination of vectors that the options mean; None where they name none."""
    if output_file is None and output_format is None:
        return None
    if output_file is None or output_file == "-":
        if output_format not in (None, OutputFormat.JSONL):
            raise InputError(f"standard output takes JSON lines only: write {output_format} to a file, with -o FILE")
        return Destination(format=OutputFormat.JSONL, path=None, overwrite=overwrite)
    return _file(output_file, output_format, _VECTORS, overwrite=overwrite)


def find_prediction_destination(
    output_file: str | None, output_format: PredictionFormat | None, *, overwrite: bool
) -> Destination[PredictionFormat] | None:
    """The destination of predictions that the options mean; None where they name none."""
    if output_file is None and output_format is None:
        return None
    if output_file is None or output_file == "-":
        if output_format is PredictionFormat.PARQUET:
            raise InputError("Parquet cannot go to standard output: write it to a file, with -o FILE")
        return Destination(format=output_format or PredictionFormat.JSONL, path=None, overwrite=overwrite)
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
