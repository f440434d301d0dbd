"""`Tokens`: the tokens of several texts in ragged form, flat arrays without padding and the places where rows begin."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.cached import cached_property

__all__ = ["Tokens", "pad_rows"]


@dataclass(frozen=True, eq=False, repr=False)
class Tokens(Brief):
    """The tokens of `n` texts, `t` in all.

    `ids` and `type_ids` are int32 [t]; the tokens of text `i` are those from `row_splits[i]` to `row_splits[i + 1]`
    (int64 [n + 1]). `truncated` is bool [n]: which texts were truncated. `offsets`, where they were asked for, are
    int32 [t, 2]: the characters of its text that a token stands for, and (0, 0) for `[CLS]` and `[SEP]`; in a pair the
    separator between them, and for most models the type id, tells which of the two texts is meant. `bounds` int64
    [n, 2] are where in its row the first text ends and the last one begins, which are one where there is no pair: texts
    can hold `[SEP]`, too.
    """

    ids: npt.NDArray[np.int32]
    type_ids: npt.NDArray[np.int32]
    row_splits: npt.NDArray[np.int64]
    truncated: npt.NDArray[np.bool_]
    offsets: npt.NDArray[np.int32] | None = None
    bounds: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.row_splits) - 1

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The number of tokens of each text, `[CLS]` and `[SEP]` included: int64 [n]."""
        return np.diff(self.row_splits)


def pad_rows(
    flat: npt.NDArray[np.int32], row_splits: npt.NDArray[np.int64], *, width: int, value: int = 0
) -> npt.NDArray[np.int32]:
    """A ragged array as a padded one: [n, width], filled with `value` on the right."""
    lengths = np.diff(row_splits)
    padded = np.full((len(lengths), width, *flat.shape[1:]), value, np.int32)
    padded[np.arange(width) < lengths[:, None]] = flat[row_splits[0] : row_splits[-1]]
    return padded
