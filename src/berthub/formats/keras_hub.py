"""Read KerasHub presets: `config.json`, `model.weights.h5`, `tokenizer.json`, the vocabulary in `assets/tokenizer`.

Keras names weights by the classes of the layers and numbers: `layers/transformer_encoder_1/...`, the first of a class
without one. Activation and epsilon are constants in KerasHub's code (https://github.com/keras-team/keras-hub).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig
from berthub.containers.files import read_bytes, read_json, read_lines
from berthub.containers.hdf5 import read_hdf5
from berthub.errors import CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.albert import PROJECTION, part_in_albert, without_identity
from berthub.formats.head_axes import as_matrix, check_heads
from berthub.formats.renaming import Rule, rename
from berthub.formats.settings import Settings, look_up
from berthub.formats.vocabularies import byte_bpe_vocabulary, sentencepiece_vocabulary, wordpiece_vocabulary
from berthub.networks.albert import AlbertConfig
from berthub.networks.bert import BertConfig
from berthub.networks.distilbert import DistilBertConfig
from berthub.networks.roberta import RobertaConfig
from berthub.vocabulary import CONTINUED, Vocabulary

__all__ = ["WEIGHTS", "read_keras_hub"]

FORMAT = "KerasHub preset"
WEIGHTS = "model.weights.h5"
_ASSETS = "assets/tokenizer"

_SETTINGS = {
    "vocabulary_size": "vocab_size",
    "num_layers": "num_layers",
    "num_heads": "num_heads",
    "hidden_dim": "hidden_size",
    "intermediate_dim": "intermediate_size",
    "max_sequence_length": "max_positions",
    "num_segments": "type_vocab_size",
}

# Scope in the file -> canonical scope. `#` is a number; later Keras left out the underscores before some names.
_ADDED = {
    "reversible_embedding_0": "bert/embeddings/word_embeddings",
    "position_embedding_0": "bert/embeddings/position_embeddings",
    "embedding_0": "bert/embeddings/token_type_embeddings",
    "layer_normalization_0": "bert/embeddings/LayerNorm",
}
_JOINED = {
    "token_and_position_embedding_0/token_embedding": "bert/embeddings/word_embeddings",
    "token_and_position_embedding_0/position_embedding": "bert/embeddings/position_embeddings",
    "layer_normalization_0": "bert/embeddings/LayerNorm",
}
_BLOCK = {
    "_self_attention_layer/_?query_dense": "attention/self/query",
    "_self_attention_layer/_?key_dense": "attention/self/key",
    "_self_attention_layer/_?value_dense": "attention/self/value",
    "_self_attention_layer/_?output_dense": "attention/output/dense",
    "_self_attention_layer_norm": "attention/output/LayerNorm",
    "_feedforward_intermediate_dense": "intermediate/dense",
    "_feedforward_output_dense": "output/dense",
    "_feedforward_layer_norm": "output/LayerNorm",
}
_LAYERS = {f"transformer_encoder_#/{theirs}": f"bert/encoder/layer_#/{ours}" for theirs, ours in _BLOCK.items()}
_GROUPS = {
    f"transformer_encoder_#_#/{theirs}": f"bert/encoder/transformer/group_#/inner_group_#/{part_in_albert(ours)}"
    for theirs, ours in _BLOCK.items()
}


def _with_left_out(weights: dict[str, Any], config: RobertaConfig, source: str) -> dict[str, Any]:
    """Add zeros for the weights that KerasHub leaves out: the token type, and the positions of padding."""
    table = weights.get("bert/embeddings/position_embeddings")
    found = {"bert/embeddings/token_type_embeddings": np.zeros((1, config.hidden_size), np.float32)}
    if table is not None and table.ndim == 2:
        before = np.zeros((config.first_position, table.shape[1]), np.float32)
        found["bert/embeddings/position_embeddings"] = np.concatenate([before, table])
    return weights | found


@dataclass(frozen=True, kw_only=True)
class _Backbone:
    """One backbone class of KerasHub: its settings, scopes, dense layers in their order, and what its code does."""

    config: type[EncoderConfig]
    scopes: Mapping[str, str]
    always: Mapping[str, Any]
    settings: Mapping[str, str] = field(default_factory=lambda: _SETTINGS)
    # The last of them is the pooler; what stands before it may be left out.
    dense: tuple[str, ...] = ()
    # Whether positions count from the id of padding plus 1 on.
    positions_after_padding: bool = False
    # From the renamed weights (and the configuration, and the folder) to those of a checkpoint.
    after_reading: Callable[[dict[str, Any], Any, str], dict[str, Any]] = lambda weights, config, source: weights


_POOLER = "bert/pooler/dense"
_TANH: Mapping[str, Any] = {"activation": "gelu_tanh", "layer_norm_eps": 1e-12}

_BACKBONES = {
    "AlbertBackbone": _Backbone(
        config=AlbertConfig,
        scopes={**_ADDED, **_GROUPS},
        always=_TANH,
        settings={
            **_SETTINGS,
            "embedding_dim": "embedding_size",
            "num_groups": "num_groups",
            "num_inner_repetitions": "inner_layers",
        },
        dense=(PROJECTION, _POOLER),
        after_reading=without_identity,
    ),
    "BertBackbone": _Backbone(config=BertConfig, scopes={**_ADDED, **_LAYERS}, always=_TANH, dense=(_POOLER,)),
    "DistilBertBackbone": _Backbone(
        config=DistilBertConfig,
        scopes={**_JOINED, **_LAYERS},
        always={"activation": "gelu_erf", "layer_norm_eps": 1e-12, "type_vocab_size": 1, "pooler": False},
    ),
    "ElectraBackbone": _Backbone(
        config=BertConfig,
        scopes={**_ADDED, **_LAYERS},
        always=_TANH,
        settings={**_SETTINGS, "vocab_size": "vocab_size", "embedding_dim": "embedding_size"},
        dense=("bert/embeddings_project", _POOLER),
    ),
    "RobertaBackbone": _Backbone(
        config=RobertaConfig,
        scopes={**_JOINED, **_LAYERS},
        always={"activation": "gelu_erf", "layer_norm_eps": 1e-5, "type_vocab_size": 1, "pooler": False},
        positions_after_padding=True,
        after_reading=_with_left_out,
    ),
}


def read_keras_hub(
    folder: Path, given: Mapping[str, Any] | None = None, vocabulary: Vocabulary | None = None
) -> Checkpoint:
    """The encoder in a KerasHub preset; the weights of tasks (`task.weights.h5`) are left aside."""
    path = folder / "config.json"
    name, stored = _described(path)
    backbone: _Backbone = look_up(_BACKBONES, name, setting="registered_name", source=str(path))
    settings = Settings(given)
    settings.put(path.name, **{ours: stored[key] for key, ours in backbone.settings.items() if key in stored})
    if "dropout" in stored:
        settings.put(path.name, hidden_dropout=stored["dropout"], attention_dropout=stored["dropout"])
    settings.put(f"KerasHub's {name}", **backbone.always)

    arrays = {_numbered(key, stored): array for key, array in read_hdf5(folder / WEIGHTS).items()}
    renamed, unknown = rename(arrays, _rules(backbone, arrays))
    if "bert/embeddings/word_embeddings" not in renamed:
        raise ModelNotFoundError(
            f"{folder / WEIGHTS} holds no {name}: it has {', '.join(sorted(arrays)[:8]) or 'no arrays'}"
        )
    if foreign := [key for key in unknown if "/transformer_encoder_" in key]:
        raise UnsupportedModelError(
            f"{folder} is no plain {name}: it also has the weights {', '.join(sorted(foreign))}"
        )
    settings.put(WEIGHTS, pooler=f"{_POOLER}/kernel" in renamed)
    if vocabulary is None:
        vocabulary = _vocabulary(folder, settings)
    else:
        path_of_tokenizer, _, tokenizer = _tokenizer(folder)
        _put_tokenizer(settings, path_of_tokenizer, tokenizer)
        settings.put_case(vocabulary)
    if backbone.positions_after_padding:
        settings.put("the id of padding", first_position=vocabulary.ids[vocabulary.pad] + 1)
    config = settings.config(backbone.config, what=str(path))
    found = {ours: arrays[key] for ours, key in renamed.items()}
    check_heads(config, found, settings, source=folder / WEIGHTS)
    weights = {ours: as_matrix(ours, array) for ours, array in found.items()}
    return Checkpoint(
        config=config,
        weights=backbone.after_reading(weights, config, str(folder)),
        vocabulary=vocabulary,
        origin=settings.origin(FORMAT, folder, unused=unknown),
    )


def _described(path: Path) -> tuple[str, dict[str, Any]]:
    """The name of the class, without the package it was registered in, and its settings."""
    stored = read_json(path)
    name = stored.get("registered_name") or stored.get("class_name")
    config = stored.get("config")
    if not isinstance(name, str) or not isinstance(config, dict):
        raise CorruptFileError(f"{path} should describe a KerasHub backbone, with registered_name and config")
    return name.rpartition(">")[2], config


def _numbered(key: str, stored: Mapping[str, Any]) -> str:
    """The path with a number for every layer, and for an ALBERT's blocks with two: the group's, and its own in it."""
    key = re.sub(r"(layers/[a-z_]*[a-z])/", r"\1_0/", key)
    inner = stored.get("num_inner_repetitions")
    if not isinstance(inner, int) or inner < 1:
        return key

    def split(match: re.Match[str]) -> str:
        group, block = divmod(int(match[1]), inner)
        return f"transformer_encoder_{group}_{block}/"

    return re.sub(r"transformer_encoder_(\d{1,9})/", split, key)


def _rules(backbone: _Backbone, arrays: Mapping[str, Any]) -> list[Rule]:
    dense = backbone.dense
    if "layers/dense_1/vars/0" not in arrays:
        dense = dense[-1:]
    scopes = {**backbone.scopes, **{f"dense_{index}": ours for index, ours in enumerate(dense)}}
    rules = []
    for theirs, ours in scopes.items():
        pattern = "(?:.*/)?layers/" + theirs.replace("#", r"(\d+)") + "/vars/"
        first, *others = ours.split("#")
        template = first + "".join(rf"\{number}{part}" for number, part in enumerate(others, 1))
        last = ours.rpartition("/")[2]
        if last.endswith("_embeddings"):
            rules.append((f"{pattern}0", template))
        else:
            names = ("gamma", "beta") if last.startswith("LayerNorm") else ("kernel", "bias")
            rules += [(f"{pattern}{index}", f"{template}/{name}") for index, name in enumerate(names)]
    return rules


def _tokenizer(folder: Path) -> tuple[Path, str, dict[str, Any]]:
    """The tokenizer's file, which may be missing, its class and its settings."""
    path = folder / "tokenizer.json"
    return (path, *(_described(path) if path.is_file() else ("tokenizer", {})))


def _put_tokenizer(settings: Settings, path: Path, stored: Mapping[str, Any]) -> None:
    """Set what the tokenizer of a WordPiece vocabulary says; others have no such settings."""
    keys = {"lowercase": "lower_case", "strip_accents": "strip_accents", "split_on_cjk": "split_chinese"}
    settings.put(path.name, **{ours: stored[key] for key, ours in keys.items() if key in stored})


def _vocabulary(folder: Path, settings: Settings) -> Vocabulary:
    """The vocabulary; the tokenizer's settings are put into `settings`."""
    assets = folder / _ASSETS
    path, name, stored = _tokenizer(folder)
    wordpieces, model, ids = (assets / f"vocabulary.{kind}" for kind in ("txt", "spm", "json"))
    if wordpieces.is_file():
        for key, only in {"split": True, "suffix_indicator": CONTINUED}.items():
            if stored.get(key, only) != only:
                raise UnsupportedModelError(f"{path} sets {key} to {stored[key]!r}; what is supported: {only!r}")
        _put_tokenizer(settings, path, stored)
        unknown = stored.get("oov_token")
        vocabulary = wordpiece_vocabulary(wordpieces, **({"unknown": unknown} if isinstance(unknown, str) else {}))
        settings.put_case(vocabulary)
        return vocabulary
    if model.is_file():
        settings.put(f"KerasHub's {name}, which leaves the text to the model", lower_case=False, strip_accents=False)
        return sentencepiece_vocabulary(read_bytes(model), source=str(model))
    if ids.is_file():
        if stored.get("add_prefix_space"):
            raise UnsupportedModelError(f"{path} sets add_prefix_space, a space before every text: not supported")
        settings.put("byte-pair encoding, which keeps every byte", lower_case=False, strip_accents=False)
        merges = [line for line in read_lines(assets / "merges.txt") if line and not line.startswith("#version")]
        return byte_bpe_vocabulary(read_json(ids), merges, source=str(ids))
    raise ModelNotFoundError(
        f"{folder} has no vocabulary: {_ASSETS} should hold vocabulary.txt, vocabulary.spm, or vocabulary.json with "
        "merges.txt. Save the tokenizer, too: tokenizer.save_to_preset(folder)"
    )
