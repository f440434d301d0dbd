"""Input as people have it: what it becomes, or the message that says what to do. No model is needed for that."""

import gzip
import io
import itertools
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from berthub.errors import InputError
from berthub.tables.columns import TextColumns
from berthub.tables.reading import reading
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.source import find_source

CSV, TSV, TEXT, JSON = "csv", "tsv", "text", "json"


def _texts(*inputs: str, column: str | None = None, pair: str | None = None, **options: Any) -> list[Any]:
    with reading(find_source(inputs, ReadingOptions(**options)), TextColumns(column, pair)) as rows:
        return [text for block in rows.blocks for text in block.texts]


def _parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


LONG = "A film that I would see again; and again."
READ: dict[str, tuple[str, bytes, dict[str, Any], list[Any]]] = {
    "a comma CSV": ("a.csv", b"text,n\nfox,1\n", {}, ["fox"]),
    "semicolons in the only column's texts": ("a.csv", b"text\nred; blue\nfox; owl\n", {}, ["red; blue", "fox; owl"]),
    "a semicolon CSV, said": ("a.csv", b"id;text\n1;a, b\n", {"delimiter": ";"}, ["a, b"]),
    "a pipe CSV, said": ("a.csv", b"id|text\n1|a, b\n", {"delimiter": "pipe"}, ["a, b"]),
    "a tab CSV with quotes, said": ("a.csv", b'id\ttext\n1\t"a\tb"\n', {"delimiter": "tab"}, ["a\tb"]),
    "a TSV with another delimiter": ("a.tsv", b'id;text\n1;"a\n', {"delimiter": ";"}, ['"a']),
    "a column named with a semicolon": ("a.csv", b"q;a\nfox\n", {"column": "q;a"}, ["fox"]),
    "a column named by a sentence": ("a.csv", b"What did you like?\nfox\n", {"column": "What did you like?"}, ["fox"]),
    "a column named by words": ("a.csv", b"Customer feedback\nfox\n", {}, ["fox"]),
    "no header": ("a.csv", b"A fine film.\nfox\n", {"header": False}, ["A fine film.", "fox"]),
    "no header, columns": ("a.csv", b"1,fox\n2,owl\n", {"header": False, "column": "column_2"}, ["fox", "owl"]),
    "no header, TSV": ("a.tsv", b"1\tfox\n", {"header": False, "column": "column_2"}, ["fox"]),
    "gzip": ("a.csv.gz", gzip.compress(b"text\nfox\n"), {}, ["fox"]),
    "gzip, JSON lines": ("a.jsonl.gz", gzip.compress(b'{"text": "fox"}\n'), {}, ["fox"]),
    "gzip, lines": ("a.txt.gz", gzip.compress(b"fox\nowl"), {}, ["fox", "owl"]),
    "gzip in two members": ("a.txt.gz", gzip.compress(b"fox\n") + gzip.compress(b"owl\n"), {}, ["fox", "owl"]),
    "gzip that its name hides": ("a.txt", gzip.compress(b"fox\n"), {}, ["fox"]),
    "a byte order mark": ("a.csv", b"\xef\xbb\xbftext\nfox\n", {}, ["fox"]),
    "utf-8-sig, said": ("a.csv", b"\xef\xbb\xbftext\nfox\n", {"encoding": "utf-8-sig"}, ["fox"]),
    "UTF-16, said": ("a.csv", "text\n\xe3 \U0001f98a\n".encode("utf-16"), {"encoding": "utf-16"}, ["\xe3 \U0001f98a"]),
    "UTF-16 without a mark": ("a.txt", "fox\nowl".encode("utf-16-be"), {"encoding": "utf-16-be"}, ["fox", "owl"]),
    "Latin-1, said": ("a.txt", b"S\xe3o\n", {"encoding": "latin-1"}, ["S\u00e3o"]),
    "cp1252, said": ("a.txt", b"5 \x80\n", {"encoding": "cp1252"}, ["5 \u20ac"]),
    "UTF-16 JSON": ("a.json", '["S\u00e3o"]'.encode("utf-16"), {"encoding": "utf-16"}, ["S\u00e3o"]),
    "a JSON array of strings": ("a.json", b' [\n"fox",\n"a \\"b\\" [1]"]\n', {}, ["fox", 'a "b" [1]']),
    "a JSON array of objects": ("a.json", b'[{"text": "fox", "n": [1, {}]}, {"text": "owl"}]', {}, ["fox", "owl"]),
    "an empty JSON array": ("a.json", b"[ ]", {}, []),
    "JSON lines called .json": ("a.json", b'\n{"text": "fox"}\n{"text": "owl"}\n', {}, ["fox", "owl"]),
    "a null, by default": ("a.parquet", _parquet(text=["fox", None, ""]), {}, ["fox", "", ""]),
    "a null in JSON": ("a.jsonl", b'{"text": null}\n{"text": ""}\n', {}, ["", ""]),
    "an empty field": ("a.csv", b"text,n\n,1\nfox,2\n", {}, ["", "fox"]),
    "nulls left out": ("a.parquet", _parquet(text=["fox", None, ""]), {"missing": "skip"}, ["fox"]),
    "empty fields left out": ("a.csv", b"text,n\n,1\nfox,2\n", {"missing": "skip"}, ["fox"]),
    "a key that is not there": ("a.jsonl", b'{"text": "a"}\n{"n": 1}\n', {"missing": "empty"}, ["a", ""]),
    "half a pair": ("a.csv", b"text_a,text_b\nfox,\n,owl\nx,y\n", {"missing": "skip"}, [("x", "y")]),
    "blank lines are texts": ("a.txt", b"fox\n\nowl\n", {}, ["fox", "", "owl"]),
    "blank lines, left out": ("a.txt", b"fox\n\nowl\n", {"missing": "skip"}, ["fox", "owl"]),
    "prose with commas": ("a.txt", b"Yes, sir\nNo, sir\nWell, sir\n", {}, ["Yes, sir", "No, sir", "Well, sir"]),
    "prose with semicolons": ("a.txt", f"{LONG}\n{LONG}\n".encode(), {}, [LONG, LONG]),
    "special pieces at the beginning": ("a.txt", b"[CLS] fox\n[SEP]\n", {}, ["[CLS] fox", "[SEP]"]),
    "a table as texts, said": ("a.txt", b"id,name\n1,fox\n", {"format": TEXT}, ["id,name", "1,fox"]),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    name, data, options, texts = READ[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(data)
    assert _texts(name, **options) == texts


SEMICOLONS = b"id;text;note\n1;A fine film, really;x\n2;fox;y\n"
REFUSED: dict[str, tuple[str, bytes, dict[str, Any], str]] = {
    "a semicolon CSV": ("a.csv", SEMICOLONS + b"3\n", {}, "its header holds a semicolon: .* Say --delimiter ';'"),
    "a tab CSV": ("a.csv", b"id\ttext\n1\tfox\towl\n", {}, "its header holds a tab: .* Say --delimiter tab"),
    "a pipe CSV": ("a.csv", b"id|text\nfox\n", {}, r"Say --delimiter '\|'"),
    "a comma TSV": ("a.tsv", b"id,text\n1,fox\n", {}, "Say --delimiter ','"),
    "the wrong delimiter": ("a.csv", b"id,text\n1,fox\n", {"delimiter": ";"}, "Say --delimiter ','"),
    "a delimiter of two": ("a.csv", b"text\n", {"delimiter": ";;"}, "one character"),
    "a quote as a delimiter": ("a.csv", b"text\n", {"delimiter": '"'}, "one character"),
    "no header": ("a.csv", b"A fine film.\nA bad one.\n", {}, "looks like a text: .* say --no-header"),
    "no header, three words": ("a.csv", b"Hello there friend\nBye now\n", {}, "say --no-header"),
    "no header, many words": ("a.csv", b"one two three four five six seven\nfox\n", {}, "say --no-header"),
    "no header, columns": ("a.csv", b"1,A fine film\n2,fox\n", {}, "looks like a row: .* say --no-header"),
    "no header in JSON": ("a.jsonl", b'{"text": ""}\n', {"header": False}, "--no-header is for CSV and TSV"),
    "a delimiter in Parquet": ("a.parquet", b"", {"delimiter": ";"}, "--delimiter is for CSV and TSV"),
    "an encoding in Parquet": ("a.parquet", b"", {"encoding": "latin-1"}, "--encoding is for files of text"),
    "an encoding that is none": ("a.txt", b"", {"encoding": "utf-9"}, "--encoding utf-9 is not known"),
    "an encoding of bytes": ("a.txt", b"", {"encoding": "base64"}, "--encoding base64 is not known"),
    "Latin-1": ("a.txt", b"fox\nS\xe3o\n", {}, "line 2, byte 2 of the line .* 0xe3; .* --encoding cp1252"),
    "UTF-16": ("a.csv", "text\nfox\n".encode("utf-16"), {}, "use --encoding utf-16"),
    "UTF-16 without a mark": ("a.txt", "text\nfox\n".encode("utf-16-le"), {}, "holds a NUL .*--encoding utf-16-le"),
    "UTF-8 as UTF-16": ("a.txt", b"fox", {"encoding": "utf-16"}, "a.txt is not utf-16: .*utf-16-le"),
    "half a character": ("a.json", b'["S\xc3', {}, "a.json is not UTF-8: line 1, offset 3"),
    "a CSV as text": ("a.txt", b'id,text\n1,"a, b"\n2,fox\n', {}, "looks like a table with a comma .* --format csv"),
    "a semicolon CSV as text": ("a.txt", SEMICOLONS, {}, "--format csv --delimiter ';'"),
    "a TSV as text": ("a.txt", b"1\tfox\n2\towl\n3\tcat\n", {}, "--format tsv"),
    "a header as a text": ("a.txt", b"text\nfox\nowl\n", {}, "CSV with a header"),
    "JSON lines as text": ("a.txt", b'{"text": "fox"}\n', {}, "looks like JSON lines: .* --format jsonl"),
    "JSON as text": ("a.txt", b'[\n"fox"\n]', {}, "looks like JSON: .* --format json"),
    "Parquet as text": ("a.txt", b"PAR1\n", {}, "looks like Parquet"),
    "gzip cut off": ("a.txt.gz", gzip.compress(b"fox\n" * 99)[:-9], {}, "is cut off: the gzip data end too early"),
    "gzip damaged": ("a.txt.gz", gzip.compress(b"fox\n")[:-8] + bytes(8), {}, "is damaged: CRC check failed"),
    "no gzip": ("a.csv.gz", b"text\nfox\n", {}, "is no gzip file, which its name says"),
    "Parquet in gzip": ("a.parquet.gz", gzip.compress(b"PAR1"), {}, "has to be unpacked"),
    "a torn JSON line": ("a.jsonl", b'{"text": "fox"}\n{"text": "o', {}, "line 2: no valid JSON.* have been cut off"),
    "a torn JSON array": ("a.json", b'[{"text": "fox"},\n{"text": "o', {}, "line 2: row 2 is no valid JSON.*cut off"),
    "a JSON array without its end": ("a.json", b'["fox", "owl"', {}, "the end of the file; .* may have been cut off"),
    "more behind a JSON array": ("a.json", b'["fox"] x', {}, "more after the end of the array"),
    "a fault early in a JSON array": ("a.json", b'["fox", nul, "owl"' + b' "x"' * 99, {}, "row 2 is no valid JSON"),
    "numbers in a JSON array": ("a.json", b'["fox", 1]', {}, r"row 2 \(line 1\) is of type int"),
    "a number for JSON": ("a.json", b"1", {}, "holds no JSON array"),
    "columns in JSON": ("a.json", b'{"data": [{"text": "fox"}]}', {}, 'row 1 .line 1.: "data" is of type list'),
    "deep JSON": ("a.json", b"[" * 100_000, {}, "nested too deeply"),
    "an open quote": ("a.csv", b'text\nfox\n"owl\ncat\n', {}, "line 3: this row is no valid CSV"),
    "a null, refused": ("a.parquet", _parquet(text=["a", None]), {"missing": "error"}, "row 2: the row has"),
    "an empty field, refused": ("a.csv", b"text,n\na,1\n,2\n", {"missing": "error"}, "3.: the row has no text"),
    "a key that is not there": ("a.jsonl", b'{"text": "a"}\n{"n": 1}\n', {}, 'row 2 .line 2.: the row has no "text"'),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    name, data, options, message = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        _texts(name, **options)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["./missing/reviews"], "file not found: ./missing/reviews .*--text"),
        (["../reviews"], "file not found"),
        (["~/reviews"], "file not found"),
        (["data/reviews"], "file not found"),
        (["reviews.csv"], "file not found"),
        (["reviews.csv.gz"], "file not found"),
        (["*.csv"], r"no file matches \*.csv .*--text"),
        (["none/*"], r"no file matches none/\*"),
        (["fox", "./missing"], '"./missing" is a file and "fox" is none'),
        (["empty"], 'the folder "empty" holds no files'),
        (["mixed"], r"holds mixed/b.xml, which is of no format that is read"),
        (["data/a.txt", "data"], "data/a.txt is named twice"),
    ],
)
def test_names_that_are_no_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, files in {"data": ["a.txt"], "empty": [".hidden"], "mixed": ["a.txt", "b.xml"]}.items():
        (tmp_path / folder).mkdir()
        for name in files:
            (tmp_path / folder / name).write_text("fox\n")
    with pytest.raises(InputError, match=message):
        _texts(*inputs)
    assert _texts(*inputs, texts=True) == inputs


@pytest.mark.parametrize("text", ["and/or", "24/7", "https://example.org/a", "Is it?", "a [b] c", "3.5", "end.", "..."])
def test_texts_that_look_a_little_like_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert _texts(text) == [text]
    assert _texts(text, "and another") == [text, "and another"]


def test_options_for_files_are_refused_beside_texts() -> None:
    with pytest.raises(InputError, match="--missing is for files"):
        _texts("fox", missing="skip")
    with pytest.raises(InputError, match="--format is for files"):
        _texts("fox", format=CSV, texts=True)


def test_folders_and_patterns_are_read_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "more").mkdir(parents=True)
    (tmp_path / "data" / "b.csv").write_text("text\nb\n")
    (tmp_path / "data" / "a.csv.gz").write_bytes(gzip.compress(b"text\na\n"))
    (tmp_path / "data" / "more" / "c.tsv").write_text("text\nc\n")
    pq.write_table(pa.table({"text": ["d"]}), "data/more/d.parquet")
    (tmp_path / "data" / "_SUCCESS").write_text("")
    (tmp_path / "data" / ".b.csv.part").write_text("no")
    assert _texts("data") == ["a", "b", "c", "d"]
    assert _texts("data/more", "data/b.csv") == ["c", "d", "b"]
    assert _texts("data/*.csv*") == ["a", "b"]
    assert _texts(f"{tmp_path}/**/*.tsv") == ["c"]
    (tmp_path / "data" / "z.csv").write_text("text,n\nz,1\n")
    with pytest.raises(
        InputError, match=r'data/z.csv has other columns than data/b.csv: "n" \(string\) where .* no more'
    ):
        _texts("data/b.csv", "data/z.csv")
    (tmp_path / "data" / "y.csv").write_text('text\nfox\n"y\n')
    with pytest.raises(InputError, match=r"data/y.csv, line 3"):
        _texts("data/b.csv", "data/y.csv")
    (tmp_path / "data" / "x.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(InputError, match="hold tables and JSON objects"):
        _texts("data/b.csv", "data/x.jsonl")


def test_the_progress_of_files_adds_up_to_their_sizes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("fox\n" * 5000)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"owl\n" * 5000))
    pq.write_table(pa.table({"text": ["cat"] * 5000}), tmp_path / "c.parquet")
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    with reading(find_source([str(tmp_path)], ReadingOptions()), TextColumns()) as rows:
        places = [(block.begin, block.end) for block in rows.blocks]
    assert rows.total == size
    assert places[0][0] == 0
    assert places[-1][1] == size
    assert all(begin == end for (_, end), (begin, _) in itertools.pairwise(places))


def test_rows_that_are_left_out_keep_numbers_columns_and_labels(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "a,1\n" * 3000 + ",2\nb,3\n")
    options = ReadingOptions(missing="skip")
    with reading(find_source([str(tmp_path / "a.csv")], options), TextColumns(labelled=True)) as rows:
        *_, last = rows.blocks
    assert last.labels is not None
    assert (last.texts[-1], last.labels[-1]) == ("b", "3")
    assert last.carried.column_names == ["text", "label"]
    assert last.place(len(last.texts) - 1).endswith("row 3002 (line 3003)")
    assert rows.tally.described == "1 row had no text and was left out"


@pytest.mark.parametrize("change", ["shorter", "longer"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.json"])
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, change: str, name: str) -> None:
    row = {"txt": "fox\n", "csv": "fox\n", "jsonl": '{"text": "fox"}\n', "json": '{"text": "fox"},\n'}[name[2:]]
    path = tmp_path / name
    start = {"a.csv": "text\n", "a.json": "["}.get(name, "")
    path.write_text(start + row * 100_000 + ('"fox"]' if name == "a.json" else ""))
    with reading(find_source([str(path)], ReadingOptions()), TextColumns()) as rows:
        next(rows.blocks)
        with path.open("r+") as file:
            if change == "shorter":
                # At the end of a row: nothing else tells.
                file.truncate(len(start) + len(row) * 90_000)
            else:
                file.seek(0, 2)
                file.write(row if name != "a.json" else " ")
        with pytest.raises(InputError, match=r"was changed while it was read|may have been cut off"):
            list(rows.blocks)


def test_a_wide_table_takes_linear_time_and_lists_few_names(tmp_path: Path) -> None:
    names = [f"column {number}" for number in range(20_000)]
    (tmp_path / "a.csv").write_text(",".join(names) + "\n")
    with pytest.raises(InputError, match=r'"column 19" and 19,980 more$'):
        _texts(str(tmp_path / "a.csv"))
    (tmp_path / "b.csv").write_text(",".join([*names, *names]) + "\n")
    with pytest.raises(InputError, match=r"has more than one column .*, \.\.\.: rename them"):
        _texts(str(tmp_path / "b.csv"), column="column 1")


@pytest.mark.parametrize(
    ("stdin", "options", "message"),
    [
        (b"text,n\nfox,1\n", [], "standard input is read as text, a text a line, and looks like a table with a comma"),
        (b'{"text": "fox"}\n', [], "looks like JSON lines"),
        (b"fox;owl\n", ["--delimiter", ";"], "--delimiter is for CSV and TSV, and standard input, without --format,"),
    ],
)
def test_standard_input_that_is_a_table(cli: Any, stdin: bytes, options: list[str], message: str) -> None:
    result = cli("encode", "-", "-o", "out.npy", *options, stdin=stdin)
    assert result.exit_code == 2
    assert message in result.stderr


def test_standard_input_in_many_forms(cli: Any) -> None:
    gzipped = gzip.compress(b"text;n\nfox;1\n")
    for stdin, options in (
        (gzipped, ["-f", "csv", "--delimiter", ";"]),
        (b'["fox"]', ["--input-format", "json"]),
        (b"text,n\n", ["-f", "text"]),
    ):
        result = cli("encode", "-", "-o", "-", *options, stdin=stdin)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["text"] == ("text,n" if options == ["-f", "text"] else "fox")


def test_rows_without_a_text_are_counted(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,n\nfox,1\n,2\n,3\n")
    result = cli("encode", "a.csv", "-o", "a.jsonl")
    assert result.stderr.rstrip().endswith("2 rows had no text and were taken as empty (--missing error or skip)")
    result = cli("encode", "a.csv", "-o", "b.jsonl", "--missing", "skip")
    assert "\n1 row, " in result.stderr
    assert result.stderr.rstrip().endswith("2 rows had no text and were left out")
    assert [json.loads(line)["n"] for line in Path("b.jsonl").read_text().splitlines()] == ["1"]
    result = cli("encode", "a.csv", "-o", "c.npy", "--missing", "skip")
    assert (result.exit_code, "nobody could tell which" in result.stderr) == (2, True)
    (tmp_path / "b.csv").write_text("text,n\n,2\n")
    result = cli("encode", "b.csv", "-o", "d.jsonl", "--missing", "skip")
    assert "b.csv has no texts: nothing was encoded (1 row had no text and was left out)" in result.stderr
