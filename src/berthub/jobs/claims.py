"""Who computes which shard: runners claim shards, so that two of them do not compute the same one for long.

A claim saves work and is no lock: whoever takes a shard that another one computes, too, writes the same bytes, and the
file appears whole whoever comes first. A runner shows that it is alive by a note that it writes every some seconds. A
runner of the same machine is known to be dead at once, since the system gives up its lock on a file; of all, whose
clocks may differ, it is believed when their note has not changed for a while.
"""

import contextlib
import errno
import os
import platform
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import orjson
from filelock import FileLock, Timeout

from berthub.atomic import write_errors
from berthub.errors import WriteError
from berthub.jobs.folder import STATE, JobFolder, LocalFolder
from berthub.jobs.stored_values import check_counts, check_strings, is_count, is_duration

__all__ = [
    "BEAT",
    "CLAIMS",
    "DISTINCT_CLAIMS",
    "INDEX_CLAIMS",
    "PATIENCE",
    "RUNNERS",
    "Claims",
    "RunnerNote",
    "runner_notes",
]

CLAIMS, INDEX_CLAIMS, DISTINCT_CLAIMS = f"{STATE}/claims", f"{STATE}/index_claims", f"{STATE}/distinct_claims"
RUNNERS = f"{STATE}/runners"
# Seconds between two notes of a runner, and after which one without a new note is taken for dead.
BEAT, PATIENCE = 5.0, 60.0
_RUNNER = re.compile("[0-9a-f]{12}")
# What file systems say that have no locks.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP)


@dataclass(frozen=True, kw_only=True)
class RunnerNote:
    """What a runner says of itself: where it runs, and how far it has come.

    `working` are the numbers of the shards that it is at work on; `distinct` says that they are shards of distinct
    texts, and not of the output.
    """

    runner: str
    machine: str
    process: int
    beat: int = 0
    shards: int = 0
    rows: int = 0
    tokens: int = 0
    seconds: float = 0.0
    working: tuple[int, ...] = ()
    distinct: bool = False

    def __post_init__(self) -> None:
        """Check a note that may be a stranger's; `ValueError` for what is none."""
        check_strings(self, ("runner", "machine"))
        check_counts(self, ("process", "beat", "shards", "rows", "tokens"))
        if not is_duration(self.seconds) or not all(map(is_count, self.working)):
            raise ValueError(f"the note of {self.runner} is damaged")

    def to_bytes(self) -> bytes:
        """The note as JSON."""
        return orjson.dumps(self)

    @classmethod
    def from_bytes(cls, data: bytes | None) -> Self | None:
        """Read a note; None for what is none."""
        try:
            found: Mapping[str, Any] = orjson.loads(data or b"")
            return cls(**{**found, "working": tuple(found["working"])})
        except (TypeError, KeyError, ValueError):
            return None


def runner_notes(folder: JobFolder) -> list[RunnerNote]:
    """The notes of all runners that are there, dead ones among them."""
    names = [name.removesuffix(".json") for name in folder.names(RUNNERS) if name.endswith(".json")]
    found = ((name, RunnerNote.from_bytes(folder.read(f"{RUNNERS}/{name}.json"))) for name in names)
    return [note for name, note in found if note is not None and note.runner == name]


@dataclass
class _Seen:
    beat: int
    since: float


class Claims:
    """The claims of one runner, which `taking` a shard makes; a context that shows that the runner is alive."""

    def __init__(self, folder: JobFolder, *, patience: float = PATIENCE, beat: float = BEAT) -> None:
        self.runner = secrets.token_hex(6)
        self._name = CLAIMS
        self._folder, self._patience, self._pause = folder, patience, beat
        self._note = RunnerNote(runner=self.runner, machine=_machine(), process=os.getpid())
        self._lock = self._lock_of(self.runner)
        self._seen: dict[str, _Seen] = {}
        self._changed, self._stopped = threading.Lock(), threading.Event()
        self._progress: dict[str, Any] = {}
        self._beats = threading.Thread(target=self._beat, name="berthub-job-beat", daemon=True)
        # The claims that it has, by the numbers of the shards.
        self._working: dict[int, str] = {}

    def __enter__(self) -> Self:
        try:
            self._write()
            self._hold()
        except BaseException:
            self._leave()
            raise
        self._beats.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._beats.join()
        for shard in list(self._working):
            with contextlib.suppress(WriteError):
                self.release(shard)
        with contextlib.suppress(WriteError):
            self._forget_the_dead()
        self._leave()

    def _hold(self) -> None:
        """Take the lock that says to this machine that the runner is alive; where there are no locks, do without."""
        if self._lock is None:
            return
        try:
            self._lock.acquire()
        except NotImplementedError:
            self._lock = None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                with write_errors(self._folder.address):
                    raise
            self._lock = None

    def _leave(self) -> None:
        if self._lock is not None:
            self._lock.release()
        with contextlib.suppress(WriteError):
            self._forget(self.runner)
        for name in (CLAIMS, INDEX_CLAIMS, DISTINCT_CLAIMS, RUNNERS):
            self._folder.remove_empty(name)

    def _forget_the_dead(self) -> None:
        """Remove what dead runners left, but for those whose claims are to be taken over: their notes tell of them."""
        dead = {note.runner for note in runner_notes(self._folder) if note.runner != self.runner}
        dead = {runner for runner in dead if self.is_dead(runner)}
        if dead:
            claims = [
                self._folder.read(f"{kind}/{name}") or b""
                for kind in (CLAIMS, INDEX_CLAIMS, DISTINCT_CLAIMS)
                for name in self._folder.names(kind)
            ]
            for runner in dead - {owner.decode(errors="replace") for owner in claims}:
                self._forget(runner)

    def _forget(self, runner: str) -> None:
        for suffix in ("json", "lock"):
            self._folder.remove(f"{RUNNERS}/{runner}.{suffix}")
        self._folder.remove_unfinished(f"{RUNNERS}/{runner}.json")

    def claim_in(self, name: str) -> None:
        """Make claims of another kind from now on: `CLAIMS` of output shards, `INDEX_CLAIMS`, `DISTINCT_CLAIMS`."""
        with self._changed:
            assert not self._working
            self._name = name
        self._write()

    def take(self, shard: int, file: str) -> bool:
        """Claim a shard: False where a runner that is alive has it. `file` is the name of the shard's file.

        What a dead runner left of that file is removed.
        """
        # The claim of a dead runner stays, and the next one is made after it: were it removed, of two runners that see
        # it, the second one could remove the new claim of the first one.
        name, later, ended = f"{self._name}/{shard:06}", 0, True
        while not self._folder.claim(name, self.runner.encode()):
            found = self._folder.read(name)
            if found is None:
                # It was released in this moment.
                continue
            owner = found.decode(errors="replace")
            if owner == self.runner:
                break
            if not self.is_dead(owner):
                return False
            later += 1
            ended = ended and self._has_ended(owner)
            name = f"{self._name}/{shard:06}.{later}"
        if later and ended:
            # One that was only taken for dead may be at work on its file.
            self._folder.remove_unfinished(file)
        with self._changed:
            self._working[shard] = name
        return True

    def release(self, shard: int) -> None:
        """Give up the claim of a shard that is done, or not to be done."""
        with self._changed:
            name = self._working.pop(shard, None)
        if name is not None:
            self._folder.remove(name)

    def show(self, **progress: Any) -> None:
        """Say how far the runner has come: rows, tokens, seconds, shards."""
        with self._changed:
            self._progress.update(progress)

    def is_dead(self, runner: str) -> bool:
        """Whether a runner has ended without giving up its claims."""
        if runner == self.runner:
            return False
        note = self._note_of(runner)
        if self._has_ended(runner, note):
            return True
        # Its lock alone would not do: a process that was stopped holds it, and perhaps a child of one that was killed.
        beat = -1 if note is None else note.beat
        seen = self._seen.get(runner)
        if seen is None or seen.beat != beat:
            self._seen[runner] = _Seen(beat, time.monotonic())
            return False
        return time.monotonic() - seen.since > self._patience

    def _note_of(self, runner: str) -> RunnerNote | None:
        # Claims may hold anything.
        if not _RUNNER.fullmatch(runner):
            return None
        return RunnerNote.from_bytes(self._folder.read(f"{RUNNERS}/{runner}.json"))

    def _has_ended(self, runner: str, note: RunnerNote | None = None) -> bool:
        """Whether it is certain that a runner has ended: it was of this machine, and its lock is free."""
        note = note or self._note_of(runner)
        if note is None or note.machine != self._note.machine or (lock := self._lock_of(runner)) is None:
            return False
        # A lock that is not there tells nothing; taking it would make it.
        return self._folder.exists(f"{RUNNERS}/{runner}.lock") and _is_free(lock)

    def _lock_of(self, runner: str) -> FileLock | None:
        if not isinstance(self._folder, LocalFolder):
            return None
        return FileLock(Path(self._folder.address) / RUNNERS / f"{runner}.lock", thread_local=False)

    def _beat(self) -> None:
        while not self._stopped.wait(self._pause):
            # A disk that is full ends the job where it writes a shard, not here.
            with contextlib.suppress(WriteError):
                self._write()

    def _write(self) -> None:
        with self._changed:
            working = tuple(sorted(self._working))
            self._note = RunnerNote(
                runner=self.runner,
                machine=self._note.machine,
                process=self._note.process,
                beat=self._note.beat + 1,
                working=working,
                distinct=self._name != CLAIMS,
                **self._progress,
            )
        self._folder.note(f"{RUNNERS}/{self.runner}.json", self._note.to_bytes())


def _is_free(lock: FileLock) -> bool:
    try:
        with lock.acquire(blocking=False):
            return True
    except (Timeout, OSError, NotImplementedError):
        return False


def _machine() -> str:
    """A name for this machine, as long as it is up, and for the container in which the process runs."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{platform.node()} {boot}".strip()
