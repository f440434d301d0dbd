"""Pictures of texts by their vectors."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.errors import InputError, MissingDependencyError, OutputNotComputedError
from berthub.plot.points import main_directions

_HARD = [
    "costs $5 or $x^{2$",
    "你好，世界",
    "ماذا يحدث في العالم",
    "x" * 5000,
    "",
    "\x00\ud800\n\ttab",
    ("the first", "the second"),
]


def _vectors(count: int, width: int = 16) -> Any:
    return np.random.default_rng(0).normal(size=(count, width)).astype(np.float32)


def _png(figure: Any) -> bytes:
    data: bytes = figure._repr_png_()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 3000
    return data


@pytest.fixture(scope="module")
def bert() -> hub.Encoder:
    return hub.load(Path(__file__).parent.parent / "data" / "models" / "tf2_v4", precision="float32")


@pytest.mark.parametrize("labels", [None, [1, "$a$", "你", 1, 1, 2, None]])
def test_a_map_of_hard_texts(labels: Any) -> None:
    figure = hub.plot.map(_HARD, _vectors(len(_HARD)), labels=labels, title="costs $5 or $x^{2$")
    assert _png(figure) == _png(hub.plot.map(_HARD, _vectors(len(_HARD)), labels=labels, title="costs $5 or $x^{2$"))
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown[0] == _HARD[0]
    assert shown[3] == "x" * 31 + "…"
    assert shown[6] == "the first / the second"


def test_a_heat_map_of_hard_texts() -> None:
    _png(hub.plot.similarity(_HARD, _vectors(len(_HARD))))


@pytest.mark.parametrize("count", [1, 41, 3000])
def test_any_number_of_texts_up_to_the_limit(count: int) -> None:
    texts = [f"text {number}" for number in range(count)]
    figure = hub.plot.map(texts, _vectors(count), labels=[number % 23 for number in range(count)])
    legend = figure.legends[0]
    assert ("9 other labels" in [text.get_text() for text in legend.get_texts()]) == (count > 23)
    assert len(figure.axes[0].texts) == (count if count <= 40 else 0)
    _png(figure)
    if count < 50:
        _png(hub.plot.similarity(texts, _vectors(count)))


def test_a_map_keeps_the_distances_of_vectors_in_a_plane() -> None:
    plane = _vectors(50, 2) @ np.linalg.qr(_vectors(20, 2))[0].T
    for vectors in (plane, plane[:5]):
        places, shares = main_directions(vectors.astype(np.float64))
        for row in range(len(vectors)):
            distances = np.linalg.norm(vectors - vectors[row], axis=1)
            np.testing.assert_allclose(np.linalg.norm(places - places[row], axis=1), distances, atol=1e-6)
        assert shares.sum() == pytest.approx(1)
        assert shares[0] > shares[1]


def test_a_map_does_not_depend_on_the_order_of_the_texts() -> None:
    vectors = _vectors(30).astype(np.float64)
    order = np.random.default_rng(1).permutation(30)
    np.testing.assert_allclose(main_directions(vectors[order])[0], main_directions(vectors)[0][order], atol=1e-9)


def test_equal_vectors_lie_at_one_place() -> None:
    places, shares = main_directions(np.ones((4, 8)))
    assert not places.any()
    assert not shares.any()
    _png(hub.plot.map(["a"] * 4, np.ones((4, 8))))
    _png(hub.plot.map(["a", "b"], [[1.0], [2.0]]))


@pytest.mark.parametrize(
    ("texts", "vectors", "options", "message"),
    [
        (["a", "b"], np.ones((3, 2)), {}, r"2 texts and vectors of shape \(3, 2\)"),
        (["a"], np.ones(2), {}, "an array"),
        (["a"], [["x"]], {}, "no array of numbers"),
        ([], np.ones((0, 2)), {}, "no texts"),
        (["a"], [[np.nan]], {}, "not finite"),
        (["a"] * 20_001, np.ones((20_001, 1)), {}, r"at most 20,000: draw a sample, such as texts\[::2\]"),
        (["a"], np.ones((1, 2)), {"labels": ["x", "y"]}, "1 texts and 2 labels"),
    ],
)
def test_what_does_not_fit(texts: Any, vectors: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        hub.plot.map(texts, vectors, **options)


def test_too_many_texts_for_a_heat_map() -> None:
    with pytest.raises(InputError, match="at most 1,000"):
        hub.plot.similarity(["a"] * 1001, np.ones((1001, 1)))


class TestEncodings:
    def test_similarity_of_texts(self, bert: hub.Encoder) -> None:
        texts = ["the fox", ("it was", "the fox")]
        figure = bert.encode(texts).plot_similarity()
        vectors = bert.embed(texts, pooling="mean")
        drawn = figure.axes[0].images[0].get_array()
        np.testing.assert_allclose(drawn, bert.similarity(vectors, vectors), atol=1e-5)
        assert "means of the token vectors" in figure.axes[0].get_title()
        assert "embeddings" in bert.encode(texts, outputs=["embedding"]).plot_similarity().axes[0].get_title()
        _png(figure)

    def test_tokens_of_a_text(self, bert: hub.Encoder) -> None:
        out = bert.encode(["the fox", "it was the quick fox"])
        figure = out.plot_tokens(-1)
        names = [label.get_text().split()[0] for label in figure.axes[0].get_yticklabels()]
        assert names == out.tokens[1]
        vectors = out.ragged()[1]
        drawn = figure.axes[0].images[0].get_array()
        np.testing.assert_allclose(drawn, bert.similarity(vectors, vectors), atol=1e-5)
        _png(figure)

    def test_a_long_text(self, bert: hub.Encoder) -> None:
        figure = bert.encode(["the fox " * 100], window=16, stride=4).plot_tokens()
        assert figure.axes[0].get_title().endswith("first 60 of 402")
        _png(figure)

    def test_what_does_not_fit(self, bert: hub.Encoder) -> None:
        with pytest.raises(InputError, match="no number of a text"):
            bert.encode(["a"]).plot_tokens(1)
        with pytest.raises(OutputNotComputedError, match="sequence_output"):
            bert.encode(["a"], outputs=["pooled_output"]).plot_tokens()
        with pytest.raises(InputError, match="no texts"):
            bert.encode([]).plot_similarity()


def test_pyplot_is_not_imported() -> None:
    code = (
        "import sys, numpy, berthub as hub; assert 'matplotlib' not in sys.modules; hub.plot;"
        "assert 'matplotlib' not in sys.modules; hub.plot.map(['a', 'b'], numpy.eye(2))._repr_png_();"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_figure_is_written_to_files() -> None:
    file = io.BytesIO()
    hub.plot.similarity(["a", "b"], np.eye(2)).savefig(file, format="svg")
    assert b"<svg" in file.getvalue()


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "berthub.plot.picture", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"berthub\[plot\]"):
        hub.plot.map(["a"], np.ones((1, 2)))
