"""Write a checkpoint as a Keras model in one file."""

from pathlib import Path

import keras

from berthub.atomic import written_path
from berthub.checkpoint import Checkpoint
from berthub.networks.interface import INPUTS
from berthub.training.keras_layer import KerasLayer

__all__ = ["write_keras_model"]


def write_keras_model(checkpoint: Checkpoint, path: Path) -> None:
    """Write a functional model with one trainable `KerasLayer`, called bert, into the `.keras` file at `path`.

    Its inputs are TF Hub's three, int32 [batch, seq], its output is the dict of the layer. Keras loads it wherever
    berthub is installed and has been imported.
    """
    layer = KerasLayer(checkpoint, trainable=True, name="bert")
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in INPUTS}
    model = keras.Model(inputs, layer(inputs))
    with written_path(path, overwrite=False) as unfinished:
        model.save(unfinished)
