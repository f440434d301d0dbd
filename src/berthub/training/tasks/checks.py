"""Checks of training data and options that all tasks share."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from berthub.check import check_choice
from berthub.choices import POOLINGS, Pooling
from berthub.config import EncoderConfig
from berthub.errors import InputError
from berthub.head import Head
from berthub.tokenization.texts import listed
from berthub.training.model import Adaptation

__all__ = [
    "check_known",
    "check_number",
    "check_whole",
    "checked_adaptation",
    "checked_labels",
    "checked_pairs",
    "chosen_pooling",
    "dev_data",
    "label_name",
    "shortened",
]

_SHOWN = 10


def checked_pairs(texts: Any, labels: Any, which: str) -> tuple[list[Any], list[Any]]:
    """Texts and labels as lists of one length, at least one; each kind of label is checked by its task."""
    texts = listed(texts)
    if isinstance(labels, str | bytes | Mapping) or not isinstance(labels, Iterable):
        raise InputError(f"the {which} labels are a list, one for each text, and not {shortened(labels)}")
    labels = list(labels)
    if len(texts) != len(labels):
        raise InputError(f"there are {len(texts):,} {which} texts and {len(labels):,} labels: each text needs its own")
    if not texts:
        raise InputError(f"there are no {which} texts")
    return texts, labels


def checked_labels(labels: Sequence[Any]) -> tuple[str, ...]:
    """The labels that a caller gave, in their order; whole numbers name themselves."""
    if isinstance(labels, str | bytes | Mapping) or not isinstance(labels, Iterable):
        raise InputError(f"labels must be a list of str, not {shortened(labels)}")
    names = []
    for label in labels:
        name = label_name(label)
        if name is None:
            raise InputError(f"labels must be a list of str, and one of them is {shortened(label)}")
        names.append(name)
    if not names:
        raise InputError("labels must not be empty: leave them out to take those of the training data")
    if len(set(names)) != len(names):
        raise InputError(f"labels must be different from each other: {names}")
    return tuple(names)


def label_name(label: Any) -> str | None:
    """A label as a str: truth values and whole numbers are common as labels, and name themselves. Else None."""
    if isinstance(label, bool | np.bool_):
        return "true" if label else "false"
    if isinstance(label, int | np.integer):
        return str(int(label))
    return str(label) if isinstance(label, str) and label else None


def check_known(labels: Iterable[str], names: tuple[str, ...], which: str) -> None:
    """`InputError` for labels that are not among `names`."""
    unknown = sorted(set(labels) - set(names))
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        known = ", ".join(map(repr, names[: 2 * _SHOWN])) + (" ..." if len(names) > 2 * _SHOWN else "")
        raise InputError(
            f"the {which} labels {', '.join(map(repr, unknown[:_SHOWN]))}{more} are not known; known are: {known}"
        )


def check_whole(name: str, value: Any, *, least: int, most: float = math.inf) -> None:
    """`InputError` for anything but a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        to = "" if most == math.inf else f" to {most}"
        raise InputError(f"{name} must be a whole number from {least}{to}, not {value!r}")


def check_number(name: str, value: Any, *, above: float, below: float) -> None:
    """`InputError` for anything but a number between `above` and `below`, themselves excluded."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not above < value < below:
        to = "" if below == math.inf else f" and less than {below:g}"
        raise InputError(f"{name} must be a number more than {above:g}{to}, not {value!r}")


def checked_adaptation(config: EncoderConfig, **options: Any) -> Adaptation:
    """The options as an `Adaptation`; `InputError` for what does not fit the model."""
    dropout = options["dropout"]
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise InputError(f"dropout must be from 0 to less than 1, not {dropout!r}")
    check_whole("seed", options["seed"], least=0)
    check_whole("freeze_layers", options["freeze_layers"], least=0, most=config.num_layers)
    if options["lora_rank"] is not None:
        check_whole("lora_rank", options["lora_rank"], least=1, most=config.hidden_size)
    if options["lora_alpha"] is not None:
        check_number("lora_alpha", options["lora_alpha"], above=0, below=math.inf)
    return Adaptation(**options)


def dev_data(dev: Any) -> tuple[Any, Any]:
    """Texts and labels from what `fit` takes as `dev`."""
    if not isinstance(dev, tuple | list) or len(dev) != 2:
        raise InputError(f"dev must be a tuple of texts and labels, dev=(texts, labels), not {shortened(dev)}")
    return dev[0], dev[1]


def shortened(value: object) -> str:
    """Describe a value and its type, shortened, for a message."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} (of type {type(value).__name__})"


def chosen_pooling(pooling: Pooling | None, head: Head | None, config: EncoderConfig) -> Pooling | None:
    """The pooling given, or the default: that of the model's own `head`, else pooled, or cls without a pooler."""
    if pooling is None:
        if head is not None:
            return head.pooling
        return "pooled" if config.has_pooled_output else "cls"
    check_choice("pooling", pooling, POOLINGS)
    if pooling == "pooled" and not config.has_pooled_output:
        raise InputError("this model has no pooler: use pooling='cls', 'mean' or 'max'")
    return pooling
