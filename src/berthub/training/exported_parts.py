"""What a layer leaves in the SavedModels that Keras and TensorFlow write of a model, for berthub to read them.

`keras.Model.export` and `tf.saved_model.save` keep variables, functions and assets. With TensorFlow as the backend the
layer adds a description of its model and the vocabulary as assets, and names the operations that are its outputs.
"""

import json
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import keras

from berthub.formats.native import CONFIG, description
from berthub.formats.tensorflow.keras_export_names import DESCRIPTION, LORA_SCALE, MARK
from berthub.formats.vocabularies import write_vocabulary_files

__all__ = ["exported_files", "marked"]

_MARKED = ("pooled_output", "sequence_output")

# A layer's object with the vocabulary that it was made of. Layers must not hold it: they are copied and pickled.
_made: "weakref.WeakKeyDictionary[Any, tuple[Any, Any]]" = weakref.WeakKeyDictionary()


def marked(outputs: dict[str, Any]) -> dict[str, Any]:
    """The same outputs of a layer; in a graph of TensorFlow's, operations with telling names."""
    if keras.config.backend() != "tensorflow":
        return outputs
    import tensorflow as tf

    if tf.executing_eagerly():
        return outputs
    found = dict(outputs)
    for name in _MARKED:
        if name in found:
            found[name] = tf.identity(found[name], name=f"{MARK}{name}")
    if "default" in found:
        found["default"] = found["pooled_output"]
    return found


def exported_files(layer: Any) -> Any:
    """TensorFlow's object that holds the assets; None for a layer without a vocabulary."""
    if layer.vocabulary is None:
        return None
    vocabulary, resource = _made.get(layer, (None, None))
    if vocabulary is not layer.vocabulary:
        resource = _resource(layer)
        _made[layer] = layer.vocabulary, resource
    return resource


def _resource(layer: Any) -> Any:
    import tensorflow as tf

    class Files(tf.saved_model.experimental.TrackableResource):
        """Assets by name. Keras exports of a layer's assets what hangs on a resource, and so it is an empty table."""

        def __init__(self, assets: dict[str, Any]) -> None:
            super().__init__()
            self._assets = assets

        def _create_resource(self) -> Any:
            return tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

        def _trackable_children(self, save_type: str = "checkpoint", **options: Any) -> dict[str, Any]:
            return {**super()._trackable_children(save_type, **options), **self._assets}

    # The files are copied when the model is saved: until then they stay.
    folder = Path(tempfile.mkdtemp(prefix="berthub-"))
    weakref.finalize(layer, shutil.rmtree, folder, ignore_errors=True)
    write_vocabulary_files(layer.vocabulary, folder)
    paths = {path.name: path for path in folder.iterdir()}
    described = json.loads(description(layer.checkpoint(), embedding_arrays=True))
    if layer.lora_rank is not None:
        described[LORA_SCALE] = layer.lora_alpha / layer.lora_rank
    path = folder / CONFIG
    path.write_text(json.dumps(described), encoding="utf-8")
    assets = {name: tf.saved_model.Asset(str(place)) for name, place in {**paths, DESCRIPTION: path}.items()}
    return Files(assets)
