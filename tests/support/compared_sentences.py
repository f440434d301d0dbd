"""Sentence vectors and scores of pairs: folders that sentence-transformers writes, and what both libraries give."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentence_transformers
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

import berthub as hub
from berthub.formats import read
from support.compared_models import comparable, make
from support.transformers_models import torch

__all__ = ["RECIPES", "SCORES", "recipe_row", "score_row", "trained_row"]

_MODES = ("cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
_PROMPTS = {"query": "the dog: ", "document": "Hund "}
_HIDDEN = 48
_ACTIVATIONS = {
    "tanh": torch.nn.Tanh(),
    "identity": torch.nn.Identity(),
    "gelu": torch.nn.GELU(),
    "relu": torch.nn.ReLU(),
    "sigmoid": torch.nn.Sigmoid(),
}
_LATER = ("dense", "joined", "layer norm", "normalize")
_OTHERS = ("xlm-roberta", "mpnet", "modernbert", "gte", "nomic_bert", "deberta-v3", "roberta", "bert, XLM-R tokenizer")
RECIPES: dict[str, tuple[str, str]] = {
    **{recipe: ("bert", recipe) for recipe in (*_MODES, *_LATER, *(f"dense {name}" for name in _ACTIVATIONS))},
    **{f"mean of {model}": (model, "normalize") for model in _OTHERS},
}
"""The model and the modules after it, by the name of the row. Each is compared with and without its prompts pooled."""

SCORES = ("bert", "deberta-v3", "distilbert", "electra", "modernbert", "mpnet", "roberta", "xlm-roberta")
"""The models that score pairs."""


def _modules(recipe: str) -> list[Any]:
    torch.manual_seed(0)
    norm = LayerNorm(_HIDDEN)
    torch.nn.init.normal_(norm.norm.weight)
    torch.nn.init.normal_(norm.norm.bias)
    match recipe.split():
        case ["dense"]:
            return [Pooling(_HIDDEN, "mean"), Dense(_HIDDEN, 24), Normalize()]
        case ["dense", name]:
            return [Pooling(_HIDDEN, "cls"), Dense(_HIDDEN, 24, activation_function=_ACTIVATIONS[name])]
        case ["joined"]:
            residual = Dense(3 * _HIDDEN, 3 * _HIDDEN, bias=False, use_residual=True)
            return [Pooling(_HIDDEN, ("max", "cls", "mean")), residual]
        case ["layer", "norm"]:
            return [Pooling(_HIDDEN, "mean"), norm, Dense(_HIDDEN, 24), Normalize()]
        case ["normalize"]:
            return [Pooling(_HIDDEN, "mean"), Normalize()]
        case _:
            return [Pooling(_HIDDEN, recipe)]


def _share(found: Any, expected: Any) -> float:
    found, expected = np.asarray(found), np.asarray(expected)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def recipe_row(name: str, engines: Sequence[str], given: list[Any]) -> dict[str, float]:
    """Differences of vectors: plain ones and those with each prompt, pooled and not."""
    model, recipe = RECIPES[name]
    given = comparable(model, given)
    row: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        plain = Path(place) / "plain"
        make(model, plain)
        for pooled in (True, False):
            pooling, *later = _modules(recipe)
            pooling.include_prompt = pooled
            listed = [Transformer(str(plain)), pooling, *later]
            theirs = sentence_transformers.SentenceTransformer(modules=listed, device="cpu", prompts=_PROMPTS)
            folder = Path(place) / f"saved {pooled}"
            theirs.save(str(folder))
            # Of a prompt that is not pooled, no first token is left.
            names = [None] if not pooled and recipe in ("cls", "joined", *_dense_of_cls()) else [None, *_PROMPTS]
            expected = {each: theirs.encode(given, prompt_name=each) for each in names}
            for engine in engines:
                shares = [_share(vectors, expected[each]) for each, vectors in _vectors(folder, engine, names, given)]
                if shares:
                    row[engine] = max(row.get(engine, 0.0), *shares)
    return row


def _dense_of_cls() -> tuple[str, ...]:
    return tuple(f"dense {name}" for name in _ACTIVATIONS)


def _vectors(folder: Path, engine: str, names: list[str | None], given: list[Any]) -> list[tuple[Any, Any]]:
    if engine in ("numpy", "openvino", "native"):
        ours = hub.load(folder, engine="numpy" if engine == "numpy" else "openvino", precision="float32")
        if engine == "native":
            ours.save(folder / "native")
            ours = hub.load(folder / "native", engine="openvino", precision="float32")
        return [(name, ours.embed(given, prompt_name=name)) for name in names]
    if engine == "onnx":
        import onnxruntime

        checkpoint = read(folder)
        hub.export(checkpoint, folder / "onnx", to="onnx")
        session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
        known = [each.name for each in session.get_inputs()]
        tokenizer = hub.Tokenizer.from_checkpoint(checkpoint)
        tokens = tokenizer(given, padding=True, truncation=True, return_tensors="np")
        inputs = {name: array.astype(np.int64) for name, array in tokens.items() if name in known}
        return [(None, session.run(["sentence_embedding"], inputs)[0])]
    return []


def score_row(name: str, engines: Sequence[str], given: list[Any]) -> dict[str, float]:
    """Differences of a cross-encoder's scores of pairs."""
    given = comparable(name, given)
    first = [text if isinstance(text, str) else text[1] for text in given]
    pairs = [*zip(first, first[::-1], strict=True)]
    row = {}
    with tempfile.TemporaryDirectory() as place:
        make(name, Path(place) / "plain", kind="ForSequenceClassification", num_labels=1)
        theirs = sentence_transformers.CrossEncoder(str(Path(place) / "plain"), device="cpu")
        theirs.save_pretrained(str(Path(place) / "model"))
        expected = theirs.predict(pairs)
        for engine in {"numpy", "openvino"}.intersection(engines):
            ours = hub.load(Path(place) / "model", engine=engine, precision="float32")
            row[engine] = _share(ours.predict(pairs), expected)
    return row


def trained_row(folder: Path, engines: Sequence[str], sentences: list[Any]) -> dict[str, float]:
    """Differences of the vectors of a folder of sentence-transformers."""
    expected = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(sentences)
    row = {}
    for engine in {"numpy", "openvino"}.intersection(engines):
        row[engine] = _share(hub.load(folder, engine=engine, precision="float32").embed(sentences), expected)
    return row
