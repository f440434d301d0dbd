"""Predictions and the columns beside them, written as they come."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from berthub.choices import InputFormat, PredictionFormat
from berthub.cli.tables.block import Block, JsonRows
from berthub.cli.tables.destination import Destination
from berthub.cli.tables.json_columns import JsonColumns
from berthub.cli.tables.separated import CarriedFields, SeparatedRows
from berthub.cli.tables.writing import RowGroups, json_texts
from berthub.encoding.prediction import Logits
from berthub.errors import InputError
from berthub.head import Head

__all__ = ["PredictionColumns", "PredictionWriter", "create_prediction_writer"]

_PROBABILITIES = "probabilities"
_SEPARATED = ("csv", "tsv")
_SPACE = re.compile(r"[ \t\r\n]")


@dataclass(frozen=True, eq=False, kw_only=True)
class PredictionColumns:
    """What is written: predictions of `head` in `column`, perhaps probabilities, perhaps the input's columns first.

    `separator` stands between the labels of a text where a field is a string.
    """

    head: Head
    column: str
    probabilities: bool
    carried: bool
    separator: str

    def check(self, to: PredictionFormat) -> None:
        """Raise `InputError` for what a format has no place for."""
        task, labels = self.head.task, self.head.labels
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

    def names(self, to: PredictionFormat) -> list[str]:
        """The columns that are written beside those of the input."""
        if not self.probabilities:
            return [self.column]
        if to in _SEPARATED:
            return [self.column, *(f"probability_{label}" for label in self.head.labels)]
        return [self.column, _PROBABILITIES]


class PredictionWriter(ABC):
    """Writes the rows of blocks, with what a model says of them, to a file."""

    @abstractmethod
    def write(self, block: Block, logits: Logits) -> None:
        """Write the rows of a block; `InputError` where the format has no place for a value."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left; the file itself stays open."""


def create_prediction_writer(
    destination: Destination[PredictionFormat],
    file: BinaryIO,
    columns: PredictionColumns,
    *,
    source: InputFormat | None,
    metadata: Mapping[str, str],
) -> PredictionWriter:
    """The writer for the destination's format; `source` is that of the input, None where it has several."""
    match destination.format:
        case "parquet":
            return _ParquetWriter(file, columns, metadata)
        case "jsonl":
            return _JsonLinesWriter(file, columns)
        case "csv" | "tsv":
            return _SeparatedWriter(destination.format, file, columns)
        case "conll":
            return _ConllWriter(file, carried=columns.carried and source == "conll")


class _ParquetWriter(PredictionWriter):
    def __init__(self, file: BinaryIO, columns: PredictionColumns, metadata: Mapping[str, str]) -> None:
        self._columns = columns
        self._json = JsonColumns()
        self._groups = RowGroups(file, metadata)

    def write(self, block: Block, logits: Logits) -> None:
        added = self._added(logits)
        if self._columns.carried:
            table = self._json.table(block.carried) if isinstance(block.carried, JsonRows) else block.carried
            for name, column in added.items():
                table = table.append_column(name, column)
        else:
            table = pa.table(added)
        self._groups.add(table)

    def close(self) -> None:
        self._groups.close()

    def _added(self, logits: Logits) -> dict[str, Any]:
        columns = self._columns
        types = {"classify": pa.string(), "regress": pa.float32()}
        kind = types.get(columns.head.task, pa.list_(pa.string()))
        added = {columns.column: pa.array(logits.predictions(), kind)}
        if columns.probabilities:
            found = logits.probabilities()
            if isinstance(found, list):
                lengths = np.fromiter(map(len, found), np.int32, len(found))
                splits = np.concatenate([np.zeros(1, np.int32), np.cumsum(lengths, dtype=np.int32)])
                flat = _structs(np.concatenate(found), columns.head.labels)
                added[_PROBABILITIES] = pa.ListArray.from_arrays(pa.array(splits), flat)
            else:
                added[_PROBABILITIES] = _structs(found, columns.head.labels)
        return added


def _structs(rows: npt.NDArray[np.float32], labels: Sequence[str]) -> Any:
    return pa.StructArray.from_arrays([pa.array(np.ascontiguousarray(column)) for column in rows.T], names=labels)


class _JsonLinesWriter(PredictionWriter):
    def __init__(self, file: BinaryIO, columns: PredictionColumns) -> None:
        self._file, self._columns = file, columns

    def write(self, block: Block, logits: Logits) -> None:
        carried = json_texts(block.carried) if self._columns.carried else None
        for index, added in enumerate(self._added(logits)):
            text = orjson.dumps(added, option=orjson.OPT_SERIALIZE_NUMPY)
            line = text if carried is None else carried[index][:-1] + b"," + text[1:]
            self._file.write(line + b"\n")

    def close(self) -> None:
        pass

    def _added(self, logits: Logits) -> Iterator[dict[str, Any]]:
        column, labels = self._columns.column, self._columns.head.labels
        if not self._columns.probabilities:
            for prediction in logits.predictions():
                yield {column: prediction}
            return
        for prediction, row in zip(logits.predictions(), logits.probabilities(), strict=True):
            if row.ndim == 1:
                probabilities: Any = dict(zip(labels, row, strict=True))
            else:
                probabilities = [dict(zip(labels, word, strict=True)) for word in row]
            yield {column: prediction, _PROBABILITIES: probabilities}


class _SeparatedWriter(PredictionWriter):
    """CSV or TSV."""

    def __init__(self, to: PredictionFormat, file: BinaryIO, columns: PredictionColumns) -> None:
        self._format, self._columns = to, columns
        self._rows = SeparatedRows(file, tabs=to == "tsv")
        self._carried = CarriedFields()
        self._header_written = False

    def write(self, block: Block, logits: Logits) -> None:
        if self._columns.carried:
            carried = self._carried.fields(block.carried, block.place(0))
        else:
            carried = [[] for _ in block.texts]
        if not self._header_written:
            self._rows.row("the header", [*self._carried.names, *self._columns.names(self._format)])
            self._header_written = True
        for index, (fields, added) in enumerate(zip(carried, self._added(logits), strict=True)):
            self._rows.row(block.place(index), [*fields, *added])

    def close(self) -> None:
        pass

    def _added(self, logits: Logits) -> Iterator[list[str]]:
        joined = {"multi_label": self._columns.separator.join, "tag": " ".join}.get(logits.head.task, str)
        predictions = (joined(prediction) for prediction in logits.predictions())
        if not self._columns.probabilities:
            yield from ([prediction] for prediction in predictions)
            return
        for prediction, row in zip(predictions, logits.probabilities(), strict=True):
            # The shortest digits that mean this float32.
            yield [prediction, *map(str, row)]


class _ConllWriter(PredictionWriter):
    """A word a line with its tag as the last column, a blank line behind each sentence.

    The columns of a CoNLL file stand between, those of other files are left out.
    """

    def __init__(self, file: BinaryIO, *, carried: bool) -> None:
        self._file, self._carried = file, carried

    def write(self, block: Block, logits: Logits) -> None:
        # A block of sentences carries a table.
        carried = block.carried.columns if self._carried and not isinstance(block.carried, JsonRows) else ()
        columns = [column.to_pylist() for column in carried] or [block.texts]
        for index, sentence in enumerate(zip(*columns, logits.predictions(), strict=True)):
            lines = []
            for fields in zip(*sentence, strict=True):
                if not fields[0] or _SPACE.search(fields[0]):
                    raise InputError(
                        f"{block.place(index)}: the word {fields[0]!r:.60} is empty or has white space in it, for "
                        "which CoNLL has no form: write .jsonl or .parquet"
                    )
                lines.append(" ".join(fields) + "\n")
            self._file.write("".join([*lines, "\n"]).encode())

    def close(self) -> None:
        pass


def _refuse_labels(labels: Sequence[str], holding: str, to: PredictionFormat, way_out: str = "") -> None:
    if labels:
        raise InputError(
            f"the label {labels[0]!r} holds {holding}, with which {to} separates labels: write .jsonl or .parquet"
            + way_out
        )
