"""The models of the fixtures and the outputs that TensorFlow (or transformers) computed with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Every format and architecture that is read.
READABLE = (
    "albert_tf1_hub",
    "albert_v3",
    "electra",
    "google_checkpoint",
    "hf_bert",
    "hf_bert_pretraining",
    "mobilebert",
    "model_garden",
    "model_garden_old",
    "talking_heads",
    "tf1_hub_module",
    "tf2_v2",
    "tf2_v4",
    "tf2_v4_encoder_v2",
    "tf2_v4_mlm",
    "tf2_v4_multishard",
)
# One of each architecture and activation, and one with a masked-language-model head: for what sees checkpoints alone.
KINDS = ("albert_v3", "electra", "hf_bert", "mobilebert", "talking_heads", "tf2_v4", "tf2_v4_mlm")
BATCHES = "abcde"


def batches(folder: Path) -> Iterator[dict[str, Any]]:
    """The golden batches of a model: inputs and outputs by name."""
    with np.load(folder / "golden.npz") as arrays:
        for batch in BATCHES:
            names = [name for name in arrays.files if name.startswith(f"{batch}.")]
            yield {name.removeprefix(f"{batch}."): arrays[name] for name in names}
