"""`hub.export`: what it takes, what it refuses, and that a failure leaves nothing behind."""

import dataclasses
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import berthub as hub
from berthub import atomic
from berthub.checkpoint import Checkpoint
from berthub.choices import ExportFormat
from berthub.errors import HandleError, InputError, MissingDependencyError, UnsupportedModelError, WriteError
from berthub.exports import FORMATS
from berthub.formats import read
from berthub.formats.onnx.reader import read_onnx
from support.exports import assert_same, random_head, reference
from support.needs import needs
from support.tiny import ARCHITECTURES, tiny_checkpoint, tiny_inputs

_NEEDS = {"keras": "keras", "onnx": "onnx", "savedmodel": "tensorflow"}


def _read_keras(path: Path) -> Checkpoint:
    keras = pytest.importorskip("keras")
    layer: hub.KerasLayer = keras.models.load_model(path).get_layer("bert")
    return layer.checkpoint()


_READERS: dict[str, Callable[[Path], Checkpoint]] = {"keras": _read_keras, "onnx": read_onnx}


def _formats(checkpoint: Checkpoint) -> list[ExportFormat]:
    """Those that take the model, as far as their libraries are there."""
    named = {"google": checkpoint.config.architecture in ("albert", "bert", "mobilebert")}
    # transformers has no class for it.
    named["huggingface"] = checkpoint.config.architecture != "talking_heads"
    return [
        to for to in get_args(ExportFormat) if named.get(to, True) and importlib.util.find_spec(_NEEDS.get(to, "os"))
    ]


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("bert", {"embedding_size": None}),
        # ELECTRA's encoder.
        ("bert", {"mlm": False, "pooler": False}),
        ("albert", {}),
        ("albert", {"num_groups": 1, "inner_layers": 1}),
        ("mobilebert", {}),
        ("talking_heads", {}),
        ("distilbert", {}),
        # transformers counts positions from the id of the padding, and has erf in the head for masked words.
        ("roberta", {"first_position": 1, "activation": "gelu_erf"}),
    ],
)
def test_the_weights_go_through_every_form_bit_for_bit(
    tmp_path: Path, architecture: str, settings: dict[str, Any]
) -> None:
    checkpoint = tiny_checkpoint(architecture, num_layers=2, **settings)
    model = checkpoint
    for to in _formats(checkpoint):
        path = tmp_path / f"{to}{FORMATS[to].suffix}"
        hub.export(model, path, to=to)
        model = _READERS.get(to, read)(path)
        assert model.weights.keys() == checkpoint.weights.keys(), to
        for name, weight in checkpoint.weights.items():
            np.testing.assert_array_equal(model.weights[name], weight, err_msg=f"{to}: {name}")
        if to == "huggingface":
            # What reads that format tokenizes as transformers, which looks for the special pieces in texts.
            assert model.config.tokenization == "transformers"
            assert {token.content for token in model.vocabulary.added} <= set(checkpoint.vocabulary.pieces)
            config = dataclasses.replace(checkpoint.config, tokenization="transformers")
            vocabulary = dataclasses.replace(checkpoint.vocabulary, added=model.vocabulary.added)
            checkpoint = dataclasses.replace(checkpoint, config=config, vocabulary=vocabulary)
        assert model.vocabulary == checkpoint.vocabulary, to
        assert model.config == checkpoint.config, to


@pytest.mark.parametrize("source", ["hf_bert", "tf2_v4_mlm"])
def test_a_handle_is_read_and_written(models: Path, tmp_path: Path, source: str) -> None:
    path = hub.export(models / source, tmp_path / "below" / "out", to="native", settings={"lower_case": False})
    assert path == tmp_path / "below" / "out"
    assert_same(read(path), read(models / source, settings={"lower_case": False}))
    assert [each.name for each in path.parent.iterdir()] == ["out"]


def test_an_encoder_and_a_layer_are_written(models: Path, tmp_path: Path) -> None:
    encoder = hub.load(models / "tf2_v4", engine="numpy")
    assert_same(read(hub.export(encoder, tmp_path / "encoder", to="native")), read(models / "tf2_v4"))
    pytest.importorskip("keras")
    layer = hub.KerasLayer(models / "tf2_v4")
    assert_same(read(hub.export(layer, tmp_path / "layer", to="google")), layer.checkpoint())


def test_other_things_are_refused(models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a dict cannot be exported; accepted: a handle"):
        hub.export({}, tmp_path / "out", to="native")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="to='h5' is not known; use one of google, huggingface"):
        hub.export(models / "tf2_v4", tmp_path / "out", to="h5")  # type: ignore[arg-type]
    with pytest.raises(HandleError):
        hub.export(tmp_path / "nowhere", tmp_path / "out", to="native")
    assert not any(tmp_path.iterdir())


def test_nothing_is_overwritten(models: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        hub.export(models / "tf2_v4", tmp_path, to="native")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt"]


@needs("keras")
def test_no_file_is_overwritten(models: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"should be a file that ends in \.keras"):
        hub.export(models / "tf2_v4", tmp_path / "model", to="keras")
    (tmp_path / "model.keras").write_text("mine")
    with pytest.raises(InputError, match="exists: choose another name"):
        hub.export(models / "tf2_v4", tmp_path / "model.keras", to="keras")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.keras", "notes.txt"]
    assert (tmp_path / "model.keras").read_text() == "mine"


@pytest.mark.parametrize("to", get_args(ExportFormat))
def test_a_failure_leaves_nothing(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str) -> None:
    writer = FORMATS[to]
    pytest.importorskip(_NEEDS.get(to, "os"))
    written: list[Path] = []

    def interrupt(path: Path) -> None:
        written.append(path)
        raise KeyboardInterrupt

    # When everything is written, and has not got its name.
    monkeypatch.setattr(atomic, "_fsync", interrupt)
    (tmp_path / "empty").mkdir()
    with pytest.raises(KeyboardInterrupt):
        hub.export(models / "tf2_v4", tmp_path / f"out{writer.suffix}", to=to)  # type: ignore[arg-type]
    if not writer.suffix:
        with pytest.raises(KeyboardInterrupt):
            hub.export(models / "tf2_v4", tmp_path / "empty", to=to)  # type: ignore[arg-type]
    assert written
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
    assert not any((tmp_path / "empty").iterdir())


def test_an_empty_folder_is_filled(models: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    hub.export(models / "tf2_v4", tmp_path / "out", to="native")
    assert_same(read(tmp_path / "out"), read(models / "tf2_v4"))


@pytest.mark.parametrize(
    ("to", "command"), [("keras", "'berthub[keras]'"), ("onnx", "'berthub[onnx]'"), ("savedmodel", "tensorflow")]
)
def test_a_missing_library_is_named_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: ExportFormat, command: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError) as caught:
        hub.export("nowhere", tmp_path / "out.keras", to=to)
    assert str(caught.value).endswith(f"pip install {command}")
    assert not any(tmp_path.iterdir())


def test_a_fine_tuned_model_keeps_its_head_or_is_refused(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint("bert", embedding_size=None)
    checkpoint = dataclasses.replace(checkpoint, head=random_head(checkpoint))
    hub.export(checkpoint, tmp_path / "native", to="native")
    assert read(tmp_path / "native").head is not None
    for to in ("google", "keras", "savedmodel"):
        if importlib.util.find_spec(_NEEDS.get(to, "os")):
            with pytest.raises(UnsupportedModelError, match=r"fine-tuned \(classify\).*huggingface, native, onnx"):
                hub.export(checkpoint, tmp_path / f"{to}.keras", to=to)  # type: ignore[arg-type]
    hub.export(checkpoint, tmp_path / "google", to="google", encoder_only=True)
    again = read(tmp_path / "google")
    assert again.head is None
    assert again.weights.keys() == {name for name in checkpoint.weights if not name.startswith("cls/")}
    assert not again.config.mlm


_LOAD_KERAS = """
import sys
import berthub
import keras
import numpy as np

with np.load(sys.argv[2]) as arrays:
    outputs = keras.saving.load_model(sys.argv[1])(dict(arrays))
outputs["encoder_outputs"] = keras.ops.stack(outputs["encoder_outputs"])
np.savez(sys.argv[3], **{name: keras.ops.convert_to_numpy(array) for name, array in outputs.items()})
"""


def test_keras_loads_what_is_written_in_a_new_process(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    for architecture in ARCHITECTURES:
        checkpoint = tiny_checkpoint(architecture, mlm=False, num_layers=2)
        hub.export(checkpoint, tmp_path / f"{architecture}.keras", to="keras")
        assert_same(_read_keras(tmp_path / f"{architecture}.keras"), checkpoint)
    checkpoint = tiny_checkpoint("mobilebert", num_layers=2)
    inputs = tiny_inputs(checkpoint)
    np.savez(tmp_path / "inputs.npz", **inputs)
    files = [str(tmp_path / name) for name in ("mobilebert.keras", "inputs.npz", "outputs.npz")]
    done = subprocess.run([sys.executable, "-c", _LOAD_KERAS, *files], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = reference(checkpoint, inputs)
    with np.load(files[2]) as found:
        assert {*found.files} == {*expected}
        for name in found.files:
            np.testing.assert_allclose(found[name], np.array(expected[name]), rtol=0, atol=1e-5, err_msg=name)


def test_a_place_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for to, name in (("native", "model"), ("keras", "model.keras")):
        if importlib.util.find_spec(_NEEDS.get(to, "os")):
            with pytest.raises(WriteError, match="cannot be written: Not a directory"):
                hub.export(tiny_checkpoint("bert"), tmp_path / "file" / name, to=to)


@pytest.mark.parametrize("to", ["google", "huggingface"])
def test_tokenization_is_not_changed_silently(tmp_path: Path, to: str) -> None:
    checkpoint = tiny_checkpoint("bert", tokenization="tf_text", embedding_size=None, mlm=False)
    with pytest.raises(UnsupportedModelError, match="no place for tokenization='tf_text'"):
        hub.export(checkpoint, tmp_path / "model", to=to)  # type: ignore[arg-type]
    assert not (tmp_path / "model").exists()
    hub.export(checkpoint, tmp_path / "model", to="native")
    assert read(tmp_path / "model").config.tokenization == "tf_text"
