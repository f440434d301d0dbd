"""The encoder: texts or arrays in, encodings and predictions out."""

import itertools
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.config import EncoderConfig, Pooling
from berthub.encoding.arrays import ArrayInputs, array_inputs
from berthub.encoding.encodings import Encodings, LayerOutputs
from berthub.encoding.fill_mask import Filling, fill_mask
from berthub.encoding.normalize import unit_length
from berthub.encoding.planner import BUDGET, cut
from berthub.encoding.prediction import (
    Logits,
    Predictions,
    Probabilities,
    TextsOrSentences,
    compute_logits,
    require_head,
)
from berthub.encoding.request import Layers, Request
from berthub.encoding.texts import checked, listed
from berthub.engines.engine import Batch, Engine, Floats
from berthub.errors import InputError, TruncationWarning
from berthub.formats.native import write_native
from berthub.head import Head
from berthub.networks.outputs import Output
from berthub.tokenization.tokenizer import Text, Tokenizer
from berthub.tokenization.tokens import Tokens
from berthub.vocabulary import Vocabulary

__all__ = ["Encoder"]

# How much a chunk of a stream may hold: rows, and bytes of outputs.
_STREAM_ROWS = 8192
_STREAM_BYTES = 1 << 27
# How many labels of a head a summary names.
_SHOWN_LABELS = 10


class Encoder:
    """A model that is ready to encode and, if it was fine-tuned, to predict; `berthub.load` makes it.

    Results do not depend on what else is in the call, on the order or on padding (to 1e-5 in float32), and come back
    in the caller's order. `batch_tokens` is how many tokens, padding included, are computed at a time.
    """

    def __init__(
        self, checkpoint: Checkpoint, tokenizer: Tokenizer, engine: Engine, *, batch_tokens: int = BUDGET
    ) -> None:
        self._checkpoint = checkpoint
        self.tokenizer = tokenizer
        self._engine = engine
        self._batch_tokens = batch_tokens

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
    ) -> Encodings:
        """Encode texts, or pairs of texts as tuples; one string counts as a list of one.

        `outputs` names what to compute: pooled_output (or default), sequence_output, encoder_outputs; None means the
        first two (or sequence_output alone, where a model has no pooler). `layers` adds single layers to
        encoder_outputs: "all", or numbers counted from 0 or from the top (-2). Longer texts than `max_length` are
        cut, marked in `truncated` and reported in one `TruncationWarning`; with `truncation=False` they raise
        `InputError`, as do texts that are no strings.
        """
        request = Request.of(self.config, outputs, layers)
        encodings = self._encode(listed(texts), request, truncation)
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
        truncation: bool = True,
        chunk_size: int | None = None,
    ) -> Iterator[Encodings]:
        """Encode texts that do not fit in memory: yields the `Encodings` of one chunk of them after the other.

        The texts are read as they are needed. `chunk_size` is the number of texts in a chunk; None takes as many as
        keep the outputs of a chunk near 128 MB. `pooling` and `layer`, as in `embed`, add one vector a text under the
        name embedding; nothing else is computed then unless `outputs` or `layers` ask for it. The rest is as in
        `encode`; cut texts are reported once, at the end.
        """
        if pooling is None:
            request = Request.of(self.config, outputs, layers)
        else:
            asked = outputs is not None or layers is not None
            request = Request.of(self.config, outputs, layers) if asked else Request()
            request = request.with_embedding(self.config, layer, pooling)
        size = self._chunk_size(request) if chunk_size is None else chunk_size
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InputError(f"chunk_size must be a whole number from 1, not {chunk_size!r}")
        return self._stream(iter(checked(texts)), request, truncation, size)

    def embed(
        self,
        texts: str | Iterable[Text],
        *,
        pooling: Pooling = "mean",
        layer: int | Sequence[int] = -1,
        normalize: bool = False,
        truncation: bool = True,
    ) -> Floats:
        """One vector for each text: float32 [n, hidden], or [n, hidden * layers] of several layers, joined.

        `pooling` is mean or max over the tokens of `layer`, or of each of several (`[CLS]` and `[SEP]` included), cls
        for its first token, or pooled for the model's own pooler. `normalize` scales the whole vectors to length 1,
        for search by dot product.
        """
        request = Request().with_embedding(self.config, layer, pooling)
        encodings = self._encode(listed(texts), request, truncation)
        self._report(int(encodings.truncated.sum()), len(encodings.texts))
        vectors: Floats = encodings["embedding"]
        return unit_length(vectors) if normalize else vectors

    def predict(self, texts: TextsOrSentences) -> Predictions:
        """What a fine-tuned model says of texts, in their order; by the task of its `head`:

        classify: list of n labels; multi_label: list of n tuples, the labels with a probability of 0.5 or more, in
        the order of `head.labels`; regress: float32 [n]; tag: for sentences given as lists of words, n lists with
        one label for each word.

        Texts, or pairs of texts as tuples, that are longer than `max_length` are cut and reported in one
        `TruncationWarning`. Sentences are never cut short: a longer one is computed in parts. `InputError` for a
        model without a head.
        """
        return self._logits(texts).predictions()

    def predict_proba(self, texts: TextsOrSentences) -> Probabilities:
        """The probability of every label, in the order of `head.labels`; texts as in `predict`.

        classify: float32 [n, labels] with rows that add up to 1; multi_label: float32 [n, labels], each between 0
        and 1; tag: n arrays float32 [words, labels]; regress: an `InputError`, since `predict` gives its values.
        """
        require_head(self.head, probabilities=True)
        return self._logits(texts).probabilities()

    def logits(self, texts: TextsOrSentences) -> Logits:
        """The head's plain outputs, from which `predictions()` and `probabilities()` can both be read."""
        return self._logits(texts)

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
            wanted["mlm_logits"] = Output(mlm=True).resolved(config)
        outputs = list(wanted.values())
        count, width = arrays.ids.shape
        at = 0 if arrays.positions is None else arrays.positions.shape[1]
        results = dict(zip(wanted, self._allocate(outputs, count, width, positions=at), strict=True))
        for done in self._engine.run(_slices(arrays, self._batch_tokens), outputs):
            for result, array in zip(results.values(), done.outputs, strict=True):
                result[done.batch.rows] = array
        layers = [results.pop(f"layer {layer}") for layer in range(config.num_states)]
        pooled = {"default": results["pooled_output"]} if config.has_pooled_output else {}
        return {**pooled, **results, "sequence_output": layers[-1], "encoder_outputs": layers}

    def summary(self) -> str:
        """The model, its sizes and how it runs, as a few lines of text."""
        config, origin = self.config, self._checkpoint.origin
        lines = {
            "model": f"{config.architecture.upper()}, {config.num_layers} layers of {config.hidden_size}, "
            f"{config.num_heads} heads, {self._checkpoint.parameters:,} parameters",
            "vocabulary": f"{config.vocab_size:,} pieces, {'lower-cased' if config.lower_case else 'cased'}",
            "longest text": f"{self.max_length} tokens, of {config.max_positions} positions",
            "activation": f"{config.activation}, layer norm epsilon {config.layer_norm_eps:g}",
            "outputs": "sequence_output, encoder_outputs" + (", pooled_output" if config.has_pooled_output else ""),
            **({"fine-tuned": _described(self.head)} if self.head else {}),
            "engine": f"{self._engine.name}, {self.precision}",
            "source": f"{origin.format} in {origin.folder}",
        }
        return "\n".join(f"{name + ':':<14}{value}" for name, value in lines.items())

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save the model in berthub's own form, which `berthub.load` reads; `folder` must be new or empty."""
        write_native(self._checkpoint, Path(folder))

    def _chunk_size(self, request: Request) -> int:
        per_text = sum(1 if output.pooling else self.max_length for output in request.distinct)
        bytes_per_text = 4 * self.config.hidden_size * per_text
        return max(1, min(_STREAM_ROWS, _STREAM_BYTES // bytes_per_text))

    def _stream(self, texts: Iterator[Text], request: Request, truncation: bool, size: int) -> Iterator[Encodings]:
        total = truncated = 0
        while chunk := list(itertools.islice(texts, size)):
            encodings = self._encode(chunk, request, truncation)
            total += len(chunk)
            truncated += int(encodings.truncated.sum())
            yield encodings
        self._report(truncated, total)

    def _encode(self, texts: list[Text], request: Request, truncation: bool) -> Encodings:
        tokens = self._tokens(texts, truncation)
        arrays = dict(zip(request.distinct, self._run(tokens, request.distinct), strict=True))
        outputs: dict[str, Any] = {name: arrays[output] for name, output in request.named.items()}
        if request.layers:
            computed = {layer: arrays[output] for layer, output in request.layers.items()}
            outputs["encoder_outputs"] = LayerOutputs(computed, self.config.num_states)
        if request.embedding:
            vectors = [arrays[output] for output in request.embedding]
            outputs["embedding"] = vectors[0] if len(vectors) == 1 else np.concatenate(vectors, axis=1)
        return Encodings(
            outputs=outputs,
            ragged_tokens=tokens,
            texts=texts,
            tokenizer=self.tokenizer,
            max_length=self.max_length,
            precision=self.precision,
        )

    def _tokens(self, texts: list[Text], truncation: bool) -> Tokens:
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
            warnings.warn(
                f"{truncated:,} of {total:,} texts had more than {self.max_length} tokens and were cut; "
                "`truncated` tells which, truncation=False refuses them",
                TruncationWarning,
                stacklevel=3,
            )

    def _logits(self, texts: TextsOrSentences) -> Logits:
        """For a public method to call directly: the warning points to that one's caller."""
        logits = compute_logits(
            texts,
            checkpoint=self._checkpoint,
            tokenizer=self.tokenizer,
            engine=self._engine,
            batch_tokens=self._batch_tokens,
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

    def _allocate(self, outputs: Sequence[Output], rows: int, width: int, *, positions: int = 0) -> list[Floats]:
        hidden, vocabulary = self.config.hidden_size, self.config.vocab_size
        return [
            np.zeros(
                (rows, positions, vocabulary) if o.mlm else (rows, hidden) if o.pooling else (rows, width, hidden),
                np.float32,
            )
            for o in outputs
        ]

    def _run(self, tokens: Tokens, outputs: Sequence[Output]) -> list[Floats]:
        """One array for each output: [n, h], or [n, seq, h] with zeros behind the last token."""
        lengths = tokens.lengths
        results = self._allocate(outputs, len(tokens), int(lengths.max(initial=0)))
        pad = self.vocabulary.ids[self.vocabulary.pad]
        batches = cut(tokens, self.config, pad=pad, budget=self._batch_tokens)
        for done in self._engine.run(batches, outputs):
            for output, result, array in zip(outputs, results, done.outputs, strict=True):
                if output.pooling:
                    result[done.batch.rows] = array
                    continue
                # Row by row: only real tokens are copied, and the zeros behind them stay.
                for row, length, vectors in zip(done.batch.rows, lengths[done.batch.rows], array, strict=True):
                    result[row, :length] = vectors[:length]
        return results


def _described(head: Head) -> str:
    shown = ", ".join(head.labels[:_SHOWN_LABELS]) + (", ..." if len(head.labels) > _SHOWN_LABELS else "")
    return f"{head.task}, {len(head.labels):,} label{'s' if len(head.labels) > 1 else ''}: {shown}"


def _slices(arrays: ArrayInputs, budget: int) -> Iterator[Batch]:
    count, width = arrays.ids.shape
    step = max(1, budget // width)
    for start in range(0, count, step):
        part = slice(start, start + step)
        rows = np.arange(start, min(start + step, count))
        yield Batch(
            ids=arrays.ids[part],
            mask=arrays.mask[part],
            type_ids=arrays.type_ids[part],
            rows=rows,
            positions=None if arrays.positions is None else arrays.positions[part],
        )
