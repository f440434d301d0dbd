"""The settings that all encoders have: everything that changes a number."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

from berthub.choices import TOKENIZATIONS, Tokenization
from berthub.errors import CheckpointError

__all__ = ["Activation", "EncoderConfig", "size_faults"]

Activation = Literal["gelu_erf", "gelu_tanh", "relu", "silu"]
"""`gelu_tanh` is Google's and TF Hub's form, 0.5x(1 + tanh(sqrt(2/pi)(x + 0.044715x^3))); `gelu_erf` is the exact
one, x * Phi(x) (Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415). `silu` is x * sigmoid(x)."""

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
class EncoderConfig(ABC):
    """The base class of every architecture's settings; `berthub.networks` has one class for each.

    Sizes are counts; `max_positions` is the longest sequence in tokens, `[CLS]` and `[SEP]` included. `pooler` tells
    whether the model has the dense layer of `pooled_output`, `mlm` whether it has the masked-language-model head.
    `lower_case`, `strip_accents` (None: as `lower_case`) and `split_chinese` belong to the tokenization that the
    weights were trained with, and `tokenization` says to the letter whose it is. The dropout rates matter in training
    only. Values that contradict each other raise `CheckpointError`.
    """

    architecture: ClassVar[str]
    # What people call it.
    title: ClassVar[str]
    # What the names of the embeddings' weights begin with.
    embedding_scopes: ClassVar[tuple[str, ...]] = ("bert/embeddings",)
    # The setting that says how wide the queries, keys and values of all heads together are.
    width_of_heads: ClassVar[str] = "hidden_size"
    # Whether the vector of the first token counts as pooled_output where there is no pooler.
    pools_first_token: ClassVar[bool] = False
    # Whether encoder_outputs begin with what goes into the first layer.
    embeddings_are_state: ClassVar[bool] = False
    # Whether a token's encoding depends on the padding next to it: then every text that is not as long as can be has
    # some, as in the original, where texts are padded to one length.
    sees_padding: ClassVar[bool] = False
    # Whether the layers share weights, so that single ones cannot be frozen.
    shares_layers: ClassVar[bool] = False

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
    tokenization: Tokenization = "google"
    pooler: bool = True
    mlm: bool = False
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        faults = size_faults(self, _LARGEST) or self.own_faults() or self._faults()
        if faults:
            raise CheckpointError("the model's configuration cannot be used: " + "; ".join(faults))

    @abstractmethod
    def own_faults(self) -> list[str]:
        """What is wrong with the settings that this architecture alone has."""

    @property
    def attention_size(self) -> int:
        """The width of the queries, keys and values of all heads together."""
        size: int = getattr(self, self.width_of_heads)
        return size

    @property
    def head_size(self) -> int:
        """The width of one attention head."""
        return self.attention_size // self.num_heads

    @property
    def has_pooled_output(self) -> bool:
        """Whether there is a vector for the whole text."""
        return self.pooler or self.pools_first_token

    @property
    def num_states(self) -> int:
        """How many entries `encoder_outputs` has: the layers, and the embeddings where they are among them."""
        return self.num_layers + self.embeddings_are_state

    @property
    def num_blocks(self) -> int:
        """The number of attention layers that a text passes."""
        return self.num_layers

    def uses_of(self, weight: str) -> int:
        """In how many layers the weight of that canonical name is used."""
        return 1

    def attention_flops(self, length: int) -> int:
        """Floating-point operations of one block's attention, without its dense layers, a token of a text that long."""
        return 4 * length * self.attention_size

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

    def _faults(self) -> list[str]:
        """What is wrong with settings whose sizes are right."""
        faults = []
        if self.attention_size % self.num_heads:
            faults.append(f"{self.width_of_heads} {self.attention_size} is no multiple of num_heads {self.num_heads}")
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
        for name in ("lower_case", "split_chinese", "pooler", "mlm"):
            if not isinstance(getattr(self, name), bool):
                faults.append(f"{name} must be true or false, not {getattr(self, name)!r}")
        if self.strip_accents is not None and not isinstance(self.strip_accents, bool):
            faults.append(f"strip_accents must be true, false or null, not {self.strip_accents!r}")
        if self.tokenization not in TOKENIZATIONS:
            faults.append(f"tokenization must be one of {', '.join(TOKENIZATIONS)}, not {self.tokenization!r}")
        return faults


def size_faults(config: EncoderConfig, largest: Mapping[str, int]) -> list[str]:
    """What is wrong with the settings that are counts, given the largest value of each."""
    return [
        f"{name} must be an integer from 1 to {most:,}, not {getattr(config, name)!r}"
        for name, most in largest.items()
        if not _is_int(getattr(config, name)) or not 1 <= getattr(config, name) <= most
    ]


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
