"""Connect to a cluster of Ray, or say in one sentence why that is not possible."""

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

from berthub.errors import InputError, MissingDependencyError
from berthub.sources.redaction import redact

__all__ = ["connected", "require_cluster"]

_LOGGER = logging.getLogger(__name__)

# Seconds in which a head node answers: Ray itself tries for minutes.
_PATIENCE = 5.0
_CLIENT = "ray://"
# How a client of gRPC begins, with no settings; a server answers with a frame of its settings (type 4).
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_HEADER, _TYPE, _SETTINGS = 9, 3, 4


def require_cluster(address: str | None) -> None:
    """Raise `InputError` where there is no cluster at `address`, as in `connected`, which would not start one."""
    ray = _import_ray()
    if not ray.is_initialized() and _named(address) is not None:
        with connected(address):
            pass


def _named(address: str | None) -> str | None:
    """The address that is meant; None where a cluster is to be started."""
    named = (os.environ.get("RAY_ADDRESS") or address) if address in (None, "auto") else address
    return None if named == "local" else named


def _import_ray() -> Any:
    """Ray with Ray Data; `MissingDependencyError` where it is not installed."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingDependencyError("a job on Ray needs Ray Data: pip install 'berthub[ray]'") from error
    return ray


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Ray, connected to the cluster at `address`, until the block ends; a connection that was there is used, and stays.

    "auto" is the cluster that runs on this machine, or that of RAY_ADDRESS. None is that of RAY_ADDRESS, or else a
    cluster of this machine alone, which starts and ends here. `InputError` for a cluster that does not answer.
    """
    ray = _import_ray()
    if ray.is_initialized():
        yield ray
        return
    named = _named(address)
    if named not in (None, "auto"):
        _require_answer(named)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.WARNING, configure_logging=True)
    except (OSError, RuntimeError, ValueError) as error:
        why = "none runs, and RAY_ADDRESS is not set" if named == "auto" else str(error).splitlines()[0]
        raise _unreachable(named, why) from error
    _restore(handler)
    _LOGGER.info("connected to Ray: %s", ray.cluster_resources())
    try:
        yield ray
    finally:
        ray.shutdown()


def _restore(handler: Any) -> None:
    """Let SIGTERM do what it did: Ray's core has a handler of its own, after which the process may never end."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler if callable(handler) else signal.getsignal(signal.SIGTERM))


def _require_answer(address: str) -> None:
    """Raise `InputError` where nothing at an address speaks as Ray does."""
    if address.startswith(_CLIENT):
        raise InputError(
            f"{redact(address)} is an address for Ray's client, through which Ray Data does not run well: run the job "
            "on a machine of the cluster, with --ray auto, or by `ray job submit`"
        )
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise InputError(f'the Ray address {redact(address)!r} is not understood: it is "auto" or HOST:PORT')
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _PATIENCE) as connection:
            # With encryption Ray itself has to find out.
            if os.environ.get("RAY_USE_TLS", "0") in ("0", ""):
                connection.settimeout(_PATIENCE)
                connection.sendall(_GREETING)
                answer = b""
                while len(answer) < _HEADER and (more := connection.recv(_HEADER - len(answer))):
                    answer += more
                if len(answer) < _HEADER or answer[_TYPE] != _SETTINGS:
                    raise _unreachable(address, "what answers there is not Ray")
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(getattr(error, "strerror", None) or error)) from error


def _unreachable(address: str | None, why: str) -> InputError:
    which = "on this machine" if address in (None, "auto") else f"at {redact(str(address))}"
    return InputError(
        f"no Ray cluster answers {which} ({why}): start one with `ray start --head`, give the address of one that "
        "runs, or run the job without Ray"
    )
