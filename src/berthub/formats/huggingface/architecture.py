"""The description of an architecture in Hugging Face folders: transformers' names for our settings and weights.

`architectures/` has one for each `model_type`. They are read in both directions. `#` stands for a number (of a layer,
a group ...).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from berthub.choices import Pooling
from berthub.config import EncoderConfig
from berthub.errors import UnsupportedModelError
from berthub.formats.renaming import Rule

__all__ = ["ACTIVATIONS", "Architecture", "HiddenScopes", "written_activation"]

ACTIVATIONS = {
    "gelu": "gelu_erf",
    "gelu_python": "gelu_erf",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""transformers' ACT2FN; the tanh variant has many names there. The first of several is the one that all of its
architectures and releases know, and that is written."""

Weights = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class HiddenScopes:
    """The hidden layer of a task's head in transformers: the scopes of its dense layer and, if any, its layer norm.

    `activation` is transformers' name of its activation, or with `activation_key` what that key of `config.json` means
    where it is left out. Likewise `pooling` is what the layer sees of a text, and `pooling_key` the key that says it.
    Biases that the files lack are zeros, and `bias_key` says whether the dense layer has one. `eps_key` is the key of
    the layer norm's epsilon, `norm_bias_key` that which says whether it has a bias.
    """

    dense: str
    activation: str
    activation_key: str | None = None
    norm: str | None = None
    eps_key: str = "norm_eps"
    norm_bias_key: str = "norm_bias"
    bias_key: str | None = None
    pooling: Pooling = "cls"
    pooling_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One `model_type` of transformers. Weights are named below `<model_type>.` where heads stand beside the encoder.

    `title` begins the names of transformers' classes. `settings` are keys of `config.json` -> ours, `left_out` what
    transformers means by a key that is not there, `must_be` the keys of which one value alone is supported, and
    `always` settings of ours that are constants in transformers' code. `scopes` are our weights -> theirs, `decoder`
    what the masked-language-model head calls the embedding table that it is tied to; None: that head is not read.

    The others say how an architecture differs from most; most have none of them.
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

    # From what config.json holds (and its path) to the same in the terms of `settings`, where releases differ.
    normalized: Callable[[dict[str, Any], str], dict[str, Any]] = lambda stored, source: stored
    # Keys that `normalized` makes, and that are written in other terms (`also_stored`) -> our settings.
    made: Mapping[str, str] = field(default_factory=dict)
    # Our scopes -> those of other releases, which are read and not written.
    also_read: Mapping[str, str] = field(default_factory=dict)
    # What stands before the names of the encoder's weights where heads stand beside it; None: the model_type.
    prefix: str | None = None
    # Whether dense layers and norms have biases, apart from the output of the masked-language-model head.
    biases: bool = True
    # Whether the masked-language-model head of such a config.json computes what berthub's does.
    reads_head: Callable[[Mapping[str, Any]], bool] = lambda stored: True

    # The setting of ours that counts what `@` in a name is the last of.
    last_of: str | None = None
    # Whether positions count from the id of padding plus 1 on, and max_position_embeddings the rows of the table. Then
    # `left_out` has pad_token_id, and the configuration first_position.
    positions_after_padding: bool = False
    # The key of config.json that is false where the model has no pooler.
    pooler_key: str | None = None

    # Whether the masked-language-model head computes the exact GELU, whatever the activation of the layers.
    exact_gelu_in_decoder: bool = False
    # The output layer of ...ForSequenceClassification: on the pooler's output, or on a hidden layer. None: not read.
    classifier: str | None = "classifier"
    # Where ...ForSequenceClassification has the pooler, if not in the encoder.
    classifier_pooler: str | None = None
    # The hidden layer of ...ForSequenceClassification, which stands on the tokens' vectors in place of the pooler.
    classifier_hidden: HiddenScopes | None = None
    # The hidden layer of ...ForTokenClassification.
    tagger_hidden: HiddenScopes | None = None

    # Whether a model with this configuration is written so. The first architecture of the table that says yes counts.
    writes: Callable[[Any], bool] = lambda config: True
    # The algorithms of the vocabularies with which it is written; None: of those that no other one claims.
    algorithms: tuple[str, ...] | None = None
    # What else config.json holds of a configuration.
    also_stored: Callable[[Any], dict[str, Any]] = lambda config: {}
    # Keys of config.json that hold the ids of special pieces -> their roles in the vocabulary; for the writer alone.
    special_ids: Mapping[str, str] = field(default_factory=dict)
    # The class of the tokenizer that is written for WordPiece; None: BERT's.
    wordpiece_class: str | None = None
    # The message where transformers computes something else than the configuration says; None where it does not.
    fault: Callable[[Any], str | None] = lambda config: None
    # The same, where only the writer minds.
    fault_in_writing: Callable[[Any], str | None] = lambda config: None
    # From the renamed weights (and the configuration, and the folder) to those of a checkpoint, and back.
    after_reading: Callable[[Weights, Any, str], Weights] = lambda weights, config, source: weights
    before_writing: Callable[[Weights, Any], Weights] = lambda weights, config: weights

    def names(self, *, last: int = 0) -> dict[str, str]:
        """Our names -> theirs, with `#`; `last` is the number that `@` stands for."""
        return self._names(self.scopes, last)

    def _names(self, scopes: Mapping[str, str], last: int = 0) -> dict[str, str]:
        names = {}
        for ours, theirs in scopes.items():
            ours = ours.replace("@", str(last))
            end = ours.rpartition("/")[2]
            if end.endswith("_embeddings"):
                names[ours] = f"{theirs}.weight"
            elif end == "output_bias":
                names[ours] = theirs
            else:
                matrix, vector = ("gamma", "beta") if end.startswith("LayerNorm") else ("kernel", "bias")
                names[f"{ours}/{matrix}"] = f"{theirs}.weight"
                if self.biases:
                    names[f"{ours}/{vector}"] = f"{theirs}.bias"
        return names

    def reading(self, stored: Mapping[str, Any]) -> list[Rule]:
        """Rules from their names, with any prefix, to ours; the first conversions used gamma and beta.

        `stored` is what `config.json` holds.
        """
        given = {**self.left_out, **stored}
        count = next((given.get(theirs) for theirs, ours in self.settings.items() if ours == self.last_of), None)
        rules = []
        last = count - 1 if isinstance(count, int) else 0
        for ours, theirs in [*self.names(last=last).items(), *self._names(self.also_read, last).items()]:
            pattern = _pattern(theirs)
            if ours.endswith("/gamma"):
                pattern = pattern.removesuffix("weight") + "(?:weight|gamma)"
            elif ours.endswith("/beta"):
                pattern = pattern.removesuffix("bias") + "(?:bias|beta)"
            rules.append((rf"(?:.*\.)?{pattern}", _template(ours)))
        return rules

    def writing(self, config: EncoderConfig) -> list[Rule]:
        """Rules from our names to theirs."""
        names = self.names(last=0 if self.last_of is None else getattr(config, self.last_of) - 1)
        return [(_pattern(ours), _template(theirs)) for ours, theirs in names.items()]

    @property
    def parts(self) -> set[str]:
        """The prefixes of the names of the encoder's own weights."""
        scopes = [*self.scopes.items(), *self.also_read.items()]
        return {theirs.partition(".")[0] for ours, theirs in scopes if ours.startswith("bert/")}

    def refuse(self, config: EncoderConfig) -> None:
        """`UnsupportedModelError` for settings with which transformers computes something else."""
        if (fault := self.fault(config)) is not None:
            raise UnsupportedModelError(fault)


def written_activation(config: EncoderConfig) -> str:
    """What transformers calls the activation of the layers."""
    return next(theirs for theirs, ours in ACTIVATIONS.items() if ours == config.activation)


def _pattern(name: str) -> str:
    return r"(\d+)".join(re.escape(part) for part in name.split("#"))


def _template(name: str) -> str:
    first, *others = name.split("#")
    return first + "".join(rf"\{number}{part}" for number, part in enumerate(others, 1))
