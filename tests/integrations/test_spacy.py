"""The component in pipelines of spaCy's own, found by the entry point of the installed package."""

import importlib
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError, TruncationWarning
from support.needs import needs
from support.sentence_transformers import make, pooling

pytestmark = needs("spacy")

TEXTS = ["The quick brown fox doesn't sleep.", "", "Über café 日本 🙂\n\n  a dog!", "unaffable"]


@pytest.fixture(scope="module")
def bert(models: Path) -> hub.Encoder:
    return hub.load(models / "tf2_v4", engine="numpy")


def _nlp(model: Path, **config: Any) -> Any:
    import spacy

    # The test of the entry point has a process of its own.
    importlib.import_module("berthub.integrations.spacy")
    nlp = spacy.blank("en")
    nlp.add_pipe("berthub", config={"model": str(model), "engine": "numpy", **config})
    return nlp


def _expected(doc: Any, bert: hub.Encoder) -> np.ndarray:
    """The mean over the pieces that share a character with each token, character by character."""
    encodings = bert.encode(doc.text)
    (pieces,), (offsets,) = encodings.ragged(), encodings.offsets
    rows = []
    for token in doc:
        wanted = set(range(token.idx, token.idx + len(token)))
        own = [row for row, (start, end) in zip(pieces, offsets, strict=True) if wanted & set(range(start, end))]
        rows.append(np.mean(own, 0) if own else np.zeros(bert.config.hidden_size))
    return np.array(rows).reshape(len(doc), bert.config.hidden_size)


def test_vectors_of_documents_and_their_tokens(models: Path, bert: hub.Encoder) -> None:
    docs = list(_nlp(models / "tf2_v4").pipe(TEXTS, batch_size=3))
    assert [doc.text for doc in docs] == TEXTS
    np.testing.assert_allclose([doc.vector for doc in docs], bert.embed(TEXTS), atol=1e-5)
    for doc in docs:
        assert doc._.sequence_output.dtype == np.float32
        assert doc.has_vector
        np.testing.assert_allclose(doc._.sequence_output, _expected(doc, bert), atol=1e-5)
    fox, blank = docs[0][3], docs[2][4]
    assert fox.text == "fox"
    np.testing.assert_array_equal(fox.vector, docs[0]._.sequence_output[3])
    assert blank.is_space
    assert not blank.vector.any()
    span = docs[0][1:4]
    np.testing.assert_allclose(span.vector, docs[0]._.sequence_output[1:4].mean(0), atol=1e-6)


def test_one_document_and_its_similarities(models: Path, bert: hub.Encoder) -> None:
    nlp = _nlp(models / "tf2_v4", normalize=True)
    one, other = nlp("a red fox"), nlp("a dog")
    np.testing.assert_allclose(one.vector, bert.embed("a red fox", normalize=True)[0], atol=1e-5)
    assert one.similarity(other) == pytest.approx(float(one.vector @ other.vector), abs=1e-5)
    assert one[2].similarity(one[2]) == pytest.approx(1)
    assert one[0:2].similarity(one) < 1
    assert nlp("")[0:0].similarity is not None


def test_a_prompt_moves_no_token(models: Path, tmp_path: Path) -> None:
    settings = {"prompts": {"mine": "the dog: "}, "default_prompt_name": "mine"}
    folder = make(models, tmp_path, pooling("mean_tokens"), config_sentence_transformers=settings)
    bert = hub.load(folder, engine="numpy")
    doc = _nlp(folder)("a quick fox")
    np.testing.assert_allclose(doc.vector, bert.embed("a quick fox")[0], atol=1e-5)
    encodings = bert.encode("a quick fox", outputs=["embedding", "sequence_output"])
    own = encodings.offsets[0][:, 0] >= encodings.texts[0].index("fox")
    np.testing.assert_allclose(doc[2].vector, encodings["sequence_output"][0, own].mean(0), atol=1e-5)


def test_long_documents_are_truncated_or_windowed(models: Path, bert: hub.Encoder) -> None:
    text = "was it " * 60
    with pytest.warns(TruncationWarning, match="1 of 1 texts"):
        doc = _nlp(models / "tf2_v4")(text)
    assert doc._.sequence_output[0].any()
    assert not doc._.sequence_output[-1].any()
    doc = _nlp(models / "tf2_v4", window=16, stride=4)(text)
    assert doc._.sequence_output.any(1).all()
    np.testing.assert_allclose(doc.vector, bert.embed(text, window=16, stride=4)[0], atol=1e-5)


def test_pipelines_and_documents_are_saved(models: Path, bert: hub.Encoder, tmp_path: Path) -> None:
    import spacy
    from spacy.tokens import Doc, DocBin

    nlp = _nlp(models / "tf2_v4", pooling="cls")
    expected = nlp(TEXTS[0])
    nlp.to_disk(tmp_path / "pipeline")
    assert sum(path.stat().st_size for path in (tmp_path / "pipeline" / "berthub").rglob("*")) == 0
    for other in (spacy.load(tmp_path / "pipeline"), pickle.loads(pickle.dumps(nlp))):
        np.testing.assert_array_equal(other(TEXTS[0]).vector, expected.vector)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(expected)).vector, expected.vector)
    with warnings.catch_warnings():
        # spaCy says that hooks are not written.
        warnings.simplefilter("ignore", UserWarning)
        written = Doc(nlp.vocab).from_bytes(expected.to_bytes())
    (stored,) = DocBin(docs=[expected], store_user_data=True).get_docs(nlp.vocab)
    for doc in (written, stored):
        np.testing.assert_array_equal(doc._.embedding, expected._.embedding)
        np.testing.assert_array_equal(doc._.sequence_output, expected._.sequence_output)


def test_what_does_not_fit_is_said(models: Path) -> None:
    with pytest.raises(ValueError, match="pooling"):
        _nlp(models / "tf2_v4", pooling="none")
    with pytest.raises(InputError, match="window"):
        _nlp(models / "tf2_v4", window=1)
    nlp = _nlp(models / "tf2_v4")
    doc = nlp("a red fox")
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[1:3])
    with pytest.raises(InputError, match="has 2 tokens, and of encodings those of 3 tokens"):
        _ = doc[0].vector
    assert nlp.get_pipe("berthub")(doc)[1].vector.any()
    with pytest.raises(InputError, match="has 1 tokens, and of encodings none"):
        _ = nlp("a red fox")[1:2].as_doc().vector


def test_spacy_finds_it_without_an_import(models: Path) -> None:
    config = {"model": str(models / "tf2_v4"), "engine": "numpy"}
    code = (
        f"import spacy; nlp = spacy.blank('en'); nlp.add_pipe('berthub', config={config!r}); "
        "print(nlp('a dog').vector.shape)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "(32,)", done.stderr
