"""Read and write the modules of sentence-transformers that have weights: dense layers and layer norms."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.containers.files import read_json
from berthub.containers.safetensors import write_safetensors
from berthub.errors import CheckpointError, CorruptFileError, UnsupportedModelError
from berthub.formats.huggingface.weights import FILES, read_weights
from berthub.formats.sentence_transformers.files import MODULES, VECTOR, Module, shown
from berthub.vector_layers import DenseLayer, NormLayer, UnitLength, VectorActivation, VectorLayer

__all__ = ["UnreadModuleError", "module_name", "read_layer", "write_layer"]

_WEIGHTS = "model.safetensors"
_ACTIVATIONS: dict[str, VectorActivation] = {
    "torch.nn.modules.linear.Identity": "identity",
    "torch.nn.modules.activation.GELU": "gelu_erf",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.SiLU": "silu",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
    "torch.nn.modules.activation.Tanh": "tanh",
}
# What a dense layer has whose settings name no activation.
_DEFAULT = "torch.nn.modules.activation.Tanh"
# PyTorch's for layer norms.
_EPS = 1e-5
_DENSE = ("in_features", "out_features", "bias", "activation_function", "use_residual")
_ENDS = ("module_input_name", "module_output_name")


class UnreadModuleError(Exception):
    """What a module asks for that berthub does not compute; for `Embedding.unsupported`, and no one else's."""


def read_layer(above: Path, module: Module) -> VectorLayer:
    """The layer of a module called Dense or LayerNorm; `UnreadModuleError` names what is not supported of it."""
    folder = above / module.path
    path = folder / "config.json"
    if not path.is_file():
        raise CorruptFileError(f"{path} is missing, and {MODULES} names it: fetch the whole folder of the model")
    stored = read_json(path)
    for key in _ENDS:
        if stored.get(key) not in (None, VECTOR):
            raise UnreadModuleError(f"{module}, whose {key} is {shown(stored[key])}")
    if module.name == "LayerNorm":
        _known(stored, {"dimension", *_ENDS}, module)
        tensors = _tensors(folder, {"norm.weight", "norm.bias"})
        return NormLayer(gamma=tensors["norm.weight"], beta=tensors["norm.bias"], eps=_EPS)
    _known(stored, {*_DENSE, *_ENDS}, module)
    named = stored.get("activation_function") or _DEFAULT
    if not isinstance(named, str) or named not in _ACTIVATIONS:
        raise UnreadModuleError(f"{module} with the activation {shown(named)}")
    for key in ("bias", "use_residual"):
        if not isinstance(stored.get(key, True), bool):
            raise CorruptFileError(
                f"{key} in {folder / 'config.json'} should be true or false, not {stored[key]!r:.60}"
            )
    widths = stored.get("in_features"), stored.get("out_features")
    residual = stored.get("use_residual", False)
    wanted = {"linear.weight"} | ({"linear.bias"} if stored.get("bias", True) else set())
    projected = residual and widths[0] != widths[1]
    tensors = _tensors(folder, wanted | ({"residual.weight"} if projected else set()))
    kernel = tensors["linear.weight"].T
    if kernel.shape != widths:
        raise CheckpointError(
            f"{folder} contradicts itself: config.json says that the layer has {shown(widths[0])} inputs and "
            f"{shown(widths[1])} outputs, and its weights are of shape {kernel.shape}"
        )
    return DenseLayer(
        kernel=kernel,
        bias=tensors.get("linear.bias"),
        activation=_ACTIVATIONS[named],
        residual=residual,
        shortcut=tensors["residual.weight"].T if projected else None,
    )


def module_name(layer: VectorLayer) -> str:
    """The name of the class of the module that a layer is written as."""
    return {DenseLayer: "Dense", NormLayer: "LayerNorm", UnitLength: "Normalize"}[type(layer)]


def write_layer(layer: VectorLayer, folder: Path) -> None:
    """Write the settings and the weights of a module; `UnsupportedModelError` for what has no class there."""
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    settings: dict[str, Any] = {}
    if isinstance(layer, NormLayer):
        if layer.eps != _EPS:
            raise UnsupportedModelError(f"sentence-transformers' layer norms have the epsilon {_EPS}, not {layer.eps}")
        settings, tensors = {"dimension": len(layer.gamma)}, {"norm.weight": layer.gamma, "norm.bias": layer.beta}
    elif isinstance(layer, DenseLayer):
        name = next((name for name, ours in _ACTIVATIONS.items() if ours == layer.activation), None)
        if name is None:
            raise UnsupportedModelError(f"PyTorch has no class for the activation {layer.activation} of a dense layer")
        inputs, outputs = layer.kernel.shape
        if layer.residual and layer.shortcut is not None and inputs == outputs:
            raise UnsupportedModelError("sentence-transformers adds a dense layer's input of the same width as it is")
        settings = {
            "in_features": inputs,
            "out_features": outputs,
            "bias": layer.bias is not None,
            "activation_function": name,
            **({"use_residual": True} if layer.residual else {}),
        }
        tensors = {"linear.weight": layer.kernel.T}
        if layer.bias is not None:
            tensors["linear.bias"] = layer.bias
        if layer.shortcut is not None:
            tensors["residual.weight"] = layer.shortcut.T
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    if tensors:
        write_safetensors(folder / _WEIGHTS, tensors, {"format": "pt"})


def _known(stored: Mapping[str, Any], keys: set[str], module: Module) -> None:
    for key, value in stored.items():
        if key not in keys and value:
            raise UnreadModuleError(f"{module} with the setting {shown(key)} = {shown(value)}")


def _tensors(folder: Path, wanted: set[str]) -> dict[str, npt.NDArray[np.float32]]:
    if not any((folder / name).is_file() for name in FILES):
        raise CorruptFileError(f"{folder} should hold {_WEIGHTS}, with the weights of a layer: fetch the whole folder")
    found, name = read_weights(folder)
    if found.keys() != wanted:
        raise CheckpointError(
            f"{folder / name} should hold {', '.join(sorted(wanted))}; it holds "
            f"{', '.join(sorted(found)[:8]) or 'nothing'}"
        )
    # Half precision becomes float32 exactly.
    return {name: np.asarray(array, np.float32) for name, array in found.items()}
