"""What the variables of TF Hub's models are called and how they are shaped, for each architecture.

Where an architecture was not published so, or not in this form (an ALBERT of several groups), a weight keeps its
canonical name.
"""

from typing import Any

import numpy as np

from berthub.config import EncoderConfig
from berthub.formats.renaming import Rule, rename
from berthub.networks.albert import AlbertConfig
from berthub.networks.mobilebert import MobileBertConfig
from berthub.networks.network import weight_shapes
from berthub.networks.talking_heads import TalkingHeadsConfig

__all__ = ["by_head", "foreign_names", "is_of_encoder"]

# Each rule leads from the canonical name to TF Hub's.
_EMBEDDINGS: list[Rule] = [
    (r"bert/embeddings/word_embeddings", "word_embeddings/embeddings"),
    (r"bert/embeddings/position_embeddings", "position_embedding/embeddings"),
    (r"bert/embeddings/token_type_embeddings", "type_embeddings/embeddings"),
    (r"bert/embeddings/LayerNorm/(.*)", r"embeddings/layer_norm/\1"),
    (r"bert/embeddings_project/(.*)", r"embedding_projection/\1"),
    (r"bert/encoder/embedding_hidden_mapping_in/(.*)", r"embedding_projection/\1"),
]
_POOLER: list[Rule] = [(r"bert/pooler/dense/(.*)", r"pooler_transform/\1")]
_MLM: list[Rule] = [
    (r"cls/predictions/output_bias", "bert/cls/predictions/output_bias/bias"),
    (r"(cls/predictions/.*)", r"bert/\1"),
]

_LAYER = r"bert/encoder/(layer_\d+)"
_BERT: list[Rule] = [
    (_LAYER + r"/attention/self/(.*)", r"transformer/\1/self_attention/\2"),
    (_LAYER + r"/attention/output/dense/(.*)", r"transformer/\1/self_attention/attention_output/\2"),
    (_LAYER + r"/attention/output/LayerNorm/(.*)", r"transformer/\1/self_attention_layer_norm/\2"),
    (_LAYER + r"/intermediate/dense/(.*)", r"transformer/\1/intermediate/\2"),
    (_LAYER + r"/output/dense/(.*)", r"transformer/\1/output/\2"),
    (_LAYER + r"/output/LayerNorm/(.*)", r"transformer/\1/output_layer_norm/\2"),
]

_BLOCK = r"bert/encoder/transformer/group_0/inner_group_0"
_ALBERT: list[Rule] = [
    (_BLOCK + r"/attention_1/self/(.*)", r"transformer/self_attention/\1"),
    (_BLOCK + r"/attention_1/output/dense/(.*)", r"transformer/self_attention/attention_output/\1"),
    (_BLOCK + r"/LayerNorm/(.*)", r"transformer/self_attention_layer_norm/\1"),
    (_BLOCK + r"/ffn_1/intermediate/dense/(.*)", r"transformer/intermediate/\1"),
    (_BLOCK + r"/ffn_1/intermediate/output/dense/(.*)", r"transformer/output/\1"),
    (_BLOCK + r"/LayerNorm_1/(.*)", r"transformer/output_layer_norm/\1"),
]

# The first layer's scope has no number.
_SCAFFOLDS = (
    (r"bert/encoder/layer_(0)", "transformer_scaffold"),
    (r"bert/encoder/layer_(\d+)", r"transformer_scaffold_\1"),
)
_TALKING_HEADS: list[Rule] = [
    *(
        rule
        for layer, scope in _SCAFFOLDS
        for rule in (
            (layer + r"/attention/self/(.*)", scope + r"/self_attention/\2"),
            (layer + r"/attention/output/dense/(.*)", scope + r"/self_attention/attention_output/\2"),
            (layer + r"/attention/output/LayerNorm/(.*)", scope + r"/self_attention_layer_norm/\2"),
            (layer + r"/intermediate/dense/(.*)", scope + r"/feedforward/intermediate_0/\2"),
            (layer + r"/intermediate/gate/(.*)", scope + r"/feedforward/gate_0/\2"),
            (layer + r"/output/dense/(.*)", scope + r"/feedforward/output_0/\2"),
            (layer + r"/output/LayerNorm/(.*)", scope + r"/feedforward/output_layer_norm_0/\2"),
        )
    ),
    (r"bert/pooler/dense/(.*)", r"cls_transform/\1"),
]

_MOBILEBERT: list[Rule] = [
    (r"bert/embeddings/word_embeddings", "mobile_bert_embedding/word_embedding/embeddings"),
    (r"bert/embeddings/position_embeddings", "mobile_bert_embedding/position_embedding/embeddings"),
    (r"bert/embeddings/token_type_embeddings", "mobile_bert_embedding/type_embedding/embeddings"),
    (r"bert/embeddings/embedding_transformation/(.*)", r"mobile_bert_embedding/embedding_projection/\1"),
    (r"bert/embeddings/LayerNorm/(.*)", r"mobile_bert_embedding/embedding_norm/\1"),
    (_LAYER + r"/bottleneck/input/dense/(.*)", r"transformer_\1/bottleneck_input/dense/\2"),
    (_LAYER + r"/bottleneck/input/LayerNorm/(.*)", r"transformer_\1/bottleneck_input/norm/\2"),
    (_LAYER + r"/bottleneck/attention/dense/(.*)", r"transformer_\1/kq_shared_bottleneck/dense/\2"),
    (_LAYER + r"/bottleneck/attention/LayerNorm/(.*)", r"transformer_\1/kq_shared_bottleneck/norm/\2"),
    (_LAYER + r"/attention/self/(.*)", r"transformer_\1/attention/\2"),
    (_LAYER + r"/attention/output/dense/(.*)", r"transformer_\1/attention/attention_output/\2"),
    (_LAYER + r"/attention/output/LayerNorm/(.*)", r"transformer_\1/attention/norm/\2"),
    (_LAYER + r"/(ffn_layer_\d+)/intermediate/dense/(.*)", r"transformer_\1/\2/intermediate_dense/\3"),
    (_LAYER + r"/(ffn_layer_\d+)/output/dense/(.*)", r"transformer_\1/\2/output_dense/\3"),
    (_LAYER + r"/(ffn_layer_\d+)/output/LayerNorm/(.*)", r"transformer_\1/\2/norm/\3"),
    (_LAYER + r"/output/bottleneck/dense/(.*)", r"transformer_\1/bottleneck_output/dense/\2"),
    (_LAYER + r"/output/bottleneck/LayerNorm/(.*)", r"transformer_\1/bottleneck_output/norm/\2"),
    (r"bert/pooler/dense/(.*)", r"pooler/\1"),
]


def foreign_names(config: EncoderConfig) -> dict[str, str]:
    """The name that each weight's variable has, by its canonical name, in the order of the weights."""
    shapes = weight_shapes(config)
    foreign, _ = rename(shapes, _rules(config))
    renamed = {canonical: name for name, canonical in foreign.items()}
    return {canonical: renamed.get(canonical, canonical) for canonical in shapes}


def by_head(name: str, weight: Any, config: EncoderConfig) -> Any:
    """The weight as TF Hub's models have it: in the attention there is an axis for the heads."""
    heads = (config.num_heads, config.head_size)
    scope = name.split("/")
    if scope[-2] in ("query", "key", "value"):
        return np.reshape(weight, (*weight.shape[:-1], *heads))
    if name.endswith(("/attention/output/dense/kernel", "/attention_1/output/dense/kernel")):
        return np.reshape(weight, (*heads, weight.shape[-1]))
    return np.asarray(weight)


def is_of_encoder(name: str) -> bool:
    """Whether a weight, by its canonical name, belongs to the encoder: else to the masked-language-model head."""
    return not name.startswith("cls/")


def _rules(config: EncoderConfig) -> list[Rule]:
    match config:
        case AlbertConfig():
            single = config.num_groups == config.inner_layers == 1
            return [*_EMBEDDINGS, *(_ALBERT if single else ()), *_POOLER, *_MLM]
        case MobileBertConfig():
            return [*_MOBILEBERT, *_MLM]
        case TalkingHeadsConfig():
            return [*_EMBEDDINGS, *_TALKING_HEADS, *_MLM]
    return [*_EMBEDDINGS, *_BERT, *_POOLER, *_MLM]
