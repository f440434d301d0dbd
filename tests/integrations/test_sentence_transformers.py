"""An Encoder as a SentenceTransformer beside SentenceTransformer itself, on folders that it wrote."""

import copy
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError, MissingDependencyError, TruncationWarning, UnsupportedModelError
from support.needs import needs
from support.sentence_transformers import make

pytestmark = needs("sentence_transformers", "torch")

TEXTS = ["The quick brown fox.", "", "Über café 日本 🙂", "was it " * 40, "a dog", "a dog"]
HIDDEN = 32


@pytest.fixture(scope="module")
def written(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def write(*, include_prompt: bool = True, default: str | None = None) -> Path:
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.base.modules import Dense, Transformer
        from sentence_transformers.sentence_transformer.modules import Pooling

        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp("written")
        pooled = Pooling(HIDDEN, "mean")
        pooled.include_prompt = include_prompt
        SentenceTransformer(
            modules=[Transformer(str(models / "hf_bert")), pooled, Dense(HIDDEN, 24)],
            device="cpu",
            prompts={"query": "the dog: ", "document": "fox "},
            default_prompt_name=default,
            similarity_fn_name="dot",
        ).save(str(folder))
        return folder

    return write


@pytest.fixture(scope="module")
def both(written: Callable[..., Path]) -> tuple[Any, Any]:
    folder = written()
    return _both(folder)


def _both(folder: Path) -> tuple[Any, Any]:
    from sentence_transformers import SentenceTransformer

    ours = hub.load(folder, engine="numpy").as_sentence_transformer()
    return ours, SentenceTransformer(str(folder), device="cpu")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        yield


def _same(ours: Any, theirs: Any) -> None:
    """The same types, shapes and, to 1e-5 of scale, values; features of a text but for padding."""
    import torch

    assert type(ours) is type(theirs)
    if isinstance(ours, list | tuple):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            _same(one, other)
    elif isinstance(ours, dict):
        assert set(ours) == set(theirs)
        for name in ours:
            _same(ours[name], theirs[name])
    elif isinstance(ours, np.ndarray | torch.Tensor):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        one, other = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        # A value on the edge of two bytes may be either.
        floating = "float" in str(ours.dtype)
        bound = 1e-5 * max(1.0, float(np.abs(other).max(initial=0))) if floating else 1.0
        np.testing.assert_allclose(one, other, rtol=0, atol=bound)
    else:
        assert ours == theirs


CALLS: list[dict[str, Any]] = [
    {},
    {"prompt": "a fox "},
    {"prompt_name": "query"},
    {"normalize_embeddings": True, "truncate_dim": 10},
    {"convert_to_tensor": True, "device": "cpu", "batch_size": 2},
    {"convert_to_numpy": False, "normalize_embeddings": True},
    {"output_value": "token_embeddings", "prompt_name": "query"},
    {"output_value": None, "truncate_dim": 5, "batch_size": 6},
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: "-".join(map(str, call)))
def test_encode_gives_what_theirs_gives(both: Any, call: dict[str, Any]) -> None:
    ours, theirs = both
    for texts in (TEXTS, "a dog", [], [("the fox", "a dog")], tuple(TEXTS[:2])):
        _same(ours.encode(texts, **call), theirs.encode(texts, **call))


@pytest.mark.filterwarnings("ignore:.*quantization")
@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_precisions(both: Any, precision: str) -> None:
    ours, theirs = both
    vectors, expected = ours.encode(TEXTS, precision=precision), theirs.encode(TEXTS, precision=precision)
    assert (vectors.dtype, vectors.shape) == (expected.dtype, expected.shape)
    if "binary" in precision:
        np.testing.assert_array_equal(vectors, expected)
    else:
        _same(vectors, expected)


def test_queries_documents_and_the_default_prompt(written: Callable[..., Path]) -> None:
    ours, theirs = _both(written(include_prompt=False, default="query"))
    for method in ("encode", "encode_query", "encode_document"):
        _same(getattr(ours, method)(TEXTS), getattr(theirs, method)(TEXTS))
    assert (ours.prompts, ours.default_prompt_name) == (theirs.prompts, theirs.default_prompt_name)
    with pytest.raises(ValueError, match="'mine' not found"):
        ours.encode(TEXTS, prompt_name="mine")
    # Where the prompt is not pooled, the module alone would not know where it ends.
    with pytest.raises(InputError, match="not pooled"):
        ours.encode(TEXTS, output_value="token_embeddings")
    for model in (ours, theirs):
        model.prompts["mine"] = "my "
        model.set_pooling_include_prompt(True)
    _same(ours.encode(TEXTS, prompt_name="mine"), theirs.encode(TEXTS, prompt_name="mine"))


def test_attributes_and_similarities(both: Any) -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    ours, theirs = both
    assert isinstance(ours, SentenceTransformer)
    # BERTopic and KeyBERT look for it there.
    assert "sentence_transformers" in str(type(ours))
    for name in ("device", "dtype", "max_seq_length", "modalities", "prompts", "similarity_fn_name", "truncate_dim"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.get_embedding_dimension() == theirs.get_embedding_dimension() == 24
    vectors = ours.encode(TEXTS)
    _same(ours.similarity(vectors, vectors), theirs.similarity(vectors, vectors))
    _same(ours.similarity_pairwise(vectors, vectors), theirs.similarity_pairwise(vectors, vectors))
    with ours.truncate_embeddings(7):
        assert ours.encode("a dog").shape == (7,)
        assert ours.get_embedding_dimension() == 7
    assert ours.tokenizer.tokenize("a dog") == theirs.tokenizer.tokenize("a dog")
    features = ours.preprocess(TEXTS)
    _same(features, dict(theirs.preprocess(TEXTS)))
    with torch.no_grad():
        _same(ours(features)["sentence_embedding"], theirs(features)["sentence_embedding"])


def test_the_length_is_that_of_this_object_alone(written: Callable[..., Path]) -> None:
    from sentence_transformers import SentenceTransformer

    folder = written()
    bert = hub.load(folder, engine="numpy")
    ours, theirs = bert.as_sentence_transformer(), SentenceTransformer(str(folder), device="cpu")
    ours.max_seq_length = theirs.max_seq_length = 8
    _same(ours.encode(TEXTS), theirs.encode(TEXTS))
    assert bert.max_length > ours.max_seq_length == 8
    with pytest.raises(InputError, match="max_length must be"):
        ours.max_seq_length = 100_000
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours.encode(TEXTS)
    assert "3 of 6 texts had more than max_seq_length=8 tokens" in str(caught[0].message)


def test_copies_and_pickles(both: Any) -> None:
    ours = copy.deepcopy(both[0])
    ours.max_seq_length = 6
    expected = ours.encode(TEXTS)
    for other in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        np.testing.assert_array_equal(other.encode(TEXTS), expected)
    assert both[0].max_seq_length > ours.max_seq_length


def test_a_pooling_of_the_caller(models: Path) -> None:
    bert = hub.load(models / "tf2_v4", engine="numpy")
    ours = bert.as_sentence_transformer(pooling="pooled", normalize=True)
    np.testing.assert_array_equal(ours.encode(TEXTS), bert.embed(TEXTS, pooling="pooled", normalize=True))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ours)).encode(TEXTS), ours.encode(TEXTS))
    assert ours.get_embedding_dimension() == bert.config.hidden_size


def test_a_folder_that_theirs_loads(both: Any, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    ours = copy.deepcopy(both[0])
    ours.max_seq_length = 9
    ours.prompts["mine"] = "my "
    ours.save_pretrained(str(tmp_path / "saved"))
    theirs = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    _same(ours.encode(TEXTS, prompt_name="mine"), theirs.encode(TEXTS, prompt_name="mine"))
    assert theirs.similarity_fn_name == "dot"
    ours.truncate_dim = 3
    with pytest.raises(InputError, match="truncate_dim"):
        ours.save(str(tmp_path / "other"))


def test_what_it_cannot_do_is_said(both: Any, models: Path, tmp_path: Path) -> None:
    ours = both[0]
    for call in (ours.fit, ours.old_fit, ours.train):
        with pytest.raises(InputError, match="no gradients"):
            call()
    assert ours.eval() is ours
    with pytest.raises(InputError, match="nothing to compile"):
        ours.compile()
    with pytest.raises(InputError, match="belongs to the model"):
        ours.tokenizer = None
    with pytest.raises(InputError, match="processing_kwargs"):
        ours.encode(TEXTS, processing_kwargs={"text": {"max_length": 3}})
    with pytest.raises(InputError, match="a text is a str"):
        ours.encode([1.5])
    unknown = hub.load(make(models, tmp_path, {"pooling_mode": "mine"}), engine="numpy")
    with pytest.raises(UnsupportedModelError, match="Name a pooling"):
        unknown.as_sentence_transformer()
    assert unknown.as_sentence_transformer(pooling="max").encode("a dog").shape == (HIDDEN,)


def test_an_evaluator_of_theirs(both: Any) -> None:
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator

    evaluator = EmbeddingSimilarityEvaluator(TEXTS[:4], TEXTS[2:], [0.1, 0.9, 0.4, 0.3], write_csv=False)
    assert evaluator(both[0]) == pytest.approx(evaluator(both[1]), abs=1e-5)


def test_a_library_that_is_missing_or_old_is_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentence_transformers import SentenceTransformer

    bert = hub.load(models / "hf_bert", engine="numpy")
    monkeypatch.delitem(sys.modules, "berthub.integrations.sentence_transformers", raising=False)
    with monkeypatch.context() as old:
        for kind in SentenceTransformer.__mro__[:2]:
            old.delattr(kind, "_inference")
        with pytest.raises(MissingDependencyError, match=r"6\.2 or later: pip install .* \(here is "):
            bert.as_sentence_transformer()
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingDependencyError, match=r"pip install -U 'sentence-transformers>=6\.2'$"):
        bert.as_sentence_transformer()
