"""Predict for a table: compute the predictions of a fine-tuned model for the texts of a block."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.choices import PredictionFormat
from berthub.encoding.encoder import Encoder
from berthub.encoding.prediction import Logits
from berthub.errors import InputError
from berthub.head import Head
from berthub.jobs.computation import Computation
from berthub.jobs.step import Step
from berthub.tables.block import Block
from berthub.tables.results import Column, ListColumn, NumberColumn, ShareColumn, TextColumn
from berthub.tokenization.tokenizer import Text
from berthub.version import __version__

__all__ = ["PredictComputation"]

_PROBABILITIES = "probabilities"
_PROBABILITY = "probability_"
_SEPARATED = ("csv", "tsv")
_SPACE = re.compile(r"[ \t\r\n]")


@dataclass(frozen=True, eq=False, kw_only=True)
class PredictComputation(Computation):
    """Computes the predictions of `head` for the column `column`; `model` is the model's name, as it may be shown.

    With `probabilities` these are written, too. `separator` stands between the labels of a text where a field is a
    string. Without `truncation` texts that are too long are refused. `InputError` for what the format `to` cannot hold.
    """

    encoder: Encoder
    head: Head
    model: str
    to: PredictionFormat
    column: str
    probabilities: bool
    separator: str
    truncation: bool = True
    carried: bool = True

    def __post_init__(self) -> None:
        task, labels, to = self.head.task, self.head.labels, self.to
        if self.probabilities and task == "regress":
            raise InputError("this model is a regression, which has no probabilities: leave out --probabilities")
        if to == "conll" and task != "tag":
            raise InputError(f"a CoNLL file holds a tag for each word, and this model's task is {task}: write .csv")
        if task == "tag" and to in ("conll", *_SEPARATED):
            if self.probabilities:
                raise InputError(f"{to} has no place for the probabilities of every word: write .jsonl or .parquet")
            _refuse_labels([label for label in labels if not label or _SPACE.search(label)], "white space", to)
        if task == "multi_label" and to in _SEPARATED:
            inside = [label for label in labels if self.separator in label]
            _refuse_labels(inside, f"{self.separator!r}", to, " (or choose another --label-separator)")

    @property
    def names(self) -> list[str]:
        """The columns that are written beside those of the input; in CoNLL they have no names."""
        if self.to == "conll":
            return []
        if not self.probabilities:
            return [self.column]
        if self.to in _SEPARATED:
            return [self.column, *(f"{_PROBABILITY}{label}" for label in self.head.labels)]
        return [self.column, _PROBABILITIES]

    @property
    def described(self) -> Mapping[str, Any]:
        """The options, and what becomes of long texts."""
        return {
            "column": self.column,
            "probabilities": self.probabilities,
            "separator": self.separator,
            "truncation": self.truncation,
            "carried": self.carried,
        }

    @property
    def words(self) -> bool:
        """Whether the model tags words."""
        return self.head.task == "tag"

    @property
    def metadata(self) -> Mapping[str, str]:
        """What a file says of the predictions in it."""
        return {
            "berthub.version": __version__,
            "berthub.model": self.model,
            "berthub.task": self.head.task,
            "berthub.precision": self.encoder.precision,
            "berthub.max_length": str(self.encoder.max_length),
        }

    @property
    def ways_out(self) -> Mapping[str, str]:
        """The names of the columns of results, each with an option that helps where the input has it."""
        return {name: "--prediction-column NAME" if name == self.column else "--drop-columns" for name in self.names}

    @property
    def storable(self) -> bool:
        """Those of texts are, those of words are not."""
        return not self.words

    def stored(self, texts: Sequence[Text]) -> Iterator[npt.NDArray[Any]]:
        """The head's outputs for texts, and which were truncated."""
        logits = self.encoder.stages.logits(texts)
        values = logits.values
        found = np.empty(len(values), [("logits", values.dtype, values.shape[1:]), ("truncated", np.bool_)])
        found["logits"], found["truncated"] = values, logits.truncated
        yield found

    def from_stored(
        self, block: Block, found: npt.NDArray[Any], *, lenient: bool = False
    ) -> tuple[Sequence[Column], Step]:
        """The predictions for the block's rows."""
        values, truncated = (np.ascontiguousarray(found[name]) for name in ("logits", "truncated"))
        logits = Logits(head=self.head, values=values, truncated=truncated)
        self._refuse_too_long(block, logits, lenient=lenient)
        return self._results(block, logits)

    def compute(self, block: Block, *, lenient: bool = False) -> Iterator[tuple[Sequence[Column], Step]]:
        """The predictions for all rows of the block at once."""
        yield self._results(block, self.logits(block, lenient=lenient))

    def logits(self, block: Block, *, lenient: bool = False) -> Logits:
        """The head's outputs for a block's texts.

        One that is too long and may not be truncated is an `InputError`, unless `lenient`.
        """
        # Stages do not warn: each step counts the truncated texts.
        logits = self.encoder.stages.logits(block.texts)
        self._refuse_too_long(block, logits, lenient=lenient)
        return logits

    def _results(self, block: Block, logits: Logits) -> tuple[Sequence[Column], Step]:
        count = len(block.texts)
        too_long = [] if self.truncation else np.flatnonzero(logits.truncated).tolist()
        failures = {index: str(self._too_long(block, index)) for index in too_long}
        return _result_columns(logits, self), Step(
            rows=count,
            truncated=int(logits.truncated.sum()) - len(failures),
            done=block.done_at(count),
            failures=failures,
        )

    def _refuse_too_long(self, block: Block, logits: Logits, *, lenient: bool) -> None:
        if not self.truncation and logits.truncated.any() and not lenient:
            raise self._too_long(block, int(logits.truncated.argmax()))

    def _too_long(self, block: Block, index: int) -> InputError:
        what = "a word" if self.head.task == "tag" else "the text"
        return InputError(
            f"{block.place(index)}: {what} has more tokens than the limit of {self.encoder.max_length} allows; shorten "
            "it, or leave out --no-truncation to have it truncated"
        )


def _result_columns(logits: Logits, job: PredictComputation) -> list[Column]:
    """The predictions, and the probabilities where they are wanted, as they are written."""
    columns = [_predictions(logits, job)]
    if job.probabilities:
        found = logits.probabilities()
        lengths = np.fromiter(map(len, found), np.int64, len(found)) if isinstance(found, list) else None
        columns.append(
            ShareColumn(
                name=_PROBABILITIES,
                values=np.concatenate(found) if isinstance(found, list) else found,
                labels=job.head.labels,
                field_prefix=_PROBABILITY,
                lengths=lengths,
            )
        )
    return columns


def _predictions(logits: Logits, job: PredictComputation) -> Column:
    found: Any = logits.predictions()
    match logits.head.task:
        case "classify":
            return TextColumn(name=job.column, values=found)
        case "regress":
            return NumberColumn(name=job.column, values=found)
        case "multi_label":
            return ListColumn(name=job.column, values=found, separator=job.separator)
        case "tag":
            return ListColumn(name=job.column, values=found)


def _refuse_labels(labels: Sequence[str], holding: str, to: PredictionFormat, way_out: str = "") -> None:
    if labels:
        raise InputError(
            f"the label {labels[0]!r} holds {holding}, with which {to} separates labels: write .jsonl or .parquet"
            + way_out
        )
