"""What TF Hub's SavedModels call their weights, for each architecture; the names alone tell the architecture.

Any prefix may stand before a name (`bert_encoder_v2/`, `bert_model/encoder/` ...), and Keras appends `_1` and so on to
names that it has given before.
"""

import re
from collections.abc import Collection, Iterable, Sequence

from berthub.config import EncoderConfig
from berthub.formats.renaming import Rule
from berthub.networks.albert import AlbertConfig
from berthub.networks.bert import BertConfig
from berthub.networks.mobilebert import MobileBertConfig
from berthub.networks.talking_heads import TalkingHeadsConfig

__all__ = ["architecture", "is_of_encoder", "is_word_embeddings", "numbered", "rules"]

_ANY = r"(?:.*/)?"
_N = r"(?:_\d+)?"
_DENSE = _N + r"/(kernel|bias)"
_NORM = _N + r"/(gamma|beta)"

_EMBEDDINGS: list[Rule] = [
    (_ANY + rf"word_embeddings{_N}/embeddings", "bert/embeddings/word_embeddings"),
    (_ANY + rf"position_embeddings?{_N}/embeddings", "bert/embeddings/position_embeddings"),
    (_ANY + rf"type_embeddings{_N}/embeddings", "bert/embeddings/token_type_embeddings"),
    (_ANY + rf"embeddings/layer_norm{_NORM}", r"bert/embeddings/LayerNorm/\1"),
    # Version 1 had one layer for all but the words.
    (_ANY + rf"embedding_postprocessor{_N}/position_embeddings", "bert/embeddings/position_embeddings"),
    (_ANY + rf"embedding_postprocessor{_N}/type_embeddings", "bert/embeddings/token_type_embeddings"),
    (_ANY + rf"embedding_postprocessor{_N}/layer_norm{_NORM}", r"bert/embeddings/LayerNorm/\1"),
]
_POOLER: list[Rule] = [(_ANY + rf"(?:pooler_transform|cls_transform){_DENSE}", r"bert/pooler/dense/\1")]

_HEAD = _ANY + rf"(?:cls/predictions|masked_lm){_N}"
_MLM: list[Rule] = [
    (_HEAD + rf"/transform/dense{_DENSE}", r"cls/predictions/transform/dense/\1"),
    (_HEAD + rf"/transform/LayerNorm{_NORM}", r"cls/predictions/transform/LayerNorm/\1"),
    (_HEAD + r"/output_bias(?:/bias)?", "cls/predictions/output_bias"),
]

_LAYER = _ANY + rf"layer_(\d+){_N}"
_SCOPE = r"bert/encoder/layer_\1"
_ATTENTION: list[Rule] = [
    (_LAYER + rf"/self_attention{_N}/(query|key|value){_DENSE}", _SCOPE + r"/attention/self/\2/\3"),
    # TF 2.2 keeps the attention's output layer beside the attention, later versions inside it.
    (_LAYER + rf"/self_attention{_N}(?:/attention)?_output{_DENSE}", _SCOPE + r"/attention/output/dense/\2"),
    (_LAYER + rf"/self_attention_layer_norm{_NORM}", _SCOPE + r"/attention/output/LayerNorm/\2"),
]
_BERT: list[Rule] = [
    *_EMBEDDINGS,
    (_ANY + rf"embedding_projection{_DENSE}", r"bert/embeddings_project/\1"),
    *_ATTENTION,
    (_LAYER + rf"/intermediate{_DENSE}", _SCOPE + r"/intermediate/dense/\2"),
    (_LAYER + rf"/output{_DENSE}", _SCOPE + r"/output/dense/\2"),
    (_LAYER + rf"/output_layer_norm{_NORM}", _SCOPE + r"/output/LayerNorm/\2"),
    *_POOLER,
    *_MLM,
]

_TALKING_HEADS: list[Rule] = [
    *_EMBEDDINGS,
    (_LAYER + rf"/self_attention{_N}/(pre|post)_softmax_weight", _SCOPE + r"/attention/self/\2_softmax_weight"),
    *_ATTENTION,
    (_LAYER + rf"/feedforward{_N}/intermediate_0{_DENSE}", _SCOPE + r"/intermediate/dense/\2"),
    (_LAYER + rf"/feedforward{_N}/gate_0{_DENSE}", _SCOPE + r"/intermediate/gate/\2"),
    (_LAYER + rf"/feedforward{_N}/output_0{_DENSE}", _SCOPE + r"/output/dense/\2"),
    (_LAYER + rf"/feedforward{_N}/output_layer_norm_0{_NORM}", _SCOPE + r"/output/LayerNorm/\2"),
    *_POOLER,
    *_MLM,
]

# The one block that all layers share.
_SHARED = _ANY + rf"transformer{_N}"
_GROUP = "bert/encoder/transformer/group_0/inner_group_0"
_ALBERT: list[Rule] = [
    *_EMBEDDINGS,
    (_ANY + rf"embedding_projection{_DENSE}", r"bert/encoder/embedding_hidden_mapping_in/\1"),
    (_SHARED + rf"/self_attention{_N}/(query|key|value){_DENSE}", _GROUP + r"/attention_1/self/\1/\2"),
    (_SHARED + rf"/self_attention{_N}(?:/attention)?_output{_DENSE}", _GROUP + r"/attention_1/output/dense/\1"),
    (_SHARED + rf"/self_attention_layer_norm{_NORM}", _GROUP + r"/LayerNorm/\1"),
    (_SHARED + rf"/intermediate{_DENSE}", _GROUP + r"/ffn_1/intermediate/dense/\1"),
    (_SHARED + rf"/output{_DENSE}", _GROUP + r"/ffn_1/intermediate/output/dense/\1"),
    (_SHARED + rf"/output_layer_norm{_NORM}", _GROUP + r"/LayerNorm_1/\1"),
    *_POOLER,
    *_MLM,
]

_THIN = _ANY + rf"transformer_layer_(\d+){_N}"
_FEED = _THIN + r"/ffn_layer_(\d+)"
_MOBILEBERT: list[Rule] = [
    (_ANY + rf"word_embedding{_N}/embeddings", "bert/embeddings/word_embeddings"),
    (_ANY + rf"position_embedding{_N}/embeddings", "bert/embeddings/position_embeddings"),
    (_ANY + rf"type_embedding{_N}/embeddings", "bert/embeddings/token_type_embeddings"),
    (_ANY + rf"embedding_projection{_DENSE}", r"bert/embeddings/embedding_transformation/\1"),
    (_ANY + rf"embedding_norm{_NORM}", r"bert/embeddings/LayerNorm/\1"),
    (_THIN + rf"/bottleneck_input/dense{_DENSE}", _SCOPE + r"/bottleneck/input/dense/\2"),
    (_THIN + rf"/bottleneck_input/norm{_NORM}", _SCOPE + r"/bottleneck/input/LayerNorm/\2"),
    (_THIN + rf"/kq_shared_bottleneck/dense{_DENSE}", _SCOPE + r"/bottleneck/attention/dense/\2"),
    (_THIN + rf"/kq_shared_bottleneck/norm{_NORM}", _SCOPE + r"/bottleneck/attention/LayerNorm/\2"),
    (_THIN + rf"/attention{_N}/(query|key|value){_DENSE}", _SCOPE + r"/attention/self/\2/\3"),
    (_THIN + rf"/attention{_N}/attention_output{_DENSE}", _SCOPE + r"/attention/output/dense/\2"),
    (_THIN + rf"/attention/norm{_NORM}", _SCOPE + r"/attention/output/LayerNorm/\2"),
    (_FEED + rf"/intermediate_dense{_DENSE}", _SCOPE + r"/ffn_layer_\2/intermediate/dense/\3"),
    (_FEED + rf"/output_dense{_DENSE}", _SCOPE + r"/ffn_layer_\2/output/dense/\3"),
    (_FEED + rf"/norm{_NORM}", _SCOPE + r"/ffn_layer_\2/output/LayerNorm/\3"),
    (_THIN + rf"/bottleneck_output/dense{_DENSE}", _SCOPE + r"/output/bottleneck/dense/\2"),
    (_THIN + rf"/bottleneck_output/norm{_NORM}", _SCOPE + r"/output/bottleneck/LayerNorm/\2"),
    (_ANY + rf"pooler{_DENSE}", r"bert/pooler/dense/\1"),
    *_MLM,
]

_RULES: dict[type[EncoderConfig], list[Rule]] = {
    AlbertConfig: _ALBERT,
    MobileBertConfig: _MOBILEBERT,
    TalkingHeadsConfig: _TALKING_HEADS,
}
# The first architecture that has a variable of this name counts; where there is none, it is a BERT.
_MARKS: list[tuple[str, type[EncoderConfig]]] = [
    (_THIN + r"/bottleneck_input/dense/kernel", MobileBertConfig),
    (_ANY + rf"self_attention{_N}/pre_softmax_weight", TalkingHeadsConfig),
    (_SHARED + rf"/self_attention{_N}/query/kernel", AlbertConfig),
]

_WORDS = re.compile(_ANY + rf"word_embeddings?{_N}/embeddings")
# A scaffold's blocks: the first has no number, and where there was one before it, all have.
_BLOCK = re.compile(r"((?:.*/)?transformer(?:_scaffold)?)(?:_(\d+))?(/.+)")
_PARTS = re.compile(
    _ANY
    + r"(?:(?:transformer_)?layer_\d+|transformer(?:_scaffold)?|embeddings|mobile_bert_embedding|encoder)(?:_\d+)?/.+"
)


def architecture(names: Collection[str]) -> type[EncoderConfig]:
    """What kind of encoder has variables of these names; they are `numbered` ones."""
    for pattern, kind in _MARKS:
        if any(re.fullmatch(pattern, name) for name in names):
            return kind
    return BertConfig


def rules(kind: type[EncoderConfig]) -> Sequence[Rule]:
    """The rules that lead from the names of such a model's variables to the canonical ones."""
    return _RULES.get(kind, _BERT)


def numbered(names: Iterable[str]) -> dict[str, str]:
    """Each name, and the same with `layer_0/`, `layer_1/` ... for the blocks of a scaffold.

    Where several blocks are called `transformer` or `transformer_scaffold` they are layers, in the order of their
    numbers; a single `transformer` is ALBERT's, and keeps its name.
    """
    blocks = {name: match for name in names if (match := _BLOCK.fullmatch(name)) and not _is_numbered(match[3])}
    order = sorted(
        {(match[1], int(match[2] or 0)) for match in blocks.values()}, key=lambda block: (block[1], block[0])
    )
    if len(order) < 2 and not any(scope.endswith("_scaffold") for scope, _ in order):
        return {name: name for name in names}
    layers = {block: layer for layer, block in enumerate(order)}
    return {
        name: f"layer_{layers[match[1], int(match[2] or 0)]}{match[3]}" if (match := blocks.get(name)) else name
        for name in names
    }


def is_word_embeddings(name: str) -> bool:
    """Whether it is the name of an encoder's embedding table."""
    return _WORDS.fullmatch(name) is not None


def is_of_encoder(name: str) -> bool:
    """Whether a name that no rule knows stands in the scope of an encoder, and so may be a part of it."""
    return _PARTS.fullmatch(name) is not None


def _is_numbered(rest: str) -> bool:
    return re.match(r"/layer_\d+", rest) is not None
