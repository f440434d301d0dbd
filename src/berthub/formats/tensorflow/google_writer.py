"""Writes Google's own form: `bert_config.json`, a vocabulary and `bert_model.ckpt.*`, without TensorFlow.

It is that of the releases: BERT's (2018), ALBERT's (2019), ELECTRA's and MobileBERT's (2020), each with the names
of its own code. What that code does not know cannot be written.
"""

import dataclasses
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berthub.atomic import written_folder
from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig
from berthub.errors import UnsupportedModelError
from berthub.formats.native import special_pieces
from berthub.formats.renaming import Rule
from berthub.formats.settings import BERT_CONFIG
from berthub.formats.tensorflow.tensorbundle_writer import write_bundle
from berthub.formats.vocabularies import ALBERT_SPECIAL, BERT_SPECIAL, write_vocabulary_files
from berthub.networks.albert import AlbertConfig
from berthub.networks.bert import BertConfig
from berthub.networks.mobilebert import MobileBertConfig
from berthub.networks.network import weight_shapes
from berthub.vocabulary import Vocabulary

__all__ = ["write_google"]

_CHECKPOINT = "bert_model.ckpt"
_SENTENCEPIECE = "30k-clean.model"
# The code of all these releases has the tanh form, and one epsilon for all layer norms.
_ACTIVATIONS = {"gelu_tanh": "gelu", "relu": "relu"}
_EPSILON = 1e-12


@dataclass(frozen=True)
class _Form:
    """How one architecture is written: the name of its configuration, its keys, and its names of weights."""

    config_file: str
    settings: Callable[[Any], dict[str, Any]]
    rules: Callable[[Any], list[Rule]]


def write_google(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the checkpoint into `folder`, which appears when it is whole; one that holds files already is refused.

    `UnsupportedModelError` names what Google's code has no place for: another architecture or activation, another
    epsilon than 1e-12, a head of a fine-tuned model, a tokenization of another kind.
    """
    config, vocabulary = checkpoint.config, checkpoint.vocabulary
    form = _form(config)
    if faults := _faults(checkpoint):
        raise UnsupportedModelError(
            f"the model has no form as a Google checkpoint: {'; '.join(faults)}. "
            "The other forms keep it: native, savedmodel, huggingface, keras, onnx"
        )
    rules = form.rules(config)
    weights = {_foreign(name, rules): checkpoint.weights[name] for name in weight_shapes(config)}
    settings = {foreign: getattr(config, name) for foreign, name in BERT_CONFIG.items() if name != "layer_norm_eps"}
    settings |= {"hidden_act": _ACTIVATIONS[config.activation], "do_lower_case": config.lower_case}
    stored = json.dumps(settings | form.settings(config), indent=2)
    with written_folder(folder, last=form.config_file) as unfinished:
        if vocabulary.algorithm == "sentencepiece":
            (unfinished / _SENTENCEPIECE).write_bytes(vocabulary.model)
        else:
            write_vocabulary_files(dataclasses.replace(vocabulary, added=()), unfinished)
        write_bundle(unfinished / _CHECKPOINT, weights)
        (unfinished / form.config_file).write_text(stored + "\n", encoding="utf-8")


def _form(config: EncoderConfig) -> _Form:
    if type(config) not in _FORMS:
        raise UnsupportedModelError(
            f"Google released no {config.architecture} checkpoints, so there is no such form of one; "
            "export it as native, savedmodel, keras or onnx"
        )
    return _FORMS[type(config)]


def _faults(checkpoint: Checkpoint) -> list[str]:
    config, vocabulary = checkpoint.config, checkpoint.vocabulary
    faults = []
    if config.activation not in _ACTIVATIONS:
        faults.append(f"its activation is {config.activation}, and Google's code knows {' and '.join(_ACTIVATIONS)}")
    if config.layer_norm_eps != _EPSILON and getattr(config, "normalization", "layer_norm") == "layer_norm":
        faults.append(f"its layer_norm_eps is {config.layer_norm_eps}, and Google's code has {_EPSILON} built in")
    if config.strip_accents not in (None, config.lower_case):
        faults.append(f"strip_accents is {config.strip_accents}, and Google's code strips them where it lower-cases")
    if not config.split_chinese:
        faults.append("split_chinese is False, and Google's code always splits Chinese characters")
    if isinstance(config, MobileBertConfig) and config.mlm:
        faults.append(
            "its masked-language-model head is that of TensorFlow's Model Garden, and Google's has more weights"
        )
    if checkpoint.head is not None:
        faults.append(f"it was fine-tuned ({checkpoint.head.task}), and the head has no place there")
    return [*faults, *_vocabulary_faults(vocabulary, albert=isinstance(config, AlbertConfig))]


def _vocabulary_faults(vocabulary: Vocabulary, *, albert: bool) -> list[str]:
    if vocabulary.algorithm != "wordpiece" and not (albert and vocabulary.algorithm == "sentencepiece"):
        return [f"its vocabulary is of the kind {vocabulary.algorithm}, which Google's code does not read"]
    usual = ALBERT_SPECIAL if vocabulary.algorithm == "sentencepiece" else BERT_SPECIAL
    other = [f"{role} {piece!r}" for role, piece in special_pieces(vocabulary).items() if piece != usual[role]]
    if vocabulary.algorithm == "wordpiece" and any(
        piece != piece.strip() or "\n" in piece for piece in vocabulary.pieces
    ):
        return ["some pieces begin or end in blanks, which the lines of a vocab.txt cannot hold"]
    if added := [token.content for token in vocabulary.added if token.content not in vocabulary.special]:
        return [f"it has the added tokens {', '.join(added)}, which Google's code does not look for"]
    if other:
        return [f"its special pieces are not those built into Google's code: {', '.join(other)}"]
    return []


def _bert_settings(config: BertConfig) -> dict[str, Any]:
    return {} if config.embedding_width == config.hidden_size else {"embedding_size": config.embedding_width}


def _bert_rules(config: BertConfig) -> list[Rule]:
    # With a projection it is the encoder of ELECTRA, whose code has a scope of its own.
    return [] if config.embedding_width == config.hidden_size else [(r"bert/(.*)", r"electra/\1")]


def _albert_settings(config: AlbertConfig) -> dict[str, Any]:
    return {
        "embedding_size": config.embedding_size,
        "num_hidden_groups": config.num_groups,
        "inner_group_num": config.inner_layers,
        # Of experiments that no release was made with; the code wants them.
        "net_structure_type": 0,
        "gap_size": 0,
        "num_memory_blocks": 0,
        "down_scale_factor": 1,
    }


def _mobilebert_settings(config: MobileBertConfig) -> dict[str, Any]:
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


def _mobilebert_rules(config: MobileBertConfig) -> list[Rule]:
    norm = "FakeLayerNorm" if config.normalization == "no_norm" else "LayerNorm"
    # The last of the feed-forward networks is the one that a BERT has.
    return [
        (rf"(.*/layer_\d+)/ffn_layer_{config.num_feedforward - 1}/output/LayerNorm/(.*)", rf"\1/output/{norm}/\2"),
        (rf"(.*/layer_\d+)/ffn_layer_{config.num_feedforward - 1}/(.*)", r"\1/\2"),
        (r"(.*)/LayerNorm/(.*)", rf"\1/{norm}/\2"),
    ]


_FORMS: dict[type[EncoderConfig], _Form] = {
    BertConfig: _Form("bert_config.json", _bert_settings, _bert_rules),
    AlbertConfig: _Form("albert_config.json", _albert_settings, lambda config: []),
    MobileBertConfig: _Form("bert_config.json", _mobilebert_settings, _mobilebert_rules),
}


def _foreign(name: str, rules: list[Rule]) -> str:
    for pattern, template in rules:
        if match := re.fullmatch(pattern, name):
            return match.expand(template)
    return name
