"""Build the documentation site: `python docs/build_site.py`, with the libraries of docs/requirements.txt.

The pages lie where they are read on a code host: guides in docs/, results in benchmarks/, programs in examples/. This
script lays them out as one tree in build/site-source, with their links changed to fit, and runs Zensical, which stops
at a broken link. The site is in build/site: static files, which can be read and searched without a server.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_SOURCE = _ROOT / "build" / "site-source"

# The many tables of results would stand before the pages that explain them.
_UNSEARCHED = "---\nsearch:\n  exclude: true\n---\n\n"
_LINK = re.compile(r"(\]\()(?!\w+:|#)([^)#\s]+)((?:#[^)\s]*)?\))")
_FENCE = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)
_CODE_FENCE = re.compile(r"^```(\w+)[^\n]*$", re.MULTILINE)


def pages() -> dict[Path, Path]:
    """Where each file of the repository lies on the site: both relative, to the repository and to the site."""
    found = {path: path.relative_to("docs") for path in _files("docs") if path.suffix not in {".py", ".txt"}}
    found |= {path: path for path in _files("benchmarks") if path.suffix in {".md", ".svg", ".png"}}
    found |= {path: path.with_suffix(".md") for path in _files("examples") if path.suffix == ".py"}
    found |= {Path(name): Path(name) for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")}
    # The start page says what the README says.
    return {**found, Path("README.md"): Path("index.md")}


def with_site_links(text: str, page: Path, places: dict[Path, Path], repository: str | None) -> str:
    """The Markdown of the repository's file `page`, with links that hold on the site.

    A link to a file that is no page leads to the repository, or is its path alone where no address is known.
    """

    def replaced(found: re.Match[str]) -> str:
        opening, target, closing = found.groups()
        path = Path(os.path.normpath(page.parent / target))
        if path in places:
            there = os.path.relpath(places[path], places[page].parent)
            return f"{opening}{Path(there).as_posix()}{closing}"
        if not (_ROOT / path).exists():
            raise SystemExit(f"{page} links to {target}, which is not there")
        if repository is None:
            return f"] (`{path.as_posix()}`)"
        return f"{opening}{repository.rstrip('/')}/blob/main/{path.as_posix()})"

    parts = _FENCE.split(text)
    changed = [part if part.startswith("```") else _LINK.sub(replaced, part) for part in parts]
    # What follows a program's language is for the tests.
    return _CODE_FENCE.sub(r"```\1", _without_empty_brackets("".join(changed)))


def _without_empty_brackets(text: str) -> str:
    return re.sub(r"\[([^\[\]]*)\] \((`[^`]*`)\)", r"\1 (\2)", text)


def lay_out() -> None:
    """Write all pages into build/site-source."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    repository = project.get("urls", {}).get("Repository")
    places = pages()
    shutil.rmtree(_SOURCE, ignore_errors=True)
    for path, place in places.items():
        if path == Path("README.md"):
            continue
        target = _SOURCE / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            text = with_site_links((_ROOT / path).read_text(encoding="utf-8"), path, places, repository)
            beginning = _UNSEARCHED if path.is_relative_to("benchmarks/results") else ""
            target.write_text(beginning + text, encoding="utf-8")
        elif path.suffix == ".py":
            code = (_ROOT / path).read_text(encoding="utf-8")
            target.write_text(f"# {path.name}\n\n```python\n{code}```\n", encoding="utf-8")
        else:
            shutil.copyfile(_ROOT / path, target)


def _files(folder: str) -> list[Path]:
    return sorted(path.relative_to(_ROOT) for path in (_ROOT / folder).rglob("*") if path.is_file())


if __name__ == "__main__":
    lay_out()
    command = [Path(sys.executable).parent / "zensical", "build", "--clean", "--strict", *sys.argv[1:]]
    sys.exit(subprocess.run(command, cwd=_ROOT, check=False).returncode)
