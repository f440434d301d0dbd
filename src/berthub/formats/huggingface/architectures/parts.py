"""Settings and weight names of BERT that several architectures of transformers share."""

from typing import Any

from berthub.formats.settings import BERT_CONFIG

__all__ = ["ATTENTION", "EMBEDDINGS", "LAYERS", "LEFT_OUT", "OURS", "POOLER", "SETTINGS", "THEIRS", "predictions"]

SETTINGS = BERT_CONFIG
"""The keys of BERT's `config.json` -> our settings."""

LEFT_OUT: dict[str, Any] = {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "type_vocab_size": 2}
"""What transformers means by a key that is not there."""

EMBEDDINGS = {
    "bert/embeddings/word_embeddings": "embeddings.word_embeddings",
    "bert/embeddings/position_embeddings": "embeddings.position_embeddings",
    "bert/embeddings/token_type_embeddings": "embeddings.token_type_embeddings",
    "bert/embeddings/LayerNorm": "embeddings.LayerNorm",
}
"""Our scopes -> theirs, here and below."""

OURS, THEIRS = "bert/encoder/layer_#/", "encoder.layer.#."
"""What stands before the names of a layer's weights."""

ATTENTION = {
    f"{OURS}attention/self/query": f"{THEIRS}attention.self.query",
    f"{OURS}attention/self/key": f"{THEIRS}attention.self.key",
    f"{OURS}attention/self/value": f"{THEIRS}attention.self.value",
    f"{OURS}attention/output/dense": f"{THEIRS}attention.output.dense",
    f"{OURS}attention/output/LayerNorm": f"{THEIRS}attention.output.LayerNorm",
}
LAYERS = {
    **ATTENTION,
    f"{OURS}intermediate/dense": f"{THEIRS}intermediate.dense",
    f"{OURS}output/dense": f"{THEIRS}output.dense",
    f"{OURS}output/LayerNorm": f"{THEIRS}output.LayerNorm",
}
POOLER = {"bert/pooler/dense": "pooler.dense"}


def predictions(dense: str, norm: str, bias: str) -> dict[str, str]:
    """The scopes of the masked-language-model head, whose layers have other names in each architecture."""
    return {
        "cls/predictions/transform/dense": dense,
        "cls/predictions/transform/LayerNorm": norm,
        "cls/predictions/output_bias": bias,
    }
