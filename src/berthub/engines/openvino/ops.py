"""The operations as nodes of an OpenVINO graph."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino.opset13 as op

from berthub.checkpoint import Weights
from berthub.config import Activation
from berthub.engines.engine import Floats
from berthub.engines.numpy import NumpyOps
from berthub.networks.ops import MASKED, Dense, Ops, Rows, WeightedPooling

__all__ = ["OpenVinoOps", "Weight", "floats", "integers", "named_weights"]


@dataclass(frozen=True, slots=True, eq=False)
class Weight:
    """A weight of the model: its canonical name and its values."""

    name: str
    array: Floats


def named_weights(weights: Weights) -> dict[str, Weight]:
    """The weights of a checkpoint as `OpenVinoOps` takes them."""
    return {name: Weight(name, array) for name, array in weights.items()}


class OpenVinoOps(Ops[Any, Weight]):
    """`berthub.networks.ops.Ops` on nodes of an OpenVINO graph; the weights' arrays are shared, not copied."""

    def __init__(self) -> None:
        # One node for each name: where layers share a weight, it is kept, and converted, once.
        self._constants: dict[tuple[str, int], Any] = {}
        self._distance_places: dict[tuple[bytes, bool], _Places] = {}

    def gather(self, table: Weight, ids: Any) -> Any:
        return op.gather(self.shared(table), ids, integers(0))

    def leading_rows(self, table: Weight, ids: Any, *, first: int = 0) -> Any:
        length = op.unsqueeze(_length(ids), integers([0]))
        rows = op.slice(self.shared(table, first=first), integers([0]), length, integers([1]), integers([0]))
        return op.unsqueeze(rows, integers([0]))

    def constant_rows(self, name: str, table: Floats, ids: Any) -> Any:
        return self.leading_rows(Weight(name, table), ids)

    def rotate(self, x: Any, cos: Any, sin: Any, *, heads: int) -> Any:
        width = x.get_output_partial_shape(0)[2].get_length()
        size = width // heads
        # Spelled out, since the plugin recognises this pattern and runs it as one operation.
        split = op.reshape(x, integers([0, 0, heads, size]), special_zero=True)
        first, second = op.variadic_split(split, integers(3), integers([size // 2, size // 2])).outputs()
        turned = op.concat([op.multiply(second, floats(-1)), first], -1)
        cos, sin = (op.unsqueeze(rows, integers([2])) for rows in (cos, sin))
        summed = op.add(op.multiply(split, cos), op.multiply(turned, sin))
        return op.reshape(summed, integers([0, 0, width]), special_zero=True)

    def dense(self, x: Any, layer: Dense[Weight]) -> Any:
        kernel = layer.kernel.array
        # A kernel that came as [out, in] is the transposed view of what lies in memory.
        transposed = not kernel.flags.c_contiguous and kernel.T.flags.c_contiguous
        weight = self.shared(Weight(layer.kernel.name, kernel.T) if transposed else layer.kernel)
        inputs, outputs = kernel.shape
        # A wider output has an activation. The plugin would make a convolution over [s, inputs] of that, unless s is 1.
        # Its blocks fit short sequences badly (on texts of 11 tokens BERT-base as a whole takes 1.14 times as long),
        # and for other lengths it wants its weights packed another way, and keeps both.
        expanding = outputs > inputs and x.get_output_partial_shape(0).rank.get_length() == 3
        if expanding:
            x = op.reshape(x, integers([0, 0, 1, inputs]), special_zero=True)
        y = op.matmul(x, weight, transpose_a=False, transpose_b=transposed)
        if layer.bias is not None:
            y = op.add(y, self.shared(layer.bias))
        return op.reshape(y, integers([0, 0, outputs]), special_zero=True) if expanding else y

    def table(self, table: Weight) -> Any:
        # An array, since no text changes it: the plugin would fold it to a constant, too, but takes seconds for that.
        return table.array[None]

    def table_dense(self, x: Any, layer: Dense[Weight]) -> Any:
        bias = None if layer.bias is None else layer.bias.array
        return op.constant(NumpyOps().dense(x, Dense(layer.name, layer.kernel.array, bias)))

    def tied_dense(self, x: Any, table: Weight, bias: Weight) -> Any:
        return op.add(op.matmul(x, self.shared(table), transpose_a=False, transpose_b=True), self.shared(bias))

    def scale_shift(self, x: Any, gamma: Weight, beta: Weight) -> Any:
        return op.add(op.multiply(x, self.shared(gamma)), self.shared(beta))

    def layer_norm(self, x: Any, gamma: Weight, beta: Weight | None, *, eps: float) -> Any:
        if isinstance(x, np.ndarray):
            return NumpyOps().layer_norm(x, gamma.array, None if beta is None else beta.array, eps=eps)
        normed = op.mvn(x, integers([-1]), normalize_variance=True, eps=eps, eps_mode="inside_sqrt")
        scaled = op.multiply(normed, self.shared(gamma))
        return scaled if beta is None else op.add(scaled, self.shared(beta))

    def activation(self, x: Any, name: Activation) -> Any:
        match name:
            case "relu":
                return op.relu(x)
            case "gelu_tanh":
                return op.gelu(x, "tanh")
            case "gelu_erf":
                return op.gelu(x, "erf")
            case "silu":
                return op.swish(x)

    def tanh(self, x: Any) -> Any:
        return op.tanh(x)

    def add(self, x: Any, y: Any) -> Any:
        return op.add(x, y)

    def multiply(self, x: Any, y: Any) -> Any:
        return op.multiply(x, y)

    def neighbours(self, x: Any) -> Any:
        # One position of zeros at either end, and then the row from the third, second and first position on.
        padded = op.pad(x, integers([0, 1, 0]), integers([0, 1, 0]), "constant", floats(0))
        first, last = (
            op.slice(padded, integers([at]), integers([end]), integers([1]), integers([1]))
            for at, end in ((0, -2), (2, 2**31 - 1))
        )
        return op.concat([last, x, first], 2)

    def masked(self, x: Any, mask: Any) -> Any:
        return op.multiply(x, op.unsqueeze(op.convert(mask, "f32"), integers([2])))

    def dropout(self, x: Any, rate: float) -> Any:
        return x

    def attention_bias(self, mask: Any) -> Any:
        return op.unsqueeze(_penalty(mask), integers([1, 2]))

    def relative_bias(self, table: Weight, ids: Any, rows: Rows, *, first_only: bool = False) -> Any:
        length, numbers = _length(ids), self._distances(self.shared(table), ids, rows, axis=0)
        # [heads, 2 s]: what is gathered then lies in the order of the result.
        numbers = op.transpose(numbers, integers([1, 0]))
        positions = op.range(integers(0), length, integers(1), "i32")
        places = op.unsqueeze(op.add(positions, op.subtract(length, integers(1))), integers([0]))
        if not first_only:
            places = op.subtract(places, op.unsqueeze(positions, integers([1])))
        return op.unsqueeze(op.gather(numbers, places, integers(1)), integers([0]))

    def _distances(self, x: Any, ids: Any, rows: Rows, *, axis: int) -> Any:
        """What `x` has along `axis` for the distances from 1 - s to s, where `ids` are [b, s]."""
        length, middle = op.unsqueeze(_length(ids), integers([0])), integers([len(rows) // 2])
        chosen = op.slice(
            op.constant(rows), op.subtract(middle, length), op.add(middle, length), integers([1]), integers([0])
        )
        return op.gather(x, chosen, integers(axis))

    def relative_scores(
        self,
        query: Any,
        key: Any,
        ids: Any,
        rows: Rows,
        *,
        keys: Any | None,
        queries: Any | None,
        heads: int,
        scale: float,
        first_only: bool = False,
    ) -> Any:
        width = query.get_output_partial_shape(0)[2].get_length()

        def split(x: Any) -> Any:
            return op.transpose(
                op.reshape(x, integers([0, 0, heads, width // heads]), special_zero=True),
                integers([0, 2, 1, 3]),
            )

        places = self._places(ids, rows, first_only=first_only)

        def products(x: Any, vectors: Any, chosen: Any) -> Any:
            scaled = op.multiply(split(vectors), floats(scale))
            own = op.slice(scaled, places.low, places.high, integers([1]), integers([2]))
            found = op.matmul(split(x), own, transpose_a=False, transpose_b=True)
            return op.gather(op.reshape(found, integers([0, 0, -1]), special_zero=True), chosen, integers(2))

        parts = []
        if keys is not None:
            parts.append(products(query, keys, places.of_queries))
        if queries is not None:
            parts.append(products(key, queries, places.of_keys))
        return functools.reduce(op.add, parts)

    def _places(self, ids: Any, rows: Rows, *, first_only: bool) -> "_Places":
        """The same nodes for all layers."""
        name = rows.tobytes(), first_only
        if name not in self._distance_places:
            table, middle, length = op.constant(rows), integers(len(rows) // 2 - 1), _length(ids)
            keys = op.range(integers(0), length, integers(1), "i32")
            queries = integers([0]) if first_only else keys
            distances = op.subtract(op.unsqueeze(keys, integers([0])), op.unsqueeze(queries, integers([1])))
            reach = op.subtract(length, integers(1))
            low = op.gather(table, op.add(middle, reach), integers(0))
            high = op.add(op.gather(table, op.subtract(middle, reach), integers(0)), integers(1))
            chosen = op.subtract(op.gather(table, op.add(distances, middle), integers(0)), low)
            count = op.subtract(high, low)
            self._distance_places[name] = _Places(
                low=op.unsqueeze(low, integers([0])),
                high=op.unsqueeze(high, integers([0])),
                of_queries=op.add(op.unsqueeze(op.multiply(queries, count), integers([1])), chosen),
                of_keys=op.add(op.unsqueeze(op.multiply(keys, count), integers([0])), chosen),
            )
        return self._distance_places[name]

    def local_bias(self, bias: Any, *, window: int, first_only: bool) -> Any:
        length = op.gather(op.shape_of(bias, output_type="i32"), integers(3), integers(0))
        keys = op.range(integers(0), length, integers(1), "i32")
        queries = integers([0]) if first_only else keys
        distances = op.abs(op.subtract(op.unsqueeze(queries, integers([1])), op.unsqueeze(keys, integers([0]))))
        return op.select(op.less_equal(distances, integers(window)), bias, floats(MASKED))

    def attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        bias: Any,
        *,
        heads: int,
        dropout: float,
        mixing: tuple[Weight, Weight] | None = None,
        scale: float | None = None,
        scores: Any | None = None,
    ) -> Any:
        width = query.get_output_partial_shape(0)[2].get_length()

        def split(x: Any) -> Any:
            return op.transpose(
                op.reshape(x, integers([0, 0, heads, width // heads]), special_zero=True),
                integers([0, 2, 1, 3]),
            )

        # Spelled out, since the plugin recognises this pattern and runs it as one operation.
        products = op.matmul(split(query), split(key), transpose_a=False, transpose_b=True)
        factor = floats((width // heads) ** -0.5 if scale is None else scale)
        if mixing is None and scores is None:
            # The bias is 0 or beyond all scores, so that it can come first. Otherwise the plugin moves the scale into
            # the dense layer of the keys, which it then makes a convolution (see `dense`).
            logits = op.multiply(op.add(products, bias), factor)
        else:
            logits = op.multiply(products, factor)
            logits = logits if scores is None else op.add(logits, scores)
            logits = op.add(logits if mixing is None else _mixed(logits, self.shared(mixing[0])), bias)
        weights = op.softmax(logits, -1)
        weights = weights if mixing is None else _mixed(weights, self.shared(mixing[1]))
        context = op.matmul(weights, split(value), transpose_a=False, transpose_b=False)
        return op.reshape(op.transpose(context, integers([0, 2, 1, 3])), integers([0, 0, width]), special_zero=True)

    def first(self, x: Any) -> Any:
        return op.gather(x, integers(0), integers(1))

    def first_as_sequence(self, x: Any) -> Any:
        return op.gather(x, integers([0]), integers(1))

    def at_positions(self, x: Any, positions: Any) -> Any:
        return op.gather(x, positions, integers(1), batch_dims=1)

    def masked_mean(self, x: Any, mask: Any) -> Any:
        weights = op.convert(mask, "f32")
        return op.divide(self.weighted_sum(x, weights), _row_sums(weights))

    def masked_max(self, x: Any, mask: Any) -> Any:
        return op.reduce_max(op.add(x, op.unsqueeze(_penalty(mask), integers([2]))), integers([1]), keep_dims=False)

    def weighted_sum(self, x: Any, weights: Any) -> Any:
        # As a matrix product, [b, 1, s] @ [b, s, h]: the sum over positions in one pass.
        total = op.matmul(op.unsqueeze(weights, integers([1])), x, transpose_a=False, transpose_b=False)
        return op.squeeze(total, integers([1]))

    def pooling_weights(self, mask: Any, pooling: WeightedPooling) -> Any:
        real = op.convert(mask, "f32")
        places = op.multiply(real, op.convert(_positions(mask, first=1), "f32"))
        match pooling:
            case "mean_sqrt_len_tokens":
                return op.divide(real, op.sqrt(_row_sums(real)))
            case "weightedmean":
                return op.divide(places, _row_sums(places))
            case "lasttoken":
                last = op.equal(places, op.reduce_max(places, integers([1]), keep_dims=True))
                return op.multiply(real, op.convert(last, "f32"))

    def without_first(self, mask: Any, count: int) -> Any:
        kept = op.greater_equal(_positions(mask, first=0), integers(count))
        return op.multiply(mask, op.convert_like(kept, mask))

    def shared(self, weight: Weight, *, first: int = 0) -> Any:
        """The constant of a weight, from row `first` on; it lies in the weight's own memory."""
        key = weight.name, first
        if key not in self._constants:
            array = weight.array[first:] if first else weight.array
            whole = array if array.flags.c_contiguous else np.ascontiguousarray(array)
            self._constants[key] = op.constant(np.asarray(_Writable(whole)), shared_memory=True)
        return self._constants[key]


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where the products of contents with vectors of distances are, for texts of one length.

    Of the vectors only those from `low` to before `high` are taken, which this length has: the numbers of the rows fall
    from end to end. In the products [positions * vectors], flat, `of_queries` and `of_keys` [q, k] are the places of
    those of the query, and of the key, with the vector of their distance.
    """

    low: Any
    high: Any
    of_queries: Any
    of_keys: Any


class _Writable:
    """The memory of an array, declared writable: OpenVINO shares no other, and never writes to a constant."""

    def __init__(self, array: Floats) -> None:
        # What is made of this has it as its base, and so holds the array.
        self._array = array
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}


def _mixed(x: Any, matrix: Any) -> Any:
    """[b, n, q, k] to [b, m, q, k], the heads `n` mixed to `m` by a matrix [n, m]."""
    count = matrix.get_output_partial_shape(0)[0].get_length()
    shape = op.shape_of(x, output_type="i32")
    flat = op.reshape(x, integers([0, count, -1]), special_zero=True)
    mixed = op.matmul(matrix, flat, transpose_a=True, transpose_b=False)
    return op.reshape(mixed, shape, special_zero=False)


def _row_sums(weights: Any) -> Any:
    """The sums of rows [b, s], at least 1: [b, 1]."""
    return op.maximum(op.reduce_sum(weights, integers([1]), keep_dims=True), floats(1))


def _positions(mask: Any, *, first: int) -> Any:
    """The positions of a row, counted from `first`: int32 [s]."""
    width = op.gather(op.shape_of(mask, output_type="i32"), integers(1), integers(0))
    return op.range(integers(first), op.add(width, integers(first)), integers(1), output_type="i32")


def _penalty(mask: Any) -> Any:
    """0 where the mask is 1, `MASKED` where it is 0."""
    masked = op.subtract(op.convert(mask, "f32"), floats(1))  # 0 and -1
    return op.multiply(masked, floats(-MASKED))


def _length(ids: Any) -> Any:
    """How many positions the rows have, a scalar."""
    return op.gather(op.shape_of(ids, output_type="i32"), integers(1), integers(0))


def integers(values: Any) -> Any:
    """An int32 constant."""
    return op.constant(np.asarray(values, np.int32))


def floats(value: float) -> Any:
    """A float32 constant."""
    return op.constant(np.float32(value))
