"""Files packed by zstd."""

import io
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from berthub.errors import InputError
from berthub.tables import opening
from berthub.tables.reading import TextColumns, reading
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.source import find_source
from berthub.tables.zstd_stream import ZstdStream

TABLE = b"text,id\none,1\ntwo,2\n"


def packed(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)  # type: ignore[no-any-return]


def texts(path: Path, **options: Any) -> list[Any]:
    with reading(find_source([str(path)], ReadingOptions(**options)), TextColumns()) as rows:
        return [text for block in rows.blocks for text in block.texts]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.csv.zst", packed(TABLE), ["one", "two"]),
        ("a.CSV.ZST", packed(TABLE), ["one", "two"]),
        ("a.jsonl.zst", packed(b'{"text": "one"}\n'), ["one"]),
        ("a.json.zst", packed(b'[{"text": "one"}]'), ["one"]),
        ("a.txt.zst", packed(b"one\n") + packed(b"two\n"), ["one", "two"]),
        ("its name hides it.txt", packed(b"one\n"), ["one"]),
    ],
)
def test_what_is_read(tmp_path: Path, name: str, data: bytes, expected: list[str]) -> None:
    (tmp_path / name).write_bytes(data)
    assert texts(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt.zst", packed(b"fox\n" * 99)[:-3], "a.txt.zst is cut off: the zstd data end too early"),
        ("a.txt.zst", packed(b"fox\n") + packed(b"owl\n")[:3], "is cut off: the zstd data end too early"),
        ("a.txt.zst", packed(b"fox\n") + b"no more", "is damaged: Unknown frame descriptor. Fetch"),
        ("a.txt.zst", b"fox\n", "is no zstd file, which its name says"),
        ("a.txt.gz", packed(b"fox\n"), "is no gzip file, which its name says"),
        ("a.parquet.zst", packed(b"PAR1"), "a Parquet file inside zstd, which has to be unpacked: unzstd it"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        texts(tmp_path / name)


def test_a_window_beyond_all_measure(tmp_path: Path) -> None:
    """The frame's header asks for a window of a gigabyte."""
    header = b"\x28\xb5\x2f\xfd" + bytes([0x00, (30 - 10) << 3])
    (tmp_path / "a.txt.zst").write_bytes(header + b"\x21\x00\x00fox\n")
    with pytest.raises(InputError, match="is damaged: Frame requires too much memory"):
        texts(tmp_path / "a.txt.zst")


def test_a_bomb_takes_little_memory(tmp_path: Path) -> None:
    """What is unpacked of a gigabyte at one time is bounded."""
    frame = packed(b"fox\n" * (1 << 20))
    (tmp_path / "a.txt.zst").write_bytes(frame * 256)
    before = pa.total_allocated_bytes()
    most = 0
    with opening.open_file(str(tmp_path / "a.txt.zst"), "a.txt.zst") as opened:
        while opened.stream.read(1 << 20):
            most = max(most, pa.total_allocated_bytes() - before)
    assert most < 1 << 24


def test_progress_is_in_bytes_of_the_file(tmp_path: Path) -> None:
    chance = random.Random(1)
    lines = b"".join(b"%d\n" % chance.getrandbits(400) for _ in range(20_000))
    data = packed(lines[: len(lines) // 2]) + packed(lines[len(lines) // 2 :])
    (tmp_path / "a.txt.zst").write_bytes(data)
    with reading(find_source([str(tmp_path / "a.txt.zst")], ReadingOptions()), TextColumns()) as rows:
        ends = [block.end for block in rows.blocks]
    assert rows.total == ends[-1] == len(data)
    assert 0 < ends[0] < len(data)
    assert ends == sorted(ends)


@pytest.mark.parametrize("data", [packed(TABLE), packed(TABLE)[:-2]])
def test_standard_input(cli: Any, data: bytes) -> None:
    result = cli("encode", "-", "-f", "csv", "-o", "-", "-q", stdin=data)
    assert (result.exit_code, result.stdout.count("\n")) == ((0, 2) if data == packed(TABLE) else (2, 0))


def test_the_file_stays_open() -> None:
    file = io.BytesIO(packed(b"fox"))
    stream = ZstdStream(file)
    assert stream.read() == b"fox"
    stream.close()
    del stream
    assert not file.closed


def test_errors_of_the_disk_are_no_damage() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        ZstdStream(Broken()).read()
