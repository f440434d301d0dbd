"""Which columns hold the texts."""

from collections.abc import Sequence
from dataclasses import dataclass

from berthub.errors import InputError
from berthub.tokenization.tokenizer import Text

__all__ = ["ChosenColumns", "TextColumns", "not_a_text"]


@dataclass(frozen=True)
class ChosenColumns:
    """The column of the texts, and that of second texts where rows are pairs."""

    text: str
    pair: str | None

    @property
    def names(self) -> list[str]:
        """The one or two names."""
        return [self.text] if self.pair is None else [self.text, self.pair]

    def texts(self, first: Sequence[str], second: Sequence[str] | None) -> list[Text]:
        """The texts of rows, as pairs where there is a second column."""
        return list(first) if second is None else list(zip(first, second, strict=True))


@dataclass(frozen=True)
class TextColumns:
    """The columns that were asked for; None for what was not."""

    text: str | None = None
    pair: str | None = None

    def chosen(self, names: Sequence[str], where: str) -> ChosenColumns:
        """The columns among `names`; the text's is by default "text", or the only one there is."""
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise InputError(f"{where} has more than one column {', '.join(map(_quoted, doubled))}: rename them")
        if self.text is not None:
            text = self.text
        elif "text" in names:
            text = "text"
        elif len(names) == 1:
            text = names[0]
        else:
            raise InputError(
                f'{where} has no column "text": name the one to encode with --text-column. {_listed(names)}'
            )
        for name, option in ((text, "--text-column"), (self.pair, "--text-pair-column")):
            if name is not None and name not in names:
                raise InputError(f"{where} has no column {_quoted(name)} ({option}). {_listed(names)}")
        if text == self.pair:
            raise InputError(f"--text-pair-column is {_quoted(text)}, which is the column of the texts already")
        return ChosenColumns(text, self.pair)


def not_a_text(place: str, column: str, value: object) -> InputError:
    """The error for a row that has no string where its text should be."""
    what = "null" if value is None else f"of type {type(value).__name__}, not a string"
    return InputError(
        f"{place}: {_quoted(column)} is {what}; put a string there (an empty one is encoded, too), or leave the row out"
    )


def _quoted(name: str) -> str:
    return f'"{name}"'


def _listed(names: Sequence[str]) -> str:
    return f"Its columns: {', '.join(map(_quoted, names))}"
