"""Shorten a long text before it is tokenized and truncated: the pieces of all of it take 100 times its memory."""

import re
from collections.abc import Callable

__all__ = ["beginning"]

# How many characters are tried first: so many for each token that is kept, and so many more.
_PER_TOKEN, _MORE = 8, 1024
_GROWTH = 4
# The beginning must have so many pieces more than are kept, in case that its last word was split off wrongly.
_MARGIN = 32
_BLANK = re.compile(r"[ \t\r\n]")
# Chinese characters are words of their own.
_BLANK_OR_CHINESE = re.compile(r"[ \t\r\n]|(?<=[\u4e00-\u9fff])(?=[\u4e00-\u9fff])")


def beginning(text: str, limit: int, count: Callable[[str], int], *, chinese: bool) -> str:
    """A beginning of the text whose first `limit` pieces are those of the whole text; or the whole text.

    `count` tells how many pieces a text has. The text ends where one word does: at a blank or, where `chinese` texts
    are split, between two Chinese characters. Only tokenizers that split there may use this.
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
