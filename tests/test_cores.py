import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from berthub import cores
from berthub.cores import core_count, quota, quota_cores

Groups = Callable[..., None]


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Groups]:
    """`groups("0::/", {"cpu.max": "max 100000"})` makes the control groups of this process."""
    monkeypatch.setattr(cores, "_GROUPS", tmp_path / "self")
    monkeypatch.setattr(cores, "_MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)

    def make(lines: str, files: dict[str, str]) -> None:
        quota.cache_clear()
        (tmp_path / "self").write_text(lines + "\n")
        for name, content in files.items():
            path = tmp_path / "mounts" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content + "\n")

    yield make
    quota.cache_clear()


@pytest.mark.parametrize(
    ("limit", "count"),
    [("max 100000", 8), ("400000 100000", 4), ("150000 100000", 2), ("10000 100000", 1), ("9900000 100000", 8)],
)
def test_docker_and_kubernetes(groups: Groups, limit: str, count: int) -> None:
    groups("0::/", {"cpu.max": limit})
    assert core_count() == count
    assert quota_cores() == (None if count == 8 else count)


def test_the_groups_above_count(groups: Groups) -> None:
    groups("0::/a/b", {"cpu.max": "max 100000", "a/cpu.max": "200000 100000", "a/b/cpu.max": "300000 100000"})
    assert core_count() == 2


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
def test_the_first_version(groups: Groups, mount: str) -> None:
    files = {f"{mount}/cpu.cfs_quota_us": "300000", f"{mount}/cpu.cfs_period_us": "100000"}
    # As Docker has it without a namespace for groups: the path is one of the host.
    lines = "5:memory:/x\n4:cpu,cpuacct:/docker/0123\n3:cpuset:/\n0::/"
    groups(lines, files)
    assert core_count() == 3
    groups(lines, {f"{mount}/cpu.cfs_quota_us": "-1"})
    assert core_count() == 8


def test_systems_without_control_groups(groups: Groups) -> None:
    groups("0::/", {})
    assert core_count() == 8
    cores._GROUPS.unlink()
    quota.cache_clear()
    assert core_count() == 8
