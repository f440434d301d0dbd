"""An engine that never pads gives the same encodings as one that does."""

import dataclasses
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.engines.engine import AnyBatch, Batch, Engine, Limits, PaddedBatch, Result
from berthub.engines.numpy import NumpyEngine
from berthub.formats import read
from berthub.head import Head
from berthub.networks.outputs import Output

_TEXTS = ["The quick brown fox.", "", ("was it", "12 dogs?"), "a dog", "It was the first day of May!", "a dog"]
_SENTENCES = [["The", "quick", "fox"], [], ["São", "Paulo", "\u200b", "!"], ["dogs"] * 40]


class _Ragged(Engine):
    """Rows one after the other, as flat arrays; it counts the ragged batches."""

    name = "ragged"
    precision = "float32"
    limits = Limits(tokens=24, padded=False)

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._engine = NumpyEngine(checkpoint)
        self.batches = 0

    def run(self, batches: Iterable[AnyBatch], outputs: Sequence[Output]) -> Generator[Result]:
        for batch in batches:
            if isinstance(batch, PaddedBatch):
                yield from self._engine.run([batch], outputs)
                continue
            self.batches += 1
            rows = [self._row(batch, place, outputs) for place in range(len(batch.rows))]
            yield Result(batch, [np.concatenate(arrays) for arrays in zip(*rows, strict=True)])

    def _row(self, batch: Batch, place: int, outputs: Sequence[Output]) -> list[Any]:
        inside = slice(batch.offsets[place], batch.offsets[place + 1])
        ids, type_ids = batch.ids[None, inside], batch.type_ids[None, inside]
        alone = PaddedBatch(ids=ids, mask=np.ones_like(ids), type_ids=type_ids, rows=np.zeros(1, np.int64))
        (result,) = self._engine.run([alone], outputs)
        # Token vectors [1, s, h] are those of the row; vectors of texts [1, h] stay.
        return [array[0] if array.ndim == 3 else array for array in result.outputs]


def _encoders(folder: Path, head: Head | None = None) -> tuple[hub.Encoder, hub.Encoder]:
    checkpoint = dataclasses.replace(read(folder), head=head)
    tokenizer = hub.Tokenizer.from_checkpoint(checkpoint)
    return tuple(hub.Encoder(checkpoint, tokenizer, kind(checkpoint)) for kind in (_Ragged, NumpyEngine))


@pytest.fixture(params=["tf2_v4", "albert_v3"])
def both(models: Path, request: pytest.FixtureRequest) -> tuple[hub.Encoder, hub.Encoder]:
    return _encoders(models / request.param)


def _assert_equal(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_encode(both: tuple[hub.Encoder, hub.Encoder]) -> None:
    ours, theirs = (encoder.encode(_TEXTS, layers="all") for encoder in both)
    assert both[0]._engine.batches > 1
    for name in ("pooled_output", "sequence_output"):
        _assert_equal(ours[name], theirs[name])
    for layer, expected in zip(ours["encoder_outputs"], theirs["encoder_outputs"], strict=True):
        _assert_equal(layer, expected)


@pytest.mark.parametrize("pooling", ["cls", "max", "mean", "pooled"])
def test_embed(both: tuple[hub.Encoder, hub.Encoder], pooling: str) -> None:
    ours, theirs = (encoder.embed(_TEXTS, pooling=pooling) for encoder in both)
    _assert_equal(ours, theirs)


def test_stream_in_windows(both: tuple[hub.Encoder, hub.Encoder]) -> None:
    texts = ["the fox and the dog and the cat " * 9, "a dog", "12 dogs " * 20]
    options = {"pooling": "mean", "outputs": ["sequence_output", "pooled_output"], "window": 12, "stride": 2}
    ours, theirs = ([*encoder.stream(texts, chunk_size=2, **options)] for encoder in both)
    for chunk, expected in zip(ours, theirs, strict=True):
        for name in ("embedding", "sequence_output", "pooled_output"):
            _assert_equal(chunk[name], expected[name])


@pytest.mark.parametrize(("task", "pooling", "texts"), [("classify", "mean", _TEXTS), ("tag", None, _SENTENCES)])
def test_predict(models: Path, task: Any, pooling: Any, texts: list[Any]) -> None:
    draw = np.random.default_rng(1)
    hidden = read(models / "tf2_v4").config.hidden_size
    kernel = draw.normal(0, 0.3, (hidden, 3)).astype(np.float32)
    head = Head(
        task=task, labels=("a", "b", "c"), pooling=pooling, max_length=64, kernel=kernel, bias=np.zeros(3, np.float32)
    )
    ours, theirs = (encoder.logits(texts) for encoder in _encoders(models / "tf2_v4", head))
    _assert_equal(ours.values, theirs.values)
    assert ours.predictions() == theirs.predictions()


def test_arrays_with_holes_in_the_mask(both: tuple[hub.Encoder, hub.Encoder]) -> None:
    ids = np.array([[2, 7, 8, 9, 3], [2, 7, 3, 0, 0]])
    inputs = {"input_word_ids": ids, "input_mask": np.array([[1, 0, 1, 1, 1], [1, 1, 1, 0, 0]])}
    ours, theirs = (encoder(inputs) for encoder in both)
    _assert_equal(ours["sequence_output"], theirs["sequence_output"])
