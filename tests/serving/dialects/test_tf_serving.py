"""TensorFlow Serving's dialect, as its documentation writes requests, and the outputs against TensorFlow's own."""

import base64
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import berthub as hub
from berthub.errors import CheckpointError
from support.golden import batches
from support.heads import LABELS, with_head
from support.server import RunningServer

TEXTS = ["A text.", "Another, somewhat longer text with more words.", "", "A text."]
INPUTS = ("input_word_ids", "input_mask", "input_type_ids")


@pytest.fixture(scope="module")
def encoder(models: Path) -> hub.Encoder:
    return hub.load(models / "tf2_v4_mlm", threads=1)


@pytest.fixture(scope="module")
def heads(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, hub.Encoder]:
    folder = tmp_path_factory.mktemp("heads")
    tasks = ("classify", "multi_label", "regress", "tag")
    return {task: hub.load(with_head(models / "tf2_v4", folder / task, task), threads=1) for task in tasks}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server(encoder: hub.Encoder, heads: dict[str, hub.Encoder]) -> Iterator[RunningServer]:
    with RunningServer({"tiny": encoder, **heads}) as running:
        yield running


def post(server: RunningServer, verb: str = "tiny:predict", **body: Any) -> Any:
    return server.client.post(f"/v1/models/{verb}", content=json.dumps(body))


def found(answer: Any, key: str = "predictions") -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()[key]


def close(given: Any, wanted: Any) -> None:
    np.testing.assert_allclose(np.array(given, np.float32), wanted, atol=1e-5)


def test_many_sets_of_outputs_compile_few_graphs(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = hub.load(models / "tf2_v4", engine="numpy")
    run, computed = encoder._engine.run, set()

    def noted(batches: Any, outputs: Any) -> Any:
        computed.add(outputs)
        return run(batches, outputs)

    monkeypatch.setattr(encoder._engine, "run", noted)
    names = ["encoder_outputs_0", "sequence_output", "pooled_output", "embedding"]
    with RunningServer({"tiny": encoder}) as server:
        alone = {name: np.array(found(post(server, instances=TEXTS[:1], outputs=[name]))[0]) for name in names}
        for count in (2, 3, 4):
            for chosen in itertools.permutations(names, count):
                row = found(post(server, instances=TEXTS[:1], outputs=chosen))[0]
                assert list(row) == list(chosen)
                for name in chosen:
                    close(row[name], alone[name])
    # Of the 15 sets: 8, and one of all outputs.
    assert len(computed) <= 9


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_as_in_the_documentation(server: RunningServer, encoder: hub.Encoder) -> None:
    def curl(*words: str) -> Any:
        return json.loads(subprocess.run(["curl", "-sS", *words], check=True, capture_output=True, timeout=60).stdout)

    # It sends the content type of a form.
    answer = curl("-d", '{"instances": ["A text."]}', "-X", "POST", f"{server.url}/v1/models/tiny:predict")
    close([answer["predictions"][0]["pooled_output"]], encoder.encode(["A text."])["pooled_output"])
    assert curl(f"{server.url}/v1/models/tiny")["model_version_status"] == [
        {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]
    assert curl("-d", '{"instances": [1.0]}', f"{server.url}/v1/models/half:predict")["error"].startswith("there is no")


def test_arrays_are_those_of_tensorflow(server: RunningServer, models: Path) -> None:
    for batch in batches(models / "tf2_v4_mlm"):
        arrays = {name: batch[name].tolist() for name in (*INPUTS, "masked_lm_positions") if name in batch}
        columns = found(post(server, inputs=arrays), "outputs")
        assert sorted(columns) == ["default", "mlm_logits", "pooled_output", "sequence_output"]
        for name in ("pooled_output", "sequence_output", "mlm_logits"):
            np.testing.assert_allclose(np.array(columns[name], np.float32), batch[name], atol=1e-4, rtol=1e-4)
        rows = [{name: array[index] for name, array in arrays.items()} for index in range(len(arrays["input_mask"]))]
        for index, row in enumerate(found(post(server, instances=rows))):
            close(row["sequence_output"], np.array(columns["sequence_output"][index], np.float32))


def test_arrays_are_those_of_the_library(server: RunningServer, encoder: hub.Encoder) -> None:
    ids = [[101, 7, 8, 102, 0, 0], [101, 9, 102, 0, 0, 0]]
    wanted = encoder({"input_word_ids": np.array(ids)})
    close(found(post(server, instances=ids, outputs=["sequence_output"])), wanted["sequence_output"])
    close(found(post(server, inputs=ids, outputs="pooled_output"), "outputs"), wanted["pooled_output"])
    layers = found(post(server, inputs=ids, outputs=["encoder_outputs"]), "outputs")
    close(layers, np.stack(wanted["encoder_outputs"]))
    by_row = found(post(server, instances=ids, outputs=["encoder_outputs", "encoder_outputs_0"]))
    close([row["encoder_outputs"] for row in by_row], np.stack(wanted["encoder_outputs"], axis=1))
    close([row["encoder_outputs_0"] for row in by_row], wanted["encoder_outputs"][0])
    close(found(post(server, instances=[{"input_ids": row} for row in ids]))[1]["default"], wanted["default"][1])


def test_texts_are_those_of_the_library(server: RunningServer, encoder: hub.Encoder) -> None:
    wanted = encoder.encode(TEXTS)
    coded = [{"b64": base64.b64encode(text.encode()).decode()} for text in TEXTS]
    for instances in (TEXTS, coded, [{"text": text} for text in TEXTS], [[text] for text in TEXTS]):
        rows = found(post(server, instances=instances))
        assert sorted(rows[0]) == ["default", "pooled_output", "sequence_output"]
        close([row["pooled_output"] for row in rows], wanted["pooled_output"])
        close([row["sequence_output"] for row in rows], wanted["sequence_output"])
    close(found(post(server, inputs={"text": coded}, outputs=["embedding"]), "outputs"), encoder.embed(TEXTS))
    pairs = [["One text.", "and its pair"], ["Two", "texts"]]
    rows = found(post(server, instances=pairs, outputs=["pooled_output"]))
    close(rows, encoder.encode([tuple(pair) for pair in pairs])["pooled_output"])


def test_large_answers_come_in_slices(server: RunningServer, encoder: hub.Encoder) -> None:
    texts = [f"text number {number} of many" for number in range(700)]
    wanted = encoder.encode(texts)
    for form, key in (("instances", "predictions"), ("inputs", "outputs")):
        answer = post(server, **{form: texts})
        assert answer.headers.get("transfer-encoding") == "chunked"
        made = found(answer, key)
        close(made["sequence_output"] if key == "outputs" else [row["sequence_output"] for row in made],
              wanted["sequence_output"])  # fmt: skip


def test_heads(server: RunningServer, heads: dict[str, hub.Encoder]) -> None:
    texts = ["A text.", "Another one."]
    for task in ("classify", "multi_label"):
        wanted = heads[task].logits(texts).probabilities()
        close(found(post(server, f"{task}:predict", instances=texts)), wanted)
        ids = heads[task].tokenizer(texts, padding=True)["input_ids"]
        close(found(post(server, f"{task}:predict", inputs=ids), "outputs"), wanted)
        results = found(post(server, f"{task}:classify", examples=[{"text": text} for text in texts]), "results")
        assert [[label for label, _ in row] for row in results] == [list(LABELS[task])] * 2  # type: ignore[index]
        close([[score for _, score in row] for row in results], wanted)
    labels = found(post(server, "classify:predict", instances=texts, outputs=["labels"]))
    assert labels == heads["classify"].predict(texts)
    values = heads["regress"].predict(texts)
    assert isinstance(values, np.ndarray)
    close(found(post(server, "regress:predict", instances=texts)), values)
    examples: Any = {"context": {}, "signature_name": "tensorflow/serving/regress", "examples": [{"text": texts}]}
    examples["examples"] = [{"text": [text]} for text in texts]
    close(found(post(server, "regress:regress", **examples), "results"), values)
    for verb in ("regress:classify", "classify:regress", "tiny:classify", "tag:regress"):
        assert post(server, verb, examples=[{"text": "a"}]).status_code in (400, 422)
    assert "POST /predict gives these" in post(server, "tag:predict", instances=texts, outputs=["logits"]).text


def test_status_and_metadata(server: RunningServer) -> None:
    get = server.client.get
    about = get("/v1/models/tiny").json()
    assert (about["id"], about["object"]) == ("tiny", "model")
    assert get("/v1/models/tiny/versions/1").json() == {"model_version_status": about["model_version_status"]}
    assert get("/v1/models/tiny/versions/2").status_code == 404
    assert post(server, "tiny/versions/2:predict", instances=["a"]).status_code == 404
    assert post(server, "tiny/versions/1:predict", instances=["a"]).status_code == 200
    for path in ("/v1/models/tiny/metadata", "/v1/models/tiny/versions/1/metadata"):
        made = get(path).json()
        assert made["model_spec"] == {"name": "tiny", "signature_name": "", "version": "1"}
        signature = made["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert sorted(signature["inputs"]) == sorted(INPUTS)
        assert signature["inputs"]["input_mask"]["dtype"] == "DT_INT32"
        assert [each["size"] for each in signature["outputs"]["pooled_output"]["tensor_shape"]["dim"]] == ["-1", "32"]


def test_states(encoder: hub.Encoder) -> None:
    import threading

    may_load = threading.Event()
    fails = False

    def load() -> hub.Encoder:
        assert may_load.wait(60)
        if fails:
            raise CheckpointError("the file is damaged")
        return encoder

    def states() -> list[tuple[str, str]]:
        found = server.client.get("/v1/models/slow").json()["model_version_status"]
        return [(each["version"], each["state"]) for each in found]

    with RunningServer({"slow": load}, wait=False, model_control=True) as server:
        assert states() == [("1", "LOADING")]
        assert server.client.get("/v1/models/slow/metadata").status_code == 503
        assert post(server, "slow:predict", instances=["a"]).headers["retry-after"]
        may_load.set()
        assert server.client.post("/v2/repository/models/slow/load").status_code == 200
        loaded = states()[0]
        assert loaded[1] == "AVAILABLE"
        fails = True
        answer = server.client.post("/v2/repository/models/slow/load")
        assert (answer.status_code, answer.json()["error"]) == (
            422,
            "the model 'slow' could not be loaded: the file is damaged",
        )
        # The old one serves on.
        assert states() == [loaded]
        assert post(server, "slow:predict", instances=["a"]).status_code == 200
        assert server.client.post("/v2/repository/models/slow/unload").status_code == 200
        assert states() == [(loaded[0], "END")]
        assert post(server, "slow:predict", instances=["a"]).status_code == 503


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "the body must have one of instances and inputs, and has none"),
        ({"instances": ["a"], "inputs": ["a"]}, "the body must have one of instances and inputs, and has both"),
        ({"instances": []}, "instances must be a list that is not empty, and is a list of 0"),
        ({"instances": "a"}, "instances must be a list that is not empty, and is 'a'"),
        ({"inputs": {"text": "a"}}, "inputs.text must be a list that is not empty, and is 'a'"),
        ({"instances": ["a", 1]}, 'instances[1] must be a string or {"b64": "..."}, and is 1'),
        ({"instances": [{"b64": "/w=="}]}, "instances[0].b64 is no UTF-8"),
        ({"instances": [{"b64": "?"}]}, "instances[0].b64 is no base64"),
        ({"instances": [[1, 2], [3]]}, "instances[1] has 1 numbers, and instances[0] has 2: rows must be padded"),
        ({"instances": [[1, 2.0]]}, "instances[0][1] must be a whole number, and is 2.0"),
        ({"instances": [[1, True]]}, "instances[0][1] must be a whole number, and is True"),
        ({"instances": [[[1]]]}, "instances[0][0] must be a whole number, and is a list of 1"),
        ({"instances": [[2**63]]}, "instances[0] has a number that 64 bits cannot hold"),
        ({"instances": [1, 2]}, "instances[0] must be a list of whole numbers, and is 1"),
        ({"instances": [{"text": "a"}, "b"]}, "instances[1] must be an object with the inputs of instances[0] ("),
        ({"instances": [{"text": "a"}, {}]}, "instances[1] must be an object with the inputs of instances[0] ("),
        ({"instances": [{"text": "a", "input_mask": [1]}]}, "instances must name text alone, or input_word_ids"),
        ({"inputs": {"x" * 10**6: [[1]]}}, "inputs names an input 'xxx"),
        ({"instances": [{"x" * 10**6: [1]}]}, "instances names an input 'xxx"),
        ({"instances": [{}]}, "instances must name text alone, or input_word_ids"),
        ({"inputs": {"input_word_ids": [[1], [2, 3]]}}, "inputs.input_word_ids[1] has 2 numbers"),
        ({"instances": ["a"], "signature_name": "x"}, "signature_name is 'x'; there are serving_default, tokens"),
        ({"instances": ["a"], "outputs": ["x"]}, "outputs[0] is 'x', which this model does not have; it has pooled"),
        ({"instances": ["a"], "outputs": []}, "outputs must be a list of names of outputs, and is a list of 0"),
        ({"instances": ["a"], "outputs": ["mlm_logits"]}, "mlm_logits are computed at the masked_lm_positions"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(server: RunningServer, body: Any, message: str) -> None:
    answer = post(server, **body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(message)
    assert len(answer.text) < 1000


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"input_word_ids": [[1, 2]], "input_mask": [[1]]}, "the mask have the shape (1, 1) and the ids (1, 2)"),
        ({"input_word_ids": [[1, 99999]]}, "the ids must be from 0 to"),
        ({"input_word_ids": [[]]}, "the ids have the shape (1, 0)"),
        ({"input_mask": [[1]]}, "the inputs hold no ids, only input_mask"),
        ({"words": [[1]]}, "the input 'words' is not known"),
    ],
)
def test_arrays_that_a_model_does_not_take(server: RunningServer, inputs: Any, message: str) -> None:
    answer = post(server, inputs=inputs)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(message)


def test_nan_and_infinity_are_no_json(server: RunningServer) -> None:
    for token in ("NaN", "Infinity", "-Infinity"):
        answer = server.client.post("/v1/models/tiny:predict", content=f'{{"instances": [[{token}]]}}')
        assert (answer.status_code, "no JSON" in answer.json()["error"]) == (400, True)


def test_long_texts_are_refused_unless_the_operator_truncates(server: RunningServer) -> None:
    answer = post(server, instances=["word " * 1000])
    assert answer.status_code == 422
    assert "text 0 has 3,002 tokens" in answer.json()["error"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**65) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["b64", "text", *INPUTS, "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(form=st.sampled_from(["instances", "inputs", "examples"]), value=_JSON, outputs=st.none() | _JSON)
def test_any_json_is_answered_or_refused(server: RunningServer, form: str, value: Any, outputs: Any) -> None:
    verb = "classify:classify" if form == "examples" else "tiny:predict"
    body = {form: value} | ({} if outputs is None else {"outputs": outputs})
    answer = post(server, verb, **body)
    assert answer.status_code in (200, 400, 413, 422), answer.text
    assert answer.status_code == 200 or isinstance(answer.json()["error"], str)
