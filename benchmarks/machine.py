"""The circumstances of a result: the machine, the versions, the day.

`python -m benchmarks.machine` prints the versions of the environment that it runs in, as JSON.
"""

import datetime as dt
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

_LIBRARIES = (
    "fastembed",
    "jax",
    "keras",
    "keras-hub",
    "numpy",
    "onnxruntime",
    "openvino",
    "optimum-intel",
    "optimum-onnx",
    "scikit-learn",
    "sentence-transformers",
    "sentencepiece",
    "seqeval",
    "tensorflow",
    "tensorflow-hub",
    "tensorflow-text",
    "tf-keras",
    "tf-models-official",
    "tokenizers",
    "torch",
    "transformers",
)
# What decides the speed of matrix products.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def machine() -> dict[str, Any]:
    information = _information(Path("/proc/cpuinfo"))
    flags = information.get("flags", "").split()
    return {
        "processor": information.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "system": platform.system(),
        "load_at_start": [round(load, 1) for load in os.getloadavg()],
    }


def available_mebibytes() -> float:
    """Memory that processes may still take."""
    return int(_information(Path("/proc/meminfo"))["MemAvailable"].split()[0]) / 1024


def versions() -> dict[str, str]:
    """The versions of the libraries that are installed here, and of berthub."""
    import berthub

    return {**libraries(), "berthub": f"{berthub.__version__} ({_revision(Path(berthub.__file__).parent)})"}


def libraries() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def libraries_of(interpreter: Path) -> dict[str, str]:
    """The versions of the libraries in another environment."""
    command = [interpreter, "-m", "benchmarks.machine"]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def _revision(package: Path) -> str:
    """The commit that is checked out where berthub is, and whether its files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(package), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--", ".") else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown revision") + changed


def today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()


def _information(path: Path) -> dict[str, str]:
    """The first block of `name: value` lines."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


if __name__ == "__main__":
    print(json.dumps(libraries()))
