"""Claims: a dead runner's shards are taken over, whatever it left; nobody waits for ever, and nobody loses a claim."""

import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from berthub.errors import WriteError
from berthub.jobs import claims as module
from berthub.jobs.claims import CLAIMS, RUNNERS, Claims, RunnerNote, runner_notes
from berthub.jobs.folder import LocalFolder


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    made = LocalFolder(tmp_path / "out")
    made.begin()
    return made


def _noted(folder: LocalFolder, runner: str, **changed: Any) -> None:
    note = RunnerNote(**{"runner": runner, "machine": "another", "process": 1, **changed})
    folder.note(f"{RUNNERS}/{runner}.json", note.to_bytes())


def test_a_claim_is_exclusive_until_it_is_released(folder: LocalFolder) -> None:
    with Claims(folder) as first, Claims(folder) as second:
        assert first.take(3, "shard")
        assert first.take(3, "shard")
        assert not second.take(3, "shard")
        assert second.take(4, "shard")
        first.release(3)
        assert second.take(3, "shard")
    assert folder.names(CLAIMS) == folder.names(RUNNERS) == []


@pytest.mark.parametrize("content", [b"", b"garbage", b"\0", b"../../../../x", b"\xff" * 5000, b"0123456789ab"])
def test_a_claim_of_nobody_ends(folder: LocalFolder, content: bytes) -> None:
    folder.claim(f"{CLAIMS}/000003", content)
    with Claims(folder, patience=0) as claims:
        # The first look begins the wait.
        assert not claims.take(3, "shard")
        assert claims.take(3, "shard")


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"working": 3}', b'{"working": []}', b"\xff"])
def test_a_note_that_is_none_is_that_of_a_dead_runner(folder: LocalFolder, note: bytes) -> None:
    folder.note(f"{RUNNERS}/0123456789ab.json", note)
    folder.claim(f"{CLAIMS}/000003", b"0123456789ab")
    assert runner_notes(folder) == []
    with Claims(folder, patience=0) as claims:
        claims.take(3, "shard")
        assert claims.take(3, "shard")


def test_a_note_under_another_name_is_none(folder: LocalFolder) -> None:
    _noted(folder, "0123456789ab")
    path = Path(folder.address, RUNNERS, "0123456789ab.json")
    path.rename(path.with_name("ba9876543210.json"))
    assert runner_notes(folder) == []


def test_a_runner_elsewhere_is_alive_while_its_note_changes(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    claims = Claims(folder, patience=60)
    for beat in range(5):
        # Its clock is not looked at.
        _noted(folder, "0123456789ab", beat=beat, seconds=1e9)
        assert not claims.is_dead("0123456789ab")
        now[0] += 59
        assert not claims.is_dead("0123456789ab")
    now[0] += 2
    assert claims.is_dead("0123456789ab")
    _noted(folder, "0123456789ab", beat=9)
    assert not claims.is_dead("0123456789ab")


def test_a_stopped_runner_that_holds_its_lock_is_not_waited_for(
    folder: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Claims(folder, beat=1000) as stopped:
        assert stopped.take(3, "shard")
        now = [0.0]
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
        other = Claims(folder, patience=60)
        assert not other.take(3, "shard")
        now[0] += 61
        unfinished = Path(folder.address, ".shard.01234567.part")
        unfinished.write_bytes(b"at work")
        assert other.take(3, "shard")
        # It may go on: its file, and its claim, are left alone, and it leaves the other's.
        assert unfinished.exists()
        stopped.release(3)
        assert folder.names(CLAIMS) == ["000003.1"]


def test_of_two_that_see_a_dead_runner_one_gets_its_shard(folder: LocalFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.claim(f"{CLAIMS}/000003", b"0123456789ab")
    runners = [Claims(folder, patience=0) for _ in range(2)]
    # Both have seen it, and come to the same decision before either of them acts.
    together = threading.Barrier(2, timeout=30)
    for runner in runners:
        runner.is_dead("0123456789ab")
    is_dead = Claims.is_dead

    def both(self: Claims, owner: str) -> bool:
        if owner == "0123456789ab":
            together.wait()
            return True
        return is_dead(self, owner)

    monkeypatch.setattr(Claims, "is_dead", both)
    taken: list[bool] = []
    with runners[0], runners[1]:
        threads = [threading.Thread(target=lambda each=each: taken.append(each.take(3, "shard"))) for each in runners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == [False, True]


def test_a_runner_that_cannot_begin_leaves_nothing(folder: LocalFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Claims) -> None:
        raise WriteError("the disk is full")

    monkeypatch.setattr(Claims, "_hold", fail)
    with pytest.raises(WriteError, match="full"), Claims(folder):
        pass
    assert not Path(folder.address, RUNNERS).exists()


def test_without_locks_notes_do(folder: LocalFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*arguments: Any, **options: Any) -> Any:
        raise NotImplementedError

    monkeypatch.setattr(module.FileLock, "acquire", none)
    with Claims(folder) as claims:
        assert not Claims(folder).is_dead(claims.runner)
        assert orjson.loads(folder.read(f"{RUNNERS}/{claims.runner}.json") or b"")["beat"] == 1
