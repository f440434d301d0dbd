"""What all pictures need: figures, arguments that are checked, and texts that can be drawn."""

import functools
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from berthub.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawn", "Floats", "checked", "new_figure"]

Floats = npt.NDArray[np.floating[Any]]

_DPI = 110
# Fonts of the usual systems, tried in their order for the characters that the first does not have.
_FAMILY = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "PingFang SC",
    "Hiragino Sans",
    "Arial Unicode MS",
    "Microsoft YaHei",
    "Malgun Gothic",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Segoe UI",
)
# For a character that no font has.
_MISSING = "□"


def new_figure(*, width: float, height: float) -> "Figure":
    """An empty figure, in inches; `MissingDependencyError` without matplotlib."""
    try:
        from berthub.plot.picture import Picture
    except ImportError as error:
        raise MissingDependencyError(
            "pictures need matplotlib, which is not installed: pip install 'berthub[plot]'"
        ) from error
    return Picture(figsize=(width, height), dpi=_DPI, layout="compressed")


def checked(texts: Iterable[Any], vectors: Any, *, most: int) -> tuple[list[Any], Floats]:
    """The texts as a list, and their vectors as an array [n, width]; `InputError` for what does not fit."""
    listed = [texts] if isinstance(texts, str) else list(texts)
    try:
        array = np.asarray(vectors, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"the vectors are no array of numbers: {error}") from error
    if array.ndim != 2 or len(array) != len(listed):
        raise InputError(
            f"there are {len(listed):,} texts and vectors of shape {array.shape}: give one vector for each text, an "
            "array [texts, width] as `embed` returns it"
        )
    if not len(listed):
        raise InputError("there are no texts, and there is nothing to draw")
    if len(listed) > most:
        raise InputError(
            f"there are {len(listed):,} texts, and this picture is legible, and quick to draw, with at most {most:,}: "
            f"draw a sample, such as texts[::{-(-len(listed) // most)}] with vectors[::{-(-len(listed) // most)}]"
        )
    if not np.isfinite(array).all():
        raise InputError("some vectors hold numbers that are not finite (inf or nan), which have no place in a picture")
    return listed, array


class Drawn:
    """How texts are drawn: by which fonts, and without formulas between dollar signs."""

    def __init__(self) -> None:
        self._paths = _fonts()

    @property
    def options(self) -> dict[str, Any]:
        """Options for matplotlib's texts."""
        return {"parse_math": False, "fontfamily": [name for name, _ in self._paths]}

    def name(self, text: Any, most: int) -> str:
        """A text, or a pair, in at most `most` characters that the fonts have."""
        joined = text if isinstance(text, str) else " / ".join(map(str, text)) if isinstance(text, tuple) else str(text)
        line = " ".join(joined[: 4 * most].split())
        if len(line) > most or len(joined) > 4 * most:
            line = line[: most - 1] + "…"
        return "".join(each if self._has(each) else _MISSING for each in line)

    def _has(self, character: str) -> bool:
        # A lone surrogate and control characters have no glyph; marks that join or direct letters need none.
        if unicodedata.category(character) == "Cf":
            return False
        return any(_has_glyph(path, character) for _, path in self._paths)


@functools.cache
def _fonts() -> tuple[tuple[str, str], ...]:
    """The families that are installed, with their files."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return tuple((name, str(font_manager.findfont(name))) for name in _FAMILY if name in installed)


@functools.lru_cache(maxsize=65536)
def _has_glyph(path: str, character: str) -> bool:
    from matplotlib import font_manager

    return bool(font_manager.get_font(path).get_char_index(ord(character)))
