"""The object graph of a TensorFlow 2 SavedModel: objects, their children by name, and their variables."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berthub.containers.files import asset
from berthub.containers.protos import by_key, check_count, parse
from berthub.containers.tensorbundle import TensorBundle
from berthub.errors import CheckpointError, CorruptFileError
from berthub.formats.tensorflow.saved_model_names import is_word_embeddings

__all__ = ["SavedObjects", "Variable", "leaves"]

_CHECKPOINT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
# The exporters hang the vocabulary on the encoder itself.
_VOCABULARIES = ("vocab_file", "sp_model_file")
_ROOT = 0
# A model around an encoder may name its vocabulary again; what each hangs on is looked through.
_MOST_VOCABULARIES = 64
# The smallest objects of models and their names for each other have twice as many bytes and more.
_BYTES_AN_OBJECT = 8


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable's name, and its key in the bundle; two variables may have the same name."""

    name: str
    key: str


class SavedObjects:
    """The object graph of `meta_graph`, whose variables are in `bundle`. An object is known by its number."""

    def __init__(self, meta_graph: Any, bundle: TensorBundle, *, source: Path) -> None:
        self._nodes = meta_graph.object_graph_def.nodes
        size = meta_graph.object_graph_def.ByteSize()
        check_count(self._nodes, size=size, least=_BYTES_AN_OBJECT, source=str(source))
        for node in self._nodes:
            check_count(node.children, size=size, least=_BYTES_AN_OBJECT, source=str(source))
        self._assets = [asset.filename for asset in meta_graph.asset_file_def]
        self._source = source
        functions = meta_graph.object_graph_def.concrete_functions
        self.functions = by_key(((entry.key, entry.value) for entry in functions), source=str(source))
        """The signatures of the functions, by the names that they have in the graph."""
        self._named: dict[int, dict[str, int]] = {}
        self._variables = dict(self._from_checkpoint(bundle))
        covered = {variable.key for variable in self._variables.values()}
        for key in bundle.keys:
            node = self._at(key.removesuffix(_VALUE)) if key.endswith(_VALUE) and key not in covered else None
            if node is not None and (name := self._nodes[node].variable.name):
                self._variables[node] = Variable(name, key)
        covered = {variable.key for variable in self._variables.values()}
        self._stray = [variable for variable in _stray(bundle) if variable.key not in covered]

    @property
    def all_variables(self) -> list[Variable]:
        """Every variable of the model that has a name, slots of optimizers included."""
        return [*self._variables.values(), *self._stray]

    def encoder(self) -> int:
        """The encoder: the object with a vocabulary and word embeddings, at any depth; else the whole model.

        `CheckpointError` if there are several.
        """
        owners = [node for node in reversed(range(len(self._nodes))) if self.has_vocabulary(node)]
        if len(owners) > _MOST_VOCABULARIES:
            raise CheckpointError(f"{self._source} holds {len(owners):,} objects with a vocabulary: it is no encoder")
        tables = {
            frozenset(v.key for v in self.variables(self.reachable(node)) if is_word_embeddings(v.name)): node
            for node in owners
        }
        tables.pop(frozenset(), None)
        if len(tables) > 1:
            raise CheckpointError(
                f"{self._source} holds {len(tables)} encoders, and which one is meant cannot be told: "
                "save the one that you want by itself, and load that"
            )
        return next(iter(tables.values()), _ROOT)

    def has_vocabulary(self, node: int) -> bool:
        """Whether the object itself has a vocabulary, as all encoders of TF Hub have."""
        return any(self.child(node, name) is not None for name in _VOCABULARIES)

    def child(self, node: int, name: str) -> int | None:
        """The child of `node` called `name`."""
        if node not in self._named:
            if not 0 <= node < len(self._nodes) or not self._nodes[node].children:
                return None
            self._named[node] = by_key(self._children(node), source=f"{self._source}, object {node},")
        return self._named[node].get(name)

    def reachable(self, *nodes: int | None, without: Collection[str] = ()) -> set[int]:
        """These objects and their descendants, except children named in `without`."""
        found: set[int] = set()
        waiting = [node for node in nodes if node is not None]
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += [number for local, number in self._children(node) if local not in without]
        return found

    def above(self, node: int) -> set[int]:
        """The object and its ancestors: all objects that it is reachable from."""
        parents: dict[int, list[int]] = {}
        for number in range(len(self._nodes)):
            for _, child in self._children(number):
                parents.setdefault(child, []).append(number)
        found: set[int] = set()
        waiting = [node]
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += parents.get(number, ())
        return found

    def variables(self, nodes: Iterable[int]) -> list[Variable]:
        """The variables among these objects."""
        return [self._variables[node] for node in sorted(nodes) if node in self._variables]

    def functions_of(self, nodes: Iterable[int]) -> list[str]:
        """The names that the functions among these objects have in the graph."""
        return [name for node in sorted(nodes) for name in self._nodes[node].function.concrete_functions]

    def metadata(self) -> Iterator[tuple[int, str]]:
        """Keras's metadata inside `saved_model.pb` about each object."""
        for number, node in enumerate(self._nodes):
            yield number, node.user_object.metadata

    def check_apart(self, variables: Iterable[Variable]) -> None:
        """`CorruptFileError` if two of these variables are stored under one key: both would have its numbers."""
        names: dict[str, str] = {}
        for variable in variables:
            if (known := names.setdefault(variable.key, variable.name)) != variable.name:
                raise CorruptFileError(
                    f"{self._source} is damaged: the variables {known!r} and {variable.name!r} are both stored as "
                    f"{variable.key!r}"
                )

    def asset(self, node: int, name: str) -> Path | None:
        """The file of the asset `name` of `node`; None without such an asset, `ModelNotFoundError` without its file."""
        child = self.child(node, name)
        if child is None or not self._nodes[child].HasField("asset"):
            return None
        index = self._nodes[child].asset.asset_file_def_index
        if not 0 <= index < len(self._assets):
            return None
        return asset(self._source.parent, self._assets[index])

    def owners(self, name: str) -> list[int]:
        """The objects that have an asset `name`."""
        nodes = range(len(self._nodes))
        found = ((node, self.child(node, name)) for node in nodes)
        return [node for node, child in found if child is not None and self._nodes[child].HasField("asset")]

    def assets(self, node: int) -> dict[str, Path]:
        """The files of the object's assets, by their names there."""
        found = {name: self.asset(node, name) for name, _ in self._children(node)}
        return {name: path for name, path in found.items() if path is not None}

    def _children(self, node: int) -> Iterator[tuple[str, int]]:
        for child in self._nodes[node].children if node < len(self._nodes) else ():
            if 0 <= child.node_id < len(self._nodes):
                yield child.local_name, child.node_id

    def _at(self, path: str) -> int | None:
        """The object at the end of a path such as `variables/12`."""
        node: int | None = _ROOT if self._nodes else None
        for step in path.split("/"):
            node = None if node is None else self.child(node, step)
        return node

    def _from_checkpoint(self, bundle: TensorBundle) -> Iterator[tuple[int, Variable]]:
        """The variables by the checkpoint's own object graph, which numbers the objects in its own way."""
        checkpoint = _checkpoint_nodes(bundle)
        partners = {_ROOT: _ROOT} if checkpoint and self._nodes else {}
        waiting = list(partners)
        # For each of the checkpoint's objects: a variable, if it is one, and the names of its children.
        known: dict[int, tuple[Variable | None, dict[str, int]]] = {}
        while waiting:
            node = waiting.pop()
            if (place := partners[node]) not in known:
                other = checkpoint[place]
                variables = [*_variables_of(other, bundle)]
                children = ((child.local_name, child.node_id) for child in other.children)
                theirs = by_key(children, source=f"the checkpoint of {self._source}, object {place},")
                known[place] = variables[-1] if variables else None, theirs
            variable, theirs = known[place]
            if variable is not None:
                yield node, variable
            for name, number in self._children(node):
                partner = theirs.get(name)
                if partner is not None and 0 <= partner < len(checkpoint) and number not in partners:
                    partners[number] = partner
                    waiting.append(number)


def _checkpoint_nodes(bundle: TensorBundle) -> Any:
    if _CHECKPOINT_GRAPH not in bundle:
        return ()
    source = "the checkpoint's object graph"
    stored = bundle.string(_CHECKPOINT_GRAPH)
    nodes = parse("TrackableObjectGraph", stored, source=source).nodes
    check_count(nodes, size=len(stored), least=_BYTES_AN_OBJECT // 4, source=source)
    return nodes


def _stray(bundle: TensorBundle) -> Iterator[Variable]:
    """All variables of the checkpoint, also the slots of optimizers, which are not in the model's object graph."""
    for node in _checkpoint_nodes(bundle):
        yield from _variables_of(node, bundle)


def _variables_of(node: Any, bundle: TensorBundle) -> Iterator[Variable]:
    for attribute in node.attributes:
        if attribute.full_name and attribute.checkpoint_key in bundle:
            yield Variable(attribute.full_name, attribute.checkpoint_key)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The tensors in a structure, in the order in which TensorFlow flattens it: dicts by their sorted keys."""
    if value.HasField("dict_value"):
        inner = {entry.key: entry.value for entry in value.dict_value.fields}
    elif value.HasField("list_value") or value.HasField("tuple_value"):
        values = (*value.list_value.values, *value.tuple_value.values)
        inner = {str(index): item for index, item in enumerate(values)}
    else:
        yield path, value
        return
    for key in sorted(inner) if value.HasField("dict_value") else inner:
        yield from leaves(inner[key], (*path, key))
