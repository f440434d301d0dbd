"""KServe's dialect, by Triton's own client, and the outputs against those of the library."""

import concurrent.futures
import json
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import berthub as hub
from support.golden import batches
from support.heads import with_head
from support.needs import needs
from support.server import RunningServer

TEXTS = ["A text.", "Another, somewhat longer text with more words.", "", "Ein Text, groß."]
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
HEADER = "inference-header-content-length"


@pytest.fixture(scope="module")
def encoder(models: Path) -> hub.Encoder:
    return hub.load(models / "tf2_v4_mlm", threads=1)


@pytest.fixture(scope="module")
def classifier(models: Path, tmp_path_factory: pytest.TempPathFactory) -> hub.Encoder:
    return hub.load(with_head(models / "tf2_v4", tmp_path_factory.mktemp("head") / "model", "classify"), threads=1)


@pytest.fixture(scope="module")
def server(encoder: hub.Encoder, classifier: hub.Encoder) -> Iterator[RunningServer]:
    with RunningServer({"tiny": encoder, "classify": classifier}) as running:
        yield running


def text_input(texts: list[str], **more: Any) -> dict[str, Any]:
    return {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts, **more}


def infer(server: RunningServer, body: Any, raw: bytes = b"", *, header: str | None = None, model: str = "tiny") -> Any:
    # orjson has no integers of more than 64 bits.
    document = json.dumps(body).encode()
    headers = {HEADER: header or str(len(document))} if raw or header else {}
    return server.client.post(f"/v2/models/{model}/infer", content=document + raw, headers=headers)


def array(answer: Any, name: str) -> Any:
    assert answer.status_code == 200, answer.text
    output = next(each for each in answer.json()["outputs"] if each["name"] == name)
    return np.array(output["data"], np.float32).reshape(output["shape"])


@pytest.fixture
def client(server: RunningServer) -> Iterator[Any]:
    http = pytest.importorskip("tritonclient.http")
    with http.InferenceServerClient(f"127.0.0.1:{server.port}") as made:
        yield made


@needs("tritonclient", "geventhttpclient")
class TestItsOwnClient:
    """What Triton's client does."""

    def test_metadata(self, client: Any) -> None:
        assert client.is_server_live()
        assert client.is_server_ready()
        asked = [("tiny", ""), ("tiny", "1"), ("tiny", "2"), ("other", "")]
        assert [client.is_model_ready(*each) for each in asked] == [True, True, False, False]
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        about = client.get_model_metadata("tiny")
        assert about["versions"] == ["1"]
        assert {"name": "pooled_output", "datatype": "FP32", "shape": [-1, 32]} in about["outputs"]
        assert {"name": "text", "datatype": "BYTES", "shape": [-1]} in about["inputs"]
        assert [(each["name"], each["state"]) for each in client.get_model_repository_index()] == [
            ("tiny", "READY"),
            ("classify", "READY"),
        ]

    @pytest.mark.parametrize("binary", [True, False])
    def test_texts(self, client: Any, encoder: hub.Encoder, binary: bool) -> None:
        import tritonclient.http as http

        given = http.InferInput("text", [4, 1], "BYTES")
        given.set_data_from_numpy(np.array([[text.encode()] for text in TEXTS], np.object_), binary_data=binary)
        wanted = encoder.encode(TEXTS)
        result = client.infer("tiny", [given], request_id="42", priority=1, timeout=60_000_000)
        assert result.get_response()["id"] == "42"
        for name in ("pooled_output", "sequence_output"):
            np.testing.assert_allclose(result.as_numpy(name), wanted[name], atol=1e-5)
        names = ["embedding", "encoder_outputs_0"]
        result = client.infer(
            "tiny", [given], outputs=[http.InferRequestedOutput(n, binary_data=binary) for n in names]
        )
        np.testing.assert_allclose(result.as_numpy("embedding"), encoder.embed(TEXTS), atol=1e-5)
        layers = encoder.encode(TEXTS, layers="all")["encoder_outputs"]
        np.testing.assert_allclose(result.as_numpy("encoder_outputs_0"), layers[0], atol=1e-5)

    @pytest.mark.parametrize(("datatype", "kind"), [("INT32", np.int32), ("INT64", np.int64)])
    def test_ids(self, client: Any, models: Path, datatype: str, kind: Any) -> None:
        import tritonclient.http as http

        for number, batch in enumerate(batches(models / "tf2_v4_mlm")):
            inputs = []
            for name in (*INPUTS, "masked_lm_positions"):
                if name in batch:
                    inputs.append(http.InferInput(name, batch[name].shape, datatype))
                    inputs[-1].set_data_from_numpy(batch[name].astype(kind), binary_data=number % 2 == 0)
            result = client.infer("tiny", inputs)
            for name in ("pooled_output", "sequence_output", "mlm_logits"):
                np.testing.assert_allclose(result.as_numpy(name), batch[name], atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("binary", [True, False])
    def test_a_head(self, client: Any, classifier: hub.Encoder, binary: bool) -> None:
        import tritonclient.http as http

        texts = ["A text.", "Another one."]
        given = http.InferInput("text", [2], "BYTES")
        given.set_data_from_numpy(np.array([text.encode() for text in texts], np.object_), binary_data=binary)
        names = ["labels", "probabilities", "logits"]
        result = client.infer(
            "classify", [given], outputs=[http.InferRequestedOutput(n, binary_data=binary) for n in names]
        )
        labels = [each.decode() if isinstance(each, bytes) else each for each in result.as_numpy("labels").tolist()]
        assert labels == classifier.predict(texts)
        wanted = classifier.logits(texts)
        np.testing.assert_allclose(result.as_numpy("logits"), wanted.values, atol=1e-5)
        np.testing.assert_allclose(result.as_numpy("probabilities"), wanted.probabilities(), atol=1e-5)
        np.testing.assert_allclose(
            client.infer("classify", [given]).as_numpy("probabilities"), wanted.probabilities(), atol=1e-5
        )

    def test_errors(self, client: Any) -> None:
        import tritonclient.http as http
        from tritonclient.utils import InferenceServerException

        given = http.InferInput("text", [1], "BYTES")
        given.set_data_from_numpy(np.array([b"a"], np.object_))
        with pytest.raises(InferenceServerException, match="there is no model 'other'"):
            client.infer("other", [given])
        with pytest.raises(InferenceServerException, match="has no version '7'"):
            client.infer("tiny", [given], "7")
        for act in (client.load_model, client.unload_model):
            with pytest.raises(InferenceServerException, match="--model-control"):
                act("tiny")


def test_nested_flat_and_binary_are_the_same(server: RunningServer, encoder: hub.Encoder) -> None:
    ids = np.array([[101, 7, 8, 102, 0, 0], [101, 9, 102, 0, 0, 0]], "<i8")
    wanted = encoder({"input_word_ids": ids})["sequence_output"]
    one = {"name": "input_word_ids", "shape": [2, 6], "datatype": "INT64"}
    for data in (ids.tolist(), ids.ravel().tolist()):
        answer = infer(server, {"inputs": [{**one, "data": data}]})
        np.testing.assert_allclose(array(answer, "sequence_output"), wanted, atol=1e-5)
    raw = {**one, "parameters": {"binary_data_size": 96}}
    outputs = [{"name": "sequence_output", "parameters": {"binary_data": True}}, {"name": "pooled_output"}]
    answer = infer(server, {"inputs": [raw], "outputs": outputs}, ids.tobytes())
    length = int(answer.headers[HEADER])
    first, second = orjson.loads(answer.content[:length])["outputs"]
    assert first["parameters"] == {"binary_data_size": len(answer.content) - length}
    assert answer.headers["content-type"] == "application/octet-stream"
    np.testing.assert_allclose(np.frombuffer(answer.content[length:], "<f4").reshape(first["shape"]), wanted, atol=1e-5)
    np.testing.assert_allclose(
        np.array(second["data"]).reshape(2, -1), encoder({"input_word_ids": ids})["pooled_output"], atol=1e-5
    )


def test_pairs(server: RunningServer, encoder: hub.Encoder) -> None:
    body = {"inputs": [{**text_input(["One text.", "and its pair", "Two", "texts"]), "shape": [2, 2]}]}
    wanted = encoder.encode([("One text.", "and its pair"), ("Two", "texts")])["pooled_output"]
    np.testing.assert_allclose(array(infer(server, body), "pooled_output"), wanted, atol=1e-5)


@pytest.mark.parametrize("binary", [True, False])
def test_a_large_answer(server: RunningServer, encoder: hub.Encoder, binary: bool) -> None:
    texts = [f"text number {number} of many" for number in range(700)]
    wanted = encoder.encode(texts)["sequence_output"]
    answer = infer(server, {"inputs": [text_input(texts)], "parameters": {"binary_data_output": binary}})
    if binary:
        length = int(answer.headers[HEADER])
        sizes = [each["parameters"]["binary_data_size"] for each in orjson.loads(answer.content[:length])["outputs"]]
        assert int(answer.headers["content-length"]) == length + sum(sizes)
        found = np.frombuffer(answer.content[length + sizes[0] :], "<f4").reshape(wanted.shape)
    else:
        assert answer.headers.get("transfer-encoding") == "chunked"
        found = array(answer, "sequence_output")
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def _ids(**changes: Any) -> dict[str, Any]:
    return {"name": "input_word_ids", "shape": [1, 2], "datatype": "INT32", "data": [1, 2], **changes}


def _binary(size: Any, **changes: Any) -> dict[str, Any]:
    made = {**_ids(**changes), "parameters": {"binary_data_size": size}}
    made.pop("data")
    return made


@pytest.mark.parametrize(
    ("tensor", "raw", "header", "message"),
    [
        (_ids(shape=[2**62, 2**62]), b"", None, "inputs[0].shape says 4,611,686,018,427,387,904 rows, and at most"),
        (_ids(shape=[1, 2**62]), b"", None, "inputs[0].data has 2 values, and the shape [1, 4611686018427387904]"),
        (_ids(shape=[8192, 2**40], data=[]), b"", None, "inputs[0].data has 0 values, and the shape"),
        (_ids(shape=[-1, 2]), b"", None, "inputs[0].shape must be a list of one or two sizes, and is [-1, 2]"),
        (_ids(shape=[1] * 1000), b"", None, "inputs[0].shape must be a list of one or two sizes"),
        (_ids(shape=2), b"", None, "inputs[0].shape must be a list of one or two sizes, and is 2"),
        (_ids(shape=[0, 2], data=[]), b"", None, "inputs[0].shape says that there are no rows"),
        (_ids(datatype="FP32"), b"", None, "inputs[0].datatype must be INT32 or INT64, and is 'FP32'"),
        (_ids(datatype=["INT32"]), b"", None, "inputs[0].datatype must be INT32 or INT64, and is a list of 1"),
        (_ids(data=[1, "2"]), b"", None, "inputs[0].data[1] must be a whole number, and is '2'"),
        (_ids(data=[[1], [2]]), b"", None, "inputs[0].data has 2 rows, and the shape says [1, 2]"),
        (_ids(data=[[1, 2, 3]]), b"", None, "inputs[0].data[0] must be a list of 2, and is a list of 3"),
        (_ids(data=[2**63, 1]), b"", None, "inputs[0].data has a number that 64 bits cannot hold"),
        (_ids(data="12"), b"", None, "inputs[0].data must be a list, and is '12'"),
        (_ids(name="x" * 10**6), b"", None, "inputs[0].name names an input 'xxx"),
        (_ids(name=7), b"", None, "inputs[0].name must be a string, and is 7"),
        (_binary(9), bytes(9), None, "inputs[0].parameters.binary_data_size is 9, and [1, 2] of INT32 have 8 bytes"),
        (_binary(8), bytes(7), None, "inputs[0].parameters.binary_data_size is 8, and 7 bytes are left of the body"),
        (_binary(8), bytes(9), None, "1 bytes of the body are behind the last input"),
        (_binary(2**70), bytes(8), None, "inputs[0].parameters.binary_data_size"),
        (_binary(-8), bytes(8), None, "inputs[0].parameters.binary_data_size must be a whole number from 0, and is -8"),
        (_binary(2**63, shape=[1, 2**61]), b"x", None, "inputs[0].parameters.binary_data_size is 9,223,372,036,854"),
        (_binary(8), b"", "99999", "the header inference-header-content-length must be the length of the JSON"),
        (_binary(8), b"", "-1", "the header inference-header-content-length must be the length of the JSON"),
        (_binary(8), b"", "0", "the header inference-header-content-length must be the length of the JSON"),
        (_binary(8), b"", "9" * 30, "the header inference-header-content-length must be the length of the JSON"),
        (_binary(8), b"", "5", "the body is no JSON"),
        ({**_ids(), "name": "text"}, b"", None, "inputs[0].datatype must be BYTES, and is 'INT32'"),
        (text_input(["a", "b", "c"], shape=[1, 3]), b"", None, "inputs[0].shape must be [n] or [n, 1] for texts"),
        (text_input(["a"], data=[1]), b"", None, "inputs[0].data[0] must be a string, and is 1"),
        (_ids(parameters={"shared_memory_region": "x"}), b"", None, "inputs[0].parameters names shared memory"),
        (_ids(parameters=[]), b"", None, None),
        (7, b"", None, "inputs[0] must be a JSON object, and is 7"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    server: RunningServer, tensor: Any, raw: bytes, header: str | None, message: str | None
) -> None:
    answer = infer(server, {"inputs": [tensor]}, raw, header=header)
    if message is None:
        assert answer.status_code == 200
        return
    assert answer.status_code == (413 if "says 4,611" in message else 400)
    assert answer.json()["error"].startswith(message)
    assert len(answer.text) < 1000


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            struct.pack("<I", 2**32 - 1),
            "string 0 of inputs[0].data has 4,294,967,295 bytes by its length, and 0 are left",
        ),
        (b"\x01\0\0", "string 0 of inputs[0].data has 1 bytes by its length, and 0 are left"),
        (struct.pack("<I", 1) + b"\xff", "string 0 of inputs[0].data is no UTF-8"),
        (struct.pack("<I", 1) + b"a", "inputs[0].data holds 1 strings, and the shape says 2"),
        (bytes(12), "inputs[0].data holds 2 strings and 4 bytes more, and the shape says 2"),
        (b"", "inputs[0].data holds 0 strings, and the shape says 2"),
    ],
)
def test_strings_whose_lengths_lie(server: RunningServer, raw: bytes, message: str) -> None:
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
    body = {"inputs": [tensor]}
    answer = infer(server, body, raw, header=str(len(json.dumps(body))))
    assert (answer.status_code, answer.json()["error"][: len(message)]) == (400, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "inputs is missing"),
        ({"inputs": []}, "inputs must be a list of 1 to 16 tensors, and is a list of 0"),
        ({"inputs": [text_input(["a"]), _ids()]}, "inputs has text and input_word_ids"),
        ({"inputs": [_ids(), _ids()]}, "inputs[1].name is 'input_word_ids' a second time"),
        ({"inputs": [_ids()], "outputs": [{"name": "x"}]}, "outputs[0].name is 'x', which this model does not have"),
        ({"inputs": [_ids()], "outputs": [{"name": "encoder_outputs"}]}, "outputs[0].name: 'encoder_outputs' is one"),
        ({"inputs": [_ids()], "outputs": [{"name": "default"}] * 2}, "outputs[1].name: 'default' is asked for twice"),
        ({"inputs": [_ids()], "outputs": {}}, None),
        ({"inputs": [_ids()], "outputs": [{"name": "default", "parameters": {"classification": 1}}]}, "outputs[0].par"),
        ({"inputs": [_ids()], "parameters": {"priority": -1}}, "parameters.priority must be a whole number from 0"),
        ({"inputs": [_ids()], "parameters": {"timeout": "1"}}, "parameters.timeout must be a whole number from 0"),
        ({"inputs": [_ids()], "parameters": {"sequence_id": 1}}, "parameters.sequence_id is given"),
        ({"inputs": [_ids()], "id": 1}, "id must be a string, and is 1"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(server: RunningServer, body: Any, message: str | None) -> None:
    answer = infer(server, body)
    assert answer.status_code == (200 if message is None else 400)
    assert message is None or answer.json()["error"].startswith(message)


def test_a_time_that_is_over(server: RunningServer) -> None:
    texts = [f"text number {number} of very many" for number in range(8000)]
    answer = infer(server, {"inputs": [text_input(texts)], "parameters": {"timeout": 1}})
    assert answer.status_code == 504


_TENSOR = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["text", *INPUTS, "x"]) | st.none(),
        "shape": st.lists(st.integers(-1, 3) | st.integers(0, 2**64), max_size=3),
        "datatype": st.sampled_from(["BYTES", "INT32", "INT64", "FP32", None]),
    },
    optional={
        "data": st.lists(
            st.integers(-1, 3) | st.text(max_size=2) | st.lists(st.integers(0, 3), max_size=2), max_size=4
        ),
        "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 20) | st.integers()}),
    },
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tensors=st.lists(_TENSOR, max_size=3),
    raw=st.binary(max_size=24),
    header=st.none() | st.text("0123456789", max_size=4),
)
def test_any_request_is_answered_or_refused(
    server: RunningServer, tensors: list[Any], raw: bytes, header: str | None
) -> None:
    answer = infer(server, {"inputs": tensors}, raw, header=header)
    assert answer.status_code in (200, 400, 413, 422), answer.text
    assert answer.status_code == 200 or isinstance(answer.json()["error"], str)


def test_models_are_loaded_anew_under_load(models: Path, encoder: hub.Encoder) -> None:
    loads = 20
    wanted = encoder.encode(TEXTS)["pooled_output"]
    stop = threading.Event()

    def ask(server: RunningServer) -> list[str]:
        versions = []
        while not stop.is_set():
            answer = infer(server, {"inputs": [text_input(TEXTS)]})
            np.testing.assert_allclose(array(answer, "pooled_output"), wanted, atol=1e-5)
            versions.append(answer.json()["model_version"])
        return versions

    with (
        RunningServer({"tiny": lambda: hub.load(models / "tf2_v4_mlm", engine="numpy")}, model_control=True) as server,
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        asking = [pool.submit(ask, server) for _ in range(4)]
        try:
            for number in range(loads):
                assert server.client.post("/v2/repository/models/tiny/load", json={}).status_code == 200
                state = server.client.post("/v2/repository/index", json={"ready": True}).json()
                assert state == [{"name": "tiny", "version": str(number + 2), "state": "READY", "reason": ""}]
        finally:
            stop.set()
        found = {version for each in asking for version in each.result()}
    assert found <= {str(number + 1) for number in range(loads + 1)}
    assert len(found) > 1


def test_what_is_loaded_is_for_the_operator_to_say(encoder: hub.Encoder) -> None:
    with RunningServer({"tiny": encoder}, model_control=True) as server:
        url = "/v2/repository/models"
        for parameters in ({"config": "{}"}, {"file:1/model": "AA=="}):
            answer = server.client.post(f"{url}/tiny/load", json={"parameters": parameters})
            assert (answer.status_code, "a load takes none" in answer.json()["error"]) == (400, True)
        assert server.client.post(f"{url}/other/load").status_code == 404
        assert (
            server.client.post(f"{url}/tiny/unload", json={"parameters": {"unload_dependents": False}}).status_code
            == 200
        )
        assert infer(server, {"inputs": [text_input(["a"])]}).status_code == 503
        assert server.client.get("/v2/models/tiny/ready").status_code == 503
        assert server.client.post("/v2/repository/index").json()[0]["state"] == "UNAVAILABLE"
        assert server.client.post("/v2/repository/index", json={"ready": True}).json() == []
        assert server.client.post(f"{url}/tiny/load").status_code == 200
        assert infer(server, {"inputs": [text_input(["a"])]}).status_code == 200
