"""Of a text that will be truncated, the beginning that is tokenized: pieces of all of it take 100 times its memory."""

import re
from collections.abc import Callable

__all__ = ["beginning"]

# Characters that are tried first, for each token that is kept and beside them.
_PER_TOKEN, _MORE = 8, 1024
_GROWTH = 4
# Pieces behind those that are kept, which would show that a text was tokenized across the place where it ends.
_MARGIN = 32
_BLANK = re.compile(r"[ \t\r\n]")
# Chinese characters are words of their own.
_BLANK_OR_CHINESE = re.compile(r"[ \t\r\n]|(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])")


def beginning(text: str, limit: int, count: Callable[[str], int], *, chinese: bool) -> str:
    """A beginning with more than `limit` pieces, which has the same first ones as the whole text; or the text.

    `count` tells how many pieces a text has. The text ends where one word does: at a blank or, where `chinese` texts
    are split, between two Chinese characters. So only tokenizers may use this for which these are no parts of words.
    """
    size = _PER_TOKEN * limit + _MORE
    while 2 * size < len(text):
        found = (_BLANK_OR_CHINESE if chinese else _BLANK).search(text, size)
        if found is None:
            return text
        if count(text[: found.start()]) > limit + _MARGIN:
            return text[: found.start()]
        size *= _GROWTH
    return text
