"""Each peer lives in a process of its own, so that no library's threads or settings disturb another's."""

import contextlib
import gc
import multiprocessing
import os
import sys
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.batches import Floats
from benchmarks.models import Model
from benchmarks.peers import PEERS, Peer, UnavailableError


@dataclass(frozen=True)
class Run:
    """One timed call: wall-clock seconds, processor seconds of the process, and the vectors where asked for."""

    seconds: float
    cpu_seconds: float
    vectors: Floats | None


class Worker:
    """A loaded peer. Raises `UnavailableError` where it cannot be loaded."""

    def __init__(self, peer: Peer, model: Model) -> None:
        self.peer = peer
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, PEERS.index(peer), model), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.precision: str = self._ask()
        except UnavailableError:
            self.close()
            raise

    def run(self, texts: list[str], *, vectors: bool = False) -> Run:
        self._connection.send((texts, vectors))
        return self._ask()  # type: ignore[no-any-return]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()

    def _ask(self) -> Any:
        try:
            answer = self._connection.recv()
        except EOFError:
            raise UnavailableError(f"the process ended with code {self._process.exitcode}") from None
        if isinstance(answer, UnavailableError):
            raise answer
        return answer


def _serve(connection: Connection, index: int, model: Model) -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # Libraries talk on stderr while they load; the table is what a reader wants to see.
    if "BENCHMARKS_VERBOSE" not in os.environ:
        sys.stderr.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    peer = PEERS[index]
    try:
        peer.load(model)
    except UnavailableError as error:
        connection.send(error)
        return
    except Exception as error:
        traceback.print_exc()
        connection.send(UnavailableError(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"))
        return
    connection.send(peer.precision)
    with contextlib.suppress(EOFError):
        while True:
            texts, wanted = connection.recv()
            connection.send(_timed(peer, texts, wanted))


def _timed(peer: Peer, texts: list[str], wanted: bool) -> Run:
    gc.collect()
    start, cpu_start = time.perf_counter(), time.process_time()
    vectors = peer.encode(texts)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return Run(seconds, cpu_seconds, vectors if wanted else None)
