"""`/embed`, `/embed_all`, `/similarity`: vectors of texts, of their tokens, and how similar texts are."""

from collections.abc import Mapping, Sequence
from typing import Any

from berthub.encoding.request import Request
from berthub.engines.engine import Floats
from berthub.networks.outputs import Output
from berthub.serving.answers import Answer, arrow_bytes, as_json, list_answer, npy_bytes
from berthub.serving.bodies import Fields, is_ids
from berthub.serving.call import Call, truncation_headers
from berthub.serving.dialects.tei.fields import (
    EmptyError,
    named_prompt_of,
    parameters_of,
    prompt_of,
    service_of,
    strings_or_pairs,
    truncation_of,
)
from berthub.serving.dimensions import dimensions_of, first_dimensions
from berthub.serving.failures import BadRequestError, TooLargeError
from berthub.serving.results import Encoded
from berthub.serving.service import Service

__all__ = ["ARROW", "NPY", "embed", "embed_all", "similarity"]

NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"

_MEDIA = ("application/json", NPY, ARROW)
# The header is left out for more texts: clients refuse headers of more than some kilobytes.
_COUNTED = 512


async def embed(call: Call, fields: Fields | None = None) -> Answer:
    """One vector for each text: of length 1, unless `normalize` is false."""
    fields = fields or Fields.of(call.json())
    service = service_of(call, fields)
    request = Request.of_vectors(
        service.encoder.checkpoint, normalize=fields.boolean("normalize", True), prompt=prompt_of(fields, service)
    )
    fields.choice("encoding_format", ("float",), "float")
    dimensions = dimensions_of(fields, service, request)
    encoded = await _encoded(call, fields, service, request)
    vectors = first_dimensions(encoded.embedding(), dimensions, unit=request.vector.normalize)
    headers = truncation_headers(encoded.truncated)
    match call.accepts(_MEDIA):
        case "application/x-npy":
            return Answer(await service.in_pool(lambda: npy_bytes(vectors)), NPY, headers=headers)
        case "application/vnd.apache.arrow.stream":
            columns = {"embedding": vectors}
            return Answer(await service.in_pool(lambda: arrow_bytes(columns)), ARROW, headers=headers)
    return _as_lists(vectors, vectors.size, headers)


async def embed_all(call: Call) -> Answer:
    """The vectors of the tokens of each text, `[CLS]` and `[SEP]` included."""
    fields = Fields.of(call.json())
    service = service_of(call, fields)
    output = Output().resolved(service.encoder.config)
    encoded = await _encoded(
        call, fields, service, Request({"tokens": output}, prompt=named_prompt_of(fields, service).text)
    )
    headers = truncation_headers(encoded.truncated)
    match call.accepts(_MEDIA):
        case "application/x-npy":
            _check_padded(encoded.padded_bytes([output]), service.result_bytes)
            content = await service.in_pool(lambda: npy_bytes(encoded.padded(output)))
            return Answer(content, NPY, headers={**headers, **_counts(encoded)})
        case "application/vnd.apache.arrow.stream":
            content = await service.in_pool(lambda: arrow_bytes({"token_embeddings": encoded.token_rows(output)}))
            return Answer(content, ARROW, headers=headers)
    rows = encoded.token_rows(output)
    return _as_lists(rows, len(encoded.tokens.ids) * service.encoder.config.hidden_size, headers)


async def similarity(call: Call, fields: Fields | None = None) -> Answer:
    """The cosines of the vectors of one text and of others."""
    fields = fields or Fields.of(call.json())
    inputs = Fields.of(fields.required("inputs"), "inputs")
    source = inputs.required("source_sentence")
    if not isinstance(source, str):
        raise BadRequestError("inputs.source_sentence must be a string", where="inputs.source_sentence")
    sentences = call.texts(inputs.required("sentences"), "inputs.sentences")
    if not sentences:
        raise EmptyError("inputs.sentences is an empty list", where="inputs.sentences")
    options = parameters_of(fields) or Fields({}, "parameters")
    service = service_of(call, fields)
    request = Request.of_vectors(service.encoder.checkpoint, normalize=True, prompt=prompt_of(options, service))
    call.ledger.task = "embed"
    encoded = await service.encode(
        [source, *sentences], request, terms=call.terms(), truncation=truncation_of(call, options)
    )
    vectors = encoded.embedding()
    return Answer(as_json(vectors[1:] @ vectors[0]), headers=truncation_headers(encoded.truncated))


async def _encoded(call: Call, fields: Fields, service: Service, request: Request) -> Encoded:
    """The encodings of `inputs`: one text, the ids of its tokens, or a list of texts and pairs, or of lists of ids."""
    truncation = truncation_of(call, fields)
    given = fields.required("inputs")
    call.ledger.task, call.ledger.single = "embed", isinstance(given, str)
    first = given[0] if isinstance(given, list) and given else None
    if type(first) is int:
        call.ledger.single = True
        return await service.encode_tokens([_ids(given, "inputs")], request, terms=call.terms(), where="inputs")
    if isinstance(first, list) and first and type(first[0]) is int:
        call.check_count(given, "inputs")
        rows = [_ids(row, f"inputs[{index}]") for index, row in enumerate(given)]
        return await service.encode_tokens(rows, request, terms=call.terms(), where="inputs")
    texts, _ = strings_or_pairs(call, fields)
    return await service.encode(texts, request, terms=call.terms(), truncation=truncation)


def _ids(value: Any, where: str) -> list[int]:
    if is_ids(value):
        return value
    raise BadRequestError(f"{where} must be a list of the ids of tokens, and nothing else", where=where)


def _as_lists(rows: Sequence[Floats] | Floats, floats: int, headers: Mapping[str, str]) -> Answer:
    return list_answer(rows, write=lambda index, row: as_json(row), floats=floats, headers=headers)


def _check_padded(size: int, most: int) -> None:
    """Refuse an array that padding makes larger than what one request may ask for."""
    if size > most:
        raise TooLargeError(
            f"with padding the array would have {size / 1e6:,.0f} MB, and at most {most / 1e6:,.0f} MB are sent: ask "
            f"for {ARROW}, which pads nothing, or for fewer texts"
        )


def _counts(encoded: Encoded) -> Mapping[str, str]:
    """The header with the number of tokens of each text, which tells where padding begins."""
    lengths = encoded.tokens.lengths.tolist()
    return {} if len(lengths) > _COUNTED else {"x-token-counts": ",".join(map(str, lengths))}
