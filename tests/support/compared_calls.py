"""Hold the calls of a tokenizer beside those of transformers: equal values, and equal errors."""

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import berthub as hub
from berthub.errors import InputError
from berthub.tokenization.called import TokenizedTexts

__all__ = ["differences", "every_option"]

_VALUES = ("return_offsets_mapping", "return_special_tokens_mask", "return_length")
_UNALIKE = "stride"


def every_option() -> Iterator[dict[str, Any]]:
    """All combinations of the options that change which tokens there are, and where."""
    for special, truncation, length, side in itertools.product(
        (True, False),
        (False, True, "only_first", "only_second"),
        (6, 16, 40),
        ("right", "left"),
    ):
        for padding, multiple, pads_on in (
            (False, None, None),
            (True, None, None),
            (True, 8, "left"),
            ("max_length", None, "left"),
            ("max_length", 8, None),
        ):
            for overflow, stride in ((False, 0), (True, 0), (True, 2)):
                yield {
                    "add_special_tokens": special,
                    "truncation": truncation,
                    "max_length": length,
                    "truncation_side": side,
                    "padding": padding,
                    "pad_to_multiple_of": multiple,
                    "padding_side": pads_on,
                    "return_overflowing_tokens": overflow,
                    "stride": stride,
                }


def differences(ours: hub.Tokenizer, theirs: Any, text: Any, pair: Any, options: dict[str, Any]) -> list[str]:
    """What is not equal in the two tokenizers' results, in words; also where only one of them raises an error."""
    options = {**dict.fromkeys(_VALUES, True), **options}
    fault, expected = None, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = ours(text, pair, **options)
    except InputError as error:
        fault = str(error)
        if _UNALIKE in fault:
            # Where the library panics, or makes a row that is longer than asked for.
            return []
        # The library panics over the stride of another text before it comes to the one at fault.
        options["stride"] = 0
    theirs.truncation_side = options.pop("truncation_side", "right")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = theirs(text, pair, **options)
    except Exception as error:
        return [] if fault else [f"only transformers raises: {error}"]
    if fault:
        return [f"only berthub raises: {fault}"]
    rows = expected["input_ids"]
    if options.get("padding") == "max_length" and isinstance(rows[0], list) and len({*map(len, rows)}) > 1:
        # Texts that are longer, and not truncated: here the other rows are as long as they are.
        return []
    wrong = [name for name in expected if found.get(name) != expected[name]]
    wrong += [name for name in found if name not in expected]
    for row in range(len(expected.encodings)):
        for method in ("tokens", "word_ids", "sequence_ids"):
            if getattr(found, method)(row) != getattr(expected, method)(row):
                wrong.append(f"{method}({row})")
    return wrong or _places(found, expected)


def _places(found: TokenizedTexts, expected: Any) -> list[str]:
    """The differences in what tokens, characters and words of the last row stand for."""
    row = len(expected.encodings) - 1
    wrong = []
    for token in range(len(expected.tokens(row))):
        for method in ("token_to_chars", "token_to_word", "token_to_sequence"):
            if getattr(found, method)(row, token) != getattr(expected, method)(row, token):
                wrong.append(f"{method}({row}, {token})")
    sequences = {*expected.sequence_ids(row)} - {None}
    for sequence, index in itertools.product(sequences, range(12)):
        for method in ("char_to_token", "char_to_word", "word_to_tokens"):
            if getattr(found, method)(row, index, sequence) != getattr(expected, method)(row, index, sequence):
                wrong.append(f"{method}({row}, {index}, {sequence})")
        if expected.word_to_tokens(row, index, sequence) is not None and (
            found.word_to_chars(row, index, sequence) != expected.word_to_chars(row, index, sequence)
        ):
            wrong.append(f"word_to_chars({row}, {index}, {sequence})")
    return wrong
