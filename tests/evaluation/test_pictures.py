import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="draws pictures: pip install -e '.[dev-all]'")
from matplotlib.figure import Figure

from berthub.errors import InputError, MissingDependencyError
from berthub.evaluation.pictures import draw_confusion, draw_learning_curves, draw_regression


def _size(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    return int.from_bytes(header[16:20]), int.from_bytes(header[20:24])


def _is_drawn(path: Path) -> bool:
    from matplotlib.image import imread

    return float(np.std(imread(path)[..., :3])) > 0.01


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "picture.png"


def test_learning_curves_have_a_panel_for_scores_where_there_are_any(path: Path) -> None:
    draw_learning_curves([{"epoch": 1, "loss": 1.0}], path)
    assert _is_drawn(path)
    narrow, height = _size(path)
    history = [{"epoch": e, "loss": 1 / e, "dev_loss": 2 / e, "f1": 0.8, "pearson": float("nan")} for e in (1, 2, 3)]
    draw_learning_curves([{"epoch": 0, "loss": 3.0}, *history], path)
    assert _size(path) == (2 * narrow, height)


@pytest.mark.parametrize("labels", [("0", "1"), ("$a$b", "\\frac{", "x" * 200), tuple(map(str, range(70)))])
def test_confusion(path: Path, labels: tuple[str, ...]) -> None:
    matrix = np.arange(len(labels) ** 2).reshape(len(labels), -1)
    matrix[0] = 0
    draw_confusion(matrix, labels, path)
    assert _is_drawn(path)
    assert min(_size(path)) >= 500


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [-1.0, 0.5, 3.0]])
def test_regression(path: Path, values: list[float]) -> None:
    draw_regression(values, values[::-1], path)
    assert _is_drawn(path)


def test_a_picture_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_confusion(np.array([[1, 2], [3, 4]]), ("a", "b"), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_pyplot_is_not_touched(path: Path) -> None:
    code = (
        "import sys; from berthub.evaluation.pictures import draw_regression; "
        "draw_regression([1], [2], sys.argv[1]); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_what_cannot_be_drawn(path: Path) -> None:
    with pytest.raises(InputError, match="no epochs"):
        draw_learning_curves([], path)
    with pytest.raises(InputError, match=r"shape \(2, 3\), and 2 labels call for \(2, 2\)"):
        draw_confusion(np.zeros((2, 3), np.int64), ("a", "b"), path)
    with pytest.raises(InputError, match=r"\(1,\) and predicted \(2,\)"):
        draw_regression([1], [1, 2], path)
    assert not path.exists()


def test_a_missing_library_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'berthub\[finetune\]'"):
        draw_regression([1], [1], path)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    figures: list[Figure] = []
    save = Figure.savefig

    def kept(self: Figure, *args: Any, **options: Any) -> None:
        save(self, *args, **options)
        figures.append(self)

    monkeypatch.setattr(Figure, "savefig", kept)
    return figures


@pytest.mark.parametrize("count", [2, 7, 25])
@pytest.mark.parametrize("largest", [9, 12_345, 3_456_789])
def test_numbers_of_a_confusion_matrix_fit_into_their_cells(
    path: Path, drawn: list[Figure], count: int, largest: int
) -> None:
    matrix = np.full((count, count), largest)
    draw_confusion(matrix, [f"label {index}" for index in range(count)], path)
    axes = drawn[0].axes[0]
    (left, _), (right, _) = axes.transData.transform([(0, 0), (1, 0)])
    assert len(axes.texts) == count * count
    for text in axes.texts:
        assert text.get_window_extent().width < right - left
        assert float(text.get_fontsize()) >= 5


def test_one_epoch_is_no_curve(path: Path, drawn: list[Figure]) -> None:
    draw_learning_curves([{"epoch": 1, "loss": 0.5, "dev_loss": 0.75, "accuracy": 0.8, "f1": float("nan")}], path)
    losses, scores = drawn[0].axes
    assert not losses.lines
    assert [bar.get_height() for bar in losses.patches] == [0.5, 0.75]
    assert [text.get_text() for text in losses.texts] == ["0.500", "0.750"]
    assert "one epoch" in scores.get_title()
