"""The calls that the page shows: a real shell and a real Python make of them what was typed."""

import ast
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.needs import why_no_browser, why_skipped

if (reason := why_skipped("starlette", "uvicorn") or why_no_browser()) is not None:
    pytest.skip(reason, allow_module_level=True)

from support.page_server import tokens
from support.tab import Tab

HOSTILE = [
    "plain",
    "it's \"quoted\" 'twice'",
    "two\nlines\r\nand a\ttab",
    "$HOME `id` $(id) \\ \\\\ \\' \\\" !! \\n \\u0041 %s %d",
    "''' \"\"\" {braces} {{}} # & ; | < > * ? ~ @file",
    "naïve 東京 🙂 👩‍👩‍👧 e\u0301 \U0001f468\u200d\U0001f4bb",
    "\u202eright to left\u202c \u2066x\u2069 \u200b\u200e\ufeff\u00ad\u2028\u2029\x85\x7f",
    "\x00\x01\x1b[31m\x08\x0c\x0b",
    "trailing backslash \\",
    "</script><!-- -->",
    "",
]  # fmt: skip
_MODEL = {"name": 'it\'s a "model"\n🙂', "handle": "C:\\models\\it's", "precision": "float32"}
_CODE_POINTS = 'async (text) => (await import("/web/quote.js")).codePoints(text)'
_CALLS = """async ([base, key, model, body, texts]) => {
    const {curl, python, openai} = await import("/web/calls.js");
    const place = {base, key};
    const {pythonString, pythonList} = await import("/web/quote.js");
    const lines = [`text = ${pythonString(texts[0])}`, `texts = ${pythonList(texts)}`];
    return [curl(place, "embed", body).code, python(model, lines).code, openai(place, model, texts).code];
}"""


def _shells() -> list[str]:
    return [found for found in map(shutil.which, ("bash", "dash", "zsh", "sh")) if found]


def _arguments(shell: str, code: str, folder: Path, **environment: str) -> list[str]:
    """The arguments that a shell gives to a program called curl."""
    program = folder / "curl"
    program.write_text("#!/bin/sh\nfor each; do printf '%s\\0' \"$each\"; done\n", encoding="utf-8")
    program.chmod(0o755)
    done = subprocess.run(
        [shell, "-c", code], env={"PATH": f"{folder}:/usr/bin:/bin", **environment}, capture_output=True, check=True
    )
    assert done.stderr == b""
    return done.stdout.decode().split("\0")[:-1]


def _strings(code: str) -> list[object]:
    """The literals of a program, in their order."""
    return [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]


def test_shells_and_python_read_what_was_typed(tab: Tab, base: str, tmp_path: Path) -> None:
    page = tab.load(base)
    for text in HOSTILE:
        texts = [text, f"{text} again", *HOSTILE]
        body = {"inputs": texts, "model": _MODEL["name"]}
        assert page.evaluate(_CODE_POINTS, text) == list(text), "code points are Python's characters"
        curl, python, openai = page.evaluate(_CALLS, ["http://host/it's/$x/", True, _MODEL, body, texts])
        # What a reader does not see is not there.
        assert all(each.isprintable() or each in "\n\u200d" for each in curl + python + openai)
        for shell in _shells():
            url, *options, data = _arguments(shell, curl, tmp_path, BERTHUB_API_KEY="a'b\"c $d")
            assert url == "http://host/it's/$x/embed"
            header, key = "Content-Type: application/json", "Authorization: Bearer a'b\"c $d"
            assert options == ["-H", header, "-H", key, "-d"]
            assert json.loads(data) == body
        program: dict[str, Any] = {}
        exec(python.replace("import berthub as hub\n", "").replace("hub.load", "str"), program)
        assert (program["bert"], program["text"], program["texts"]) == (_MODEL["handle"], text, texts)
        found = _strings(openai)
        assert {"http://host/it's/$x/v1", _MODEL["name"], "BERTHUB_API_KEY", *texts} <= set(found)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: apt-get install curl")
@pytest.mark.parametrize("text", ['it\'s "quoted" $HOME\nand 東京 🙂'])
def test_the_curl_command_gives_what_the_page_shows(tab: Tab, base: str, text: str) -> None:
    page = tab.load(base)
    page.locator("#tokens-text").fill(text)
    page.locator("#tokens .piece", has_text="🙂").or_(page.locator("#tokens .unknown")).wait_for()
    code = page.locator("#tokens .calls code").first.text_content()
    done = subprocess.run(["/bin/sh", "-c", code], capture_output=True, check=True)
    assert json.loads(done.stdout) == [tokens(text)]


def test_code_is_copied(tab: Tab, base: str) -> None:
    page = tab.load(base)
    page.locator("#tokens .piece").first.wait_for()
    code = page.locator("#tokens .calls code").all_text_contents()
    page.get_by_role("button", name="Copy the code for Python").click()
    page.get_by_role("status").get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == code[1]
    # Without HTTPS, from another machine, a page may not write there.
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.get_by_role("button", name="Copy the code for curl").click()
    page.get_by_role("status").get_by_text("Copied").nth(1).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == code[0]
