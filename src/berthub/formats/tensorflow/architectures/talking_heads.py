"""BERT with talking heads and a gated feed-forward layer in TF Hub's SavedModels, the only ones that have it."""

from berthub.formats.renaming import Rule
from berthub.formats.tensorflow.architecture import Architecture, SavedModel
from berthub.formats.tensorflow.architectures.parts import (
    ANY,
    ATTENTION,
    DENSE,
    EMBEDDINGS,
    LAYER,
    MLM,
    NORM,
    NUMBERED_LAYERS,
    POOLER,
    SCOPE,
    WRITTEN_EMBEDDINGS,
    WRITTEN_MLM,
    N,
)
from berthub.networks.talking_heads import TalkingHeadsConfig

__all__ = ["TALKING_HEADS"]

_RULES: list[Rule] = [
    *EMBEDDINGS,
    (LAYER + rf"/self_attention{N}/(pre|post)_softmax_weight", SCOPE + r"/attention/self/\2_softmax_weight"),
    *ATTENTION,
    (LAYER + rf"/feedforward{N}/intermediate_0{DENSE}", SCOPE + r"/intermediate/dense/\2"),
    (LAYER + rf"/feedforward{N}/gate_0{DENSE}", SCOPE + r"/intermediate/gate/\2"),
    (LAYER + rf"/feedforward{N}/output_0{DENSE}", SCOPE + r"/output/dense/\2"),
    (LAYER + rf"/feedforward{N}/output_layer_norm_0{NORM}", SCOPE + r"/output/LayerNorm/\2"),
    *POOLER,
    *MLM,
]

# The first layer's scope has no number.
_SCAFFOLDS = (
    (r"bert/encoder/layer_(0)", "transformer_scaffold"),
    (r"bert/encoder/layer_(\d+)", r"transformer_scaffold_\1"),
)
_WRITTEN: list[Rule] = [
    *WRITTEN_EMBEDDINGS,
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
    *WRITTEN_MLM,
]

TALKING_HEADS = Architecture(
    config=TalkingHeadsConfig,
    dimensions={"bert/encoder/layer_0/intermediate/dense/kernel": ("hidden_size", "intermediate_size")},
    counted=NUMBERED_LAYERS,
    saved_model=SavedModel(
        rules=_RULES,
        mark=ANY + rf"self_attention{N}/pre_softmax_weight",
        writing=lambda config: _WRITTEN,
        classes=frozenset({"EncoderScaffold"}),
    ),
)
