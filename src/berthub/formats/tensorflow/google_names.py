"""Recognize weights under the names of Google's own code: their architecture, and the settings in their shapes.

The canonical names are Google's. What differs: any scope may stand before them (`module/`, `module/bert/`), ELECTRA
has one of its own; and what the rules of an architecture say.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from berthub.config import EncoderConfig
from berthub.errors import CheckpointError, UnsupportedModelError
from berthub.formats.renaming import rename
from berthub.formats.tensorflow.architecture import Architecture, count_of
from berthub.formats.tensorflow.architectures import ARCHITECTURES, BERT
from berthub.formats.tensorflow.shapes import sizes_from_shapes
from berthub.networks.parts import MLM_HEAD

__all__ = ["NamedWeights", "named_weights"]

_TABLE = "embeddings/word_embeddings"
_WORDS = f"bert/{_TABLE}"


@dataclass(frozen=True, kw_only=True)
class NamedWeights:
    """The encoder in a checkpoint: `names` leads from the canonical names to those in the files.

    `scope` is what stands before the encoder's names, `settings` what names and shapes tell of the configuration, and
    `unused` are the names of all that does not belong to the encoder.
    """

    kind: type[EncoderConfig]
    scope: str
    names: Mapping[str, str]
    settings: Mapping[str, Any]
    unused: tuple[str, ...]


def named_weights(shapes: Mapping[str, tuple[int, ...]], *, source: str) -> NamedWeights:
    """The encoder among variables of these names and shapes; `ModelNotFoundError`, naming `source`, if there is none.

    Of ELECTRA's two encoders it is the discriminator; other checkpoints with two raise `CheckpointError`.
    """
    scope = _scope(shapes, source)
    inside = [name.removeprefix(scope) for name in shapes if name.startswith(scope)]
    architecture = _architecture(inside)
    kind, google = architecture.config, architecture.google
    assert google is not None, "an architecture was found by a mark that Google's code does not have"
    # The head stands beside the encoder, module/bert/... and module/cls/..., or where there is no bert/, with it.
    places = "|".join(re.escape(place) for place in (re.sub("[^/]*/$", "", scope), scope))
    last = _last_feedforward(inside)
    rules = [(re.escape(scope) + pattern, template.replace("{last}", last)) for pattern, template in google.rules]
    rules.append((rf"(?:{places})(cls/predictions/(?:transform/(?:dense|LayerNorm)/\w+|output_bias))", r"\1"))
    names, unused = rename(shapes, rules)
    if not (google.mlm and names.keys() >= MLM_HEAD):
        unused += [names.pop(name) for name in [*names] if name.startswith("cls/")]
    settings = sizes_from_shapes(kind, {canonical: shapes[name] for canonical, name in names.items()})
    settings |= google.told_by_names(names.values())
    return NamedWeights(kind=kind, scope=scope, names=names, settings=settings, unused=tuple(sorted(unused)))


def _scope(names: Iterable[str], source: str) -> str:
    """The prefix of the encoder's names, with its slash."""
    scopes = [name.removesuffix(_TABLE) for name in names if name == _TABLE or name.endswith(f"/{_TABLE}")]
    # ELECTRA is trained together with a generator, a smaller encoder, which is not what was released it for.
    scopes = [scope for scope in scopes if not scope.endswith("generator/")]
    if not scopes:
        known = ", ".join(sorted(names)[:8])
        raise UnsupportedModelError(f"{source} holds no BERT: no variable is called {_WORDS}; it has {known or 'none'}")
    if len(scopes) > 1:
        raise CheckpointError(
            f"{source} holds more than one encoder, and which one is meant cannot be told: "
            + ", ".join(f"{scope}{_TABLE}" for scope in sorted(scopes))
        )
    return scopes[0]


def _architecture(inside: Iterable[str]) -> Architecture:
    for architecture in ARCHITECTURES.values():
        mark = None if architecture.google is None else architecture.google.mark
        if mark is not None and any(re.fullmatch(mark, name) for name in inside):
            return architecture
    return BERT


def _last_feedforward(inside: Iterable[str]) -> str:
    return str(count_of(inside, r"encoder/layer_\d+/(ffn_layer_\d+)/.*"))
