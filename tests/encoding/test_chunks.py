from collections.abc import Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from berthub.encoding.chunks import chunks, part, runs
from berthub.tokenization.tokenizer import Text
from berthub.tokenization.tokens import Tokens


def test_chunks_end_with_the_text_that_fills_them() -> None:
    texts = ["a" * 5, ("b", "c" * 8), "d", "e", "f"]
    assert [len(chunk) for chunk in chunks(iter(texts), size=2)] == [2, 2, 1]
    assert [len(chunk) for chunk in chunks(iter(texts), size=3, characters=14)] == [2, 3]
    assert [len(chunk) for chunk in chunks(iter(texts), size=9, characters=1)] == [1] * 5
    assert list(chunks(iter([]), size=2)) == []


def test_chunks_of_so_many_characters_keep_texts_in_order() -> None:
    texts: list[Text] = ["a" * 700_000, "b" * 700_000, "", ("c" * 2_000_000, "d"), "e"]
    assert [[len(text) for text in group] for group in chunks(texts, characters=1 << 20)] == [
        [700_000, 700_000],
        [0, 2],
        [1],
    ]
    assert [*chunks([], characters=1 << 20)] == []


def test_no_text_is_read_before_it_is_needed() -> None:
    read = []

    def texts() -> Iterator[str]:
        for number in range(9):
            read.append(number)
            yield str(number)

    next(chunks(texts(), size=2, characters=100))
    assert read == [0, 1]


@given(st.lists(st.integers(0, 20)), st.integers(1, 50))
def test_runs_are_as_long_as_they_can_be(lengths: list[int], max_tokens: int) -> None:
    found = list(runs(np.array(lengths, np.int64), max_tokens=max_tokens))
    assert [row for rows in found for row in range(rows.start, rows.stop)] == list(range(len(lengths)))
    for rows in found:
        size = rows.stop - rows.start
        assert size == 1 or size * max(lengths[rows]) <= max_tokens
        if rows.stop < len(lengths):
            assert (size + 1) * max(lengths[rows.start : rows.stop + 1]) > max_tokens


def test_a_part_is_tokens_of_its_own() -> None:
    ids = np.arange(9, dtype=np.int32)
    tokens = Tokens(
        ids=ids,
        type_ids=ids + 10,
        row_splits=np.array([0, 2, 2, 5, 9]),
        truncated=np.array([True, False, True, False]),
        offsets=np.stack([ids, ids], axis=1),
    )
    some = part(tokens, slice(1, 3))
    assert some.ids.tolist() == [2, 3, 4]
    assert some.type_ids.tolist() == [12, 13, 14]
    assert some.row_splits.tolist() == [0, 0, 3]
    assert some.truncated.tolist() == [False, True]
    assert some.offsets is not None
    assert some.offsets[:, 0].tolist() == [2, 3, 4]
