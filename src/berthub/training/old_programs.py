"""Support for programs written for tensorflow_hub's `KerasLayer`: its old arguments and its attributes."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from berthub.config import EncoderConfig
from berthub.encoding.encoder import Encoder
from berthub.errors import InputError
from berthub.formats.vocabularies import write_vocabulary_files
from berthub.old_names import OLD_ARGUMENTS, old_argument_fault
from berthub.vocabulary import Vocabulary

__all__ = ["ResolvedObject", "check_old_arguments", "text_arguments"]

_PREPROCESSOR = (
    "hub.KerasLayer(url) of the preprocessing model takes texts, or hub.Preprocessor(url)(texts) with the URL of "
    "either model"
)


def check_old_arguments(handle: Any, options: dict[str, Any]) -> None:
    """Take the arguments of tensorflow_hub out of Keras's `options`; `InputError` for those that ask for more."""
    if callable(handle) and not isinstance(handle, Encoder):
        name = getattr(handle, "__name__", type(handle).__name__)
        raise InputError(
            f"KerasLayer takes a model, a Preprocessor or one of its methods, and no other function: call {name} "
            "itself; inside tf.data use dataset.map"
        )
    # Says of an input what Keras says of computing.
    dtype = _dtype_name(options)
    if dtype == "string":
        raise InputError(f"the layer takes numbers, and dtype is string: {_PREPROCESSOR}")
    if dtype.startswith(("int", "uint")):
        del options["dtype"]
    _take_old_arguments(options)


def text_arguments(options: dict[str, Any]) -> Any:
    """The same for a layer that takes texts; returns the `seq_length` in `arguments`, None without one."""
    dtype = _dtype_name(options)
    if options.pop("dtype", None) is not None and not dtype.startswith(("int", "string")):
        raise InputError(f"dtype={dtype}: a preprocessing model takes strings, and returns int32")
    shape = options.pop("input_shape", None)
    if shape is not None and tuple(shape) != ():
        raise InputError(f"input_shape={shape!r}: a text is one string, whose shape is []")
    arguments = options.pop("arguments", None) or {}
    if not isinstance(arguments, dict) or arguments.keys() - {"seq_length"}:
        raise InputError(f"arguments={arguments!r}: a preprocessing model has the argument seq_length alone")
    _take_old_arguments(options)
    return arguments.get("seq_length")


def _dtype_name(options: Mapping[str, Any]) -> str:
    given = options.get("dtype")
    if isinstance(given, dict):
        # As Keras stores it.
        given = given.get("config", {}).get("name")
    return str(getattr(given, "name", given))


def _take_old_arguments(options: dict[str, Any]) -> None:
    for name in (*OLD_ARGUMENTS, "tags"):
        if name in options:
            value = options.pop(name)
            if (fault := old_argument_fault(name, value)) is not None:
                raise InputError(f"{name}={value!r} is an argument of tensorflow_hub's KerasLayer: {fault}")


class ResolvedObject:
    """The attributes of a loaded SavedModel that programs read; `numpy()` of each returns its value, as for variables.

    `vocab_file.asset_path` (`sp_model_file.asset_path` with SentencePiece) names a file as bytes, written when it is
    first asked for and removed when the process ends; `do_lower_case` is a bool.
    """

    def __init__(self, vocabulary: Vocabulary | None, config: EncoderConfig) -> None:
        self._vocabulary, self._config = vocabulary, config

    @property
    def do_lower_case(self) -> "_Value":
        """Whether texts are lower-cased."""
        return _Value(np.bool_(self._config.lower_case))

    def __getattr__(self, name: str) -> Any:
        files = {"vocab_file": ("vocab.txt", "vocab.json"), "sp_model_file": ("spiece.model",)}
        if name in files and self._vocabulary is not None:
            folder = _vocabulary_folder(self._vocabulary)
            for file in files[name]:
                if (folder / file).is_file():
                    return _Asset(_Value(str(folder / file).encode()))
        raise AttributeError(
            f"resolved_object has no {name}: berthub reads a model's files and runs none of its functions. It has "
            "vocab_file or sp_model_file, and do_lower_case; variables are layer.weights_by_name(), and the layer "
            "itself is called, also with masked_lm_positions for mlm_logits"
        )


class _Value:
    def __init__(self, value: Any) -> None:
        self._value = value

    def numpy(self) -> Any:
        """The value."""
        return self._value

    def __bool__(self) -> bool:
        # FullTokenizer(vocab_file, resolved_object.do_lower_case), without numpy().
        return bool(self._value)


class _Asset:
    def __init__(self, path: _Value) -> None:
        self.asset_path = path


_folders: dict[int, tuple[Vocabulary, Path]] = {}


def _vocabulary_folder(vocabulary: Vocabulary) -> Path:
    """A folder with the vocabulary's files, the same for the same vocabulary."""
    if id(vocabulary) not in _folders:
        folder = Path(tempfile.mkdtemp(prefix="berthub-vocabulary-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        write_vocabulary_files(vocabulary, folder)
        # With the vocabulary, so that no other one gets its place.
        _folders[id(vocabulary)] = vocabulary, folder
    return _folders[id(vocabulary)][1]
