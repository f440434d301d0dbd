"""Write a checkpoint as a Hugging Face folder, from which transformers computes the same numbers."""

import json
from pathlib import Path
from typing import Any

from berthub.atomic import written_folder
from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig
from berthub.containers.safetensors import write_safetensors
from berthub.errors import UnsupportedModelError
from berthub.formats.huggingface.architecture import Architecture, written_activation
from berthub.formats.huggingface.architectures import ARCHITECTURES
from berthub.formats.huggingface.cross_encoder import write_cross_encoder
from berthub.formats.huggingface.heads import described_head, head_class, head_tensors
from berthub.formats.huggingface.tokenizer_writer import write_tokenization
from berthub.formats.renaming import rename
from berthub.formats.sentence_transformers.writer import write_embedding
from berthub.head import Head
from berthub.networks.network import weight_shapes
from berthub.vocabulary import Vocabulary

__all__ = ["write_huggingface"]

_FIRST = "first_position"
_OTHERWISE = "export it to savedmodel, keras, onnx or native"


def write_huggingface(checkpoint: Checkpoint, folder: Path, *, encoder_only: bool = False) -> None:
    """Write `config.json`, `model.safetensors` and the tokenizer's files into `folder`, which appears when it is
    whole.

    What the model says of its sentence vectors is written as sentence-transformers reads it.
    transformers' AutoModel and AutoTokenizer load it, and AutoModelForMaskedLM, ...ForSequenceClassification or
    ...ForTokenClassification where the model has such a head; `encoder_only` leaves the heads out. A pooler that
    transformers' class has no place for (ELECTRA's) is written all the same, and reported there as unexpected. What
    transformers cannot compute raises `UnsupportedModelError`, and a folder with files in it `InputError`.
    """
    config = checkpoint.config
    head = None if encoder_only else checkpoint.head
    architecture = _architecture(config, checkpoint.vocabulary)
    _refuse_other_numbers(architecture, config, checkpoint.vocabulary, mlm=config.mlm and not encoder_only)
    tensors = _tensors(architecture, checkpoint, head, encoder_only=encoder_only)
    max_length = config.max_positions if head is None else head.max_length
    stored = _config(architecture, config, checkpoint.vocabulary)
    if head is not None:
        kind = head_class(head)
        stored |= described_head(architecture, head, stored)
    else:
        kind = "ForMaskedLM" if config.mlm and not encoder_only else "Model"
    stored = {"architectures": [architecture.title + kind], **stored}

    text = json.dumps(stored, indent=2, ensure_ascii=False) + "\n"
    with written_folder(folder, last="config.json") as unfinished:
        write_tokenization(
            checkpoint.vocabulary,
            config,
            unfinished,
            max_length=max_length,
            wordpiece_class=architecture.wordpiece_class,
        )
        write_safetensors(unfinished / "model.safetensors", tensors, {"format": "pt"})
        if not checkpoint.embedding.is_cross_encoder:
            write_embedding(checkpoint.embedding, unfinished, hidden_size=config.hidden_size)
        elif head is not None:
            write_cross_encoder(head.activation, unfinished)
        (unfinished / "config.json").write_text(text, encoding="utf-8")


def _architecture(config: EncoderConfig, vocabulary: Vocabulary) -> Architecture:
    able = [each for each in ARCHITECTURES.values() if isinstance(config, each.config) and each.writes(config)]
    # Those that claim the vocabulary's algorithm come before those that claim none.
    for algorithms in (
        lambda each: vocabulary.algorithm in (each.algorithms or ()),
        lambda each: each.algorithms is None,
    ):
        if found := next(filter(algorithms, able), None):
            return found
    raise UnsupportedModelError(
        f"transformers has no class for the architecture {config.architecture}, so this model cannot become a Hugging "
        f"Face folder; {_OTHERWISE}"
    )


def _refuse_other_numbers(
    architecture: Architecture, config: EncoderConfig, vocabulary: Vocabulary, *, mlm: bool
) -> None:
    """Refuse a model with another value for what is a constant in transformers' code."""
    architecture.refuse(config)
    name = f"transformers' {architecture.title}Model"
    for setting, value in architecture.always.items():
        if (own := getattr(config, setting)) != value:
            raise UnsupportedModelError(
                f"{name} computes with {setting} = {value!r}, and this model has {own!r}; {_OTHERWISE}"
            )
    if mlm and architecture.decoder is None:
        raise UnsupportedModelError(
            f"the masked-language-model head of transformers' {architecture.title}ForMaskedLM has weights that this "
            f"model's does not have. Write the encoder alone (encoder_only=True), or {_OTHERWISE}"
        )
    if mlm and architecture.exact_gelu_in_decoder and config.activation != "gelu_erf":
        raise UnsupportedModelError(
            f"the masked-language-model head of transformers' {architecture.title}ForMaskedLM computes gelu_erf, and "
            f"this model's {config.activation}. Write the encoder alone (encoder_only=True), or {_OTHERWISE}"
        )
    after_padding = vocabulary.ids[vocabulary.pad] + 1
    if architecture.positions_after_padding and (first := getattr(config, _FIRST)) != after_padding:
        raise UnsupportedModelError(
            f"{name} counts positions from the id of {vocabulary.pad} plus 1, which is {after_padding}, and this model "
            f"from {first}; {_OTHERWISE}"
        )
    if (fault := architecture.fault_in_writing(config)) is not None:
        raise UnsupportedModelError(f"{fault}; {_OTHERWISE}")


def _tensors(
    architecture: Architecture, checkpoint: Checkpoint, head: Head | None, *, encoder_only: bool
) -> dict[str, Any]:
    config = checkpoint.config
    weights = {name: checkpoint.weights[name] for name in weight_shapes(config)}
    if encoder_only:
        weights = {name: weight for name, weight in weights.items() if not name.startswith("cls/")}
    alone = head is None and not any(name.startswith("cls/") for name in weights)
    weights = architecture.before_writing(weights, config)
    renamed, unknown = rename(weights, architecture.writing(config))
    assert not unknown, f"names that the table lacks: {unknown}"
    prefix = "" if alone else f"{architecture.prefix or architecture.model_type}."
    heads = {} if head is None else head_tensors(architecture, head)
    tensors: dict[str, Any] = {}
    classifies = head is not None and head.task != "tag"
    for theirs, ours in renamed.items():
        if ours.startswith("cls/"):
            name = theirs
        elif ours.startswith("bert/pooler/") and architecture.classifier_pooler and classifies:
            name = f"{architecture.classifier_pooler}.{theirs.rpartition('.')[2]}"
        else:
            name = prefix + theirs
        tensors[name] = weights[ours].T if ours.endswith("/kernel") else weights[ours]
    if shared := sorted(tensors.keys() & heads.keys()):
        raise UnsupportedModelError(
            f"transformers' {architecture.title} has one layer for the head of this model and for that of its "
            f"masked-language model ({', '.join(shared)}). Write the encoder alone (encoder_only=True), or {_OTHERWISE}"
        )
    return tensors | heads


def _config(architecture: Architecture, config: EncoderConfig, vocabulary: Vocabulary) -> dict[str, Any]:
    stored: dict[str, Any] = {
        "model_type": architecture.model_type,
        **{theirs: getattr(config, ours) for theirs, ours in architecture.settings.items()},
        **architecture.must_be,
        architecture.activation: written_activation(config),
        "pad_token_id": vocabulary.ids[vocabulary.pad],
        **{key: vocabulary.ids[getattr(vocabulary, role)] for key, role in architecture.special_ids.items()},
        **architecture.also_stored(config),
    }
    if architecture.pooler_key is not None:
        stored[architecture.pooler_key] = config.pooler
    if architecture.positions_after_padding:
        stored["max_position_embeddings"] = getattr(config, _FIRST) + config.max_positions
    if vocabulary.algorithm != "wordpiece":
        stored["bos_token_id"] = vocabulary.ids[vocabulary.classify]
        stored["eos_token_id"] = vocabulary.ids[vocabulary.separate]
    return stored
