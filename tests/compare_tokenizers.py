"""Compare tokenizers of every kind with transformers' on many texts: `python tests/compare_tokenizers.py [texts]`.

The tests run a sample (tests/formats/huggingface/test_pipelines.py).
"""

import json
import sys
import tempfile
from pathlib import Path

import transformers

from berthub.formats.huggingface.tokenizer import read_tokenization
from berthub.formats.settings import Settings
from berthub.tokenization.decoding import decoded
from berthub.tokenization.tokenizer import Tokenizer
from support.pipelines import KINDS, texts, write_tokenizer


def _differences(kind: str, folder: Path, count: int) -> dict[str, int]:
    model_type = write_tokenizer(kind, folder)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    vocabulary = read_tokenization(folder, Settings(), model_type=model_type)
    ours = Tokenizer(vocabulary, tokenization="transformers")
    singles = texts(count)
    first, second = singles, singles[::-1]
    pairs = [*zip(first, second, strict=True)]
    found = {
        "texts": sum(ours(text)["input_ids"] != theirs(text)["input_ids"] for text in singles),
        "pairs": _unequal(ours(pairs)["input_ids"], theirs(first, second)["input_ids"]),
    }
    for length in (8, 9):
        truncated = {"truncation": True, "max_length": length}
        expected = theirs(first, second, **truncated)["input_ids"]
        found[f"pairs of up to {length}"] = _unequal(ours(pairs, **truncated)["input_ids"], expected)
    ids = theirs(singles)["input_ids"]
    found["decoded"] = sum(
        decoded(row, ours, skip_special=skip) != theirs.decode(row, skip_special_tokens=skip)
        for row in ids
        for skip in (True, False)
    )
    return found


def _unequal(ours: list[list[int]], theirs: list[list[int]]) -> int:
    return sum(left != right for left, right in zip(ours, theirs, strict=True))


def main() -> int:
    """Print the differences of each kind of tokenizer; the exit status says whether there are any."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    transformers.logging.set_verbosity_error()
    total = 0
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            found = _differences(kind, Path(folder), count)
        total += sum(found.values())
        print(f"{kind}: {count:,} texts;", ", ".join(f"{name} {number}" for name, number in found.items()))
    return min(1, total)


if __name__ == "__main__":
    raise SystemExit(main())
