"""Libraries that take a SentenceTransformer take an Encoder as one: BERTopic, KeyBERT and mteb themselves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from support.needs import needs

pytestmark = needs("sentence_transformers")

ANIMALS = ("fox", "dog", "bird")
DOCUMENTS = [f"The {animal} was {number} years old." for animal in ANIMALS for number in range(20)]


@pytest.fixture(scope="module")
def bert(models: Path) -> hub.Encoder:
    return hub.load(models / "tf2_v4", engine="numpy")


@needs("bertopic")
def test_bertopic(bert: hub.Encoder) -> None:
    from bertopic import BERTopic
    from bertopic.backend import BaseEmbedder
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    model = BERTopic(
        embedding_model=bert.as_sentence_transformer(),
        umap_model=PCA(5, random_state=0),
        hdbscan_model=KMeans(3, random_state=0, n_init=1),
    )
    topics, _ = model.fit_transform(DOCUMENTS)
    assert len(topics) == len(DOCUMENTS)
    assert len(model.get_topic_info()) == 3
    assert isinstance(model.embedding_model, BaseEmbedder)
    np.testing.assert_allclose(model._extract_embeddings(DOCUMENTS), bert.embed(DOCUMENTS), atol=1e-5)
    # Topics have embeddings of their own, by which they are searched.
    assert model.topic_embeddings_.shape == (3, 32)
    found, _ = model.find_topics("a red fox", top_n=2)
    assert len(found) == 2


@needs("keybert")
def test_keybert(bert: hub.Encoder) -> None:
    from keybert import KeyBERT

    text = "The quick brown fox was not in the garden."
    found = KeyBERT(model=bert.as_sentence_transformer()).extract_keywords(text, top_n=3)
    words = ["quick", "brown", "fox", "garden"]
    vectors, whole = bert.embed(words), bert.embed(text)[0]
    scores = vectors @ whole / np.linalg.norm(vectors, axis=1) / np.linalg.norm(whole)
    expected = sorted(zip(words, scores.tolist(), strict=True), key=lambda one: -one[1])[:3]
    assert [word for word, _ in found] == [word for word, _ in expected]
    np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], atol=1e-3)


def _metadata(name: str, kind: str, score: str) -> Any:
    from mteb.abstasks.task_metadata import TaskMetadata

    unsaid = ("reference", "date", "domains", "task_subtypes", "license", "annotations_creators", "dialect")
    return TaskMetadata(
        name=name,
        description="Made of a few sentences.",
        dataset={"path": "none", "revision": "1"},
        type=kind,
        eval_langs=["eng-Latn"],
        main_score=score,
        sample_creation=None,
        bibtex_citation=None,
        **dict.fromkeys(unsaid),
    )


@needs("mteb")
def test_mteb_runs_similarity(bert: hub.Encoder) -> None:
    import mteb
    from datasets import Dataset
    from mteb.abstasks.sts import AbsTaskSTS
    from scipy.stats import spearmanr

    first = ["a fox", "the dog ran", "it rained", "she was here"]
    second = ["a red fox", "a dog ran", "of the house", "he was here"]
    truth = [4.5, 4.8, 0.1, 3.0]

    class Similar(AbsTaskSTS):
        metadata = _metadata("SimilarHere", "STS", "cosine_spearman")

        def load_data(self, **options: object) -> None:
            rows = {"sentence1": first, "sentence2": second, "score": truth}
            self.dataset = {"test": Dataset.from_dict(rows)}
            self.data_loaded = True

    # mteb itself puts its EncoderProtocol around a SentenceTransformer.
    result = mteb.evaluate(bert.as_sentence_transformer(), [Similar()], cache=None).task_results[0]
    one, other = bert.embed(first), bert.embed(second)
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert result.get_score() == pytest.approx(spearmanr(cosines, truth).statistic, abs=1e-6)


@needs("mteb")
def test_mteb_runs_retrieval(bert: hub.Encoder) -> None:
    import mteb
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData

    corpus = ["the red fox", "a dog ran", "it rained", "of the house"]

    class Found(AbsTaskRetrieval):
        metadata = _metadata("FoundHere", "Retrieval", "ndcg_at_10")

        def load_data(self, **options: object) -> None:
            split = RetrievalSplitData(
                corpus=Dataset.from_dict({"id": ["c0", "c1", "c2", "c3"], "text": corpus, "title": [""] * 4}),
                queries=Dataset.from_dict({"id": ["q0", "q1"], "text": ["the red fox", "it rained"]}),
                relevant_docs={"q0": {"c0": 1}, "q1": {"c2": 1}},
                top_ranked=None,
            )
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    result = mteb.evaluate(bert.as_sentence_transformer(), [Found()], cache=None).task_results[0]
    assert result.get_score() == pytest.approx(1.0)
