"""Error messages for a single file that is given as a model, where a folder or an archive is wanted."""

import os
import re
from pathlib import Path

__all__ = ["WHOLE_MODELS", "checkpoint_prefix", "file_fault"]

WHOLE_MODELS = (".gguf",)
"""The ends of the names of files that hold a model with its settings and its vocabulary, and are no archives."""

_PICKLE = (
    "a pickle, without the model's settings and vocabulary. Give a folder with config.json, the tokenizer's files, and "
    "the weights as pytorch_model.bin: what torch.save(model.state_dict(), path) writes is read there, and no other "
    "object of a pickle is ever made"
)
_BESIDE = (
    "without their settings and vocabulary. Give the folder that holds it, with config.json and the tokenizer's files"
)
_KINDS = {
    ".bin": _PICKLE,
    ".ckpt": _PICKLE,
    ".h5": f"a file of Keras's weights, {_BESIDE}: a KerasHub preset, or transformers' with tf_model.h5",
    ".msgpack": f"a file of Flax's weights, {_BESIDE}, as flax_model.msgpack",
    ".onnx": "a graph of ONNX. Give its folder, with config.json and the vocabulary (or vocabulary=PATH)",
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
