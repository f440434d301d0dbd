"""What jobs compute: vectors or predictions, with all options that change the output."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from berthub.check import check_choice
from berthub.choices import DType, EngineName, OutputFormat, Precision, PredictionFormat, TableFormat, Vectors
from berthub.encoding.encoder import Encoder
from berthub.encoding.load import load_encoder
from berthub.encoding.prediction import require_head
from berthub.encoding.windows import Window
from berthub.errors import InputError
from berthub.head import Head
from berthub.jobs.computation import Computation
from berthub.jobs.encode import EncodeComputation
from berthub.jobs.predict import PredictComputation
from berthub.jobs.vectors import resolve_request
from berthub.sources.redaction import public_spelling
from berthub.sources.resolve import DEFAULT_HANDLE
from berthub.tables.reading_options import LABEL_SEPARATOR, ReadingOptions

__all__ = ["EncodeTask", "Model", "PredictTask", "Task", "head_of"]


@dataclass(frozen=True, kw_only=True)
class Model:
    """The options of `berthub.load` that a task has; `handle` None is the default model."""

    # It may hold a password.
    handle: str | os.PathLike[str] | None = field(default=None, repr=False)
    engine: EngineName = "auto"
    precision: Precision = "auto"
    max_length: int | None = None
    settings: Mapping[str, Any] | None = None
    vocabulary: str | os.PathLike[str] | None = None
    threads: int | None = None
    sha256: str | Mapping[str, str] | None = None
    cache_dir: str | os.PathLike[str] | None = None
    offline: bool | None = None

    @property
    def name(self) -> str:
        """The handle as it may be shown and written, without a password or a token."""
        return public_spelling(self.handle or DEFAULT_HANDLE)

    def load(self) -> Encoder:
        """Load the model."""
        return load_encoder(
            self.handle,
            engine=self.engine,
            precision=self.precision,
            max_length=self.max_length,
            settings=self.settings,
            vocabulary=self.vocabulary,
            threads=self.threads,
            sha256=self.sha256,
            cache_dir=self.cache_dir,
            offline=self.offline,
        )


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """What is computed, and the format `to` in which it is written; can be pickled, and `load`ed where it is needed.

    Without `truncation` texts that are too long are refused; with `carried` the columns of the input are written, too.
    """

    model: Model
    truncation: bool = True
    carried: bool = True

    @property
    @abstractmethod
    def format(self) -> TableFormat:
        """The format in which results are written."""

    @property
    @abstractmethod
    def texts_are_strings(self) -> bool:
        """Whether it is known without the model that texts are strings, or pairs of them, and no lists of words."""

    @abstractmethod
    def check(self, reading: ReadingOptions) -> None:
        """Raise `InputError` for what cannot be written so, whatever the model is, when the input is read so."""

    @abstractmethod
    def load(self) -> Computation:
        """Load the model; `InputError` for options that do not fit it."""


@dataclass(frozen=True, kw_only=True)
class EncodeTask(Task):
    """Computes vectors; the options are those of `berthub encode`."""

    to: OutputFormat = "parquet"
    vectors: Vectors | None = None
    layer: int | None = None
    normalize: bool | None = None
    dtype: DType = "float32"
    column: str | None = None
    prompt: str | None = None
    prompt_name: str | None = None
    window: int | None = None
    stride: int | None = None

    def __post_init__(self) -> None:
        """Check the choices; `InputError` for one that is not known."""
        check_choice("to", self.to, get_args(OutputFormat))
        check_choice("dtype", self.dtype, get_args(DType))
        if self.vectors is not None:
            check_choice("output", self.vectors, get_args(Vectors))

    def check(self, reading: ReadingOptions) -> None:
        """Raise `InputError` for formats that cannot hold token vectors, and where rows would be lost unseen."""
        if self.vectors == "sequence_output" and self.to not in ("parquet", "jsonl"):
            what = "a .npy file holds one array" if self.to == "npy" else f"{self.to} holds one vector in each row"
            raise InputError(
                f"{what}, and texts have different numbers of token vectors: write sequence_output to Parquet "
                "(-o FILE.parquet) or JSON lines (-o FILE.jsonl)"
            )
        if reading.missing == "skip" and (not self.carried or self.to == "npy"):
            raise InputError(
                "--missing skip leaves rows out, and without the columns of the input nobody could tell which: write "
                "another format than .npy and no --drop-columns, or use --missing empty"
            )

    @property
    def format(self) -> TableFormat:
        """The format in which vectors are written."""
        return self.to

    @property
    def texts_are_strings(self) -> bool:
        """They are."""
        return True

    def load(self) -> EncodeComputation:
        """Load the model; `InputError` for options that do not fit it."""
        encoder = self.model.load()
        request = resolve_request(
            self.vectors,
            self.layer,
            encoder=encoder,
            normalize=self.normalize,
            dtype=self.dtype,
            column=self.column,
            prompt=self.prompt,
            prompt_name=self.prompt_name,
            window=Window.of(self.window, self.stride, longest=encoder.config.max_positions),
        )
        return EncodeComputation(
            encoder=encoder,
            request=request,
            model=self.model.name,
            truncation=self.truncation,
            carried=self.carried,
        )


@dataclass(frozen=True, kw_only=True)
class PredictTask(Task):
    """Computes the predictions of a fine-tuned model; the options are those of `berthub predict`."""

    to: PredictionFormat = "parquet"
    column: str = "prediction"
    probabilities: bool = False
    separator: str = LABEL_SEPARATOR

    def __post_init__(self) -> None:
        """Check the format; `InputError` for one that is not known."""
        check_choice("to", self.to, get_args(PredictionFormat))

    def check(self, reading: ReadingOptions) -> None:
        """Raise `InputError` where rows would be lost unseen."""
        if reading.missing == "skip" and not self.carried:
            raise InputError(
                "--missing skip leaves rows out, and without the columns of the input nobody could tell which: leave "
                "out --drop-columns, or use --missing empty"
            )

    @property
    def format(self) -> TableFormat:
        """The format in which predictions are written."""
        return self.to

    @property
    def texts_are_strings(self) -> bool:
        """The model's task says it."""
        return False

    def load(self) -> PredictComputation:
        """Load the model; `InputError` where it has no head, and for options that do not fit it."""
        encoder = self.model.load()
        return PredictComputation(
            encoder=encoder,
            head=head_of(encoder, self.model.name),
            model=self.model.name,
            to=self.to,
            column=self.column,
            probabilities=self.probabilities,
            separator=self.separator,
            truncation=self.truncation,
            carried=self.carried,
        )


def head_of(encoder: Encoder, name: str) -> Head:
    """The head of a model; `InputError` for one that was not fine-tuned. `name` is the model's, as it may be shown."""
    if encoder.head is None and (unread := encoder.checkpoint.origin.unread_head):
        require_head(None, unread=unread)
    if encoder.head is None:
        raise InputError(
            f"{name} was not fine-tuned, it has no head to predict with: give the folder of a training, or take its "
            "vectors with berthub encode"
        )
    return encoder.head
