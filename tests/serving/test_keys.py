"""API keys: where they come from, what is refused, and that they show nowhere."""

import hmac
import pickle
from pathlib import Path

import pytest

from berthub.errors import InputError
from berthub.serving.keys import ENVIRONMENT, load_keys, presented

_FIRST, _SECOND = "first-secret-1234", "second-secret-5678"


def _file(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path = folder / "keys"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


def test_a_file_of_named_and_unnamed_keys(tmp_path: Path) -> None:
    path = _file(tmp_path, f"# comment\n\n  search {_FIRST}  \r\n{_SECOND}\n")
    keys = load_keys(path, {})
    assert keys is not None
    assert keys.names == ("search", "key-2")
    assert keys.notices == ()
    assert keys.name_of(_FIRST) == "search"
    assert keys.name_of(_SECOND) == "key-2"
    for wrong in ("", _FIRST[:-1], _FIRST + " ", "search", "\ud800", "ü" * 1000):
        assert keys.name_of(wrong) is None


@pytest.mark.parametrize(
    "value", [f"a {_FIRST},b {_SECOND}", f"\na {_FIRST}\nb {_SECOND}\n", f" a {_FIRST} ,, b {_SECOND}"]
)
def test_keys_of_the_environment(value: str) -> None:
    keys = load_keys(None, {ENVIRONMENT: value})
    assert keys is not None
    assert [keys.name_of(_FIRST), keys.name_of(_SECOND)] == ["a", "b"]


def test_file_and_environment_together(tmp_path: Path) -> None:
    keys = load_keys(_file(tmp_path, f"a {_FIRST}"), {ENVIRONMENT: _SECOND})
    assert keys is not None
    assert keys.names == ("a", "key-2")
    assert load_keys(None, {}) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no API key"),
        ("# nothing\n", "holds no API key"),
        (f"a {_FIRST}\na {_SECOND}", "1 and 2 .* have the same name"),
        (f"a {_FIRST}\nb {_FIRST}", "1 and 2 .* have the same key"),
        (f"key-2 {_FIRST}\n{_SECOND}", "1 and 2 .* have the same name"),
        (f"{_FIRST}\nhidden7", r"line 2: the key has 7 characters; 8 to 1,024 .*openssl"),
        (f"hidden {_FIRST} {_SECOND}", "line 1: 3 words, where NAME KEY or KEY"),
        (f"hid/den {_FIRST}", "line 1: the name has to be"),
        ("hidden-schlüssel", "line 1: the key has characters"),
        (b"hidden\xff\xfe-secret", "no UTF-8 text"),
        ("hidden99\n" * (1 << 17), "larger than 1,048,576 bytes"),
    ],
)
def test_what_is_refused_never_shows_a_key(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        load_keys(_file(tmp_path, text), {})
    chain = [
        raised.value,
        raised.value.__cause__,
        raised.value.__context__ if not raised.value.__suppress_context__ else None,
    ]
    for secret in (_FIRST, _SECOND, "hid"):
        assert not any(secret in repr(error) for error in chain)


def test_unreadable_files_and_an_empty_variable(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_keys(tmp_path / "none", {})
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_keys(tmp_path, {})
    # A secret that was not set where it was to be filled in must not open the server.
    with pytest.raises(InputError, match=f"variable {ENVIRONMENT} holds no API key"):
        load_keys(None, {ENVIRONMENT: ""})
    with pytest.raises(InputError, match="1,001 API keys were given; at most 1,000"):
        load_keys(None, {ENVIRONMENT: ",".join(f"secret-{number:06}" for number in range(1001))})


def test_a_file_that_others_can_read_is_noticed(tmp_path: Path) -> None:
    keys = load_keys(_file(tmp_path, _FIRST, 0o644), {})
    assert keys is not None
    assert "can be read by every user" in keys.notices[0]


def test_every_key_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = load_keys(None, {ENVIRONMENT: f"a {_FIRST},b {_SECOND},c third-secret"})
    assert keys is not None
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(len(a)) or compare(a, b))
    assert keys.name_of(_FIRST) == "a"
    assert compared == [32, 32, 32]


def test_keys_show_nowhere() -> None:
    keys = load_keys(None, {ENVIRONMENT: f"a {_FIRST}"})
    assert repr(keys) == "ApiKeys(names=('a',), notices=())"
    assert _FIRST.encode() not in pickle.dumps(keys)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "  bearer   abc "}, "abc"),
        ({"x-api-key": "abc"}, "abc"),
        ({"api-key": " abc "}, "abc"),
        ({"authorization": "Bearer abc", "x-api-key": "other"}, "abc"),
        ({"authorization": "Basic abc", "x-api-key": "other"}, "other"),
        ({"authorization": "Bearer", "api-key": ""}, None),
        ({"authorization": "abc"}, None),
        ({}, None),
    ],
)
def test_where_a_request_presents_its_key(headers: dict[str, str], key: str | None) -> None:
    assert presented(headers) == key
