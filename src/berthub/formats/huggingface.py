"""Hugging Face folders: `config.json`, safetensors (one file or several), and a WordPiece vocabulary."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from berthub.checkpoint import Checkpoint, Origin
from berthub.errors import CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats.files import read_json, read_lines
from berthub.formats.renaming import Rule, rename
from berthub.formats.safetensors import read_safetensors
from berthub.formats.settings import BERT_CONFIG, Settings, look_up
from berthub.networks.bert import BertConfig
from berthub.vocabulary import Vocabulary

__all__ = ["read_huggingface"]

FORMAT = "Hugging Face folder"

_ROOT = r"(?:.*\.)?"
_LAYER = _ROOT + r"encoder\.layer\.(\d+)\."
_SCOPE = r"bert/encoder/layer_\1"

# `[out, in]` matrices are told by `weight` and become kernels; the first conversions say gamma and beta.
_RULES: list[Rule] = [
    (_ROOT + r"embeddings\.(word|position|token_type)_embeddings\.weight", r"bert/embeddings/\1_embeddings"),
    (_ROOT + r"embeddings\.LayerNorm\.(?:weight|gamma)", "bert/embeddings/LayerNorm/gamma"),
    (_ROOT + r"embeddings\.LayerNorm\.(?:bias|beta)", "bert/embeddings/LayerNorm/beta"),
    (_LAYER + r"attention\.self\.(query|key|value)\.weight", _SCOPE + r"/attention/self/\2/kernel"),
    (_LAYER + r"attention\.self\.(query|key|value)\.bias", _SCOPE + r"/attention/self/\2/bias"),
    (
        _LAYER + r"attention\.output\.LayerNorm\.(?:weight|gamma)",
        _SCOPE + "/attention/output/LayerNorm/gamma",
    ),
    (_LAYER + r"attention\.output\.LayerNorm\.(?:bias|beta)", _SCOPE + "/attention/output/LayerNorm/beta"),
    (_LAYER + r"attention\.output\.dense\.weight", _SCOPE + "/attention/output/dense/kernel"),
    (_LAYER + r"attention\.output\.dense\.bias", _SCOPE + "/attention/output/dense/bias"),
    (_LAYER + r"output\.LayerNorm\.(?:weight|gamma)", _SCOPE + "/output/LayerNorm/gamma"),
    (_LAYER + r"output\.LayerNorm\.(?:bias|beta)", _SCOPE + "/output/LayerNorm/beta"),
    (_LAYER + r"(intermediate|output)\.dense\.weight", _SCOPE + r"/\2/dense/kernel"),
    (_LAYER + r"(intermediate|output)\.dense\.bias", _SCOPE + r"/\2/dense/bias"),
    (_ROOT + r"pooler\.dense\.weight", "bert/pooler/dense/kernel"),
    (_ROOT + r"pooler\.dense\.bias", "bert/pooler/dense/bias"),
]

# transformers' ACT2FN; the tanh form has many names there.
_ACTIVATIONS = {
    "gelu": "gelu_erf",
    "gelu_python": "gelu_erf",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}

# What `BertConfig` and `BertTokenizer` of transformers mean when a file leaves the setting out.
_CONFIG_DEFAULTS = {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "type_vocab_size": 2}

_SPECIAL = {
    "unk_token": "unknown",
    "cls_token": "classify",
    "sep_token": "separate",
    "pad_token": "pad",
    "mask_token": "mask",
}


def read_huggingface(folder: Path, given: Mapping[str, Any] | None = None) -> Checkpoint:
    """The BERT in a Hugging Face folder, with whatever heads stand beside it left aside."""
    path = folder / "config.json"
    stored = read_json(path)
    _refuse_other_models(stored, path)
    stored = {**_CONFIG_DEFAULTS, **stored}

    arrays = _arrays(folder)
    renamed, unknown = rename(arrays, _RULES)
    if "bert/embeddings/word_embeddings" not in renamed:
        raise ModelNotFoundError(
            f"{folder} holds no BERT: no tensor is called embeddings.word_embeddings.weight; "
            f"it has {', '.join(sorted(arrays)[:8]) or 'no tensors'}"
        )
    prefix = renamed["bert/embeddings/word_embeddings"].removesuffix("embeddings.word_embeddings.weight")
    own = tuple(prefix + part for part in ("embeddings.", "encoder.", "pooler."))
    foreign = [
        name for name in unknown if name.startswith(own) and not name.endswith((".position_ids", ".token_type_ids"))
    ]
    if foreign:
        raise UnsupportedModelError(f"{folder} is no plain BERT: it also has the tensors {', '.join(sorted(foreign))}")

    settings = Settings(given)
    settings.put(path.name, **{name: stored[key] for key, name in BERT_CONFIG.items() if key in stored})
    activation = look_up(_ACTIVATIONS, stored["hidden_act"], setting="hidden_act", source=str(path))
    settings.put(path.name, activation=activation)
    settings.put("the tensors", pooler="bert/pooler/dense/kernel" in renamed)
    vocabulary = _read_tokenization(folder, settings)
    return Checkpoint(
        config=settings.config(BertConfig, what=str(path)),
        weights={
            canonical: arrays[name].T if canonical.endswith("/kernel") else arrays[name]
            for canonical, name in renamed.items()
        },
        vocabulary=vocabulary,
        origin=Origin(format=FORMAT, folder=folder, settings=settings.sources, unused=tuple(sorted(unknown))),
    )


def _refuse_other_models(stored: Mapping[str, Any], path: Path) -> None:
    kind = stored.get("model_type")
    if kind != "bert":
        raise UnsupportedModelError(f"{path} is of model_type {kind!r}; what is read so far: bert")
    positions = stored.get("position_embedding_type", "absolute")
    if positions != "absolute":
        raise UnsupportedModelError(
            f"{path} uses position embeddings of type {positions!r}; absolute ones are supported"
        )
    if stored.get("is_decoder"):
        raise UnsupportedModelError(f"{path} is a decoder (is_decoder); encoders are supported")


def _arrays(folder: Path) -> dict[str, npt.NDArray[Any]]:
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file() or not index.is_file():
        return read_safetensors(whole)
    parts = read_json(index).get("weight_map")
    if not isinstance(parts, dict) or not all(isinstance(part, str) for part in parts.values()):
        raise CorruptFileError(f"{index} should hold an object weight_map, from tensor names to file names")
    arrays: dict[str, npt.NDArray[Any]] = {}
    for part in sorted(set(parts.values())):
        # The name comes from the file: it must not lead out of the folder.
        if Path(part).name != part or not part.endswith(".safetensors"):
            raise CorruptFileError(f"{index} names {part!r}, which is no safetensors file in its own folder")
        arrays |= read_safetensors(folder / part)
    return arrays


def _read_tokenization(folder: Path, settings: Settings) -> Vocabulary:
    """The vocabulary; the tokenizer's settings are put into `settings`."""
    fast_path, slow_path = folder / "tokenizer.json", folder / "tokenizer_config.json"
    fast = read_json(fast_path) if fast_path.is_file() else {}
    slow = read_json(slow_path) if slow_path.is_file() else {}
    normalizer = fast.get("normalizer")
    if isinstance(normalizer, dict) and normalizer.get("type") == "BertNormalizer":
        found = {
            "lowercase": "lower_case",
            "strip_accents": "strip_accents",
            "handle_chinese_chars": "split_chinese",
        }
        settings.put(fast_path.name, **{name: normalizer[key] for key, name in found.items() if key in normalizer})
    found = {
        "do_lower_case": "lower_case",
        "strip_accents": "strip_accents",
        "tokenize_chinese_chars": "split_chinese",
    }
    settings.put(slow_path.name, **{name: slow[key] for key, name in found.items() if key in slow})

    path = folder / "vocab.txt"
    if path.is_file():
        pieces = tuple(read_lines(path))
    elif fast:
        pieces = _pieces(fast, fast_path)
    else:
        raise ModelNotFoundError(f"{folder} has no vocabulary: neither {path.name} nor {fast_path.name}")
    # An added token's entry is an object with its text under "content".
    names = {role: slow[key] for key, role in _SPECIAL.items() if slow.get(key)}
    names = {role: name.get("content") if isinstance(name, dict) else name for role, name in names.items()}
    vocabulary = Vocabulary(pieces, **{role: name for role, name in names.items() if isinstance(name, str)})
    settings.put_case(vocabulary)
    return vocabulary


def _pieces(fast: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    model = fast.get("model")
    ids = model.get("vocab") if isinstance(model, dict) and model.get("type", "WordPiece") == "WordPiece" else None
    if not isinstance(ids, dict):
        raise UnsupportedModelError(f"{path} holds no WordPiece vocabulary")
    if not all(isinstance(index, int) for index in ids.values()) or sorted(ids.values()) != list(range(len(ids))):
        raise CorruptFileError(f"the ids of the vocabulary in {path} are not 0, 1, 2 ... without gaps")
    return tuple(sorted(ids, key=ids.__getitem__))
