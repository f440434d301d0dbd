"""Weights under the names of Google's own code: which architecture they are, and what their shapes tell.

The canonical names are Google's. What differs: any scope may stand before them (`module/`, `module/bert/`), ELECTRA
has one of its own, and MobileBERT sets its last feed-forward network apart and calls NoNorm `FakeLayerNorm`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from berthub.config import EncoderConfig
from berthub.errors import CheckpointError, UnsupportedModelError
from berthub.formats.renaming import Rule, rename
from berthub.formats.tensorflow.shapes import count_of, sizes_from_shapes
from berthub.networks.albert import AlbertConfig
from berthub.networks.bert import BertConfig
from berthub.networks.mobilebert import MobileBertConfig
from berthub.networks.parts import MLM_HEAD

__all__ = ["NamedWeights", "named_weights"]

_TABLE = "embeddings/word_embeddings"
_WORDS = f"bert/{_TABLE}"

# Behind the scope of the encoder. An optimizer's slots have further parts at the end and match nothing.
_COMMON: list[Rule] = [
    (r"(embeddings/(?:word|position|token_type)_embeddings)", r"bert/\1"),
    (r"embeddings/(?:Fake)?LayerNorm/(gamma|beta)", r"bert/embeddings/LayerNorm/\1"),
    (r"(pooler/dense/(?:kernel|bias))", r"bert/\1"),
]
_RULES: dict[type[EncoderConfig], list[Rule]] = {
    BertConfig: [
        *_COMMON,
        (r"(embeddings_project/(?:kernel|bias))", r"bert/\1"),
        (r"(encoder/layer_\d+/[a-z/]*(?:dense|query|key|value)/(?:kernel|bias))", r"bert/\1"),
        (r"(encoder/layer_\d+/[a-z/]*LayerNorm/(?:gamma|beta))", r"bert/\1"),
    ],
    AlbertConfig: [
        *_COMMON,
        (r"(encoder/embedding_hidden_mapping_in/(?:kernel|bias))", r"bert/\1"),
        (r"(encoder/transformer/group_\d+/inner_group_\d+/[\w/]*(?:kernel|bias|gamma|beta))", r"bert/\1"),
    ],
    MobileBertConfig: [
        *_COMMON,
        (r"(embeddings/embedding_transformation/(?:kernel|bias))", r"bert/\1"),
        # {last} is the number of the feed-forward network that has none.
        (r"(encoder/layer_\d+)/((?:intermediate|output)/dense/(?:kernel|bias))", r"bert/\1/ffn_layer_{last}/\2"),
        (
            r"(encoder/layer_\d+)/output/(?:Fake)?LayerNorm/(gamma|beta)",
            r"bert/\1/ffn_layer_{last}/output/LayerNorm/\2",
        ),
        (r"(encoder/layer_\d+/[\w/]*(?:dense|query|key|value)/(?:kernel|bias))", r"bert/\1"),
        (r"(encoder/layer_\d+/[\w/]+)/(?:Fake)?LayerNorm/(gamma|beta)", r"bert/\1/LayerNorm/\2"),
    ],
}


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
    kind = _kind(inside)
    # The head stands beside the encoder, module/bert/... and module/cls/..., or where there is no bert/, with it.
    places = "|".join(re.escape(place) for place in (re.sub("[^/]*/$", "", scope), scope))
    last = _last_feedforward(inside)
    rules = [(re.escape(scope) + pattern, template.replace("{last}", last)) for pattern, template in _RULES[kind]]
    rules.append((rf"(?:{places})(cls/predictions/(?:transform/(?:dense|LayerNorm)/\w+|output_bias))", r"\1"))
    names, unused = rename(shapes, rules)
    mlm = names.keys() >= MLM_HEAD and kind is not MobileBertConfig
    if not mlm:
        unused += [names.pop(name) for name in [*names] if name.startswith("cls/")]
    settings = sizes_from_shapes(kind, {canonical: shapes[name] for canonical, name in names.items()})
    if kind is MobileBertConfig:
        no_norm = any("/FakeLayerNorm/" in name for name in names.values())
        settings["normalization"] = "no_norm" if no_norm else "layer_norm"
    return NamedWeights(kind=kind, scope=scope, names=names, settings=settings, unused=tuple(sorted(unused)))


def _scope(names: Iterable[str], source: str) -> str:
    """What stands before the encoder's names, with the slash behind it."""
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


def _kind(inside: Iterable[str]) -> type[EncoderConfig]:
    if any(name.startswith("encoder/transformer/") for name in inside):
        return AlbertConfig
    if any(name.startswith("embeddings/embedding_transformation/") or "/bottleneck/" in name for name in inside):
        return MobileBertConfig
    return BertConfig


def _last_feedforward(inside: Iterable[str]) -> str:
    return str(count_of(inside, r"encoder/layer_\d+/(ffn_layer_\d+)/.*"))
