"""Every option of the command line, declared once; commands take them as annotations."""

from pathlib import Path
from typing import Annotated

import typer

from berthub.choices import (
    DType,
    EngineName,
    ExportFormat,
    InputFormat,
    Missing,
    OutputFormat,
    Precision,
    PredictionFormat,
    Reference,
    Vectors,
)

__all__ = [
    "OUTPUT_PANEL",
    "TEXTS_PANEL",
    "CacheDir",
    "CompareReferences",
    "DTypeOption",
    "Delimiter",
    "DropColumns",
    "EncoderOnly",
    "Encoding",
    "EngineOption",
    "ExportFormOption",
    "ExportPath",
    "Handle",
    "InputFile",
    "InputFormatOption",
    "Json",
    "LabelColumn",
    "LabelSeparator",
    "Layer",
    "LowerCase",
    "MaxLength",
    "MissingOption",
    "Model",
    "NoHeader",
    "NoTruncation",
    "Normalize",
    "Offline",
    "OutputFile",
    "OutputFormatOption",
    "Overwrite",
    "PrecisionOption",
    "PredictionColumn",
    "PredictionFile",
    "PredictionFormatOption",
    "Probabilities",
    "Quiet",
    "ReferenceOption",
    "Run",
    "Sha256",
    "Stride",
    "TextColumn",
    "TextPairColumn",
    "TextsOnly",
    "TokenizerModel",
    "VectorsColumn",
    "VectorsOption",
    "Window",
]


MODEL_PANEL, TEXTS_PANEL, OUTPUT_PANEL = "The model", "The texts", "What is written"

Handle = Annotated[str, typer.Argument(metavar="HANDLE", help="The model: an address, a name, a folder or an archive.")]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="The fine-tuned model: the folder of its training, or any other handle.")
]

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="HANDLE",
        envvar="BERTHUB_MODEL",
        help="The model: an address, a name, a folder or an archive. Default: all-MiniLM-L6-v2.",
        rich_help_panel=MODEL_PANEL,
    ),
]
TokenizerModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="HANDLE",
        help="The model, instead of HANDLE ahead of the texts.",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
    ),
]
EngineOption = Annotated[
    EngineName,
    typer.Option("--engine", help="What computes; numpy is the slow reference.", rich_help_panel=MODEL_PANEL),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="The arithmetic; auto is bfloat16 where the processor computes in it natively, else float32; int8 is "
        "faster and less exact.",
        rich_help_panel=MODEL_PANEL,
    ),
]
LowerCase = Annotated[
    bool | None,
    typer.Option(
        "--lower-case/--cased",
        help="Lower-case texts or keep them as they are, whatever the model's files say.",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
    ),
]
Sha256 = Annotated[
    list[str] | None,
    typer.Option(
        "--sha256",
        metavar="HEX|FILE=HEX",
        help="Pin the model's archive or weights, or single files of it (may be repeated).",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
    ),
]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        metavar="FOLDER",
        envvar="BERTHUB_CACHE",
        help="Where fetched models are kept.",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
    ),
]
Offline = Annotated[
    bool | None,
    typer.Option(
        "--offline/--online",
        envvar="BERTHUB_OFFLINE",
        help="Use only what is in the cache; never touch the network.",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
    ),
]

InputFormatOption = Annotated[
    InputFormat | None,
    typer.Option(
        "--format",
        "--input-format",
        "-f",
        help="The format of the input, where its extension does not tell; standard input is text otherwise.",
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        metavar="CHARACTER",
        help="What stands between the fields of a CSV or TSV file: ';', '|', or the word tab. Default: a comma, in TSV "
        "a tab.",
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        help="How characters are encoded in files of text: utf-16, latin-1, cp1252, or another name that Python knows. "
        "Default: utf-8, with or without a byte order mark.",
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]
NoHeader = Annotated[
    bool,
    typer.Option(
        "--no-header",
        help="The first line of a CSV or TSV file is a row, too; columns are called text, or column_1, column_2 and so "
        "on.",
        rich_help_panel=TEXTS_PANEL,
    ),
]
MissingOption = Annotated[
    Missing | None,
    typer.Option(
        "--missing",
        help="Rows without a text (null, an empty field): stop, take it as an empty text, or leave the row out. "
        "Default: empty, and they are counted.",
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]
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
TextPairColumn = Annotated[
    str | None,
    typer.Option(
        "--text-pair-column",
        metavar="NAME",
        help="The column of second texts: each row is then encoded as a pair.",
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
        help="Cut texts to so many tokens, \\[CLS] and \\[SEP] included. Default: what the model's files say, or else "
        "all that it takes.",
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]
NoTruncation = Annotated[
    bool,
    typer.Option(
        "--no-truncation", help="Refuse texts that are too long, do not cut them.", rich_help_panel=TEXTS_PANEL
    ),
]
Window = Annotated[
    int | None,
    typer.Option(
        "--window",
        metavar="TOKENS",
        help="Cut nothing: compute longer texts in windows of so many tokens, \\[CLS] and \\[SEP] included.",
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

OutputFile = Annotated[
    str | None,
    typer.Option(
        "--output-file",
        "-o",
        metavar="FILE",
        help="Where the vectors go: .parquet, .jsonl, .npy, .csv or .tsv, or - for standard output (JSON lines, or "
        "what --to says).",
        show_default=False,
        rich_help_panel=OUTPUT_PANEL,
    ),
]
OutputFormatOption = Annotated[
    OutputFormat | None,
    typer.Option(
        "--to",
        help="The format to write, where the extension of -o does not tell.",
        show_default=False,
        rich_help_panel=OUTPUT_PANEL,
    ),
]
VectorsOption = Annotated[
    Vectors | None,
    typer.Option(
        "--output",
        help="Which vectors: embedding, pooled and scaled as the model's own files say, or else the mean; mean, max or "
        "cls (the first) of the token vectors; the model's pooled_output; or sequence_output, all token vectors. "
        "Default: embedding.",
        show_default=False,
        rich_help_panel=OUTPUT_PANEL,
    ),
]
Layer = Annotated[
    int | None,
    typer.Option(
        "--layer",
        metavar="NUMBER",
        help="Take the vectors from this layer, counted from 0, or from the top: -1 is the last, -2 the one below.",
        show_default=False,
        rich_help_panel=OUTPUT_PANEL,
    ),
]
Normalize = Annotated[
    bool | None,
    typer.Option(
        "--normalize/--no-normalize",
        help="Scale every vector to length 1, for search by dot product. Default: an embedding as the model's files "
        "say, others not.",
        show_default=False,
        rich_help_panel=OUTPUT_PANEL,
    ),
]
DTypeOption = Annotated[
    DType, typer.Option("--dtype", help="The number format to write.", rich_help_panel=OUTPUT_PANEL)
]
VectorsColumn = Annotated[
    str | None,
    typer.Option(
        "--vectors-column",
        metavar="NAME",
        help="The column that the vectors go to. Default: named after --output.",
        show_default=False,
        rich_help_panel=OUTPUT_PANEL,
    ),
]
DropColumns = Annotated[
    bool,
    typer.Option(
        "--drop-columns",
        help="Write the results alone; else the columns of the input, the texts among them, are carried along.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
PredictionFile = Annotated[
    str | None,
    typer.Option(
        "--output-file",
        "-o",
        metavar="FILE",
        help="Where the predictions go: .parquet, .jsonl, .csv, .tsv or .conll, or - for standard output (JSON lines, "
        "or what --to says).",
        show_default=False,
        rich_help_panel=OUTPUT_PANEL,
    ),
]
PredictionFormatOption = Annotated[
    PredictionFormat | None,
    typer.Option(
        "--to",
        help="The format to write, where the extension of -o does not tell.",
        show_default=False,
        rich_help_panel=OUTPUT_PANEL,
    ),
]
PredictionColumn = Annotated[
    str,
    typer.Option(
        "--prediction-column", metavar="NAME", help="The column that predictions go to.", rich_help_panel=OUTPUT_PANEL
    ),
]
Probabilities = Annotated[
    bool,
    typer.Option(
        "--probabilities",
        help='Write the probability of every label, too: a column "probabilities", in CSV and TSV a column '
        "probability_LABEL for each.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.", rich_help_panel=OUTPUT_PANEL)]

ExportFormOption = Annotated[
    ExportFormat, typer.Option("--to", help="The form to write.", show_default=False, rich_help_panel=OUTPUT_PANEL)
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

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no summary.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

InputFile = Annotated[
    str | None,
    typer.Option(
        "--input",
        "-i",
        metavar="FILE|-",
        help="Count over a file of texts (.csv, .tsv, .json, .jsonl, .ndjson, .parquet, .txt), a folder or a pattern, "
        "or - for standard input.",
        show_default=False,
        rich_help_panel=TEXTS_PANEL,
    ),
]
ReferenceOption = Annotated[
    Reference | None,
    typer.Option(
        "--reference",
        help="Whose tokenization: google, the code that the weights were trained with, tf_text, that of TF Hub's "
        "preprocessing models, or transformers, that of Hugging Face's libraries. Default: the model's.",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
    ),
]
CompareReferences = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Two references side by side, and where they differ: google, and the model's or tf_text.",
        rich_help_panel=MODEL_PANEL,
    ),
]
