"""Encode texts with a model that TensorFlow runs as it is: `berthub.load(..., engine="tensorflow")`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.engines.engine import Floats
from berthub.engines.tensorflow import Program
from berthub.errors import InputError, ModelNotFoundError
from berthub.tokenization.texts import listed
from berthub.tokenization.tokenizer import Text
from berthub.vector_layers import unit_length

__all__ = ["GraphEncoder"]

_BATCH = 32
_DEPTH = 3


class GraphEncoder:
    """A SavedModel with TF Hub's text interface, run by TensorFlow as it is; it executes the graph in the file.

    For models that are no BERTs (sentence-T5, GTR, LaReQA, universal sentence encoders ...). Nothing about them is
    known but what they return: there is no tokenizer, no truncation is reported, and how a text is padded is up to
    the model.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = _saved_model_in(folder)
        self._program = Program(self.folder)

    def __repr__(self) -> str:
        return f"<GraphEncoder of {self.folder}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # By its folder: the graph is TensorFlow's.
        return type(self), (self.folder,)

    def encode(self, texts: str | Iterable[Text]) -> dict[str, npt.NDArray[Any]]:
        """The model's outputs for texts, in their order, by the names that it gives them; [n, ...] each.

        An output without a name is called default. `InputError` for pairs of texts, and for a model that takes no
        texts but arrays: call it with these.
        """
        given = listed(texts)
        for index, text in enumerate(given):
            if not isinstance(text, str):
                raise InputError(f"text {index} is {text!r}; engine='tensorflow' takes single strings")
        if not given:
            raise InputError("there are no texts: the shapes of the model's outputs are known only from outputs")
        parts = [
            self._program.texts([str(text) for text in given[start : start + _BATCH]])
            for start in range(0, len(given), _BATCH)
        ]
        return {name: _joined(name, [part[name] for part in parts]) for name in parts[0]}

    def embed(self, texts: str | Iterable[Text], *, normalize: bool = False) -> Floats:
        """One vector for each text: float32 [n, width], the model's default or pooled output."""
        outputs = self.encode(texts)
        name = next((name for name in ("default", "pooled_output") if name in outputs), next(iter(outputs)))
        vectors = np.asarray(outputs[name], np.float32)
        if vectors.ndim != 2:
            raise InputError(f"the model's output {name} has the shape {vectors.shape}, and is no vector for each text")
        return unit_length(vectors) if normalize else vectors

    def __call__(self, inputs: Any) -> dict[str, npt.NDArray[Any]]:
        """The model's outputs for inputs as it takes them: arrays by name, as a list, or one."""
        return self._program(inputs)

    def summary(self) -> str:
        """Describe the model in one line."""
        return f"SavedModel in {self.folder}, run as it is by TensorFlow"


def _saved_model_in(folder: Path) -> Path:
    """The nearest folder with a SavedModel."""
    for depth in range(_DEPTH):
        found = sorted(folder.glob("*/" * depth + "saved_model.pb"))
        if len(found) == 1:
            return found[0].parent
        if found:
            places = ", ".join(str(path.parent) for path in found)
            raise ModelNotFoundError(f"{folder} holds more than one SavedModel; name one of these: {places}")
    raise ModelNotFoundError(f'{folder} holds no saved_model.pb; engine="tensorflow" runs SavedModels only')


def _joined(name: str, arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        raise InputError(
            f"the model's output {name} has another shape for every batch ({', '.join(map(str, sorted(shapes)))}): "
            f"encode at most {_BATCH} texts at a time"
        )
    return np.concatenate(arrays)
