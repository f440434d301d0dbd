"""`/tokenize` and `/decode`: texts as tokens, and back."""

import itertools
from collections.abc import Mapping
from typing import Any

from berthub.serving.answers import Answer, as_json, list_answer
from berthub.serving.bodies import Fields
from berthub.serving.call import Call
from berthub.serving.dialects.tei.fields import EmptyError, check_prompt, service_of, strings_or_pairs
from berthub.serving.failures import BadRequestError, TooLargeError
from berthub.tokenization.decoding import decoded
from berthub.tokenization.tokenizer import Text
from berthub.tokenization.tokens import Tokens

__all__ = ["decode", "tokenize"]

# About as many numbers cost as much to write.
_PER_TOKEN = 10


async def tokenize(call: Call) -> Answer:
    """The tokens of each text, however long: ids, pieces, and the characters that they stand for."""
    fields = Fields.of(call.json())
    check_prompt(fields)
    special = fields.boolean("add_special_tokens", True)
    texts, _ = strings_or_pairs(call, fields)
    service = service_of(call, fields)
    tokens = await service.tokenize(texts)
    pieces = service.tokenizer.vocabulary.pieces

    def write(index: int, text: Text) -> bytes:
        rows = _tokens(tokens, index, text, pieces)
        return as_json([row for row in rows if special or not row["special"]])

    return list_answer(texts, write=write, floats=_PER_TOKEN * len(tokens.ids))


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
    most = call.state.limits.texts
    if len(rows) > most:
        raise TooLargeError(f"ids has {len(rows):,} lists, and at most {most:,} are taken at a time", where="ids")
    for index, row in enumerate(rows):
        where = f"ids[{index}]" if rows is given else "ids"
        if not isinstance(row, list) or not all(type(each) is int for each in row):
            raise BadRequestError(f"{where} must be a list of the ids of tokens", where=where)
    service = service_of(call, fields)
    found = await service.in_pool(lambda: as_json([decoded(row, service.tokenizer, skip_special=skip) for row in rows]))
    return Answer(found)


def _tokens(tokens: Tokens, row: int, text: Text, pieces: tuple[str, ...]) -> list[Mapping[str, Any]]:
    assert tokens.offsets is not None, "the tokens were made with offsets"
    assert tokens.bounds is not None, "the tokens were made of texts"
    start, end = tokens.row_splits[row : row + 2].tolist()
    ids, places = tokens.ids[start:end].tolist(), tokens.offsets[start:end].tolist()
    found: list[Mapping[str, Any]] = [
        {"id": each, "text": pieces[each], "special": True, "start": None, "stop": None, "piece": pieces[each]}
        for each in ids
    ]
    first_end, second = tokens.bounds[row].tolist()
    spans = [(text, 1, end - start - 1)] if isinstance(text, str) else []
    if not isinstance(text, str):
        spans = [(text[0], 1, first_end), (text[1], second, end - start - 1)]
    for part, index in itertools.chain.from_iterable(
        ((part, index) for index in range(begin, stop)) for part, begin, stop in spans
    ):
        begin, stop = places[index]
        found[index] = {
            **found[index],
            "text": part[begin:stop],
            "special": False,
            "start": begin,
            "stop": stop,
        }
    return found
