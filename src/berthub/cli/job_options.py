"""The options of bulk jobs: how the work is split, and what becomes of what goes wrong."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from berthub.choices import OnError
from berthub.errors import InputError

__all__ = ["JobFolder", "JobGroup", "is_folder"]

JOB_PANEL = "Large inputs: -o names a folder"

JobFolder = Annotated[str, typer.Argument(metavar="FOLDER", help="The folder that a job writes.", show_default=False)]


def is_folder(output_file: str | None) -> bool:
    """Whether -o names a folder, so that a job is meant: it ends with a slash, is there, or is a URL."""
    if not output_file or output_file == "-":
        return False
    from berthub.tables.addresses import is_url

    try:
        is_there = Path(output_file).is_dir()
    except OSError:
        # A name that cannot be: whoever writes it says so.
        is_there = False
    return is_there or is_url(output_file) or output_file.endswith(("/", os.sep))


@dataclass(frozen=True, kw_only=True)
class JobGroup:
    """The options for a job, which writes a folder; None for those that were not given."""

    shard_rows: Annotated[
        int | None,
        typer.Option(
            "--shard-rows",
            metavar="ROWS",
            help="The rows of each file that is written. Default: 16384; for token vectors 1024.",
            show_default=False,
            rich_help_panel=JOB_PANEL,
        ),
    ] = None
    on_error: Annotated[
        OnError | None,
        typer.Option(
            "--on-error",
            help="Rows that cannot be computed (no string, broken UTF-8): their file fails, or skip: they have no "
            "result, and are listed in errors.jsonl. Default: fail.",
            show_default=False,
            rich_help_panel=JOB_PANEL,
        ),
    ] = None
    any_machine: Annotated[
        bool,
        typer.Option(
            "--any-machine",
            help="Let the job go on with another processor or other library versions; the last digits may differ.",
            rich_help_panel=JOB_PANEL,
        ),
    ] = False

    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="auto|ADDRESS",
            help="Compute on a cluster of Ray: auto is the one that runs on this machine, or that of RAY_ADDRESS. All "
            "its machines have to see the input, the folder and the model.",
            show_default=False,
            rich_help_panel=JOB_PANEL,
        ),
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            metavar="NUMBER",
            min=1,
            help="The threads that compute, here or in each worker of Ray. Default: one on each core of this machine.",
            show_default=False,
            rich_help_panel=JOB_PANEL,
        ),
    ] = None
    dedupe: Annotated[
        bool,
        typer.Option(
            "--dedupe",
            help="Compute equal texts of the whole input once. While the job runs, its folder also holds 32 bytes a "
            "row, and the vectors of the distinct texts; the input is read some more times.",
            rich_help_panel=JOB_PANEL,
        ),
    ] = False

    def refuse_for_one_file(self) -> None:
        """Raise `InputError` for options that are given, and mean nothing where one file is written."""
        given = {
            "--shard-rows": self.shard_rows is not None,
            "--on-error": self.on_error is not None,
            "--any-machine": self.any_machine,
            "--ray": self.ray is not None,
            "--threads": self.threads is not None,
            "--dedupe": self.dedupe,
        }
        for option, is_given in given.items():
            if is_given:
                raise InputError(
                    f"{option} is for jobs, which write a folder: name one that ends with a slash, -o vectors/"
                )
