"""A sample of `tests/killed_jobs.py`: jobs that are killed at any moment, or whose disk fails, end as all others do."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parent.parent / "killed_jobs.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs LD_PRELOAD")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize(
    "words",
    [
        ["calls", "--every", "5"],
        ["no space", "I/O error", "--every", "11"],
        ["moments", "--times", "10"],
        ["runners", "--times", "6"],
    ],
    ids=["calls", "disks", "moments", "runners"],
)
def test_the_same_job_again_ends_with_the_same_bytes_and_nothing_else(words: list[str]) -> None:
    done = subprocess.run([sys.executable, str(_SCRIPT), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.endswith("\n0 faults\n")
