from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.vocabulary import Vocabulary
from support.vocabularies import TEXTS, byte_bpe, sentencepiece_model, with_vocabulary


@pytest.mark.parametrize("vocabulary", [byte_bpe(), sentencepiece_model()], ids=lambda vocabulary: vocabulary.algorithm)
def test_a_keras_file_keeps_the_vocabulary(
    keras: Any, start: Checkpoint, tmp_path: Path, vocabulary: Vocabulary
) -> None:
    layer = hub.KerasLayer(with_vocabulary(start, vocabulary), output_key="pooled_output")
    ids = keras.Input((None,), dtype="int32")
    model = keras.Model(ids, layer(ids))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    (saved,) = (one for one in again.layers if isinstance(one, hub.KerasLayer))
    assert saved.vocabulary == vocabulary
    assert saved.vocabulary.model == vocabulary.model
    # A layer that was loaded can be saved once more, and as berthub's own form.
    again.save(tmp_path / "again.keras")
    saved.save(tmp_path / "native")
    assert (
        hub.Tokenizer.from_pretrained(tmp_path / "native")(TEXTS).input_ids
        == hub.Tokenizer(vocabulary)(TEXTS).input_ids
    )
    inputs = hub.Tokenizer(vocabulary, max_length=16)(
        TEXTS, padding=True, truncation=True, return_tensors="np"
    ).input_ids
    np.testing.assert_array_equal(model.predict(inputs, verbose=0), again.predict(inputs, verbose=0))


@pytest.mark.parametrize("vocabulary", [byte_bpe(), sentencepiece_model()], ids=lambda vocabulary: vocabulary.algorithm)
def test_a_saved_model_keeps_the_vocabulary(start: Checkpoint, tmp_path: Path, vocabulary: Vocabulary) -> None:
    pytest.importorskip("tensorflow", reason="what writes SavedModels")
    hub.export(with_vocabulary(start, vocabulary), tmp_path / "model", to="savedmodel")
    assert hub.load(tmp_path / "model", engine="numpy").vocabulary == vocabulary
