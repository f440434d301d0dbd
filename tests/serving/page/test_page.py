"""The routes of the page: types, headers, what is not served."""

import asyncio
import re
from importlib.resources import files
from typing import Any

import pytest

from support.needs import why_skipped

if (reason := why_skipped("starlette", "httpx")) is not None:
    pytest.skip(reason, allow_module_level=True)

from starlette.applications import Starlette
from starlette.testclient import TestClient

from berthub.serving.page import page_routes

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_NAMES = sorted(place.name for place in files("berthub.serving").joinpath("web").iterdir())


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Starlette(routes=page_routes()))


def _address(name: str) -> str:
    return "/" if name == "index.html" else f"/web/{name}"


@pytest.mark.parametrize("name", _NAMES)
def test_each_file_has_its_type_and_the_headers_that_protect(client: TestClient, name: str) -> None:
    answer = client.get(_address(name))
    assert answer.status_code == 200
    assert answer.content == files("berthub.serving").joinpath("web", name).read_bytes()
    assert answer.headers["content-type"] == _TYPES[name.rpartition(".")[2]]
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_a_file_that_the_browser_has_is_not_sent_again(client: TestClient, form: str) -> None:
    etag = client.get("/").headers["etag"]
    answer = client.get("/", headers={"if-none-match": form.format(etag)})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert "content-security-policy" in answer.headers


def test_another_version_of_a_file_is_sent(client: TestClient) -> None:
    assert client.get("/", headers={"if-none-match": '"other"'}).status_code == 200


def test_head_gives_the_headers_alone(client: TestClient) -> None:
    answer = client.head("/web/style.css")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == _TYPES["css"]


@pytest.mark.parametrize(
    "path",
    [
        "page.py", "../page.py", "..", ".", "", "../../etc/passwd", "/etc/passwd", "..\\page.py", "./style.css",
        "style.css/../../page.py", "style.css\0", "style.css%00", "%2e%2e%2fpage.py", "index.html", "A.CSS", "\ud800",
    ],
)  # fmt: skip
def test_nothing_else_can_be_asked_for(path: str) -> None:
    # Without a client, which would tidy up the path.
    assert asyncio.run(_status(f"/web/{path}")) == 404


async def _status(path: str) -> int:
    sent = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "root_path": ""}
    await Starlette(routes=page_routes())(scope, receive, send)
    return int(sent[0]["status"])


def test_a_file_cannot_be_written(client: TestClient) -> None:
    assert client.post("/web/style.css", content=b"x").status_code == 405


@pytest.mark.parametrize("name", _NAMES)
def test_the_files_refer_to_each_other_alone(name: str) -> None:
    text = files("berthub.serving").joinpath("web", name).read_text(encoding="utf-8")
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)
    # Texts of strangers become text nodes.
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|localStorage|cookie", text)
    for named in re.findall(r'"(?:\./|web/)([\w.]+)"', text):
        assert named in _NAMES


def test_the_html_has_no_inline_script_or_style() -> None:
    html = files("berthub.serving").joinpath("web", "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", html)
