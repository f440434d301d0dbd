"""The dense layer that a fine-tuned Keras 2 model has on the pooled output of its encoder."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from berthub.config import EncoderConfig
from berthub.containers.tensorbundle import TensorBundle
from berthub.formats.dense_head import ACTIVATIONS, head_of_dense
from berthub.formats.tensorflow.saved_model_metadata import KerasLayer
from berthub.formats.tensorflow.saved_model_objects import SavedObjects, Variable, leaves
from berthub.head import Head

__all__ = ["DenseHead", "find_dense_head"]

_MODELS = ("Functional", "Model")
# What does nothing when a text is encoded.
_PASSING = ("Dropout",)
# The outputs of TF Hub's encoders that hold one vector for the text: by name, or the first of the list interface.
_POOLED = ("default", "pooled_output", "0")
_LEAST_LENGTH = 3


@dataclasses.dataclass(frozen=True)
class DenseHead:
    """A dense layer on the pooled output, as its graph has it: `kernel` and `bias` are variables.

    `activation` is linear, sigmoid or softmax, `loss` the name of the loss that the model was compiled with, "" where
    it was not. `length` is the length of the texts that it was called with, None where that was left open.
    """

    kernel: Variable
    bias: Variable | None
    activation: str
    loss: str
    length: int | None

    @property
    def variables(self) -> list[Variable]:
        """The variables of the kernel and the bias."""
        return [self.kernel] + ([] if self.bias is None else [self.bias])

    def read(self, bundle: TensorBundle, config: EncoderConfig) -> Head | None:
        """The head; None if its outputs fit no task of berthub."""
        return head_of_dense(
            bundle.array(self.kernel.key),
            None if self.bias is None else bundle.array(self.bias.key),
            activation=self.activation,
            loss=self.loss,
            length=self.length,
            pooling="pooled",
            config=config,
        )


def find_dense_head(
    layers: Sequence[KerasLayer], objects: SavedObjects, *, encoder: int, encoder_functions: Sequence[str]
) -> DenseHead | None:
    """The dense layer between the encoder's pooled output and the model's only output; None where there is no such one.

    Between them may be layers that only act in training; an activation may follow it.
    """
    outputs = _outputs(objects, encoder_functions)
    above = objects.above(encoder)
    named: dict[Any, set[int]] = {}
    for layer in layers:
        if isinstance(layer.noted.get("name"), str):
            named.setdefault(layer.noted["name"], set()).add(layer.node)
    for model in layers:
        trail = _trail(model) if model.kind in _MODELS else None
        if trail is None or outputs[trail.index : trail.index + 1] not in [[output] for output in _POOLED]:
            continue
        dense, source = _only(named.get(trail.dense)), _only(named.get(trail.source))
        if dense is None or source is None or source not in above:
            continue
        weights = {
            name: variable
            for name in ("kernel", "bias")
            if (child := objects.child(dense, name)) is not None
            for variable in objects.variables([child])
        }
        if "kernel" in weights:
            return DenseHead(
                kernel=weights["kernel"],
                bias=weights.get("bias"),
                activation=trail.activation,
                loss=_loss(model.noted),
                length=_length(objects, source),
            )
    return None


@dataclasses.dataclass(frozen=True)
class _Trail:
    """A step back from a model's output: a dense layer, and which output of another layer is its input, by number."""

    dense: str
    activation: str
    source: str
    index: int


def _trail(model: KerasLayer) -> _Trail | None:
    stored = model.config.get("layers")
    if not isinstance(stored, list):
        return None
    steps = {step["name"]: step for step in stored if isinstance(step, dict) and isinstance(step.get("name"), str)}
    name, index = _one_tensor(model.config.get("output_layers"))
    dense = None
    activations = []
    # Each step uses up one layer, so that a damaged circle ends, too.
    while name in steps:
        step = steps.pop(name)
        kind, config = _described(step)
        if kind in ("Activation", "Dense") and dense is None:
            activations.append(config.get("activation"))
            dense = name if kind == "Dense" else None
        elif kind not in _PASSING:
            break
        name, index = _one_tensor(step.get("inbound_nodes"))
    # Of all the activations one may do something.
    effective = [activation for activation in activations if activation != "linear"] or ["linear"]
    if dense is None or name is None or len(effective) > 1 or effective[0] not in ACTIVATIONS:
        return None
    return _Trail(dense, effective[0], name, index)


def _described(step: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    config = step.get("config")
    return str(step.get("class_name")), config if isinstance(config, dict) else {}


def _one_tensor(value: Any) -> tuple[str | None, int]:
    """The layer and the number of its output in `[[["dense", 0, 2, {}]]]`, in as many lists; none if it is not one."""
    while isinstance(value, list) and len(value) == 1:
        (value,) = value
    match value:
        case [str() as name, int(), int() as index, *_] if index >= 0:
            return name, index
    return None, 0


def _only(nodes: Collection[int] | None) -> int | None:
    """The object of the layer with that name; None if there is none, or several."""
    return next(iter(nodes)) if nodes and len(nodes) == 1 else None


def _loss(noted: Mapping[str, Any]) -> str:
    """The name of the loss in lower case, without underscores."""
    match noted.get("training_config"):
        case {"loss": str() as name} | {"loss": {"class_name": str() as name}}:
            return name.rpartition(">")[2].replace("_", "").lower()
    return ""


def _outputs(objects: SavedObjects, functions: Sequence[str]) -> list[str]:
    """What the encoder returns, flat: for each tensor its name in the dict, or its place in the list."""
    for name in functions:
        if name in objects.functions:
            flat = list(leaves(objects.functions[name].output_signature))
            if len(flat) > 1:
                return [path[0] for path, _ in flat]
    return []


def _length(objects: SavedObjects, layer: int) -> int | None:
    """The length of the texts that the layer was called with, if it was always the same."""
    called = [
        number
        for local in ("__call__", "call_and_return_conditional_losses", "call_and_return_all_conditional_losses")
        if (number := objects.child(layer, local)) is not None
    ]
    lengths = {
        leaf.tensor_spec_value.shape.dim[1].size
        for name in objects.functions_of(called)
        if name in objects.functions
        for path, leaf in leaves(objects.functions[name].canonicalized_input_signature)
        if path[-1:] == ("input_word_ids",) and len(leaf.tensor_spec_value.shape.dim) == 2
    }
    length = lengths.pop() if len(lengths) == 1 else None
    return length if length is not None and length >= _LEAST_LENGTH else None
