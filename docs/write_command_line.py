"""Write docs/reference/command-line.md from the commands: `python docs/write_command_line.py`.

A test compares the page with the commands, so that it is true to them.
"""

import re
from pathlib import Path

import typer.main
from typer.cli import get_docs_for_click

from berthub.cli.main import app

_PAGE = Path(__file__).parent / "reference" / "command-line.md"
_BEGINNING = """# The command line

What `berthub --help`, and `--help` behind each command, say: this page is made from the same source
(`python docs/write_command_line.py`). The [guide](../guides/command-line.md) shows the commands at work.
"""
# In the help text, lines that begin with two blanks are a program, and stand as they are.
_EXAMPLE = re.compile(r"(?:^  \S[^\n]*\n)+", re.MULTILINE)


def page() -> str:
    """The page's text."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="berthub")
    text = text.replace("&#x27;", "'").replace("&quot;", '"')
    text = text.partition("\n")[2]
    text = _EXAMPLE.sub(lambda found: f"```console\n{_shifted(found[0])}```\n", text)
    return f"{_BEGINNING}\n{text.strip()}\n"


def _shifted(lines: str) -> str:
    plain = lines.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return "".join(line.removeprefix("  ") for line in plain.splitlines(keepends=True))


if __name__ == "__main__":
    _PAGE.write_text(page(), encoding="utf-8")
