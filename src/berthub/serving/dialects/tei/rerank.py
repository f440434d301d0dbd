"""`/rerank`: the documents for a query, by the scores that a cross-encoder gives them."""

from berthub.encoding.prediction import Ranked, ranked
from berthub.serving.answers import Answer, as_json, list_answer
from berthub.serving.bodies import Fields
from berthub.serving.call import Call, truncation_headers
from berthub.serving.dialects.tei.fields import EmptyError, TaskError, service_of, truncation_of
from berthub.serving.failures import BadRequestError, UnprocessableError
from berthub.serving.heads import served_head

__all__ = ["rerank"]


async def rerank(call: Call) -> Answer:
    """The places of the texts with their scores, the highest first: those of `Encoder.rank`, or with `raw_scores` the
    outputs of the head.
    """
    fields = Fields.of(call.json())
    query, given = fields.required("query"), fields.required("texts")
    if not isinstance(query, str):
        raise BadRequestError("query must be a string", where="query")
    if given == []:
        raise EmptyError("texts is an empty list", where="texts")
    texts = call.texts(given, "texts", pairs=False)
    raw, with_texts = fields.boolean("raw_scores", False), fields.boolean("return_text", False)
    service = service_of(call, fields)
    truncation = truncation_of(call, fields)
    call.ledger.task, call.ledger.single = "predict", False
    try:
        head = served_head(service.encoder)
    except UnprocessableError as error:
        raise TaskError(str(error)) from None
    if head.task != "regress":
        raise TaskError(f"this model is for {head.task}, and texts are ranked by a cross-encoder, which has one output")
    pairs = [(query, str(text)) for text in texts]
    logits = await service.logits(pairs, terms=call.terms(), truncation=truncation)
    scores = logits.values[:, 0] if raw else logits.scores()
    found = ranked(scores, pairs, top_k=None, return_documents=with_texts)
    return list_answer(found, write=_entry, floats=len(found), headers=truncation_headers(int(logits.truncated.sum())))


def _entry(number: int, each: Ranked) -> bytes:
    text = {"text": each["text"]} if "text" in each else {}
    return as_json({"index": each["corpus_id"], "score": each["score"], **text})
