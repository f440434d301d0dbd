"""Read Google's own releases: a configuration, a vocabulary and a name-based TensorFlow checkpoint.

BERT's (2018), ALBERT's (2019), ELECTRA's and MobileBERT's (2020) code share the names of most variables. ELECTRA's
release has no configuration file; what neither it nor the shapes tell is looked up in the graph, where `*.meta` is
still beside the checkpoint.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from berthub.checkpoint import Checkpoint
from berthub.containers.files import read_bytes
from berthub.containers.protos import parse
from berthub.containers.tensorbundle import TensorBundle
from berthub.formats.settings import Settings
from berthub.formats.tensorflow.google_files import checkpoint_prefix, find_config, find_vocabulary, put_config
from berthub.formats.tensorflow.google_head import HEAD_VARIABLES, read_google_head
from berthub.formats.tensorflow.google_names import NamedWeights, named_weights
from berthub.formats.tensorflow.graph import Graph, parse_graph
from berthub.formats.tensorflow.tf1_graph import graph_sizes
from berthub.vocabulary import Vocabulary

__all__ = ["read_google"]

FORMAT = "Google checkpoint"

_RELEASE = "the release's modeling.py"


def read_google(
    folder: Path, given: Mapping[str, Any] | None = None, vocabulary: Vocabulary | None = None
) -> Checkpoint:
    """The BERT, ALBERT, ELECTRA (its discriminator) or MobileBERT in a folder with one checkpoint and a vocabulary."""
    prefix = checkpoint_prefix(folder)
    bundle = TensorBundle(prefix)
    found = named_weights({key: bundle.shape(key) for key in bundle.keys}, source=str(prefix))
    vocabulary = vocabulary or find_vocabulary(folder, found.kind)
    settings = Settings(given)
    path = find_config(folder)
    if path is not None:
        put_config(settings, path, found.kind)
    _put_graph(settings, prefix.with_name(f"{prefix.name}.meta"), found)
    settings.put("the names and shapes of the variables", **found.settings)
    settings.put(_RELEASE, layer_norm_eps=1e-12)
    if found.scope.endswith("electra/"):
        settings.put(_RELEASE, activation="gelu_tanh")
    settings.put_case(vocabulary)
    config = settings.config(found.kind, what=str(path or folder))
    head = read_google_head(bundle, config, found.unused)
    read = () if head is None else HEAD_VARIABLES
    return Checkpoint(
        config=config,
        weights={canonical: bundle.array(name) for canonical, name in found.names.items()},
        vocabulary=vocabulary,
        origin=settings.origin(FORMAT, folder, unused=[name for name in found.unused if name not in read]),
        head=head,
    )


def _put_graph(settings: Settings, path: Path, found: NamedWeights) -> None:
    """Set what only the graph tells, unless a better source has given it."""
    if {"num_heads", "num_layers", "activation"} <= {*settings.sources, *found.settings} or not path.is_file():
        return
    graph = parse("MetaGraphDef", read_bytes(path), source=str(path)).graph_def
    nodes = parse_graph(graph, source=path).node
    attention_size = found.settings.get(found.kind.width_of_heads)
    source = f"the graph in {path.name}"
    settings.put(source, **graph_sizes(nodes, attention_size=attention_size), **Graph(graph, source=path).settings())
