"""Fine-tune the default model on 500 sentences of SST-2 and keep the history: `python docs/pictures/train.py FOLDER`.

FOLDER holds SST-2's train.tsv and dev.tsv, with the columns text and label. `draw.py` draws the history.
"""

import csv
import json
import sys
from pathlib import Path

import berthub as hub


def rows(path: Path, count: int) -> tuple[list[str], list[str]]:
    """The first `count` sentences, and their labels."""
    with path.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[:count]
    return [row["text"] for row in found], [row["label"] for row in found]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    texts, labels = rows(folder / "train.tsv", 500)
    classifier = hub.TextClassifier(max_length=64, seed=1)
    dev = rows(folder / "dev.tsv", 300)
    classifier.fit(texts, labels, dev=dev, epochs=4, patience=None, learning_rate=2e-4)
    history = [
        {name: round(value, 4) for name, value in row.items() if "second" not in name} for row in classifier.history
    ]
    (Path(__file__).parent / "history.json").write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
