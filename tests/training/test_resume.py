"""An interrupted training goes on, and ends with the weights of one that was not interrupted, bit for bit."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.errors import CorruptFileError, InputError
from berthub.formats.native import write_native
from berthub.training.state import StateStore
from support.finetuning import FIT, data, tuner

# Six steps an epoch: states after steps 2, 4 and 6.
OPTIONS = {**FIT, "epochs": 3, "checkpoint_steps": 2}


@pytest.fixture(scope="module")
def whole(start: Checkpoint) -> Any:
    """What was not interrupted."""
    return tuner("two", start).fit(*data("two"), dev=data("two", seed=1), **OPTIONS)


class Interrupted(BaseException):
    pass


@pytest.fixture
def interrupted(start: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A run folder whose training ended after a number of states."""

    def train(states: int, *, kind: str = "two", **options: Any) -> Path:
        write, written = StateStore.write, []

        def counting(*args: Any) -> None:
            write(*args)
            written.append(args)
            if len(written) == states:
                raise Interrupted

        monkeypatch.setattr(StateStore, "write", counting)
        with pytest.raises(Interrupted):
            tuner(kind, start, **options).fit(*data(kind), dev=data(kind, seed=1), run=tmp_path / "run", **OPTIONS)
        monkeypatch.setattr(StateStore, "write", write)
        return tmp_path / "run"

    return train


def _same(ours: Any, theirs: Any) -> None:
    assert ours.best_epoch == theirs.best_epoch
    for name, weight in theirs.checkpoint().weights.items():
        np.testing.assert_array_equal(ours.checkpoint().weights[name], weight)
    np.testing.assert_array_equal(ours.checkpoint().head.kernel, theirs.checkpoint().head.kernel)
    for row, other in zip(ours.history, theirs.history, strict=True):
        assert [row[name] for name in ("epoch", "loss", "dev_loss", "dev_accuracy")] == [
            other[name] for name in ("epoch", "loss", "dev_loss", "dev_accuracy")
        ]


def test_killed_it_goes_on_the_same(keras: Any, start: Checkpoint, whole: Any, tmp_path: Path) -> None:
    write_native(start, tmp_path / "start")
    program = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from support.finetuning import data, tuner
from berthub.training.state import StateStore
write = StateStore.write
def until(store, state, progress, best):
    write(store, state, progress, best)
    if (progress.epoch, progress.step) == (1, 4):
        os.kill(os.getpid(), signal.SIGKILL)
StateStore.write = until
if {keras.config.backend() == "torch"}:
    import torch
    torch.set_num_threads(1)
options = {OPTIONS!r}
tuner("two", "start").fit(*data("two"), dev=data("two", seed=1), run="run", **options)
"""
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["training-state"]
    progress = json.loads((tmp_path / "run" / "training-state" / "latest.json").read_text())["progress"]
    assert (progress["epoch"], progress["step"]) == (1, 4)

    resumed = tuner("two", start).fit(
        *data("two"), dev=data("two", seed=1), run=tmp_path / "run", resume=True, **OPTIONS
    )
    _same(resumed, whole)
    assert not (tmp_path / "run" / "training-state").exists()
    assert list(hub.load(tmp_path / "run").predict(["the war"])) == list(whole.predict(["the war"]))


@pytest.mark.parametrize("states", [3, 9])
def test_between_epochs_and_before_the_end(
    interrupted: Callable[..., Path], start: Checkpoint, whole: Any, states: int
) -> None:
    run = interrupted(states)
    resumed = tuner("two", start).fit(*data("two"), dev=data("two", seed=1), run=run, resume=True, **OPTIONS)
    _same(resumed, whole)


def test_only_the_same_training_goes_on(
    interrupted: Callable[..., Path], start: Checkpoint, whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = interrupted(2)
    before = sorted(run.rglob("*"))
    texts, labels = data("two")
    dev = data("two", seed=1)
    other = whole.checkpoint()
    for model, fit, message in (
        ({}, {"learning_rate": 1e-3}, "learning_rate was 0.005 and is 0.001 now"),
        ({}, {"epochs": 4}, "epochs was 3 and is 4 now"),
        ({"seed": 1}, {}, "seed was 0 and is 1 now"),
        ({"dropout": 0.2}, {}, "dropout was 0.1 and is 0.2 now"),
        ({"labels": ["war", "love"]}, {}, r"labels was \['love', 'war'\] and is \['war', 'love'\] now"),
        ({"pooling": "mean"}, {}, "pooling was 'pooled' and is 'mean' now"),
        ({}, {"texts": [*texts[:-1], "the book"]}, "training data was '.*' and is '.*' now"),
        ({}, {"dev": None}, "dev data was '.*' and is None now"),
        ({}, {"dev": (dev[0], dev[1][::-1])}, "dev data was '.*' and is '.*' now"),
        ({"handle": other}, {}, "model was '.*' and is '.*' now"),
    ):
        given = {**OPTIONS, "texts": texts, "labels": labels, "dev": dev, **fit}
        handle = model.pop("handle", start)
        with pytest.raises(InputError, match=message):
            tuner("two", handle, **model).fit(**given, run=run, resume=True)
    assert sorted(run.rglob("*")) == before

    (run / "training-state" / "latest.json").write_text("{")
    with pytest.raises(CorruptFileError, match="remove the folder and train anew"):
        tuner("two", start).fit(texts, labels, dev=dev, run=run, resume=True, **OPTIONS)
