"""A damaged state of training ends in a `CorruptFileError`, however it is damaged, and costs no memory."""

import dataclasses
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.checkpoint import Checkpoint
from berthub.containers.npz import read_npz
from berthub.errors import CorruptFileError, InputError
from berthub.formats import read
from berthub.head import Head
from berthub.training.state import Progress, StateStore

STATE = {
    "model.0": np.arange(60, dtype=np.float32).reshape(6, 10),
    "model.1": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "model.2": np.zeros((0, 4), np.int64),
    "seed": np.array(7, np.uint32),
}
PROGRESS = Progress(epoch=1, step=4, best_epoch=1, history=[{"epoch": 1, "dev_pearson": float("nan")}])


@pytest.fixture
def folder(tmp_path: Path, models: Path) -> Path:
    checkpoint = read(models / "tf2_v4")
    kernel = np.ones((checkpoint.config.hidden_size, 2), np.float32)
    head = Head(
        task="classify", labels=("a", "b"), pooling="pooled", max_length=9, kernel=kernel, bias=np.ones(2, np.float32)
    )
    _store(tmp_path).write(STATE, PROGRESS, dataclasses.replace(checkpoint, head=head))
    return tmp_path


def _store(folder: Path) -> StateStore:
    return StateStore(folder, {"epochs": 3})


def _damage(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    kind = rng.integers(5)
    place, other = sorted(rng.integers(0, len(changed), 2).tolist())
    if kind == 0:
        del changed[place:]
    elif kind == 1:
        del changed[place:other]
    elif kind == 2:
        changed[place:place] = changed[place:other]
    else:
        for at in rng.integers(0, len(changed), rng.integers(1, 4)):
            changed[at] = rng.integers(256)
    return bytes(changed)


@pytest.mark.parametrize("name", ["latest.json", "state-1-4.npz", "best-1/berthub.json"])
def test_random_damage_is_told_or_does_not_matter(folder: Path, name: str) -> None:
    path = folder / name
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    told = 0
    for _ in range(400):
        path.write_bytes(_damage(whole, rng))
        try:
            stored = _store(folder).read()
        except CorruptFileError as error:
            assert str(error).endswith("remove the folder and train anew")
            told += 1
        except InputError as error:
            # The conditions changed.
            assert "was another one" in str(error)
            told += 1
        else:
            assert stored is not None
            if name.endswith(".npz"):
                # What the checksums of the archive do not cover: names, and dates.
                assert all(array.dtype.kind in "biuf" for array in stored.state.values())
    assert told > 250


def _with_header(header: str, data: bytes) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (1,)})
    magic = file.getvalue()[:8]
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return magic + len(text).to_bytes(2, "little") + text + data


def _described(descr: str, shape: Any) -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x03\x00\x10\x00\x00\x00" + b" " * 16,
        _with_header(_described("'<f4'", "(10**12,)"), b"1234"),
        _with_header(_described("'<f4'", "(1000000000000,)"), b"1234"),
        _with_header(_described("'<f4'", "(-1,)"), b"1234"),
        _with_header(_described("'<f4'", "(0, 99999999999999999999999)"), b""),
        _with_header(_described("'<f4'", "(2,)"), b"1234"),
        _with_header(_described("'<f4'", "('a',)"), b"1234"),
        _with_header(_described("'|O'", "(1,)"), b"1234"),
        _with_header(_described("'<c8'", "(1,)"), b"12345678"),
        _with_header(_described("'<U1'", "(1,)"), b"1234"),
        _with_header(_described("'nonsense'", "(1,)"), b"1234"),
        _with_header(_described("[('a', '<f4')]", "(1,)"), b"1234"),
        _with_header("(" * 5000, b""),
        _with_header("[" * 200 + "]" * 200, b""),
        _with_header("'", b""),
        _with_header("{'descr': 1", b""),
        _with_header("\x00", b""),
        _with_header("  9 +", b""),
    ],
    ids=range(20),
)
def test_an_array_that_is_none_is_told(folder: Path, member: bytes) -> None:
    with zipfile.ZipFile(folder / "state-1-4.npz", "w") as archive:
        archive.writestr("model.0.npy", member)
    with pytest.raises(CorruptFileError, match="damaged"):
        _store(folder).read()


@pytest.mark.parametrize("kind", ["compressed", "twice", "other"])
def test_an_archive_of_another_kind_is_told(folder: Path, kind: str) -> None:
    content = io.BytesIO()
    np.save(content, STATE["model.0"])
    compression = zipfile.ZIP_DEFLATED if kind == "compressed" else zipfile.ZIP_STORED
    names = {"compressed": ["a.npy"], "twice": ["a.npy", "a.npy"], "other": ["a.txt"]}[kind]
    with zipfile.ZipFile(folder / "state-1-4.npz", "w", compression) as archive:
        for name in names:
            if name in archive.namelist():
                with pytest.warns(UserWarning, match="Duplicate"):
                    archive.writestr(name, content.getvalue())
            else:
                archive.writestr(name, content.getvalue())
    with pytest.raises(CorruptFileError, match=r"compressed, or lie on the same bytes|holds a.npy twice"):
        _store(folder).read()


def test_zeros_that_were_compressed_cost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    np.savez_compressed(path, a=np.zeros(30_000_000, np.int8))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFileError):
            read_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


CHANGES: list[Callable[[Any], Any]] = [
    lambda d: [],
    lambda d: {**d, "conditions": None},
    lambda d: {**d, "state": "../state-1-4.npz"},
    lambda d: {**d, "state": ".."},
    lambda d: {**d, "state": "no\0name"},
    lambda d: {**d, "state": 4},
    lambda d: {**d, "best": ["best-1"]},
    lambda d: {**d, "best": None},
    lambda d: {**d, "best": "/etc"},
    lambda d: {**d, "best": "best-2"},
    lambda d: {key: value for key, value in d.items() if key != "progress"},
    *[
        lambda d, name=name, value=value: {**d, "progress": {**d["progress"], name: value}}  # type: ignore[misc]
        for name, value in (
            ("epoch", "one"), ("epoch", 1.0), ("epoch", True), ("epoch", -1), ("epoch", 0), ("step", None),
            ("step", 10**400), ("total", "0"), ("total", float("inf")), ("examples", 1.5), ("seconds", float("nan")),
            ("best_epoch", 2), ("best_epoch", 0), ("best_score", "good"), ("fit", -1), ("history", None),
            ("history", [1]), ("history", [{"epoch": "1"}]), ("history", [{}]), ("nothing", 0),
        )
    ],
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_strange_description_is_told(folder: Path, number: int) -> None:
    path = folder / "latest.json"
    path.write_text(json.dumps(CHANGES[number](json.loads(path.read_text()))))
    with pytest.raises(CorruptFileError, match="damaged"):
        _store(folder).read()


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b"{", b'{"conditions": ' + b"9" * 10_000 + b"}"])
def test_a_description_that_is_no_json_is_told(folder: Path, content: bytes) -> None:
    (folder / "latest.json").write_bytes(content)
    with pytest.raises(CorruptFileError, match="damaged"):
        _store(folder).read()


def test_a_best_model_without_a_head_is_told(folder: Path, checkpoint_without_head: Checkpoint) -> None:
    from berthub.formats.native import write_native_files

    write_native_files(checkpoint_without_head, folder / "best-1")
    with pytest.raises(CorruptFileError, match="has no head"):
        _store(folder).read()


@pytest.fixture
def checkpoint_without_head(models: Path) -> Checkpoint:
    return read(models / "tf2_v4")
