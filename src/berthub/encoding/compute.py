"""Tokens become arrays: batches through the engine, and their outputs back in the texts' order."""

from collections.abc import Generator, Sequence
from contextlib import closing

import numpy as np

from berthub.config import EncoderConfig
from berthub.encoding.progress import Advance, counted, unseen
from berthub.encoding.repeats import without_repeats
from berthub.encoding.windows import Stitching, Window, Windows
from berthub.engines.batching import batches
from berthub.engines.engine import Engine, Floats, Limits, Result
from berthub.networks.outputs import Output
from berthub.tokenization.tokens import Tokens
from berthub.vocabulary import Vocabulary

__all__ = ["allocate", "compute"]


def compute(
    tokens: Tokens,
    outputs: Sequence[Output],
    *,
    config: EncoderConfig,
    vocabulary: Vocabulary,
    engine: Engine,
    window: Window | None = None,
    limits: Limits | None = None,
    advance: Advance = unseen,
) -> list[Floats]:
    """One array for each of the resolved `outputs`: [n, h], or [n, seq, h] with zeros behind a text's last token.

    Texts of more than `window.size` tokens are computed in windows; without `window` there are none too long for the
    model. Equal texts are computed once. `limits` None are the engine's own. `advance` is told how much is done.
    """
    distinct, which = without_repeats(tokens)
    results = _compute(
        distinct,
        outputs,
        config=config,
        vocabulary=vocabulary,
        engine=engine,
        window=window,
        limits=engine.limits if limits is None else limits,
        advance=advance,
    )
    return results if which is None else [result[which] for result in results]


def _compute(
    tokens: Tokens,
    outputs: Sequence[Output],
    *,
    config: EncoderConfig,
    vocabulary: Vocabulary,
    engine: Engine,
    window: Window | None,
    limits: Limits,
    advance: Advance,
) -> list[Floats]:
    def run(rows: Tokens, needed: Sequence[Output]) -> Generator[Result]:
        return counted(engine.run(batches(rows, limits), needed), len(rows), advance)

    if window is not None and (tokens.lengths > window.size).any():
        windows = Windows.of(tokens, window, separate=vocabulary.ids[vocabulary.separate])
        if all(output.pooling == "cls" for output in outputs):
            windows = windows.beginnings()
        stitching = Stitching(windows, outputs, hidden=config.hidden_size)
        with closing(run(windows.tokens, stitching.needed)) as running:
            for done in running:
                stitching.add(done)
        return stitching.results()

    lengths = tokens.lengths
    results = allocate(outputs, len(tokens), int(lengths.max(initial=0)), config=config)
    with closing(run(tokens, outputs)) as running:
        for done in running:
            for place, (output, result) in enumerate(zip(outputs, results, strict=True)):
                if output.pooling:
                    result[done.batch.rows] = done.outputs[place]
                    continue
                # Row by row: only real tokens are copied, and the zeros behind them stay.
                for row, length, vectors in zip(
                    done.batch.rows, lengths[done.batch.rows], done.by_row(place), strict=True
                ):
                    result[row, :length] = vectors[:length]
    return results


def allocate(
    outputs: Sequence[Output], rows: int, width: int, *, config: EncoderConfig, positions: int = 0
) -> list[Floats]:
    """An array of zeros for each output of `rows` texts; of the masked-language-model head at so many `positions`."""
    hidden, vocabulary = config.hidden_size, config.vocab_size
    return [
        np.zeros(
            (rows, positions, vocabulary) if o.mlm else (rows, hidden) if o.pooling else (rows, width, hidden),
            np.float32,
        )
        for o in outputs
    ]
