"""TensorFlow Serving's dialect: `/v1/models/NAME` and what is below (https://www.tensorflow.org/tfx/serving/api_rest).

The outputs have the names that `hub.KerasLayer` gives them. Who does not name any gets no `encoder_outputs`: in JSON
those of a dozen layers are hundreds of megabytes. `outputs`, a field of ours, names what is wanted. Answers hold no NaN
or Infinity, which strict JSON does not have: the outputs of finite weights are finite (what is not would be null), and
in a request the tokens are refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from berthub.networks.interface import INPUTS
from berthub.serving.answers import Answer, Body, as_json, json_answer, list_answer
from berthub.serving.bodies import Fields, shown
from berthub.serving.call import Call
from berthub.serving.dialects.tf_serving_inputs import column_inputs, row_inputs
from berthub.serving.endpoint import Endpoint
from berthub.serving.failures import BadRequestError
from berthub.serving.heads import served_head
from berthub.serving.service import Service
from berthub.serving.tensors import TEXT, Inputs, Spec, Tensors, Value, computed, given, offered, taken
from berthub.serving.versions import model_endpoints, service_at, version_status

__all__ = ["ENDPOINTS", "SCHEMAS"]

# Of TF2's and TF1's models on TensorFlow Hub.
_SIGNATURES = ("serving_default", "tokens")
_TYPES = {"float32": "DT_FLOAT", "int32": "DT_INT32", "string": "DT_STRING"}


async def status(call: Call) -> Answer:
    """The state of one version of a model."""
    return json_answer(version_status(call.state.models.model(call.path["name"]), version=call.path["version"]))


async def metadata(call: Call) -> Answer:
    """The signatures of a model: what it takes and gives."""
    service, version = service_at(call)
    arrays = [spec for spec in taken(service) if spec.name in INPUTS]
    text = [spec for spec in taken(service) if spec.name == TEXT]
    signatures = {
        "serving_default": _signature(arrays, offered(service)),
        "serving_text": _signature(text, offered(service)),
    }
    return json_answer(
        {
            "model_spec": {"name": service.name, "signature_name": "", "version": version},
            "metadata": {"signature_def": {"signature_def": signatures}},
        }
    )


def _signature(inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Mapping[str, Any]:
    def described(specs: Sequence[Spec]) -> Mapping[str, Any]:
        return {
            spec.name: {
                "dtype": _TYPES[spec.datatype],
                "tensor_shape": {
                    "dim": [{"size": str(size), "name": ""} for size in spec.shape],
                    "unknown_rank": False,
                },
                "name": spec.name,
            }
            for spec in specs
        }

    return {
        "inputs": described(inputs),
        "outputs": described(outputs),
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }


async def predict(call: Call) -> Answer:
    """The outputs of a model for rows (`instances`) or columns (`inputs`)."""
    service, _ = service_at(call)

    def read() -> tuple[Fields, Inputs, bool]:
        fields = Fields.of(call.json())
        _check_signature(fields, "serving_text")
        by_row = fields.values.get("instances") is not None
        if by_row == (fields.values.get("inputs") is not None):
            raise BadRequestError(
                "the body must have one of instances and inputs, and has " + ("both", "none")[not by_row]
            )
        return (
            fields,
            row_inputs(fields.values["instances"], "instances", call) if by_row else column_inputs(fields, call),
            by_row,
        )

    fields, inputs, by_row = await call.read(read, service)
    names = _wanted(fields) or [(name, name) for name in given(service, inputs, alias=True)]
    tensors = await computed(service, inputs, names, call=call, terms=call.terms())
    return _by_row(tensors) if by_row else _by_column(tensors)


async def classify(call: Call) -> Answer:
    """The labels of examples, each with its score."""
    service, _ = service_at(call)
    head = served_head(service.encoder)
    if head.task == "regress":
        raise BadRequestError("this model is a regression, which has no labels: ask for :regress or :predict")
    scores = await _of_examples(call, service, "probabilities", "tensorflow/serving/classify")
    return list_answer(
        scores,
        write=lambda index, row: as_json(list(zip(head.labels, row.tolist(), strict=True))),
        floats=len(scores) * len(head.labels),
        before=b'{"results":[',
        after=b"]}",
    )


async def regress(call: Call) -> Answer:
    """The values of examples."""
    service, _ = service_at(call)
    head = served_head(service.encoder)
    if head.task != "regress":
        raise BadRequestError(f"this model is for {head.task}, which gives no values: ask for :classify or :predict")
    return json_answer({"results": await _of_examples(call, service, "values", "tensorflow/serving/regress")})


async def _of_examples(call: Call, service: Service, name: str, signature: str) -> Any:
    def read() -> Inputs:
        fields = Fields.of(call.json())
        _check_signature(fields, signature)
        examples, context = fields.required("examples"), Fields.of(fields.values.get("context") or {}, "context").values
        if not isinstance(examples, list):
            raise BadRequestError(f"examples must be a list of objects, and is {shown(examples)}", where="examples")
        merged = []
        for index, example in enumerate(examples):
            features = Fields.of(example, f"examples[{index}]").values
            if twice := next((feature for feature in features if feature in context), None):
                raise BadRequestError(f"examples[{index}].{twice[:60]} is in context, too: it must be in one of them")
            merged.append({**context, **features})
        return row_inputs(merged, "examples", call)

    inputs = await call.read(read, service)
    return (await computed(service, inputs, [(name, name)], call=call, terms=call.terms())).values[name]


def _check_signature(fields: Fields, *own: str) -> None:
    name, known = fields.string("signature_name"), (*_SIGNATURES, *own)
    # An empty one is the default.
    if name and name not in known:
        raise BadRequestError(
            f"signature_name is {name[:60]!r}; there are {', '.join(known)}, and without one the default",
            where="signature_name",
        )


def _wanted(fields: Fields) -> list[tuple[str, str]]:
    """The names in the field `outputs`, each with its place; none where it is missing."""
    value = fields.values.get("outputs")
    if value is None:
        return []
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise BadRequestError(f"outputs must be a list of names of outputs, and is {shown(value)}", where="outputs")
    return [(name, f"outputs[{index}]") for index, name in enumerate(names)]


def _by_row(tensors: Tensors) -> Answer:
    values = tensors.values
    single = next(iter(values.values())) if len(values) == 1 else None

    def write(index: int, row: Any) -> bytes:
        if single is not None:
            return as_json(_at(single, index))
        return as_json({name: _at(value, index) for name, value in values.items()})

    return list_answer(
        range(tensors.count),
        write=write,
        floats=sum(map(_size, values.values())),
        before=b'{"predictions":[',
        after=b"]}",
        headers=tensors.headers,
    )


def _by_column(tensors: Tensors) -> Answer:
    values = tensors.values
    bodies: list[Body] = [b'{"outputs":']
    for number, (name, value) in enumerate(values.items()):
        if len(values) > 1:
            bodies.append((b"," if number else b"{") + as_json(name) + b":")
        bodies += _column(value)
    bodies.append(b"}}" if len(values) > 1 else b"}")
    if all(isinstance(body, bytes) for body in bodies):
        return Answer(b"".join(bodies), headers=tensors.headers)  # type: ignore[arg-type]

    def chunks() -> Iterator[bytes]:
        for body in bodies:
            yield from [body] if isinstance(body, bytes) else body

    return Answer(chunks(), headers=tensors.headers)


def _column(value: Value) -> Iterator[Body]:
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        for number, layer in enumerate(value):
            yield b"," if number else b"["
            yield from _column(layer)
        yield b"]"
    else:
        yield list_answer(value, write=lambda index, row: as_json(row), floats=_size(value)).body


def _size(value: Value) -> int:
    return value.size if isinstance(value, np.ndarray) else sum(getattr(each, "size", 1) for each in value)


def _at(value: Value, index: int) -> Any:
    """The row of an output: of all layers where it is of all of them."""
    if isinstance(value, list) and isinstance(value[0], np.ndarray):
        return [layer[index] for layer in value]
    return value[index]


_INTEGERS = {"type": "array", "items": {"type": "integer"}}
_STRING = {
    "anyOf": [
        {"type": "string"},
        {"type": "object", "required": ["b64"], "properties": {"b64": {"type": "string", "contentEncoding": "base64"}}},
    ]
}
_ROW = {"anyOf": [_STRING, _INTEGERS, {"type": "object"}]}

SCHEMAS: Mapping[str, Any] = {
    "TFServingError": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
    "TFServingPredict": {
        "type": "object",
        "properties": {
            "signature_name": {"type": ["string", "null"]},
            "instances": {"type": "array", "items": _ROW, "minItems": 1},
            "inputs": {"anyOf": [{"type": "array", "items": _ROW, "minItems": 1}, {"type": "object"}]},
            "outputs": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
        },
        "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
    },
    "TFServingPredictions": {
        "type": "object",
        "properties": {"predictions": {"type": "array"}, "outputs": {"type": ["array", "object"]}},
        "oneOf": [{"required": ["predictions"]}, {"required": ["outputs"]}],
    },
    "TFServingExamples": {
        "type": "object",
        "required": ["examples"],
        "properties": {
            "signature_name": {"type": ["string", "null"]},
            "context": {"type": ["object", "null"]},
            "examples": {"type": "array", "items": {"type": "object"}, "minItems": 1},
        },
    },
    "TFServingResults": {"type": "object", "required": ["results"], "properties": {"results": {"type": "array"}}},
    "TFServingStatus": {
        "type": "object",
        "required": ["model_version_status"],
        "properties": {"model_version_status": {"type": "array", "items": {"type": "object"}, "minItems": 1}},
    },
    "TFServingMetadata": {
        "type": "object",
        "required": ["model_spec", "metadata"],
        "properties": {"model_spec": {"type": "object"}, "metadata": {"type": "object"}},
    },
}


_both = partial(model_endpoints, "/v1/models")


ENDPOINTS = (
    # The status of all versions is OpenAI's /v1/models/NAME, too.
    Endpoint(
        path="/v1/models/{name}/versions/{version}",
        method="GET",
        handler=status,
        operation={"summary": "The state of a model (TensorFlow Serving)", "answer": "TFServingStatus"},
    ),
    *_both("GET", "/metadata", metadata, {"summary": "What a model takes and gives", "answer": "TFServingMetadata"}),
    *_both(
        "POST",
        ":predict",
        predict,
        {
            "summary": "The outputs of a model (TensorFlow Serving)",
            "body": "TFServingPredict",
            "answer": "TFServingPredictions",
        },
    ),
    *_both(
        "POST",
        ":classify",
        classify,
        {"summary": "Labels with scores", "body": "TFServingExamples", "answer": "TFServingResults"},
    ),
    *_both(
        "POST", ":regress", regress, {"summary": "Values", "body": "TFServingExamples", "answer": "TFServingResults"}
    ),
)
