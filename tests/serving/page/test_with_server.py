"""The page on berthub's own server: what it shows is what the model gives, here and by the calls that it names."""

import contextlib
import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.needs import why_no_browser, why_skipped

if (reason := why_skipped("starlette", "uvicorn", "httptools") or why_no_browser()) is not None:
    pytest.skip(reason, allow_module_level=True)

import berthub as hub
from berthub.encoding.encoder import Encoder
from support.heads import with_head
from support.server import RunningServer
from support.tab import Tab

TEXT = "The Cat's 🙂 unbelievable\nNAÏVE end."


@pytest.fixture(scope="module")
def folders(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("models")
    tasks = {
        task: with_head(models / "hf_bert", made / task, task) for task in ("classify", "multi_label", "regress", "tag")
    }
    return {"plain": models / "hf_bert_pretraining", **tasks}


@pytest.fixture(scope="module")
def encoders(folders: dict[str, Path]) -> dict[str, Encoder]:
    return {name: hub.load(folder, precision="float32", engine="numpy") for name, folder in folders.items()}


@pytest.fixture(scope="module")
def server(encoders: dict[str, Encoder]) -> Iterator[RunningServer]:
    with RunningServer(encoders) as server:
        if server.client.post("/tokenize", json={}).status_code == 404:
            pytest.skip("needs the server to speak text-embeddings-inference's dialect")
        yield server


@pytest.fixture
def page(tab: Tab, server: RunningServer) -> Any:
    base = f"{server.url}/"
    return tab.page if tab.base == base else tab.load(base)


def _open(page: Any, model: str, function: str, **texts: str) -> Any:
    """The result of a function for texts, by the id of their field."""
    page.select_option("#model", model)
    page.click(f"#tab-{function}")
    for field, text in texts.items():
        page.locator(f"#{function}-{field}").fill(text)
    # The code comes with the question, and the result with the answer.
    for text in texts.values():
        written = json.dumps(text.splitlines()[0], ensure_ascii=False)[1:-1]
        page.locator(f"#{function} .calls pre", has_text=re.compile(re.escape(written))).first.wait_for()
    page.locator(f"#{function} .result:not([aria-busy]) > *").first.wait_for()
    return page.locator(f"#{function} .result")


def _printed(page: Any, function: str, folders: dict[str, Path]) -> str:
    """What the Python program of a function prints."""
    program = page.locator(f"#{function} .calls code").nth(1).text_content()
    model = page.locator("#model").input_value()
    assert f'"handle/{model}"' in program
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        exec(program.replace(f'"handle/{model}"', repr(str(folders[model]))), {})
    return written.getvalue()


def _by_curl(page: Any, function: str) -> Any:
    if shutil.which("curl") is None:
        pytest.skip("needs curl: apt-get install curl")
    command = page.locator(f"#{function} .calls code").first.text_content()
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=True)
    return json.loads(done.stdout)


def test_tokens(page: Any, encoders: dict[str, Encoder], folders: dict[str, Path]) -> None:
    result = _open(page, "plain", "tokens", text=TEXT)
    wanted = encoders["plain"].encode([TEXT])
    assert result.locator(".piece .text").all_inner_texts() == wanted.tokens[0]
    ids = [str(each) for each in wanted.input_ids[0]]
    assert [text.removeprefix("id ") for text in result.locator(".piece .id").all_text_contents()] == ids
    places = [
        text.removeprefix("characters ") for text in result.locator(".piece:not(.special) .place").all_text_contents()
    ]
    assert places == [f"{start}–{end}" for start, end in wanted.offsets[0][1:-1].tolist()]
    printed = [line.split(" ")[:2] for line in _printed(page, "tokens", folders).splitlines()]
    assert printed == [list(each) for each in zip(wanted.tokens[0], ids, strict=True)]
    assert [token["id"] for token in _by_curl(page, "tokens")[0]] == wanted.input_ids[0].tolist()


def test_similar_texts(page: Any, encoders: dict[str, Encoder], folders: dict[str, Path]) -> None:
    lines = ["the cat", "unbelievable 🙂", 'it\'s "here"']
    result = _open(page, "plain", "texts", text="\n".join(lines))
    vectors = encoders["plain"].embed(lines, normalize=True)
    shown = [float(text.replace("\u2212", "-")) for text in result.locator("tbody td").all_inner_texts()]
    assert np.abs(np.reshape(shown, (3, 3)) - vectors @ vectors.T).max() < 0.006
    printed = _printed(page, "texts", folders)
    numbers = [float(text) for text in printed.replace("[", " ").replace("]", " ").split()]
    assert np.abs(np.array(numbers) - shown).max() < 0.011
    assert np.abs(np.array(_by_curl(page, "texts")) - vectors).max() < 1e-5


def test_openais_client_gets_the_same(page: Any, encoders: dict[str, Encoder]) -> None:
    pytest.importorskip("openai", reason="needs openai: pip install openai")
    lines = ["the dog", "two\tdogs"]
    _open(page, "plain", "texts", text="\n".join(lines))
    program = page.locator("#texts .calls code").nth(2).text_content()
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(program, names)
    names["client"].close()
    assert np.abs(np.array(names["vectors"]) - encoders["plain"].embed(lines)).max() < 1e-5


def test_words_in_context(page: Any, encoders: dict[str, Encoder], folders: dict[str, Path]) -> None:
    both = ["the cat sat", "a unbelievable cat"]
    result = _open(page, "plain", "pair", first=both[0], second=both[1])
    out = encoders["plain"].encode(both, outputs=["sequence_output"])
    first, second = (rows[1 : len(tokens) - 1] for rows, tokens in zip(out["sequence_output"], out.tokens, strict=True))
    wanted = (first / np.linalg.norm(first, axis=1)[:, None]) @ (second / np.linalg.norm(second, axis=1)[:, None]).T
    shown = [float(text.replace("\u2212", "-")) for text in result.locator("tbody td").all_inner_texts()]
    assert np.abs(np.reshape(shown, wanted.shape) - wanted).max() < 0.006
    assert repr(out.tokens[0]) in _printed(page, "pair", folders)
    assert [len(rows) for rows in _by_curl(page, "pair")] == [len(tokens) for tokens in out.tokens]


def test_the_missing_word(page: Any, encoders: dict[str, Encoder], folders: dict[str, Path]) -> None:
    text = "the [MASK] sat 'here'"
    result = _open(page, "plain", "mask", text=text)
    wanted = [filling.piece for filling in encoders["plain"].fill_mask(text, top_k=8)]
    assert [text.partition("id ")[0] for text in result.locator("tbody th").all_text_contents()] == wanted
    assert [line.split(" ")[0] for line in _printed(page, "mask", folders).splitlines()] == wanted
    assert [filling["token_str"] for filling in _by_curl(page, "mask")] == wanted


@pytest.mark.parametrize("task", ["classify", "multi_label"])
def test_labels(page: Any, encoders: dict[str, Encoder], folders: dict[str, Path], task: str) -> None:
    text = f"the {task[:3]}"
    result = _open(page, task, "labels", text=text)
    shares = dict(zip(encoders[task].head.labels, encoders[task].predict_proba([text])[0].tolist(), strict=True))
    wanted = [f"{label}{shares[label]:.1%}" for label in sorted(shares, key=lambda label: -shares[label])]
    shown = [row.replace("< 0.1%", "0.0%") for row in result.locator("tbody tr").all_text_contents()]
    assert shown == wanted
    printed = {label: float(share) for label, share in map(str.split, _printed(page, "labels", folders).splitlines())}
    assert printed == pytest.approx(shares, abs=1e-5)
    assert {each["label"]: each["score"] for each in _by_curl(page, "labels")} == pytest.approx(shares, abs=1e-5)


def test_a_value(page: Any, encoders: dict[str, Encoder], folders: dict[str, Path]) -> None:
    result = _open(page, "regress", "labels", text="the value")
    wanted = float(encoders["regress"].predict(["the value"])[0])
    shown = result.locator(".value").inner_text().splitlines()[-1].replace("\u2212", "-")
    assert float(shown) == pytest.approx(wanted, rel=1e-3)
    assert float(_printed(page, "labels", folders)) == pytest.approx(wanted, rel=1e-4)


def test_tagged_words(page: Any, encoders: dict[str, Encoder], folders: dict[str, Path]) -> None:
    text = "the: a, it's 🙂 on."
    result = _open(page, "tag", "labels", text=text)
    words = ["the", ":", "a", ",", "it", "'", "s", "🙂", "on", "."]
    tags = encoders["tag"].predict([words])[0]
    assert [line.split() for line in _printed(page, "labels", folders).splitlines()] == [
        list(each) for each in zip(words, tags, strict=True)
    ]
    assert [(each["word"], each["entity"]) for each in _by_curl(page, "labels")] == list(zip(words, tags, strict=True))
    kinds = {tag[2:] for tag in tags if tag != "O"}
    shown = {mark.split("\u00a0")[-1].split()[0] for mark in result.locator("mark").all_text_contents()}
    assert shown == kinds


def test_what_is_too_long_is_truncated_and_said(page: Any, encoders: dict[str, Encoder]) -> None:
    most, long = encoders["plain"].max_length, "a " * 100
    result = _open(page, "plain", "tokens", text=long)
    said = f"102 tokens. Truncated: the model reads {most} of them, {102 - most} are left out."
    assert page.locator("#tokens .status").inner_text() == said
    assert result.locator(".stop").count() == 1
    _open(page, "plain", "texts", text=f"{long}\ndog")
    assert f"Truncated: of text 1 the model reads {most} tokens." in page.locator("#texts .status").inner_text()
    _open(page, "plain", "pair", first=long, second="dog")
    assert f"Truncated: of text 1 the model reads {most} tokens." in page.locator("#pair .status").inner_text()
    _open(page, "classify", "labels", text=long)
    assert "Truncated: of the text the model reads 16 tokens." in page.locator("#labels .status").inner_text()


def test_the_servers_errors_are_said(page: Any, tab: Tab) -> None:
    _open(page, "plain", "mask", text="the [MASK] sat")
    page.locator("#mask-text").fill("the [MASK] " + "sat " * 100)
    page.locator("#mask").get_by_role("alert").get_by_text("at most 64 are taken").wait_for()
    tab.expect("status of 4")
