"""Read TensorFlow Hub's modules of TensorFlow 1 as files: the graph in them is read, never run.

The variables have the names of Google's own code. No configuration is stored: sizes follow from the shapes, the
rest from constants and operations of the graph. Whether texts are lower-cased is the constant of the signature
`tokenization_info`; the name of the vocabulary is in a collection, as TensorFlow 1 kept its assets.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from berthub.checkpoint import Checkpoint
from berthub.containers.files import asset, assets, read_bytes
from berthub.containers.protos import by_key, parse
from berthub.containers.tensorbundle import TensorBundle
from berthub.errors import ModelNotFoundError
from berthub.formats.settings import Settings
from berthub.formats.tensorflow.google_names import named_weights
from berthub.formats.tensorflow.graph import Graph, parse_graph
from berthub.formats.tensorflow.saved_model_settings import without_foreign_head
from berthub.formats.tensorflow.tf1_graph import constant_flag, dropout_rates, graph_sizes, source_of
from berthub.formats.vocabularies import vocabulary_at
from berthub.networks.parts import MLM_HEAD
from berthub.vocabulary import Vocabulary

__all__ = ["is_tf1_hub", "read_tf1_hub"]

FORMAT = "TF1 hub module"

_MARK = "tfhub_module.pb"
_TOKENIZATION = "tokenization_info"
_ASSETS = "saved_model_assets"
_ASSET_TYPE = "tensorflow.AssetFileDef"


def is_tf1_hub(folder: Path) -> bool:
    """Whether the SavedModel in `folder` is such a module: it says so, or has graphs to import, none to serve."""
    if (folder / _MARK).is_file():
        return True
    tags = [{*meta_graph.meta_info_def.tags} for meta_graph in _saved_model(folder / "saved_model.pb").meta_graphs]
    return any(each <= {"train"} for each in tags) and not any("serve" in each for each in tags)


def read_tf1_hub(
    folder: Path, given: Mapping[str, Any] | None = None, vocabulary: Vocabulary | None = None
) -> Checkpoint:
    """The BERT, ALBERT or MobileBERT in a module's folder."""
    path = folder / "saved_model.pb"
    meta_graph, for_training = _meta_graphs(path)
    bundle = TensorBundle(folder / "variables" / "variables")
    found = named_weights({key: bundle.shape(key) for key in bundle.keys}, source=str(path))
    nodes = by_key(((node.name, node) for node in _nodes(meta_graph, path)), source=f"the graph in {path}")
    tokenization = _signature(meta_graph, _TOKENIZATION)
    if vocabulary is None:
        vocabulary = vocabulary_at(_vocabulary_file(folder, meta_graph, nodes, tokenization.get("vocab_file", "")))

    settings = Settings(given)
    settings.put("the names and shapes of the variables", **found.settings)
    attention_size = found.settings.get(found.kind.width_of_heads)
    settings.put("the graph's constants and scopes", **graph_sizes(nodes.values(), attention_size=attention_size))
    if for_training is not None:
        settings.put("the graph for training", **dropout_rates(_nodes(for_training, path)))
    graph = Graph(meta_graph.graph_def, source=path)
    settings.put("the operations and constants of the graph", **graph.settings())
    if found.settings.get("normalization") == "no_norm":
        settings.put("nothing: no layer of the model uses it", layer_norm_eps=1e-12)
    lower_case = constant_flag(source_of(nodes, tokenization.get("do_lower_case", "")))
    if lower_case is not None:
        settings.put(f"the signature {_TOKENIZATION}", lower_case=lower_case)
    config = without_foreign_head(settings.config(found.kind, what=str(path)), settings, lambda: graph)
    names = {canonical: name for canonical, name in found.names.items() if config.mlm or canonical not in MLM_HEAD}
    unused = {*found.unused, *found.names.values()} - {*names.values()}
    return Checkpoint(
        config=config,
        weights={canonical: bundle.array(name) for canonical, name in names.items()},
        vocabulary=vocabulary,
        origin=settings.origin(FORMAT, folder, unused=unused),
    )


def _saved_model(path: Path) -> Any:
    return parse("SavedModel", read_bytes(path), source=str(path))


def _meta_graphs(path: Path) -> tuple[Any, Any]:
    """The graph for inference, whose tag set is empty (else the first), and that for training or None."""
    meta_graphs = sorted(_saved_model(path).meta_graphs, key=lambda meta_graph: len(meta_graph.meta_info_def.tags))
    if not meta_graphs:
        raise ModelNotFoundError(f"{path} holds no graph")
    return meta_graphs[0], next((graph for graph in meta_graphs if "train" in graph.meta_info_def.tags), None)


def _nodes(meta_graph: Any, path: Path) -> Any:
    return parse_graph(meta_graph.graph_def, source=path).node


def _signature(meta_graph: Any, name: str) -> dict[str, str]:
    """The names of a signature's output tensors, by what they are called there."""
    outputs = (entry.value.outputs for entry in meta_graph.signature_def if entry.key == name)
    return {output.key: output.value.name for output in next(outputs, ())}


def _vocabulary_file(folder: Path, meta_graph: Any, nodes: Mapping[str, Any], tensor: str) -> Path:
    """The asset whose path `tensor` holds, else the only one there is."""
    source = source_of(nodes, tensor)
    named = {asset.tensor_info.name.partition(":")[0]: asset.filename for asset in _assets(meta_graph)}
    name = named.get(source.name if source is not None else "")
    if name is None and len(set(named.values())) == 1:
        (name,) = set(named.values())
    if name is None:
        files = assets(folder)
        if len(files) != 1:
            raise ModelNotFoundError(
                f"the module does not say which asset its vocabulary is, and {folder / 'assets'} holds "
                f"{', '.join(files) or 'none'}; leave the vocabulary alone there"
            )
        (name,) = files
    return asset(folder, name)


def _assets(meta_graph: Any) -> Iterator[Any]:
    yield from meta_graph.asset_file_def
    for entry in meta_graph.collection_def:
        if entry.key != _ASSETS:
            continue
        for value in entry.value.any_list.value:
            if value.type_url.rpartition("/")[2] == _ASSET_TYPE:
                yield parse("AssetFileDef", value.value, source=f"the collection {_ASSETS}")
