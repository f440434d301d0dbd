"""`berthub doctor`: check an installation."""

import typer

from berthub.cli.exit_codes import ExitCode
from berthub.cli.model_options import AskNetwork, CacheDir
from berthub.cli.output_options import Json

__all__ = ["doctor"]


def doctor(
    as_json: Json = False,
    network: AskNetwork = False,
    cache_dir: CacheDir = None,
) -> None:
    """Check this installation: libraries, the cache folder, the tokenizer and the engines.

    Each line says ok, warning or error, and below it what to do. A tiny model, made in memory, is encoded by both
    engines. Nothing is fetched; with --network the model hubs are asked whether they answer.

      berthub doctor
      berthub doctor --network
      berthub doctor --json

    Exit status: 0 without errors, warnings or not; else that of the first error.
    """
    from berthub.cli.doctor_checks import findings
    from berthub.cli.doctor_report import as_records, lines
    from berthub.cli.json_output import print_json

    found = findings(cache_dir, network=network)
    if as_json:
        print_json(as_records(found))
    else:
        for line in lines(found):
            typer.echo(line)
    status = next((finding.status for finding in found if finding.state == "error"), ExitCode.DONE)
    if status:
        raise typer.Exit(status)
