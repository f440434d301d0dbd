"""Counts where berthub's pieces are not those of the references (`references.py`, which says what it needs).

    python -m tests.support.compare_references random 100000      # that many texts of `hard_texts.py`
    python -m tests.support.compare_references characters         # every character, in several contexts

prints the first differences, and how many there are.
"""

import itertools
import random
import sys
from collections.abc import Iterator

from tests.support import hard_texts, references

from berthub.choices import TOKENIZATIONS
from berthub.tokenization.tokenizer import Tokenizer

_BATCH = 10_000
_SHOWN = 5


def main(what: str, count: str = "0", seed: str = "0") -> None:
    """Compare, and exit with 1 where anything differs."""
    texts = _all_characters() if what == "characters" else _random_texts(int(count), random.Random(int(seed)))
    totals = dict.fromkeys(itertools.product(TOKENIZATIONS, (True, False)), 0)
    compared = 0
    for batch in iter(lambda: list(itertools.islice(texts, _BATCH)), []):
        compared += len(batch)
        pieces = references.vocabulary_of(references.alphabet_of(batch))
        for reference, lower_case in totals:
            wrong = _differences(batch, pieces, reference, lower_case=lower_case)
            for shown in wrong[: max(0, _SHOWN - totals[reference, lower_case])]:
                print(reference, lower_case, *shown)
            totals[reference, lower_case] += len(wrong)
        if not compared % (10 * _BATCH):
            print(f"{compared:,} texts", *totals.values(), flush=True)
    for (reference, lower_case), number in totals.items():
        print(f"{reference}, {'uncased' if lower_case else 'cased'}: {number:,} of {compared:,} texts differ")
    sys.exit(any(totals.values()))


def _differences(texts: list[str], pieces: list[str], reference: str, *, lower_case: bool) -> list[tuple[str, ...]]:
    theirs = getattr(references, reference)(pieces, lower_case=lower_case)(texts)
    tokenizer = Tokenizer(pieces, lower_case=lower_case, tokenization=reference)
    segments = tokenizer.segments(texts)
    flat = iter(tokenizer.convert_ids_to_tokens(segments.ids.tolist()))
    ours = [list(itertools.islice(flat, length)) for length in segments.lengths.tolist()]
    return [
        (ascii(text), ascii(own), ascii(other))
        for text, own, other in zip(texts, ours, theirs, strict=True)
        if own != other
    ]


def _all_characters() -> Iterator[str]:
    for context in hard_texts.CONTEXTS:
        for character in hard_texts.characters():
            yield context.replace("{}", character)


def _random_texts(count: int, source: random.Random) -> Iterator[str]:
    return (hard_texts.hard_text(source) for _ in range(count))


if __name__ == "__main__":
    main(*sys.argv[1:])
