"""Find the models of the catalogue that a query means."""

import difflib
import re
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

from berthub.cli.languages import LANGUAGES
from berthub.errors import HandleError, InputError
from berthub.sources import catalogue
from berthub.sources.cache import Cache, Entry, Key
from berthub.sources.catalogue import CatalogueEntry

__all__ = ["Listed", "Query", "cached_entry", "find"]

T = TypeVar("T", str, int)

_NEAR = 3


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query: everything that is not None must hold, and all of `words` must be found."""

    words: tuple[str, ...] = ()
    family: str | None = None
    language: str | None = None
    layers: int | None = None
    hidden: int | None = None
    cased: bool | None = None
    cached: bool = False
    every_version: bool = False


@dataclass(frozen=True)
class Listed:
    """A published model, and the entry of the cache that holds it, if there is one."""

    model: CatalogueEntry
    cached: Entry | None


def find(query: Query, cache: Cache) -> list[Listed]:
    """The models by family and size, the newest version first.

    `InputError` for a value that no model has, with those that there are; `HandleError` where nothing is found.
    """
    models = _filtered(catalogue.entries() if query.every_version else catalogue.newest(), query)
    texts = {model.tfhub: _searched(model) for model in models}
    patterns = [_pattern(word) for word in query.words]
    models = [model for model in models if all(pattern.search(texts[model.tfhub]) for pattern in patterns)]
    if not models:
        raise _nothing(query)
    listed = [Listed(model, cached_entry(model, cache)) for model in sorted(models, key=_order)]
    if not query.cached:
        return listed
    here = [each for each in listed if each.cached]
    if not here:
        raise HandleError(
            f"none of these {len(listed)} models is in the cache folder {cache.root}; leave out --cached to list them, "
            "or name the folder that they are in (--cache-dir or BERTHUB_CACHE)"
        )
    return here


def cached_entry(model: CatalogueEntry, cache: Cache) -> Entry | None:
    """The model in the cache, if it is there."""
    return None if model.kaggle is None else cache.find(Key.of_kaggle(model.kaggle))


def _filtered(models: Sequence[CatalogueEntry], query: Query) -> list[CatalogueEntry]:
    every = catalogue.entries()
    left = list(models)
    if query.family is not None:
        family = _checked("--family", query.family.lower(), {model.family for model in every})
        left = [model for model in left if model.family == family]
    if query.language is not None:
        codes = {code for model in every for code in model.languages}
        named = {LANGUAGES[code].lower(): code for code in codes}
        wanted = named.get(query.language.lower(), query.language.lower())
        shown = ", ".join(f"{code} ({LANGUAGES[code]})" for code in sorted(codes))
        language = _checked("--language", wanted, codes, also=named, shown=shown)
        left = [model for model in left if language in model.languages]
    if query.layers is not None:
        layers = _checked("--layers", query.layers, {model.layers for model in every if model.layers})
        left = [model for model in left if model.layers == layers]
    if query.hidden is not None:
        hidden = _checked("--hidden", query.hidden, {model.hidden for model in every if model.hidden})
        left = [model for model in left if model.hidden == hidden]
    return left if query.cased is None else [model for model in left if model.cased == query.cased]


def _checked(option: str, value: T, known: Set[T], *, also: Collection[str] = (), shown: str | None = None) -> T:
    if value in known:
        return value
    near: list[str] = difflib.get_close_matches(str(value), [str(each) for each in (*known, *also)], n=1)
    hint = f" (near it is {near[0]})" if near and isinstance(value, str) else ""
    listed = shown or ", ".join(map(str, sorted(known)))
    raise InputError(f"no model of the catalogue has {option} {value}{hint}. There are: {listed}")


def _searched(model: CatalogueEntry) -> str:
    """The text in which words are looked for; what is said of the preprocessing model is left out."""
    size = () if model.layers is None else (f"{model.layers}x{model.hidden}", f"{model.layers} {model.hidden}")
    case = () if model.cased is None else ("cased" if model.cased else "uncased",)
    languages = (*model.languages, *(LANGUAGES[code] for code in model.languages))
    names = (model.tfhub, model.kaggle or "", model.huggingface or "", model.family, model.runs)
    return "\n".join((*names, *languages, *case, *size, model.vocab, model.format, model.api, model.notes)).lower()


def _pattern(word: str) -> re.Pattern[str]:
    """A pattern for the word at the start of a name or of a part of one: `cased` is not found in `uncased`."""
    return re.compile(r"(?<![a-z0-9])" + re.escape(word.lower()))


def _order(model: CatalogueEntry) -> tuple[bool, str, int, int, str, int]:
    return (
        model.family == "preprocess",
        model.family,
        model.layers or 0,
        model.hidden or 0,
        model.name,
        -model.version,
    )


def _nothing(query: Query) -> HandleError:
    """A message that names the words that were not found, and what is near them."""
    texts = [_searched(model) for model in catalogue.entries()]
    missing = [word for word in query.words if not any(_pattern(word).search(text) for text in texts)]
    parts = sorted({part for text in texts for part in re.split(r"[^a-z0-9.]+|\n", text) if len(part) > 1})
    lines = []
    for word in missing:
        near = [*catalogue.nearest(word, count=_NEAR), *difflib.get_close_matches(word.lower(), parts, n=_NEAR)]
        lines.append(f"{word!r} is nowhere in the catalogue" + (f"; near it are {', '.join(near)}" if near else ""))
    if not lines:
        older = "" if query.every_version else ", or list older versions too (--all)"
        lines = [f"there is a model for each of these, and none for all together: leave something out{older}"]
    return HandleError("no model of the catalogue fits.\n  " + "\n  ".join(lines))
