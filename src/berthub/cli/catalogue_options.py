"""The options that choose among published models."""

from typing import Annotated

import typer

__all__ = [
    "AllVersions",
    "CachedOnly",
    "CasedFilter",
    "FamilyFilter",
    "HiddenFilter",
    "LanguageFilter",
    "LayersFilter",
]

_PANEL = "Which models"

FamilyFilter = Annotated[
    str | None,
    typer.Option(
        "--family",
        metavar="NAME",
        help="Only models of this family: bert, small_bert, electra, albert ...",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
LanguageFilter = Annotated[
    str | None,
    typer.Option(
        "--language",
        metavar="LANGUAGE",
        help="Only models of this language, by its code or its English name, or multilingual.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
LayersFilter = Annotated[
    int | None,
    typer.Option(
        "--layers",
        metavar="NUMBER",
        help="Only models of so many layers.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
HiddenFilter = Annotated[
    int | None,
    typer.Option(
        "--hidden",
        metavar="NUMBER",
        help="Only models whose token vectors have so many components.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
CasedFilter = Annotated[
    bool | None,
    typer.Option(
        "--cased/--uncased",
        help="Only models for which case counts, or only those that lower-case.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
CachedOnly = Annotated[
    bool, typer.Option("--cached", help="Only models that are in the cache.", rich_help_panel=_PANEL)
]
AllVersions = Annotated[
    bool,
    typer.Option("--all", help="Every published version; else the newest one of each model.", rich_help_panel=_PANEL),
]
