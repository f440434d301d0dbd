"""What an installation weighs: a library with all that it requires, in MiB."""

import importlib.metadata
import tomllib
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
}


def sizes() -> dict[str, float]:
    """Only of what is installed here: a way whose first library is missing is left out."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    source = sum(path.stat().st_size for path in (_ROOT / "src").rglob("*.py"))
    result = {"berthub": _weight(_closure(project["dependencies"])) + source / 2**20}
    for name, requirements in _WAYS.items():
        closure = _closure(requirements)
        if canonicalize_name(requirements[0]) in closure:
            result[name] = _weight(closure)
    return result


def _closure(requirements: list[str]) -> set[str]:
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if name in found or not wanted:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        waiting += [Requirement(text) for text in distribution.requires or []]
    return found


def _weight(names: set[str]) -> float:
    """MiB of the files that are there; a file that two packages list is counted once."""
    paths = set()
    for name in names:
        for file in importlib.metadata.distribution(name).files or []:
            path = Path(str(file.locate()))
            if path.suffix != ".pyc" and path.is_file():
                paths.add(path.resolve())
    return sum(path.stat().st_size for path in paths) / 2**20
