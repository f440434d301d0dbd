"""The two references themselves, for the scripts that compare with them; the tests need neither.

Google's is its `tokenization.py`, in the copy of tf-models-official (`pip install --no-deps tf-models-official`, and
what it imports); the other is TensorFlow Text's `BertTokenizer`, of which TF Hub's preprocessing models are made.
"""

import itertools
import unicodedata
from collections.abc import Callable

from berthub.tokenization.tf_text import folded
from berthub.tokenization.unicode_table import VERSION

__all__ = ["alphabet_of", "google", "tf_text", "vocabulary_of"]

Tokenize = Callable[[list[str]], list[list[str]]]

_PARTS = ("the", "##ing", "un", "##aff", "##able", "st", "##ss", "##ra", "##e", "i", "##i")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# That of 2018; the copy has 400.
_MOST_CHARACTERS = 200


def vocabulary_of(alphabet: str) -> list[str]:
    """Pieces by which every word of these characters shows how it was cut."""
    return list(dict.fromkeys([*_SPECIAL, *alphabet, *(f"##{character}" for character in alphabet), *_PARTS]))


def alphabet_of(texts: list[str]) -> str:
    """Almost all characters that words of these texts can have; a few are left unknown."""
    joined = "".join(texts)
    forms = {joined, joined.lower(), joined.casefold()}
    forms |= {unicodedata.normalize(form, text) for form in ("NFD", "NFKD") for text in forms}
    found = {character for text in forms for character in text}
    found |= {part for character in found for part in folded(character)}
    return "".join(sorted(character for character in found if character > " " and ord(character) % 29))


def google(pieces: list[str], *, lower_case: bool) -> Tokenize:
    """Google's pieces of texts."""
    from official.nlp.tools.tokenization import BasicTokenizer, WordpieceTokenizer

    if unicodedata.unidata_version != VERSION:
        raise RuntimeError(f"the reference asks its Python, whose Unicode must be {VERSION}")
    basic = BasicTokenizer(do_lower_case=lower_case)
    wordpiece = WordpieceTokenizer(set(pieces), max_input_chars_per_word=_MOST_CHARACTERS)

    def pieces_of(text: str) -> list[str]:
        return [piece for word in basic.tokenize(text) for piece in wordpiece.tokenize(word)]

    return lambda texts: [pieces_of(text) for text in texts]


def tf_text(pieces: list[str], *, lower_case: bool) -> Tokenize:
    """The pieces that a preprocessing model makes of texts."""
    import tensorflow as tf
    from tensorflow_text import BertTokenizer

    entries = tf.lookup.KeyValueTensorInitializer(pieces, range(len(pieces)), tf.string, tf.int64)
    table = tf.lookup.StaticVocabularyTable(entries, num_oov_buckets=1)
    tokenizer = BertTokenizer(table, lower_case=lower_case, token_out_type=tf.int32)

    def pieces_of(texts: list[str]) -> list[list[str]]:
        rows = tokenizer.tokenize(tf.constant([text.encode() for text in texts])).to_list()
        return [[pieces[number] for number in itertools.chain.from_iterable(row)] for row in rows]

    return pieces_of
