"""Write a tokenizer as the files that transformers' `AutoTokenizer` reads, and read such files without a model."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berthub.atomic import written_path
from berthub.errors import InputError
from berthub.formats.huggingface.tokenizer import longest_text, read_tokenization
from berthub.formats.huggingface.tokenizer_writer import write_tokenization
from berthub.formats.settings import Settings
from berthub.vocabulary import Vocabulary

__all__ = ["TextOptions", "is_tokenizer", "read_tokenizer", "write_tokenizer"]

_CONFIG = "tokenizer_config.json"
# Of a tokenizer that says nothing of a model's positions.
_USUAL, _MOST = 512, 1 << 20


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """How texts are prepared before they are split into pieces."""

    lower_case: bool
    strip_accents: bool | None
    split_chinese: bool


def write_tokenizer(vocabulary: Vocabulary, options: TextOptions, folder: Path, *, max_length: int) -> tuple[str, ...]:
    """Write the tokenizer's files into `folder`, which is made where it is not there; their paths.

    Files of the same names are replaced, each at once; others stay, such as those of the model that is there.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"a tokenizer is saved in a folder, and {folder} is a file")
    with tempfile.TemporaryDirectory() as unfinished:
        write_tokenization(vocabulary, options, Path(unfinished), max_length=max_length)
        written = sorted(path for path in Path(unfinished).iterdir())
        for path in written:
            with written_path(folder / path.name, overwrite=True) as target:
                target.write_bytes(path.read_bytes())
    return tuple(str(folder / path.name) for path in written)


def is_tokenizer(folder: Path) -> bool:
    """Whether a folder has a tokenizer's files."""
    return (folder / _CONFIG).is_file()


def read_tokenizer(folder: Path, settings: Mapping[str, Any] | None) -> tuple[Vocabulary, dict[str, Any], list[str]]:
    """The vocabulary and the settings of a tokenizer's files, and what was inferred and may be wrong."""
    found = Settings(settings)
    vocabulary = read_tokenization(folder, found)
    names = ("lower_case", "strip_accents", "split_chinese", "tokenization")
    options = {name: found.values[name] for name in names if name in found}
    length = longest_text(folder, _MOST)
    return vocabulary, {**options, "max_length": _USUAL if length == _MOST else length}, found.notes
