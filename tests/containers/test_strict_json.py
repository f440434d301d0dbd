import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berthub.containers.strict_json import parse_json
from berthub.errors import CorruptFileError

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=_VALUES, ascii_only=st.booleans())
def test_what_python_writes_is_read(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return
    if "\\ud" in text.lower():  # a half of a character may be among them
        return
    assert parse_json(data, source="x") == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "b": 2, "a": 1}', "x is no valid JSON: an object has the key 'a' twice"),
        (b'{"config": [{"a": 1, "\\u0061": 2}]}', "the key 'a' twice"),
        (b'{"a": NaN}', "NaN is no number"),
        (b"[-Infinity]", "-Infinity is no number"),
        (b"[1e999]", "the number 1e999 is too large"),
        (b"[" + b"9" * 65 + b"]", "an integer has 65 digits"),
        (b'["\\ud800"]', "surrogates not allowed"),
        (b'["\xed\xa0\x80"]', "can't decode byte"),
        (b'["\xff"]', "can't decode byte"),
        (b'{"a": 1} 2', "Extra data"),
        (b"", "Expecting value"),
        (b"[" * 65 + b"]" * 65, "more than 64 levels"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "more than 64 levels"),
        (b"[" * 900 + b"]" * 900, "more than 64 levels"),
        (b"[" + b"[]," * 10_000 + b"0]", "its 30,003 bytes have 10,001 lists and objects"),
        (b"[" * 500_000, "500,000 lists and objects"),
    ],
)
def test_what_has_two_meanings_or_grows_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(CorruptFileError, match=message.replace("(", r"\(")) as error:
        parse_json(data, source="x")
    assert len(str(error.value)) < 300


def test_what_models_hold_is_read() -> None:
    # transformers' own length of texts without a limit, a character of two halves, a mark at the beginning.
    data = '{"model_max_length": 1000000000000000019884624838656, "a": "\\ud83d\\ude00"}'.encode("utf-8-sig")
    assert parse_json(data, source="x") == {"model_max_length": int(1e30), "a": "😀"}
    assert parse_json(b"[" * 64 + b"]" * 64, source="x")
    assert parse_json(b'{"max_value": Infinity}', source="x", nonfinite=True) == {"max_value": float("inf")}
