"""The shell completes commands and options; typer asks the program, by its environment, as shells do."""

import os
import subprocess
import sys

import pytest

# As the shells set them: what is typed so far, and which word of it is meant.
_TYPED = {
    "bash": {"COMP_WORDS": "berthub enc", "COMP_CWORD": "1"},
    "zsh": {"_TYPER_COMPLETE_ARGS": "berthub enc"},
    "fish": {"_TYPER_COMPLETE_ARGS": "berthub enc", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
}


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; from berthub.cli.start import start; sys.argv[0] = 'berthub'; start()"
    # Without it, typer asks which program has started this one.
    variables = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", **environment}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("shell", list(_TYPED))
def test_the_script_of_each_shell(shell: str) -> None:
    shown = _run("--show-completion", shell)
    assert shown.returncode == 0, shown.stderr
    assert "_BERTHUB_COMPLETE" in shown.stdout
    assert "berthub" in shown.stdout


@pytest.mark.parametrize("shell", list(_TYPED))
def test_a_command_is_completed(shell: str) -> None:
    done = _run(_BERTHUB_COMPLETE=f"complete_{shell}", **_TYPED[shell])
    assert "encode" in done.stdout
    assert "evaluate" not in done.stdout
