"""Encode in three stages, prepare, compute and finish."""

from collections.abc import Generator, Iterable, Sequence, Sized
from dataclasses import dataclass
from typing import Never, cast

from berthub.checkpoint import Checkpoint
from berthub.encoding.chunks import chunks, part, runs
from berthub.encoding.compute import Computed, compute, compute_head, compute_word_head
from berthub.encoding.encodings import Encodings
from berthub.encoding.finish import finish, finish_head, finish_word_head
from berthub.encoding.prediction import Logits, TextsOrSentences, require_head
from berthub.encoding.prepare import Prepared, prepare, prompted, rows_of, tokenize
from berthub.encoding.progress import Advance, shown_progress, unseen
from berthub.encoding.request import Request
from berthub.encoding.windows import Window
from berthub.engines.engine import Engine, Limits
from berthub.tokenization.texts import listed
from berthub.tokenization.tokenizer import Text, Tokenizer
from berthub.tokenization.words import word_tokens

__all__ = ["Stages"]

# How much a chunk of a stream may hold: rows, and bytes of outputs.
_ROWS = 8192
_BYTES = 1 << 27
# How much text of any length is tokenized at a time.
_CHARACTERS = 1 << 22


@dataclass(frozen=True, eq=False)
class Stages:
    """The stages of a model, each of which can be called alone: `prepare`, `compute`, `finish`.

    `encode` runs the three.

    A server can overlap the stages of different requests: the first and the last need no engine. Nothing warns here;
    what comes back tells which texts were truncated.
    """

    checkpoint: Checkpoint
    tokenizer: Tokenizer
    engine: Engine
    limits: Limits

    def __reduce__(self) -> Never:
        raise TypeError("stages hold an engine: pickle or copy the Encoder that they are of")

    def prepare(
        self, texts: str | Iterable[Text], *, truncation: bool = True, window: Window | None = None
    ) -> Prepared:
        """The texts as tokens; `InputError` for what are no texts, and for long ones with `truncation=False`."""
        return prepare(listed(texts), self.tokenizer, truncation=truncation, window=window)

    def compute(self, prepared: Prepared, request: Request, *, advance: Advance = unseen) -> Computed:
        """The arrays that a request needs, by the engine; `InputError` for a request without outputs."""
        return compute(
            prepared,
            request.distinct,
            config=self.checkpoint.config,
            engine=self.engine,
            limits=self.limits,
            advance=advance,
        )

    def finish(self, prepared: Prepared, computed: Computed, request: Request) -> Encodings:
        """The encodings, as the request names them."""
        return finish(
            prepared,
            computed,
            request,
            config=self.checkpoint.config,
            tokenizer=self.tokenizer,
            precision=self.engine.precision,
        )

    def encode(
        self,
        texts: str | Iterable[Text],
        request: Request,
        *,
        truncation: bool = True,
        window: Window | None = None,
        progress: bool = False,
    ) -> Encodings:
        """The encodings of some texts; `progress` shows on stderr how many are done."""
        plain = listed(texts)
        with shown_progress(len(plain), progress) as report:
            texts = prompted(plain, request.prompt)
            prepared = prepare(texts, self.tokenizer, truncation=truncation, window=window)
            computed = self.compute(prepared, request, advance=lambda share: report(round(share * len(plain))))
            return self.finish(prepared, computed, request)

    def stream(
        self,
        texts: Iterable[Text],
        request: Request,
        *,
        truncation: bool = True,
        window: Window | None = None,
        chunk_size: int | None = None,
        total: int | None = None,
        progress: bool = False,
    ) -> Generator[Encodings]:
        """The encodings of any number of texts, chunk by chunk; `total` is how many there are, if that is known.

        `chunk_size` None takes as many texts as keep the outputs of a chunk near 128 MB.
        """
        by_token = sum(output.pooling is None for output in request.distinct)
        # How many vectors a chunk may have.
        max_vectors = _BYTES // (4 * self.checkpoint.config.hidden_size)
        per_text = len(request.distinct) - by_token + by_token * self.tokenizer.max_length
        size = max(1, min(_ROWS, max_vectors // per_text)) if chunk_size is None else chunk_size
        # Texts that are not truncated can be of any length: their tokens are limited, too.
        bounded = window is not None and chunk_size is None
        max_tokens = max_vectors // by_token if bounded and by_token else None
        done = 0
        with shown_progress(total, progress) as report:
            for chunk in chunks(texts, size=size, characters=_CHARACTERS if bounded else None):
                given = prompted(chunk, request.prompt)
                tokens = tokenize(given, self.tokenizer, truncation=truncation, window=window)
                for rows in runs(tokens.lengths, max_tokens=max_tokens):
                    prepared = rows_of(given[rows], part(tokens, rows), self.tokenizer, window=window)
                    encodings = self.finish(prepared, self.compute(prepared, request), request)
                    done += len(encodings.texts)
                    report(done)
                    yield encodings

    def logits(self, texts: TextsOrSentences, *, progress: bool = False) -> Logits:
        """The outputs of the model's head for texts, in their order, or for `tag`, for the words of sentences.

        A text longer than `max_length` is truncated. A longer sentence is split between words, and computed in
        several rows. `InputError` for a model without a head, and for what are no texts, or no lists of words.
        """
        head = require_head(self.checkpoint.head, unread=self.checkpoint.origin.unread_head)
        config, engine, limits = self.checkpoint.config, self.engine, self.limits
        if head.task != "tag":
            plain = listed(cast("Iterable[Text]", texts))
            with shown_progress(len(plain), progress) as report:
                prepared = self.prepare(plain)
                values = compute_head(
                    prepared,
                    head,
                    config=config,
                    engine=engine,
                    limits=limits,
                    advance=lambda share: report(round(share * len(plain))),
                )
            return finish_head(prepared, values, head)

        sentences = list(texts) if isinstance(texts, Iterable) and not isinstance(texts, Sized) else texts
        total = len(sentences) if isinstance(sentences, Sized) else 1
        with shown_progress(total, progress) as report:
            words = word_tokens(
                self.tokenizer, cast("Iterable[Sequence[str]]", sentences), max_length=self.tokenizer.max_length
            )
            values = compute_word_head(
                words,
                head,
                config=config,
                engine=engine,
                limits=limits,
                advance=lambda share: report(round(share * total)),
            )
        return finish_word_head(words, values, head)
