"""A page in a browser, which tells what went wrong in it."""

from typing import Any

__all__ = ["Tab"]


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
