"""The inputs of TensorFlow Serving's requests: by row or by column, and in strings, base64 or nested lists."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any

from berthub.networks.interface import INPUTS
from berthub.serving.bodies import Fields, shown
from berthub.serving.call import Call
from berthub.serving.failures import BadRequestError
from berthub.serving.nested import integer_rows
from berthub.serving.tensors import TEXT, Inputs, check_name
from berthub.tokenization.tokenizer import Text

__all__ = ["column_inputs", "row_inputs"]


def row_inputs(rows: Any, where: str, call: Call) -> Inputs:
    """The inputs of rows: objects of inputs by name, or the values of a single input."""
    _check_rows(rows, where, call)
    if not _is_object(rows[0]):
        return _single(rows, where)
    names = list(rows[0])
    for index, row in enumerate(rows):
        if not _is_object(row) or row.keys() != rows[0].keys():
            has = ", ".join(map(repr, list(row)[:5]))[:200] if _is_object(row) else shown(row)
            raise BadRequestError(
                f"{where}[{index}] must be an object with the inputs of {where}[0] "
                f"({', '.join(map(repr, names[:5]))[:200]}), and has {has}",
                where=f"{where}[{index}]",
            )
    _check_names(names, where)
    if TEXT in names:
        return Inputs(texts=[_text(row[TEXT], f"{where}[{index}].{TEXT}") for index, row in enumerate(rows)])
    return Inputs(
        arrays={
            name: integer_rows([row[name] for row in rows], lambda index, name=name: f"{where}[{index}].{name}")  # type: ignore[misc]
            for name in names
        }
    )


def column_inputs(fields: Fields, call: Call) -> Inputs:
    """The inputs of `inputs`: whole inputs by name, or a single one."""
    value = fields.values["inputs"]
    if not _is_object(value):
        _check_rows(value, "inputs", call)
        return _single(value, "inputs")
    for name in value:
        _check_rows(value[name], f"inputs.{name[:60]}", call)
    _check_names(list(value), "inputs")
    if TEXT in value:
        return Inputs(texts=_texts(value[TEXT], f"inputs.{TEXT}"))
    return Inputs(arrays={name: integer_rows(value[name], _placed(f"inputs.{name}")) for name in value})


def _single(rows: Sequence[Any], where: str) -> Inputs:
    """The one input of a plain list: texts, or the ids of pieces."""
    first = rows[0]
    inner = first[0] if isinstance(first, list) and first else first
    if isinstance(inner, str | dict):
        return Inputs(texts=_texts(rows, where))
    return Inputs(arrays={INPUTS[0]: integer_rows(rows, _placed(where))})


def _placed(where: str) -> Callable[[int], str]:
    return lambda index: f"{where}[{index}]"


def _texts(rows: Sequence[Any], where: str) -> Sequence[Text]:
    if all(type(row) is str for row in rows):
        return rows
    return [_text(row, f"{where}[{index}]") for index, row in enumerate(rows)]


def _text(value: Any, where: str) -> Text:
    """A text, as a string, as base64 or as a list of one; a list of two is a pair."""
    if isinstance(value, list) and len(value) in (1, 2):
        parts = [_string(part, f"{where}[{index}]") for index, part in enumerate(value)]
        return parts[0] if len(parts) == 1 else (parts[0], parts[1])
    return _string(value, where)


def _string(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or value.keys() != {"b64"} or not isinstance(value["b64"], str):
        raise BadRequestError(f'{where} must be a string or {{"b64": "..."}}, and is {shown(value)}', where=where)
    try:
        return base64.b64decode(value["b64"], validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        what = "UTF-8" if isinstance(error, UnicodeDecodeError) else "base64"
        raise BadRequestError(f"{where}.b64 is no {what}: {error}", where=where) from None


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() != {"b64"}


def _check_rows(rows: Any, where: str, call: Call) -> None:
    if not isinstance(rows, list) or not rows:
        raise BadRequestError(f"{where} must be a list that is not empty, and is {shown(rows)}", where=where)
    call.check_count(rows, where, "rows")


def _check_names(names: Sequence[str], where: str) -> None:
    if not names or (TEXT in names and len(names) > 1):
        raise BadRequestError(f"{where} must name {TEXT} alone, or {', '.join(INPUTS)}", where=where)
    for name in names:
        check_name(name, where)
