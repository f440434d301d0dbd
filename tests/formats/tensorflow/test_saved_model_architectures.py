"""The SavedModels of each architecture and version give TensorFlow's numbers, with Keras's metadata and without."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.checkpoint import Checkpoint
from berthub.engines.engine import PaddedBatch
from berthub.engines.numpy import NumpyEngine
from berthub.formats import read
from berthub.networks.albert import AlbertConfig
from berthub.networks.bert import BertConfig
from berthub.networks.mobilebert import MobileBertConfig
from berthub.networks.outputs import Output
from berthub.networks.talking_heads import TalkingHeadsConfig
from support.golden import batches

TOLERANCE = 1e-5
_CONFIGS: dict[str, tuple[type, dict[str, Any]]] = {
    "albert_v3": (AlbertConfig, {"vocab_size": 500, "embedding_size": 16, "num_groups": 1, "inner_layers": 1}),
    "electra": (BertConfig, {"embedding_size": 16}),
    "mobilebert": (
        MobileBertConfig,
        {
            "hidden_size": 48,
            "intermediate_size": 48,
            "embedding_size": 16,
            "bottleneck_size": 24,
            "num_feedforward": 2,
            "shared_bottleneck": True,
            "bottleneck_attention": False,
            "normalization": "no_norm",
            "activation": "relu",
            "pooler": False,
        },
    ),
    "talking_heads": (TalkingHeadsConfig, {}),
    "tf2_v2": (BertConfig, {}),
    "tf2_v4": (BertConfig, {}),
    "tf2_v4_encoder_v2": (BertConfig, {}),
    "tf2_v4_mlm": (BertConfig, {"mlm": True}),
}
_COMMON = {
    "vocab_size": 1126,
    "hidden_size": 32,
    "num_layers": 2,
    "num_heads": 4,
    "intermediate_size": 96,
    "max_positions": 64,
    "type_vocab_size": 2,
    "activation": "gelu_tanh",
    "layer_norm_eps": 1e-12,
    "lower_case": True,
    "pooler": True,
    "mlm": False,
}


def without_metadata(folder: Path, target: Path) -> Path:
    """A copy in which Keras noted nothing, neither in a file of its own nor inside `saved_model.pb`."""
    shutil.copytree(folder, target)
    (target / "keras_metadata.pb").unlink(missing_ok=True)
    path = target / "saved_model.pb"
    # What begins otherwise is no JSON object, and stands for nothing.
    path.write_bytes(path.read_bytes().replace(b'{"', b'["'))
    return target


@pytest.mark.parametrize("name", _CONFIGS)
def test_the_configuration_is_read(models: Path, name: str) -> None:
    kind, values = _CONFIGS[name]
    checkpoint = read(models / name)
    assert type(checkpoint.config) is kind
    settings = checkpoint.config.to_dict()
    assert {key: settings[key] for key in (_COMMON | values)} == _COMMON | values
    assert not [key for key, source in checkpoint.origin.settings.items() if not source]


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("name", _CONFIGS)
def test_the_numbers_are_tensorflows(models: Path, tmp_path: Path, name: str, metadata: bool) -> None:
    folder = models / name
    checkpoint = read(folder if metadata else without_metadata(folder, tmp_path / name))
    told = set(checkpoint.origin.settings.values())
    assert ("Keras's metadata" in told) == metadata
    for golden in batches(folder):
        _compare(checkpoint, golden)


def test_unused_weights_are_named(models: Path) -> None:
    for name in _CONFIGS:
        assert read(models / name).origin.unused == ()
    checkpoint = read(models / "tf2_v4_mlm", settings={"mlm": False})
    assert len(checkpoint.origin.unused) == 5
    assert all("cls/predictions" in name for name in checkpoint.origin.unused)


def _compare(checkpoint: Checkpoint, golden: dict[str, Any]) -> None:
    config = checkpoint.config
    outputs = {f"layer {layer}": Output(layer) for layer in range(config.num_states)}
    outputs |= {"pooled_output": Output(pooling="pooled")}
    if config.mlm:
        outputs["mlm_logits"] = Output(mlm=True)
    batch = PaddedBatch(
        ids=golden["input_word_ids"],
        mask=golden["input_mask"],
        type_ids=golden["input_type_ids"],
        rows=np.arange(len(golden["input_word_ids"])),
        positions=golden.get("masked_lm_positions"),
    )
    asked = [output.resolved(config) for output in outputs.values()]
    (result,) = NumpyEngine(checkpoint).run([batch], asked)
    got = dict(zip(outputs, result.outputs, strict=True))
    states = [got.pop(f"layer {layer}") for layer in range(config.num_states)]
    np.testing.assert_allclose(states[-1], golden["sequence_output"], rtol=0, atol=TOLERANCE)
    if "encoder_outputs" in golden:
        np.testing.assert_allclose(np.stack(states), golden["encoder_outputs"], rtol=0, atol=TOLERANCE)
    for name, array in got.items():
        np.testing.assert_allclose(array, golden[name], rtol=0, atol=TOLERANCE)
