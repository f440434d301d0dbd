"""Tensors by name, as TensorFlow Serving and KServe have them: what a model takes, and what it gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from berthub.encoding.finish import embedding
from berthub.encoding.prediction import Logits, head_outputs
from berthub.encoding.request import EMBEDDING, NO_PROMPT, Prompt, Request
from berthub.engines.engine import Floats
from berthub.networks.interface import INPUTS, MLM_LOGITS, POSITIONS
from berthub.networks.outputs import Output
from berthub.serving.call import Call, truncation_headers
from berthub.serving.failures import BadRequestError, TooLargeError
from berthub.serving.results import Encoded
from berthub.serving.service import Service
from berthub.serving.work import Terms
from berthub.tokenization.tokenizer import Text

__all__ = ["TEXT", "Inputs", "Spec", "Tensors", "Value", "check_name", "computed", "given", "offered", "taken"]

TEXT = "text"
"""The input of strings, under the name that TensorFlow's own tutorials give it."""

_LAYER = "encoder_outputs_"
_HEAD = ("logits", "probabilities", "labels", "values")
# No input has a longer name: a message need not repeat it.
_LONGEST_NAME = 40
# So many numbers are put together at once, by the event loop.
_FEW = 1 << 16

Value = Floats | list[Floats] | list[str]
"""An output: an array, one array a layer, or strings."""


@dataclass(frozen=True)
class Spec:
    """A tensor in words: a dimension of -1 may have any size."""

    name: str
    datatype: Literal["float32", "int32", "string"]
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What came: texts, or arrays by name."""

    texts: Sequence[Text] | None = None
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Tensors:
    """What was computed, by name, for `count` rows, and the headers that tell of truncation."""

    values: Mapping[str, Value]
    count: int
    headers: Mapping[str, str]


def check_name(name: str, where: str) -> None:
    """`BadRequestError` for a name that is too long for one of an input; which there are the model says."""
    if len(name) > _LONGEST_NAME:
        raise BadRequestError(f"{where} names an input {name[:_LONGEST_NAME]!r}..., which no model has", where=where)


def taken(service: Service) -> list[Spec]:
    """The inputs of a model: texts, or the ids of their pieces."""
    specs = [Spec(TEXT, "string", (-1,)), *(Spec(name, "int32", (-1, -1)) for name in INPUTS)]
    if service.encoder.config.mlm:
        specs.append(Spec(POSITIONS, "int32", (-1, -1)))
    return specs


def offered(service: Service) -> list[Spec]:
    """The outputs of a model that are single tensors. Those of the layers are each one of them."""
    encoder, config = service.encoder, service.encoder.config
    hidden, head = config.hidden_size, encoder.head
    specs = []
    if config.has_pooled_output:
        specs.append(Spec("pooled_output", "float32", (-1, hidden)))
        specs.append(Spec("default", "float32", (-1, hidden)))
    specs.append(Spec("sequence_output", "float32", (-1, -1, hidden)))
    if not encoder.checkpoint.embedding.unsupported:
        specs.append(Spec(EMBEDDING, "float32", (-1, encoder.checkpoint.embedding.chosen().width(hidden))))
    if head is not None and head.task == "regress":
        specs.append(Spec("values", "float32", (-1,)))
    elif head is not None and head.task != "tag":
        specs += [Spec(name, "float32", (-1, len(head.labels))) for name in ("logits", "probabilities")]
        specs += [Spec("labels", "string", (-1,))] if head.task == "classify" else []
    specs += [Spec(f"{_LAYER}{layer}", "float32", (-1, -1, hidden)) for layer in range(config.num_states)]
    if config.mlm:
        specs.append(Spec(MLM_LOGITS, "float32", (-1, -1, config.vocab_size)))
    return specs


def given(service: Service, inputs: Inputs, *, alias: bool) -> list[str]:
    """The outputs that a client gets who names none: never those of all layers, which are many times as large.

    Of a model with a head it is what that predicts; `alias` adds `default`, the other name of `pooled_output`.
    """
    head, config = service.encoder.head, service.encoder.config
    if head is not None and head.task != "tag":
        return ["values"] if head.task == "regress" else ["probabilities"]
    names = ["pooled_output", *(["default"] if alias else [])] if config.has_pooled_output else []
    return [*names, "sequence_output", *([MLM_LOGITS] if POSITIONS in inputs.arrays else [])]


async def computed(
    service: Service, inputs: Inputs, names: Sequence[tuple[str, str]], *, call: Call, terms: Terms
) -> Tensors:
    """The outputs of these names, each with its place in the request, for texts or arrays."""
    own = _vectors(service, prompted=inputs.texts is not None) if any(name == EMBEDDING for name, _ in names) else None
    needed = {name: _needed(name, where, service, own) for name, where in names}
    outputs = list(dict.fromkeys(output for each in needed.values() for output in each))
    call.ledger.task = "predict" if any(name in _HEAD for name in needed) else "embed"
    headers: Mapping[str, str] = {}
    get: Callable[[Output], Floats]
    if inputs.texts is None:
        arrays = await service.outputs(inputs.arrays, outputs, terms=terms)
        get = arrays.__getitem__
    else:
        if any(output.mlm for output in outputs):
            raise BadRequestError(f"{MLM_LOGITS} are computed at the {POSITIONS} of input_word_ids, not for texts")
        request = Request(
            {str(number): output for number, output in enumerate(outputs)}, prompt="" if own is None else own.prompt
        )
        encoded = await service.encode(inputs.texts, request, terms=terms, truncation=call.truncation(None))
        _check_padded(encoded, outputs, service)
        headers = truncation_headers(encoded.truncated)

        def get(output: Output) -> Floats:
            return encoded.vectors(output) if output.pooling else encoded.padded(output)

    def finish() -> Mapping[str, Value]:
        found = {output: get(output) for output in outputs}
        return {name: _finished(name, needed[name], found, service, own) for name in needed}

    rows = _rows(inputs)
    large = rows * service.encoder.config.hidden_size * len(outputs) > _FEW or not all(o.pooling for o in outputs)
    return Tensors(await service.in_pool(finish) if large else finish(), rows, headers)


def _rows(inputs: Inputs) -> int:
    return len(inputs.texts) if inputs.texts is not None else len(next(iter(inputs.arrays.values())))


def _needed(name: str, where: str, service: Service, own: Request | None) -> list[Output]:
    """What is computed for an output; `BadRequestError` for one that the model does not have."""
    encoder, config = service.encoder, service.encoder.config
    names = [spec.name for spec in offered(service)]
    if name == "encoder_outputs":
        return [Output(layer) for layer in range(config.num_states)]
    if name not in names:
        why = ""
        if encoder.head is not None and encoder.head.task == "tag" and name in _HEAD:
            why = " (it labels words, whose number differs from text to text: POST /predict gives these)"
        raise BadRequestError(
            f"{where} is {name[:60]!r}, which this model does not have{why}; it has {', '.join(names)}", where=where
        )
    if name in ("pooled_output", "default"):
        return [Output(pooling="pooled").resolved(config)]
    if own is not None and name == EMBEDDING:
        return list(own.embedding)
    if name in _HEAD:
        assert encoder.head is not None, "only models with a head have these names"
        return [Output(pooling=encoder.head.pooling).resolved(config)]
    if name.startswith(_LAYER):
        return [Output(int(name.removeprefix(_LAYER)))]
    return [Output(mlm=name == MLM_LOGITS).resolved(config)]


def _vectors(service: Service, *, prompted: bool) -> Request:
    """The model's own sentence vectors; of texts with its default prompt, while ids are taken as they are."""
    checkpoint = service.encoder.checkpoint
    prompt = Prompt.of(checkpoint.embedding, service.tokenizer) if prompted else NO_PROMPT
    return Request.of_vectors(checkpoint, prompt=prompt)


def _finished(
    name: str, outputs: Sequence[Output], found: Mapping[Output, Floats], service: Service, own: Request | None
) -> Value:
    if name == "encoder_outputs":
        return [found[output] for output in outputs]
    if own is not None and name == EMBEDDING:
        return embedding(found, own)
    array, head = found[outputs[0]], service.encoder.head
    if name not in _HEAD or head is None:
        return array
    logits = Logits(head, head_outputs(head, array), np.zeros(len(array), np.bool_))
    match name:
        case "logits":
            return logits.values
        case "probabilities":
            shares: Any = logits.probabilities()
        case _:
            shares = logits.predictions()
    made: Value = shares
    return made


def _check_padded(encoded: Encoded, outputs: Sequence[Output], service: Service) -> None:
    """`TooLargeError` where token vectors, padded to the longest text, would be too large."""
    size, most = encoded.padded_bytes(outputs), service.result_bytes
    if size > most:
        raise TooLargeError(
            f"the outputs that are asked for have {size / 1e6:,.0f} MB, padded to the longest text, and at most "
            f"{most / 1e6:,.0f} MB are made for one request: ask for fewer texts or outputs at a time"
        )
