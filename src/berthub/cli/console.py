"""The console on which commands print for people."""

from rich.console import Console
from rich.text import Text

__all__ = ["OutputConsole", "literal"]


class OutputConsole(Console):
    """Standard output; a reader who goes away is reported as `BrokenPipeError`, not as rich's own exit status."""

    def on_broken_pipe(self) -> None:
        """Let the error go on; rich calls this while it handles the error."""
        raise


def literal(value: object, style: str = "") -> Text:
    """Text that is shown as it is: `[CLS]` is no markup, and control characters do nothing to the terminal."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(value))
    return Text(shown, style=style)
