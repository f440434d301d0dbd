"""What a forked process does with a model, run by `tests/contracts/test_processes.py`: STATE WAY FOLDER OTHER.

It prints "right" where the child's vectors are those of its parent. Whatever hangs is killed.
"""

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import berthub as hub

_SECONDS = 100
_TEXTS = [f"hello {number} " + "a b c " * (number % 9) for number in range(120)]
_models: list[hub.Encoder] = []


def _vectors(count: int = len(_TEXTS)) -> np.ndarray:
    return np.concatenate([model.embed(_TEXTS[:count]) for model in _models])


@contextlib.contextmanager
def _encoding() -> Iterator[None]:
    done = threading.Event()

    def again_and_again() -> None:
        while not done.is_set():
            _models[0].embed(_TEXTS)

    thread = threading.Thread(target=again_and_again)
    thread.start()
    time.sleep(0.2)
    yield
    done.set()
    thread.join()


def _by_fork(_: int = 0) -> np.ndarray:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        faulthandler.dump_traceback_later(_SECONDS, exit=True)
        os.write(writing, _vectors().tobytes())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        came = pipe.read()
    os.waitpid(child, 0)
    return np.frombuffer(came, np.float32)


def _by_pool() -> np.ndarray:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        first, second = pool.map_async(_of_pool, range(2), chunksize=1).get(_SECONDS)
    np.testing.assert_array_equal(first, second)
    return first


def _of_pool(_: int) -> np.ndarray:
    return _vectors()


def _by_server() -> np.ndarray:
    """Two workers accept on one socket, as in a preforking server; each answers once and ends as programs do."""
    came = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(_SECONDS)
        workers = []
        for _ in range(2):
            worker = os.fork()
            if not worker:
                faulthandler.dump_traceback_later(_SECONDS, exit=True)
                connection, _ = server.accept()
                with connection:
                    connection.sendall(_vectors().tobytes())
                # With all that the interpreter does at its end.
                sys.exit(0)
            workers.append(worker)
        for _ in workers:
            with socket.create_connection(server.getsockname(), timeout=_SECONDS) as client, client.makefile("rb") as f:
                came.append(np.frombuffer(f.read(), np.float32))
        for worker in workers:
            _, status = os.waitpid(worker, 0)
            assert status == 0, status
    np.testing.assert_array_equal(*came)
    return came[0]


_WAYS: dict[str, Callable[[], np.ndarray]] = {"fork": _by_fork, "pool": _by_pool, "server": _by_server}


def main(state: str, way: str, folder: str, other: str) -> None:
    """Bring the model into a state, fork, and compare."""
    signal.alarm(2 * _SECONDS)
    _models.append(hub.load(folder))
    if state == "two models":
        _models.append(hub.load(other))
    for model in _models:
        # Many batches of these few texts.
        model._batch_tokens = 128
    match state:
        case "one text":
            _models[0].embed(_TEXTS[:1])
        case "many batches" | "two models":
            _vectors()
        case "one was deleted":
            gone = hub.load(folder)
            gone._batch_tokens = 128
            gone.embed(_TEXTS)
            del gone
        case "another thread":
            _vectors()
    with _encoding() if state == "another thread" else contextlib.nullcontext():
        came = _WAYS[way]()
    # The parent goes on, too.
    np.testing.assert_allclose(came.ravel(), _vectors().ravel(), atol=1e-5)
    print("right")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], str(Path(sys.argv[3])), str(Path(sys.argv[4])))
