"""A browser with one page, which each test loads anew, and a server."""

from collections.abc import Iterator

import pytest

from support.needs import browser, why_no_browser
from support.tab import Tab

_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic",
]  # fmt: skip
_PATIENCE = 20_000  # ms, for a busy machine
_DESK = {"width": 1280, "height": 800}


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
