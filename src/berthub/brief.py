"""A short `repr` for objects that hold large arrays."""

import dataclasses
import reprlib
from collections.abc import Mapping
from typing import Any

__all__ = ["Brief", "brief"]

_shortener = reprlib.Repr()
_shortener.maxstring = _shortener.maxother = 60
_MOST = 8


class Brief:
    """For dataclasses with `repr=False`: arrays are shown by type and shape, and of long collections the size."""

    def __repr__(self) -> str:
        fields = (field.name for field in dataclasses.fields(self) if field.repr)  # type: ignore[arg-type]
        shown = ", ".join(f"{name}={brief(getattr(self, name))}" for name in fields)
        return f"{type(self).__name__}({shown})"


def brief(value: Any) -> str:
    """A value in a few words."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype}{[*value.shape]}"
    if isinstance(value, tuple | list | Mapping) and len(value) > _MOST:
        return f"<{len(value):,} items>"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {brief(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        inner = ", ".join(map(brief, value))
        return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    return repr(value) if dataclasses.is_dataclass(value) else _shortener.repr(value)
