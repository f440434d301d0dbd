"""The options that say what is written, and where to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from berthub.choices import DType, ExportFormat, OutputFormat, PredictionFormat, Vectors

__all__ = [
    "OUTPUT_PANEL",
    "DropColumns",
    "EncoderOnly",
    "ExportFormatOption",
    "ExportPath",
    "Json",
    "Overwrite",
    "PredictionsOutput",
    "Quiet",
    "VectorsOutput",
]

OUTPUT_PANEL = "What is written"

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no summary.")]

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

DropColumns = Annotated[
    bool,
    typer.Option(
        "--drop-columns",
        help="Write the results alone; else the columns of the input, the texts among them, are carried along.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.", rich_help_panel=OUTPUT_PANEL)]

ExportFormatOption = Annotated[
    ExportFormat, typer.Option("--to", help="The format to write.", show_default=False, rich_help_panel=OUTPUT_PANEL)
]

ExportPath = Annotated[
    Path,
    typer.Option(
        "--output-path",
        "-o",
        metavar="PATH",
        help="Where it goes: a folder, new or empty; for keras a new file that ends in .keras.",
        show_default=False,
        rich_help_panel=OUTPUT_PANEL,
    ),
]

EncoderOnly = Annotated[
    bool,
    typer.Option(
        "--encoder-only",
        help="Leave out the head of a fine-tuned model, and that for masked words.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]


@dataclass(frozen=True, kw_only=True)
class VectorsOutput:
    """The options that say which vectors are written, and where to."""

    output_file: Annotated[
        str | None,
        typer.Option(
            "--output-file",
            "-o",
            metavar="FILE",
            help="Where the vectors go: .parquet, .jsonl, .npy, .csv or .tsv; a folder, with a slash at the end, for a "
            "job; or - for standard output (JSON lines, or what --to says).",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    to: Annotated[
        OutputFormat | None,
        typer.Option(
            "--to",
            help="The format to write, where the extension of -o does not say it.",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    vectors: Annotated[
        Vectors | None,
        typer.Option(
            "--output",
            help="Which vectors: embedding, pooled and scaled as the model's own files say, or else the mean; mean, "
            "max or cls (the first) of the token vectors; the model's pooled_output; or sequence_output, all token "
            "vectors. Default: embedding.",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    layer: Annotated[
        int | None,
        typer.Option(
            "--layer",
            metavar="NUMBER",
            help="Take the vectors from this layer, counted from 0, or from the top: -1 is the last, -2 the one below.",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    normalize: Annotated[
        bool | None,
        typer.Option(
            "--normalize/--no-normalize",
            help="Scale every vector to length 1, for search by dot product. Default: an embedding as the model's "
            "files say, others not.",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt",
            metavar="TEXT",
            help='Put this before every text; "" for nothing. Default: an embedding as the model\'s files say.',
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    prompt_name: Annotated[
        str | None,
        typer.Option(
            "--prompt-name",
            metavar="NAME",
            help="Put the prompt before every text that the model's files have under this name, such as query.",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    dtype: Annotated[
        DType, typer.Option("--dtype", help="The number format to write.", rich_help_panel=OUTPUT_PANEL)
    ] = "float32"
    vectors_column: Annotated[
        str | None,
        typer.Option(
            "--vectors-column",
            metavar="NAME",
            help="The column that the vectors go to. Default: named after --output.",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    drop_columns: DropColumns = False
    overwrite: Overwrite = False


@dataclass(frozen=True, kw_only=True)
class PredictionsOutput:
    """The options that say what is written of predictions, and where to."""

    output_file: Annotated[
        str | None,
        typer.Option(
            "--output-file",
            "-o",
            metavar="FILE",
            help="Where the predictions go: .parquet, .jsonl, .csv, .tsv or .conll; a folder, with a slash at the end, "
            "for a job; or - for standard output (JSON lines, or what --to says).",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    to: Annotated[
        PredictionFormat | None,
        typer.Option(
            "--to",
            help="The format to write, where the extension of -o does not say it.",
            show_default=False,
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = None
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities",
            help='Write the probability of every label, too: a column "probabilities", in CSV and TSV a column '
            "probability_LABEL for each.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = False
    prediction_column: Annotated[
        str,
        typer.Option(
            "--prediction-column",
            metavar="NAME",
            help="The column that predictions go to.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = "prediction"
    drop_columns: DropColumns = False
    overwrite: Overwrite = False
