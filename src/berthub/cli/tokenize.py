"""`berthub tokenize`: show the tokens of texts, or count them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from berthub.cli.model import ModelOptions, load_checkpoint
from berthub.cli.model_options import (
    CompareReferences,
    Fetching,
    LowerCase,
    TokenizationOldName,
    TokenizationOption,
    TokenizerModel,
    Vocabulary,
)
from berthub.cli.option_groups import with_groups
from berthub.cli.output_options import Json
from berthub.cli.text_options import ColumnOptions, FileOptions, InputFile
from berthub.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from berthub.checkpoint import Checkpoint
    from berthub.choices import Tokenization
    from berthub.tables.reading_options import ReadingOptions
    from berthub.tables.source import Source
    from berthub.tokenization.tokenizer import Tokenizer

__all__ = ["tokenize"]

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[HANDLE] [TEXT|-]...",
        help="The model (an address, a name, a folder or an archive), unless --model names it; then the texts, or - "
        "for standard input, one a line.",
        show_default=False,
    ),
]


@with_groups
def tokenize(
    *,
    words: Words = None,
    model: TokenizerModel = None,
    input_file: InputFile = None,
    tokenization: TokenizationOption = None,
    reference: TokenizationOldName = None,
    compare: CompareReferences = False,
    as_json: Json = False,
    files: FileOptions,
    columns: ColumnOptions,
    lower_case: LowerCase = None,
    vocabulary: Vocabulary = None,
    fetching: Fetching,
) -> None:
    """Show the tokens of texts, as the model gets them, or count them over a file.

    For each token its piece, its id, and the characters of the text that it stands for. Pieces that the vocabulary
    does not have are marked: many of them mean that the model does not suit these texts. Nothing is
    truncated.

      berthub tokenize HANDLE "Unbelievable!"
      berthub tokenize --model HANDLE "São Paulo" --cased
      berthub tokenize HANDLE "Straße" --compare
      cat corpus.txt | berthub tokenize HANDLE - --json
      berthub tokenize HANDLE --input reviews.csv --text-column review

    Over a file it counts texts and tokens, texts that are longer than the model takes, and the unknown words, and
    lists the most frequent of these. Texts that two tokenizations split differently are listed with --compare.
    """
    from berthub.cli.tokenize_count_report import print_counts
    from berthub.cli.tokenize_report import print_comparison, print_tokens
    from berthub.tables.columns import TextColumns
    from berthub.tables.reading import reading

    reading_options = files.reading()
    handle, texts = _handle(words or [], model)
    about_files = (files.input_format, columns.text_column, columns.text_pair_column, *reading_options.given())
    _check(texts, input_file, has_file_options=any(about_files))
    tokenization = reference if tokenization is None else tokenization
    if compare and tokenization is not None:
        raise InputError(f"--compare shows two tokenizations: leave out --tokenization {tokenization}")
    model_options = ModelOptions(handle=handle, lower_case=lower_case, vocabulary=vocabulary, fetching=fetching)
    source = _texts(texts) if input_file is None else _file(input_file, reading_options)
    checkpoint = load_checkpoint(model_options)
    tokenizers = _tokenizers(checkpoint, _compared(checkpoint) if compare else [tokenization])
    with reading(source, TextColumns(columns.text_column, columns.text_pair_column)) as rows:
        if input_file is not None:
            print_counts(rows, tokenizers, name=source.name, as_json=as_json)
        elif compare:
            print_comparison(rows.blocks, tokenizers, as_json=as_json)
        else:
            print_tokens(rows.blocks, *tokenizers.values(), as_json=as_json)


def _handle(words: list[str], model: str | None) -> tuple[str, list[str]]:
    """The model and the texts. BERTHUB_MODEL is not read: with it the first word would be a text."""
    if model is not None:
        return model, words
    if not words:
        raise InputError(
            "no model was given: berthub tokenize HANDLE TEXT, or berthub tokenize --model HANDLE TEXT, as in berthub "
            "encode"
        )
    return words[0], words[1:]


def _check(texts: list[str], input_file: str | None, *, has_file_options: bool) -> None:
    if not texts and input_file is None:
        raise InputError(
            "no text was given: give texts after the model, or - for standard input, or --input FILE to count over a "
            "file"
        )
    if texts and input_file is not None:
        raise InputError(
            f'"{texts[0]}" and --input {input_file} were given: give texts to see their tokens, or a file to count over'
        )
    if texts and has_file_options:
        raise InputError(
            "--format, --text-column and --text-pair-column are for a file, as is all that says how it is read: give "
            "it with --input FILE"
        )


def _texts(texts: list[str]) -> "Source":
    from berthub.tables.reading_options import ReadingOptions
    from berthub.tables.source import find_source, texts_source

    # Here even a file's name is a text, and standard input has a text in every line.
    return find_source(texts, ReadingOptions(format="text")) if "-" in texts else texts_source(texts, ReadingOptions())


def _file(name: str, reading_options: "ReadingOptions") -> "Source":
    from berthub.tables.source import files_source, find_source

    if name == "-":
        return find_source([name], reading_options)
    if not Path(name).exists() and not any(mark in name for mark in "*?["):
        raise InputError(f"--input {name}: there is no such file")
    return files_source([name], reading_options)


def _compared(checkpoint: "Checkpoint") -> list["Tokenization | None"]:
    """The two tokenizations to compare: Google's, and the model's own, or TF Hub's if that is Google's."""
    own = checkpoint.config.tokenization
    return ["google", "tf_text" if own == "google" else own]


def _tokenizers(checkpoint: "Checkpoint", references: "Sequence[Tokenization | None]") -> "dict[str, Tokenizer]":
    """The tokenizers by the name of the tokenization; None is the model's own."""
    from berthub.tokenization.tokenizer import Tokenizer

    made = [Tokenizer.from_checkpoint(checkpoint, tokenization=reference) for reference in references]
    return {tokenizer.tokenization: tokenizer for tokenizer in made}
