"""Call a model with arrays, as a TF Hub encoder is called."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig
from berthub.encoding.arrays import ArrayInputs, array_inputs
from berthub.encoding.compute import Computed
from berthub.encoding.finish import embedding
from berthub.encoding.request import EMBEDDING, Request, output_names
from berthub.encoding.stages import Stages
from berthub.engines.engine import PaddedBatch
from berthub.errors import InputError
from berthub.networks.interface import MLM_LOGITS, POSITIONS
from berthub.networks.outputs import Output

__all__ = ["ArrayCall", "call"]


# In the order in which they are returned where nothing is chosen, but for the last.
_NAMES = ("default", "pooled_output", MLM_LOGITS, "sequence_output", "encoder_outputs", EMBEDDING)


def call(inputs: Any, stages: Stages, names: Sequence[str] | None = None) -> dict[str, Any]:
    """What `Encoder.__call__` returns: arrays under the `names` of outputs; None: all that a TF Hub encoder has."""
    made = ArrayCall.of(inputs, stages.checkpoint, names)
    return made.finish(_computed(made.arrays, made.outputs, stages))


@dataclass(frozen=True, eq=False)
class ArrayCall:
    """A call with arrays, before and after it is computed: `asked` are the outputs that each name needs."""

    arrays: ArrayInputs
    asked: Mapping[str, Sequence[Output]]
    checkpoint: Checkpoint

    @classmethod
    def of(cls, inputs: Any, checkpoint: Checkpoint, names: Sequence[str] | None = None) -> "ArrayCall":
        """Check the inputs and the names of a call; `InputError` for those that the model does not take."""
        config, vocabulary = checkpoint.config, checkpoint.vocabulary
        arrays = array_inputs(inputs, config, pad=vocabulary.ids[vocabulary.pad])
        if names is None:
            left_out = {EMBEDDING}
            if not config.has_pooled_output:
                left_out |= {"default", "pooled_output"}
            if arrays.positions is None:
                left_out.add(MLM_LOGITS)
            names = [name for name in _NAMES if name not in left_out]
        names = _known(names, config)
        asked = {name: _needed(name, checkpoint) for name in names}
        if MLM_LOGITS in asked and arrays.positions is None:
            raise InputError(
                f"{MLM_LOGITS} are computed at single positions: pass {POSITIONS}, integers [batch, positions], with "
                "the inputs"
            )
        if MLM_LOGITS not in asked:
            # An engine takes positions only for what is computed there.
            arrays = dataclasses.replace(arrays, positions=None)
        return cls(arrays, asked, checkpoint)

    @property
    def outputs(self) -> list[Output]:
        """What is computed, each output once."""
        return list(dict.fromkeys(itertools.chain.from_iterable(self.asked.values())))

    def finish(self, computed: Computed) -> dict[str, Any]:
        """The arrays under their names."""
        return {name: self._finished(name, outputs, computed) for name, outputs in self.asked.items()}

    def _finished(self, name: str, outputs: Sequence[Output], computed: Computed) -> Any:
        match name:
            case "encoder_outputs":
                return [computed[output] for output in outputs]
            case "embedding":
                return embedding(computed, Request.of_vectors(self.checkpoint))
            case _:
                return computed[outputs[0]]


def _known(names: Sequence[str], config: EncoderConfig) -> Sequence[str]:
    names = output_names(names)
    if not names or any(name not in _NAMES for name in names):
        missing = {
            *(() if config.has_pooled_output else ("default", "pooled_output")),
            *(() if config.mlm else (MLM_LOGITS,)),
        }
        there = ", ".join(sorted(set(_NAMES) - missing))
        raise InputError(f"outputs={list(names)!r} cannot be computed; choose from {there}")
    return names


def _needed(name: str, checkpoint: Checkpoint) -> Sequence[Output]:
    """The computed output for a name; `InputError` where the model does not have it."""
    config = checkpoint.config
    match name:
        case "default" | "pooled_output":
            return [Output(pooling="pooled").resolved(config)]
        case "sequence_output":
            return [Output().resolved(config)]
        case "encoder_outputs":
            return [Output(layer) for layer in range(config.num_states)]
        case "embedding":
            return Request.of_vectors(checkpoint).embedding
        case _:
            return [Output(mlm=True).resolved(config)]


def _computed(arrays: ArrayInputs, outputs: Sequence[Output], stages: Stages) -> Computed:
    (count, width), config = arrays.ids.shape, stages.checkpoint.config
    at = 0 if arrays.positions is None else arrays.positions.shape[1]

    def shape(output: Output) -> tuple[int, ...]:
        if output.mlm:
            return count, at, config.vocab_size
        return (count, config.hidden_size) if output.pooling else (count, width, config.hidden_size)

    results = {output: np.zeros(shape(output), np.float32) for output in outputs}
    with closing(stages.engine.run(_slices(arrays, stages.limits.tokens), outputs)) as running:
        for done in running:
            for result, array in zip(results.values(), done.outputs, strict=True):
                result[done.batch.rows] = array
    return results


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
