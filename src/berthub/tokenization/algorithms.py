"""The algorithm that splits texts into pieces, by the kind of a vocabulary and by whose tokenization is meant."""

from typing import Protocol

from berthub.choices import TOKENIZATIONS, Tokenization
from berthub.errors import InputError
from berthub.tokenization.assemble import Segments
from berthub.vocabulary import Vocabulary

__all__ = ["Algorithm", "algorithm_of"]


class Algorithm(Protocol):
    """Splits texts into pieces."""

    def segments(self, texts: list[str], *, offsets: bool) -> Segments:
        """The bare pieces of texts."""


def algorithm_of(
    vocabulary: Vocabulary,
    *,
    lower_case: bool,
    strip_accents: bool | None,
    split_chinese: bool,
    tokenization: Tokenization,
) -> Algorithm:
    """The algorithm for a vocabulary; `InputError` for options that exclude each other."""
    if tokenization not in TOKENIZATIONS:
        raise InputError(
            f"tokenization={tokenization!r} is not known; use one of {', '.join(map(repr, TOKENIZATIONS))}"
        )
    # Each is imported where it is used: most programs use one.
    match vocabulary.algorithm:
        case "wordpiece":
            from berthub.tokenization.wordpiece import GoogleWordPiece, TFTextWordPiece, TransformersWordPiece

            if tokenization != "tf_text":
                kind = GoogleWordPiece if tokenization == "google" else TransformersWordPiece
                return kind(vocabulary, lower_case=lower_case, strip_accents=strip_accents, split_chinese=split_chinese)
            if strip_accents not in (None, lower_case) or not split_chinese:
                raise InputError(
                    "tokenization='tf_text' strips accents where it lower-cases, and splits Chinese characters: with "
                    f"lower_case={lower_case}, strip_accents={strip_accents} and split_chinese={split_chinese}, "
                    "use tokenization='google' or 'transformers'"
                )
            return TFTextWordPiece(vocabulary, lower_case=lower_case)
        case "sentencepiece":
            from berthub.tokenization.sentencepiece import SentencePiece

            return SentencePiece(
                vocabulary,
                lower_case=lower_case,
                strip_accents=strip_accents is not False,
                tokenization=tokenization,
            )
        case "byte_bpe":
            from berthub.tokenization.byte_bpe import ByteBPE

            if tokenization == "tf_text":
                raise InputError(
                    f"tokenization={tokenization!r} is for WordPiece and SentencePiece, not for byte pairs"
                )
            return ByteBPE(vocabulary, added=tokenization == "transformers")
        case "bpe" | "unigram":
            from berthub.tokenization.library import LibraryPipeline

            if tokenization == "tf_text":
                raise InputError(
                    f"tokenization={tokenization!r} is for WordPiece and ALBERT's SentencePiece, not for a pipeline of "
                    "the tokenizers library"
                )
            return LibraryPipeline(vocabulary, added=tokenization == "transformers")
