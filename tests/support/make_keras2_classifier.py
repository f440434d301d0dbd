"""Write `tests/data/models/keras2_classifier`: what `model.save` made of TF Hub's classify-text tutorial.

    pip install "tensorflow==2.20.*" "tensorflow-text==2.20.*" "tf_keras==2.20.*" tensorflow_hub "setuptools<82"
    TF_USE_LEGACY_KERAS=1 python tests/support/make_keras2_classifier.py

The preprocessing model and the encoder are the tiny ones beside it, in hub layers; one dense layer with one output
stands on `pooled_output`. It is trained for a few steps, so that no weight is as it was. `golden.npz` holds what the
reloaded model makes of the texts in `golden.json`: its one output (a logit), and what the encoder in it returns.
"""

import json
import os
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub
import tensorflow_text  # noqa: F401 (registers the operations of the preprocessing model)
import tf_keras

_MODELS = Path(__file__).parent.parent / "data" / "models"
_LENGTH = 32
_TEXTS = (
    "The music was great, and so was the film!",
    "It was not as good as the first one.",
    "She said that they had been there for two years.",
    "No.",
)


def main() -> None:
    """Build, train, save, reload, and compute the outputs."""
    os.chdir(_MODELS)  # the handles are stored: they should name no folder of this machine
    tf_keras.utils.set_random_seed(7)
    text = tf_keras.layers.Input(shape=(), dtype=tf.string, name="text")
    # The encoder has 64 positions, too few for the preprocessing model's own length: thus the tutorial's longer form.
    preprocessor = hub.load("preprocess")
    tokens = hub.KerasLayer(preprocessor.tokenize, name="tokenizer")(text)
    pack = hub.KerasLayer(preprocessor.bert_pack_inputs, arguments={"seq_length": _LENGTH}, name="preprocessing")
    inputs = pack([tokens])
    outputs = hub.KerasLayer("tf2_v4", trainable=True, name="BERT_encoder")(inputs)
    net = tf_keras.layers.Dropout(0.1)(outputs["pooled_output"])
    net = tf_keras.layers.Dense(1, activation=None, name="classifier")(net)
    model = tf_keras.Model(text, net)
    model.compile(
        optimizer=tf_keras.optimizers.legacy.Adam(1e-2), loss=tf_keras.losses.BinaryCrossentropy(from_logits=True)
    )
    model.fit(tf.constant(_TEXTS), tf.constant([[1.0], [0.0], [1.0], [0.0]]), epochs=3, verbose=0)

    folder = _MODELS / "keras2_classifier"
    model.save(str(folder), save_format="tf", include_optimizer=False)
    loaded = tf.saved_model.load(str(folder))
    texts = tf.constant(_TEXTS)
    tokens = preprocessor.bert_pack_inputs([preprocessor.tokenize(texts)], seq_length=_LENGTH)
    states = getattr(loaded, "layer_with_weights-0")(tokens, training=False)
    arrays = {name: tokens[name].numpy() for name in ("input_word_ids", "input_mask", "input_type_ids")}
    arrays |= {name: states[name].numpy() for name in ("pooled_output", "sequence_output")}
    logits = loaded(texts, training=False).numpy()
    np.savez_compressed(folder / "golden.npz", logits=logits, **arrays)
    golden = {
        "saved_with": f"tensorflow {tf.__version__}, tf_keras {tf_keras.__version__}, tensorflow_hub {hub.__version__}",
        "texts": _TEXTS,
    }
    (folder / "golden.json").write_text(json.dumps(golden, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
