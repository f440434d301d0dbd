"""The architectures: a configuration decides which network runs, and which weights it has.

An architecture is one module: its configuration, an `EncoderConfig`; `weight_shapes(config)`; and `hidden_states`.
The poolers and the masked-language-model heads are alike.
"""

import dataclasses
from collections.abc import Mapping
from types import ModuleType
from typing import Any, TypeVar

from berthub.config import EncoderConfig
from berthub.errors import CheckpointError
from berthub.networks import (
    albert,
    bert,
    deberta,
    distilbert,
    gte,
    mobilebert,
    modernbert,
    mpnet,
    nomic_bert,
    roberta,
    talking_heads,
)
from berthub.networks.ops import Ops
from berthub.networks.parts import Layers, Shapes

__all__ = [
    "CONFIGS",
    "config_from_dict",
    "hidden_states",
    "known_settings",
    "mlm_logits",
    "pooled_output",
    "weight_shapes",
]

T = TypeVar("T")
W = TypeVar("W")

_MODULES: dict[type[EncoderConfig], ModuleType] = {
    bert.BertConfig: bert,
    albert.AlbertConfig: albert,
    deberta.DebertaConfig: deberta,
    distilbert.DistilBertConfig: distilbert,
    gte.GteConfig: gte,
    mobilebert.MobileBertConfig: mobilebert,
    mpnet.MPNetConfig: mpnet,
    modernbert.ModernBertConfig: modernbert,
    nomic_bert.NomicBertConfig: nomic_bert,
    roberta.RobertaConfig: roberta,
    talking_heads.TalkingHeadsConfig: talking_heads,
}

CONFIGS: dict[str, type[EncoderConfig]] = {config.architecture: config for config in _MODULES}
"""The configuration class of each architecture, by its name."""


def weight_shapes(config: EncoderConfig) -> Shapes:
    """The names and shapes of the weights that `config` calls for, in the order of the original release."""
    shapes: Shapes = _MODULES[type(config)].weight_shapes(config)
    return shapes


def hidden_states(
    ops: Ops[T, W],
    config: EncoderConfig,
    weights: Mapping[str, W],
    *,
    ids: T,
    mask: T,
    type_ids: T,
    layers: int,
    first_only: bool = False,
) -> list[T]:
    """The first `layers` entries of encoder_outputs, [b, s, h] each, from ids, mask and type ids [b, s].

    Positions count from the row's start, whatever the mask says, as in the original. With `first_only` the highest
    of these layers is computed for the first position only, [b, 1, h]: all that the pooler needs of it.
    """
    states: list[T] = _MODULES[type(config)].hidden_states(
        ops, config, weights, ids=ids, mask=mask, type_ids=type_ids, layers=layers, first_only=first_only
    )
    return states


def pooled_output(ops: Ops[T, W], config: EncoderConfig, weights: Mapping[str, W], sequence_output: T) -> T:
    """The vector of the whole text, [b, s, h] to [b, h]: the pooler's, or where there is none the first token's."""
    return Layers(ops, config, weights).pooled(sequence_output) if config.pooler else ops.first(sequence_output)


def mlm_logits(ops: Ops[T, W], config: EncoderConfig, weights: Mapping[str, W], sequence_output: T, positions: T) -> T:
    """The scores of every piece at `positions` [b, p]: [b, s, h] to [b, p, vocabulary]."""
    return Layers(ops, config, weights).mlm_logits(ops.at_positions(sequence_output, positions))


def config_from_dict(values: Mapping[str, Any]) -> EncoderConfig:
    """A configuration from the dict of `EncoderConfig.to_dict`; `CheckpointError` if it is not valid."""
    architecture = values.get("architecture")
    if not isinstance(architecture, str) or architecture not in CONFIGS:
        raise CheckpointError(
            f"the configuration is of architecture {architecture!r}; known are {', '.join(sorted(CONFIGS))}"
        )
    return CONFIGS[architecture].from_dict(values)


def known_settings() -> set[str]:
    """The names of the settings of all architectures."""
    return {field.name for config in _MODULES for field in dataclasses.fields(config)}
