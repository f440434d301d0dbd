"""Read Hugging Face folders: `config.json`, files of weights, and a tokenizer's files."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.containers.files import read_json
from berthub.errors import CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.huggingface.architecture import ACTIVATIONS, Architecture
from berthub.formats.huggingface.architectures import ARCHITECTURES
from berthub.formats.huggingface.cross_encoder import NO_CROSS_ENCODER, read_cross_encoder
from berthub.formats.huggingface.heads import FoundHead, find_head, read_head
from berthub.formats.huggingface.tokenizer import longest_text, put_tokenization, read_tokenization
from berthub.formats.huggingface.weights import read_weights
from berthub.formats.renaming import rename
from berthub.formats.settings import Settings, look_up
from berthub.formats.vocabularies import with_special_tokens
from berthub.vocabulary import Vocabulary

__all__ = ["ADAPTER", "MERGE", "read_huggingface"]

ADAPTER = "adapter_config.json"
"""The file that shows an adapter (PEFT)."""
MERGE = "merge it into the model that it changes (merge_and_unload), save the result (save_pretrained), and load that"
"""What to do with one."""
FORMAT = "Hugging Face folder"

_TABLE, _POOLER, _PREDICTIONS = "bert/embeddings/word_embeddings", "bert/pooler/dense", "cls/predictions/"
_BIAS = f"{_PREDICTIONS}output_bias"

Arrays = Mapping[str, npt.NDArray[Any]]


def read_huggingface(
    folder: Path,
    given: Mapping[str, Any] | None = None,
    vocabulary: Vocabulary | None = None,
    *,
    arrays: Arrays | None = None,
) -> Checkpoint:
    """The encoder in a Hugging Face folder, and its heads as far as berthub has their like; others are left aside.

    `arrays` are its weights under transformers' names, where they were read from another kind of file.
    """
    path = folder / "config.json"
    if (folder / ADAPTER).is_file():
        raise UnsupportedModelError(
            f"{folder} has an adapter beside its model ({ADAPTER}), with which transformers computes other vectors: "
            f"{MERGE}; without the adapter, remove {ADAPTER}"
        )
    stored = read_json(path)
    architecture = _architecture(stored, path)
    stored = architecture.normalized(stored, str(path))
    _refuse_other_settings(architecture, stored, path)
    arrays, file = read_weights(folder) if arrays is None else (arrays, FORMAT)
    renamed, unknown = rename(arrays, architecture.reading(stored))
    if _TABLE not in renamed:
        raise ModelNotFoundError(
            f"{folder} holds no {architecture.title}: no tensor is called {architecture.scopes[_TABLE]}.weight; "
            f"it has {', '.join(sorted(arrays)[:8]) or 'no tensors'}"
        )
    _refuse_foreign_parts(architecture, renamed[_TABLE], unknown, folder)
    copies = _tied_copies(architecture, stored, arrays, renamed)
    if copies is None:
        renamed = {ours: theirs for ours, theirs in renamed.items() if not ours.startswith(_PREDICTIONS)}
    files = read_cross_encoder(folder, stored) if architecture.classifier else NO_CROSS_ENCODER
    found = find_head(architecture, stored, arrays, files=files)
    _settle_pooler(architecture, stored, found, renamed)

    settings = Settings(given)
    _put_config(settings, architecture, stored, path)
    settings.put("the tensors", pooler=f"{_POOLER}/kernel" in renamed, mlm=_BIAS in renamed)
    if vocabulary is None:
        vocabulary = read_tokenization(
            folder, settings, tokenizer_class=stored.get("tokenizer_class"), model_type=architecture.model_type
        )
    else:
        put_tokenization(folder, settings)
        vocabulary = with_special_tokens(vocabulary)
        settings.put_case(vocabulary)
    config = settings.config(architecture.config, what=str(path))
    architecture.refuse(config)
    weights = {ours: arrays[name].T if ours.endswith("/kernel") else arrays[name] for ours, name in renamed.items()}
    weights = architecture.after_reading(weights, config, str(folder))
    head = None
    used = {*renamed.values(), *(copies or ())}
    if found is not None:
        max_length = min(files.max_length or longest_text(folder, config.max_positions), config.max_positions)
        head = read_head(found, stored=stored, arrays=arrays, max_length=max_length)
        used |= found.weights(arrays)
    return Checkpoint(
        config=config,
        weights=weights,
        vocabulary=vocabulary,
        origin=settings.origin(_format(file), folder, unused=arrays.keys() - used),
        head=head,
    )


def _format(file: str) -> str:
    """What the format is called; `file` has the weights, or lists their files."""
    return FORMAT if ".safetensors" in file else f"{FORMAT} with {file.removesuffix('.index.json')}"


def _class_name(stored: Mapping[str, Any]) -> str:
    """The transformers class of the model, which tells its head."""
    classes = stored.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else None
    return first if isinstance(first, str) and first.isidentifier() else "AutoModel"


def _architecture(stored: Mapping[str, Any], path: Path) -> Architecture:
    kind = stored.get("model_type")
    if kind is None:
        # Configurations of 2019 and 2020 leave it to the class.
        name = _class_name(stored)
        titles = {each.title: each.model_type for each in ARCHITECTURES.values()}
        kind = next((titles[title] for title in titles if re.fullmatch(rf"{title}(For[A-Z]\w*|Model)", name)), None)
    architecture: Architecture = look_up(ARCHITECTURES, kind, setting="model_type", source=str(path))
    return architecture


def _refuse_other_settings(architecture: Architecture, stored: Mapping[str, Any], path: Path) -> None:
    """`UnsupportedModelError` for settings that berthub's network does not have."""
    positions = stored.get("position_embedding_type", "absolute")
    if positions != "absolute":
        raise UnsupportedModelError(
            f"{path} uses position embeddings of type {positions!r:.200}; absolute ones are supported"
        )
    if stored.get("is_decoder"):
        raise UnsupportedModelError(f"{path} is a decoder (is_decoder); encoders are supported")
    if (quantized := stored.get("quantization_config")) is not None:
        raise UnsupportedModelError(
            f"{path} has the weights quantized (quantization_config: {quantized!r:.120}), which is not computed here: "
            "load a model that is not, or dequantize it (transformers: model.dequantize())"
        )
    for key, value in architecture.must_be.items():
        if stored.get(key, value) != value:
            raise UnsupportedModelError(f"{path} sets {key} to {stored[key]!r:.200}; what is supported: {value!r}")


def _refuse_foreign_parts(architecture: Architecture, table: str, unknown: Sequence[str], folder: Path) -> None:
    """Refuse unknown weights among the encoder's own: adapters, cross-attention ..."""
    prefix = table.removesuffix(f"{architecture.scopes[_TABLE]}.weight")
    own = tuple(f"{prefix}{part}." for part in architecture.parts)
    foreign = [
        name for name in unknown if name.startswith(own) and not name.endswith((".position_ids", ".token_type_ids"))
    ]
    if foreign:
        raise UnsupportedModelError(
            f"{folder} is no plain {architecture.title}: it also has the tensors {', '.join(sorted(foreign))}"
        )


def _tied_copies(
    architecture: Architecture, stored: Mapping[str, Any], arrays: Arrays, renamed: dict[str, str]
) -> list[str] | None:
    """The tensors that repeat the embedding table and the bias in the masked-language-model head.

    None where there is no such head as berthub has: a part of it is missing, its output layer is a matrix of its own,
    or its activation another one.
    """
    if architecture.decoder is None or not architecture.reads_head(stored):
        return None
    table, bias = f"{architecture.decoder}.weight", f"{architecture.decoder}.bias"
    if bias in arrays:
        renamed.setdefault(_BIAS, bias)
    if any(ours not in renamed for ours in architecture.names() if ours.startswith(_PREDICTIONS)):
        return None
    activation = {**architecture.left_out, **stored}[architecture.activation]
    if architecture.exact_gelu_in_decoder and ACTIVATIONS.get(str(activation)) != "gelu_erf":
        return None
    if table not in arrays and stored.get("tie_word_embeddings") is False:
        return None
    copies = {table: renamed[_TABLE], bias: renamed[_BIAS]}
    if all(np.array_equal(arrays[copy], arrays[name]) for copy, name in copies.items() if copy in arrays):
        return [copy for copy in copies if copy in arrays]
    return None


def _settle_pooler(
    architecture: Architecture, stored: Mapping[str, Any], found: FoundHead | None, renamed: dict[str, str]
) -> None:
    parts = {"kernel": "weight", "bias": "bias"}
    if architecture.classifier_pooler and found is not None and found.task != "tag":
        renamed |= {f"{_POOLER}/{ours}": f"{architecture.classifier_pooler}.{theirs}" for ours, theirs in parts.items()}
    if architecture.pooler_key is not None and stored.get(architecture.pooler_key) is False:
        for ours in parts:
            renamed.pop(f"{_POOLER}/{ours}", None)


def _put_config(settings: Settings, architecture: Architecture, stored: Mapping[str, Any], path: Path) -> None:
    defaults = f"transformers' {architecture.title}Config"
    if architecture.positions_after_padding:
        first = _number({**architecture.left_out, **stored}, "pad_token_id", path) + 1
        settings.put(path.name if "pad_token_id" in stored else defaults, first_position=first)
        if "max_position_embeddings" in stored:
            # They count the rows of the table.
            settings.put(path.name, max_positions=_number(stored, "max_position_embeddings", path) - first)
    for source, values in ((path.name, dict(stored)), (defaults, dict(architecture.left_out))):
        known = {**architecture.settings, **architecture.made}
        settings.put(source, **{name: values[key] for key, name in known.items() if key in values})
        if (activation := values.get(architecture.activation)) is not None:
            activation = look_up(ACTIVATIONS, activation, setting=architecture.activation, source=str(path))
            settings.put(source, activation=activation)
    settings.put(f"transformers' {architecture.title}Model", **architecture.always)


def _number(values: Mapping[str, Any], key: str, path: Path) -> int:
    value = values[key]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CorruptFileError(f"{path} sets {key} to {value!r:.200}, which is no number of rows")
    return value
