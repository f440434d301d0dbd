"""Code that the peers share: tokenization by the `tokenizers` library, and batches of 32 in the ordinary way."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

BATCH = 32
_LONGEST = 512

Integers = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Padded:
    """ids, mask and type_ids [b, s], and the `rows` of the call that they are."""

    ids: Integers
    mask: Integers
    type_ids: Integers
    rows: list[int]


class Batcher:
    """Makes padded batches of texts. `width` pads and truncates to that many tokens; None pads to the longest."""

    def __init__(self, vocabulary: Path, *, in_order: bool, dtype: type, width: int | None = None) -> None:
        # Imported here: a start-up measurement must not pay for what it does not use.
        from tokenizers import BertWordPieceTokenizer

        self._tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        self._tokenizer.enable_truncation(width or _LONGEST)
        self._sorted, self._dtype, self._width = not in_order, dtype, width

    def lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text, `[CLS]` and `[SEP]` included."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(texts)]

    def batches(self, texts: list[str]) -> Iterator[Padded]:
        """All texts, 32 at a time: the longest first, or in the caller's order."""
        rows_of_ids = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        order = list(range(len(texts)))
        if self._sorted:
            order.sort(key=lambda row: -len(rows_of_ids[row]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            width = self._width or max(len(rows_of_ids[row]) for row in rows)
            ids: Integers = np.zeros((len(rows), width), self._dtype)
            mask = np.zeros_like(ids)
            for place, row in enumerate(rows):
                count = len(rows_of_ids[row])
                ids[place, :count] = rows_of_ids[row]
                mask[place, :count] = 1
            yield Padded(ids, mask, np.zeros_like(ids), rows)

    def encode(self, texts: list[str], run: Callable[[Padded], Floats]) -> Floats:
        """What `run` gives for each batch, in the caller's order: float32 [n, hidden], or of token vectors
        [n, longest, hidden] with zeros behind a text's last token."""
        parts = [(batch, run(batch)) for batch in self.batches(texts)]
        first = parts[0][1]
        if first.ndim == 2:
            result = np.empty((len(texts), first.shape[1]), np.float32)
            for batch, vectors in parts:
                result[batch.rows] = vectors
            return result
        width = max(vectors.shape[1] for _, vectors in parts)
        result = np.zeros((len(texts), width, first.shape[2]), np.float32)
        for batch, vectors in parts:
            for row, length, own in zip(batch.rows, batch.mask.sum(axis=1), vectors, strict=True):
                result[row, :length] = own[:length]
        return result
