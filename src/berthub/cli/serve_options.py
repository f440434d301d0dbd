"""The options of `berthub serve`: where it listens, what it takes, and how it is run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["Addressing", "Bounding", "Handles", "Names", "Operating", "Threads"]

_ADDRESS = "Where it listens, and for whom"
_BOUNDS = "What is taken"
_RUN = "How it is run"

Handles = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[HANDLE...]",
        help="The models, as in all commands; the first is the one that requests get which name none. Default: "
        "all-MiniLM-L6-v2.",
        show_default=False,
    ),
]

Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="NAME=HANDLE",
        help="A model under a name of your own (may be repeated). Others are called as the last part of their handle.",
        show_default=False,
    ),
]

Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", help="How many threads compute. Default: one a core.", min=1),
]


@dataclass(frozen=True, kw_only=True)
class Addressing:
    """The options for the address, and for who may use it."""

    host: Annotated[
        str,
        typer.Option("--host", help="The address; 0.0.0.0 is every one of this machine.", rich_help_panel=_ADDRESS),
    ] = "127.0.0.1"
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="0 is any that is free.", rich_help_panel=_ADDRESS)
    ] = 8080
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            "--api-key-file",
            metavar="FILE",
            help="The API keys, a line each: KEY or NAME KEY. BERTHUB_API_KEYS may hold keys, too. Without keys "
            "everybody may ask.",
            show_default=False,
            rich_help_panel=_ADDRESS,
        ),
    ] = None
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            "--tls-cert",
            metavar="FILE",
            help="The certificate, for https, as PEM with its chain.",
            show_default=False,
            rich_help_panel=_ADDRESS,
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        typer.Option(
            "--tls-key",
            metavar="FILE",
            help="The key of the certificate, as PEM.",
            show_default=False,
            rich_help_panel=_ADDRESS,
        ),
    ] = None
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--cors-origin",
            metavar="ORIGIN",
            help="Web pages that may ask from a browser, such as https://example.com (may be repeated).",
            show_default=False,
            rich_help_panel=_ADDRESS,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Bounding:
    """The bounds on requests and on the queue."""

    max_queue_tokens: Annotated[
        int,
        typer.Option(
            "--max-queue-tokens",
            min=1,
            help="How many tokens may wait; beyond, requests get the status 429.",
            rich_help_panel=_BOUNDS,
        ),
    ] = 1 << 20
    max_batch_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-batch-tokens",
            min=1,
            help="How many tokens are computed together. Default: what suits the engine.",
            show_default=False,
            rich_help_panel=_BOUNDS,
        ),
    ] = None
    max_body_bytes: Annotated[
        int, typer.Option("--max-body-bytes", min=1, help="The largest body of a request.", rich_help_panel=_BOUNDS)
    ] = 8 << 20
    max_texts: Annotated[
        int, typer.Option("--max-texts", min=1, help="The most texts of a request.", rich_help_panel=_BOUNDS)
    ] = 8192
    max_delay_ms: Annotated[
        float,
        typer.Option(
            "--max-delay-ms",
            min=0,
            max=10_000,
            help="How long a request may wait for others to fill its batch.",
            rich_help_panel=_BOUNDS,
        ),
    ] = 0.0
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0.001,
            help="How long a request may take that does not say it by x-request-timeout; then it gets the status 504.",
            show_default=False,
            rich_help_panel=_BOUNDS,
        ),
    ] = None
    truncate: Annotated[
        bool,
        typer.Option(
            "--truncate",
            help="Truncate texts that are too long, where a request does not say what it wants. Else they are refused.",
            rich_help_panel=_BOUNDS,
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class Operating:
    """The options for who runs the server."""

    drain_seconds: Annotated[
        float,
        typer.Option(
            "--drain-seconds",
            min=0,
            help="How long what was taken is finished after SIGTERM.",
            rich_help_panel=_RUN,
        ),
    ] = 30.0
    page: Annotated[bool, typer.Option("--page/--no-page", help="The page at /.", rich_help_panel=_RUN)] = True
    model_control: Annotated[
        bool,
        typer.Option(
            "--model-control",
            help="Let clients load and unload the models by /v2/repository. SIGHUP loads all anew in any case.",
            rich_help_panel=_RUN,
        ),
    ] = False
    log_format: Annotated[
        Literal["json", "text"], typer.Option("--log-format", help="Logs go to stderr.", rich_help_panel=_RUN)
    ] = "text"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option("--log-level", help="A line for each request is info.", rich_help_panel=_RUN),
    ] = "info"
