"""A sample of tests/compare_models.py, which compares every architecture with transformers on every engine."""

import pytest

from support.needs import needs

pytestmark = [
    needs("transformers", "sentence_transformers", "torch", "sentencepiece", "onnx", "onnxruntime"),
    pytest.mark.filterwarnings("ignore::berthub.errors.TruncationWarning"),
]


def test_a_model_gives_what_transformers_gives() -> None:
    from compare_models import failed, given_texts, model_row

    columns = ["numpy", "onnx", "ragged", "sharded"]
    row = model_row("mobilebert", columns, given_texts(12))
    assert [*row] == ["ids", "numpy", "onnx", "sharded"]  # Its tokens see their padding: it is not computed ragged.
    assert not failed(row), row


def test_scores_and_sentence_vectors_are_compared() -> None:
    from compare_models import failed, given_texts
    from support.compared_sentences import recipe_row, score_row

    given = given_texts(12)
    for row in (
        recipe_row("layer norm", ["numpy", "native", "onnx"], given),
        score_row("xlm-roberta", ["numpy"], given),
    ):
        assert row
        assert not failed(row), row


@pytest.mark.parametrize("cell", [1.1e-5, float("nan"), 1, "weights"])
def test_what_differs_fails(cell: str | float) -> None:
    from compare_models import failed

    assert failed({"ids": 0, "numpy": 1e-6, "native": "same", "openvino": cell})


def test_a_difference_is_a_share_of_the_largest_value() -> None:
    np = pytest.importorskip("numpy")
    from support.compared_engines import difference

    ones = np.ones((2, 3), np.float32)
    expected = {"sequence_output": [ones * 4, ones * 8], "unknown": [ones]}
    assert difference({"sequence_output": [ones * 4, ones * 6]}, expected) == 0.25
    assert np.isnan(difference({"sequence_output": [ones * np.nan, ones * 8]}, expected))
