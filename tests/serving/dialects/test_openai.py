"""OpenAI's dialect, by its own client, and the embeddings against those of the library."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from support.needs import needs
from support.server import RunningServer

TEXTS = ["A text.", "Another, somewhat longer text with more words.", "", "A text."]


@pytest.fixture(scope="module")
def encoder(models: Path) -> hub.Encoder:
    return hub.load(models / "tf2_v4", threads=1)


@pytest.fixture(scope="module")
def server(encoder: hub.Encoder) -> Iterator[RunningServer]:
    with RunningServer({"tiny": encoder}) as running:
        yield running


def post(server: RunningServer, **body: Any) -> Any:
    return server.client.post("/v1/embeddings", json=body)


def vectors(answer: Any) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.array([each["embedding"] for each in answer.json()["data"]], np.float32)


@needs("openai")
def test_its_own_client(server: RunningServer, encoder: hub.Encoder) -> None:
    import openai

    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
        found = client.embeddings.create(model="tiny", input=TEXTS)
        assert [model.id for model in client.models.list()] == ["tiny"]
        with pytest.raises(openai.NotFoundError, match="there is no model 'other'; this server has 'tiny'"):
            client.embeddings.create(model="other", input="a")
        with pytest.raises(openai.BadRequestError, match="input is an empty list"):
            client.embeddings.create(model="tiny", input=[])
        assert client.models.retrieve("tiny").id == "tiny"
    np.testing.assert_allclose(
        np.array([each.embedding for each in found.data], np.float32), encoder.embed(TEXTS), atol=1e-5
    )
    assert found.usage.prompt_tokens == int(encoder.encode(TEXTS).ragged_tokens.lengths.sum())
    assert [each.index for each in found.data] == [0, 1, 2, 3]


def test_one_text_a_list_and_base64_are_the_same(server: RunningServer, encoder: hub.Encoder) -> None:
    wanted = encoder.embed(TEXTS)
    np.testing.assert_allclose(vectors(post(server, input=TEXTS)), wanted, atol=1e-5)
    np.testing.assert_allclose(vectors(post(server, input=TEXTS[1])), wanted[1:2], atol=1e-5)
    coded = post(server, input=TEXTS, encoding_format="base64").json()["data"]
    found = np.stack([np.frombuffer(base64.b64decode(each["embedding"]), "<f4") for each in coded])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_ids_with_and_without_special_tokens(server: RunningServer, encoder: hub.Encoder) -> None:
    rows = [encoder.tokenizer(text)["input_ids"] for text in TEXTS]
    wanted = encoder.embed(TEXTS)
    np.testing.assert_allclose(vectors(post(server, input=rows)), wanted, atol=1e-5)
    bare = [row[1:-1] for row in rows if len(row) > 2]
    np.testing.assert_allclose(vectors(post(server, input=bare)), wanted[[0, 1, 3]], atol=1e-5)
    np.testing.assert_allclose(vectors(post(server, input=bare[1])), wanted[1:2], atol=1e-5)
    answer = post(server, input=[[1, 2], [100_256, 1]])
    assert answer.status_code == 422
    assert "check_embedding_ctx_length=False" in answer.json()["error"]["message"]
    assert answer.json()["error"]["param"] == "input[1]"


def test_fewer_dimensions_are_the_first_ones_at_length_1(server: RunningServer, encoder: hub.Encoder) -> None:
    wanted = encoder.embed(TEXTS)[:, :7]
    found = vectors(post(server, input=TEXTS, dimensions=7))
    np.testing.assert_allclose(found, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-5)
    assert post(server, input=TEXTS, dimensions=encoder.config.hidden_size + 1).status_code == 422


def test_long_texts_are_refused_unless_truncation_is_asked_for(server: RunningServer, encoder: hub.Encoder) -> None:
    long = "word " * 1000
    answer = post(server, input=["short", long])
    assert answer.status_code == 422
    assert f"text 1 has 3,002 tokens, and the model takes at most {encoder.max_length}" in answer.text
    answer = post(server, input=["short", long], truncate_prompt_tokens=-1)
    with pytest.warns(hub.TruncationWarning):
        wanted = encoder.embed(["short", long])
    np.testing.assert_allclose(vectors(answer), wanted, atol=1e-5)
    assert answer.headers["x-truncated-texts"] == "1"
    answer = post(server, input=["short", long], truncate_prompt_tokens=10)
    assert answer.status_code == 422
    assert "truncate_prompt_tokens is 10, and only -1 is taken" in answer.text


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({}, 400, "input is missing; there is nothing"),
        ({"input": 3}, 400, "input must be a list of strings, and is 3"),
        ({"input": ["a", None]}, 400, r"input[1] must be a string, and is null"),
        ({"input": [["a"]]}, 400, "input[0] must be a list of the ids of tokens"),
        ({"input": [[1], []]}, 400, "input[1] must be a list of the ids of tokens"),
        ({"input": "a", "encoding_format": "int8"}, 400, "encoding_format must be one of float, base64, and is 'int8'"),
        ({"input": "a", "dimensions": 0}, 400, "dimensions must be a whole number from 1, and is 0"),
        ({"input": "a", "model": 7}, 400, "model must be a string, and is 7"),
    ],
)
def test_what_is_wrong_is_said(server: RunningServer, body: Any, status: int, message: str) -> None:
    answer = post(server, **body)
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, message)


def test_a_large_answer_comes_in_slices(server: RunningServer, encoder: hub.Encoder) -> None:
    texts = [f"text number {number}" for number in range(3000)]
    answer = post(server, input=texts)
    assert answer.headers.get("transfer-encoding") == "chunked"
    np.testing.assert_allclose(vectors(answer), encoder.embed(texts), atol=1e-5)
