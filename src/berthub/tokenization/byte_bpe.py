"""Tokenization as in RoBERTa: byte-pair encoding of UTF-8 bytes, as in GPT-2 (Radford et al., 2019)."""

from tokenizers import Tokenizer, models, pre_tokenizers, processors

from berthub.errors import CheckpointError
from berthub.tokenization.added import look_for_added
from berthub.tokenization.assemble import Segments
from berthub.tokenization.pipeline import run
from berthub.vocabulary import Vocabulary

__all__ = ["ByteBPE"]


class ByteBPE:
    """Tokenizes as transformers' `RobertaTokenizer`; a blank belongs to the word that follows it.

    Offsets leave blanks out. Where bytes of one character fall into several pieces, each has the whole character.
    With `added` it looks for added and special tokens first, as that class does.
    """

    words_need_blanks = True

    def __init__(self, vocabulary: Vocabulary, *, added: bool) -> None:
        merges = [tuple(line.split(" ")) for line in vocabulary.model.decode("utf-8", "replace").split("\n")]
        wrong = [merge for merge in merges if len(merge) != 2 or not all(merge)]
        if wrong:
            raise CheckpointError(
                f"merges of byte-pair encoding are two pieces with a blank between; one is {wrong[0]!r}"
            )
        try:
            model = models.BPE(dict(vocabulary.own_ids), merges, unk_token=vocabulary.unknown)  # type: ignore[arg-type]
        except Exception as error:  # the library has no class of its own for it
            raise CheckpointError(f"the merges do not fit the {len(vocabulary):,} pieces: {error}") from error
        self._pipeline = Tokenizer(model)
        self._pipeline.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self._pipeline.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=True)
        if added:
            look_for_added(self._pipeline, vocabulary)

    def segments(self, texts: list[str], *, offsets: bool) -> Segments:
        """The bare pieces of texts."""
        return run(self._pipeline, texts, offsets=offsets)
