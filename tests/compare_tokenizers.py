"""Hold calls of the tokenizer beside those of transformers' BertTokenizer: every combination of options, on many texts.

    python tests/compare_tokenizers.py --texts 200

Each combination is called with texts, pairs, sentences of words, and pairs of these. A batch of 20 texts goes through a
combination, and the next 20 through the next; `--all` gives all texts to each. Tests run a sample
(`tests/tokenization/test_calling.py`).
"""

import argparse
import collections
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers

import berthub as hub

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.support.compared_calls import differences, every_option

_DATA = Path(__file__).parent / "data"
_VOCABULARY = _DATA / "models" / "tf2_v4" / "assets" / "vocab.txt"
_WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "the",
    "lazy",
    "dog",
    ",",
    "it",
    "was",
    "[MASK]",
    "not",
    "don't",
    "São",
    "日本語",
    "ﬃ",
]
_BATCH = 20


def main() -> None:
    """Count the calls that are equal, and show what is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--all", action="store_true")
    chosen = parser.parse_args()
    ours = hub.Tokenizer(_VOCABULARY, tokenization="transformers", max_length=64)
    theirs = transformers.BertTokenizer(str(_VOCABULARY), model_max_length=64)
    texts = _texts(chosen.texts)
    size = len(texts) if chosen.all else _BATCH
    counts: collections.Counter[str] = collections.Counter()
    for number, options in enumerate(every_option()):
        begin = number * size % len(texts)
        for text, pair, more in _forms((texts + texts)[begin : begin + size]):
            wrong = differences(ours, theirs, text, pair, {**options, **more})
            counts["different" if wrong else "equal"] += 1
            if wrong:
                print(options, more, *wrong[:5], sep="\n  ")
    print(f"{len(texts)} texts:", ", ".join(f"{count:,} calls {kind}" for kind, count in counts.items()))
    sys.exit(bool(counts["different"]))


def _texts(count: int) -> list[str]:
    """Hard texts, and plain ones of different lengths."""
    random.seed(count)
    hard = json.loads((_DATA / "tokenization" / "samples.json").read_text(encoding="utf-8"))["texts"]
    hard = [text for text in hard if not any("\ud800" <= character <= "\udfff" for character in text)]
    plain = [" ".join(random.choices(_WORDS, k=random.randint(0, 30))) for _ in range(count)]
    return [*random.sample(hard, min(len(hard), count // 2)), *plain][:count]


def _forms(texts: list[str]) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """The texts as they are called: alone, in pairs, as words, and one by itself."""
    split = {"is_split_into_words": True}
    words = [text.split(" ") for text in texts]
    yield texts, None, {}
    yield texts, texts[::-1], {}
    yield words, None, split
    yield words, words[::-1], split
    yield texts[0], texts[-1] or None, {}
    yield words[0], words[-1] or None, split


if __name__ == "__main__":
    main()
