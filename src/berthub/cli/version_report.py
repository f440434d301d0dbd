"""What `berthub --version --verbose` prints: what a report of a bug has to say."""

import importlib.metadata
import os
import platform
from pathlib import Path

from berthub.cores import core_count
from berthub.errors import InputError
from berthub.jobs.environment import processor_here
from berthub.sources.cache import default_cache_dir
from berthub.sources.resolve import offline_reason
from berthub.version import __version__

__all__ = ["version_report", "with_short_home"]

# Named where installed; their versions are read from their metadata, none of them is imported.
_LIBRARIES = (
    "numpy", "openvino", "tokenizers", "sentencepiece", "safetensors", "pyarrow", "huggingface_hub", "kagglehub",
    "keras", "tensorflow", "tensorflow-cpu", "torch", "jax", "scikit-learn", "onnx", "ray", "starlette", "uvicorn",
    "transformers", "sentence-transformers",
)  # fmt: skip


def version_report() -> str:
    """The versions, the processor, the engine and precision of "auto", the cache and the offline state, a line each."""
    processor, instructions = processor_here()
    lines = {
        "berthub": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        **_versions(),
        "keras backend": os.environ.get("KERAS_BACKEND", "not set"),
        "processor": processor,
        "instructions": " ".join(instructions) or "not known",
        "cores": f"{core_count()} of {os.cpu_count()}",
        "engine": _engine(),
        "cache": str(default_cache_dir()),
        "offline": _offline(),
    }
    width = max(map(len, lines))
    return with_short_home("\n".join(f"{name:<{width}}  {value}" for name, value in lines.items()))


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _engine() -> str:
    """The engine and the precision that "auto" means here; a broken OpenVINO is what the report is for."""
    try:
        from berthub.engines.openvino import processor_has_bfloat16

        precision = "bfloat16" if processor_has_bfloat16() else "float32"
    except (ImportError, OSError, RuntimeError) as error:
        return f"OpenVINO fails: {type(error).__name__}: {error}"
    return f"openvino, {precision}"


def _offline() -> str:
    try:
        return offline_reason(None) or "no"
    except InputError as error:
        return str(error)


def with_short_home(text: str) -> str:
    """The text with ~ for the user's home folder, whose name is often the user's; also in messages of errors."""
    home = str(Path.home())
    return text if home == os.sep else text.replace(home, "~")
