import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

import huggingface_hub
import kagglehub
import pytest

from berthub.errors import ChecksumError, InferredSettingWarning, OfflineError
from berthub.sources import borrowed
from berthub.sources.kinds import HuggingFaceModel, KaggleModel
from berthub.sources.resolve import resolve
from berthub.sources.user_caches import find_kaggle, find_snapshot
from support.hub import COMMIT, OLDER, Hub, fill_cache, git_hash

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links need a privilege there, and the client copies instead")

MODULES = b'[{"path": "", "type": "T"}, {"path": "1_Pooling", "type": "P"}, {"path": "2_Normalize", "type": "N"}]'
BARE = {"config.json": b"{}", "tokenizer.json": b"t", "model.safetensors": b"weights" * 100}
SENTENCES = {**BARE, "modules.json": MODULES, "1_Pooling/config.json": b"{1}"}


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def state(folder: Path) -> dict[str, tuple[int, int]]:
    """What would show that somebody wrote there."""
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*")}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of Hugging Face's cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
    return tmp_path / "hf"


def test_a_snapshot_is_used_where_it_is(root: Path, cache_dir: Path, no_network: None) -> None:
    snapshot = fill_cache(root, SENTENCES)
    before = state(root)
    for _ in range(2):
        assert resolve("org/name", cache_dir=cache_dir) == snapshot
        assert resolve(f"hf:org/name@{COMMIT}", cache_dir=cache_dir, offline=True) == snapshot
    assert state(root) == before
    assert not (cache_dir / "huggingface").exists()
    with pytest.raises(OfflineError):
        resolve("org/name@v1", cache_dir=cache_dir, offline=True)


@pytest.mark.parametrize(
    ("variable", "below"),
    [("HF_HOME", "hub"), ("HUGGINGFACE_HUB_CACHE", ""), ("XDG_CACHE_HOME", "huggingface/hub"),
     ("TRANSFORMERS_CACHE", ""), ("SENTENCE_TRANSFORMERS_HOME", "")],
)  # fmt: skip
def test_where_the_cache_is(variable: str, below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if variable == "XDG_CACHE_HOME":
        monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv(variable, str(tmp_path / "there"))
    snapshot = fill_cache(tmp_path / "there" / below, SENTENCES)
    found = find_snapshot(HuggingFaceModel("org/name"))
    assert found is not None
    assert (found.folder, found.missing, found.asked) == (snapshot, (), True)
    assert found.files["config.json"] == git_hash(b"{}")
    assert found.files["model.safetensors"] == hashlib.sha256(BARE["model.safetensors"]).hexdigest()


def test_pins_hold_there_too(root: Path, hub: Hub, cache_dir: Path) -> None:
    snapshot = fill_cache(root, SENTENCES)
    good = hashlib.sha256(BARE["model.safetensors"]).hexdigest()
    newer = {**SENTENCES, "model.safetensors": b"newer"}
    hub.give(newer)
    assert resolve("org/name", sha256=good, cache_dir=cache_dir) == snapshot
    assert resolve(f"org/name#sha256={good}", cache_dir=cache_dir) == snapshot
    wanted = hashlib.sha256(b"newer").hexdigest()
    with pytest.raises(ChecksumError, match=f"actual SHA-256 {good}"):
        resolve("org/name", sha256=wanted, cache_dir=cache_dir, offline=True)
    # What is pinned is fetched where the cache has another version.
    folder = resolve("org/name", sha256=wanted, cache_dir=cache_dir)
    assert folder.is_relative_to(cache_dir)
    assert (folder / "model.safetensors").read_bytes() == b"newer"


def test_files_are_hashed_once(root: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = fill_cache(root, SENTENCES)
    assert resolve("org/name", cache_dir=cache_dir, offline=True) == snapshot
    monkeypatch.setattr(borrowed, "hash_file", lambda path: pytest.fail(f"{path} was hashed"))
    assert resolve("org/name", cache_dir=cache_dir, offline=True) == snapshot


@pytest.mark.parametrize("damage", ["blob gone", "changed", "truncated", "small file", "no weights", "no tokenizer",
                                    "no settings of a module", "a shard"])  # fmt: skip
def test_what_is_damaged_or_missing_is_noticed_and_only_that_is_fetched(
    damage: str, root: Path, hub: Hub, cache_dir: Path
) -> None:
    files = dict(SENTENCES)
    if damage == "a shard":
        del files["model.safetensors"]
        files |= {f"model-0000{number}-of-00002.safetensors": b"shard%d" % number for number in (1, 2)}
        files["model.safetensors.index.json"] = b"{}"
    hub.give(files)
    snapshot = fill_cache(root, files)
    name = "model.safetensors"
    match damage:
        case "blob gone":
            (snapshot / name).resolve().unlink()
        case "changed":
            (snapshot / name).write_bytes(b"WEIGHTS" * 100)
        case "truncated":
            (snapshot / name).write_bytes(b"weights" * 50)
        case "small file":
            name = "config.json"
            (snapshot / name).write_bytes(b"[]")
        case "no weights":
            (snapshot / name).unlink()
            (root / "models--org--name" / "blobs" / "abc.incomplete").write_bytes(b"wei")
        case "no tokenizer":
            name = "tokenizer.json"
            (snapshot / name).unlink()
        case "no settings of a module":
            name = "1_Pooling/config.json"
            (snapshot / name).unlink()
        case "a shard":
            name = "model-00002-of-00002.safetensors"
            (snapshot / name).unlink()
    before = state(root)
    with pytest.raises(OfflineError, match=r"not whole in Hugging Face's .*missing or damaged in "):
        resolve("org/name", cache_dir=cache_dir, offline=True)
    folder = resolve("org/name", cache_dir=cache_dir)
    assert {name: (folder / name).read_bytes() for name in files} == files
    assert hub.downloaded <= {name, *(SENTENCES if damage in ("blob gone", "no weights") else ())}
    assert name in hub.downloaded
    assert state(root) == before
    assert resolve("org/name", cache_dir=cache_dir, offline=True) == folder


def test_the_hub_is_asked_once_whether_a_bare_snapshot_is_all(root: Path, hub: Hub, cache_dir: Path) -> None:
    snapshot = fill_cache(root, BARE)
    hub.give({**BARE, "README.md": b"", "pytorch_model.bin": b"again"})
    assert resolve("org/name", cache_dir=cache_dir) == snapshot
    assert hub.asked == [f"GET /api/models/org/name/revision/{COMMIT}"]
    for offline in (None, True):
        assert resolve("org/name", cache_dir=cache_dir, offline=offline) == snapshot
    assert len(hub.asked) == 1


def test_a_bare_snapshot_is_completed(root: Path, hub: Hub, cache_dir: Path) -> None:
    snapshot = fill_cache(root, BARE)
    hub.give(SENTENCES)
    hub.give({"config.json": b"newer"}, commit=OLDER)
    hub.revisions["main"] = OLDER
    folder = resolve("org/name", cache_dir=cache_dir)
    assert {name: (folder / name).read_bytes() for name in SENTENCES} == SENTENCES
    assert hub.downloaded == {"modules.json", "1_Pooling/config.json"}
    assert (folder / "model.safetensors").samefile(snapshot / "model.safetensors")
    shutil.rmtree(root)
    assert (folder / "model.safetensors").read_bytes() == BARE["model.safetensors"]


@pytest.mark.parametrize("offline", [True, False])
def test_without_an_answer_a_bare_snapshot_is_used_and_that_is_said(
    offline: bool, root: Path, hub: Hub, cache_dir: Path
) -> None:
    snapshot = fill_cache(root, BARE)
    for _ in range(2):
        with pytest.warns(InferredSettingWarning, match=r"modules.json.*load it once while online, or give pooling="):
            assert resolve("org/name", cache_dir=cache_dir, offline=offline) == snapshot


@pytest.mark.parametrize("notes", ["a listing", "a note that there is none"])
def test_what_the_cache_itself_says_of_other_files(notes: str, root: Path, cache_dir: Path, no_network: None) -> None:
    snapshot = fill_cache(root, BARE)
    home = root / "models--org--name"
    if notes == "a listing":
        files = {name: {"size": len(content), "blob_id": git_hash(content)} for name, content in BARE.items()}
        files["model.safetensors"]["lfs_sha256"] = hashlib.sha256(BARE["model.safetensors"]).hexdigest()
        listing = {"format_version": 1, "files": {**files, "vocab.txt": {"size": 1, "blob_id": "a" * 40}}}
        write(home / "trees", {f"{COMMIT}.json": json.dumps(listing).encode()})
    else:
        write(home / ".no_exist" / COMMIT, {"modules.json": b""})
    assert resolve("org/name", cache_dir=cache_dir) == snapshot
    if notes == "a listing":
        files["modules.json"] = {"size": 1, "blob_id": "a" * 40}
        write(home / "trees", {f"{COMMIT}.json": json.dumps({"format_version": 1, "files": files}).encode()})
        with pytest.raises(OfflineError, match=r"modules\.json"):
            resolve("org/name", cache_dir=cache_dir, offline=True)


def test_caches_that_the_real_clients_made(
    root: Path, hub: Hub, cache_dir: Path, tmp_path: Path, files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.give({**SENTENCES, "pytorch_model.bin": b"again"})
    snapshot = huggingface_hub.snapshot_download("org/name", cache_dir=root, ignore_patterns="*.bin")
    asked = len(hub.asked)
    assert resolve("org/name", cache_dir=cache_dir) == Path(snapshot)
    shutil.rmtree(root)
    for name in BARE:
        huggingface_hub.hf_hub_download("org/name", name, cache_dir=root)
    with pytest.raises(huggingface_hub.errors.EntryNotFoundError):
        huggingface_hub.hf_hub_download("org/name", "absent.json", cache_dir=root)
    asked = len(hub.asked)
    folder = resolve("org/name", cache_dir=cache_dir)
    assert (folder / "modules.json").read_bytes() == MODULES
    assert asked < len(hub.asked)

    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "k"))
    handle = kagglehub.handle.parse_model_handle("google/electra/tensorFlow2/small/2")
    place = write(Path(kagglehub.cache.get_cached_path(handle)), files)
    assert find_kaggle(KaggleModel("google", "electra", "tensorFlow2", "small", 2)) is None
    kagglehub.cache.Cache().mark_as_complete(handle)
    assert find_kaggle(KaggleModel("google", "electra", "tensorFlow2", "small", 2)) == place


def test_a_named_file_of_a_snapshot_has_an_entry_of_links(root: Path, cache_dir: Path, no_network: None) -> None:
    snapshot = fill_cache(root, {**SENTENCES, "onnx/model.onnx": b"f32", "onnx/model_fp16.onnx": b"f16"})
    folder = resolve("hf:org/name/onnx/model_fp16.onnx", cache_dir=cache_dir, offline=True)
    assert sorted(path.name for path in folder.rglob("*.onnx")) == ["model_fp16.onnx"]
    assert (folder / "onnx/model_fp16.onnx").samefile(snapshot / "onnx/model_fp16.onnx")
    assert resolve("hf:org/name/onnx/model_fp16.onnx", cache_dir=cache_dir, offline=True) == folder


def test_a_cache_that_cannot_be_written_is_no_hindrance(
    root: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = fill_cache(root, SENTENCES)
    write(cache_dir, {"borrowed": b"a file in the way"})
    assert resolve("org/name", cache_dir=cache_dir, offline=True) == snapshot


@pytest.mark.parametrize("ref", ["", "../../x", "main\0", "C" * 40, "é"])
def test_odd_refs_are_nothing(ref: str, root: Path) -> None:
    fill_cache(root, SENTENCES)
    (root / "models--org--name" / "refs" / "main").write_text(ref, encoding="utf-8")
    assert find_snapshot(HuggingFaceModel("org/name")) is None


def test_berthub_s_own_cache_goes_first(root: Path, hub: Hub, cache_dir: Path) -> None:
    hub.give(SENTENCES)
    own = resolve("org/name", cache_dir=cache_dir)
    fill_cache(root, SENTENCES)
    assert resolve("org/name", cache_dir=cache_dir) == own


def test_kaggle_s_cache(
    tmp_path: Path, cache_dir: Path, files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "k"))
    monkeypatch.setattr(kagglehub, "model_download", lambda *_, **__: pytest.fail("fetched"))
    variation = tmp_path / "k/models/google/electra/TensorFlow2/small"
    folder = write(variation / "2", files)
    with pytest.raises(OfflineError):
        resolve("google/electra_small/2", cache_dir=cache_dir, offline=True)  # an unfinished download
    (variation / "2.complete").touch()
    before = state(tmp_path / "k")
    for handle in (
        "google/electra_small/2",
        "google/electra/tensorFlow2/small/2",
        "https://tfhub.dev/google/electra_small/2",
    ):
        assert resolve(handle, cache_dir=cache_dir) == folder
    pin = hashlib.sha256(files["saved_model.pb"]).hexdigest()
    assert resolve("google/electra_small/2", cache_dir=cache_dir, sha256={"saved_model.pb": pin}) == folder
    with pytest.raises(ChecksumError):
        resolve("google/electra_small/2", cache_dir=cache_dir, sha256={"saved_model.pb": "0" * 64}, offline=True)
    assert state(tmp_path / "k") == before


def test_kaggle_s_newest_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    model = KaggleModel("o", "m", "keras", "v")
    assert find_kaggle(model) is None
    place = tmp_path / "models/o/m/keras/v"
    for version in ("2", "10", "11", "x"):
        write(place / version, {"f": b""})
        if version != "11":
            (place / f"{version}.complete").touch()
    (place / "12").mkdir()
    (place / "12.complete").touch()
    assert find_kaggle(model) == place / "10"


def test_tensorflow_hub_s_old_default_cache(
    tmp_path: Path, cache_dir: Path, files: Mapping[str, bytes], no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "https://tfhub.dev/google/electra_small/2"
    folder = write(tmp_path / "tfhub_modules" / hashlib.sha1(address.encode()).hexdigest(), files)
    # By whatever name the model is asked for.
    for handle in (address, "google/electra_small/2", "google/electra/tensorFlow2/small/2"):
        assert resolve(handle, cache_dir=cache_dir, offline=True) == folder
    with monkeypatch.context() as other:
        other.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
        if folder.stat().st_uid != 0:
            with pytest.raises(OfflineError):
                resolve(address, cache_dir=cache_dir, offline=True)
    # Old temporary files are removed one by one.
    (folder / "saved_model.pb").unlink()
    with pytest.raises(OfflineError):
        resolve(address, cache_dir=cache_dir, offline=True)


def test_what_was_asked_is_remembered_for_this_commit_alone(root: Path, hub: Hub, cache_dir: Path) -> None:
    fill_cache(root, BARE)
    hub.give(BARE)
    resolve("org/name", cache_dir=cache_dir)
    newer = fill_cache(root, {**BARE, "config.json": b"{2}"}, commit=OLDER)
    with pytest.warns(InferredSettingWarning):
        assert resolve("org/name", cache_dir=cache_dir, offline=True) == newer
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve(f"org/name@{COMMIT}", cache_dir=cache_dir)
