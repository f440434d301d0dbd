"""Models that were saved with their preprocessing inside are tokenized as it does."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from berthub.errors import UnsupportedModelError
from berthub.formats import read
from berthub.formats.tensorflow.text_graph import TextGraph
from berthub.tokenization.tokenizer import Tokenizer

_SPLIT, _OTHER = b"WordpieceTokenizeWithOffsets", b"FastWordpieceTokenizeOffsets"
_FOLD = b"CaseFoldUTF8"
_SOURCE = "the operations on texts in the graph"


@pytest.fixture
def changed(models: Path, tmp_path: Path) -> Callable[[bytes, bytes], Path]:
    """The model with other bytes in its graph."""

    def change(old: bytes, new: bytes) -> Path:
        assert len(old) == len(new)
        folder = Path(shutil.copytree(models / "keras2_classifier", tmp_path / "model"))
        path = folder / "saved_model.pb"
        path.write_bytes(path.read_bytes().replace(old, new))
        return folder

    return change


def test_the_preprocessing_in_a_keras_model_says_whose_tokenization_it_is(models: Path) -> None:
    folder = models / "keras2_classifier"
    checkpoint = read(folder)
    assert checkpoint.config.tokenization == "tf_text"
    assert (checkpoint.config.lower_case, checkpoint.config.strip_accents) == (True, None)
    assert checkpoint.origin.settings["tokenization"] == checkpoint.origin.settings["lower_case"] == _SOURCE
    tokenizer = Tokenizer.from_checkpoint(checkpoint)
    texts = json.loads((folder / "golden.json").read_text())["texts"]
    expected = np.load(folder / "golden.npz")["input_word_ids"]
    found = tokenizer(texts, padding="max_length", max_length=expected.shape[1], return_tensors="np")
    np.testing.assert_array_equal(found["input_ids"], expected)
    # On which Google's code and TensorFlow Text differ.
    other = Tokenizer.from_checkpoint(checkpoint, tokenization="google")
    assert tokenizer.tokenize("Stra\u00dfe \ufb01") != other.tokenize("Stra\u00dfe \ufb01")


def test_the_users_choice_stands_above_it(models: Path) -> None:
    checkpoint = read(models / "keras2_classifier", settings={"tokenization": "google"})
    assert checkpoint.config.tokenization == "google"


def test_an_encoder_alone_has_googles(models: Path) -> None:
    assert read(models / "tf2_v4").config.tokenization == "google"
    assert TextGraph.of([b"no operation on texts"], models) is None


def test_other_operations_on_texts_are_refused(changed: Callable[[bytes, bytes], Path]) -> None:
    folder = changed(_SPLIT, _OTHER)
    with pytest.raises(UnsupportedModelError, match=f"tokenizes by {_OTHER.decode()}"):
        read(folder)
    assert read(folder, settings={"tokenization": "tf_text"}).config.lower_case is True


def test_texts_that_are_normalized_and_not_folded_are_refused(changed: Callable[[bytes, bytes], Path]) -> None:
    with pytest.raises(UnsupportedModelError, match="without lower-casing"):
        read(changed(_FOLD, b"CaseKeepUTF8"))
