"""A model's own settings of its sentence vectors: how tokens are pooled, the vectors' length, the texts' length."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from berthub.choices import POOLINGS, Pooling
from berthub.errors import CheckpointError, UnsupportedModelError

__all__ = ["DEFAULT_POOLING", "UNSAID", "Embedding"]

DEFAULT_POOLING: Pooling = "mean"
"""How one vector is made of a text where neither the caller nor the model says."""

_IN_WORDS: dict[Pooling, str] = {
    "cls": "the vector of the first token",
    "max": "the largest value of each component over the tokens",
    "mean": "the mean of the token vectors",
    "pooled": "the pooler's output",
}
_SHORTEST = 3
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """The way to make one vector of a text, as far as the model's own files say; with all defaults they say nothing.

    `pooling` says how the token vectors of a layer become one, None where no file does. `normalize` tells whether the
    vectors are scaled to length 1. `max_length` is the most tokens of a text, `[CLS]` and `[SEP]` included, None for
    all of the model's positions. `unsupported` names what the files ask for beside that and berthub does not compute
    (dense layers, prompts ...): such a model has no default vector. Making one validates it (`CheckpointError`).
    """

    pooling: Pooling | None = None
    normalize: bool = False
    max_length: int | None = None
    unsupported: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = []
        if self.pooling is not None and self.pooling not in POOLINGS:
            faults.append(f"pooling must be one of {', '.join(POOLINGS)}, not {self.pooling!r}")
        if not isinstance(self.normalize, bool):
            faults.append(f"normalize must be true or false, not {self.normalize!r}")
        if self.max_length is not None and (
            isinstance(self.max_length, bool)
            or not isinstance(self.max_length, int)
            or not self.max_length >= _SHORTEST
        ):
            faults.append(f"max_length must be a number of tokens from {_SHORTEST}, not {self.max_length!r}")
        if not isinstance(self.unsupported, tuple) or not all(isinstance(name, str) for name in self.unsupported):
            faults.append(f"unsupported must be strings, not {self.unsupported!r}")
        if faults:
            raise CheckpointError("what is said of the model's sentence vectors cannot be used: " + "; ".join(faults))

    def chosen(self, pooling: Pooling | None = None, normalize: bool | None = None) -> tuple[Pooling, bool]:
        """The pooling that a call uses, and whether its vectors are scaled to length 1.

        What the caller gives stands above what the model says. With a `pooling` of the caller's the vectors are that
        and nothing else: the model's normalization belongs to its own pooling, and None then means False. Without
        one, `UnsupportedModelError` names what of the model's own vector berthub does not compute.
        """
        if pooling is not None:
            return pooling, bool(normalize)
        if self.unsupported:
            raise UnsupportedModelError(
                f"this model's own sentence vector cannot be computed: its files ask for {self.missing}, which berthub "
                'does not support. Name a pooling for vectors without it: pooling="mean" (on the command line --output '
                "mean), cls or max. Token vectors are not concerned"
            )
        return self.pooling or DEFAULT_POOLING, self.normalize if normalize is None else bool(normalize)

    @property
    def described(self) -> str:
        """The sentence vector, and its own length of texts, in words."""
        if self.unsupported:
            vector = f"made with {self.missing}, which berthub does not compute"
        else:
            pooling, normalize = self.chosen()
            vector = _IN_WORDS[pooling] + (", scaled to length 1" if normalize else "")
        return vector + (f", of texts of up to {self.max_length} tokens" if self.max_length else "")

    @property
    def missing(self) -> str:
        """The first of what is unsupported, as a list in words."""
        more = len(self.unsupported) - _SHOWN
        return "; ".join(self.unsupported[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return {**dataclasses.asdict(self), "unsupported": list(self.unsupported)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; missing and unknown fields are named in one `CheckpointError`."""
        fields = [field.name for field in dataclasses.fields(cls)]
        if sorted(values) != sorted(fields):
            raise CheckpointError(
                f"what is said of the model's sentence vectors should hold {', '.join(fields)}; "
                f"it holds {', '.join(sorted(values)) or 'nothing'}"
            )
        listed = values["unsupported"]
        return cls(**{**values, "unsupported": tuple(listed) if isinstance(listed, list) else listed})


UNSAID = Embedding()
"""That of a model whose files say nothing."""
