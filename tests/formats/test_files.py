"""Only regular files are read, in every format: a pipe or a device would be waited for, or read for ever."""

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from berthub.containers.files import memory_map, open_file, read_bytes
from berthub.containers.npz import read_npz
from berthub.errors import BerthubError, ModelError
from berthub.formats import read
from berthub.formats.onnx.writer import write_onnx
from support.tiny import tiny_checkpoint

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    def stop(signum: int, frame: object) -> None:
        raise TimeoutError("it waited")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        # A socket's name may have a hundred bytes; a test's folder has more.
        here = Path.cwd()
        os.chdir(path.parent)
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


_KINDS: dict[str, Callable[[Path], None]] = {
    "named pipe": _pipe,
    "socket": _socket,
    "device": _device,
    "folder": Path.mkdir,
}


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("reader", [read_bytes, memory_map, read_npz, open_file])
def test_what_is_no_file_is_an_error(tmp_path: Path, kind: str, reader: Callable[[Path], object]) -> None:
    path = tmp_path / "model.bin"
    _KINDS[kind](path)
    with pytest.raises(ModelError, match=rf"model\.bin cannot be read: it is a {kind}, and .* regular files"):
        reader(path)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "missing"])
def test_names_that_no_file_can_have_are_errors(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read_bytes(tmp_path / name)


_MODELS = ("tf2_v4", "tf1_hub_module", "google_checkpoint", "model_garden", "hf_bert", "keras_hub_bert", "albert_v3")


@pytest.mark.parametrize("model", [*_MODELS, "onnx"])
def test_no_reader_waits_for_a_pipe(models: Path, tmp_path: Path, model: str) -> None:
    if model == "onnx":
        source = tmp_path / "written"
        write_onnx(tiny_checkpoint("bert"), source)
    else:
        source = models / model
    names = [path.relative_to(source) for path in source.rglob("*") if path.is_file() and "golden" not in path.name]
    for number, name in enumerate(names):
        folder = tmp_path / str(number)
        shutil.copytree(source, folder)
        (folder / name).unlink()
        os.mkfifo(folder / name)
        try:
            read(folder)
        except BerthubError as error:
            assert str(error)
