"""Print the vectors of a few texts as a table, for people."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich import box
from rich.table import Table

from berthub.cli.console import OutputConsole, literal
from berthub.encoding.encoder import Encoder
from berthub.jobs.vectors import Chunk, Request
from berthub.tokenization.tokenizer import Text

__all__ = ["PREVIEW_ROWS", "shortened", "show"]

PREVIEW_ROWS = 50
_COMPONENTS = 4
_LONGEST_TEXT = 60


def show(texts: Sequence[Text], chunks: Sequence[Chunk], *, request: Request, encoder: Encoder, more: bool) -> None:
    """Print the first components of the vectors, and how to get all of them."""
    console = OutputConsole()
    by_token = chunks[0].tokens is not None
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("text", ratio=1)
    table.add_column("token" if by_token else "tokens", justify="left" if by_token else "right", no_wrap=True)
    table.add_column("first components", justify="right", no_wrap=True)
    table.add_column("norm", justify="right", no_wrap=True)
    rows = _token_rows(texts, chunks) if by_token else _text_rows(texts, chunks)
    for text, token, vector in rows:
        table.add_row(
            literal(text),
            literal(token),
            " ".join(f"{value:7.4f}" for value in vector[:_COMPONENTS].tolist()) + " ...",
            f"{np.linalg.norm(vector.astype(np.float32)):.4f}",
        )
    console.print(table)
    layer = f"layer {request.layer} of 0 to {encoder.config.num_layers - 1}"
    width, dtype = chunks[0].vectors.shape[1], chunks[0].vectors.dtype
    lines = [f"{request.described}, {layer}: {width} components of {dtype}, computed in {encoder.precision}."]
    truncated = sum(int(chunk.truncated.sum()) for chunk in chunks)
    if truncated:
        lines.append(f"{truncated} of these texts truncated to {encoder.max_length} tokens.")
    if more:
        lines.append(f"Only the first {len(texts)} texts are shown.")
    lines.append("-o FILE.parquet (or .jsonl, .csv, .npy) writes the vectors whole.")
    console.print(literal(" ".join(lines), "dim"))


def _text_rows(texts: Sequence[Text], chunks: Sequence[Chunk]) -> Iterator[tuple[str, int, npt.NDArray[Any]]]:
    lengths = itertools.chain.from_iterable(chunk.lengths.tolist() for chunk in chunks)
    vectors = itertools.chain.from_iterable(chunk.vectors for chunk in chunks)
    for text, length, vector in zip(texts, lengths, vectors, strict=True):
        yield shortened(text), length, vector


def _token_rows(texts: Sequence[Text], chunks: Sequence[Chunk]) -> Iterator[tuple[str, str, npt.NDArray[Any]]]:
    remaining = iter(texts)
    for chunk in chunks:
        assert chunk.tokens is not None
        vectors = iter(chunk.vectors)
        for pieces in chunk.tokens.pieces:
            shown = shortened(next(remaining))
            for index, piece in enumerate(pieces):
                yield "" if index else shown, piece, next(vectors)


def shortened(text: Text) -> str:
    """A text, or both of a pair, in at most 60 characters."""
    whole = text if isinstance(text, str) else " | ".join(text)
    return whole if len(whole) <= _LONGEST_TEXT else whole[: _LONGEST_TEXT - 3] + "..."
