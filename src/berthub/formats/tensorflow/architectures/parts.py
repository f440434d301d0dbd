"""Rules between weight names that several architectures in TensorFlow's formats share."""

from berthub.formats.renaming import Rule

__all__ = [
    "ANY",
    "ATTENTION",
    "DENSE",
    "EMBEDDINGS",
    "GOOGLE",
    "LAYER",
    "MLM",
    "NORM",
    "NUMBERED_LAYERS",
    "POOLER",
    "SCOPE",
    "WRITTEN_EMBEDDINGS",
    "WRITTEN_LAYER",
    "WRITTEN_MLM",
    "WRITTEN_POOLER",
    "N",
]

NUMBERED_LAYERS = {"num_layers": r"bert/encoder/(layer_\d+)/.*"}
"""Each layer has weights of its own, under BERT's canonical names."""

GOOGLE: list[Rule] = [
    (r"(embeddings/(?:word|position|token_type)_embeddings)", r"bert/\1"),
    (r"embeddings/(?:Fake)?LayerNorm/(gamma|beta)", r"bert/embeddings/LayerNorm/\1"),
    (r"(pooler/dense/(?:kernel|bias))", r"bert/\1"),
]
"""Google's names after the scope of the encoder. An optimizer's slots have a longer path and match
nothing."""

# TF Hub's SavedModels. Any prefix may stand before a name (`bert_encoder_v2/`, `bert_model/encoder/` ...), and Keras
# appends `_1` and so on to names that it has given before.
ANY = r"(?:.*/)?"
N = r"(?:_\d+)?"
DENSE = N + r"/(kernel|bias)"
NORM = N + r"/(gamma|beta)"

EMBEDDINGS: list[Rule] = [
    (ANY + rf"word_embeddings{N}/embeddings", "bert/embeddings/word_embeddings"),
    (ANY + rf"position_embeddings?{N}/embeddings", "bert/embeddings/position_embeddings"),
    (ANY + rf"type_embeddings{N}/embeddings", "bert/embeddings/token_type_embeddings"),
    (ANY + rf"embeddings/layer_norm{NORM}", r"bert/embeddings/LayerNorm/\1"),
    # Version 1 had one layer for all but the words.
    (ANY + rf"embedding_postprocessor{N}/position_embeddings", "bert/embeddings/position_embeddings"),
    (ANY + rf"embedding_postprocessor{N}/type_embeddings", "bert/embeddings/token_type_embeddings"),
    (ANY + rf"embedding_postprocessor{N}/layer_norm{NORM}", r"bert/embeddings/LayerNorm/\1"),
]
POOLER: list[Rule] = [(ANY + rf"(?:pooler_transform|cls_transform){DENSE}", r"bert/pooler/dense/\1")]

_HEAD = ANY + rf"(?:cls/predictions|masked_lm){N}"
MLM: list[Rule] = [
    (_HEAD + rf"/transform/dense{DENSE}", r"cls/predictions/transform/dense/\1"),
    (_HEAD + rf"/transform/LayerNorm{NORM}", r"cls/predictions/transform/LayerNorm/\1"),
    (_HEAD + r"/output_bias(?:/bias)?", "cls/predictions/output_bias"),
]

LAYER = ANY + rf"layer_(\d+){N}"
SCOPE = r"bert/encoder/layer_\1"
ATTENTION: list[Rule] = [
    (LAYER + rf"/self_attention{N}/(query|key|value){DENSE}", SCOPE + r"/attention/self/\2/\3"),
    # TF 2.2 keeps the attention's output layer beside the attention, later versions inside it.
    (LAYER + rf"/self_attention{N}(?:/attention)?_output{DENSE}", SCOPE + r"/attention/output/dense/\2"),
    (LAYER + rf"/self_attention_layer_norm{NORM}", SCOPE + r"/attention/output/LayerNorm/\2"),
]

# Of a SavedModel that is written: from the canonical names to TF Hub's.
WRITTEN_EMBEDDINGS: list[Rule] = [
    (r"bert/embeddings/word_embeddings", "word_embeddings/embeddings"),
    (r"bert/embeddings/position_embeddings", "position_embedding/embeddings"),
    (r"bert/embeddings/token_type_embeddings", "type_embeddings/embeddings"),
    (r"bert/embeddings/LayerNorm/(.*)", r"embeddings/layer_norm/\1"),
]
WRITTEN_POOLER: list[Rule] = [(r"bert/pooler/dense/(.*)", r"pooler_transform/\1")]
WRITTEN_MLM: list[Rule] = [
    (r"cls/predictions/output_bias", "bert/cls/predictions/output_bias/bias"),
    (r"(cls/predictions/.*)", r"bert/\1"),
]
WRITTEN_LAYER = r"bert/encoder/(layer_\d+)"
