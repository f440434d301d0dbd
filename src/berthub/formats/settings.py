"""Collect a model's settings, each with the place where it was read, and name those that are stored nowhere."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from berthub.checkpoint import Origin
from berthub.config import EncoderConfig
from berthub.errors import CheckpointError, InputError, UnsupportedModelError
from berthub.networks.network import known_settings
from berthub.vocabulary import Vocabulary

__all__ = ["BERT_CONFIG", "Settings", "look_up"]

C = TypeVar("C", bound=EncoderConfig)

# The keys of Google's `bert_config.json`, which transformers took over (and added the epsilon) -> ours.
BERT_CONFIG = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "intermediate_size": "intermediate_size",
    "max_position_embeddings": "max_positions",
    "type_vocab_size": "type_vocab_size",
    "layer_norm_eps": "layer_norm_eps",
    "hidden_dropout_prob": "hidden_dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "initializer_range": "initializer_range",
}


# From this share of words with capitals on nobody can doubt that a vocabulary is one of cased text.
_CLEARLY_CASED = 0.2


def look_up(table: Mapping[str, Any], value: object, *, setting: str, source: str) -> Any:
    """`table[value]`, or an `UnsupportedModelError` that lists what the table knows."""
    if isinstance(value, str) and value in table:
        return table[value]
    known = ", ".join(sorted(table))
    raise UnsupportedModelError(f"{source} sets {setting} to {value!r:.200}; what is supported: {known}")


class Settings:
    """Settings by the names that they have in a configuration, each with its source.

    `given` are the user's: they stand above whatever the files say.
    """

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        self._values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.notes: list[str] = []
        known = known_settings()
        unknown = sorted((given or {}).keys() - known)
        if unknown:
            raise InputError(f"settings has the unknown key {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        for name, value in (given or {}).items():
            self._values[name] = value
            self.sources[name] = "given by the caller"

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @property
    def values(self) -> dict[str, Any]:
        """What has been set so far, by name."""
        return dict(self._values)

    def put(self, source: str, **values: Any) -> None:
        """Set those values that no earlier, better source has given."""
        for name, value in values.items():
            if name not in self._values:
                self._values[name] = value
                self.sources[name] = source

    def origin(
        self, format: str, folder: Path, *, unused: Iterable[str], also: Mapping[str, str] | None = None
    ) -> Origin:
        """The origin of a checkpoint with these settings; `also` has sources of anything that is not among them."""
        return Origin(
            format=format,
            folder=folder,
            settings=self.sources | dict(also or {}),
            notes=tuple(self.notes),
            unused=tuple(sorted(unused)),
        )

    def put_case(self, vocabulary: Vocabulary) -> None:
        """Infer `lower_case` from the vocabulary if nothing else says it: one without capitals needs lower-cased text.

        A vocabulary that is neither without capitals nor full of them adds a note, for the user to decide.
        """
        if "lower_case" in self:
            return
        share, cased = vocabulary.share_of_capitals, vocabulary.looks_cased
        self.put(f"inferred: {share:.2%} of the vocabulary's words have capitals", lower_case=not cased)
        if 0 < share < _CLEARLY_CASED:
            taken = "cased" if cased else "lower-cased, so that these words are never found"
            self.notes.append(
                f"no file of the model says whether texts are lower-cased, and {share:.2%} of the vocabulary's words "
                f"have capitals: they are taken to be {taken}. Say so to hear no more of it, or say otherwise: "
                f'settings={{"lower_case": {not cased}}} or settings={{"lower_case": {cased}}}'
            )

    def config(self, kind: type[C], *, what: str) -> C:
        """The configuration of that kind; settings that are still missing are asked for by name."""
        required = [f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING]
        missing = [name for name in required if name not in self._values]
        if missing:
            example = ", ".join(f'"{name}": ...' for name in missing)
            raise CheckpointError(
                f"{what} does not store {', '.join(missing)}, and it cannot be told from its other files; "
                f"pass it: settings={{{example}}}"
            )
        fields = {field.name for field in dataclasses.fields(kind)}
        if foreign := sorted(self._values.keys() - fields):
            raise InputError(f"settings has {', '.join(foreign)}, which a {kind.architecture} model does not have")
        for field in dataclasses.fields(kind):
            self.sources.setdefault(field.name, "the usual value")
        return kind(**self._values)
