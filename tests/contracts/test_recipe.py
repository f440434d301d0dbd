"""The conda recipe says what pyproject.toml says."""

import tomllib
from pathlib import Path
from typing import Any

import yaml

import berthub

_ROOT = Path(__file__).parent.parent.parent
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_RECIPE: Any = yaml.safe_load((_ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))
# What is no library of Python's, or is filled in from `context`.
_OTHERS = {"pip", "python >=${{ python_min }}"}


def test_the_libraries_are_those_of_the_package() -> None:
    run = [requirement for requirement in _RECIPE["requirements"]["run"] if requirement not in _OTHERS]
    assert [requirement.replace(" ", "") for requirement in run] == _PROJECT["project"]["dependencies"]
    assert len(run) + len(_OTHERS) == len(_RECIPE["requirements"]["run"])


def test_the_build_is_that_of_the_package() -> None:
    host = [requirement.replace(" ", "") for requirement in _RECIPE["requirements"]["host"]]
    assert set(_PROJECT["build-system"]["requires"]) <= set(host)
    name, start = next(iter(_PROJECT["project"]["scripts"].items()))
    assert _RECIPE["build"]["python"]["entry_points"] == [f"{name} = {start}"]


def test_the_rest_is_as_in_the_package() -> None:
    assert _RECIPE["context"]["version"] == berthub.__version__
    assert f">={_RECIPE['context']['python_min']}" == _PROJECT["project"]["requires-python"]
    assert _RECIPE["about"]["summary"] == _PROJECT["project"]["description"]
    assert _RECIPE["about"]["license"] == _PROJECT["project"]["license"]
    assert (_ROOT / _RECIPE["about"]["license_file"]).exists()
