"""CSV files with another delimiter than a comma, which nobody has said."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from berthub.errors import InputError
from berthub.tables.columns import TextColumns
from berthub.tables.opening import open_file
from berthub.tables.reading import reading
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.rows import RowReader
from berthub.tables.source import find_source
from berthub.tables.start import Start


def read(path: Path, column: str | None = None, **options: Any) -> tuple[list[Any], str]:
    with reading(find_source([str(path)], ReadingOptions(**options)), TextColumns(column)) as rows:
        return [text for block in rows.blocks for text in block.texts], rows.tally.described


FOUND: dict[str, tuple[bytes, list[str]]] = {
    "semicolons": (b"id;text\n1;a, b\n2;c\n", ["a, b", "c"]),
    "tabs": (b"id\ttext\r\n1\tfox\r\n", ["fox"]),
    "pipes": (b"text|id\nfox|1\n", ["fox"]),
    "no line end": (b"id;text\n1;fox", ["fox"]),
    "a byte order mark": (b"\xef\xbb\xbfid;text\n1;fox\n", ["fox"]),
    "quotes": (b'id;text\n1;"a; ""b""\nc"\n\n2;d\n', ['a; "b"\nc', "d"]),
    "a text beyond the sample": (b'id;text\n1;fox\n2;"' + b"a\n" * 99_999 + b'"\n', ["fox", "a\n" * 99_999]),
    "many rows": (b"id;text\n" + b"1;a\n" * 9_999, ["a"] * 9_999),
}
IN_DOUBT: dict[str, tuple[bytes, str | None]] = {
    "rows of other lengths": (b"id;text\n1;a; b\n", None),
    "two candidates": (b"id;a|b;text\n1;2;3\n", None),
    "no row": (b"id;text\n", None),
    "a bad quote": (b'id;text\n1;"a" b\n2;c\n', None),
    "no names": (b"1;2\n3;4\n", None),
    "equal names": (b"text;text\n3;4\n", None),
    "another column": (b"id;text\n1;a\n", "review"),
}
AS_BEFORE: dict[str, tuple[bytes, str | None, list[str]]] = {
    "the name of the only column": (b"id;text\n1;a\n", "id;text", ["1;a"]),
    "commas": (b"id,text;more\n1,a;b\n", "text;more", ["a;b"]),
    "one column": (b"text\na;b\n", None, ["a;b"]),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", FOUND)
def test_beyond_doubt(tmp_path: Path, name: str, packed: bool) -> None:
    data, expected = FOUND[name]
    if packed:
        # Where packed data end is not known before they are read.
        data = data.removesuffix(b"\n") + b"\n"
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    texts, said = read(path)
    assert texts == expected
    assert said.startswith(f"{path} read with a ")
    assert said.endswith(" between fields, as the header shows")


@pytest.mark.parametrize("name", IN_DOUBT)
def test_in_doubt(tmp_path: Path, name: str) -> None:
    data, column = IN_DOUBT[name]
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(InputError):
        read(tmp_path / "a.csv", column)


@pytest.mark.parametrize("name", AS_BEFORE)
def test_what_was_read_is_read_the_same(tmp_path: Path, name: str) -> None:
    data, column, expected = AS_BEFORE[name]
    (tmp_path / "a.csv").write_bytes(data)
    assert read(tmp_path / "a.csv", column) == (expected, "")


def test_said_by_the_command(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id;text\n1;a, b\n")
    result = cli("encode", "a.csv", "-o", "b.csv")
    assert result.exit_code == 0
    assert "a.csv read with a semicolon between fields, as the header shows" in " ".join(result.stderr.split())
    assert (tmp_path / "b.csv").read_text().startswith("id,text,")


def test_standard_input(cli: Any) -> None:
    assert cli("encode", "-", "-f", "csv", "-o", "-", "-q", stdin=b"id;text\n1;a, b\n").stdout.startswith('{"id":"1"')


def test_rows_from_any_place(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id;text\n1;one\n2;two\n3;three\n")
    for first, expected in enumerate(["one", "two", "three"]):
        with open_file(path, "a") as opened:
            reader = RowReader(opened=opened, read_as="csv", options=ReadingOptions(), columns=TextColumns())
            assert [block.texts for block in reader.blocks(Start(first), 1)] == [[expected]]
