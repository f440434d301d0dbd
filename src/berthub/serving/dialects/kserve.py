"""KServe's dialect, the Open Inference Protocol: `/v2/models/NAME/infer` and what belongs to it.

https://kserve.github.io/website/latest/modelserving/data_plane/v2_protocol, with three of Triton's extensions
(https://github.com/triton-inference-server/server/tree/main/docs/protocol): binary tensor data, schedule policy and
model repository.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from berthub.errors import BerthubError
from berthub.serving.answers import Answer, as_json, json_answer
from berthub.serving.bodies import Fields, shown
from berthub.serving.call import Call
from berthub.serving.dialects.kserve_wire import DATATYPES, LENGTH, read_inputs, split_body, written
from berthub.serving.endpoint import Endpoint, Handler
from berthub.serving.failures import BadRequestError, ForbiddenError, RequestError, UnavailableError, UnprocessableError
from berthub.serving.models import Model
from berthub.serving.tensors import Inputs, Spec, Tensors, computed, given, offered, taken
from berthub.serving.versions import model_at, model_endpoints, service_at
from berthub.serving.work import Terms
from berthub.version import __version__

__all__ = ["ENDPOINTS", "SCHEMAS"]

_EXTENSIONS = ("binary_tensor_data", "model_repository", "schedule_policy")
_STATES = {"failed": "UNAVAILABLE", "loading": "LOADING", "ready": "READY", "unloaded": "UNAVAILABLE"}
_MICROSECOND = 1e-6
_DAY = 86_400_000_000
# The number of Triton's levels of priority that are told apart.
_LEVELS = 1000
# An answer from here on is made in another thread.
_LARGE = 1 << 15
_REFUSED = ("classification", "shared_memory_region")


async def server(call: Call) -> Answer:
    """What the server is."""
    return json_answer({"name": "berthub", "version": __version__, "extensions": _EXTENSIONS})


async def metadata(call: Call) -> Answer:
    """What a model takes and gives."""
    service, version = service_at(call)

    def described(spec: Spec) -> Mapping[str, Any]:
        return {"name": spec.name, "datatype": DATATYPES[spec.datatype], "shape": spec.shape}

    return json_answer(
        {
            "name": service.name,
            "versions": [version],
            "platform": f"berthub_{service.encoder.stages.engine.name}",
            "inputs": [described(spec) for spec in taken(service)],
            "outputs": [described(spec) for spec in offered(service)],
        }
    )


async def ready(call: Call) -> Answer:
    """Whether a model can serve; else 503."""
    model = model_at(call)
    if model.service is None:
        raise UnavailableError(f"the model {model.name!r} is {model.state}", retry_after=2)
    return json_answer({"name": model.name, "ready": True})


async def infer(call: Call) -> Answer:
    """The outputs of a model for texts or for the ids of their pieces."""
    service, version = service_at(call)

    def read() -> tuple[Fields, Inputs]:
        fields, binary = split_body(call.body, call.headers.get(LENGTH))
        return fields, read_inputs(fields, binary, most=call.state.limits.texts)

    fields, inputs = await call.read(read, service)
    identity = fields.string("id")
    parameters = Fields.of(fields.values.get("parameters") or {}, "parameters")
    terms = _terms(parameters, call)
    whole = parameters.boolean("binary_data_output", False)
    wanted = _wanted(fields, whole) or {name: (whole, name) for name in given(service, inputs, alias=False)}
    names = [(name, where) for name, (_, where) in wanted.items()]
    tensors = await computed(service, inputs, names, call=call, terms=terms)
    about = {"model_name": service.name, "model_version": version, **({} if identity is None else {"id": identity})}

    def answer() -> Answer:
        return _answer(about, tensors, {name: binary for name, (binary, _) in wanted.items()})

    return (
        await service.in_pool(answer)
        if any(getattr(v, "size", 0) >= _LARGE for v in tensors.values.values())
        else answer()
    )


def _terms(parameters: Fields, call: Call) -> Terms:
    if parameters.values.get("sequence_id"):
        raise BadRequestError("parameters.sequence_id is given, and no model here keeps a state", where="parameters")
    level = parameters.integer("priority", least=0, most=_LEVELS)
    timeout = parameters.integer("timeout", least=0, most=_DAY)
    return call.terms(
        # 1 is the soonest, and 0 as if none were named.
        priority=level - _LEVELS - 1 if level else None,
        seconds=timeout * _MICROSECOND if timeout else None,
    )


def _wanted(fields: Fields, whole: bool) -> Mapping[str, tuple[bool, str]]:
    """The names in `outputs`, each with whether it comes as bytes, and with its place."""
    outputs = fields.values.get("outputs") or []
    if not isinstance(outputs, list):
        raise BadRequestError(f"outputs must be a list of outputs, and is {shown(outputs)}", where="outputs")
    wanted = {}
    for index, output in enumerate(outputs):
        each = Fields.of(output, f"outputs[{index}]")
        each.required("name")
        name, where = each.string("name") or "", each.place("name")
        parameters = Fields.of(each.values.get("parameters") or {}, each.place("parameters"))
        if refused := next((key for key in _REFUSED if key in parameters.values), None):
            raise BadRequestError(f"{parameters.place(refused)} is given, which is not offered", where=where)
        if name in wanted or name == "encoder_outputs":
            why = (
                "is asked for twice" if name in wanted else "is one output a layer: ask for encoder_outputs_0 and so on"
            )
            raise BadRequestError(f"{where}: {shown(name)} {why}", where=where)
        wanted[name] = (parameters.boolean("binary_data", whole), where)
    return wanted


def _answer(about: Mapping[str, Any], tensors: Tensors, binary: Mapping[str, bool]) -> Answer:
    parts = [written(name, value, binary=binary[name]) for name, value in tensors.values.items()]
    raws = [raw for _, raw in parts]

    def document() -> Iterator[bytes]:
        yield as_json(about)[:-1] + b',"outputs":['
        for number, (chunks, _) in enumerate(parts):
            if number:
                yield b","
            yield from chunks
        yield b"]}"

    if not any(binary.values()):
        small = sum(getattr(value, "size", 0) for value in tensors.values.values()) < _LARGE
        return Answer(b"".join(document()) if small else document(), headers=tensors.headers)
    head = b"".join(document())
    length = len(head) + sum(map(len, raws))
    headers = {**tensors.headers, LENGTH: str(len(head))}
    if length < _LARGE:
        return Answer(b"".join([head, *raws]), "application/octet-stream", headers=headers)
    body = (part for part in [head, *raws])
    return Answer(body, "application/octet-stream", headers={**headers, "content-length": str(length)})


async def index(call: Call) -> Answer:
    """The models, with their states; with `ready` those that can serve."""
    only_ready = _optional(call).boolean("ready", False)
    models = [model for model in call.state.models if model.service is not None or not only_ready]
    return json_answer([_entry(model) for model in models])


def _entry(model: Model) -> Mapping[str, Any]:
    state = "READY" if model.service is not None else _STATES[model.state]
    reason = "unloaded" if model.state == "unloaded" else model.fault or ""
    return {"name": model.name, "version": str(max(1, model.version)), "state": state, "reason": reason}


async def load(call: Call) -> Answer:
    """Load a model, or load it anew from where the operator said; the old one serves meanwhile."""
    name = _controlled(call)
    parameters = Fields.of(_optional(call).values.get("parameters") or {}, "parameters")
    if parameters.values:
        raise BadRequestError(
            f"parameters has {', '.join(parameters.values)[:200]}, and a load takes none: what a model is read from "
            "is for who runs the server to say",
            where="parameters",
        )
    try:
        await call.state.models.load(name)
    except RequestError:
        raise
    except (BerthubError, OSError) as error:
        raise UnprocessableError(f"the model {name!r} could not be loaded: {error}") from error
    return json_answer({})


async def unload(call: Call) -> Answer:
    """Let a model serve no more, after what it has taken."""
    name = _controlled(call)
    Fields.of(_optional(call).values.get("parameters") or {}, "parameters")
    await call.state.models.unload(name)
    return json_answer({})


def _controlled(call: Call) -> str:
    """The name of the model to load or unload; `ForbiddenError` unless the operator lets clients do so."""
    if not call.state.model_control:
        raise ForbiddenError("clients may not load or unload models: the server was started without --model-control")
    return call.state.models.model(call.path["name"]).name


def _optional(call: Call) -> Fields:
    return Fields.of(call.json()) if call.body else Fields({})


_PARAMETERS = {"type": ["object", "null"]}
_STRINGS_OR_INTEGERS = {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "array"}]}

SCHEMAS: Mapping[str, Any] = {
    "KServeError": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
    "KServeServer": {
        "type": "object",
        "required": ["name", "version", "extensions"],
        "properties": {"extensions": {"type": "array", "items": {"type": "string"}}},
    },
    "KServeMetadata": {
        "type": "object",
        "required": ["name", "versions", "platform", "inputs", "outputs"],
        "properties": {"inputs": {"type": "array"}, "outputs": {"type": "array"}},
    },
    "KServeReady": {
        "type": "object",
        "required": ["name", "ready"],
        "properties": {"name": {"type": "string"}, "ready": {"type": "boolean"}},
    },
    "KServeRequest": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": ["string", "null"]},
            "parameters": {
                "type": ["object", "null"],
                "properties": {
                    "priority": {"type": "integer", "minimum": 0, "maximum": _LEVELS},
                    "timeout": {"type": "integer", "minimum": 0, "maximum": _DAY},
                    "binary_data_output": {"type": "boolean"},
                },
            },
            "inputs": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["name", "shape", "datatype"],
                    "properties": {
                        "name": {"type": "string"},
                        "shape": {
                            "type": "array",
                            "items": {"type": "integer", "minimum": 0},
                            "minItems": 1,
                            "maxItems": 2,
                        },
                        "datatype": {"enum": ["BYTES", "INT32", "INT64"]},
                        "parameters": _PARAMETERS,
                        "data": {"type": "array", "items": _STRINGS_OR_INTEGERS},
                    },
                },
            },
            "outputs": {
                "type": ["array", "null"],
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": {"type": "string"}, "parameters": _PARAMETERS},
                },
            },
        },
    },
    "KServeAnswer": {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": {"type": "object"}},
        },
    },
    "KServeIndexRequest": {"type": "object", "properties": {"ready": {"type": ["boolean", "null"]}}},
    "KServeIndex": {"type": "array", "items": {"type": "object", "required": ["name", "state"]}},
    "KServeControl": {"type": "object", "properties": {"parameters": _PARAMETERS}},
    "KServeDone": {"type": "object"},
}


_both = partial(model_endpoints, "/v2/models")


def _repository(end: str, handler: Handler, summary: str, body: str, answer: str) -> Endpoint:
    operation = {"summary": summary, "body": body, "answer": answer}
    return Endpoint(path=f"/v2/repository/{end}", method="POST", handler=handler, media=None, operation=operation)


ENDPOINTS = (
    Endpoint(
        path="/v2",
        method="GET",
        handler=server,
        open=True,
        operation={"summary": "The server (KServe)", "answer": "KServeServer"},
    ),
    *_both("GET", "", metadata, {"summary": "What a model takes and gives (KServe)", "answer": "KServeMetadata"}),
    *_both("GET", "/ready", ready, {"summary": "Whether a model can serve (KServe)", "answer": "KServeReady"}),
    *_both(
        "POST",
        "/infer",
        infer,
        {
            "summary": "The outputs of a model (KServe)",
            "body": "KServeRequest",
            "answer": "KServeAnswer",
            "bytes": ("application/octet-stream",),
        },
    ),
    _repository("index", index, "The models and their states", "KServeIndexRequest", "KServeIndex"),
    _repository("models/{name}/load", load, "Load a model, or load it anew", "KServeControl", "KServeDone"),
    _repository("models/{name}/unload", unload, "Let a model serve no more", "KServeControl", "KServeDone"),
)
