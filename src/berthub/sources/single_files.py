"""Error messages for a single file that is given as a model, where a folder or an archive is wanted."""

import os
import re
from pathlib import Path

__all__ = ["checkpoint_prefix", "file_fault"]

_PICKLE = (
    "a pickle, which is a program and is never run. In an environment with torch and transformers, load the model with "
    "the AutoModel class of its head and save it into another folder (save_pretrained), and give that folder"
)
_KINDS = {
    ".bin": _PICKLE,
    ".ckpt": _PICKLE,
    ".gguf": "a GGUF file, which is not read. Give the folder of the model that it was made from",
    ".h5": "a file of Keras's weights, without their settings and vocabulary. Give the folder of the "
    "KerasHub preset that holds it; transformers' tf_model.h5 is not read",
    ".keras": "a model that Keras saved. Load it with keras.saving.load_model, and save its berthub.KerasLayer into a "
    "folder (layer.save(folder)), and give that",
    ".msgpack": "a file of Flax's weights, which are not read. Give a folder with model.safetensors",
    ".onnx": "a graph of ONNX. Give the folder that berthub.export wrote; graphs of other programs are not read",
    ".pkl": _PICKLE,
    ".pt": _PICKLE,
    ".pth": _PICKLE,
}
_PART = re.compile(r"(?P<prefix>.+)\.(?:index|meta|data-\d{5}-of-\d{5})")


def file_fault(path: Path) -> str:
    """Say what the file at `path` is, and what to give instead."""
    part = _PART.fullmatch(path.name)
    if part:
        return f"a part of the checkpoint {part['prefix']}. {_folder_of_checkpoint(path.parent)}"
    kind = _KINDS.get(path.suffix.lower())
    return kind or f"neither a folder nor an archive. Give the folder that holds it: {path.parent}"


def checkpoint_prefix(path: Path) -> str | None:
    """What to give instead of a checkpoint's name (`bert_model.ckpt`, `model.ckpt-343`); None for other names."""
    # Path.is_file raises for names that are too long or forbidden.
    if not os.path.isfile(f"{path}.index"):  # noqa: PTH113
        return None
    return f"the name of a checkpoint, and no file by itself. {_folder_of_checkpoint(path.parent)}"


def _folder_of_checkpoint(folder: Path) -> str:
    return f"Give its folder, {folder}, with bert_config.json, vocab.txt and this checkpoint alone in it"
