"""The encoder: texts or arrays in, encodings and predictions out."""

import dataclasses
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never, Self

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig, Pooling
from berthub.encoding.arrays import ArrayInputs, array_inputs
from berthub.encoding.chunks import chunks, part, runs
from berthub.encoding.compute import allocate, compute
from berthub.encoding.encodings import Encodings, LayerOutputs
from berthub.encoding.fill_mask import Filling, fill_mask
from berthub.encoding.normalize import unit_length
from berthub.encoding.prediction import (
    Logits,
    Predictions,
    Probabilities,
    TextsOrSentences,
    compute_logits,
    require_head,
)
from berthub.encoding.progress import Advance, shown_progress, unseen, wanted_progress
from berthub.encoding.request import EMBEDDING, Layers, Request
from berthub.encoding.source import Source, StoredCheckpoint
from berthub.encoding.summary import summary
from berthub.encoding.windows import Window
from berthub.engines.create import create_engine
from berthub.engines.engine import Engine, Floats, Limits, PaddedBatch
from berthub.errors import InputError, TruncationWarning
from berthub.formats.native import write_native
from berthub.head import Head
from berthub.networks.interface import MLM_LOGITS
from berthub.networks.outputs import Output
from berthub.old_names import unknown_attribute
from berthub.tokenization.texts import checked, listed
from berthub.tokenization.tokenizer import Text, Tokenizer
from berthub.tokenization.tokens import Tokens
from berthub.vocabulary import Vocabulary

__all__ = ["Encoder"]

# How much a chunk of a stream may hold: rows, and bytes of outputs.
_STREAM_ROWS = 8192
_STREAM_BYTES = 1 << 27
# How much text of any length is tokenized at a time.
_STREAM_CHARACTERS = 1 << 22


class Encoder:
    """A model that is ready to encode and, if it was fine-tuned, to predict; `berthub.load` makes it.

    Results do not depend on what else is in the call, on the order or on padding (to 1e-5 in float32), and come back
    in the caller's order. `batch_tokens` is how many tokens, padding included, are computed at a time; None is what
    suits the engine.

    A pickle of what `berthub.load` made holds the model's folder and the options, no weights: the model is read again
    from the same folder, and a `CheckpointError` says so where it is another one by now. Copies share the weights.
    """

    def __init__(
        self, checkpoint: Checkpoint, tokenizer: Tokenizer, engine: Engine, *, batch_tokens: int | None = None
    ) -> None:
        self._checkpoint = checkpoint
        # Where the checkpoint can be read again, for pickles.
        self._source: Source | None = None
        self.tokenizer = tokenizer
        self._engine = engine
        self._batch_tokens = batch_tokens

    def __getstate__(self) -> dict[str, Any]:
        engine = (self._engine.name, self._engine.precision)
        stored: Any = self._checkpoint if self._source is None else self._source.stored(self._checkpoint)
        return {**vars(self), "_checkpoint": stored, "_engine": engine}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        if isinstance(self._checkpoint, StoredCheckpoint):
            self._checkpoint = self._checkpoint.read()
        engine, precision = state["_engine"]
        self._engine = create_engine(self._checkpoint, engine=engine, precision=precision)

    def __copy__(self) -> Self:
        new = object.__new__(type(self))
        vars(new).update(vars(self))
        return new

    def __deepcopy__(self, memo: Any) -> Self:
        # Weights and graphs are never changed: copies share them.
        return self.__copy__()

    def __repr__(self) -> str:
        config, origin = self.config, self._checkpoint.origin
        task = "" if self.head is None else f", {self.head.task}"
        return (
            f"<Encoder {config.architecture}, {config.num_layers} layers of {config.hidden_size}{task}, "
            f"{self._engine.name} {self.precision}, max_length {self.max_length}, from {origin.folder}>"
        )

    if not TYPE_CHECKING:
        # Type checkers would take every name for an attribute.
        def __getattr__(self, name: str) -> Never:
            """Asked for what is not there only."""
            raise unknown_attribute(type(self).__name__, name)

    @property
    def checkpoint(self) -> Checkpoint:
        """The model that is run."""
        return self._checkpoint

    @property
    def config(self) -> EncoderConfig:
        """The model's settings."""
        return self._checkpoint.config

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's pieces, by id."""
        return self._checkpoint.vocabulary

    @property
    def head(self) -> Head | None:
        """What the model was fine-tuned for: its task, labels and weights; None for one that only encodes."""
        return self._checkpoint.head

    @property
    def max_length(self) -> int:
        """The most tokens of a text that are encoded, `[CLS]` and `[SEP]` included."""
        return self.tokenizer.max_length

    @property
    def precision(self) -> str:
        """The arithmetic in which the engine computes: float32 or bfloat16. Outputs are float32 either way."""
        return self._engine.precision

    def encode(
        self,
        texts: str | Iterable[Text],
        *,
        outputs: Sequence[str] | None = None,
        layers: Layers | None = None,
        truncation: bool = True,
        window: int | None = None,
        stride: int | None = None,
        progress: bool = False,
        show_progress_bar: bool | None = None,
    ) -> Encodings:
        """Encode texts, or pairs of texts as tuples; one string counts as a list of one.

        `outputs` names what to compute: pooled_output (or default), sequence_output, encoder_outputs, and embedding,
        the vectors of `embed`; None means the first two (or sequence_output alone, where a model has no pooler).
        `layers` adds single layers to
        encoder_outputs: "all", or numbers counted from 0 or from the top (-2). Longer texts than `max_length` are
        cut, marked in `truncated` and reported in one `TruncationWarning`; with `truncation=False` they raise
        `InputError`, as do texts that are no strings.

        With `window` nothing is cut off: a text of more than `window` tokens, `[CLS]` and `[SEP]` included, is computed
        in windows of so many, each with a `[CLS]` and a `[SEP]`. A window has `stride` tokens in common with the next,
        as in transformers (None: a quarter of `window`); each token's vector is taken from the window in which it has
        the most context. The encodings are those of the whole text, with the `[CLS]` of the first window and the
        `[SEP]` of the last; pooled_output is the mean over the windows, each weighted by the tokens taken from it:
        the first window's alone would leave out the rest. Of a pair the first text is kept whole, in every window of
        the second; `InputError` where that leaves too little room.

        `progress` shows on stderr how many texts are done; `show_progress_bar` is its name in sentence-transformers.
        """
        request = Request.of(self.config, outputs, layers)
        if _names_embedding(outputs):
            request = self._with_embedding(request)
        encodings = self._shown(
            listed(texts),
            request,
            truncation,
            self._window(window, stride),
            wanted_progress(progress, show_progress_bar),
        )
        self._report(int(encodings.truncated.sum()), len(encodings.texts))
        return encodings

    def stream(
        self,
        texts: Iterable[Text],
        *,
        outputs: Sequence[str] | None = None,
        layers: Layers | None = None,
        pooling: Pooling | None = None,
        layer: int | Sequence[int] = -1,
        normalize: bool | None = None,
        truncation: bool = True,
        window: int | None = None,
        stride: int | None = None,
        chunk_size: int | None = None,
        progress: bool = False,
    ) -> Iterator[Encodings]:
        """Encode texts that do not fit in memory: yields the `Encodings` of one chunk of them after the other.

        The texts are read as they are needed. `chunk_size` is the number of texts in a chunk; None takes as many as
        keep the outputs of a chunk near 128 MB. `pooling` adds one vector a text under the name embedding, or
        `outputs=["embedding"]` does, with the model's own pooling; nothing else is computed then unless `outputs` or
        `layers` ask for it. `layer` and `normalize` are about it, and as in `embed`. The rest is as in `encode`; cut
        texts are reported once, at the end. `progress` as in `encode`; the total is shown where `texts`
        has a length.
        """
        embedded = pooling is not None or _names_embedding(outputs)
        asked = pooling is None or outputs is not None or layers is not None
        request = Request.of(self.config, outputs, layers) if asked else Request()
        if embedded:
            request = self._with_embedding(request, pooling, layer, normalize)
        elif normalize is not None:
            raise InputError(
                f"normalize={normalize!r} is about the embedding, which is not asked for: pass pooling=, or "
                'outputs=["embedding"]'
            )
        if chunk_size is not None and (
            isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1
        ):
            raise InputError(f"chunk_size must be a whole number from 1, not {chunk_size!r}")
        windowed = self._window(window, stride)
        return self._stream(
            iter(checked(texts)),
            request,
            truncation=truncation,
            window=windowed,
            chunk_size=chunk_size,
            total=len(texts) if isinstance(texts, Sized) else None,
            progress=wanted_progress(progress, None),
        )

    def embed(
        self,
        texts: str | Iterable[Text],
        *,
        pooling: Pooling | None = None,
        layer: int | Sequence[int] = -1,
        normalize: bool | None = None,
        truncation: bool = True,
        window: int | None = None,
        stride: int | None = None,
        progress: bool = False,
        show_progress_bar: bool | None = None,
    ) -> Floats:
        """One vector for each text: float32 [n, hidden], or [n, hidden * layers] of several layers, joined.

        `pooling` is mean or max over the tokens of `layer`, or of each of several (`[CLS]` and `[SEP]` included), cls
        for its first token, or pooled for the model's own pooler. `normalize` scales the whole vectors to length 1,
        for search by dot product. Without them the vectors are the model's own: pooled, and scaled or not, as the
        files of sentence-transformers beside it say, or the plain mean where there are none (`checkpoint.embedding`;
        `summary` tells). Where they ask for what berthub does not compute, such as a dense layer,
        `UnsupportedModelError` names it. With a `pooling` given, vectors are scaled only by `normalize=True`.

        With `window` and `stride`, as in `encode`, long texts are not cut: mean and max are over all their tokens, each
        counted once, cls is the first window's, and pooled is that of `encode`. `progress` and `show_progress_bar` as
        in `encode`.
        """
        request = self._with_embedding(Request(), pooling, layer, normalize)
        encodings = self._shown(
            listed(texts),
            request,
            truncation,
            self._window(window, stride),
            wanted_progress(progress, show_progress_bar),
        )
        self._report(int(encodings.truncated.sum()), len(encodings.texts))
        vectors: Floats = encodings[EMBEDDING]
        return vectors

    def predict(self, texts: TextsOrSentences, *, progress: bool = False) -> Predictions:
        """What a fine-tuned model says of texts, in their order; by the task of its `head`:

        classify: list of n labels; multi_label: list of n tuples, the labels with a probability of 0.5 or more, in
        the order of `head.labels`; regress: float32 [n]; tag: for sentences given as lists of words, n lists with
        one label for each word.

        Texts, or pairs of texts as tuples, that are longer than `max_length` are cut and reported in one
        `TruncationWarning`. Sentences are never cut short: a longer one is computed in parts. `InputError` for a
        model without a head.
        """
        return self._logits(texts, wanted_progress(progress, None)).predictions()

    def predict_proba(self, texts: TextsOrSentences, *, progress: bool = False) -> Probabilities:
        """The probability of every label, in the order of `head.labels`; texts as in `predict`.

        classify: float32 [n, labels] with rows that add up to 1; multi_label: float32 [n, labels], each between 0
        and 1; tag: n arrays float32 [words, labels]; regress: an `InputError`, since `predict` gives its values.
        """
        require_head(self.head, probabilities=True, unread=self._checkpoint.origin.unread_head)
        return self._logits(texts, wanted_progress(progress, None)).probabilities()

    def logits(self, texts: TextsOrSentences, *, progress: bool = False) -> Logits:
        """The head's plain outputs, from which `predictions()` and `probabilities()` can both be read."""
        return self._logits(texts, wanted_progress(progress, None))

    def fill_mask(self, text: str, *, top_k: int = 5) -> list[Filling]:
        """The `top_k` likeliest pieces for the one `[MASK]` in a text, with their probabilities, the likeliest first.

        The mask is written as the model writes it (`vocabulary.mask`: `<mask>` in RoBERTa). `InputError` for a model
        whose files hold no masked-language-model head, and for a text without just one mask.
        """
        return fill_mask(text, top_k=top_k, checkpoint=self._checkpoint, tokenizer=self.tokenizer, engine=self._engine)

    def __call__(self, inputs: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
        """Run the model on arrays, as a TF Hub encoder is called.

        `inputs` is a dict in TF Hub's names (input_word_ids, input_mask, input_type_ids) or Hugging Face's
        (input_ids, attention_mask, token_type_ids), or a list in that order; integers [batch, seq]. A mask that is
        left out is 1 where the id is not that of `[PAD]`, type ids are 0. A mask may have holes; positions count
        from the row's start all the same. Returns float32 arrays under default, pooled_output [batch, hidden],
        sequence_output [batch, seq, hidden] and encoder_outputs, a list of one [batch, seq, hidden] for each layer;
        values at masked positions are those that TensorFlow computes there, too. With masked_lm_positions, integers
        [batch, positions], there are mlm_logits [batch, positions, vocabulary], too, where the model has that head.
        `InputError` says what is wrong.
        """
        config = self.config
        arrays = array_inputs(inputs, config, pad=self.vocabulary.ids[self.vocabulary.pad])
        wanted = {f"layer {layer}": Output(layer) for layer in range(config.num_states)}
        if config.has_pooled_output:
            wanted["pooled_output"] = Output(-1, "pooled").resolved(config)
        if arrays.positions is not None:
            wanted[MLM_LOGITS] = Output(mlm=True).resolved(config)
        outputs = list(wanted.values())
        count, width = arrays.ids.shape
        at = 0 if arrays.positions is None else arrays.positions.shape[1]
        results = dict(zip(wanted, allocate(outputs, count, width, config=config, positions=at), strict=True))
        with closing(self._engine.run(_slices(arrays, self._limits.tokens), outputs)) as running:
            for done in running:
                for result, array in zip(results.values(), done.outputs, strict=True):
                    result[done.batch.rows] = array
        layers = [results.pop(f"layer {layer}") for layer in range(config.num_states)]
        pooled = {"default": results["pooled_output"]} if config.has_pooled_output else {}
        return {**pooled, **results, "sequence_output": layers[-1], "encoder_outputs": layers}

    def summary(self) -> str:
        """The model, its sizes and how it runs, as a few lines of text."""
        engine = f"{self._engine.name}, {self.precision}"
        return summary(self._checkpoint, max_length=self.max_length, engine=engine)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save the model in berthub's own form, which `berthub.load` reads; `folder` must be new or empty."""
        write_native(self._checkpoint, Path(folder))

    @property
    def _limits(self) -> Limits:
        limits = self._engine.limits
        return limits if self._batch_tokens is None else dataclasses.replace(limits, tokens=self._batch_tokens)

    def _window(self, window: int | None, stride: int | None) -> Window | None:
        return Window.of(window, stride, longest=self.config.max_positions)

    def _with_embedding(
        self,
        request: Request,
        pooling: Pooling | None = None,
        layer: int | Sequence[int] = -1,
        normalize: bool | None = None,
    ) -> Request:
        """The request with an embedding as the caller wants it, and as the model says where the caller says nothing."""
        pooling, normalize = self._checkpoint.embedding.chosen(pooling, normalize)
        return request.with_embedding(self.config, layer, pooling=pooling, normalize=normalize)

    def _stream(
        self,
        texts: Iterator[Text],
        request: Request,
        *,
        truncation: bool,
        window: Window | None,
        chunk_size: int | None,
        total: int | None,
        progress: bool,
    ) -> Iterator[Encodings]:
        by_token = sum(output.pooling is None for output in request.distinct)
        # How many vectors a chunk may have.
        room = _STREAM_BYTES // (4 * self.config.hidden_size)
        per_text = len(request.distinct) - by_token + by_token * self.max_length
        size = max(1, min(_STREAM_ROWS, room // per_text)) if chunk_size is None else chunk_size
        # Uncut, a few texts can be as large as many.
        bounded = window is not None and chunk_size is None
        done = truncated = 0
        with shown_progress(total, progress) as tell:
            for chunk in chunks(texts, size=size, characters=_STREAM_CHARACTERS if bounded else None):
                tokens = self._tokens(chunk, truncation, window)
                places = room // by_token if bounded and by_token else None
                for rows in runs(tokens.lengths, places=places):
                    encodings = self._encodings(chunk[rows], part(tokens, rows), request, window)
                    done += len(encodings.texts)
                    truncated += int(encodings.truncated.sum())
                    tell(done)
                    yield encodings
        self._report(truncated, done)

    def _shown(
        self, texts: list[Text], request: Request, truncation: bool, window: Window | None, progress: bool
    ) -> Encodings:
        with shown_progress(len(texts), progress) as tell:
            tokens = self._tokens(texts, truncation, window)
            return self._encodings(
                texts, tokens, request, window, advance=lambda share: tell(round(share * len(texts)))
            )

    def _encodings(
        self,
        texts: list[Text],
        tokens: Tokens,
        request: Request,
        window: Window | None,
        advance: Advance = unseen,
    ) -> Encodings:
        computed = compute(
            tokens,
            request.distinct,
            config=self.config,
            vocabulary=self.vocabulary,
            engine=self._engine,
            window=window,
            limits=self._limits,
            advance=advance,
        )
        arrays = dict(zip(request.distinct, computed, strict=True))
        outputs: dict[str, Any] = {name: arrays[output] for name, output in request.named.items()}
        if request.layers:
            layers = {layer: arrays[output] for layer, output in request.layers.items()}
            outputs["encoder_outputs"] = LayerOutputs(layers, self.config.num_states)
        if request.embedding:
            vectors = [arrays[output] for output in request.embedding]
            joined = vectors[0] if len(vectors) == 1 else np.concatenate(vectors, axis=1)
            outputs[EMBEDDING] = unit_length(joined) if request.normalize else joined
        return Encodings(
            outputs=outputs,
            ragged_tokens=tokens,
            texts=texts,
            tokenizer=self.tokenizer,
            max_length=self.max_length if window is None else None,
            precision=self.precision,
        )

    def _tokens(self, texts: list[Text], truncation: bool, window: Window | None) -> Tokens:
        if window is not None:
            return self.tokenizer.tokens(texts)
        tokens = self.tokenizer.tokens(texts, max_length=self.max_length if truncation else None)
        too_long = np.flatnonzero(tokens.lengths > self.max_length)
        if len(too_long):
            row = int(too_long[0])
            raise InputError(
                f"{len(too_long):,} of {len(texts):,} texts have more than {self.max_length} tokens, the first is text "
                f"{row} with {tokens.lengths[row]:,}; shorten them, or pass truncation=True to cut them"
            )
        return tokens

    def _report(self, truncated: int, total: int) -> None:
        if truncated:
            most = self.config.max_positions
            more = f"; berthub.load(..., max_length={most}) takes more" if self.max_length < most else ""
            warnings.warn(
                f"{truncated:,} of {total:,} texts had more than {self.max_length} tokens and were cut; "
                f"`truncated` tells which, truncation=False refuses them{more}",
                TruncationWarning,
                stacklevel=3,
            )

    def _logits(self, texts: TextsOrSentences, progress: bool) -> Logits:
        """For a public method to call directly: the warning points to that one's caller."""
        if not isinstance(texts, Sized) and isinstance(texts, Iterable):
            texts = list(texts)
        total = 1 if isinstance(texts, str) or not isinstance(texts, Sized) else len(texts)
        with shown_progress(total, progress) as tell:
            logits = compute_logits(
                texts,
                checkpoint=self._checkpoint,
                tokenizer=self.tokenizer,
                engine=self._engine,
                limits=self._limits,
                advance=lambda share: tell(round(share * total)),
            )
        if truncated := int(logits.truncated.sum()):
            what = (
                f"sentences had a word of more than {self.max_length - 2} pieces, of which the first were kept"
                if logits.head.task == "tag"
                else f"texts had more than {self.max_length} tokens and were cut"
            )
            warnings.warn(
                f"{truncated:,} of {len(logits.truncated):,} {what}; `logits(...).truncated` tells which",
                TruncationWarning,
                stacklevel=3,
            )
        return logits


def _names_embedding(outputs: Sequence[str] | None) -> bool:
    return EMBEDDING in ((outputs,) if isinstance(outputs, str) else outputs or ())


def _slices(arrays: ArrayInputs, budget: int) -> Iterator[PaddedBatch]:
    count, width = arrays.ids.shape
    step = max(1, budget // width)
    for start in range(0, count, step):
        part = slice(start, start + step)
        rows = np.arange(start, min(start + step, count))
        yield PaddedBatch(
            ids=arrays.ids[part],
            mask=arrays.mask[part],
            type_ids=arrays.type_ids[part],
            rows=rows,
            positions=None if arrays.positions is None else arrays.positions[part],
        )
