"""Short hashes that tell whether two pieces of work have the same data, and begin with the same model."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.networks.network import weight_shapes

__all__ = ["fingerprint", "fingerprint_of_model"]


def fingerprint(arrays: Iterable[npt.NDArray[Any]], text: str = "", *, sha256: bool = False) -> str:
    """A hash of the bytes of arrays, and of `text`: 32 hexadecimal digits, of BLAKE2b or of SHA-256.

    Of large arrays SHA-256 takes a third of the time where the processor has instructions for it.
    """
    digest = hashlib.sha256(text.encode()) if sha256 else hashlib.blake2b(text.encode(), digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:32]


def fingerprint_of_model(checkpoint: Checkpoint, *, sha256: bool = False) -> str:
    """A hash of everything that a model computes with; where its files are does not matter."""
    head = checkpoint.head
    weights = [checkpoint.weights[name] for name in weight_shapes(checkpoint.config)]
    vocabulary = dataclasses.asdict(checkpoint.vocabulary)
    vocabulary["model"] = hashlib.blake2b(vocabulary["model"], digest_size=16).hexdigest()
    described: dict[str, Any] = {"config": checkpoint.config.to_dict(), "vocabulary": vocabulary}
    if head is not None:
        weights += head.weights.values()
        layers = [[layer.activation, layer.eps] for layer in head.hidden]
        # What other models do not have is not named: their hashes stay what they were.
        others = [*layers, *([] if head.activation in (None, "identity") else [head.activation])]
        described["head"] = [head.task, head.labels, head.pooling, *others]
    return fingerprint(weights, json.dumps(described), sha256=sha256)
