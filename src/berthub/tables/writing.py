"""Choose the writer of a format."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from berthub.choices import InputFormat, TableFormat
from berthub.tables.conll_writer import ConllWriter
from berthub.tables.json_writer import JsonLinesWriter
from berthub.tables.npy_writer import NpyWriter
from berthub.tables.parquet_writer import ParquetWriter
from berthub.tables.separated_writer import SeparatedWriter
from berthub.tables.writer import Writer

__all__ = ["CarriedColumns", "create_writer"]


@dataclass(frozen=True)
class CarriedColumns:
    """The columns of the input: their names, and their types where a writer needs these."""

    names: tuple[str, ...]
    schema: Any = None


def create_writer(
    to: TableFormat,
    file: BinaryIO,
    *,
    carries: bool,
    source: InputFormat | None,
    metadata: Mapping[str, str],
    columns: CarriedColumns | None = None,
) -> Writer:
    """The writer for the format `to`, which writes the columns of the input, too, if it `carries` them.

    `source` is the format of the input, None where it has several; `metadata` goes where the format has a place for it.
    `columns` are those of the input; None: the first rows decide about them.
    """
    match to:
        case "parquet":
            return ParquetWriter(file, metadata, carries=carries, schema=columns.schema if columns else None)
        case "jsonl":
            return JsonLinesWriter(file, carries=carries)
        case "npy":
            return NpyWriter(file)
        case "csv" | "tsv":
            return SeparatedWriter(file, tabs=to == "tsv", carries=carries, names=columns.names if columns else None)
        case "conll":
            return ConllWriter(file, carries=carries and source == "conll")
