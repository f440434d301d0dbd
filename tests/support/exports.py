"""What the tests of exports share: the reference's numbers, a head, and what it means to be the same model."""

from typing import Any

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.choices import Pooling
from berthub.encoding.encoder import Encoder
from berthub.engines.create import create_engine
from berthub.head import Head
from berthub.tokenization.tokenizer import Tokenizer


def reference(checkpoint: Checkpoint, inputs: dict[str, Any]) -> dict[str, Any]:
    """What the NumPy engine computes."""
    return Encoder(checkpoint, Tokenizer.from_checkpoint(checkpoint), create_engine(checkpoint, engine="numpy"))(inputs)


def random_head(checkpoint: Checkpoint, pooling: Pooling | None = "mean") -> Head:
    """A head of three labels: of texts, or with `pooling` None of words."""
    kernel = np.random.default_rng(7).normal(size=(checkpoint.config.hidden_size, 3)).astype(np.float32)
    return Head(
        task="tag" if pooling is None else "classify",
        labels=("a", "b", "c"),
        pooling=pooling,
        max_length=16,
        kernel=kernel,
        bias=np.arange(3, dtype=np.float32),
    )


def assert_same(found: Checkpoint, expected: Checkpoint) -> None:
    """The same model: settings, vocabulary, and weights bit for bit."""
    assert found.config == expected.config
    assert found.vocabulary == expected.vocabulary
    assert found.embedding == expected.embedding
    assert found.weights.keys() == expected.weights.keys()
    for name, weight in expected.weights.items():
        assert found.weights[name].tobytes() == np.ascontiguousarray(weight).tobytes(), name
