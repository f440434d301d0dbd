"""Reading the description of a training's state; whatever it holds, the error is a `CorruptFileError`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berthub.containers.files import read_bytes
from berthub.containers.strict_json import parse_json
from berthub.errors import CorruptFileError

__all__ = ["Pointer", "check_progress", "read_pointer"]


@dataclass(frozen=True)
class Pointer:
    """The content of `latest.json`: the names of the state's file and of the best model's folder beside it."""

    conditions: Mapping[str, Any]
    progress: Mapping[str, Any]
    state: str
    best: str | None


def read_pointer(path: Path) -> Pointer:
    """The description of the newest state."""
    # A score of an epoch may be NaN.
    match parse_json(read_bytes(path), source=str(path), nonfinite=True):
        case {"conditions": dict(conditions), "progress": dict(progress), "state": str(state), "best": best}:
            if not _is_name(state) or not (best is None or (isinstance(best, str) and _is_name(best))):
                raise CorruptFileError(f"{path.name} names what does not lie beside it: {state!r}, {best!r}")
            return Pointer(conditions, progress, state, best)
        case _:
            raise CorruptFileError(f"{path.name} holds something else than the description of a state")


def check_progress(stored: Mapping[str, Any]) -> None:
    """`CorruptFileError` for values that no training has; unknown names are not checked here."""
    counts = {name: stored.get(name, 0) for name in ("epoch", "step", "examples", "best_epoch", "fit")}
    sums = {name: stored.get(name, 0.0) for name in ("total", "seconds")}
    history, best_score = stored.get("history", []), stored.get("best_score")
    faults = [name for name, value in counts.items() if not _is_whole(value)]
    faults += [name for name, value in sums.items() if not _is_number(value) or not math.isfinite(value)]
    if best_score is not None and not _is_number(best_score):
        faults.append("best_score")
    if not _is_history(history):
        faults.append("history")
    if not faults and max(len(history), counts["best_epoch"]) > counts["epoch"]:
        faults.append("epoch")
    if faults:
        raise CorruptFileError(f"the progress has values that it cannot have: {', '.join(faults)}")


def _is_name(name: str) -> bool:
    return name not in ("", ".", "..") and not set("/\\\0") & set(name)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53)


def _is_history(history: Any) -> bool:
    return isinstance(history, list) and all(
        isinstance(entry, dict) and "epoch" in entry and all(map(_is_number, entry.values())) for entry in history
    )
