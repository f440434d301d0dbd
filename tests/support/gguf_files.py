"""GGUF files of BERT encoders, written with llama.cpp's own library as its converter does."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.networks.nomic_bert import NomicBertConfig

__all__ = ["write_gguf"]

_TABLES = {
    "word_embeddings": "token_embd",
    "position_embeddings": "position_embd",
    "token_type_embeddings": "token_types",
}
_LAYER = {
    "attention/self/query": "attn_q",
    "attention/self/key": "attn_k",
    "attention/self/value": "attn_v",
    "attention/self/qkv": "attn_qkv",
    "attention/output/dense": "attn_output",
    "attention/output/LayerNorm": "attn_output_norm",
    "intermediate/dense": "ffn_up",
    "output/dense": "ffn_down",
    "output/LayerNorm": "layer_output_norm",
}


def write_gguf(
    checkpoint: Checkpoint,
    path: Path,
    *,
    kind: str = "F32",
    pooling: int = 1,
    brackets: bool = False,
    architecture: str = "bert",
    tokenizer: str = "bert",
) -> Path:
    """Write the encoder; kernels and tables are of that kind. With `brackets` as converters did until 2025."""
    import gguf

    config, pieces = checkpoint.config, checkpoint.vocabulary.pieces
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("a test")
    writer.add_context_length(config.max_positions)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_layers)
    writer.add_head_count(config.num_heads)
    writer.add_layer_norm_eps(config.layer_norm_eps)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType(pooling))
    writer.add_token_type_count(config.type_vocab_size)
    special = set(checkpoint.vocabulary.special)
    kinds = [gguf.TokenType.CONTROL if piece in special else gguf.TokenType.NORMAL for piece in pieces]
    writer.add_tokenizer_model(tokenizer)
    writer.add_token_list([_phantom(piece, piece in special, brackets) for piece in pieces])
    writer.add_token_types(kinds)
    ids = checkpoint.vocabulary.ids
    writer.add_uint32("tokenizer.ggml.cls_token_id", ids["[CLS]"])
    writer.add_sep_token_id(ids["[SEP]"])
    writer.add_pad_token_id(ids["[PAD]"])
    writer.add_unk_token_id(ids["[UNK]"])
    writer.add_mask_token_id(ids["[MASK]"])
    weights = dict(checkpoint.weights)
    if isinstance(config, NomicBertConfig):
        writer.add_rope_freq_base(config.rotary_theta)
        weights = _packed(weights)
    stored = gguf.GGMLQuantizationType[kind]
    for name, weight in weights.items():
        theirs = _name(name, gated=isinstance(config, NomicBertConfig))
        if theirs is None:
            continue
        array: npt.NDArray[Any] = np.ascontiguousarray(weight.T if name.endswith("/kernel") else weight)
        if array.ndim == 2 and kind != "F32":
            writer.add_tensor(theirs, gguf.quantize(array, stored), raw_dtype=stored)
        else:
            writer.add_tensor(theirs, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _packed(weights: dict[str, npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
    """The weights with one kernel for queries, keys and values."""
    found = dict(weights)
    for name in weights:
        if name.endswith("/query/kernel"):
            parts = [found.pop(name.replace("query", part)) for part in ("query", "key", "value")]
            found[name.replace("query", "qkv")] = np.concatenate(parts, axis=1)
    return found


def _name(name: str, *, gated: bool) -> str | None:
    parts = name.split("/")
    if parts[-1] in _TABLES:
        return f"{_TABLES[parts[-1]]}.weight"
    end = "weight" if parts[-1] in ("kernel", "gamma") else "bias"
    if parts[1:3] == ["embeddings", "LayerNorm"]:
        return f"token_embd_norm.{end}"
    if parts[1] != "encoder":
        return None
    if gated and parts[3] == "intermediate":
        return f"blk.{parts[2].removeprefix('layer_')}.{'ffn_up' if parts[4] == 'gate' else 'ffn_gate'}.{end}"
    return f"blk.{parts[2].removeprefix('layer_')}.{_LAYER['/'.join(parts[3:-1])]}.{end}"


def _phantom(piece: str, control: bool, brackets: bool) -> str:
    if (piece.startswith("[") and piece.endswith("]")) if brackets else control:
        return piece
    return piece.removeprefix("##") if piece.startswith("##") else f"\u2581{piece}"
