"""Folders of Hugging Face's tokenizers, with small vocabularies trained here."""

import io
import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from support.hard_texts import hard_text

__all__ = ["KINDS", "texts", "write_tokenizer"]

_CORPUS = [
    "The quick brown fox jumps over the lazy dog. It was the best of times, it was the worst of times.",
    "Die schnelle braune Füchsin springt über den faulen Hund; Straße, Käse, Ärger.",
    "Le renard brun saute par-dessus le chien paresseux à l'été. Ça va? Déjà vu.",
    "Быстрая лиса прыгает через собаку.",
    "敏捷的棕色狐狸跳过了懒狗。你好世界",
    "素早い茶色の狐は怠け者の犬を飛び越える。",
    "빠른 갈색 여우가 게으른 개를 뛰어넘는다.",
    "الثعلب البني السريع يقفز فوق الكلب.",
    "तेज भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है।",
    "unigram language models, byte pair encoding, tokenization, retokenized tokens; encoder encodes encodings.",
]
_FIXED = [
    "",
    " ",
    "  two  blanks  ",
    "Hello, world!",
    "tabs\tand\nnewlines\r\n\n here",
    "<s> a </s> <pad> <unk> <mask>",
    "[CLS] a [SEP] [PAD] [UNK] [MASK].",
    "The<mask>fox  <mask> jumps <mask>",
    "The[MASK]fox  [MASK] jumps [MASK]",
    "<s>NOTUSED </s>NOTUSED <unk>NOTUSED",
    "\ufb01ne \uff21\uff22\uff23 \u2460 \u00bd \ufdfa \u212b \u1e9e \u0130stanbul",
    "e\u0301a\u0301 \u1100\u1161 \u0915\u094d\u0937 \u200b zero\u200dwidth \u00ad soft",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f44d\U0001f3fd 1\ufe0f\u20e3",
    "a" * 300,
    "\u4f60" * 200,
    "word " * 400,
    "\u2581already \u2581\u2581marked\u2581",
    "don't we'll I'M they'RE 12345 3.14 C++ a_b $x=1; ``quoted'' \"it\"",
    "\u00a0no break\u3000wide\u2028line\u0085next\x00nul\x1f",
]

LLAMA_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
KINDS = (
    "xlm_roberta_json",
    "xlm_roberta_model",
    "camembert_json",
    "camembert_model",
    "deberta_json",
    "deberta_model",
    "albert_json",
    "mpnet_json",
    "mpnet_lines",
    "modernbert",
    "eurobert",
    "whole_unigram",
)
"""Tokenizers that run in a pipeline of the tokenizers library: a class's `tokenizer.json`, or the older file alone."""


def texts(count: int, *, seed: int = 0) -> list[str]:
    """Texts of all kinds: fixed ones, those that the vocabularies were trained on, and hard ones."""
    source = random.Random(seed)
    return [*_FIXED, *_CORPUS, *(hard_text(source) for _ in range(count - len(_FIXED) - len(_CORPUS)))][:count]


def write_tokenizer(kind: str, folder: Path, **config: Any) -> str:
    """Write the tokenizer's files; the model_type that such a folder has. `config` are settings of its own.

    `kind` is one of `KINDS`, or a tokenizer of BERT or RoBERTa, which berthub runs itself: `bert_json`, `bert_lines`,
    `roberta_json` and `roberta_files`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any]
    match kind:
        case "xlm_roberta_json" | "xlm_roberta_model":
            model_type, settings = "xlm-roberta", {"tokenizer_class": "XLMRobertaTokenizer"}
            _unigram(folder, "sentencepiece.bpe.model", settings, json_too=kind.endswith("json"))
        case "camembert_json" | "camembert_model":
            model_type, settings = "camembert", {"tokenizer_class": "CamembertTokenizer"}
            _unigram(folder, "sentencepiece.bpe.model", settings, json_too=kind.endswith("json"))
        case "deberta_json" | "deberta_model":
            model_type, settings = "deberta-v2", {"tokenizer_class": "DebertaV2Tokenizer", "do_lower_case": False}
            _unigram(folder, "spm.model", settings, json_too=kind.endswith("json"))
        case "albert_json":
            model_type, settings = "albert", {"tokenizer_class": "AlbertTokenizer"}
            _unigram(folder, "spiece.model", settings, json_too=True)
        case "whole_unigram":
            model_type, settings = "bert", {"tokenizer_class": "XLMRobertaTokenizer"}
            _unigram(folder, "sentencepiece.bpe.model", settings, json_too=True)
            settings = {"tokenizer_class": "PreTrainedTokenizerFast", **_ROBERTA}
        case "mpnet_json" | "mpnet_lines":
            model_type, settings = "mpnet", {"tokenizer_class": "MPNetTokenizer", **_ROBERTA, "unk_token": "[UNK]"}
            _wordpieces(folder, json_too=kind.endswith("json"))
        case "bert_json" | "bert_lines":
            model_type, settings = "bert", {"tokenizer_class": "BertTokenizer"}
            _bert(folder, json_too=kind.endswith("json"), lower_case=config.get("do_lower_case", True))
        case "roberta_json" | "roberta_files":
            model_type, settings = "roberta", {"tokenizer_class": "RobertaTokenizer", **_ROBERTA}
            _roberta(folder, json_too=kind.endswith("json"))
        case "modernbert":
            model_type, settings = "modernbert", _modernbert(folder)
        case "eurobert":
            model_type, settings = "eurobert", _eurobert(folder)
        case _:
            raise ValueError(kind)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | config))
    return model_type


_ROBERTA = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "sep_token": "</s>",
    "cls_token": "<s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}


def _unigram(folder: Path, file: str, settings: dict[str, Any], *, json_too: bool) -> None:
    """A SentencePiece model; with `json_too` what transformers makes of it instead."""
    import transformers

    special: dict[str, Any] = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}
    if file == "spm.model":
        special = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
        special |= {
            f"{role}_piece": f"[{name}]"
            for role, name in zip(("pad", "bos", "eos", "unk"), ("PAD", "CLS", "SEP", "UNK"), strict=True)
        }
    if file == "spiece.model":
        special = {
            "pad_id": 0,
            "unk_id": 1,
            "bos_id": -1,
            "eos_id": -1,
            "pad_piece": "<pad>",
            "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
        }
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=itertools.chain.from_iterable([_CORPUS] * 6),
        model_writer=written,
        vocab_size=420,
        hard_vocab_limit=False,
        minloglevel=2,
        **special,
    )
    (folder / file).write_bytes(written.getvalue())
    if not json_too:
        return
    kind = getattr(transformers, settings["tokenizer_class"])
    tokenizer = kind.from_pretrained(folder)
    (folder / file).unlink()
    stored = json.loads(tokenizer.backend_tokenizer.to_str())
    for token in stored["added_tokens"]:
        # As in the folders at Hugging Face.
        token["lstrip"] = token["content"] in ("<mask>", "[MASK]")
    (folder / "tokenizer.json").write_text(json.dumps(stored))


def _wordpieces(folder: Path, *, json_too: bool) -> None:
    special = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        _CORPUS * 4, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    )
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    tokenizer.decoder = decoders.WordPiece()
    pieces = tokenizer.get_vocab()
    stored = json.loads(tokenizer.to_str())
    if json_too:
        stored["model"]["vocab"] = pieces
        (folder / "tokenizer.json").write_text(json.dumps(stored))
    else:
        (folder / "vocab.txt").write_text("\n".join(sorted(pieces, key=pieces.__getitem__)) + "\n", encoding="utf-8")


def _bert(folder: Path, *, json_too: bool, lower_case: bool) -> None:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower_case)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(
        _CORPUS * 4, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.decoder = decoders.WordPiece()
    pieces = tokenizer.get_vocab()
    if json_too:
        (folder / "tokenizer.json").write_text(tokenizer.to_str())
    else:
        (folder / "vocab.txt").write_text("\n".join(sorted(pieces, key=pieces.__getitem__)) + "\n", encoding="utf-8")


def _roberta(folder: Path, *, json_too: bool) -> None:
    tokenizer = _byte_pairs(500, ["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    tokenizer.decoder = decoders.ByteLevel()
    if json_too:
        (folder / "tokenizer.json").write_text(tokenizer.to_str())
        return
    stored = json.loads(tokenizer.to_str())["model"]
    (folder / "vocab.json").write_text(json.dumps(tokenizer.get_vocab()))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, stored["merges"])]) + "\n")


def _byte_pairs(size: int, special: Sequence[str], **model: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_CORPUS * 4, trainer)
    return tokenizer


def _modernbert(folder: Path) -> dict[str, Any]:
    tokenizer = _byte_pairs(500, ["<|endoftext|>", "<|padding|>"])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(" " * size, normalized=True) for size in (6, 5, 4, 3, 2)])
    tokenizer.add_tokens([AddedToken("|||EMAIL_ADDRESS|||", normalized=True)])
    tokenizer.add_special_tokens(["[UNK]", "[CLS]", "[SEP]", "[PAD]", AddedToken("[MASK]", lstrip=True)])
    tokenizer.add_tokens([AddedToken(f"[unused{number}]", normalized=True) for number in range(3)])
    ids = {piece: tokenizer.token_to_id(piece) for piece in ("[CLS]", "[SEP]")}
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=list(ids.items())
    )
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "unk_token": "[UNK]",
        "pad_token": "[PAD]",
        "mask_token": "[MASK]",
        "clean_up_tokenization_spaces": True,
    }


def _eurobert(folder: Path) -> dict[str, Any]:
    tokenizer = _byte_pairs(500, [], ignore_merges=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>", "<|mask|>", "<|pad|>"])
    first, last = (tokenizer.token_to_id(piece) for piece in ("<|begin_of_text|>", "<|end_of_text|>"))
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=True),
            processors.TemplateProcessing(
                single="<|begin_of_text|> $A <|end_of_text|>",
                pair="<|begin_of_text|> $A <|end_of_text|> $B:1 <|end_of_text|>:1",
                special_tokens=[("<|begin_of_text|>", first), ("<|end_of_text|>", last)],
            ),
        ]
    )
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|end_of_text|>",
        "mask_token": "<|mask|>",
        "pad_token": "<|pad|>",
        "model_input_names": ["input_ids", "attention_mask"],
    }
