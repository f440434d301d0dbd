"""A checkpoint becomes a SavedModel with the interface of TF Hub's BERTs, versions 3 and 4."""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig
from berthub.errors import MissingDependencyError
from berthub.formats.native import description, new_folder, write_vocabulary
from berthub.formats.renaming import Rule, rename
from berthub.formats.saved_model import DESCRIPTION
from berthub.networks import network
from berthub.networks.network import weight_shapes

__all__ = ["export_saved_model"]

_INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
_LAYER = r"bert/encoder/(layer_\d+)"
# Canonical name -> TF Hub's.
_RULES: list[Rule] = [
    (r"bert/embeddings/word_embeddings", "word_embeddings/embeddings"),
    (r"bert/embeddings/position_embeddings", "position_embedding/embeddings"),
    (r"bert/embeddings/token_type_embeddings", "type_embeddings/embeddings"),
    (r"bert/embeddings/LayerNorm/(.*)", r"embeddings/layer_norm/\1"),
    (_LAYER + r"/attention/self/(.*)", r"transformer/\1/self_attention/\2"),
    (_LAYER + r"/attention/output/dense/(.*)", r"transformer/\1/self_attention/attention_output/\2"),
    (_LAYER + r"/attention/output/LayerNorm/(.*)", r"transformer/\1/self_attention_layer_norm/\2"),
    (_LAYER + r"/intermediate/dense/(.*)", r"transformer/\1/intermediate/\2"),
    (_LAYER + r"/output/dense/(.*)", r"transformer/\1/output/\2"),
    (_LAYER + r"/output/LayerNorm/(.*)", r"transformer/\1/output_layer_norm/\2"),
    (r"bert/pooler/dense/(.*)", r"pooler_transform/\1"),
]


def export_saved_model(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the SavedModel into `folder`, which is made; one that holds files already is refused.

    It is called with a dict of `input_word_ids`, `input_mask` and `input_type_ids`, int32 [batch, seq], and
    `training`; it returns TF Hub's dict, and has what `tensorflow_hub.KerasLayer` looks for. The signature
    `serving_default` gives the layers as `encoder_outputs_0` and so on. What the variables do not tell is written
    beside them, for berthub to read. Raises `MissingDependencyError` where TensorFlow is not installed.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingDependencyError(
            "a SavedModel is written by TensorFlow, which is not installed: pip install tensorflow"
        )
    import tensorflow as tf

    new_folder(folder)
    with tempfile.TemporaryDirectory() as scratch:
        vocabulary = Path(scratch) / "vocab.txt"
        write_vocabulary(checkpoint.vocabulary, vocabulary)
        model, signature = _model(checkpoint)
        model.vocab_file = tf.saved_model.Asset(str(vocabulary))
        tf.saved_model.save(model, str(folder), signatures={"serving_default": signature})
    path = folder / DESCRIPTION
    path.parent.mkdir()
    path.write_text(description(checkpoint), encoding="utf-8")


def _model(checkpoint: Checkpoint) -> tuple[Any, Any]:
    """The object to save, whose attributes are those of the loaded model, and its signature."""
    import tensorflow as tf

    config, shapes = checkpoint.config, weight_shapes(checkpoint.config)
    foreign_names, _ = rename(shapes, _RULES)
    variables = {
        canonical: tf.Variable(_by_head(canonical, checkpoint.weights[canonical], config), name=name)
        for name, canonical in foreign_names.items()
    }
    lengths = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in _INPUTS}

    def call(inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        weights = {name: tf.reshape(variable, shapes[name]) for name, variable in variables.items()}
        return _outputs(config, weights, inputs, training=training)

    def signature(input_word_ids: Any, input_mask: Any, input_type_ids: Any) -> dict[str, Any]:
        outputs = call(dict(zip(_INPUTS, (input_word_ids, input_mask, input_type_ids), strict=True)))
        states = outputs.pop("encoder_outputs")
        return {**outputs, **{f"encoder_outputs_{layer}": state for layer, state in enumerate(states)}}

    model = tf.train.Checkpoint()
    model.variables = list(variables.values())
    model.trainable_variables = list(variables.values())
    model.regularization_losses = []
    model.do_lower_case = tf.Variable(config.lower_case, trainable=False, name="do_lower_case")
    model.__call__ = tf.function(call)
    for training in (False, True):
        model.__call__.get_concrete_function(lengths, training=training)
    return model, tf.function(signature, input_signature=list(lengths.values()))


def _outputs(
    config: EncoderConfig, weights: dict[str, Any], inputs: dict[str, Any], *, training: bool
) -> dict[str, Any]:
    from berthub.training.tensorflow_ops import TensorFlowOps

    ops = TensorFlowOps(training=training)
    states = network.hidden_states(
        ops,
        config,
        weights,
        ids=inputs["input_word_ids"],
        mask=inputs["input_mask"],
        type_ids=inputs["input_type_ids"],
        layers=config.num_states,
    )
    outputs: dict[str, Any] = {"encoder_outputs": states, "sequence_output": states[-1]}
    if config.has_pooled_output:
        pooled = network.pooled_output(ops, config, weights, states[-1])
        outputs |= {"default": pooled, "pooled_output": pooled}
    return outputs


def _by_head(name: str, weight: Any, config: EncoderConfig) -> Any:
    """The weights of the attention as TF Hub's models have them: with an axis for the heads."""
    heads = (config.num_heads, config.head_size)
    if "/attention/self/" in name:
        return np.reshape(weight, (*weight.shape[:-1], *heads))
    if name.endswith("/attention/output/dense/kernel"):
        return np.reshape(weight, (*heads, weight.shape[-1]))
    return np.asarray(weight)
