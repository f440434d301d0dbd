"""The names of the files of sentence-transformers, and of what stands in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from berthub.containers.files import read_json_list
from berthub.errors import CheckpointError, CorruptFileError

__all__ = [
    "ENCODER_FILES",
    "MODULES",
    "PROMPTS",
    "SWITCHES",
    "VECTOR",
    "WIDTHS",
    "Module",
    "modes",
    "modules",
    "shown",
]

MODULES = "modules.json"
PROMPTS = "config_sentence_transformers.json"
ENCODER_FILES = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Old versions named the encoder's file after the architecture. The first that is there counts, as in theirs."""

SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Until version 5 a pooling had a switch for each kind; since then it has one name, or several."""

WIDTHS = ("word_embedding_dimension", "embedding_dimension")
"""What the width of the token vectors is called in a pooling's settings, in old versions and in new ones."""

VECTOR = "sentence_embedding"
"""What modules call the vector that they take and give."""

_LONGEST_SHOWN = 60
# Models have fewer than ten. Each entry makes a layer, so a short file must not name one folder very often.
_MOST_MODULES = 100


@dataclass(frozen=True)
class Module:
    """An entry of `modules.json`: the class of the module, and the folder of its settings."""

    kind: str
    path: str

    @property
    def name(self) -> str:
        """The class's short name in sentence-transformers; other classes keep their whole name."""
        ours = self.kind.startswith("sentence_transformers.")
        return self.kind.rpartition(".")[2] if ours else self.kind

    def __str__(self) -> str:
        return f"the module {shown(self.kind)}" + (f" in {shown(self.path)}" if self.path else "")


def modules(path: Path) -> list[Module]:
    """The entries of `modules.json`; `CorruptFileError` for others than it can have."""
    found = []
    names = set()
    entries = read_json_list(path)
    if len(entries) > _MOST_MODULES:
        raise CorruptFileError(f"{path} lists {len(entries):,} modules, and a model has at most {_MOST_MODULES}")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("path", "type")):
            raise CorruptFileError(
                f"entry {index} of {path} should be an object with the strings path and type; it is {shown(entry)}"
            )
        module = Module(entry["type"], entry["path"])
        # As both systems read it: a model is copied from one to the other.
        readings = (PurePosixPath(module.path), PureWindowsPath(module.path))
        if any(reading.is_absolute() or reading.anchor or ".." in reading.parts for reading in readings) or (
            "\0" in module.path
        ):
            raise CorruptFileError(
                f"entry {index} of {path} names the folder {shown(module.path)}, which is not inside its own"
            )
        if (name := entry.get("name")) is not None:
            if str(name) in names:
                # There the later module takes the earlier one's place.
                raise CorruptFileError(f"entry {index} of {path} has the name {shown(name)} of another one")
            names.add(str(name))
        found.append(module)
    if not found:
        raise CorruptFileError(f"{path} lists no module")
    return found


def modes(stored: Mapping[str, Any], path: Path) -> list[str]:
    """The kinds of pooling that the settings of a pooling name, in the order in which their vectors are joined."""
    for key in SWITCHES:
        if not isinstance(stored.get(key, False), bool):
            raise CorruptFileError(f"{key} in {path} should be true or false, not {shown(stored[key])}")
    switched = [mode for key, mode in SWITCHES.items() if stored.get(key)]
    if "pooling_mode" not in stored:
        # With all switches off, or none, sentence-transformers takes the mean.
        return switched or ["mean"]
    named = stored["pooling_mode"]
    found = [named] if isinstance(named, str) else named
    if not isinstance(found, list) or not found or not all(isinstance(mode, str) for mode in found):
        raise CorruptFileError(f"pooling_mode in {path} should be a name, or a list of some; it is {shown(named)}")
    if switched and sorted(switched) != sorted(found):
        raise CheckpointError(
            f"{path} contradicts itself: pooling_mode is {shown(named)}, and its switches say {', '.join(switched)}"
        )
    return found


def shown(value: object) -> str:
    """A value of a stranger's file for a message: of a bounded length."""
    text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
