"""MobileBERT in TensorFlow's formats.

Google's code sets the last feed-forward network of a layer apart, and calls NoNorm `FakeLayerNorm`.
"""

from typing import Any

from berthub.formats.renaming import Rule
from berthub.formats.settings import BERT_CONFIG
from berthub.formats.tensorflow.architecture import Architecture, Google, SavedModel, Shapes
from berthub.formats.tensorflow.architectures.parts import (
    ANY,
    DENSE,
    GOOGLE,
    MLM,
    NORM,
    NUMBERED_LAYERS,
    SCOPE,
    WRITTEN_LAYER,
    WRITTEN_MLM,
    N,
)
from berthub.networks.mobilebert import MobileBertConfig

__all__ = ["MOBILEBERT"]

_LAYER = ANY + rf"transformer_layer_(\d+){N}"
_FEED = _LAYER + r"/ffn_layer_(\d+)"
_RULES: list[Rule] = [
    (ANY + rf"word_embedding{N}/embeddings", "bert/embeddings/word_embeddings"),
    (ANY + rf"position_embedding{N}/embeddings", "bert/embeddings/position_embeddings"),
    (ANY + rf"type_embedding{N}/embeddings", "bert/embeddings/token_type_embeddings"),
    (ANY + rf"embedding_projection{DENSE}", r"bert/embeddings/embedding_transformation/\1"),
    (ANY + rf"embedding_norm{NORM}", r"bert/embeddings/LayerNorm/\1"),
    (_LAYER + rf"/bottleneck_input/dense{DENSE}", SCOPE + r"/bottleneck/input/dense/\2"),
    (_LAYER + rf"/bottleneck_input/norm{NORM}", SCOPE + r"/bottleneck/input/LayerNorm/\2"),
    (_LAYER + rf"/kq_shared_bottleneck/dense{DENSE}", SCOPE + r"/bottleneck/attention/dense/\2"),
    (_LAYER + rf"/kq_shared_bottleneck/norm{NORM}", SCOPE + r"/bottleneck/attention/LayerNorm/\2"),
    (_LAYER + rf"/attention{N}/(query|key|value){DENSE}", SCOPE + r"/attention/self/\2/\3"),
    (_LAYER + rf"/attention{N}/attention_output{DENSE}", SCOPE + r"/attention/output/dense/\2"),
    (_LAYER + rf"/attention/norm{NORM}", SCOPE + r"/attention/output/LayerNorm/\2"),
    (_FEED + rf"/intermediate_dense{DENSE}", SCOPE + r"/ffn_layer_\2/intermediate/dense/\3"),
    (_FEED + rf"/output_dense{DENSE}", SCOPE + r"/ffn_layer_\2/output/dense/\3"),
    (_FEED + rf"/norm{NORM}", SCOPE + r"/ffn_layer_\2/output/LayerNorm/\3"),
    (_LAYER + rf"/bottleneck_output/dense{DENSE}", SCOPE + r"/output/bottleneck/dense/\2"),
    (_LAYER + rf"/bottleneck_output/norm{NORM}", SCOPE + r"/output/bottleneck/LayerNorm/\2"),
    (ANY + rf"pooler{DENSE}", r"bert/pooler/dense/\1"),
    *MLM,
]
_WRITTEN: list[Rule] = [
    (r"bert/embeddings/word_embeddings", "mobile_bert_embedding/word_embedding/embeddings"),
    (r"bert/embeddings/position_embeddings", "mobile_bert_embedding/position_embedding/embeddings"),
    (r"bert/embeddings/token_type_embeddings", "mobile_bert_embedding/type_embedding/embeddings"),
    (r"bert/embeddings/embedding_transformation/(.*)", r"mobile_bert_embedding/embedding_projection/\1"),
    (r"bert/embeddings/LayerNorm/(.*)", r"mobile_bert_embedding/embedding_norm/\1"),
    (WRITTEN_LAYER + r"/bottleneck/input/dense/(.*)", r"transformer_\1/bottleneck_input/dense/\2"),
    (WRITTEN_LAYER + r"/bottleneck/input/LayerNorm/(.*)", r"transformer_\1/bottleneck_input/norm/\2"),
    (WRITTEN_LAYER + r"/bottleneck/attention/dense/(.*)", r"transformer_\1/kq_shared_bottleneck/dense/\2"),
    (WRITTEN_LAYER + r"/bottleneck/attention/LayerNorm/(.*)", r"transformer_\1/kq_shared_bottleneck/norm/\2"),
    (WRITTEN_LAYER + r"/attention/self/(.*)", r"transformer_\1/attention/\2"),
    (WRITTEN_LAYER + r"/attention/output/dense/(.*)", r"transformer_\1/attention/attention_output/\2"),
    (WRITTEN_LAYER + r"/attention/output/LayerNorm/(.*)", r"transformer_\1/attention/norm/\2"),
    (WRITTEN_LAYER + r"/(ffn_layer_\d+)/intermediate/dense/(.*)", r"transformer_\1/\2/intermediate_dense/\3"),
    (WRITTEN_LAYER + r"/(ffn_layer_\d+)/output/dense/(.*)", r"transformer_\1/\2/output_dense/\3"),
    (WRITTEN_LAYER + r"/(ffn_layer_\d+)/output/LayerNorm/(.*)", r"transformer_\1/\2/norm/\3"),
    (WRITTEN_LAYER + r"/output/bottleneck/dense/(.*)", r"transformer_\1/bottleneck_output/dense/\2"),
    (WRITTEN_LAYER + r"/output/bottleneck/LayerNorm/(.*)", r"transformer_\1/bottleneck_output/norm/\2"),
    (r"bert/pooler/dense/(.*)", r"pooler/\1"),
    *WRITTEN_MLM,
]
_GOOGLE: list[Rule] = [
    *GOOGLE,
    (r"(embeddings/embedding_transformation/(?:kernel|bias))", r"bert/\1"),
    (r"(encoder/layer_\d+)/((?:intermediate|output)/dense/(?:kernel|bias))", r"bert/\1/ffn_layer_{last}/\2"),
    (r"(encoder/layer_\d+)/output/(?:Fake)?LayerNorm/(gamma|beta)", r"bert/\1/ffn_layer_{last}/output/LayerNorm/\2"),
    (r"(encoder/layer_\d+/[\w/]*(?:dense|query|key|value)/(?:kernel|bias))", r"bert/\1"),
    (r"(encoder/layer_\d+/[\w/]+)/(?:Fake)?LayerNorm/(gamma|beta)", r"bert/\1/LayerNorm/\2"),
]


def _bottlenecks(settings: dict[str, Any], shapes: Shapes) -> dict[str, Any]:
    first = "bert/encoder/layer_0"
    settings["shared_bottleneck"] = f"{first}/bottleneck/attention/dense/kernel" in shapes
    values = shapes.get(f"{first}/attention/self/value/kernel", ())
    if settings["shared_bottleneck"] or settings.get("hidden_size") != settings.get("bottleneck_size"):
        # Where both are of one width, only a bottleneck for queries and keys alone shows whose values these are.
        settings["bottleneck_attention"] = values[:1] not in ((), (settings.get("hidden_size"),))
    return settings


def _google_settings(config: MobileBertConfig) -> dict[str, Any]:
    return {
        "embedding_size": config.embedding_size,
        "trigram_input": True,
        "use_bottleneck": True,
        "intra_bottleneck_size": config.bottleneck_size,
        "use_bottleneck_attention": config.bottleneck_attention,
        "key_query_shared_bottleneck": config.shared_bottleneck,
        "num_feedforward_networks": config.num_feedforward,
        "normalization_type": config.normalization,
        "classifier_activation": config.pooler,
    }


def _google_writing(config: MobileBertConfig) -> list[Rule]:
    norm = "FakeLayerNorm" if config.normalization == "no_norm" else "LayerNorm"
    last = f"ffn_layer_{config.num_feedforward - 1}"
    # The last of the feed-forward networks is the one that a BERT has.
    return [
        (rf"(.*/layer_\d+)/{last}/output/LayerNorm/(.*)", rf"\1/output/{norm}/\2"),
        (rf"(.*/layer_\d+)/{last}/(.*)", r"\1/\2"),
        (r"(.*)/LayerNorm/(.*)", rf"\1/{norm}/\2"),
    ]


MOBILEBERT = Architecture(
    config=MobileBertConfig,
    dimensions={
        "bert/encoder/layer_0/bottleneck/input/dense/kernel": ("hidden_size", "bottleneck_size"),
        "bert/encoder/layer_0/ffn_layer_0/intermediate/dense/kernel": ("bottleneck_size", "intermediate_size"),
    },
    counted={**NUMBERED_LAYERS, "num_feedforward": r"bert/encoder/layer_\d+/(ffn_layer_\d+)/.*"},
    refined=_bottlenecks,
    google=Google(
        keys={
            **BERT_CONFIG,
            "embedding_size": "embedding_size",
            "intra_bottleneck_size": "bottleneck_size",
            "num_feedforward_networks": "num_feedforward",
            "use_bottleneck_attention": "bottleneck_attention",
            "normalization_type": "normalization",
        },
        rules=_GOOGLE,
        mark=r"embeddings/embedding_transformation/.*|.*/bottleneck/.*",
        needed=("trigram_input", "use_bottleneck"),
        mlm=False,
        told_by_names=lambda names: {
            "normalization": "no_norm" if any("/FakeLayerNorm/" in name for name in names) else "layer_norm"
        },
        also_stored=_google_settings,
        writing=_google_writing,
    ),
    saved_model=SavedModel(
        rules=_RULES,
        mark=_LAYER + r"/bottleneck_input/dense/kernel",
        writing=lambda config: _WRITTEN,
        classes=frozenset({"MobileBERTEncoder"}),
        noted={"bottleneck_attention": "use_bottleneck_attention", "normalization": "normalization_type"},
    ),
)
