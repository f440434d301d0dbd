"""A folder becomes a `Checkpoint`: one reader for each packaging, none of which runs anything that it reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from berthub.checkpoint import Checkpoint

__all__ = ["read"]


def read(folder: Path, *, settings: Mapping[str, Any] | None = None) -> Checkpoint:
    """The model in `folder` or in the nearest folder below it, whatever its packaging.

    `settings` gives values by the names of the configuration (`Checkpoint.config`), for what the files do not store
    (or store wrongly).
    Anything wrong with the files raises an error of `ModelError`'s branch.
    """
    from berthub.formats.layouts import find_model

    layout, place = find_model(folder)
    return layout.read(place, settings)
