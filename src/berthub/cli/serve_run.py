"""Run the server that the options of `berthub serve` describe."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Sequence

import typer

from berthub.cli.model import ModelOptions, load_encoder
from berthub.cli.model_options import Computing, Fetching
from berthub.cli.serve_options import Addressing, Bounding, Operating
from berthub.errors import InputError, MissingDependencyError

__all__ = ["default_name", "named_handles", "run_server"]

_DEFAULT = "all-MiniLM-L6-v2"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def run_server(
    *,
    handles: Sequence[str],
    names: Sequence[str],
    addressing: Addressing,
    bounding: Bounding,
    operating: Operating,
    computing: Computing,
    max_length: int | None,
    threads: int | None,
    lower_case: bool | None,
    vocabulary: str | None,
    fetching: Fetching,
) -> None:
    """Serve until a signal comes."""
    try:
        from berthub.serving.batcher import BatchingOptions
        from berthub.serving.bounds import Bounds
        from berthub.serving.keys import load_keys
        from berthub.serving.models import ModelSource
        from berthub.serving.server import Options, serve
        from berthub.serving.state import RequestLimits
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("berthub"):
            raise
        raise MissingDependencyError(
            f"the server needs {error.name}, which is not installed: pip install 'berthub[serve]'"
        ) from None

    if (addressing.tls_cert is None) != (addressing.tls_key is None):
        given, missing = ("cert", "key") if addressing.tls_key is None else ("key", "cert")
        raise InputError(f"--tls-{given} came without --tls-{missing}: https needs a certificate and its key")

    def source(name: str, handle: str | None) -> ModelSource:
        model = ModelOptions(handle=handle, lower_case=lower_case, vocabulary=vocabulary, fetching=fetching)
        load = functools.partial(load_encoder, model, computing, max_length=max_length, threads=threads)
        return ModelSource(name=name, handle=model.name, load=load)

    sources = [source(name, handle) for name, handle in named_handles(handles, names)]
    keys = load_keys(addressing.api_key_file, os.environ)
    for notice in () if keys is None else keys.notices:
        typer.echo(f"warning: {notice}", err=True)
    options = Options(
        host=addressing.host,
        port=addressing.port,
        batching=BatchingOptions(
            queue_tokens=bounding.max_queue_tokens,
            batch_tokens=bounding.max_batch_tokens,
            delay=bounding.max_delay_ms / 1000,
        ),
        limits=RequestLimits(
            body_bytes=bounding.max_body_bytes,
            bytes=max(RequestLimits.bytes, bounding.max_body_bytes),
            texts=bounding.max_texts,
            seconds=bounding.timeout,
            truncate=bounding.truncate,
        ),
        bounds=Bounds.within_open_files(),
        drain_seconds=operating.drain_seconds,
        tls_certificate=addressing.tls_cert,
        tls_key=addressing.tls_key,
        origins=tuple(addressing.cors_origin or ()),
        page=operating.page,
        model_control=operating.model_control,
        log_format=operating.log_format,
        log_level=getattr(logging, operating.log_level.upper()),
    )

    def started(address: str) -> None:
        what = ", ".join(each.name for each in sources)
        where = f"; the page is at {address}/" if operating.page else ""
        typer.echo(f"berthub serves {what} at {address}{where} (Ctrl-C ends it)")

    serve(sources, options, keys=keys, started=started)


def named_handles(handles: Sequence[str], names: Sequence[str]) -> list[tuple[str, str | None]]:
    """The models with their names, in their order; `InputError` where two have the same name."""
    found: list[tuple[str, str | None]] = []
    for entry in names:
        name, equals, handle = entry.partition("=")
        if not equals or not handle or not _NAME.fullmatch(name):
            # Without a name it may be a handle, and an address can hold a password.
            given = f"--name {name[:100]!r}" if equals or _NAME.fullmatch(name) else "the value of --name"
            raise InputError(
                f"{given} is not understood: give NAME=HANDLE, with a name of up to 128 letters, digits, dots, dashes "
                "and underscores"
            )
        found.append((name, handle))
    found += [(default_name(handle), handle) for handle in handles]
    seen: set[str] = set()
    for name, _ in found:
        if name in seen:
            raise InputError(f"two models are called {name}: give one another name by --name NAME=HANDLE")
        seen.add(name)
    return found or [(_DEFAULT, None)]


def default_name(handle: str) -> str:
    """The name of a model without one: the last part of its handle that is no version, without the kind of archive."""
    plain = re.split(r"[?#]", handle.strip(), maxsplit=1)[0]
    parts = [part for part in re.split(r"[/\\]|==|://", plain) if part and not re.fullmatch(r"v?[\d.]+", part)]
    last = re.sub(r"(\.tar)?\.(gz|tgz|zip|tar|whl)$", "", parts[-1] if parts else "")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", last.rpartition(":")[2]).strip("-._")[:128]
    return name or "model"
