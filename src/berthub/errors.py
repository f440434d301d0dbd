"""Every error that berthub raises on purpose, as one tree.

    BerthubError
    ├── HandleError (ValueError)               a handle that cannot be understood or is not known
    ├── FetchError (OSError)                   a model that could not be fetched
    │   ├── OfflineError                       ... because the offline switch is on
    │   └── ChecksumError                      ... or is not the one that was pinned
    ├── ArchiveError (ValueError)              an archive that is unsafe or broken
    ├── ModelError (ValueError)                files that are no model that berthub reads
    │   ├── ModelNotFoundError                 no known format in the folder
    │   ├── UnsupportedModelError              a model, but of a kind that is not read (yet)
    │   ├── CorruptFileError                   a file that contradicts itself or its checksum
    │   └── CheckpointError                    weights that do not fit the configuration
    ├── InputError (ValueError)                texts, arrays, files or options that cannot be used
    │   └── OutputNotComputedError (KeyError)  an output that the call did not ask for
    ├── WriteError (OSError)                   a file or folder that could not be written
    ├── TrainingDivergedError (ArithmeticError) training whose loss is not a finite number
    ├── ForkError (RuntimeError)               a forked process that cannot use what its parent was using
    └── MissingDependencyError (ImportError)   an optional library that is not installed

A `TruncationWarning` is no error: it reports, once a call, that texts were truncated to the model's length. Nor is an
`InferredSettingWarning`, which reports what a model's files do not say and other facts leave open.

Messages say what failed, what was received, what is accepted and what to do about it.
"""

__all__ = [
    "ArchiveError",
    "BerthubError",
    "CheckpointError",
    "ChecksumError",
    "CorruptFileError",
    "FetchError",
    "ForkError",
    "HandleError",
    "InferredSettingWarning",
    "InputError",
    "MissingDependencyError",
    "ModelError",
    "ModelNotFoundError",
    "OfflineError",
    "OutputNotComputedError",
    "TrainingDivergedError",
    "TruncationWarning",
    "UnsupportedModelError",
    "WriteError",
]


class BerthubError(Exception):
    """The root of the tree: catch it to catch all of them."""


class HandleError(BerthubError, ValueError):
    """A model handle cannot be understood, or names no known model."""


class FetchError(BerthubError, OSError):
    """A model could not be fetched."""


class OfflineError(FetchError):
    """A model is not in the cache, and the offline switch forbids fetching it."""


class ChecksumError(FetchError):
    """A fetched or local file does not have the SHA-256 that was pinned."""


class ArchiveError(BerthubError, ValueError):
    """An archive is broken, or holds what is never unpacked (links, devices, outside paths, bombs)."""


class ModelError(BerthubError, ValueError):
    """The files are not a model that berthub can read."""


class ModelNotFoundError(ModelError):
    """A folder holds a model in none of the known formats."""


class UnsupportedModelError(ModelError):
    """A model was recognised, but its kind, architecture or a setting of it is not supported."""


class CorruptFileError(ModelError):
    """A model file is truncated, contradicts itself, or fails its own checksum."""


class CheckpointError(ModelError):
    """Weights or vocabulary do not fit the configuration; the message names every one at fault."""


class InputError(BerthubError, ValueError):
    """Texts, arrays, files or options that cannot be used as they are."""


class OutputNotComputedError(InputError, KeyError):
    """An output was read that the call had not asked for."""

    # KeyError would print the message as a quoted string.
    __str__ = Exception.__str__


class WriteError(BerthubError, OSError):
    """A file or a folder could not be written; what was there before is as it was. `errno` has the system's reason."""


class TrainingDivergedError(BerthubError, ArithmeticError):
    """Training was stopped because the loss became NaN or infinite; the message says what was kept."""


class ForkError(BerthubError, RuntimeError):
    """A forked process cannot use a model, since its parent's threads are missing here; the message says what can."""


class MissingDependencyError(BerthubError, ImportError):
    """An optional library is needed and not installed; the message gives the install command."""


class InferredSettingWarning(UserWarning):
    """A setting was inferred that no file of the model holds, from facts that do not settle it."""


class TruncationWarning(UserWarning):
    """Texts were longer than the model's maximum length and were truncated."""
