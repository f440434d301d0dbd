"""Quick counting says of a file what its reader says, or nothing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berthub.errors import InputError
from berthub.jobs.planning import checksum_of, first_rows, make_plan, opened_rows, stamp_of
from berthub.jobs.quick_count import quick_count
from berthub.tables.columns import TextColumns
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.source import InputFile, files_source

_FORMATS = {"txt": "text", "csv": "csv", "tsv": "tsv", "jsonl": "jsonl"}


@given(
    content=st.binary(max_size=40)
    | st.text(st.sampled_from('a,;\t\n\r "{}:1\N{NO-BREAK SPACE}'), max_size=40).map(str.encode)
    | st.lists(st.sampled_from(['{"text": "a"}', "", " ", "text", "a,b", '"', "\x0b"])).map(
        lambda lines: "\n".join(lines).encode()
    ),
    extension=st.sampled_from(list(_FORMATS)),
    header=st.booleans(),
)
def test_rows_are_the_readers(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, extension: str, header: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / f"quick.{extension}"
    path.write_bytes(content)
    file = InputFile(str(path), _FORMATS[extension])  # type: ignore[arg-type]
    options = ReadingOptions(header=header if extension in ("csv", "tsv") else True)
    quick = quick_count(file, options)
    if quick is None:
        return
    assert (quick.size, quick.stamp, quick.checksum) == (*stamp_of(file), checksum_of(file))
    try:
        with opened_rows(file, options, TextColumns()) as reader:
            counted = reader.count(first=0, every=1)
    except InputError:
        # What cannot be read is refused when its shard is computed.
        return
    assert quick.rows == counted.rows


@pytest.mark.parametrize("extension", _FORMATS)
def test_plans_of_many_small_files_are_those_of_their_reader(
    tmp_path: Path, extension: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(90):
        lines = [
            f'{{"text": "{index} {row}"}}' if extension == "jsonl" else f"{index} {row}" for row in range(index % 4)
        ]
        head = ["text"] if extension in ("csv", "tsv") else []
        (tmp_path / f"{index:03}.{extension}").write_text("\n".join([*head, *lines]))
    source = files_source([str(tmp_path)], ReadingOptions())
    first = first_rows(source, TextColumns())

    def plan() -> bytes:
        return make_plan(
            source,
            first,
            task={},
            model="",
            environment=None,
            schema=None,
            extension=".parquet",
            shard_rows=7,
        ).to_bytes()

    quick = plan()
    monkeypatch.setattr("berthub.jobs.planning._CLOSELY", 1000)
    assert plan() == quick


def test_other_columns_are_found_among_many_files(tmp_path: Path) -> None:
    for index in range(90):
        (tmp_path / f"{index:03}.csv").write_text("other,text\na,b\n" if index == 80 else "text\na\n")
    source = files_source([str(tmp_path)], ReadingOptions())
    with pytest.raises(InputError, match=r"080\.csv has other columns than"):
        make_plan(
            source,
            first_rows(source, TextColumns()),
            task={},
            model="",
            environment=None,
            schema=None,
            extension=".parquet",
            shard_rows=7,
        )
