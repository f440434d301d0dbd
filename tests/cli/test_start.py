"""Signals at any moment of a command: while it starts, compiles, writes. It ends without a word, and leaves nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import berthub

STATUSES = {signal.SIGINT: 130, signal.SIGTERM: 143}
BERTHUB = [sys.executable, "-m", "berthub.cli.start"]
# In seconds after the first lines of ours: an interpreter that has only begun is not under our control.
MOMENTS = [0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.1, 1.5]

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks into /proc")


def _catches_signals(process: subprocess.Popen[bytes]) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More texts than are encoded in the time of the test."""
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("".join(f"the quick fox {row}\n" for row in range(1_000_000)))
    return path


@pytest.mark.parametrize("number", STATUSES)
def test_a_signal_at_any_moment(models: Path, texts: Path, tmp_path: Path, number: signal.Signals) -> None:
    words = [*BERTHUB, "encode", str(texts), "-o", str(tmp_path / "out.parquet"), "-m", str(models / "tf2_v4"), "-q"]
    for moment in MOMENTS:
        with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
            while process.poll() is None and not _catches_signals(process):
                time.sleep(0.001)
            time.sleep(moment)
            process.send_signal(number)
            _, told = process.communicate()
        assert (process.returncode, told) == (STATUSES[number], b""), f"{moment} s after the start"
        assert not any(tmp_path.iterdir()), f"{moment} s after the start"


def test_the_end_of_a_command_has_its_status(tmp_path: Path) -> None:
    for words, status in ((["--version"], 0), (["encode", str(tmp_path / "no.csv")], 2), (["--nonsense"], 2)):
        done = subprocess.run([*BERTHUB, *words], capture_output=True, env=os.environ)
        assert done.returncode == status
        assert b"Traceback" not in done.stderr


def test_a_signal_in_an_import_waits_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\ndone = True\n")
    code = (
        "import sys, time\n"
        "from berthub.cli.main import _signals\n"
        "with _signals() as stopped:\n"
        "    import interrupted\n"
        "    assert interrupted.done and stopped.status is None\n"
        "    try:\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        print(int(stopped.status))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("130\n", "", 0)


def test_the_package_runs_as_the_command(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "berthub", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == (f"berthub {berthub.__version__}\n", "", 0)
