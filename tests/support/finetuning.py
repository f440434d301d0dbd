"""Tiny tasks that anyone can learn: a word tells the label. All texts fit in 16 tokens, so that one shape occurs."""

from typing import Any

import numpy as np

FILLERS = ("the", "of", "and", "city", "music", "house", "year", "team", "into", "about")
WORDS = ("war", "love", "water", "book")
ENTITIES = {"john": "B-PER", "king": "I-PER", "london": "B-LOC", "sea": "O"}
KINDS = ("two", "many", "multi_label", "pairs", "regress", "tag")
Data = tuple[list[Any], list[Any]]

# What learns them with tests/data/models/tf2_v4 in seconds.
FIT: dict[str, Any] = {"batch_size": 8, "learning_rate": 5e-3, "precision": "float32", "progress": False}
EPOCHS = {kind: 24 if kind == "multi_label" else 12 for kind in KINDS}


def data(kind: str, *, count: int = 48, seed: int = 0) -> Data:
    """Texts, pairs or sentences, and their labels."""
    rng = np.random.default_rng(seed)
    count = 2 * count if kind == "multi_label" else count
    texts: list[Any] = []
    labels: list[Any] = []
    for row in range(count):
        filler = [str(word) for word in rng.choice(FILLERS, int(rng.integers(1, 5)))]
        word = WORDS[row % (2 if kind in ("two", "pairs") else len(WORDS))]
        text = " ".join([*filler, word])
        match kind:
            case "two" | "many":
                texts.append(text)
                labels.append(word)
            case "multi_label":
                chosen = tuple(name for place, name in enumerate(WORDS[:2]) if row >> place & 1)
                texts.append(" ".join([*filler, *chosen]))
                labels.append(chosen)
            case "pairs":
                texts.append((filler[0], text))
                labels.append(word)
            case "regress":
                texts.append(text)
                labels.append(1000.0 + 10 * WORDS.index(word))
            case "tag":
                name = list(ENTITIES)[row % len(ENTITIES)]
                texts.append([*filler, name])
                labels.append(["O"] * len(filler) + [ENTITIES[name]])
    return texts, labels


def tuner(kind: str, handle: Any, **options: Any) -> Any:
    """The task's fine-tuner."""
    import berthub as hub

    match kind:
        case "regress":
            return hub.TextRegressor(handle, **options)
        case "tag":
            return hub.TokenClassifier(handle, **options)
        case _:
            return hub.TextClassifier(handle, multi_label=kind == "multi_label", **options)
