"""The settings of a BERT: everything that changes a number, frozen, read and never guessed."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

from berthub.errors import CheckpointError

__all__ = ["POOLINGS", "Activation", "BertConfig", "Pooling"]

Activation = Literal["gelu_erf", "gelu_tanh", "relu"]
"""`gelu_tanh` is Google's and TF Hub's form, 0.5x(1 + tanh(sqrt(2/pi)(x + 0.044715x^3))); `gelu_erf` is the exact
one, x * Phi(x) (Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415)."""

Pooling = Literal["cls", "max", "mean", "pooled"]
"""How one vector is made of a text: `pooled` is the model's own pooler; the others reduce the token vectors of a
layer: the first, the largest value of each component, the mean (both over all unmasked tokens, `[CLS]` and `[SEP]`
included)."""

POOLINGS: tuple[str, ...] = get_args(Pooling)

# Far beyond any published BERT; they keep a corrupted configuration from asking for absurd amounts of work.
_LARGEST = {
    "vocab_size": 1 << 24,
    "hidden_size": 1 << 16,
    "num_layers": 1 << 10,
    "num_heads": 1 << 12,
    "intermediate_size": 1 << 18,
    "max_positions": 1 << 20,
    "type_vocab_size": 1 << 16,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class BertConfig:
    """The settings of one BERT encoder (Devlin et al., 2018, https://arxiv.org/abs/1810.04805).

    Sizes are counts; `max_positions` is the longest sequence in tokens, `[CLS]` and `[SEP]` included. `pooler` tells
    whether the model has the dense layer behind `pooled_output`. `lower_case`, `strip_accents` (None: as
    `lower_case`) and `split_chinese` belong to the tokenization that the weights were trained with. The dropout
    rates matter in training only. Values that contradict each other raise `CheckpointError`.
    """

    architecture: ClassVar[str] = "bert"

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_positions: int
    type_vocab_size: int
    activation: Activation
    layer_norm_eps: float
    lower_case: bool
    strip_accents: bool | None = None
    split_chinese: bool = True
    pooler: bool = True
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        faults = list(self._faults())
        if faults:
            raise CheckpointError("the model's configuration cannot be used: " + "; ".join(faults))

    def _faults(self) -> list[str]:
        faults = []
        for name, largest in _LARGEST.items():
            value = getattr(self, name)
            if not _is_int(value) or not 1 <= value <= largest:
                faults.append(f"{name} must be an integer from 1 to {largest:,}, not {value!r}")
        if not faults and self.hidden_size % self.num_heads:
            faults.append(f"hidden_size {self.hidden_size} is no multiple of num_heads {self.num_heads}")
        if self.activation not in get_args(Activation):
            faults.append(f"activation must be one of {', '.join(get_args(Activation))}, not {self.activation!r}")
        if not _is_finite(self.layer_norm_eps) or not 0 < self.layer_norm_eps < 1:
            faults.append(f"layer_norm_eps must lie between 0 and 1, not {self.layer_norm_eps!r}")
        for name in ("hidden_dropout", "attention_dropout"):
            value = getattr(self, name)
            if not _is_finite(value) or not 0 <= value < 1:
                faults.append(f"{name} must be at least 0 and less than 1, not {value!r}")
        if not _is_finite(self.initializer_range) or self.initializer_range <= 0:
            faults.append(f"initializer_range must be a positive number, not {self.initializer_range!r}")
        for name in ("lower_case", "split_chinese", "pooler"):
            if not isinstance(getattr(self, name), bool):
                faults.append(f"{name} must be true or false, not {getattr(self, name)!r}")
        if self.strip_accents is not None and not isinstance(self.strip_accents, bool):
            faults.append(f"strip_accents must be true, false or null, not {self.strip_accents!r}")
        return faults

    @property
    def head_size(self) -> int:
        """The width of one attention head: `hidden_size / num_heads`."""
        return self.hidden_size // self.num_heads

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values, with `architecture`."""
        return {"architecture": self.architecture, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; missing and unknown settings are named in one `CheckpointError`."""
        values = dict(values)
        architecture = values.pop("architecture", None)
        if architecture != cls.architecture:
            raise CheckpointError(f"the configuration is of architecture {architecture!r}, not {cls.architecture!r}")
        fields = dataclasses.fields(cls)
        unknown = sorted(values.keys() - {f.name for f in fields})
        missing = [f.name for f in fields if f.default is dataclasses.MISSING and f.name not in values]
        if unknown or missing:
            raise CheckpointError(
                "the model's configuration cannot be used: "
                + "; ".join([f"{name} is missing" for name in missing] + [f"{name} is no setting" for name in unknown])
            )
        return cls(**values)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
