"""MPNet in transformers (`MPNetModel`).

Its configuration has no keys but BERT's, `pad_token_id` and `relative_attention_num_buckets`.
"""

from berthub.formats.huggingface.architecture import Architecture, HiddenScopes
from berthub.formats.huggingface.architectures.parts import LEFT_OUT, OURS, POOLER, SETTINGS, THEIRS, predictions
from berthub.networks.mpnet import BUCKETS, MPNetConfig

__all__ = ["MPNET"]


def _other_padding(config: MPNetConfig) -> str | None:
    if config.first_position == 2:
        return None
    return f"transformers' MPNetModel counts positions from 2, and this model from {config.first_position}"


MPNET = Architecture(
    model_type="mpnet",
    title="MPNet",
    config=MPNetConfig,
    settings={key: setting for key, setting in SETTINGS.items() if key != "type_vocab_size"},
    left_out={**{key: value for key, value in LEFT_OUT.items() if key != "type_vocab_size"}, "pad_token_id": 1},
    always={"type_vocab_size": 1},
    # Their code counts positions from the piece of id 1, and makes 32 buckets, whatever the configuration says.
    must_be={"pad_token_id": 1, "relative_attention_num_buckets": BUCKETS},
    positions_after_padding=True,
    scopes={
        "bert/embeddings/word_embeddings": "embeddings.word_embeddings",
        "bert/embeddings/position_embeddings": "embeddings.position_embeddings",
        "bert/embeddings/LayerNorm": "embeddings.LayerNorm",
        "bert/encoder/relative_position_embeddings": "encoder.relative_attention_bias",
        f"{OURS}attention/self/query": f"{THEIRS}attention.attn.q",
        f"{OURS}attention/self/key": f"{THEIRS}attention.attn.k",
        f"{OURS}attention/self/value": f"{THEIRS}attention.attn.v",
        f"{OURS}attention/output/dense": f"{THEIRS}attention.attn.o",
        f"{OURS}attention/output/LayerNorm": f"{THEIRS}attention.LayerNorm",
        f"{OURS}intermediate/dense": f"{THEIRS}intermediate.dense",
        f"{OURS}output/dense": f"{THEIRS}output.dense",
        f"{OURS}output/LayerNorm": f"{THEIRS}output.LayerNorm",
        **POOLER,
        **predictions("lm_head.dense", "lm_head.layer_norm", "lm_head.bias"),
    },
    decoder="lm_head.decoder",
    exact_gelu_in_decoder=True,
    classifier="classifier.out_proj",
    classifier_hidden=HiddenScopes(dense="classifier.dense", activation="tanh"),
    # BERT's gives token types, which this model has none of.
    wordpiece_class="DistilBertTokenizer",
    fault_in_writing=_other_padding,
)
