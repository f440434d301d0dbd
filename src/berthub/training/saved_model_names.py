"""The names and shapes of the variables in TF Hub's models.

Where an architecture was not published so, or not in this variant (an ALBERT of several groups), a weight keeps its
canonical name.
"""

from typing import Any

import numpy as np

from berthub.config import EncoderConfig
from berthub.formats.renaming import rename
from berthub.formats.tensorflow.architectures import ARCHITECTURES, BERT
from berthub.formats.tensorflow.saved_model_names import numbered, rules
from berthub.networks.network import weight_shapes

__all__ = ["by_head", "foreign_names", "is_of_encoder"]


def foreign_names(config: EncoderConfig) -> dict[str, str]:
    """The name that each weight's variable has, by its canonical name, in the order of the weights."""
    shapes = weight_shapes(config)
    foreign, _ = rename(shapes, ARCHITECTURES.get(type(config), BERT).saved_model.writing(config))
    renamed = {canonical: name for name, canonical in foreign.items()}
    # Only names that lead back: the rules of writing may take in weights that TF Hub's models do not have.
    layered = numbered(renamed.values())
    back, _ = rename(layered.values(), rules(type(config)))
    return {
        canonical: name
        if (name := renamed.get(canonical)) is not None and back.get(canonical) == layered[name]
        else canonical
        for canonical in shapes
    }


def by_head(name: str, weight: Any, config: EncoderConfig) -> Any:
    """The weight as TF Hub's models store it: attention weights have an axis for the heads."""
    heads = (config.num_heads, config.head_size)
    scope = name.split("/")
    if scope[-2] in ("query", "key", "value"):
        return np.reshape(weight, (*weight.shape[:-1], *heads))
    if name.endswith(("/attention/output/dense/kernel", "/attention_1/output/dense/kernel")):
        return np.reshape(weight, (*heads, weight.shape[-1]))
    return np.asarray(weight)


def is_of_encoder(name: str) -> bool:
    """Whether a weight, by its canonical name, belongs to the encoder: else to the masked-language-model head."""
    return not name.startswith("cls/")
