"""The dialect of text-embeddings-inference: its shapes, and its numbers against those of the library."""

import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import berthub as hub
from berthub.embedding import Embedding
from berthub.engines.create import create_engine
from berthub.formats import read
from berthub.serving.dialects.tei.fields import failure
from berthub.serving.failures import (
    DeadlineError,
    QueueFullError,
    RequestError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)
from support.heads import LABELS, with_head
from support.server import RunningServer

TEXTS = ["A text.", "A longer text.", "", "A text.", "Æon Ωmega 漢字 👍"]
PAIR = ("a question", "an answer")
NPY, ARROW = "application/x-npy", "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def encoders(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, hub.Encoder]:
    folder = tmp_path_factory.mktemp("heads")
    paths = {"tiny": models / "tf2_v4_mlm"}
    paths |= {task: with_head(models / "tf2_v4", folder / task, task) for task in LABELS}
    return {name: hub.load(path, threads=1) for name, path in paths.items()}


@pytest.fixture(scope="module")
def encoder(encoders: dict[str, hub.Encoder]) -> hub.Encoder:
    return encoders["tiny"]


@pytest.fixture(scope="module")
def server(encoders: dict[str, hub.Encoder]) -> Iterator[RunningServer]:
    with RunningServer(encoders) as running:
        yield running


def post(server: RunningServer, path: str, accept: str = "application/json", **body: Any) -> Any:
    answer = server.client.post(path, json=body, headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    return answer


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def close(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(np.array(found, np.float32), wanted, atol=1e-5)


@pytest.mark.parametrize("path", ["/embed", "/"])
def test_vectors_of_a_text_and_of_a_list(server: RunningServer, encoder: hub.Encoder, path: str) -> None:
    wanted = encoder.embed(TEXTS)
    close(post(server, path, inputs=TEXTS).json(), unit(wanted))
    close(post(server, path, inputs=TEXTS[1]).json(), unit(wanted[1:2]))
    close(post(server, path, inputs=TEXTS, normalize=False).json(), wanted)


def test_vectors_of_pairs_and_of_ids(server: RunningServer, encoder: hub.Encoder) -> None:
    wanted = encoder.embed([PAIR, "A text."])
    close(post(server, "/embed", inputs=[PAIR, "A text."], normalize=False).json(), wanted)
    rows = [encoder.tokenizer(text)["input_ids"] for text in TEXTS]
    close(post(server, "/embed", inputs=rows, normalize=False).json(), encoder.embed(TEXTS))
    close(post(server, "/embed", inputs=rows[1], normalize=False).json(), encoder.embed(TEXTS[1:2]))


def test_fewer_dimensions(server: RunningServer, encoder: hub.Encoder) -> None:
    wanted = encoder.embed(TEXTS)[:, :5]
    close(post(server, "/embed", inputs=TEXTS, dimensions=5).json(), unit(wanted))
    close(post(server, "/embed", inputs=TEXTS, dimensions=5, normalize=False).json(), wanted)


def test_vectors_as_bytes(server: RunningServer, encoder: hub.Encoder) -> None:
    answer = post(server, "/embed", accept=NPY, inputs=TEXTS, normalize=False)
    assert answer.headers["content-type"] == NPY
    close(np.load(io.BytesIO(answer.content)), encoder.embed(TEXTS))
    answer = post(server, "/embed", accept=ARROW, inputs=TEXTS, normalize=False)
    assert answer.headers["content-type"] == ARROW
    close(pa.ipc.open_stream(answer.content).read_all()["embedding"].to_pylist(), encoder.embed(TEXTS))


def test_vectors_of_tokens(server: RunningServer, encoder: hub.Encoder) -> None:
    texts = [*TEXTS, PAIR]
    encodings = encoder.encode(texts)
    wanted = encodings.ragged()
    found = post(server, "/embed_all", inputs=texts).json()
    for mine, theirs in zip(found, wanted, strict=True):
        close(mine, theirs)
    close(post(server, "/embed_all", inputs=texts[0]).json()[0], wanted[0])

    answer = post(server, "/embed_all", accept=NPY, inputs=texts)
    padded = np.load(io.BytesIO(answer.content))
    counts = [int(count) for count in answer.headers["x-token-counts"].split(",")]
    assert padded.shape == (len(texts), max(counts), encoder.config.hidden_size)
    assert counts == [len(rows) for rows in wanted]
    for row, rows in enumerate(wanted):
        close(padded[row, : len(rows)], rows)
        assert not padded[row, len(rows) :].any()

    answer = post(server, "/embed_all", accept=ARROW, inputs=texts)
    column = pa.ipc.open_stream(answer.content).read_all()["token_embeddings"]
    for mine, theirs in zip(column.to_pylist(), wanted, strict=True):
        close(mine, theirs)


def test_padding_makes_no_array_larger_than_what_is_taken(
    server: RunningServer, encoder: hub.Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["word " * 20, *["a"] * 40]
    tokens = int(encoder.encode(texts).ragged_tokens.lengths.sum())
    monkeypatch.setattr(server.server.state.models.service(), "result_bytes", 8 * tokens * 32)
    answer = server.client.post("/embed_all", json={"inputs": texts}, headers={"accept": NPY})
    assert answer.status_code == 413
    assert "with padding the array would have" in answer.json()["error"]
    assert len(post(server, "/embed_all", inputs=texts).json()) == 41


def test_similarities(server: RunningServer, encoder: hub.Encoder) -> None:
    vectors = unit(encoder.embed(TEXTS))
    inputs = {"source_sentence": TEXTS[0], "sentences": TEXTS[1:]}
    for path in ("/similarity", "/"):
        close(post(server, path, inputs=inputs).json(), vectors[1:] @ vectors[0])


@pytest.mark.parametrize("path", ["/predict", "/"])
def test_labels_have_the_shapes_of_tei(server: RunningServer, encoders: dict[str, hub.Encoder], path: str) -> None:
    def shares(inputs: Any, **options: Any) -> Any:
        return post(server, path, model="classify", inputs=inputs, **options).json()

    encoder = encoders["classify"]
    assert encoder.head is not None
    labels = encoder.head.labels

    def as_listed(predictions: Any) -> list[float]:
        assert [each["score"] for each in predictions] == sorted((p["score"] for p in predictions), reverse=True)
        scores = {each["label"]: each["score"] for each in predictions}
        return [scores[label] for label in labels]

    for one in (TEXTS[1], [TEXTS[1]]):
        close(as_listed(shares(one)), encoder.predict_proba([TEXTS[1]])[0])
    close(as_listed(shares(list(PAIR))), encoder.predict_proba([PAIR])[0])
    batch = [TEXTS[0], PAIR, ""]
    found = shares([[TEXTS[0]], list(PAIR), [""]])
    close([as_listed(each) for each in found], np.asarray(encoder.predict_proba(batch)))
    found = shares([[TEXTS[0]], list(PAIR), [""]], raw_scores=True)
    close([as_listed(each) for each in found], encoder.logits(batch).values)


def test_several_labels_and_values(server: RunningServer, encoders: dict[str, hub.Encoder]) -> None:
    found = post(server, "/predict", model="multi_label", inputs=TEXTS[0]).json()
    wanted = np.asarray(encoders["multi_label"].predict_proba(TEXTS[:1]))[0]
    scores = {each["label"]: each["score"] for each in found}
    close([scores[label] for label in LABELS["multi_label"]], wanted)
    found = post(server, "/predict", model="regress", inputs=[[text] for text in TEXTS]).json()
    assert {each["label"] for (each,) in found} == {"value"}
    close([each["score"] for (each,) in found], np.asarray(encoders["regress"].predict(TEXTS)))


def test_texts_are_ranked_by_a_regression(server: RunningServer, encoders: dict[str, hub.Encoder]) -> None:
    encoder = encoders["regress"]
    expected = encoder.rank("A", TEXTS[:3], return_documents=True)
    found = post(server, "/rerank", model="regress", query="A", texts=TEXTS[:3], return_text=True).json()
    assert [(each["index"], each["text"]) for each in found] == [(each["corpus_id"], each["text"]) for each in expected]
    close([each["score"] for each in found], np.array([each["score"] for each in expected]))
    raw = post(server, "/rerank", model="regress", query="A", texts=TEXTS[:3], raw_scores=True).json()
    assert [sorted(each) for each in raw] == [["index", "score"]] * 3


def test_words_and_their_labels(server: RunningServer, encoders: dict[str, hub.Encoder]) -> None:
    text = "The fox, and Ωmega!"
    words = ["The", "fox", ",", "and", "Ωmega", "!"]
    encoder = encoders["tag"]
    found = post(server, "/predict", model="tag", inputs=text).json()
    assert [each["word"] for each in found] == [text[each["start"] : each["end"]] for each in found] == words
    assert [each["entity"] for each in found] == encoder.predict([words])[0]
    close([each["score"] for each in found], np.asarray(encoder.predict_proba([words])[0]).max(1))
    ids = encoder.tokenizer(text)["input_ids"]
    first = encoder.tokenizer.convert_ids_to_tokens([ids[each["index"]] for each in found])
    assert not any(piece.startswith("##") for piece in first)
    batch = post(server, "/predict", model="tag", inputs=[[text], [""]]).json()
    assert batch == [found, []]
    # As Hugging Face's pipelines, where their parameters come.
    label = found[0]["entity"]
    fewer = post(server, "/predict", model="tag", inputs=text, parameters={"ignore_labels": [label]}).json()
    assert fewer == [each for each in found if each["entity"] != label]


def test_the_pieces_for_a_mask(server: RunningServer, encoder: hub.Encoder) -> None:
    text = "The [MASK] was quick."
    wanted = encoder.fill_mask(text, top_k=3)
    for path, more in (("/fill-mask", {"top_k": 3}), ("/", {"parameters": {"top_k": 3}})):
        found = post(server, path, inputs=text, **more).json()
        assert [(each["token"], each["token_str"], each["sequence"]) for each in found] == [
            (each.id, each.piece, each.text) for each in wanted
        ]
        close([each["score"] for each in found], [each.probability for each in wanted])
    assert len(post(server, "/fill-mask", inputs=text).json()) == 5


def test_tokens_and_back(server: RunningServer, encoder: hub.Encoder) -> None:
    texts = ["The quick fox 漢字 👍 Ωmega", ""]
    found = post(server, "/tokenize", inputs=texts).json()
    tokenized = encoder.tokenizer(texts)
    assert [[each["id"] for each in row] for row in found] == tokenized["input_ids"]
    assert [found[0][0], found[0][-1]] == [
        {"id": row["id"], "text": name, "special": True, "start": None, "stop": None, "piece": name}
        for row, name in ((found[0][0], "[CLS]"), (found[0][-1], "[SEP]"))
    ]
    for each in found[0][1:-1]:
        assert each["text"] == texts[0][each["start"] : each["stop"]]
        assert each["piece"] == encoder.vocabulary.pieces[each["id"]]
        assert not each["special"]
    bare = post(server, "/tokenize", inputs=texts[0], add_special_tokens=False).json()
    assert bare == [found[0][1:-1]]
    (pair,) = post(server, "/tokenize", inputs=[PAIR]).json()
    assert sum(each["special"] for each in pair) == 3
    assert "".join(each["text"] for each in pair if not each["special"]) == "".join(PAIR).replace(" ", "")

    ids = encoder.tokenizer("the quick fox.")["input_ids"]
    assert post(server, "/decode", ids=ids).json() == ["the quick fox."]
    assert post(server, "/decode", ids=[ids, []]).json() == ["the quick fox.", ""]
    (whole,) = post(server, "/decode", ids=ids, skip_special_tokens=False).json()
    assert whole.startswith("[CLS] ")


def test_tokens_of_long_and_of_many_texts_come_in_slices(server: RunningServer, encoder: hub.Encoder) -> None:
    texts = ["", "word " * 5000, *["a text"] * 3000, ""]
    for special in (True, False):
        answer = post(server, "/tokenize", inputs=texts, add_special_tokens=special)
        assert answer.headers["transfer-encoding"] == "chunked"
        ids = encoder.tokenizer(texts)["input_ids"]
        assert [[each["id"] for each in row] for row in answer.json()] == (
            ids if special else [row[1:-1] for row in ids]
        )


def test_what_the_models_are(server: RunningServer, encoders: dict[str, hub.Encoder]) -> None:
    info = server.client.get("/info").json()
    assert info["model_type"] == {"embedding": {"pooling": "mean"}}
    assert (info["model_id"], info["model_dtype"]) == ("handle/tiny", "float32")
    assert info["max_input_length"] == encoders["tiny"].max_length
    assert info["max_client_batch_size"] == 8192
    assert not info["auto_truncate"]
    with RunningServer({"classify": encoders["classify"]}) as other:
        assert other.client.get("/info").json()["model_type"] == {
            "classifier": {
                "id2label": {"0": "negative", "1": "positive"},
                "label2id": {"negative": 0, "positive": 1},
            }
        }


def test_long_texts(server: RunningServer, encoder: hub.Encoder) -> None:
    words = ["first", *["word"] * 1000, "last"]
    long = " ".join(words)
    refused = server.client.post("/embed", json={"inputs": long})
    assert (refused.status_code, refused.json()["error_type"]) == (422, "Validation")
    assert "ask for truncation" in refused.json()["error"]
    right = post(server, "/embed", inputs=long, truncate=True)
    assert right.headers["x-truncated-texts"] == "1"
    left = post(server, "/embed", inputs=long, truncate=True, truncation_direction="Left")
    ids = encoder.tokenizer(long)["input_ids"]
    kept = encoder.max_length
    close(post(server, "/embed", inputs=[*ids[: kept - 1], ids[-1]]).json(), right.json())
    close(post(server, "/embed", inputs=[ids[0], *ids[1 - kept :]]).json(), left.json())
    inputs = {"source_sentence": long, "sentences": [long]}
    close(post(server, "/similarity", inputs=inputs, parameters={"truncate": True}).json(), [1.0])
    assert (
        post(server, "/predict", model="classify", inputs=[[long]], truncate=True).headers["x-truncated-texts"] == "1"
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "kind", "message"),
    [
        ("/embed", {}, 400, "Validation", "inputs is missing; there is nothing"),
        ("/embed", {"inputs": []}, 400, "Empty", "inputs is an empty list"),
        ("/embed", {"inputs": ["a", 3]}, 400, "Validation", "inputs[1] must be a string or a list of two strings"),
        ("/embed", {"inputs": [[1], ["a"]]}, 400, "Validation", "inputs[1] must be a list of the ids of tokens"),
        ("/embed", {"inputs": [10**9]}, 422, "Validation", "1000000000 is no id of a token of this model"),
        ("/embed", {"inputs": "a", "prompt_name": "query"}, 422, "Validation", "and the model's prompts are: none"),
        ("/embed", {"inputs": "a", "truncate": "yes"}, 400, "Validation", "truncate must be true or false"),
        ("/embed", {"inputs": "a", "truncation_direction": "up"}, 400, "Validation", "must be one of Right, Left"),
        ("/embed", {"inputs": "a", "dimensions": 10**6}, 422, "Validation", "dimensions is 1000000"),
        ("/embed", {"inputs": "a", "encoding_format": "base64"}, 400, "Validation", "must be one of float"),
        ("/embed", {"inputs": "a", "model": "other"}, 404, "Validation", "there is no model 'other'"),
        ("/predict", {"inputs": "a"}, 422, "Backend", "this model was not fine-tuned"),
        ("/predict", {"inputs": ["a", "b", "c"]}, 400, "Validation", "a batch is a list of lists"),
        ("/predict", {"inputs": [["a"], "b"]}, 400, "Validation", "inputs[1] must be a list of one string"),
        ("/predict", {"inputs": []}, 400, "Empty", "inputs is an empty list"),
        ("/rerank", {"query": "a", "texts": []}, 400, "Empty", "texts is an empty list"),
        ("/rerank", {"query": ["a"], "texts": ["b"]}, 400, "Validation", "query must be a string"),
        ("/rerank", {"query": "a", "texts": ["b"], "model": "classify"}, 422, "Backend", "ranked by a cross-encoder"),
        ("/predict", {"inputs": ["a", "b"], "model": "tag"}, 422, "Validation", "not of pairs"),
        (
            "/predict",
            {"inputs": "a", "model": "tag", "raw_scores": True},
            422,
            "Validation",
            "raw_scores are not given",
        ),
        ("/similarity", {"inputs": "a"}, 400, "Validation", "inputs must be a JSON object"),
        ("/similarity", {"inputs": {"source_sentence": "a", "sentences": []}}, 400, "Empty", "is an empty list"),
        ("/fill-mask", {"inputs": "a"}, 422, "Validation", "must be a string that holds [MASK] once"),
        ("/fill-mask", {"inputs": ["a"]}, 400, "Validation", "masks are filled in one text at a time"),
        ("/fill-mask", {"inputs": "[MASK]", "model": "tag"}, 422, "Backend", "no masked-language-model head"),
        ("/tokenize", {"inputs": {}}, 400, "Validation", "inputs must be a list of strings"),
        ("/decode", {"ids": [10**9]}, 422, "Tokenizer", "ids are whole numbers from 0 to"),
        ("/decode", {"ids": [[1], 2]}, 400, "Validation", "ids[1] must be a list"),
        ("/decode", {"ids": []}, 400, "Empty", "ids is an empty list"),
    ],
)
def test_what_is_wrong_is_said(
    server: RunningServer, path: str, body: Any, status: int, kind: str, message: str
) -> None:
    answer = server.client.post(path, json=body)
    assert (answer.status_code, answer.json()["error_type"]) == (status, kind)
    assert message in answer.json()["error"]


def test_a_model_without_vectors_of_texts(models: Path) -> None:
    checkpoint = replace(read(models / "tf2_v4"), embedding=Embedding(unsupported=("a dense layer",)))
    encoder = hub.Encoder(checkpoint, hub.Tokenizer.from_checkpoint(checkpoint), create_engine(checkpoint, threads=1))
    with RunningServer({"tiny": encoder}) as server:
        answer = server.client.post("/embed", json={"inputs": "a"})
        assert (answer.status_code, answer.json()["error_type"]) == (422, "Validation")
        assert "its files ask for a dense layer" in answer.json()["error"]
        assert len(post(server, "/embed_all", inputs="a").json()[0]) == 3
        assert server.client.get("/info").json()["model_type"] == {"embedding": {"pooling": "none"}}


def test_health(server: RunningServer, encoder: hub.Encoder) -> None:
    assert server.client.get("/health").status_code == 200
    may_load = threading.Event()

    def load() -> hub.Encoder:
        may_load.wait(60)
        return encoder

    with RunningServer({"slow": load}, wait=False) as starting:
        answer = starting.client.get("/health")
        may_load.set()
    assert (answer.status_code, answer.json()["error_type"]) == (503, "Unhealthy")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (QueueFullError("full"), "Overloaded"),
        (DeadlineError("late"), "Overloaded"),
        (UnavailableError("loading"), "Unhealthy"),
        (TooLargeError("large"), "Validation"),
        (UnauthorizedError("no key"), "Validation"),
        (RequestError("a bug"), "Backend"),
    ],
)
def test_errors_have_the_types_of_tei(error: RequestError, kind: str) -> None:
    assert failure(error) == {"error": str(error), "error_type": kind}


def test_metrics_count_what_was_asked(server: RunningServer) -> None:
    def count(name: str) -> float:
        lines = server.client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    names = ["te_embed_count", "te_predict_count"]
    before = [count(name) for name in names]
    post(server, "/embed", inputs="a")
    post(server, "/embed_all", inputs=["a", "b"])
    post(server, "/predict", model="classify", inputs="a")
    assert [count(name) - was for name, was in zip(names, before, strict=True)] == [3, 1]


def test_every_operation_is_described(server: RunningServer) -> None:
    described = server.client.get("/openapi.json").json()
    schemas = described["components"]["schemas"]
    names = ("embed", "embed_all", "similarity", "predict", "rerank", "fill-mask", "tokenize", "decode", "")
    for path in (f"/{name}" for name in names):
        operation = described["paths"][path]["post"]
        for content in (operation["requestBody"]["content"], operation["responses"]["200"]["content"]):
            reference = content["application/json"]["schema"]["$ref"]
            assert reference.rpartition("/")[2] in schemas
    assert set(described["paths"]["/embed"]["post"]["responses"]["200"]["content"]) == {"application/json", NPY, ARROW}
