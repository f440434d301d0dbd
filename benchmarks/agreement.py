"""Do the systems compute the same? Each is compared with berthub in float32 on the same files."""

import contextlib
from dataclasses import dataclass

import numpy as np

from benchmarks.batches import Floats
from benchmarks.models import Model
from benchmarks.peers import Peer, UnavailableError
from benchmarks.peers.berthub import Berthub


@dataclass(frozen=True)
class Agreement:
    """Over texts: the smallest cosine of two vectors, and over components the largest difference."""

    cosine: float
    difference: float


class Reference:
    """berthub in float32, loaded from each form of the model's files."""

    def __init__(self, model: Model) -> None:
        self._encoders: dict[str, Berthub] = {}
        for saved_model in (False, True):
            berthub = Berthub(precision="float32", saved_model=saved_model)
            with contextlib.suppress(UnavailableError):
                berthub.load(model)
                self._encoders[berthub.form] = berthub

    def agreement(self, peer: Peer, texts: list[str], vectors: Floats) -> Agreement:
        encoder = self._encoders[peer.form]
        expected = (encoder.embed if peer.pooling == "mean" else encoder.encode)(texts).astype(np.float64)
        norms = np.linalg.norm(expected, axis=1) * np.linalg.norm(vectors, axis=1)
        cosines = (expected * vectors).sum(axis=1) / norms
        return Agreement(float(cosines.min()), float(np.abs(expected - vectors).max()))
