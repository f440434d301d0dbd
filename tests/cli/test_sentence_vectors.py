"""The vectors that `berthub encode` writes when nothing is asked for: those that the model's own files define."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import berthub as hub
from support.sentence_transformers import add, make, modules, pooling

TEXTS = ["The quick brown fox.", "Unbelievable!", "the fox was not quick " * 5]
SOURCES = "(1_Pooling/config.json, modules.json)"


@pytest.fixture
def model(models: Path, tmp_path: Path) -> Path:
    return make(
        models, tmp_path / "own", pooling("cls_token"), normalize=True, sentence_bert_config={"max_seq_length": 20}
    )


@pytest.mark.parametrize("command", [[], ["--output", "embedding"]])
def test_they_are_the_models_own(cli: Any, model: Path, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "".join(f"{text}\n" for text in TEXTS))
    result = cli("encode", "a.csv", "-o", "out.parquet", "-m", model, *command)
    assert result.exit_code == 0, result.output
    assert f"vectors: embedding: the vector of the first token, scaled to length 1 {SOURCES}\n" in result.stderr
    assert result.stderr.rstrip().endswith("1 text truncated to 20 tokens")
    table = pq.read_table("out.parquet")
    assert table.schema.names == ["text", "embedding"]
    with pytest.warns(UserWarning, match="more than 20 tokens"):
        expected = hub.load(model, precision="float32").embed(TEXTS)
    np.testing.assert_allclose(np.array(table.column("embedding").to_pylist(), np.float32), expected, atol=1e-6)
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    told = {name: metadata[f"berthub.{name}"] for name in ("output", "pooling", "normalize", "max_length")}
    assert told == {"output": "embedding", "pooling": "cls", "normalize": "true", "max_length": "20"}


@pytest.mark.parametrize(
    ("options", "column", "pooling", "normalize"),
    [
        (["--no-normalize"], "embedding", "cls", False),
        (["--output", "mean"], "mean", "mean", False),
        (["--output", "mean", "--normalize"], "mean", "mean", True),
        (["--max-length", "64"], "embedding", "cls", True),
    ],
)
def test_options_stand_above_it(
    cli: Any, model: Path, options: list[str], column: str, pooling: Any, normalize: bool
) -> None:
    result = cli("encode", *TEXTS[:2], "--to", "jsonl", "-m", model, *options)
    assert result.exit_code == 0, result.output
    assert ("scaled to length 1" in result.stderr) == normalize
    expected = hub.load(model, precision="float32").embed(TEXTS[:2], pooling=pooling, normalize=normalize)
    found = [json.loads(line)[column] for line in result.stdout.splitlines()]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_windows_may_be_as_long_as_the_positions(cli: Any, model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXTS[-1])
    assert cli("encode", "a.txt", "-o", "out.npy", "-m", model, "--window", "40", "--stride", "8").exit_code == 0
    expected = hub.load(model, precision="float32").embed(TEXTS[-1], window=40, stride=8)
    np.testing.assert_allclose(np.load("out.npy"), expected, atol=1e-6)


def test_what_is_not_computed_is_refused_and_nothing_is_written(cli: Any, model: Path, tmp_path: Path) -> None:
    add(model, "modules.json", modules(("Transformer", ""), ("Pooling", "1_Pooling"), ("LSTM", "2_LSTM")))
    (tmp_path / "a.txt").write_text("The fox.\n")
    result = cli("encode", "a.txt", "-o", "out.npy", "-m", model)
    assert result.exit_code == 4
    assert "models.LSTM in 2_LSTM" in result.stderr
    assert "--output mean" in result.stderr
    assert not list(tmp_path.glob("*out*"))
    assert cli("encode", "a.txt", "-o", "out.npy", "-m", model, "--output", "mean").exit_code == 0
    assert cli("encode", "a.txt", "-o", "out.jsonl", "-m", model, "--output", "sequence_output").exit_code == 0


def test_the_table_says_which_they_are(cli: Any, model: Path) -> None:
    shown = " ".join(cli("encode", "The fox.", "-m", model).stdout.split())
    assert f"embedding: the vector of the first token, scaled to length 1 {SOURCES}, layer 1 of 0 to 1" in shown


class TestInspect:
    def test_json(self, cli: Any, model: Path) -> None:
        told = json.loads(cli("inspect", model, "--json").stdout)["embedding"]
        assert told == {
            "poolings": {"value": ["cls"], "from": "1_Pooling/config.json"},
            "layers": {"value": [], "from": "modules.json"},
            "normalize": {"value": True, "from": "modules.json"},
            "max_length": {"value": 20, "from": "sentence_bert_config.json"},
            "prompts": {"value": {}, "from": None},
            "default_prompt": {"value": None, "from": None},
            "include_prompt": {"value": True, "from": "1_Pooling/config.json"},
            "similarity": {"value": None, "from": None},
            "unsupported": [],
            "in_words": f"the vector of the first token, scaled to length 1 {SOURCES}",
        }

    def test_for_people(self, cli: Any, model: Path) -> None:
        told = " ".join(cli("inspect", model).stdout.split())
        assert "longest text 20 tokens (sentence_bert_config.json), of 64 positions" in told
        assert f"sentence vector the vector of the first token, scaled to length 1 {SOURCES}" in told

    def test_what_is_not_computed(self, cli: Any, model: Path) -> None:
        add(model, "1_Pooling/config.json", {"pooling_mode": "softmax"})
        report = json.loads(cli("inspect", model, "--json").stdout)["embedding"]
        assert report["unsupported"] == ["the pooling softmax (1_Pooling/config.json)"]
        told = " ".join(cli("inspect", model).stdout.split())
        assert "made with the pooling softmax (1_Pooling/config.json), which berthub does not compute" in told

    def test_a_model_that_says_nothing(self, cli: Any, models: Path) -> None:
        report = json.loads(cli("inspect", models / "tf2_v4", "--json").stdout)["embedding"]
        assert report["poolings"] == {"value": [], "from": None}
        told = " ".join(cli("inspect", models / "tf2_v4").stdout.split())
        assert "longest text 64 tokens sentence vector the mean of the token vectors (no file of the model says" in told


def test_prompts(cli: Any, model: Path, tmp_path: Path) -> None:
    add(model, "config_sentence_transformers.json", {"prompts": {"query": "was it "}, "default_prompt_name": "query"})
    (tmp_path / "a.txt").write_text("The fox.\n")
    vectors = {}
    for name, options in {"own": (), "given": ("--prompt", "a dog "), "none": ("--prompt", "")}.items():
        result = cli("encode", "a.txt", "-o", f"{name}.npy", "-m", model, *options)
        assert result.exit_code == 0, result.output
        vectors[name] = np.load(f"{name}.npy")
        assert ("of texts that begin with 'was it '" in " ".join(result.stderr.split())) == (name == "own")
    bert = hub.load(model, precision="float32")
    np.testing.assert_allclose(vectors["own"], bert.embed(["was it The fox."], prompt=""), atol=1e-6)
    np.testing.assert_allclose(vectors["given"], bert.embed(["a dog The fox."], prompt=""), atol=1e-6)
    np.testing.assert_allclose(vectors["none"], bert.embed(["The fox."], prompt=""), atol=1e-6)
    result = cli("encode", "a.txt", "-o", "other.npy", "-m", model, "--prompt-name", "passage")
    assert result.exit_code == 2
    assert "no prompt called 'passage'; there are: query" in " ".join(result.stderr.split())
