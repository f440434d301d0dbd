"""Pickle a checkpoint as the place from which it can be read again."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig
from berthub.errors import CheckpointError
from berthub.formats import read
from berthub.head import Head
from berthub.quantization import Quantization

__all__ = ["Source", "StoredCheckpoint"]

# How many values of each weight are looked at: a model that was trained further differs in all.
_SAMPLE = 512


@dataclass(frozen=True)
class Source:
    """The folder of a model, and how it is read."""

    folder: Path
    settings: Mapping[str, Any] | None
    allow_nonfinite: bool = False
    mmap: bool = True
    vocabulary: str | os.PathLike[str] | None = None

    def stored(self, checkpoint: Checkpoint) -> "StoredCheckpoint":
        """The object that a pickle holds in place of `checkpoint`, which was read from here."""
        settings = None if self.settings is None else dict(self.settings)
        vocabulary = None if self.vocabulary is None else Path.cwd() / self.vocabulary
        source = dataclasses.replace(self, folder=Path.cwd() / self.folder, settings=settings, vocabulary=vocabulary)
        return StoredCheckpoint(source, checkpoint.config, checkpoint.quantization, _fingerprint(checkpoint))


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint without its weights and vocabulary, and a fingerprint that identifies it."""

    source: Source
    config: EncoderConfig
    quantization: Quantization | None
    fingerprint: str

    def read(self) -> Checkpoint:
        """The checkpoint. `CheckpointError` for another one; what `berthub.load` raises where there is none."""
        folder = self.source.folder
        if not folder.exists():
            raise CheckpointError(
                f"the pickle of an encoder holds the place of its model, {folder}, and there is no such folder here: "
                "put the model there, or call berthub.load in this process"
            )
        stored = read(
            folder,
            settings=self.source.settings,
            vocabulary=self.source.vocabulary,
            allow_nonfinite=self.source.allow_nonfinite,
        )
        checkpoint = dataclasses.replace(stored, config=self.config, quantization=self.quantization)
        if not self.source.mmap:
            checkpoint = checkpoint.in_memory()
        if _fingerprint(checkpoint) != self.fingerprint:
            raise CheckpointError(
                f"the model in {folder} is not the one that it was when this encoder was pickled: load it anew"
            )
        return checkpoint


def _fingerprint(checkpoint: Checkpoint) -> str:
    """A hash of configuration, vocabulary and head, and of a sample of each weight."""
    vocabulary, head = checkpoint.vocabulary, checkpoint.head
    described = [
        checkpoint.config.to_dict(),
        checkpoint.embedding.to_dict(),
        vocabulary.pieces,
        vocabulary.special,
        hashlib.blake2b(vocabulary.model).hexdigest(),
        None if head is None else [head.task, head.labels, head.pooling, head.max_length, *_not_usual(head)],
    ]
    digest = hashlib.blake2b(json.dumps(described).encode(), digest_size=16)
    arrays = dict(checkpoint.weights)
    if head is not None:
        arrays |= {name.replace("head/", "head "): weight for name, weight in head.weights.items()}
    arrays |= {f"embedding/{name}": array for name, array in checkpoint.embedding.arrays().items()}
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}{array.shape}".encode())
        places = np.unique(np.linspace(0, array.size - 1, min(array.size, _SAMPLE)).astype(np.int64))
        digest.update(array[np.unravel_index(places, array.shape)].tobytes())
    return digest.hexdigest()


def _not_usual(head: Head) -> list[Any]:
    """What most heads do not have."""
    return [value for name, value in head.described().items() if name in ("hidden", "activation")]
