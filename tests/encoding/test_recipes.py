"""Sentence vectors as sentence-transformers makes them, from folders that it wrote itself."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError, TruncationWarning, UnsupportedModelError
from berthub.formats import read
from support.needs import needs

pytestmark = needs("sentence_transformers", "torch")

TEXTS = ["The quick brown fox.", "", "Über café 日本 🙂", "was it " * 40, "a dog", "a dog"]
HIDDEN = 32


def _modules(name: str) -> list[Any]:
    import torch
    from sentence_transformers.base.modules import Dense, Normalize
    from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

    torch.manual_seed(0)
    norm = LayerNorm(16)
    torch.nn.init.normal_(norm.norm.weight)
    torch.nn.init.normal_(norm.norm.bias)
    match name:
        case "dense":
            return [Pooling(HIDDEN, "mean"), Dense(HIDDEN, 24), Normalize()]
        case "joined":
            gelu = Dense(3 * HIDDEN, HIDDEN, bias=False, activation_function=torch.nn.GELU())
            residual = Dense(HIDDEN, HIDDEN, activation_function=None, use_residual=True)
            return [Pooling(HIDDEN, ("max", "cls", "mean")), gelu, residual]
        case "norm":
            sigmoid = Dense(HIDDEN, 16, activation_function=torch.nn.Sigmoid(), use_residual=True)
            return [Pooling(HIDDEN, "lasttoken"), Normalize(), sigmoid, norm]
        case mode:
            return [Pooling(HIDDEN, mode)]


@pytest.fixture(scope="module")
def made(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Any, Path]]:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer

    def make(name: str, *, include_prompt: bool = True, default: str | None = None) -> tuple[Any, Path]:
        folder = tmp_path_factory.mktemp(name)
        listed = [Transformer(str(models / "hf_bert")), *_modules(name)]
        listed[1].include_prompt = include_prompt
        prompts = {"query": "the dog: ", "document": "fox "}
        theirs = SentenceTransformer(modules=listed, device="cpu", prompts=prompts, default_prompt_name=default)
        theirs.save(str(folder))
        return theirs, folder

    return make


def _equal(ours: Any, theirs: Any) -> None:
    scale = float(np.abs(np.asarray(theirs)).max())
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * max(1.0, scale))


@pytest.fixture(autouse=True)
def quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        yield


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("name", ["mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", "dense", "norm"])
def test_vectors_with_and_without_prompts(made: Any, name: str, include_prompt: bool) -> None:
    theirs, folder = made(name, include_prompt=include_prompt, default="query" if name in ("max", "dense") else None)
    for engine in ("numpy", "openvino")[: 1 + (name == "dense")]:
        ours = hub.load(folder, engine=engine, precision="float32")
        _equal(ours.embed(TEXTS), theirs.encode(TEXTS))
        _equal(ours.encode_query(TEXTS), theirs.encode_query(TEXTS))
        _equal(ours.encode_document(TEXTS), theirs.encode_document(TEXTS))
        _equal(ours.embed(TEXTS, prompt="it was "), theirs.encode(TEXTS, prompt="it was "))
        _equal(ours.embed(TEXTS, prompt=""), theirs.encode(TEXTS, prompt=""))
    # The same in other companies, and by the other ways in.
    _equal(ours.embed(TEXTS[::-1])[::-1], ours.embed(TEXTS))
    _equal(ours.encode(TEXTS, outputs=["embedding"])["embedding"], ours.embed(TEXTS))
    (chunk,) = ours.stream(TEXTS, outputs=["embedding"], prompt_name="document")
    _equal(chunk["embedding"], ours.encode_document(TEXTS))


@pytest.mark.parametrize("name", ["cls", "joined"])
def test_joined_poolings_and_the_first_token(made: Any, name: str) -> None:
    theirs, folder = made(name)
    ours = hub.load(folder, precision="float32")
    _equal(ours.embed(TEXTS), theirs.encode(TEXTS))
    pairs = [("the dog", "a fox"), ("", "was it")]
    _equal(ours.encode_query(pairs), theirs.encode_query(pairs))


def test_a_prompt_that_is_not_pooled_leaves_nothing_of_one_token(made: Any) -> None:
    _, folder = made("cls", include_prompt=False)
    ours = hub.load(folder, engine="numpy", precision="float32")
    with pytest.raises(InputError, match=r"the prompt is not pooled .*and cls is the vector of one token"):
        ours.encode_query(["a dog"])
    assert ours.embed(["a dog"]).shape == (1, HIDDEN)


def test_what_a_call_says_stands_above_the_recipe(made: Any) -> None:
    _, folder = made("dense", default="query")
    ours = hub.load(folder, engine="numpy", precision="float32")
    prompted = [f"the dog: {text}" for text in TEXTS]
    states = ours.encode(prompted)
    mean = (states["sequence_output"] * states.attention_mask[..., None]).sum(1) / states.attention_mask.sum(1)[:, None]
    _equal(ours.embed(TEXTS, pooling="mean"), mean)
    _equal(
        ours.embed(TEXTS, pooling=["mean", "cls"], prompt="")[:, HIDDEN:], ours.embed(TEXTS, pooling="cls", prompt="")
    )
    with pytest.raises(InputError, match="the model's own sentence vector is of its last layer"):
        ours.embed(TEXTS, layer=0)
    with pytest.raises(InputError, match="no prompt called 'passage'; there are: document, query"):
        ours.embed(TEXTS, prompt_name="passage")
    # Without an embedding nothing is put before texts, unless it is asked for.
    assert ours.encode(["a dog"]).texts == ["a dog"]
    assert ours.encode(["a dog"], prompt="x ").texts == ["x a dog"]


@pytest.mark.parametrize("name", ["weightedmean", "lasttoken", "mean_sqrt_len_tokens"])
@pytest.mark.parametrize("include_prompt", [True, False])
def test_windows_of_long_texts(made: Any, name: str, include_prompt: bool) -> None:
    """A window that holds the whole text, and several that have the same tokens' vectors in a model without context."""
    _, folder = made(name, include_prompt=include_prompt, default="query")
    ours = hub.load(folder, engine="numpy", precision="float32")
    _equal(ours.embed(["a dog"], window=20), ours.embed(["a dog"]))
    long = "was it the dog " * 20
    rows = ours.encode([long], window=24, stride=8, prompt_name="query").ragged()[0].astype(np.float64)
    skip = 0 if include_prompt else len(ours.tokenizer.tokenize("the dog: ")) + 1
    places = np.arange(1, len(rows) + 1)[skip:, None]
    rows = rows[skip:]
    expected = {
        "weightedmean": (rows * places).sum(0) / places.sum(),
        "lasttoken": rows[-1],
        "mean_sqrt_len_tokens": rows.sum(0) / np.sqrt(len(rows)),
    }[name]
    _equal(ours.embed([long], window=24, stride=8)[0], expected)


@needs("onnx", "onnxruntime", "tensorflow")
@pytest.mark.parametrize("name", ["dense", "joined", "norm"])
def test_the_recipe_goes_where_the_model_goes(made: Any, tmp_path: Path, name: str) -> None:
    import onnxruntime
    from sentence_transformers import SentenceTransformer

    theirs, folder = made(name, include_prompt=name == "joined", default="query")
    ours = hub.load(folder, engine="numpy", precision="float32")
    expected = theirs.encode(TEXTS)
    formats = ["huggingface", "native", "onnx", *(["savedmodel"] if name == "dense" else [])]
    for to in formats:
        hub.export(ours, tmp_path / to, to=to)
    for to in formats:
        again = hub.load(tmp_path / to, engine="numpy", precision="float32")
        _equal(again.embed(TEXTS), expected)
        assert again.checkpoint.embedding.to_dict(arrays=True) == ours.checkpoint.embedding.to_dict(arrays=True)
    _equal(SentenceTransformer(str(tmp_path / "huggingface"), device="cpu").encode(TEXTS), expected)
    session = onnxruntime.InferenceSession(tmp_path / "onnx/model.onnx", providers=["CPUExecutionProvider"])
    tokens = ours.tokenizer(TEXTS, padding=True, truncation=True, return_tensors="np")
    (vectors,) = session.run(["sentence_embedding"], {name: each.astype(np.int64) for name, each in tokens.items()})
    _equal(vectors, ours.embed(TEXTS, prompt=""))
    with pytest.raises(UnsupportedModelError, match="a dense layer to"):
        hub.export(ours, tmp_path / "google", to="google")


@needs("keras")
def test_the_layer_keeps_the_recipe(made: Any) -> None:
    _, folder = made("dense", default="query")
    layer = hub.KerasLayer(str(folder))
    again = hub.KerasLayer.from_config(layer.get_config())
    assert again.get_config()["embedding"] == read(folder).embedding.to_dict(arrays=True)


@pytest.mark.parametrize("function", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarity(models: Path, function: Any) -> None:
    from sentence_transformers import SimilarityFunction

    from berthub.encoding.similarity import similarity, similarity_pairwise

    numbers = np.random.default_rng(0)
    first, second = (numbers.standard_normal((count, 8)).astype(np.float32) for count in (5, 7))
    _equal(similarity(first, second, function), SimilarityFunction.to_similarity_fn(function)(first, second))
    pairwise = SimilarityFunction.to_similarity_pairwise_fn(function)(first, second[:5])
    _equal(similarity_pairwise(first, second[:5], function), pairwise)
    assert similarity(first[0], second, function).shape == (1, 7)
    for wrong in (first[:, :3], np.zeros((2, 2, 8)), ["a"]):
        with pytest.raises(InputError):
            similarity(wrong, second, function)
    with pytest.raises(InputError, match="not pairs"):
        similarity_pairwise(first, second, function)


def test_a_folder_whose_dense_layer_does_not_fit(made: Any) -> None:
    import torch

    from berthub.containers.safetensors import read_safetensors, write_safetensors
    from berthub.errors import CheckpointError, CorruptFileError

    _, folder = made("dense")
    path = folder / "2_Dense" / "model.safetensors"
    weights = {name: np.array(array) for name, array in read_safetensors(path).items()}
    path.unlink()
    expected = hub.load(made("dense")[1], engine="numpy").embed(TEXTS)
    # As versions up to 2 wrote them.
    torch.save({name: torch.from_numpy(array) for name, array in weights.items()}, path.with_name("pytorch_model.bin"))
    _equal(hub.load(folder, engine="numpy").embed(TEXTS), expected)
    path.with_name("pytorch_model.bin").unlink()
    with pytest.raises(CorruptFileError, match=r"2_Dense should hold model.safetensors"):
        read(folder)
    write_safetensors(path, {"linear.weight": weights["linear.weight"]}, {})
    with pytest.raises(CheckpointError, match=r"should hold linear.bias, linear.weight; it holds linear.weight"):
        read(folder)
    path.unlink()
    write_safetensors(path, {**weights, "linear.weight": weights["linear.weight"][:, :8]}, {})
    with pytest.raises(CheckpointError, match=r"32 inputs and 24 outputs, and its weights are of shape \(8, 24\)"):
        read(folder)
