import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from berthub.engines.batching import Padding, batches, companions, pad, padded, plan, select
from berthub.engines.engine import Batch, Limits, PaddedBatch
from berthub.engines.openvino import OpenVinoEngine
from berthub.tokenization.tokens import Tokens
from support.tiny import tiny_checkpoint

_OURS = OpenVinoEngine.limits
_RAGGED = Limits(tokens=1024, padded=False)
_LENGTHS = st.lists(st.integers(0, 600), max_size=200).map(lambda values: np.array(values, np.int64))
_ROWS = st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=19), max_size=20)


def _padding(architecture: str, max_positions: int, limits: Limits = _OURS) -> Padding:
    return Padding.of(tiny_checkpoint(architecture, max_positions=max_positions), limits)


def _tokens(rows: list[list[int]]) -> Tokens:
    ids = np.array([index for row in rows for index in row], np.int32)
    splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array([len(row) for row in rows], np.int64))])
    return Tokens(ids=ids, type_ids=ids % 2, row_splits=splits, truncated=np.zeros(len(rows), bool))


class TestPlan:
    @given(
        lengths=_LENGTHS,
        limits=st.builds(
            Limits,
            tokens=st.integers(1, 5000),
            padded=st.booleans(),
            few_shapes=st.booleans(),
            concurrent_from=st.none() | st.integers(1, 9),
        ),
    )
    def test_every_row_once_and_within_the_budget(self, lengths: np.ndarray, limits: Limits) -> None:
        found = plan(lengths, limits)
        assert sorted(row for rows in found for row in rows.tolist()) == list(range(len(lengths)))
        for rows in found:
            longest = lengths[rows].max()
            assert lengths[rows[0]] == longest
            size = longest * len(rows) if limits.padded else lengths[rows].sum()
            assert len(rows) == 1 or size <= limits.tokens

    @given(lengths=st.lists(st.integers(1, 512), min_size=1, max_size=300))
    def test_little_is_padded(self, lengths: list[int]) -> None:
        found = plan(np.array(lengths), _OURS)
        padding = [int((np.array(lengths)[rows].max() - np.array(lengths)[rows]).sum()) for rows in found]
        more = [tokens for tokens in padding if tokens > 32]
        assert len(more) <= (len(found) > 8)
        assert max(padding) <= 32 + 128

    @given(lengths=_LENGTHS)
    def test_large_batches_come_first(self, lengths: np.ndarray) -> None:
        sizes = [len(rows) * lengths[rows].max() for rows in plan(lengths, _OURS)]
        assert sizes == sorted(sizes, reverse=True)
        sizes = [lengths[rows].sum() for rows in plan(lengths, _RAGGED)]
        assert sizes == sorted(sizes, reverse=True)

    @given(lengths=st.lists(st.integers(1, 512), min_size=1, max_size=300))
    def test_ragged_batches_are_filled(self, lengths: list[int]) -> None:
        sizes = [sum(lengths[row] for row in rows) for rows in plan(np.array(lengths), _RAGGED)]
        # What does not fit any more is a row of at most 512 tokens.
        assert sum(size <= 512 for size in sizes) <= 1

    def test_a_few_short_rows_are_no_batch_of_their_own_in_a_large_call(self) -> None:
        def counts(lengths: list[int], limits: Limits = _OURS) -> list[int]:
            return [len(rows) for rows in plan(np.array(lengths), limits)]

        large = [512] * 16
        assert counts([*large, *[8] * 28, *[1] * 20]) == [2] * 8 + [48]
        assert counts([*large[:-2], *[8] * 28, *[1] * 20]) == [2] * 7 + [32, 16], "too few batches"
        assert counts([*large, *[8] * 28, *[1] * 21]) == [2] * 8 + [32, 17], "too many tokens"
        assert counts([*large, *[8] * 128, *[1] * 16]) == [2] * 8 + [128, 16], "no room"
        alone = dataclasses.replace(_OURS, concurrent_from=None)
        assert counts([*large, *[8] * 28, *[1] * 20], alone) == [2] * 8 + [32, 16], "never computed side by side"


@given(rows=_ROWS, limits=st.builds(Limits, tokens=st.integers(1, 100), padded=st.booleans()))
def test_ragged_batches_hold_the_rows(rows: list[list[int]], limits: Limits) -> None:
    seen = []
    for batch in batches(_tokens(rows), limits):
        assert batch.offsets[0] == 0
        assert batch.offsets[-1] == len(batch.ids) == len(batch.type_ids)
        for place, row in enumerate(batch.rows.tolist()):
            inside = slice(batch.offsets[place], batch.offsets[place + 1])
            assert batch.ids[inside].tolist() == rows[row]
            assert batch.type_ids[inside].tolist() == [index % 2 for index in rows[row]]
        assert batch.lengths.tolist() == [len(rows[row]) for row in batch.rows]
        seen += batch.rows.tolist()
    assert sorted(seen) == [*range(len(rows))]


def test_a_single_row_is_not_copied() -> None:
    tokens = _tokens([[1, 2], [3, 4, 5]])
    assert np.shares_memory(select(tokens, np.array([1])).ids, tokens.ids)


class TestPadding:
    @given(rows=_ROWS, budget=st.integers(1, 100), few=st.booleans())
    def test_padded_batches_hold_the_rows(self, rows: list[list[int]], budget: int, few: bool) -> None:
        limits = Limits(tokens=budget, few_shapes=few)
        for batch in padded(batches(_tokens(rows), limits), _padding("bert", 19, limits)):
            assert batch.ids.shape[1] <= 19
            for place, row in enumerate(batch.rows):
                assert batch.ids[place][batch.mask[place] == 1].tolist() == rows[row]
                assert batch.type_ids[place][batch.mask[place] == 1].tolist() == [index % 2 for index in rows[row]]
                assert not batch.ids[place, len(rows[row]) :].any()
                assert not batch.type_ids[place, len(rows[row]) :].any()
                assert not batch.mask[place, len(rows[row]) :].any()

    def test_what_is_padded_already_comes_through(self) -> None:
        ids = np.array([[1, 2]], np.int32)
        given = PaddedBatch(ids=ids, mask=ids, type_ids=ids, rows=np.arange(1))
        ragged = Batch(ids=ids[0], type_ids=ids[0], offsets=np.array([0, 2]), rows=np.arange(1))
        first, second = padded([given, ragged], _padding("bert", 64))
        assert first is given
        assert second.ids.tolist() == [[1, 2]]

    def test_of_a_model_that_sees_it(self) -> None:
        few, any_width = Limits(tokens=1024, few_shapes=True), Limits(tokens=1024)
        # One behind every row, as far as there are positions.
        assert [_padding("mobilebert", 64, any_width).width(longest) for longest in (3, 63, 64)] == [4, 64, 64]
        assert [_padding("bert", 64, any_width).width(longest) for longest in (3, 63, 64)] == [3, 63, 64]
        assert [_padding("mobilebert", 512, few).width(longest) for longest in (63, 64, 65, 511)] == [64, 66, 66, 512]
        assert [_padding("bert", 512, few).width(longest) for longest in (64, 65, 129, 512)] == [64, 66, 132, 512]

    def test_the_id_that_fills_up(self) -> None:
        batch = select(_tokens([[1, 2], [3]]), np.arange(2))
        assert pad(batch, width=3, value=9).ids.tolist() == [[1, 2, 9], [3, 9, 9]]

    def test_few_shapes_occur_and_little_padding(self) -> None:
        draw = np.random.default_rng(0)
        shapes, tokens, size = set(), 0, 0
        for _ in range(30):
            lengths = np.minimum(draw.geometric(0.01, 5000) + 2, 512)
            splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
            ids = np.ones(splits[-1], np.int32)
            rows = Tokens(ids=ids, type_ids=ids * 0, row_splits=splits, truncated=np.zeros(5000, bool))
            for batch in padded(batches(rows, _OURS), _padding("bert", 512)):
                shapes.add(batch.ids.shape)
                tokens += int(batch.mask.sum())
                size += batch.ids.size
        assert len(shapes) < 500
        assert size < 1.05 * tokens


class TestCompanions:
    @given(
        st.lists(st.integers(1, 60), min_size=1, max_size=80),
        st.data(),
        st.integers(1, 300),
        st.booleans(),
        st.booleans(),
    )
    def test_a_batch_has_the_row_and_keeps_to_the_limits(
        self, lengths: list[int], data: st.DataObject, tokens: int, padded: bool, few_shapes: bool
    ) -> None:
        ordered = np.array(sorted(lengths, reverse=True), np.int64)
        row = data.draw(st.integers(0, len(ordered) - 1))
        chosen = companions(ordered, row, Limits(tokens=tokens, padded=padded, few_shapes=few_shapes))
        found = ordered[chosen]
        assert chosen.start <= row < chosen.stop
        if padded:
            assert len(found) == 1 or len(found) * found[0] <= tokens
            assert (found[0] - found).sum() <= 32
        else:
            assert len(found) == 1 or found.sum() <= tokens

    def test_as_many_as_there_is_room_for(self) -> None:
        lengths = np.array([40, 21, 20, 20, 20, 20, 19, 5], np.int64)
        limits = Limits(tokens=80, padded=True)
        assert companions(lengths, 2, limits) == slice(2, 6)
        assert companions(lengths, 6, limits) == slice(3, 7)
        assert companions(lengths, 0, limits) == slice(0, 2)
        assert companions(lengths, 7, limits) == slice(4, 8)
        assert companions(np.full(100, 7, np.int64), 99, limits) == slice(89, 100)
        assert companions(lengths, 7, Limits(tokens=30, padded=False)) == slice(6, 8)
