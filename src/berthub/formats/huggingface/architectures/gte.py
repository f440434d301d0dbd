"""GTE in transformers (`GteModel`), and as Alibaba published it (`NewModel`, `model_type` "new").

Keys of the latter that change no number: `pack_qkv` (how the weights lie, which their names tell), `unpad_inputs` and
`use_memory_efficient_attention` (how it is computed).
"""

import dataclasses
from typing import Any

from berthub.errors import UnsupportedModelError
from berthub.formats.huggingface.architecture import Architecture
from berthub.formats.huggingface.architectures.packed import (
    ACTIVATED_LAST,
    PACKED,
    PACKED_GATE,
    QUERY_KEY_VALUE,
    taken_apart,
)
from berthub.formats.huggingface.architectures.parts import LEFT_OUT, OURS, POOLER, SETTINGS, predictions
from berthub.formats.huggingface.architectures.rotations import FACTOR, THETA, rotation_parameters, with_rotation
from berthub.networks.gte import GteConfig

__all__ = ["GTE", "NEW"]

_THEIRS, _OLDER = "layers.#.", "encoder.layer.#."
_TYPES = "token_types"


def _normalized(stored: dict[str, Any], source: str) -> dict[str, Any]:
    return _with_types(with_rotation(stored, source))


def _published(stored: dict[str, Any], source: str) -> dict[str, Any]:
    """The configuration of Alibaba's own code."""
    normal = with_rotation({THETA: 10_000.0, **stored}, source, fixed_ntk=True)
    if (positions := normal.pop("position_embedding_type", "rope")) != "rope":
        raise UnsupportedModelError(
            f"{source} has position embeddings of type {positions!r}; supported are rotary ones"
        )
    return _with_types(normal)


def _with_types(stored: dict[str, Any]) -> dict[str, Any]:
    """No token types are one that is not looked up."""
    return {**stored, "type_vocab_size": 1, _TYPES: False} if stored.get("type_vocab_size") == 0 else stored


def _stored(config: GteConfig) -> dict[str, Any]:
    rotation = rotation_parameters(config.rotary_theta, config.rotary_factor)
    return {"rope_parameters": rotation, "type_vocab_size": config.type_vocab_size if config.token_types else 0}


GTE = Architecture(
    model_type="gte",
    title="Gte",
    config=GteConfig,
    normalized=_normalized,
    settings=SETTINGS,
    made={THETA: "rotary_theta", FACTOR: "rotary_factor", _TYPES: "token_types"},
    left_out={
        **LEFT_OUT,
        "vocab_size": 250048,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 8192,
        "type_vocab_size": 1,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.0,
        THETA: 160_000.0,
    },
    also_stored=_stored,
    scopes={
        "bert/embeddings/word_embeddings": "embeddings.word_embeddings",
        "bert/embeddings/token_type_embeddings": "embeddings.token_type_embeddings",
        "bert/embeddings/LayerNorm": "embeddings.LayerNorm",
        f"{OURS}attention/self/query": f"{_THEIRS}self_attn.q_proj",
        f"{OURS}attention/self/key": f"{_THEIRS}self_attn.k_proj",
        f"{OURS}attention/self/value": f"{_THEIRS}self_attn.v_proj",
        f"{OURS}attention/output/dense": f"{_THEIRS}self_attn.o_proj",
        f"{OURS}attention/output/LayerNorm": f"{_THEIRS}post_attention_layernorm",
        f"{OURS}intermediate/dense": f"{_THEIRS}mlp.gate_proj",
        f"{OURS}intermediate/gate": f"{_THEIRS}mlp.up_proj",
        f"{OURS}output/dense": f"{_THEIRS}mlp.down_proj",
        f"{OURS}output/LayerNorm": f"{_THEIRS}post_mlp_layernorm",
        **POOLER,
        **predictions("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder.bias"),
    },
    also_read={
        f"{OURS}{PACKED}": f"{_OLDER}attention.qkv_proj",
        f"{OURS}attention/self/query": f"{_OLDER}attention.q_proj",
        f"{OURS}attention/self/key": f"{_OLDER}attention.k_proj",
        f"{OURS}attention/self/value": f"{_OLDER}attention.v_proj",
        f"{OURS}attention/output/dense": f"{_OLDER}attention.o_proj",
        f"{OURS}attention/output/LayerNorm": f"{_OLDER}attn_ln",
        f"{OURS}{PACKED_GATE}": f"{_OLDER}mlp.up_gate_proj",
        f"{OURS}output/dense": f"{_OLDER}mlp.down_proj",
        f"{OURS}output/LayerNorm": f"{_OLDER}mlp_ln",
        "cls/predictions/transform/LayerNorm": "lm_head.norm",
    },
    decoder="lm_head.decoder",
    exact_gelu_in_decoder=True,
    after_reading=taken_apart({**QUERY_KEY_VALUE, **ACTIVATED_LAST}),
)

NEW = dataclasses.replace(
    GTE,
    model_type="new",
    title="New",
    normalized=_published,
    left_out={**GTE.left_out, "vocab_size": 30528, "max_position_embeddings": 2048},
    must_be={"layer_norm_type": "layer_norm", "logn_attention_scale": False},
    # The class of transformers is written.
    writes=lambda config: False,
)
