"""The report of `berthub tokenize --input` on a file: tables for people, one JSON object for programs."""

from collections.abc import Callable, Mapping, Sequence

from rich import box
from rich.table import Table

from berthub.cli.console import OutputConsole, literal
from berthub.cli.json_output import print_json
from berthub.cli.progress import progress
from berthub.cli.tokenize_count import Counted, Counts, Difference, count
from berthub.errors import InputError
from berthub.jobs.step import Step
from berthub.tables.reading import Rows
from berthub.tokenization.tokenizer import Tokenizer

__all__ = ["print_counts"]

# How many of the unknown words are shown.
_MOST_FREQUENT = 20
_LONGEST_SHOWN = 60

_FACTS: Mapping[str, Callable[[Counts], str]] = {
    "texts": lambda counts: f"{counts.texts:,}",
    "tokens": lambda counts: f"{counts.tokens:,}",
    "tokens a text, mean": lambda counts: f"{counts.mean:.1f}",
    "tokens a text, most": lambda counts: f"{counts.longest:,}",
    "pieces (tokens without [CLS], [SEP])": lambda counts: f"{counts.pieces:,}",
    "unknown pieces": lambda counts: f"{counts.unknown:,}",
    "unknown pieces, share": lambda counts: f"{counts.unknown_share:.4%}",
    "texts longer than the model takes": lambda counts: f"{counts.too_long:,}",
}


def print_counts(rows: Rows, tokenizers: Mapping[str, Tokenizer], *, name: str, as_json: bool) -> None:
    """Count over the rows of the input called `name`, by one or two tokenizations, and print the result."""
    counted = _count(rows, tokenizers, name)
    limit = next(iter(tokenizers.values())).max_length
    if as_json:
        print_json(_json(counted, name=name, max_length=limit))
        return
    console = OutputConsole()
    console.print(_facts(counted.references))
    console.print(literal(f"The model takes {limit} tokens.", "dim"))
    for reference, counts in counted.references.items():
        if counts.unknown:
            console.print(_words(reference, counts))
            if not counts.unknown_words.exact:
                console.print(literal("There are too many different ones to keep: each came so often, or more.", "dim"))
    if len(counted.references) == 2:
        _print_differences(counted, console)


def _count(rows: Rows, tokenizers: Mapping[str, Tokenizer], name: str) -> Counted:
    counted = None
    with progress(rows.total, quiet=False) as shown:
        for block, counted in count(rows.blocks, tokenizers):
            shown.tokens = sum(counts.tokens for counts in counted.references.values())
            shown.add(Step(rows=len(block.texts), truncated=0, done=block.end))
    if counted is None:
        raise InputError(f"{name} has no texts: there is nothing to count")
    return counted


def _facts(references: Mapping[str, Counts]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    for reference in references:
        table.add_column(reference, justify="right")
    for fact, shown in _FACTS.items():
        table.add_row(literal(fact), *(shown(counts) for counts in references.values()))
    return table


def _words(reference: str, counts: Counts) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(f"unknown words, {reference}")
    table.add_column("times", justify="right")
    for word, times in counts.unknown_words.most_common(_MOST_FREQUENT):
        table.add_row(literal(word, "bold red"), f"{times:,}")
    return table


def _print_differences(counted: Counted, console: OutputConsole) -> None:
    differences = counted.differences
    first, second = counted.references
    texts = counted.references[first].texts
    if not differences.texts:
        console.print(literal("The tokenizations agree on every text.", "dim"))
        return
    share = f"{differences.texts:,} of {texts:,} texts ({differences.texts / texts:.4%})"
    console.print(literal(f"The tokenizations differ for {share}.", "bold yellow"))
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("row", justify="right")
    for heading in ("first difference", first, second):
        table.add_column(heading)
    for example in differences.examples:
        # Marked by more than colour, which a pipe does not have.
        different = literal(
            f"\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}{_shortened(example.text)}"
            "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}",
            "bold yellow",
        )
        where = literal(example.before).append_text(different).append_text(literal(example.after))
        pieces = (literal(_shortened(" ".join(tokens))) for tokens in (example.first, example.second))
        table.add_row(f"{example.row:,}", where, *pieces)
    console.print(table)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def _json(counted: Counted, *, name: str, max_length: int) -> dict[str, object]:
    references = {reference: _json_counts(counts) for reference, counts in counted.references.items()}
    result: dict[str, object] = {"input": name, "max_length": max_length, "references": references}
    if len(references) == 2:
        result["different_texts"] = counted.differences.texts
        result["examples"] = [_json_example(example, [*references]) for example in counted.differences.examples]
    return result


def _json_counts(counts: Counts) -> dict[str, object]:
    return {
        "texts": counts.texts,
        "tokens": counts.tokens,
        "mean_tokens": counts.mean,
        "longest": counts.longest,
        "too_long": counts.too_long,
        "pieces": counts.pieces,
        "unknown": counts.unknown,
        "unknown_share": counts.unknown_share,
        "unknown_words": [
            {"word": word, "count": times} for word, times in counts.unknown_words.most_common(_MOST_FREQUENT)
        ],
        "unknown_words_exact": counts.unknown_words.exact,
    }


def _json_example(example: Difference, names: Sequence[str]) -> dict[str, object]:
    pieces = dict(zip(names, (example.first, example.second), strict=True))
    return {"row": example.row, "before": example.before, "text": example.text, "after": example.after, **pieces}
