"""Split long texts into windows, and put the vectors of the windows together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from berthub.encoding.chunks import taken
from berthub.engines.engine import Floats, Result
from berthub.errors import InputError
from berthub.networks.outputs import Output
from berthub.tokenization.alignment import second_starts
from berthub.tokenization.assemble import ranges
from berthub.tokenization.tokens import Tokens

__all__ = ["Stitching", "Window", "Windows"]

Ints = npt.NDArray[np.int64]

# `[CLS]`, one piece and `[SEP]`.
_LEAST = 3


@dataclass(frozen=True)
class Window:
    """Windows of `size` tokens, special ones included, of which each has `stride` tokens in common with the next."""

    size: int
    stride: int

    @classmethod
    def of(cls, window: int | None, stride: int | None, *, longest: int) -> Self | None:
        """Make a window from the options of these names, checked for a model that takes `longest` tokens.

        None without `window`. `stride` None is a quarter of it. `InputError` for sizes that the model cannot take.
        """
        if window is None:
            if stride is not None:
                raise InputError(
                    f"stride={stride!r} is how far windows overlap: it needs window=, their size in tokens"
                )
            return None
        if not _whole(window) or not _LEAST <= window <= longest:
            raise InputError(
                f"window must be from {_LEAST} to {longest} tokens (the positions of the model), not {window!r}"
            )
        if stride is None:
            return cls(window, window // 4)
        if not _whole(stride) or not 0 <= stride <= window - _LEAST:
            raise InputError(
                f"stride must be from 0 to {window - _LEAST} tokens for a window of {window}, not {stride!r}: it is "
                "how far windows overlap"
            )
        return cls(window, stride)


@dataclass(frozen=True, eq=False)
class Windows:
    """The rows in which `n` texts are computed: `tokens` has `r` of them, those of a text one after the other.

    `texts` int64 [r] is the text that a row is of. Of its tokens, `counts` are the row's own: from `firsts` in the
    row, and from `places` in the text (int64 [r] each). Each token of each text is one row's own: that in which it has
    the most context, which is to say the smaller number of the window's tokens to its either side is largest; of
    equals the earlier.
    """

    tokens: Tokens
    texts: Ints
    firsts: Ints
    counts: Ints
    places: Ints

    @classmethod
    def of(cls, tokens: Tokens, window: Window, *, separate: int) -> Self:
        """Windows for texts of any length; `separate` is the id of `[SEP]`.

        A text that fits is a row as it is. Of a pair the first text is kept whole, with every window of the second.
        `InputError` names the first pair whose first text leaves no tokens for the second.
        """
        lengths, starts = tokens.lengths, tokens.row_splits[:-1]
        # What stands at the start of every window: `[CLS]`, and of a pair the first text with its separator.
        heads = second_starts(tokens, separate=separate)
        bodies = lengths - heads - 1
        fits = lengths <= window.size
        capacities = np.where(fits, np.maximum(bodies, 1), window.size - heads - 1)
        steps = np.where(fits, 1, capacities - window.stride)
        _refuse(heads, capacities, steps, window)
        numbers = 1 + -(-np.maximum(bodies - capacities, 0) // steps)

        texts = np.repeat(np.arange(len(tokens)), numbers)
        nth = ranges(np.zeros_like(numbers), numbers)
        head, body, last = heads[texts], bodies[texts], nth == numbers[texts] - 1
        begins = nth * steps[texts]
        ends = np.minimum(begins + capacities[texts], body)
        # A token has more context in the next window from the middle of what the two have in common.
        turns = (begins + steps[texts] + ends + 1) // 2
        places = np.where(nth == 0, 0, head + np.roll(turns, 1))
        stops = np.where(last, lengths[texts], head + turns)

        sizes = head + ends - begins + 1
        row_splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        rows = row_splits[:-1]
        source = np.empty(int(row_splits[-1]), np.int64)
        source[ranges(rows, head)] = ranges(starts[texts], head)
        source[ranges(rows + head, ends - begins)] = ranges(starts[texts] + head + begins, ends - begins)
        source[row_splits[1:] - 1] = tokens.row_splits[1:][texts] - 1
        return cls(
            tokens=Tokens(
                ids=tokens.ids[source],
                type_ids=tokens.type_ids[source],
                row_splits=row_splits,
                truncated=np.zeros(len(texts), np.bool_),
            ),
            texts=texts,
            firsts=np.where(nth == 0, 0, places - begins),
            counts=stops - places,
            places=places,
        )

    @property
    def lengths(self) -> Ints:
        """The numbers of tokens of the whole texts: int64 [n]."""
        return np.bincount(self.texts, self.counts).astype(np.int64)

    def beginnings(self) -> Self:
        """The first window of each text alone."""
        rows = np.flatnonzero(self.places == 0)
        return type(self)(
            tokens=taken(self.tokens, rows),
            texts=self.texts[rows],
            firsts=self.firsts[rows],
            counts=self.counts[rows],
            places=self.places[rows],
        )


class Stitching:
    """Puts the outputs of windows together to those of the whole texts.

    Token vectors [n, seq, h] are those of each row's own tokens, with zeros after a text's last. Of vectors for a
    text [n, h], cls is that of the first window, and pooled the mean over the windows, each weighted by the number of
    its own tokens: so that the whole text counts. The other poolings are over all its tokens, each counted once.
    """

    def __init__(self, windows: Windows, outputs: Sequence[Output], *, hidden: int) -> None:
        self._windows = windows
        self._outputs = outputs
        self._lengths = windows.lengths
        self._index = {output: index for index, output in enumerate(self.needed)}
        self._sums: list[npt.NDArray[Any]] = [self._empty(output, hidden) for output in outputs]

    @property
    def needed(self) -> list[Output]:
        """The outputs to compute for every row, each once: mean and max need the vectors of its tokens."""
        return list(dict.fromkeys(map(_needed, self._outputs)))

    def add(self, done: Result) -> None:
        """Take over a batch of rows; its outputs are those `needed`."""
        windows = self._windows
        for output, sums in zip(self._outputs, self._sums, strict=True):
            index = self._index[_needed(output)]
            arrays = done.outputs[index] if output.pooling in ("cls", "pooled") else done.by_row(index)
            for row, vectors in zip(done.batch.rows.tolist(), arrays, strict=True):
                text, first, count = int(windows.texts[row]), int(windows.firsts[row]), int(windows.counts[row])
                place = int(windows.places[row])
                if output.skip > place:
                    # The prompt's tokens are not pooled.
                    passed = min(output.skip - place, count)
                    first, count, place = first + passed, count - passed, place + passed
                    if not count:
                        continue
                match output.pooling:
                    case None:
                        sums[text, place : place + count] = vectors[first : first + count]
                    case "mean" | "mean_sqrt_len_tokens":
                        sums[text] += vectors[first : first + count].sum(0, dtype=np.float64)
                    case "weightedmean":
                        weights = np.arange(place + 1, place + count + 1, dtype=np.float64)
                        sums[text] += weights @ vectors[first : first + count]
                    case "max":
                        np.maximum(sums[text], vectors[first : first + count].max(0), out=sums[text])
                    case "pooled":
                        sums[text] += count * vectors.astype(np.float64)
                    case "lasttoken" if place + count == self._lengths[text]:
                        sums[text] = vectors[first + count - 1]
                    case "cls" if place == 0:
                        sums[text] = vectors

    def results(self) -> list[Floats]:
        """One array for each output, float32."""
        means = [
            sums if (divisors := self._divisors(output)) is None else sums / divisors[:, None]
            for output, sums in zip(self._outputs, self._sums, strict=True)
        ]
        return [mean.astype(np.float32, copy=False) for mean in means]

    def _divisors(self, output: Output) -> npt.NDArray[np.float64] | None:
        """What the sums of each text are divided by, [n]; None where they are the results."""
        lengths = self._lengths.astype(np.float64)
        counts = np.maximum(lengths - output.skip, 1)
        match output.pooling:
            case "mean":
                return counts
            case "mean_sqrt_len_tokens":
                return np.sqrt(counts)
            case "weightedmean":
                return np.maximum((lengths * (lengths + 1) - output.skip * (output.skip + 1)) / 2, 1)
            case "pooled":
                return lengths
            case _:
                return None

    def _empty(self, output: Output, hidden: int) -> npt.NDArray[Any]:
        number = len(self._lengths)
        match output.pooling:
            case None:
                return np.zeros((number, int(self._lengths.max(initial=0)), hidden), np.float32)
            case "max":
                return np.full((number, hidden), -np.inf, np.float32)
            case "cls" | "lasttoken":
                return np.zeros((number, hidden), np.float32)
            case _:
                # A sum of very many vectors.
                return np.zeros((number, hidden), np.float64)


def _needed(output: Output) -> Output:
    return output if output.pooling in ("cls", "pooled") else Output(output.layer)


def _refuse(heads: Ints, capacities: Ints, steps: Ints, window: Window) -> None:
    if (steps < 1).any():
        row = int((steps < 1).argmax())
        raise InputError(
            f"text {row} is a pair, whose first text is kept whole in every window: with its special tokens it takes "
            f"{heads[row] + 1:,} of the window's {window.size}, and the {max(0, capacities[row])} that are left for "
            f"the second must be more than the stride of {window.stride}; use a larger window or a smaller stride, or "
            "shorten the first text"
        )


def _whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
