"""The notebooks run from top to bottom, with a tiny model behind every handle, and show what they compute."""

import ast
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from support.needs import why_skipped

_FOLDER = Path(__file__).parent.parent.parent / "docs" / "notebooks"
_NOTEBOOKS = {"encodings": ["matplotlib"], "fine-tuning": ["keras", "matplotlib"], "search": ["duckdb", "matplotlib"]}


def _cells(name: str) -> list[dict[str, Any]]:
    notebook = json.loads((_FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    cells: list[dict[str, Any]] = notebook["cells"]
    return cells


def _run(code: str, names: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line, if that is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)


@pytest.fixture
def _tiny_model(name: str, models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def resolve(handle: object = None, **options: object) -> Path:
        return Path(str(handle)) if handle is not None and Path(str(handle)).is_dir() else models / "tf2_v4_mlm"

    homes = ["encoding.load", "sources.resolve"]
    if name == "fine-tuning" and importlib.util.find_spec("keras"):
        homes.append("training.tasks.fine_tuner")
    for home in homes:
        monkeypatch.setattr(f"berthub.{home}.resolve", resolve)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.mark.slow
@pytest.mark.usefixtures("_tiny_model")
@pytest.mark.filterwarnings("ignore::berthub.TruncationWarning")
@pytest.mark.parametrize("name", sorted(_NOTEBOOKS))
def test_a_notebook_runs(name: str) -> None:
    if reason := why_skipped(*_NOTEBOOKS[name]):
        pytest.skip(reason)
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = set()
    for cell in _cells(name):
        if cell["cell_type"] == "code":
            value = _run("".join(cell["source"]), names)
            for method in ("_repr_html_", "_repr_png_"):
                if getattr(value, method, lambda: None)():
                    shown.add(method)
    assert "_repr_png_" in shown
    assert ("_repr_html_" in shown) == (name != "search")


def test_notebooks_are_kept_without_results_and_their_links_lead_somewhere() -> None:
    assert sorted(path.stem for path in _FOLDER.glob("*.ipynb")) == sorted(_NOTEBOOKS)
    index = (_FOLDER / "index.md").read_text(encoding="utf-8")
    for name in _NOTEBOOKS:
        assert f"]({name}.ipynb)" in index
        cells = _cells(name)
        assert len({cell["id"] for cell in cells}) == len(cells)
        for cell in cells:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None
            for link in "".join(cell["source"]).split("](")[1:]:
                assert (_FOLDER / link.partition(")")[0]).exists()
