"""Make text of tokens again, as Hugging Face's tokenizers do."""

from collections.abc import Sequence

from tokenizers import decoders

from berthub.tokenization.tokenizer import Tokenizer
from berthub.vocabulary import CONTINUED

__all__ = ["decoded"]


def decoded(ids: Sequence[int], tokenizer: Tokenizer, *, skip_special: bool) -> str:
    """The text of tokens, without the special ones if `skip_special`; `InputError` for ids that are none.

    What tokenization has dropped, such as capitals and the number of blanks, does not come back.
    """
    vocabulary = tokenizer.vocabulary
    pieces = tokenizer.convert_ids_to_tokens(ids)
    if skip_special:
        special = {*vocabulary.special, *(token.content for token in vocabulary.added if token.special)}
        pieces = [piece for piece in pieces if piece not in special]
    text = tokenizer.joined(pieces)
    if text is not None:
        return text
    match vocabulary.algorithm:
        case "wordpiece":
            decoder: decoders.Decoder = decoders.WordPiece(prefix=CONTINUED, cleanup=True)
        case "sentencepiece":
            decoder = decoders.Metaspace()
        case _:
            decoder = decoders.ByteLevel()
    return str(decoder.decode(pieces))
