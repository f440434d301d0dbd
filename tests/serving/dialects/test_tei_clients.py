"""Clients of text-embeddings-inference and of Hugging Face's API, each as it comes, and the library's own numbers."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import InferenceClient

import berthub as hub
from support.heads import with_head
from support.server import RunningServer

TEXTS = ["A text.", "A longer text.", "", "Ωmega 漢字"]


def comes_with(package: str, library: str) -> pytest.MarkDecorator:
    """The mark of a test of a client that is part of no extra."""
    missing = importlib.util.find_spec(library) is None
    return pytest.mark.skipif(missing, reason=f"needs {library}: pip install {package}")


@pytest.fixture(scope="module")
def encoders(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, hub.Encoder]:
    folder = tmp_path_factory.mktemp("heads")
    paths = {"vectors": models / "tf2_v4_mlm"}
    paths |= {task: with_head(models / "tf2_v4", folder / task, task) for task in ("classify", "tag")}
    return {name: hub.load(path, threads=1) for name, path in paths.items()}


@pytest.fixture(scope="module")
def server(encoders: dict[str, hub.Encoder]) -> Iterator[RunningServer]:
    with RunningServer({"vectors": encoders["vectors"]}) as running:
        yield running


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("path", ["", "/embed"])
def test_feature_extraction(server: RunningServer, encoders: dict[str, hub.Encoder], path: str) -> None:
    client = InferenceClient(model=server.url + path)
    wanted = encoders["vectors"].embed(TEXTS)
    np.testing.assert_allclose(client.feature_extraction(TEXTS), unit(wanted), atol=1e-5)  # type: ignore[arg-type]
    np.testing.assert_allclose(client.feature_extraction(TEXTS[1], normalize=False), wanted[1:2], atol=1e-5)
    found = client.feature_extraction("word " * 1000, truncate=True, truncation_direction="left", dimensions=5)
    assert found.shape == (1, 5)


@pytest.mark.parametrize("path", ["", "/similarity"])
def test_sentence_similarity(server: RunningServer, encoders: dict[str, hub.Encoder], path: str) -> None:
    client = InferenceClient(model=server.url + path)
    vectors = unit(encoders["vectors"].embed(TEXTS))
    found = client.sentence_similarity(TEXTS[0], other_sentences=TEXTS[1:])
    np.testing.assert_allclose(found, vectors[1:] @ vectors[0], atol=1e-5)


@pytest.mark.parametrize("path", ["", "/fill-mask"])
def test_fill_mask(server: RunningServer, encoders: dict[str, hub.Encoder], path: str) -> None:
    text = "The [MASK] was quick."
    found = InferenceClient(model=server.url + path).fill_mask(text, top_k=3)
    wanted = encoders["vectors"].fill_mask(text, top_k=3)
    assert [(each.token, each.token_str, each.sequence) for each in found] == [
        (each.id, each.piece, each.text) for each in wanted
    ]
    np.testing.assert_allclose([each.score for each in found], [each.probability for each in wanted], atol=1e-5)


def test_classification(encoders: dict[str, hub.Encoder]) -> None:
    text = TEXTS[1]
    with RunningServer({"classify": encoders["classify"]}) as server:
        for path in ("", "/predict"):
            found = InferenceClient(model=server.url + path).text_classification(text)
            wanted = np.asarray(encoders["classify"].predict_proba([text]))[0]
            scores = {each.label: each.score for each in found}
            np.testing.assert_allclose([scores["negative"], scores["positive"]], wanted, atol=1e-5)
            (best,) = InferenceClient(model=server.url + path).text_classification(text, top_k=1)
            assert best.score == max(scores.values())
            raw = InferenceClient(model=server.url + path).text_classification(text, function_to_apply="none")
            wanted = encoders["classify"].logits([text]).values[0]
            np.testing.assert_allclose(sorted(each.score for each in raw), sorted(wanted), atol=1e-5)


def test_words(encoders: dict[str, hub.Encoder]) -> None:
    text = "The fox was quick."
    with RunningServer({"tag": encoders["tag"]}) as server:
        for path in ("", "/predict"):
            client = InferenceClient(model=server.url + path)
            found = client.token_classification(text, aggregation_strategy="none", ignore_labels=[])
            assert [each.word for each in found] == ["The", "fox", "was", "quick", "."]
            assert [each.entity for each in found] == encoders["tag"].predict([["The", "fox", "was", "quick", "."]])[0]
            entities = client.token_classification(text)
            assert [each.start for each in entities] == [each.start for each in found if each.entity != "O"]


@comes_with("llama-index-embeddings-text-embeddings-inference", "llama_index")
def test_llama_index(server: RunningServer, encoders: dict[str, hub.Encoder]) -> None:
    from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference

    client = TextEmbeddingsInference(model_name="vectors", base_url=server.url)
    wanted = unit(encoders["vectors"].embed(TEXTS))
    np.testing.assert_allclose(client.get_text_embedding_batch(TEXTS), wanted, atol=1e-5)
    np.testing.assert_allclose(client.get_query_embedding(TEXTS[1]), wanted[1], atol=1e-5)


@comes_with("langchain-huggingface", "langchain_huggingface")
def test_langchain_huggingface(server: RunningServer, encoders: dict[str, hub.Encoder]) -> None:
    from langchain_huggingface import HuggingFaceEndpointEmbeddings

    # It refuses addresses of servers as `model`, and takes a client that has one.
    embeddings = HuggingFaceEndpointEmbeddings(model="some/model", huggingfacehub_api_token="none")
    embeddings.client = InferenceClient(model=server.url)
    wanted = unit(encoders["vectors"].embed(TEXTS))
    np.testing.assert_allclose(embeddings.embed_documents(TEXTS), wanted, atol=1e-5)
    np.testing.assert_allclose(embeddings.embed_query(TEXTS[1]), wanted[1], atol=1e-5)


@comes_with("langchain-openai", "langchain_openai")
def test_langchain_openai(server: RunningServer, encoders: dict[str, hub.Encoder]) -> None:
    from langchain_openai import OpenAIEmbeddings

    embeddings = OpenAIEmbeddings(
        model="vectors",
        base_url=f"{server.url}/v1",
        api_key="none",  # type: ignore[arg-type]
        check_embedding_ctx_length=False,
    )
    wanted = encoders["vectors"].embed(TEXTS)
    np.testing.assert_allclose(embeddings.embed_documents(TEXTS), wanted, atol=1e-5)
    np.testing.assert_allclose(embeddings.embed_query(TEXTS[1]), wanted[1], atol=1e-5)
