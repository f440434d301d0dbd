import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from berthub.checkpoint import Checkpoint
from berthub.errors import CorruptFileError, InputError, WriteError
from berthub.formats import read
from berthub.head import Head
from berthub.training.state import Progress, StateStore

CONDITIONS = {"epochs": 3, "labels": ("a", "b"), "clip_norm": float("inf"), "patience": None}


@pytest.fixture(scope="module")
def best(models: Path) -> Checkpoint:
    checkpoint = read(models / "tf2_v4")
    kernel = np.ones((checkpoint.config.hidden_size, 2), np.float32)
    head = Head(
        task="classify", labels=("a", "b"), pooling="pooled", max_length=9, kernel=kernel, bias=np.ones(2, np.float32)
    )
    return dataclasses.replace(checkpoint, head=head)


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    return StateStore(tmp_path / "run" / "state", CONDITIONS)


STATE = {"model.0": np.arange(6, dtype=np.float32).reshape(2, 3), "seed": np.array(7, np.uint32)}


def test_what_is_written_is_read(store: StateStore, best: Checkpoint) -> None:
    assert store.read() is None
    progress = Progress(epoch=1, step=4, best_epoch=1, best_score=0.5, history=[{"epoch": 1, "dev_pearson": 0.25}])
    store.write(STATE, progress, best)
    stored = store.read()
    assert stored is not None
    for name, array in STATE.items():
        np.testing.assert_array_equal(stored.state[name], array)
        assert stored.state[name].dtype == array.dtype
    assert stored.progress == progress
    assert stored.best is not None
    assert stored.best.head is not None
    assert stored.best.head.labels == ("a", "b")
    for name, weight in best.weights.items():
        np.testing.assert_array_equal(stored.best.weights[name], weight)


def test_only_the_newest_state_stays(store: StateStore, best: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "state"
    store.write(STATE, Progress(step=2), None)
    assert sorted(path.name for path in folder.iterdir()) == ["latest.json", "state-0-2.npz"]
    store.write(STATE, Progress(epoch=1, best_epoch=1), best)
    store.write(STATE, Progress(epoch=2, best_epoch=1), best)
    assert sorted(path.name for path in folder.iterdir()) == ["best-1", "latest.json", "state-2-0.npz"]
    store.write(STATE, Progress(epoch=3, best_epoch=3), best)
    assert sorted(path.name for path in folder.iterdir()) == ["best-3", "latest.json", "state-3-0.npz"]


def test_a_half_written_state_does_not_count(store: StateStore, best: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "state"
    store.write(STATE, Progress(epoch=1, best_epoch=1), best)
    (folder / "state-2-0.npz").write_bytes(b"PK")
    (folder / "latest.json.new").write_text("{")
    (folder / "best-2").mkdir()
    (folder / "best-2" / "vocab.txt").write_text("half")
    stored = store.read()
    assert stored is not None
    assert stored.progress.epoch == 1
    store.write(STATE, Progress(epoch=2, best_epoch=2), best)
    stored = store.read()
    assert stored is not None
    assert stored.progress.epoch == 2
    assert sorted(path.name for path in folder.iterdir()) == ["best-2", "latest.json", "state-2-0.npz"]


def test_another_training_is_not_gone_on_with(store: StateStore, tmp_path: Path) -> None:
    store.write(STATE, Progress(step=2), None)
    other = StateStore(tmp_path / "run" / "state", {**CONDITIONS, "epochs": 5, "labels": ("a", "c")})
    with pytest.raises(InputError, match=r"epochs was 3 and is 5 now; labels was \['a', 'b'\] and is \['a', 'c'\] now"):
        other.read()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # In the data of an array: the archive's checksum tells.
    content[150] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["latest.json", "state-1-0.npz", "best-1/model.safetensors", "best-1/berthub.json"])
@pytest.mark.parametrize("damage", [Path.unlink, _truncate])
def test_a_damaged_state_is_told(
    store: StateStore, best: Checkpoint, tmp_path: Path, name: str, damage: object
) -> None:
    store.write(STATE, Progress(epoch=1, best_epoch=1), best)
    damage(tmp_path / "run" / "state" / name)  # type: ignore[operator]
    if name == "latest.json" and damage is Path.unlink:
        assert store.read() is None
        return
    with pytest.raises(CorruptFileError, match=r"damaged \(.*\): remove the folder and train anew"):
        store.read()


def test_a_flipped_bit_and_a_strange_description_are_told(store: StateStore, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "state"
    store.write({"weights": np.arange(1000.0)}, Progress(step=1), None)
    _flip(folder / "state-0-1.npz")
    with pytest.raises(CorruptFileError, match="damaged"):
        store.read()
    store.write(STATE, Progress(step=2), None)
    described = json.loads((folder / "latest.json").read_text())
    for strange in ([], {"conditions": None}, {**described, "progress": {"epochs": 1}}):
        (folder / "latest.json").write_text(json.dumps(strange))
        with pytest.raises(CorruptFileError, match="damaged"):
            store.read()


def test_a_folder_that_cannot_be_made_is_told_at_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written: Not a directory"):
        StateStore(tmp_path / "file" / "state", {}).begin()
