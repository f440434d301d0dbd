"""What stands around texts, as the post-processor of `tokenizer.json` says it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from berthub.errors import CorruptFileError, UnsupportedModelError
from berthub.formats.huggingface.tokenizer_checks import refuse, steps
from berthub.vocabulary import BERT_FRAME, ROBERTA_FRAME, Frame, Vocabulary

__all__ = ["check_frame", "read_frame"]

# Of tokenizers that put these around texts without a template.
_FIXED = {"BertProcessing": BERT_FRAME, "RobertaProcessing": ROBERTA_FRAME}
_ACCEPTED = ("[CLS] a [SEP] b [SEP], with one separator or several between",)


def read_frame(fast: Mapping[str, Any], path: Path) -> tuple[str, str, Frame]:
    """The first and the last special piece around a text, and the frame.

    `UnsupportedModelError` where there is none, or one of another kind.
    """
    found = [step for step in steps(fast, "post_processor", path) if step.get("type") != "ByteLevel"]
    if len(found) != 1:
        raise UnsupportedModelError(
            f"{path} has no post_processor that puts special tokens around texts; what is supported: {_ACCEPTED[0]}"
        )
    (step,) = found
    if step.get("type") in [*_FIXED]:
        (classify, _), (separate, _) = (_piece(step.get(key), path) for key in ("cls", "sep"))
        return classify, separate, _FIXED[step["type"]]
    single, pair = (_template(step.get(name), path) for name in ("single", "pair"))
    shown = {"single": _in_words(single), "pair": _in_words(pair)}
    if len(single) != 3 or single[1] != ("A", 0) or {"A", "B"} & {single[0][0], single[2][0]}:
        refuse(path, "post_processor", shown, _ACCEPTED)
    classify, separate = single[0][0], single[2][0]
    between = len(pair) - 4
    second_type = pair[-1][1]
    expected = [*single[:2], *[(separate, 0)] * between, ("B", second_type), (separate, second_type)]
    if between < 1 or pair != expected or single != [(classify, 0), ("A", 0), (separate, 0)]:
        refuse(path, "post_processor", shown, _ACCEPTED)
    return classify, separate, Frame(between=between, second_type=second_type)


def check_frame(fast: Mapping[str, Any], vocabulary: Vocabulary, path: Path, *, types: bool = True) -> None:
    """`UnsupportedModelError` where the post-processor puts other special tokens around texts than the model has.

    Without `types` the type ids do not matter.
    """
    classify, separate, frame = vocabulary.classify, vocabulary.separate, vocabulary.framed
    ids = {piece: vocabulary.ids[piece] for piece in (classify, separate)}
    for step in steps(fast, "post_processor", path):
        kind = step.get("type")
        if kind == "TemplateProcessing":
            single = [(classify, 0), ("A", 0), (separate, 0)]
            pair = [*single[:2], *single[2:] * frame.between, ("B", frame.second_type), (separate, frame.second_type)]
            found = {name: _template(step.get(name), path) for name in ("single", "pair")}
            if _compared(found, types=types) != _compared({"single": single, "pair": pair}, types=types):
                refuse(path, "post_processor", {name: _in_words(found[name]) for name in found}, (_in_words(pair),))
            stored = step.get("special_tokens")
            given = {
                key: value.get("ids") if isinstance(value, dict) else value
                for key, value in (stored.items() if isinstance(stored, dict) else ())
            }
            if any(given.get(piece) != [index] for piece, index in ids.items()):
                refuse(path, "post_processor.special_tokens", given, (ids,))
        elif kind in [*_FIXED]:
            for key, piece in (("cls", classify), ("sep", separate)):
                if step.get(key) != [piece, ids[piece]]:
                    refuse(path, f"post_processor.{key}", step.get(key), ([piece, ids[piece]],))
            if _FIXED[kind].between != frame.between:
                fitting = [name for name, each in _FIXED.items() if each.between == frame.between]
                refuse(path, "post_processor.type", kind, (*fitting, "TemplateProcessing"))


def _compared(found: Mapping[str, list[tuple[str, int]]], *, types: bool) -> dict[str, list[tuple[str, int]]]:
    return {name: [(piece, kind if types else 0) for piece, kind in parts] for name, parts in found.items()}


def _in_words(parts: list[tuple[str, int]]) -> str:
    return " ".join(f"{piece}:{kind}" for piece, kind in parts)


def _piece(value: Any, path: Path) -> tuple[str, int]:
    match value:
        case [str() as piece, int() as index]:
            return piece, index
    raise CorruptFileError(f"the post_processor in {path} should name pieces with their ids, not {value!r:.80}")


def _template(value: Any, path: Path) -> list[tuple[str, int]]:
    """The elements of a template with their type ids: `A` and `B` are the texts."""
    found = []
    for part in value if isinstance(value, list) else [None]:
        match part:
            case {"SpecialToken": {"id": str() as piece, "type_id": int() as kind}}:
                found.append((piece, kind))
            case {"Sequence": {"id": ("A" | "B") as name, "type_id": int() as kind}}:
                found.append((name, kind))
            case _:
                raise CorruptFileError(f"the template of the post_processor in {path} is not valid")
    return found
