"""What options may be chosen from."""

from enum import StrEnum

__all__ = [
    "DType",
    "Engine",
    "ExportForm",
    "InputFormat",
    "Missing",
    "OutputFormat",
    "Precision",
    "PredictionFormat",
    "Reference",
    "Vectors",
]


class InputFormat(StrEnum):
    """The forms in which texts can come."""

    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"
    TEXT = "text"
    CONLL = "conll"


class Missing(StrEnum):
    """What becomes of a row that has no text."""

    ERROR = "error"
    EMPTY = "empty"
    SKIP = "skip"


class OutputFormat(StrEnum):
    """The forms in which vectors can be written."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    NPY = "npy"
    CSV = "csv"
    TSV = "tsv"


class PredictionFormat(StrEnum):
    """The forms in which predictions can be written."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    CONLL = "conll"


class Vectors(StrEnum):
    """Which vectors are meant: one for each text, or with `sequence_output` one for each token.

    `embedding` is the one that the model's own files define, or else the mean.
    """

    EMBEDDING = "embedding"
    POOLED_OUTPUT = "pooled_output"
    SEQUENCE_OUTPUT = "sequence_output"
    MEAN = "mean"
    MAX = "max"
    CLS = "cls"


class DType(StrEnum):
    """The number format in which vectors are written."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


# It repeats `berthub.exports.FORMATS`, whose import costs NumPy; a test holds them equal.
class ExportForm(StrEnum):
    """What a model can be written as."""

    GOOGLE = "google"
    HUGGINGFACE = "huggingface"
    KERAS = "keras"
    NATIVE = "native"
    ONNX = "onnx"
    SAVEDMODEL = "savedmodel"


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
    INT8 = "int8"


# It repeats `berthub.config.REFERENCES`; a test holds them equal.
class Reference(StrEnum):
    """Whose tokenization is meant."""

    GOOGLE = "google"
    TF_TEXT = "tf_text"
    TRANSFORMERS = "transformers"
