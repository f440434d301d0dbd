"""Measure the size of an installation: a library with all that it requires, in MiB.

`python -m benchmarks.sizes` prints the ways that need optimum, of the environment that it runs in, as JSON.
"""

import importlib.metadata
import json
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parent.parent
# What a user of each way installs.
_WAYS = {
    "TensorFlow, SavedModel": ["tensorflow-cpu", "tokenizers"],
    "PyTorch + transformers": ["torch", "transformers"],
    "ONNX Runtime (conversion needs PyTorch, too)": ["onnxruntime", "tokenizers"],
    "sentence-transformers, torch": ["sentence-transformers"],
    "keras-hub on torch": ["keras-hub", "torch"],
    "fastembed": ["fastembed"],
}
_OPTIMUM_WAYS = {
    "sentence-transformers, onnx": ["sentence-transformers[onnx]"],
    "sentence-transformers, openvino": ["sentence-transformers[openvino]"],
}


def sizes(optimum: Path | None) -> dict[str, float]:
    """Only of what is installed: a way whose first library is missing is left out. `optimum` is the python of the
    environment that holds optimum."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    source = sum(path.stat().st_size for path in (_ROOT / "src").rglob("*.py"))
    result = {"berthub": _weight(_closure(project["dependencies"])) + source / 2**20, **_of(_WAYS)}
    if optimum:
        command = [optimum, "-m", "benchmarks.sizes"]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True)
        result.update(json.loads(done.stdout))
    return result


def _of(ways: Mapping[str, Sequence[str]]) -> dict[str, float]:
    result = {}
    for name, requirements in ways.items():
        closure = _closure(requirements)
        if canonicalize_name(Requirement(requirements[0]).name) in closure:
            result[name] = _weight(closure)
    return result


def _closure(requirements: Sequence[str]) -> set[str]:
    """The distributions that are installed of what is required, directly or not."""
    done: set[tuple[str, str]] = set()
    found: set[str] = set()
    waiting = [(name, extra) for name, extras in map(_parts, requirements) for extra in extras]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        for text in distribution.requires or []:
            marker = Requirement(text).marker
            if marker is None or marker.evaluate({"extra": extra}):
                needed, extras = _parts(text)
                waiting += [(needed, one) for one in extras]
    return found


def _parts(requirement: str) -> tuple[str, list[str]]:
    """The name, and the extras; the empty one stands for the library itself."""
    parsed = Requirement(requirement)
    return canonicalize_name(parsed.name), ["", *sorted(parsed.extras)]


def _weight(names: set[str]) -> float:
    """MiB of the files that are there; a file that two packages list is counted once."""
    paths = set()
    for name in names:
        for file in importlib.metadata.distribution(name).files or []:
            path = Path(str(file.locate()))
            if path.suffix != ".pyc" and path.is_file():
                paths.add(path.resolve())
    return sum(path.stat().st_size for path in paths) / 2**20


if __name__ == "__main__":
    print(json.dumps(_of(_OPTIMUM_WAYS)))
