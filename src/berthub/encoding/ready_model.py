"""A model that is ready to run: what it is made of, its copies and its pickles."""

import copy
import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy.typing as npt

from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig
from berthub.encoding.source import Source, StoredCheckpoint
from berthub.encoding.stages import Stages
from berthub.encoding.summary import summary
from berthub.engines.create import create_engine
from berthub.engines.engine import Engine, Limits
from berthub.errors import InputError
from berthub.formats.native import write_native
from berthub.head import Head
from berthub.old_names import unknown_attribute
from berthub.tokenization.tokenizer import Tokenizer
from berthub.vocabulary import AddedToken, Vocabulary

__all__ = ["ReadyModel", "check_size"]


class ReadyModel:
    """A checkpoint with its tokenizer and its engine, which `Encoder` adds the calls to."""

    def __init__(
        self, checkpoint: Checkpoint, tokenizer: Tokenizer, engine: Engine, *, batch_tokens: int | None = None
    ) -> None:
        if not isinstance(getattr(engine, "limits", None), Limits):
            raise InputError(
                f"{type(engine).__name__} does not say which batches suit it: an engine has an attribute `limits`, a "
                "berthub.engines.engine.Limits"
            )
        check_size("batch_tokens", batch_tokens)
        self._checkpoint = checkpoint
        # Where the checkpoint can be read again, for pickles.
        self._source: Source | None = None
        self.tokenizer = tokenizer
        self._engine = engine
        self._batch_tokens = batch_tokens

    def __getstate__(self) -> dict[str, Any]:
        engine = (self._engine.name, self._engine.precision, self._engine.threads)
        stored: Any = self._checkpoint if self._source is None else self._source.stored(self._checkpoint)
        return {**vars(self), "_checkpoint": stored, "_engine": engine}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        if isinstance(self._checkpoint, StoredCheckpoint):
            self._checkpoint = self._checkpoint.read()
        engine, precision, threads = state["_engine"]
        self._engine = create_engine(self._checkpoint, engine=engine, precision=precision, threads=threads)

    def __copy__(self) -> Self:
        new = object.__new__(type(self))
        vars(new).update(vars(self))
        return new

    def __deepcopy__(self, memo: Any) -> Self:
        # Weights and graphs are never changed: copies share them.
        return self.__copy__()

    def __repr__(self) -> str:
        config, origin = self.config, self._checkpoint.origin
        task = "" if self.head is None else f", {self.head.task}"
        return (
            f"<Encoder {config.architecture}, {config.num_layers} layers of {config.hidden_size}{task}, "
            f"{self._engine.name} {self.precision}, max_length {self.max_length}, from {origin.folder}>"
        )

    def _repr_html_(self) -> str:
        from berthub.encoding.html import encoder_html

        return encoder_html(self)

    if not TYPE_CHECKING:
        # Type checkers would take every name for an attribute.
        def __getattr__(self, name: str) -> Any:
            """Raise the error for an attribute that does not exist, or that of the property called `name`."""
            if hasattr(type(self), name):
                return object.__getattribute__(self, name)
            raise unknown_attribute(type(self).__name__, name)

    @property
    def checkpoint(self) -> Checkpoint:
        """The model that is run."""
        return self._checkpoint

    @property
    def config(self) -> EncoderConfig:
        """The model's settings."""
        return self._checkpoint.config

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's pieces, by id."""
        return self._checkpoint.vocabulary

    @property
    def head(self) -> Head | None:
        """What the model was fine-tuned for: its task, labels and weights; None for one that only encodes."""
        return self._checkpoint.head

    @property
    def max_length(self) -> int:
        """The most tokens of a text that are encoded, `[CLS]` and `[SEP]` included."""
        return self.tokenizer.max_length

    @property
    def precision(self) -> str:
        """The arithmetic in which the engine computes: float32 or bfloat16. Outputs are float32 either way."""
        return self._engine.precision

    @property
    def stages(self) -> Stages:
        """The stages of the methods: prepare, compute and finish, without warnings, for servers and jobs.

        They hold the engine: to send them to another process, pickle the encoder, whose stages are made anew there.
        """
        limits = self._engine.limits
        if self._batch_tokens is not None:
            limits = dataclasses.replace(limits, tokens=self._batch_tokens)
        return Stages(self._checkpoint, self.tokenizer, self._engine, limits)

    def summary(self) -> str:
        """The model, its sizes and how it runs, as a few lines of text."""
        engine = f"{self._engine.name}, {self.precision}"
        return summary(self._checkpoint, max_length=self.max_length, engine=engine)

    def add_tokens(
        self, tokens: Iterable[str | AddedToken], *, special: bool = False, vectors: npt.ArrayLike | None = None
    ) -> Self:
        """An encoder of the model with more tokens, as `Checkpoint.add_tokens` makes it; this one stays as it is.

        `save`, `berthub.export` and a `berthub.KerasLayer` of its `checkpoint` keep the tokens.
        """
        checkpoint = self._checkpoint.add_tokens(tokens, special=special, vectors=vectors)
        new = copy.copy(self)
        new._checkpoint, new._source = checkpoint, None
        new.tokenizer = self.tokenizer.add_tokens(tokens, special=special)
        engine: Any = self._engine
        new._engine = create_engine(checkpoint, engine=engine.name, precision=engine.precision, threads=engine.threads)
        return new

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save the model in berthub's own format, which `berthub.load` reads; `folder` must be new or empty."""
        write_native(self._checkpoint, Path(folder))


def check_size(name: str, value: int | None) -> None:
    """`InputError` for a size that is no whole number from 1, nor None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise InputError(f"{name} must be a whole number from 1, not {value!r}")
