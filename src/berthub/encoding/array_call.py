"""A model that is called with arrays, as a TF Hub encoder is."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np

from berthub.encoding.arrays import ArrayInputs, array_inputs
from berthub.encoding.stages import Stages
from berthub.engines.engine import PaddedBatch
from berthub.networks.interface import MLM_LOGITS
from berthub.networks.outputs import Output

__all__ = ["call"]


def call(inputs: Any, stages: Stages) -> dict[str, Any]:
    """What `Encoder.__call__` returns."""
    config, vocabulary = stages.checkpoint.config, stages.checkpoint.vocabulary
    arrays = array_inputs(inputs, config, pad=vocabulary.ids[vocabulary.pad])
    wanted = {f"layer {layer}": Output(layer) for layer in range(config.num_states)}
    if config.has_pooled_output:
        wanted["pooled_output"] = Output(-1, "pooled").resolved(config)
    if arrays.positions is not None:
        wanted[MLM_LOGITS] = Output(mlm=True).resolved(config)
    outputs = list(wanted.values())
    (count, width), hidden = arrays.ids.shape, config.hidden_size
    at = 0 if arrays.positions is None else arrays.positions.shape[1]
    results = {
        name: np.zeros(
            (count, at, config.vocab_size) if o.mlm else (count, hidden) if o.pooling else (count, width, hidden),
            np.float32,
        )
        for name, o in wanted.items()
    }
    with closing(stages.engine.run(_slices(arrays, stages.limits.tokens), outputs)) as running:
        for done in running:
            for result, array in zip(results.values(), done.outputs, strict=True):
                result[done.batch.rows] = array
    layers = [results.pop(f"layer {layer}") for layer in range(config.num_states)]
    pooled = {"default": results["pooled_output"]} if config.has_pooled_output else {}
    return {**pooled, **results, "sequence_output": layers[-1], "encoder_outputs": layers}


def _slices(arrays: ArrayInputs, budget: int) -> Iterator[PaddedBatch]:
    count, width = arrays.ids.shape
    step = max(1, budget // width)
    for start in range(0, count, step):
        part = slice(start, start + step)
        rows = np.arange(start, min(start + step, count))
        yield PaddedBatch(
            ids=arrays.ids[part],
            mask=arrays.mask[part],
            type_ids=arrays.type_ids[part],
            rows=rows,
            positions=None if arrays.positions is None else arrays.positions[part],
        )
