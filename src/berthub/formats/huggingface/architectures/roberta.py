"""RoBERTa in transformers (`RobertaModel`)."""

from berthub.formats.huggingface.architecture import Architecture
from berthub.formats.huggingface.architectures.parts import (
    EMBEDDINGS,
    LAYERS,
    LEFT_OUT,
    POOLER,
    SETTINGS,
    predictions,
)
from berthub.networks.roberta import RobertaConfig

__all__ = ["ROBERTA"]

ROBERTA = Architecture(
    model_type="roberta",
    title="Roberta",
    config=RobertaConfig,
    settings=SETTINGS,
    left_out={**LEFT_OUT, "pad_token_id": 1},
    positions_after_padding=True,
    scopes={
        **EMBEDDINGS,
        **LAYERS,
        **POOLER,
        **predictions("lm_head.dense", "lm_head.layer_norm", "lm_head.bias"),
    },
    decoder="lm_head.decoder",
    exact_gelu_in_decoder=True,
    classifier="classifier.out_proj",
    classifier_pooler="classifier.dense",
)
