"""Compare folders of every architecture and tokenizer with transformers and sentence-transformers.

    python tests/compare_models.py [--only NAME ...] [--texts N] [--engines NAME ...] [--base] [--trained FOLDER ...]

transformers writes each folder, with random weights and a tokenizer of its kind, and it and berthub read it: ids, token
types, truncation and decoded texts must be equal, and token vectors, every layer and the pooled vector on every engine.
Then sentence-transformers' vectors and scores are compared. A table is printed; a cell is the largest difference as a
share of the largest value, and the exit status is 1 where one is beyond 1e-5. `--trained` compares
sentence-transformers folders instead, with the sentences in the last column of `--sentences FILE`, tab-separated and
with a header, or with the same texts without it.
"""

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import berthub as hub
from berthub.formats import read
from berthub.formats.huggingface.tokenizer import read_tokenization
from berthub.formats.settings import Settings
from berthub.tokenization.decoding import decoded
from support.compared_engines import ENGINES, FILES, difference, ours, theirs, weights_differ
from support.compared_models import MODELS, comparable, make
from support.compared_sentences import RECIPES, SCORES, recipe_row, score_row, trained_row
from support.pipelines import texts
from support.transformers_models import torch, transformers

_BOUND = 1e-5
Row = dict[str, str | int | float]


def given_texts(count: int) -> list[Any]:
    """Texts, and a fifth of them pairs."""
    singles = texts(count - count // 5)
    return [*singles, *zip(singles[: count // 5], singles[::-1], strict=False)]


def token_differences(folder: Path, mine: hub.Tokenizer, given: list[Any]) -> int:
    """How many ids, token types, truncated ids and decoded texts are not transformers'."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    wrong = 0
    for part in (
        [text for text in given if isinstance(text, str)],
        [text for text in given if isinstance(text, tuple)],
    ):
        parts = [[*each] for each in (zip(*part, strict=True) if isinstance(part[0], tuple) else [part])]
        expected = tokenizer(*parts, return_token_type_ids=True)
        found = mine(part)
        wrong += _unequal(found["input_ids"], expected["input_ids"])
        if "token_type_ids" in tokenizer.model_input_names:
            wrong += _unequal(found["token_type_ids"], expected["token_type_ids"])
        for side in ("right", "left"):
            tokenizer.truncation_side = side
            for length in (8, 9):
                tokens = mine.tokens(part, max_length=length, side=side)
                rows = [row.tolist() for row in np.split(tokens.ids, tokens.row_splits[1:-1])]
                wrong += _unequal(rows, tokenizer(*parts, truncation=True, max_length=length)["input_ids"])
        wrong += sum(
            decoded(row, mine, skip_special=skip) != tokenizer.decode(row, skip_special_tokens=skip)
            for row in expected["input_ids"]
            for skip in (True, False)
        )
    return wrong


def _unequal(left: list[list[int]], right: list[list[int]]) -> int:
    return sum(a != b for a, b in zip(left, right, strict=True))


def model_row(name: str, columns: list[str], given: list[Any], *, base: bool = False) -> Row:
    """The cells of an architecture: a number of wrong ids, then a share for each engine, or what else is wrong."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        make(name, folder, base=base)
        if MODELS[name].title is None:
            model_type = json.loads((folder / "config.json").read_text())["model_type"]
            vocabulary = read_tokenization(folder, Settings(), model_type=model_type)
            mine = hub.Tokenizer(vocabulary, tokenization="transformers")
            return {"ids": token_differences(folder, mine, given)}
        checkpoint = read(folder)
        tokenizer = hub.Tokenizer.from_checkpoint(checkpoint)
        row: Row = {"ids": token_differences(folder, tokenizer, given)}
        if checkpoint.origin.unused:
            row["ids"] = f"unused weights: {checkpoint.origin.unused}"
        given = comparable(name, given)
        ids, expected = theirs(folder, given, checkpoint)
        tokens = tokenizer.tokens(given, max_length=tokenizer.max_length)
        wrong = _unequal([each.tolist() for each in np.split(tokens.ids, tokens.row_splits[1:-1])], ids)
        if wrong:
            row["ids"] = f"{wrong} truncated"
        for column in columns:
            with tempfile.TemporaryDirectory() as scratch:
                if column in FILES:
                    row[column] = weights_differ(folder, checkpoint, column, Path(scratch)) or "same"
                elif column != "ragged" or not checkpoint.config.sees_padding:
                    row[column] = difference(ours(checkpoint, given, column, Path(scratch)), expected)
        return row


def failed(row: Row) -> bool:
    """Whether a cell is beyond the bound, or says what differs."""
    # What is not a number is not within it.
    return not all(cell == "same" if isinstance(cell, str) else cell <= _BOUND for cell in row.values())


def _rows(options: argparse.Namespace, given: list[Any]) -> Iterator[tuple[str, Row]]:
    if options.trained:
        sentences = given
        if options.sentences is not None:
            lines = options.sentences.read_text(encoding="utf-8").splitlines()
            sentences = [line.rpartition("\t")[2] for line in lines][1 : options.texts + 1]
        for folder in options.trained:
            yield folder.name, trained_row(folder, options.engines, sentences)
        return
    for name in MODELS:
        if _wanted(name, options):
            yield name, model_row(name, options.engines, given, base=options.base)
    for name in RECIPES:
        if _wanted(name, options):
            yield f"vectors: {name}", recipe_row(name, options.engines, given)
    for name in SCORES:
        if _wanted(f"scores {name}", options):
            yield f"scores: {name}", score_row(name, options.engines, given)


def _wanted(name: str, options: argparse.Namespace) -> bool:
    return not options.only or any(name.startswith(only) for only in options.only)


def main() -> int:
    """Print the table; the exit status says whether anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="*", help="the beginnings of the rows' names")
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--engines", nargs="*", default=[*ENGINES, *FILES], choices=[*ENGINES, *FILES])
    parser.add_argument("--base", action="store_true", help="models as large as BERT-base")
    parser.add_argument("--trained", nargs="*", type=Path, default=[])
    parser.add_argument("--sentences", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "torch")
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    columns = ["ids", *options.engines]
    print(f"| {options.texts} texts | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|", flush=True)
    wrong = []
    for name, row in _rows(options, given_texts(options.texts)):
        cells = (row.get(column, "") for column in columns)
        shown = [f"{cell:.1e}" if isinstance(cell, float) else str(cell) for cell in cells]
        print(f"| {name} | {' | '.join(shown)} |", flush=True)
        if failed(row):
            wrong.append(name)
    print(f"\n{', '.join(wrong) or 'Nothing'} beyond {_BOUND:.0e}; {time.process_time():.0f} s of processor time")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
