"""The description of an architecture in TensorFlow's formats: Google's checkpoints, TF Hub's modules, SavedModels.

`architectures/` has one for each that was published so. Others are written into a SavedModel under BERT's names as far
as these go, else under the canonical ones, and are read from there by the description beside it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from berthub.config import EncoderConfig
from berthub.formats.renaming import Rule

__all__ = ["Architecture", "Google", "SavedModel", "Shapes", "count_of"]

Shapes = Mapping[str, tuple[int, ...]]
"""The shapes of weights, by their canonical names."""


@dataclass(frozen=True, kw_only=True)
class Google:
    """The format of Google's own release: a configuration file, and a checkpoint with the names of its code.

    `keys` are those of the configuration -> our settings. `rules` lead from names after the encoder's scope to the
    canonical ones; `{last}` in these is the number of a layer's last feed-forward network, which the files leave out.
    `mark` matches a name after that scope that no other architecture has; None: whatever has no mark.
    """

    keys: Mapping[str, str]
    rules: Sequence[Rule]
    mark: str | None
    # Keys that may be left out, and not be false: one without is no such model.
    needed: tuple[str, ...] = ()
    # Whether its vocabulary is a SentencePiece model, where there is one.
    sentencepiece: bool = False
    # Whether its masked-language-model head is the one that is read here.
    mlm: bool = True
    # What the names in the files tell besides.
    told_by_names: Callable[[Iterable[str]], dict[str, Any]] = lambda names: {}
    # For the writer: the name of the configuration, what else it holds, and the rules from the canonical names.
    config_file: str = "bert_config.json"
    also_stored: Callable[[Any], dict[str, Any]] = lambda config: {}
    writing: Callable[[Any], list[Rule]] = lambda config: []


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """The format of TF Hub's SavedModels: the names that Keras gives to the weights.

    `rules` lead from its names to the canonical ones, and `writing` gives those back; `mark` matches a name that no
    other architecture has; None: whatever has no mark.
    """

    rules: Sequence[Rule]
    mark: str | None
    writing: Callable[[Any], Sequence[Rule]]
    # The classes of the encoder in Keras's metadata, and settings of ours -> keys that the class alone has.
    classes: frozenset[str]
    noted: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One architecture; `google` is None where Google's code never had it.

    For weights under their canonical names: `dimensions` are the settings that the dimensions of a weight are,
    `counted` the settings that say how many different things the group of a pattern stands for, and `refined` changes
    what both have told.
    """

    config: type[EncoderConfig]
    dimensions: Mapping[str, tuple[str, ...]]
    counted: Mapping[str, str]
    refined: Callable[[dict[str, Any], Shapes], dict[str, Any]] = lambda settings, shapes: settings
    google: Google | None = None
    saved_model: SavedModel


def count_of(names: Iterable[str], pattern: str) -> int:
    """The number of different values that the group of the pattern matches."""
    compiled = re.compile(pattern)
    return len({match[1] for name in names if (match := compiled.fullmatch(name))})
