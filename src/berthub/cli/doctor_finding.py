"""What one check of `berthub doctor` found."""

from dataclasses import dataclass
from typing import Literal

from berthub.cli.exit_codes import ExitCode

__all__ = ["Finding", "State", "error", "ok", "warning"]

State = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """The outcome of a check: what was seen, what to do about it, and the exit status that an error leads to."""

    check: str
    state: State
    said: str
    advice: str = ""
    status: ExitCode = ExitCode.DONE


def ok(check: str, said: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", said)


def warning(check: str, said: str, advice: str) -> Finding:
    """berthub works, but not all of it, or not as one may expect."""
    return Finding(check, "warning", said, advice)


def error(check: str, said: str, advice: str, status: ExitCode) -> Finding:
    """berthub does not work as it should."""
    return Finding(check, "error", said, advice, status)
