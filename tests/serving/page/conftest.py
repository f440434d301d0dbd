"""A browser with one page, which each test loads anew, and a server."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.needs import browser, why_no_browser

_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic",
]  # fmt: skip
_PATIENCE = 20_000  # ms, for a busy machine
_DESK = {"width": 1280, "height": 800}


class Tab:
    """The browser's page, and what its console said. A page of its own for each test takes four times as long."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.base = "about:blank"
        self.loads = 0
        self.problems: list[str] = []
        page.on("console", lambda message: self.found(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.found(str(error)))
        page.on("request", lambda request: self.asked(request.url))

    def found(self, text: str) -> None:
        """Note a message of the console."""
        self.problems.append(text)

    def asked(self, url: str) -> None:
        """Note a request to any host but the server."""
        if not url.startswith(self.base):
            self.found(f"asked for {url}")

    def load(self, base: str, fragment: str = "") -> Any:
        """The page of a server, loaded anew."""
        self.base = base
        # Another address than before: else only the fragment would change.
        self.loads += 1
        self.page.goto(f"{base}?{self.loads}{fragment}")
        return self.page

    def expect(self, *parts: str) -> None:
        """Forget messages with one of these parts, of which each must have come."""
        for part in parts:
            assert any(part in text for text in self.problems), f"{part!r} did not come: {self.problems}"
        self.problems = [text for text in self.problems if not any(part in text for part in parts)]


@pytest.fixture(scope="module")
def module_tab() -> Iterator[Tab]:
    """One browser for all tests of a module."""
    if (reason := why_no_browser()) is not None:
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser(), args=_ARGUMENTS)
        context = chromium.new_context(viewport=_DESK, permissions=["clipboard-read", "clipboard-write"])
        context.set_default_timeout(_PATIENCE)
        yield Tab(context.new_page())
        chromium.close()


@pytest.fixture
def tab(module_tab: Tab) -> Iterator[Tab]:
    """The tab as it is at the start; nothing may be in its console in the end, and no other host was asked."""
    module_tab.page.set_viewport_size(_DESK)
    module_tab.page.emulate_media(reduced_motion="reduce", color_scheme="light")
    yield module_tab
    module_tab.page.unroute_all(behavior="ignoreErrors")
    problems, module_tab.problems = module_tab.problems, []
    assert not problems


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The address of a server."""
    from support.page_server import application, served

    with served(application()) as address:
        yield address
