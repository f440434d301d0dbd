import logging
import pickle
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berthub.sources.handle import parse
from berthub.sources.kinds import UrlArchive
from berthub.sources.redaction import (
    client_error,
    environment_secrets,
    public_spelling,
    redact,
    redacted_logs,
    secrets_of,
    without_credentials,
)


@pytest.mark.parametrize(
    ("handle", "shown"),
    [
        (None, "the default model"),
        (Path("/a/b?c@d"), "/a/b?c@d"),
        ("./models/bert", "./models/bert"),
        ("org/name@v1.0", "org/name@v1.0"),
        ("hf:name@main", "hf:name@main"),
        ("pypi:a==1", "pypi:a==1"),
        ("https://h.org/m.zip", "https://h.org/m.zip"),
        ("https://h.org:8080/pkg@1/m.zip", "https://h.org:8080/pkg@1/m.zip"),
        ("https://me:word@h.org/m.zip?token=x#part", "https://h.org/m.zip"),
        ("https://me:wo@rd@h.org/m.zip", "https://h.org/m.zip"),
        ("https://token@h.org/m.zip", "https://h.org/m.zip"),
        ("https://me:wo/rd@h.org/m.zip", "https://***"),
        ("https://me:wo?rd@h.org/m.zip", "https://***"),
        (f"https://h.org/m.zip?a=b#sha256={'0' * 64}", f"https://h.org/m.zip#sha256={'0' * 64}"),
        ("https://h.org/m.zip#sha256=x&token=y", "https://h.org/m.zip#sha256=***"),
        ("http://[::1/m.zip?token=x", "http://[::1/m.zip"),
        ("tfhub.dev/google/x?token=y", "tfhub.dev/google/x"),
        ("me:word@h.org/m.zip", "***@h.org/m.zip"),
    ],
)
def test_public_spelling(handle: str | Path | None, shown: str) -> None:
    assert public_spelling(handle) == shown


def test_an_archive_s_handle_hides_its_address() -> None:
    handle = parse("https://me:word@h.org/m.zip?token=secret")
    assert isinstance(handle, UrlArchive)
    assert handle.url == "https://me:word@h.org/m.zip?token=secret"
    assert str(handle) == "https://h.org/m.zip"
    assert repr(handle) == "UrlArchive('https://h.org/m.zip', sha256=None)"
    assert pickle.loads(pickle.dumps(handle)) == handle


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("no secret: a=b, 1@2, what?", "no secret: a=b, 1@2, what?"),
        ("url: /m.zip?token=abcd (Caused by x)", "url: /m.zip (Caused by x)"),
        ("for url: https://u:p@h.org/m.zip?X-Amz-Signature=1&b=2", "for url: https://h.org/m.zip"),
        ("'http://proxy:word@10.0.0.1:3128'", "'http://10.0.0.1:3128'"),
        ("Looking in indexes: https://tok@pypi.org/simple, b", "Looking in indexes: https://pypi.org/simple, b"),
        ("sig=abc%2F&access_token=1234;x", "sig=***&access_token=***;x"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("{'authorization': 'Basic abc='}", "{'authorization': 'Basic ***'}"),
        ("the monkey=banana keys", "the monkey=banana keys"),
    ],
)
def test_redact(text: str, without: str) -> None:
    assert redact(text) == without


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/?#@[]"), min_size=6), st.data())
def test_whatever_the_password_is_it_is_not_shown(password: str, data: st.DataObject) -> None:
    host = data.draw(st.sampled_from(["h.org", "127.0.0.1:80", "[::1]"]))
    url = f"https://user:{password}@{host}/m.zip?token={password}"
    for text in (public_spelling(url), repr(UrlArchive(url)), redact(f"cannot get {url} now", secrets_of(url))):
        assert password not in text


def test_what_is_short_is_not_replaced_in_every_word() -> None:
    assert redact("an error", secrets_of("https://h.org/?a=r&b=an")) == "an error"


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://h.org/m.zip", "https://h.org/m.zip"),
        ("https://h.org/m.zip?v=2&b=", "https://h.org/m.zip?v=2&b="),
        ("https://u:p@h.org/m.zip?v=2&token=x&a", "https://h.org/m.zip?v=2&a"),
        ("https://s3/m.zip?versionId=3&X-Amz-Date=1&X-Amz-Signature=2", "https://s3/m.zip?versionId=3"),
        ("https://g/m.zip?GoogleAccessId=a&Expires=1&Signature=2", "https://g/m.zip"),
        ("https://b/m.zip?sv=2020&sp=r&snapshot=5&sig=2", "https://b/m.zip?snapshot=5"),
        ("https://b/m.zip?sv=2020", "https://b/m.zip?sv=2020"),
        ("https://c/m.zip?Policy=a&Key-Pair-Id=b&Signature=c", "https://c/m.zip"),
    ],
)
def test_what_only_says_who_asks_is_no_part_of_a_cache_key(url: str, identity: str) -> None:
    assert without_credentials(url) == identity
    assert without_credentials(identity) == identity


def test_a_client_s_error_comes_with_its_chain_as_text() -> None:
    try:
        try:
            raise OSError("https://u:secret@h.org/x?y=1 is gone")
        except OSError as inner:
            raise ValueError("sig=secret") from inner
    except ValueError as outer:
        told = client_error(outer)
    assert str(told) == "ValueError: sig=***\n  from OSError: https://h.org/x is gone"
    assert told.__cause__ is told.__context__ is None


@pytest.mark.parametrize("unit", ["a", "a-", "a_", "a:", "://", "a://", "?", "?a", "=", "a=", "&key", "@", "token"])
def test_time_grows_with_the_length_and_no_faster(unit: str) -> None:
    def cost(size: int) -> float:
        text = unit * (size // len(unit))
        seconds = []
        for _ in range(3):
            begin = time.process_time()
            redact(text)
            public_spelling(text)
            public_spelling("h://" + text)
            seconds.append(time.process_time() - begin)
        return min(seconds)

    # Eight times the length: what grows with the square would take 64 times as long.
    assert cost(160_000) < 25 * cost(20_000) + 0.05


def test_the_environment_s_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abc")
    monkeypatch.setenv("https_proxy", "me:word@proxy:80")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://a:b%40c@x/simple https://tok@y/simple")
    assert {"hf_abc", "word", "b%40c", "b@c", "tok"} <= set(environment_secrets())


def test_logs_are_redacted_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("urllib3.connectionpool")
    with caplog.at_level(logging.DEBUG), redacted_logs("urllib3.connectionpool", secrets=["abcdef"]):
        log.debug("GET %s abcdef", "/m.zip?token=x")
        log.debug("%d", "not a number")
    log.debug("afterwards abcdef")
    assert [record.getMessage() for record in caplog.records][:2] == [
        "GET /m.zip ***",
        "a record that cannot be formatted",
    ]
    assert not log.filters
