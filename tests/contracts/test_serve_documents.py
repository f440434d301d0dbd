"""What the guides to the server show runs against a server: blocks of shell and Python that are marked `server`."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.needs import why_skipped

_GUIDES = sorted((Path(__file__).parent.parent.parent / "docs" / "guides").glob("serve*.md"))
# Where the guides say that the server is, and the models that they name.
_ADDRESS = "localhost:8080"
_BLOCK = re.compile(r"^```(sh|python) no-run server([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NEEDS = re.compile(r"needs=([\w,]+)")


@pytest.fixture(scope="module")
def address(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if reason := why_skipped("starlette", "uvicorn", "httptools", "prometheus_client", "httpx"):
        pytest.skip(reason)
    import berthub as hub
    from support.heads import with_head
    from support.server import RunningServer

    folder = tmp_path_factory.mktemp("heads")
    paths = {"minilm": models / "tf2_v4_mlm"}
    paths["reviews"] = with_head(models / "tf2_v4", folder / "reviews", "classify")
    paths["names"] = with_head(models / "tf2_v4", folder / "names", "tag")
    with RunningServer({name: hub.load(path, threads=1) for name, path in paths.items()}) as server:
        yield f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("guide", _GUIDES, ids=lambda path: path.name)
def test_examples_run_against_a_server(
    guide: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for language, options, code in _BLOCK.findall(guide.read_text(encoding="utf-8")):
        code = code.replace(_ADDRESS, address)
        needed = _NEEDS.search(options)
        if needed and why_skipped(*needed[1].split(",")):
            continue
        if language == "python":
            exec(compile(code, str(guide), "exec"), names)
        elif shutil.which("curl") is not None:
            # An answer that tells of an error is none that a guide should show.
            script = re.sub(r"^curl ", "curl --silent --show-error --fail-with-body ", code, flags=re.MULTILINE)
            ran = subprocess.run(["sh", "-e", "-c", script], capture_output=True, text=True, check=False)
            assert ran.returncode == 0, f"{code}\n{ran.stdout}\n{ran.stderr}"
