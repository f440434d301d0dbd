"""What the tests of this folder share."""

from support.command_line import cli, encoder
from support.object_store import s3, s3_server

__all__ = ["cli", "encoder", "s3", "s3_server"]
