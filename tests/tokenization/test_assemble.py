import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from berthub.tokenization.assemble import Segments, Side, Template, assemble, longest_first
from berthub.tokenization.tokens import pad_rows


def _truncate_seq_pair(first: int, second: int, budget: int) -> tuple[int, int]:
    """Google's loop, on lengths."""
    while first + second > budget:
        if first > second:
            first -= 1
        else:
            second -= 1
    return first, second


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 80))
def test_longest_first_equals_googles_loop(first: int, second: int, budget: int) -> None:
    kept = longest_first(*(np.array([value]) for value in (first, second, budget)))
    assert tuple(int(array[0]) for array in kept) == _truncate_seq_pair(first, second, budget)


@pytest.mark.parametrize("width", [3, 5])
def test_pad_rows(width: int) -> None:
    padded = pad_rows(np.arange(1, 5, dtype=np.int32), np.array([0, 3, 3, 4]), width=width, value=9)
    assert padded[:, :3].tolist() == [[1, 2, 3], [9, 9, 9], [4, 9, 9]]
    assert padded.shape == (3, width)


@pytest.mark.parametrize(
    ("template", "max_length", "ids", "types"),
    [
        (Template(0, 9), None, [0, 1, 2, 9, 3, 4, 9], [0, 0, 0, 0, 1, 1, 1]),
        (Template(0, 9), 5, [0, 1, 9, 3, 9], [0, 0, 0, 1, 1]),
        (Template(0, 9, between=2, second_type=0), None, [0, 1, 2, 9, 9, 3, 4, 9], [0] * 8),
        (Template(0, 9, between=2, second_type=0), 6, [0, 1, 9, 9, 3, 9], [0] * 6),
        (Template(0, 9, between=2, second_type=0), 4, [0, 9, 9, 9], [0] * 4),
    ],
)
def test_pairs_have_the_form_of_the_template(
    template: Template, max_length: int | None, ids: list[int], types: list[int]
) -> None:
    first, second = (
        Segments(np.array([*pair, 7], np.int32), np.array([2, 1]), np.array([[0, 1], [1, 2], [0, 1]], np.int32))
        for pair in ([1, 2], [3, 4])
    )
    second = Segments(second.ids[:2], np.array([2, 0]), second.offsets[:2] if second.offsets is not None else None)
    tokens = assemble(first, second, np.array([True, False]), template=template, max_length=max_length)
    end = tokens.row_splits[1]
    assert tokens.ids[:end].tolist() == ids
    assert tokens.type_ids.tolist() == [*types, 0, 0, 0]
    assert tokens.ids[end:].tolist() == [0, 7, 9]
    assert tokens.truncated.tolist() == [max_length is not None, False]
    assert tokens.offsets is not None
    special = (tokens.ids == 0) | (tokens.ids == 9)
    assert ((tokens.offsets.sum(axis=1) == 0) == special).all()
    assert template.special(pairs=True) == len(ids) - sum(0 < number < 9 for number in ids)


def _made(lengths: list[int]) -> Segments:
    ids = np.arange(1, 1 + sum(lengths), dtype=np.int32)
    return Segments(ids, np.array(lengths, np.int64), np.stack([ids, ids + 1], 1))


@given(st.integers(0, 12), st.none() | st.integers(2, 14), st.sampled_from(["left", "right"]))
def test_a_text_by_itself_is_as_it_is_among_others(length: int, max_length: int | None, side: Side) -> None:
    template = Template(100, 101)
    nothing = np.zeros(2, np.bool_)
    others = assemble(_made([length, 3]), _made([0, 0]), nothing, template=template, max_length=max_length, side=side)
    alone = assemble(_made([length]), _made([0]), nothing[:1], template=template, max_length=max_length, side=side)
    end = int(others.row_splits[1])
    assert alone.ids.tolist() == others.ids[:end].tolist()
    assert alone.type_ids.tolist() == others.type_ids[:end].tolist()
    assert alone.row_splits.tolist() == others.row_splits[:2].tolist()
    assert alone.truncated.tolist() == others.truncated[:1].tolist()
    assert alone.offsets is not None
    assert others.offsets is not None
    assert alone.offsets.tolist() == others.offsets[:end].tolist()
    assert alone.bounds is not None
    assert others.bounds is not None
    assert alone.bounds.tolist() == others.bounds[:1].tolist()
    for name in ("ids", "type_ids", "row_splits", "truncated", "offsets", "bounds"):
        assert getattr(alone, name).dtype == getattr(others, name).dtype


def test_the_left_side_keeps_the_ends_of_both_texts() -> None:
    first, second = _made([4]), Segments(np.arange(11, 15, dtype=np.int32), np.array([4]), None)
    first = Segments(first.ids, first.lengths, None)
    tokens = assemble(first, second, np.array([True]), template=Template(0, 9), max_length=8, side="left")
    assert tokens.ids.tolist() == [0, 2, 3, 4, 9, 13, 14, 9]
    tokens = assemble(first, second, np.array([True]), template=Template(0, 9), max_length=8)
    assert tokens.ids.tolist() == [0, 1, 2, 3, 9, 11, 12, 9]
