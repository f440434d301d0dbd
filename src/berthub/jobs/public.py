"""The jobs of the public interface: `berthub.EncodeJob` and `berthub.PredictJob`."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from berthub.choices import (
    DType,
    EngineName,
    InputFormat,
    Missing,
    OnError,
    OutputFormat,
    Precision,
    PredictionFormat,
    Vectors,
)
from berthub.errors import InputError
from berthub.jobs.folder import JobFolder, LocalFolder
from berthub.jobs.job import JobOptions, Runner, run_job
from berthub.jobs.local import LocalRunner
from berthub.jobs.progress import OnProgress
from berthub.jobs.records import Manifest
from berthub.jobs.remote_folder import RemoteFolder
from berthub.jobs.status import JobStatus, job_status
from berthub.jobs.tasks import EncodeTask, Model, PredictTask, Task
from berthub.jobs.verify import verify_job
from berthub.tables.addresses import local_path
from berthub.tables.columns import TextColumns
from berthub.tables.reading_options import LABEL_SEPARATOR, ReadingOptions
from berthub.tables.source import files_source

__all__ = ["EncodeJob", "PredictJob", "job_folder"]

Inputs = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, kw_only=True)
class _Job(ABC):
    """What both jobs have: the input, how it is read, the model, and how the work is split."""

    text_column: str | None = None
    text_pair_column: str | None = None
    input_format: InputFormat | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True
    missing: Missing | None = None
    max_length: int | None = None
    truncation: bool = True
    carry_columns: bool = True
    engine: EngineName = "auto"
    precision: Precision = "auto"
    settings: Mapping[str, Any] | None = None
    vocabulary: str | os.PathLike[str] | None = None
    threads: int | None = None
    sha256: str | Mapping[str, str] | None = None
    cache_dir: str | os.PathLike[str] | None = None
    offline: bool | None = None
    shard_rows: int | None = None
    any_machine: bool = False
    on_error: OnError = "fail"
    dedupe: bool = False

    @abstractmethod
    def _places(self) -> tuple[Inputs, str | os.PathLike[str], str | os.PathLike[str] | None]:
        """The inputs, the folder, and the model's handle."""

    @abstractmethod
    def _task(self, model: Model) -> Task: ...

    def run(
        self, *, runner: Literal["local", "ray"] | Runner = "local", on_progress: OnProgress | None = None
    ) -> Manifest:
        """Run the job, or go on with it, and return what was done.

        Whatever ended the last run, a finished shard is not computed again, and the files come out the same to the
        byte. `on_progress` is called after each step. `InputError` where the input, the options, the model or the
        machine are not those that the job was begun with, before anything is computed; and at the end where rows
        could not be computed. `WriteError` for a disk that is full, or a folder that cannot be written.
        """
        inputs, folder, handle = self._places()
        reading = ReadingOptions(
            format=self.input_format,
            delimiter=self.delimiter,
            encoding=self.encoding,
            header=self.header,
            missing=self.missing,
        )
        model = Model(
            handle=handle,
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
        return run_job(
            files_source(_names(inputs), reading),
            TextColumns(self.text_column, self.text_pair_column),
            task=self._task(model),
            folder=job_folder(folder),
            options=JobOptions(
                shard_rows=self.shard_rows,
                any_machine=self.any_machine,
                on_error=self.on_error,
                dedupe=self.dedupe,
            ),
            runner=_runner(runner),
            on_progress=on_progress or (lambda progress: None),
        )

    def status(self) -> JobStatus:
        """How far the job has come, also while another process runs it; `InputError` before it was begun."""
        return job_status(job_folder(self._places()[1]))

    def verify(self) -> list[str]:
        """What is wrong with the files that were written, a sentence for each fault; an empty list if nothing is.

        Every file is read: it must be the one that was written, and vectors must be finite and not all zeros.
        """
        return verify_job(job_folder(self._places()[1]))


@dataclass(frozen=True)
class EncodeJob(_Job):
    """Encodes a large input into a folder of files, a shard of rows at a time; what was done stays done.

    `inputs` are files, folders and patterns, `output_folder` is new or that of the same job. `output` and the options
    are those of `berthub encode`; the vectors are float32 or float16 [hidden] a row, in Parquet a FixedSizeList.
    `shard_rows` is how many rows of the input a shard has. With `any_machine` the job may go on with other libraries
    or another processor, where the last digits may differ. With `on_error="skip"` rows that cannot be computed have no
    vector, and are listed in errors.jsonl. With `dedupe` equal texts of the whole input are computed once, which needs
    room in the folder while the job runs: 32 bytes a row, and the vectors of the distinct texts. Making one reads
    nothing; `run` does.
    """

    inputs: Inputs
    output_folder: str | os.PathLike[str]
    model: str | os.PathLike[str] | None = field(default=None, repr=False)
    output: Vectors | None = field(default=None, kw_only=True)
    layer: int | None = field(default=None, kw_only=True)
    normalize: bool | None = field(default=None, kw_only=True)
    dtype: DType = field(default="float32", kw_only=True)
    vectors_column: str | None = field(default=None, kw_only=True)
    prompt: str | None = field(default=None, kw_only=True)
    prompt_name: str | None = field(default=None, kw_only=True)
    window: int | None = field(default=None, kw_only=True)
    stride: int | None = field(default=None, kw_only=True)
    to: OutputFormat = field(default="parquet", kw_only=True)

    def _places(self) -> tuple[Inputs, str | os.PathLike[str], str | os.PathLike[str] | None]:
        return self.inputs, self.output_folder, self.model

    def _task(self, model: Model) -> Task:
        return EncodeTask(
            model=model,
            truncation=self.truncation,
            carried=self.carry_columns,
            to=self.to,
            vectors=self.output,
            layer=self.layer,
            normalize=self.normalize,
            dtype=self.dtype,
            column=self.vectors_column,
            prompt=self.prompt,
            prompt_name=self.prompt_name,
            window=self.window,
            stride=self.stride,
        )


@dataclass(frozen=True)
class PredictJob(_Job):
    """Predicts for a large input with a fine-tuned model, into a folder of files, as `EncodeJob` encodes.

    The options are those of `berthub predict`.
    """

    model: str | os.PathLike[str] = field(repr=False)
    inputs: Inputs
    output_folder: str | os.PathLike[str]
    prediction_column: str = field(default="prediction", kw_only=True)
    probabilities: bool = field(default=False, kw_only=True)
    label_separator: str = field(default=LABEL_SEPARATOR, kw_only=True)
    to: PredictionFormat = field(default="parquet", kw_only=True)

    def _places(self) -> tuple[Inputs, str | os.PathLike[str], str | os.PathLike[str] | None]:
        return self.inputs, self.output_folder, self.model

    def _task(self, model: Model) -> Task:
        return PredictTask(
            model=model,
            truncation=self.truncation,
            carried=self.carry_columns,
            to=self.to,
            column=self.prediction_column,
            probabilities=self.probabilities,
            separator=self.label_separator,
        )


def job_folder(address: str | os.PathLike[str]) -> JobFolder:
    """The folder at an address: a path, or a URL that fsspec knows; `InputError` for what is none."""
    if not isinstance(address, str | os.PathLike) or not os.fspath(address):
        raise InputError(f"a job's folder is a path or a URL, not {address!r}")
    path = local_path(os.fspath(address))
    return RemoteFolder(os.fspath(address)) if path is None else LocalFolder(path)


def _names(inputs: Inputs) -> list[str]:
    """The addresses of the inputs; `InputError` for what is none."""
    given = [inputs] if isinstance(inputs, str | bytes | os.PathLike) or not isinstance(inputs, Sequence) else inputs
    for each in given:
        if not isinstance(each, str | os.PathLike):
            raise InputError(f"inputs are paths, patterns or URLs, or a list of them, not {each!r:.60}")
    return [os.fspath(each) for each in given]


def _runner(runner: str | Runner) -> Runner:
    if isinstance(runner, Runner):
        return runner
    if runner == "ray":
        from berthub.jobs.ray.runner import RayRunner

        return RayRunner()
    if runner != "local":
        raise InputError(f'runner={runner!r} is not known; use "local" or "ray", or a berthub.ray.RayRunner')
    return LocalRunner()
