"""BERT encodings from the models that TensorFlow Hub published: `import berthub as hub`.

The public names are loaded when they are first used, so that the import itself costs next to nothing.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

from berthub.errors import MissingDependencyError
from berthub.keras_registration import register_when_keras_is_there
from berthub.version import __version__ as __version__

if TYPE_CHECKING:
    from berthub import integrations, plot, sklearn
    from berthub.checkpoint import Checkpoint
    from berthub.encoding.encoder import Encoder
    from berthub.encoding.encodings import Encodings
    from berthub.encoding.load import load
    from berthub.errors import BerthubError, TruncationWarning
    from berthub.exports import export
    from berthub.integrations.columns import embed_column
    from berthub.jobs import ray
    from berthub.jobs.public import EncodeJob, PredictJob
    from berthub.networks.bert import BertConfig
    from berthub.preprocessing.preprocessor import Preprocessor
    from berthub.sources.resolve import resolve
    from berthub.tokenization.tokenizer import Tokenizer
    from berthub.training.hyperparameters import Hyperparameters
    from berthub.training.keras_layer import KerasLayer
    from berthub.training.module import Module
    from berthub.training.tasks.text_classifier import TextClassifier
    from berthub.training.tasks.text_regressor import TextRegressor
    from berthub.training.tasks.token_classifier import TokenClassifier
    from berthub.vocabulary import Vocabulary

__all__ = [
    "BertConfig",
    "BerthubError",
    "Checkpoint",
    "EncodeJob",
    "Encoder",
    "Encodings",
    "Hyperparameters",
    "KerasLayer",
    "Module",
    "PredictJob",
    "Preprocessor",
    "TextClassifier",
    "TextRegressor",
    "TokenClassifier",
    "Tokenizer",
    "TruncationWarning",
    "Vocabulary",
    "embed_column",
    "export",
    "integrations",
    "load",
    "plot",
    "ray",
    "resolve",
    "sklearn",
]


_HOMES = {
    "BertConfig": "networks.bert",
    "BerthubError": "errors",
    "Checkpoint": "checkpoint",
    "EncodeJob": "jobs.public",
    "Encoder": "encoding.encoder",
    "Encodings": "encoding.encodings",
    "Hyperparameters": "training.hyperparameters",
    "KerasLayer": "training.keras_layer",
    "Module": "training.module",
    "PredictJob": "jobs.public",
    "Preprocessor": "preprocessing.preprocessor",
    "TextClassifier": "training.tasks.text_classifier",
    "TextRegressor": "training.tasks.text_regressor",
    "TokenClassifier": "training.tasks.token_classifier",
    "Tokenizer": "tokenization.tokenizer",
    "TruncationWarning": "errors",
    "Vocabulary": "vocabulary",
    "embed_column": "integrations.columns",
    "export": "exports",
    "load": "encoding.load",
    "resolve": "sources.resolve",
}


_MODULES = {"integrations": "integrations", "plot": "plot", "ray": "jobs.ray", "sklearn": "sklearn"}

# As libraries do: what is logged goes where the application says, and nowhere else.
logging.getLogger(__name__).addHandler(logging.NullHandler())

register_when_keras_is_there()


def __getattr__(name: str) -> Any:
    if name not in _HOMES and name not in _MODULES:
        raise importlib.import_module(f"{__name__}.old_names").unknown_name(__name__, name)
    from berthub.missing import missing_class, missing_module

    try:
        if name in _MODULES:
            return importlib.import_module(f"{__name__}.{_MODULES[name]}")
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except MissingDependencyError as error:
        # Looking at all names (`help`, completion, `import *`) must not require all libraries.
        return missing_module(f"{__name__}.{name}", error) if name in _MODULES else missing_class(name, error)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__all__", "__doc__", "__file__", "__name__", "__path__", "__version__"])
