"""The closed sets of names: one declaration each, for the command line's help and for the library alike."""

import ast
import subprocess
import sys
from inspect import signature
from typing import Any, get_args, get_type_hints

import pytest
from typer.testing import CliRunner

import berthub
from berthub import choices
from berthub.cli.main import app
from berthub.exports import export

_SETS = {name: get_args(getattr(choices, name)) for name in choices.__all__ if not name.isupper()}


def test_it_imports_nothing() -> None:
    code = "import sys; import berthub.choices; print(sorted({*sys.modules} - before))"
    before = "import sys, typing, berthub; before = {*sys.modules};"
    done = subprocess.run([sys.executable, "-c", f"{before} {code}"], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == ["berthub.choices"]


def test_every_set_has_different_names() -> None:
    for names in _SETS.values():
        assert names
        assert len(set(names)) == len(names)
        assert all(isinstance(name, str) for name in names)


def test_the_formats_of_tables_are_those_of_vectors_and_predictions() -> None:
    assert {*_SETS["TableFormat"]} == {*_SETS["OutputFormat"], *_SETS["PredictionFormat"]}


@pytest.mark.parametrize(
    ("words", "option", "name"),
    [
        (["encode", "x"], "--engine", "EngineName"),
        (["encode", "x"], "--precision", "Precision"),
        (["encode", "x"], "--format", "InputFormat"),
        (["encode", "x"], "--missing", "Missing"),
        (["encode", "x"], "--to", "OutputFormat"),
        (["encode", "x"], "--output", "Vectors"),
        (["encode", "x"], "--dtype", "DType"),
        (["predict", "x", "x"], "--to", "PredictionFormat"),
        (["tokenize", "x", "x"], "--tokenization", "Tokenization"),
        (["export", "x", "-o", "x"], "--to", "ExportFormat"),
        (["finetune", "classify", "x", "-o", "x"], "--pooling", "Pooling"),
    ],
)
def test_an_option_takes_its_set_and_no_other_name(words: list[str], option: str, name: str) -> None:
    result = CliRunner().invoke(app, [*words, option, "nonsense"], env={"COLUMNS": "250"})
    assert result.exit_code == 2
    assert f"'nonsense' is not one of {', '.join(map(repr, _SETS[name]))}." in result.stderr


def test_the_library_takes_the_same_sets() -> None:
    loading: dict[str, Any] = get_type_hints(berthub.load)
    assert loading["precision"] == choices.Precision
    assert choices.EngineName in get_args(loading["engine"])
    assert choices.Tokenization in get_args(loading["tokenization"])
    assert signature(export).parameters["to"].annotation == choices.ExportFormat
