"""`/predict` and `/fill-mask`: labels, values and tags of fine-tuned models, and the pieces in the place of a mask."""

from collections.abc import Mapping, Sequence
from typing import Any

from berthub.encoding.prediction import Logits
from berthub.engines.engine import Floats
from berthub.head import Head
from berthub.serving.answers import Answer, as_json, json_answer, list_answer
from berthub.serving.bodies import Fields
from berthub.serving.call import Call, truncation_headers
from berthub.serving.dialects.tei.fields import EmptyError, TaskError, parameters_of, service_of, truncation_of
from berthub.serving.failures import BadRequestError, UnprocessableError
from berthub.serving.heads import served_head
from berthub.serving.results import TaggedText, TaggedWord
from berthub.serving.service import Service
from berthub.tokenization.tokenizer import Text

__all__ = ["fill_mask", "predict"]

_TOP = 5
_TRANSFORMS = {"classify": "softmax", "multi_label": "sigmoid"}


async def predict(call: Call, fields: Fields | None = None) -> Answer:
    """The labels of texts or pairs with their scores, the likeliest first; or the words of texts with theirs.

    One text has one list, a batch a list of them.
    """
    fields = fields or Fields.of(call.json())
    parameters = parameters_of(fields)
    texts, single = _texts(call, fields)
    service = service_of(call, fields)
    raw = fields.boolean("raw_scores", False)
    truncation = truncation_of(call, fields)
    call.ledger.task, call.ledger.single = "predict", single
    head = _head(service)
    if head.task == "tag":
        ignored = _tag_options(parameters, raw=raw)
        if not all(isinstance(text, str) for text in texts):
            raise UnprocessableError("this model labels the words of single texts, not of pairs", where="inputs")
        tagged = await service.tags([str(text) for text in texts], terms=call.terms(), truncation=truncation)
        return _tags_answer(tagged, ignored, single=single)
    top = None
    if parameters is not None:
        top = parameters.integer("top_k", least=1)
        raw = _is_raw(parameters, head) or raw
    logits = await service.logits(texts, terms=call.terms(), truncation=truncation)
    # Hugging Face's own clients expect a list in a list for one text, too.
    return _labels_answer(logits, top=top, raw=raw, single=single and parameters is None)


async def fill_mask(call: Call, fields: Fields | None = None) -> Answer:
    """The likeliest pieces in the place of the one mask of a text, the likeliest first."""
    fields = fields or Fields.of(call.json())
    parameters = parameters_of(fields) or Fields({}, "parameters")
    text = fields.required("inputs")
    if not isinstance(text, str):
        raise BadRequestError("inputs must be a string: masks are filled in one text at a time", where="inputs")
    if parameters.values.get("targets") is not None:
        raise UnprocessableError("targets are not supported: ask for a larger top_k", where="parameters.targets")
    top = fields.integer("top_k", least=1) or parameters.integer("top_k", least=1) or _TOP
    service = service_of(call, fields)
    if not service.encoder.config.mlm:
        raise TaskError("this model has no masked-language-model head: the files that it was read from hold none")
    fillings = await service.fill_mask(text, top_k=top, terms=call.terms())
    return json_answer(
        [
            {"score": each.probability, "token": each.id, "token_str": each.piece, "sequence": each.text}
            for each in fillings
        ]
    )


def _texts(call: Call, fields: Fields) -> tuple[list[Text], bool]:
    """A string or a pair is one text, a list of lists of one or two strings a batch, exactly as TEI reads them."""
    given = fields.required("inputs")
    if isinstance(given, str):
        return [given], True
    if given == []:
        raise EmptyError("inputs is an empty list", where="inputs")
    if not isinstance(given, list):
        raise BadRequestError("inputs must be a string, a pair of strings, or a list of lists of these", where="inputs")
    if isinstance(given[0], str):
        return [_text(given, "inputs", "; a batch is a list of lists: [[TEXT], [TEXT, TEXT]]")], True
    call.check_count(given, "inputs")
    return [_text(each, f"inputs[{index}]", "") for index, each in enumerate(given)], False


def _text(value: Any, where: str, hint: str) -> Text:
    if isinstance(value, list) and 1 <= len(value) <= 2 and all(isinstance(each, str) for each in value):
        return value[0] if len(value) == 1 else (value[0], value[1])
    raise BadRequestError(f"{where} must be a list of one string, or of two that are a pair{hint}", where=where)


def _head(service: Service) -> Head:
    try:
        return served_head(service.encoder)
    except UnprocessableError as error:
        raise TaskError(str(error)) from None


def _is_raw(parameters: Fields, head: Head) -> bool:
    """Whether the scores are wanted as the head computes them."""
    name, own = parameters.string("function_to_apply"), _TRANSFORMS.get(head.task, head.activation)
    if own in (None, "identity"):
        own = "none"
    if name is None or name == own:
        return False
    if name == "none":
        return True
    raise UnprocessableError(
        f"function_to_apply must be none or {own}, which this model was trained with, and is {name[:40]!r}",
        where="parameters.function_to_apply",
    )


def _labels_answer(logits: Logits, *, top: int | None, raw: bool, single: bool) -> Answer:
    scores: Any = logits.values
    if not raw:
        scores = logits.predictions() if logits.head.task == "regress" else logits.probabilities()
        scores = scores.reshape(logits.values.shape)
    labels = logits.head.labels

    def write(index: int, row: Floats) -> bytes:
        ordered = sorted(zip(row.tolist(), labels, strict=True), key=lambda pair: -pair[0])
        return as_json([{"score": score, "label": label} for score, label in ordered[:top]])

    headers = truncation_headers(int(logits.truncated.sum()))
    if single:
        return Answer(write(0, scores[0]), headers=headers)
    return list_answer(scores, write=write, floats=4 * scores.size, headers=headers)


def _tag_options(parameters: Fields | None, *, raw: bool) -> frozenset[str]:
    """The labels whose words are left out: none, or where `parameters` come, "O" as in Hugging Face's pipelines."""
    if raw:
        raise UnprocessableError("raw_scores are not given for words: leave it out", where="raw_scores")
    if parameters is None:
        return frozenset()
    parameters.choice("aggregation_strategy", ("none",), "none")
    if parameters.values.get("stride") is not None:
        raise UnprocessableError("a stride is not supported: send shorter texts", where="parameters.stride")
    ignored = parameters.values.get("ignore_labels")
    if ignored is None:
        return frozenset({"O"})
    if not isinstance(ignored, list) or not all(isinstance(label, str) for label in ignored):
        raise BadRequestError("parameters.ignore_labels must be a list of strings", where="parameters.ignore_labels")
    return frozenset(ignored)


def _tags_answer(texts: Sequence[TaggedText], ignored: frozenset[str], *, single: bool) -> Answer:
    def write(index: int, text: TaggedText) -> bytes:
        return as_json([_entity(word) for word in text.words if word.label not in ignored])

    headers = truncation_headers(sum(text.truncated for text in texts))
    if single:
        return Answer(write(0, texts[0]), headers=headers)
    return list_answer(texts, write=write, floats=8 * sum(len(text.words) for text in texts), headers=headers)


def _entity(word: TaggedWord) -> Mapping[str, Any]:
    return {
        "entity": word.label,
        "score": word.score,
        "index": word.index,
        "word": word.word,
        "start": word.start,
        "end": word.end,
    }
