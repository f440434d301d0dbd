"""Every option of the command line, declared once; commands take them as annotations."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "LABEL_SEPARATOR",
    "BatchSize",
    "CacheDir",
    "DType",
    "DTypeOption",
    "DevFile",
    "DropColumns",
    "Dropout",
    "Engine",
    "EngineOption",
    "Epochs",
    "FreezeLayers",
    "Handle",
    "InputFormat",
    "InputFormatOption",
    "Json",
    "LabelColumn",
    "LabelSeparator",
    "Layer",
    "LearningRate",
    "LoraRank",
    "LowerCase",
    "MaxLength",
    "Model",
    "MultiLabel",
    "NoTruncation",
    "Normalize",
    "Offline",
    "OutputFile",
    "OutputFormat",
    "OutputFormatOption",
    "Overwrite",
    "Patience",
    "Pooling",
    "PoolingOption",
    "Precision",
    "PrecisionOption",
    "PredictionColumn",
    "PredictionFile",
    "PredictionFormat",
    "PredictionFormatOption",
    "Probabilities",
    "Quiet",
    "Resume",
    "Run",
    "RunFolderOption",
    "Seed",
    "Sha256",
    "TextColumn",
    "TextPairColumn",
    "Vectors",
    "VectorsColumn",
    "VectorsOption",
    "Warmup",
    "WeightDecay",
]


class InputFormat(StrEnum):
    """The forms in which texts can come."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    TEXT = "text"
    CONLL = "conll"


class OutputFormat(StrEnum):
    """The forms in which vectors can be written."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    NPY = "npy"


class PredictionFormat(StrEnum):
    """The forms in which predictions can be written."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    CONLL = "conll"


class Vectors(StrEnum):
    """Which vectors are meant: one for each text, or with `sequence_output` one for each token."""

    POOLED_OUTPUT = "pooled_output"
    SEQUENCE_OUTPUT = "sequence_output"
    MEAN = "mean"
    MAX = "max"
    CLS = "cls"


class DType(StrEnum):
    """The number format in which vectors are written."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


# The next two repeat `berthub.engines.engine`, whose import costs NumPy; a test holds them equal.
class Engine(StrEnum):
    """What computes."""

    AUTO = "auto"
    NUMPY = "numpy"
    OPENVINO = "openvino"


class Precision(StrEnum):
    """The arithmetic."""

    AUTO = "auto"
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"


LABEL_SEPARATOR = ","
"""What stands between the labels of a text in one field."""


class Pooling(StrEnum):
    """How one vector is made of a text."""

    POOLED = "pooled"
    CLS = "cls"
    MEAN = "mean"
    MAX = "max"


_MODEL, _TEXTS, _OUTPUT, _TRAINING = "The model", "The texts", "What is written", "Training"

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
        rich_help_panel=_MODEL,
    ),
]
EngineOption = Annotated[
    Engine,
    typer.Option("--engine", help="What computes; numpy is the slow reference.", rich_help_panel=_MODEL),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="The arithmetic; auto is bfloat16 where the processor computes in it natively, else float32.",
        rich_help_panel=_MODEL,
    ),
]
LowerCase = Annotated[
    bool | None,
    typer.Option(
        "--lower-case/--cased",
        help="Lower-case texts or keep them as they are, whatever the model's files say.",
        show_default=False,
        rich_help_panel=_MODEL,
    ),
]
Sha256 = Annotated[
    list[str] | None,
    typer.Option(
        "--sha256",
        metavar="HEX|FILE=HEX",
        help="Pin the model's archive or weights, or single files of it (may be repeated).",
        show_default=False,
        rich_help_panel=_MODEL,
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
        rich_help_panel=_MODEL,
    ),
]
Offline = Annotated[
    bool | None,
    typer.Option(
        "--offline/--online",
        envvar="BERTHUB_OFFLINE",
        help="Use only what is in the cache; never touch the network.",
        show_default=False,
        rich_help_panel=_MODEL,
    ),
]

InputFormatOption = Annotated[
    InputFormat | None,
    typer.Option(
        "--format",
        "-f",
        help="The format of the input, where its extension does not tell; standard input is text otherwise.",
        show_default=False,
        rich_help_panel=_TEXTS,
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
        rich_help_panel=_TEXTS,
    ),
]
TextPairColumn = Annotated[
    str | None,
    typer.Option(
        "--text-pair-column",
        metavar="NAME",
        help="The column of second texts: each row is then encoded as a pair.",
        show_default=False,
        rich_help_panel=_TEXTS,
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        help='The column that holds the labels. Default: "label", or the only one of labels, target, score and tags.',
        show_default=False,
        rich_help_panel=_TEXTS,
    ),
]
LabelSeparator = Annotated[
    str,
    typer.Option(
        "--label-separator",
        metavar="TEXT",
        help="What stands between the labels of a text, where it has several in one string.",
        rich_help_panel=_TEXTS,
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        "--max-length",
        metavar="TOKENS",
        help="Cut texts to so many tokens, \\[CLS] and \\[SEP] included. Default: all that the model takes.",
        show_default=False,
        rich_help_panel=_TEXTS,
    ),
]
NoTruncation = Annotated[
    bool,
    typer.Option("--no-truncation", help="Refuse texts that are too long, do not cut them.", rich_help_panel=_TEXTS),
]

OutputFile = Annotated[
    str | None,
    typer.Option(
        "--output-file",
        "-o",
        metavar="FILE",
        help="Where the vectors go: .parquet, .jsonl or .npy, or - for JSON lines on standard output.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
OutputFormatOption = Annotated[
    OutputFormat | None,
    typer.Option(
        "--to",
        help="The format to write, where the extension of -o does not tell.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
VectorsOption = Annotated[
    Vectors | None,
    typer.Option(
        "--output",
        help="Which vectors: the model's pooled_output; mean, max or cls (the first) of the token vectors; or "
        "sequence_output, all token vectors. Default: pooled_output, or mean where the model has no pooler or a "
        "--layer is given.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
Layer = Annotated[
    int | None,
    typer.Option(
        "--layer",
        metavar="NUMBER",
        help="Take the vectors from this layer, counted from 0, or from the top: -1 is the last, -2 the one below.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
Normalize = Annotated[
    bool,
    typer.Option(
        "--normalize",
        help="Scale every vector to length 1, for search by dot product.",
        rich_help_panel=_OUTPUT,
    ),
]
DTypeOption = Annotated[DType, typer.Option("--dtype", help="The number format to write.", rich_help_panel=_OUTPUT)]
VectorsColumn = Annotated[
    str | None,
    typer.Option(
        "--vectors-column",
        metavar="NAME",
        help="The column that the vectors go to. Default: named after --output.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
DropColumns = Annotated[
    bool,
    typer.Option(
        "--drop-columns",
        help="Write the results alone; else the columns of the input, the texts among them, are carried along.",
        rich_help_panel=_OUTPUT,
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
        rich_help_panel=_OUTPUT,
    ),
]
PredictionFormatOption = Annotated[
    PredictionFormat | None,
    typer.Option(
        "--to",
        help="The format to write, where the extension of -o does not tell.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
PredictionColumn = Annotated[
    str,
    typer.Option(
        "--prediction-column", metavar="NAME", help="The column that predictions go to.", rich_help_panel=_OUTPUT
    ),
]
Probabilities = Annotated[
    bool,
    typer.Option(
        "--probabilities",
        help='Write the probability of every label, too: a column "probabilities", in CSV and TSV a column '
        "probability_LABEL for each.",
        rich_help_panel=_OUTPUT,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.", rich_help_panel=_OUTPUT)]

DevFile = Annotated[
    Path | None,
    typer.Option(
        "--dev",
        metavar="FILE",
        help="Labelled data that the epochs are scored on: the best one is kept. Without them it is the last one.",
        show_default=False,
        rich_help_panel=_TEXTS,
    ),
]
RunFolderOption = Annotated[
    Path,
    typer.Option(
        "--output-folder",
        "-o",
        metavar="RUN",
        help="The new folder for the model, its metrics, pictures and model card.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with a training that was interrupted in this folder.", rich_help_panel=_OUTPUT
    ),
]
# The defaults of these repeat `berthub.training.hyperparameters`, whose import costs Keras; a test holds them equal.
Epochs = Annotated[
    int, typer.Option("--epochs", metavar="N", help="How often all data are seen.", rich_help_panel=_TRAINING)
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", metavar="N", help="Texts in a step.", rich_help_panel=_TRAINING)
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--learning-rate",
        metavar="RATE",
        help="The highest learning rate. Default: 5e-5, with --lora 5e-4.",
        show_default=False,
        rich_help_panel=_TRAINING,
    ),
]
Warmup = Annotated[
    float,
    typer.Option(
        "--warmup",
        metavar="SHARE",
        help="The share of all steps in which the learning rate rises; then it falls.",
        rich_help_panel=_TRAINING,
    ),
]
WeightDecay = Annotated[
    float,
    typer.Option(
        "--weight-decay",
        metavar="RATE",
        help="AdamW's decay of matrices; biases and layer norms have none.",
        rich_help_panel=_TRAINING,
    ),
]
Patience = Annotated[
    int,
    typer.Option(
        "--patience",
        metavar="N",
        help="Stop after so many epochs without a better one on the dev data.",
        rich_help_panel=_TRAINING,
    ),
]
Dropout = Annotated[
    float, typer.Option("--dropout", metavar="SHARE", help="Dropout before the head.", rich_help_panel=_TRAINING)
]
FreezeLayers = Annotated[
    int,
    typer.Option(
        "--freeze",
        metavar="N",
        help="Leave the embeddings and the lowest N layers as they are.",
        rich_help_panel=_TRAINING,
    ),
]
LoraRank = Annotated[
    int | None,
    typer.Option(
        "--lora",
        metavar="RANK",
        help="Train low-rank additions (LoRA) to the kernels and leave all else as it is; merged when saved.",
        show_default=False,
        rich_help_panel=_TRAINING,
    ),
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="N", help="What everything random follows from.", rich_help_panel=_TRAINING),
]
PoolingOption = Annotated[
    Pooling | None,
    typer.Option(
        "--pooling",
        help="What of a text the head sees. Default: pooled, or cls where the model has no pooler.",
        show_default=False,
        rich_help_panel=_TRAINING,
    ),
]
MultiLabel = Annotated[
    bool,
    typer.Option("--multi-label", help="A text has any number of labels, not one.", rich_help_panel=_TEXTS),
]

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no summary.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
