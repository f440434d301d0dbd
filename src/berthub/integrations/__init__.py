"""An Encoder as the class, the component or the function that another library expects."""

from berthub.integrations import duckdb

__all__ = ["duckdb"]
