"""`/tokenize` and `/decode`: texts as tokens, and back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from berthub.encoding.prepare import prompted
from berthub.serving.answers import Answer, as_json
from berthub.serving.bodies import Fields, is_ids
from berthub.serving.call import Call
from berthub.serving.dialects.tei.fields import EmptyError, named_prompt_of, service_of, strings_or_pairs
from berthub.serving.failures import BadRequestError
from berthub.tokenization.decoding import decoded
from berthub.tokenization.tokenizer import Text
from berthub.tokenization.tokens import Tokens

__all__ = ["decode", "tokenize"]

# How many tokens are written at a time.
_CHUNK = 4096


async def tokenize(call: Call) -> Answer:
    """The tokens of each text, however long: ids, pieces, and the characters that they stand for."""
    fields = Fields.of(call.json())
    special = fields.boolean("add_special_tokens", True)
    given, _ = strings_or_pairs(call, fields)
    service = service_of(call, fields)
    texts = prompted(given, named_prompt_of(fields, service).text)
    tokens = await service.tokenize(texts)
    body = _body(tokens, texts, service.tokenizer.vocabulary.pieces, special=special)
    return Answer(b"".join(body) if len(tokens.ids) <= _CHUNK else body)


async def decode(call: Call) -> Answer:
    """The texts of lists of ids, as far as tokens tell it: an uncased model's are lower-cased."""
    fields = Fields.of(call.json())
    given = fields.required("ids")
    skip = fields.boolean("skip_special_tokens", True)
    if not isinstance(given, list):
        raise BadRequestError("ids must be a list of the ids of tokens, or a list of such lists", where="ids")
    if not given:
        raise EmptyError("ids is an empty list", where="ids")
    rows = given if isinstance(given[0], list) else [given]
    call.check_count(rows, "ids", "lists")
    for index, row in enumerate(rows):
        where = f"ids[{index}]" if rows is given else "ids"
        if row != [] and not is_ids(row):
            raise BadRequestError(f"{where} must be a list of the ids of tokens", where=where)
    service = service_of(call, fields)
    found = await service.in_pool(lambda: as_json([decoded(row, service.tokenizer, skip_special=skip) for row in rows]))
    return Answer(found)


def _body(tokens: Tokens, texts: Sequence[Text], pieces: Sequence[str], *, special: bool) -> Iterator[bytes]:
    """The answer in chunks of some tokens each: a text can have millions."""
    yield b"["
    waiting: list[bytes] = []
    held = 0
    for row, text in enumerate(texts):
        waiting.append(b",[" if row else b"[")
        first = True
        for chunk in _chunks(tokens, row, text, pieces, special=special):
            # Without the brackets around it.
            waiting.append((b"" if first else b",") + as_json(chunk)[1:-1])
            first, held = False, held + len(chunk)
            if held >= _CHUNK:
                yield b"".join(waiting)
                waiting, held = [], 0
        waiting.append(b"]")
    yield b"".join([*waiting, b"]"])


def _chunks(
    tokens: Tokens, row: int, text: Text, pieces: Sequence[str], *, special: bool
) -> Iterator[list[Mapping[str, Any]]]:
    """The tokens of a text or a pair, some at a time; special ones only if `special`."""
    assert tokens.offsets is not None, "the tokens were made with offsets"
    assert tokens.bounds is not None, "the tokens were made of texts"
    begin, end = tokens.row_splits[row : row + 2].tolist()
    last = end - begin - 1
    first, second = (text, "") if isinstance(text, str) else text
    first_end, second_start = (last, last) if isinstance(text, str) else tokens.bounds[row].tolist()
    for start in range(begin, end, _CHUNK):
        stop = min(start + _CHUNK, end)
        found: list[Mapping[str, Any]] = []
        places = tokens.offsets[start:stop].tolist()
        for at, (each, (left, right)) in enumerate(
            zip(tokens.ids[start:stop].tolist(), places, strict=True), start - begin
        ):
            piece = pieces[each]
            if 0 < at < first_end or second_start <= at < last:
                part = first if at < first_end else second
                words = {"text": part[left:right], "special": False, "start": left, "stop": right}
            elif special:
                words = {"text": piece, "special": True, "start": None, "stop": None}
            else:
                continue
            found.append({"id": each, **words, "piece": piece})
        if found:
            yield found
