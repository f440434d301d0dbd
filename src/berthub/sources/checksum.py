"""SHA-256 pins: reading them, and comparing files with them."""

import fnmatch
import hashlib
import itertools
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from berthub.containers.regular_files import open_regular
from berthub.errors import ChecksumError, InputError

__all__ = ["Pins", "check_file", "check_folder", "hash_file", "is_sha256", "read_pins"]

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
# TensorFlow's raw data shards are named by the second pattern, whatever stands before it. The first formats of which a
# folder has a file count.
_WEIGHTS = (
    ("*.safetensors", "*.data-?????-of-?????"),
    ("*pytorch_model*.bin",),
    ("*.h5",),
    ("*.msgpack",),
    ("*.onnx",),
    ("*.gguf",),
    ("*.keras",),
)


@dataclass(frozen=True)
class Pins:
    """SHA-256 pins: of the whole (the archive, else the one file of weights), and of single
    files.

    `files` maps a file's name, or its path relative to the model's folder (with /), to its SHA-256.
    """

    whole: str | None = None
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __bool__(self) -> bool:
        return self.whole is not None or bool(self.files)


def is_sha256(text: object) -> bool:
    """Whether `text` is a SHA-256 in hexadecimal digits."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def read_pins(sha256: str | Mapping[str, str] | None) -> Pins:
    """Read the argument `sha256` of `resolve`; raises `InputError` for anything that is not a SHA-256."""
    if sha256 is None:
        return Pins()
    if isinstance(sha256, Mapping):
        for name, value in sha256.items():
            if not isinstance(name, str) or not name or not is_sha256(value):
                raise _malformed(f"sha256={{{name!r}: {value!r}}}")
        plain = {name.replace("\\", "/").removeprefix("./"): value.lower() for name, value in sha256.items()}
        return Pins(files=MappingProxyType(plain))
    if not is_sha256(sha256):
        raise _malformed(f"sha256={sha256!r}")
    return Pins(whole=sha256.lower())


def hash_file(path: Path) -> str:
    """The SHA-256 of a file's content, in lower-case hexadecimal digits; raises `OSError` for no regular file."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_file(what: str, *, expected: str, actual: str) -> None:
    """Raise `ChecksumError` unless both are the same."""
    if expected != actual:
        raise ChecksumError(
            f"{what} is not what was pinned: expected SHA-256 {expected}, actual SHA-256 {actual}.\n"
            "Either the file was changed or damaged, or the pin belongs to another version: fetch it anew, "
            "and compare the pin with its source before it is changed."
        )


def check_folder(
    pins: Pins, *, where: str, names: Collection[str], digest: Callable[[str], str], weights_too: bool
) -> None:
    """Check the files of a folder against their pins; `names` are relative paths, `digest` gives a file's SHA-256.

    `weights_too` says that `pins.whole` is for the file that holds the weights. Raises `ChecksumError` for a
    mismatch and for a pinned file that is missing, `InputError` for a pin that fits several files.
    """
    if weights_too and pins.whole is not None:
        name = _the_weights(names, where)
        check_file(f"{name} in {where}", expected=pins.whole, actual=digest(name))
    for pinned, expected in pins.files.items():
        name = _the_file(pinned, names, where)
        check_file(f"{name} in {where}", expected=expected, actual=digest(name))


def _the_weights(names: Collection[str], where: str) -> str:
    fitting = (
        sorted(name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns))
        for patterns in _WEIGHTS
    )
    found = next(filter(None, fitting), [])
    if not found:
        patterns = ", ".join(itertools.chain(*_WEIGHTS))
        raise ChecksumError(
            f"a SHA-256 was pinned, and {where} has no file of weights ({patterns}) that it could belong to. {_BY_NAME}"
        )
    if len(found) > 1:
        raise InputError(
            f"one SHA-256 was pinned, and {where} has {len(found)} files of weights: {_listed(found)}. {_BY_NAME}"
        )
    return found[0]


def _the_file(pinned: str, names: Collection[str], where: str) -> str:
    if pinned in names:
        return pinned
    found = sorted(name for name in names if name.rpartition("/")[2] == pinned)
    if not found:
        raise ChecksumError(
            f"{pinned!r} was pinned, and {where} has no such file. It has {_listed(sorted(names))}. {_BY_NAME}"
        )
    if len(found) > 1:
        raise InputError(
            f"{pinned!r} was pinned, and {where} has several files of that name: {_listed(found)}. Pin them by path."
        )
    return found[0]


_BY_NAME = "Pin each file by its name: sha256={'NAME': 'HEX', ...}."


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _malformed(received: str) -> InputError:
    return InputError(
        f"{received} is no SHA-256 pin: accepted are 64 hexadecimal digits, or a mapping of file names to such."
    )
