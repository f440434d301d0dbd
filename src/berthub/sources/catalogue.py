"""The catalogue: which BERT-like models TensorFlow Hub published, and under which name Kaggle has each."""

import csv
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

__all__ = [
    "CatalogueEntry",
    "Runs",
    "entries",
    "find_kaggle",
    "find_mount",
    "find_tfhub",
    "named",
    "nearest",
    "newest",
    "on_kaggle",
    "spellings",
    "versions",
]

Runs = Literal["hf", "native", "no", "preprocess", "tensorflow", "unknown"]
"""What berthub does with a published model: read it and run its own network (native); read the model at Hugging Face
that it was converted from (hf), for the copy has no vocabulary; make inputs from texts as it did (preprocess); run its
graph through TensorFlow, when told to (tensorflow); nothing, since it is no encoder (no). How some are called is not
known."""

# The families whose files are read; whoever calls a model with texts cannot be answered from its files alone.
_NATIVE = {
    "albert", "bert", "cmlm", "electra", "experts", "labse", "lambert", "mobilebert", "muril", "small_bert",
    "talking_heads",
}  # fmt: skip
# XLM-RoBERTa's tokenizer cannot be read.
_READ_AT_HUGGING_FACE = {"bert", "distilbert", "roberta"}
_NO_ENCODERS = {"bert_qa"}
# Nobody mistypes more than this, and the search for near names is quadratic in the length.
_LONGEST_TYPO = 160


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry:
    """One published version of one model.

    `tfhub` is its name on tfhub.dev, `P/N/V`; `kaggle` its handle on Kaggle Models, `O/M/F/W/K`, or None when
    it is not known; `evidence` tells whether that pairing was verified, derived from the naming rule, or is
    unknown. `api` is how the model is called: tf1_tokens, tf2_list, tf2_dict, text_in (preprocessing and text
    encoders), other or unknown. `cased`, `layers`, `hidden` and `heads` are None where they have no meaning
    or are not known; `preprocess` is the preprocessing model that the model's page names. `vocab` is the kind of the
    vocabulary, `vocab_size` its number of pieces where it is known; `huggingface` is the repository that the model was
    converted from.
    """

    tfhub: str
    kaggle: str | None
    evidence: Literal["verified", "derived", "unknown"]
    format: Literal["tf1_hub_module", "tf2_saved_model"]
    api: str
    family: str
    languages: tuple[str, ...]
    cased: bool | None
    layers: int | None
    hidden: int | None
    heads: int | None
    vocab: Literal["wordpiece", "sentencepiece"]
    vocab_size: int | None
    preprocess: str | None
    huggingface: str | None
    notes: str

    @property
    def runs(self) -> Runs:
        """What berthub can do with the model."""
        if self.family == "preprocess":
            return "preprocess"
        if self.family in _NO_ENCODERS or self.api == "other":
            return "no"
        if self.huggingface and self.family in _READ_AT_HUGGING_FACE:
            return "hf"
        if self.api == "unknown":
            return "unknown"
        return "native" if self.family in _NATIVE and self.api != "text_in" else "tensorflow"

    @property
    def name(self) -> str:
        """The name on tfhub.dev without its version, `P/N`."""
        return self.tfhub.rpartition("/")[0]

    @property
    def version(self) -> int:
        """The version on tfhub.dev."""
        return int(self.tfhub.rpartition("/")[2])


@cache
def entries() -> tuple[CatalogueEntry, ...]:
    """Every row of the packaged table, in its order."""
    text = (files("berthub.sources") / "catalogue.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return tuple(_entry(row) for row in rows)


def find_tfhub(name: str) -> CatalogueEntry | None:
    """The entry of `P/N/V`, or the newest version of `P/N`; None when there is none."""
    return _by_tfhub().get(name) or _newest_by_name().get(name)


def named(name: str) -> tuple[str, ...]:
    """The names `P/N` that match a name in another case, without its publisher, or by its last part alone.

    The first of these that there is, so that `bert_en_uncased_L-12_H-768_A-12` is the model of that very name and not
    the one in `small_bert/`; several where publishers share it, and none where nobody has it.
    """
    wanted = name.casefold()
    known = _newest_by_name()
    for spell in (str, _without_publisher, _last_part):
        if found := tuple(full for full in known if wanted and spell(full).casefold() == wanted):
            return found
    return ()


def on_kaggle(owner: str, model: str) -> tuple[str, ...]:
    """The variations `O/M/F/W` of a model on Kaggle that the table has."""
    prefix = f"{owner}/{model}/".casefold()
    return tuple(handle for handle in _newest_by_kaggle() if handle.casefold().startswith(prefix))


def find_kaggle(handle: str) -> CatalogueEntry | None:
    """The entry of `O/M/F/W/K`, or the newest version of `O/M/F/W`, in whatever case; None when there is none."""
    found = _by_kaggle().get(handle) or _newest_by_kaggle().get(handle)
    if found is not None:
        return found
    spelled = _kaggle_by_folded_name().get(handle.casefold())
    return None if spelled is None else find_kaggle(spelled)


def find_mount(model: str, framework: str, variation: str, version: str | None) -> CatalogueEntry | None:
    """The entry of a Kaggle notebook's folder `/kaggle/input/M/f/W/K`, which leaves the owner out.

    None when no entry fits, or when the entries of several owners do.
    """
    owners: dict[str, CatalogueEntry] = {}
    for entry in entries():
        if entry.kaggle is None:
            continue
        owner, m, f, w, k = entry.kaggle.split("/")
        fits = (m, f.lower(), w) == (model, framework.lower(), variation)
        newer = owner not in owners or owners[owner].version < entry.version
        if fits and (k == version if version else newer):
            owners[owner] = entry
    return next(iter(owners.values())) if len(owners) == 1 else None


def versions(name: str) -> tuple[int, ...]:
    """The published versions of `P/N`, rising; empty when the name is not in the table."""
    return tuple(sorted(entry.version for entry in entries() if entry.name == name))


def newest() -> tuple[CatalogueEntry, ...]:
    """The newest version of every model."""
    return tuple(_newest_by_name().values())


def nearest(text: str, *, count: int = 4) -> tuple[str, ...]:
    """The tfhub.dev names (newest versions) that look most like `text`, the likeliest first; may be empty.

    Names on Kaggle are compared too, and each is answered with its name on tfhub.dev.
    """
    known = spellings()
    wanted = text.casefold()[:_LONGEST_TYPO].strip("/ ")
    close = difflib.get_close_matches(wanted, known, n=3 * count, cutoff=0.6)
    return tuple(dict.fromkeys(known[spelling] for spelling in close))[:count]


@cache
def spellings() -> Mapping[str, str]:
    """Spellings of the newest version of each model, in lower case, each with its name `P/N/V`."""
    found: dict[str, str] = {}
    for name, entry in _newest_by_name().items():
        if entry.kaggle is None:
            continue  # it cannot be fetched
        # Both the full name and its last part, for it is the publisher that is forgotten most often.
        for spelling in (name, name.rpartition("/")[2], entry.kaggle.rpartition("/")[0]):
            found.setdefault(spelling.casefold(), entry.tfhub)
    return found


@cache
def _by_tfhub() -> Mapping[str, CatalogueEntry]:
    return {entry.tfhub: entry for entry in entries()}


@cache
def _by_kaggle() -> Mapping[str, CatalogueEntry]:
    return {entry.kaggle: entry for entry in entries() if entry.kaggle}


@cache
def _newest_by_name() -> Mapping[str, CatalogueEntry]:
    return {entry.name: entry for entry in sorted(entries(), key=lambda entry: entry.version)}


@cache
def _kaggle_by_folded_name() -> Mapping[str, str]:
    return {handle.casefold(): handle for handle in (*_by_kaggle(), *_newest_by_kaggle())}


def _without_publisher(name: str) -> str:
    return name.partition("/")[2]


def _last_part(name: str) -> str:
    """The last part of the name, if it tells the model's family."""
    last = name.rpartition("/")[2]
    return last if "bert" in last.casefold() else ""


@cache
def _newest_by_kaggle() -> Mapping[str, CatalogueEntry]:
    ranked = sorted(_by_kaggle().items(), key=lambda item: int(item[0].rpartition("/")[2]))
    return {handle.rpartition("/")[0]: entry for handle, entry in ranked}


def _entry(row: Mapping[str, str]) -> CatalogueEntry:
    return CatalogueEntry(
        tfhub=row["tfhub_handle"],
        kaggle=_known(row["kaggle_handle"]),
        evidence=row["evidence"],  # type: ignore[arg-type]  # the table's own test checks the values
        format=row["format"],  # type: ignore[arg-type]
        api=row["api"],
        family=row["family"],
        languages=tuple(row["language"].split(",")),
        cased={"cased": True, "uncased": False}.get(row["cased"]),
        layers=_number(row["layers"]),
        hidden=_number(row["hidden"]),
        heads=_number(row["heads"]),
        vocab=row["vocab"],  # type: ignore[arg-type]
        vocab_size=_number(row["vocab_size"]),
        preprocess=_known(row["preprocess_handle"]),
        huggingface=_known(row["huggingface"]),
        notes=row["notes"],
    )


def _known(cell: str) -> str | None:
    return None if cell == "-" else cell


def _number(cell: str) -> int | None:
    return None if cell == "-" else int(cell)
