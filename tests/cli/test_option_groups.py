"""Groups of options: dataclasses for the command, single options for the command line."""

import inspect
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from berthub.cli.option_groups import with_groups


@dataclass(frozen=True, kw_only=True)
class Needed:
    where: Annotated[str, typer.Option("--where", help="Where.")]


@dataclass(frozen=True, kw_only=True)
class Colors:
    color: Annotated[Literal["red", "blue"], typer.Option("--color", help="Which color.")] = "red"
    light: Annotated[bool, typer.Option("--light", help="A light one.")] = False


def _app() -> tuple[typer.Typer, list[Any]]:
    app, calls = typer.Typer(), list[Any]()

    @app.command()
    @with_groups
    def paint(
        name: Annotated[str, typer.Argument()],
        *,
        colors: Colors,
        times: Annotated[int, typer.Option("--times")] = 1,
        needed: Needed,
    ) -> None:
        """Paint."""
        calls.append((name, colors, times, needed))

    return app, calls


def test_a_command_gets_one_object_for_each_group() -> None:
    app, calls = _app()
    words = ["wall", "--color", "blue", "--where", "here"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert calls == [("wall", Colors(color="blue"), 1, Needed(where="here"))]


def test_options_have_their_order_help_and_defaults() -> None:
    app, _ = _app()
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}).stdout
    places = [shown.index(word) for word in ("--color", "--light", "--times", "--where")]
    assert places == sorted(places)
    assert "Which color." in shown
    assert "[default: red]" in shown


def test_an_option_without_a_default_has_to_be_given() -> None:
    app, calls = _app()
    result = CliRunner().invoke(app, ["wall"], env={"COLUMNS": "120"})
    assert result.exit_code == 2
    assert "Missing option '--where'" in result.stderr
    assert not calls


def test_a_choice_is_checked() -> None:
    app, _ = _app()
    assert CliRunner().invoke(app, ["wall", "--where", "x", "--color", "green"]).exit_code == 2


def test_the_signature_is_that_of_single_options() -> None:
    @with_groups
    def command(*, colors: Colors) -> None:
        """Nothing."""

    parameters = inspect.signature(command).parameters
    assert [(name, each.default) for name, each in parameters.items()] == [("color", "red"), ("light", False)]


def test_a_name_that_comes_twice_is_refused() -> None:
    def command(*, colors: Colors, light: bool = False) -> None:
        """Nothing."""

    with pytest.raises(ValueError, match="duplicate parameter name: 'light'"):
        with_groups(command)
