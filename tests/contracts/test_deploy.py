"""What is in deploy/ and in the guide for operators fits the server: options, routes, metrics, times."""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from berthub.cli.main import app
from support.needs import needs

_ROOT = Path(__file__).parent.parent.parent
_DEPLOY = _ROOT / "deploy"
_GUIDE = _ROOT / "docs" / "guides" / "serve-in-production.md"
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_DIRECTIVES = dict(re.findall(r"^([A-Za-z]+)=(.*)$", (_DEPLOY / "berthub.service").read_text(), re.MULTILINE))


def _instructions(name: str = "Dockerfile") -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, in their order, with their arguments."""
    text = re.sub(r"^#.*\n", "", (_DEPLOY / name).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def _last(instruction: str) -> str:
    return [rest for name, rest in _instructions() if name == instruction][-1]


def _documents() -> dict[str, Any]:
    return {each["kind"]: each for each in yaml.safe_load_all((_DEPLOY / "kubernetes.yaml").read_text())}


def _pod() -> Any:
    return _documents()["Deployment"]["spec"]["template"]["spec"]


def _start() -> str:
    """The command that the unit starts."""
    text = (_DEPLOY / "berthub.service").read_text().replace("\\\n", " ")
    return re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)[0]


def _named_options() -> dict[str, set[str]]:
    command = [*json.loads(_last("ENTRYPOINT")), *json.loads(_last("CMD")), *_pod()["containers"][0]["args"]]
    guide = _GUIDE.read_text(encoding="utf-8")
    # What stands after other programs is theirs.
    served = re.findall(r"^(?:.* )?berthub serve .*(?:\\\n.*)*", guide, re.MULTILINE)
    alone = re.findall(r"`(--[a-z-]+)(?: [^`]*)?`", guide)
    return {
        "image": set(_OPTION.findall(" ".join(command))),
        "unit": set(_OPTION.findall(_start())),
        "guide": set(_OPTION.findall(" ".join(served))) | set(alone) - {"--build-arg"},
    }


@pytest.mark.skipif("serve" not in typer.main.get_command(app).commands, reason="needs the command: berthub serve")  # type: ignore[attr-defined]
def test_options_are_those_of_the_command() -> None:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for place, named in _named_options().items():
        assert named
        assert named <= known, place


def test_the_image_runs_without_root_and_gets_its_signals() -> None:
    instructions = _instructions()
    assert [name for name, _ in instructions].count("FROM") == 2
    assert _last("USER") == "10001:10001"
    assert "--uid 10001" in str(instructions)
    for name in ("ENTRYPOINT", "CMD"):
        # In the form of a shell, a shell would get the signals.
        assert isinstance(json.loads(_last(name)), list)
    assert json.loads(_last("ENTRYPOINT"))[:2] == ["berthub", "serve"]
    health = json.loads(_last("HEALTHCHECK").partition("CMD")[2])
    assert health[:2] == ["python", "-c"]
    compile(health[2], "HEALTHCHECK", "exec")
    assert "--offline" in json.loads(_last("CMD"))


def test_the_image_of_the_command() -> None:
    instructions = _instructions("Dockerfile.cpu")
    last = dict(instructions)
    assert [name for name, _ in instructions].count("FROM") == 2
    assert last["USER"] == "10001:10001"
    assert "--uid 10001" in str(instructions)
    # What the comment and the guide put behind the image's name are arguments of the command.
    assert json.loads(last["ENTRYPOINT"]) == ["berthub"]
    assert json.loads(last["CMD"]) == ["--help"]
    # Both images are built in the same way, but for the extra.
    assert dict(_instructions())["ARG"] == last["ARG"]
    assert dict(_instructions())["COPY"] == last["COPY"]
    shared = {rest for name, rest in _instructions() if name in ("FROM", "COPY") or "--mount=type=secret" in rest}
    assert shared <= {rest for _, rest in instructions}
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    shown = (_DEPLOY / "Dockerfile.cpu").read_text() + (_ROOT / "docs" / "guides" / "install.md").read_text()
    run = re.findall(r"^.*docker run .* berthub-cpu (\w+)", shown, re.MULTILINE)
    assert run
    assert set(run) <= set(commands)


@pytest.mark.parametrize("image", ["Dockerfile", "Dockerfile.cpu"])
def test_the_image_gets_what_the_package_is_built_of(image: str) -> None:
    kept = set(re.findall(r"^!(.*)$", (_DEPLOY / f"{image}.dockerignore").read_text(), re.MULTILINE))
    assert {"src", "README.md", "LICENSE", "hatch_build.py", "pyproject.toml"} <= kept
    assert all((_ROOT / name).exists() for name in kept)


def test_the_unit_waits_longer_than_the_server_drains() -> None:
    drain = re.findall(r"--drain-seconds[ =](\d+)", _start())
    assert int(_DIRECTIVES["TimeoutStopSec"]) > int(drain[0])
    assert _DIRECTIVES["KillSignal"] == "SIGTERM"
    assert "%" not in _start()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    # The program that it starts is not where it would be.
    unit = tmp_path / "berthub.service"
    unit.write_text((_DEPLOY / "berthub.service").read_text().replace("/opt/berthub/bin/berthub", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if "berthub.service" in line] == []


def test_kubernetes_waits_longer_than_the_server_drains() -> None:
    pod = _pod()
    container = pod["containers"][0]
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = next(int(each.partition("=")[2]) for each in container["args"] if each.startswith("--drain-seconds="))
    assert pod["terminationGracePeriodSeconds"] > pause + drain
    assert container["securityContext"]["readOnlyRootFilesystem"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    labels = _documents()["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for document in _documents().values():
        selector = document["spec"]["selector"]
        assert selector.get("matchLabels", selector) == labels


@needs("starlette", "uvicorn", "prometheus_client")
@pytest.mark.skipif(importlib.util.find_spec("berthub.serving.health") is None, reason="needs the server's routes")
def test_probes_ask_for_routes_that_there_are() -> None:
    from berthub.serving.health import ENDPOINTS

    paths = {endpoint.path for endpoint in ENDPOINTS if endpoint.open}
    container = _pod()["containers"][0]
    asked = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness", "startup")}
    asked |= {re.sub(r".*HEALTH_URL=http://127\.0\.0\.1:\d+(\S+).*", r"\1", _last("ENV"))}
    asked |= {_documents()["Deployment"]["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"]}
    assert asked <= paths


@needs("prometheus_client")
def test_the_guide_lists_the_metrics() -> None:
    from berthub.serving.metrics import Metrics

    content = Metrics().exposition()[0].decode()
    known = set(re.findall(r"^# TYPE ((?:berthub|te)_\w+)", content, re.MULTILINE))
    text = _GUIDE.read_text(encoding="utf-8")
    listed = set(re.findall(r"`((?:berthub|te)_\w+)`", text))
    assert listed <= known
    assert {name for name in known - listed if not name.startswith("te_predict_")} == set()
    queried = re.findall(r"((?:berthub|te)_\w+?)(?:_bucket|_sum|_count)?[\[{]", text)
    assert set(queried) <= known
