"""The report of `berthub tokenize` on texts: tables for people, JSON lines for programs."""

import sys
from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from berthub.cli.console import OutputConsole, literal
from berthub.cli.json_output import write_json_line
from berthub.cli.progress import counted
from berthub.cli.tokenized_texts import Kind, Place, TokenizedText, aligned, kind_of, tokenized
from berthub.tables.block import Block
from berthub.tokenization.tokenizer import Tokenizer
from berthub.vocabulary import Vocabulary

__all__ = ["print_comparison", "print_tokens"]

_STYLES: Mapping[Kind, str] = {"special": "dim", "unknown": "bold red", "continued": "cyan", "begun": ""}
_DIFFERENT = "bold yellow"


def print_tokens(blocks: Iterator[Block], tokenizer: Tokenizer, *, as_json: bool) -> None:
    """Print the tokens of every text."""
    console = OutputConsole()
    for block in blocks:
        for text, tokens in zip(_strings(block), tokenized(tokenizer, block.texts), strict=True):
            if as_json:
                write_json_line({"text": text, **_json(tokens)})
                continue
            console.print(_table(text, tokens, tokenizer.vocabulary))
            console.print(literal(_summary(tokens, tokenizer), "dim"))
    sys.stdout.flush()


def print_comparison(blocks: Iterator[Block], tokenizers: Mapping[str, Tokenizer], *, as_json: bool) -> None:
    """Print the tokens of every text by each of two tokenizations, side by side."""
    console = OutputConsole()
    (first, one), (second, other) = tokenizers.items()
    for block in blocks:
        pairs = zip(tokenized(one, block.texts), tokenized(other, block.texts), strict=True)
        for text, (here, there) in zip(_strings(block), pairs, strict=True):
            places = list(aligned(here, there))
            if as_json:
                different = [_json_place(text, place, (first, second)) for place in places if not place.equal]
                compared = {first: _json(here), second: _json(there), "differences": different}
                write_json_line({"text": text, "equal": not different, **compared})
                continue
            console.print(_comparison(text, places, (first, second), one.vocabulary))
            console.print(_verdict(places, {first: len(here.ids), second: len(there.ids)}))
    sys.stdout.flush()


def _strings(block: Block) -> list[str]:
    # Texts of the command line, and lines: no pairs among them.
    return [text for text in block.texts if isinstance(text, str)]


def _json(text: TokenizedText) -> dict[str, object]:
    return {"tokens": text.tokens, "ids": text.ids, "offsets": text.offsets}


def _json_place(text: str, place: Place, names: Sequence[str]) -> dict[str, object]:
    return {
        "characters": [place.begin, place.end],
        "text": text[place.begin : place.end],
        **dict(zip(names, (place.first.tokens, place.second.tokens), strict=True)),
    }


def _table(text: str, tokens: TokenizedText, vocabulary: Vocabulary) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading, justify in (("index", "right"), ("piece", "left"), ("id", "right"), ("offsets", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    table.add_column("characters")
    for index, (piece, number, (begin, end)) in enumerate(zip(tokens.tokens, tokens.ids, tokens.offsets, strict=True)):
        kind = kind_of(piece, vocabulary)
        offsets = f"{begin}-{end}" if end else ""
        cells = (literal(piece), str(number), offsets, literal(text[begin:end]))
        table.add_row(str(index), *cells, style=_STYLES[kind])
    return table


def _summary(text: TokenizedText, tokenizer: Tokenizer) -> str:
    unknown = text.tokens.count(tokenizer.vocabulary.unknown)
    summary = f"{counted(len(text.ids), 'token')}, {unknown:,} of them unknown to the vocabulary."
    if len(text.ids) > tokenizer.max_length:
        summary += f" The model takes {tokenizer.max_length}: encoding would truncate the text."
    return summary


def _comparison(text: str, places: Sequence[Place], names: Sequence[str], vocabulary: Vocabulary) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("characters")
    for name in names:
        table.add_column(name)
        table.add_column("id", justify="right")
    table.add_column("")
    for place in places:
        for row in range(max(len(place.first.ids), len(place.second.ids))):
            cells = [literal("" if row else text[place.begin : place.end])]
            for tokens in (place.first, place.second):
                cells += _piece_cells(tokens, row, vocabulary)
            mark = "" if place.equal or row else "differ"
            table.add_row(*cells, mark, style="" if place.equal else _DIFFERENT)
    return table


def _piece_cells(text: TokenizedText, row: int, vocabulary: Vocabulary) -> list[Text]:
    if row >= len(text.ids):
        return [Text(""), Text("")]
    style = _STYLES[kind_of(text.tokens[row], vocabulary)]
    return [literal(text.tokens[row], style), literal(text.ids[row], style)]


def _verdict(places: Sequence[Place], lengths: Mapping[str, int]) -> Text:
    count = sum(not place.equal for place in places)
    if not count:
        return literal(f"The tokenizations agree: {counted(next(iter(lengths.values())), 'token')}.", "dim")
    counts = ", ".join(f"{name} {counted(length, 'token')}" for name, length in lengths.items())
    where = f"{count:,} {'place' if count == 1 else 'places'}"
    return literal(f"The tokenizations differ at {where}: {counts}.", _DIFFERENT)
