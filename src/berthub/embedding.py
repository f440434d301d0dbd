"""A model's own settings of its sentence vectors: prompts, how tokens are pooled, the layers behind, the length."""

import base64
import dataclasses
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt

from berthub.check import check_choice
from berthub.choices import POOLINGS, SIMILARITIES, Pooling, Similarity
from berthub.errors import CheckpointError, InputError, UnsupportedModelError
from berthub.vector_layers import UnitLength, VectorLayer, unit_length, vector_layer

__all__ = ["CROSS_ENCODER", "DEFAULT_POOLING", "UNSAID", "Embedding", "said_of_prompt"]

DEFAULT_POOLING: Pooling = "mean"
"""How one vector is made of a text where neither the caller nor the model says."""

_IN_WORDS: dict[Pooling, str] = {
    "cls": "the vector of the first token",
    "lasttoken": "the vector of the last token",
    "max": "the largest value of each component over the tokens",
    "mean": "the mean of the token vectors",
    "mean_sqrt_len_tokens": "the sum of the token vectors over the square root of their number",
    "pooled": "the pooler's output",
    "weightedmean": "the mean of the token vectors, weighted by their positions",
}
_SHORTEST = 3
_SHOWN = 5
_LONGEST_PROMPT_SHOWN = 60
_MOST_NAMES_SHOWN = 20
# Of poolings, whose vectors are joined, and of layers: a short file must not make vectors of any width.
_MOST_STEPS = 100
# It stands before every text, and is tokenized with each.
_LONGEST_PROMPT = 100_000


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """The way to make one vector of a text, as far as the model's own files say; with all defaults they say nothing.

    In the order in which a text meets them: `prompts` are texts by their names, one of which is put before a text, by
    default that called `default_prompt`. `max_length` is the most tokens of a text, `[CLS]` and `[SEP]` included, None
    for all of the model's positions. `poolings` say how the token vectors of the last layer become one, and several
    are joined; () where no file says. With `include_prompt` false, tokens of the prompt are not pooled. `layers` are
    what the vector passes then, and `normalize` tells whether it is scaled to length 1 in the end.

    `similarity` is the function that vectors are compared with. `unsupported` names what the files ask for beside that
    and berthub does not compute: such a model has no default vector. Making one validates it (`CheckpointError`).
    """

    poolings: tuple[Pooling, ...] = ()
    layers: tuple[VectorLayer, ...] = ()
    normalize: bool = False
    max_length: int | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    include_prompt: bool = True
    similarity: Similarity | None = None
    unsupported: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        faults = []
        if not isinstance(self.poolings, tuple) or any(each not in POOLINGS for each in self.poolings):
            faults.append(f"pooling must be one of {', '.join(POOLINGS)}, or several, not {self.poolings!r}")
        if max(len(self.poolings), len(self.layers)) > _MOST_STEPS:
            faults.append(
                f"there are {len(self.poolings):,} poolings and {len(self.layers):,} layers, and may be {_MOST_STEPS}"
            )
        for name in ("normalize", "include_prompt"):
            if not isinstance(getattr(self, name), bool):
                faults.append(f"{name} must be true or false, not {getattr(self, name)!r}")
        if self.max_length is not None and (
            isinstance(self.max_length, bool)
            or not isinstance(self.max_length, int)
            or not self.max_length >= _SHORTEST
        ):
            faults.append(f"max_length must be a number of tokens from {_SHORTEST}, not {self.max_length!r}")
        if not isinstance(self.prompts, Mapping) or not all(
            isinstance(each, str) for each in (*self.prompts, *self.prompts.values())
        ):
            faults.append(f"prompts must be strings by their names, not {self.prompts!r:.80}")
        elif (longest := max(map(len, self.prompts.values()), default=0)) > _LONGEST_PROMPT:
            faults.append(f"a prompt has {longest:,} characters, and may have {_LONGEST_PROMPT:,}")
        elif self.default_prompt is not None and (
            not isinstance(self.default_prompt, str) or self.default_prompt not in self.prompts
        ):
            faults.append(f"the default prompt {self.default_prompt!r:.80} is none of the prompts")
        if self.similarity is not None and self.similarity not in SIMILARITIES:
            faults.append(f"similarity must be one of {', '.join(SIMILARITIES)}, not {self.similarity!r:.80}")
        if not isinstance(self.unsupported, tuple) or not all(isinstance(name, str) for name in self.unsupported):
            faults.append(f"unsupported must be strings, not {self.unsupported!r}")
        if faults:
            raise CheckpointError("what is said of the model's sentence vectors cannot be used: " + "; ".join(faults))
        object.__setattr__(self, "prompts", MappingProxyType(dict(self.prompts)))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "prompts": dict(self.prompts)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        vars(self)["prompts"] = MappingProxyType(state["prompts"])

    @property
    def is_cross_encoder(self) -> bool:
        """Whether the model is a cross-encoder of sentence-transformers, which has no vectors of texts."""
        return self == CROSS_ENCODER

    def chosen(self, pooling: Pooling | Sequence[Pooling] | None = None, normalize: bool | None = None) -> Self:
        """The same as a call uses it, with poolings.

        What the caller gives stands above what the model says. With a `pooling` of the caller's the vectors are that
        and nothing else: the model's layers and normalization belong to its own pooling, and `normalize` None then
        means False. Prompts stay: they are of the text. Without a pooling, `UnsupportedModelError` names what of the
        model's own vector berthub does not compute.
        """
        if pooling is not None:
            poolings = (pooling,) if isinstance(pooling, str) or not isinstance(pooling, Sequence) else tuple(pooling)
            if not poolings:
                raise InputError("pooling=() is no pooling; use one, or several such as ('cls', 'mean')")
            for each in poolings:
                check_choice("pooling", each, POOLINGS)
            named = cast("tuple[Pooling, ...]", poolings)
            return dataclasses.replace(self, poolings=named, layers=(), normalize=bool(normalize), unsupported=())
        if self.unsupported:
            raise UnsupportedModelError(
                f"this model's own sentence vector cannot be computed: its files ask for {self.missing}, which berthub "
                'does not support. Name a pooling for vectors without it: pooling="mean" (on the command line --output '
                "mean), cls or max. Token vectors are not concerned"
            )
        scaled = self.normalize if normalize is None else bool(normalize)
        return dataclasses.replace(self, poolings=self.poolings or (DEFAULT_POOLING,), normalize=scaled)

    def finished(self, pooled: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The vectors [n, width] behind the layers, from the pooled and joined ones [n, hidden * poolings]."""
        for layer in self.layers:
            pooled = layer(pooled)
        return unit_length(pooled) if self.normalize else pooled

    def width(self, hidden_size: int) -> int:
        """The number of components of a vector; `CheckpointError` where the layers do not fit each other."""
        width = hidden_size * max(1, len(self.poolings))
        for layer in self.layers:
            width = layer.width(width)
        return width

    def prompt(self, prompt: str | None = None, prompt_name: str | None = None) -> str:
        """The text to put before each text: `prompt`, else that called `prompt_name`, else the model's default, or "".

        `InputError` for a name that is none of the model's, and for both.
        """
        if prompt is not None and prompt_name is not None:
            raise InputError("prompt and prompt_name are both given: one says the text itself, the other names it")
        if prompt is not None:
            if not isinstance(prompt, str):
                raise InputError(f"prompt must be a string, not {prompt!r:.80}")
            return prompt
        if prompt_name is None:
            return "" if self.default_prompt is None else self.prompts[self.default_prompt]
        if not isinstance(prompt_name, str) or prompt_name not in self.prompts:
            there = ", ".join(f"{name:.80}" for name in islice(self.prompts, _MOST_NAMES_SHOWN)) or "none"
            more = len(self.prompts) - _MOST_NAMES_SHOWN
            there += f", and {more:,} more" if more > 0 else ""
            raise InputError(f"the model has no prompt called {prompt_name!r:.80}; there are: {there}")
        return self.prompts[prompt_name]

    @property
    def described(self) -> str:
        """The sentence vector, and its own length of texts, in words."""
        if self.unsupported:
            vector = f"made with {self.missing}, which berthub does not compute"
        else:
            chosen = self.chosen()
            vector = " joined with ".join(_IN_WORDS[pooling] for pooling in chosen.poolings)
            steps = [layer.described() for layer in self.layers]
            # An activation, say, may be between two of them.
            steps += [UnitLength().described()] if self.normalize else []
            vector += "".join(f", {step}" for step in steps)
        if self.default_prompt is not None and (prompt := self.prompts[self.default_prompt]):
            vector += said_of_prompt(prompt) + ("" if self.include_prompt else ", which is not pooled")
        return vector + (f", of texts of up to {self.max_length} tokens" if self.max_length else "")

    @property
    def missing(self) -> str:
        """The first of what is unsupported, as a list in words."""
        more = len(self.unsupported) - _SHOWN
        return "; ".join(self.unsupported[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights of the layers, under names such as `0/kernel`."""
        return {f"{at}/{name}": array for at, layer in enumerate(self.layers) for name, array in layer.arrays().items()}

    def to_dict(self, *, arrays: bool = False) -> dict[str, Any]:
        """The fields as plain JSON values; with `arrays` the weights of the layers, too, as text."""
        values: dict[str, Any] = {name.name: getattr(self, name.name) for name in dataclasses.fields(self)}
        return {
            **values,
            "poolings": list(self.poolings),
            "layers": [
                {**layer.settings(), **({"arrays": _as_text(layer.arrays())} if arrays and layer.arrays() else {})}
                for layer in self.layers
            ],
            "prompts": dict(self.prompts),
            "unsupported": list(self.unsupported),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[np.float32]] | None = None) -> Self:
        """The inverse of `to_dict` and, where they lie apart, `arrays`; fields that are left out say nothing.

        `CheckpointError` for others than these, and for what does not fit.
        """
        stored = dict(values)
        if "pooling" in stored:
            # Models were saved before there could be several.
            pooling = stored.pop("pooling")
            stored["poolings"] = [] if pooling is None else [pooling]
        fields = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(stored.keys() - set(fields)):
            raise CheckpointError(
                f"what is said of the model's sentence vectors should hold {', '.join(fields)}; "
                f"it holds {', '.join(unknown)}, too"
            )
        for name in ("poolings", "unsupported"):
            if isinstance(stored.get(name), list):
                stored[name] = tuple(stored[name])
        listed = stored.get("layers", [])
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            raise CheckpointError(f"the layers of the model's sentence vectors should be objects, not {listed!r:.80}")
        listed = [dict(each) for each in listed]
        own: list[dict[str, Any]] = [_from_text(each.pop("arrays", {})) for each in listed]
        for key, array in (arrays or {}).items():
            at, _, name = key.partition("/")
            if not at.isdecimal() or int(at) >= len(own):
                raise CheckpointError(f"the array {key!r:.80} belongs to no layer of the model's sentence vectors")
            own[int(at)][name] = array
        stored["layers"] = tuple(vector_layer(each, given) for each, given in zip(listed, own, strict=True))
        return cls(**stored)


def said_of_prompt(prompt: str | None) -> str:
    """The prompt of texts in words, "" where there is none; a long one is shortened."""
    if not prompt:
        return ""
    shown = prompt if len(prompt) <= _LONGEST_PROMPT_SHOWN else prompt[: _LONGEST_PROMPT_SHOWN - 3] + "..."
    return f", of texts that begin with {shown!r}"


def _as_text(arrays: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, Any]:
    """Arrays as JSON values: shapes, and the bytes of little-endian float32 in base64."""
    return {
        name: {
            "shape": list(array.shape),
            "float32": base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode("ascii"),
        }
        for name, array in arrays.items()
    }


def _from_text(stored: Any) -> dict[str, npt.NDArray[np.float32]]:
    """The inverse of `_as_text`; `CheckpointError` for what is none of its results."""
    arrays = {}
    try:
        for name, each in stored.items():
            shape, data = each["shape"], base64.b64decode(each["float32"], validate=True)
            arrays[name] = np.frombuffer(data, "<f4").reshape([operator.index(size) for size in shape])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the arrays of a layer of the sentence vectors cannot be read: {error}") from error
    return arrays


UNSAID = Embedding()
"""That of a model whose files say nothing."""

CROSS_ENCODER = Embedding(unsupported=("a cross-encoder, which scores pairs of texts and has no vectors of them",))
"""What is said of the vectors of a cross-encoder."""
