"""Makes tests/data/tokenization/samples.json: hard texts, and the pieces that the two references cut them into.

    python -m tests.support.make_tokenization_samples       # from the repository's root

It needs what `references.py` names (made with tf-models-official's tokenization.py of 2025, tensorflow-text 2.21.1 on
tensorflow 2.21.0, and Python 3.11). `alphabet` makes the vocabulary (`vocabulary_of`), and `answers` has for each text
the pieces by `google` uncased, by `google` cased, by `tf_text` uncased and by `tf_text` cased, between blanks; 0 means:
as the one ahead.
"""

import json
import random
from pathlib import Path

from tests.support import hard_texts, references

SAMPLES = Path(__file__).parent.parent / "data" / "tokenization" / "samples.json"
_COUNT = 2500
_SEED = 2018


def main() -> None:
    """Make the file anew."""
    source = random.Random(_SEED)
    texts = [hard_texts.hard_text(source) for _ in range(_COUNT)]
    alphabet = references.alphabet_of(texts)
    pieces = references.vocabulary_of(alphabet)
    columns = [
        reference(pieces, lower_case=lower_case)(texts)
        for reference in (references.google, references.tf_text)
        for lower_case in (True, False)
    ]
    answers = []
    for row in zip(*columns, strict=True):
        joined = [" ".join(cut) for cut in row]
        answers.append([0 if i and cut == joined[i - 1] else cut for i, cut in enumerate(joined)])
    SAMPLES.parent.mkdir(exist_ok=True)
    content = json.dumps(
        {"alphabet": alphabet, "texts": texts, "answers": answers}, ensure_ascii=False, separators=(",", ":")
    )
    SAMPLES.write_text(content + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
