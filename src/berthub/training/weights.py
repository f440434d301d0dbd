"""The variables of a layer under their canonical names, in groups that can be frozen, plain or with LoRA."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from berthub.config import EncoderConfig
from berthub.errors import CheckpointError
from berthub.networks.network import weight_shapes
from berthub.training.randomness import Use, stream

__all__ = ["LowRank", "LowRankKernel", "WeightGroup", "check_fit", "group_of", "initial_value", "initial_values"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LowRankKernel:
    """The tensors of a `LowRank`, as operations take them."""

    base: Any
    down: Any
    up: Any
    scale: float


@dataclass(frozen=True, eq=False)
class LowRank:
    """The variables of a frozen kernel [in, out] and of what training adds: `down` [in, r] @ `up` [r, out] * `scale`.

    LoRA, Hu et al., 2021 (https://arxiv.org/abs/2106.09685).
    """

    base: Any
    down: Any
    up: Any
    scale: float

    @property
    def value(self) -> "LowRankKernel":
        """The tensors, as a variable's `value` is its tensor."""
        return LowRankKernel(self.base.value, self.down.value, self.up.value, self.scale)

    def merged(self) -> Floats:
        """The kernel with LoRA merged: float32 [in, out]."""
        down, up = (keras.ops.convert_to_numpy(part.value) for part in (self.down, self.up))
        return np.asarray(keras.ops.convert_to_numpy(self.base.value) + down @ up * np.float32(self.scale), np.float32)


@keras.saving.register_keras_serializable("berthub")
class WeightGroup(keras.layers.Layer):
    """A Keras layer that holds some weights of a model and computes nothing.

    `weights_by_name` has them by their canonical names.

    A frozen group's variables are never trainable, whatever `trainable` of the layers around it says later. With
    `rank` the kernels get LoRA and everything else is frozen. What is saved are the merged kernels; loading them
    begins a new LoRA, which adds nothing yet. What that begins with follows from `seed` and the group's `number`.
    """

    def __init__(
        self,
        values: Mapping[str, Floats],
        *,
        frozen: bool,
        rank: int | None,
        alpha: float,
        seed: int | None,
        number: int,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._frozen = frozen
        self._rank = None if frozen else rank
        self._alpha = alpha
        self._seed, self._number = seed, number
        # As a function, since Keras would track (and keep) a mapping.
        self._values: Callable[[], Mapping[str, Floats]] | None = lambda: values
        self.weights_by_name: dict[str, Any] = {}

    def build(self, input_shape: Any = None) -> None:
        """Make the variables."""
        assert self._values is not None
        for index, (name, value) in enumerate(self._values().items()):
            variable = self._variable(name, value, trainable=not self._frozen and self._rank is None)
            self.weights_by_name[name] = variable
            if self._rank is not None and name.endswith("/kernel"):
                self.weights_by_name[name] = self._low_rank(name, variable, index)
        self._values = None

    def save_own_variables(self, store: Any) -> None:
        """Put the weights into Keras's store, LoRA merged."""
        for name in self.weights_by_name:
            store[_key(name)] = self.get(name)

    def load_own_variables(self, store: Any) -> None:
        """Take the weights from Keras's store."""
        for name in self.weights_by_name:
            self.set(name, np.asarray(store[_key(name)], np.float32))

    def get(self, name: str) -> Floats:
        """The value of a weight, LoRA merged."""
        weight = self.weights_by_name[name]
        if isinstance(weight, LowRank):
            return weight.merged()
        return np.asarray(keras.ops.convert_to_numpy(weight.value), np.float32)

    def set(self, name: str, value: Floats) -> None:
        """Give a weight a value; its LoRA, if it has one, adds nothing then."""
        weight = self.weights_by_name[name]
        base = weight.base if isinstance(weight, LowRank) else weight
        if tuple(base.shape) != np.shape(value):
            raise CheckpointError(f"{name} has shape {tuple(base.shape)}, and the given value {np.shape(value)}")
        base.assign(value)
        if isinstance(weight, LowRank):
            weight.up.assign(np.zeros(weight.up.shape, np.float32))

    def _variable(self, name: str, value: Floats, *, trainable: bool) -> Any:
        # A copy: the value may be a view of a mapped file. The operations cast for themselves: an embedding table
        # is cheaper to cast after the rows have been taken from it.
        array = np.array(value, np.float32)
        return self.add_weight(
            shape=array.shape,
            initializer=lambda shape, dtype: keras.ops.convert_to_tensor(array, dtype),
            name=_key(name),
            trainable=trainable,
            autocast=False,
        )

    def _low_rank(self, name: str, base: Any, index: int) -> LowRank:
        assert self._rank is not None
        inputs, outputs = base.shape
        scope = name.removesuffix("/kernel")
        # Kaiming-uniform and zeros, as in the authors' code (https://github.com/microsoft/LoRA): nothing is added yet.
        bound = 1 / np.sqrt(inputs)
        down = stream(self._seed, Use.LORA, self._number, index).uniform(-bound, bound, (inputs, self._rank))
        return LowRank(
            base,
            self._variable(f"{scope}/lora_down", down.astype(np.float32), trainable=True),
            self._variable(f"{scope}/lora_up", np.zeros((self._rank, outputs), np.float32), trainable=True),
            self._alpha / self._rank,
        )


def group_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Canonical names in groups: embeddings, layer_0, layer_1 ... (or group_0 ...), pooler, predictions."""
    groups: dict[str, list[str]] = {}
    for name in names:
        parts = [part for part in name.split("/")[1:] if part not in ("encoder", "transformer")]
        # What leads from the embeddings to the layers is called by many names.
        group = "embeddings" if parts[0].startswith("embedding") else parts[0]
        groups.setdefault(group, []).append(name)
    return groups


def initial_value(name: str, shape: tuple[int, ...], config: EncoderConfig, rng: np.random.Generator) -> Floats:
    """The initial value of a weight without trained values: as in Google's `modeling.py`."""
    match name.rsplit("/", 1)[-1]:
        case "gamma":
            return np.ones(shape, np.float32)
        case "beta" | "bias" | "output_bias":
            return np.zeros(shape, np.float32)
    values = rng.standard_normal(shape, np.float32)
    # Truncated at two standard deviations.
    while (outside := np.abs(values) > 2).any():
        values[outside] = rng.standard_normal(int(outside.sum()), np.float32)
    return values * np.float32(config.initializer_range)


def initial_values(config: EncoderConfig, seed: int | None) -> dict[str, Floats]:
    """The initial values of all weights of a model without trained values."""
    rng = stream(seed, Use.WEIGHTS)
    return {name: initial_value(name, shape, config, rng) for name, shape in weight_shapes(config).items()}


def check_fit(weights: Mapping[str, Any], config: EncoderConfig) -> None:
    """Check names and shapes: `CheckpointError` lists all weights that do not fit a model of that `config`."""
    shapes = weight_shapes(config)
    faults = [
        f"{name} is no weight of this model"
        if name not in shapes
        else f"{name} has shape {np.shape(value)}, not {shapes[name]}"
        for name, value in weights.items()
        if name not in shapes or np.shape(value) != shapes[name]
    ]
    if faults:
        raise CheckpointError("the weights do not fit the layer: " + "; ".join(faults))


def _key(name: str) -> str:
    # Keras allows no slash in a variable's name, and PyTorch no dot.
    return name.replace("/", "-")
