"""Make model inputs of texts, as TF Hub's preprocessing models (`bert_*_preprocess`) do."""

import operator
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.errors import InputError, ModelError, UnsupportedModelError
from berthub.formats import read
from berthub.formats.preprocessor import read_preprocessor
from berthub.keras_registration import layer_class
from berthub.preprocessing.text_tensors import (
    check_keras_texts,
    inputs_of_tensors,
    is_keras_tensor,
    is_tensor,
    ragged_of_strings,
    rows_of_ragged,
)
from berthub.sources.resolve import resolve
from berthub.tokenization.assemble import Segments
from berthub.tokenization.packing import pack, padded_inputs, to_segments
from berthub.tokenization.texts import listed
from berthub.tokenization.tokenizer import Text, Tokenizer

__all__ = ["Preprocessor", "is_preprocessing_model"]

Ints = npt.NDArray[np.int32]

# What TF Hub's preprocessing models pad and truncate to.
_SEQ_LENGTH = 128


class Preprocessor:
    """Makes a model's inputs from texts: `input_word_ids`, `input_mask`, `input_type_ids`, int32 [batch, seq_length].

    `handle` is that of a preprocessing model of TF Hub (`.../bert_en_uncased_preprocess/3`), that of an encoder, or a
    `Tokenizer`; `vocabulary` is an encoder's, as in `berthub.load`; `sha256`, `cache_dir` and `offline` are as in
    `berthub.resolve`. `seq_length` None means: what the
    preprocessing model says, else 128, or all positions of an encoder that has fewer. No graph is ever run, and
    TensorFlow is not needed unless its tensors are passed. The pieces of a preprocessing model are those that it
    makes itself (`tokenization="tf_text"`); an encoder's are those of its own tokenizer.
    """

    def __init__(
        self,
        handle: str | os.PathLike[str] | Tokenizer | None = None,
        seq_length: int | None = None,
        *,
        vocabulary: str | os.PathLike[str] | None = None,
        sha256: str | Mapping[str, str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        offline: bool | None = None,
    ) -> None:
        stored = None
        if isinstance(handle, Tokenizer):
            self.tokenizer = handle
        else:
            folder = resolve(handle, sha256=sha256, cache_dir=cache_dir, offline=offline)
            files = None if vocabulary is not None else read_preprocessor(folder)
            if files is None:
                checkpoint = read(folder, vocabulary=vocabulary, allow_nonfinite=True)
                self.tokenizer = Tokenizer.from_checkpoint(checkpoint)
            else:
                stored = files.seq_length
                self.tokenizer = Tokenizer(
                    files.vocabulary,
                    lower_case=files.lower_case,
                    strip_accents=files.strip_accents,
                    tokenization="tf_text",
                    max_length=max(512, stored or 0),
                )
        if seq_length is None:
            seq_length = min(stored or _SEQ_LENGTH, self.tokenizer.max_length)
        self.seq_length = self._checked_length(seq_length, pairs=False)

    def __repr__(self) -> str:
        return f"<Preprocessor seq_length {self.seq_length}, {self.tokenizer!r}>"

    def __call__(self, texts: Any, text_pairs: Any = None) -> dict[str, Any]:
        """The inputs of texts, or of pairs whose second texts are `text_pairs`; longer ones are truncated.

        `texts` is a list, tuple, one-dimensional array or other iterable of str (or of UTF-8 bytes), or of pairs of
        them as tuples; one string is a batch of one. That gives NumPy arrays. A `tf.string` tensor [batch] gives
        TensorFlow's tensors, and one of shape [] gives [seq_length], so that this can be mapped over a `tf.data`
        dataset, batched or not. A Keras input of dtype "string" gives symbolic tensors, on the TensorFlow backend;
        a layer in the model then does this, and is saved with it.
        Pairs are truncated as in `bert_pack_inputs`. `InputError` for anything else.
        """
        tensors = [texts] if text_pairs is None else [texts, text_pairs]
        if any(is_keras_tensor(value) for value in tensors):
            check_keras_texts(tensors)
            layer = layer_class("PreprocessingLayer")(self)
            return layer(*tensors)  # type: ignore[no-any-return]
        if any(is_tensor(value) for value in tensors):
            self._checked_length(self.seq_length, pairs=text_pairs is not None)
            return inputs_of_tensors(tensors, self._inputs, self.seq_length)
        if isinstance(texts, list | tuple) and any(is_tensor(text) or is_keras_tensor(text) for text in texts):
            raise InputError("tensors in a list: pass a batch as one tensor (tf.stack), and pairs as (first, second)")
        first = _texts(texts)
        if text_pairs is None:
            tokens = self.tokenizer.tokens(first, max_length=self.seq_length)
            return padded_inputs(tokens, seq_length=self.seq_length, vocabulary=self.tokenizer.vocabulary)
        second = _texts(text_pairs)
        if len(first) != len(second) or not all(isinstance(text, str) for text in (*first, *second)):
            raise InputError(
                "text_pairs must have a string for each of the texts, which are strings, too; "
                f"there are {len(first):,} texts and {len(second):,} in text_pairs"
            )
        return self._inputs([first, second])

    def tokenize(self, texts: Any) -> Any:
        """The piece ids of texts without special tokens, not truncated: a list of lists of int, one for each text.

        A `tf.string` tensor [batch] gives a `tf.RaggedTensor` [batch, (pieces)]. Pieces of all words stand in one
        row, where TF Hub's models had a further level for words. Pairs are tokenized segment by segment.
        """
        if is_tensor(texts):
            return ragged_of_strings(texts, self._flat_pieces)
        strings = _texts(texts)
        for index, text in enumerate(strings):
            if not isinstance(text, str):
                raise InputError(f"text {index} is {text!r}, not a str: tokenize the segments of pairs one by one")
        ids, splits = self._flat_pieces(strings)
        return [row.tolist() for row in np.split(ids, splits[1:-1])] if strings else []

    def bert_pack_inputs(self, segments: Sequence[Any], seq_length: int | None = None) -> dict[str, Any]:
        """The inputs of one or two segments, `[tokens]` or `[first_tokens, second_tokens]`: int32 [batch, seq_length].

        A segment is what `tokenize` returns: ids [batch, (pieces)], as nested lists or a ragged tensor; the ids of
        words may stand in lists of their own, as in TF Hub's models. Where two segments do not fit, places are
        given to them turn by turn. `seq_length` None: the preprocessor's. Tensors give tensors.
        """
        if is_tensor(segments) or not isinstance(segments, list | tuple) or len(segments) not in (1, 2):
            raise InputError("segments are a list of one or of two segments, such as [preprocessor.tokenize(texts)]")
        width = self._checked_length(self.seq_length if seq_length is None else seq_length, pairs=len(segments) == 2)

        def packed(rows: Sequence[Any]) -> dict[str, Ints]:
            size = len(self.tokenizer.vocabulary)
            return self._pack([to_segments(segment, vocabulary_size=size) for segment in rows], width)

        if any(is_tensor(segment) for segment in segments):
            return rows_of_ragged(segments, packed, width)
        return packed(segments)

    def _inputs(self, texts: Sequence[list[Any]]) -> dict[str, Ints]:
        self._checked_length(self.seq_length, pairs=len(texts) == 2)
        return self._pack([self.tokenizer.segments(part) for part in texts], self.seq_length)

    def _pack(self, segments: Sequence[Segments], seq_length: int) -> dict[str, Ints]:
        vocabulary = self.tokenizer.vocabulary
        first, second = segments[0], segments[1] if len(segments) == 2 else None
        tokens = pack(first, second, seq_length=seq_length, vocabulary=vocabulary)
        return padded_inputs(tokens, seq_length=seq_length, vocabulary=vocabulary)

    def _flat_pieces(self, texts: list[Any]) -> tuple[Ints, npt.NDArray[np.int64]]:
        segments = self.tokenizer.segments(texts)
        return segments.ids, np.concatenate([np.zeros(1, np.int64), np.cumsum(segments.lengths)])

    def _checked_length(self, seq_length: Any, *, pairs: bool) -> int:
        least, most = self.tokenizer.least(pairs=pairs), self.tokenizer.max_length
        try:
            length = -1 if isinstance(seq_length, bool) else operator.index(seq_length)
        except TypeError:
            length = -1
        if not least <= length <= most:
            raise InputError(f"seq_length must be from {least} to {most} (the model's positions), not {seq_length!r}")
        return length


def is_preprocessing_model(folder: Path) -> bool:
    """Whether the folder holds a preprocessing model, and no encoder; asked of the files, and not of the name."""
    try:
        if read_preprocessor(folder) is None:
            return False
    except ModelError:
        # Whoever wants an encoder raises the error of its reader.
        return False
    try:
        # An encoder may have its preprocessing in the same graph.
        read(folder, allow_nonfinite=True)
    except UnsupportedModelError:
        return True
    except ModelError:
        return False
    return False


def _texts(texts: Any) -> list[Text]:
    if isinstance(texts, bytes) or (isinstance(texts, np.ndarray) and texts.ndim == 0):
        texts = [texts if isinstance(texts, bytes) else texts.item()]
    # TensorFlow Text makes U+FFFD of invalid UTF-8.
    return [tuple(text) if isinstance(text, list) else text for text in listed(texts, errors="replace")]  # type: ignore[misc]
