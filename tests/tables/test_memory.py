"""Reading takes memory that does not grow with the input, however it is packed."""

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from berthub.errors import InputError
from berthub.tables import json_array, lines
from berthub.tables.columns import TextColumns
from berthub.tables.reading import reading
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.source import find_source

ROW = "the quick brown fox " * 10


def _peak(path: Path, encoding: str | None) -> int:
    tracemalloc.start()
    options = ReadingOptions(encoding=encoding)
    with reading(find_source([str(path)], options), TextColumns()) as rows:
        count = sum(len(block.texts) for block in rows.blocks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count % 10_000 == 0
    return peak


def _written(path: Path, rows: int, encoding: str | None) -> Path:
    if path.name.startswith("a.json"):
        # In lines of their own, as programs indent them.
        text = json.dumps([{"text": ROW, "n": [1, 2]}] * rows, indent=1)
    else:
        text = f"text,n\n{f'{ROW},1{chr(10)}' * rows}"
    data = text.encode(encoding or "utf-8")
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "encoding"), [("a.csv.gz", None), ("a.json.gz", None), ("a.json", None), ("a.csv", "utf-16")]
)
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, name: str, encoding: str | None) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    few.mkdir()
    many.mkdir()
    least = _peak(_written(few / name, 20_000, encoding), encoding)
    most = _peak(_written(many / name, 80_000, encoding), encoding)
    assert most < 1.3 * least + (1 << 20)
    assert most < 24 << 20


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b'text\nfox\n"' + b"owl\n" * 60_000, "the row that begins at line 3"),
        ("a.txt", b"fox\n" + b"owl " * 60_000, "the row that begins at line 2"),
        ("a.json", b'["fox",\n"' + b"owl " * 60_000, "the row that begins at line 2"),
    ],
)
def test_a_row_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, message: str
) -> None:
    for module in (lines, json_array):
        monkeypatch.setattr(module, "LONGEST_ROW", 100_000)
    monkeypatch.setattr("berthub.tables.delimited.LONGEST_ROW", 100_000)
    monkeypatch.setattr(lines, "_CHUNK", 10_000)
    (tmp_path / name).write_bytes(data)
    path = str(tmp_path / name)
    with (
        pytest.raises(InputError, match=message),
        reading(find_source([path], ReadingOptions()), TextColumns()) as rows,
    ):
        list(rows.blocks)


def test_a_huge_element_takes_linear_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in characters that the parser is given, each attempt anew."""
    given = 0
    real = json.JSONDecoder.raw_decode

    def counting(self: json.JSONDecoder, text: str, at: int = 0) -> tuple[object, int]:
        nonlocal given
        given += len(text) - at
        return real(self, text, at)

    monkeypatch.setattr(json.JSONDecoder, "raw_decode", counting)
    monkeypatch.setattr(lines, "_CHUNK", 1000)
    text = json.dumps(["a" * 1_000_000])
    (tmp_path / "a.json").write_text(text)
    with reading(find_source([str(tmp_path / "a.json")], ReadingOptions()), TextColumns()) as rows:
        assert [block.texts for block in rows.blocks] == [["a" * 1_000_000]]
    assert given < 4 * len(text)
