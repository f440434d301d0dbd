"""Which files mean which format, and where in a folder the model is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berthub.checkpoint import Checkpoint
from berthub.errors import CorruptFileError, ModelNotFoundError
from berthub.formats.huggingface.reader import read_huggingface
from berthub.formats.keras_hub import WEIGHTS, read_keras_hub
from berthub.formats.native import CONFIG, read_native
from berthub.formats.onnx.reader import read_onnx
from berthub.formats.tensorflow.google import read_google
from berthub.formats.tensorflow.google_files import CONFIG_FILES
from berthub.formats.tensorflow.model_garden import is_model_garden, read_model_garden
from berthub.formats.tensorflow.saved_model import read_saved_model
from berthub.formats.tensorflow.tf1_hub import is_tf1_hub, read_tf1_hub

__all__ = ["LAYOUTS", "Layout", "find_model"]

# Archives and wheels keep a model a few folders deep; a whole home directory is not searched.
_DEPTH = 4
_FOLDERS = 1000
# What Git LFS leaves for a large file, and the size that it may have.
_POINTER, _LARGEST_POINTER = b"version https://git-lfs.github.com/spec/", 1024


@dataclass(frozen=True)
class Layout:
    """A packaging: the file patterns that must all be present, and the reader for it.

    `test` looks into the files, where these patterns alone do not tell it from another packaging.
    """

    name: str
    marks: tuple[str, ...]
    read: Callable[[Path, Mapping[str, Any] | None], Checkpoint]
    test: Callable[[Path], bool] | None = None

    def fits(self, folder: Path) -> bool:
        """Whether the folder itself holds a file for each mark (`a|b`: either), and these pass the test."""
        present = all(any(_has(folder, pattern) for pattern in mark.split("|")) for mark in self.marks)
        return present and (self.test is None or self.test(folder))


# The configuration or, where a release has none, the vocabulary.
_BESIDE_CHECKPOINT = "|".join((*CONFIG_FILES, "*vocab*.txt", "*.model"))


# The first that fits counts: the more particular ones stand first.
LAYOUTS = (
    Layout("ONNX folder of berthub", (CONFIG, "model.onnx"), read_onnx),
    Layout("berthub folder", (CONFIG,), read_native),
    Layout("TF1 hub module", ("saved_model.pb",), read_tf1_hub, is_tf1_hub),
    Layout("TensorFlow SavedModel", ("saved_model.pb",), read_saved_model),
    Layout(
        "Hugging Face folder",
        ("config.json", "model.safetensors|model.safetensors.index.json"),
        read_huggingface,
    ),
    Layout("KerasHub preset", ("config.json", WEIGHTS), read_keras_hub),
    Layout("Model Garden checkpoint", ("*.index", _BESIDE_CHECKPOINT), read_model_garden, is_model_garden),
    Layout("Google checkpoint", ("*.index", _BESIDE_CHECKPOINT), read_google),
    # The reader says how to convert it.
    Layout(
        "Hugging Face folder with a pickle",
        ("config.json", "pytorch_model.bin|pytorch_model.bin.index.json"),
        read_huggingface,
    ),
)


def find_model(folder: Path) -> tuple[Layout, Path]:
    """The layout of the model in `folder`, or in the nearest folder below it, and the folder that it is in.

    `ModelNotFoundError` says what was looked for and found, or which of several models it could be.
    """
    level = [folder]
    looked_at = 0
    for _ in range(_DEPTH):
        found = [(layout, place) for place in level if (layout := _layout(place))]
        if len(found) == 1:
            return found[0]
        if found:
            places = ", ".join(str(place) for _, place in found)
            raise ModelNotFoundError(f"{folder} holds more than one model; name one of these: {places}")
        looked_at += len(level)
        if looked_at > _FOLDERS:
            break
        level = [below for place in level for below in _folders(place)]
    wanted = "; ".join(f"{layout.name}: {' + '.join(layout.marks)}" for layout in LAYOUTS)
    raise ModelNotFoundError(f"{folder} holds no model.\n  Looked for {wanted}.\n  Found {_contents(folder)}.")


def _layout(folder: Path) -> Layout | None:
    for place in (folder, folder / "variables", folder / "assets"):
        for path in place.glob("*"):
            _refuse_pointer(path)
    return next((layout for layout in LAYOUTS if layout.fits(folder)), None)


def _refuse_pointer(path: Path) -> None:
    """`CorruptFileError` where Git has left a pointer in the place of a large file."""
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
