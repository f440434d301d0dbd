"""The version of berthub, for every module that writes it."""

__all__ = ["__version__"]

__version__ = "0.2.0"
