"""`berthub tokenize`: what a model's tokenizer makes of texts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from berthub.cli import options as o
from berthub.cli.model import ModelOptions, load_checkpoint
from berthub.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from berthub.checkpoint import Checkpoint
    from berthub.cli.tables.source import Source
    from berthub.config import Reference
    from berthub.tokenization.tokenizer import Tokenizer

__all__ = ["tokenize"]

Texts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TEXT|-",
        help="The texts, or - for standard input, one a line.",
        show_default=False,
    ),
]


def tokenize(
    handle: o.Handle,
    texts: Texts = None,
    input_file: o.InputFile = None,
    reference: o.ReferenceOption = None,
    compare: o.CompareReferences = False,
    as_json: o.Json = False,
    input_format: o.InputFormatOption = None,
    text_column: o.TextColumn = None,
    text_pair_column: o.TextPairColumn = None,
    lower_case: o.LowerCase = None,
    sha256: o.Sha256 = None,
    cache_dir: o.CacheDir = None,
    offline: o.Offline = None,
) -> None:
    """Show the tokens of texts, as the model gets them, or count them over a file.

    For each token its piece, its id, and the characters of the text that it stands for. Pieces that the vocabulary
    does not have are marked: too many of them, and the model is not the one for these texts. Nothing is cut.

      berthub tokenize HANDLE "Unbelievable!"
      berthub tokenize HANDLE "São Paulo" --cased
      berthub tokenize HANDLE "Straße" --compare
      cat corpus.txt | berthub tokenize HANDLE - --json
      berthub tokenize HANDLE --input reviews.csv --text-column review

    Over a file it counts texts and tokens, texts that are longer than the model takes, and the unknown words, the
    most frequent ones by name; with --compare the texts that the two references cut differently.
    """
    from berthub.cli.tables.columns import TextColumns
    from berthub.cli.tables.reading import reading
    from berthub.cli.tokenize_count_report import print_counts
    from berthub.cli.tokenize_report import print_comparison, print_tokens

    _check(texts, input_file, has_file_options=any((input_format, text_column, text_pair_column)))
    if compare and reference is not None:
        raise InputError(f"--compare shows both references: leave out --reference {reference.value}")
    model = ModelOptions(
        handle=handle, lower_case=lower_case, sha256=sha256 or (), cache_dir=cache_dir, offline=offline
    )
    source = _texts(texts or []) if input_file is None else _file(input_file, input_format)
    checkpoint = load_checkpoint(model)
    tokenizers = _tokenizers(checkpoint, [*o.Reference] if compare else [reference])
    with reading(source, TextColumns(text_column, text_pair_column)) as rows:
        if input_file is not None:
            print_counts(rows, tokenizers, name=source.name, as_json=as_json)
        elif compare:
            print_comparison(rows.blocks, tokenizers, as_json=as_json)
        else:
            print_tokens(rows.blocks, *tokenizers.values(), as_json=as_json)


def _check(texts: list[str] | None, input_file: str | None, *, has_file_options: bool) -> None:
    if not texts and input_file is None:
        raise InputError("no text was given: give texts, or - for standard input, or --input FILE to count over a file")
    if texts and input_file is not None:
        raise InputError(
            f'"{texts[0]}" and --input {input_file} were given: give texts to see their tokens, or a file to count over'
        )
    if texts and has_file_options:
        raise InputError("--format, --text-column and --text-pair-column are for a file: give it with --input FILE")


def _texts(texts: list[str]) -> "Source":
    from berthub.cli.tables.source import find_source, texts_source

    # Whatever looks like the name of a file is a text here.
    return find_source(texts, None) if "-" in texts else texts_source(texts)


def _file(name: str, input_format: o.InputFormat | None) -> "Source":
    from berthub.cli.tables.source import file_source, find_source

    if name == "-":
        return find_source([name], input_format)
    path = Path(name)
    if not path.exists():
        raise InputError(f"--input {name}: there is no such file")
    if path.is_dir():
        raise InputError(f"--input {name} is a folder: give a file in it")
    return file_source(path, input_format)


def _tokenizers(checkpoint: "Checkpoint", references: "Sequence[o.Reference | None]") -> "dict[str, Tokenizer]":
    """By the name of the reference; None is the model's own."""
    from berthub.tokenization.tokenizer import Tokenizer

    names: list[Reference | None] = [None if reference is None else reference.value for reference in references]
    made = [Tokenizer.from_checkpoint(checkpoint, reference=name) for name in names]
    return {tokenizer.reference: tokenizer for tokenizer in made}
