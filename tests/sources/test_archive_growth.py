"""Archives that are built to cost far more than their size: what they cost is bounded, and grows with the size."""

import contextlib
import gzip
import io
import os
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from berthub.errors import ArchiveError
from berthub.sources import archive, archive_tar
from berthub.sources.archive import unpack

END = bytes(2 * tarfile.BLOCKSIZE)


def block(kind: bytes, content: bytes, name: str = "x") -> bytes:
    header = tarfile.TarInfo(name)
    header.type, header.size = kind, len(content)
    return header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    while len(b"%d %s=%s\n" % (length, key, value)) != length:
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def one_file(*before: bytes) -> bytes:
    return b"".join(before) + block(tarfile.REGTYPE, b"content", "file") + END


def digits(size: int) -> bytes:
    return one_file(block(tarfile.XHDTYPE, b"1" * size))


def digits_in_a_value(size: int) -> bytes:
    return one_file(block(tarfile.XHDTYPE, record(b"comment", b"1" * size)))


def digits_as_the_size(size: int) -> bytes:
    return one_file(block(tarfile.XHDTYPE, record(b"size", b"1" * size)))


def small_records(size: int) -> bytes:
    return one_file(block(tarfile.XHDTYPE, b"5 a=\n" * (size // 5)))


def shared_records(size: int) -> bytes:
    return one_file(block(tarfile.XGLTYPE, b"".join(record(b"k%d" % n, b"") for n in range(size // 10))))


def headers_without_a_member(size: int) -> bytes:
    return one_file(block(tarfile.XHDTYPE, record(b"comment", b"")) * (size // 1024))


def long_name(size: int) -> bytes:
    return one_file(block(tarfile.GNUTYPE_LONGNAME, b"n" * size))


def empty_members(size: int) -> bytes:
    return b"".join(block(tarfile.REGTYPE, b"", f"f{n}") for n in range(size // 512)) + END


def one_folder_again_and_again(size: int) -> bytes:
    return one_file(block(tarfile.DIRTYPE, b"", "folder/") * (size // 512))


def deep_names(size: int) -> bytes:
    deep = "a/" * 60
    return b"".join(
        block(tarfile.XHDTYPE, record(b"path", f"{deep}{n}".encode())) + block(tarfile.REGTYPE, b"")
        for n in range(size // 1536)
    ) + END  # fmt: skip


def gzip_members(size: int) -> bytes:
    return gzip.compress(one_file(), mtime=0) + gzip.compress(b"", mtime=0) * (size // 20)


def gzip_file_name(size: int) -> bytes:
    content = one_file()
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush()
    head = b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * size + b"\0"
    return head + body + struct.pack("<II", zlib.crc32(content), len(content))


def zip_entries(size: int) -> bytes:
    """A directory of many entries, all of the same few bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("a", b"x")
    data = out.getvalue()
    begin = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry, count = data[begin:end], size // (end - begin)
    directory = entry * count
    few = min(count, 0xFFFF)
    return data[:begin] + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, few, few, len(directory), begin, 0)


def zip_comment(size: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("a", b"x")
        made.comment = (b"PK\x05\x06" * 16384)[: min(size, 65535)]
    return out.getvalue()


CASES: list[Callable[[int], bytes]] = [
    digits, digits_in_a_value, digits_as_the_size, small_records, shared_records, headers_without_a_member, long_name,
    empty_members, one_folder_again_and_again, deep_names, gzip_members, gzip_file_name, zip_entries, zip_comment,
]  # fmt: skip


def cost(path: Path) -> float:
    """Seconds of this process's own time, the least of some runs."""
    seconds = []
    for run in range(3):
        begin = time.process_time()
        with contextlib.suppress(ArchiveError):
            unpack(path, path.parent / f"out{run}")
        seconds.append(time.process_time() - begin)
    return min(seconds)


@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
def test_time_grows_with_the_size_and_no_faster(build: Callable[[int], bytes], gzipped: bool, tmp_path: Path) -> None:
    costs = []
    for size in (50_000, 400_000):
        (tmp_path / str(size)).mkdir()
        data = build(size)
        path = tmp_path / str(size) / "m.tar"
        path.write_bytes(gzip.compress(data, 1, mtime=0) if gzipped and data[:2] == b"x\0" else data)
        costs.append(cost(path))
    # Eight times the bytes: what grows with the square would take 64 times as long. Some milliseconds are the start's.
    assert costs[1] < 25 * costs[0] + 0.05


@pytest.mark.slow
@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_memory_is_bounded(build: Callable[[int], bytes], tmp_path: Path) -> None:
    path = tmp_path / "m.tar"
    path.write_bytes(build(4_000_000))
    tracemalloc.start()
    try:
        with contextlib.suppress(ArchiveError):
            unpack(path, tmp_path / "out")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_a_small_file_of_many_headers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 10)
    for name, data in (("folders", one_folder_again_and_again(64 * 512)), ("headers", headers_without_a_member(65536))):
        path = tmp_path / f"{name}.tar"
        path.write_bytes(data)
        with pytest.raises(ArchiveError, match="more than 40 headers"):
            unpack(path, tmp_path / name)


def test_gzip_members_are_counted_and_two_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = one_file()
    path = tmp_path / "m.tar.gz"
    path.write_bytes(
        gzip.compress(content[:700], mtime=0) + bytes(9) + gzip.compress(content[700:], mtime=0) + bytes(99)
    )
    unpack(path, tmp_path / "out")
    assert (tmp_path / "out" / "file").read_bytes() == b"content"
    monkeypatch.setattr(archive, "_MAX_GZIP_MEMBERS", 5)
    path.write_bytes(gzip_members(200))
    with pytest.raises(ArchiveError, match="more than 5 members of gzip"):
        unpack(path, tmp_path / "again")


def test_what_stands_behind_a_gzip_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "m.tar.gz"
    path.write_bytes(gzip.compress(one_file(), mtime=0) + b"garbage")
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(path, tmp_path / "out")


def test_zip_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a", bytes(100_000))
        made.writestr("b", b"x")
    data = bytearray(out.getvalue())
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    data[second + 42 : second + 46] = bytes(4)  # where b begins
    path = tmp_path / "m.zip"
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="share bytes"):
        unpack(path, tmp_path / "out")


def test_a_directory_is_not_longer_than_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.zip"
    path.write_bytes(zip_entries(2_000_000))
    with pytest.raises(ArchiveError, match="more than 10,000 files"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "why"), [("a/" * 70 + "x", "lies in 70 folders"), ("n" * 300, "255 bytes"), ("é" * 130, "255 bytes")]
)
def test_names_that_file_systems_refuse(name: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(name, b"x")
    with pytest.raises(ArchiveError, match=why):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"12 path=x\n", "damaged record"),
        (b"9 path=xyz\n", "damaged record"),
        (b"8 pathxx\n", "damaged record"),
        (b"0 a=b\n", "damaged record"),
        (b" 5 a=\n", "no length"),
        (b"-5 a=\n", "no length"),
        (record(b"size", b"-1"), "the size '-1'"),
        (record(b"size", b"\xb2"), "the size"),
    ],
)
def test_malformed_records(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "m.tar"
    path.write_bytes(one_file(block(tarfile.XHDTYPE, content)))
    with pytest.raises(ArchiveError, match=why):
        unpack(path, tmp_path / "out")


def test_what_records_say_holds_for_the_next_member_and_shared_ones_for_all(tmp_path: Path) -> None:
    path = tmp_path / "m.tar"
    path.write_bytes(
        block(tarfile.XGLTYPE, record(b"comment", b"c"))
        + block(tarfile.XHDTYPE, record(b"path", "größe".encode()) + record(b"size", b"3"))
        + block(tarfile.REGTYPE, b"abc")
        + block(tarfile.GNUTYPE_LONGNAME, b"long\0")
        + block(tarfile.REGTYPE, b"def", "short")
        + block(tarfile.REGTYPE, b"ghi", "plain")
        + END
    )
    unpack(path, tmp_path / "out")
    found = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert found == {"größe": b"abc", "long": b"def", "plain": b"ghi"}
    with tarfile.open(path) as judge:
        assert {member.name: member.size for member in judge} == {"größe": 3, "long": 3, "plain": 3}


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\:\0", exclude_categories=["Cs"]), min_size=1, max_size=9
)


@pytest.mark.slow
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(data=st.data())
def test_what_the_standard_library_writes_is_read_alike(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("tar")
    parts = st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=12)
    contents = data.draw(
        st.dictionaries(parts.map("/".join).map(str.casefold), st.binary(max_size=1500), min_size=1, max_size=6)
    )
    form = data.draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
    with tarfile.open(place / "m.tar", "w", format=form, pax_headers={"comment": "c"}) as out:
        for name, content in contents.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            header.mtime = data.draw(st.sampled_from([0, 1.5, 1 << 40]))
            out.addfile(header, io.BytesIO(content))
    with tarfile.open(place / "m.tar") as judge:
        expected = {member.name: judge.extractfile(member).read() for member in judge}
    with (place / "m.tar").open("rb") as raw:
        found = {}
        for member in archive_tar.members(raw, max_headers=100):
            assert member.kind == archive_tar.FILE
            found[member.name] = b"".join(iter(lambda member=member: member.read(100), b""))
    assert found == expected == contents


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.tar.gz")
    with pytest.raises(OSError, match="no regular file"):
        unpack(tmp_path / "m.tar.gz", tmp_path / "out")
    assert not (tmp_path / "out").exists()
