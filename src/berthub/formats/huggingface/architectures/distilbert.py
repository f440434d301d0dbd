"""DistilBERT in transformers (`DistilBertModel`)."""

from berthub.formats.huggingface.architecture import Architecture, HiddenScopes
from berthub.formats.huggingface.architectures.parts import OURS, predictions
from berthub.networks.distilbert import DistilBertConfig

__all__ = ["DISTILBERT"]

_THEIRS = "transformer.layer.#."

DISTILBERT = Architecture(
    model_type="distilbert",
    title="DistilBert",
    config=DistilBertConfig,
    settings={
        "vocab_size": "vocab_size",
        "dim": "hidden_size",
        "n_layers": "num_layers",
        "n_heads": "num_heads",
        "hidden_dim": "intermediate_size",
        "max_position_embeddings": "max_positions",
        "dropout": "hidden_dropout",
        "attention_dropout": "attention_dropout",
        "initializer_range": "initializer_range",
    },
    left_out={"activation": "gelu"},
    always={"layer_norm_eps": 1e-12, "type_vocab_size": 1, "pooler": False},
    activation="activation",
    scopes={
        "bert/embeddings/word_embeddings": "embeddings.word_embeddings",
        "bert/embeddings/position_embeddings": "embeddings.position_embeddings",
        "bert/embeddings/LayerNorm": "embeddings.LayerNorm",
        f"{OURS}attention/self/query": f"{_THEIRS}attention.q_lin",
        f"{OURS}attention/self/key": f"{_THEIRS}attention.k_lin",
        f"{OURS}attention/self/value": f"{_THEIRS}attention.v_lin",
        f"{OURS}attention/output/dense": f"{_THEIRS}attention.out_lin",
        f"{OURS}attention/output/LayerNorm": f"{_THEIRS}sa_layer_norm",
        f"{OURS}intermediate/dense": f"{_THEIRS}ffn.lin1",
        f"{OURS}output/dense": f"{_THEIRS}ffn.lin2",
        f"{OURS}output/LayerNorm": f"{_THEIRS}output_layer_norm",
        **predictions("vocab_transform", "vocab_layer_norm", "vocab_projector.bias"),
    },
    decoder="vocab_projector",
    classifier_hidden=HiddenScopes(dense="pre_classifier", activation="relu"),
    # BERT's gives token types, which this model has none of.
    wordpiece_class="DistilBertTokenizer",
)
