"""Read the vocabulary that a caller gives beside a model: a file, or a folder with a tokenizer."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from berthub.errors import InputError, ModelNotFoundError
from berthub.formats.huggingface.tokenizer import read_tokenization
from berthub.formats.huggingface.tokenizer_checks import FAST
from berthub.formats.native import CONFIG, read_description
from berthub.formats.settings import Settings
from berthub.formats.vocabularies import read_vocabulary_files, vocabulary_at
from berthub.vocabulary import Vocabulary

__all__ = ["GivenVocabulary", "read_given_vocabulary"]

# What of a configuration belongs to the tokenization.
_SETTINGS = ("lower_case", "strip_accents", "split_chinese", "tokenization")


@dataclass(frozen=True)
class GivenVocabulary:
    """A vocabulary, and the settings of the tokenization that lie beside it, by their names in a configuration."""

    vocabulary: Vocabulary
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_given_vocabulary(path: str | os.PathLike[str]) -> GivenVocabulary:
    """The vocabulary at `path`, which stands above the model's own.

    That is a `vocab.txt`, a SentencePiece model (`*.model`), a `tokenizer.json` with what lies beside it, a folder with
    a tokenizer of Hugging Face's, or a folder that berthub wrote. A tokenizer also says how texts become pieces.
    `InputError` where there is no such path, and what the readers raise.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"vocabulary should be the path of a file or a folder; it is {path!r}")
    place = Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises where this leaves the ~ alone
    if not place.exists():
        raise InputError(
            f"vocabulary: there is no file or folder {str(path)!r}. Give a vocab.txt, a SentencePiece model, a "
            "tokenizer.json, or a folder with a tokenizer"
        )
    if place.is_file() and place.name != FAST:
        return GivenVocabulary(vocabulary_at(place))
    folder = place.parent if place.is_file() else place
    if (folder / CONFIG).is_file():
        stored = read_description(folder / CONFIG)
        config = {name: value for name, value in stored["config"].items() if name in _SETTINGS}
        return GivenVocabulary(read_vocabulary_files(folder, stored["algorithm"], stored["special_pieces"]), config)
    settings = Settings()
    try:
        vocabulary = read_tokenization(folder, settings)
    except ModelNotFoundError as error:
        raise InputError(f"vocabulary: {error}") from error
    return GivenVocabulary(vocabulary, settings.values)
