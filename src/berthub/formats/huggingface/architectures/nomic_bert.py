"""NomicBERT in transformers (`NomicBertModel`), and as Nomic published it, with code of its own.

What is published has the keys of GPT-2's configuration and other names of weights. Keys that change no number:
`fused_bias_fc`, `fused_dropout_add_ln`, `use_flash_attn`, `use_xentropy` (how it is computed), `dense_seq_output`
(training), GPT-2's `summary_...`, `use_cache`, `scale_attn_weights`, `scale_attn_by_inverse_layer_idx` and
`reorder_and_upcast_attn`, which the code does not look at.
"""

from typing import Any

from berthub.errors import UnsupportedModelError
from berthub.formats.huggingface.architecture import Architecture
from berthub.formats.huggingface.architectures.packed import PACKED, QUERY_KEY_VALUE, taken_apart
from berthub.formats.huggingface.architectures.parts import LEFT_OUT, OURS, POOLER, SETTINGS, predictions
from berthub.formats.huggingface.architectures.rotations import FACTOR, THETA, rotation_parameters, with_rotation
from berthub.networks.nomic_bert import NomicBertConfig

__all__ = ["NOMIC_BERT"]

_GPT2 = {
    "n_embd": "hidden_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "n_positions": "max_position_embeddings",
    "layer_norm_epsilon": "layer_norm_eps",
    "resid_pdrop": "hidden_dropout_prob",
    "attn_pdrop": "attention_probs_dropout_prob",
    "rotary_emb_base": THETA,
}
# What the published code computes otherwise with another value, and what it means by a key that is left out.
_PUBLISHED: dict[str, tuple[Any, Any]] = {
    "causal": (False, False),
    "mlp_fc1_bias": (False, True),
    "mlp_fc2_bias": (False, True),
    "moe_every_n_layers": (0, 0),
    "parallel_block": (False, False),
    "prenorm": (False, False),
    "qkv_proj_bias": (False, True),
    "rotary_emb_fraction": (1.0, 0.0),
    "rotary_emb_interleaved": (False, False),
    "rotary_emb_scale_base": (None, None),
    "use_rms_norm": (False, False),
}
_GATED = {"swiglu": "silu", "geglu": "gelu"}
_THEIRS, _OLDER = "layers.#.", "encoder.layers.#."


def _normalized(stored: dict[str, Any], source: str) -> dict[str, Any]:
    if "n_embd" in stored:
        stored = _published(stored, source)
    hidden, heads = stored.get("hidden_size", 768), stored.get("num_attention_heads", 12)
    size = stored.get("head_dim")
    if size is not None and isinstance(heads, int) and size * heads != hidden:
        raise UnsupportedModelError(
            f"{source} sets head_dim to {size!r}; supported is hidden_size / num_attention_heads"
        )
    return with_rotation(stored, source)


def _published(stored: dict[str, Any], source: str) -> dict[str, Any]:
    """The configuration of Nomic's own code in the terms of transformers."""
    for key, (supported, left_out) in _PUBLISHED.items():
        if (value := stored.get(key, left_out)) != supported:
            raise UnsupportedModelError(f"{source} sets {key} to {value!r:.200}; what is supported: {supported!r}")
    activation = stored.get("activation_function")
    if activation not in _GATED:
        raise UnsupportedModelError(
            f"{source} sets activation_function to {activation!r}; what is supported: {', '.join(_GATED)}"
        )
    if stored.get("embd_pdrop", 0.1) != stored.get("resid_pdrop", 0.1):
        raise UnsupportedModelError(
            f"{source} sets embd_pdrop to another value than resid_pdrop, which is not supported"
        )
    normal = {_GPT2.get(key, key): value for key, value in stored.items()}
    normal["hidden_act"] = _GATED[activation]
    if normal.get("intermediate_size") is None and isinstance(normal["hidden_size"], int):
        normal["intermediate_size"] = 4 * normal["hidden_size"]
    multiple, rows = stored.get("pad_vocab_size_multiple", 1), stored.get("vocab_size")
    if isinstance(multiple, int) and isinstance(rows, int) and multiple > 0:
        normal["vocab_size"] = -(-rows // multiple) * multiple
    longest, trained = stored.get("n_positions"), stored.get("max_trained_positions", 2048)
    if stored.get("rotary_scaling_factor", 1.0) and isinstance(longest, int) and isinstance(trained, int):
        # Longer texts turn by angles that depend on the longest text beside them.
        normal["max_position_embeddings"] = min(longest, trained)
    return normal


NOMIC_BERT = Architecture(
    model_type="nomic_bert",
    title="NomicBert",
    config=NomicBertConfig,
    normalized=_normalized,
    settings=SETTINGS,
    made={THETA: "rotary_theta", FACTOR: "rotary_factor"},
    left_out={
        **LEFT_OUT,
        "vocab_size": 30528,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 2048,
        "hidden_act": "silu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        THETA: 1000.0,
    },
    also_stored=lambda config: {"rope_parameters": rotation_parameters(config.rotary_theta, config.rotary_factor)},
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
        **predictions(
            "cls.predictions.transform.dense", "cls.predictions.transform.layer_norm", "cls.predictions.bias"
        ),
    },
    also_read={
        "bert/embeddings/LayerNorm": "emb_ln",
        f"{OURS}{PACKED}": f"{_OLDER}attn.Wqkv",
        f"{OURS}attention/output/dense": f"{_OLDER}attn.out_proj",
        f"{OURS}attention/output/LayerNorm": f"{_OLDER}norm1",
        f"{OURS}intermediate/dense": f"{_OLDER}mlp.fc12",
        f"{OURS}intermediate/gate": f"{_OLDER}mlp.fc11",
        f"{OURS}output/dense": f"{_OLDER}mlp.fc2",
        f"{OURS}output/LayerNorm": f"{_OLDER}norm2",
    },
    decoder="cls.predictions.decoder",
    after_reading=taken_apart(QUERY_KEY_VALUE),
)
