"""How files and folders come into being: whole, with the rights that the process gives, or not at all."""

import errno
import mmap
import os
import stat
from pathlib import Path

import pytest

from berthub import atomic
from berthub.atomic import (
    check_new_folder,
    remove_folder,
    unfinished_beside,
    write_errors,
    written_file,
    written_folder,
    written_into,
    written_path,
)
from berthub.errors import InputError, WriteError


def _write(path: Path, content: bytes, *, overwrite: bool = False) -> None:
    with written_file(path, overwrite=overwrite) as file:
        file.write(content)


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with written_file(tmp_path / "a", overwrite=False) as file:
        file.write(b"12345")
        assert not (tmp_path / "a").exists()
        file.seek(1)
        file.write(b"x")
        file.seek(0)
        assert file.read() == b"1x345"
    assert (tmp_path / "a").read_bytes() == b"1x345"
    assert _names(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_failure_leaves_what_was(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def file() -> None:
        with written_file(tmp_path / "a", overwrite=True) as file:
            file.write(b"new")
            raise error

    def path() -> None:
        with written_path(tmp_path / "deep" / "b.png", overwrite=False) as path:
            path.write_bytes(b"new")
            raise error

    def folder() -> None:
        with written_folder(tmp_path / "deep" / "er" / "c") as folder:
            (folder / "file").write_bytes(b"new")
            raise error

    def into() -> None:
        with written_into(tmp_path, last="z") as folder:
            (folder / "z").write_bytes(b"new")
            raise error

    for work in (file, path, folder, into):
        with pytest.raises(error):
            work()
    assert _names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.skipif(os.name == "nt", reason="POSIX rights")
def test_rights_are_those_of_the_process_or_of_the_file_before(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        _write(tmp_path / "new", b"")
        with written_folder(tmp_path / "folder") as folder:
            (folder / "file").write_bytes(b"")
    finally:
        os.umask(before)
    (tmp_path / "private").write_bytes(b"")
    (tmp_path / "private").chmod(0o600)
    _write(tmp_path / "private", b"more", overwrite=True)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in _names(tmp_path)}
    assert modes == {"new": 0o640, "folder": 0o750, "folder/file": 0o640, "private": 0o600}


def test_who_has_the_file_before_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    _write(path, b"old" * 1000)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        _write(path, b"x", overwrite=True)
        assert mapped[:] == b"old" * 1000
    assert path.read_bytes() == b"x"


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file").symlink_to(tmp_path / "there" / "file")
    _write(tmp_path / "file", b"1")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path / "empty")
    with written_folder(tmp_path / "folder") as folder:
        (folder / "inside").write_bytes(b"2")
    assert (tmp_path / "file").is_symlink()
    assert (tmp_path / "folder").is_symlink()
    assert (tmp_path / "there" / "file").read_bytes() == b"1"
    assert (tmp_path / "empty" / "inside").read_bytes() == b"2"


def test_an_empty_folder_stays_the_one_it_is(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    number = target.stat().st_ino
    moved: list[str] = []
    with written_folder(target, last="a") as folder:
        for name in ("a", "b", "c"):
            (folder / name).write_text(name)
    assert (target.stat().st_ino, _names(target)) == (number, ["a", "b", "c"])
    with pytest.raises(InputError, match="not an empty folder"), written_folder(target):
        moved.append("never")
    assert not moved


def test_what_makes_the_others_count_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    replace = Path.replace

    def noted(self: Path, target: Path) -> Path:
        order.append(target.name)
        if len(order) == 3:
            raise OSError(errno.EIO, "broken")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    (tmp_path / "other").write_text("there before")

    def write() -> None:
        with written_into(tmp_path, last="a") as folder:
            for name in ("a", "b", "c"):
                (folder / name).write_text(name)

    with pytest.raises(WriteError, match="Input/output error"):
        write()
    assert order == ["b", "c", "a"]
    assert _names(tmp_path) == ["other"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="in the meantime"), written_file(tmp_path / "a", overwrite=False):
        (tmp_path / "a").write_bytes(b"theirs")
    assert (tmp_path / "a").read_bytes() == b"theirs"
    assert _names(tmp_path) == ["a"]


def test_everything_is_fsynced_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[int] = set()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    with written_folder(tmp_path / "new" / "folder") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_bytes(b"1")
    _write(tmp_path / "file", b"2")
    found = {path.stat().st_ino for path in (tmp_path, *tmp_path.rglob("*"))}
    assert found <= synced


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "Free space"),
        (errno.EACCES, "allowed to write"),
        (errno.EROFS, "can be written"),
        (None, "Choose"),
    ],
)
def test_the_error_says_what_why_and_what_to_do(code: int | None, advice: str) -> None:
    cause = OSError("strange") if code is None else OSError(code, os.strerror(code), "/tmp/.x.part")
    with pytest.raises(WriteError, match=f"^out.npy cannot be written: .*{advice}") as told, write_errors("out.npy"):
        raise cause
    assert told.value.errno == code
    assert told.value.__cause__ is cause
    assert "part" not in str(told.value)


def test_errors_of_libraries_are_told_by_their_words() -> None:
    class LibraryError(Exception):
        pass

    with pytest.raises(WriteError, match="No space left on device") as told, write_errors("model", LibraryError):
        raise LibraryError("failed to write: x; No space left on device [Op:Save]")
    assert told.value.errno == errno.ENOSPC
    with pytest.raises(LibraryError), write_errors("model"):
        raise LibraryError("not meant")
    with pytest.raises(BrokenPipeError), write_errors("standard output"):
        raise BrokenPipeError


def test_leavings_of_killed_processes_are_known(tmp_path: Path) -> None:
    target = tmp_path / "entry"
    left = atomic._beside(target)
    left.mkdir()
    atomic._beside(tmp_path / "entry.2").mkdir()
    assert list(unfinished_beside(target)) == [left]
    target.mkdir()
    (target / "file").write_bytes(b"")
    remove_folder(target)
    check_new_folder(target)
    assert not target.exists()


def test_long_names(tmp_path: Path) -> None:
    for name in ("a" * 255, "é" * 127):
        _write(tmp_path / name, b"1")
        assert (tmp_path / name).exists()
    with pytest.raises(WriteError, match="File name too long"):
        _write(tmp_path / ("a" * 256), b"1")
