"""The options for reading the input of a command."""

import codecs
from dataclasses import dataclass
from typing import get_args

from berthub.check import check_choice
from berthub.choices import InputFormat, Missing
from berthub.errors import InputError

__all__ = ["DELIMITERS", "LABEL_SEPARATOR", "ReadingOptions"]

LABEL_SEPARATOR = ","
"""The separator of the labels of a text in one field."""

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a pipe"}
"""What stands between the fields of most files, with its name."""

_DELIMITER_NAMES = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_COMMON = "utf-8, utf-16, utf-16-le, latin-1, cp1252, shift_jis, gb18030"


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """The options for reading the input; None for those that were not given.

    `encoding` is the name of one of Python's codecs; without a `header` the columns of CSV and TSV are numbered;
    `missing` is about rows that have no text; with `texts` the arguments of the command are texts, whatever they look
    like. `InputError` for a choice that is not known, and for a delimiter or an encoding that cannot be.
    """

    format: InputFormat | None = None
    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True
    missing: Missing | None = None
    texts: bool = False

    def __post_init__(self) -> None:
        """Check the choices, and convert delimiter and encoding to what readers take."""
        if self.format is not None:
            check_choice("format", self.format, get_args(InputFormat))
        if self.missing is not None:
            check_choice("missing", self.missing, get_args(Missing))
        if self.delimiter is not None:
            object.__setattr__(self, "delimiter", _delimiter(self.delimiter))
        if self.encoding is not None:
            object.__setattr__(self, "encoding", _codec(self.encoding))

    @property
    def codec(self) -> str:
        """The encoding of text files."""
        return self.encoding or "utf-8"

    def given(self) -> list[str]:
        """The options that were used, as they are written, but for --format and --text."""
        used = {
            "--delimiter": self.delimiter is not None,
            "--encoding": self.encoding is not None,
            "--no-header": not self.header,
            "--missing": self.missing is not None,
        }
        return [option for option, is_used in used.items() if is_used]


def _delimiter(text: str) -> str:
    delimiter = _DELIMITER_NAMES.get(text.lower(), text)
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise InputError(
            f"--delimiter {text!r} cannot be: it is one character that stands between fields, such as ';' or '|', or "
            "the word tab"
        )
    return delimiter


def _codec(name: str) -> str:
    try:
        info = codecs.lookup(name)
        # Python has codecs that make bytes of bytes.
        "\n".encode(name)
    except (LookupError, UnicodeError, ValueError):
        info = None
    if info is None or info.incrementaldecoder is None:
        raise InputError(f"--encoding {name} is not known; use a name such as {_COMMON}")
    # A byte order mark is passed over in any case.
    return "utf-8" if info.name == "utf-8-sig" else info.name
