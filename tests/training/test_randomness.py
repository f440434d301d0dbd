"""Each use of a seed, each seed, and each fit has random numbers of its own."""

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.training import trainer
from berthub.training.examples import order_of_epoch
from berthub.training.keras_layer import KerasLayer
from berthub.training.model import Adaptation, Scaling, build_model
from berthub.training.operations import operations
from berthub.training.randomness import Use, dropout_share, seed_for, stream
from support.finetuning import FIT, data, tuner

_DRAWN = 4096
# Five standard deviations of a correlation of independent numbers, and the number of pairs is small.
_NEAR_ZERO = 5 / math.sqrt(_DRAWN)


def _correlation(one: Any, other: Any) -> float:
    return abs(float(np.corrcoef(np.ravel(one).astype(float), np.ravel(other).astype(float))[0, 1]))


def test_streams_of_uses_seeds_and_keys_share_nothing() -> None:
    keys: list[tuple[Any, ...]] = [(seed, use) for seed in (0, 1, 2, 2**62) for use in Use]
    keys += [(seed, Use.ORDER, *key) for seed in (0, 1) for key in ((0,), (1,), (0, 0), (0, 1), (1, 0))]
    drawn = {key: stream(*key).random(_DRAWN) for key in keys}
    assert len({array[0] for array in drawn.values()}) == len(keys)
    for one, other in itertools.combinations(drawn.values(), 2):
        assert _correlation(one, other) < _NEAR_ZERO
        # Nor a step apart.
        assert _correlation(one[1:], other[:-1]) < _NEAR_ZERO
    for key in keys:
        np.testing.assert_array_equal(stream(*key).random(_DRAWN), drawn[key])
    assert stream(None, Use.HEAD).random() != stream(None, Use.HEAD).random()


def test_seeds_are_far_apart_and_fit_what_draws() -> None:
    seeds = [seed_for(seed, use, fit) for seed in range(30) for use in Use for fit in range(3)]
    assert all(0 <= seed < 2**31 for seed in seeds)
    # Farther than the steps of a training: on PyTorch a step is one more.
    assert np.diff(np.sort(seeds)).min() > 100
    assert all(0 <= seed_for(seed, Use.FIT, 0, bits=62) < 2**62 for seed in range(30))


@pytest.mark.parametrize("digits", [8, 11, 24, 53])
@pytest.mark.parametrize("rate", [1e-9, 0.001, 0.1, 0.2, 1 / 3, 0.5, 0.9, 0.999])
def test_what_dropout_keeps_fits_its_factor(digits: int, rate: float) -> None:
    share, factor = dropout_share(rate, digits=digits)
    assert math.ldexp(math.frexp(factor)[0], digits).is_integer()
    assert factor == pytest.approx(1 / (1 - rate), rel=2.0**-digits)
    if factor > 1:
        assert share * factor == pytest.approx(1, abs=1e-12)
    else:
        assert share == 1 - rate
    assert share == pytest.approx(1 - rate, rel=2.0**-digits)


def _masks(seeds: Any, shape: tuple[int, ...] = (64, 64), dtype: str = "float32") -> np.ndarray:
    ones = keras.ops.ones(shape, dtype)
    return np.asarray(
        keras.ops.convert_to_numpy(keras.ops.cast(operations(dtype, seeds).dropout(ones, 0.1), "float32"))
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dropout_keeps_the_mean(dtype: str) -> None:
    count = 2_000_000
    dropped = _masks(keras.random.SeedGenerator(5), (count // 1000, 1000), dtype)
    assert (dropped == 0).mean() == pytest.approx(0.1, abs=2e-3)
    # Four standard deviations; in bfloat16 the rounded factor alone would be seven off.
    assert dropped.mean(dtype=np.float64) == pytest.approx(1, abs=4 * math.sqrt(0.1 / 0.9 / count))


def _layer_seeds(start: Checkpoint, seed: int) -> Any:
    return KerasLayer(start, trainable=True, seed=seed)._seed_generator


def _head_seeds(start: Checkpoint, seed: int) -> Any:
    return _model(start, seed).keras.get_layer("dropout")._seed_generator


def _model(start: Checkpoint, seed: int) -> Any:
    return build_model(
        start,
        task="classify",
        labels=tuple("abcdefgh"),
        pooling="pooled",
        max_length=8,
        adaptation=Adaptation(seed=seed),
        policy="float32",
        scaling=Scaling(),
    )


def test_masks_of_neighbouring_seeds_and_steps_share_nothing(start: Checkpoint) -> None:
    masks = []
    for seed in (0, 1, 2):
        for seeds in (_layer_seeds(start, seed), _head_seeds(start, seed)):
            masks += [_masks(seeds) > 0 for _ in range(3)]
    for one, other in itertools.combinations(masks, 2):
        assert _correlation(one, other) < _NEAR_ZERO


def test_the_head_and_the_first_order_share_nothing(start: Checkpoint) -> None:
    for seed in (0, 7):
        model = _model(start, seed)
        kernel = np.argsort(model.head.kernel, axis=None)
        lengths = np.full(kernel.size, 5)
        order = np.concatenate(order_of_epoch(lengths, batch_size=8, seed=seed, epoch=0))
        assert _correlation(kernel, order) < 5 / math.sqrt(kernel.size)
        # As it was: the head began with the numbers that the order began with.
        old = np.random.default_rng(seed).standard_normal(kernel.size, np.float32)
        assert _correlation(model.head.kernel, old) < 5 / math.sqrt(kernel.size)


def test_lora_begins_elsewhere_for_each_weight_and_seed(models: Path) -> None:
    downs: list[np.ndarray] = []
    for seed in (0, 1, 1000):
        layer = hub.KerasLayer(models / "tf2_v4", trainable=True, lora_rank=8, seed=seed)
        downs += [keras.ops.convert_to_numpy(v.value)[:32] for v in layer.trainable_variables if "down" in v.name]
    assert len(downs) == 3 * 13
    for one, other in itertools.combinations(downs, 2):
        assert _correlation(one, other) < 5 / math.sqrt(one.size)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "one"])
def test_a_seed_that_is_none_is_said(models: Path, seed: Any) -> None:
    with pytest.raises(hub.BerthubError, match="it is a whole number from 0, or None"):
        hub.KerasLayer(models / "tf2_v4", seed=seed)


def test_a_second_fit_has_an_order_masks_and_a_state_of_its_own(
    start: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedError(Exception):
        pass

    given: list[tuple[int, int]] = []
    train = trainer.train

    def watched(*args: Any, **named: Any) -> Any:
        given.append((named["seed"], named["fit"]))
        # Only the first one has to end well: the others show what they begin with.
        if len(given) > 1:
            raise StoppedError
        return train(*args, **named)

    monkeypatch.setattr("berthub.training.tasks.fine_tuner.train", watched)
    model = tuner("two", start)
    again = tuner("two", start)
    options = {**FIT, "epochs": 1}
    model.fit(*data("two"), **options)
    for one in (model, again):
        with pytest.raises(StoppedError):
            one.fit(*data("two"), **options)
    assert [fit for _, fit in given] == [0, 1, 0]
    assert given[0][0] != given[1][0]
    assert given[0][0] == given[2][0]


def test_an_interrupted_second_fit_goes_on_the_same_in_another_process(
    start: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from berthub.training.state import StateStore

    options = {**FIT, "epochs": 2, "checkpoint_steps": 2}
    whole = tuner("two", start).fit(*data("two"), **options)
    first = whole.checkpoint()
    whole.fit(*data("two"), **options)

    class StoppedError(Exception):
        pass

    write = StateStore.write

    def stopping(*args: Any) -> None:
        write(*args)
        if args[2].epoch == 1:
            raise StoppedError

    stopped = tuner("two", start).fit(*data("two"), **options)
    monkeypatch.setattr(StateStore, "write", stopping)
    with pytest.raises(StoppedError):
        stopped.fit(*data("two"), run=tmp_path / "run", **options)
    monkeypatch.setattr(StateStore, "write", write)
    # An object that knows nothing of the first fit but its model.
    resumed = tuner("two", dataclasses.replace(first)).fit(*data("two"), run=tmp_path / "run", resume=True, **options)
    for name, weight in whole.checkpoint().weights.items():
        np.testing.assert_array_equal(resumed.checkpoint().weights[name], weight)
    assert resumed._fits == 2
