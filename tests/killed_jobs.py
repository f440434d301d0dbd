"""Jobs that are killed, or whose disk fails: the same job again ends with the same bytes, and leaves nothing else.

    python tests/killed_jobs.py calls                      killed before each call of the system, some minutes
    python tests/killed_jobs.py "no space" "I/O error"     each call fails, that and all later ones, or that alone
    python tests/killed_jobs.py moments --times 200        killed, terminated, interrupted at random moments
    python tests/killed_jobs.py runners --times 50         two and three runners at once, killed or stopped meanwhile

A small job runs in a forked process into a new folder, and something happens to it. Then the job runs again, in another
process, undisturbed. The folder must have the same files as that of a job to which nothing happened, to the byte, and
no others, hidden ones and folders among them. Calls of the system fail as in `failing_io.py`.
"""

import argparse
import collections
import contextlib
import ctypes
import faulthandler
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from failing_io import LIBRARY, MODELS, MODES, Failing, compiled

# The shim's sign for a process that is to be killed.
_DIE = -1
# A process that takes longer hangs.
_SECONDS = 120
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CALLS = ("calls", *MODES)


class Trial:
    """A job of some shards, and what it writes when nothing happens to it."""

    def __init__(self, scratch: Path, *, rows: int = 19, patience: float = 60.0, dedupe: bool = False) -> None:
        self.scratch, self.patience, self.dedupe = scratch, patience, dedupe
        self.input = scratch / "in.csv"
        numbers = [row * row % 11 if dedupe else row for row in range(rows)]
        texts = [f"text number {number} of {'many ' * (number % 7)}" for number in numbers]
        self.input.write_text("n,text\n" + "".join(f"{row},{text}\n" for row, text in enumerate(texts)))
        self.rows = rows
        status, said = self.start(scratch / "whole").wait()
        if status:
            raise RuntimeError(said)
        self.expected = found(scratch / "whole")

    def start(self, folder: Path, before: Callable[[], None] = lambda: None) -> "Child":
        """Run the job in a process of its own, after `before`."""
        return Child(lambda: self._run(folder, before))

    def _run(self, folder: Path, before: Callable[[], None]) -> None:
        import berthub as hub
        from berthub.jobs.local import LocalRunner

        job = hub.EncodeJob(
            self.input,
            folder,
            model=MODELS / "tf2_v4",
            output="mean",
            engine="numpy",
            shard_rows=4,
            dedupe=self.dedupe,
        )
        before()
        rows = [0]
        job.run(
            runner=LocalRunner(patience=self.patience, beat=self.patience / 10),
            on_progress=lambda progress: rows.append(progress.rows),
        )
        print(rows[-1], end="", flush=True)

    def fault(self, folder: Path) -> str:
        """Run the job once more, undisturbed; what is wrong then, or nothing."""
        status, said = self.start(folder).wait()
        if status:
            return f"then status {status}: {said[-3000:]}"
        return self.difference(folder)

    def difference(self, folder: Path) -> str:
        """What is not as it should be in a folder, or nothing."""
        now = found(folder)
        told = [f"{name} is new" for name in sorted(now.keys() - self.expected.keys())]
        told += [f"{name} is missing" for name in sorted(self.expected.keys() - now.keys())]
        told += [
            f"{name} is another"
            for name in sorted(now.keys() & self.expected.keys())
            if now[name] != self.expected[name]
        ]
        return ", ".join(told)


class Child:
    """A forked process; what it prints is kept, and it ends with status 0, 3 (a `BerthubError`) or 4 (any other)."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._said = os.memfd_create("said")
        # Until the child can take them, signals wait.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self.process = os.fork()
        if self.process:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            return
        status = 4
        try:
            os.setpgid(0, 0)
            faulthandler.dump_traceback_later(_SECONDS, exit=True, file=self._said)
            for stream in (1, 2):
                os.dup2(self._said, stream)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            run()
            status = 0
        except KeyboardInterrupt:
            status = 130
        except BaseException as error:
            from berthub.errors import BerthubError

            status = 3 if isinstance(error, BerthubError) else 4
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)

    def send(self, number: int) -> None:
        """Send a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, number)

    def wait(self) -> tuple[int, str]:
        """Its status, -9 where it was killed, and what it said."""
        _, status = os.waitpid(self.process, 0)
        said = os.pread(self._said, 1 << 20, 0).decode(errors="replace")
        os.close(self._said)
        return os.waitstatus_to_exitcode(status), said


def found(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def each_call(trial: Trial, mode: str, *, first: int, every: int) -> Iterator[str]:
    """Let call after call fail, or be the last one of its process, until the job does without it; the faults."""
    failing = Failing()
    folder = trial.scratch / "out"
    counts = collections.Counter[str]()
    number = first
    while True:
        shutil.rmtree(folder, ignore_errors=True)

        def arm(number: int = number) -> None:
            code, lasting = MODES.get(mode, (_DIE, False))
            under = str(folder.resolve()).encode()
            failing.library.failing_io_arm(under, ctypes.c_long(number), code, int(lasting), 0)

        child = trial.start(folder, arm)
        status, said = child.wait()
        counts[str(status)] += 1
        if mode != "calls":
            if status not in (0, 3):
                yield f"{mode} in call {number}: status {status}: {said[-3000:]}"
            elif "ignored" in said:
                yield f"{mode} in call {number}: {said[-3000:]}"
            if status == 0 and (fault := trial.difference(folder)):
                yield f"{mode} in call {number}: finished, and {fault}"
            if left := [name for name in found(folder) if name.endswith(".part")] if folder.exists() else []:
                yield f"{mode} in call {number}: left {left}, {said[-300:]}"
        elif status not in (0, -signal.SIGKILL):
            yield f"killed in call {number}: status {status}: {said[-3000:]}"
        if fault := trial.fault(folder):
            yield f"{mode} in call {number}: {fault}"
        if status == 0 and (mode == "calls" or _calls(trial, failing) < number):
            break
        number += every
    print(f"{mode}: {number} calls, {dict(counts)}", flush=True)


def _calls(trial: Trial, failing: Failing) -> int:
    """How many calls a job makes to which nothing happens."""
    if not hasattr(trial, "calls"):
        folder = trial.scratch / "counted"

        def count() -> None:
            failing.library.failing_io_arm(str(folder.resolve()).encode(), ctypes.c_long(0), 5, 0, 0)

        def run() -> None:
            trial._run(folder, count)
            print(f" {failing.library.failing_io_disarm()}")

        _, said = Child(run).wait()
        trial.calls = int(said.split()[-1])
    return trial.calls


def moments(trial: Trial, times: int, seed: int) -> Iterator[str]:
    """End a job at random moments, some of them twice and thrice; the faults."""
    draw = random.Random(seed)
    began = time.monotonic()
    trial.start(trial.scratch / "timed").wait()
    duration = time.monotonic() - began
    counts = collections.Counter[str]()
    for index in range(times):
        folder = trial.scratch / f"m{index}"
        told = []
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            number = draw.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
            child = trial.start(folder)
            time.sleep(draw.uniform(0, duration * 1.1))
            child.send(number)
            status, said = child.wait()
            told.append(f"{number.name} {status}")
            counts[told[-1]] += 1
            if status not in (0, 130, -signal.SIGKILL, -signal.SIGTERM):
                yield f"moment {index}, {told}: {said[-3000:]}"
        if fault := trial.fault(folder):
            yield f"moment {index}, {told}: {fault}"
        shutil.rmtree(folder, ignore_errors=True)
    print(f"moments: {times} jobs, {dict(counts)}", flush=True)


def runners(trial: Trial, times: int, seed: int) -> Iterator[str]:
    """Several runners at once, of which some are killed, or stopped and continued; the faults."""
    draw = random.Random(seed)
    counts = collections.Counter[str]()
    rows = 0
    for index in range(times):
        folder = trial.scratch / f"r{index}"
        children = [trial.start(folder) for _ in range(draw.choice((2, 2, 3)))]
        what = draw.choice(("nothing", "killed", "interrupted", "stopped", "stopped"))
        time.sleep(draw.uniform(0, 0.5))
        children[0].send(
            {"killed": signal.SIGKILL, "interrupted": signal.SIGINT, "stopped": signal.SIGSTOP}.get(what, 0)
        )
        if what == "stopped":
            # Long enough that it is taken for dead, sometimes until the others have finished.
            if draw.random() < 0.5:
                time.sleep(draw.uniform(1, 3) * trial.patience)
            else:
                results = [child.wait() for child in children[1:]]
                children = children[:1]
                for status, said in results:
                    if status:
                        yield f"runners {index}, beside one that was stopped: {status} {said[-3000:]}"
            children[0].send(signal.SIGCONT)
        done = []
        for place, child in enumerate(children):
            status, said = child.wait()
            counts[f"{what} {status}" if not place else f"beside {status}"] += 1
            allowed = (0,) if place or what in ("nothing", "stopped") else (0, 130, -signal.SIGKILL)
            if status not in allowed:
                yield f"runners {index}, {what}: {place} ended with {status}: {said[-3000:]}"
            elif status == 0:
                done.append(int(said or 0))
        if what == "nothing":
            rows += sum(done)
            if sum(done) > trial.rows + 4 * len(children):
                yield f"runners {index}: {done} rows of {trial.rows} were computed"
        if what in ("nothing", "stopped") and (fault := trial.difference(folder)):
            yield f"runners {index}, {what}: {fault}"
        if fault := trial.fault(folder):
            yield f"runners {index}, {what}, then: {fault}"
        shutil.rmtree(folder, ignore_errors=True)
    print(f"runners: {times} jobs, {dict(counts)}", flush=True)


def _faults(what: str, scratch: Path, options: Any) -> Iterator[str]:
    match what:
        case "moments":
            return moments(Trial(scratch, rows=60, dedupe=options.dedupe), options.times, options.seed)
        case "runners":
            return runners(Trial(scratch, rows=60, patience=0.5, dedupe=options.dedupe), options.times, options.seed)
        case _:
            return each_call(Trial(scratch, dedupe=options.dedupe), what, first=options.first, every=options.every)


def main() -> int:
    """Do it in a process in which the library that makes calls fail was loaded first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help=f"{', '.join(_CALLS)}, moments, runners; all by default")
    parser.add_argument("--first", type=int, default=1, help="the first call that fails (default 1)")
    parser.add_argument("--every", type=int, default=1, help="only every so many-th call fails (default 1)")
    parser.add_argument("--times", type=int, default=200, help="how many random moments (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (default 0)")
    parser.add_argument("--dedupe", action="store_true", help="jobs that compute equal texts once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if LIBRARY not in os.environ:
            library = str(compiled(Path(scratch)))
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            return subprocess.run(
                [sys.executable, *sys.argv], env={**environment, "LD_PRELOAD": library, LIBRARY: library}
            ).returncode
        faults = 0
        _warm(Path(scratch))
        for index, what in enumerate(options.what or (*_CALLS, "moments", "runners")):
            place = Path(scratch, str(index))
            place.mkdir()
            for fault in _faults(what, place, options):
                faults += 1
                print("   ", fault.replace("\n", "\n    "), flush=True)
    print(f"{faults} faults")
    return 1 if faults else 0


def _warm(scratch: Path) -> None:
    """Import what a job needs, so that its processes, which are forked, begin at once."""
    import berthub as hub

    path = scratch / "warm.txt"
    path.write_text("one\ntwo\n")
    hub.EncodeJob(path, scratch / "warm", model=MODELS / "tf2_v4", output="mean", engine="numpy").run()


if __name__ == "__main__":
    sys.exit(main())
