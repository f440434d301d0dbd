"""Make the help of commands from their docstrings."""

import inspect
import itertools
from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand, TyperGroup

__all__ = ["Command", "Group", "help_text"]


class Command(TyperCommand):
    """A command whose flags are shown without a type, since they take no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, that of --help among them."""
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands that shows flags in the same way."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, that of --help among them."""
        return _without_types(super().get_params(ctx))


def _without_types(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
    return params


def help_text(command: Callable[..., Any]) -> str:
    """The docstring of a command for typer, which would keep the ends of its lines; indented lines are examples."""
    lines = inspect.cleandoc(command.__doc__ or "").splitlines()
    paragraphs = []
    for empty, group in itertools.groupby(lines, key=lambda line: not line):
        if empty:
            continue
        paragraph = list(group)
        # At the end of a docstring examples stand at its margin.
        if paragraph[0].startswith((" ", "berthub ")):
            paragraphs.append("\b\n" + "\n".join(f"  {line.strip()}" for line in paragraph))
        else:
            paragraphs.append(" ".join(paragraph))
    return "\n\n".join(paragraphs)
