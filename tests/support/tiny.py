"""Tiny models of every architecture, with random weights: for what is true of all of them."""

from pathlib import Path
from typing import Any

import numpy as np

from berthub.checkpoint import Checkpoint, Origin
from berthub.networks.network import CONFIGS, weight_shapes
from berthub.vocabulary import Vocabulary

ARCHITECTURES = tuple(CONFIGS)
WORDS = tuple(f"w{number}" for number in range(35))

_COMMON = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_layers": 3,
    "num_heads": 3,
    "intermediate_size": 36,
    "max_positions": 20,
    "type_vocab_size": 2,
    "activation": "gelu_tanh",
    "layer_norm_eps": 1e-12,
    "lower_case": True,
    "mlm": True,
}
_OWN: dict[str, dict[str, Any]] = {
    "bert": {"embedding_size": 12},
    "albert": {"embedding_size": 12, "num_groups": 2, "inner_layers": 2},
    "deberta_v2": {
        "pooler": False,
        "position_embeddings": True,
        "type_embeddings": True,
        "relative_attention": True,
        "content_to_position": True,
        "position_to_content": True,
        "shared_projections": False,
        "norm_distances": True,
        "max_distance": 7,
        "position_buckets": 4,
        "convolution": "gelu_tanh",
    },
    "distilbert": {"type_vocab_size": 1, "pooler": False},
    "gte": {"activation": "gelu_erf", "rotary_factor": 1.25},
    "mobilebert": {
        "embedding_size": 8,
        "bottleneck_size": 12,
        "num_feedforward": 2,
        "bottleneck_attention": False,
        "mlm": False,
        "activation": "relu",
        "pooler": False,
    },
    "mpnet": {"type_vocab_size": 1},
    "modernbert": {
        "type_vocab_size": 1,
        "pooler": False,
        "local_attention": 4,
        "global_every": 2,
        "activation": "gelu_erf",
    },
    "nomic_bert": {"activation": "silu"},
    "roberta": {"type_vocab_size": 1},
    "talking_heads": {},
}


def tiny_checkpoint(architecture: str, *, seed: int = 0, **settings: Any) -> Checkpoint:
    """A model of that architecture; `settings` replace its own. Its words are w0 to w34."""
    config = CONFIGS[architecture](**{**_COMMON, **_OWN[architecture], **settings})
    draw = np.random.default_rng(seed)
    weights = {
        name: (draw.normal(size=shape) * 0.2 + name.endswith("gamma")).astype(np.float32)
        for name, shape in weight_shapes(config).items()
    }
    # MPNet's positions count from 2, after the piece of padding.
    first = ("[UNK]", "[PAD]") if architecture == "mpnet" else ("[PAD]", "[UNK]")
    return Checkpoint(
        config=config,
        weights=weights,
        vocabulary=Vocabulary((*first, "[CLS]", "[SEP]", "[MASK]", *WORDS)),
        origin=Origin(format="made for a test", folder=Path()),
    )


def tiny_inputs(checkpoint: Checkpoint) -> dict[str, Any]:
    """Inputs of four rows, some of them padded, with positions where the model has a masked-language-model head."""
    config, draw = checkpoint.config, np.random.default_rng(1)
    ids = draw.integers(5, config.vocab_size, (4, 9)).astype(np.int32)
    mask = (np.arange(9) < np.array([9, 5, 3, 8])[:, None]).astype(np.int32)
    types = (draw.integers(0, config.type_vocab_size, ids.shape) * mask).astype(np.int32)
    inputs = {"input_word_ids": ids * mask, "input_mask": mask, "input_type_ids": types}
    return inputs | ({"masked_lm_positions": np.array([[0, 2]] * 4, np.int32)} if config.mlm else {})
