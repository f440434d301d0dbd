"""The architectures of Hugging Face folders: transformers' names of settings and weights, each beside ours.

The tables are read in both directions. `#` stands for a number (of a layer, a group ...).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from berthub.config import EncoderConfig
from berthub.errors import UnsupportedModelError
from berthub.formats.renaming import Rule
from berthub.networks.albert import AlbertConfig
from berthub.networks.bert import BertConfig
from berthub.networks.distilbert import DistilBertConfig
from berthub.networks.mobilebert import MobileBertConfig
from berthub.networks.roberta import RobertaConfig

__all__ = ["ACTIVATIONS", "ARCHITECTURES", "Architecture", "refuse_mixed_norms"]

ACTIVATIONS = {
    "gelu": "gelu_erf",
    "gelu_python": "gelu_erf",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
"""transformers' ACT2FN; the tanh form has many names there. The first of several is the one that all of its
architectures and releases know, and that is written."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One `model_type`. Weights are named below `<model_type>.` where heads stand beside the encoder.

    `title` begins the names of transformers' classes. `settings` are keys of `config.json` -> ours, `left_out` what
    transformers means by a key that is not there, `must_be` the keys of which one value alone is supported, and
    `always` settings of ours that are constants in transformers' code. `scopes` are our weights -> theirs, `decoder`
    what the masked-language-model head calls the embedding table that it is tied to; None: that head is not read.
    """

    model_type: str
    title: str
    config: type[EncoderConfig]
    settings: Mapping[str, str]
    left_out: Mapping[str, Any]
    scopes: Mapping[str, str]
    decoder: str | None
    activation: str = "hidden_act"
    must_be: Mapping[str, Any] = field(default_factory=dict)
    always: Mapping[str, Any] = field(default_factory=dict)
    # Whether that head computes the exact GELU, whatever the activation of the layers.
    exact_gelu_in_decoder: bool = False
    # The dense layer of ...ForSequenceClassification on the pooler's output; None: what is below it is not our pooler.
    classifier: str | None = "classifier"
    # Where ...ForSequenceClassification has the pooler, if not in the encoder.
    classifier_pooler: str | None = None

    def names(self, *, feedforwards: int = 1) -> dict[str, str]:
        """Our names -> theirs, with `#`. `feedforwards`: how many feed-forward networks a MobileBERT's layer has."""
        names = {}
        for ours, theirs in self.scopes.items():
            ours = ours.replace("@", str(feedforwards - 1))
            last = ours.rpartition("/")[2]
            if last.endswith("_embeddings"):
                names[ours] = f"{theirs}.weight"
            elif last == "output_bias":
                names[ours] = theirs
            else:
                matrix, vector = ("gamma", "beta") if last.startswith("LayerNorm") else ("kernel", "bias")
                names |= {f"{ours}/{matrix}": f"{theirs}.weight", f"{ours}/{vector}": f"{theirs}.bias"}
        return names

    def reading(self, *, feedforwards: int) -> list[Rule]:
        """Rules from their names, whatever stands before them, to ours; first conversions say gamma and beta."""
        rules = []
        for ours, theirs in self.names(feedforwards=feedforwards).items():
            pattern = _pattern(theirs)
            if ours.endswith("/gamma"):
                pattern = pattern.removesuffix("weight") + "(?:weight|gamma)"
            elif ours.endswith("/beta"):
                pattern = pattern.removesuffix("bias") + "(?:bias|beta)"
            rules.append((rf"(?:.*\.)?{pattern}", _template(ours)))
        return rules

    def writing(self, *, feedforwards: int) -> list[Rule]:
        """Rules from our names to theirs."""
        names = self.names(feedforwards=feedforwards)
        return [(_pattern(ours), _template(theirs)) for ours, theirs in names.items()]

    @property
    def parts(self) -> set[str]:
        """What the names of the encoder's own weights begin with."""
        return {theirs.partition(".")[0] for ours, theirs in self.scopes.items() if ours.startswith("bert/")}


def refuse_mixed_norms(config: EncoderConfig) -> None:
    """`UnsupportedModelError` for a MobileBERT whose layer norms do not all have one epsilon in transformers.

    There, those of the embeddings and of a layer's last feed-forward network have PyTorch's, 1e-5, whatever
    `layer_norm_eps` says. The models that were published have no layer norms, but NoNorm.
    """
    if isinstance(config, MobileBertConfig) and config.normalization == "layer_norm" and config.layer_norm_eps != 1e-5:
        raise UnsupportedModelError(
            f"transformers' MobileBertModel has layer norms with the epsilon 1e-5 beside those with layer_norm_eps, "
            f"which is {config.layer_norm_eps}; models with more than one epsilon are not supported"
        )


def _pattern(name: str) -> str:
    return r"(\d+)".join(re.escape(part) for part in name.split("#"))


def _template(name: str) -> str:
    first, *others = name.split("#")
    return first + "".join(rf"\{number}{part}" for number, part in enumerate(others, 1))


_BERT_SETTINGS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "intermediate_size": "intermediate_size",
    "max_position_embeddings": "max_positions",
    "type_vocab_size": "type_vocab_size",
    "layer_norm_eps": "layer_norm_eps",
    "hidden_dropout_prob": "hidden_dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "initializer_range": "initializer_range",
}
_BERT_LEFT_OUT = {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "type_vocab_size": 2}

_EMBEDDINGS = {
    "bert/embeddings/word_embeddings": "embeddings.word_embeddings",
    "bert/embeddings/position_embeddings": "embeddings.position_embeddings",
    "bert/embeddings/token_type_embeddings": "embeddings.token_type_embeddings",
    "bert/embeddings/LayerNorm": "embeddings.LayerNorm",
}
_OURS, _THEIRS = "bert/encoder/layer_#/", "encoder.layer.#."
_ATTENTION = {
    f"{_OURS}attention/self/query": f"{_THEIRS}attention.self.query",
    f"{_OURS}attention/self/key": f"{_THEIRS}attention.self.key",
    f"{_OURS}attention/self/value": f"{_THEIRS}attention.self.value",
    f"{_OURS}attention/output/dense": f"{_THEIRS}attention.output.dense",
    f"{_OURS}attention/output/LayerNorm": f"{_THEIRS}attention.output.LayerNorm",
}
_LAYERS = {
    **_ATTENTION,
    f"{_OURS}intermediate/dense": f"{_THEIRS}intermediate.dense",
    f"{_OURS}output/dense": f"{_THEIRS}output.dense",
    f"{_OURS}output/LayerNorm": f"{_THEIRS}output.LayerNorm",
}
_POOLER = {"bert/pooler/dense": "pooler.dense"}


def _predictions(dense: str, norm: str, bias: str) -> dict[str, str]:
    return {
        "cls/predictions/transform/dense": dense,
        "cls/predictions/transform/LayerNorm": norm,
        "cls/predictions/output_bias": bias,
    }


_BERT = Architecture(
    model_type="bert",
    title="Bert",
    config=BertConfig,
    settings=_BERT_SETTINGS,
    left_out=_BERT_LEFT_OUT,
    scopes={
        **_EMBEDDINGS,
        **_LAYERS,
        **_POOLER,
        **_predictions(
            "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"
        ),
    },
    decoder="cls.predictions.decoder",
)

# transformers' ElectraModel has no pooler; one that is in the files is kept.
_ELECTRA = Architecture(
    model_type="electra",
    title="Electra",
    config=BertConfig,
    settings={**_BERT_SETTINGS, "embedding_size": "embedding_size"},
    left_out={**_BERT_LEFT_OUT, "embedding_size": 128},
    scopes={
        **_EMBEDDINGS,
        "bert/embeddings_project": "embeddings_project",
        **_LAYERS,
        **_POOLER,
        **_predictions("generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head.bias"),
    },
    decoder="generator_lm_head",
    exact_gelu_in_decoder=True,
    classifier=None,
)

_GROUP, _ALBERT_LAYER = (
    "bert/encoder/transformer/group_#/inner_group_#/",
    "encoder.albert_layer_groups.#.albert_layers.#.",
)
_ALBERT = Architecture(
    model_type="albert",
    title="Albert",
    config=AlbertConfig,
    settings={
        **_BERT_SETTINGS,
        "embedding_size": "embedding_size",
        "num_hidden_groups": "num_groups",
        "inner_group_num": "inner_layers",
    },
    left_out={
        **_BERT_LEFT_OUT,
        "hidden_act": "gelu_new",
        "embedding_size": 128,
        "num_hidden_groups": 1,
        "inner_group_num": 1,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
    scopes={
        **_EMBEDDINGS,
        "bert/encoder/embedding_hidden_mapping_in": "encoder.embedding_hidden_mapping_in",
        f"{_GROUP}attention_1/self/query": f"{_ALBERT_LAYER}attention.query",
        f"{_GROUP}attention_1/self/key": f"{_ALBERT_LAYER}attention.key",
        f"{_GROUP}attention_1/self/value": f"{_ALBERT_LAYER}attention.value",
        f"{_GROUP}attention_1/output/dense": f"{_ALBERT_LAYER}attention.dense",
        f"{_GROUP}LayerNorm": f"{_ALBERT_LAYER}attention.LayerNorm",
        f"{_GROUP}ffn_1/intermediate/dense": f"{_ALBERT_LAYER}ffn",
        f"{_GROUP}ffn_1/intermediate/output/dense": f"{_ALBERT_LAYER}ffn_output",
        f"{_GROUP}LayerNorm_1": f"{_ALBERT_LAYER}full_layer_layer_norm",
        "bert/pooler/dense": "pooler",
        **_predictions("predictions.dense", "predictions.LayerNorm", "predictions.bias"),
    },
    decoder="predictions.decoder",
)

_TRANSFORMER = "transformer.layer.#."
_DISTILBERT = Architecture(
    model_type="distilbert",
    title="DistilBert",
    config=DistilBertConfig,
    settings={
        "vocab_size": "vocab_size",
        "dim": "hidden_size",
        "n_layers": "num_layers",
        "n_heads": "num_heads",
        "hidden_dim": "intermediate_size",
        "max_position_embeddings": "max_positions",
        "dropout": "hidden_dropout",
        "attention_dropout": "attention_dropout",
        "initializer_range": "initializer_range",
    },
    left_out={"activation": "gelu"},
    always={"layer_norm_eps": 1e-12, "type_vocab_size": 1, "pooler": False},
    activation="activation",
    scopes={
        "bert/embeddings/word_embeddings": "embeddings.word_embeddings",
        "bert/embeddings/position_embeddings": "embeddings.position_embeddings",
        "bert/embeddings/LayerNorm": "embeddings.LayerNorm",
        f"{_OURS}attention/self/query": f"{_TRANSFORMER}attention.q_lin",
        f"{_OURS}attention/self/key": f"{_TRANSFORMER}attention.k_lin",
        f"{_OURS}attention/self/value": f"{_TRANSFORMER}attention.v_lin",
        f"{_OURS}attention/output/dense": f"{_TRANSFORMER}attention.out_lin",
        f"{_OURS}attention/output/LayerNorm": f"{_TRANSFORMER}sa_layer_norm",
        f"{_OURS}intermediate/dense": f"{_TRANSFORMER}ffn.lin1",
        f"{_OURS}output/dense": f"{_TRANSFORMER}ffn.lin2",
        f"{_OURS}output/LayerNorm": f"{_TRANSFORMER}output_layer_norm",
        **_predictions("vocab_transform", "vocab_layer_norm", "vocab_projector.bias"),
    },
    decoder="vocab_projector",
    classifier=None,
)

# Its max_position_embeddings count the rows of the table, not the positions: the reader and the writer convert them.
_ROBERTA = Architecture(
    model_type="roberta",
    title="Roberta",
    config=RobertaConfig,
    settings={theirs: ours for theirs, ours in _BERT_SETTINGS.items() if ours != "max_positions"},
    left_out={**_BERT_LEFT_OUT, "pad_token_id": 1},
    scopes={
        **_EMBEDDINGS,
        **_LAYERS,
        **_POOLER,
        **_predictions("lm_head.dense", "lm_head.layer_norm", "lm_head.bias"),
    },
    decoder="lm_head.decoder",
    exact_gelu_in_decoder=True,
    classifier="classifier.out_proj",
    classifier_pooler="classifier.dense",
)

_MOBILEBERT = Architecture(
    model_type="mobilebert",
    title="MobileBert",
    config=MobileBertConfig,
    settings={
        **_BERT_SETTINGS,
        "embedding_size": "embedding_size",
        "intra_bottleneck_size": "bottleneck_size",
        "num_feedforward_networks": "num_feedforward",
        "key_query_shared_bottleneck": "shared_bottleneck",
        "use_bottleneck_attention": "bottleneck_attention",
        "normalization_type": "normalization",
    },
    left_out={
        **_BERT_LEFT_OUT,
        "hidden_act": "relu",
        "hidden_dropout_prob": 0.0,
        "embedding_size": 128,
        "intra_bottleneck_size": 128,
        "num_feedforward_networks": 4,
        "key_query_shared_bottleneck": True,
        "use_bottleneck_attention": False,
        "normalization_type": "no_norm",
    },
    must_be={"trigram_input": True, "use_bottleneck": True},
    scopes={
        **_EMBEDDINGS,
        "bert/embeddings/embedding_transformation": "embeddings.embedding_transformation",
        f"{_OURS}bottleneck/input/dense": f"{_THEIRS}bottleneck.input.dense",
        f"{_OURS}bottleneck/input/LayerNorm": f"{_THEIRS}bottleneck.input.LayerNorm",
        f"{_OURS}bottleneck/attention/dense": f"{_THEIRS}bottleneck.attention.dense",
        f"{_OURS}bottleneck/attention/LayerNorm": f"{_THEIRS}bottleneck.attention.LayerNorm",
        **_ATTENTION,
        # The last of the feed-forward networks, which transformers does not count; @ is its number.
        f"{_OURS}ffn_layer_@/intermediate/dense": f"{_THEIRS}intermediate.dense",
        f"{_OURS}ffn_layer_@/output/dense": f"{_THEIRS}output.dense",
        f"{_OURS}ffn_layer_@/output/LayerNorm": f"{_THEIRS}output.LayerNorm",
        f"{_OURS}ffn_layer_#/intermediate/dense": f"{_THEIRS}ffn.#.intermediate.dense",
        f"{_OURS}ffn_layer_#/output/dense": f"{_THEIRS}ffn.#.output.dense",
        f"{_OURS}ffn_layer_#/output/LayerNorm": f"{_THEIRS}ffn.#.output.LayerNorm",
        f"{_OURS}output/bottleneck/dense": f"{_THEIRS}output.bottleneck.dense",
        f"{_OURS}output/bottleneck/LayerNorm": f"{_THEIRS}output.bottleneck.LayerNorm",
        **_POOLER,
    },
    decoder=None,
)

ARCHITECTURES = {each.model_type: each for each in (_ALBERT, _BERT, _DISTILBERT, _ELECTRA, _MOBILEBERT, _ROBERTA)}
"""What is read and written, by `model_type`."""
