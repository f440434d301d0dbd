"""Labelled data: texts with their labels, read whole."""

import itertools
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from berthub.choices import InputFormat
from berthub.errors import InputError
from berthub.head import Task, label_order
from berthub.tables.reading import TextColumns, reading
from berthub.tables.reading_options import LABEL_SEPARATOR, ReadingOptions
from berthub.tables.source import Source, file_source
from berthub.tokenization.tokenizer import Text

__all__ = ["Labelled", "read_labelled"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Labelled:
    """The rows of a file: `n` texts, or for `tag` sentences as lists of words, and the label of each.

    `labels` are for classify strings, for multi_label tuples of them, for regress floats, for tag lists of strings,
    one for each word. `missing` tells how many rows had no text, if any.
    """

    task: Task
    texts: list[Text]
    labels: list[Any]
    missing: str = ""

    @property
    def label_names(self) -> tuple[str, ...]:
        """The different labels, in order: whole numbers by value, then the others by alphabet; none for regress."""
        match self.task:
            case "classify":
                names = set(self.labels)
            case "multi_label" | "tag":
                names = set(itertools.chain.from_iterable(self.labels))
            case "regress":
                names = set()
        return tuple(sorted(names, key=label_order))


def read_labelled(
    path: str | os.PathLike[str],
    *,
    task: Task,
    options: ReadingOptions | None = None,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    label_separator: str = LABEL_SEPARATOR,
) -> Labelled:
    """The rows of a CSV, TSV, JSON, JSON lines or Parquet file, or for `tag` also of a CoNLL file; all in memory.

    The format is by default that of the extension, where .txt means CoNLL for `tag`. Columns are chosen as
    `TextColumns.chosen` says. A label is for

    classify: a string, or a whole number or truth value, which become "0", "1", "true" and "false";
    multi_label: a list of these, or a string with `label_separator` between them, which may be empty;
    regress: a finite number, or a string that is one;
    tag: a list of them, one for each word, or a string with white space between them; the words likewise.

    Everything else raises an `InputError` that names the row, and the line where the file has lines.
    """
    if not label_separator:
        raise InputError("the separator of labels is empty; use a character such as , or |")
    source = _source(Path(path), task, options or ReadingOptions())
    columns = TextColumns(text_column, text_pair_column, label_column, words=task == "tag", labelled=True)
    convert = _converter(task, label_separator)
    texts: list[Text] = []
    labels: list[Any] = []
    with reading(source, columns) as rows:
        for block in rows.blocks:
            assert block.labels is not None
            for index, (text, value) in enumerate(zip(block.texts, block.labels, strict=True)):
                try:
                    label = convert(value)
                    if task == "tag" and len(label) != len(text):
                        raise _LabelError(f"there are {len(text):,} words and {len(label):,} tags; every word has one")
                except _LabelError as fault:
                    raise InputError(f"{block.place(index)}: {fault}") from None
                texts.append(text)
                labels.append(label)
        missing = rows.tally
    if not texts:
        raise InputError(f"{source.name} has no rows{missing.ending}")
    return Labelled(task=task, texts=texts, labels=labels, missing=missing.described)


class _LabelError(Exception):
    """An error about the label of a row; the reader adds the place."""


def _source(path: Path, task: Task, options: ReadingOptions) -> Source:
    if task == "tag" and options.format is None and path.name.lower().endswith((".txt", ".txt.gz", ".txt.zst")):
        options = replace(options, format="conll")
    source = file_source(path, options)
    unlabelled = {"text"} if task == "tag" else {"text", "conll"}
    if source.format in unlabelled:
        what = "sentences with a tag for each word" if source.format == "conll" else "texts without labels"
        accepted = [kind for kind in get_args(InputFormat) if kind not in unlabelled]
        raise InputError(
            f"{path} is read as {source.format}, which has {what}; the task {task} takes {', '.join(accepted)} "
            "(say which with --format)"
        )
    return source


def _converter(task: Task, separator: str) -> Callable[[Any], Any]:
    match task:
        case "classify":
            return _label
        case "multi_label":
            return lambda value: _labels(value, separator)
        case "regress":
            return _number
        case "tag":
            return _tags


def _label(value: Any) -> str:
    if isinstance(value, bool):
        # As JSON writes them.
        return str(value).lower()
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        # A data frame makes floats of whole numbers where one is missing.
        return str(int(value))
    if isinstance(value, str):
        if not value.strip():
            raise _LabelError("the label is empty; give the row one, or leave it out")
        return value
    raise _LabelError(
        f"the label is {_shown(value)}; it should be a string or a whole number (other numbers: the task regress)"
    )


def _labels(value: Any, separator: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(separator)] if value.strip() else []
    if not isinstance(value, list):
        raise _LabelError(
            f"the labels are {_shown(value)}; they should be a list of labels, or a "
            f"string with {separator!r} between them (an empty one for none)"
        )
    return tuple(dict.fromkeys(map(_label, value)))


def _tags(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    if not isinstance(value, list):
        raise _LabelError(f"the tags are {_shown(value)}; they should be a list with one for each word")
    return [_label(tag) for tag in value]


def _number(value: Any) -> float:
    fault = _LabelError(f"the label is {_shown(value)}; the task regress needs a finite number")
    # float() would take these, too.
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        raise fault
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise fault from None
    if not math.isfinite(number):
        raise fault
    return number


def _shown(value: Any) -> str:
    return "null" if value is None else f"{value!r:.60}"
