import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import berthub
from berthub.cli import main as main_module
from berthub.cli.exit_codes import ExitCode, code_of
from berthub.errors import (
    ArchiveError,
    BerthubError,
    CheckpointError,
    ChecksumError,
    HandleError,
    InputError,
    MissingDependencyError,
    ModelNotFoundError,
    OfflineError,
    OutputNotComputedError,
)


def test_version(cli: Any) -> None:
    assert cli("--version").stdout == f"berthub {berthub.__version__}\n"


@pytest.mark.parametrize("words", [["--version", "--verbose"], ["--verbose", "--version"]])
def test_version_for_reports(cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str]) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BERTHUB_CACHE", str(tmp_path / "models"))
    monkeypatch.setenv("BERTHUB_OFFLINE", "1")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    told = cli(*words).stdout
    lines = {name.strip(): value for name, _, value in (line.partition("  ") for line in told.splitlines())}
    assert lines["berthub"].strip() == berthub.__version__
    assert lines["engine"].strip() in ("openvino, bfloat16", "openvino, float32")
    assert lines["cache"].strip() == "~/models"
    assert lines["offline"].strip() == "the environment's BERTHUB_OFFLINE"
    assert {"python", "system", "numpy", "openvino", "processor", "instructions", "cores"} <= set(lines)
    assert "hf_secret" not in told
    assert str(tmp_path) not in told


@pytest.mark.parametrize("words", [["--help"], ["encode", "--help"], ["tokenize", "-h"], ["inspect", "-h"]])
def test_help_has_examples(cli: Any, words: list[str]) -> None:
    result = cli(*words)
    assert result.exit_code == 0
    assert "   berthub " in result.stdout


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'openvino', 'pyarrow', 'tokenizers', 'kagglehub', 'huggingface_hub', 'orjson'}"
    code = (
        f"import sys; from berthub.cli.main import main; main(['encode', '--help']); print({heavy} & {{*sys.modules}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_each_option_is_declared_in_one_place() -> None:
    commands = Path(main_module.__file__).parent
    declaring = [path.name for path in commands.glob("*.py") if "typer.Option(" in path.read_text()]
    assert sorted(declaring) == [
        "catalogue_options.py",
        "job_options.py",
        "main.py",
        "model_options.py",
        "output_options.py",
        "serve_options.py",
        "text_options.py",
        "training_options.py",
    ]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x"), 2),
        (OutputNotComputedError("x"), 2),
        (HandleError("x"), 3),
        (OfflineError("x"), 3),
        (ChecksumError("x"), 3),
        (ArchiveError("x"), 3),
        (ModelNotFoundError("x"), 4),
        (CheckpointError("x"), 4),
        (MissingDependencyError("x"), 5),
    ],
)
def test_exit_codes(cli: Any, monkeypatch: pytest.MonkeyPatch, error: BerthubError, code: int) -> None:
    assert code_of(error) == code

    def fail(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr("berthub.sources.resolve.resolve", fail)
    result = cli("inspect", "some/model")
    assert result.exit_code == code
    assert result.stderr == "error: x\n"


def test_a_bug_shows_its_traceback(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("berthub.sources.resolve.resolve", fail)
    assert main_module.main(["inspect", "some/model"]) == ExitCode.BUG
    told = capsys.readouterr().err
    assert "ZeroDivisionError: oh" in told
    assert "This is a bug in berthub" in told


@pytest.mark.parametrize("words", [["nonsense"], ["encode"], ["encode", "x", "--output", "nonsense"], ["--nonsense"]])
def test_wrong_usage(cli: Any, words: list[str]) -> None:
    result = cli(*words)
    assert result.exit_code == 2
    assert "Usage: berthub" in result.stderr


def test_unknown_models(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert cli("encode", "fox", "-m", "nonsense").exit_code == 3
    assert cli("encode", "fox", "-m", "./empty").exit_code == 4
    result = cli("encode", "fox", "-m", "google-bert/bert-base-uncased")
    assert result.exit_code == 3
    assert "offline" in result.stderr


def test_main_returns_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main_module.main(["--version"]) == 0
    assert main_module.main(["nonsense"]) == 2


def test_an_interruption_that_is_swallowed_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Swallowing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def encode(**options: object) -> None:
        thing = Swallowing()
        del thing
        time.sleep(20)
        raise AssertionError("went on")

    monkeypatch.setattr(main_module, "app", lambda **options: encode())
    before = signal.getsignal(signal.SIGINT)
    assert main_module.main([]) == 130
    assert signal.getsignal(signal.SIGINT) is before


_COMMANDS = [["encode"], ["predict"], ["evaluate"], ["tokenize"], ["inspect"], ["models"], ["export"], ["finetune"]]


@pytest.mark.parametrize(
    "words", [[], *_COMMANDS, ["finetune", "classify"], ["finetune", "regress"], ["finetune", "tag"]], ids=" ".join
)
def test_help_on_a_narrow_terminal(cli: Any, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli(*words, "--help").stdout.splitlines()
    before = lines[: next(index for index, line in enumerate(lines) if line.startswith("\u256d"))]
    examples = [line.strip() for line in before if line.strip().startswith(("berthub ", "cat "))]
    # One a line, and none goes on in the next.
    assert examples
    assert all(example.count("berthub ") == 1 for example in examples)
    assert not any(line.strip().startswith("--") for line in before)
    assert not any("<bool>" in line for line in lines)


def test_tensorflow_is_silent_in_the_command_alone() -> None:
    code = (
        "import os, berthub.cli.main as m; before = os.environ.get('TF_CPP_MIN_LOG_LEVEL'); m.main(['--version']); "
        "print(before, os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    )
    for given, told in ((None, "None 3"), ("0", "0 0")):
        environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        environment |= {} if given is None else {"TF_CPP_MIN_LOG_LEVEL": given}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        assert done.stdout.splitlines()[-1] == told


def test_a_text_is_encoded_without_what_jobs_need(models: Path) -> None:
    # Each of these takes up to a tenth of the start of the command.
    code = (
        "import sys\n"
        "from berthub.cli.main import main\n"
        "import berthub.cli.encode_job\n"
        "loaded = {'pyarrow.compute'} & set(sys.modules)\n"
        f"status = main(['encode', 'a text', '-m', {str(models / 'tf2_v4')!r}])\n"
        "jobs = ('berthub.jobs.job', 'berthub.jobs.claims', 'berthub.jobs.planning', 'berthub.jobs.public')\n"
        "loaded |= {'filelock', 'fsspec', 'ray', *jobs} & set(sys.modules)\n"
        "print('status', int(status), *sorted(loaded))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "status 0"
