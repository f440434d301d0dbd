"""A sample of `tests/failing_io.py`: disks that fail while something is written or read."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parent.parent / "failing_io.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs LD_PRELOAD")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize(
    "works",
    [
        ["encode:new", "predict:csv", "--every", "5"],
        ["save:empty folder", "cache", "--every", "15"],
        ["read:tf2_v4", "read:.csv", "--every", "9"],
    ],
    ids=["rows", "models", "reading"],
)
def test_a_failing_disk_is_told_and_leaves_nothing(works: list[str]) -> None:
    done = subprocess.run([sys.executable, str(_SCRIPT), *works], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "2 pieces of work" in done.stdout
    assert " 0 failures of the system" not in done.stdout
