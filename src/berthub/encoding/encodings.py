"""The encodings of some texts: a mapping with TF Hub's keys, and the tokens that they were computed from."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from berthub.brief import Brief
from berthub.cached import cached_property
from berthub.engines.engine import Floats
from berthub.errors import InputError, OutputNotComputedError
from berthub.tokenization.alignment import byte_offsets, word_ids
from berthub.tokenization.tokenizer import Text, Tokenizer
from berthub.tokenization.tokens import Tokens, pad_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Encodings", "LayerOutputs"]


@dataclass(frozen=True, eq=False, repr=False)
class LayerOutputs(Brief, Sequence[Floats]):
    """The outputs of a model's layers, float32 [n, seq, hidden] each; `[0]` is the first layer, `[-1]` the last.

    It is as long as the model is deep. Reading a layer that was not asked for raises `OutputNotComputedError`.
    """

    computed: Mapping[int, Floats]
    num_layers: int

    def __len__(self) -> int:
        return self.num_layers

    @overload
    def __getitem__(self, index: int) -> Floats: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Floats]: ...
    def __getitem__(self, index: int | slice) -> Floats | Sequence[Floats]:
        if isinstance(index, slice):
            return [self[layer] for layer in range(*index.indices(self.num_layers))]
        if not -self.num_layers <= index < self.num_layers:
            raise IndexError(f"layer {index} does not exist: the model has {self.num_layers} layers")
        layer = index % self.num_layers
        if layer not in self.computed:
            raise OutputNotComputedError(
                f"the output of layer {index} was not asked for; pass layers=[{index}] (or layers='all') to encode"
            )
        return self.computed[layer]


@dataclass(frozen=True, eq=False)
class Encodings(Mapping[str, Any]):
    """The encodings of `n` texts, in the order of the call.

    A mapping with the outputs that were asked for: `sequence_output` float32 [n, seq, hidden], zeros after a text's
    last token; `pooled_output` float32 [n, hidden], also as `default`; `encoder_outputs`, a `LayerOutputs`; and
    `embedding` float32 [n, hidden], the vectors of `Encoder.embed`. `seq` is the number of tokens of the longest text.
    Texts were truncated to `max_length` tokens; None: they were computed whole, in windows. `precision` is the
    arithmetic that was used.
    """

    outputs: Mapping[str, Any]
    ragged_tokens: Tokens
    texts: Sequence[Text]
    tokenizer: Tokenizer
    max_length: int | None
    precision: str

    def __getitem__(self, key: str) -> Any:
        if key == "default":
            key = "pooled_output"
        if key in self.outputs:
            return self.outputs[key]
        raise OutputNotComputedError(
            f"{key!r} was not asked for: these encodings hold {', '.join(self)}; "
            "pass outputs=['pooled_output', 'sequence_output', 'encoder_outputs', 'embedding'], or layers=[-2], "
            "to encode"
        )

    def __iter__(self) -> Iterator[str]:
        if "pooled_output" in self.outputs:
            yield "default"
        yield from self.outputs

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        shapes = ", ".join(
            f"{key}: {value.shape if isinstance(value, np.ndarray) else f'{len(value)} layers'}"
            for key, value in self.items()
        )
        return f"<Encodings of {len(self.texts):,} texts, {self.precision}: {shapes}>"

    def _repr_html_(self) -> str:
        from berthub.encoding.html import encodings_html

        return encodings_html(self)

    @cached_property
    def input_ids(self) -> npt.NDArray[np.int32]:
        """The ids of the tokens, padded: int32 [n, seq]."""
        vocabulary = self.tokenizer.vocabulary
        return self._padded(self.ragged_tokens.ids, vocabulary.ids[vocabulary.pad])

    @cached_property
    def token_type_ids(self) -> npt.NDArray[np.int32]:
        """0 in a text or the first of a pair, 1 in the second: int32 [n, seq]."""
        return self._padded(self.ragged_tokens.type_ids, 0)

    @cached_property
    def attention_mask(self) -> npt.NDArray[np.int32]:
        """1 where there is a token, 0 where there is padding: int32 [n, seq]."""
        return self._padded(np.ones_like(self.ragged_tokens.ids), 0)

    @cached_property
    def tokens(self) -> list[list[str]]:
        """The pieces of each text, `[CLS]` and `[SEP]` included."""
        pieces = self.tokenizer.vocabulary.pieces
        ids, splits = self.ragged_tokens.ids.tolist(), self.ragged_tokens.row_splits.tolist()
        return [[pieces[index] for index in ids[start:end]] for start, end in itertools.pairwise(splits)]

    @cached_property
    def offsets(self) -> list[npt.NDArray[np.int32]]:
        """For each text the characters [start, end) that its tokens stand for, int32 [tokens, 2].

        (0, 0) for `[CLS]` and `[SEP]`; in a pair, the type id tells which of the two texts is meant. They are
        computed when they are first read.
        """
        if not len(self.ragged_tokens):
            return []
        return self._by_text(self._places.offsets)

    @cached_property
    def byte_offsets(self) -> list[npt.NDArray[np.int32]]:
        """`offsets` in bytes of the text's UTF-8, as TF Hub's preprocessing models count: int32 [tokens, 2] each.

        A lone surrogate, which UTF-8 does not have, counts as U+FFFD: three bytes.
        """
        if not len(self.ragged_tokens):
            return []
        return self._by_text(byte_offsets(self._places, self.texts, separate=self._separate))

    @cached_property
    def word_ids(self) -> list[list[int | None]]:
        """For each text the number of the word that each token belongs to, None for `[CLS]` and `[SEP]`.

        Words are those of BERT's basic tokenization: split at blanks, with punctuation marks and Chinese characters as
        words of their own. They are counted from 0 in each text, of a pair in each of the two; a word of which no token
        is left is not counted. A token of several words (SentencePiece, byte pairs) belongs to the one in which it
        begins. With `offsets` they tell from where to where a word is.
        """
        vocabulary = self.tokenizer.vocabulary
        tokens = self.ragged_tokens if vocabulary.algorithm == "wordpiece" else self._places
        return word_ids(tokens, self.texts, vocabulary)

    @property
    def truncated(self) -> npt.NDArray[np.bool_]:
        """Which texts were longer than the model takes and were truncated: bool [n]."""
        return self.ragged_tokens.truncated

    def ragged(self, key: str = "sequence_output") -> list[Floats]:
        """The token vectors of each text without padding, as views: float32 [tokens, hidden] each."""
        return [row[:length] for row, length in zip(self[key], self.ragged_tokens.lengths, strict=True)]

    def plot_similarity(self, *, title: str | None = None) -> "Figure":
        """Draw how alike the texts are, as `berthub.plot.similarity` does: a matplotlib `Figure`.

        Compared are the embeddings, where these encodings hold them; else the means of the token vectors, else
        pooled_output. The title says which.
        """
        from berthub.encoding.compared import compared_vectors
        from berthub.plot import similarity

        vectors, words = compared_vectors(self)
        return similarity(self.texts, vectors, title=f"cosine similarity of {words}" if title is None else title)

    def plot_tokens(self, text: int = 0, *, title: str | None = None) -> "Figure":
        """Draw how alike the vectors of the tokens of one text are, by its number: a matplotlib `Figure`.

        Of more than 60 tokens the first 60 are drawn. It needs sequence_output, and matplotlib.
        """
        from berthub.plot import tokens

        vectors = self["sequence_output"]
        if isinstance(text, bool) or not isinstance(text, int) or not -len(self.texts) <= text < len(self.texts):
            raise InputError(f"text={text!r} is no number of a text: there are {len(self.texts):,}, counted from 0")
        # All texts' pieces are not needed for one.
        splits, index = self.ragged_tokens.row_splits, text % len(self.texts)
        pieces = self.tokenizer.vocabulary.pieces
        ids = self.ragged_tokens.ids[splits[index] : splits[index + 1]].tolist()
        return tokens([pieces[each] for each in ids], vectors[index, : len(ids)], title=title)

    @cached_property
    def _places(self) -> Tokens:
        return self.tokenizer.tokens(self.texts, max_length=self.max_length, offsets=True)

    @property
    def _separate(self) -> int:
        vocabulary = self.tokenizer.vocabulary
        return vocabulary.ids[vocabulary.separate]

    def _by_text(self, flat: npt.NDArray[np.int32] | None) -> list[npt.NDArray[np.int32]]:
        assert flat is not None, "these tokens were made with offsets"
        return np.split(flat, self.ragged_tokens.row_splits[1:-1])

    def _padded(self, flat: npt.NDArray[np.int32], value: int) -> npt.NDArray[np.int32]:
        width = int(self.ragged_tokens.lengths.max(initial=0))
        return pad_rows(flat, self.ragged_tokens.row_splits, width=width, value=value)
