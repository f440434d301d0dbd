"""MobileBERT in transformers (`MobileBertModel`)."""

from berthub.formats.huggingface.architecture import Architecture
from berthub.formats.huggingface.architectures.parts import (
    ATTENTION,
    EMBEDDINGS,
    LEFT_OUT,
    OURS,
    POOLER,
    SETTINGS,
    THEIRS,
)
from berthub.networks.mobilebert import MobileBertConfig

__all__ = ["MOBILEBERT"]


def _mixed_norms(config: MobileBertConfig) -> str | None:
    """The layer norms of the embeddings and of a layer's last feed-forward network have PyTorch's epsilon there.

    It is 1e-5, whatever `layer_norm_eps` says. The models that were published have no layer norms, but NoNorm.
    """
    if config.normalization != "layer_norm" or config.layer_norm_eps == 1e-5:
        return None
    return (
        f"transformers' MobileBertModel has layer norms with the epsilon 1e-5 beside those with layer_norm_eps, "
        f"which is {config.layer_norm_eps}; models with more than one epsilon are not supported"
    )


def _without_bottlenecks(config: MobileBertConfig) -> str | None:
    if config.shared_bottleneck or config.bottleneck_attention:
        return None
    return "transformers' MobileBertModel fails on models with neither shared_bottleneck nor bottleneck_attention"


MOBILEBERT = Architecture(
    model_type="mobilebert",
    title="MobileBert",
    config=MobileBertConfig,
    settings={
        **SETTINGS,
        "embedding_size": "embedding_size",
        "intra_bottleneck_size": "bottleneck_size",
        "num_feedforward_networks": "num_feedforward",
        "key_query_shared_bottleneck": "shared_bottleneck",
        "use_bottleneck_attention": "bottleneck_attention",
        "normalization_type": "normalization",
    },
    left_out={
        **LEFT_OUT,
        "hidden_act": "relu",
        "hidden_dropout_prob": 0.0,
        "embedding_size": 128,
        "intra_bottleneck_size": 128,
        "num_feedforward_networks": 4,
        "key_query_shared_bottleneck": True,
        "use_bottleneck_attention": False,
        "normalization_type": "no_norm",
    },
    must_be={"trigram_input": True, "use_bottleneck": True},
    # Without it, the first token's vector as it is.
    pooler_key="classifier_activation",
    scopes={
        **EMBEDDINGS,
        "bert/embeddings/embedding_transformation": "embeddings.embedding_transformation",
        f"{OURS}bottleneck/input/dense": f"{THEIRS}bottleneck.input.dense",
        f"{OURS}bottleneck/input/LayerNorm": f"{THEIRS}bottleneck.input.LayerNorm",
        f"{OURS}bottleneck/attention/dense": f"{THEIRS}bottleneck.attention.dense",
        f"{OURS}bottleneck/attention/LayerNorm": f"{THEIRS}bottleneck.attention.LayerNorm",
        **ATTENTION,
        # The last of the feed-forward networks, which transformers does not count.
        f"{OURS}ffn_layer_@/intermediate/dense": f"{THEIRS}intermediate.dense",
        f"{OURS}ffn_layer_@/output/dense": f"{THEIRS}output.dense",
        f"{OURS}ffn_layer_@/output/LayerNorm": f"{THEIRS}output.LayerNorm",
        f"{OURS}ffn_layer_#/intermediate/dense": f"{THEIRS}ffn.#.intermediate.dense",
        f"{OURS}ffn_layer_#/output/dense": f"{THEIRS}ffn.#.output.dense",
        f"{OURS}ffn_layer_#/output/LayerNorm": f"{THEIRS}ffn.#.output.LayerNorm",
        f"{OURS}output/bottleneck/dense": f"{THEIRS}output.bottleneck.dense",
        f"{OURS}output/bottleneck/LayerNorm": f"{THEIRS}output.bottleneck.LayerNorm",
        **POOLER,
    },
    last_of="num_feedforward",
    decoder=None,
    fault=_mixed_norms,
    fault_in_writing=_without_bottlenecks,
)
