"""The kinds of handles: one frozen dataclass each, and their union, `Handle`."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from berthub.sources.redaction import public_spelling

__all__ = [
    "Handle",
    "HuggingFaceModel",
    "KaggleModel",
    "LocalArchive",
    "LocalFile",
    "LocalFolder",
    "PyPIWheel",
    "UrlArchive",
]


@dataclass(frozen=True)
class _Pinned:
    sha256: str | None = dataclasses.field(default=None, kw_only=True)


@dataclass(frozen=True)
class LocalFolder(_Pinned):
    """A folder that is there."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class LocalFile(_Pinned):
    """A file that is there, and is a whole model."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class LocalArchive(_Pinned):
    """An archive file that is there."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, repr=False)
class UrlArchive(_Pinned):
    """An archive at an http(s) address.

    `url` may hold a password or a token. It is for whoever downloads; all else is given `str()` of the handle.
    """

    url: str

    @property
    def file_name(self) -> str:
        """The last part of the address, a plain name."""
        return unquote(urlsplit(self.url).path).replace("\\", "/").rstrip("/").rpartition("/")[2] or "archive"

    def __str__(self) -> str:
        """The address without a password and without a query, which may hold a secret."""
        return public_spelling(self.url)

    def __repr__(self) -> str:
        return f"UrlArchive({str(self)!r}, sha256={self.sha256!r})"


@dataclass(frozen=True)
class KaggleModel(_Pinned):
    """A model on Kaggle; `tfhub` is its name on tfhub.dev, if it had one."""

    owner: str
    model: str
    framework: str
    variation: str
    version: int | None = None
    tfhub: str | None = None

    def __str__(self) -> str:
        parts = (self.owner, self.model, self.framework, self.variation, self.version)
        return "/".join(str(part) for part in parts if part is not None)


@dataclass(frozen=True)
class HuggingFaceModel(_Pinned):
    """A model repository on Hugging Face, or the folder or the file of weights `path` in it.

    No revision means its main branch.
    """

    repo: str
    revision: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        path = f"/{self.path}" if self.path else ""
        return f"hf:{self.repo}{path}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class PyPIWheel(_Pinned):
    """A wheel that holds a model; no version means the newest that pip chooses.

    `path` is a folder or an archive in the wheel, where it holds several models.
    """

    name: str
    version: str | None = None
    path: str | None = None

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return self.name if self.version is None else f"{self.name}=={self.version}"

    def __str__(self) -> str:
        return f"pypi:{self.requirement}" + (f"/{self.path}" if self.path else "")


Handle = LocalFolder | LocalFile | LocalArchive | UrlArchive | KaggleModel | HuggingFaceModel | PyPIWheel
"""What a model handle can mean. `str()` gives its canonical spelling; `sha256` is the pin that came with it."""
