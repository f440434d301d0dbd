"""Load the model that the options name."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from berthub.cli.model_options import Computing, Fetching

if TYPE_CHECKING:
    from berthub.checkpoint import Checkpoint
    from berthub.encoding.encoder import Encoder
    from berthub.head import Head
    from berthub.jobs.tasks import Model

__all__ = ["ModelOptions", "calibration_shown", "load_checkpoint", "load_encoder", "load_fine_tuned"]


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The options that name a model; `handle` None is the default one."""

    handle: str | None = field(repr=False)
    lower_case: bool | None
    vocabulary: str | None = None
    fetching: Fetching

    @property
    def name(self) -> str:
        """The handle as it may be shown and written, without a password or a token."""
        from berthub.sources.redaction import public_spelling
        from berthub.sources.resolve import DEFAULT_HANDLE

        return public_spelling(self.handle or DEFAULT_HANDLE)

    def for_task(self, computing: Computing, *, max_length: int | None, threads: int | None = None) -> Model:
        """The model as jobs take it."""
        from berthub.jobs.tasks import Model

        return Model(
            handle=self.handle,
            engine=computing.engine,
            precision=computing.precision,
            max_length=max_length,
            settings=self.settings,
            vocabulary=self.vocabulary,
            threads=threads,
            **self.fetching.arguments,
        )

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """The settings that override those of the model's files."""
        return None if self.lower_case is None else {"lower_case": self.lower_case}


def load_checkpoint(options: ModelOptions) -> Checkpoint:
    """The model's configuration, weights and vocabulary."""
    from berthub.formats import read
    from berthub.sources.resolve import resolve

    folder = resolve(options.handle, **options.fetching.arguments)
    return read(folder, settings=options.settings, vocabulary=options.vocabulary)


def load_encoder(
    options: ModelOptions, computing: Computing, *, max_length: int | None, threads: int | None = None
) -> Encoder:
    """The model, ready to encode."""
    with calibration_shown():
        return options.for_task(computing, max_length=max_length, threads=threads).load()


def load_fine_tuned(options: ModelOptions, computing: Computing, *, max_length: int | None) -> tuple[Encoder, Head]:
    """The model and its head; `InputError` where it has none."""
    from berthub.jobs.tasks import head_of

    encoder = load_encoder(options, computing, max_length=max_length)
    return encoder, head_of(encoder, options.name)


@contextlib.contextmanager
def calibration_shown() -> Iterator[None]:
    """Print what calibration says on standard error: it takes up to minutes, and silence would look like a hang."""
    logger, handler = logging.getLogger("berthub.encoding.calibration"), logging.StreamHandler(sys.stderr)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
