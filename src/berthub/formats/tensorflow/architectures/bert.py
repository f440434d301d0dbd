"""BERT in TensorFlow's formats; with a projection after the embeddings it is ELECTRA's encoder."""

from typing import Any

from berthub.formats.renaming import Rule
from berthub.formats.settings import BERT_CONFIG
from berthub.formats.tensorflow.architecture import Architecture, Google, SavedModel, Shapes
from berthub.formats.tensorflow.architectures.parts import (
    ANY,
    ATTENTION,
    DENSE,
    EMBEDDINGS,
    GOOGLE,
    LAYER,
    MLM,
    NORM,
    NUMBERED_LAYERS,
    POOLER,
    SCOPE,
    WRITTEN_EMBEDDINGS,
    WRITTEN_LAYER,
    WRITTEN_MLM,
    WRITTEN_POOLER,
)
from berthub.networks.bert import BertConfig

__all__ = ["BERT"]

_RULES: list[Rule] = [
    *EMBEDDINGS,
    (ANY + rf"embedding_projection{DENSE}", r"bert/embeddings_project/\1"),
    *ATTENTION,
    (LAYER + rf"/intermediate{DENSE}", SCOPE + r"/intermediate/dense/\2"),
    (LAYER + rf"/output{DENSE}", SCOPE + r"/output/dense/\2"),
    (LAYER + rf"/output_layer_norm{NORM}", SCOPE + r"/output/LayerNorm/\2"),
    *POOLER,
    *MLM,
]
_WRITTEN: list[Rule] = [
    *WRITTEN_EMBEDDINGS,
    (r"bert/embeddings_project/(.*)", r"embedding_projection/\1"),
    (WRITTEN_LAYER + r"/attention/self/(.*)", r"transformer/\1/self_attention/\2"),
    (WRITTEN_LAYER + r"/attention/output/dense/(.*)", r"transformer/\1/self_attention/attention_output/\2"),
    (WRITTEN_LAYER + r"/attention/output/LayerNorm/(.*)", r"transformer/\1/self_attention_layer_norm/\2"),
    (WRITTEN_LAYER + r"/intermediate/dense/(.*)", r"transformer/\1/intermediate/\2"),
    (WRITTEN_LAYER + r"/output/dense/(.*)", r"transformer/\1/output/\2"),
    (WRITTEN_LAYER + r"/output/LayerNorm/(.*)", r"transformer/\1/output_layer_norm/\2"),
    *WRITTEN_POOLER,
    *WRITTEN_MLM,
]


def _without_usual_width(settings: dict[str, Any], shapes: Shapes) -> dict[str, Any]:
    if settings.get("embedding_size") == settings.get("hidden_size"):
        settings.pop("embedding_size", None)
    return settings


def _is_plain(config: BertConfig) -> bool:
    return config.embedding_width == config.hidden_size


BERT = Architecture(
    config=BertConfig,
    dimensions={"bert/encoder/layer_0/intermediate/dense/kernel": ("hidden_size", "intermediate_size")},
    counted=NUMBERED_LAYERS,
    refined=_without_usual_width,
    google=Google(
        keys={**BERT_CONFIG, "embedding_size": "embedding_size"},
        rules=[
            *GOOGLE,
            (r"(embeddings_project/(?:kernel|bias))", r"bert/\1"),
            (r"(encoder/layer_\d+/[a-z/]*(?:dense|query|key|value)/(?:kernel|bias))", r"bert/\1"),
            (r"(encoder/layer_\d+/[a-z/]*LayerNorm/(?:gamma|beta))", r"bert/\1"),
        ],
        mark=None,
        also_stored=lambda config: {} if _is_plain(config) else {"embedding_size": config.embedding_width},
        # ELECTRA's code has a scope of its own.
        writing=lambda config: [] if _is_plain(config) else [(r"bert/(.*)", r"electra/\1")],
    ),
    saved_model=SavedModel(
        rules=_RULES,
        mark=None,
        writing=lambda config: _WRITTEN,
        classes=frozenset({"BertEncoder", "BertEncoderV2", "BertModel", "TransformerEncoder"}),
    ),
)
