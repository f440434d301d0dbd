import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.checkpoint import Checkpoint
from berthub.containers.tensorbundle import TensorBundle
from berthub.errors import InputError, UnsupportedModelError
from berthub.formats import read
from berthub.formats.tensorflow.google_writer import write_google
from berthub.vocabulary import Vocabulary
from support.exports import random_head
from support.tiny import tiny_checkpoint

_MODELS: list[tuple[str, dict[str, Any]]] = [
    ("bert", {"embedding_size": None}),
    ("bert", {"embedding_size": None, "pooler": False, "mlm": False, "activation": "relu", "hidden_dropout": 0.2}),
    ("bert", {"embedding_size": 12, "pooler": False}),
    ("albert", {"num_groups": 2, "inner_layers": 2}),
    ("albert", {"embedding_size": 24, "num_groups": 1, "inner_layers": 1}),
    ("mobilebert", {}),
    ("mobilebert", {"normalization": "layer_norm", "num_feedforward": 4, "shared_bottleneck": False, "pooler": True}),
    ("mobilebert", {"bottleneck_attention": True, "num_feedforward": 1}),
]


@pytest.mark.parametrize(("architecture", "settings"), _MODELS)
def test_berthub_reads_it_back(tmp_path: Path, architecture: str, settings: dict[str, Any]) -> None:
    checkpoint = tiny_checkpoint(architecture, **settings, lower_case=False)
    write_google(checkpoint, tmp_path / "out")
    again = read(tmp_path / "out")
    expected = checkpoint.config.to_dict()
    if expected.get("embedding_size") == expected["hidden_size"] and architecture == "bert":
        expected["embedding_size"] = None
    assert again.config.to_dict() == expected
    assert again.vocabulary == checkpoint.vocabulary
    assert again.weights.keys() == checkpoint.weights.keys()
    for name, weight in checkpoint.weights.items():
        np.testing.assert_array_equal(again.weights[name], weight)


def test_tensorflow_reads_it(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    checkpoint = tiny_checkpoint("bert", embedding_size=None)
    write_google(checkpoint, tmp_path / "out")
    reader = tf.train.load_checkpoint(str(tmp_path / "out" / "bert_model.ckpt"))
    assert reader.get_variable_to_shape_map() == {name: list(w.shape) for name, w in checkpoint.weights.items()}
    for name, weight in checkpoint.weights.items():
        np.testing.assert_array_equal(reader.get_tensor(name), weight)


def _keys(checkpoint: Checkpoint, folder: Path) -> set[str]:
    write_google(checkpoint, folder)
    return {*TensorBundle(folder / "bert_model.ckpt").keys}


def test_the_names_are_those_of_the_releases(tmp_path: Path) -> None:
    electra = _keys(tiny_checkpoint("bert", pooler=False, mlm=False), tmp_path / "electra")
    assert all(name.startswith("electra/") for name in electra)
    assert {"electra/embeddings_project/kernel", "electra/encoder/layer_0/attention/self/query/kernel"} < electra
    mobile = _keys(tiny_checkpoint("mobilebert", num_feedforward=2), tmp_path / "mobile")
    assert {name for name in mobile if "layer_1/" in name and ("ffn" in name or "/output/" in name)} == {
        f"bert/encoder/layer_1/{name}"
        for name in (
            "attention/output/FakeLayerNorm/beta",
            "attention/output/FakeLayerNorm/gamma",
            "attention/output/dense/bias",
            "attention/output/dense/kernel",
            "ffn_layer_0/intermediate/dense/bias",
            "ffn_layer_0/intermediate/dense/kernel",
            "ffn_layer_0/output/FakeLayerNorm/beta",
            "ffn_layer_0/output/FakeLayerNorm/gamma",
            "ffn_layer_0/output/dense/bias",
            "ffn_layer_0/output/dense/kernel",
            "output/FakeLayerNorm/beta",
            "output/FakeLayerNorm/gamma",
            "output/bottleneck/FakeLayerNorm/beta",
            "output/bottleneck/FakeLayerNorm/gamma",
            "output/bottleneck/dense/bias",
            "output/bottleneck/dense/kernel",
            "output/dense/bias",
            "output/dense/kernel",
        )
    }
    assert {"bert/encoder/layer_1/intermediate/dense/kernel", "bert/embeddings/FakeLayerNorm/gamma"} < mobile
    stored = json.loads((tmp_path / "mobile" / "bert_config.json").read_text())
    assert stored["intra_bottleneck_size"] == 12
    assert stored["normalization_type"] == "no_norm"


def test_what_an_exporter_wrote_comes_out_as_it_was(models: Path, tmp_path: Path) -> None:
    write_google(read(models / "google_checkpoint"), tmp_path / "out")
    theirs, ours = (
        TensorBundle(folder / "bert_model.ckpt") for folder in (models / "google_checkpoint", tmp_path / "out")
    )
    assert {*theirs.keys} - {*ours.keys} == {"cls/seq_relationship/output_bias", "cls/seq_relationship/output_weights"}
    for key in ours.keys:
        np.testing.assert_array_equal(ours.array(key), theirs.array(key))
    stored = json.loads((tmp_path / "out" / "bert_config.json").read_text())
    assert stored.pop("do_lower_case") is True
    assert stored == json.loads((models / "google_checkpoint" / "bert_config.json").read_text())
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == (models / "google_checkpoint" / "vocab.txt").read_bytes()


def test_sentencepiece_models_go_out_whole(models: Path, tmp_path: Path) -> None:
    checkpoint = read(models / "albert_v3")
    write_google(checkpoint, tmp_path / "out")
    original = models / "albert_v3" / "assets" / "30k-clean.model"
    assert (tmp_path / "out" / "30k-clean.model").read_bytes() == original.read_bytes()
    assert read(tmp_path / "out").vocabulary == checkpoint.vocabulary


@pytest.mark.parametrize("architecture", ["talking_heads", "distilbert", "roberta"])
def test_architectures_that_google_did_not_release(tmp_path: Path, architecture: str) -> None:
    with pytest.raises(UnsupportedModelError, match=rf"no {architecture} checkpoints.*native, savedmodel"):
        write_google(tiny_checkpoint(architecture), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "gelu_erf"}, "activation is gelu_erf, and Google's code knows gelu_tanh and relu"),
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps is 1e-05, and Google's code has 1e-12"),
        ({"strip_accents": False}, "strip_accents is False"),
        ({"split_chinese": False}, "split_chinese is False"),
    ],
)
def test_settings_that_googles_code_does_not_know(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        write_google(tiny_checkpoint("bert", **settings), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_vocabularies_that_googles_code_does_not_know(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint("bert")
    pieces = checkpoint.vocabulary.pieces
    for vocabulary, message in (
        (Vocabulary(pieces, mask="w3"), "special pieces are not those built into Google's code: mask 'w3'"),
        (Vocabulary((*pieces[:-1], "w ")), "begin or end in blanks"),
        (Vocabulary(pieces, algorithm="byte_bpe", model=b"a b"), "of the kind byte_bpe"),
    ):
        with pytest.raises(UnsupportedModelError, match=message):
            write_google(dataclasses.replace(checkpoint, vocabulary=vocabulary), tmp_path / "out")
    with pytest.raises(UnsupportedModelError, match=r"fine-tuned \(classify\)"):
        write_google(dataclasses.replace(checkpoint, head=random_head(checkpoint)), tmp_path / "out")


def test_files_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match="not an empty folder"):
        write_google(tiny_checkpoint("bert"), tmp_path)
