"""What of the machine and the libraries may change the bits of a result."""

import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from berthub.cores import core_count
from berthub.version import __version__

__all__ = ["differences", "environment_here", "processor_here"]

# The engines' and the tokenizers' libraries, and the one that writes files.
_LIBRARIES = ("numpy", "openvino", "pyarrow", "sentencepiece", "tokenizers")
# What options are called where a plan has another word.
_NAMES = {"vectors": "output", "to": "the format", "carried": "carry_columns"}
# Instructions for which libraries have code of their own.
_INSTRUCTIONS = ("amx", "asimd", "avx", "bf16", "f16c", "fma", "fp16", "neon", "sve", "vnni")


def environment_here(threads: int | None = None) -> dict[str, Any]:
    """The versions of the libraries, the processor, and the threads that compute: one on each core, unless given."""
    if threads is None:
        threads = core_count()
    name, instructions = processor_here()
    return {
        "berthub": __version__,
        **{library: importlib.metadata.version(library) for library in _LIBRARIES},
        "processor": name,
        "instructions": instructions,
        "threads": threads,
    }


def differences(planned: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """The things that differ between two environments, in words."""
    return [
        f"{_NAMES.get(name, name)} was {_shown(planned.get(name))} and is {_shown(here.get(name))}"
        for name in {**planned, **here}
        if planned.get(name) != here.get(name)
    ]


def _shown(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def processor_here() -> tuple[str, list[str]]:
    """The processor's name, and its instructions that matter; on systems that do not tell, what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine(), []
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = (found.get("flags") or found.get("Features") or "").split()
    return found.get("model name", platform.machine()), sorted(
        flag for flag in flags if any(part in flag for part in _INSTRUCTIONS)
    )
