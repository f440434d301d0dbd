"""The settings of an encoder that follow from the names and shapes of its weights."""

import dataclasses
from typing import Any

from berthub.config import EncoderConfig
from berthub.formats.tensorflow.architecture import Shapes, count_of
from berthub.formats.tensorflow.architectures import ARCHITECTURES
from berthub.networks.parts import MLM_HEAD

__all__ = ["sizes_from_shapes"]

# A canonical weight -> the settings that its dimensions are, in every architecture.
_EMBEDDINGS = {
    "bert/embeddings/word_embeddings": ("vocab_size", "embedding_size"),
    "bert/embeddings/position_embeddings": ("max_positions",),
    "bert/embeddings/token_type_embeddings": ("type_vocab_size",),
}


def sizes_from_shapes(kind: type[EncoderConfig], shapes: Shapes) -> dict[str, Any]:
    """The settings that follow from the shapes of weights under their canonical names; what does not show is left out.

    ALBERT's number of layers does not, nor does any number of heads.
    """
    architecture = ARCHITECTURES[kind]
    settings: dict[str, Any] = {}
    for name, dimensions in {**_EMBEDDINGS, **architecture.dimensions}.items():
        settings = dict(zip(dimensions, shapes.get(name, ()), strict=False)) | settings
    settings["pooler"] = "bert/pooler/dense/kernel" in shapes
    settings["mlm"] = shapes.keys() >= MLM_HEAD
    settings |= {name: count_of(shapes, pattern) for name, pattern in architecture.counted.items()}
    settings = architecture.refined(settings, shapes)
    known = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in settings.items() if name in known}
