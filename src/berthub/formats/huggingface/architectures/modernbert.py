"""ModernBERT in transformers (`ModernBertModel`).

Keys of `config.json` that change no number of the encoder: `initializer_cutoff_factor` (how random weights begin),
`deterministic_flash_attn`, `reference_compile`, `repad_logits_with_grad` (how it is computed), `sparse_prediction`,
`sparse_pred_ignore_index` (the loss), `classifier_dropout` (the training of heads).
"""

from collections.abc import Mapping
from typing import Any

from berthub.errors import UnsupportedModelError
from berthub.formats.huggingface.architecture import Architecture, HiddenScopes, written_activation
from berthub.formats.huggingface.architectures.packed import (
    ACTIVATED_FIRST,
    PACKED,
    PACKED_GATE,
    QUERY_KEY_VALUE,
    joined,
    taken_apart,
)
from berthub.formats.huggingface.architectures.parts import OURS, predictions
from berthub.networks.modernbert import ModernBertConfig

__all__ = ["MODERNBERT"]

_THEIRS = "layers.#."
_EVERY, _GLOBAL, _LOCAL = "global_attn_every_n_layers", "full_attention", "sliding_attention"
_THETAS = {_GLOBAL: "global_rope_theta", _LOCAL: "local_rope_theta"}


def _normalized(stored: dict[str, Any], source: str) -> dict[str, Any]:
    """The terms of transformers 4: a period in place of a list of layers, and a theta of each kind of layer."""
    normal = dict(stored)
    rotations = normal.pop("rope_parameters", None) or {}
    if not isinstance(rotations, dict) or rotations.keys() - _THETAS:
        raise UnsupportedModelError(
            f"{source} sets rope_parameters to {rotations!r}; what is supported: those of {' and '.join(_THETAS)}"
        )
    if normal.get("rope_scaling") is not None:
        raise UnsupportedModelError(
            f"{source} sets rope_scaling to {normal['rope_scaling']!r}; what is supported: null"
        )
    for kind, key in _THETAS.items():
        rotation = dict(rotations.get(kind) or {})
        if (scaling := rotation.pop("rope_type", "default")) != "default":
            raise UnsupportedModelError(f"{source} sets the rope_type of {kind} to {scaling!r}; supported: 'default'")
        if "rope_theta" in rotation:
            normal[key] = rotation.pop("rope_theta")
        if rotation:
            raise UnsupportedModelError(
                f"{source} sets {', '.join(sorted(rotation))} of {kind}, which is not supported"
            )
    kinds = normal.pop("layer_types", None)
    if kinds is not None:
        # The second global layer is the period.
        every = next((number for number, kind in enumerate(kinds) if number and kind == _GLOBAL), len(kinds) or 1)
        if list(kinds) != [_LOCAL if number % every else _GLOBAL for number in range(len(kinds))]:
            raise UnsupportedModelError(
                f"{source} sets layer_types to {', '.join(map(str, kinds))}; what is supported: {_GLOBAL} for the "
                f"first layer and every n-th after it, and {_LOCAL} for all others"
            )
        normal[_EVERY] = every
    return normal


def _reads_head(stored: Mapping[str, Any]) -> bool:
    """The head's dense layer and its norm have no biases, and its activation is that of the layers."""
    activation = stored.get("classifier_activation", "gelu")
    return not stored.get("classifier_bias") and activation == stored.get("hidden_activation", "gelu")


_HEAD = HiddenScopes(
    dense="head.dense",
    activation="gelu",
    activation_key="classifier_activation",
    norm="head.norm",
    bias_key="classifier_bias",
    pooling_key="classifier_pooling",
)
_PACKED = {**QUERY_KEY_VALUE, **ACTIVATED_FIRST}

MODERNBERT = Architecture(
    model_type="modernbert",
    title="ModernBert",
    prefix="model",
    config=ModernBertConfig,
    normalized=_normalized,
    settings={
        "vocab_size": "vocab_size",
        "hidden_size": "hidden_size",
        "num_hidden_layers": "num_layers",
        "num_attention_heads": "num_heads",
        "intermediate_size": "intermediate_size",
        "max_position_embeddings": "max_positions",
        "norm_eps": "layer_norm_eps",
        "embedding_dropout": "embedding_dropout",
        "mlp_dropout": "hidden_dropout",
        "attention_dropout": "attention_dropout",
        "initializer_range": "initializer_range",
        "local_attention": "local_attention",
        _EVERY: "global_every",
        _THETAS[_GLOBAL]: "global_theta",
        _THETAS[_LOCAL]: "local_theta",
    },
    left_out={
        "vocab_size": 50368,
        "hidden_size": 768,
        "num_hidden_layers": 22,
        "num_attention_heads": 12,
        "intermediate_size": 1152,
        "max_position_embeddings": 8192,
        "hidden_activation": "gelu",
        "norm_eps": 1e-5,
        "embedding_dropout": 0.0,
        "mlp_dropout": 0.0,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "local_attention": 128,
        _EVERY: 3,
        _THETAS[_GLOBAL]: 160_000.0,
        _THETAS[_LOCAL]: 10_000.0,
    },
    must_be={"attention_bias": False, "mlp_bias": False, "norm_bias": False},
    always={"type_vocab_size": 1, "pooler": False},
    activation="hidden_activation",
    also_stored=lambda config: {"classifier_activation": written_activation(config)},
    special_ids={
        "bos_token_id": "classify",
        "eos_token_id": "separate",
        "cls_token_id": "classify",
        "sep_token_id": "separate",
    },
    # BERT's gives token types, which this model has none of.
    wordpiece_class="DistilBertTokenizer",
    biases=False,
    reads_head=_reads_head,
    scopes={
        "bert/embeddings/word_embeddings": "embeddings.tok_embeddings",
        "bert/embeddings/LayerNorm": "embeddings.norm",
        f"{OURS}attention/output/LayerNorm": f"{_THEIRS}attn_norm",
        f"{OURS}{PACKED}": f"{_THEIRS}attn.Wqkv",
        f"{OURS}attention/output/dense": f"{_THEIRS}attn.Wo",
        f"{OURS}output/LayerNorm": f"{_THEIRS}mlp_norm",
        f"{OURS}{PACKED_GATE}": f"{_THEIRS}mlp.Wi",
        f"{OURS}output/dense": f"{_THEIRS}mlp.Wo",
        "bert/encoder/final/LayerNorm": "final_norm",
        **predictions("head.dense", "head.norm", "decoder.bias"),
    },
    decoder="decoder",
    classifier_hidden=_HEAD,
    tagger_hidden=_HEAD,
    after_reading=taken_apart(_PACKED),
    before_writing=joined(_PACKED),
)
