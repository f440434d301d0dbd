"""The options that say which model is meant, where it may come from, and what computes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from berthub.choices import EngineName, Precision, Tokenization
from berthub.errors import InputError

__all__ = [
    "MODEL_PANEL",
    "AskNetwork",
    "CacheDir",
    "CompareReferences",
    "Computing",
    "Fetching",
    "Handle",
    "LowerCase",
    "Model",
    "PrecisionOption",
    "Run",
    "TokenizationOldName",
    "TokenizationOption",
    "TokenizerModel",
    "Vocabulary",
]

MODEL_PANEL = "The model"

Handle = Annotated[str, typer.Argument(metavar="HANDLE", help="The model: an address, a name, a folder or an archive.")]

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="The fine-tuned model: the folder of its training, or any other handle.")
]

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="HANDLE",
        envvar="BERTHUB_MODEL",
        help="The model: an address, a name, a folder or an archive. Default: all-MiniLM-L6-v2.",
        rich_help_panel=MODEL_PANEL,
    ),
]

TokenizerModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="HANDLE",
        help="The model, instead of HANDLE ahead of the texts.",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
    ),
]

AskNetwork = Annotated[
    bool, typer.Option("--network", help="Also ask the places that models are fetched from whether they answer.")
]

CacheDir = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        metavar="FOLDER",
        envvar="BERTHUB_CACHE",
        help="Where fetched models are kept.",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
    ),
]

PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="The arithmetic; auto is bfloat16 where the processor computes in it natively, else float32; int8 is "
        "faster and less exact.",
        rich_help_panel=MODEL_PANEL,
    ),
]

LowerCase = Annotated[
    bool | None,
    typer.Option(
        "--lower-case/--cased",
        help="Lower-case texts or keep them as they are, whatever the model's files say.",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
    ),
]

Vocabulary = Annotated[
    str | None,
    typer.Option(
        "--vocabulary",
        metavar="PATH",
        help="The vocabulary, for a model that lies without one or in place of its own: a vocab.txt, a SentencePiece "
        "model, a tokenizer.json, or a folder with a tokenizer.",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
    ),
]

TokenizationOption = Annotated[
    Tokenization | None,
    typer.Option(
        "--tokenization",
        help="Whose tokenization: google, the code that the weights were trained with, tf_text, that of TF Hub's "
        "preprocessing models, or transformers, that of Hugging Face's libraries. Default: the model's.",
        show_default=False,
        rich_help_panel=MODEL_PANEL,
    ),
]

TokenizationOldName = Annotated[Tokenization | None, typer.Option("--reference", hidden=True)]

CompareReferences = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Two tokenizations side by side, and where they differ: google, and the model's or tf_text.",
        rich_help_panel=MODEL_PANEL,
    ),
]


@dataclass(frozen=True, kw_only=True)
class Computing:
    """The options for the engine and its arithmetic."""

    engine: Annotated[
        EngineName,
        typer.Option(
            "--engine", help="What computes; numpy is the slow reference implementation.", rich_help_panel=MODEL_PANEL
        ),
    ] = "auto"
    precision: PrecisionOption = "auto"


@dataclass(frozen=True, kw_only=True)
class Fetching:
    """The options for fetching a model."""

    sha256: Annotated[
        list[str] | None,
        typer.Option(
            "--sha256",
            metavar="HEX|FILE=HEX",
            help="Pin the model's archive or weights, or single files of it (may be repeated).",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None
    cache_dir: CacheDir = None
    offline: Annotated[
        bool | None,
        typer.Option(
            "--offline/--online",
            envvar="BERTHUB_OFFLINE",
            help="Use only what is in the cache; never touch the network.",
            show_default=False,
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments of `berthub.sources.resolve` other than the handle."""
        return {"sha256": _pins(self.sha256 or ()), "cache_dir": self.cache_dir, "offline": self.offline}


def _pins(values: Sequence[str]) -> str | dict[str, str] | None:
    if not values:
        return None
    if len(values) == 1 and "=" not in values[0]:
        return values[0]
    pins = {}
    for value in values:
        name, equals, digest = value.rpartition("=")
        if not equals or not name:
            raise InputError(
                f"--sha256 {value} is not understood: give one hash for the whole model, or FILE=HASH for each file"
            )
        pins[name] = digest
    return pins
