"""`berthub tokenize`: what a model's tokenizer makes of texts."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from berthub.cli import options as o
from berthub.cli.model import ModelOptions, load_checkpoint

if TYPE_CHECKING:
    from berthub.cli.console import OutputConsole
    from berthub.cli.tables.block import Block
    from berthub.tokenization.tokenizer import Tokenizer

__all__ = ["tokenize"]

Texts = Annotated[
    list[str],
    typer.Argument(
        metavar="TEXT...|-",
        help="The texts, or - for standard input, one a line.",
        show_default=False,
    ),
]


def tokenize(
    handle: o.Handle,
    texts: Texts,
    as_json: o.Json = False,
    lower_case: o.LowerCase = None,
    sha256: o.Sha256 = None,
    cache_dir: o.CacheDir = None,
    offline: o.Offline = None,
) -> None:
    """Show the tokens of texts, as the model gets them.

    For each token its piece, its id, and the characters of the text that it stands for. Pieces that the vocabulary
    does not have are marked: too many of them, and the model is not the one for these texts. Nothing is cut.

      berthub tokenize HANDLE "Unbelievable!"
      berthub tokenize HANDLE "São Paulo" --cased
      cat corpus.txt | berthub tokenize HANDLE - --json
    """
    from berthub.cli.console import OutputConsole
    from berthub.cli.tables.columns import TextColumns
    from berthub.cli.tables.reading import reading
    from berthub.cli.tables.source import find_source, texts_source
    from berthub.tokenization.tokenizer import Tokenizer

    model = ModelOptions(
        handle=handle, lower_case=lower_case, sha256=sha256 or (), cache_dir=cache_dir, offline=offline
    )
    source = find_source(texts, None) if "-" in texts else texts_source(texts)
    tokenizer = Tokenizer.from_checkpoint(load_checkpoint(model))
    console = OutputConsole()
    with reading(source, TextColumns()) as rows:
        for block in rows.blocks:
            if as_json:
                _print_json(block, tokenizer)
            else:
                _print_tables(block, tokenizer, console)


def _print_json(block: "Block", tokenizer: "Tokenizer") -> None:
    import orjson

    tokens = tokenizer.tokens(block.texts, offsets=True)
    assert tokens.offsets is not None
    splits = tokens.row_splits.tolist()
    for text, begin, end in zip(block.texts, splits, splits[1:], strict=False):
        ids = tokens.ids[begin:end].tolist()
        line = {
            "text": text,
            "tokens": tokenizer.convert_ids_to_tokens(ids),
            "ids": ids,
            "offsets": tokens.offsets[begin:end].tolist(),
        }
        sys.stdout.buffer.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def _print_tables(block: "Block", tokenizer: "Tokenizer", console: "OutputConsole") -> None:
    from rich import box
    from rich.table import Table

    from berthub.cli.console import literal

    unknown = tokenizer.vocabulary.ids[tokenizer.vocabulary.unknown]
    special = {tokenizer.vocabulary.ids[piece] for piece in tokenizer.vocabulary.special} - {unknown}
    tokens = tokenizer.tokens(block.texts, offsets=True)
    assert tokens.offsets is not None
    for row, text in enumerate(block.texts):
        span = slice(tokens.row_splits[row], tokens.row_splits[row + 1])
        ids, offsets = tokens.ids[span].tolist(), tokens.offsets[span].tolist()
        table = Table(box=box.SIMPLE_HEAD)
        for heading, justify in (("index", "right"), ("piece", "left"), ("id", "right"), ("characters", "left")):
            table.add_column(heading, justify=justify)  # type: ignore[arg-type]
        pieces = tokenizer.convert_ids_to_tokens(ids)
        for index, (piece, number, (begin, end)) in enumerate(zip(pieces, ids, offsets, strict=True)):
            style = "bold red" if number == unknown else "dim" if number in special else ""
            table.add_row(str(index), literal(piece), str(number), literal(text[begin:end]), style=style)
        console.print(table)
        console.print(literal(_told(ids, unknown, tokenizer), "dim"))


def _told(ids: list[int], unknown: int, tokenizer: "Tokenizer") -> str:
    told = f"{len(ids):,} tokens, {ids.count(unknown):,} of them unknown to the vocabulary."
    if len(ids) > tokenizer.max_length:
        told += f" The model takes {tokenizer.max_length}: encoding would cut the text."
    return told
