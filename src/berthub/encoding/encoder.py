"""The encoder: texts or arrays in, encodings and predictions out."""

import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import closing
from typing import TYPE_CHECKING, Any

from berthub.choices import Pooling
from berthub.encoding.array_call import call
from berthub.encoding.encodings import Encodings
from berthub.encoding.fill_mask import Filling, fill_mask
from berthub.encoding.prediction import (
    Logits,
    Predictions,
    Probabilities,
    Ranked,
    TextsOrSentences,
    pairs_of,
    ranked,
    require_head,
)
from berthub.encoding.progress import wanted_progress
from berthub.encoding.ready_model import ReadyModel, check_size
from berthub.encoding.request import EMBEDDING, NO_PROMPT, Layers, Prompt, Request, output_names
from berthub.encoding.similarity import similarity, similarity_pairwise
from berthub.encoding.windows import Window
from berthub.engines.engine import Floats
from berthub.errors import TruncationWarning
from berthub.tokenization.texts import checked
from berthub.tokenization.tokenizer import Text

if TYPE_CHECKING:
    from berthub.integrations.langchain import EncoderAsLangChain
    from berthub.integrations.llama_index import EncoderAsLlamaIndex
    from berthub.integrations.sentence_transformers import EncoderAsSentenceTransformer

__all__ = ["Encoder"]


class Encoder(ReadyModel):
    """A model that is ready to encode and, if it was fine-tuned, to predict; `berthub.load` makes it.

    Results do not depend on what else is in the call, on the order or on padding (to 1e-5 in float32), and come back
    in the caller's order. `batch_tokens` is how many tokens, padding included, are computed at a time; None is what
    suits the engine.

    A pickle of what `berthub.load` made holds the model's folder and the options, no weights: the model is read again
    from the same folder, and a `CheckpointError` says so where it is another one by now. Copies share the weights.
    """

    def encode(
        self,
        texts: str | Iterable[Text],
        *,
        outputs: Sequence[str] | None = None,
        layers: Layers | None = None,
        truncation: bool = True,
        window: int | None = None,
        stride: int | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        progress: bool = False,
        show_progress_bar: bool | None = None,
    ) -> Encodings:
        """Encode texts, or pairs of texts as tuples; one string counts as a list of one.

        `outputs` names what to compute: pooled_output (or default), sequence_output, encoder_outputs, and embedding,
        the vectors of `embed`; None means the first two (or sequence_output alone, where a model has no pooler).
        `layers` adds single layers to encoder_outputs: "all", or numbers counted from 0 or from the top (-2). Texts
        longer than `max_length` are truncated, marked in `truncated` and reported in one `TruncationWarning`; with
        `truncation=False` they raise `InputError`, as do texts that are no strings.

        With `window` nothing is truncated: a text of more than `window` tokens, `[CLS]` and `[SEP]` included, is
        computed in windows of so many, each with a `[CLS]` and a `[SEP]`. A window has `stride` tokens in common with
        the next, as in transformers (None: a quarter of `window`); each token's vector is taken from the window in
        which it has the most context. The encodings are those of the whole text, with the `[CLS]` of the first window
        and the `[SEP]` of the last; pooled_output is the mean over the windows, each weighted by the tokens taken from
        it: the first window's alone would leave out the rest. Of a pair the first text is kept whole, in every window
        of the second; `InputError` where that leaves too few tokens for the second.

        `prompt` is put before each text, as `prompt_name` puts the one that the model's files have under that name;
        `texts` and offsets of the result have it, too. Without them there is none, but for an embedding among the
        outputs: then it is that of `embed`, for all of the outputs.

        `progress` shows on stderr how many texts are done; `show_progress_bar` is its name in sentence-transformers.
        """
        outputs = None if outputs is None else output_names(outputs)
        request = Request.of_outputs(
            self._checkpoint, outputs=outputs, layers=layers, prompt=self._prompt(outputs, None, prompt, prompt_name)
        )
        encodings = self.stages.encode(
            texts,
            request,
            truncation=truncation,
            window=self._window(window, stride),
            progress=wanted_progress(progress, show_progress_bar),
        )
        self._report(int(encodings.truncated.sum()), len(encodings.texts))
        return encodings

    def stream(
        self,
        texts: Iterable[Text],
        *,
        outputs: Sequence[str] | None = None,
        layers: Layers | None = None,
        pooling: Pooling | Sequence[Pooling] | None = None,
        layer: int | Sequence[int] = -1,
        normalize: bool | None = None,
        truncation: bool = True,
        window: int | None = None,
        stride: int | None = None,
        chunk_size: int | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        progress: bool = False,
    ) -> Iterator[Encodings]:
        """Encode texts that do not fit in memory: yields the `Encodings` of one chunk of them after the other.

        The texts are read as they are needed. `chunk_size` is the number of texts in a chunk; None takes as many as
        keep the outputs of a chunk near 128 MB. `pooling` adds one vector a text under the name embedding, or
        `outputs=["embedding"]` does, with the model's own pooling; nothing else is computed then unless `outputs` or
        `layers` ask for it. `layer` and `normalize` are about it, and as in `embed`. The rest is as in `encode`;
        truncated texts are reported once, at the end. `progress` as in `encode`; the total is shown where `texts`
        has a length.
        """
        outputs = None if outputs is None else output_names(outputs)
        request = Request.of_outputs(
            self._checkpoint,
            outputs=outputs,
            layers=layers,
            pooling=pooling,
            layer=layer,
            normalize=normalize,
            prompt=self._prompt(outputs, pooling, prompt, prompt_name),
        )
        check_size("chunk_size", chunk_size)
        return self._reported(
            self.stages.stream(
                iter(checked(texts)),
                request,
                truncation=truncation,
                window=self._window(window, stride),
                chunk_size=chunk_size,
                total=len(texts) if isinstance(texts, Sized) else None,
                progress=wanted_progress(progress, None),
            )
        )

    def embed(
        self,
        texts: str | Iterable[Text],
        *,
        pooling: Pooling | Sequence[Pooling] | None = None,
        layer: int | Sequence[int] = -1,
        normalize: bool | None = None,
        truncation: bool = True,
        window: int | None = None,
        stride: int | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        progress: bool = False,
        show_progress_bar: bool | None = None,
    ) -> Floats:
        """One vector for each text: float32 [n, width], the vectors that the model's owner defined.

        They are made as the files of sentence-transformers beside the model say: prompt, pooling, dense layers,
        scaling to length 1; or they are the plain mean [n, hidden] where there are none (`checkpoint.embedding`;
        `summary` tells). Where the files ask for what berthub does not compute, `UnsupportedModelError` names it.

        What is given stands above that. `pooling` is mean or max over the tokens of `layer`, or of each of several
        (`[CLS]` and `[SEP]` included), cls for its first token, pooled for the model's own pooler, or one of
        mean_sqrt_len_tokens, weightedmean and lasttoken (`berthub.choices.Pooling`); vectors of several poolings or
        layers are joined, layer after layer. With it the vectors are that and nothing else: no dense layers, and
        `normalize=True` alone scales them. `prompt` is put before each text, "" for none, as `prompt_name` puts the
        one that the model's files have under that name; without them it is the model's default prompt, if it has one.

        `normalize` scales the whole vectors to length 1, for search by dot product.

        With `window` and `stride`, as in `encode`, long texts are not truncated: mean and max are over all their
        tokens, each counted once, cls is the first window's, and pooled is that of `encode`. `progress` and
        `show_progress_bar` are as in `encode`.
        """
        request = Request.of_vectors(
            self._checkpoint,
            pooling=pooling,
            layer=layer,
            normalize=normalize,
            prompt=Prompt.of(self._checkpoint.embedding, self.tokenizer, prompt, prompt_name),
        )
        encodings = self.stages.encode(
            texts,
            request,
            truncation=truncation,
            window=self._window(window, stride),
            progress=wanted_progress(progress, show_progress_bar),
        )
        self._report(int(encodings.truncated.sum()), len(encodings.texts))
        vectors: Floats = encodings[EMBEDDING]
        return vectors

    def encode_query(
        self, texts: str | Iterable[Text], *, prompt: str | None = None, prompt_name: str | None = None, **options: Any
    ) -> Floats:
        """One vector for each query: as `embed`, with the prompt called query, or none where the model has no such.

        `prompt` and `prompt_name` stand above that; `options` are those of `embed`. As sentence-transformers 6.2 does.
        """
        return self.embed(texts, **self._asked("query", prompt, prompt_name), **options)

    def encode_document(
        self, texts: str | Iterable[Text], *, prompt: str | None = None, prompt_name: str | None = None, **options: Any
    ) -> Floats:
        """One vector for each document: as `embed`, with the prompt called document, or none where there is no such.

        So does sentence-transformers 6.2. A model whose prompt is called passage needs `prompt_name="passage"`, there
        as here. The rest is as in `encode_query`.
        """
        return self.embed(texts, **self._asked("document", prompt, prompt_name), **options)

    def similarity(self, vectors: Any, others: Any) -> Floats:
        """How alike each vector [n, width] is to each of `others` [m, width]: float32 [n, m], the larger the more.

        The function is the one that the model's files name (dot, euclidean, manhattan), or cosine. Distances are
        negative. `InputError` for arrays that are no vectors of one width.
        """
        return similarity(vectors, others, self._checkpoint.embedding.similarity or "cosine")

    def similarity_pairwise(self, vectors: Any, others: Any) -> Floats:
        """How alike each vector [n, width] is to the one in its place among `others` [n, width]: float32 [n]."""
        return similarity_pairwise(vectors, others, self._checkpoint.embedding.similarity or "cosine")

    def predict(self, texts: TextsOrSentences, *, progress: bool = False) -> Predictions:
        """Predict with a fine-tuned model, for texts in their order; what comes depends on the task of its `head`:

        classify: list of n labels; multi_label: list of n tuples, the labels with a probability of 0.5 or more, in
        the order of `head.labels`; regress: float32 [n], such as the scores of pairs, through the `activation` of
        `head`; tag: for sentences given as lists of words, n lists with one label for each word.

        Texts, or pairs of texts as tuples, that are longer than `max_length` are truncated and reported in one
        `TruncationWarning`. Sentences are never truncated: a longer one is computed in several rows. `InputError` for a
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
        """The head's outputs as they are, from which `predictions()` and `probabilities()` can both be read."""
        return self._logits(texts, wanted_progress(progress, None))

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        top_k: int | None = None,
        return_documents: bool = False,
        *,
        progress: bool = False,
    ) -> list[Ranked]:
        """Rank documents for a query with a cross-encoder: a dict each, the highest score first.

        Each has `corpus_id`, the document's number, `score` and, with `return_documents`, `text`. `top_k` is how many
        are returned; None means all. It is what sentence-transformers' `CrossEncoder.rank` returns: the score of a pair
        is that of `predict`, and where no file of the model names an activation, the sigmoid of it. Long pairs are
        truncated as in `predict`. `InputError` for a model without a head of one output.
        """
        require_head(self.head, scores=True, unread=self._checkpoint.origin.unread_head)
        check_size("top_k", top_k)
        pairs = pairs_of(query, documents)
        logits = self._logits(pairs, wanted_progress(progress, None))
        return ranked(logits.scores(), pairs, top_k=top_k, return_documents=return_documents)

    def fill_mask(self, text: str, *, top_k: int = 5) -> list[Filling]:
        """The `top_k` likeliest pieces for the one `[MASK]` in a text, with their probabilities, the likeliest first.

        The mask is written as the model writes it (`vocabulary.mask`: `<mask>` in RoBERTa). `InputError` for a model
        whose files hold no masked-language-model head, and for a text without just one mask.
        """
        return fill_mask(text, top_k=top_k, checkpoint=self._checkpoint, tokenizer=self.tokenizer, engine=self._engine)

    def __call__(
        self, inputs: Mapping[str, Any] | Sequence[Any], *, outputs: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Run the model on arrays, as a TF Hub encoder is called.

        `inputs` is a dict in TF Hub's names (input_word_ids, input_mask, input_type_ids) or Hugging Face's
        (input_ids, attention_mask, token_type_ids), or a list in that order; integers [batch, seq]. A mask that is
        left out is 1 where the id is not that of `[PAD]`, type ids are 0. A mask may have holes; positions count
        from the row's start all the same. Returns float32 arrays under default, pooled_output [batch, hidden],
        sequence_output [batch, seq, hidden] and encoder_outputs, a list of one [batch, seq, hidden] for each layer;
        values at masked positions are those that TensorFlow computes there, too. With masked_lm_positions, integers
        [batch, positions], there are mlm_logits [batch, positions, vocabulary], too, where the model has that head.
        With `outputs`, the names of some of these, or embedding for the vectors of `embed`, only they are computed
        and returned: `outputs=["pooled_output"]`. `InputError` says what is wrong.
        """
        return call(inputs, self.stages, outputs)

    def as_sentence_transformer(
        self, *, pooling: Pooling | None = None, normalize: bool | None = None
    ) -> "EncoderAsSentenceTransformer":
        """The encoder as a `sentence_transformers.SentenceTransformer`, for what takes one: BERTopic, KeyBERT, mteb ...

        Its `encode` has the arguments and results of sentence-transformers, and berthub computes. `pooling` and
        `normalize` are as in `embed`; without them the vectors are the model's own. It needs sentence-transformers;
        `MissingDependencyError` says how to install it.
        """
        from berthub.integrations.sentence_transformers import EncoderAsSentenceTransformer

        return EncoderAsSentenceTransformer(self, pooling=pooling, normalize=normalize)

    def as_langchain(
        self, *, query_prompt: str | None = None, document_prompt: str | None = None, **options: Any
    ) -> "EncoderAsLangChain":
        """The encoder as LangChain's `Embeddings`, for vector stores and retrievers.

        `query_prompt` and `document_prompt` are put before each query and each document; None is the prompt that the
        model's files call query or document, if they have it, as in `encode_query`. `options` are those of `embed`,
        such as normalize or window. It needs langchain-core; `MissingDependencyError` says how to install it.
        """
        from berthub.integrations.langchain import EncoderAsLangChain

        return EncoderAsLangChain(self, query_prompt=query_prompt, document_prompt=document_prompt, **options)

    def as_llama_index(
        self, *, query_prompt: str | None = None, document_prompt: str | None = None, **options: Any
    ) -> "EncoderAsLlamaIndex":
        """The encoder as LlamaIndex's `BaseEmbedding`, for indexes and retrievers; arguments as in `as_langchain`.

        It needs llama-index-core; `MissingDependencyError` says how to install it.
        """
        from berthub.integrations.llama_index import EncoderAsLlamaIndex

        return EncoderAsLlamaIndex(self, query_prompt=query_prompt, document_prompt=document_prompt, **options)

    def _prompt(
        self, outputs: Sequence[str] | None, pooling: object, prompt: str | None, prompt_name: str | None
    ) -> Prompt:
        """The prompt of a call that may ask for an embedding, and without one has only what is given."""
        asked = pooling is not None or EMBEDDING in (outputs or ())
        if prompt is None and prompt_name is None and not asked:
            return NO_PROMPT
        return Prompt.of(self._checkpoint.embedding, self.tokenizer, prompt, prompt_name)

    def _asked(self, name: str, prompt: str | None, prompt_name: str | None) -> dict[str, Any]:
        """The prompt of that name, or no prompt; what the caller gives stands above it."""
        if prompt is None and prompt_name is None:
            prompt = self._checkpoint.embedding.prompts.get(name, "")
        return {"prompt": prompt, "prompt_name": prompt_name}

    def _window(self, window: int | None, stride: int | None) -> Window | None:
        return Window.of(window, stride, longest=self.config.max_positions)

    def _reported(self, stream: Generator[Encodings]) -> Iterator[Encodings]:
        """Pass on the encodings, and warn at their end how many texts were truncated."""
        done = truncated = 0
        with closing(stream):
            for encodings in stream:
                yield encodings
                done += len(encodings.texts)
                truncated += int(encodings.truncated.sum())
        self._report(truncated, done)

    def _report(self, truncated: int, total: int) -> None:
        if truncated:
            most = self.config.max_positions
            more = f"; berthub.load(..., max_length={most}) takes more" if self.max_length < most else ""
            warnings.warn(
                f"{truncated:,} of {total:,} texts had more than {self.max_length} tokens and were truncated; "
                f"`truncated` tells which, truncation=False refuses them{more}",
                TruncationWarning,
                stacklevel=3,
            )

    def _logits(self, texts: TextsOrSentences, progress: bool) -> Logits:
        """For a public method to call directly: the warning points to that one's caller."""
        logits = self.stages.logits(texts, progress=progress)
        if message := logits.truncation_in_words(self.max_length):
            warnings.warn(message, TruncationWarning, stacklevel=3)
        return logits
