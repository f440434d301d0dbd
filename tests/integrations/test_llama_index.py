"""An Encoder as LlamaIndex's BaseEmbedding, in an index of LlamaIndex's own."""

import asyncio
import pickle
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError
from support.needs import needs
from support.sentence_transformers import make, pooling

pytestmark = needs("llama_index")

TEXTS = ["The quick brown fox.", "Über café 日本 🙂", "a dog"]


@pytest.fixture(scope="module")
def bert(models: Path, tmp_path_factory: pytest.TempPathFactory) -> hub.Encoder:
    """A model with prompts."""
    prompts = {"prompts": {"query": "the dog: ", "document": "fox "}}
    folder = make(
        models, tmp_path_factory.mktemp("model"), pooling("mean_tokens"), config_sentence_transformers=prompts
    )
    return hub.load(folder, engine="numpy")


def test_queries_and_documents_have_their_prompts(bert: hub.Encoder) -> None:
    from llama_index.core.base.embeddings.base import BaseEmbedding

    made = bert.as_llama_index()
    assert isinstance(made, BaseEmbedding)
    np.testing.assert_array_equal(made.get_text_embedding_batch(TEXTS), bert.encode_document(TEXTS))
    np.testing.assert_array_equal(made.get_text_embedding("a dog"), bert.encode_document("a dog")[0])
    np.testing.assert_array_equal(made.get_query_embedding("a dog"), bert.encode_query("a dog")[0])
    assert made.get_query_embedding("a dog") != made.get_text_embedding("a dog")
    np.testing.assert_array_equal(asyncio.run(made.aget_query_embedding("a dog")), bert.encode_query("a dog")[0])
    found = asyncio.run(made.aget_text_embedding_batch(TEXTS))
    np.testing.assert_array_equal(found, bert.encode_document(TEXTS))


def test_prompts_options_copies_and_settings(bert: hub.Encoder) -> None:
    made = bert.as_llama_index(query_prompt="was: ", normalize=True, embed_batch_size=7)
    assert made.embed_batch_size == 7
    expected = bert.embed("a dog", prompt="was: ", normalize=True)[0]
    np.testing.assert_array_equal(made.get_query_embedding("a dog"), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(made)).get_query_embedding("a dog"), expected)
    assert made.to_dict()["embed_batch_size"] == 7
    with pytest.raises(InputError, match="pooling"):
        bert.as_llama_index(pooling="none")


def test_an_index_and_its_retriever(bert: hub.Encoder) -> None:
    from llama_index.core import Document, VectorStoreIndex

    documents = [Document(text=text) for text in TEXTS]
    index = VectorStoreIndex.from_documents(documents, embed_model=bert.as_llama_index())
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("the fox")
    vectors, query = bert.encode_document(TEXTS), bert.encode_query("the fox")
    scores = (vectors @ query[0]) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    assert found.node.get_content() == TEXTS[int(np.argmax(scores))]
    assert found.score == pytest.approx(scores.max(), abs=1e-5)
