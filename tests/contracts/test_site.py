"""The reference pages name all that is public, and the site's build finds every page and link."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import berthub
from berthub import errors

_ROOT = Path(__file__).parent.parent.parent
_REFERENCE = _ROOT / "docs" / "reference"
# Of processes that berthub starts, and of libraries that it asks to be quiet: nobody sets them for berthub.
_INNER = {"KAGGLEHUB_VERBOSITY"}
_VARIABLE = re.compile(r"(?<![\w$])(?:BERTHUB|HF|KAGGLE|KAGGLEHUB|KERAS|TFHUB|XDG)_[A-Z_]*[A-Z]\b")


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _text(name: str) -> str:
    return (_REFERENCE / name).read_text(encoding="utf-8")


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    assert _text("command-line.md") == _script("write_command_line").page(), "run python docs/write_command_line.py"


def test_every_public_name_is_on_one_reference_page() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in sorted(_REFERENCE.glob("*.md")))
    shown = re.findall(r"^::: berthub\.(?:jobs\.)?(\w+)", pages, re.MULTILINE)
    on_errors = {"BerthubError", "TruncationWarning"}
    assert set(shown) == set(berthub.__all__) - on_errors
    for name in errors.__all__:
        assert f"\n| `{name}` |" in _text("errors.md"), name


def test_every_environment_variable_is_on_its_page() -> None:
    found = set()
    for path in (_ROOT / "src").rglob("*.py"):
        found |= set(_VARIABLE.findall(path.read_text(encoding="utf-8")))
    assert {name for name in found - _INNER if f"`{name}`" not in _text("environment.md")} == set()


def test_every_page_is_in_the_navigation_and_every_link_leads_somewhere() -> None:
    build = _script("build_site")
    places = build.pages()
    config = tomllib.loads((_ROOT / "zensical.toml").read_text(encoding="utf-8"))
    named = re.findall(r"[\w./-]+\.md", str(config["project"]["nav"]))
    pages = {place.as_posix() for place in places.values()}
    assert sorted(named) == sorted(set(named))
    assert set(named) <= pages
    # Results and examples are reached by links.
    assert {
        page for page in pages if page.endswith(".md") and not page.startswith(("benchmarks/", "examples/"))
    } <= set(named)
    for path in places:
        if path.suffix == ".md":
            text = (_ROOT / path).read_text(encoding="utf-8")
            build.with_site_links(text, path, places, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](../../benchmarks/README.md#run)", "[a](../benchmarks/README.md#run)"),
        ("[a](../../examples/fine_tuning.py)", "[a](../examples/fine_tuning.md)"),
        ("[a](../../README.md)", "[a](../index.md)"),
        ("see [a file](../../noxfile.py).", "see a file (`noxfile.py`)."),
        ("[a](#b) [c](https://example.org/c.md)", "[a](#b) [c](https://example.org/c.md)"),
        ("```python no-run\n[a](b.md)\n```", "```python\n[a](b.md)\n```"),
    ],
)
def test_links_are_changed_to_hold_on_the_site(text: str, expected: str) -> None:
    build = _script("build_site")
    assert build.with_site_links(text, Path("docs/guides/serve.md"), build.pages(), None) == expected


def test_a_link_to_a_file_that_is_no_page_leads_to_the_repository() -> None:
    build = _script("build_site")
    text = build.with_site_links("[a](../noxfile.py)", Path("docs/index.md"), build.pages(), "https://example.org/r/")
    assert text == "[a](https://example.org/r/blob/main/noxfile.py)"
    with pytest.raises(SystemExit, match="not there"):
        build.with_site_links("[a](missing.md)", Path("docs/index.md"), build.pages(), None)
