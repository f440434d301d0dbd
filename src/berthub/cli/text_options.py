"""The options that say which texts are meant, how their files are read, and how long texts may be."""

from dataclasses import dataclass
from typing import Annotated

import typer

from berthub.choices import InputFormat, Missing
from berthub.tables.reading_options import ReadingOptions

__all__ = [
    "TEXTS_PANEL",
    "ColumnOptions",
    "FileOptions",
    "InputFile",
    "LabelColumn",
    "LabelSeparator",
    "MaxLength",
    "NoTruncation",
    "Stride",
    "TextColumn",
    "TextsOnly",
    "Window",
]

TEXTS_PANEL = "The texts"

TextsOnly = Annotated[
    bool,
    typer.Option(
        "--text",
        help="The arguments are texts, even those that look like files.",
        rich_help_panel=TEXTS_PANEL,
    ),
]

TextColumn = Annotated[
    str | None,
    typer.Option(
        "--text-column",
        "-c",
        metavar="NAME",
        help='The column that holds the texts. Default: "text", or text_a and text_b as pairs, or the only column '
        '(beside that of the labels). For a model that tags words: "words", "tokens" or "text".',
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]

LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help='The column that holds the labels. Default: "label", or the only one of labels, target, score and tags.',
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]

LabelSeparator = Annotated[
    str,
    typer.Option(
        "--label-separator",
        metavar="TEXT",
        help="What stands between the labels of a text, where it has several in one string.",
        rich_help_panel=TEXTS_PANEL,
    ),
]

MaxLength = Annotated[
    int | None,
    typer.Option(
        "--max-length",
        metavar="TOKENS",
        help="Truncate texts to so many tokens, \\[CLS] and \\[SEP] included. Default: what the model's files say, or "
        "else all that it takes.",
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]

NoTruncation = Annotated[
    bool,
    typer.Option(
        "--no-truncation",
        help="Refuse texts that are too long, instead of truncating them.",
        rich_help_panel=TEXTS_PANEL,
    ),
]

Window = Annotated[
    int | None,
    typer.Option(
        "--window",
        metavar="TOKENS",
        help="Truncate nothing: compute longer texts in windows of so many tokens, \\[CLS] and \\[SEP] included.",
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]

Stride = Annotated[
    int | None,
    typer.Option(
        "--stride",
        metavar="TOKENS",
        help="How many tokens a window has in common with the next. Default: a quarter of --window.",
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]

InputFile = Annotated[
    str | None,
    typer.Option(
        "--input",
        "-i",
        metavar="FILE|-",
        help="Count over a file of texts (.csv, .tsv, .json, .jsonl, .ndjson, .parquet, .arrow, .txt), a folder or a "
        "pattern, or - for standard input.",
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """The options that say how files of texts are read."""

    input_format: Annotated[
        InputFormat | None,
        typer.Option(
            "--format",
            "--input-format",
            "-f",
            help="The format of the input, where its extension does not say it; standard input is text otherwise.",
            show_default=False,
            rich_help_panel=TEXTS_PANEL,
        ),
    ] = None
    delimiter: Annotated[
        str | None,
        typer.Option(
            "--delimiter",
            metavar="CHARACTER",
            help="What stands between the fields of a CSV or TSV file: ';', '|', or the word tab. Default: a comma, in "
            "TSV a tab; in CSV another one where the header leaves no doubt.",
            show_default=False,
            rich_help_panel=TEXTS_PANEL,
        ),
    ] = None
    encoding: Annotated[
        str | None,
        typer.Option(
            "--encoding",
            metavar="NAME",
            help="How characters are encoded in files of text: utf-16, latin-1, cp1252, or another name that Python "
            "knows. Default: utf-8, with or without a byte order mark.",
            show_default=False,
            rich_help_panel=TEXTS_PANEL,
        ),
    ] = None
    no_header: Annotated[
        bool,
        typer.Option(
            "--no-header",
            help="The first line of a CSV or TSV file is a row, too; columns are called text, or column_1, column_2 "
            "and so on.",
            rich_help_panel=TEXTS_PANEL,
        ),
    ] = False
    missing: Annotated[
        Missing | None,
        typer.Option(
            "--missing",
            help="Rows without a text (null, an empty field): stop, take it as an empty text, or leave the row out. "
            "Default: empty, and they are counted.",
            show_default=False,
            rich_help_panel=TEXTS_PANEL,
        ),
    ] = None

    def reading(self, *, texts: bool = False) -> ReadingOptions:
        """The options as `berthub.tables` takes them; with `texts` the arguments of the command are texts."""
        return ReadingOptions(
            format=self.input_format,
            delimiter=self.delimiter,
            encoding=self.encoding,
            header=not self.no_header,
            missing=self.missing,
            texts=texts,
        )


@dataclass(frozen=True, kw_only=True)
class ColumnOptions:
    """The options that name the columns of the texts."""

    text_column: TextColumn = None
    text_pair_column: Annotated[
        str | None,
        typer.Option(
            "--text-pair-column",
            metavar="NAME",
            help="The column of second texts: each row is then encoded as a pair.",
            show_default=False,
            rich_help_panel=TEXTS_PANEL,
        ),
    ] = None
