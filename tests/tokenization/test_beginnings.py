import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.hard_texts import hard_text

from berthub.tokenization.beginnings import beginning
from berthub.tokenization.tokenizer import Tokenizer

PARTS = ["the fox", "\u4e2d\u6587\u5b57", "Unbelievable!", "\t", "\n", "  ", "a" * 300, "\u03a3", "e\u0301"]


def _text(numbers: random.Random, count: int) -> str:
    parts = (hard_text(numbers) if numbers.random() < 0.1 else numbers.choice(PARTS) for _ in range(count))
    return "".join(part + numbers.choice(["", " "]) for part in parts)


def _whole(tokenizer: Tokenizer, text: Any, max_length: int, *, offsets: bool) -> Any:
    """The tokens as they would be without the shortcut."""
    original = tokenizer._beginnings
    tokenizer._beginnings = lambda texts, limit: texts  # type: ignore[method-assign]
    try:
        return tokenizer.tokens([text], max_length=max_length, offsets=offsets)
    finally:
        tokenizer._beginnings = original  # type: ignore[method-assign]


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["google", "tf_text"])
@pytest.mark.parametrize("lower_case", [True, False])
def test_a_beginning_has_the_tokens_of_the_whole(models: Path, reference: Any, lower_case: bool) -> None:
    vocabulary = Tokenizer.from_pretrained(models / "tf2_v4").vocabulary
    tokenizer = Tokenizer(vocabulary, tokenization=reference, lower_case=lower_case)
    shortened = 0
    for seed in range(60):
        numbers = random.Random(seed)
        text: Any = _text(numbers, 1500)
        if seed % 3 == 0:
            text = (text, _text(numbers, numbers.choice([1, 5, 1500])))
        max_length = numbers.choice([3, 4, 16, 33])
        max_length = max(max_length, tokenizer.least(pairs=isinstance(text, tuple)))
        found = tokenizer.tokens([text], max_length=max_length, offsets=True)
        expected = _whole(tokenizer, text, max_length, offsets=True)
        for name in ("ids", "type_ids", "row_splits", "truncated", "offsets"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=f"{seed} {name}")
        first = text[0] if isinstance(text, tuple) else text
        shortened += tokenizer._beginnings([first], max_length) != [first]
    assert shortened > 20


@pytest.mark.parametrize("text", [" " * 100_000 + "the fox " * 50, "\u200b " * 60_000 + "the fox"])
def test_blank_beginnings_are_passed_over(models: Path, text: str) -> None:
    tokenizer = Tokenizer.from_pretrained(models / "tf2_v4")
    found, expected = tokenizer.tokens([text], max_length=8), _whole(tokenizer, text, 8, offsets=False)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.truncated, expected.truncated)


def test_a_text_without_blanks_stays_whole() -> None:
    assert beginning("a" * 100_000, 8, len, chinese=True) == "a" * 100_000
    assert beginning("\u4e2d" * 100_000, 8, len, chinese=False) == "\u4e2d" * 100_000
    assert beginning("\u4e2d" * 100_000, 8, len, chinese=True) == "\u4e2d" * (8 * 8 + 1024)


def test_a_long_text_that_is_truncated_takes_little_memory(models: Path) -> None:
    tokenizer = Tokenizer.from_pretrained(models / "tf2_v4")
    lengths = []
    real = tokenizer.segments
    tokenizer.segments = lambda texts, **options: lengths.extend(map(len, texts)) or real(texts, **options)  # type: ignore
    text = "the quick brown fox " * 500_000
    tracemalloc.start()
    tokens = tokenizer.tokens([text], max_length=64)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert tokens.truncated.all()
    # What the tokenizers library allocates is not traced; it is in proportion to what it is given.
    assert max(lengths) < 10_000
    assert peak < 1 << 20
