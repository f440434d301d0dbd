"""The operations that a network is written in, and that a backend implements.

A backend is a class with these methods. `T` is its tensor (a NumPy array, a node of a graph, a Keras tensor ...),
`W` the type in which it takes weights. Shapes: `b` texts, `s` positions, `h` hidden width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from berthub.config import Activation

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Rows = npt.NDArray[np.int32]
else:
    # Who only lists models need not wait for NumPy: networks import it where they compute.
    Rows = Any
"""The row of a table for each distance from a query to a key: at `m - 1 + d` of 2 m numbers that for the distance `d`.

A key at position j is `j - i` from a query at position i. Texts have at most m positions; the last number is for none.
"""

__all__ = ["MASKED", "Dense", "Ops", "Rows", "WeightedPooling"]

MASKED = -1e9
"""The number added to scores where a mask is 0: far below any score, far from overflow, representable in bfloat16."""

WeightedPooling = Literal["mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
"""The poolings that are a sum of the tokens' vectors with weights of their positions."""

T = TypeVar("T")
W_co = TypeVar("W_co", covariant=True)
W_contra = TypeVar("W_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Dense(Generic[W_co]):
    """A dense layer: the scope that its weights' names begin with, its kernel [in, out] and its bias [out], if any."""

    name: str
    kernel: W_co
    bias: W_co | None

    @property
    def kernel_name(self) -> str:
        """The canonical name of the kernel."""
        return f"{self.name}/kernel"


class Ops(Protocol[T, W_contra]):
    """The operations that a backend offers to a network."""

    def gather(self, table: W_contra, ids: T) -> T:
        """Rows of `table` [n, h] at `ids` [b, s]: [b, s, h]."""

    def leading_rows(self, table: W_contra, ids: T, *, first: int = 0) -> T:
        """Rows of `table` [n, h] from row `first` on, one for each position of `ids` [b, s]: [1, s, h]."""

    def constant_rows(self, name: str, table: "npt.NDArray[np.float32]", ids: T) -> T:
        """Rows of a `table` [n, d] that is no weight, one for each position of `ids` [b, s]: [1, s, d].

        Equal names mean equal tables.
        """

    def rotate(self, x: T, cos: T, sin: T, *, heads: int) -> T:
        """Rotary positions (https://arxiv.org/abs/2104.09864): each head's vectors are turned by angles [1, s, d].

        A head's components i and i + d/2 are one pair, so that `cos` and `sin` have each angle twice: [b, s, heads * d]
        to the same.
        """

    def dense(self, x: T, layer: Dense[W_contra]) -> T:
        """`x @ kernel + bias`: [..., in] to [..., out]."""

    def dense_group(self, x: T, layers: Sequence[Dense[W_contra]]) -> tuple[T, ...]:
        """The output of each of several dense layers that have the same input `x`, such as query, key and value.

        A backend may compute them as one matrix product. This one computes one layer after the other.
        """
        return tuple(self.dense(x, layer) for layer in layers)

    def table(self, table: W_contra) -> T:
        """The rows of `table` [n, h] as vectors: [1, n, h]."""

    def table_dense(self, x: T, layer: Dense[W_contra]) -> T:
        """A dense layer on vectors that belong to no text, but come from a table: [1, n, in] to [1, n, out].

        A backend that rounds the input of dense layers does not do so here.
        """
        return self.dense(x, layer)

    def tied_dense(self, x: T, table: W_contra, bias: W_contra) -> T:
        """`x @ table.T + bias`: [..., h] to [..., n], with an embedding table [n, h]."""

    def scale_shift(self, x: T, gamma: W_contra, beta: W_contra) -> T:
        """`x * gamma + beta`, along the last axis."""

    def layer_norm(self, x: T, gamma: W_contra, beta: W_contra | None, *, eps: float) -> T:
        """Zero mean and unit variance along the last axis, then scaled and shifted (https://arxiv.org/abs/1607.06450).

        Without `beta` it is not shifted.
        """

    def activation(self, x: T, name: Activation) -> T:
        """The activation of the feed-forward layers, elementwise."""

    def tanh(self, x: T) -> T:
        """The hyperbolic tangent, elementwise."""

    def add(self, x: T, y: T) -> T:
        """The sum, broadcast."""

    def multiply(self, x: T, y: T) -> T:
        """The product, elementwise, of two of the same shape."""

    def neighbours(self, x: T) -> T:
        """Each position's vector between those of the next and of the previous position: [b, s, h] to [b, s, 3h].

        Zeros stand for what is outside the row.
        """

    def masked(self, x: T, mask: T) -> T:
        """`x` [b, s, h] with zeros where the mask [b, s] is 0."""

    def dropout(self, x: T, rate: float) -> T:
        """Dropout: in training a random `rate` of `x` is set to zero and the rest scaled up; otherwise `x` itself."""

    def attention_bias(self, mask: T) -> T:
        """What to add to attention scores, from a mask [b, s] of ones and zeros: see `attention`."""

    def relative_bias(self, table: W_contra, ids: T, rows: Rows, *, first_only: bool = False) -> T:
        """A number for each head and distance, as scores of `attention`: `table` [n, heads] to [1, heads, s, s].

        The numbers are rows of the table: see `Rows`. `ids` [b, s] only say how many positions there are. With
        `first_only` the query is the first position alone, [1, heads, 1, s].
        """

    def relative_scores(
        self,
        query: T,
        key: T,
        ids: T,
        rows: Rows,
        *,
        keys: T | None,
        queries: T | None,
        heads: int,
        scale: float,
        first_only: bool = False,
    ) -> T:
        """What content and distance make of each other, as scores of `attention`: [b, heads, q, k], from [b, s, h].

        `rows` chooses for each distance (see `Rows`) one of n vectors [1, n, h]: of `keys`, which are multiplied with
        the query, and of `queries`, which are multiplied with the key; None: there are none. Both products are
        multiplied with `scale` and added: disentangled attention (https://arxiv.org/abs/2006.03654). The numbers of
        `rows` must not rise. `ids` [b, s] only say how many positions there are; with `first_only` the query has the
        first one alone.
        """

    def local_bias(self, bias: T, *, window: int, first_only: bool) -> T:
        """`attention_bias` for tokens that see others up to `window` positions away: [b, 1, s, s].

        With `first_only` it is that of the first position alone, [b, 1, 1, s].
        """

    def attention(
        self,
        query: T,
        key: T,
        value: T,
        bias: T,
        *,
        heads: int,
        dropout: float,
        mixing: tuple[W_contra, W_contra] | None = None,
        scale: float | None = None,
        scores: T | None = None,
    ) -> T:
        """Scaled dot-product attention in `heads` heads (https://arxiv.org/abs/1706.03762): all [b, s, h].

        `query` may have fewer positions than the others; the result has as many as it. Masked keys get no weight.
        `dropout` falls on the weights. `mixing` are two matrices [heads, heads], from heads to heads, that mix the
        scores and the weights of the heads: talking-heads attention (https://arxiv.org/abs/2003.02436). `scale` is what
        the products of queries and keys are multiplied with; None: one by the root of the width of a head. `scores` are
        added to these products: [b, heads, q, k], or [1, heads, q, k] for all texts alike.
        """

    def first(self, x: T) -> T:
        """The first position's vectors: [b, s, h] to [b, h]."""

    def first_as_sequence(self, x: T) -> T:
        """The first position's vectors as sequences of length one: [b, s, h] to [b, 1, h]."""

    def at_positions(self, x: T, positions: T) -> T:
        """The vectors at `positions` [b, p] of each row: [b, s, h] to [b, p, h]."""

    def masked_mean(self, x: T, mask: T) -> T:
        """The mean of the unmasked positions' vectors: [b, s, h] and [b, s] to [b, h]; zeros where all are masked."""

    def masked_max(self, x: T, mask: T) -> T:
        """The largest value of each component over the unmasked positions: [b, s, h] and [b, s] to [b, h]."""

    def weighted_sum(self, x: T, weights: T) -> T:
        """The sum of the positions' vectors times their `weights`: [b, s, h] and [b, s] to [b, h]."""

    def pooling_weights(self, mask: T, pooling: WeightedPooling) -> T:
        """The weights [b, s] of a pooling that is a weighted sum; 0 where the mask is, or in all of a row without ones.

        mean_sqrt_len_tokens: one over the square root of the number of unmasked positions. weightedmean: the positions
        1, 2, 3 ... over their sum. lasttoken: 1 at the last unmasked position.
        """

    def without_first(self, mask: T, count: int) -> T:
        """The mask [b, s] with zeros at the first `count` positions."""
