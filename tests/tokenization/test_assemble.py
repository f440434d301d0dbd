import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from berthub.tokenization.assemble import longest_first
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
