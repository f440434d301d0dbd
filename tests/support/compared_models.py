"""Folders of every architecture that transformers writes and berthub reads: random weights, tokenizers of each kind."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.pipelines import write_tokenizer
from support.transformers_models import torch, transformers

__all__ = ["MODELS", "Made", "comparable", "make"]

_SIZES = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
_POSITIONS = {"max_position_embeddings": 130}
_SPREAD = {False: 0.1, True: 0.02}
_LONGEST = 96
_ROBERTA = {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1}
_RELATIVE = {"relative_attention": True, "position_buckets": 16}
# The settings of microsoft/deberta-v3-base and microsoft/deberta-v2-xlarge, but for the sizes.
_V3 = {
    "position_biased_input": False,
    "pos_att_type": "p2c|c2p",
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "max_relative_positions": -1,
}
_MODERN = {"num_hidden_layers": 4, "local_attention": 16}
# transformers 4 gave ALBERT types, and its class in transformers 5 gives none unless the folder says so.
_TYPED = ["input_ids", "token_type_ids", "attention_mask"]
_MOBILE = {"embedding_size": 16, "intra_bottleneck_size": 24, "num_feedforward_networks": 3}


@dataclass(frozen=True)
class Made:
    """How a folder is made: transformers' name of the architecture, its settings, and the tokenizer's kind.

    Without a name there is a tokenizer and no model.
    """

    title: str | None
    kind: str
    settings: dict[str, Any]
    tokenizer: dict[str, Any]


def _made(title: str | None, kind: str, settings: dict[str, Any] | None = None, **tokenizer: Any) -> Made:
    return Made(title, kind, settings or {}, tokenizer)


MODELS: dict[str, Made] = {
    "albert": _made("Albert", "albert_json", {"embedding_size": 16, "num_hidden_groups": 3}, model_input_names=_TYPED),
    "bert": _made("Bert", "bert_json"),
    "bert, XLM-R tokenizer": _made("Bert", "whole_unigram", {"hidden_act": "gelu_new", "pad_token_id": 1}),
    "camembert": _made("Camembert", "camembert_model", _ROBERTA),
    "data2vec-text": _made("Data2VecText", "roberta_files", _ROBERTA),
    "deberta-v2": _made("DebertaV2", "deberta_model", {**_RELATIVE, **_V3, "conv_kernel_size": 3, "conv_act": "gelu"}),
    "deberta-v2, apart": _made(
        "DebertaV2",
        "deberta_json",
        {**_RELATIVE, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 2, "position_buckets": -1},
    ),
    "deberta-v3": _made("DebertaV2", "deberta_json", {**_RELATIVE, **_V3}),
    "distilbert": _made("DistilBert", "bert_json", tokenizer_class="DistilBertTokenizer"),
    "electra": _made("Electra", "bert_lines", {"embedding_size": 16}, do_lower_case=False),
    "gte": _made("Gte", "xlm_roberta_json", {"type_vocab_size": 0, "pad_token_id": 1}),
    "mobilebert": _made("MobileBert", "bert_lines", _MOBILE),
    "modernbert": _made("ModernBert", "modernbert", _MODERN),
    "mpnet": _made("MPNet", "mpnet_json", {"layer_norm_eps": 1e-5, "pad_token_id": 1}),
    "nomic_bert": _made("NomicBert", "bert_json"),
    "roberta": _made("Roberta", "roberta_json", _ROBERTA),
    "xlm-roberta": _made("XLMRoberta", "xlm_roberta_json", _ROBERTA),
    "xlm-roberta, older file": _made("XLMRoberta", "xlm_roberta_model", _ROBERTA),
    "tokenizer camembert_json": _made(None, "camembert_json"),
    "tokenizer eurobert": _made(None, "eurobert"),
    "tokenizer mpnet_lines": _made(None, "mpnet_lines"),
}
"""What is compared, by the name of its row."""


def make(name: str, folder: Path, *, kind: str = "Model", base: bool = False, **settings: Any) -> Any:
    """Write the folder; transformers' model, None for a tokenizer alone.

    `kind` is the end of the class's name; with `base` the model is as large as BERT-base.
    """
    made = MODELS[name]
    model_type = write_tokenizer(made.kind, folder, model_max_length=512 if base else _LONGEST, **made.tokenizer)
    if made.title is None:
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
        return None
    sizes = {**_BASE, "max_position_embeddings": 514} if base else {**_SIZES, **_POSITIONS}
    tokenizer = _tokenizer(made.title, folder)
    special = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id", None) for role in ("pad", "cls", "sep")}
    special = {key: number for key, number in special.items() if number is not None}
    if made.title == "ModernBert":
        # Its defaults are the ids of its own vocabulary.
        special |= {"bos_token_id": special["cls_token_id"], "eos_token_id": special["sep_token_id"]}
    if made.title == "DistilBert":
        renamed = zip(("dim", "n_layers", "n_heads", "hidden_dim"), _SIZES, strict=True)
        sizes |= {new: sizes[old] for new, old in renamed}
    kept = {**sizes, **special, "vocab_size": len(tokenizer), **made.settings, **settings}
    config = _class(made.title, "Config")(**kept)
    model = _class(made.title, kind)(config)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw) * _SPREAD[base])
    model.save_pretrained(folder)
    return model.eval()


def comparable(name: str, given: list[Any]) -> list[Any]:
    """The texts, without those that have RoBERTa's piece of padding in them, where the model counts positions so.

    There transformers gives the piece the position of padding, and berthub the next one.
    """
    if not name.startswith(("camembert", "data2vec-text", "mpnet", "roberta", "xlm-roberta")):
        return given
    return [text for text in given if "<pad>" not in str(text)]


def _class(title: str, kind: str) -> Any:
    return getattr(transformers, f"{title}{kind}")


def _tokenizer(title: str, folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(folder, config=_class(title, "Config")())
