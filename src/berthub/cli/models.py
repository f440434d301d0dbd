"""`berthub models`: list the models that TensorFlow Hub published, and those in the cache."""

from typing import Annotated

import typer

from berthub.cli import catalogue_options as c
from berthub.cli.model_options import CacheDir
from berthub.cli.output_options import Json

__all__ = ["models"]

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="WORD...",
        help="Only models that have all of these words, in any of their columns, notes among them.",
        show_default=False,
    ),
]


def models(
    words: Words = None,
    as_json: Json = False,
    family: c.FamilyFilter = None,
    language: c.LanguageFilter = None,
    layers: c.LayersFilter = None,
    hidden: c.HiddenFilter = None,
    cased: c.CasedFilter = None,
    cached: c.CachedOnly = False,
    every_version: c.AllVersions = False,
    cache_dir: CacheDir = None,
) -> None:
    """List the models that TensorFlow Hub published: names, sizes, and which of them are in the cache.

    Names are those of tfhub.dev, which every command takes. The network is not touched.

      berthub models
      berthub models chinese
      berthub models talking heads --layers 24
      berthub models --family small_bert --hidden 256
      berthub models --cached --json

    A word is found where a name, or a part of a name, begins with it. Under "runs", native: berthub reads the model
    itself; hf: berthub reads the model at Hugging Face that it was converted from; preprocess: made inputs from texts;
    tensorflow: runs through TensorFlow alone; no: is no encoder.
    """
    from berthub.cli.catalogue_query import Query, find
    from berthub.cli.catalogue_table import as_records, show
    from berthub.cli.json_output import print_json
    from berthub.sources.cache import Cache

    query = Query(
        words=tuple(words or ()),
        family=family,
        language=language,
        layers=layers,
        hidden=hidden,
        cased=cased,
        cached=cached,
        every_version=every_version,
    )
    found = find(query, Cache(cache_dir))
    if as_json:
        print_json(as_records(found))
    else:
        show(found, every_version=every_version)
