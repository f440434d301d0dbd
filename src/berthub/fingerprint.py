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


def fingerprint(arrays: Iterable[npt.NDArray[Any]], text: str = "") -> str:
    """A hash of the bytes of arrays, and of `text`."""
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def fingerprint_of_model(checkpoint: Checkpoint) -> str:
    """A hash of everything that a model computes with; where its files are does not matter."""
    head = checkpoint.head
    weights = [checkpoint.weights[name] for name in weight_shapes(checkpoint.config)]
    vocabulary = dataclasses.asdict(checkpoint.vocabulary)
    vocabulary["model"] = hashlib.blake2b(vocabulary["model"], digest_size=16).hexdigest()
    described: dict[str, Any] = {"config": checkpoint.config.to_dict(), "vocabulary": vocabulary}
    if head is not None:
        weights += [head.kernel, head.bias]
        described["head"] = [head.task, head.labels, head.pooling]
    return fingerprint(weights, json.dumps(described))
