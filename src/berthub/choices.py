"""The closed sets of names that arguments, options and settings choose from, each declared once.

This module imports no other one of berthub, and nothing that costs time: the command line's help is made of it.
"""

from typing import Literal, get_args

__all__ = [
    "POOLINGS",
    "SIMILARITIES",
    "TOKENIZATIONS",
    "DType",
    "EngineName",
    "ExportFormat",
    "InputFormat",
    "Missing",
    "OnError",
    "OutputFormat",
    "Pooling",
    "Precision",
    "PredictionFormat",
    "Similarity",
    "TableFormat",
    "Tokenization",
    "Vectors",
]

EngineName = Literal["auto", "numpy", "openvino"]
"""What computes."""

Precision = Literal["auto", "bfloat16", "float32", "int8"]
"""The arithmetic."""

Pooling = Literal["pooled", "cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
"""How one vector is made of a text: `pooled` is the model's own pooler; the others reduce the token vectors of a
layer: the first, the mean, the largest value of each component (both over all unmasked tokens, `[CLS]` and `[SEP]`
included), and, rarer, in sentence-transformers' names: the sum divided by the square root of the number of tokens, the
mean weighted by the positions 1, 2, 3 ..., and the last token."""

POOLINGS: tuple[str, ...] = tuple(sorted(get_args(Pooling)))

Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
"""How two vectors are compared: the larger, the more alike; distances are negative."""

SIMILARITIES: tuple[str, ...] = get_args(Similarity)

Tokenization = Literal["google", "tf_text", "transformers"]
"""Whose tokenization is meant: `google` is that of the code that Google trained with and published beside the weights
(`tokenization.py` of BERT, 2018, and of ALBERT), `tf_text` that of TF Hub's preprocessing models, which are made of
TensorFlow Text's operations, and `transformers` that of Hugging Face's libraries, as a model's tokenizer files say."""

TOKENIZATIONS: tuple[str, ...] = get_args(Tokenization)

ExportFormat = Literal["google", "huggingface", "keras", "native", "onnx", "savedmodel"]
"""What a model can be written as: Google's checkpoint of 2018, a Hugging Face folder, a `.keras` file, berthub's own
folder, an ONNX model, a SavedModel with TF Hub's interface."""

InputFormat = Literal["csv", "tsv", "json", "jsonl", "parquet", "arrow", "text", "conll"]
"""The formats in which texts can come."""

Missing = Literal["error", "empty", "skip"]
"""What becomes of a row that has no text."""

OnError = Literal["fail", "skip"]
"""What becomes of a row of a job that cannot be computed: its shard fails, or the row has no result."""

OutputFormat = Literal["parquet", "jsonl", "npy", "csv", "tsv"]
"""The formats in which vectors can be written."""

PredictionFormat = Literal["parquet", "jsonl", "csv", "tsv", "conll"]
"""The formats in which predictions can be written."""

TableFormat = Literal[OutputFormat, PredictionFormat]
"""The formats in which there is a writer."""

Vectors = Literal["embedding", "pooled_output", "sequence_output", "mean", "max", "cls"]
"""Which vectors are meant: one for each text, or with `sequence_output` one for each token. `embedding` is the one that
the model's own files define, or else the mean."""

DType = Literal["float32", "float16"]
"""The number format in which vectors are written."""
