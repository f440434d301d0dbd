"""Encode the texts of a Ray Data pipeline."""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from berthub.check import check_choice
from berthub.choices import DType, EngineName, Missing, Precision, Tokenization, Vectors
from berthub.encoding.encoder import Encoder
from berthub.encoding.windows import Window
from berthub.engines.create import check_threads
from berthub.errors import InputError, TruncationWarning
from berthub.jobs.ray.batches import Batch, batch_of
from berthub.jobs.ray.process import Loaded, loaded
from berthub.jobs.vectors import Chunk, Request, TokenColumns, compute, resolve_request, result_columns
from berthub.sources.redaction import public_spelling
from berthub.sources.resolve import DEFAULT_HANDLE
from berthub.tables.columns import not_a_text
from berthub.tables.missing import filled, is_missing

__all__ = ["Encode"]

# The batch's name in messages.
_NAME = "the batch"
# How many columns of a batch messages show.
_SHOWN = 20
_OPTIONAL = ("output", "missing")
_CHOICES: dict[str, Any] = {
    "output": Vectors,
    "dtype": DType,
    "missing": Missing,
    "engine": EngineName,
    "precision": Precision,
}


class Encode:
    """A function for `map_batches` of Ray Data: it adds the vectors of texts to a batch, as a new column.

        ds.map_batches(hub.ray.Encode(handle, column="text"), batch_format="pyarrow")
        ds.map_batches(
            hub.ray.Encode,
            fn_constructor_args=[handle],
            fn_constructor_kwargs={"column": "text", "output": "mean"},
            compute=ray.data.ActorPoolStrategy(size=4),
            num_cpus=2,
            batch_format="pyarrow",
        )

    An object runs in Ray's tasks, the class in Ray's actors, which Ray starts once and restarts when they fail. Either
    way a worker process loads the model once, when its first batch comes, and computes with as many threads as Ray
    assigned processors to it (`num_cpus`), or with `threads`. What an object holds and sends is the settings alone.

    `model` is a handle as `berthub.load` takes it; a worker fetches it, unless it is in the worker's cache. A local
    folder has to be at the same place on every node. `column` holds the texts; with `pair_column` they are pairs.

    The vectors are those of `berthub encode`, with its options: `output` is embedding (the model's own, the default),
    mean, max, cls, pooled_output, or sequence_output, all token vectors; `layer`, `normalize`, `dtype`, `prompt`,
    `prompt_name` and `window` with `stride` are as there. `vectors_column` is the name of the new column, by default
    that of the output. With `truncation=False` a text of more than `max_length` tokens raises `InputError`; else it is
    truncated, and each worker gives one `TruncationWarning`. The other arguments are those of `berthub.load`.

    A null or an empty string is no text: `missing` says whether it counts as an empty one ("empty"), its row is left
    out ("skip"), or it raises `InputError` ("error"). None is "empty" with one warning for each worker.

    A batch may be a table of Arrow, a frame of pandas or a dict of NumPy arrays (`batch_format`), and comes back as
    the same. The vectors are lists of fixed size in Arrow, [n, hidden] in NumPy, and in pandas one array in each row.
    Token vectors are a list of such vectors in each row, with the columns tokens and offsets.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        column: str = "text",
        pair_column: str | None = None,
        output: Vectors | None = None,
        layer: int | None = None,
        normalize: bool | None = None,
        dtype: DType = "float32",
        prompt: str | None = None,
        prompt_name: str | None = None,
        window: int | None = None,
        stride: int | None = None,
        vectors_column: str | None = None,
        truncation: bool = True,
        missing: Missing | None = None,
        engine: EngineName = "auto",
        precision: Precision = "auto",
        max_length: int | None = None,
        tokenization: Tokenization | None = None,
        settings: Mapping[str, Any] | None = None,
        vocabulary: str | os.PathLike[str] | None = None,
        threads: int | None = None,
        sha256: str | Mapping[str, str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        offline: bool | None = None,
    ) -> None:
        _refuse_unknown(output=output, dtype=dtype, missing=missing, engine=engine, precision=precision)
        check_threads(threads)
        if pair_column == column:
            raise InputError(f'pair_column is "{column}", which is the column of the texts already')
        self._columns = (column,) if pair_column is None else (column, pair_column)
        self._output, self._layer, self._normalize, self._dtype = output, layer, normalize, dtype
        self._prompt, self._prompt_name = prompt, prompt_name
        self._window, self._stride = window, stride
        self._vectors_column = vectors_column
        self._truncation, self._missing = truncation, missing
        self._model = {
            "handle": _from_anywhere(model),
            "engine": engine,
            "precision": precision,
            "max_length": max_length,
            "tokenization": tokenization,
            "settings": None if settings is None else dict(settings),
            "vocabulary": vocabulary,
            "threads": threads,
            "sha256": sha256 if sha256 is None or isinstance(sha256, str) else dict(sha256),
            "cache_dir": None if cache_dir is None else os.fspath(cache_dir),
            "offline": offline,
        }

    def __call__(self, batch: Any) -> Any:
        """The batch with the vectors of its texts. `InputError` for columns and values that cannot be encoded."""
        given = batch_of(batch)
        texts = _texts(given, self._columns)
        model = loaded(self._model)
        request = self._request(model.encoder)
        _refuse_clash(given, request)
        rows, kept = self._with_texts(texts, model)
        chunks = list(self._chunks(kept, model, request)) or [_nothing(model.encoder, request)]
        columns = zip(*(result_columns(chunk, request) for chunk in chunks), strict=True)
        return given.with_results(rows, list(columns))

    def __repr__(self) -> str:
        columns = " and ".join(f'"{name}"' for name in self._columns)
        return f"<berthub.ray.Encode of {columns} with {public_spelling(self._model['handle'] or DEFAULT_HANDLE)}>"

    def _request(self, encoder: Encoder) -> Request:
        return resolve_request(
            self._output,
            self._layer,
            encoder=encoder,
            normalize=self._normalize,
            dtype=self._dtype,
            column=self._vectors_column,
            prompt=self._prompt,
            prompt_name=self._prompt_name,
            window=Window.of(self._window, self._stride, longest=encoder.config.max_positions),
        )

    def _with_texts(self, texts: Sequence[Any], model: Loaded) -> tuple[Sequence[int] | None, Sequence[Any]]:
        """The rows that are encoded, None for all, and their texts; what is no text is the same as in files."""
        without = {row for row, text in enumerate(texts) if is_missing(text)}
        if not without:
            return None, texts
        if self._missing == "error":
            raise InputError(
                f'{_NAME}, row {min(without) + 1}: the row has no text; missing="empty" takes it as an empty text, '
                'missing="skip" leaves the row out'
            )
        if self._missing == "skip":
            kept = [row for row in range(len(texts)) if row not in without]
            return kept, [texts[row] for row in kept]
        if self._missing is None:
            message = 'rows had no text and were taken as empty; missing="empty", "skip" or "error" says what is meant'
            _warn_once(model, "missing", message, UserWarning)
        return None, [filled(text) if row in without else text for row, text in enumerate(texts)]

    def _chunks(self, texts: Sequence[Any], model: Loaded, request: Request) -> Iterator[Chunk]:
        done = 0
        most = model.encoder.max_length
        for chunk in compute(model.encoder, texts, request):
            if chunk.truncated.any():
                if not self._truncation:
                    text = str(texts[done + int(chunk.truncated.argmax())])
                    raise InputError(
                        f"a text has more than {most} tokens, and truncation=False refuses it: {text[:60]!r}...; "
                        "shorten it, or leave truncation=False out"
                    )
                _warn_once(
                    model,
                    "truncated",
                    f"texts had more than {most} tokens and were truncated; truncation=False refuses them, and "
                    "window= encodes them whole",
                    TruncationWarning,
                )
            yield chunk
            done += len(chunk.lengths)


def _refuse_unknown(**given: str | None) -> None:
    for name, value in given.items():
        if value is not None or name not in _OPTIONAL:
            check_choice(name, value, get_args(_CHOICES[name]))


def _from_anywhere(model: Any) -> Any:
    """The handle as other processes understand it: a path that exists here is made absolute."""
    if not isinstance(model, str | os.PathLike):
        return model
    path = os.path.abspath(os.path.expanduser(model))  # noqa: PTH100, PTH111 - any text may come, and links stay
    return path if os.path.exists(path) or isinstance(model, os.PathLike) else model  # noqa: PTH110


def _texts(batch: Batch, columns: Sequence[str]) -> Sequence[Any]:
    """The texts of a batch, as pairs where there are two columns; None for what is null."""
    names = batch.names
    for name in columns:
        if name not in names:
            raise InputError(
                f'the batch has no column "{name}"; name the one that holds the texts: Encode(..., column=...). Its '
                f"columns: {', '.join(map(repr, names[:_SHOWN]))}{', ...' if len(names) > _SHOWN else ''}"
            )
    values = [batch.values(name) for name in columns]
    for name, column in zip(columns, values, strict=True):
        for index, value in enumerate(column):
            if value is not None and not isinstance(value, str):
                raise not_a_text(f"{_NAME}, row {index + 1}", name, value)
    return values[0] if len(values) == 1 else list(zip(*values, strict=True))


def _refuse_clash(batch: Batch, request: Request) -> None:
    for name in request.columns:
        if name in batch.names:
            way_out = "name another by vectors_column=, or rename" if name == request.column else "rename"
            raise InputError(f'the batch has a column "{name}" already, which is added to it: {way_out} that one')


def _nothing(encoder: Encoder, request: Request) -> Chunk:
    """The vectors of no texts: Ray asks for them to learn the types of the columns."""
    tokens = TokenColumns([], [np.zeros((0, 2), np.int32)]) if request.vectors == "sequence_output" else None
    return Chunk(
        vectors=np.zeros((0, _width(encoder, request)), request.dtype),
        lengths=np.zeros(0, np.int64),
        truncated=np.zeros(0, np.bool_),
        tokens=tokens,
    )


def _width(encoder: Encoder, request: Request) -> int:
    hidden = encoder.config.hidden_size
    return encoder.checkpoint.embedding.chosen().width(hidden) if request.vectors == "embedding" else hidden


def _warn_once(model: Loaded, kind: str, message: str, category: type[Warning]) -> None:
    """Warn of a kind of thing once in a process: batches are many, and all workers write to one log."""
    if kind not in model.said:
        model.said.add(kind)
        warnings.warn(f"{message}. This is said once in each worker", category, stacklevel=4)
