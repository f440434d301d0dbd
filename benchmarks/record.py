"""Save a result with the day, the command, the machine and the versions, as Markdown and as JSON."""

import argparse
import dataclasses
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks import machine
from benchmarks.tables import Table, markdown

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Circumstances:
    """What a result must be read with."""

    date: str
    command: str
    machine: dict[str, Any]
    versions: dict[str, str]

    @classmethod
    def now(cls, program: str, options: argparse.Namespace, *, others: Mapping[str, str] | None = None) -> Self:
        """The circumstances of the run that begins; `others` are versions in other environments."""
        versions = {**machine.versions(), **(others or {})}
        return cls(machine.today(), _command(program, options), machine.machine(), versions)


def save(
    path: Path, *, title: str, about: Circumstances, tables: Iterable[Table], data: Mapping[str, Any]
) -> tuple[Path, Path]:
    """Write `path`.md and `path`.json (`path` has no extension of its own)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text, stored = path.parent / f"{path.name}.md", path.parent / f"{path.name}.json"
    lines = [*_heading(title, about), *markdown(tables)]
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    stored.write_text(json.dumps({**dataclasses.asdict(about), **data}, indent=1) + "\n", encoding="utf-8")
    return text, stored


def _heading(title: str, about: Circumstances) -> Iterator[str]:
    known = about.machine
    flags = ", ".join(known["flags"]) or "none of note"
    yield f"# {', '.join([title, about.date, known['processor']])}, {known['cores']} cores"
    yield ""
    yield f"Matrix instructions: {flags}. Load average at the start: {known['load_at_start']}."
    yield ""
    yield ", ".join(f"{name} {version}" for name, version in about.versions.items()) + "."
    yield ""
    yield f"```\n{about.command}\n```"


def _command(program: str, options: argparse.Namespace) -> str:
    """What was typed, with the names of this machine's folders left out."""
    words = [f"python -m {program}"]
    for name, value in vars(options).items():
        if value is None or value is False or name in ("results", "name"):
            continue
        values = [] if value is True else value if isinstance(value, list) else [value]
        words.append(" ".join([f"--{name.replace('_', '-')}", *(_shown(name, item) for item in values)]))
    return " \\\n  ".join(words)


def _shown(name: str, value: Any) -> str:
    if isinstance(value, tuple):
        return "=".join(_shown(name, part) for part in value)
    return name.upper() if isinstance(value, Path) else shlex.quote(str(value))
