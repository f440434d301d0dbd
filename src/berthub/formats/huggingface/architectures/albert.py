"""ALBERT in transformers (`AlbertModel`)."""

from berthub.formats.albert import with_identity, without_identity
from berthub.formats.huggingface.architecture import Architecture
from berthub.formats.huggingface.architectures.parts import EMBEDDINGS, LEFT_OUT, SETTINGS, predictions
from berthub.networks.albert import AlbertConfig

__all__ = ["ALBERT"]

_OURS, _THEIRS = "bert/encoder/transformer/group_#/inner_group_#/", "encoder.albert_layer_groups.#.albert_layers.#."

ALBERT = Architecture(
    model_type="albert",
    title="Albert",
    config=AlbertConfig,
    settings={
        **SETTINGS,
        "embedding_size": "embedding_size",
        "num_hidden_groups": "num_groups",
        "inner_group_num": "inner_layers",
    },
    left_out={
        **LEFT_OUT,
        "hidden_act": "gelu_new",
        "embedding_size": 128,
        "num_hidden_groups": 1,
        "inner_group_num": 1,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
    scopes={
        **EMBEDDINGS,
        "bert/encoder/embedding_hidden_mapping_in": "encoder.embedding_hidden_mapping_in",
        f"{_OURS}attention_1/self/query": f"{_THEIRS}attention.query",
        f"{_OURS}attention_1/self/key": f"{_THEIRS}attention.key",
        f"{_OURS}attention_1/self/value": f"{_THEIRS}attention.value",
        f"{_OURS}attention_1/output/dense": f"{_THEIRS}attention.dense",
        f"{_OURS}LayerNorm": f"{_THEIRS}attention.LayerNorm",
        f"{_OURS}ffn_1/intermediate/dense": f"{_THEIRS}ffn",
        f"{_OURS}ffn_1/intermediate/output/dense": f"{_THEIRS}ffn_output",
        f"{_OURS}LayerNorm_1": f"{_THEIRS}full_layer_layer_norm",
        "bert/pooler/dense": "pooler",
        **predictions("predictions.dense", "predictions.LayerNorm", "predictions.bias"),
    },
    decoder="predictions.decoder",
    after_reading=without_identity,
    before_writing=with_identity,
)
