"""Docstrings as help."""

import inspect
import itertools
from collections.abc import Callable
from typing import Any

__all__ = ["help_text"]


def help_text(command: Callable[..., Any]) -> str:
    """The docstring of a command for typer, which would keep the ends of its lines; indented lines are examples."""
    lines = inspect.cleandoc(command.__doc__ or "").splitlines()
    paragraphs = []
    for empty, group in itertools.groupby(lines, key=lambda line: not line):
        if empty:
            continue
        paragraph = list(group)
        if paragraph[0].startswith(" "):
            paragraphs.append("\b\n" + "\n".join(paragraph))
        else:
            paragraphs.append(" ".join(paragraph))
    return "\n\n".join(paragraphs)
