"""Write a checkpoint as a SavedModel with the interface of TF Hub's BERTs, versions 3 and 4."""

import dataclasses
import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from berthub.atomic import check_new_folder, write_errors, written_folder
from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig
from berthub.errors import MissingDependencyError
from berthub.formats.native import description
from berthub.formats.tensorflow.saved_model import DESCRIPTION
from berthub.formats.vocabularies import write_vocabulary_files
from berthub.networks import network
from berthub.networks.interface import INPUTS, MLM_LOGITS, POSITIONS
from berthub.networks.network import weight_shapes
from berthub.training.saved_model_names import by_head, foreign_names, is_of_encoder

__all__ = ["export_saved_model"]


def export_saved_model(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the SavedModel into `folder`, which appears when it is whole; one that holds files already is refused.

    It is called with a dict of `input_word_ids`, `input_mask` and `input_type_ids`, int32 [batch, seq], and
    `training`; it returns TF Hub's dict, and has what `tensorflow_hub.KerasLayer` looks for. The signature
    `serving_default` gives the layers as `encoder_outputs_0` and so on. With a masked-language-model head there is
    the sub-object `mlm`, which takes `masked_lm_positions`, int32 [batch, positions], too, and adds `mlm_logits`.
    The vocabulary is the asset `vocab_file`, or `sp_model_file` where it is a SentencePiece model; the merges of a
    byte-pair encoding are `merges_file`. What the variables do not tell is written beside them, for berthub to
    read. A head of a fine-tuned model has no place. Raises `MissingDependencyError` where TensorFlow is not installed.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingDependencyError(
            "a SavedModel is written by TensorFlow, which is not installed: pip install tensorflow"
        )
    import tensorflow as tf

    check_new_folder(folder)
    model, signature = _model(checkpoint)
    with (
        written_folder(folder, last="saved_model.pb") as unfinished,
        # TensorFlow has errors of its own for what the system refuses.
        write_errors(folder, tf.errors.OpError),
    ):
        scratch = unfinished / "scratch"
        scratch.mkdir()
        for attribute, path in write_vocabulary_files(checkpoint.vocabulary, scratch).items():
            setattr(model, attribute, tf.saved_model.Asset(str(path)))
        tf.saved_model.save(model, str(unfinished), signatures={"serving_default": signature})
        shutil.rmtree(scratch)
        path = unfinished / DESCRIPTION
        path.parent.mkdir()
        path.write_text(
            description(dataclasses.replace(checkpoint, head=None), embedding_arrays=True), encoding="utf-8"
        )


def _model(checkpoint: Checkpoint) -> tuple[Any, Any]:
    """The object to save, whose attributes are those of the loaded model, and its signature."""
    import tensorflow as tf

    config, shapes = checkpoint.config, weight_shapes(checkpoint.config)
    variables = {
        canonical: tf.Variable(by_head(canonical, checkpoint.weights[canonical], config), name=name)
        for canonical, name in foreign_names(config).items()
    }

    def call(inputs: dict[str, Any], training: bool = False) -> dict[str, Any]:
        weights = {
            # Left alone where it has its shape: the gradient of an embedding table then is that of few rows.
            name: variable if tuple(variable.shape) == shapes[name] else tf.reshape(variable, shapes[name])
            for name, variable in variables.items()
        }
        return _outputs(config, weights, inputs, training=training)

    def signature(input_word_ids: Any, input_mask: Any, input_type_ids: Any) -> dict[str, Any]:
        outputs = call(dict(zip(INPUTS, (input_word_ids, input_mask, input_type_ids), strict=True)))
        states = outputs.pop("encoder_outputs")
        return {**outputs, **{f"encoder_outputs_{layer}": state for layer, state in enumerate(states)}}

    specs = {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in (*INPUTS, POSITIONS)}
    inputs = {name: specs[name] for name in INPUTS}
    encoder = [variable for name, variable in variables.items() if is_of_encoder(name)]
    model = _callable(call, inputs, encoder)
    model.do_lower_case = tf.Variable(config.lower_case, trainable=False, name="do_lower_case")
    if config.mlm:
        model.mlm = _callable(call, specs, list(variables.values()))
    return model, tf.function(signature, input_signature=list(inputs.values()))


def _callable(call: Callable[..., dict[str, Any]], inputs: dict[str, Any], variables: list[Any]) -> Any:
    """An object with what `tensorflow_hub.KerasLayer` looks for."""
    import tensorflow as tf

    model = tf.train.Checkpoint()
    model.variables = variables
    model.trainable_variables = list(variables)
    model.regularization_losses = []
    model.__call__ = tf.function(call)
    for training in (False, True):
        model.__call__.get_concrete_function(inputs, training=training)
    return model


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
    if POSITIONS in inputs:
        outputs[MLM_LOGITS] = network.mlm_logits(ops, config, weights, states[-1], inputs[POSITIONS])
    return outputs
