import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from berthub.config import EncoderConfig
from berthub.encoding.planner import cut, plan
from berthub.tokenization.tokens import Tokens
from support.tiny import tiny_checkpoint


def _config(max_positions: int) -> EncoderConfig:
    return tiny_checkpoint("bert", max_positions=max_positions).config


_LENGTHS = st.lists(st.integers(0, 600), max_size=200).map(lambda values: np.array(values, np.int64))


@given(lengths=_LENGTHS, budget=st.integers(1, 5000))
def test_every_row_once_and_within_the_budget(lengths: np.ndarray, budget: int) -> None:
    batches = plan(lengths, budget=budget)
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        longest = lengths[batch].max()
        assert lengths[batch[0]] == longest
        assert len(batch) == 1 or longest * len(batch) <= budget


@given(lengths=st.lists(st.integers(1, 512), min_size=1, max_size=300))
def test_little_is_padded(lengths: list[int]) -> None:
    batches = plan(np.array(lengths))
    padding = [int((np.array(lengths)[batch].max() - np.array(lengths)[batch]).sum()) for batch in batches]
    more = [tokens for tokens in padding if tokens > 32]
    assert len(more) <= (len(batches) > 8)
    assert max(padding) <= 32 + 128


@given(lengths=_LENGTHS)
def test_large_batches_come_first(lengths: np.ndarray) -> None:
    sizes = [len(batch) * lengths[batch].max() for batch in plan(lengths)]
    assert sizes == sorted(sizes, reverse=True)


def test_a_few_short_rows_are_no_batch_of_their_own_in_a_large_call() -> None:
    def counts(lengths: list[int]) -> list[int]:
        return [len(batch) for batch in plan(np.array(lengths))]

    large = [512] * 16
    assert counts([*large, *[8] * 28, *[1] * 20]) == [2] * 8 + [48]
    assert counts([*large[:-2], *[8] * 28, *[1] * 20]) == [2] * 7 + [32, 16], "too few batches"
    assert counts([*large, *[8] * 28, *[1] * 21]) == [2] * 8 + [32, 17], "too many tokens"
    assert counts([*large, *[8] * 128, *[1] * 16]) == [2] * 8 + [128, 16], "no room"


@given(rows=st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=19), max_size=20), budget=st.integers(1, 100))
def test_batches_hold_the_rows(rows: list[list[int]], budget: int) -> None:
    lengths = [len(row) for row in rows]
    ids = np.array([index for row in rows for index in row], np.int32)
    splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array(lengths, np.int64))])
    tokens = Tokens(ids=ids, type_ids=ids % 2, row_splits=splits, truncated=np.zeros(len(rows), bool))
    for batch in cut(tokens, _config(19), pad=0, budget=budget):
        assert batch.ids.shape[1] <= 19
        for place, row in enumerate(batch.rows):
            assert batch.ids[place][batch.mask[place] == 1].tolist() == rows[row]
            assert batch.type_ids[place][batch.mask[place] == 1].tolist() == [index % 2 for index in rows[row]]
            assert not batch.ids[place, len(rows[row]) :].any()
            assert not batch.type_ids[place, len(rows[row]) :].any()


def test_few_shapes_occur_and_little_padding() -> None:
    draw = np.random.default_rng(0)
    shapes, tokens, padded = set(), 0, 0
    for _ in range(30):
        lengths = np.minimum(draw.geometric(0.01, 5000) + 2, 512)
        splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        ids = np.ones(splits[-1], np.int32)
        rows = Tokens(ids=ids, type_ids=ids * 0, row_splits=splits, truncated=np.zeros(5000, bool))
        for batch in cut(rows, _config(512), pad=0):
            shapes.add(batch.ids.shape)
            tokens += int(batch.mask.sum())
            padded += batch.ids.size
    assert len(shapes) < 500
    assert padded < 1.05 * tokens
