"""Read a model's address (URL), in every spelling that its hub ever had."""

from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

from berthub.sources import names
from berthub.sources.kinds import Handle, HuggingFaceModel, KaggleModel, UrlArchive
from berthub.sources.selection import is_weights

__all__ = ["HOSTS", "read", "split"]

_TFHUB_HOSTS = ("tfhub.dev", "hub.tensorflow.google.cn")
_STORAGE_HOSTS = ("storage.googleapis.com", "gcs.tensorflow.google.cn")
_HUGGING_FACE_HOSTS = ("huggingface.co", "hf.co")
_HUGGING_FACE_PAGES = frozenset(("api", "collections", "datasets", "docs", "models", "papers", "spaces"))

HOSTS = (*_TFHUB_HOSTS, *_STORAGE_HOSTS, *_HUGGING_FACE_HOSTS, "kaggle.com")
"""Known hosts, without www: an address that begins with one is recognised without its scheme."""


def read(text: str) -> Handle:
    """Read an http, https or gs address; raises `HandleError`."""
    parts = split(text)
    host = (parts.hostname or "").removeprefix("www.")
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    if parts.scheme == "gs" and parts.netloc == "tfhub-modules":
        return names.tfhub(text, _storage_name(segments))
    if parts.scheme not in ("http", "https"):
        raise names.unknown(
            text, f"addresses that begin with {parts.scheme}://{parts.netloc.rpartition('@')[2][:60]} are not read"
        )
    if host in _TFHUB_HOSTS:
        return _tfhub(text, parts, segments)
    if host == "kaggle.com":
        return _kaggle(text, segments)
    if host in _HUGGING_FACE_HOSTS:
        return _hugging_face(text, segments)
    if host in _STORAGE_HOSTS and segments[:1] == ["tfhub-modules"]:
        name = _storage_name(segments[1:])
        if names.is_tfhub(name):
            return names.tfhub(text, name)
    # Publishers that hosted models themselves answered this query with a .tar.gz, whatever the path.
    if host and (names.is_archive(parts.path) or parse_qs(parts.query).get("tf-hub-format") == ["compressed"]):
        return UrlArchive(urlunsplit(parts._replace(fragment="")))
    raise names.unknown(
        text,
        f"an address must name an archive ({', '.join(names.ARCHIVE_SUFFIXES)}) or a model of a known hub",
    )


def split(text: str) -> SplitResult:
    """The parts of an address; raises `HandleError`."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        parts = None
    if parts is None:
        # Python's own words may hold a part of the password, and so are not chained either.
        raise names.unknown(text, "it is no valid address: its host or its port is malformed")
    return parts


def _tfhub(text: str, parts: SplitResult, segments: list[str]) -> KaggleModel:
    if other := {"lite-format", "tfjs-format"} & parse_qs(parts.query).keys():
        raise names.unknown(text, f"?{min(other)}= asks for a TensorFlow Lite or JavaScript export, which is not read")
    return names.tfhub(text, "/".join(segments))


def _storage_name(segments: list[str]) -> str:
    return "/".join(segments).removesuffix(".tar.gz").removesuffix("/uncompressed")


def _kaggle(text: str, segments: list[str]) -> KaggleModel:
    match segments:
        case ["api", "v1", "models", *parts, "download"]:
            return names.kaggle(text, parts)
        case ["models", owner, model, "frameworks", framework, "variations", variation]:
            return names.kaggle(text, [owner, model, framework, variation])
        case ["models", owner, model, "frameworks", framework, "variations", variation, "versions", version]:
            return names.kaggle(text, [owner, model, framework, variation, version])
        case ["models", owner, model, "frameworks", *_]:
            return names.kaggle(text, [owner, model])  # to be refused, with the variations that there are
        case ["models", *parts]:
            return names.kaggle(text, parts)
    raise names.unknown(text, "this page of Kaggle is no model")


def _hugging_face(text: str, segments: list[str]) -> HuggingFaceModel:
    match segments:
        case [page, *_] if page in _HUGGING_FACE_PAGES:
            raise names.unknown(text, "this page of Hugging Face is no model")
        case [name]:
            return names.hugging_face(text, name)
        case [org, name]:
            return names.hugging_face(text, f"{org}/{name}")
        case [org, name, "tree" | "blob" | "resolve" as page, *rest]:
            # Other branches with a slash in their name have it encoded in an address.
            size = 3 if rest[:1] == ["refs"] else 1
            revision, path = "/".join(rest[:size]), "/".join(rest[size:])
            if revision and (page == "tree" or is_weights(path)):
                return names.hugging_face(text, f"{org}/{name}" + (f"/{path}" if path else "") + f"@{revision}")
    near = ["/".join(segments[:2])] if len(segments) > 2 and names.is_repository("/".join(segments[:2])) else []
    why = (
        "a Hugging Face address is https://huggingface.co/ORG/NAME, or with /tree/REVISION, /tree/REVISION/FOLDER or "
        "/blob/REVISION/FILE for a file of weights"
    )
    raise names.unknown(text, why, near=near)
