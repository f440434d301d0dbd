"""One loaded model as a service: texts of a request in, arrays out, computed together with those of other requests.

The three stages of `encoding/` overlap: while the batcher's thread computes, texts of other requests are tokenized, and
answers are made, in the threads of a pool, or at once where there is little to do.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

import numpy as np

from berthub.encoding.array_call import ArrayCall
from berthub.encoding.encoder import Encoder
from berthub.encoding.fill_mask import Filling, Masked
from berthub.encoding.finish import finish_head
from berthub.encoding.prediction import Logits, head_outputs, softmax
from berthub.encoding.prepare import Prepared, prompted
from berthub.encoding.request import Request
from berthub.engines.engine import Floats
from berthub.errors import InputError
from berthub.networks.interface import MLM_LOGITS
from berthub.networks.outputs import Output
from berthub.serving.batcher import Batcher, BatchingOptions
from berthub.serving.failures import TooLargeError, UnprocessableError
from berthub.serving.heads import served_head
from berthub.serving.observer import Observer, Unobserved
from berthub.serving.results import Encoded, TaggedText, tagged
from berthub.serving.rows import Truncation, array_rows, blank_row, characters, prepared_ids, prepared_texts
from berthub.serving.work import Arrays, Rows, Terms, Work
from berthub.tokenization.tokenizer import Text, Tokenizer
from berthub.tokenization.tokens import Tokens

__all__ = ["Service", "Truncation"]

T = TypeVar("T")

# So little is done at once, by the event loop: to hand it to another thread takes longer.
_FEW_TEXTS = 16
_FEW = 4096
# From so many characters on texts are tokenized in threads of their own: megabytes take seconds.
_MANY = 1 << 18
# Of so many different sets of outputs each is computed as it is asked for; of more, all outputs are computed.
_SETS = 8


class Service:
    """A model that serves; the methods are for the event loop's thread.

    `result_bytes` is the most that the arrays of one request may have.
    """

    def __init__(
        self,
        name: str,
        encoder: Encoder,
        *,
        pool: Executor,
        large: Executor | None = None,
        options: BatchingOptions | None = None,
        result_bytes: int = 1 << 28,
        observer: Observer | None = None,
    ) -> None:
        self.name = name
        self.encoder = encoder
        # How many requests hold it: a service that is replaced goes on until there are none.
        self.users = 0
        self._sets: set[frozenset[Output]] = set()
        self._stages = encoder.stages
        self._observer = observer or Unobserved()
        self._pool = pool
        # Nothing else waits behind what takes seconds.
        self._large = large or pool
        self.result_bytes = result_bytes
        self.batcher = Batcher(self._stages.engine, options=options, observer=self._observer, name=name)

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return self._stages.tokenizer

    async def encode(
        self,
        texts: Sequence[Text],
        request: Request,
        *,
        terms: Terms,
        truncation: Truncation = "refuse",
        offsets: bool = False,
    ) -> Encoded:
        """The outputs that `request` asks for, for texts or pairs of them, with its prompt before each.

        With `offsets` the tokens have theirs.
        """
        texts = prompted(texts, request.prompt)
        prepare = partial(self._prepare, texts, truncation, terms, offsets)
        return await self._encoded(prepare, request, terms, count=len(texts), size=characters(texts))

    async def encode_tokens(
        self, rows: Sequence[Sequence[int]], request: Request, *, terms: Terms, where: str = "input"
    ) -> Encoded:
        """As `encode`, for texts that are given as the ids of their pieces, without special tokens or with them.

        `where` is the rows' place in the request, for messages.
        """
        prepare = partial(self._prepare_ids, rows, where, terms)
        return await self._encoded(prepare, request, terms, count=len(rows), size=sum(map(len, rows)))

    async def _encoded(
        self, prepare: Callable[[], Prepared], request: Request, terms: Terms, *, count: int, size: int
    ) -> Encoded:
        def begin() -> tuple[Prepared, Work]:
            prepared = prepare()
            rows, asked = Rows.of(prepared.distinct), len(prepared.tokens.ids)
            return prepared, self._submit(rows, request.distinct, terms, asked=asked)

        prepared, work = await self._begin(begin, count=count, size=size)
        return Encoded(prepared, request, await self._arrays(work))

    async def logits(self, texts: Sequence[Text], *, terms: Terms, truncation: Truncation = "refuse") -> Logits:
        """The outputs of the model's head for texts; `InputError` for a model without one, and for one of words."""
        head = served_head(self.encoder)
        if head.task == "tag":
            raise InputError("this model labels words: its predictions are those of `tags`")
        output = Output(pooling=head.pooling).resolved(self.encoder.config)
        encoded = await self.encode(texts, Request({"head": output}), terms=terms, truncation=truncation)
        return finish_head(encoded.prepared, head_outputs(head, encoded.vectors(output)), head)

    async def tags(
        self, texts: Sequence[str], *, terms: Terms, truncation: Truncation = "refuse"
    ) -> Sequence[TaggedText]:
        """The words of texts with their labels, of a model that labels words.

        Words are those of BERT's basic tokenization: split at blanks, punctuation marks by themselves. The label is
        read at the first piece, as in training.
        """
        head = served_head(self.encoder)
        if head.task != "tag":
            raise InputError(f"this model is for {head.task}, and labels whole texts")
        output = Output().resolved(self.encoder.config)
        request = Request({"head": output})
        encoded = await self.encode(texts, request, terms=terms, truncation=truncation, offsets=True)
        if truncation == "left" and encoded.truncated:
            raise UnprocessableError("words of texts that are truncated at their beginning cannot be told")

        def finish() -> Sequence[TaggedText]:
            shares = [softmax(head_outputs(head, rows)) for rows in encoded.token_rows(output)]
            return tagged(texts, encoded.tokens, shares, head.labels, self.tokenizer.vocabulary)

        return await self.in_pool(finish)

    async def call(self, inputs: Any, names: Sequence[str] | None, *, terms: Terms) -> dict[str, Any]:
        """The arrays that `Encoder.__call__` returns for arrays, computed together with other requests."""
        call, arrays = await self._called(inputs, names, None, terms)
        return call.finish(arrays)

    async def outputs(self, inputs: Any, outputs: Sequence[Output], *, terms: Terms) -> Mapping[Output, Floats]:
        """As `call`, for outputs that are resolved: those that have no name, such as single layers, too."""
        names = [MLM_LOGITS] if any(output.mlm for output in outputs) else ["sequence_output"]
        return (await self._called(inputs, names, outputs, terms))[1]

    async def _called(
        self, inputs: Any, names: Sequence[str] | None, chosen: Sequence[Output] | None, terms: Terms
    ) -> tuple[ArrayCall, Mapping[Output, Floats]]:
        def begin() -> tuple[ArrayCall, Sequence[Output], Work]:
            call = ArrayCall.of(inputs, self._stages.checkpoint, names)
            if not len(call.arrays.ids):
                raise UnprocessableError("there are no rows: the inputs are empty")
            outputs = call.outputs if chosen is None else chosen
            terms.ledger.texts += len(call.arrays.ids)
            terms.ledger.tokens += int(call.arrays.mask.sum())
            return call, outputs, self._submit(array_rows(call, outputs, self.encoder.config), outputs, terms)

        call, outputs, work = await self.in_pool(begin)
        arrays = await self._arrays(work)
        count = len(call.arrays.ids)

        def shaped(output: Output) -> Floats:
            array = arrays[output]
            return array if output.pooling else array.reshape(count, -1, array.shape[-1])

        return call, {output: shaped(output) for output in outputs}

    async def fill_mask(self, text: str, *, top_k: int, terms: Terms) -> list[Filling]:
        """The likeliest pieces in the place of the one mask of a text, as `Encoder.fill_mask` gives them."""

        def begin() -> Masked:
            return Masked.of(text, top_k=top_k, checkpoint=self.encoder.checkpoint, tokenizer=self.tokenizer)

        masked = await self._begin(begin, count=1, size=len(text))
        rows = Rows(
            ids=masked.ids,
            type_ids=np.zeros_like(masked.ids),
            splits=np.array([0, len(masked.ids)], np.int64),
            mask=np.ones_like(masked.ids),
            positions=np.array([[masked.position]], np.int32),
        )
        arrays = await self._arrays(self._submit(rows, [masked.wanted], terms))
        return masked.finish(arrays[masked.wanted])

    async def tokenize(self, texts: Sequence[Text]) -> Tokens:
        """All tokens of texts, with their offsets, whatever the model's longest text is."""

        def tokens() -> Tokens:
            return self.tokenizer.tokens(texts, offsets=True)

        return await self._begin(tokens, count=len(texts), size=characters(texts))

    async def in_pool(self, function: Callable[[], T], pool: Executor | None = None) -> T:
        """What a function returns that takes its time, computed in a thread of the pool."""
        return await asyncio.get_running_loop().run_in_executor(pool or self._pool, function)

    def warm_up(self) -> None:
        """Compute texts of all lengths, so that the first request does not pay for what is done once."""
        encoder = self.encoder
        head = encoder.head
        wanted: list[Sequence[Output]] = []
        if not encoder.checkpoint.embedding.unsupported:
            wanted.append(Request.of_vectors(encoder.checkpoint).distinct)
        if head is not None:
            wanted.append([Output(pooling=head.pooling).resolved(encoder.config)])
        if not wanted:
            wanted.append([Output().resolved(encoder.config)])
        longest = self.tokenizer.max_length
        lengths = sorted({min(length, longest) for length in (4, 8, 16, 32, 64, 128, longest)})
        for outputs in wanted:
            for length in lengths:
                self._submit(blank_row(encoder.vocabulary, length), outputs, Terms()).future.result()

    def close(self, timeout: float | None = None) -> bool:
        """Compute what there is, and end; whether that took less than `timeout` seconds."""
        return self.batcher.close(timeout)

    async def _begin(self, begin: Callable[[], T], *, count: int, size: int) -> T:
        """What `begin` returns, at once for a few short texts, else by a thread of the pool.

        `size` is how many characters, or ids of tokens, the `count` texts have.
        """
        if count <= _FEW_TEXTS and size <= _FEW:
            return begin()
        self.batcher.check_room()
        return await self.in_pool(begin, self._large if size >= _MANY else None)

    async def _arrays(self, work: Work) -> Arrays:
        return await asyncio.wrap_future(work.future)

    def _submit(self, rows: Rows, outputs: Sequence[Output], terms: Terms, *, asked: int = 0) -> Work:
        computed = self._computed(outputs)
        terms.hold(self._result_bytes(rows, computed))
        work = Work(rows=rows, outputs=computed, terms=terms, asked=asked)
        self.batcher.submit(work)
        return work

    def _computed(self, outputs: Sequence[Output]) -> tuple[Output, ...]:
        """What is computed where these outputs are asked for, in an order of their own.

        The engine compiles a graph for each set of outputs, and keeps it: clients may not ask for ever more of them.
        """
        wanted = frozenset(outputs)
        if wanted not in self._sets:
            if len(self._sets) < _SETS:
                self._sets.add(wanted)
            else:
                wanted |= _all_outputs(self.encoder)
        return tuple(sorted(wanted, key=repr))

    def _result_bytes(self, rows: Rows, outputs: Sequence[Output]) -> int:
        """The size of what is computed; `TooLargeError` where it is more than one request may have."""
        config = self.encoder.config
        tokens, most = int(rows.splits[-1]), self.result_bytes
        at = 0 if rows.positions is None else rows.positions.size
        floats = sum(
            at * config.vocab_size if output.mlm else (len(rows) if output.pooling else tokens) * config.hidden_size
            for output in outputs
        )
        if 4 * floats > most:
            raise TooLargeError(
                f"the outputs that are asked for have {4 * floats / 1e6:,.0f} MB, and at most {most / 1e6:,.0f} MB are "
                "computed for one request: ask for fewer texts or outputs at a time"
            )
        return 4 * floats

    def _prepare(self, texts: Sequence[Text], truncation: Truncation, terms: Terms, offsets: bool) -> Prepared:
        began = time.perf_counter()
        prepared = prepared_texts(texts, self.tokenizer, truncation=truncation, offsets=offsets)
        self._note(prepared, began, terms)
        return prepared

    def _prepare_ids(self, rows: Sequence[Sequence[int]], where: str, terms: Terms) -> Prepared:
        began = time.perf_counter()
        prepared = prepared_ids(rows, self.tokenizer, where=where)
        self._note(prepared, began, terms)
        return prepared

    def _note(self, prepared: Prepared, began: float, terms: Terms) -> None:
        """Note what was tokenized for a request: in its ledger, and for the observer."""
        ended, tokens, ledger = time.perf_counter(), prepared.tokens, terms.ledger
        ledger.texts += len(tokens)
        ledger.tokens += len(tokens.ids)
        ledger.stages.append(("tokenize", began, ended))
        self._observer.tokenized(
            texts=len(tokens), tokens=len(tokens.ids), seconds=ended - began, lengths=tokens.lengths
        )


def _all_outputs(encoder: Encoder) -> frozenset[Output]:
    """All outputs of a model that a request can ask for, but what its masked-language-model head gives."""
    config, checkpoint = encoder.config, encoder.checkpoint
    found = {Output(layer) for layer in range(config.num_states)}
    if config.has_pooled_output:
        found.add(Output(pooling="pooled").resolved(config))
    if not checkpoint.embedding.unsupported:
        found.update(Request.of_vectors(checkpoint).distinct)
    if encoder.head is not None:
        found.add(Output(pooling=encoder.head.pooling).resolved(config))
    return frozenset(found)
