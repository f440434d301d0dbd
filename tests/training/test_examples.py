import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from berthub.tokenization.tokens import Tokens
from berthub.training.examples import Examples, order_of_epoch, training_batches

LENGTHS = st.lists(st.integers(1, 90), min_size=1, max_size=200)


def _examples(lengths: list[int], *, per_token: bool = False) -> Examples:
    """Row `i` has the ids i + 1, and as its target i; of its tokens, every second has target i, the others none."""
    splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.repeat(np.arange(len(lengths)), lengths).astype(np.int32)
    tokens = Tokens(
        ids=rows + 1,
        type_ids=np.zeros_like(rows),
        row_splits=splits,
        truncated=np.zeros(len(lengths), np.bool_),
    )
    places = np.arange(len(rows)) - splits[rows]
    targets = (
        np.where(places % 2 == 0, rows, -1).astype(np.int32) if per_token else np.arange(len(lengths), dtype=np.int32)
    )
    return Examples(tokens, targets, pad=0, per_token=per_token)


@given(lengths=LENGTHS, size=st.integers(1, 9), seed=st.integers(0, 2**40), epoch=st.integers(0, 5))
def test_every_row_occurs_once_an_epoch(lengths: list[int], size: int, seed: int, epoch: int) -> None:
    array = np.array(lengths, np.int64)
    batches = order_of_epoch(array, batch_size=size, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    # The number of steps that the schedule counts on, and one batch that is not full at most.
    assert len(batches) == -(-len(lengths) // size)
    assert sum(len(rows) != size for rows in batches) <= 1
    again = order_of_epoch(array, batch_size=size, seed=seed, epoch=epoch)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(batches, again, strict=True))


def test_the_order_differs_by_seed_and_epoch() -> None:
    lengths = np.random.default_rng(0).integers(3, 100, 1000)
    orders = [
        np.concatenate(order_of_epoch(lengths, batch_size=8, seed=seed, epoch=epoch)).tolist()
        for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    assert len({tuple(order) for order in orders}) == 4


def test_lengths_differ_little_within_a_batch_of_those_drawn_together() -> None:
    lengths = np.random.default_rng(0).integers(3, 100, 1000)
    alone = order_of_epoch(lengths, batch_size=8, seed=0, epoch=0)
    assert np.mean([np.ptp(lengths[rows]) for rows in alone]) > 60
    # Neighbours attend together.
    assert all((np.diff(lengths[rows]) >= 0).all() for rows in alone)
    batches = order_of_epoch(lengths, batch_size=8, seed=0, epoch=0, together=32)
    assert np.mean([np.ptp(lengths[rows]) for rows in batches]) < 6
    # Batches of long texts and of short ones come mixed.
    means = np.array([lengths[rows].mean() for rows in batches])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3


@pytest.mark.parametrize("few_shapes", [False, True])
@given(lengths=LENGTHS, size=st.integers(1, 9), begin=st.integers(0, 3))
def test_batches_hold_their_rows(few_shapes: bool, lengths: list[int], size: int, begin: int) -> None:
    examples = _examples(lengths)
    options = {"batch_size": size, "seed": 1, "epoch": 0, "few_shapes": few_shapes, "max_width": 90}
    batches = list(training_batches(examples, begin=begin, **options))  # type: ignore[arg-type]
    together = 4 if few_shapes else 1
    order = order_of_epoch(examples.tokens.lengths, batch_size=size, seed=1, epoch=0, together=together)[begin:]
    assert [batch.examples for batch in batches] == [len(rows) for rows in order]
    for batch, rows in zip(batches, order, strict=True):
        ids, mask = batch.inputs["input_word_ids"], batch.inputs["input_mask"]
        np.testing.assert_array_equal(batch.targets[: len(rows)], rows)
        np.testing.assert_array_equal(ids[: len(rows)].max(1), rows + 1)
        np.testing.assert_array_equal(mask.sum(1)[: len(rows)], np.array(lengths)[rows])
        # What fills up counts for nothing, and yet has tokens.
        np.testing.assert_array_equal(batch.weights, np.arange(len(ids)) < len(rows))
        assert (mask.sum(1) > 0).all()
        if few_shapes:
            assert len(ids) == size
            assert ids.shape[1] in (16, 32, 48, 64, 90)
        else:
            assert ids.shape == (len(rows), max(np.array(lengths)[rows]))


@pytest.mark.parametrize("few_shapes", [False, True])
def test_tags_weigh_only_where_a_token_has_one(few_shapes: bool) -> None:
    examples = _examples([3, 5, 2, 7, 4], per_token=True)
    seen = []
    for batch in training_batches(
        examples, batch_size=2, seed=0, epoch=0, begin=0, few_shapes=few_shapes, max_width=64
    ):
        ids = batch.inputs["input_word_ids"]
        assert batch.targets.shape == batch.weights.shape == ids.shape
        expected = (np.arange(ids.shape[1]) % 2 == 0) & (ids > 0) & (np.arange(len(ids)) < batch.examples)[:, None]
        np.testing.assert_array_equal(batch.weights, expected)
        np.testing.assert_array_equal(batch.targets[batch.weights > 0], ids[batch.weights > 0] - 1)
        assert (batch.targets >= 0).all()
        seen += batch.targets[batch.weights > 0].tolist()
    assert sorted(seen) == sorted(examples.targets[examples.targets >= 0].tolist())


def test_the_fingerprint_differs_wherever_the_examples_do() -> None:
    prints = {
        _examples([3, 4]).fingerprint(),
        _examples([4, 3]).fingerprint(),
        _examples([3, 4, 1]).fingerprint(),
        _examples([3, 4], per_token=True).fingerprint(),
    }
    assert len(prints) == 4
    assert _examples([3, 4]).fingerprint() in prints
