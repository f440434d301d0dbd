"""Read a model folder into a `Checkpoint`: one reader for each format. Nothing that is read is ever run."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from berthub.checkpoint import Checkpoint
from berthub.embedding import UNSAID
from berthub.errors import BerthubError, InferredSettingWarning, InputError, ModelError

__all__ = ["read"]


def read(
    folder: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    vocabulary: str | os.PathLike[str] | None = None,
    allow_nonfinite: bool = False,
) -> Checkpoint:
    """The model in `folder` or in the nearest folder below it, whatever its format.

    Beside it may lie what sentence-transformers says of its sentence vectors.

    `settings` gives values by the names of the configuration (`Checkpoint.config`), for what the files do not store
    (or store wrongly); `InputError` if it is no dict. `vocabulary` is the path of one that is taken in place of
    the model's own (`berthub.formats.given_vocabulary`). Weights with NaN or infinity raise `CheckpointError`, unless
    `allow_nonfinite` is true.
    Anything wrong with the files raises an error of `ModelError`'s branch; what was inferred and may be wrong is said
    in an `InferredSettingWarning`.
    """
    from berthub.formats.finite import check_finite
    from berthub.formats.given_vocabulary import read_given_vocabulary
    from berthub.formats.sentence_transformers.reader import with_embedding
    from berthub.formats.table import find_model

    if settings is not None and not isinstance(settings, Mapping):
        raise InputError(f"settings should be a dict of values by the settings' names; it is {settings!r}")
    try:
        format, place = find_model(folder)
        given = None if vocabulary is None else read_given_vocabulary(vocabulary)
        if given is None:
            checkpoint = format.read(place, settings, None)
        else:
            checkpoint = format.read(place, {**given.settings, **(settings or {})}, given.vocabulary)
        # A model that berthub wrote has said it itself.
        if checkpoint.embedding == UNSAID:
            checkpoint = with_embedding(checkpoint, root=folder.parent if folder.is_file() else folder)
    except OSError as error:
        if isinstance(error, BerthubError):
            raise
        raise ModelError(f"the model in {folder} cannot be read: {error}") from error
    if not allow_nonfinite:
        check_finite(checkpoint)
    for note in checkpoint.origin.notes:
        warnings.warn(f"{place}: {note}", InferredSettingWarning, stacklevel=3)
    return checkpoint
