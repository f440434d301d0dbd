"""The tiny BERT of `berthub doctor`, made in memory, and what the engines make of it."""

from pathlib import Path

import numpy as np

from berthub.checkpoint import Checkpoint, Origin
from berthub.encoding.encoder import Encoder
from berthub.engines.create import create_engine
from berthub.networks.bert import BertConfig
from berthub.networks.network import weight_shapes
from berthub.tokenization.tokenizer import Tokenizer
from berthub.vocabulary import Vocabulary

__all__ = ["PIECES", "TEXT", "TOLERANCE", "largest_difference", "tiny_model"]

TEXT = "An unaffable DÉJÀ-VU!"
PIECES = ("an", "una", "##ffa", "##ble", "deja", "-", "vu", "!")
"""The WordPieces of `TEXT`: lower-cased, without accents, and the longest piece first."""
TOLERANCE = 1e-5
"""The largest difference between the outputs of two engines in float32, which are of the order of 1."""

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tiny_model() -> Checkpoint:
    """A BERT of two layers with random weights, the same at every call."""
    pieces = (*_SPECIAL, "an", "un", "una", "##ff", "##ffa", "##ble", "deja", "-", "vu", "!")
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        intermediate_size=64,
        max_positions=32,
        type_vocab_size=2,
        activation="gelu_erf",
        layer_norm_eps=1e-12,
        lower_case=True,
    )
    draw = np.random.default_rng(0)
    weights = {
        # Layer norms scale by what is near 1.
        name: (draw.normal(size=shape) * 0.2 + name.endswith("gamma")).astype(np.float32)
        for name, shape in weight_shapes(config).items()
    }
    origin = Origin(format="made by berthub doctor", folder=Path())
    return Checkpoint(config=config, weights=weights, vocabulary=Vocabulary(pieces), origin=origin)


def largest_difference() -> float:
    """The largest difference between the outputs of OpenVINO and of NumPy, in float32."""
    model = tiny_model()
    numpy, openvino = (
        Encoder(
            model, Tokenizer.from_checkpoint(model), create_engine(model, engine=engine, precision="float32")
        ).encode([TEXT, "An", f"{TEXT} {TEXT}"])
        for engine in ("numpy", "openvino")
    )
    return max(
        float(np.abs(theirs - ours).max(initial=0))
        for name in ("sequence_output", "pooled_output")
        for theirs, ours in zip(numpy[name], openvino[name], strict=True)
    )
