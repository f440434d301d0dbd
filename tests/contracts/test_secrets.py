import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import berthub

TESTS = Path(__file__).parents[1]
SRC = Path(berthub.__file__).parents[1]


@pytest.mark.slow
def test_no_secret_of_an_address_comes_out_anywhere(tmp_path: Path) -> None:
    """The canary through every route but fine-tuning; the script can take that one too."""
    done = subprocess.run(
        [sys.executable, TESTS / "secrets_canary.py", "--keep", tmp_path],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        capture_output=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["the canary came out of"] == []
    assert done.returncode == 0
    # The others went through, or the canary would not have been where it could come out.
    failed = {route for route in report["errors"] if not route.startswith("parse ")}
    assert failed == {
        *(
            f"resolve /{name}.tar.gz"
            for name in ("away", "nowhere", "loop", "401", "403", "404", "418", "503", "short")
        ),
        *(f"resolve /{name}.tar.gz" for name in ("page", "rubbish", "reset")),
        *(
            "resolve /no-archive",
            "a proxy",
            "hugging face",
            "a wheel",
            "offline",
            "another pin",
            "a pin of a file",
            "two pins",
        ),
    }
    assert {path.name for path in tmp_path.iterdir()} >= {"v.parquet", "v.jsonl", "by-command", "saved", "exported"}
