import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

import berthub.errors
from berthub.errors import ChecksumError, FetchError, InputError
from berthub.sources import cache as cache_module
from berthub.sources.cache import Cache, Entry, Key, default_cache_dir

KEY = Key("kaggle", "google/electra/tensorFlow2/small/2", "google/electra/tensorFlow2/small/2")
SRC = Path(berthub.errors.__file__).parents[1]


def fill_with(files: Mapping[str, bytes], archive: str | None = None) -> Callable[[Path], tuple[Path, str | None]]:
    def fill(scratch: Path) -> tuple[Path, str | None]:
        for name, content in files.items():
            path = scratch / "came" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return scratch / "came", archive

    return fill


def never(_: Path) -> tuple[Path, str | None]:
    pytest.fail("made anew")


def accept(_: Entry) -> None:
    pass


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def home(store: Cache) -> Path:
    return store.root / KEY.kind / KEY.file_name


def left(store: Cache) -> list[str]:
    return sorted(path.name for path in (store.root / KEY.kind).iterdir() if not path.name.endswith(".lock"))


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTHUB_CACHE", str(tmp_path / "mine"))
    assert default_cache_dir() == Cache().root == tmp_path / "mine"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BERTHUB_CACHE", "~/c")
    assert default_cache_dir() == tmp_path / "c"
    monkeypatch.setenv("BERTHUB_CACHE", "")
    assert default_cache_dir().name.lower() in ("berthub", "cache")
    monkeypatch.chdir(tmp_path)
    assert Cache("relative").root == tmp_path / "relative"
    with pytest.raises(InputError, match="cache_dir is empty"):
        Cache("")
    assert list(tmp_path.iterdir()) == []


def test_an_entry_is_made_once(store: Cache, files: Mapping[str, bytes]) -> None:
    assert store.load(KEY) is None
    assert not store.root.exists()
    made = store.load_or_make(KEY, fill_with(files, "ab" * 32), accept)
    assert made == store.load(KEY) == store.load_or_make(KEY, never, accept)
    assert made.archive_sha256 == "ab" * 32
    assert {name: (made.folder / name).read_bytes() for name in made.files} == files
    assert {name: file.sha256 for name, file in made.files.items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }
    assert left(store) == [KEY.file_name]
    assert sorted(path.name for path in home(store).iterdir()) == ["entry.json", "files"]


def test_names_are_readable_and_distinct() -> None:
    assert KEY.file_name.startswith("google-electra-tensorFlow2-small-2-")
    names = {Key("url", "m.zip", f"https://example.org/{i}/m.zip").file_name for i in range(50)}
    assert len(names) == 50
    for label in ("", "..", "../../x", "a" * 500, "模型", "\udcff", "con:\\"):
        name = Key("url", label, label).file_name
        assert name.isascii()
        assert not name.startswith((".", "-"))
        assert len(name) < 90
        assert not set(name) & set("/\\:")


def test_an_unchanged_entry_is_not_hashed(
    store: Cache, files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.load_or_make(KEY, fill_with(files), accept)
    monkeypatch.setattr(cache_module, "hash_file", lambda path: pytest.fail(f"{path} was hashed"))
    assert store.load(KEY)


def test_a_copied_entry_is_hashed_once(
    store: Cache, files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store.load_or_make(KEY, fill_with(files), accept)
    for name in files:
        os.utime(made.folder / name, ns=(1, 1))
    again = store.load(KEY)
    assert again.folder == made.folder
    monkeypatch.setattr(cache_module, "hash_file", lambda path: pytest.fail(f"{path} was hashed"))
    assert store.load(KEY)


@pytest.mark.parametrize(
    "damage",
    [
        "same size",
        "longer",
        "missing",
        "a folder",
        "a pipe",
        "record",
        "record cut",
        "record old",
        "record pipe",
        "files",
    ],
)
def test_a_damaged_entry_is_made_anew(damage: str, store: Cache, files: Mapping[str, bytes]) -> None:
    made = store.load_or_make(KEY, fill_with(files), accept)
    name = next(iter(files))
    path, record = made.folder / name, home(store) / "entry.json"
    match damage:
        case "same size":
            path.write_bytes(b"?" * len(files[name]))
            os.utime(path, ns=(1, 1))
        case "longer":
            path.write_bytes(files[name] + b"?")
        case "missing":
            path.unlink()
        case "a folder":
            path.unlink()
            path.mkdir()
        case "a pipe" | "record pipe" if not hasattr(os, "mkfifo"):
            pytest.skip("the system has no pipes with names")
        case "a pipe":
            path.unlink()
            os.mkfifo(path)
        case "record pipe":
            record.unlink()
            os.mkfifo(record)
        case "record":
            record.unlink()
        case "record cut":
            record.write_bytes(record.read_bytes()[:40])
        case "record old":
            record.write_text(json.dumps({"version": 0}))
        case "files":
            shutil.rmtree(made.folder)
    assert store.load(KEY) is None
    anew = store.load_or_make(KEY, fill_with(files), accept)
    assert {name: (anew.folder / name).read_bytes() for name in anew.files} == files
    assert left(store) == [KEY.file_name]


def test_what_fails_leaves_nothing(store: Cache, files: Mapping[str, bytes]) -> None:
    def refuse(_: Entry) -> None:
        raise ChecksumError("refused")

    def interrupted(scratch: Path) -> tuple[Path, str | None]:
        fill_with(files)(scratch)
        raise KeyboardInterrupt

    with pytest.raises(ChecksumError, match="refused"):
        store.load_or_make(KEY, fill_with(files), refuse)
    assert left(store) == []
    with pytest.raises(KeyboardInterrupt):
        store.load_or_make(KEY, interrupted, accept)
    assert left(store) == []
    assert store.load(KEY) is None


def test_an_entry_without_files_or_with_links_is_refused(store: Cache, files: Mapping[str, bytes]) -> None:
    def empty(scratch: Path) -> tuple[Path, None]:
        (scratch / "came" / "sub").mkdir(parents=True)
        return scratch / "came", None

    def link(scratch: Path) -> tuple[Path, None]:
        fill_with(files)(scratch)
        (scratch / "came" / "link").symlink_to("/etc/passwd")
        return scratch / "came", None

    with pytest.raises(FetchError, match="without a single file"):
        store.load_or_make(KEY, empty, accept)
    if os.name != "nt":
        with pytest.raises(FetchError, match="link came as a link"):
            store.load_or_make(KEY, link, accept)
    assert left(store) == []


def test_a_loaded_entry_is_checked_too(store: Cache, files: Mapping[str, bytes]) -> None:
    store.load_or_make(KEY, fill_with(files), accept)

    def refuse(_: Entry) -> None:
        raise ChecksumError("refused")

    with pytest.raises(ChecksumError):
        store.load_or_make(KEY, never, refuse)
    assert store.load(KEY), "another pin is no reason to throw a whole entry away"


def test_a_cache_folder_that_cannot_be_used(tmp_path: Path, files: Mapping[str, bytes]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FetchError, match=r"(?s)cannot put google/electra.*BERTHUB_CACHE") as caught:
        Cache(tmp_path / "file").load_or_make(KEY, fill_with(files), accept)
    assert isinstance(caught.value.__cause__, OSError)


SCRIPT = """
import os, sys, time
from pathlib import Path
from berthub.sources.cache import Cache, Key
def fill(scratch):
    (scratch / "came").mkdir()
    (scratch / "came" / "f").write_bytes(b"half")
    print("working", flush=True)
    {then}
    (scratch / "came" / "f").write_bytes(b"whole")
    return scratch / "came", None
entry = Cache(sys.argv[1]).load_or_make(Key("kaggle", "{label}", "{label}"), fill, lambda entry: None)
print("got", (entry.folder / "f").read_text(), flush=True)
"""


def run(store: Cache, then: str) -> "subprocess.Popen[str]":
    script = SCRIPT.format(then=then, label=KEY.label)
    return subprocess.Popen(
        [sys.executable, "-c", script, str(store.root)],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def test_what_is_mapped_stays_as_it_was_when_its_entry_is_made_anew(store: Cache) -> None:
    weights = np.arange(100_000, dtype=np.float32)
    made = store.load_or_make(KEY, fill_with({"w": weights.tobytes(), "other": b"o"}), accept)
    mapped = np.memmap(made.folder / "w", np.float32, mode="r")
    (made.folder / "other").unlink()
    anew = store.load_or_make(KEY, fill_with({"w": bytes(400_000), "other": b"o"}), accept)
    assert anew.folder == made.folder
    assert (anew.folder / "w").read_bytes() == bytes(400_000)
    np.testing.assert_array_equal(mapped, weights)


def test_a_copied_cache_notes_other_times_and_touches_no_file(store: Cache, files: Mapping[str, bytes]) -> None:
    made = store.load_or_make(KEY, fill_with(files), accept)
    for name in files:
        os.utime(made.folder / name, ns=(1, 1))
    before = {name: (made.folder / name).stat().st_ino for name in files}
    assert store.load(KEY)
    assert {name: (made.folder / name).stat().st_ino for name in files} == before
    assert all((made.folder / name).stat().st_mtime_ns == 1 for name in files)


def test_a_crashed_process_leaves_no_entry_and_its_leavings_go(store: Cache) -> None:
    with run(store, "os._exit(9)") as crashed:
        crashed.communicate()
    assert crashed.returncode == 9
    assert [name for name in left(store) if ".part" in name]
    assert store.load(KEY) is None
    with run(store, "pass") as second:
        assert second.communicate()[0].split() == ["working", "got", "whole"]
    assert left(store) == [KEY.file_name]


def test_a_second_process_waits_and_uses_what_the_first_made(store: Cache) -> None:
    with run(store, "sys.stdin.readline()") as first:
        assert first.stdout.readline() == "working\n"
        with run(store, "raise SystemExit('made twice')") as second:
            assert second.poll() is None
            assert store.load(KEY) is None
            assert first.communicate("go on\n")[0] == "got whole\n"
            assert second.communicate()[0] == "got whole\n"
    assert (first.returncode, second.returncode) == (0, 0)
