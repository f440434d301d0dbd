import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from berthub import formats
from berthub.errors import FetchError
from berthub.sources import hugging_face as module
from berthub.sources.hugging_face import fetch_hugging_face, module_folders, wanted_files
from berthub.sources.kinds import HuggingFaceModel
from berthub.sources.resolve import resolve
from support.hub import COMMIT, OLDER, Hub

NAME = HuggingFaceModel("org/name")
MODEL = {"config.json": b"{}", "vocab.txt": b"[PAD]\n", "model.safetensors": b"weights" * 100}
MODULES = json.dumps([{"path": "", "type": "T"}, {"path": "1_Pooling"}, {"path": "2_Dense"}]).encode()


def read(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_client_fetches_what_a_reader_needs_and_no_more(hub: Hub, tmp_path: Path) -> None:
    pooling = {"modules.json": MODULES, "1_Pooling/config.json": b"{1}", "2_Dense/config.json": b"{2}"}
    needed = {**MODEL, **pooling, "2_Dense/pytorch_model.bin": b"dense"}
    other = {"pytorch_model.bin": b"again", "onnx/model.onnx": b"once more", "README.md": b"", "x/config.json": b"{}"}
    hub.give({**needed, **other})
    assert read(fetch_hugging_face(NAME, tmp_path)) == needed
    assert hub.downloaded == set(needed)
    # All of it at one commit, which is asked for once.
    assert [path for path in hub.asked if path.startswith("GET /api/models")] == [
        "GET /api/models/org/name",
        f"GET /api/models/org/name/tree/{COMMIT}",
    ]
    assert all(COMMIT in path for path in hub.asked if "/resolve/" in path)


def test_a_saved_model_in_a_folder_of_a_repository_is_read(hub: Hub, tmp_path: Path) -> None:
    model = Path(__file__).parents[1] / "data" / "models" / "tf2_v4"
    files = {f"bert/4/{name}": content for name, content in read(model).items()}
    hub.give({"README.md": b"", **files, "bert/4/notes.txt": b""})
    checkpoint = formats.read(resolve("org/name", cache_dir=tmp_path))
    assert checkpoint.vocabulary.pieces
    assert hub.downloaded <= set(files)
    assert not {name for name in hub.downloaded if name.endswith((".npz", ".txt")) and "assets" not in name}


def test_a_keras_file_is_unpacked(hub: Hub, make_zip: Callable[..., Path], tmp_path: Path) -> None:
    content = make_zip({"config.json": b"{}", "model.weights.h5": b"w"}, "m.keras").read_bytes()
    hub.give({"bert.keras": content, "README.md": b""})
    pin = {"bert.keras": hashlib.sha256(content).hexdigest()}
    folder = resolve("org/name", sha256=pin, cache_dir=tmp_path / "cache")
    assert set(read(folder)) == {"bert.keras", "bert.keras.files/config.json", "bert.keras.files/model.weights.h5"}


def test_what_changes_after_the_listing_does_not_come(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.give(MODEL, commit=OLDER)
    hub.give({**MODEL, "vocab.txt": b"[NEW]\n"})
    hub.revisions["main"] = OLDER
    original = module.wanted_files

    def then_pushed(*arguments: object, **options: object) -> object:
        wanted = original(*arguments, **options)  # type: ignore[arg-type]
        hub.revisions["main"] = COMMIT
        return wanted

    monkeypatch.setattr(module, "wanted_files", then_pushed)
    assert read(fetch_hugging_face(NAME, tmp_path)) == MODEL


def test_names_with_signs_of_patterns(hub: Hub, tmp_path: Path) -> None:
    files = {"config.json": b"{}", "a/config.json": b"{}", "a/m[1]*.gguf": b"1", "a/m1x.gguf": b"2"}
    hub.give(files)
    came = read(fetch_hugging_face(HuggingFaceModel("org/name", "main", "a/m[1]*.gguf"), tmp_path))
    assert came == {"config.json": b"{}", "a/config.json": b"{}", "a/m[1]*.gguf": b"1"}


def test_a_revision_and_a_path(hub: Hub, tmp_path: Path) -> None:
    hub.revisions["refs/pr/1"] = OLDER
    hub.give({**MODEL, "onnx/model.onnx": b"1", "onnx/model_int8.onnx": b"8", "onnx/config.json": b"{}"}, commit=OLDER)
    came = read(fetch_hugging_face(HuggingFaceModel("org/name", "refs/pr/1", "onnx/model_int8.onnx"), tmp_path))
    assert set(came) == {"config.json", "vocab.txt", "onnx/config.json", "onnx/model_int8.onnx"}


@pytest.mark.parametrize(
    ("files", "path", "said"),
    [
        ({"README.md": b"", "rust_model.ot": b""}, None, r"(?s)hf:org/name has no weights that are read. It has "
         r"README.md, rust_model.ot.*Read are model.safetensors, pytorch_model.bin.*Convert"),
        ({"adapter_config.json": b"", "adapter_model.safetensors": b""}, None, "adapter.*merge_and_unload"),
        ({"model_index.json": b"", "unet/x": b""}, None, "pipeline of diffusers"),
        ({"model.safetensors": b""}, None, "need their settings, config.json, beside them"),
        ({}, None, "It has no files"),
        (dict.fromkeys((f"f{number:02}" for number in range(40)), b""), None, "f00, .*f11 and 28 more"),
        (MODEL, "onnx", "org/name has no folder and no file onnx. It has config.json, model.safetensors, vocab.txt"),
        (MODEL, "config.json", "hf:org/name/config.json names no file of weights"),
        ({**MODEL, "docs/a.md": b""}, "docs", "hf:org/name/docs has no weights that are read. It has docs/a.md"),
        ({"a.q4_0.gguf": b"", "a.q8_0.gguf": b""}, None, "Name one of them:\n  hf:org/name/a.q4_0.gguf\n  "
         "hf:org/name/a.q8_0.gguf"),
    ],
)  # fmt: skip
def test_what_a_repository_lacks_is_said(
    files: dict[str, bytes], path: str | None, said: str, hub: Hub, tmp_path: Path
) -> None:
    hub.give(files)
    with pytest.raises(FetchError, match=said):
        fetch_hugging_face(HuggingFaceModel("org/name", None, path), tmp_path)
    assert hub.downloaded == set()


def test_a_model_that_is_too_large_is_refused_before_it_comes(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.give(MODEL)
    monkeypatch.setattr(module, "MAX_DOWNLOAD_BYTES", 700)
    with pytest.raises(FetchError, match=r"hf:org/name is larger than 700 bytes: its files have 708"):
        fetch_hugging_face(NAME, tmp_path)
    assert hub.downloaded == set()


def test_a_token_goes_to_the_hub_and_into_no_message(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecretsecret")
    with pytest.raises(FetchError) as caught:
        fetch_hugging_face(NAME, tmp_path)
    hub.give(MODEL)
    with caplog.at_level("DEBUG"):
        fetch_hugging_face(NAME, tmp_path)
    assert "Bearer hf_secretsecretsecret" in hub.tokens
    assert "secretsecret" not in f"{caught.value} {caught.value.__cause__} {caplog.text}"
    assert caught.value.__context__ is None


def test_what_is_there_is_linked_and_the_rest_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.give({**MODEL, "modules.json": MODULES, "1_Pooling/config.json": b"{}", "tokenizer.json": b"t"})
    have = {}
    for name in ("model.safetensors", "config.json", "vocab.txt"):
        have[name] = tmp_path / "have" / name
        have[name].parent.mkdir(exist_ok=True)
        have[name].write_bytes(MODEL[name])
    (tmp_path / "scratch").mkdir()
    folder = fetch_hugging_face(NAME, tmp_path / "scratch", at=COMMIT, have=have)
    assert hub.downloaded == {"modules.json", "1_Pooling/config.json", "tokenizer.json"}
    assert (folder / "model.safetensors").samefile(have["model.safetensors"])
    assert read(folder)["vocab.txt"] == MODEL["vocab.txt"]


def test_weights_that_are_there_in_another_format_are_good_enough(hub: Hub, tmp_path: Path) -> None:
    hub.give({**MODEL, "pytorch_model.bin": b"torch"})
    have = {name: tmp_path / name for name in ("config.json", "pytorch_model.bin")}
    assert wanted_files(NAME, tmp_path, have=have).selection.weights == ("pytorch_model.bin",)
    shards = ("config.json", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin")
    hub.give({**MODEL, **dict.fromkeys(shards, b"x")})
    have = {name: tmp_path / name for name in shards}
    assert wanted_files(NAME, tmp_path, have=have).selection.weights == ("model.safetensors",)


@pytest.mark.parametrize(
    ("content", "folders"),
    [
        (MODULES, ["", "1_Pooling", "2_Dense"]),
        (b'[{"path": "a/"}, {"path": 3}, 4, {}]', ["a"]),
        (b"{}", []),
        (b"[", []),
        (b"\xff", []),
        (None, []),
    ],
)
def test_damaged_modules_name_no_folder(content: bytes | None, folders: list[str], tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "modules.json").write_bytes(content)
    assert module_folders(tmp_path / "modules.json") == folders
