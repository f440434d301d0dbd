"""transformers' tokenizer classes with a unigram model: the pipeline that each makes of a vocabulary (5.24).

They take the pieces, their scores and the precompiled character map from `tokenizer.json`, or else from SentencePiece's
model file, and all else from `tokenizer_config.json`. What else `tokenizer.json` says is not used.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from berthub.containers.protos import parse
from berthub.formats.pipelines import BLANK, Pipeline
from berthub.formats.vocabularies import ALBERT_SPECIAL, BERT_SPECIAL, ROBERTA_SPECIAL
from berthub.vocabulary import BERT_FRAME, ROBERTA_FRAME, AddedToken, Frame

__all__ = ["UNIGRAM_CLASSES", "Unigram", "UnigramClass", "model_in_protobuf"]

Step = dict[str, Any]
# The kinds of a SentencePiece model's pieces that are no part of a text, or always a piece of their own.
_CONTROL, _USER_DEFINED = 3, 4


@dataclass(frozen=True)
class Unigram:
    """A unigram model: its pieces with their scores, a character map in base64, and the unknown piece's id, if known.

    `added` are the pieces that SentencePiece never splits.
    """

    entries: Sequence[tuple[str, float]]
    charsmap: str | None
    unknown: int | None = None
    added: tuple[AddedToken, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UnigramClass:
    """One of transformers' classes. `file` is SentencePiece's model file, for folders without a `tokenizer.json`.

    `special` are the special pieces by role where no file names them; those of `frame_keys` stand around texts, in the
    frame `frame`. `steps` makes the normalizer and the pre-tokenizer of `tokenizer_config.json` and a character map,
    `reordered` gives a SentencePiece model's entries transformers' order, and `unknown` tells the unknown piece's id.
    `mask_strips`: the blanks before a mask belong to it. `listed` are special tokens without a role.
    """

    file: str
    special: Mapping[str, str]
    frame: Frame
    frame_keys: tuple[str, str] = ("bos_token", "eos_token")
    steps: Callable[[Mapping[str, Any], str | None], tuple[list[Step], list[Step]]]
    reordered: Callable[[Sequence[tuple[str, float]], Mapping[str, str]], Sequence[tuple[str, float]]]
    unknown: Callable[[Unigram, Mapping[str, str], Mapping[str, Any]], int]
    mask_strips: bool = False
    listed: tuple[str, ...] = ()

    def pipeline(self, model: Unigram, special: Mapping[str, str], slow: Mapping[str, Any], *, source: str) -> Pipeline:
        """The pipeline that runs a model with these special pieces, by role."""
        normalizers, pre_tokenizers = self.steps(slow, model.charsmap)
        metaspace = pre_tokenizers[-1]
        return Pipeline(
            model={"type": "Unigram", "unk_id": self.unknown(model, special, slow), "byte_fallback": False},
            table=[score for _, score in model.entries],
            normalizer={"type": "Sequence", "normalizers": normalizers} if normalizers else None,
            pre_tokenizer={"type": "Sequence", "pretokenizers": pre_tokenizers},
            decoder=metaspace,
            source=source,
        )


def model_in_protobuf(data: bytes, *, source: str) -> Unigram:
    """The unigram model in a SentencePiece model file; `CorruptFileError` names `source`."""
    proto = parse("ModelProto", data, source=source)
    charsmap = proto.normalizer_spec.precompiled_charsmap
    return Unigram(
        [(piece.piece, piece.score) for piece in proto.pieces],
        base64.b64encode(charsmap).decode() if charsmap else None,
        proto.trainer_spec.unk_id,
        tuple(
            AddedToken(content=piece.piece, normalized=False, special=piece.type == _CONTROL)
            for piece in proto.pieces
            if piece.type in (_CONTROL, _USER_DEFINED)
        ),
    )


def _metaspace(slow: Mapping[str, Any], *, otherwise: str) -> Step:
    scheme = "always" if slow.get("add_prefix_space", True) else otherwise
    return {"type": "Metaspace", "replacement": BLANK, "prepend_scheme": scheme, "split": True}


def _mapped(charsmap: str | None) -> list[Step]:
    return [{"type": "Precompiled", "precompiled_charsmap": charsmap}] if charsmap else []


def _xlm_roberta_steps(slow: Mapping[str, Any], charsmap: str | None) -> tuple[list[Step], list[Step]]:
    return _mapped(charsmap), [{"type": "WhitespaceSplit"}, _metaspace(slow, otherwise="never")]


def _albert_steps(slow: Mapping[str, Any], charsmap: str | None) -> tuple[list[Step], list[Step]]:
    quotes = [{"type": "Replace", "pattern": {"String": marks}, "content": '"'} for marks in ("``", "''")]
    accents = [] if slow.get("keep_accents", False) else [{"type": "NFKD"}, {"type": "StripAccents"}]
    lower = [{"type": "Lowercase"}] if slow.get("do_lower_case", True) else []
    _, words = _xlm_roberta_steps(slow, None)
    return [*quotes, *accents, *lower, *_mapped(charsmap)], words


def _deberta_steps(slow: Mapping[str, Any], charsmap: str | None) -> tuple[list[Step], list[Step]]:
    # The character map is not used.
    lower = [{"type": "Lowercase"}] if slow.get("do_lower_case", False) else []
    marks = [{"type": "Punctuation", "behavior": "Isolated"}] if slow.get("split_by_punct", False) else []
    blanks = {"type": "Replace", "pattern": {"Regex": r"\s{2,}|[\n\r\t]"}, "content": " "}
    end = {"type": "Strip", "strip_left": False, "strip_right": True}
    return [*lower, blanks, {"type": "NFC"}, end], [*marks, _metaspace(slow, otherwise="first")]


def _after_xlm_roberta(entries: Sequence[tuple[str, float]], special: Mapping[str, str]) -> list[tuple[str, float]]:
    first = [(special[role], 0.0) for role in ("classify", "pad", "separate", "unknown")]
    return [*first, *entries[3:], (special["mask"], 0.0)]


def _after_camembert(entries: Sequence[tuple[str, float]], special: Mapping[str, str]) -> list[tuple[str, float]]:
    first = [("<s>NOTUSED", 0.0), (special["pad"], 0.0), ("</s>NOTUSED", 0.0), (special["unknown"], 0.0)]
    return [*first, ("<unk>NOTUSED", -100.0), *entries[1:], (special["mask"], 0.0)]


def _deberta_unknown(model: Unigram, special: Mapping[str, str], slow: Mapping[str, Any]) -> int:
    entry = (special["unknown"], 0.0)
    if entry in model.entries:
        return model.entries.index(entry)
    index = slow.get("unk_id", 1) if model.unknown is None else model.unknown
    return index if isinstance(index, int) and not isinstance(index, bool) else 1


def _named_unknown(model: Unigram, special: Mapping[str, str], slow: Mapping[str, Any]) -> int:
    return next((index for index, (piece, _) in enumerate(model.entries) if piece == special["unknown"]), 0)


UNIGRAM_CLASSES: Mapping[str, UnigramClass] = {
    "AlbertTokenizer": UnigramClass(
        file="spiece.model",
        special=ALBERT_SPECIAL,
        frame=BERT_FRAME,
        frame_keys=("cls_token", "sep_token"),
        steps=_albert_steps,
        reordered=lambda entries, special: entries,
        unknown=lambda model, special, slow: 1,
    ),
    "CamembertTokenizer": UnigramClass(
        file="sentencepiece.bpe.model",
        special=ROBERTA_SPECIAL,
        frame=ROBERTA_FRAME,
        steps=_xlm_roberta_steps,
        reordered=_after_camembert,
        unknown=_named_unknown,
        mask_strips=True,
        listed=("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"),
    ),
    "DebertaV2Tokenizer": UnigramClass(
        file="spm.model",
        special=BERT_SPECIAL,
        frame=BERT_FRAME,
        frame_keys=("cls_token", "sep_token"),
        steps=_deberta_steps,
        reordered=lambda entries, special: entries,
        unknown=_deberta_unknown,
    ),
    "XLMRobertaTokenizer": UnigramClass(
        file="sentencepiece.bpe.model",
        special=ROBERTA_SPECIAL,
        frame=ROBERTA_FRAME,
        steps=_xlm_roberta_steps,
        reordered=_after_xlm_roberta,
        unknown=lambda model, special, slow: 3,
    ),
}
"""The classes by name, without `Fast`."""
