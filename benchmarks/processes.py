"""Run what is measured in a process of its own, which answers lines of JSON.

It is a program, not a fork or a spawn: threads, backends and seeds are in the environment that it starts with, and it
may run in another virtual environment, whose libraries do not go with those of this one.
"""

import contextlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

_ROOT = Path(__file__).parent.parent


class UnavailableError(Exception):
    """What should be measured cannot run here; the message says why."""


class Program:
    """`python -m module`, which answers each line with a line; a context manager. BENCHMARKS_VERBOSE shows its stderr.

    `interpreter` is the python that runs it, None the one that runs this.
    """

    def __init__(
        self, module: str, environment: Mapping[str, str] | None = None, *, interpreter: Path | None = None
    ) -> None:
        self._process = subprocess.Popen(
            [interpreter or sys.executable, "-m", module],
            # The other environment does not have this package.
            env={**os.environ, "PYTHONPATH": str(_ROOT), **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Libraries talk on stderr while they load; the table is what a reader wants to see.
            stderr=None if "BENCHMARKS_VERBOSE" in os.environ else subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **request: Any) -> Any:
        """The answer to a request; raises `UnavailableError` with what went wrong there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # A process that ended is noticed below.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise UnavailableError(f"the process ended with code {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise UnavailableError(answer["error"])
        return answer

    def load(self, **request: Any) -> Any:
        """The answer to the first request; the program is ended where it cannot be answered."""
        try:
            return self.ask(do="load", **request)
        except UnavailableError:
            self.close()
            raise

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The process's side of the pipe: answer requests until it ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever a library prints goes where its messages go.
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            found = answer(json.loads(line))
        except UnavailableError as error:
            found = {"error": str(error)}
        except Exception as error:
            traceback.print_exc()
            message = str(error).strip().splitlines() or ["no message"]
            found = {"error": f"{type(error).__name__}: {message[0]}"}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def peak_mebibytes() -> float:
    """The most memory that this process has had.

    Not getrusage: what that reports begins with the memory of the process that started this one.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024
