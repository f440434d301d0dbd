"""Settings of each architecture from the shapes of a SavedModel's variables and from its graph."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from berthub.config import EncoderConfig
from berthub.errors import UnsupportedModelError
from berthub.formats.head_axes import as_matrix, first_heads
from berthub.formats.settings import Settings
from berthub.formats.tensorflow.graph import Graph
from berthub.formats.tensorflow.shapes import sizes_from_shapes

__all__ = ["put_from_graph", "put_shapes", "without_foreign_head"]

C = TypeVar("C", bound=EncoderConfig)

_SHAPES = "the shapes of the variables"
_GRAPH = "the operations and constants of the graph"


def put_shapes(settings: Settings, kind: type[EncoderConfig], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Set the sizes that the shapes of the weights tell, and return them."""
    sizes = sizes_from_shapes(kind, {name: as_matrix(name, array).shape for name, array in arrays.items()})
    if heads := first_heads(arrays):
        sizes["num_heads"] = heads
    if sizes.get("hidden_size") == sizes.get("bottleneck_size"):
        # Keras has a bottleneck for queries and keys also where it goes unused: then nothing shows whose values are.
        sizes.pop("bottleneck_attention", None)
    settings.put("the names of the variables", mlm=sizes.pop("mlm"))
    settings.put(_SHAPES, **sizes)
    return sizes


def put_from_graph(
    settings: Settings,
    kind: type[EncoderConfig],
    make_graph: Callable[[], Graph],
    *,
    sizes: Mapping[str, int],
    source: Path,
) -> None:
    """Set from the graph what is still missing; the graph is parsed only then.

    `sizes` are those that the shapes told. `UnsupportedModelError` for what no network here computes.
    """
    wanted = {"activation", "layer_norm_eps", "num_heads", "num_layers"}
    if normalization := "normalization" in {field.name for field in dataclasses.fields(kind)}:
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
    if normalization:
        settings.put(_GRAPH, normalization="layer_norm" if graph.normalizes() else "no_norm")
        if not graph.normalizes():
            if epsilon := graph.head_settings().get("layer_norm_eps"):
                settings.put(_GRAPH, layer_norm_eps=epsilon)
            # Nothing is divided: any value does.
            settings.put("nothing: there is no layer norm", layer_norm_eps=1e-12)


def without_foreign_head(config: C, settings: Settings, make_graph: Callable[[], Graph]) -> C:
    """Drop the masked-language-model head from the configuration, if its activation or epsilon is not the encoder's.

    These have no settings of their own here.
    """
    if not config.mlm or all(getattr(config, name) == own for name, own in make_graph().head_settings().items()):
        return config
    settings.sources["mlm"] = f"{_GRAPH}: the head's activation or epsilon is not the encoder's"
    return dataclasses.replace(config, mlm=False)
