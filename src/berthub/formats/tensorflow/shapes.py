"""What the names and shapes of weights tell about the settings of an encoder, for each architecture."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from berthub.config import EncoderConfig
from berthub.networks.albert import AlbertConfig
from berthub.networks.bert import BertConfig
from berthub.networks.mobilebert import MobileBertConfig
from berthub.networks.parts import MLM_HEAD
from berthub.networks.talking_heads import TalkingHeadsConfig

__all__ = ["count_of", "sizes_from_shapes"]

# A canonical weight -> the settings that its dimensions are.
_LAYER: dict[str, tuple[str, ...]] = {
    "bert/encoder/layer_0/intermediate/dense/kernel": ("hidden_size", "intermediate_size")
}
_DIMENSIONS: dict[type[EncoderConfig], dict[str, tuple[str, ...]]] = {
    BertConfig: _LAYER,
    TalkingHeadsConfig: _LAYER,
    AlbertConfig: {
        "bert/encoder/transformer/group_0/inner_group_0/ffn_1/intermediate/dense/kernel": (
            "hidden_size",
            "intermediate_size",
        )
    },
    MobileBertConfig: {
        "bert/encoder/layer_0/bottleneck/input/dense/kernel": ("hidden_size", "bottleneck_size"),
        "bert/encoder/layer_0/ffn_layer_0/intermediate/dense/kernel": ("bottleneck_size", "intermediate_size"),
    },
}
_EMBEDDINGS = {
    "bert/embeddings/word_embeddings": ("vocab_size", "embedding_size"),
    "bert/embeddings/position_embeddings": ("max_positions",),
    "bert/embeddings/token_type_embeddings": ("type_vocab_size",),
}


def sizes_from_shapes(kind: type[EncoderConfig], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The settings that follow from the shapes of weights under their canonical names; what does not show is left out.

    ALBERT's number of layers does not, nor does any number of heads.
    """
    settings: dict[str, Any] = {}
    for name, dimensions in (_EMBEDDINGS | _DIMENSIONS[kind]).items():
        settings = dict(zip(dimensions, shapes.get(name, ()), strict=False)) | settings
    settings["pooler"] = "bert/pooler/dense/kernel" in shapes
    settings["mlm"] = shapes.keys() >= MLM_HEAD
    if kind is AlbertConfig:
        settings["num_groups"] = count_of(shapes, r"bert/encoder/transformer/(group_\d+)/.*")
        settings["inner_layers"] = count_of(shapes, r"bert/encoder/transformer/group_\d+/(inner_group_\d+)/.*")
    else:
        settings["num_layers"] = count_of(shapes, r"bert/encoder/(layer_\d+)/.*")
    if kind is BertConfig and settings.get("embedding_size") == settings.get("hidden_size"):
        settings.pop("embedding_size", None)
    if kind is MobileBertConfig:
        first = "bert/encoder/layer_0"
        settings["num_feedforward"] = count_of(shapes, r"bert/encoder/layer_\d+/(ffn_layer_\d+)/.*")
        settings["shared_bottleneck"] = f"{first}/bottleneck/attention/dense/kernel" in shapes
        values = shapes.get(f"{first}/attention/self/value/kernel", ())
        if settings["shared_bottleneck"] or settings.get("hidden_size") != settings.get("bottleneck_size"):
            # Where both are of one width, only a bottleneck for queries and keys alone shows whose values these are.
            settings["bottleneck_attention"] = values[:1] not in ((), (settings.get("hidden_size"),))
    known = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in settings.items() if name in known}


def count_of(names: Iterable[str], pattern: str) -> int:
    """How many different things the group of the pattern stands for."""
    compiled = re.compile(pattern)
    return len({match[1] for name in names if (match := compiled.fullmatch(name))})
