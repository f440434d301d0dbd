import pickle
import sys
from pathlib import Path
from typing import Any, Self

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

from berthub.encoding.load import load
from berthub.errors import HandleError, InputError, MissingDependencyError, TruncationWarning
from berthub.sklearn import BertFeatures
from support.sentence_transformers import make, pooling

MODEL = str(Path(__file__).parent.parent / "data" / "models" / "tf2_v4")
TEXTS = ["The cat sat on the mat.", "Hello!", "It was not so good, was it?", "", "A dog and a cat.", "Hello, world!"]
PAIRS = [(text, "What?") for text in TEXTS]


def features(**options: Any) -> BertFeatures:
    return BertFeatures(MODEL, **{"engine": "numpy", **options})


@pytest.fixture(scope="module")
def encoder() -> Any:
    return load(MODEL, engine="numpy")


@pytest.mark.parametrize("pooling", ["mean", "max", "cls", "pooled"])
@pytest.mark.parametrize("texts", [TEXTS, PAIRS], ids=["texts", "pairs"])
def test_one_layer_is_what_embed_gives(encoder: Any, pooling: Any, texts: Any) -> None:
    vectors = features(pooling=pooling).fit_transform(texts)
    np.testing.assert_array_equal(vectors, encoder.embed(texts, pooling=pooling))
    assert vectors.dtype == np.float32
    assert vectors.shape == (6, 32)


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_several_layers_are_joined(encoder: Any, pooling: Any) -> None:
    expected = np.concatenate([encoder.embed(TEXTS, pooling=pooling, layer=layer) for layer in (-2, 1)], axis=1)
    made = features(pooling=pooling, layers=[-2, 1]).fit(TEXTS)
    vectors = made.transform(TEXTS)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert (vectors.shape, vectors.dtype) == ((6, 64), np.float32)
    assert (made.layers_, made.hidden_size_, made.precision_) == ((0, 1), 32, "float32")
    names = made.get_feature_names_out()
    assert (len(names), names[0], names[-1]) == (64, "bertfeatures0", "bertfeatures63")
    whole = features(pooling=pooling, layers=[-2, 1], normalize=True).fit_transform(TEXTS)
    np.testing.assert_allclose(whole, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("layers", [(-1,), (0, 1)])
def test_a_text_does_not_depend_on_the_others(layers: Any) -> None:
    made = features(layers=layers).fit(TEXTS)
    together = made.transform(TEXTS)
    alone = np.concatenate([made.transform([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(made.transform(TEXTS[::-1]), together[::-1], atol=1e-5)
    assert made.transform([]).shape == (0, 32 * len(layers))


def test_the_default_is_what_the_models_files_say(models: Path, tmp_path: Path) -> None:
    folder = make(models, tmp_path, pooling("cls_token"), normalize=True)
    expected = load(folder, engine="numpy").embed(TEXTS, pooling="cls", normalize=True)
    np.testing.assert_allclose(BertFeatures(folder, engine="numpy").fit_transform(TEXTS), expected, atol=1e-5)
    plain = BertFeatures(folder, engine="numpy", pooling="cls").fit_transform(TEXTS)
    assert np.abs(np.linalg.norm(plain, axis=1) - 1).min() > 0.1


def test_texts_in_every_form() -> None:
    made = features().fit(TEXTS)
    expected = made.transform(TEXTS)
    for form in (tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, object), (text for text in TEXTS)):
        np.testing.assert_array_equal(made.transform(form), expected)


def test_it_works_in_a_pipeline_and_a_grid_search() -> None:
    texts, labels = TEXTS * 2, [1, 0, 0, 0, 1, 0] * 2
    pipeline = make_pipeline(features(), LogisticRegression(C=100.0))
    assert pipeline.fit(texts, labels).score(texts, labels) > 0.8
    grid = {"bertfeatures__pooling": ["mean", "cls"], "bertfeatures__layers": [(-1,), (0, 1)]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(np.array(texts), labels)
    assert set(search.best_params_) == set(grid)
    assert search.best_estimator_.predict(np.array(texts)).shape == (12,)


def test_parameters_are_read_set_and_cloned() -> None:
    made = features(layers=[-2, -1]).fit(TEXTS)
    copied = clone(made)
    assert copied.get_params() == made.get_params()
    with pytest.raises(NotFittedError):
        copied.transform(TEXTS)
    # What was fitted holds until the next fit, before and after pickling.
    before = made.transform(TEXTS)
    made.set_params(pooling="cls", layers=-1, model="nothing/that/exists")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(made)).transform(TEXTS), before)
    assert made.set_params(model=MODEL).fit_transform(TEXTS).shape == (6, 32)


def test_the_model_is_not_in_the_pickle(tmp_path: Path) -> None:
    made = features().fit(TEXTS)
    assert len(pickle.dumps(made)) < 2000
    joblib.dump(made, tmp_path / "features.joblib")
    loaded = joblib.load(tmp_path / "features.joblib")
    np.testing.assert_array_equal(loaded.transform(TEXTS), made.transform(TEXTS))


def test_frames_go_in_and_out() -> None:
    pandas = pytest.importorskip("pandas")
    texts = pandas.Series(TEXTS, index=range(10, 16))
    frame = features().set_output(transform="pandas").fit_transform(texts)
    assert list(frame.columns) == [f"bertfeatures{index}" for index in range(32)]
    np.testing.assert_array_equal(frame.to_numpy(), features().fit_transform(TEXTS))
    with pytest.raises(InputError, match="2 dimensions"):
        features().fit(texts.to_frame())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pooling": "sum"}, InputError, "pooling='sum' is not known"),
        ({"layers": (2,)}, InputError, "layer 2 does not exist"),
        ({"layers": ()}, InputError, r"layers are a number or a sequence of numbers.* not \(\)"),
        ({"layers": "all"}, InputError, "layers are a number .* not 'all'"),
        ({"layers": (-1, 1)}, InputError, "names a layer of the model twice"),
        ({"layers": (-2, -1), "pooling": "pooled"}, InputError, "the pooler belongs to the last layer"),
        ({"normalize": "l2"}, InputError, "normalize must be True or False"),
        ({"max_length": 65}, InputError, "max_length must be from 2 to 64"),
        ({"model": "nothing/that/exists"}, HandleError, "nothing/that/exists"),
        ({"sha256": {"assets/vocab.txt": "0" * 64}}, OSError, "vocab.txt"),
    ],
)
def test_wrong_parameters_are_named_by_fit(options: dict[str, Any], error: type[Exception], message: str) -> None:
    made = clone(features()).set_params(**options)
    with pytest.raises(error, match=message):
        made.fit(TEXTS)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("one text", r"a single string: \[text\]"),
        (np.array(TEXTS)[:, None], "has 2 dimensions: choose the column"),
        (np.arange(3), "text 0 is of type int64"),
        ([["a"], ["b"]], "text 0 is of type list"),
        (["a", float("nan")], "text 1 is of type float"),
        (None, "not of type NoneType"),
    ],
)
def test_what_are_no_texts_is_refused(texts: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        features().fit_transform(texts)


def test_long_texts_are_truncated_and_reported() -> None:
    with pytest.warns(TruncationWarning, match="1 of 2 texts had more than 8 tokens"):
        features(max_length=8).fit_transform(["Hello!", "a b c d e f g h"])


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("berthub.sklearn", "berthub.sklearn.features"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingDependencyError, match=r"pip install 'berthub\[sklearn\]'"):
        __import__("berthub.sklearn")


def test_the_tags_are_those_of_a_text_vectorizer() -> None:
    tags = get_tags(features())
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert not tags.input_tags.sparse
    assert tags.requires_fit


class NumbersAsWords(BertFeatures):
    """Writes each row of numbers as a text: so scikit-learn's checks, which have numbers alone, say something."""

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        return super().fit(_written(validate_data(self, X)), y)

    def transform(self, X: Any) -> Any:  # noqa: N803
        return super().transform(_written(validate_data(self, X, reset=False)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def _written(rows: Any) -> list[str]:
    return [" ".join(str(round(10 * number)) for number in row) for row in rows]


# None of the checks may fail: the table of `expected_failed_checks` is empty.
@pytest.mark.filterwarnings("ignore::berthub.TruncationWarning")
@parametrize_with_checks([NumbersAsWords(MODEL, engine="numpy")])
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)
