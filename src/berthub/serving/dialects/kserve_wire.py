"""Tensors of KServe v2 in requests and answers: in JSON, or behind it as bytes.

The second is the binary tensor data extension
(https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md).
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.serving.answers import as_json, list_answer
from berthub.serving.bodies import Fields, json_value, shown
from berthub.serving.failures import BadRequestError, TooLargeError
from berthub.serving.nested import flat_integers
from berthub.serving.tensors import TEXT, Inputs, Value, check_name
from berthub.tokenization.tokenizer import Text

__all__ = ["DATATYPES", "LENGTH", "Binary", "read_inputs", "split_body", "written"]

LENGTH = "inference-header-content-length"
DATATYPES = {"float32": "FP32", "int32": "INT32", "string": "BYTES"}

_INTEGERS = {"INT32": "<i4", "INT64": "<i8"}
_MOST_INPUTS = 16
_SIZE = "binary_data_size"


@dataclass(eq=False)
class Binary:
    """The bytes behind the JSON of a request, which the inputs take one after the other."""

    body: bytes
    offset: int

    def take(self, size: int, where: str) -> memoryview:
        """The next bytes; `BadRequestError` where there are not as many."""
        left = len(self.body) - self.offset
        if size > left:
            raise BadRequestError(f"{where} is {size:,}, and {left:,} bytes are left of the body", where=where)
        self.offset += size
        return memoryview(self.body)[self.offset - size : self.offset]

    def end(self) -> None:
        """`BadRequestError` where bytes are left that no input has taken."""
        if left := len(self.body) - self.offset:
            raise BadRequestError(f"{left:,} bytes of the body are behind the last input that has a {_SIZE}")


def split_body(body: bytes, length: str | None) -> tuple[Fields, Binary]:
    """The JSON of a request, and the bytes behind it; `length` is the header that says where these begin."""
    if length is None:
        return Fields.of(json_value(body)), Binary(body, len(body))
    if not (length.isascii() and length.isdecimal()) or len(length) > 18 or not 0 < int(length) <= len(body):
        raise BadRequestError(
            f"the header {LENGTH} must be the length of the JSON, from 1 to the {len(body):,} bytes of the body, and "
            f"is {length[:40]!r}",
            where=LENGTH,
        )
    return Fields.of(json_value(body[: int(length)])), Binary(body, int(length))


def read_inputs(fields: Fields, binary: Binary, *, most: int) -> Inputs:
    """The inputs of a request, of at most so many rows."""
    given = fields.required("inputs")
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST_INPUTS:
        raise BadRequestError(f"inputs must be a list of 1 to {_MOST_INPUTS} tensors, and is {shown(given)}")
    texts: Sequence[Text] | None = None
    arrays: dict[str, npt.NDArray[Any]] = {}
    for index, each in enumerate(given):
        tensor = Fields.of(each, f"inputs[{index}]")
        name = tensor.string("name")
        tensor.required("name")
        shape = _shape(tensor, most)
        if name == TEXT:
            texts = _texts(tensor, shape, binary)
        elif name in arrays or name is None:
            raise BadRequestError(f"{tensor.place('name')} is {shown(name)} a second time", where=tensor.place("name"))
        else:
            check_name(name, tensor.place("name"))
            arrays[name] = _integers(tensor, shape, binary)
    binary.end()
    if texts is not None and arrays:
        raise BadRequestError(f"inputs has {TEXT} and {', '.join(arrays)[:200]}: it must be the one or the others")
    return Inputs(texts=texts, arrays=arrays)


def _shape(tensor: Fields, most: int) -> list[int]:
    shape, where = tensor.required("shape"), tensor.place("shape")
    whole = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    if not whole or not 1 <= len(shape) <= 2:
        raise BadRequestError(f"{where} must be a list of one or two sizes, and is {str(shape)[:60]}", where=where)
    if shape[0] > most:
        raise TooLargeError(f"{where} says {shape[0]:,} rows, and at most {most:,} are taken at a time", where=where)
    if not shape[0]:
        raise BadRequestError(f"{where} says that there are no rows", where=where)
    return list(shape)


def _texts(tensor: Fields, shape: Sequence[int], binary: Binary) -> Sequence[Text]:
    """The texts of a tensor [n] or [n, 1], or the pairs of one [n, 2]."""
    where = tensor.place("shape")
    if tensor.required("datatype") != "BYTES":
        _refuse_datatype(tensor, ["BYTES"])
    width = shape[1] if len(shape) == 2 else 1
    if width not in (1, 2):
        raise BadRequestError(f"{where} must be [n] or [n, 1] for texts, or [n, 2] for pairs", where=where)
    count = shape[0] * width
    size = _binary_size(tensor)
    if size is not None:
        strings = _unpacked(binary.take(size, tensor.place(f"parameters.{_SIZE}")), count, tensor)
    else:
        strings = _flat(tensor, shape)
        for index, value in enumerate(strings):
            if type(value) is not str:
                place = f"{tensor.place('data')}[{index}]"
                raise BadRequestError(f"{place} must be a string, and is {shown(value)}", where=place)
    return strings if width == 1 else list(zip(strings[::2], strings[1::2], strict=True))


def _integers(tensor: Fields, shape: Sequence[int], binary: Binary) -> npt.NDArray[Any]:
    datatype = tensor.required("datatype")
    if not isinstance(datatype, str) or datatype not in _INTEGERS:
        _refuse_datatype(tensor, list(_INTEGERS))
    size = _binary_size(tensor)
    if size is None:
        return flat_integers(_flat(tensor, shape), tensor.place("data")).reshape(shape)
    # Python's numbers: no product is too large for them.
    needed = np.dtype(_INTEGERS[datatype]).itemsize * shape[0] * (shape[1] if len(shape) == 2 else 1)
    place = tensor.place(f"parameters.{_SIZE}")
    if size != needed:
        raise BadRequestError(f"{place} is {size:,}, and {shape} of {datatype} have {needed:,} bytes", where=place)
    return np.frombuffer(binary.take(size, place), _INTEGERS[datatype]).reshape(shape)


def _refuse_datatype(tensor: Fields, accepted: Sequence[str]) -> None:
    where = tensor.place("datatype")
    got = shown(tensor.values.get("datatype"))
    raise BadRequestError(f"{where} must be {' or '.join(accepted)}, and is {got}", where=where)


def _binary_size(tensor: Fields) -> int | None:
    parameters = Fields.of(tensor.values.get("parameters") or {}, tensor.place("parameters"))
    if "shared_memory_region" in parameters.values:
        raise BadRequestError(f"{tensor.place('parameters')} names shared memory, which is not offered")
    return parameters.integer(_SIZE, least=0)


def _flat(tensor: Fields, shape: Sequence[int]) -> list[Any]:
    """The values of a tensor in JSON, which come in one list or nested as the shape says."""
    data, where = tensor.required("data"), tensor.place("data")
    if not isinstance(data, list):
        raise BadRequestError(f"{where} must be a list, and is {shown(data)}", where=where)
    if len(shape) == 2 and data and isinstance(data[0], list):
        if len(data) != shape[0]:
            raise BadRequestError(f"{where} has {len(data):,} rows, and the shape says {shape}", where=where)
        for index, row in enumerate(data):
            if not isinstance(row, list) or len(row) != shape[1]:
                place = f"{where}[{index}]"
                raise BadRequestError(f"{place} must be a list of {shape[1]:,}, and is {shown(row)}", where=place)
        return list(chain.from_iterable(data))
    count = shape[0] * (shape[1] if len(shape) == 2 else 1)
    if len(data) != count:
        raise BadRequestError(f"{where} has {len(data):,} values, and the shape {shape} {count:,}", where=where)
    return data


def _unpacked(view: memoryview, count: int, tensor: Fields) -> list[str]:
    """Strings, each behind its length in four bytes."""
    where = tensor.place("data")
    strings: list[str] = []
    offset = 0
    while offset < len(view) and len(strings) < count:
        size = int.from_bytes(view[offset : offset + 4], "little")
        start = offset + 4
        if start + size > len(view):
            raise BadRequestError(
                f"string {len(strings)} of {where} has {size:,} bytes by its length, and {max(0, len(view) - start):,} "
                "are left",
                where=where,
            )
        try:
            strings.append(str(view[start : start + size], "utf-8"))
        except UnicodeDecodeError as error:
            raise BadRequestError(f"string {len(strings)} of {where} is no UTF-8: {error}", where=where) from None
        offset = start + size
    if len(strings) != count or offset != len(view):
        more = f" and {len(view) - offset:,} bytes more" if offset != len(view) else ""
        raise BadRequestError(
            f"{where} holds {len(strings):,} strings{more}, and the shape says {count:,}", where=where
        )
    return strings


def written(name: str, value: Value, *, binary: bool) -> tuple[Iterator[bytes], bytes]:
    """An output as JSON, in chunks, and the bytes that come behind the JSON if it is `binary`."""
    strings = not isinstance(value, np.ndarray)
    shape = [len(value)] if strings else list(value.shape)  # type: ignore[union-attr]
    head = {"name": name, "datatype": "BYTES" if strings else "FP32", "shape": shape}
    if binary:
        raw = _packed(value) if strings else np.ascontiguousarray(value, "<f4").tobytes()
        return iter([as_json({**head, "parameters": {_SIZE: len(raw)}})]), raw
    before = as_json(head)[:-1] + b',"data":['
    if strings:
        return iter([before + as_json(value)[1:-1] + b"]}"]), b""
    body = list_answer(
        value.reshape(len(value), -1),  # type: ignore[union-attr]
        write=lambda index, row: as_json(row)[1:-1],
        floats=value.size,  # type: ignore[union-attr]
        before=before,
        after=b"]}",
    ).body
    return iter([body]) if isinstance(body, bytes) else body, b""


def _packed(strings: Any) -> bytes:
    encoded = [text.encode("utf-8") for text in strings]
    return b"".join(chain.from_iterable((struct.pack("<I", len(each)), each) for each in encoded))
