"""What the tests of this folder share."""

from support.object_store import s3, s3_server

__all__ = ["s3", "s3_server"]
