import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from berthub.errors import CheckpointError, ModelNotFoundError, UnsupportedModelError
from berthub.formats import read
from berthub.networks.bert import BertConfig
from berthub.networks.network import weight_shapes
from support.bundles import write_bundle

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_google(folder: Path, config: BertConfig, *, prefix: str = "", extra: tuple[str, ...] = (), shards: int = 1):
    """A checkpoint in Google's form with random weights; the weights."""
    draw = np.random.default_rng(0)
    weights = {name: draw.normal(size=shape).astype(np.float32) for name, shape in weight_shapes(config).items()}
    arrays = {prefix + name: weight for name, weight in weights.items()}
    write_bundle(folder / "model.ckpt-7", arrays | {name: np.zeros(3, np.float32) for name in extra}, shards=shards)
    pieces = [*_SPECIAL, *(f"piece{index}" for index in range(config.vocab_size - len(_SPECIAL)))]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    stored = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_positions,
        "type_vocab_size": config.type_vocab_size,
        "hidden_act": {"gelu_tanh": "gelu", "relu": "relu"}[config.activation],
    }
    (folder / "bert_config.json").write_text(json.dumps(stored))
    return weights


_CONFIGS = st.builds(
    lambda head, **values: BertConfig(hidden_size=head * values["num_heads"], **values),
    head=st.integers(1, 9),
    vocab_size=st.integers(6, 40),
    num_layers=st.integers(1, 12),
    num_heads=st.integers(1, 4),
    intermediate_size=st.integers(1, 20),
    max_positions=st.integers(1, 20),
    type_vocab_size=st.integers(1, 3),
    activation=st.sampled_from(["gelu_tanh", "relu"]),
    layer_norm_eps=st.just(1e-12),
    lower_case=st.just(True),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=_CONFIGS, prefix=st.sampled_from(["", "module/"]), shards=st.integers(1, 3))
def test_models_of_any_size_are_read(tmp_path_factory, config: BertConfig, prefix: str, shards: int) -> None:
    folder = tmp_path_factory.mktemp("model")
    slots = ("global_step", f"{prefix}bert/pooler/dense/kernel/adam_m", "cls/predictions/output_bias")
    weights = write_google(folder, config, prefix=prefix, extra=slots, shards=shards)
    checkpoint = read(folder)
    assert checkpoint.config == config
    assert checkpoint.origin.unused == tuple(sorted(slots))
    assert checkpoint.weights.keys() == weights.keys()
    for name, weight in weights.items():
        np.testing.assert_array_equal(checkpoint.weights[name], weight)


def test_capitals_in_the_vocabulary_mean_cased(tmp_path: Path, config: BertConfig) -> None:
    write_google(tmp_path, config)
    assert read(tmp_path).config.lower_case is True
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text(vocabulary.read_text().replace("piece4", "Paris"))
    checkpoint = read(tmp_path)
    assert checkpoint.config.lower_case is False
    assert checkpoint.origin.settings["lower_case"] == "whether the vocabulary has capitals"


def test_every_fault_is_named_at_once(tmp_path: Path, config: BertConfig) -> None:
    write_google(tmp_path, config)
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 3, "max_position_embeddings": 99}))
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path)
    message = str(caught.value)
    assert "bert/encoder/layer_2/output/dense/kernel (12, 8) is missing" in message
    assert "bert/embeddings/position_embeddings has shape (16, 8), not (99, 8)" in message
    assert message.count("is missing") == 16


def test_more_layers_than_configured_are_an_error(tmp_path: Path, config: BertConfig) -> None:
    write_google(tmp_path, dataclasses.replace(config, num_layers=3))
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 2}))
    with pytest.raises(CheckpointError, match=r"layer_2/.* has no place in a model of 2 layers"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": 10**9}, "num_layers must be an integer from 1 to 1,024, not 1000000000"),
        ({"num_hidden_layers": "two"}, "num_layers must be"),
        ({"vocab_size": -1}, "vocab_size must be"),
        ({"num_attention_heads": 3}, "hidden_size 8 is no multiple of num_heads 3"),
        ({"hidden_act": "swish"}, "hidden_act to 'swish'; what is supported: gelu, relu"),
        ({"hidden_act": None}, "hidden_act to None"),
        ({"hidden_dropout_prob": 2}, "hidden_dropout must be"),
        ({"initializer_range": float("nan")}, "initializer_range must be"),
    ],
)
def test_a_configuration_that_cannot_be_is_an_error(
    tmp_path: Path, config: BertConfig, change: dict, message: str
) -> None:
    write_google(tmp_path, config)
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises((CheckpointError, UnsupportedModelError), match=message):
        read(tmp_path)


def test_what_is_stored_nowhere_is_asked_for(tmp_path: Path, config: BertConfig) -> None:
    write_google(tmp_path, config)
    path = tmp_path / "bert_config.json"
    stored = json.loads(path.read_text())
    del stored["hidden_act"], stored["num_attention_heads"]
    path.write_text(json.dumps(stored))
    with pytest.raises(CheckpointError, match=r'settings=\{"num_heads": \.\.\., "activation": \.\.\.\}'):
        read(tmp_path)
    assert read(tmp_path, settings={"num_heads": 2, "activation": "gelu_tanh"}).config == config


def test_two_encoders_in_one_checkpoint_are_an_error(tmp_path: Path, config: BertConfig) -> None:
    write_google(tmp_path, config, extra=("other/bert/pooler/dense/bias",))
    with pytest.raises(CheckpointError, match="more than one encoder"):
        read(tmp_path)


def test_two_checkpoints_in_one_folder_are_an_error(tmp_path: Path, config: BertConfig) -> None:
    write_google(tmp_path, config)
    shutil.copy(tmp_path / "model.ckpt-7.index", tmp_path / "model.ckpt-8.index")
    with pytest.raises(ModelNotFoundError, match=r"holds model\.ckpt-7\.index, model\.ckpt-8\.index"):
        read(tmp_path)


def test_the_model_garden_is_recognised_and_refused(models: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="Model Garden"):
        read(models / "model_garden")
