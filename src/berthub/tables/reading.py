"""Read texts from files of any size, in blocks of rows with all their columns."""

import contextlib
import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from berthub.choices import InputFormat
from berthub.errors import InputError
from berthub.tables.addresses import file_stamp
from berthub.tables.block import Block, Carried, JsonRows
from berthub.tables.columns import TextColumns
from berthub.tables.lines import Line
from berthub.tables.missing import Tally, settled
from berthub.tables.opening import Opened, open_file, open_standard_input
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.rows import RowReader, text_blocks
from berthub.tables.sniffing import sniffed_delimiter
from berthub.tables.source import InputFile, Source

__all__ = ["Rows", "TextColumns", "reading", "refuse_other_columns"]


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a source. `total` is its size where that is known: in bytes, or in texts.

    `tally` counts the rows without a text while blocks are taken.
    """

    total: int | None
    blocks: Iterator[Block]
    tally: Tally = field(default_factory=lambda: Tally(None))


@contextlib.contextmanager
def reading(source: Source, columns: TextColumns) -> Iterator[Rows]:
    """Open a source; what cannot be read raises `InputError`, at once or when its block is taken."""
    tally = Tally(source.options.missing)
    if source.texts is not None:
        lines = (Line(index, text, index) for index, text in enumerate(source.texts, 1))
        yield Rows(len(source.texts), text_blocks(lines, source.name, columns, numbered=False), tally)
    elif not source.files:
        assert source.format is not None
        with open_standard_input() as opened:
            yield Rows(None, _blocks(opened, source.format, source.options, columns, tally), tally)
    else:
        with contextlib.closing(_file_blocks(source, columns, tally)) as blocks:
            yield Rows(_total(source.files), blocks, tally)


def _total(files: Sequence[InputFile]) -> int | None:
    try:
        return sum((file.listed or file_stamp(file.address)).size for file in files) or None
    except InputError:
        # Reading it will say which.
        return None


def _file_blocks(source: Source, columns: TextColumns, tally: Tally) -> Generator[Block, None, None]:
    """The blocks of one file after the other; `InputError` where tables have different columns."""
    done = 0
    first: Block | None = None
    for file in source.files:
        with open_file(file.address, file.name) as opened:
            begin = done
            for block in _blocks(opened, file.format, source.options, columns, tally):
                if first is None:
                    first = block
                if len(source.files) > 1:
                    refuse_other_columns(first.carried, block.carried, first.name, block.name)
                end = begin + opened.done(block.end)
                yield block.at(done, end)
                done = end
            done = begin + (opened.size or 0)


def refuse_other_columns(expected: Carried | pa.Schema, found: Carried, first: str, name: str) -> None:
    """Raise `InputError` where the file `name` has other columns than those `expected`, which the file `first` has.

    Rows of objects may differ in their keys, in one file as in several.
    """
    if isinstance(expected, JsonRows) != isinstance(found, JsonRows):
        raise InputError(f"{first} and {name} hold tables and JSON objects: encode them one by one")
    if isinstance(found, JsonRows) or isinstance(expected, JsonRows):
        return
    schema = expected if isinstance(expected, pa.Schema) else expected.schema
    if not found.schema.equals(schema):
        one, other = ([f'"{item.name}" ({item.type})' for item in each] for each in (schema, found.schema))
        new = next(
            (pair for pair in itertools.zip_longest(one, other, fillvalue="no more") if pair[0] != pair[1]), ("", "")
        )
        raise InputError(
            f"{name} has other columns than {first}: {new[1]} where that has {new[0]}; the files of one "
            "command have the same columns in the same order"
        )


def _blocks(
    opened: Opened, read_as: InputFormat, options: ReadingOptions, columns: TextColumns, tally: Tally
) -> Iterator[Block]:
    if read_as == "csv" and (found := sniffed_delimiter(opened, options, columns)) is not None:
        tally.delimiters[opened.name] = found
    reader = RowReader(opened=opened, read_as=read_as, options=options, columns=columns)
    return settled(reader.blocks(), tally, lines=read_as == "text")
