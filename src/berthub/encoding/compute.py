"""The second stage: compute the prepared rows with an engine, and give every text its arrays."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt

from berthub.config import EncoderConfig
from berthub.encoding.prediction import head_outputs
from berthub.encoding.prepare import Prepared
from berthub.encoding.progress import Advance, counted, unseen
from berthub.encoding.windows import Stitching
from berthub.engines.batching import batches
from berthub.engines.engine import Engine, Floats, Limits, Result
from berthub.head import Head
from berthub.networks.outputs import Output
from berthub.tokenization.assemble import ranges
from berthub.tokenization.tokens import Tokens
from berthub.tokenization.words import WordTokens

__all__ = ["Computed", "compute", "compute_head", "compute_word_head"]

Computed = Mapping[Output, Floats]
"""The arrays of `n` texts, by output: [n, h], or [n, seq, h] with zeros after a text's last token."""


def compute(
    prepared: Prepared,
    outputs: Sequence[Output],
    *,
    config: EncoderConfig,
    engine: Engine,
    limits: Limits | None = None,
    advance: Advance = unseen,
) -> Computed:
    """The resolved `outputs` of the texts, in their order.

    `limits` None are the engine's own. `advance` is called with the share that is done.
    """
    windows, distinct = prepared.windows, prepared.distinct
    if windows is not None:
        if all(output.pooling == "cls" for output in outputs):
            windows = windows.beginnings()
        stitching = Stitching(windows, outputs, hidden=config.hidden_size)
        with closing(_results(windows.tokens, stitching.needed, engine, limits, advance=advance)) as running:
            for done in running:
                stitching.add(done)
        results = stitching.results()
    else:
        results = _empty(outputs, distinct, hidden=config.hidden_size)
        with closing(_results(distinct, outputs, engine, limits, advance=advance)) as running:
            for done in running:
                _copy(done, outputs, results, distinct.lengths)
    which = prepared.which
    return {output: result if which is None else result[which] for output, result in zip(outputs, results, strict=True)}


def compute_head(
    prepared: Prepared,
    head: Head,
    *,
    config: EncoderConfig,
    engine: Engine,
    limits: Limits | None = None,
    advance: Advance = unseen,
) -> Floats:
    """Compute the outputs of a head on the vectors of texts: float32 [n, labels]."""
    wanted = Output(pooling=head.pooling).resolved(config)
    values = np.zeros((len(prepared.distinct), len(head.labels)), np.float32)
    with closing(_results(prepared.distinct, [wanted], engine, limits, advance=advance)) as running:
        for done in running:
            values[done.batch.rows] = head_outputs(head, done.outputs[0])
    return values if prepared.which is None else values[prepared.which]


def compute_word_head(
    words: WordTokens,
    head: Head,
    *,
    config: EncoderConfig,
    engine: Engine,
    limits: Limits | None = None,
    advance: Advance = unseen,
) -> Floats:
    """Compute the outputs of a head on the vectors of words, those of their first pieces: float32 [words, labels]."""
    tokens, first_pieces = words.tokens, words.first_pieces
    # Where the words of each row begin.
    splits = np.searchsorted(first_pieces, tokens.row_splits)
    values = np.zeros((len(first_pieces), len(head.labels)), np.float32)
    with closing(_results(tokens, [Output().resolved(config)], engine, limits, advance=advance)) as running:
        for done in running:
            rows = done.batch.rows
            counts = splits[rows + 1] - splits[rows]
            here = ranges(splits[rows], counts)
            # Only the words' own vectors outlive the batch.
            vectors = done.at(
                0,
                np.repeat(np.arange(len(rows)), counts),
                first_pieces[here] - np.repeat(tokens.row_splits[rows], counts),
            )
            values[here] = head_outputs(head, vectors)
    return values


def _results(
    rows: Tokens, outputs: Sequence[Output], engine: Engine, limits: Limits | None, *, advance: Advance
) -> Generator[Result]:
    ready = batches(rows, engine.limits if limits is None else limits)
    return counted(engine.run(ready, outputs), len(rows), advance)


def _empty(outputs: Sequence[Output], rows: Tokens, *, hidden: int) -> list[Floats]:
    width = int(rows.lengths.max(initial=0))
    return [np.zeros((len(rows), hidden) if o.pooling else (len(rows), width, hidden), np.float32) for o in outputs]


def _copy(done: Result, outputs: Sequence[Output], results: Sequence[Floats], lengths: npt.NDArray[np.int64]) -> None:
    """Copy the outputs of a batch to where its rows belong."""
    rows = done.batch.rows
    for place, (output, result) in enumerate(zip(outputs, results, strict=True)):
        if output.pooling:
            result[rows] = done.outputs[place]
            continue
        # Row by row: only real tokens are copied, and the zeros after them stay.
        for row, length, vectors in zip(rows, lengths[rows], done.by_row(place), strict=True):
            result[row, :length] = vectors[:length]
