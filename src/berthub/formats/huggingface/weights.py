"""Read the weights of a Hugging Face folder, in whichever of its kinds of files they are.

All are given the names and the `[out, in]` kernels of PyTorch's, which the tables of the architectures know.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.containers.files import read_json
from berthub.containers.hdf5 import read_hdf5
from berthub.containers.msgpack import read_msgpack
from berthub.containers.safetensors import read_safetensors
from berthub.containers.torch_files import read_torch
from berthub.errors import CorruptFileError, ModelNotFoundError

__all__ = ["FILES", "KINDS", "Kind", "read_weights"]

Arrays = dict[str, npt.NDArray[Any]]

# What Flax and Keras call the array of a layer -> what PyTorch calls it.
_FLAX = {"kernel": "weight", "embedding": "weight", "scale": "weight"}
_KERAS = {"kernel": "weight", "embeddings": "weight", "gamma": "weight", "beta": "bias"}


def _same(name: str) -> str:
    return name


def _from_flax(name: str) -> str:
    """`params/encoder/layer/0/output/dense/kernel` -> `encoder.layer.0.output.dense.weight`."""
    *scopes, end = name.removeprefix("params/").split("/")
    return ".".join([*scopes, _FLAX.get(end, end)])


def _from_keras(name: str) -> str:
    """`bert/tf_bert_model/bert/encoder/layer_._0/output/dense/kernel:0` -> `bert.encoder.layer.0.output.dense.weight`.

    The first scopes are the layer that has the weight and the class of the model, in Keras's spelling (`tf_bert_model`,
    `tfxlm_roberta_model`); sharded files leave them out. Of `mlm___cls` the second half is the name.
    """
    scopes = name.removesuffix(":0").replace("_._", "/").split("/")
    model = next((place for place, scope in enumerate(scopes[:2]) if scope.startswith("tf")), -1)
    *scopes, end = [scope.rpartition("___")[2] for scope in scopes[model + 1 :] if scope] or [name]
    return ".".join([*scopes, _KERAS.get(end, end)])


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of files: `whole` is the only one; with `.index.json` after its name, the index of several."""

    whole: str
    read: Callable[[Path], Arrays]
    # From the name in the file to PyTorch's.
    rename: Callable[[str], str] = _same
    # Whether kernels are [in, out].
    transposed: bool = False

    @property
    def index(self) -> str:
        """The name of the file that says which tensors lie in which file."""
        return f"{self.whole}.index.json"

    @property
    def suffix(self) -> str:
        """How the names of all such files end."""
        return Path(self.whole).suffix

    def renamed(self, tensors: Iterable[tuple[str, npt.NDArray[Any], str]], folder: Path) -> Arrays:
        """The tensors, each with its name and the file that it is in, as PyTorch has them.

        Keras stores a weight that several layers use with each of them; other weights are there once.
        """
        arrays: Arrays = {}
        lies_in: dict[str, str] = {}
        for name, array, part in tensors:
            ours = self.rename(name)
            if self.transposed and name.removesuffix(":0").endswith("/kernel"):
                array = array.T
            if ours in arrays and not (self.rename is _from_keras and np.array_equal(arrays[ours], array)):
                raise CorruptFileError(f"{folder} is damaged: {lies_in[ours]} and {part} both hold {ours!r}")
            arrays[ours], lies_in[ours] = array, part
        return arrays


# The first that a folder has counts: they are the same weights, as transformers saved them.
KINDS = (
    Kind(whole="model.safetensors", read=read_safetensors),
    Kind(whole="pytorch_model.bin", read=read_torch),
    Kind(whole="tf_model.h5", read=read_hdf5, rename=_from_keras, transposed=True),
    Kind(whole="flax_model.msgpack", read=read_msgpack, rename=_from_flax, transposed=True),
)
FILES = tuple(name for kind in KINDS for name in (kind.whole, kind.index))
"""The names of the files that mark weights, the preferred ones first."""


def read_weights(folder: Path) -> tuple[Arrays, str]:
    """The weights by PyTorch's names, and the file that they are in or that lists their files.

    Where there are several kinds of files, safetensors count, then `pytorch_model.bin`, `tf_model.h5` and
    `flax_model.msgpack`; of one kind, the whole file before the sharded one.
    """
    for kind in KINDS:
        if (whole := folder / kind.whole).is_file():
            tensors = ((name, array, whole.name) for name, array in kind.read(whole).items())
            return kind.renamed(tensors, folder), whole.name
        if (index := folder / kind.index).is_file():
            return _sharded(index, kind), index.name
    raise ModelNotFoundError(f"{folder} holds no weights: none of {', '.join(FILES)} is there")


def _sharded(index: Path, kind: Kind) -> Arrays:
    parts = read_json(index).get("weight_map")
    if not isinstance(parts, dict) or not all(isinstance(part, str) for part in parts.values()):
        raise CorruptFileError(f"{index} should hold an object weight_map, from tensor names to file names")
    lies_in: dict[str, str] = {}

    def tensors() -> Iterator[tuple[str, npt.NDArray[Any], str]]:
        for part in sorted(set(parts.values())):
            # The name comes from the file: it must not lead out of the folder.
            if Path(part).name != part or not part.endswith(kind.suffix):
                raise CorruptFileError(
                    f"{index} names {part!r}, which is no {kind.suffix.removeprefix('.')} file in its own folder"
                )
            for name, array in kind.read(index.parent / part).items():
                lies_in[kind.rename(name)] = part
                yield name, array, part

    arrays = kind.renamed(tensors(), index.parent)
    listed = {kind.rename(name): part for name, part in parts.items()}
    if astray := sorted(name for name in {**listed, **lies_in} if listed.get(name) != lies_in.get(name)):
        name = astray[0]
        raise CorruptFileError(
            f"{index} is damaged: it has {name!r} in {listed.get(name, 'no file')}, and it lies in "
            f"{lies_in.get(name, 'no file')}" + (f" (and {len(astray) - 1} more)" if len(astray) > 1 else "")
        )
    return arrays
