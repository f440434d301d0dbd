import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.tokenization import characters, threads, tokenizer
from support.vocabularies import ALBERT_MODEL

_TEXTS = ["the fox", "", "S\u00e3o Paulo", "\u03a3\u0399\u03a3\u03a5\u03a6\u039f\u03a3 \U0001f6f8", "a" * 300] * 5


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"RAYON_NUM_THREADS": "3"}, 3),
        ({"RAYON_NUM_THREADS": "3", "TOKENIZERS_PARALLELISM": "False"}, 1),
        ({"RAYON_NUM_THREADS": "none", "TOKENIZERS_PARALLELISM": "true"}, 5),
        ({}, 5),
    ],
)
def test_as_many_threads_as_the_tokenizers_library(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], count: int
) -> None:
    for name in ("RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(5)), raising=False)
    assert threads.thread_count() == count


def test_two_at_a_time_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "thread_count", lambda: 16)
    together = threading.Barrier(2)

    def do(part: int) -> int:
        # Passed only where another part is worked on.
        together.wait(30)
        return 10 * part

    assert [*threads.map_concurrently(do, range(6))] == [0, 10, 20, 30, 40, 50]


@pytest.mark.parametrize("offsets", [False, True])
@pytest.mark.parametrize(
    ("vocabulary", "reference"),
    [(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abhefoxt", "##he"], "google"), (ALBERT_MODEL, "tf_text")],
)
def test_threads_change_nothing(
    monkeypatch: pytest.MonkeyPatch, vocabulary: Any, reference: Any, offsets: bool
) -> None:
    made = hub.Tokenizer(vocabulary, tokenization=reference)
    monkeypatch.setattr(threads, "thread_count", lambda: 1)
    expected = made.tokens(_TEXTS, offsets=offsets)
    monkeypatch.setattr(tokenizer, "_CHUNK", 4)
    monkeypatch.setattr(threads, "thread_count", lambda: 2)
    tokens = made.tokens(_TEXTS, offsets=offsets)
    np.testing.assert_array_equal(tokens.ids, expected.ids)
    np.testing.assert_array_equal(tokens.row_splits, expected.row_splits)
    if offsets:
        assert expected.offsets is not None
        np.testing.assert_array_equal(tokens.offsets, expected.offsets)


def test_a_table_that_is_emptied_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(characters, "REMEMBERED", 3)
    table = characters.CharacterTable(lambda character: 2 * character)
    with ThreadPoolExecutor(4) as pool:
        made = [*pool.map(lambda _: table.align("abcdefg" * 200).text, range(50))]
    assert set(made) == {"aabbccddeeffgg" * 200}
