"""The README as the package index shows it, where links to files of the repository lead nowhere.

With an address of the repository in `[project.urls]` of pyproject.toml (`Repository = "https://..."`) they become
links to it; without one, the text alone stays, and the path, where the source distribution has the file.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"\[([^\]]*)\]\((?!https?://|#)([^)\s]+)\)")


class ReadmeHook(MetadataHookInterface):
    """Puts the README into the metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `readme`, which pyproject.toml declares as dynamic."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        metadata["readme"] = {"content-type": "text/markdown", "text": with_links(text, repository)}


def with_links(text: str, repository: str | None) -> str:
    """Markdown whose links to files of the repository are absolute, or plain text where it has no address."""

    def replaced(found: re.Match[str]) -> str:
        label, path = found.groups()
        if repository is not None:
            return f"[{label}]({repository.rstrip('/')}/blob/main/{path})"
        return f"{label} (`{path.partition('#')[0]}`)"

    return _LINK.sub(replaced, text)
