"""An Encoder as LangChain's Embeddings, in a vector store and a retriever of LangChain's own."""

import asyncio
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError, MissingDependencyError
from support.needs import needs
from support.sentence_transformers import make, pooling

TEXTS = ["The quick brown fox.", "", "Über café 日本 🙂", "a dog"]


@pytest.fixture(scope="module")
def bert(models: Path, tmp_path_factory: pytest.TempPathFactory) -> hub.Encoder:
    """A model with prompts."""
    prompts = {"prompts": {"query": "the dog: ", "document": "fox "}}
    folder = make(
        models, tmp_path_factory.mktemp("model"), pooling("mean_tokens"), config_sentence_transformers=prompts
    )
    return hub.load(folder, engine="numpy")


@needs("langchain_core")
def test_queries_and_documents_have_their_prompts(bert: hub.Encoder) -> None:
    from langchain_core.embeddings import Embeddings

    made = bert.as_langchain()
    assert isinstance(made, Embeddings)
    np.testing.assert_array_equal(made.embed_documents(TEXTS), bert.encode_document(TEXTS))
    np.testing.assert_array_equal(made.embed_query("a dog"), bert.encode_query("a dog")[0])
    assert made.embed_query("a dog") != made.embed_documents(["a dog"])[0]
    assert isinstance(made.embed_query("a dog")[0], float)
    assert made.embed_documents([]) == []
    np.testing.assert_array_equal(asyncio.run(made.aembed_documents(TEXTS)), made.embed_documents(TEXTS))


@needs("langchain_core")
def test_prompts_and_options_of_the_caller(bert: hub.Encoder) -> None:
    made = bert.as_langchain(query_prompt="was: ", document_prompt="", pooling="cls", normalize=True)
    expected = bert.embed("a dog", prompt="was: ", pooling="cls", normalize=True)[0]
    np.testing.assert_array_equal(made.embed_query("a dog"), expected)
    expected = bert.embed("a dog", prompt="", pooling="cls", normalize=True)[0]
    np.testing.assert_array_equal(made.embed_documents(["a dog"])[0], expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(made)).embed_documents(["a dog"])[0], expected)


@needs("langchain_core")
@pytest.mark.parametrize(
    ("options", "message"),
    [({"pooling": "none"}, "pooling"), ({"prompt": "x"}, "query_prompt"), ({"window": 1}, "window")],
)
def test_options_are_checked_at_once(bert: hub.Encoder, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        bert.as_langchain(**options)


@needs("langchain_core")
def test_a_store_and_a_retriever(bert: hub.Encoder) -> None:
    from langchain_core.vectorstores import InMemoryVectorStore

    store = InMemoryVectorStore(bert.as_langchain())
    store.add_texts(TEXTS)
    vectors, query = bert.encode_document(TEXTS), bert.encode_query("the fox")
    scores = (vectors @ query[0]) / np.linalg.norm(vectors, axis=1)
    expected = [TEXTS[place] for place in np.argsort(-scores)[:2]]
    assert [found.page_content for found in store.similarity_search("the fox", k=2)] == expected
    retriever = store.as_retriever(search_kwargs={"k": 1})
    assert retriever.invoke("the fox")[0].page_content == expected[0]


def test_the_missing_library_is_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bert = hub.load(models / "hf_bert", engine="numpy")
    for name in [name for name in sys.modules if name.partition(".")[0] in ("langchain_core", "llama_index")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("langchain", "llama_index"):
        monkeypatch.delitem(sys.modules, f"berthub.integrations.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "langchain_core", None)
    monkeypatch.setitem(sys.modules, "llama_index", None)
    with pytest.raises(MissingDependencyError, match=r"pip install langchain-core$"):
        bert.as_langchain()
    with pytest.raises(MissingDependencyError, match=r"pip install llama-index-core$"):
        bert.as_llama_index()
