"""ELECTRA in transformers (`ElectraModel`): a BERT whose embeddings may be narrower than the layers.

transformers' class has no pooler; one that is in the files is kept.
"""

from berthub.formats.huggingface.architecture import Architecture, HiddenScopes
from berthub.formats.huggingface.architectures.parts import (
    EMBEDDINGS,
    LAYERS,
    LEFT_OUT,
    POOLER,
    SETTINGS,
    predictions,
)
from berthub.networks.bert import BertConfig

__all__ = ["ELECTRA"]

ELECTRA = Architecture(
    model_type="electra",
    title="Electra",
    config=BertConfig,
    settings={**SETTINGS, "embedding_size": "embedding_size"},
    left_out={**LEFT_OUT, "embedding_size": 128},
    scopes={
        **EMBEDDINGS,
        "bert/embeddings_project": "embeddings_project",
        **LAYERS,
        **POOLER,
        **predictions("generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head.bias"),
    },
    decoder="generator_lm_head",
    exact_gelu_in_decoder=True,
    classifier="classifier.out_proj",
    classifier_hidden=HiddenScopes(dense="classifier.dense", activation="gelu"),
    also_stored=lambda config: {"embedding_size": config.embedding_width},
)
