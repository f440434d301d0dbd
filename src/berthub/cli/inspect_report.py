"""The report of `berthub inspect`, as plain JSON values; the keys are always the same for a kind of model."""

import dataclasses
from pathlib import Path
from typing import Any

from berthub.checkpoint import Checkpoint
from berthub.cli import estimates
from berthub.cli.model import ModelOptions
from berthub.config import EncoderConfig
from berthub.encoding.summary import embedding_in_words
from berthub.errors import ModelError
from berthub.formats import read
from berthub.formats.preprocessor import PreprocessorFiles, read_preprocessor
from berthub.formats.table import find_model
from berthub.networks.interface import INPUTS, MLM_LOGITS, POSITIONS
from berthub.sources.checksum import hash_file
from berthub.vocabulary import Vocabulary

__all__ = ["report_on"]

_COMMON_SETTINGS = frozenset(field.name for field in dataclasses.fields(EncoderConfig))


def report_on(handle: str, options: ModelOptions) -> dict[str, Any]:
    """The report on an encoder, or on a preprocessing model of TF Hub; `kind` says which.

    Raises what `berthub.resolve` and the readers raise.
    """
    from berthub.sources.resolve import resolve

    folder = resolve(options.handle, **options.fetching.arguments)
    try:
        checkpoint = read(folder, settings=options.settings, vocabulary=options.vocabulary)
    except ModelError as error:
        try:
            preprocessor = read_preprocessor(folder)
        except ModelError as other:
            # The reader of preprocessing models reports what is wrong with one.
            raise other from error
        if preprocessor is None:
            raise
        return _preprocessor(handle, preprocessor, find_model(folder)[1])
    return _encoder(handle, checkpoint)


def _encoder(handle: str, checkpoint: Checkpoint) -> dict[str, Any]:
    config, origin, head = checkpoint.config, checkpoint.origin, checkpoint.head
    settings = config.to_dict()
    parts = estimates.parameters_by_part(config)
    return {
        "kind": "encoder",
        "handle": handle,
        "folder": str(origin.folder),
        "format": origin.format,
        "architecture": settings.pop("architecture"),
        "parameters": checkpoint.parameters,
        "parameters_by_part": parts,
        "weight_bytes": sum(weight.nbytes for weight in checkpoint.weights.values()),
        "mlm_head": config.mlm,
        "lower_case": config.lower_case,
        "embedding": _embedding(checkpoint),
        "head": None if head is None else head.described(),
        "vocabulary": _vocabulary(checkpoint.vocabulary),
        "inputs": _inputs(config),
        "outputs": _outputs(config),
        "memory": {
            "float32_weights": estimates.BYTES * sum(parts.values()),
            "float32_peak": estimates.peak_bytes(config),
        },
        "speed": {
            "flops_per_token": estimates.flops_per_token(config),
            "length": estimates.LENGTH,
            "relative_to_bert_base": round(estimates.relative_cost(config), 4),
        },
        "settings": {
            name: {"value": value, "from": origin.settings.get(name), "own": name not in _COMMON_SETTINGS}
            for name, value in settings.items()
        },
        "unused_weights": list(origin.unused),
        "files": _files(origin.folder),
    }


def _embedding(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the model's files say of its sentence vectors; `in_words`, the vectors that it has by default."""
    embedding, sources = checkpoint.embedding, checkpoint.origin.settings
    said = embedding.to_dict()
    unsupported = said.pop("unsupported")
    return {
        **{name: {"value": value, "from": sources.get(name)} for name, value in said.items()},
        "unsupported": unsupported,
        "in_words": embedding_in_words(checkpoint),
    }


def _preprocessor(handle: str, stored: PreprocessorFiles, folder: Path) -> dict[str, Any]:
    return {
        "kind": "preprocessor",
        "handle": handle,
        "folder": str(folder),
        "format": "preprocessing SavedModel",
        "lower_case": stored.lower_case,
        "vocabulary": _vocabulary(stored.vocabulary),
        "seq_length": stored.seq_length,
        "inputs": [{"name": "texts", "type": "string", "shape": ["batch"], "largest": None}],
        "outputs": [{"name": name, "type": "int32", "shape": ["batch", "seq_length"]} for name in INPUTS],
        "files": _files(folder),
    }


def _vocabulary(vocabulary: Vocabulary) -> dict[str, Any]:
    return {
        "pieces": len(vocabulary),
        "algorithm": vocabulary.algorithm,
        "model_bytes": len(vocabulary.model),
        "special": list(vocabulary.special),
    }


def _inputs(config: EncoderConfig) -> list[dict[str, Any]]:
    largest = dict(zip(INPUTS, (config.vocab_size - 1, 1, config.type_vocab_size - 1), strict=True))
    inputs = [_tensor(name, "int32", "batch", "seq") | {"largest": value} for name, value in largest.items()]
    if config.mlm:
        positions = _tensor(POSITIONS, "int32", "batch", "positions")
        inputs.append(positions | {"largest": config.max_positions - 1})
    return inputs


def _outputs(config: EncoderConfig) -> list[dict[str, Any]]:
    hidden = config.hidden_size
    outputs = [_tensor("sequence_output", "float32", "batch", "seq", hidden)]
    if config.has_pooled_output:
        outputs += [_tensor(name, "float32", "batch", hidden) for name in ("pooled_output", "default")]
    outputs.append(_tensor("encoder_outputs", "float32", "batch", "seq", hidden) | {"count": config.num_states})
    if config.mlm:
        outputs.append(_tensor(MLM_LOGITS, "float32", "batch", "positions", config.vocab_size))
    return [{"count": 1, **output} for output in outputs]


def _tensor(name: str, kind: str, *shape: str | int) -> dict[str, Any]:
    return {"name": name, "type": kind, "shape": list(shape)}


def _files(folder: Path) -> list[dict[str, Any]]:
    """Every file of the model's folder but hidden ones, with its SHA-256."""
    found = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            found.append({"name": relative.as_posix(), "bytes": path.stat().st_size, "sha256": hash_file(path)})
    return found
