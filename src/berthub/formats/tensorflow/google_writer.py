"""Write Google's own format: `bert_config.json`, a vocabulary and `bert_model.ckpt.*`, without TensorFlow.

It is that of the releases: BERT's (2018), ALBERT's (2019), ELECTRA's and MobileBERT's (2020), each with the names
of its own code. What that code does not know cannot be written.
"""

import dataclasses
import json
import re
from pathlib import Path

from berthub.atomic import written_folder
from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig
from berthub.containers.tensorbundle_writer import write_bundle
from berthub.errors import UnsupportedModelError
from berthub.formats.native import special_pieces
from berthub.formats.renaming import Rule
from berthub.formats.settings import BERT_CONFIG
from berthub.formats.tensorflow.architecture import Google
from berthub.formats.tensorflow.architectures import ARCHITECTURES
from berthub.formats.vocabularies import ALBERT_SPECIAL, BERT_SPECIAL, write_vocabulary_files
from berthub.networks.network import weight_shapes
from berthub.vocabulary import Vocabulary

__all__ = ["write_google"]

_CHECKPOINT = "bert_model.ckpt"
_SENTENCEPIECE = "30k-clean.model"
# The code of all these releases has the tanh variant, and one epsilon for all layer norms.
_ACTIVATIONS = {"gelu_tanh": "gelu", "relu": "relu"}
_EPSILON = 1e-12


def write_google(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the checkpoint into `folder`, which appears when it is whole; one that holds files already is refused.

    `UnsupportedModelError` names what Google's code has no place for: another architecture or activation, another
    epsilon than 1e-12, a head of a fine-tuned model, a tokenization of another kind.
    """
    config, vocabulary = checkpoint.config, checkpoint.vocabulary
    google = _google(config)
    if faults := _faults(google, checkpoint):
        raise UnsupportedModelError(
            f"the model cannot be written as a Google checkpoint: {'; '.join(faults)}. "
            "The other formats keep it: native, savedmodel, huggingface, keras, onnx"
        )
    rules = google.writing(config)
    weights = {_foreign(name, rules): checkpoint.weights[name] for name in weight_shapes(config)}
    settings = {foreign: getattr(config, name) for foreign, name in BERT_CONFIG.items() if name != "layer_norm_eps"}
    settings |= {"hidden_act": _ACTIVATIONS[config.activation], "do_lower_case": config.lower_case}
    stored = json.dumps(settings | google.also_stored(config), indent=2)
    with written_folder(folder, last=google.config_file) as unfinished:
        if vocabulary.algorithm == "sentencepiece":
            (unfinished / _SENTENCEPIECE).write_bytes(vocabulary.model)
        else:
            write_vocabulary_files(dataclasses.replace(vocabulary, added=()), unfinished)
        write_bundle(unfinished / _CHECKPOINT, weights)
        (unfinished / google.config_file).write_text(stored + "\n", encoding="utf-8")


def _google(config: EncoderConfig) -> Google:
    architecture = ARCHITECTURES.get(type(config))
    if architecture is None or architecture.google is None:
        raise UnsupportedModelError(
            f"Google released no {config.architecture} checkpoints, so the format does not exist for it; "
            "export it as native, savedmodel, keras or onnx"
        )
    return architecture.google


def _faults(google: Google, checkpoint: Checkpoint) -> list[str]:
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
    if config.mlm and not google.mlm:
        faults.append(
            "its masked-language-model head is that of TensorFlow's Model Garden, and Google's has more weights"
        )
    if checkpoint.head is not None:
        faults.append(f"it was fine-tuned ({checkpoint.head.task}), and the head has no place there")
    return [*faults, *_vocabulary_faults(vocabulary, sentencepiece=google.sentencepiece)]


def _vocabulary_faults(vocabulary: Vocabulary, *, sentencepiece: bool) -> list[str]:
    if vocabulary.algorithm != "wordpiece" and not (sentencepiece and vocabulary.algorithm == "sentencepiece"):
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


def _foreign(name: str, rules: list[Rule]) -> str:
    for pattern, template in rules:
        if match := re.fullmatch(pattern, name):
            return match.expand(template)
    return name
