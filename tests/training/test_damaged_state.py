"""Whatever is damaged in the state of a training, resuming it raises berthub's errors only."""

import dataclasses
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fuzz_readers
from berthub.errors import BerthubError, CorruptFileError
from berthub.training.state import Progress, StateStore
from support.exports import random_head
from support.tiny import tiny_checkpoint

_CONDITIONS = {"epochs": 3}
_STATE = {"model.0": np.arange(6, dtype=np.float32).reshape(2, 3), "seed": np.array(7, np.uint32)}
_PROGRESS = Progress(epoch=1, step=4, best_epoch=1, best_score=0.5, history=[{"epoch": 1, "loss": 0.25}])


def _store(folder: Path) -> StateStore:
    store = StateStore(folder, _CONDITIONS)
    checkpoint = tiny_checkpoint("distilbert")
    store.write(_STATE, _PROGRESS, dataclasses.replace(checkpoint, head=random_head(checkpoint)))
    return store


def test_random_damage_raises_berthubs_errors_only(tmp_path: Path) -> None:
    store = _store(tmp_path)
    whole = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    outcomes = set()
    for seed in range(400):
        chance = random.Random(seed)
        path = chance.choice(list(whole))
        fuzz_readers.damage(path, chance)
        try:
            stored = store.read()
            assert stored is not None
            outcomes.add("read")
        except BerthubError as error:
            outcomes.add(type(error).__name__)
        path.write_bytes(whole[path])
    assert {"read", "CorruptFileError"} <= outcomes


def _change(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(stored: dict[str, Any]) -> None:
        stored[key] = value

    return change


def _change_progress(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(stored: dict[str, Any]) -> None:
        stored["progress"][key] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _change("state", "../../../etc/passwd"),
        _change("state", "best-1"),
        _change("state", None),
        _change("best", "/tmp"),
        _change("best", 1),
        _change("best", "best-9"),
        _change("conditions", []),
        _change_progress("epoch", "1"),
        _change_progress("epoch", -1),
        _change_progress("step", True),
        _change_progress("seconds", None),
        _change_progress("best_score", "good"),
        _change_progress("history", {}),
        _change_progress("history", [{"loss": []}]),
        _change_progress("more", 1),
    ],
)
def test_a_description_that_cannot_be_is_an_error(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    store = _store(tmp_path)
    path = tmp_path / "latest.json"
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))
    with pytest.raises(CorruptFileError, match="remove the folder and train anew"):
        store.read()


def test_a_score_may_be_no_number(tmp_path: Path) -> None:
    store = StateStore(tmp_path, _CONDITIONS)
    store.write(_STATE, dataclasses.replace(_PROGRESS, best_score=float("nan"), best_epoch=0), None)
    stored = store.read()
    assert stored is not None
    assert stored.progress.best_score != stored.progress.best_score


def test_a_best_model_without_its_head_is_an_error(tmp_path: Path) -> None:
    store = _store(tmp_path)
    path = tmp_path / "best-1" / "berthub.json"
    stored = json.loads(path.read_text())
    del stored["head"]
    path.write_text(json.dumps(stored))
    with pytest.raises(CorruptFileError, match="remove the folder and train anew"):
        store.read()


def test_a_compressed_state_is_an_error(tmp_path: Path) -> None:
    store = _store(tmp_path)
    (path,) = tmp_path.glob("state-*.npz")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(10**7))
    with pytest.raises(CorruptFileError, match="compressed"):
        store.read()
