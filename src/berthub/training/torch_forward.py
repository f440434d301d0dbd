"""The forward pass of a layer on PyTorch, in training: padding is not computed, and tables have sparse gradients."""

from collections.abc import Mapping
from typing import Any

import keras

from berthub.engines.torch.ragged import Ragged
from berthub.training.forward import InputTensors, forward
from berthub.training.keras_layer import KerasLayer
from berthub.training.layer_inputs import input_tensors
from berthub.training.layer_outputs import chosen_outputs, wanted_outputs
from berthub.training.torch_ops import TrainingOps, generator, torch_dtype

__all__ = ["forward_without_padding"]


def forward_without_padding(layer: KerasLayer, inputs: Mapping[str, Any]) -> Any:
    """The same outputs as `layer(inputs, training=True)`, except that padding has zeros.

    `inputs` are in TF Hub's names, [b, s] each, and every row of the mask is ones, then zeros. The gradient of an
    embedding table is sparse, which Keras's optimizers cannot take. The values of the inputs are not checked.
    """
    config, given = layer.config, input_tensors(inputs, pad=layer.pad)
    ragged = Ragged.of_mask(given.mask)
    seeds = layer.dropout_seeds(training=True)
    ops = TrainingOps(torch_dtype(layer.compute_dtype), None if seeds is None else generator(seeds), ragged=ragged)
    outputs = forward(
        ops,
        config,
        layer.tensors_by_name(),
        InputTensors(ragged.take(given.ids), given.mask, ragged.take(given.type_ids)),
        wanted=wanted_outputs(layer.output_key, config),
    )
    chosen = chosen_outputs(outputs, layer.output_key, config)
    # One vector a text has no padding.
    return keras.tree.map_structure(lambda x: x if x.ndim == 2 else ragged.pad(x), chosen)
