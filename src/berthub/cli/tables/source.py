"""What the arguments of a command mean: a file, standard input, or texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from berthub.cli.options import InputFormat
from berthub.errors import InputError

__all__ = ["Source", "file_source", "find_source", "texts_source"]

_FORMATS = {
    ".csv": InputFormat.CSV,
    ".tsv": InputFormat.TSV,
    ".jsonl": InputFormat.JSONL,
    ".ndjson": InputFormat.JSONL,
    ".parquet": InputFormat.PARQUET,
    ".pq": InputFormat.PARQUET,
    ".txt": InputFormat.TEXT,
    ".conll": InputFormat.CONLL,
    ".iob": InputFormat.CONLL,
    ".bio": InputFormat.CONLL,
}
# Not read, but no text either: encoding the name of a file that was mistyped would look like success.
_OTHER_FILES = {".json", ".xlsx", ".gz", ".zip", ".npy"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where texts come from: a file, or the `texts` of the command line, or else standard input."""

    name: str
    format: InputFormat
    path: Path | None = None
    texts: tuple[str, ...] | None = None


def find_source(inputs: Sequence[str], input_format: InputFormat | None) -> Source:
    """The source that the arguments mean; `InputError` where they mean none, or two."""
    if "-" in inputs:
        return _standard_input(inputs, input_format)
    # A format can only be meant for a file.
    files = list(inputs) if input_format is not None else [name for name in inputs if _is_file(name, inputs)]
    if not files:
        return texts_source(inputs)
    if len(inputs) > 1:
        raise InputError(
            f'"{files[0]}" is a file and there are {len(inputs)} arguments: give one file, or texts only '
            "(a text that looks like a file name can come through standard input, with -)"
        )
    path = Path(files[0])
    if not _exists(path):
        raise InputError(f"file not found: {path} (if these words are the text: echo ... | berthub COMMAND -)")
    if path.is_dir():
        raise InputError(
            f'"{path}" is a folder; give a file in it (or, if this word is the text: echo {path} | berthub COMMAND -)'
        )
    return file_source(path, input_format)


def file_source(path: Path, input_format: InputFormat | None) -> Source:
    """The file, in the format given or that of its extension; `InputError` where that tells none."""
    if input_format is None:
        input_format = _FORMATS.get(path.suffix.lower())
    if input_format is None:
        raise InputError(
            f"the extension of {path} tells no format: use one of {', '.join(_FORMATS)}, or say it with --format"
        )
    return Source(name=str(path), format=input_format, path=path)


def _standard_input(inputs: Sequence[str], input_format: InputFormat | None) -> Source:
    if len(inputs) > 1:
        raise InputError("- means standard input and takes no other texts or files beside it")
    if input_format is InputFormat.PARQUET:
        raise InputError("Parquet cannot be read from standard input, only from a file")
    return Source(name="standard input", format=input_format or InputFormat.TEXT)


def _is_file(name: str, inputs: Sequence[str]) -> bool:
    if "\n" in name or "\0" in name or not name:
        return False
    suffix = Path(name).suffix.lower()
    if suffix in _FORMATS or suffix in _OTHER_FILES:
        return True
    if len(inputs) > 1:
        return False
    return _exists(Path(name))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        # Too long for a file name.
        return False


def texts_source(texts: Sequence[str]) -> Source:
    """The texts themselves, whatever they look like."""
    for index, text in enumerate(texts, 1):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"text {index} of the command line is not valid UTF-8") from None
    return Source(name="the command line", format=InputFormat.TEXT, texts=tuple(texts))
