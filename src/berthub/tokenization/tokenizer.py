"""Tokenization with a model's own vocabulary: texts become what the model takes."""

import copy
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.choices import Tokenization
from berthub.errors import InferredSettingWarning, InputError, ModelNotFoundError
from berthub.formats import read
from berthub.formats.table import find_model
from berthub.formats.vocabularies import vocabulary_at
from berthub.sources.resolve import resolve
from berthub.tokenization.algorithms import algorithm_of
from berthub.tokenization.arguments import Text, check_texts, checked_pieces, listed_texts
from berthub.tokenization.assemble import Segments, Side, Template, assemble
from berthub.tokenization.beginnings import beginning
from berthub.tokenization.called import TokenizedTexts
from berthub.tokenization.calling import Calling
from berthub.tokenization.saving import TextOptions, is_tokenizer, read_tokenizer, write_tokenizer
from berthub.tokenization.threads import map_concurrently
from berthub.tokenization.tokens import Tokens
from berthub.vocabulary import AddedToken, Vocabulary

__all__ = ["Text", "TokenizedTexts", "Tokenizer"]

# The library's results are many times as large as the ids taken from them: not for all texts at once.
_CHUNK = 1024
# `[CLS]` and `[SEP]`.
_LEAST = 2


class Tokenizer(Calling):
    """A model's tokenizer: WordPiece, SentencePiece, byte pairs, or a pipeline of Hugging Face's tokenizers library.

    `vocabulary` is a `Vocabulary`, the pieces of WordPiece, or the path of a `vocab.txt` or of a SentencePiece
    `.model`. `tokenization` says whose is matched, to the letter: `google`, that of BERT's and ALBERT's own
    code, `tf_text`, that of TF Hub's preprocessing models, or `transformers`, that of Hugging Face's library.
    `strip_accents` None means: as `lower_case`; with SentencePiece: yes, as ALBERT. `split_chinese` is for WordPiece
    alone, and byte pairs take texts as they are; with WordPiece, `tf_text` leaves no choice in these. `max_length` is
    the most tokens that a model takes, `[CLS]` and `[SEP]` included. Special pieces written out in a text (`"[SEP]"`)
    are text, but for `transformers`, which looks for them and for the vocabulary's added tokens before it splits the
    text into words. A lone surrogate, which no UTF-8 text can hold, counts as U+FFFD.
    """

    def __init__(
        self,
        vocabulary: Vocabulary | str | os.PathLike[str] | Sequence[str],
        *,
        lower_case: bool = True,
        strip_accents: bool | None = None,
        split_chinese: bool = True,
        tokenization: Tokenization = "google",
        max_length: int = 512,
        reference: Tokenization | None = None,
    ) -> None:
        if reference is not None:
            if tokenization not in ("google", reference):
                raise InputError(f"tokenization={tokenization!r} and reference={reference!r} contradict each other")
            _warn_of_old_name(f"reference={reference!r}", f"tokenization={reference!r}")
            tokenization = reference
        if isinstance(vocabulary, str | os.PathLike):
            vocabulary = vocabulary_at(Path(vocabulary))
        elif not isinstance(vocabulary, Vocabulary):
            vocabulary = Vocabulary(checked_pieces(vocabulary))
        choices: dict[str, Any] = {
            "lower_case": lower_case,
            "strip_accents": strip_accents,
            "split_chinese": split_chinese,
        }
        for name, value in choices.items():
            if not isinstance(value, bool) and (value is not None or name != "strip_accents"):
                raise InputError(f"{name} must be True or False, not {value!r}")
        if isinstance(max_length, bool) or not isinstance(max_length, int) or max_length < _LEAST:
            raise InputError(
                f"max_length is the most tokens that the model takes, [CLS] and [SEP] included, not {max_length!r}"
            )
        self.vocabulary = vocabulary
        self.lower_case = lower_case
        self.tokenization = tokenization
        self.max_length = max_length
        self._positions = max_length
        self._template = Template.of(vocabulary)
        self._options = {**choices, "tokenization": tokenization}
        self._algorithm = algorithm_of(vocabulary, **self._options)

    def __getstate__(self) -> dict[str, Any]:
        # The libraries' objects are made anew.
        return {name: value for name, value in vars(self).items() if name != "_algorithm"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update({name: value for name, value in state.items() if name != "reference"})
        if "reference" in self._options:
            # Pickles of before the argument was called tokenization.
            self.tokenization = self._options["tokenization"] = self._options.pop("reference")
        self._algorithm = algorithm_of(self.vocabulary, **self._options)

    def __repr__(self) -> str:
        case = "lower-cased" if self.lower_case else "cased"
        return (
            f"<Tokenizer {self.vocabulary.algorithm}, {len(self.vocabulary):,} pieces, {case}, "
            f"as {self.tokenization}, max_length {self.max_length}>"
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments beside the vocabulary that make this tokenizer anew."""
        return {**self._options, "max_length": self.max_length}

    @property
    def reference(self) -> Tokenization:
        """The old name of `tokenization`, deprecated."""
        _warn_of_old_name("reference", "tokenization")
        return self.tokenization

    @classmethod
    def from_pretrained(
        cls,
        handle: str | os.PathLike[str] | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
        vocabulary: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> Self:
        """The tokenizer of a model; all arguments are those of `berthub.load` (`options`: cache, offline, sha256).

        A folder may also be one of a tokenizer alone, as `save_pretrained` and transformers write it.
        """
        folder = resolve(handle, **options)
        if vocabulary is None and is_tokenizer(folder) and not _is_model(folder):
            own, found, notes = read_tokenizer(folder, settings)
            for note in notes:
                warnings.warn(f"{folder}: {note}", InferredSettingWarning, stacklevel=2)
            return cls(own, **found)
        # No weight is used.
        return cls.from_checkpoint(read(folder, settings=settings, vocabulary=vocabulary, allow_nonfinite=True))

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        *,
        max_length: int | None = None,
        tokenization: Tokenization | None = None,
        reference: Tokenization | None = None,
    ) -> Self:
        """The tokenizer that the checkpoint's configuration describes.

        `max_length` is at most the model's positions. None: what the model's files say, or else all of its positions.

        `tokenization` overrides the configuration's.
        """
        if reference is not None:
            if tokenization not in (None, reference):
                raise InputError(f"tokenization={tokenization!r} and reference={reference!r} contradict each other")
            _warn_of_old_name(f"reference={reference!r}", f"tokenization={reference!r}")
            tokenization = reference
        config = checkpoint.config
        if max_length is None:
            max_length = checkpoint.embedding.max_length
        tokenizer = cls(
            checkpoint.vocabulary,
            lower_case=config.lower_case,
            strip_accents=config.strip_accents,
            split_chinese=config.split_chinese,
            tokenization=config.tokenization if tokenization is None else tokenization,
            max_length=config.max_positions,
        )
        if max_length is not None:
            tokenizer.max_length = tokenizer.checked_length(max_length)
        return tokenizer

    def add_tokens(self, tokens: Iterable[str | AddedToken], *, special: bool = False) -> Self:
        """A tokenizer that also finds these tokens in texts; this one stays as it is.

        A model needs a row of its embedding table for each: `Encoder.add_tokens` and `Checkpoint.add_tokens` add both.
        `InputError` where the tokenization is not `transformers`, which alone looks for added tokens.
        """
        if self.tokenization != "transformers":
            raise InputError(
                f"the tokenization {self.tokenization!r} looks for no added tokens; use tokenization='transformers'"
            )
        new = copy.copy(self)
        new.vocabulary = self.vocabulary.with_added(tokens, special=special)
        new._template = Template.of(new.vocabulary)
        new._algorithm = algorithm_of(new.vocabulary, **self._options)
        return new

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write the files that transformers' `AutoTokenizer` and `BertTokenizer` read; returns their paths.

        Ids there are those of the tokenization `transformers`: another one's differ in the texts that its page names.
        """
        names = ("lower_case", "strip_accents", "split_chinese")
        options = TextOptions(**{name: self._options[name] for name in names})
        return write_tokenizer(self.vocabulary, options, Path(save_directory), max_length=self.max_length)

    def save_vocabulary(self, save_directory: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write the vocabulary, which is what `save_pretrained` writes: settings belong to it."""
        return self.save_pretrained(save_directory)

    def tokens(
        self, texts: Sequence[Text], *, max_length: int | None = None, offsets: bool = False, side: Side = "right"
    ) -> Tokens:
        """The tokens of texts and pairs, with `[CLS]` and `[SEP]`; rows beyond `max_length` are truncated and marked.

        `max_length` None keeps everything, however long. With the `side` left texts are truncated at their beginnings,
        not at their ends. One string counts as a list of one; anything but strings and
        pairs raises `InputError`, which names the first one at fault.
        """
        texts = listed_texts(texts)
        check_texts(texts)
        first = [text if isinstance(text, str) else text[0] for text in texts]
        has_second = np.fromiter((not isinstance(text, str) for text in texts), np.bool_, len(texts))
        second = ["" if isinstance(text, str) else text[1] for text in texts] if has_second.any() else []
        if max_length is not None:
            max_length = self.checked_length(max_length, least=self.least(pairs=bool(second)))
            if side == "right":
                first, second = self._beginnings(first, max_length), self._beginnings(second, max_length)
        return assemble(
            self.segments(first, offsets=offsets),
            self.segments(second, offsets=offsets) if second else _empty(len(first), offsets),
            has_second,
            template=self._template,
            max_length=max_length,
            side=side,
            larger_half="longer" if self.tokenization == "transformers" else "first",
        )

    def _beginnings(self, texts: list[str], limit: int) -> list[str]:
        """The texts, each shortened to a beginning that has its first `limit` pieces."""
        if not getattr(self._algorithm, "splits_at_blanks", False):
            return texts
        chinese = getattr(self._algorithm, "splits_chinese", False)
        return [
            beginning(text, limit, lambda part: int(self.segments([part]).lengths[0]), chinese=chinese)
            for text in texts
        ]

    def segments(self, texts: list[str], *, offsets: bool = False) -> Segments:
        """The bare pieces of strings, without `[CLS]` and `[SEP]`, of any length."""
        chunks = [texts[start : start + _CHUNK] for start in range(0, len(texts), _CHUNK)]
        parts = [*map_concurrently(partial(self._algorithm.segments, offsets=offsets), chunks)]
        if len(parts) < 2:
            return parts[0] if parts else _empty(0, offsets)
        places = [part.offsets for part in parts if part.offsets is not None]
        return Segments(
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.lengths for part in parts]),
            np.concatenate(places) if places else None,
        )

    @property
    def words_need_blanks(self) -> bool:
        """Whether blanks belong to pieces, so that a word in a sentence is to be tokenized with the one before it."""
        return bool(getattr(self._algorithm, "words_need_blanks", False))

    def joined(self, pieces: list[str]) -> str | None:
        """The text of pieces where the vocabulary's pipeline says how it is made; None where it is the algorithm's."""
        decode = getattr(self._algorithm, "decode", None)
        return None if decode is None else str(decode(pieces))

    def least(self, *, pairs: bool) -> int:
        """The number of tokens of an empty text, or of a pair of them: the least that `max_length` may be."""
        return self._template.special(pairs=pairs)

    def checked_length(self, max_length: int, *, least: int = _LEAST) -> int:
        """`max_length`, or `InputError` where it is less than `least` or the model has fewer positions."""
        if (
            isinstance(max_length, bool)
            or not isinstance(max_length, int)
            or not least <= max_length <= self._positions
        ):
            raise InputError(
                f"max_length must be from {least} to {self._positions} (the model's positions), not {max_length!r}"
            )
        return max_length


def _warn_of_old_name(old: str, new: str) -> None:
    """For a public method to call directly: the warning points to that one's caller."""
    warnings.warn(f"{old} is deprecated: write {new}", DeprecationWarning, stacklevel=3)


def _is_model(folder: Path) -> bool:
    try:
        find_model(folder)
    except ModelNotFoundError:
        return False
    return True


def _empty(rows: int, offsets: bool) -> Segments:
    return Segments(np.zeros(0, np.int32), np.zeros(rows, np.int64), np.zeros((0, 2), np.int32) if offsets else None)
