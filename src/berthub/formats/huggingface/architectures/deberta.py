"""DeBERTa v2 and v3 in transformers (`DebertaV2Model`).

Keys of `config.json` that change no number of the encoder: `legacy` (which names the masked-language-model head has:
both are read), `pooler_dropout`, `pooler_hidden_act`, `pooler_hidden_size`, `cls_dropout` (heads), and
`tie_word_embeddings` (the head without `legacy` is always tied). `embedding_size`, `attention_head_size`,
`conv_kernel_size` and `conv_groups` are refused where they are not what the network has.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from berthub.errors import UnsupportedModelError
from berthub.formats.huggingface.architecture import ACTIVATIONS, Architecture, HiddenScopes, Weights
from berthub.formats.huggingface.architectures.parts import EMBEDDINGS, OURS, SETTINGS, THEIRS, predictions
from berthub.formats.settings import look_up
from berthub.networks.deberta import DebertaConfig

__all__ = ["DEBERTA"]

_KERNEL = "bert/encoder/convolution/dense/kernel"
_POSITIONS = "bert/embeddings/position_embeddings"
_DISTANCES, _NORM = "bert/encoder/relative_position_embeddings", "bert/encoder/LayerNorm/"
_LEFT_OUT: dict[str, Any] = {
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-7,
    "type_vocab_size": 0,
    "position_biased_input": True,
    "relative_attention": False,
    "share_att_key": False,
    "pos_att_type": None,
    "norm_rel_ebd": "none",
    "max_relative_positions": -1,
    "position_buckets": -1,
    "conv_kernel_size": 0,
    "conv_groups": 1,
    "conv_act": "tanh",
}
_CONVOLUTIONS = {"tanh": "tanh", **ACTIVATIONS}


def _normalized(stored: dict[str, Any], source: str) -> dict[str, Any]:
    """With settings of ours in place of keys of which several say one thing, or stand for what another one says."""
    given = {**_LEFT_OUT, **stored}
    kinds = given["pos_att_type"] or []
    kinds = [kind.strip() for kind in kinds.lower().split("|")] if isinstance(kinds, str) else kinds
    if not isinstance(kinds, list) or not set(map(str, kinds)) <= {"c2p", "p2c", "none", ""}:
        raise UnsupportedModelError(f"{source} sets pos_att_type to {kinds!r}; what is supported: c2p, p2c")
    norms = [norm.strip() for norm in str(given["norm_rel_ebd"]).lower().split("|")]
    types, farthest, buckets = given["type_vocab_size"], given["max_relative_positions"], given["position_buckets"]
    made = {
        # Without embeddings of them, those that the tokenizer gives are taken.
        "types": types or 2,
        "type_embeddings": bool(types),
        "content_to_position": "c2p" in kinds,
        "position_to_content": "p2c" in kinds,
        "norm_distances": given["relative_attention"] is True and "layer_norm" in norms,
        "max_distance": given.get("max_position_embeddings") if _is_below(farthest, 1) else farthest,
        "buckets": None if _is_below(buckets, 1) else buckets,
        "convolution": None,
    }
    must_be: dict[str, Any] = {"embedding_size": given.get("hidden_size"), "attention_head_size": _head_size(given)}
    if not _is_below(given["conv_kernel_size"], 1):
        must_be |= {"conv_kernel_size": 3, "conv_groups": 1}
        made["convolution"] = look_up(_CONVOLUTIONS, given["conv_act"], setting="conv_act", source=source)
    for key, value in must_be.items():
        if given.get(key, value) != value:
            raise UnsupportedModelError(f"{source} sets {key} to {given[key]!r:.200}; what is supported: {value!r}")
    return {**stored, **made}


def _head_size(given: Mapping[str, Any]) -> int | None:
    size, heads = given.get("hidden_size"), given.get("num_attention_heads")
    return size // heads if isinstance(size, int) and isinstance(heads, int) and heads else None


def _is_below(value: object, least: int) -> bool:
    return isinstance(value, int) and value < least


def _stored(config: DebertaConfig) -> dict[str, Any]:
    kinds = {"c2p": config.content_to_position, "p2c": config.position_to_content}
    stored = {
        "type_vocab_size": config.type_vocab_size if config.type_embeddings else 0,
        "pos_att_type": [kind for kind, there in kinds.items() if there],
        "norm_rel_ebd": "layer_norm" if config.norm_distances else "none",
        "max_relative_positions": config.max_distance,
        "position_buckets": config.position_buckets or -1,
        # The head with the names below.
        "legacy": False,
    }
    if config.convolution is not None:
        act = next(theirs for theirs, ours in _CONVOLUTIONS.items() if ours == config.convolution)
        stored |= {"conv_kernel_size": 3, "conv_groups": 1, "conv_act": act}
    return stored


def _after_reading(weights: Weights, config: Any, source: str) -> Weights:
    """Without what transformers does not compute with, and the convolution as a dense layer on three neighbours."""
    unused: tuple[str, ...] = () if config.relative_attention and config.norm_distances else (_NORM,)
    unused += () if config.position_embeddings else (_POSITIONS,)
    unused += () if config.relative_attention else (_DISTANCES,)
    found = {name: weight for name, weight in weights.items() if not name.startswith(unused)}
    if (kernel := found.get(_KERNEL)) is not None:
        # [3, in, out], for the previous word, the word and the next; ours is for the next, the word and the previous.
        found[_KERNEL] = np.ascontiguousarray(kernel[::-1]).reshape(-1, kernel.shape[-1])
    return found


def _before_writing(weights: Weights, config: Any) -> Weights:
    if (kernel := weights.get(_KERNEL)) is None:
        return weights
    return {**weights, _KERNEL: kernel.reshape(3, -1, kernel.shape[-1])[::-1]}


DEBERTA = Architecture(
    model_type="deberta-v2",
    title="DebertaV2",
    prefix="deberta",
    config=DebertaConfig,
    settings={
        **{key: setting for key, setting in SETTINGS.items() if key != "type_vocab_size"},
        "position_biased_input": "position_embeddings",
        "relative_attention": "relative_attention",
        "share_att_key": "shared_projections",
    },
    left_out=_LEFT_OUT,
    normalized=_normalized,
    made={
        "types": "type_vocab_size",
        "type_embeddings": "type_embeddings",
        "content_to_position": "content_to_position",
        "position_to_content": "position_to_content",
        "norm_distances": "norm_distances",
        "max_distance": "max_distance",
        "buckets": "position_buckets",
        "convolution": "convolution",
    },
    also_stored=_stored,
    # The pooler of ...ForSequenceClassification is no part of the encoder.
    always={"pooler": False},
    scopes={
        **EMBEDDINGS,
        "bert/encoder/relative_position_embeddings": "encoder.rel_embeddings",
        "bert/encoder/LayerNorm": "encoder.LayerNorm",
        f"{OURS}attention/self/query": f"{THEIRS}attention.self.query_proj",
        f"{OURS}attention/self/key": f"{THEIRS}attention.self.key_proj",
        f"{OURS}attention/self/value": f"{THEIRS}attention.self.value_proj",
        f"{OURS}attention/self/pos_key": f"{THEIRS}attention.self.pos_key_proj",
        f"{OURS}attention/self/pos_query": f"{THEIRS}attention.self.pos_query_proj",
        f"{OURS}attention/output/dense": f"{THEIRS}attention.output.dense",
        f"{OURS}attention/output/LayerNorm": f"{THEIRS}attention.output.LayerNorm",
        f"{OURS}intermediate/dense": f"{THEIRS}intermediate.dense",
        f"{OURS}output/dense": f"{THEIRS}output.dense",
        f"{OURS}output/LayerNorm": f"{THEIRS}output.LayerNorm",
        "bert/encoder/convolution/dense": "encoder.conv.conv",
        "bert/encoder/convolution/LayerNorm": "encoder.conv.LayerNorm",
        **predictions(
            "lm_predictions.lm_head.dense", "lm_predictions.lm_head.LayerNorm", "lm_predictions.lm_head.bias"
        ),
    },
    # The head of models that say `legacy`.
    also_read=predictions(
        "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"
    ),
    decoder="cls.predictions.decoder",
    classifier_hidden=HiddenScopes(dense="pooler.dense", activation="gelu", activation_key="pooler_hidden_act"),
    after_reading=_after_reading,
    before_writing=_before_writing,
)
