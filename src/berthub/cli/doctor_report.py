"""The report of `berthub doctor`, for people and for programs."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import typer

from berthub.cli.doctor_finding import Finding, State
from berthub.cli.version_report import with_short_home
from berthub.version import __version__

__all__ = ["as_records", "lines"]

_COLOURS: dict[State, str] = {"ok": "green", "warning": "yellow", "error": "red"}
_STATES: tuple[State, ...] = ("ok", "warning", "error")


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """A line for each finding, one for what to do about it, and one that counts them."""
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        state = typer.style(f"{finding.state:<7}", fg=_COLOURS[finding.state])
        first, *others = _printable(finding.said) or [""]
        yield f"{state}  {finding.check:<{width}}  {first}"
        for line in [*others, *_printable(finding.advice)]:
            yield f"{'':<7}  {'':<{width}}  {line}"
    yield ", ".join(f"{_count(findings, state)} {state}" for state in _STATES)


def as_records(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as values for JSON; `state` is the worst of them."""
    return {
        "berthub": __version__,
        "state": max((finding.state for finding in findings), key=_STATES.index),
        "checks": [
            {
                "check": finding.check,
                "state": finding.state,
                "said": with_short_home(finding.said),
                "advice": with_short_home(finding.advice) or None,
            }
            for finding in findings
        ],
    }


def _count(findings: Iterable[Finding], state: State) -> int:
    return sum(finding.state == state for finding in findings)


def _printable(text: str) -> list[str]:
    """The lines of what libraries said, which control characters must not move about in the terminal."""
    shown = [line for line in with_short_home(text).splitlines() if line.strip()]
    return ["".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line) for line in shown]
