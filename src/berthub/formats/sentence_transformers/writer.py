"""Write what is said of a model's sentence vectors as sentence-transformers reads it."""

import json
from pathlib import Path
from typing import Any

from berthub.embedding import Embedding
from berthub.errors import UnsupportedModelError
from berthub.formats.sentence_transformers.files import ENCODER_FILES, MODULES, PROMPTS, SWITCHES, WIDTHS
from berthub.formats.sentence_transformers.layers import module_name, write_layer
from berthub.vector_layers import UnitLength

__all__ = ["write_embedding"]


def write_embedding(embedding: Embedding, folder: Path, *, hidden_size: int) -> None:
    """Write the files into the folder of a model, as far as `embedding` says anything.

    `UnsupportedModelError` for what sentence-transformers has no module for, and for what berthub does not compute.
    """
    if embedding.unsupported or "pooled" in embedding.poolings:
        what = embedding.missing or "the pooler's output"
        raise UnsupportedModelError(
            f"the sentence vectors of this model take {what}, which berthub cannot write for sentence-transformers: "
            "write the encoder alone (encoder_only=True, --encoder-only), or export the model to native"
        )
    if embedding.max_length is not None:
        _write(folder / ENCODER_FILES[0], {"max_seq_length": embedding.max_length, "do_lower_case": False})
    if embedding.prompts or embedding.similarity:
        settings = {
            "model_type": "SentenceTransformer",
            "prompts": dict(embedding.prompts),
            "default_prompt_name": embedding.default_prompt,
            "similarity_fn_name": embedding.similarity,
        }
        _write(folder / PROMPTS, settings)
    if not embedding.poolings:
        return
    layers = [*embedding.layers, *([UnitLength()] if embedding.normalize else [])]
    names = ["Transformer", "Pooling", *map(module_name, layers)]
    places = ["", *(f"{index}_{name}" for index, name in enumerate(names) if index)]
    for place in places[1:]:
        (folder / place).mkdir()
    _write(folder / places[1] / "config.json", _pooling(embedding, hidden_size))
    for layer, place in zip(layers, places[2:], strict=True):
        write_layer(layer, folder / place)
    # The names of all versions from 2 on.
    listed = [
        {"idx": index, "name": str(index), "path": place, "type": f"sentence_transformers.models.{name}"}
        for index, (place, name) in enumerate(zip(places, names, strict=True))
    ]
    _write(folder / MODULES, listed)


def _pooling(embedding: Embedding, hidden_size: int) -> dict[str, Any]:
    """The settings of a pooling, by switches, which versions from 2 on read; a name where these lose the order."""
    order = [mode for mode in SWITCHES.values() if mode in embedding.poolings]
    include = {} if embedding.include_prompt else {"include_prompt": False}
    if list(embedding.poolings) == order:
        switches = {key: mode in order for key, mode in SWITCHES.items()}
        return {WIDTHS[0]: hidden_size, **switches, **include}
    return {WIDTHS[1]: hidden_size, "pooling_mode": list(embedding.poolings), **include}


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
