"""Tokenization by a pipeline of the tokenizers library, which the vocabulary describes: XLM-RoBERTa, ModernBERT ..."""

import json

from tokenizers import Tokenizer, models

from berthub.errors import CheckpointError
from berthub.formats.pipelines import Pipeline
from berthub.tokenization.added import look_for_added
from berthub.tokenization.assemble import Segments
from berthub.tokenization.blanks import without_blanks
from berthub.tokenization.pipeline import run, without_surrogates
from berthub.vocabulary import Vocabulary

__all__ = ["LibraryPipeline"]

_EMPTY = {"type": "BPE", "vocab": {}, "merges": []}
_SOURCE = "the vocabulary's model"


class LibraryPipeline:
    """Tokenizes as a `tokenizer.json` with the vocabulary's pipeline. Offsets leave blanks out.

    With `added` it looks for added and special tokens first. `words_need_blanks` tells whether a word in the middle of
    a sentence has a blank before it, which belongs to its first piece.
    """

    def __init__(self, vocabulary: Vocabulary, *, added: bool) -> None:
        described = Pipeline.from_bytes(vocabulary.model, source=_SOURCE)
        if described.algorithm != vocabulary.algorithm:
            raise CheckpointError(f"a vocabulary for {vocabulary.algorithm} has a model for {described.algorithm}")
        own = vocabulary.pieces[: len(vocabulary) - vocabulary.appended]
        steps = {
            "normalizer": described.normalizer,
            "pre_tokenizer": described.pre_tokenizer,
            "decoder": described.decoder,
        }
        try:
            self._pipeline = Tokenizer.from_str(json.dumps({"version": "1.0", "model": _EMPTY, **steps}))
            self._pipeline.model = _model(described, own)
        except Exception as error:  # the library has no class of its own for it
            raise CheckpointError(f"{_SOURCE} does not fit its {len(own):,} pieces: {error}") from error
        self.words_need_blanks = not any(
            described.has("pre_tokenizer", kind) for kind in ("Metaspace", "WhitespaceSplit", "BertPreTokenizer")
        )
        if added:
            look_for_added(self._pipeline, vocabulary)

    def segments(self, texts: list[str], *, offsets: bool) -> Segments:
        """The bare pieces of texts."""
        found = run(self._pipeline, texts, offsets=offsets)
        if found.offsets is None:
            return found
        plain = [*map(without_surrogates, texts)]
        return Segments(found.ids, found.lengths, without_blanks(found.offsets, found.lengths, plain))

    def decode(self, pieces: list[str]) -> str:
        """The text of pieces."""
        decoder = self._pipeline.decoder
        return " ".join(pieces) if decoder is None else str(decoder.decode(pieces))


def _model(described: Pipeline, pieces: tuple[str, ...]) -> models.Model:
    settings = {key: value for key, value in described.model.items() if key != "type" and value is not None}
    if described.algorithm == "unigram":
        if len(described.table) != len(pieces):
            raise ValueError(f"there are {len(described.table):,} scores")
        entries = [*zip(pieces, map(float, described.table), strict=True)]
        return models.Unigram(entries, settings.get("unk_id"), settings.get("byte_fallback", False))
    ids = {piece: index for index, piece in enumerate(pieces)}
    return models.BPE(ids, [(left, right) for left, right in described.table], **settings)
