import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from berthub.containers.files import read_lines
from berthub.errors import InputError
from berthub.tokenization.packing import pack, padded_inputs, to_segments
from berthub.vocabulary import Vocabulary

DATA = Path(__file__).parent.parent / "data"
VOCABULARIES = {
    "uncased": DATA / "models" / "preprocess" / "assets" / "vocab.txt",
    "cased": DATA / "preprocess" / "cased_vocab.txt",
}
SMALL = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *map(str, range(4, 50))))


def inputs(segments: list[Any], seq_length: int, vocabulary: Vocabulary = SMALL) -> dict[str, Any]:
    first, *second = (to_segments(segment, vocabulary_size=len(vocabulary)) for segment in segments)
    tokens = pack(first, second[0] if second else None, seq_length=seq_length, vocabulary=vocabulary)
    return padded_inputs(tokens, seq_length=seq_length, vocabulary=vocabulary)


def expected(cases: list[tuple[list[int], int]], seq_length: int) -> dict[str, Any]:
    """What the goldens say: the ids of each row, and how many of the last ones are of type 1."""
    arrays = {name: np.zeros((len(cases), seq_length), np.int32) for name in ("ids", "mask", "types")}
    for row, (ids, ones) in enumerate(cases):
        arrays["ids"][row, : len(ids)] = ids
        arrays["mask"][row, : len(ids)] = 1
        arrays["types"][row, len(ids) - ones : len(ids)] = 1
    return {"input_word_ids": arrays["ids"], "input_mask": arrays["mask"], "input_type_ids": arrays["types"]}


def assert_equal(made: dict[str, Any], golden: dict[str, Any]) -> None:
    assert list(made) == list(golden)
    for name, array in golden.items():
        assert made[name].dtype == np.int32
        np.testing.assert_array_equal(made[name], array, err_msg=name)


@pytest.mark.parametrize("name", VOCABULARIES)
def test_segments_are_packed_as_by_the_savedmodel(name: str) -> None:
    golden = json.loads((DATA / "preprocess" / "pack.json").read_text(encoding="utf-8"))["sets"][name]
    vocabulary = Vocabulary(tuple(read_lines(VOCABULARIES[name])))
    groups: dict[tuple[int, int], list[Any]] = {}
    for seq_length, segments, ids, ones in golden["packed"]:
        groups.setdefault((seq_length, len(segments)), []).append((segments, ids, ones))
    assert sorted(groups) == [(length, count) for length in (16, 32, 128) for count in (1, 2)]
    for (seq_length, count), rows in groups.items():
        batch = [[golden["pieces"][segments[part]] for segments, _, _ in rows] for part in range(count)]
        made = inputs(batch, seq_length, vocabulary)
        assert_equal(made, expected([(ids, ones) for _, ids, ones in rows], seq_length))


@pytest.mark.parametrize("name", VOCABULARIES)
def test_every_golden_of_the_savedmodel(name: str) -> None:
    folder = DATA.parent.parent.parent / "shared" / "models" / "tiny"
    if not folder.is_dir():
        pytest.skip("needs ../shared/models/tiny, which is not part of the repository")
    golden = json.loads((folder / "preprocess" / "golden_tokens.json").read_text(encoding="utf-8"))
    vocabulary = Vocabulary(tuple(read_lines(VOCABULARIES[name])))
    words = {case["text"]: case[name]["savedmodel"] for case in golden["cases"]}
    compared = 0
    for case in golden["pack"][name]:
        if all(text in words for text in case["segments"]):
            # The words' pieces in lists of their own, as the SavedModel gives them.
            made = inputs([[words[text]] for text in case["segments"]], case["seq_length"], vocabulary)
            row = (case["input_word_ids"], sum(case["input_type_ids"]))
            assert_equal(made, expected([row], case["seq_length"]))
            compared += 1
    assert compared >= 120


def turn_by_turn(lengths: list[int], budget: int) -> list[int]:
    """TensorFlow Text's RoundRobinTrimmer: one place to each segment that still has tokens, until none is left."""
    kept = [0] * len(lengths)
    for part in itertools.cycle(range(len(lengths))):
        if not budget or kept == lengths:
            return kept
        if kept[part] < lengths[part]:
            kept[part] += 1
            budget -= 1
    raise AssertionError


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=6), st.integers(3, 20))
def test_places_are_given_turn_by_turn(lengths: list[tuple[int, int]], seq_length: int) -> None:
    made = inputs([[[10] * a for a, _ in lengths], [[20] * b for _, b in lengths]], seq_length)
    for row, pair in enumerate(lengths):
        first, second = turn_by_turn([*pair], seq_length - 3)
        ids = made["input_word_ids"][row, : first + second + 3].tolist()
        assert ids == [2, *[10] * first, 3, *[20] * second, 3]
        assert made["input_mask"][row].sum() == len(ids)
        assert made["input_type_ids"][row].sum() == second + 1


@given(st.lists(st.lists(st.integers(4, 49), max_size=9), min_size=2, max_size=6), st.integers(2, 12))
def test_a_row_does_not_depend_on_the_others(rows: list[list[int]], seq_length: int) -> None:
    together = inputs([rows], seq_length)
    for index, row in enumerate(rows):
        for name, array in inputs([[row]], seq_length).items():
            np.testing.assert_array_equal(together[name][index : index + 1], array)


def test_rows_and_words_in_every_form() -> None:
    flat = [[4, 5, 6], [], [7]]
    for form in (flat, [[[4, 5], [6]], [], [[7]]], [np.array(row, np.int64) for row in flat], (tuple(r) for r in flat)):
        segments = to_segments(form, vocabulary_size=50)
        assert (segments.ids.tolist(), segments.lengths.tolist()) == ([4, 5, 6, 7], [3, 0, 1])
        assert segments.ids.dtype == np.int32
    assert inputs([[]], 8)["input_word_ids"].shape == (0, 8)
    assert to_segments(np.array([[4, 5], [6, 7]]), vocabulary_size=50).lengths.tolist() == [2, 2]


def wrong() -> Iterator[tuple[Any, str]]:
    yield "text", "a segment is a list with a list of token ids for each text, not 'text'"
    yield [4, 5], "row 0 of a segment is 4"
    yield [[4], ["a"]], "whole numbers from 0 to 49"
    yield [[4, [5]]], "neither a list of token ids nor a list of lists"
    yield [[4.5]], "these are float64"
    yield [[50]], "from 0 to 49, the vocabulary's; these go from 50 to 50"
    yield [[-1, 4]], "these go from -1 to 4"


@pytest.mark.parametrize(("rows", "message"), list(wrong()))
def test_what_are_no_ids_is_refused(rows: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_segments(rows, vocabulary_size=50)


def test_segments_of_different_numbers_of_rows_are_refused() -> None:
    with pytest.raises(InputError, match="as many rows; they have 2 and 1"):
        inputs([[[4], [5]], [[6]]], 8)
