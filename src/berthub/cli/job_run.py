"""Run a job from the command line: its progress, and a closing report."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rich.progress import Progress

from berthub.cli.job_options import JobGroup
from berthub.cli.model import calibration_shown
from berthub.cli.progress import counted, progress_bar
from berthub.errors import InputError
from berthub.jobs.job import JobOptions, Runner, run_job
from berthub.jobs.local import LocalRunner
from berthub.jobs.progress import JobProgress
from berthub.jobs.public import job_folder
from berthub.jobs.records import MANIFEST, Manifest
from berthub.jobs.tasks import Task
from berthub.tables.addresses import is_url, shown_address, suffixes_of
from berthub.tables.columns import TextColumns
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.source import files_source

__all__ = ["run"]

# Seconds between two lines where stderr is no terminal, as in the log of a cluster.
_PAUSE = 60.0


def run(
    inputs: Sequence[str],
    reading: ReadingOptions,
    texts: TextColumns,
    *,
    task: Task,
    output_folder: str,
    options: JobGroup,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Run a job, and print what was done."""
    if overwrite:
        raise InputError(
            "--overwrite is for files; a job goes on with what is in its folder: remove the folder to begin again"
        )
    if reading.texts or "-" in inputs:
        raise InputError("a job reads files: name files, folders or patterns, or write to one file")
    source = files_source(inputs, reading)
    protocol = output_folder.partition("://")[0].lower() if is_url(output_folder) else ""
    if protocol == "memory":
        raise InputError(
            f"{shown_address(output_folder)} ends with this process: write to a folder, or to an object store such as "
            "s3://bucket/vectors/"
        )
    if is_url(output_folder) and suffixes_of(output_folder.rstrip("/")):
        raise InputError(
            f"{shown_address(output_folder)} looks like a file, and at a URL a job writes a folder: end it with the "
            "name of a folder, or write a local file"
        )
    begin = time.monotonic()
    with calibration_shown(), progress_bar(quiet=quiet) as bar:
        shown = _Shown(bar, quiet=quiet)
        manifest = run_job(
            source,
            texts,
            task=replace(task, model=replace(task.model, threads=options.threads)),
            folder=job_folder(output_folder),
            options=JobOptions(
                shard_rows=options.shard_rows,
                any_machine=options.any_machine,
                on_error=options.on_error or "fail",
                dedupe=options.dedupe,
            ),
            runner=_runner(options.ray),
            on_progress=shown.progress,
            on_file=shown.file,
        )
    if not quiet:
        _report(manifest, shown.last, output_folder, time.monotonic() - begin)


def _runner(ray: str | None) -> Runner:
    if ray is None:
        return LocalRunner()
    from berthub.jobs.ray.runner import RayRunner

    return RayRunner(ray)


class _Shown:
    """Shows the progress of a job: on a terminal a bar, else a line each minute, unless `quiet`."""

    def __init__(self, bar: Progress, *, quiet: bool) -> None:
        self.last: JobProgress | None = None
        self._bar, self._task = bar, bar.add_task("", total=None, counted="")
        self._lines = bar.disable and not quiet
        self._begin, self._told = 0.0, time.monotonic()

    def file(self, done: int, total: int) -> None:
        """Show how many files are counted."""
        self._show(done, total, lambda: f"{done:,} of {counted(total, 'file')} counted")

    def progress(self, progress: JobProgress) -> None:
        """Show how many rows are done."""
        self.last = progress
        self._begin = self._begin or time.monotonic()
        done = progress.before + progress.rows
        self._show(done, progress.all_rows, lambda: _line(progress, time.monotonic() - self._begin))

    def _show(self, done: int, total: int, line: Callable[[], str]) -> None:
        if not self._bar.disable:
            self._bar.update(self._task, completed=done, total=total, counted=line())
        elif self._lines and time.monotonic() - self._told >= _PAUSE:
            self._told = time.monotonic()
            print(f"{line()} ({100 * done / max(1, total):.0f}%)", file=sys.stderr, flush=True)


def _line(progress: JobProgress, seconds: float) -> str:
    rows = progress.before + progress.rows
    parts = [
        f"{progress.shards:,} of {counted(progress.all_shards, 'shard')}",
        f"{rows:,} of {counted(progress.all_rows, _unit(progress))}",
    ]
    if seconds > 1:
        parts.append(f"{progress.rows / seconds:,.0f} {_unit(progress)}s/s")
        if progress.tokens:
            parts.append(f"{progress.tokens / seconds:,.0f} tokens/s")
    if progress.failed_shards:
        parts.append(f"{progress.failed_shards:,} failed")
    return ", ".join(parts)


def _report(manifest: Manifest, last: JobProgress | None, folder: str, seconds: float) -> None:
    totals = manifest.totals
    shards = counted(len(manifest.shards), "shard")
    parts = [f"{counted(totals['rows'], 'row')} in {shards}, {totals['written']:,} written", *_counts(totals)]
    print(", ".join(parts), file=sys.stderr)
    if last is None:
        print(f"all of it was done before; {folder.rstrip('/')}/{MANIFEST} has the list", file=sys.stderr)
        return
    tokens = f", {last.tokens / seconds:,.0f} tokens/s" if last.tokens else ""
    before = f", {last.before:,} were done before" if last.before else ""
    unit = _unit(last)
    print(
        f"{counted(last.rows, unit)} in {seconds:.1f} s ({last.rows / seconds:,.0f} {unit}s/s{tokens}){before}",
        file=sys.stderr,
    )


def _unit(progress: JobProgress) -> str:
    return "distinct text" if progress.distinct else "row"


def _counts(totals: Mapping[str, int]) -> list[str]:
    names = {"empty": "empty", "left_out": "left out", "truncated": "truncated", "failed": "failed"}
    counts = [f"{totals[name]:,} {shown}" for name, shown in names.items() if totals[name]]
    return counts + [counted(totals[name], "distinct text") for name in ("distinct",) if name in totals]
