"""One step of training: the gradient of a batch's loss, clipped, and AdamW; for PyTorch, and for the other backends."""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from berthub.errors import CorruptFileError
from berthub.training.examples import TrainingBatch
from berthub.training.hyperparameters import Hyperparameters

__all__ = ["Forward", "TrainingStep", "create_step"]

Arrays = dict[str, npt.NDArray[Any]]

Forward = Callable[[dict[str, Any]], Any]
"""The outputs of a model in training, for tensors by the names of its inputs."""

# Of Adam (Kingma and Ba, 2014, https://arxiv.org/abs/1412.6980), as BERT was trained but for epsilon (1e-6 there).
_BETAS, _EPSILON = (0.9, 0.999), 1e-8
# What PyTorch's AdamW remembers of a weight.
_SLOTS = ("step", "exp_avg", "exp_avg_sq")


class TrainingStep(ABC):
    """Trains a model, batch by batch; `state` and `restore` cover all that it remembers."""

    few_shapes: bool
    """Whether every new shape of a batch costs a compilation."""

    @abstractmethod
    def run(self, batch: TrainingBatch, learning_rate: float) -> float:
        """Train on a batch; returns its loss before the step."""

    @abstractmethod
    def state(self) -> Arrays:
        """All that the next step depends on: weights, moments, counters, seeds."""

    @abstractmethod
    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to a state; `CorruptFileError` if it is not one of this model."""


def create_step(
    model: Any, loss: Any, hyperparameters: Hyperparameters, *, torch_forward: Forward | None = None
) -> TrainingStep:
    """The step for the backend that Keras has; `loss` is a Keras loss with reduction mean_with_sample_weight.

    `torch_forward` computes the outputs on PyTorch, as `model` does unless it is given; the gradients of its weights
    may be sparse.
    """
    if keras.config.backend() == "torch":
        return _TorchStep(model, loss, hyperparameters, torch_forward)
    return _KerasStep(model, loss, hyperparameters)


def _decayed(variables: Sequence[Any]) -> list[Any]:
    """The matrices: biases and layer norms, which are vectors, are not decayed (Devlin et al., 2018)."""
    return [variable for variable in variables if len(variable.shape) > 1]


class _KerasStep(TrainingStep):
    few_shapes = True

    def __init__(self, model: Any, loss: Any, hyperparameters: Hyperparameters) -> None:
        optimizer = keras.optimizers.AdamW(
            learning_rate=0.0,
            beta_1=_BETAS[0],
            beta_2=_BETAS[1],
            epsilon=_EPSILON,
            weight_decay=hyperparameters.weight_decay,
            # Keras would multiply by 0 and by infinity.
            global_clipnorm=hyperparameters.clip_norm if math.isfinite(hyperparameters.clip_norm) else None,
        )
        decayed = {id(variable) for variable in _decayed(model.trainable_variables)}
        optimizer.exclude_from_weight_decay(
            var_list=[variable for variable in model.trainable_variables if id(variable) not in decayed]
        )
        optimizer.build(model.trainable_variables)
        # On a processor TensorFlow's own kernels are faster than what XLA makes, which takes minutes; JAX has no other.
        compiled = keras.config.backend() == "jax" or _has_accelerator()
        model.compile(optimizer=optimizer, loss=loss, jit_compile=compiled)
        self._model = model

    def run(self, batch: TrainingBatch, learning_rate: float) -> float:
        self._model.optimizer.learning_rate.assign(learning_rate)
        return float(self._model.train_on_batch(batch.inputs, batch.targets, sample_weight=batch.weights))

    def state(self) -> Arrays:
        return {name: _numpy(variable.value) for name, variable in self._variables().items()}

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        _assign(self._variables(), state)

    def _variables(self) -> dict[str, Any]:
        return _numbered("model", self._model.variables) | _numbered("optimizer", self._model.optimizer.variables)


class _TorchStep(TrainingStep):
    few_shapes = False

    def __init__(self, model: Any, loss: Any, hyperparameters: Hyperparameters, forward: Forward | None) -> None:
        import torch

        self._model, self._loss, self._clip_norm = model, loss, hyperparameters.clip_norm
        self._forward: Forward = functools.partial(model, training=True) if forward is None else forward
        self._variables = list(model.trainable_variables)
        self._dense: dict[Any, Any] = {}
        decayed = _decayed(self._variables)
        chosen = {id(variable) for variable in decayed}
        others = [variable for variable in self._variables if id(variable) not in chosen]
        # One pass over the weights instead of Keras's ten.
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [variable.value for variable in decayed], "weight_decay": hyperparameters.weight_decay},
                {"params": [variable.value for variable in others], "weight_decay": 0.0},
            ],
            lr=0.0,
            betas=_BETAS,
            eps=_EPSILON,
            fused=True,
        )

    def run(self, batch: TrainingBatch, learning_rate: float) -> float:
        import torch

        convert = keras.ops.convert_to_tensor
        outputs = self._forward({name: convert(array) for name, array in batch.inputs.items()})
        loss = self._loss(convert(batch.targets), outputs, sample_weight=convert(batch.weights))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = [variable.value for variable in self._variables if variable.value.grad is not None]
        rows = {parameter: parameter.grad.coalesce() for parameter in parameters if parameter.grad.is_sparse}
        gradients = [rows[parameter].values() if parameter in rows else parameter.grad for parameter in parameters]
        norm = torch.nn.utils.get_total_norm(gradients)
        factor = torch.clamp(self._clip_norm / (norm + 1e-6), max=1.0)
        for gradient in gradients:
            gradient.mul_(factor)
        for parameter, gradient in rows.items():
            parameter.grad = self._spread(parameter, gradient)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        for parameter, gradient in rows.items():
            parameter.grad[gradient.indices()[0]] = 0
            parameter.grad = None
        return float(loss.detach())

    def _spread(self, parameter: Any, gradient: Any) -> Any:
        """A sparse gradient as a dense one, in reused memory: zero except in the rows of this step.

        The optimizer moves all rows of a table, since all have momentum. But making a new gradient as large as the
        table for every step would cost a twentieth of the step.
        """
        if parameter not in self._dense:
            self._dense[parameter] = parameter.detach().new_zeros(parameter.shape)
        dense = self._dense[parameter]
        dense[gradient.indices()[0]] = gradient.values()
        return dense

    def state(self) -> Arrays:
        arrays = {name: _numpy(variable.value) for name, variable in _numbered("model", self._model.variables).items()}
        for index, slots in self._optimizer.state_dict()["state"].items():
            arrays |= {f"optimizer.{index}.{name}": _numpy(value) for name, value in slots.items()}
        return arrays

    def restore(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        import torch

        _assign(_numbered("model", self._model.variables), state)
        parameters = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
        expected = {
            f"optimizer.{index}.{name}": (index, name, () if name == "step" else tuple(parameter.shape))
            for index, parameter in enumerate(parameters)
            for name in _SLOTS
        }
        slots: dict[int, dict[str, Any]] = {}
        for key, value in state.items():
            if key.startswith("optimizer."):
                index, name, shape = expected.get(key, (-1, "", ()))
                if index < 0 or value.shape != shape or value.dtype != np.float32:
                    raise _unfit(1, len(state))
                slots.setdefault(index, {})[name] = torch.from_numpy(np.array(value))
        # Weights that have had no gradient have no slots.
        if missing := sum(len(_SLOTS) - len(own) for own in slots.values()):
            raise _unfit(missing, len(state))
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": slots})


def _assign(variables: Mapping[str, Any], state: Mapping[str, npt.NDArray[Any]]) -> None:
    unfit = [
        name
        for name, variable in variables.items()
        if name not in state
        or state[name].shape != tuple(variable.shape)
        or state[name].dtype.name != keras.backend.standardize_dtype(variable.dtype)
    ]
    if unfit:
        raise _unfit(len(unfit), len(variables))
    for name, variable in variables.items():
        variable.assign(state[name])


def _unfit(count: int, of: int) -> CorruptFileError:
    return CorruptFileError(
        f"the stored state of training does not fit the model in {count} of {of} variables: "
        "it may be that of another version of Keras or berthub; go on with that one, or train anew"
    )


def _has_accelerator() -> bool:
    """Whether TensorFlow computes on something else than the processor."""
    import tensorflow as tf

    return any(device.device_type != "CPU" for device in tf.config.get_visible_devices())


def _numbered(kind: str, variables: Sequence[Any]) -> dict[str, Any]:
    return {f"{kind}.{index}": variable for index, variable in enumerate(variables)}


def _numpy(value: Any) -> npt.NDArray[Any]:
    return np.array(keras.ops.convert_to_numpy(value))
