"""A scikit-learn transformer from texts to vectors."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from berthub.choices import EngineName, Pooling, Precision
from berthub.encoding.encoder import Encoder
from berthub.encoding.load import load_encoder
from berthub.encoding.request import Prompt, Request
from berthub.engines.engine import Floats
from berthub.errors import InputError, MissingDependencyError
from berthub.sources.redaction import public_spelling, redact
from berthub.tokenization.texts import checked
from berthub.tokenization.tokenizer import Text

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise MissingDependencyError("BertFeatures needs scikit-learn: pip install 'berthub[sklearn]'") from error

__all__ = ["BertFeatures"]

_LOADING = ("engine", "precision", "max_length", "sha256", "cache_dir", "offline")


class BertFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn transformer of texts, or pairs of texts as tuples, to vectors: float32 [n, hidden * len(layers)].

    `model` is a handle as `berthub.load` takes it, and so are `engine`, `precision`, `max_length`, `sha256`,
    `cache_dir` and `offline`. `pooling` says how one vector is made of a text's token vectors: mean, max, cls, or
    pooled (the model's own pooler, the last layer alone). None, as `normalize` None, is what the model's files say, or
    else the plain mean (see `berthub.Encoder.embed`). `layers` are counted from 0 or from the top; the vectors of
    several are joined, as in Devlin et al., 2018, section 5.3 (https://arxiv.org/abs/1810.04805), where the last four
    do best. `normalize` scales the whole vectors to length 1. `prompt` and `prompt_name` are those of `Encoder.embed`.

    Nothing is learnt: `fit` loads the model and checks the parameters, and what it found holds until the next `fit`.
    A pickle holds the handle, not the model, which is loaded again when it is first used. Afterwards there are
    `layers_` (counted from 0), `hidden_size_`, and `precision_`, the arithmetic that is used.

    The handle stays as it was given, since `clone` asks for that: a pickle, and the text of a pipeline around it, have
    the password or the token of an address too. Load such a model once, and give the folder.
    """

    _encoder: Encoder | None = None

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        pooling: Pooling | None = None,
        layers: int | Sequence[int] = (-1,),
        normalize: bool | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        engine: EngineName = "auto",
        precision: Precision = "auto",
        max_length: int | None = None,
        sha256: str | Mapping[str, str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        offline: bool | None = None,
    ) -> None:
        self.model = model
        self.pooling = pooling
        self.layers = layers
        self.normalize = normalize
        self.prompt = prompt
        self.prompt_name = prompt_name
        self.engine = engine
        self.precision = precision
        self.max_length = max_length
        self.sha256 = sha256
        self.cache_dir = cache_dir
        self.offline = offline

    def fit(self, X: Iterable[Text], y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Load the model and check the parameters; of `X` only the type and the shape are looked at. `y` is ignored.

        Raises `InputError` for parameters that do not fit the model and for an `X` that is no column of texts, and
        what `berthub.load` raises.
        """
        _column(X)
        if self.normalize is not None and not isinstance(self.normalize, bool | np.bool_):
            raise InputError(
                f"normalize must be True or False, or None for what the model says, not {self.normalize!r}"
            )
        options = {name: getattr(self, name) for name in _LOADING}
        encoder = load_encoder(self.model, **options)
        request = Request.of_vectors(
            encoder.checkpoint,
            pooling=self.pooling,
            layer=_numbers(self.layers),
            normalize=self.normalize,
            prompt=Prompt.of(encoder.checkpoint.embedding, encoder.tokenizer, self.prompt, self.prompt_name),
        )
        count = len(request.vector.poolings)
        chosen = tuple(output.layer for output in request.embedding[::count])
        if len({*chosen}) < len(chosen):
            raise InputError(f"layers={self.layers!r} names a layer of the model twice: counted from 0 it is {chosen}")
        how: dict[str, Any] = {"pooling": self.pooling, "normalize": self.normalize, "prompt": self.prompt}
        self._fitted = (self.model, options, {**how, "prompt_name": self.prompt_name})
        self._encoder = encoder
        self.layers_ = chosen
        self.hidden_size_ = encoder.config.hidden_size
        self.precision_ = encoder.precision
        # Layers of the model's own follow the pooling of its last layer alone.
        vector = request.vector
        width = vector.width(self.hidden_size_)
        self._n_features_out = width if vector.layers else width * len(self.layers_)
        return self

    def transform(self, X: Iterable[Text]) -> Floats:  # noqa: N803 - scikit-learn's name
        """The vectors of texts in their order: float32 [n, hidden * len(layers)].

        Texts are a list, tuple, one-dimensional array, pandas Series or other iterable of str, or of pairs as
        tuples; a single string and tables of any number of columns are refused with `InputError`. Texts of more than
        `max_length` tokens are truncated and reported in one `TruncationWarning`.
        """
        check_is_fitted(self)
        *_, how = self._fitted
        chunks = self._loaded().stream(_column(X), outputs=["embedding"], layer=self.layers_, **how)
        parts = [np.zeros((0, self._n_features_out), np.float32), *(chunk["embedding"] for chunk in chunks)]
        vectors: Floats = np.concatenate(parts)
        return vectors

    def _loaded(self) -> Encoder:
        if self._encoder is None:
            model, options, _ = self._fitted
            self._encoder = load_encoder(model, **options)
        return self._encoder

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:  # noqa: N803 - scikit-learn's name
        return redact(super().__repr__(N_CHAR_MAX))

    def _get_params_html(self, *arguments: Any, **options: Any) -> Any:
        # What notebooks show.
        shown = super()._get_params_html(*arguments, **options)
        shown["model"] = None if self.model is None else public_spelling(self.model)
        return shown

    def __getstate__(self) -> dict[str, Any]:
        # Weights and compiled networks stay where they are.
        return {name: value for name, value in super().__getstate__().items() if name != "_encoder"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _column(texts: Any) -> Iterable[Text]:
    if isinstance(texts, str):
        # As in scikit-learn's own vectorizers: a string is an iterable, of characters.
        raise InputError("BertFeatures takes a list or another column of texts, and this is a single string: [text]")
    return checked(texts)


def _numbers(layers: Any) -> tuple[Any, ...]:
    numbers = (layers,) if isinstance(layers, int | np.integer) else layers
    if isinstance(numbers, str) or not isinstance(numbers, Iterable) or not (numbers := tuple(numbers)):
        raise InputError(f"layers are a number or a sequence of numbers, such as (-4, -3, -2, -1), not {layers!r}")
    return tuple(int(number) if isinstance(number, np.integer) else number for number in numbers)
