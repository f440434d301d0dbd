"""Writes the tables of `berthub/tokenization/unicode_table.py`: run by a Python whose Unicode is the pinned version.

    python tests/support/make_unicode_table.py

prints them. The last one holds where the installed tokenizers library differs from Google's code.
"""

import sys
import textwrap
import unicodedata
from collections.abc import Callable

from tokenizers import normalizers, pre_tokenizers

from berthub.tokenization.google import BasicTokenizer
from berthub.tokenization.unicode_table import VERSION

_KINDS: dict[str, Callable[[str], bool]] = {
    "CONTROL": lambda category: category in ("Cc", "Cf"),
    "SPACE": lambda category: category == "Zs",
    "PUNCTUATION": lambda category: category.startswith("P"),
    "MARK": lambda category: category == "Mn",
    "UNASSIGNED": lambda category: category == "Cn",
}


def main() -> None:
    """Print the tables."""
    if unicodedata.unidata_version != VERSION:
        sys.exit(f"this Python has Unicode {unicodedata.unidata_version}; the tables are of {VERSION}")
    categories = [unicodedata.category(chr(code)) for code in range(sys.maxunicode + 1)]
    for name, belongs in _KINDS.items():
        _print(name, [belongs(category) for category in categories])
    staying = [category != "Mn" and bool(unicodedata.combining(chr(code))) for code, category in enumerate(categories)]
    _print("STAYING", staying)
    ours = [BasicTokenizer(lower_case=lower, strip_accents=lower, split_chinese=True) for lower in (True, False)]
    theirs = [_library(lower_case=lower) for lower in (True, False)]

    def differs(code: int) -> bool:
        # Combining characters that are kept change places in the decomposition: by the order of a later Unicode, too.
        if categories[code] in ("Cs", "Cn", "Co") or code > 0xFFFF:
            return False
        if staying[code]:
            return True
        text = f"a{chr(code)}b {chr(code)}"
        pairs = zip(ours, theirs, strict=True)
        return any([word.text for word in our.words(text)] != their(text) for our, their in pairs)

    _print("UNLIKE_LIBRARY", [differs(code) for code in range(sys.maxunicode + 1)])


def _library(*, lower_case: bool) -> Callable[[str], list[str]]:
    normalizer = normalizers.BertNormalizer(lowercase=lower_case)
    cut = pre_tokenizers.BertPreTokenizer()
    return lambda text: [word for word, _ in cut.pre_tokenize_str(normalizer.normalize_str(text))]


def _print(name: str, chosen: list[bool]) -> None:
    words, first = [], None
    for code, inside in enumerate([*chosen, False]):
        if inside and first is None:
            first = code
        elif not inside and first is not None:
            words.append(f"{first:x}" if first == code - 1 else f"{first:x}-{code - 1:x}")
            first = None
    print(f'{name} = ranges_of("""', *textwrap.wrap(" ".join(words), 118), '""")\n', sep="\n")


if __name__ == "__main__":
    main()
