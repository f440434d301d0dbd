"""Layers that a vector passes after the network: dense layers, layer norms, scaling to length 1.

They are computed by NumPy, on the few numbers that an engine gives back. The layers of a head (`berthub.head`) are
trained, and so written over the operations of a backend.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from berthub.errors import CheckpointError

__all__ = [
    "VECTOR_ACTIVATIONS",
    "DenseLayer",
    "NormLayer",
    "UnitLength",
    "VectorActivation",
    "VectorLayer",
    "activated",
    "unit_length",
    "vector_layer",
]

Floats = npt.NDArray[np.float32]

VectorActivation = Literal["identity", "gelu_erf", "gelu_tanh", "relu", "sigmoid", "silu", "tanh"]
"""The activation of a dense layer. GELU's two forms are those of `berthub.config`; silu is x * sigmoid(x)."""

VECTOR_ACTIVATIONS: tuple[str, ...] = get_args(VectorActivation)


class VectorLayer(ABC):
    """A layer on vectors, float32 [n, in] to [n, out]. Its arrays have names, and lie apart from what describes it."""

    kind: str

    @abstractmethod
    def __call__(self, vectors: Floats) -> Floats:
        """The vectors behind the layer."""

    @abstractmethod
    def width(self, before: int) -> int:
        """The number of components behind the layer; `CheckpointError` where it does not take `before` of them."""

    @abstractmethod
    def described(self) -> str:
        """The layer in words."""

    def arrays(self) -> dict[str, Floats]:
        """The weights by their names."""
        return {}

    def settings(self) -> dict[str, Any]:
        """The rest as plain JSON values."""
        return {"kind": self.kind}


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseLayer(VectorLayer):
    """`activation(x @ kernel + bias)`, with `kernel` [in, out] and `bias` [out], None for none.

    With `residual` the input is added behind the activation, by way of the kernel `shortcut` [in, out] where there is
    one.
    """

    kernel: Floats
    bias: Floats | None = None
    activation: VectorActivation = "identity"
    residual: bool = False
    shortcut: Floats | None = None

    kind = "dense"

    def __post_init__(self) -> None:
        if self.activation not in VECTOR_ACTIVATIONS:
            raise CheckpointError(
                f"the activation of a dense layer is {self.activation!r}; known are {', '.join(VECTOR_ACTIVATIONS)}"
            )
        shape = self.kernel.shape
        if len(shape) != 2 or 0 in shape:
            raise CheckpointError(f"the kernel of a dense layer should be of shape [in, out]; it is {list(shape)}")
        shapes = {"bias": (self.bias, shape[1:]), "shortcut": (self.shortcut, shape)}
        for name, (array, expected) in shapes.items():
            if array is not None and array.shape != expected:
                raise CheckpointError(f"the {name} of a dense layer of shape {shape} has shape {array.shape}")
        if self.residual and self.shortcut is None and shape[0] != shape[1]:
            raise CheckpointError(f"a dense layer of shape {shape} cannot add its input, which is of another width")

    def __call__(self, vectors: Floats) -> Floats:
        """The vectors behind the layer."""
        x = vectors @ self.kernel
        x = activated(x if self.bias is None else x + self.bias, self.activation)
        if self.residual:
            x = x + (vectors if self.shortcut is None else vectors @ self.shortcut)
        return x

    def width(self, before: int) -> int:
        """The number of components behind the layer."""
        if self.kernel.shape[0] != before:
            raise CheckpointError(f"a dense layer of shape {self.kernel.shape} stands behind vectors of {before}")
        return int(self.kernel.shape[1])

    def described(self) -> str:
        """The layer in words."""
        names: list[str] = [] if self.activation == "identity" else [self.activation]
        names += ["residual"] if self.residual else []
        return f"a dense layer to {self.kernel.shape[1]}" + (f" ({', '.join(names)})" if names else "")

    def arrays(self) -> dict[str, Floats]:
        """The weights by their names."""
        named = {"kernel": self.kernel, "bias": self.bias, "shortcut": self.shortcut}
        return {name: array for name, array in named.items() if array is not None}

    def settings(self) -> dict[str, Any]:
        """The rest as plain JSON values."""
        return {"kind": self.kind, "activation": self.activation, "residual": self.residual}


@dataclass(frozen=True, eq=False, kw_only=True)
class NormLayer(VectorLayer):
    """A layer norm over the components of each vector (https://arxiv.org/abs/1607.06450): `gamma`, `beta` [in]."""

    gamma: Floats
    beta: Floats
    eps: float = 1e-5

    kind = "layer_norm"

    def __post_init__(self) -> None:
        if self.gamma.ndim != 1 or self.beta.shape != self.gamma.shape:
            raise CheckpointError(f"a layer norm has gamma {self.gamma.shape} and beta {self.beta.shape}")
        if isinstance(self.eps, bool) or not isinstance(self.eps, int | float) or not 0 < self.eps < 1:
            raise CheckpointError(f"the epsilon of a layer norm must lie between 0 and 1, not {self.eps!r}")

    def __call__(self, vectors: Floats) -> Floats:
        """The vectors behind the layer."""
        centred = vectors - vectors.mean(-1, keepdims=True)
        variance = np.square(centred).mean(-1, keepdims=True)
        normed: Floats = centred / np.sqrt(variance + np.float32(self.eps)) * self.gamma + self.beta
        return normed

    def width(self, before: int) -> int:
        """The number of components, which does not change."""
        if len(self.gamma) != before:
            raise CheckpointError(f"a layer norm for {len(self.gamma)} components stands behind vectors of {before}")
        return before

    def described(self) -> str:
        """The layer in words."""
        return "a layer norm"

    def arrays(self) -> dict[str, Floats]:
        """The weights by their names."""
        return {"gamma": self.gamma, "beta": self.beta}

    def settings(self) -> dict[str, Any]:
        """The rest as plain JSON values."""
        return {"kind": self.kind, "eps": self.eps}


class UnitLength(VectorLayer):
    """Scaling to length 1."""

    kind = "normalize"

    def __call__(self, vectors: Floats) -> Floats:
        """The vectors behind the layer."""
        return unit_length(vectors)

    def width(self, before: int) -> int:
        """The number of components, which does not change."""
        return before

    def described(self) -> str:
        """The layer in words."""
        return "scaled to length 1"


def vector_layer(settings: Mapping[str, Any], arrays: Mapping[str, Floats]) -> VectorLayer:
    """The layer of `settings()` and `arrays()`; `CheckpointError` for what is none."""
    options: dict[str, Any] = {**settings, **arrays}
    kinds: dict[str, type[VectorLayer]] = {each.kind: each for each in (DenseLayer, NormLayer, UnitLength)}
    kind = options.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise CheckpointError(f"a layer of the sentence vectors is of kind {kind!r}; known are {', '.join(kinds)}")
    try:
        return kinds[kind](**options)
    except TypeError:
        raise CheckpointError(
            f"a layer of the sentence vectors, {kind}, does not take what is stored for it: "
            f"{', '.join(sorted(options)) or 'nothing'}"
        ) from None


def unit_length(vectors: Floats) -> Floats:
    """Scale every vector [..., hidden] to length 1, so that a dot product is a cosine; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled


_math_erf = np.frompyfunc(math.erf, 1, 1)


def _erf(x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The error function, elementwise. NumPy has none; the standard library's is exact, and slow."""
    return np.asarray(_math_erf(x), np.float64)


def activated(x: Floats, name: VectorActivation) -> Floats:
    """The activation, elementwise; the NumPy engine computes its layers with it, too."""
    match name:
        case "identity":
            return x
        case "relu":
            return np.maximum(x, np.float32(0))
        case "tanh":
            return np.tanh(x)
        case "sigmoid":
            return _sigmoid(x)
        case "silu":
            return np.asarray(0.5 * x * (1 + np.tanh(0.5 * x)), np.float32)
        case "gelu_erf":
            return np.asarray(0.5 * x * (1 + _erf(x / math.sqrt(2))), np.float32)
        case "gelu_tanh":
            inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
            return np.asarray(0.5 * x * (1 + np.tanh(inner)), np.float32)


def _sigmoid(x: Floats) -> Floats:
    # By tanh, which overflows nowhere.
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), np.float32)
