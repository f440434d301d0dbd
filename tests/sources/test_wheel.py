from collections.abc import Callable
from pathlib import Path

import pytest

from berthub.errors import ArchiveError
from berthub.sources.archive import unpack
from berthub.sources.resolve import resolve
from berthub.sources.wheel import check_record

FILES = {"m/model.safetensors": b"weights", "m/config.json": b"{}", "m-1.dist-info/WHEEL": b"Wheel-Version: 1.0\n"}


@pytest.fixture
def folder(make_wheel: Callable[..., Path], tmp_path: Path) -> Path:
    unpack(make_wheel(FILES), tmp_path / "unpacked")
    return tmp_path / "unpacked"


def fails(folder: Path, why: str) -> None:
    with pytest.raises(ArchiveError, match=why) as caught:
        check_record(folder, name="m.whl")
    assert "m.whl" in str(caught.value)
    assert "Fetch it anew" in str(caught.value)


def test_a_wheel_as_it_was_built(folder: Path) -> None:
    check_record(folder, name="m.whl")
    (folder / "m-1.dist-info" / "RECORD.jws").write_bytes(b"a signature is not listed")
    check_record(folder, name="m.whl")


def test_every_difference_is_named(folder: Path) -> None:
    (folder / "m/model.safetensors").write_bytes(b"WEIGHTS")
    (folder / "m/config.json").unlink()
    (folder / "m/more").touch()
    for why in ("m/model.safetensors has another sha256", "m/config.json is missing", "m/more is not listed"):
        fails(folder, why)
    (folder / "m/model.safetensors").write_bytes(b"longer than before")
    fails(folder, "m/model.safetensors has 18 bytes, not 7")


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("m/model.safetensors,md5=abc,7\n", "no hash of sha256"),
        ("m/model.safetensors,,\n", "no hash of sha256"),
        ("m/model.safetensors,sha256=\u00e9,7\n", "another sha256"),
        ("m/model.safetensors,sha256=x,seven\n", "has 7 bytes, not seven"),
        ("m/model.safetensors\n", "malformed or there twice"),
        ("a,sha256=x,\na,sha256=x,\n", "malformed or there twice"),
        ('"a\n', "cannot be read"),
        ("a" * 5_000 + ",sha256=x,\n", "malformed or there twice"),
    ],
)
def test_a_malformed_record(record: str, why: str, folder: Path) -> None:
    (folder / "m-1.dist-info" / "RECORD").write_text(record, encoding="utf-8")
    fails(folder, why)


def test_a_record_that_is_no_text_or_is_not_there(folder: Path) -> None:
    record = folder / "m-1.dist-info" / "RECORD"
    record.write_bytes(b"\xff")
    fails(folder, "cannot be read")
    record.unlink()
    fails(folder, "it has 0 files")


def test_a_wheel_is_compared_before_it_is_kept(make_zip: Callable[..., Path], cache_dir: Path) -> None:
    with pytest.raises(ArchiveError, match=r"w.whl is damaged or was changed: it has 0 files .*RECORD"):
        resolve(make_zip(FILES, "w.whl"), cache_dir=cache_dir)
    assert [path for path in cache_dir.glob("*/*") if path.suffix != ".lock"] == []
    assert resolve(make_zip(FILES, "w.zip"), cache_dir=cache_dir)
