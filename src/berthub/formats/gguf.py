"""Read BERT and NomicBERT in GGUF files, as llama.cpp's `convert_hf_to_gguf.py` makes them of Hugging Face folders.

A file has weights, vocabulary and most settings. It keeps no pooler, and says nothing of the activation (in the
models that are converted the exact GELU, in NomicBERT SwiGLU) and of lower-casing, which llama.cpp always does.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.choices import Pooling
from berthub.config import EncoderConfig
from berthub.containers.gguf import GgufFile, read_gguf
from berthub.embedding import UNSAID, Embedding
from berthub.errors import CheckpointError, CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.renaming import Rule, rename
from berthub.formats.settings import Settings, look_up
from berthub.formats.vocabularies import with_special_tokens
from berthub.networks.bert import BertConfig
from berthub.networks.nomic_bert import NomicBertConfig
from berthub.vocabulary import CONTINUED, Vocabulary

__all__ = ["PATTERN", "read_gguf_model"]

FORMAT = "GGUF file"
PATTERN = "*.gguf"

_BERT, _NOMIC = "bert", "nomic-bert"
_KINDS: Mapping[str, type[EncoderConfig]] = {_BERT: BertConfig, _NOMIC: NomicBertConfig}
_ACTIVATIONS = {
    _BERT: ("transformers' BertConfig, as the file does not say", "gelu_erf"),
    _NOMIC: ("the models that are converted, as the file does not say", "silu"),
}
_PACKED = re.compile(r"blk\.\d+\.attn_qkv\.weight")
_SETTINGS = {
    "context_length": "max_positions",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "block_count": "num_layers",
    "attention.head_count": "num_heads",
    "attention.layer_norm_epsilon": "layer_norm_eps",
}
_THETA = "rope.freq_base"
_LAYER, _OURS = r"blk\.(\d+)\.", r"bert/encoder/layer_\1/"
_SCOPES = {
    "token_embd_norm": "bert/embeddings/LayerNorm",
    f"{_LAYER}attn_q": f"{_OURS}attention/self/query",
    f"{_LAYER}attn_k": f"{_OURS}attention/self/key",
    f"{_LAYER}attn_v": f"{_OURS}attention/self/value",
    f"{_LAYER}attn_output": f"{_OURS}attention/output/dense",
    f"{_LAYER}attn_output_norm": f"{_OURS}attention/output/LayerNorm",
    f"{_LAYER}ffn_up": f"{_OURS}intermediate/dense",
    f"{_LAYER}ffn_down": f"{_OURS}output/dense",
    f"{_LAYER}layer_output_norm": f"{_OURS}output/LayerNorm",
}
# What is multiplied by the activations is called ffn_up there, and what they are computed of ffn_gate.
_GATED = {
    f"{_LAYER}ffn_up": f"{_OURS}intermediate/gate",
    f"{_LAYER}ffn_gate": f"{_OURS}intermediate/dense",
}
_TABLES = {
    "token_embd": "bert/embeddings/word_embeddings",
    "position_embd": "bert/embeddings/position_embeddings",
    "token_types": "bert/embeddings/token_type_embeddings",
}
# gguf.PoolingType; 0 is none. The score of a reranker is no vector.
_POOLINGS: dict[int, Pooling] = {1: "mean", 2: "cls", 3: "lasttoken"}
_OTHER_POOLINGS = {4: "rank"}
_SPECIAL = {
    "unknown_token_id": "unknown",
    "cls_token_id": "classify",
    "bos_token_id": "classify",
    "seperator_token_id": "separate",
    "separator_token_id": "separate",
    "eos_token_id": "separate",
    "padding_token_id": "pad",
    "mask_token_id": "mask",
}
_CONTROL, _SPACE = 3, "\u2581"


def read_gguf_model(
    place: Path, given: Mapping[str, Any] | None = None, vocabulary: Vocabulary | None = None
) -> Checkpoint:
    """The encoder in a GGUF file, or in the only one of a folder."""
    path = _file(place)
    stored = read_gguf(path)
    architecture = _architecture(stored, path)
    settings = Settings(given)
    for key, name in _SETTINGS.items() if architecture == _BERT else {**_SETTINGS, _THETA: "rotary_theta"}.items():
        if (value := stored.metadata.get(f"{architecture}.{key}")) is not None:
            # A float32: 1e-12 is stored as 9.99999996e-13.
            settings.put(path.name, **{name: float(f"{value:.6g}") if isinstance(value, float) else value})
    if architecture == _NOMIC and "rotary_theta" not in settings:
        raise CheckpointError(
            f'{path} does not store {architecture}.{_THETA}; pass it: settings={{"rotary_theta": ...}}'
        )
    tensors = _taken_apart(stored.tensors, path) if architecture == _NOMIC else stored.tensors
    renamed, unknown = rename(tensors, _rules(_SCOPES if architecture == _BERT else {**_SCOPES, **_GATED}))
    if foreign := [name for name in unknown if name.startswith(("blk.", "token_", "position_"))]:
        raise UnsupportedModelError(
            f"{path} is no plain {_KINDS[architecture].title}: it also has the tensors {', '.join(sorted(foreign)[:8])}"
        )
    weights = {ours: tensors[name].T if ours.endswith("/kernel") else tensors[name] for ours, name in renamed.items()}
    for table, size in (("word_embeddings", "vocab_size"), ("token_type_embeddings", "type_vocab_size")):
        if (array := weights.get(f"bert/embeddings/{table}")) is not None and array.ndim == 2:
            settings.put("the tensors", **{size: len(array)})
    settings.put("the format, which leaves the pooler out", pooler=False)
    source, activation = _ACTIVATIONS[architecture]
    settings.put(source, activation=activation)
    if vocabulary is None:
        vocabulary = _vocabulary(stored, path)
    settings.put_case(vocabulary)
    settings.put("the tokenizer of the models that are converted", tokenization="transformers")
    if stored.quantized:
        settings.notes.append(
            f"{len(stored.quantized)} of the weights in {path.name} are stored in 8 bits (Q8_0): vectors differ from "
            "those of the original model. Files of F32 or F16 have its own weights"
        )
    embedding = _embedding(stored.metadata.get(f"{architecture}.pooling_type", 0))
    sources = {"poolings": path.name} if embedding != UNSAID else {}
    origin = settings.origin(FORMAT, path.parent, unused=unknown, also=sources)
    return Checkpoint(
        config=settings.config(_KINDS[architecture], what=str(path)),
        weights=weights,
        vocabulary=vocabulary,
        origin=dataclasses.replace(origin, head=tuple(name for name in sorted(unknown) if name.startswith("cls"))),
        embedding=embedding,
    )


def _file(place: Path) -> Path:
    if place.is_file():
        return place
    found = sorted(path for path in place.glob(PATTERN) if path.is_file())
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:12])
        raise ModelNotFoundError(f"{place} holds {len(found)} GGUF files ({names}): name the one that you want")
    return found[0]


def _architecture(stored: GgufFile, path: Path) -> str:
    architecture = look_up(
        {name: name for name in _KINDS},
        stored.metadata.get("general.architecture"),
        setting="general.architecture",
        source=str(path),
    )
    if stored.metadata.get(f"{architecture}.attention.causal"):
        raise UnsupportedModelError(f"{path} is a decoder (attention.causal); encoders are supported")
    scaling = stored.metadata.get(f"{architecture}.rope.scaling.type", "none")
    if scaling != "none":
        raise UnsupportedModelError(f"{path} scales its rotary positions (rope.scaling.type is {scaling!r})")
    return str(architecture)


def _taken_apart(tensors: Mapping[str, npt.NDArray[Any]], path: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors with those of queries, keys and values by themselves."""
    found = dict(tensors)
    for name in tensors:
        if _PACKED.fullmatch(name):
            packed = found.pop(name)
            if packed.ndim != 2 or len(packed) % 3:
                raise CorruptFileError(
                    f"{path} is damaged: {name} has the shape {packed.shape}, not [3 * hidden, hidden]"
                )
            for part, rows in zip("qkv", np.split(packed, 3), strict=True):
                found[name.replace("attn_qkv", f"attn_{part}")] = rows
    return found


def _rules(scopes: Mapping[str, str]) -> list[Rule]:
    rules = [(rf"{theirs}\.weight", ours) for theirs, ours in _TABLES.items()]
    for theirs, ours in scopes.items():
        matrix, vector = ("gamma", "beta") if ours.endswith("LayerNorm") else ("kernel", "bias")
        rules += [(rf"{theirs}\.weight", f"{ours}/{matrix}"), (rf"{theirs}\.bias", f"{ours}/{vector}")]
    return rules


def _embedding(kind: Any) -> Embedding:
    if kind in _POOLINGS:
        return Embedding(poolings=(_POOLINGS[kind],))
    return (
        Embedding(unsupported=(f"the pooling {_OTHER_POOLINGS.get(kind, kind)!r} (pooling_type)",)) if kind else UNSAID
    )


def _vocabulary(stored: GgufFile, path: Path) -> Vocabulary:
    """The pieces, which llama.cpp keeps with a mark before the beginnings of words and none before their parts."""
    kept = {name: stored.metadata.get(f"tokenizer.ggml.{name}") for name in ("model", "tokens", "token_type")}
    if kept["model"] != "bert":
        raise UnsupportedModelError(
            f"{path} has a tokenizer of the kind {kept['model']!r}; WordPiece ('bert') is read. Give the model's own "
            "tokenizer: vocabulary=PATH"
        )
    tokens, kinds = kept["tokens"], kept["token_type"]
    if not isinstance(tokens, list) or (
        kinds is not None and (not isinstance(kinds, np.ndarray) or len(kinds) != len(tokens))
    ):
        raise CorruptFileError(f"{path} is damaged: tokenizer.ggml.tokens and token_type should be lists of one length")
    numbers = [0] * len(tokens) if kinds is None else kinds.tolist()
    pieces = tuple(_piece(token, kind) for token, kind in zip(tokens, numbers, strict=True))
    special: dict[str, str] = {}
    for key, role in _SPECIAL.items():
        index = stored.metadata.get(f"tokenizer.ggml.{key}")
        if index is None or role in special:
            continue
        if not isinstance(index, int) or not 0 <= index < len(pieces):
            raise CheckpointError(f"{path} sets {key} to {index!r}, and its vocabulary has {len(pieces):,} pieces")
        special[role] = pieces[index]
    return with_special_tokens(Vocabulary.with_special(pieces, special))


def _piece(token: str, kind: int) -> str:
    if token.startswith(_SPACE):
        return token.removeprefix(_SPACE)
    # Until 2025 the converter told special pieces by their brackets.
    whole = kind == _CONTROL or (token.startswith("[") and token.endswith("]") and len(token) > 2)
    return token if whole else f"{CONTINUED}{token}"
