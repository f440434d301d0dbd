"""Check that the systems compute the same: each is compared with berthub in float32 on the same files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.batches import Floats
from benchmarks.models import Model
from benchmarks.peers import Output
from benchmarks.peers.berthub import Berthub
from benchmarks.processes import UnavailableError

Expected = dict[tuple[str, str, Output], Floats]
"""By the form of the model, the kind of texts, and the output."""


@dataclass(frozen=True)
class Agreement:
    """The smallest cosine of two vectors, and the largest difference of two components."""

    cosine: float
    difference: float


def expected(model: Model, texts: Mapping[str, list[str]], outputs: Sequence[Output]) -> Expected:
    """The vectors that berthub computes in float32 from each format of the model's files."""
    found: Expected = {}
    for saved_model in (False, True):
        berthub = Berthub(precision="float32", saved_model=saved_model)
        try:
            berthub.load(model)
        except UnavailableError:
            # There is no such form of it, and the table says why where it matters.
            continue
        for kind, some in texts.items():
            found.update({(berthub.form, kind, output): berthub.encode(some, output) for output in outputs})
    return found


def agreement(vectors: Floats, reference: Floats) -> Agreement:
    """The agreement of vectors [..., hidden]; of token vectors only real ones, which are not zero in `reference`."""
    # A system that pads more has more zeros.
    vectors = vectors[:, : reference.shape[1]] if reference.ndim == 3 else vectors
    ours, theirs = (array.reshape(-1, array.shape[-1]) for array in (reference, vectors))
    real = np.linalg.norm(ours, axis=1) > 0
    ours, theirs = ours[real], theirs[real]
    return Agreement(float(cosines(ours, theirs).min()), float(np.abs(ours - theirs).max()))


def cosines(ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The cosine of each vector in [n, hidden] with the same one in the other array."""
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return (ours * theirs).sum(axis=1) / norms  # type: ignore[no-any-return]
