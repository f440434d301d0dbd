"""Inputs that are addresses of other file systems: what they name, how they are read, and what goes wrong."""

import gzip
import io
import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from berthub.errors import InputError, MissingDependencyError
from berthub.tables import addresses, remote_errors, remote_file
from berthub.tables.addresses import FileStamp, file_stamp, is_known_url, local_path, shown_address
from berthub.tables.reading import TextColumns, reading
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.remote_file import open_remote
from berthub.tables.source import find_source

CSV = b"text,id\none,1\ntwo,2\n"


@pytest.fixture
def memory() -> Iterator[Any]:
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


def found(*inputs: str, **options: Any) -> list[str]:
    return [file.address for file in find_source(inputs, ReadingOptions(**options)).files]


def texts(*inputs: str, **options: Any) -> list[Any]:
    with reading(find_source(inputs, ReadingOptions(**options)), TextColumns()) as rows:
        return [text for block in rows.blocks for text in block.texts]


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("text", "is_file"),
    [
        ("s3://bucket/folder", True),
        ("S3://bucket/folder/*.parquet", True),
        ("s3://bucket/my file.csv", True),
        ("memory://x/y", True),
        ("https://example.org/a.csv", True),
        ("https://example.org/a.csv.gz?version=3", True),
        ("https://example.org/a", False),
        ("https://example.org/page.html", False),
        ("https://example.org/a.csv is a file.csv", False),
        ("s3://bucket is where they are", False),
        ("see http://x.y", False),
        ("nothing://here/at all", False),
    ],
)
def test_which_arguments_are_addresses(monkeypatch: pytest.MonkeyPatch, text: str, is_file: bool) -> None:
    asked = []

    def refuse(name: str, options: ReadingOptions) -> Any:
        asked.append(name)
        raise InputError("asked")

    monkeypatch.setattr("berthub.tables.source._remote_files", refuse)
    if is_file:
        with pytest.raises(InputError, match="asked"):
            find_source([text], ReadingOptions())
    else:
        assert find_source([text], ReadingOptions()).texts == (text,)
    assert asked == [text] * is_file


def test_one_file_a_pattern_and_a_folder(memory: Any) -> None:
    for name in ("a.csv", "b/c.csv", "b/d/e.csv", ".hidden.csv", "_SUCCESS", "b/_temporary/f.csv"):
        memory.pipe(f"/data/{name}", CSV)
    assert found("memory://data/a.csv") == ["memory://data/a.csv"]
    assert found("memory://data/*.csv") == ["memory://data/a.csv"]
    everything = ["memory://data/a.csv", "memory://data/b/c.csv", "memory://data/b/d/e.csv"]
    assert found("memory://data/**/*.csv") == [
        everything[0],
        "memory://data/b/_temporary/f.csv",
        *everything[1:],
    ]
    assert found("memory://data") == found("memory://data/") == everything
    assert texts("memory://data") == ["one", "two"] * 3


def test_a_name_with_brackets_is_a_file(memory: Any) -> None:
    memory.pipe("/data/a[1].csv", CSV)
    assert found("memory://data/a[1].csv") == ["memory://data/a[1].csv"]


def test_a_folder_with_another_file(memory: Any) -> None:
    memory.pipe("/data/a.csv", CSV)
    memory.pipe("/data/a.pdf", b"%PDF")
    with pytest.raises(
        InputError, match=r'the folder "memory://data" holds memory://data/a.pdf, which is of no format'
    ):
        find_source(["memory://data"], ReadingOptions())


def test_names_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a-b/c.csv", "a/c.csv", "d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(CSV)
    monkeypatch.chdir(tmp_path)
    assert found(".") == found("./") == [str(Path("a/c.csv")), str(Path("a-b/c.csv")), "d.csv"]
    assert found("./a/../a") == [str(Path("a/../a/c.csv"))]


def test_local_files_as_urls(tmp_path: Path) -> None:
    (tmp_path / "a b.csv").write_bytes(CSV)
    assert found((tmp_path / "a b.csv").as_uri()) == [str(tmp_path / "a b.csv")]


def test_local_and_remote_files_together(memory: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(CSV)
    memory.pipe("/b.csv", CSV)
    assert texts(str(tmp_path / "a.csv"), "memory://b.csv") == ["one", "two"] * 2


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_sizes_and_progress(memory: Any, suffix: str) -> None:
    data = gzip.compress(CSV) if suffix.endswith("gz") else CSV
    memory.pipe(f"/a{suffix}", data)
    source = find_source([f"memory://a{suffix}"], ReadingOptions())
    with reading(source, TextColumns()) as rows:
        assert rows.total == len(data)
        assert [block.end for block in rows.blocks] == [len(data)]


def test_a_file_read_in_any_order(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = random.Random(1).randbytes(10_000)
    memory.pipe("/a.bin", data)
    monkeypatch.setattr(remote_file, "_BLOCK", 64)
    file, stamp = open_remote("memory://a.bin")
    own = io.BytesIO(data)
    with file:
        assert stamp.size == len(data)
        for _ in range(300):
            place, count = random.randrange(10_500), random.choice([0, 1, 63, 64, 65, 5_000])
            assert file.seek(place) == own.seek(place)
            assert file.read(count) == own.read(count)
        assert file.seek(-5, io.SEEK_END) == 9_995
        assert file.read() == data[-5:]


def test_a_stamp_changes_with_the_file(memory: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(CSV)
    first = file_stamp(str(path))
    assert first.size == len(CSV)
    assert file_stamp(str(path)) == first
    path.write_bytes(CSV)
    assert file_stamp(str(path)) != first
    memory.pipe("/a.csv", CSV)
    first = file_stamp("memory://a.csv")
    memory.pipe("/a.csv", CSV)
    assert file_stamp("memory://a.csv") != first
    with pytest.raises(InputError, match="cannot be read: No such file"):
        file_stamp(str(tmp_path / "b.csv"))


def test_a_file_that_changes_while_it_is_read(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_file, "_BLOCK", 64)
    monkeypatch.setattr(remote_file, "_BUFFER", 64)
    memory.pipe("/a.txt", b"line\n" * 100)
    file, _ = open_remote("memory://a.txt")
    with file:
        file.read(64)
        memory.pipe("/a.txt", b"LINE\n" * 100)
        with pytest.raises(InputError, match=r"memory://a\.txt was changed while it was read"):
            file.read()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("memory://nothing/a.csv", "not found: memory://nothing/a.csv; there is no such file"),
        ("memory://nothing/*.csv", r"not found: memory://nothing/\*.csv"),
        ("foo://bucket/a.csv", 'unknown protocol "foo"; known are s3, gs, hf'),
        ("s3://key:secret@bucket/a.csv", "address of s3://bucket/a.csv holds a password or a key"),
        ("sftp://me:secret@host/a.csv", "address of sftp://host/a.csv holds a password or a key"),
    ],
)
def test_addresses_that_cannot_be(memory: Any, address: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        find_source([address], ReadingOptions())
    assert "secret" not in str(error.value)


def test_a_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def missing(protocol: str) -> Any:
        raise ImportError("Install it")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    for address, command in {
        "s3://b/a.csv": r"pip install 'berthub\[s3\]'",
        "gs://b/a.csv": r"pip install 'berthub\[gs\]'",
        "https://b/a.csv": r"pip install 'fsspec\[http\]'",
        "abfs://b/a.csv": "Install it",
    }.items():
        with pytest.raises(MissingDependencyError, match=command):
            find_source([address], ReadingOptions())


@pytest.mark.parametrize(
    "name",
    ["a.csv", "/x.y/a", "a.CSV.gz", ".hidden", "..a.b", "a.", "a..b", "dir.x/", "x/.a.csv", "a b.c d.csv", "", "."],
)
def test_extensions_are_those_of_pathlib(name: str) -> None:
    assert addresses.suffixes_of(name) == [suffix.lower() for suffix in Path(name).suffixes]
    assert addresses.suffixes_of("https://host/a.b/c.CSV.gz?d=e.f") == [".csv", ".gz"]


def test_spellings() -> None:
    assert shown_address("https://me:word@host/a.csv?token=abc") == "https://host/a.csv"
    assert shown_address("s3://bucket/a?.csv") == "s3://bucket/a?.csv"
    assert local_path("s3://bucket/a") is None
    assert local_path("a.csv") == Path("a.csv")
    assert is_known_url("hf://datasets/me/texts")
    assert not is_known_url("file:///a")


class ServerError(Exception):
    status = 503


class RefusedError(Exception):
    status = 403


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(remote_errors.time, "sleep", waited.append)
    return waited


def test_transient_errors_are_waited_out(waits: list[float]) -> None:
    answers = iter([TimeoutError(), ServerError(), "found"])

    def request() -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert remote_errors.retried(request, name="s3://b/a", protocol="s3") == "found"
    assert len(waits) == 2
    assert waits[0] < waits[1] * 3


@pytest.mark.parametrize("error", [ServerError("busy"), OSError(5, "I/O"), ConnectionResetError("gone")])
def test_errors_that_do_not_pass(waits: list[float], error: Exception) -> None:
    def request() -> Any:
        raise error

    with pytest.raises(InputError, match="s3://b/a cannot be read, after 4 tries"):
        remote_errors.retried(request, name="s3://b/a", protocol="s3")
    assert len(waits) == 3


def test_reading_goes_on_after_a_transient_error(
    memory: Any, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    memory.pipe("/a.txt", b"line\n" * 1000)
    monkeypatch.setattr(remote_file, "_BLOCK", 512)
    fetched, calls = remote_file._RemoteFile._fetched, itertools.count()

    def flaky(self: Any, start: int, end: int) -> bytes:
        if next(calls) % 3 == 1:
            raise ConnectionResetError("gone")
        return fetched(self, start, end)

    monkeypatch.setattr(remote_file._RemoteFile, "_fetched", flaky)
    assert texts("memory://a.txt") == ["line"] * 1000
    assert len(waits) >= 4


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("The HTTP server doesn't appear to support range requests"), "gives files only as a whole"),
        (FileNotFoundError("a"), "not found: s3://b/a"),
        (PermissionError("AccessDenied"), "access to s3://b/a is refused.*AccessDenied"),
        (RefusedError("no"), "access to s3://b/a is refused.*AWS_PROFILE"),
        (OSError("Forbidden: b/a"), "access to s3://b/a is refused"),
        (ValueError("token=abcdef in https://b/a?X-Amz-Signature=abcdef"), "s3://b/a cannot be read"),
    ],
)
def test_permanent_errors_are_not_tried_again(waits: list[float], error: Exception, message: str) -> None:
    def request() -> Any:
        raise error

    with pytest.raises(InputError, match=message) as raised:
        remote_errors.retried(request, name="s3://b/a", protocol="s3")
    assert not waits
    assert "abcdef" not in f"{raised.value} {raised.value.__cause__}"
    assert raised.value.__context__ is None or raised.value.__context__ is raised.value.__cause__


def test_s3_files(s3: Any) -> None:
    for name in ("a.csv", "b/c.csv", "_SUCCESS"):
        s3.pipe(f"texts/in/{name}", CSV)
    s3.pipe("texts/in/p.parquet", parquet(pa.table({"text": ["three"], "id": ["3"]})))
    assert found("s3://texts/in/*.csv") == ["s3://texts/in/a.csv"]
    assert found("s3://texts/in/**/*.csv") == ["s3://texts/in/a.csv", "s3://texts/in/b/c.csv"]
    assert found("s3://texts") == ["s3://texts/in/a.csv", "s3://texts/in/b/c.csv", "s3://texts/in/p.parquet"]
    assert texts("s3://texts/in/") == ["one", "two", "one", "two", "three"]
    (file,) = find_source(["s3://texts/in/a.csv"], ReadingOptions()).files
    (listed,) = find_source(["s3://texts/in/*.csv"], ReadingOptions()).files
    stamp = file_stamp("s3://texts/in/a.csv")
    assert isinstance(stamp, FileStamp)
    assert stamp.size == len(CSV)
    assert file.listed == listed.listed == stamp
    s3.pipe("texts/in/a.csv", CSV.replace(b"one", b"ONE"))
    assert file_stamp("s3://texts/in/a.csv") != stamp


def test_encoding_a_file_in_s3(cli: Any, s3: Any, tmp_path: Path) -> None:
    s3.pipe("texts/a.csv", CSV)
    (tmp_path / "a.csv").write_bytes(CSV)
    assert cli("encode", "s3://texts/a.csv", "-o", "remote.parquet", "-q").exit_code == 0
    assert cli("encode", "a.csv", "-o", "local.parquet", "-q").exit_code == 0
    assert pq.read_table(tmp_path / "remote.parquet").equals(pq.read_table(tmp_path / "local.parquet"))


def test_s3_names_nothing(s3: Any, cli: Any) -> None:
    s3.pipe("texts/a.csv", CSV)
    for address in ("s3://texts/b.csv", "s3://other/a.csv", "s3://other", "s3://texts/*.parquet"):
        result = cli("encode", address, "-o", "x.parquet")
        assert result.exit_code == 2, address
        assert f"not found: {address}" in " ".join(result.stderr.split())
        assert "a-secret-that-nobody-may-see" not in result.stderr


def test_a_large_file_in_s3_is_read_in_blocks(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_file, "_BLOCK", 4096)
    table = pa.table({"text": [f"text {number}" for number in range(20_000)], "id": pa.array(range(20_000))})
    s3.pipe("texts/a.parquet", parquet(table))
    assert texts("s3://texts/a.parquet") == table["text"].to_pylist()


def test_public_buckets_without_credentials(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.csv", "private.csv"):
        s3.pipe(f"texts/{name}", CSV)
    s3.chmod("texts/a.csv", "public-read")
    s3.clear_instance_cache()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    addresses._has_aws_credentials.cache_clear()
    assert texts("s3://texts/a.csv") == ["one", "two"]
    assert addresses.remote("s3://texts/a.csv").system.anon is True
    with pytest.raises(
        InputError, match=r"s3://texts/private\.csv is not public, and no credentials were found: set AWS"
    ):
        find_source(["s3://texts/private.csv"], ReadingOptions())


def test_a_host_that_does_not_answer(s3: Any, monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    s3.clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"s3://texts/a\.csv cannot be read, after 4 tries") as error:
        find_source(["s3://texts/a.csv"], ReadingOptions())
    assert "a-secret" not in f"{error.value} {error.value.__cause__}"
