"""BERT in transformers (`BertModel`)."""

from berthub.formats.huggingface.architecture import Architecture
from berthub.formats.huggingface.architectures.parts import (
    EMBEDDINGS,
    LAYERS,
    LEFT_OUT,
    POOLER,
    SETTINGS,
    predictions,
)
from berthub.networks.bert import BertConfig

__all__ = ["BERT"]


def _writes(config: BertConfig) -> bool:
    """Without a projection, and not as ELECTRA was read, without a pooler: that one becomes ELECTRA again."""
    wide = config.embedding_width == config.hidden_size
    return wide and (config.pooler or config.embedding_size is None)


BERT = Architecture(
    model_type="bert",
    title="Bert",
    config=BertConfig,
    settings=SETTINGS,
    left_out=LEFT_OUT,
    scopes={
        **EMBEDDINGS,
        **LAYERS,
        **POOLER,
        **predictions("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"),
    },
    decoder="cls.predictions.decoder",
    writes=_writes,
)
