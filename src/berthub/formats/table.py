"""The table of formats that are read: the files that mark each one, its reader, and where the model is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berthub.checkpoint import Checkpoint
from berthub.errors import CorruptFileError, ModelNotFoundError
from berthub.formats.gguf import PATTERN, read_gguf_model
from berthub.formats.huggingface.reader import ADAPTER, MERGE, read_huggingface
from berthub.formats.huggingface.weights import FILES
from berthub.formats.keras_hub import WEIGHTS, read_keras_hub
from berthub.formats.keras_model import is_keras_model, read_keras_model
from berthub.formats.native import CONFIG, read_native
from berthub.formats.onnx.foreign import MARKS, read_foreign_onnx
from berthub.formats.onnx.reader import read_onnx
from berthub.formats.sentence_transformers.files import MODULES, modules
from berthub.formats.tensorflow.google import read_google
from berthub.formats.tensorflow.google_files import CONFIG_FILES
from berthub.formats.tensorflow.model_garden import is_model_garden, read_model_garden
from berthub.formats.tensorflow.saved_model import read_saved_model
from berthub.formats.tensorflow.tf1_hub import is_tf1_hub, read_tf1_hub
from berthub.vocabulary import Vocabulary

__all__ = ["FORMATS", "Format", "find_model"]

# Archives and wheels keep a model a few folders deep; a whole home directory is not searched.
_DEPTH = 4
_FOLDERS = 1000
# What Git LFS leaves for a large file, and the size that it may have.
_POINTER, _LARGEST_POINTER = b"version https://git-lfs.github.com/spec/", 1024


@dataclass(frozen=True)
class Format:
    """A format: the file patterns that must all be present, and its reader.

    `test` looks into the files, where the patterns alone do not tell the format from another.
    """

    name: str
    marks: tuple[str, ...]
    read: Callable[[Path, Mapping[str, Any] | None, Vocabulary | None], Checkpoint]
    test: Callable[[Path], bool] | None = None

    def fits(self, folder: Path) -> bool:
        """Whether the folder itself holds a file for each mark (`a|b`: either), and these pass the test."""
        present = all(any(_has(folder, pattern) for pattern in mark.split("|")) for mark in self.marks)
        return present and (self.test is None or self.test(folder))


# The configuration or, where a release has none, the vocabulary.
_BESIDE_CHECKPOINT = "|".join((*CONFIG_FILES, "*vocab*.txt", "*.model"))


GGUF = Format("GGUF file", (PATTERN,), read_gguf_model)

# The first that fits counts: the more particular ones stand first.
FORMATS = (
    Format("ONNX folder of berthub", (CONFIG, "model.onnx"), read_onnx),
    Format("berthub folder", (CONFIG,), read_native),
    Format("TF1 hub module", ("saved_model.pb",), read_tf1_hub, is_tf1_hub),
    Format("TensorFlow SavedModel", ("saved_model.pb",), read_saved_model),
    Format(
        "Hugging Face folder",
        ("config.json", "model.safetensors|model.safetensors.index.json"),
        read_huggingface,
    ),
    Format("Keras model", ("config.json", "metadata.json", WEIGHTS), read_keras_model, is_keras_model),
    Format("KerasHub preset", ("config.json", WEIGHTS), read_keras_hub),
    Format("Model Garden checkpoint", ("*.index", _BESIDE_CHECKPOINT), read_model_garden, is_model_garden),
    Format("Google checkpoint", ("*.index", _BESIDE_CHECKPOINT), read_google),
    # Copies of weights that the folder may have in one of the formats above, too.
    Format("Hugging Face folder without safetensors", ("config.json", "|".join(FILES)), read_huggingface),
    # What is made of a model stands behind the model itself.
    Format("ONNX model", MARKS, read_foreign_onnx),
    GGUF,
)


def find_model(folder: Path) -> tuple[Format, Path]:
    """The format of the model in `folder`, or in the nearest folder below it, and the folder that it is in.

    `ModelNotFoundError` says what was looked for and found, or which of several models it could be.
    """
    if folder.is_file():
        # What `berthub.resolve` gives as a file is a whole model.
        return GGUF, folder
    level = [folder]
    looked_at = 0
    for _ in range(_DEPTH):
        found = [(format, place) for place in level if (format := _format(place))]
        if len(found) == 1:
            return found[0]
        if found:
            places = ", ".join(str(place) for _, place in found)
            raise ModelNotFoundError(f"{folder} holds more than one model; name one of these: {places}")
        looked_at += len(level)
        if looked_at > _FOLDERS:
            break
        level = [below for place in level for below in _folders(place)]
    if (folder / ADAPTER).is_file():
        raise ModelNotFoundError(f"{folder} holds no model, but an adapter (PEFT, {ADAPTER}): {MERGE}")
    wanted = "; ".join(f"{format.name}: {' + '.join(format.marks)}" for format in FORMATS)
    raise ModelNotFoundError(f"{folder} holds no model.\n  Looked for {wanted}.\n  Found {_contents(folder)}.")


def _format(folder: Path) -> Format | None:
    for place in (folder, folder / "variables", folder / "assets"):
        for path in place.glob("*"):
            _refuse_pointer(path)
    return next((format for format in FORMATS if format.fits(folder)), None)


def _refuse_pointer(path: Path) -> None:
    """`CorruptFileError` for a Git LFS pointer in the place of a large file."""
    if path.is_file() and path.stat().st_size < _LARGEST_POINTER:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                raise CorruptFileError(
                    f"{path} is a pointer of Git LFS, not the file itself: fetch it with `git lfs pull` in the "
                    "repository, or download the file"
                )


def _has(folder: Path, pattern: str) -> bool:
    return any(path.is_file() for path in folder.glob(pattern))


def _folders(folder: Path) -> list[Path]:
    if (folder / MODULES).is_file():
        # Other modules have weights beside a config.json too, as a dense layer has, and are no encoder.
        listed = modules(folder / MODULES)
        encoder = next((module for module in listed if module.name == "Transformer"), listed[0])
        if encoder.path and (folder / encoder.path).is_dir():
            return [folder / encoder.path]
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except PermissionError:
        return []


def _contents(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if not names:
        return "nothing"
    shown = names[:12]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")
