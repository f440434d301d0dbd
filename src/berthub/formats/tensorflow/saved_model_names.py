"""The names of weights in TF Hub's SavedModels: they alone tell the architecture, and which belong to the encoder."""

import re
from collections.abc import Collection, Iterable, Sequence

from berthub.config import EncoderConfig
from berthub.formats.renaming import Rule
from berthub.formats.tensorflow.architectures import ARCHITECTURES, BERT
from berthub.formats.tensorflow.architectures.parts import ANY, N

__all__ = ["architecture", "is_of_encoder", "is_word_embeddings", "numbered", "rules"]

_WORDS = re.compile(ANY + rf"word_embeddings?{N}/embeddings")
# A scaffold's blocks: the first has no number, and where there was one before it, all have.
_BLOCK = re.compile(r"((?:.*/)?transformer(?:_scaffold)?)(?:_(\d+))?(/.+)")
_PARTS = re.compile(
    ANY
    + r"(?:(?:transformer_)?layer_\d+|transformer(?:_scaffold)?|embeddings|mobile_bert_embedding|encoder)(?:_\d+)?/.+"
)


def architecture(names: Collection[str]) -> type[EncoderConfig]:
    """The architecture of an encoder whose variables have these names, after `numbered`."""
    for kind, each in ARCHITECTURES.items():
        mark = each.saved_model.mark
        if mark is not None and any(re.fullmatch(mark, name) for name in names):
            return kind
    return BERT.config


def rules(kind: type[EncoderConfig]) -> Sequence[Rule]:
    """The rules that lead from the names of such a model's variables to the canonical ones."""
    return ARCHITECTURES.get(kind, BERT).saved_model.rules


def numbered(names: Iterable[str]) -> dict[str, str]:
    """Map each name to the same with `layer_0/`, `layer_1/` ... for the blocks of a scaffold.

    Where several blocks are called `transformer` or `transformer_scaffold` they are layers, in the order of their
    numbers; a single `transformer` is ALBERT's, and keeps its name.
    """
    blocks = {name: match for name in names if (match := _BLOCK.fullmatch(name)) and not _is_numbered(match[3])}
    order = sorted(
        {(match[1], int(match[2] or 0)) for match in blocks.values()}, key=lambda block: (block[1], block[0])
    )
    if len(order) < 2 and not any(scope.endswith("_scaffold") for scope, _ in order):
        return {name: name for name in names}
    layers = {block: layer for layer, block in enumerate(order)}
    return {
        name: f"layer_{layers[match[1], int(match[2] or 0)]}{match[3]}" if (match := blocks.get(name)) else name
        for name in names
    }


def is_word_embeddings(name: str) -> bool:
    """Whether it is the name of an encoder's embedding table."""
    return _WORDS.fullmatch(name) is not None


def is_of_encoder(name: str) -> bool:
    """Whether a name that no rule knows stands in the scope of an encoder, and so may be a part of it."""
    return _PARTS.fullmatch(name) is not None


def _is_numbered(rest: str) -> bool:
    return re.match(r"/layer_\d+", rest) is not None
