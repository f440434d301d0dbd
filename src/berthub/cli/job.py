"""`berthub job`: look at the folder of a job, while it runs or after."""

import dataclasses
import sys

import typer

from berthub.cli.help_text import Command, Group, help_text
from berthub.cli.job_options import JobFolder
from berthub.cli.output_options import Json, Quiet
from berthub.errors import InputError

__all__ = ["job"]


def _about() -> None:
    """Look at the folder that a job of berthub encode or berthub predict writes.

    berthub job status vectors/
    berthub job verify vectors/
    """


job = typer.Typer(name="job", cls=Group, no_args_is_help=True, rich_markup_mode="rich", help=help_text(_about))


def status(*, folder: JobFolder, json: Json = False) -> None:
    """Tell how far a job has come: its shards, its rows, and the runners that are at work.

    berthub job status vectors/
    berthub job status vectors/ --json
    """
    from berthub.cli.job_report import print_status
    from berthub.cli.json_output import print_json
    from berthub.jobs.public import job_folder
    from berthub.jobs.status import job_status

    found = job_status(job_folder(folder))
    if json:
        print_json(dataclasses.asdict(found))
    else:
        print_status(found)


def verify(*, folder: JobFolder, json: Json = False, quiet: Quiet = False) -> None:
    """Read all files of a job, and tell what is wrong with them: the exit status is 2 where anything is.

    Every file must be there, with the size, the SHA-256 and the rows that were recorded when it was written, and no
    vector may be NaN, infinite or all zeros, but in rows that failed.

      berthub job verify vectors/
    """
    from berthub.cli.json_output import print_json
    from berthub.cli.progress import counted
    from berthub.jobs.public import job_folder
    from berthub.jobs.status import job_status
    from berthub.jobs.verify import verify_job

    faults = verify_job(job_folder(folder))
    found = job_status(job_folder(folder))
    if json:
        print_json({"faults": faults, "finished": found.finished, "shards": found.shards})
    elif not quiet:
        for fault in faults:
            print(fault)
    if faults:
        raise InputError(f"{len(faults):,} faults in {folder}" if len(faults) > 1 else f"1 fault in {folder}")
    if not json and not quiet:
        print(f"{counted(found.shards, 'shard')}, {counted(found.rows, 'row')}: nothing is wrong", file=sys.stderr)


for command in (status, verify):
    about = help_text(command)
    job.command(cls=Command, help=about, short_help=about.partition("\n")[0].partition(":")[0].rstrip(".") + ".")(
        command
    )
