"""ALBERT in TensorFlow's formats; those of TF Hub all have one group of one block."""

from collections.abc import Sequence

from berthub.formats.albert import FIRST_BLOCK, PROJECTION
from berthub.formats.renaming import Rule
from berthub.formats.settings import BERT_CONFIG
from berthub.formats.tensorflow.architecture import Architecture, Google, SavedModel
from berthub.formats.tensorflow.architectures.parts import (
    ANY,
    DENSE,
    EMBEDDINGS,
    GOOGLE,
    MLM,
    NORM,
    POOLER,
    WRITTEN_EMBEDDINGS,
    WRITTEN_MLM,
    WRITTEN_POOLER,
    N,
)
from berthub.networks.albert import AlbertConfig

__all__ = ["ALBERT"]

# The one block that all layers share.
_SHARED = ANY + rf"transformer{N}"
_RULES: list[Rule] = [
    *EMBEDDINGS,
    (ANY + rf"embedding_projection{DENSE}", PROJECTION + r"/\1"),
    (_SHARED + rf"/self_attention{N}/(query|key|value){DENSE}", FIRST_BLOCK + r"attention_1/self/\1/\2"),
    (_SHARED + rf"/self_attention{N}(?:/attention)?_output{DENSE}", FIRST_BLOCK + r"attention_1/output/dense/\1"),
    (_SHARED + rf"/self_attention_layer_norm{NORM}", FIRST_BLOCK + r"LayerNorm/\1"),
    (_SHARED + rf"/intermediate{DENSE}", FIRST_BLOCK + r"ffn_1/intermediate/dense/\1"),
    (_SHARED + rf"/output{DENSE}", FIRST_BLOCK + r"ffn_1/intermediate/output/dense/\1"),
    (_SHARED + rf"/output_layer_norm{NORM}", FIRST_BLOCK + r"LayerNorm_1/\1"),
    *POOLER,
    *MLM,
]
_WRITTEN_BLOCK: list[Rule] = [
    (FIRST_BLOCK + r"attention_1/self/(.*)", r"transformer/self_attention/\1"),
    (FIRST_BLOCK + r"attention_1/output/dense/(.*)", r"transformer/self_attention/attention_output/\1"),
    (FIRST_BLOCK + r"LayerNorm/(.*)", r"transformer/self_attention_layer_norm/\1"),
    (FIRST_BLOCK + r"ffn_1/intermediate/dense/(.*)", r"transformer/intermediate/\1"),
    (FIRST_BLOCK + r"ffn_1/intermediate/output/dense/(.*)", r"transformer/output/\1"),
    (FIRST_BLOCK + r"LayerNorm_1/(.*)", r"transformer/output_layer_norm/\1"),
]


def _written(config: AlbertConfig) -> Sequence[Rule]:
    """The blocks of several groups keep their canonical names: TF Hub has none."""
    single = config.num_groups == config.inner_layers == 1
    return [
        *WRITTEN_EMBEDDINGS,
        (PROJECTION + r"/(.*)", r"embedding_projection/\1"),
        *(_WRITTEN_BLOCK if single else ()),
        *WRITTEN_POOLER,
        *WRITTEN_MLM,
    ]


ALBERT = Architecture(
    config=AlbertConfig,
    dimensions={f"{FIRST_BLOCK}ffn_1/intermediate/dense/kernel": ("hidden_size", "intermediate_size")},
    # The number of layers does not show.
    counted={
        "num_groups": r"bert/encoder/transformer/(group_\d+)/.*",
        "inner_layers": r"bert/encoder/transformer/group_\d+/(inner_group_\d+)/.*",
    },
    google=Google(
        keys={
            **BERT_CONFIG,
            "embedding_size": "embedding_size",
            "num_hidden_groups": "num_groups",
            "inner_group_num": "inner_layers",
        },
        rules=[
            *GOOGLE,
            (r"(encoder/embedding_hidden_mapping_in/(?:kernel|bias))", r"bert/\1"),
            (r"(encoder/transformer/group_\d+/inner_group_\d+/[\w/]*(?:kernel|bias|gamma|beta))", r"bert/\1"),
        ],
        mark=r"encoder/transformer/.*",
        sentencepiece=True,
        config_file="albert_config.json",
        also_stored=lambda config: {
            "embedding_size": config.embedding_size,
            "num_hidden_groups": config.num_groups,
            "inner_group_num": config.inner_layers,
            # Of experiments that no release was made with; the code wants them.
            "net_structure_type": 0,
            "gap_size": 0,
            "num_memory_blocks": 0,
            "down_scale_factor": 1,
        },
    ),
    saved_model=SavedModel(
        rules=_RULES,
        mark=_SHARED + rf"/self_attention{N}/query/kernel",
        writing=_written,
        classes=frozenset({"AlbertEncoder", "AlbertTransformerEncoder"}),
    ),
)
