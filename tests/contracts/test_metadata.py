"""What the packages say of themselves, and that the source distribution has all that is linked and tested."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

_ROOT = Path(__file__).parent.parent.parent
_LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def _hook() -> ModuleType:
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", _ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_of_the_readme_hold_outside_of_the_repository() -> None:
    with_links = _hook().with_links
    text = "[a](docs/a.md#b), [c](https://example.org/c), [d](#d)"
    assert with_links(text, None) == "a (`docs/a.md`), [c](https://example.org/c), [d](#d)"
    assert with_links(text, "https://example.org/repository/") == (
        "[a](https://example.org/repository/blob/main/docs/a.md#b), [c](https://example.org/c), [d](#d)"
    )
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    assert _LINK.findall(readme)
    assert not _LINK.findall(with_links(readme, None))


def test_what_documents_link_to_is_in_the_source_distribution() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    for path in [_ROOT / "README.md", _ROOT / "CONTRIBUTING.md", *sorted((_ROOT / "docs").rglob("*.md"))]:
        for link in _LINK.findall(path.read_text(encoding="utf-8")):
            target = (path.parent / link).resolve()
            assert target.exists(), f"{path}: {link}"
            first = target.relative_to(_ROOT.resolve()).parts[0]
            assert f"/{first}" in included or first == "pyproject.toml", f"{path}: {link}"
    for folder in ("tests", "examples", "src"):
        assert f"/{folder}" in included
