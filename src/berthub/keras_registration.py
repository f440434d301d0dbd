"""Register berthub's layers with Keras, without importing it.

Where nothing says which library Keras shall compute with, it is given one that is installed. And it is told where
berthub's layers are, so that it can load a model that has one.

Keras imports no module that a saved model names (it may come from a stranger): it looks into its registry. So what
stands there has to be there before the model is loaded, whichever of Keras and berthub was imported first.
"""

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

__all__ = ["layer_class", "register_when_keras_is_there"]

# Keras's name of a class -> where it is. The classes register themselves when they are imported.
_LAYERS = {
    "berthub>KerasLayer": ("berthub.training.keras_layer", "KerasLayer"),
    "berthub>PreprocessingLayer": ("berthub.training.preprocessing_layer", "PreprocessingLayer"),
}
_KERAS = "keras"


def register_when_keras_is_there() -> None:
    """Register berthub's layers with Keras: now if it has been imported, else as soon as it is."""
    keras = sys.modules.get(_KERAS)
    # In the middle of its own import it has no `saving` yet.
    if keras is not None and hasattr(keras, "saving"):
        _register(keras)
    elif not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


class _KerasFinder:
    """Finds nothing by itself; when the others have found Keras, it adds to its import."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        if name != _KERAS:
            return None
        for finder in sys.meta_path:
            # Finders of old libraries may lack the method; the import system passes over them, too.
            if finder is not self and (find := getattr(finder, "find_spec", None)) is not None:
                spec = find(name, path, target)
                if spec is not None:
                    _prepare_import(spec.loader)
                    return spec
        return None


def _prepare_import(loader: Any) -> None:
    execute = getattr(loader, "exec_module", None)
    if execute is None:
        return

    def exec_module(module: ModuleType) -> None:
        importlib.import_module("berthub.keras_backend").choose_backend()
        execute(module)
        _register(module)

    loader.exec_module = exec_module


def _register(keras: Any) -> None:
    # Not Keras 2, which keeps models in a format of its own. What else is called keras must be importable, too.
    major = str(getattr(keras, "__version__", "")).partition(".")[0]
    if not major.isdigit() or int(major) < 3 or not hasattr(keras, "saving"):
        return
    registry = keras.saving.get_custom_objects()
    for name, home in _LAYERS.items():
        registry.setdefault(name, _stand_in(*home))


def layer_class(name: str) -> Any:
    """One of berthub's layers by its name, for who cannot import it: it is imported now, and Keras with it."""
    module, attribute = _LAYERS[f"berthub>{name}"]
    return getattr(importlib.import_module(module), attribute)


def _stand_in(module: str, name: str) -> type:
    """A class with the one method that Keras calls to load a layer; the layer's own module is imported then."""

    def from_config(cls: type, config: dict[str, Any]) -> Any:
        return getattr(importlib.import_module(module), name).from_config(config)

    return type(name, (), {"__module__": module, "from_config": classmethod(from_config)})
