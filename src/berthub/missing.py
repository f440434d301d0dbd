"""Placeholders for public names whose library is not installed; using one raises `MissingDependencyError`."""

from types import ModuleType
from typing import Any

from berthub.errors import MissingDependencyError

__all__ = ["missing_class", "missing_module"]


class _Missing(type):
    """The type of a placeholder class: using it raises the error of the failed import."""

    _error: MissingDependencyError

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        raise cls._again()

    def __getattr__(cls, name: str) -> Any:
        # Tools that inspect objects ask for names with underscores.
        if name.startswith("_"):
            raise AttributeError(f"{cls.__name__} has no attribute {name!r}")
        raise cls._again()

    def _again(cls) -> MissingDependencyError:
        return MissingDependencyError(str(cls._error))


def missing_class(name: str, error: MissingDependencyError) -> type:
    """A class that raises `error` when it is instantiated, and when its methods are used."""
    return _Missing(name, (), {"__module__": "berthub", "__doc__": f"Not installed: {error}", "_error": error})


def missing_module(name: str, error: MissingDependencyError) -> ModuleType:
    """A module that raises `error` when its contents are asked for."""
    module = ModuleType(name, f"Not installed: {error}")

    def __getattr__(wanted: str) -> Any:  # noqa: N807 - the module's
        if wanted.startswith("_"):
            raise AttributeError(f"module {name!r} has no attribute {wanted!r}")
        raise MissingDependencyError(str(error))

    module.__getattr__ = __getattr__  # type: ignore[method-assign]
    return module
