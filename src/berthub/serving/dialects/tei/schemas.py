"""The schemas of bodies and answers, for the OpenAPI document."""

from collections.abc import Mapping
from typing import Any

__all__ = ["SCHEMAS"]

_TEXT = {"type": "string"}
_PAIR = {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2}
_IDS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
_VECTOR = {"type": "array", "items": {"type": "number"}}
_VECTORS = {"type": "array", "items": _VECTOR}
_FLAG = {"type": ["boolean", "null"]}
_NAME = {"type": ["string", "null"]}
_WHOLE = {"type": ["integer", "null"], "minimum": 1}
_PROMPT = {**_NAME, "description": "The name of one of the model's prompts, which is put before each text."}

_MODEL = {"model": {**_NAME, "description": "One of the server's models; without it the first one answers."}}
_TRUNCATION = {
    "truncate": {**_FLAG, "description": "Whether texts that are too long are truncated, or refused."},
    "truncation_direction": {
        "enum": ["Left", "Right", "left", "right", None],
        "description": "Left drops the beginning of a text that is too long, Right, the default, its end.",
    },
}
_INPUTS = {
    "anyOf": [
        _TEXT,
        _IDS,
        {"type": "array", "items": {"anyOf": [_TEXT, _PAIR]}, "minItems": 1},
        {"type": "array", "items": _IDS, "minItems": 1},
    ],
    "description": "A text, a list of texts and of pairs of them, the ids of the tokens of a text, or a list of these.",
}
_PREDICT_INPUTS = {
    "anyOf": [
        _TEXT,
        {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 2},
        {
            "type": "array",
            "items": {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 2},
            "minItems": 1,
        },
    ],
    "description": "A text, a pair, or a batch: a list of lists of one or two strings.",
}
_SIMILARITY_INPUTS = {
    "type": "object",
    "required": ["source_sentence", "sentences"],
    "properties": {"source_sentence": _TEXT, "sentences": {"type": "array", "items": _TEXT, "minItems": 1}},
}
_LABEL = {
    "type": "object",
    "required": ["score", "label"],
    "properties": {"score": {"type": "number"}, "label": _TEXT},
}
_ENTITY = {
    "type": "object",
    "required": ["entity", "score", "index", "word", "start", "end"],
    "properties": {
        "entity": _TEXT,
        "score": {"type": "number"},
        "index": {"type": "integer"},
        "word": _TEXT,
        "start": {"type": "integer", "description": "The word's first character."},
        "end": {"type": "integer"},
    },
}
_PREDICTIONS = [{"type": "array", "items": each} for each in (_LABEL, _ENTITY)]
_TOKEN = {
    "type": "object",
    "required": ["id", "text", "special", "start", "stop", "piece"],
    "properties": {
        "id": {"type": "integer"},
        "text": {**_TEXT, "description": "The characters that it stands for; of a special token its piece."},
        "special": {"type": "boolean"},
        "start": {"type": ["integer", "null"], "description": "Its first character, counted in Unicode characters."},
        "stop": {"type": ["integer", "null"]},
        "piece": {**_TEXT, "description": "The piece of the vocabulary."},
    },
}


def _body(required: str, **properties: Any) -> Mapping[str, Any]:
    return {"type": "object", "required": [required], "properties": {**properties, **_MODEL}}


def _list(items: Any) -> Mapping[str, Any]:
    return {"type": "array", "items": items}


SCHEMAS: Mapping[str, Any] = {
    "TeiError": {
        "type": "object",
        "required": ["error", "error_type"],
        "properties": {
            "error": _TEXT,
            "error_type": {"enum": ["Backend", "Empty", "Overloaded", "Tokenizer", "Unhealthy", "Validation"]},
        },
    },
    "TeiEmbed": _body(
        "inputs",
        inputs=_INPUTS,
        normalize={**_FLAG, "description": "Whether vectors are scaled to length 1; they are, if nothing is said."},
        dimensions={**_WHOLE, "description": "How many of the first components are wanted."},
        encoding_format={"enum": ["float", None]},
        prompt_name=_PROMPT,
        **_TRUNCATION,
    ),
    "TeiVectors": _VECTORS,
    "TeiEmbedAll": _body("inputs", inputs=_INPUTS, prompt_name=_PROMPT, **_TRUNCATION),
    "TeiTokenVectors": _list(_VECTORS),
    "TeiSimilarity": _body(
        "inputs",
        inputs=_SIMILARITY_INPUTS,
        parameters={"type": ["object", "null"], "properties": {"prompt_name": _PROMPT, **_TRUNCATION}},
    ),
    "TeiSimilarities": _VECTOR,
    "TeiPredict": _body(
        "inputs",
        inputs=_PREDICT_INPUTS,
        raw_scores={**_FLAG, "description": "The head's outputs, before softmax or sigmoid."},
        parameters={
            "type": ["object", "null"],
            "description": "What Hugging Face's own clients send. With it the answer has the form that they expect.",
            "properties": {
                "top_k": _WHOLE,
                "function_to_apply": _NAME,
                "aggregation_strategy": {"enum": ["none", None]},
                "ignore_labels": {"type": ["array", "null"], "items": _TEXT},
            },
        },
        **_TRUNCATION,
    ),
    "TeiPredictions": {"anyOf": [*_PREDICTIONS, *map(_list, _PREDICTIONS)]},
    "TeiRerank": {
        "type": "object",
        "required": ["query", "texts"],
        "properties": {
            "query": _TEXT,
            "texts": {"type": "array", "items": _TEXT, "minItems": 1},
            "raw_scores": {**_FLAG, "description": "The head's outputs, before the activation."},
            "return_text": _FLAG,
            **_TRUNCATION,
            **_MODEL,
        },
    },
    "TeiRanks": _list(
        {
            "type": "object",
            "required": ["index", "score"],
            "properties": {"index": {"type": "integer"}, "score": {"type": "number"}, "text": _TEXT},
        }
    ),
    "TeiTokenize": _body(
        "inputs",
        inputs={"anyOf": [_TEXT, {"type": "array", "items": {"anyOf": [_TEXT, _PAIR]}, "minItems": 1}]},
        add_special_tokens=_FLAG,
        prompt_name=_PROMPT,
    ),
    "TeiTokens": _list(_list(_TOKEN)),
    "TeiDecode": _body(
        "ids",
        ids={"anyOf": [_IDS, _list({"type": "array", "items": {"type": "integer", "minimum": 0}})]},
        skip_special_tokens=_FLAG,
    ),
    "TeiTexts": _list(_TEXT),
    "TeiFillMask": _body(
        "inputs",
        inputs={**_TEXT, "description": "A text with one mask, as the model writes it."},
        top_k=_WHOLE,
        parameters={"type": ["object", "null"], "properties": {"top_k": _WHOLE}},
    ),
    "TeiFillings": _list(
        {
            "type": "object",
            "required": ["score", "token", "token_str", "sequence"],
            "properties": {
                "score": {"type": "number"},
                "token": {"type": "integer"},
                "token_str": _TEXT,
                "sequence": _TEXT,
            },
        }
    ),
    "TeiAny": _body("inputs", inputs={"anyOf": [_INPUTS, _PREDICT_INPUTS, _SIMILARITY_INPUTS]}),
    "TeiAnyAnswer": {"type": "array"},
    "TeiInfo": {
        "type": "object",
        "required": ["model_id", "model_dtype", "model_type", "max_input_length", "version"],
        "properties": {"model_id": _TEXT, "model_dtype": _TEXT, "model_type": {"type": "object"}, "version": _TEXT},
    },
}
