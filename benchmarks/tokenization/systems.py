"""The systems that are measured, in the order of the table. A system's library is imported when it is loaded."""

import functools
import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.processes import UnavailableError

Family = Literal["wordpiece", "sentencepiece"]


@dataclass(frozen=True)
class Vocabularies:
    """The files that systems read; None: there is none."""

    wordpiece: Path
    sentencepiece: Path | None


class System(ABC):
    """One system. `run` is what is timed, `ids` are the same ids without `[CLS]` and `[SEP]`."""

    title: str
    family: Family = "wordpiece"

    @abstractmethod
    def load(self, vocabularies: Vocabularies) -> None:
        """Get ready; raises `UnavailableError`, or `ImportError` where the library is missing."""

    @abstractmethod
    def run(self, texts: list[str]) -> Any:
        """The ids of texts, in whatever type the system has them."""

    @abstractmethod
    def ids(self, texts: list[str]) -> list[list[int]]:
        """The ids of each text, bare."""


class Berthub(System):
    def __init__(self, reference: str, family: Family = "wordpiece") -> None:
        self.title = f'berthub, tokenization="{reference}"'
        self.family = family
        self._reference = reference

    def load(self, vocabularies: Vocabularies) -> None:
        import berthub

        options: dict[str, Any] = {"tokenization": self._reference}
        self._tokenizer = berthub.Tokenizer(_path(vocabularies, self.family), **options)

    def run(self, texts: list[str]) -> Any:
        return self._tokenizer.tokens(texts)

    def ids(self, texts: list[str]) -> list[list[int]]:
        tokens = self._tokenizer.tokens(texts)
        splits = tokens.row_splits.tolist()
        return [tokens.ids[begin + 1 : end - 1].tolist() for begin, end in itertools.pairwise(splits)]


class Stock(System):
    """The tokenizers library's `BertWordPieceTokenizer`. `fast` leaves offsets out; `read` makes lists of the ids."""

    def __init__(self, *, fast: bool, read: bool) -> None:
        self.title = f"tokenizers, encode_batch{'_fast' if fast else ''}{', ids read' if read else ''}"
        self._fast, self._read = fast, read

    def load(self, vocabularies: Vocabularies) -> None:
        from tokenizers import BertWordPieceTokenizer

        stock = BertWordPieceTokenizer(str(vocabularies.wordpiece), lowercase=True)
        # The class itself has no fast call; the tokenizer that it holds has.
        self._encode: Callable[..., Any] = stock._tokenizer.encode_batch_fast if self._fast else stock.encode_batch

    def run(self, texts: list[str]) -> Any:
        encodings = self._encode(texts)
        return [encoding.ids for encoding in encodings] if self._read else encodings

    def ids(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids[1:-1] for encoding in self._encode(texts)]


class Google(System):
    """Google's `tokenization.py`, in the Model Garden's copy: in Python, a text at a time."""

    def __init__(self, family: Family = "wordpiece") -> None:
        self.title = "tokenization.py (Model Garden)"
        self.family = family

    def load(self, vocabularies: Vocabularies) -> None:
        from official.nlp.tools import tokenization

        path = str(_path(vocabularies, self.family))
        if self.family == "wordpiece":
            self._tokenizer: Any = tokenization.FullTokenizer(path, do_lower_case=True)
            self._prepared: Callable[[str], str] = str
        else:
            self._tokenizer = tokenization.FullSentencePieceTokenizer(path)
            # As ALBERT's own class does in its `tokenize`.
            self._prepared = functools.partial(tokenization.preprocess_text, lower=True)

    def run(self, texts: list[str]) -> Any:
        return self.ids(texts)

    def ids(self, texts: list[str]) -> list[list[int]]:
        tokenizer = self._tokenizer
        return [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(self._prepared(text))) for text in texts]


class TensorFlowText(System):
    """`BertTokenizer` is what TF Hub's preprocessing models hold, `FastBertTokenizer` its successor."""

    def __init__(self, name: str) -> None:
        self.title = f"tensorflow-text, {name}"
        self._name = name

    def load(self, vocabularies: Vocabularies) -> None:
        import tensorflow as tf
        import tensorflow_text

        threads = int(os.environ["TF_NUM_INTRAOP_THREADS"])
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        if self._name == "BertTokenizer":
            tokenizer = tensorflow_text.BertTokenizer(
                str(vocabularies.wordpiece), lower_case=True, token_out_type=tf.int32
            )
        else:
            pieces = vocabularies.wordpiece.read_text(encoding="utf-8").split("\n")
            while not pieces[-1]:
                pieces.pop()
            tokenizer = tensorflow_text.FastBertTokenizer(pieces, lower_case_nfd_strip_accents=True)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def tokenize(texts: Any) -> Any:
            # [texts, (words,) pieces]
            found = tokenizer.tokenize(texts)
            return found.merge_dims(1, -1) if found.ragged_rank > 1 else found

        self._tokenize, self._constant = tokenize, tf.constant

    def run(self, texts: list[str]) -> Any:
        return self._tokenize(self._constant(texts)).values.numpy()

    def ids(self, texts: list[str]) -> list[list[int]]:
        return self._tokenize(self._constant(texts)).to_list()  # type: ignore[no-any-return]


class SentencePieceLibrary(System):
    """The library alone: without ALBERT's own steps before and after it."""

    title = "sentencepiece, encode"
    family: Family = "sentencepiece"

    def load(self, vocabularies: Vocabularies) -> None:
        import sentencepiece

        self._processor = sentencepiece.SentencePieceProcessor(model_file=str(_path(vocabularies, self.family)))
        self._threads = int(os.environ["RAYON_NUM_THREADS"])

    def run(self, texts: list[str]) -> Any:
        return self._processor.encode(texts, out_type=int, num_threads=self._threads)

    def ids(self, texts: list[str]) -> list[list[int]]:
        return self.run(texts)  # type: ignore[no-any-return]


def _path(vocabularies: Vocabularies, family: Family) -> Path:
    path = vocabularies.wordpiece if family == "wordpiece" else vocabularies.sentencepiece
    if path is None:
        raise UnavailableError("--sentencepiece was not given")
    return path


SYSTEMS: dict[str, System] = {
    "berthub-google": Berthub("google"),
    "berthub-tf-text": Berthub("tf_text"),
    "stock": Stock(fast=False, read=False),
    "stock-ids": Stock(fast=False, read=True),
    "stock-fast": Stock(fast=True, read=False),
    "stock-fast-ids": Stock(fast=True, read=True),
    "google-python": Google(),
    "tf-text": TensorFlowText("BertTokenizer"),
    "tf-text-fast": TensorFlowText("FastBertTokenizer"),
    "albert-berthub-google": Berthub("google", "sentencepiece"),
    "albert-berthub-tf-text": Berthub("tf_text", "sentencepiece"),
    "albert-sentencepiece": SentencePieceLibrary(),
    "albert-google-python": Google("sentencepiece"),
}
# What the others of a family are compared with: in speed, and in ids.
SPEED_BASE: dict[Family, Sequence[str]] = {
    "wordpiece": ("stock", "stock-fast"),
    "sentencepiece": ("albert-sentencepiece",),
}
IDS_BASE: dict[Family, Sequence[str]] = {
    "wordpiece": ("google-python", "tf-text"),
    "sentencepiece": ("albert-google-python",),
}
