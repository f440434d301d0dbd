"""Write the tokenizer's files of a Hugging Face folder, from which transformers' AutoTokenizer gives the same ids."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from berthub.errors import UnsupportedModelError
from berthub.formats.huggingface.tokenizer import WORDPIECE_KEYS
from berthub.formats.huggingface.tokenizer_checks import FAST, SLOW
from berthub.formats.huggingface.tokenizer_files import SPECIAL
from berthub.formats.pipelines import tokenizer_json
from berthub.formats.vocabularies import write_vocabulary_files
from berthub.vocabulary import PIPELINES, Vocabulary

__all__ = ["TextSettings", "write_tokenization"]


class TextSettings(Protocol):
    """How texts are prepared, by the names of a model's configuration."""

    @property
    def lower_case(self) -> bool:
        """Whether texts are lower-cased."""

    @property
    def strip_accents(self) -> bool | None:
        """Whether accents are dropped; None: where texts are lower-cased."""

    @property
    def split_chinese(self) -> bool:
        """Whether each Chinese character is a word."""


def write_tokenization(
    vocabulary: Vocabulary,
    config: TextSettings,
    folder: Path,
    *,
    max_length: int,
    wordpiece_class: str | None = None,
) -> None:
    """Write the vocabulary's files and `tokenizer_config.json`.

    `wordpiece_class` is the tokenizer's class for WordPiece, where it is not BERT's.
    """
    if vocabulary.algorithm in PIPELINES:
        text = json.dumps(tokenizer_json(vocabulary), ensure_ascii=False) + "\n"
        (folder / FAST).write_text(text, encoding="utf-8", newline="\n")
    else:
        _write_pieces(vocabulary, folder)
    stored: dict[str, Any] = {
        "model_max_length": max_length,
        **{key: getattr(vocabulary, role) for key, role in SPECIAL.items()},
    }
    if vocabulary.framed.second_type == 0 and vocabulary.algorithm != "byte_bpe":
        # Else transformers gives the model type ids, which not every class of models takes.
        stored["model_input_names"] = ["input_ids", "attention_mask"]
    elif vocabulary.algorithm in PIPELINES:
        stored["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    if vocabulary.added and vocabulary.algorithm not in PIPELINES:
        stored["added_tokens_decoder"] = {
            str(vocabulary.ids[token.content]): asdict(token)
            for token in sorted(vocabulary.added, key=lambda token: vocabulary.ids[token.content])
        }
    framed = {"bos_token": vocabulary.classify, "eos_token": vocabulary.separate}
    match vocabulary.algorithm:
        case "wordpiece":
            doubled = vocabulary.framed.between > 1
            stored["tokenizer_class"] = "MPNetTokenizer" if doubled else wordpiece_class or "BertTokenizer"
            stored |= {key: getattr(config, name) for key, name in WORDPIECE_KEYS.items()} | (framed if doubled else {})
        case "sentencepiece":
            strips = config.lower_case if config.strip_accents is None else config.strip_accents
            stored["tokenizer_class"] = "AlbertTokenizer"
            stored |= {"do_lower_case": config.lower_case, "keep_accents": not strips, **framed}
        case "byte_bpe":
            stored |= {"tokenizer_class": "RobertaTokenizer", **framed, "add_prefix_space": False}
        case "bpe" | "unigram":
            # The class that runs tokenizer.json as it is, by the name that older releases know, too.
            stored |= {"tokenizer_class": "PreTrainedTokenizerFast", **framed}
    (folder / SLOW).write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_pieces(vocabulary: Vocabulary, folder: Path) -> None:
    """Write the model's own pieces; the added tokens stand in `tokenizer_config.json`."""
    own = vocabulary.pieces[: len(vocabulary) - vocabulary.appended]
    files = write_vocabulary_files(replace(vocabulary, pieces=own, added=(), appended=0, frame=None), folder)
    if vocabulary.algorithm == "wordpiece" and files["vocab_file"].name != "vocab.txt":
        raise UnsupportedModelError(
            "the vocabulary has pieces with blanks around them, which the vocab.txt of a Hugging Face folder "
            "cannot hold; export the model in another format"
        )
