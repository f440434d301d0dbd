import gzip
import io
import os
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from berthub.errors import ArchiveError
from berthub.sources import archive
from berthub.sources.archive import unpack

Header = tuple[tarfile.TarInfo, bytes]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def member(name: str, content: bytes = b"x", *, kind: bytes = tarfile.REGTYPE, link: str = "") -> Header:
    header = tarfile.TarInfo(name)
    header.type = kind
    header.linkname = link
    header.size = len(content) if kind == tarfile.REGTYPE else 0
    return header, content


def write_tar(path: Path, *members: Header, gzipped: bool = False, format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w:gz" if gzipped else "w", format=format) as out:
        for header, content in members:
            out.addfile(header, io.BytesIO(content) if header.size else None)
    return path


def write_zip(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for info, content in members:
            if isinstance(info, str):
                # Set later, for the constructor cuts names at a NUL and turns separators.
                plain = zipfile.ZipInfo("plain")
                plain.compress_type = zipfile.ZIP_DEFLATED
                plain.filename = info
                info = plain
            out.writestr(info, content)
    return path


def refused(path: Path, why: str) -> str:
    folder = path.parent / "unpacked"
    before = sorted(path.parent.parent.rglob("*"))
    with pytest.raises(ArchiveError) as caught:
        unpack(path, folder)
    assert sorted(path.parent.parent.rglob("*")) == before, "something remained"
    assert why in str(caught.value)
    assert "Accepted are" in str(caught.value)
    return str(caught.value)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder below another, so that a name that climbs out is seen."""
    (tmp_path / "a").mkdir()
    return tmp_path / "a"


@pytest.mark.parametrize("name", ["m.tar.gz", "m.tgz", "m.tar", "m.zip", "m.whl", "no-suffix-at-all.gz"])
def test_files_and_folders_come_out(
    name: str, make_zip: Callable[..., Path], make_tar: Callable[..., Path], files: Mapping[str, bytes], tmp_path: Path
) -> None:
    path = (make_zip if name.endswith(("zip", "whl")) else make_tar)(name=name)
    unpack(path, tmp_path / "out")
    assert contents(tmp_path / "out") == files


def test_the_content_tells_the_kind(make_zip: Callable[..., Path], tmp_path: Path) -> None:
    unpack(make_zip(name="really-a-zip.tar.gz"), tmp_path / "out")
    assert len(contents(tmp_path / "out")) == 3


def test_an_old_tar_without_a_mark_is_read_by_its_name(place: Path) -> None:
    path = write_tar(place / "m.tar", member("a"))
    block = bytearray(path.read_bytes())
    block[257:265] = bytes(8)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    path.write_bytes(block)
    unpack(path, place / "out")
    assert contents(place / "out") == {"a": b"x"}


def test_leading_dots_empty_folders_and_repeated_folders_are_fine(place: Path) -> None:
    folder = member("./", kind=tarfile.DIRTYPE)
    again = member("./v", kind=tarfile.DIRTYPE)
    path = write_tar(place / "m.tar", folder, again, member("./v/x"), again, member("empty", kind=tarfile.DIRTYPE))
    unpack(path, place / "out")
    assert contents(place / "out") == {"v/x": b"x"}
    assert (place / "out" / "empty").is_dir()


def test_long_names_and_other_scripts(place: Path) -> None:
    long = "/".join(["d" * 100] * 3) + "/größe-模型"
    for format in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        unpack(write_tar(place / "m.tar", member(long), format=format), place / f"tar{format}")
        assert contents(place / f"tar{format}") == {long: b"x"}
    unpack(write_zip(place / "m.zip", (long, b"x")), place / "zip")
    assert contents(place / "zip") == {long: b"x"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions_are_not_taken_over(place: Path) -> None:
    header, content = member("run")
    header.mode = 0o6777
    unpack(write_tar(place / "m.tar", (header, content)), place / "out")
    (place / "plain").touch()
    assert (place / "out" / "run").stat().st_mode == (place / "plain").stat().st_mode


BAD_NAMES = [
    ("/etc/passwd", "absolute"),
    ("//host/x", "absolute"),
    ("C:/x", "absolute"),
    ("a/c:x", "absolute"),
    ("../x", "'..' part"),
    ("a/../../x", "'..' part"),
    ("a/..", "'..' part"),
    ("a/./x", "'.' or '..' part"),
    ("a//x", "empty"),
    ("..\\x", "backslash"),
    ("a\\x", "backslash"),
    ("n" * 2000, "2,000 characters"),
]


@pytest.mark.parametrize(("name", "why"), BAD_NAMES)
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_names_that_lead_elsewhere(name: str, why: str, kind: str, place: Path) -> None:
    path = place / f"m.{kind}"
    if kind == "zip":
        write_zip(path, ("good", b"x"), (name, b"x"))
    else:
        write_tar(path, member("good"), member(name), gzipped=kind == "tar.gz")
    assert repr(name)[:40] in refused(path, why)


def test_a_nul_in_a_name(place: Path) -> None:
    # Written with another sign first: the writers cut names at a NUL as well.
    path = write_zip(place / "m.zip", ("good#.txt", b"x"))
    path.write_bytes(path.read_bytes().replace(b"good#", b"good\0"))
    refused(path, "NUL")
    header, content = member("plain")
    header.pax_headers = {"path": "a\0b"}
    refused(write_tar(place / "m.tar", (header, content)), "NUL")


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (b"Z", "of an unknown kind"),
    ],
)
def test_tar_members_that_are_no_plain_files(kind: bytes, why: str, place: Path) -> None:
    path = write_tar(place / "m.tar", member("good"), member("bad", kind=kind, link="/etc/passwd"))
    assert "'bad'" in refused(path, why)


def test_a_sparse_file_by_extended_header(place: Path) -> None:
    header, content = member("bad", b"0" * 512)
    header.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 50), "GNU.sparse.name": "bad"}
    assert "'bad'" in refused(write_tar(place / "m.tar", (header, content)), "is")


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        (stat.S_IFLNK, "a symbolic link"),
        (stat.S_IFCHR, "a device"),
        (stat.S_IFBLK, "a device"),
        (stat.S_IFIFO, "a pipe"),
        (stat.S_IFSOCK, "a socket"),
        (0o170000, "unknown kind"),
        (stat.S_IFDIR, "both a file and a folder"),
    ],
)
def test_zip_members_that_are_no_plain_files(mode: int, why: str, place: Path) -> None:
    info = zipfile.ZipInfo("bad")
    info.create_system = 3
    info.external_attr = (mode | 0o777) << 16
    assert "'bad'" in refused(write_zip(place / "m.zip", ("good", b"x"), (info, b"/etc/passwd")), why)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("a", "a"), "twice"),
        (("v/a", "./v/a"), "twice"),
        (("a", "A"), "differ only in case"),
        (("Dir/a", "dir/b"), "differ only in case"),
        (("straße", "STRASSE"), "differ only in case"),
        (("caf\u00e9", "cafe\u0301"), "how accents"),
        (("a", "a/b"), "both a file and a folder"),
        (("a/b", "a"), "both a file and a folder"),
    ],
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_collide(names: tuple[str, str], why: str, kind: str, place: Path) -> None:
    path = place / f"m.{kind}"
    if kind == "zip":
        write_zip(path, *((name, b"x") for name in names))
    else:
        write_tar(path, *(member(name) for name in names))
    refused(path, why)


def test_an_encrypted_zip(place: Path) -> None:
    path = write_zip(place / "m.zip", ("secret.txt", b"x"))
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(data)
    refused(path, "'secret.txt' is encrypted")


def test_a_zip_with_another_compression(place: Path) -> None:
    path = write_zip(place / "m.zip", ("a.txt", b"x"))
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(mark) + offset] = 14
    path.write_bytes(data)
    refused(path, "'a.txt' is compressed by method 14")


def test_a_zip_whose_headers_disagree_or_whose_checksum_is_wrong(place: Path) -> None:
    path = write_zip(place / "m.zip", ("first.txt", b"hello" * 9))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"first.txt", b"other.txt", 1))
    refused(path, "damaged")
    at = data.index(b"PK\x01\x02") + 16
    path.write_bytes(data[:at] + b"\0\0\0\0" + data[at + 4 :])
    refused(path, "damaged")


def test_sizes_in_headers_are_not_believed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A zip that says 5 bytes and holds 5,000: what is beyond is not read, and the checksum tells.
    path = write_zip(place / "m.zip", ("a", b"0" * 5000))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (5).to_bytes(4, "little")
    path.write_bytes(data)
    refused(path, "'a' is damaged")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_stopped_by_its_ratio(kind: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "RATIO_FLOOR_BYTES", 1 << 16)
    zeros = bytes(4 << 20)
    path = place / f"m.{kind}"
    if kind == "zip":
        write_zip(path, ("zeros", zeros))
    else:
        write_tar(path, member("zeros", zeros), gzipped=True)
    refused(path, "it unpacks to more than")


def test_the_floor_lets_small_repetitive_files_through(place: Path) -> None:
    path = write_zip(place / "m.zip", ("zeros", bytes(4 << 20)))
    assert path.stat().st_size * archive.MAX_COMPRESSION_RATIO < 4 << 20
    unpack(path, place / "out")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_the_total_is_bounded(kind: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 1 << 16)
    noise = random.Random(0).randbytes(40_000)
    path = place / f"m.{kind}"
    if kind == "zip":
        write_zip(path, ("a", noise), ("b", noise))
    else:
        write_tar(path, member("a", noise), member("b", noise), gzipped=kind == "tar.gz")
    refused(path, "it unpacks to more than 65,536 bytes")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_the_members_are_counted_with_implied_folders(kind: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 10)
    for names in ([f"f{i}" for i in range(11)], ["/".join("abcdefghijk")]):
        path = place / f"m.{kind}"
        if kind == "zip":
            write_zip(path, *((name, b"") for name in names))
        else:
            write_tar(path, *(member(name, b"") for name in names))
        refused(path, "more than 10 files and folders")


def test_an_extended_header_is_bounded(place: Path) -> None:
    header, content = member("a")
    header.pax_headers = {"comment": "c" * (2 << 20)}
    refused(write_tar(place / "m.tar", (header, content)), "a header of 2,097,")


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_a_truncated_archive(kind: str, place: Path) -> None:
    noise = random.Random(0).randbytes(3000)
    path = place / f"m.{kind}"
    if kind == "zip":
        write_zip(path, ("a", noise), ("b", noise))
    else:
        write_tar(path, member("a", noise), member("b", noise), gzipped=kind == "tar.gz")
    data = path.read_bytes()
    # Of a tar also where a member ends, which a reader could take for the end of all.
    sizes = (600, 512 + 3072, 2 * (512 + 3072)) if kind == "tar" else (600, len(data) - 12, len(data) - 1)
    for size in sizes:
        path.write_bytes(data[:size])
        refused(path, "damaged")


def test_a_damaged_header_in_the_middle(place: Path) -> None:
    path = write_tar(place / "m.tar", member("a", b"x" * 512), member("b"))
    data = bytearray(path.read_bytes())
    data[1024 + 3] ^= 0xFF
    path.write_bytes(data)
    refused(path, "damaged header")


def test_a_gzip_whose_checksum_is_wrong(place: Path) -> None:
    path = write_tar(place / "m.tar.gz", member("a"), gzipped=True)
    data = bytearray(path.read_bytes())
    data[-8] ^= 0xFF
    path.write_bytes(data)
    refused(path, "incorrect data check")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is no archive"),
        (b"<!doctype html><title>Log in</title>", "a web page"),
        (b"hello", "begins with 'hello'"),
        (b"BZh91AY&SY", "is no archive"),
        (b"\x1f\x8b\x08garbage", "damaged"),
        (b"PK\x03\x04garbage", "damaged"),
        (gzip.compress(b"no tar", mtime=0), "damaged"),
        (b"PK\x05\x06" + bytes(18), "holds no files"),
        (bytes(257) + b"ustar" + bytes(600), "damaged"),
    ],
)
def test_what_is_no_archive(data: bytes, why: str, place: Path) -> None:
    path = place / "model.tar.gz"
    path.write_bytes(data)
    refused(path, why)


def test_only_folders_is_no_model(place: Path) -> None:
    refused(write_tar(place / "m.tar", member("a", kind=tarfile.DIRTYPE)), "holds no files")


def test_an_interruption_leaves_nothing(
    make_zip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(archive._Counted, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack(make_zip(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_damage_is_an_archive_error_or_harmless(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("damaged")
    kind = data.draw(st.sampled_from(["zip", "tar", "tar.gz"]))
    path = place / f"m.{kind}"
    if kind == "zip":
        write_zip(path, ("a", b"aaaa" * 50), ("b/c", b"cc"))
    else:
        write_tar(path, member("a", b"aaaa" * 50), member("b/c", b"cc"), gzipped=kind == "tar.gz")
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    try:
        unpack(path, place / "out")
    except ArchiveError:
        assert sorted(place.iterdir()) == [path]
    else:
        assert all(file.is_relative_to(place / "out") for file in place.rglob("*") if file != path)
