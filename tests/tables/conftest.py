"""What the tests of this folder share."""

from support.command_line import cli, encoder

__all__ = ["cli", "encoder"]
