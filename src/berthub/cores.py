"""How many cores this process may use."""

import functools
import math
import os
from pathlib import Path

__all__ = ["core_count", "quota", "quota_cores"]

# The control groups of this process, and the folder under which they are mounted.
_GROUPS, _MOUNTS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def core_count() -> int:
    """The number of cores: those that the process is allowed to use, where the system tells; at least 1.

    A container may be allowed all cores, but only the time of some of them: then it is so many, rounded up.
    """
    return quota_cores() or _allowed()


def quota_cores() -> int | None:
    """The number of cores whose time the process may use, where that is less than its cores; else None."""
    limit = quota()
    return None if limit is None or limit >= _allowed() else max(1, math.ceil(limit))


@functools.cache
def quota() -> float | None:
    """The time that the process's control groups allow it, in cores; None where they set no limit.

    Linux's second version of control groups says it in `cpu.max`, as Docker's --cpus and the limits of Kubernetes have
    it; the first one in two files. The groups above count, too. It is read once.
    """
    try:
        lines = _GROUPS.read_text().splitlines()
    except OSError:  # not Linux, or a system without control groups
        return None
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            limits += [_of_second_version(folder) for folder in _folders(_MOUNTS, path)]
        elif "cpu" in controllers.split(","):
            for mount in (_MOUNTS / controllers, _MOUNTS / "cpu"):
                limits += [_of_first_version(folder) for folder in _folders(mount, path)]
    return min((limit for limit in limits if limit is not None), default=None)


def _allowed() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _folders(mount: Path, path: str) -> list[Path]:
    """The folder of a group, and those of the groups above it; in a container the uppermost may be its own."""
    inner = mount / path.lstrip("/")
    return [each for each in (inner, *inner.parents) if each.is_relative_to(mount)]


def _of_second_version(folder: Path) -> float | None:
    allowed, _, period = _read(folder / "cpu.max").partition(" ")
    return _ratio(allowed, period)


def _of_first_version(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # not there, or not for this process to read
        return ""


def _ratio(allowed: str, period: str) -> float | None:
    """The share; None without a limit, which is "max", -1 or no file."""
    return int(allowed) / int(period) if allowed.isdecimal() and period.isdecimal() and int(period) else None
