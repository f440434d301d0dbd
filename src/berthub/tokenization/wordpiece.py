"""BERT's cut: basic tokenization, then WordPiece (Devlin et al., 2018; https://github.com/google-research/bert)."""

from collections.abc import Iterator

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from berthub.tokenization.assemble import Segments
from berthub.tokenization.google import BasicTokenizer, needs_care
from berthub.tokenization.pipeline import run, without_surrogates
from berthub.vocabulary import Vocabulary

__all__ = ["WordPiece"]

# Google's `tokenization.py` gives up on longer words (`max_input_chars_per_word`).
_LONGEST_WORD = 200
_CONTINUED = "##"

# An id, and the characters of the text that it stands for.
_Piece = tuple[int, int, int]


class WordPiece:
    """Cuts texts as Google's `FullTokenizer`: by the tokenizers library, and with care where that would differ."""

    def __init__(
        self, vocabulary: Vocabulary, *, lower_case: bool, strip_accents: bool | None, split_chinese: bool
    ) -> None:
        self._unknown = vocabulary.ids[vocabulary.unknown]
        self._model = models.WordPiece(
            dict(vocabulary.ids), unk_token=vocabulary.unknown, max_input_chars_per_word=_LONGEST_WORD
        )
        self._pipeline = Tokenizer(self._model)
        self._pipeline.normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=split_chinese,
            strip_accents=strip_accents,
            lowercase=lower_case,
        )
        self._pipeline.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._basic = BasicTokenizer(
            lower_case=lower_case,
            strip_accents=lower_case if strip_accents is None else strip_accents,
            split_chinese=split_chinese,
        )

    def segments(self, texts: list[str], *, offsets: bool) -> Segments:
        """The bare pieces of texts."""
        careful = {row: [*self._pieces(text)] for row, text in enumerate(texts) if needs_care(text)}
        if not careful:
            return run(self._pipeline, texts, offsets=offsets)
        fast = run(self._pipeline, ["" if row in careful else text for row, text in enumerate(texts)], offsets=offsets)
        return _merged(fast, careful)

    def _pieces(self, text: str) -> Iterator[_Piece]:
        for word in self._basic.words(without_surrogates(text)):
            place = 0
            for token in self._model.tokenize(word.text):
                whole = token.id == self._unknown
                size = len(word.text) if whole else len(token.value.removeprefix(_CONTINUED if place else ""))
                origins = word.origins[place : place + size]
                yield token.id, min(origins), max(origins) + 1
                place += size


def _merged(segments: Segments, careful: dict[int, list[_Piece]]) -> Segments:
    """The segments, with the pieces of some rows, which are empty in them, put in."""
    lengths = segments.lengths.copy()
    lengths[list(careful)] = [len(pieces) for pieces in careful.values()]
    put = np.repeat(np.isin(np.arange(len(lengths)), list(careful)), lengths)
    flat = np.array([piece for row in sorted(careful) for piece in careful[row]], np.int32).reshape(-1, 3)
    ids = np.empty(len(put), np.int32)
    ids[~put], ids[put] = segments.ids, flat[:, 0]
    if segments.offsets is None:
        return Segments(ids, lengths, None)
    places = np.empty((len(put), 2), np.int32)
    places[~put], places[put] = segments.offsets, flat[:, 1:]
    return Segments(ids, lengths, places)
