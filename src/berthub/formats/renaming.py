"""Translate foreign weight names to the canonical ones, by rules in a table."""

import re
from collections.abc import Iterable, Sequence

from berthub.errors import CheckpointError

__all__ = ["Rule", "rename"]

Rule = tuple[str, str]
"""A pattern that a whole foreign name must match, and the canonical name as a template of its groups."""


def rename(names: Iterable[str], rules: Sequence[Rule]) -> tuple[dict[str, str], list[str]]:
    """Canonical name -> foreign name for every name that a rule knows, and the names that none knows.

    The first matching rule counts. Two names that mean the same weight raise `CheckpointError`.
    """
    compiled = [(re.compile(pattern), template) for pattern, template in rules]
    renamed: dict[str, str] = {}
    unknown: list[str] = []
    for name in names:
        match = next(((m, template) for pattern, template in compiled if (m := pattern.fullmatch(name))), None)
        if match is None:
            unknown.append(name)
            continue
        canonical = match[0].expand(match[1])
        if canonical in renamed:
            raise CheckpointError(
                f"{renamed[canonical]!r} and {name!r} both stand for {canonical}: "
                "the files hold more than one encoder, and which one is meant cannot be told"
            )
        renamed[canonical] = name
    return renamed, unknown
