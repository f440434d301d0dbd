"""What the shapes of a SavedModel's variables and its graph tell about its settings, for each architecture."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from berthub.config import EncoderConfig
from berthub.errors import UnsupportedModelError
from berthub.formats.settings import Settings
from berthub.formats.tensorflow.graph import Graph
from berthub.networks.albert import AlbertConfig
from berthub.networks.mobilebert import MobileBertConfig

__all__ = ["put_from_graph", "put_shapes", "without_foreign_head"]

C = TypeVar("C", bound=EncoderConfig)

_SHAPES = "the shapes of the variables"
_GRAPH = "the operations and constants of the graph"

# A weight, and which setting each of its dimensions is.
_Table = dict[str, tuple[str, ...]]
_LAYER = "bert/encoder/layer_0"
_BERT: _Table = {
    f"{_LAYER}/attention/self/query/kernel": ("hidden_size", "num_heads"),
    f"{_LAYER}/intermediate/dense/kernel": ("hidden_size", "intermediate_size"),
    "bert/embeddings/word_embeddings": ("vocab_size", "embedding_size"),
    "bert/embeddings/position_embeddings": ("max_positions",),
    "bert/embeddings/token_type_embeddings": ("type_vocab_size",),
}
_GROUP = "bert/encoder/transformer/group_0/inner_group_0"
_ALBERT: _Table = {
    **_BERT,
    f"{_GROUP}/attention_1/self/query/kernel": ("hidden_size", "num_heads"),
    f"{_GROUP}/ffn_1/intermediate/dense/kernel": ("hidden_size", "intermediate_size"),
}
_MOBILEBERT: _Table = {
    **_BERT,
    f"{_LAYER}/attention/self/query/kernel": ("", "num_heads"),
    f"{_LAYER}/bottleneck/input/dense/kernel": ("hidden_size", "bottleneck_size"),
    f"{_LAYER}/ffn_layer_0/intermediate/dense/kernel": ("bottleneck_size", "intermediate_size"),
}
_TABLES: dict[type[EncoderConfig], _Table] = {AlbertConfig: _ALBERT, MobileBertConfig: _MOBILEBERT}


def put_shapes(settings: Settings, kind: type[EncoderConfig], arrays: Mapping[str, Any]) -> dict[str, int]:
    """Take over what the shapes tell, and which weights there are; the sizes are returned, too."""
    sizes: dict[str, int] = {}
    for name, dimensions in _TABLES.get(kind, _BERT).items():
        shape = arrays[name].shape if name in arrays else ()
        # Version 1 may have the heads in one dimension.
        shape = shape[:1] if dimensions[1:] == ("num_heads",) and len(shape) != 3 else shape
        sizes = {**dict(zip(dimensions, shape, strict=False)), **sizes}
    if kind is not AlbertConfig:
        sizes["num_layers"] = len({name.split("/")[2] for name in arrays if name.startswith("bert/encoder/layer_")})
    known = {field.name for field in dataclasses.fields(kind)}
    sizes = {name: size for name, size in sizes.items() if name in known}
    values: dict[str, Any] = {**sizes, "pooler": "bert/pooler/dense/kernel" in arrays}
    if kind is MobileBertConfig:
        values |= _bottlenecks(sizes, arrays)
    elif sizes.get("embedding_size") == sizes.get("hidden_size") and kind is not AlbertConfig:
        values.pop("embedding_size", None)
    settings.put(_SHAPES, **values)
    settings.put("the names of the variables", mlm=any(name.startswith("cls/predictions/") for name in arrays))
    return sizes


def put_from_graph(
    settings: Settings,
    kind: type[EncoderConfig],
    make_graph: Callable[[], Graph],
    *,
    sizes: Mapping[str, int],
    source: Path,
) -> None:
    """Look into the graph for what is still missing; the graph is made only then.

    `sizes` are those that the shapes told. `UnsupportedModelError` for what no network here computes.
    """
    wanted = {"activation", "layer_norm_eps", "num_heads", "num_layers"}
    if kind is MobileBertConfig:
        wanted |= {"normalization"}
    missing = {name for name in wanted if name not in settings}
    if not missing:
        return
    graph = make_graph()
    if graph.normalizes_first():
        raise UnsupportedModelError(f"the layers in {source} begin with their layer norms, which is not supported")
    settings.put(_GRAPH, **graph.settings())
    if "num_layers" in missing and (layers := graph.attentions()):
        settings.put(_GRAPH, num_layers=layers)
    if "num_heads" in missing and (size := graph.head_size()) and "hidden_size" in sizes:
        settings.put(_GRAPH, num_heads=sizes["hidden_size"] // size)
    if kind is MobileBertConfig:
        settings.put(_GRAPH, normalization="layer_norm" if graph.normalizes() else "no_norm")
        if not graph.normalizes():
            if epsilon := graph.head_settings().get("layer_norm_eps"):
                settings.put(_GRAPH, layer_norm_eps=epsilon)
            # Nothing is divided: any value does.
            settings.put("nothing: there is no layer norm", layer_norm_eps=1e-12)


def without_foreign_head(config: C, settings: Settings, make_graph: Callable[[], Graph]) -> C:
    """The configuration without the masked-language-model head, if that computes otherwise than the encoder.

    Its activation and the epsilon of its layer norm have no settings of their own here.
    """
    if not config.mlm or all(getattr(config, name) == own for name, own in make_graph().head_settings().items()):
        return config
    settings.sources["mlm"] = f"{_GRAPH}: the head's activation or epsilon is not the encoder's"
    return dataclasses.replace(config, mlm=False)


def _bottlenecks(sizes: Mapping[str, int], arrays: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {
        "num_feedforward": len({name.split("/")[3] for name in arrays if name.startswith(f"{_LAYER}/ffn_layer_")}),
        "shared_bottleneck": f"{_LAYER}/bottleneck/attention/dense/kernel" in arrays,
    }
    wide, thin = sizes.get("hidden_size"), sizes.get("bottleneck_size")
    value = arrays.get(f"{_LAYER}/attention/self/value/kernel")
    if value is not None and wide != thin:
        # Where both are of one width it does not show.
        values["bottleneck_attention"] = value.shape[0] == thin
    return values
