"""The source of texts that the arguments of a command name: files, here or elsewhere, standard input, or texts."""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from berthub.choices import InputFormat
from berthub.errors import InputError
from berthub.tables.addresses import FileStamp, is_known_url, is_web_url, local_path, shown_address, suffixes_of
from berthub.tables.dataset_folder import DATASET_FILES, dataset_files, refuse_inner_datasets
from berthub.tables.reading_options import ReadingOptions

if TYPE_CHECKING:
    from berthub.tables.remote_listing import Listing

__all__ = ["InputFile", "Source", "file_source", "files_source", "find_source", "texts_source"]

_FORMATS: Mapping[str, InputFormat] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".txt": "text",
    ".conll": "conll",
    ".iob": "conll",
    ".bio": "conll",
}
_PACKED = {".gz", ".zst"}
# Not read, but no text either: encoding the name of a file that was mistyped would look like success.
_OTHER_FILES = {*_PACKED, ".xlsx", ".xls", ".ods", ".zip", ".npy", ".bz2", ".xz"}
# How a path begins that is none of the words of a text.
_PATH = re.compile(r"\.{1,2}[/\\]|~/|[A-Za-z]:\\")
_WILDCARDS = re.compile(r"[*?\[]")
# For messages on options that have no effect on the input.
_DELIMITED = {"csv", "tsv"}


@dataclass(frozen=True)
class InputFile:
    """A file, and the format in which it is read.

    `address` is a local path or a URL that fsspec knows. `listed` is the stamp that a remote file had when it was
    found, None for a local one.
    """

    address: str
    format: InputFormat
    listed: FileStamp | None = None

    @property
    def name(self) -> str:
        """The name of the file in messages."""
        return shown_address(self.address)

    @property
    def path(self) -> Path | None:
        """The path of a local file; None for a remote one."""
        return local_path(self.address)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where texts come from: `files`, or the `texts` of the command line, or else standard input.

    `format` is that of the input, None where files differ in it.
    """

    name: str
    format: InputFormat | None
    options: ReadingOptions
    files: tuple[InputFile, ...] = ()
    texts: tuple[str, ...] | None = None


def find_source(inputs: Sequence[str], options: ReadingOptions) -> Source:
    """The source that the arguments mean; `InputError` where they mean none, or two."""
    if options.texts:
        return texts_source(inputs, options)
    if "-" in inputs:
        return _standard_input(inputs, options)
    # A format can only be meant for a file.
    files = list(inputs) if options.format is not None else [name for name in inputs if _is_file(name, inputs)]
    if not files:
        return texts_source(inputs, options)
    other = next((name for name in inputs if name not in files and not _exists(name)), None)
    if other is not None:
        raise InputError(
            f'"{files[0]}" is a file and "{other}" is none, of {len(inputs)} arguments: give files only, or texts only '
            "(--text takes all of them as texts)"
        )
    return files_source(inputs, options)


def files_source(names: Iterable[str], options: ReadingOptions) -> Source:
    """Files, folders and patterns, in their order; `InputError` for what is not there or cannot be read."""
    names = list(names)
    if not names:
        raise InputError("no file is named: name files, folders or patterns")
    files = [file for name in names for file in _files(name, options)]
    seen: set[str] = set()
    for file in files:
        if file.address in seen:
            raise InputError(f"{file.name} is named twice by the arguments: its rows would come out twice")
        seen.add(file.address)
    formats = {file.format for file in files}
    source = Source(
        name=files[0].name if len(files) == 1 else f"{len(files):,} files ({files[0].name}, ...)",
        format=formats.pop() if len(formats) == 1 else None,
        options=options,
        files=tuple(files),
    )
    _refuse_unused(options, {file.format for file in files}, source.name)
    return source


def file_source(path: Path, options: ReadingOptions) -> Source:
    """One file, in the format given or that of its extension; `InputError` where that tells none."""
    file = _input_file(path, options)
    _refuse_unused(options, {file.format}, file.name)
    return Source(name=file.name, format=file.format, options=options, files=(file,))


def texts_source(texts: Sequence[str], options: ReadingOptions) -> Source:
    """The texts themselves, whatever they look like."""
    if given := [*(["--format"] if options.format is not None else []), *options.given()]:
        raise InputError(f"{given[0]} is for files and standard input, and the arguments are texts: leave it out")
    for index, text in enumerate(texts, 1):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"text {index} of the command line is not valid UTF-8") from None
    return Source(name="the command line", format="text", options=options, texts=tuple(texts))


def _standard_input(inputs: Sequence[str], options: ReadingOptions) -> Source:
    if len(inputs) > 1:
        raise InputError("- means standard input and takes no other texts or files beside it")
    if options.format == "parquet":
        raise InputError("Parquet cannot be read from standard input, only from a file")
    read_as = options.format or "text"
    _refuse_unused(
        options, {read_as}, "standard input, without --format," if options.format is None else "standard input"
    )
    return Source(name="standard input", format=read_as, options=options)


def _refuse_unused(options: ReadingOptions, formats: set[InputFormat], name: str) -> None:
    """Refuse options that would have no effect."""
    kinds = ", ".join(sorted(formats))
    if formats.isdisjoint(_DELIMITED):
        if options.delimiter is not None:
            raise InputError(f"--delimiter is for CSV and TSV, and {name} is read as {kinds}: say --format csv")
        if not options.header:
            raise InputError(f"--no-header is for CSV and TSV, and {name} is read as {kinds}: say --format csv")
    if options.encoding is not None and formats <= {"parquet", "arrow"}:
        kinds = "Parquet" if formats == {"parquet"} else kinds
        raise InputError(f"--encoding is for files of text, and {name} is {kinds}: leave it out")


def _is_file(name: str, inputs: Sequence[str]) -> bool:
    if "\n" in name or "\0" in name or not name:
        return False
    suffix = (suffixes_of(name) or [""])[-1]
    if suffix in _FORMATS or suffix in _OTHER_FILES:
        # A sentence may end in such a name. A web page's address is a text, and this one is a file's.
        return not is_web_url(name) or not any(char.isspace() for char in name)
    if is_known_url(name):
        return not is_web_url(name) and not any(char.isspace() for char in name)
    if len(inputs) == 1 and _exists(name):
        return True
    return _is_path(name)


def _is_path(name: str) -> bool:
    """Whether this is a path, there or not, and no word of a text such as and/or."""
    if _PATH.match(name):
        return True
    if any(char.isspace() for char in name) or "/" not in name.rstrip("/"):
        return False
    folder = Path(name).parent
    return _exists(folder) or ("*" in name and "://" not in name)


def _files(name: str, options: ReadingOptions) -> Iterator[InputFile]:
    path = local_path(name)
    if path is None:
        yield from _remote_files(name, options)
    elif not _exists(path):
        if not _WILDCARDS.search(name):
            raise InputError(f"file not found: {name} (if that is a text, and no file: --text)")
        # Path.glob() takes no absolute patterns.
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
        found = [Path(match) for match in matches if not Path(match).is_dir()]
        if not found:
            raise InputError(f"no file matches {name} (if that is a text, and no pattern: --text)")
        yield from (_input_file(match, options) for match in found)
    elif path.is_dir():
        yield from _folder(path, options)
    else:
        yield _input_file(path, options)


def _input_file(path: Path, options: ReadingOptions) -> InputFile:
    return InputFile(str(path), options.format or _format_of(str(path)))


def _remote_files(name: str, options: ReadingOptions) -> Iterator[InputFile]:
    from berthub.tables.remote_listing import list_remote

    listing = list_remote(name)
    if listing.is_folder:
        if not listing.files:
            raise _empty_folder(shown_address(name))
        listing = _dataset_listing(name, listing, options)
        unknown = next(
            (file for file in listing.files if options.format is None and _known(file.address) is None), None
        )
        if unknown is not None:
            raise _unknown_in_folder(shown_address(name), shown_address(unknown.address))
    yield from (
        InputFile(file.address, options.format or _format_of(file.address), file.stamp) for file in listing.files
    )


def _dataset_listing(name: str, listing: "Listing", options: ReadingOptions) -> "Listing":
    """The files of the dataset in a remote folder, or else all that are listed."""
    if not _may_be_dataset(options):
        return listing
    start = f"{name.rstrip('/')}/"
    inside = {file.address.removeprefix(start): file for file in listing.files}
    names = dataset_files(name, inside)
    if names is None:
        refuse_inner_datasets(name, [file.address for file in listing.files])
        return listing
    missing = next((each for each in names if each not in inside), None)
    if missing is not None:
        raise InputError(f"file not found: {shown_address(start + missing)}, which is part of the dataset")
    return replace(listing, files=[inside[each] for each in names])


def _may_be_dataset(options: ReadingOptions) -> bool:
    return options.format in (None, "arrow")


def _folder(folder: Path, options: ReadingOptions) -> Iterator[InputFile]:
    """All files in a folder and in those below, sorted by their paths; hidden ones and _SUCCESS are none.

    Where it holds a dataset of Hugging Face's library, they are those of the dataset, in its order.
    """
    if _may_be_dataset(options):
        # Not all names of a folder, of which there may be millions.
        names = dataset_files(str(folder), [name for name in DATASET_FILES if _exists(folder / name)])
        if names is not None:
            for name in names:
                if not _exists(folder / name):
                    raise InputError(f"file not found: {folder / name}, which is part of the dataset")
                yield _input_file(folder / name, options)
            return
    found: list[InputFile] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        # A Path for each of what may be millions of files takes its time.
        start = str(Path(parent, "a"))[:-1]
        for name in sorted(names):
            if not name.startswith((".", "_")):
                path = f"{start}{name}"
                kind = options.format or _known(path)
                if kind is None:
                    # Not after all files below.
                    raise _unknown_in_folder(str(folder), path)
                found.append(InputFile(path, kind))
    found.sort(key=lambda file: file.address.split(os.sep))  # noqa: PTH206
    if not found:
        raise _empty_folder(str(folder))
    if _may_be_dataset(options):
        refuse_inner_datasets(str(folder), [file.address for file in found])
    yield from found


def _empty_folder(folder: str) -> InputError:
    return InputError(f'the folder "{folder}" holds no files (if that is a text, and no folder: --text)')


def _unknown_in_folder(folder: str, unknown: str) -> InputError:
    pattern = f"{folder.rstrip('/')}/*.csv"
    return InputError(
        f'the folder "{folder}" holds {unknown}, which is of no format that is read: name the files that are meant, as '
        f"in '{pattern}', or say --format (if that is a text, and no folder: --text)"
    )


def _known(address: str) -> InputFormat | None:
    suffixes = suffixes_of(address)
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return _FORMATS.get(suffixes[-1]) if suffixes else None


def _format_of(address: str) -> InputFormat:
    found = _known(address)
    if found is None:
        raise InputError(
            f"the extension of {shown_address(address)} tells no format: use one of {', '.join(_FORMATS)} "
            "(each also with .gz or .zst), or say it with --format"
        )
    return found


def _exists(path: str | Path) -> bool:
    try:
        return Path(path).exists()
    except OSError:
        # Too long for a file name.
        return False
