"""Find the columns of the texts, and of the labels where those are wanted."""

import collections
from collections.abc import Sequence
from dataclasses import dataclass

from berthub.errors import InputError
from berthub.tokenization.tokenizer import Text

__all__ = ["ChosenColumns", "TextColumns", "no_such_value", "not_a_text"]

_WORDS = ("words", "tokens")
_PAIR = ("text_a", "text_b")
_LABELS = ("labels", "target", "score", "tags")
# How many columns of a file messages show.
_SHOWN = 20


@dataclass(frozen=True)
class ChosenColumns:
    """The column of the texts, that of second texts where rows are pairs, and that of labels where it was asked for.

    With `words`, a row is a list of words, or a text that is split at white space.
    """

    text: str
    pair: str | None
    label: str | None = None
    words: bool = False

    @property
    def names(self) -> list[str]:
        """The one or two names of the columns of texts."""
        return [self.text] if self.pair is None else [self.text, self.pair]

    def accepts(self, value: object) -> bool:
        """Whether a row may have this as its text."""
        if self.words and isinstance(value, list):
            return all(isinstance(word, str) for word in value)
        return isinstance(value, str)

    def texts(self, first: Sequence[str | list[str]], second: Sequence[str | list[str]] | None) -> list[Text]:
        """The texts of rows, as pairs where there is a second column."""
        if self.words:
            return [value.split() if isinstance(value, str) else value for value in first]
        # Mypy cannot know what `accepts` has seen to.
        return list(first) if second is None else list(zip(first, second, strict=True))  # type: ignore[arg-type]


@dataclass(frozen=True)
class TextColumns:
    """The columns that options name; None for those that were not given.

    `words` asks for lists of words in place of texts; `labelled` for a column of labels, which `label` may name.
    """

    text: str | None = None
    pair: str | None = None
    label: str | None = None
    words: bool = False
    labelled: bool = False

    def chosen(self, names: Sequence[str], where: str) -> ChosenColumns:
        """The columns among `names`; `InputError` where they are not there, or it is not clear which are meant.

        By default the text's is "text" (for words "words", "tokens" or "text"), or else text_a and text_b are pairs,
        or it is the only one beside the labels. That of labels is "label", or the only one of labels, target, score
        and tags.
        """
        doubled = sorted(name for name, count in collections.Counter(names).items() if count > 1)
        if doubled:
            shown = ", ".join(map(_quoted, doubled[:_SHOWN])) + (", ..." if len(doubled) > _SHOWN else "")
            raise InputError(f"{where} has more than one column {shown}: rename them")
        label = self._label(names, where) if self.labelled else None
        text, pair = self._texts(names, label, where)
        for name, option in ((text, "--text-column"), (pair, "--text-pair-column"), (label, "--label-column")):
            if name is not None and name not in names:
                raise InputError(f"{where} has no column {_quoted(name)} ({option}). {_listed(names)}")
        if text == pair:
            raise InputError(f"--text-pair-column is {_quoted(text)}, which is the column of the texts already")
        if label is not None and label in (text, pair):
            raise InputError(f"the column {_quoted(label)} cannot hold both texts and labels: name another")
        return ChosenColumns(text, pair, label, self.words)

    def _texts(self, names: Sequence[str], label: str | None, where: str) -> tuple[str, str | None]:
        if self.text is not None:
            return self.text, self.pair
        usual = (*_WORDS, "text") if self.words else ("text",)
        found = next((name for name in usual if name in names), None)
        if found is not None:
            return found, self.pair
        if self.pair is None and not self.words and set(_PAIR) <= set(names):
            return _PAIR
        others = [name for name in names if name != label]
        if len(others) == 1:
            return others[0], self.pair
        raise InputError(
            f"{where} has no column {' or '.join(map(_quoted, usual))}: name the one to encode with --text-column. "
            f"{_listed(names)}"
        )

    def _label(self, names: Sequence[str], where: str) -> str:
        if self.label is not None:
            return self.label
        if "label" in names:
            return "label"
        found = [name for name in _LABELS if name in names]
        if len(found) == 1:
            return found[0]
        more = f", and {' and '.join(map(_quoted, found))} may each be the one" if found else ""
        raise InputError(
            f'{where} has no column "label"{more}: name the column of labels with --label-column. {_listed(names)}'
        )


def not_a_text(place: str, column: str, value: object, *, words: bool = False) -> InputError:
    """The error for a row that has no string where its text should be, or with `words` no list of strings."""
    if isinstance(value, list) and words:
        what = "a list of more than words"
    else:
        what = "null" if value is None else f"of type {type(value).__name__}, not a string"
    wanted = "a list of words or a string" if words else "a string"
    return InputError(
        f"{place}: {_quoted(column)} is {what}; put {wanted} there (an empty one is fine, too), or leave the row out"
    )


def no_such_value(place: str, column: str) -> InputError:
    """The error for a row that lacks a column which others have."""
    return InputError(f"{place}: the row has no {_quoted(column)}; give it one, or leave the row out")


def _quoted(name: str) -> str:
    return f'"{name}"'


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"Its columns: {', '.join(map(_quoted, names[:_SHOWN]))}{more}"
