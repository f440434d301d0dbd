"""`hub.KerasLayer(handle)` is the layer of the kind of model that the handle names: an encoder, or a preprocessor."""

import os
from abc import ABCMeta
from typing import Any

import keras

from berthub.preprocessing.preprocessor import Preprocessor, is_preprocessing_model
from berthub.sources.resolve import resolve
from berthub.training.preprocessing_layer import STEPS, PreprocessingLayer

__all__ = ["LayerOfItsKind"]

_RESOLVING = ("sha256", "cache_dir", "offline")


class LayerOfItsKind(keras.layers.Layer, metaclass=ABCMeta):
    """The base of `KerasLayer`, which makes a `PreprocessingLayer` of what preprocesses.

    That is an instance of `KerasLayer` for `isinstance` (it is registered there), and inherits nothing of an encoder's.
    """

    def __new__(cls, handle: Any = None, *arguments: Any, **options: Any) -> Any:
        """The layer. Whether a model preprocesses is read from its files."""
        # Classes that users derive from KerasLayer are encoders.
        if LayerOfItsKind in cls.__bases__ and _preprocesses(handle, options):
            return PreprocessingLayer(handle, *arguments, **options)
        return super().__new__(cls, handle, *arguments, **options)


def _preprocesses(handle: Any, options: dict[str, Any]) -> bool:
    if isinstance(handle, Preprocessor):
        return True
    if isinstance(getattr(handle, "__self__", None), Preprocessor):
        return getattr(handle, "__name__", None) in STEPS
    if not isinstance(handle, str | os.PathLike):
        return False
    given = {name: options[name] for name in _RESOLVING if name in options}
    return is_preprocessing_model(resolve(handle, **given))
