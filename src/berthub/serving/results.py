"""What becomes of the texts of a request: their arrays, in the order of the request."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from berthub.encoding.finish import embedding
from berthub.encoding.prepare import Prepared
from berthub.encoding.request import Request
from berthub.engines.engine import Floats
from berthub.networks.outputs import Output
from berthub.serving.work import Arrays
from berthub.tokenization.alignment import word_ids
from berthub.tokenization.tokens import Tokens
from berthub.vocabulary import Vocabulary

__all__ = ["Encoded", "TaggedText", "TaggedWord", "tagged"]


@dataclass(frozen=True, eq=False)
class Encoded:
    """The encodings of `n` texts. Equal texts share what was computed for them."""

    prepared: Prepared
    request: Request
    arrays: Arrays

    @property
    def tokens(self) -> Tokens:
        """The tokens of the texts, which tell how many there are and which texts were truncated."""
        return self.prepared.tokens

    @property
    def truncated(self) -> int:
        """How many texts were truncated."""
        return int(self.tokens.truncated.sum())

    def vectors(self, output: Output) -> Floats:
        """A pooled output: float32 [n, hidden]."""
        which = self.prepared.which
        return self.arrays[output] if which is None else self.arrays[output][which]

    def embedding(self) -> Floats:
        """The sentence vectors that the request asks for: float32 [n, hidden], or more where layers are joined."""
        return embedding({output: self.vectors(output) for output in self.request.embedding}, self.request)

    def token_rows(self, output: Output) -> Sequence[Floats]:
        """The token vectors of each text, as views: float32 [tokens, hidden] each."""
        which = self.prepared.which
        rows = np.split(self.arrays[output], self.prepared.distinct.row_splits[1:-1])
        return rows if which is None else [rows[index] for index in which.tolist()]

    def padded_bytes(self, outputs: Sequence[Output]) -> int:
        """The size of `padded` of all of these outputs that are vectors of tokens."""
        lengths = self.tokens.lengths
        floats: int = sum(self.arrays[output].shape[-1] for output in outputs if output.pooling is None)
        return 4 * floats * len(lengths) * int(lengths.max(initial=0))

    def padded(self, output: Output) -> Floats:
        """The token vectors as one array with zeros after a text's last token: float32 [n, longest, hidden]."""
        rows = self.token_rows(output)
        longest = max((len(row) for row in rows), default=0)
        array = np.zeros((len(rows), longest, self.arrays[output].shape[-1]), np.float32)
        for place, row in enumerate(rows):
            array[place, : len(row)] = row
        return array


@dataclass(frozen=True)
class TaggedWord:
    """A word of a text with its label: the characters from `start` to `end`, and the number of its first token."""

    label: str
    score: float
    word: str
    start: int
    end: int
    index: int


@dataclass(frozen=True)
class TaggedText:
    """The words of a text with their labels, and whether the text was truncated: the words after that have none."""

    words: Sequence[TaggedWord]
    truncated: bool


def tagged(
    texts: Sequence[str], tokens: Tokens, shares: Sequence[Floats], labels: Sequence[str], vocabulary: Vocabulary
) -> list[TaggedText]:
    """The words of each text, each with the likeliest label of its first piece; `shares` are [tokens, labels]."""
    assert tokens.offsets is not None, "the tokens were made with offsets"
    offsets = np.split(tokens.offsets, tokens.row_splits[1:-1])
    words = word_ids(tokens, texts, vocabulary)
    answers = []
    for row, text in enumerate(texts):
        found: list[TaggedWord] = []
        places = offsets[row].tolist()
        last: int | None = None
        for index, word in enumerate(words[row]):
            if word is None:
                continue
            start, end = places[index]
            if word != last:
                best = int(shares[row][index].argmax())
                score = float(shares[row][index][best])
                found.append(TaggedWord(labels[best], score, text[start:end], start, end, index))
            else:
                first = found[-1]
                found[-1] = TaggedWord(first.label, first.score, text[first.start : end], first.start, end, first.index)
            last = word
        answers.append(TaggedText(found, bool(tokens.truncated[row])))
    return answers
