"""How many cores this process may use."""

import os

__all__ = ["core_count"]


def core_count() -> int:
    """The number of cores: those that the process is allowed to use, where the system tells; at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
