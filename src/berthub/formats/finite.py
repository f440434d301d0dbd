"""Check weights for NaN and infinity: from diverged training, or from damage that most formats do not detect."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.errors import CheckpointError

__all__ = ["check_finite"]

# So many numbers at a time: what is made of them stays in the processor's cache.
_CHUNK = 1 << 16
_NAMED = 8


def check_finite(checkpoint: Checkpoint) -> None:
    """`CheckpointError`, with the names, if weights of the encoder or its head have NaN or infinity among them."""
    bad = [f"{name} ({_first(array)})" for name, array in _arrays(checkpoint) if not _is_finite(array)]
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise CheckpointError(
            f"the {checkpoint.origin.format} model in {checkpoint.origin.folder} has weights that are not finite: "
            f"{', '.join(bad[:_NAMED])}{more}. Its encodings would not be either: the training diverged, or the file "
            "is damaged. allow_nonfinite=True loads it as it is"
        )


def _arrays(checkpoint: Checkpoint) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    yield from checkpoint.weights.items()
    if checkpoint.head is not None:
        for name, weight in checkpoint.head.weights.items():
            yield f"the head's {name.removeprefix('head/')}", weight


def _is_finite(array: npt.NDArray[np.float32]) -> bool:
    flat = np.ravel(array, order="K")  # in the order of the memory: no copy of a transposed one
    return all(bool(np.isfinite(flat[start : start + _CHUNK]).all()) for start in range(0, flat.size, _CHUNK))


def _first(array: npt.NDArray[np.float32]) -> str:
    place = np.unravel_index(int(np.argmin(np.isfinite(array))), array.shape)
    return f"{array[place]} at {', '.join(map(str, map(int, place)))}"
