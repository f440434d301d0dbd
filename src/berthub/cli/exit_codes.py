"""The exit statuses of the command, and the one place where errors become exit statuses."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from enum import IntEnum

import typer

from berthub.errors import (
    ArchiveError,
    BerthubError,
    FetchError,
    HandleError,
    MissingDependencyError,
    ModelError,
    WriteError,
)

__all__ = ["ExitCode", "code_of", "errors_as_exits"]


class ExitCode(IntEnum):
    """The exit statuses; the last three are those that shells give for these signals."""

    DONE = 0
    BUG = 1
    BAD_INPUT = 2
    NO_MODEL = 3
    UNREADABLE_MODEL = 4
    MISSING_DEPENDENCY = 5
    CANNOT_WRITE = 6
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


_OF_THE_SYSTEM = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)

_CODES: dict[type[BerthubError], ExitCode] = {
    HandleError: ExitCode.NO_MODEL,
    FetchError: ExitCode.NO_MODEL,
    ArchiveError: ExitCode.NO_MODEL,
    ModelError: ExitCode.UNREADABLE_MODEL,
    MissingDependencyError: ExitCode.MISSING_DEPENDENCY,
    WriteError: ExitCode.CANNOT_WRITE,
}


def code_of(error: BerthubError) -> ExitCode:
    """The exit status for an error that berthub raised on purpose."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), ExitCode.BAD_INPUT)


@contextlib.contextmanager
def errors_as_exits() -> Iterator[None]:
    """Print errors that are no bugs as one line on stderr, and end the command with their exit status."""
    try:
        yield
    except BerthubError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(code_of(error)) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(ExitCode.INTERRUPTED) from error
    except BrokenPipeError as error:
        # The reader of our output has closed it. What Python still holds for stdout goes nowhere, so that
        # the flush at exit does not fail on the same pipe again.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise typer.Exit(ExitCode.BROKEN_PIPE) from error
    except OSError as error:
        if error.errno not in _OF_THE_SYSTEM or error.filename is None:
            raise
        # A disk that fails while it is only looked at, as may happen anywhere: what no code of ours can cause.
        typer.echo(f"error: {error.filename} cannot be used: {error.strerror}; check the disk", err=True)
        raise typer.Exit(ExitCode.BAD_INPUT) from error
