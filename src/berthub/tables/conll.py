"""Read CoNLL files: a word a line with its tag after it, a blank line between sentences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from berthub.errors import InputError
from berthub.tables.block import Block, in_blocks
from berthub.tables.columns import TextColumns
from berthub.tables.lines import Line
from berthub.tables.start import BEGINNING, Start

__all__ = ["Sentence", "blocks", "column_names", "sentences"]

_DOCUMENT = "-DOCSTART-"
# Words may hold other kinds of white space, such as no-break spaces.
_SPACE = " \t"
_SPACES = re.compile(f"[{_SPACE}]+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """The fields of every word, the line where the sentence begins, its length, where it ends, and its last line."""

    words: list[list[str]]
    line: int
    size: int
    end: int
    last_line: int


def blocks(
    sentences: Iterator[Sentence], name: str, columns: TextColumns, *, start: Start = BEGINNING
) -> Iterator[Block]:
    """The sentences from `start` on, in blocks.

    They are lists of words where those are asked for, else the words with spaces between.
    Fields lie between spaces or tabs: the first is the word, the last, if there is another, the tag. Lines that begin
    with -DOCSTART- are passed over. The columns of the table are lists, named by `column_names`.
    """
    first_row, begin = start.rows + 1, start.offset or 0
    names: list[str] = []
    for rows in in_blocks((sentence.size, sentence) for sentence in sentences):
        if not names:
            names = column_names(len(rows[0].words[0]))
            if columns.labelled and len(names) == 1:
                raise InputError(
                    f"{name}, line {rows[0].line}: the line has one column, the word; in a labelled file the last "
                    "column is the tag: EU B-ORG"
                )
            chosen = replace(columns, words=True).chosen(names, name)
            if chosen.pair is not None:
                raise InputError(f"{name} holds sentences of words, which have no pairs: leave out --text-pair-column")
        values = {
            column: [[fields[index] for fields in row.words] for row in rows] for index, column in enumerate(names)
        }
        words = values[chosen.text]
        yield Block(
            name=name,
            texts=words if columns.words else [" ".join(sentence) for sentence in words],
            carried=pa.table({column: pa.array(lists, pa.list_(pa.string())) for column, lists in values.items()}),
            first_row=first_row,
            lines=[row.line for row in rows],
            begin=begin,
            end=rows[-1].end,
            columns=chosen,
            labels=None if chosen.label is None else values[chosen.label],
        )
        first_row += len(rows)
        begin = rows[-1].end


def column_names(count: int) -> list[str]:
    """The names of the `count` columns of a CoNLL file: words, column_2, ..., tags."""
    return ["words", *(f"column_{number}" for number in range(2, count)), *(["tags"] if count > 1 else [])]


def sentences(lines: Iterator[Line], name: str) -> Iterator[Sentence]:
    """The sentences, which blank lines separate; every word has as many fields as the first one."""
    words: list[list[str]] = []
    start = size = end = width = last = 0
    for line in lines:
        text = line.text.strip(f"{_SPACE}\r\n")
        fields = _SPACES.split(text)
        if not text or fields[0] == _DOCUMENT:
            if words:
                yield Sentence(words, start, size, line.end, line.number)
            words, size = [], 0
            continue
        width = width or len(fields)
        if len(fields) != width:
            raise InputError(
                f"{name}, line {line.number}: the line has {_columns(len(fields))} and the first one {width}; "
                "every word has the same, with spaces or tabs between them"
            )
        if not words:
            start = line.number
        words.append(fields)
        size += len(text)
        end, last = line.end, line.number
    if words:
        yield Sentence(words, start, size, end, last)


def _columns(count: int) -> str:
    return f"{count} column{'s' if count > 1 else ''}"
