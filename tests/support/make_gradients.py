"""Makes tests/data/gradients/tf2_v4.npz: gradients through TensorFlow's own SavedModel, by canonical names.

    python tests/support/make_gradients.py            # from the repository's root; needs tensorflow
    python tests/support/make_gradients.py --layer    # the same through the legacy tensorflow_hub.KerasLayer, compared

The second needs tensorflow_hub and tf_keras, and setuptools before version 82.
"""

import os
import sys
from pathlib import Path

import numpy as np

# The imports below need the first, and TensorFlow Hub's layer the second.
sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ["TF_USE_LEGACY_KERAS"] = "1"

from berthub.formats import read
from berthub.networks.network import weight_shapes
from support.gradients import GOLDEN, MODEL, batch, loss


def main() -> None:
    """Make the file, or compare with it."""
    found = reference()
    if "--layer" in sys.argv:
        with np.load(GOLDEN) as stored:
            for name, gradient in _by_name(_layer_gradients()).items():
                difference = np.abs(gradient - stored[name]).max()
                print(f"{difference:.1e} of {np.abs(gradient).max():.1e}  {name}")
                assert difference < 1e-4 * max(np.abs(gradient).max(), 1e-2)
        return
    GOLDEN.parent.mkdir(exist_ok=True)
    # Rounded to 16 bits of each mantissa, 1e-5 of its value, which is enough: the zeros of the others compress.
    short = {
        name: ((array.view(np.uint32) + np.uint32(0x40)) & np.uint32(0xFFFFFF80)).view(np.float32)
        for name, array in found.items()
    }
    np.savez_compressed(GOLDEN, **short)
    print(f"{GOLDEN}: {GOLDEN.stat().st_size:,} bytes")


def reference() -> dict[str, np.ndarray]:
    """The gradients of `loss` through the graph of the SavedModel, without dropout."""
    import tensorflow as tf

    model = tf.saved_model.load(str(MODEL))
    with tf.GradientTape() as tape:
        value = loss(model({name: tf.constant(array) for name, array in batch().items()}, training=False), _mean)
    return _by_name(_arrays(tape.gradient(value, model.trainable_variables)), model.trainable_variables)


def _layer_gradients() -> list[np.ndarray]:
    import tensorflow as tf
    import tensorflow_hub

    layer = tensorflow_hub.KerasLayer(str(MODEL), trainable=True)
    with tf.GradientTape() as tape:
        value = loss(layer({name: tf.constant(array) for name, array in batch().items()}, training=False), _mean)
    return _arrays(tape.gradient(value, layer.trainable_variables))


def _mean(tensor: object) -> object:
    import tensorflow as tf

    return tf.reduce_mean(tensor)


def _arrays(found: list[object]) -> list[np.ndarray]:
    import tensorflow as tf

    return [tf.convert_to_tensor(gradient).numpy() for gradient in found]


def _by_name(found: list[np.ndarray], variables: list[object] | None = None) -> dict[str, np.ndarray]:
    """TF Hub's models have their variables in the order of the canonical names; values, where given, prove it."""
    checkpoint = read(MODEL)
    shapes = weight_shapes(checkpoint.config)
    for (name, shape), variable in zip(shapes.items(), variables or [], strict=bool(variables)):
        np.testing.assert_array_equal(checkpoint.weights[name], variable.numpy().reshape(shape))
    return {name: gradient.reshape(shape) for (name, shape), gradient in zip(shapes.items(), found, strict=True)}


if __name__ == "__main__":
    main()
