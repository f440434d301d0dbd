"""The configuration and the size of a published model, known without its files."""

from typing import Any

from berthub.config import EncoderConfig
from berthub.networks.network import CONFIGS
from berthub.sources.catalogue import CatalogueEntry

__all__ = ["config_of"]

_POSITIONS = 512
_TYPES = 2

_BERT: dict[str, Any] = {"architecture": "bert"}
_ROBERTA: dict[str, Any] = {"architecture": "roberta", "type_vocab_size": 1}
# What the releases have in common, by family: the architecture, and the sizes that the catalogue does not list.
_FAMILIES: dict[str, dict[str, Any]] = {
    "albert": {"architecture": "albert", "embedding_size": 128},
    "bert": _BERT,
    "cmlm": _BERT,
    "distilbert": {"architecture": "distilbert", "type_vocab_size": 1, "pooler": False},
    "electra": _BERT,
    "experts": _BERT,
    "labse": _BERT,
    "lambert": _BERT,
    "mobilebert": {
        "architecture": "mobilebert",
        "embedding_size": 128,
        "bottleneck_size": 128,
        "num_feedforward": 4,
        "bottleneck_attention": False,
        "intermediate_size": 512,
        "activation": "relu",
        "pooler": False,
    },
    "muril": _BERT,
    "roberta": _ROBERTA,
    "small_bert": _BERT,
    "talking_heads": {"architecture": "talking_heads"},
    "xlm_roberta": _ROBERTA,
}
# Single models that differ from the rest of their family.
_MODELS: dict[str, dict[str, Any]] = {"google/electra_small": {"embedding_size": 128}}


def config_of(entry: CatalogueEntry) -> EncoderConfig | None:
    """The sizes of the encoder; None where the catalogue does not have them, or berthub does not have the network.

    Settings that have no influence on sizes and costs have their usual values: this is no configuration to run.
    """
    sizes = {
        "vocab_size": entry.vocab_size,
        "hidden_size": entry.hidden,
        "num_layers": entry.layers,
        "num_heads": entry.heads,
    }
    if entry.family not in _FAMILIES or entry.hidden is None or None in sizes.values():
        return None
    settings = {
        **sizes,
        "intermediate_size": 4 * entry.hidden,
        "max_positions": _POSITIONS,
        "type_vocab_size": _TYPES,
        "activation": "gelu_tanh",
        "layer_norm_eps": 1e-12,
        "lower_case": not entry.cased,
        **_FAMILIES[entry.family],
        **_MODELS.get(entry.name, {}),
    }
    return CONFIGS[settings.pop("architecture")](**settings)
