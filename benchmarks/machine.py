"""What a result must be read with: the machine, the versions, the day."""

import datetime as dt
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

_LIBRARIES = (
    "numpy",
    "onnxruntime",
    "openvino",
    "optimum-intel",
    "sentence-transformers",
    "tensorflow",
    "tokenizers",
    "torch",
    "transformers",
)
# What decides the speed of matrix products.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def machine() -> dict[str, Any]:
    information = _cpu_information()
    flags = information.get("flags", "").split()
    return {
        "processor": information.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "system": platform.system(),
        "load_at_start": [round(load, 1) for load in os.getloadavg()],
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    import berthub

    return {**found, "berthub": f"{berthub.__version__} ({_revision()})"}


def _revision() -> str:
    """The commit that is checked out, and whether files in `src` differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent.parent), *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--", "src") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown revision") + changed


def today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()


def _cpu_information() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
