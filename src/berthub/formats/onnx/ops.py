"""A network's operations as nodes of an ONNX graph (opset 17, https://onnx.ai/onnx/operators)."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.config import Activation
from berthub.networks.ops import MASKED, Dense, Ops, Rows, WeightedPooling
from berthub.vector_layers import DenseLayer, NormLayer, UnitLength, VectorActivation, VectorLayer

__all__ = ["OPSET", "OnnxOps", "Value", "Weight"]

OPSET = 17
"""The lowest that has layer norms."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph: its name, and how wide its last axis is (0: an input, of integers)."""

    name: str
    width: int = 0


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight of the model, an initializer of the graph."""

    name: str
    shape: tuple[int, ...]


class OnnxOps(Ops[Value, Weight]):
    """`berthub.networks.ops.Ops` for ONNX: each call adds nodes to `nodes` and their numbers to `constants`."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper

        self._helper = helper
        self._numpy_helper = numpy_helper
        self._tables: set[str] = set()
        self.nodes: list[Any] = []
        self.constants: dict[str, npt.NDArray[Any]] = {}

    def gather(self, table: Weight, ids: Value) -> Value:
        return self._node("Gather", table, ids, width=table.shape[1], axis=0)

    def leading_rows(self, table: Weight, ids: Value, *, first: int = 0) -> Value:
        length = self._length(ids)
        end = self._node("Add", length, self._integers(first)) if first else length
        rows = self._node("Slice", table, self._integers(first), end, self._integers(0), width=table.shape[1])
        return self._node("Unsqueeze", rows, self._integers(0), width=rows.width)

    def constant_rows(self, name: str, table: npt.NDArray[np.float32], ids: Value) -> Value:
        if name not in self._tables:
            # A node, since the initializers of floats are the weights.
            tensor = self._numpy_helper.from_array(table, name)
            self.nodes.append(self._helper.make_node("Constant", [], [name], name=name, value=tensor))
            self._tables.add(name)
        return self.leading_rows(Weight(name, table.shape), ids)

    def rotate(self, x: Value, cos: Value, sin: Value, *, heads: int) -> Value:
        size = x.width // heads
        cos, sin = (self._node("Unsqueeze", rows, self._integers(2)) for rows in (cos, sin))
        split = self._node("Reshape", x, self._integers(0, 0, heads, size))
        first, second = (
            self._node("Slice", split, self._integers(at), self._integers(at + size // 2), self._integers(3))
            for at in (0, size // 2)
        )
        turned = self._node("Concat", self._node("Neg", second), first, axis=-1)
        summed = self.add(self.multiply(split, cos), self.multiply(turned, sin))
        return self._node("Reshape", summed, self._integers(0, 0, x.width), width=x.width)

    def dense(self, x: Value, layer: Dense[Weight]) -> Value:
        product = self._node("MatMul", x, layer.kernel, width=layer.kernel.shape[1])
        return product if layer.bias is None else self._node("Add", product, layer.bias, width=product.width)

    def table(self, table: Weight) -> Value:
        return self._node("Unsqueeze", table, self._integers(0), width=table.shape[1])

    def tied_dense(self, x: Value, table: Weight, bias: Weight) -> Value:
        # As a matrix, since only Gemm takes the table as it lies in memory, transposed.
        count, width = table.shape
        rows = self._node("Reshape", x, self._integers(-1, width), width=width)
        scores = self._node("Gemm", rows, table, bias, width=count, transB=1)
        shape = self._node("Concat", self._node("Shape", x, start=0, end=2), self._integers(count), axis=0)
        return self._node("Reshape", scores, shape, width=count, allowzero=1)

    def scale_shift(self, x: Value, gamma: Weight, beta: Weight) -> Value:
        scaled = self._node("Mul", x, gamma, width=x.width)
        return self._node("Add", scaled, beta, width=x.width)

    def layer_norm(self, x: Value, gamma: Weight, beta: Weight | None, *, eps: float) -> Value:
        scale_and_shift = (gamma,) if beta is None else (gamma, beta)
        return self._node("LayerNormalization", x, *scale_and_shift, width=x.width, axis=-1, epsilon=eps)

    def activation(self, x: Value, name: Activation) -> Value:
        # Gelu is an operation of opset 20 only.
        match name:
            case "relu":
                return self._node("Relu", x, width=x.width)
            case "silu":
                return self.multiply(x, self._node("Sigmoid", x, width=x.width))
            case "gelu_tanh":
                cube = self.multiply(self.multiply(x, x), self._scaled(x, 0.044715))
                inside = self.tanh(self._scaled(self.add(x, cube), math.sqrt(2 / math.pi)))
            case "gelu_erf":
                inside = self._node("Erf", self._scaled(x, math.sqrt(0.5)), width=x.width)
        return self.multiply(self._scaled(x, 0.5), self.add(inside, self._float(1)))

    def tanh(self, x: Value) -> Value:
        return self._node("Tanh", x, width=x.width)

    def add(self, x: Value, y: Value) -> Value:
        return self._node("Add", x, y, width=x.width)

    def multiply(self, x: Value, y: Value) -> Value:
        return self._node("Mul", x, y, width=x.width)

    def neighbours(self, x: Value) -> Value:
        padded = self._node("Pad", x, self._integers(0, 1, 0, 0, 1, 0), self._float(0), width=x.width)
        following = self._positions(padded, 2, 2**31 - 1)
        previous = self._positions(padded, 0, -2)
        return self._node("Concat", following, x, previous, width=3 * x.width, axis=2)

    def masked(self, x: Value, mask: Value) -> Value:
        kept = self._node("Cast", self._node("Cast", mask, to=_BOOL), to=_FLOAT)
        return self.multiply(x, self._node("Unsqueeze", kept, self._integers(2)))

    def dropout(self, x: Value, rate: float) -> Value:
        return x

    def attention_bias(self, mask: Value) -> Value:
        return self._node("Unsqueeze", self._penalty(mask, MASKED), self._integers(1, 2))

    def relative_bias(self, table: Weight, ids: Value, rows: Rows, *, first_only: bool = False) -> Value:
        keys = self._node("Range", self._scalar(0), self._squeezed(self._length(ids)), self._scalar(1))
        middle = self._scalar(len(rows) // 2 - 1)
        places = self._node("Unsqueeze", self._node("Add", keys, middle), self._integers(0))
        if not first_only:
            places = self._node("Sub", places, self._node("Unsqueeze", keys, self._integers(1)))
        numbers = self._node("Gather", table, self._node("Gather", self._rows(rows), places, axis=0), axis=0)
        return self._node("Unsqueeze", self._node("Transpose", numbers, perm=(2, 0, 1)), self._integers(0))

    def relative_scores(
        self,
        query: Value,
        key: Value,
        ids: Value,
        rows: Rows,
        *,
        keys: Value | None,
        queries: Value | None,
        heads: int,
        scale: float,
        first_only: bool = False,
    ) -> Value:
        size = query.width // heads

        def split(x: Value, *axes: int) -> Value:
            return self._node("Transpose", self._node("Reshape", x, self._integers(0, 0, heads, size)), perm=axes)

        table, middle = self._rows(rows), self._scalar(len(rows) // 2 - 1)
        keys_ = self._node("Range", self._scalar(0), self._squeezed(self._length(ids)), self._scalar(1))
        queries_ = self._integers(0) if first_only else keys_
        distances = self._node(
            "Sub",
            self._node("Unsqueeze", self._node("Add", keys_, middle), self._integers(0)),
            self._node("Unsqueeze", queries_, self._integers(1)),
        )
        # Of the vectors only those are taken that this length has: the numbers of the rows fall from end to end.
        reach = self._node("Sub", self._length(ids), self._scalar(1))
        low = self._node("Gather", table, self._node("Add", middle, reach))
        high = self._node("Add", self._node("Gather", table, self._node("Sub", middle, reach)), self._scalar(1))
        count = self._node("Sub", high, low)
        chosen = self._node("Sub", self._node("Gather", table, distances), low)

        def products(x: Value, vectors: Value, places: Value, axis: int) -> Value:
            own = self._node("Slice", split(self._scaled(vectors, scale), 0, 2, 3, 1), low, high, self._integers(3))
            found = self._node("MatMul", split(x, 0, 2, 1, 3), own)
            flat = self._node("Reshape", found, self._integers(0, 0, -1))
            starts = self._node("Unsqueeze", self._node("Mul", places, count), self._integers(axis))
            return self._node("Gather", flat, self._node("Add", starts, chosen), axis=2)

        parts = []
        if keys is not None:
            parts.append(products(query, keys, queries_, 1))
        if queries is not None:
            parts.append(products(key, queries, keys_, 0))
        return functools.reduce(self.add, parts)

    def local_bias(self, bias: Value, *, window: int, first_only: bool) -> Value:
        length = self._node("Squeeze", self._node("Shape", bias, start=3, end=4))
        keys = self._node("Range", self._integer(0), length, self._integer(1))
        queries = self._integers(0) if first_only else keys
        rows, columns = (
            self._node("Unsqueeze", queries, self._integers(1)),
            self._node("Unsqueeze", keys, self._integers(0)),
        )
        distances = self._node("Abs", self._node("Sub", rows, columns))
        near = self._node("LessOrEqual", distances, self._integer(window))
        return self._node("Where", near, bias, self._float(MASKED))

    def attention(
        self,
        query: Value,
        key: Value,
        value: Value,
        bias: Value,
        *,
        heads: int,
        dropout: float,
        mixing: tuple[Weight, Weight] | None = None,
        scale: float | None = None,
        scores: Value | None = None,
    ) -> Value:
        size = query.width // heads

        def split(x: Value, *axes: int) -> Value:
            return self._node("Transpose", self._node("Reshape", x, self._integers(0, 0, heads, size)), perm=axes)

        logits = self._node("MatMul", split(query, 0, 2, 1, 3), split(key, 0, 2, 3, 1))
        logits = self._scaled(logits, 1 / math.sqrt(size) if scale is None else scale)
        if scores is not None:
            logits = self.add(logits, scores)
        if mixing is not None:
            logits = self._node("Einsum", logits, mixing[0], equation="bnqk,nm->bmqk")
        weights = self._node("Softmax", self.add(logits, bias), axis=-1)
        if mixing is not None:
            weights = self._node("Einsum", weights, mixing[1], equation="bnqk,nm->bmqk")
        context = self._node("MatMul", weights, split(value, 0, 2, 1, 3))
        joined = self._node("Transpose", context, perm=(0, 2, 1, 3))
        return self._node("Reshape", joined, self._integers(0, 0, query.width), width=query.width)

    def first(self, x: Value) -> Value:
        return self._node("Squeeze", self.first_as_sequence(x), self._integers(1), width=x.width)

    def first_as_sequence(self, x: Value) -> Value:
        return self._positions(x, 0, 1)

    def at_positions(self, x: Value, positions: Value) -> Value:
        # In each row's own positions: their batch axis may be 1 long, for all rows alike.
        rows = self._node("Shape", x, start=0, end=1)
        shape = self._node("Concat", rows, self._integers(1), axis=0)
        indices = self._node("Unsqueeze", self._node("Expand", positions, shape), self._integers(2))
        return self._node("GatherND", x, indices, width=x.width, batch_dims=1)

    def masked_mean(self, x: Value, mask: Value) -> Value:
        weights = self._real(mask)
        return self._node("Div", self.weighted_sum(x, weights), self._row_sums(weights), width=x.width)

    def masked_max(self, x: Value, mask: Value) -> Value:
        penalty = self._node("Unsqueeze", self._penalty(mask, -math.inf), self._integers(2))
        return self._node("ReduceMax", self.add(x, penalty), width=x.width, axes=[1], keepdims=0)

    def weighted_sum(self, x: Value, weights: Value) -> Value:
        # As a matrix product, [b, 1, s] @ [b, s, h]: the sum over positions in one pass.
        total = self._node("MatMul", self._node("Unsqueeze", weights, self._integers(1)), x, width=x.width)
        return self._node("Squeeze", total, self._integers(1), width=x.width)

    def pooling_weights(self, mask: Value, pooling: WeightedPooling) -> Value:
        real = self._real(mask)
        places = self.multiply(real, self._counted(mask))
        match pooling:
            case "mean_sqrt_len_tokens":
                return self._node("Div", real, self._node("Sqrt", self._row_sums(real)))
            case "weightedmean":
                return self._node("Div", places, self._row_sums(places))
            case "lasttoken":
                last = self._node("Equal", places, self._node("ReduceMax", places, axes=[1], keepdims=1))
                return self.multiply(real, self._node("Cast", last, to=_FLOAT))

    def without_first(self, mask: Value, count: int) -> Value:
        kept = self._node("Greater", self._counted(mask), self._float(count))
        return self.multiply(self._real(mask), self._node("Cast", kept, to=_FLOAT))

    def vector_layer(self, x: Value, layer: VectorLayer, scope: str) -> Value:
        """A layer on the vectors [b, h] of texts, after the network; its weights are initializers below `scope`."""
        weights = {name: Weight(f"{scope}/{name}", array.shape) for name, array in layer.arrays().items()}
        match layer:
            case DenseLayer():
                width = layer.kernel.shape[1]
                y = self._node("MatMul", x, weights["kernel"], width=width)
                if layer.bias is not None:
                    y = self._node("Add", y, weights["bias"], width=width)
                y = self._vector_activation(y, layer.activation)
                if not layer.residual:
                    return y
                same = x if layer.shortcut is None else self._node("MatMul", x, weights["shortcut"], width=width)
                return self.add(y, same)
            case NormLayer():
                norm = (weights["gamma"], weights["beta"])
                return self._node("LayerNormalization", x, *norm, width=x.width, axis=-1, epsilon=layer.eps)
            case UnitLength():
                return self._node("LpNormalization", x, width=x.width, axis=-1, p=2)
            case _:
                raise AssertionError(f"ONNX does not know the layer {layer.kind}")

    def joined(self, vectors: Sequence[Value]) -> Value:
        """Several vectors of each text as one: [b, w] each."""
        return self._node("Concat", *vectors, width=sum(each.width for each in vectors), axis=-1)

    def _vector_activation(self, x: Value, name: VectorActivation) -> Value:
        match name:
            case "identity":
                return x
            case "tanh":
                return self.tanh(x)
            case "sigmoid":
                return self._node("Sigmoid", x, width=x.width)
            case "silu":
                return self.multiply(x, self._node("Sigmoid", x, width=x.width))
            case _:
                return self.activation(x, name)

    def renamed(self, x: Value, name: str) -> Value:
        """The same tensor under a name of its own, for an output."""
        self.nodes.append(self._helper.make_node("Identity", [x.name], [name], name=f"output/{name}"))
        return Value(name, x.width)

    def _node(self, operation: str, *inputs: Value | Weight, width: int = 0, **attributes: Any) -> Value:
        name = f"{operation}_{len(self.nodes)}"
        self.nodes.append(
            self._helper.make_node(operation, [each.name for each in inputs], [name], name=name, **attributes)
        )
        return Value(name, width)

    def _integers(self, *values: int) -> Value:
        name = f"integers/{'_'.join(map(str, values))}"
        self.constants[name] = np.array(values, np.int64)
        return Value(name)

    def _scalar(self, value: int) -> Value:
        name = f"integer/{value}"
        self.constants[name] = np.array(value, np.int64)
        return Value(name)

    def _rows(self, rows: Rows) -> Value:
        name = f"rows/{len(rows)}"
        self.constants[name] = rows.astype(np.int64)
        return Value(name)

    def _length(self, ids: Value) -> Value:
        """How many positions the rows have, [1]."""
        return self._node("Shape", ids, start=1, end=2)

    def _squeezed(self, x: Value) -> Value:
        return self._node("Squeeze", x, self._integers(0))

    def _integer(self, value: int) -> Value:
        name = f"integer/{value}"
        self.constants[name] = np.array(value, np.int64)
        return Value(name)

    def _float(self, value: float) -> Value:
        name = f"float/{value!r}"
        self.constants[name] = np.array(value, np.float32)
        return Value(name)

    def _real(self, mask: Value) -> Value:
        """1.0 where the mask is set, 0.0 where it is not: [b, s]."""
        return self._node("Cast", self._node("Cast", mask, to=_BOOL), to=_FLOAT)

    def _row_sums(self, weights: Value) -> Value:
        """The sums of rows [b, s], at least 1: [b, 1]."""
        return self._node("Max", self._node("ReduceSum", weights, self._integers(1), keepdims=1), self._float(1))

    def _counted(self, mask: Value) -> Value:
        """The positions of every row, counted from 1: float32 [b, s]."""
        ones = self._node("Expand", self._float(1), self._node("Shape", mask))
        return self._node("CumSum", ones, self._integers(1))

    def _scaled(self, x: Value, factor: float) -> Value:
        return self.multiply(x, self._float(factor))

    def _positions(self, x: Value, first: int, end: int) -> Value:
        return self._node("Slice", x, self._integers(first), self._integers(end), self._integers(1), width=x.width)

    def _penalty(self, mask: Value, masked: float) -> Value:
        """[b, s]: 0 where the mask is set, `masked` where it is not."""
        kept = self._node("Cast", mask, to=_BOOL)
        return self._node("Where", kept, self._float(0), self._float(masked))


# TensorProto's numbers of types.
_FLOAT, _BOOL = 1, 9
