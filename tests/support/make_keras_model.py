"""Write `tests/data/models/keras_model`: what is in the `.keras` file of a classifier with a `berthub.KerasLayer`.

    KERAS_BACKEND=torch python tests/support/make_keras_model.py

The encoder is the tiny one beside it, with one dense layer on `pooled_output`, compiled and never trained.
"""

import tempfile
import zipfile
from pathlib import Path

import keras

import berthub as hub

_MODELS = Path(__file__).parent.parent / "data" / "models"


def main() -> None:
    """Build, save, and unpack."""
    keras.utils.set_random_seed(7)
    names = ("input_word_ids", "input_mask", "input_type_ids")
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
    outputs = hub.KerasLayer(_MODELS / "tf2_v4", trainable=True, name="bert")(inputs)
    dense = keras.layers.Dense(3, activation="softmax", name="classifier")
    model = keras.Model(inputs, dense(keras.layers.Dropout(0.1)(outputs["pooled_output"])))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.keras"
        model.save(path)
        with zipfile.ZipFile(path) as file:
            file.extractall(_MODELS / "keras_model")


if __name__ == "__main__":
    main()
