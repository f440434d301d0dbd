"""What the packages say of themselves, and that the source distribution has all that is linked and tested."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import berthub

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
    for name in ("tests", "examples", "src", "SECURITY.md", "CITATION.cff", "noxfile.py"):
        assert f"/{name}" in included
    for name in included:
        assert (_ROOT / name.removeprefix("/")).exists(), name


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    # What has to repeat it says the same.
    for path, pattern in {
        project["tool"]["hatch"]["version"]["path"]: r'^__version__ = "(.+)"$',
        "CITATION.cff": r"^version: (.+)$",
        "CHANGELOG.md": r"\A# Changes\n\n## (\S+)",
    }.items():
        text = (_ROOT / path).read_text(encoding="utf-8")
        assert re.findall(pattern, text, re.MULTILINE) == [berthub.__version__], path


def test_what_the_security_policy_names_is_there() -> None:
    policy = (_ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[^`\s]+)`", policy)
    assert len(named) > 10
    for path in [*named, *_LINK.findall(policy)]:
        assert (_ROOT / path).exists(), path


def test_contributors_need_no_framework() -> None:
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    light = {_name(requirement) for extra in ("dev", "onnx", "sklearn") for requirement in extras[extra]}
    assert not light & {"tensorflow-cpu", "tensorflow", "jax", "torch", "keras", "transformers"}
    assert "berthub[dev,finetune]" in extras["dev-all"]
    # The README's command, and what CI runs, have all of it.
    for path in ("README.md", ".ci/run"):
        if (_ROOT / path).exists():  # the source distribution has no .ci
            text = (_ROOT / path).read_text(encoding="utf-8")
            assert re.findall(r"--editable '\.(\S*)'", text) == ["[dev-all]"], path


def _name(requirement: str) -> str:
    return re.split(r"[\s\[<>=~!;]", requirement, maxsplit=1)[0]
