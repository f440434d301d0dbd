"""Files of Hugging Face's tokenizers, as transformers writes them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["added_token", "write_tokenizer_json"]


def added_token(content: str, **flags: bool) -> dict[str, Any]:
    """The entry of an added token."""
    usual = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return {"content": content, **usual, **flags}


def write_tokenizer_json(folder: Path, pieces: Sequence[str], **parts: Any) -> None:
    """Write the `tokenizer.json` of a WordPiece vocabulary; `parts` replace its parts, `model` parts of the model."""
    ids = {piece: index for index, piece in enumerate(pieces)}
    model = {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": ids,
        **parts.pop("model", {}),
    }
    stored = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": ids[piece], **added_token(piece, special=True)}
            for piece in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [_special("[CLS]", 0), _text("A", 0), _special("[SEP]", 0)],
            "pair": [_special("[CLS]", 0), _text("A", 0), _special("[SEP]", 0), _text("B", 1), _special("[SEP]", 1)],
            "special_tokens": {
                piece: {"id": piece, "ids": [ids[piece]], "tokens": [piece]} for piece in ("[CLS]", "[SEP]")
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": model,
        **parts,
    }
    (folder / "tokenizer.json").write_text(json.dumps(stored))


def _special(piece: str, kind: int) -> dict[str, Any]:
    return {"SpecialToken": {"id": piece, "type_id": kind}}


def _text(name: str, kind: int) -> dict[str, Any]:
    return {"Sequence": {"id": name, "type_id": kind}}
