"""The options that say which model is meant, and what is made of them."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from berthub.errors import InputError

if TYPE_CHECKING:
    from berthub.checkpoint import Checkpoint
    from berthub.choices import EngineName, Precision
    from berthub.encoding.encoder import Encoder
    from berthub.head import Head

__all__ = ["ModelOptions", "load_checkpoint", "load_encoder", "load_fine_tuned"]


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model, and where it may come from; `handle` None is the default model."""

    handle: str | None = field(repr=False)
    lower_case: bool | None
    sha256: Sequence[str]
    cache_dir: Path | None
    offline: bool | None

    @property
    def name(self) -> str:
        """The handle as it may be shown and written, without a password or a token."""
        from berthub.sources.redaction import public_spelling
        from berthub.sources.resolve import DEFAULT_HANDLE

        return public_spelling(self.handle or DEFAULT_HANDLE)

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """The settings that stand above what the files say."""
        return None if self.lower_case is None else {"lower_case": self.lower_case}

    @property
    def fetching(self) -> Mapping[str, Any]:
        """What `berthub.sources.resolve` takes beside the handle."""
        return {"sha256": _pins(self.sha256), "cache_dir": self.cache_dir, "offline": self.offline}


def load_checkpoint(options: ModelOptions) -> Checkpoint:
    """The model's configuration, weights and vocabulary."""
    from berthub.formats import read
    from berthub.sources.resolve import resolve

    return read(resolve(options.handle, **options.fetching), settings=options.settings)


def load_encoder(options: ModelOptions, *, engine: EngineName, precision: Precision, max_length: int | None) -> Encoder:
    """The model, ready to encode."""
    from berthub.encoding.load import load

    # Calibrating for int8 takes up to minutes: silence would look like a hang.
    with _shown("berthub.encoding.calibration"):
        return load(
            options.handle,
            engine=engine,
            precision=precision,
            max_length=max_length,
            settings=options.settings,
            **options.fetching,
        )


def load_fine_tuned(
    options: ModelOptions, *, engine: EngineName, precision: Precision, max_length: int | None
) -> tuple[Encoder, Head]:
    """The model and its head; `InputError` where it has none."""
    from berthub.encoding.prediction import require_head

    encoder = load_encoder(options, engine=engine, precision=precision, max_length=max_length)
    if encoder.head is None and (unread := encoder.checkpoint.origin.unread_head):
        require_head(None, unread=unread)
    if encoder.head is None:
        raise InputError(
            f"{options.name} was not fine-tuned, it has no head to predict with: give the folder of a training, or "
            "take its vectors with berthub encode"
        )
    return encoder, encoder.head


@contextlib.contextmanager
def _shown(name: str) -> Iterator[None]:
    """Print what the logger `name` says, on standard error."""
    logger, handler = logging.getLogger(name), logging.StreamHandler(sys.stderr)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _pins(values: Sequence[str]) -> str | dict[str, str] | None:
    if not values:
        return None
    if len(values) == 1 and "=" not in values[0]:
        return values[0]
    pins = {}
    for value in values:
        name, equals, digest = value.rpartition("=")
        if not equals or not name:
            raise InputError(
                f"--sha256 {value} is not understood: give one hash for the whole model, or FILE=HASH for each file"
            )
        pins[name] = digest
    return pins
