"""Small vocabularies of each algorithm."""

import dataclasses
import io
import itertools
import json
from pathlib import Path

import numpy as np
import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from berthub.checkpoint import Checkpoint
from berthub.formats.vocabularies import ALBERT_SPECIAL, byte_bpe_vocabulary, sentencepiece_vocabulary
from berthub.vocabulary import Vocabulary

__all__ = ["ALBERT_MODEL", "TEXTS", "byte_bpe", "sentencepiece_model", "with_vocabulary"]

ALBERT_MODEL = Path(__file__).parent.parent / "data" / "models" / "albert_v3" / "assets" / "30k-clean.model"

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "In 1969, three people flew to the Moon; 12,000 watched, and 5, 7, 1969, 2019, too.",
    "A naïve café-owner's résumé: 12 years at São Paulo's best bar!",
    "Was the second film as good as the first one? No, it was not, in 1969, or in 2019, or in 5,",
]


def byte_bpe(size: int = 400) -> Vocabulary:
    """Byte pairs, trained on `TEXTS`, with RoBERTa's special pieces."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 4, trainer)
    stored = json.loads(tokenizer.to_str())["model"]
    return byte_bpe_vocabulary(stored["vocab"], [" ".join(merge) for merge in stored["merges"]], source="a test")


def sentencepiece_model(**options: object) -> Vocabulary:
    """A SentencePiece model, trained on `TEXTS`, with ALBERT's special pieces."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=itertools.chain.from_iterable([TEXTS] * 4),
        model_writer=written,
        control_symbols=["[CLS]", "[SEP]", "[MASK]"],
        pad_id=0,
        pad_piece=ALBERT_SPECIAL["pad"],
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
        **{"vocab_size": 120, "hard_vocab_limit": False, **options},
    )
    return sentencepiece_vocabulary(written.getvalue(), source="a test")


def with_vocabulary(checkpoint: Checkpoint, vocabulary: Vocabulary) -> Checkpoint:
    """The model with another vocabulary, and as many rows in its embedding table."""
    words = "bert/embeddings/word_embeddings"
    rows = np.resize(checkpoint.weights[words], (len(vocabulary), checkpoint.weights[words].shape[1]))
    return dataclasses.replace(
        checkpoint,
        config=dataclasses.replace(checkpoint.config, vocab_size=len(vocabulary)),
        weights={**checkpoint.weights, words: rows},
        vocabulary=vocabulary,
    )
