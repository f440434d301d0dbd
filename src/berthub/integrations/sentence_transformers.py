"""An Encoder as a SentenceTransformer, for the libraries that take one: BERTopic, KeyBERT, LangChain, mteb and others.

`encode`, `encode_query`, prompts, precisions, pools and similarities are sentence-transformers' own code. It hands all
texts of a call to `_inference`, which is replaced here: berthub makes its own batches of them.
"""

import dataclasses
import os
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Never, Self

from berthub.choices import Pooling
from berthub.embedding import Embedding
from berthub.encoding.encoder import Encoder
from berthub.encoding.prepare import prompted
from berthub.encoding.request import EMBEDDING, Prompt, Request
from berthub.engines.engine import Floats
from berthub.errors import InputError, MissingDependencyError, TruncationWarning
from berthub.formats.huggingface.writer import write_huggingface
from berthub.tokenization.tokenizer import Text, Tokenizer

_INSTALL = (
    "as_sentence_transformer needs sentence-transformers 6.2 or later: pip install -U 'sentence-transformers>=6.2'"
)

try:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import truncate_embeddings
except ImportError as error:
    raise MissingDependencyError(_INSTALL) from error
if not hasattr(SentenceTransformer, "_inference"):
    raise MissingDependencyError(f"{_INSTALL} (here is {metadata.version('sentence-transformers')})")

__all__ = ["EncoderAsSentenceTransformer", "EncoderModule"]

_NO_TRAINING = (
    "this SentenceTransformer computes with berthub, whose vectors have no gradients. To train the model with "
    "sentence-transformers, write its folder with save(folder) and load that: SentenceTransformer(folder). To train it "
    "with berthub, use hub.KerasLayer or hub.TextClassifier"
)


class EncoderModule(torch.nn.Module):  # type: ignore[misc]
    """The one module of an `EncoderAsSentenceTransformer`: texts in, token vectors and sentence vectors out.

    `encoder` is as `loaded`, but for its `embedding`. A pickle holds the one that was loaded, so that it stays small.
    """

    def __init__(self, encoder: Encoder, embedding: Embedding) -> None:
        super().__init__()
        # Tensors are delivered where this is, as `to` says. Bytes, which `half` leaves alone.
        self.register_buffer("place", torch.empty(0, dtype=torch.uint8), persistent=False)
        self.loaded = encoder
        self.use(embedding=embedding, tokenizer=encoder.tokenizer)

    def use(self, *, embedding: Embedding, tokenizer: Tokenizer) -> None:
        """Compute by this way to make sentence vectors, and with this tokenizer, from now on."""
        checkpoint = dataclasses.replace(self.loaded.checkpoint, embedding=embedding)
        stages = self.loaded.stages
        self.encoder = Encoder(checkpoint, tokenizer, stages.engine, batch_tokens=stages.limits.tokens)

    def __getstate__(self) -> dict[str, Any]:
        encoder = vars(self)["encoder"]
        return {**vars(self), "encoder": (encoder.checkpoint.embedding, encoder.tokenizer)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        embedding, tokenizer = state["encoder"]
        self.use(embedding=embedding, tokenizer=tokenizer)

    @property
    def embedding(self) -> Embedding:
        """The way in which sentence vectors are made."""
        return self.encoder.checkpoint.embedding

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer; it has the calls of transformers' tokenizers that texts need."""
        return self.encoder.tokenizer

    @property
    def max_seq_length(self) -> int:
        """The most tokens of a text that count, `[CLS]` and `[SEP]` included."""
        return self.encoder.max_length

    @max_seq_length.setter
    def max_seq_length(self, value: int | None) -> None:
        length = self.encoder.config.max_positions if value is None else self.tokenizer.checked_length(value)
        # Not that of the Encoder this was made of.
        tokenizer = object.__new__(Tokenizer)
        vars(tokenizer).update(vars(self.tokenizer), max_length=length)
        self.use(embedding=self.embedding, tokenizer=tokenizer)

    def get_embedding_dimension(self) -> int:
        """The number of components of a sentence vector."""
        return self.embedding.width(self.encoder.config.hidden_size)

    def preprocess(self, inputs: Sequence[Text], prompt: str | None = None, **options: Any) -> dict[str, Any]:
        """The tensors that `forward` takes, padded to the longest text; `options` such as task change nothing."""
        _check_options(options)
        if prompt and not self.embedding.include_prompt:
            raise InputError("the prompt of this model is not pooled: encode(texts, prompt=...) leaves it out, as here")
        texts = prompted(list(inputs), prompt or "")
        made = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        return {**made, "modality": "text"}

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """The features with `token_embeddings` [n, s, hidden] and `sentence_embedding` [n, width]; no gradients."""
        names = ("input_ids", "attention_mask", "token_type_ids")
        arrays = {name: features[name].cpu().numpy() for name in names if name in features}
        made = self.encoder(arrays, outputs=["sequence_output", "embedding"])
        return {
            **features,
            "token_embeddings": torch.from_numpy(made["sequence_output"]).to(self.place.device),
            "sentence_embedding": torch.from_numpy(made["embedding"]).to(self.place.device),
        }

    def vectors(self, texts: Sequence[Text], *, prompt: str, progress: bool) -> Floats:
        """The vector of each text [n, width], as `Encoder.embed` has them, in batches that suit the engine."""
        encoder = self.encoder
        asked = Prompt.of(self.embedding, encoder.tokenizer, prompt)
        encodings = encoder.stages.encode(
            texts, Request.of_vectors(encoder.checkpoint, prompt=asked), progress=progress
        )
        if count := int(encodings.truncated.sum()):
            warnings.warn(
                f"{count:,} of {len(encodings.texts):,} texts had more than max_seq_length={encoder.max_length} tokens "
                "and were truncated, as sentence-transformers does without saying so",
                TruncationWarning,
                stacklevel=2,
            )
        found: Floats = encodings[EMBEDDING]
        return found


class EncoderAsSentenceTransformer(SentenceTransformer):  # type: ignore[misc]
    """A SentenceTransformer that computes with an `Encoder`; `Encoder.as_sentence_transformer` makes it.

    Arguments and results are those of sentence-transformers, but that berthub batches texts by its own rules, whatever
    the `batch_size`, and warns of truncated texts. `device` says where tensors are delivered, and not what computes.
    It cannot be trained: `fit` and `train` say what to do instead. `save` writes a folder that sentence-transformers
    loads. Pickles and copies are those of the Encoder.
    """

    def __init__(self, encoder: Encoder, *, pooling: Pooling | None = None, normalize: bool | None = None) -> None:
        embedding = encoder.checkpoint.embedding.chosen(pooling, normalize)
        super().__init__(
            modules=[EncoderModule(encoder, embedding)],
            device="cpu",
            prompts=dict(embedding.prompts),
            default_prompt_name=embedding.default_prompt,
            similarity_fn_name=embedding.similarity,
        )
        self.eval()

    def _inference(
        self,
        inputs: list[Text],
        *,
        prompt: str | None,
        show_progress_bar: bool,
        output_value: str | None,
        save_to_cpu: bool,
        normalize_embeddings: bool,
        truncate_dim: int | None,
        device: Any = None,
        **options: Any,
    ) -> Any:
        # Sentence vectors of all texts at once. Whatever else there is goes through the module, batch by batch.
        if output_value != "sentence_embedding":
            return super()._inference(
                inputs,
                prompt=prompt,
                show_progress_bar=show_progress_bar,
                output_value=output_value,
                save_to_cpu=save_to_cpu,
                normalize_embeddings=normalize_embeddings,
                truncate_dim=truncate_dim,
                device=device,
                **options,
            )
        _check_options(options)
        if not inputs:
            return torch.empty(0)
        vectors = torch.from_numpy(self[0].vectors(inputs, prompt=prompt or "", progress=bool(show_progress_bar)))
        if truncate_dim is not None:
            vectors = truncate_embeddings(vectors, truncate_dim)
        if normalize_embeddings:
            vectors = torch.nn.functional.normalize(vectors, p=2, dim=1)
        return vectors if save_to_cpu else vectors.to(self.device if device is None else device)

    @property
    def dtype(self) -> torch.dtype:
        """That of the vectors."""
        return torch.float32

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        tokenizer: Tokenizer = self[0].tokenizer
        return tokenizer

    @tokenizer.setter
    def tokenizer(self, value: Any) -> None:
        raise InputError("the tokenizer belongs to the model; berthub.load(..., tokenization=...) chooses its rules")

    def set_pooling_include_prompt(self, include_prompt: bool) -> None:
        """Say whether the tokens of a prompt are pooled."""
        module = self[0]
        module.use(
            embedding=dataclasses.replace(module.embedding, include_prompt=include_prompt), tokenizer=module.tokenizer
        )

    def train(self, mode: bool = True) -> Self:
        """Raise `InputError` but for `mode=False`, which changes nothing."""
        if mode:
            raise InputError(_NO_TRAINING)
        super().train(False)
        return self

    def fit(self, *arguments: Any, **options: Any) -> Never:
        """Raise `InputError`: vectors of berthub have no gradients."""
        raise InputError(_NO_TRAINING)

    old_fit = fit

    def compile(self, *arguments: Any, **options: Any) -> Never:
        """Raise `InputError`: there is no PyTorch network to compile."""
        raise InputError("torch.compile has nothing to compile: berthub's engine computes, not a network of PyTorch")

    def save(self, path: str | os.PathLike[str], *arguments: Any, **options: Any) -> None:
        """Write a folder, new or empty, that sentence-transformers loads; with no model card, and as safetensors alone.

        Prompts, similarity and length are those of this object.
        """
        if self.truncate_dim is not None:
            raise InputError(
                "a folder has the whole vectors: set truncate_dim to None, and give it where they are read"
            )
        module = self[0]
        embedding = dataclasses.replace(
            module.embedding,
            prompts=self.prompts,
            default_prompt=self.default_prompt_name,
            similarity=self.similarity_fn_name,
            max_length=self.max_seq_length,
        )
        write_huggingface(dataclasses.replace(module.loaded.checkpoint, embedding=embedding), Path(path).absolute())


def _check_options(options: dict[str, Any]) -> None:
    """`InputError` for what sentence-transformers' own modules obey, and these do not."""
    if options.get("processing_kwargs"):
        raise InputError(
            f"processing_kwargs={options['processing_kwargs']!r:.80} is not supported; max_seq_length sets the length"
        )
