import dataclasses
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import berthub as hub
from berthub.config import EncoderConfig
from berthub.containers.protos import parse
from berthub.errors import (
    CheckpointError,
    CorruptFileError,
    InputError,
    ModelNotFoundError,
    UnsupportedModelError,
)
from berthub.formats import read
from berthub.networks.albert import AlbertConfig
from berthub.networks.bert import BertConfig
from berthub.networks.mobilebert import MobileBertConfig
from berthub.networks.network import weight_shapes
from support.bundles import write_bundle
from support.golden import batches
from support.graphs import graph_def

INPUTS = ("input_word_ids", "input_mask", "input_type_ids")
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


# Ours -> the keys of the configurations that Google's code reads.
_KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "max_positions": "max_position_embeddings",
    "type_vocab_size": "type_vocab_size",
    "num_groups": "num_hidden_groups",
    "inner_layers": "inner_group_num",
    "embedding_size": "embedding_size",
    "bottleneck_size": "intra_bottleneck_size",
    "num_feedforward": "num_feedforward_networks",
    "shared_bottleneck": "key_query_shared_bottleneck",
    "bottleneck_attention": "use_bottleneck_attention",
    "normalization": "normalization_type",
}


def write_google(
    folder: Path,
    config: EncoderConfig,
    *,
    prefix: str = "",
    scope: str = "bert",
    extra: tuple[str, ...] = (),
    beside: Mapping[str, np.ndarray] | None = None,
    **how: Any,
) -> dict[str, np.ndarray]:
    """A checkpoint in Google's form with random weights; the weights."""
    draw = np.random.default_rng(0)
    weights = {name: draw.normal(size=shape).astype(np.float32) for name, shape in weight_shapes(config).items()}
    arrays = {prefix + foreign_name(name, config, scope): weight for name, weight in weights.items()}
    arrays |= {name: np.zeros(3, np.float32) for name in extra} | dict(beside or {})
    write_bundle(folder / "model.ckpt-7", arrays, **how)
    pieces = [*_SPECIAL, *(f"piece{index}" for index in range(config.vocab_size - len(_SPECIAL)))]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    stored = {key: value for name, key in _KEYS.items() if (value := getattr(config, name, None)) is not None}
    stored["hidden_act"] = {"gelu_tanh": "gelu", "relu": "relu"}[config.activation]
    (folder / "bert_config.json").write_text(json.dumps(stored))
    return weights


def foreign_name(name: str, config: EncoderConfig, scope: str = "bert") -> str:
    """What Google's code calls a weight."""
    name = re.sub("^bert/", f"{scope}/", name)
    if isinstance(config, MobileBertConfig):
        name = name.replace(f"/ffn_layer_{config.num_feedforward - 1}/", "/")
        if config.normalization == "no_norm":
            name = name.replace("/LayerNorm/", "/FakeLayerNorm/")
    return name


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


def test_many_capitals_in_the_vocabulary_mean_cased(tmp_path: Path, config: BertConfig) -> None:
    write_google(tmp_path, config)
    assert read(tmp_path).config.lower_case is True
    vocabulary = tmp_path / "vocab.txt"
    pieces = vocabulary.read_text().split("\n")
    vocabulary.write_text("\n".join(piece.replace("piece", "Piece") for piece in pieces))
    checkpoint = read(tmp_path)
    assert checkpoint.config.lower_case is False
    assert "of the vocabulary's words have capitals" in checkpoint.origin.settings["lower_case"]


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
        ({"initializer_range": -1.0}, "initializer_range must be"),
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
    write_google(tmp_path, config, extra=("other/bert/embeddings/word_embeddings",))
    with pytest.raises(CheckpointError, match=r"more than one encoder.*: bert/embeddings/.*, other/bert/embeddings/"):
        read(tmp_path)


def test_two_checkpoints_in_one_folder_are_an_error(tmp_path: Path, config: BertConfig) -> None:
    write_google(tmp_path, config)
    shutil.copy(tmp_path / "model.ckpt-7.index", tmp_path / "model.ckpt-8.index")
    with pytest.raises(ModelNotFoundError, match=r"holds model\.ckpt-7\.index, model\.ckpt-8\.index"):
        read(tmp_path)


@pytest.mark.parametrize("written", ['"model.ckpt-7"', '"/home/trainer/out/model.ckpt-7"'])
def test_of_several_checkpoints_the_named_one_is_read(tmp_path: Path, config: BertConfig, written: str) -> None:
    weights = write_google(tmp_path, config)
    shutil.copy(tmp_path / "model.ckpt-7.index", tmp_path / "model.ckpt-8.index")
    (tmp_path / "checkpoint").write_text(
        f'model_checkpoint_path: {written}\nall_model_checkpoint_paths: "model.ckpt-8"\n'
    )
    checkpoint = read(tmp_path)
    np.testing.assert_array_equal(checkpoint.weights["bert/pooler/dense/kernel"], weights["bert/pooler/dense/kernel"])
    (tmp_path / "checkpoint").write_text("nothing")
    with pytest.raises(CorruptFileError, match="checkpoint names no checkpoint"):
        read(tmp_path)


def test_the_masked_language_model_head_equals_the_original(models: Path) -> None:
    bert = hub.load(models / "google_checkpoint", engine="numpy", precision="float32")
    assert bert.config.mlm
    for golden in batches(models / "google_checkpoint"):
        outputs = bert({name: golden[name] for name in (*INPUTS, "masked_lm_positions")})
        np.testing.assert_allclose(outputs["mlm_logits"], golden["mlm_logits"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [3, 1])
def test_the_head_of_a_classifier_is_read(tmp_path: Path, config: BertConfig, count: int) -> None:
    draw = np.random.default_rng(5)
    weights = draw.normal(size=(count, config.hidden_size)).astype(np.float32)
    bias = draw.normal(size=count).astype(np.float32)
    slots = {"output_weights/adam_m": weights, "output_bias/adam_v": bias}
    write_google(tmp_path, config, beside={"output_weights": weights, "output_bias": bias, **slots})
    encoder = hub.load(tmp_path, engine="numpy")
    head = encoder.head
    assert head is not None
    assert (head.task, head.max_length) == ("classify" if count > 1 else "regress", config.max_positions)
    assert head.labels == (("0", "1", "2") if count > 1 else ("value",))
    # As run_classifier.py computes it.
    pooled = encoder.encode(["piece1 piece2", "piece3"])["pooled_output"]
    expected = np.matmul(pooled, weights.T) + bias
    np.testing.assert_allclose(encoder.logits(["piece1 piece2", "piece3"]).values, expected, rtol=0, atol=1e-5)
    assert encoder.checkpoint.origin.unused == tuple(slots)[::-1]
    assert not encoder.checkpoint.origin.unread_head


@pytest.mark.parametrize(
    "names",
    [
        ("cls/squad/output_bias", "cls/squad/output_weights"),
        ("cls/seq_relationship/output_bias", "cls/seq_relationship/output_weights"),
        ("task_specific/mnli/dense/bias", "task_specific/mnli/dense/kernel"),
        ("output_bias", "output_weights"),
    ],
)
def test_other_heads_are_named_as_not_read(tmp_path: Path, config: BertConfig, names: tuple[str, ...]) -> None:
    # The last is of another width.
    write_google(tmp_path, config, extra=names)
    encoder = hub.load(tmp_path, engine="numpy")
    assert encoder.head is None
    assert encoder.checkpoint.origin.unread_head == names
    with pytest.raises(InputError, match=f"a head that is not read .*{names[0]}"):
        encoder.predict(["piece1"])


def test_partitioned_variables_are_read_whole(tmp_path: Path, config: BertConfig) -> None:
    words = "bert/embeddings/word_embeddings"
    weights = write_google(tmp_path, config, parts={words: [((0, 4), (0, -1)), ((4, 6), (0, 5)), ((4, 6), (5, 3))]})
    np.testing.assert_array_equal(read(tmp_path).weights[words], weights[words])


_SIZES = {
    "vocab_size": 12,
    "hidden_size": 8,
    "num_heads": 2,
    "intermediate_size": 20,
    "max_positions": 16,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "lower_case": True,
}


@pytest.mark.parametrize(
    ("embedding_size", "groups", "inner", "mlm"), [(4, 1, 1, True), (4, 3, 2, False), (8, 2, 1, True)]
)
def test_albert(tmp_path: Path, embedding_size: int, groups: int, inner: int, mlm: bool) -> None:
    config = AlbertConfig(
        **_SIZES,
        activation="gelu_tanh",
        num_layers=5,
        embedding_size=embedding_size,
        num_groups=groups,
        inner_layers=inner,
        mlm=mlm,
    )
    weights = write_google(tmp_path, config)
    (tmp_path / "bert_config.json").rename(tmp_path / "albert_config.json")
    checkpoint = read(tmp_path)
    assert checkpoint.config == config
    assert checkpoint.origin.settings["num_layers"] == "albert_config.json"
    assert checkpoint.weights.keys() == weights.keys()
    (tmp_path / "albert_config.json").unlink()
    with pytest.raises(CheckpointError, match=r'settings=\{"num_layers": \.\.\., "num_heads": \.\.\., "activation": '):
        read(tmp_path)


def test_albert_has_a_sentencepiece_vocabulary(tmp_path: Path, models: Path) -> None:
    model = models / "albert_tf1_hub" / "assets" / "30k-clean.model"
    config = AlbertConfig(**_SIZES | {"vocab_size": 500}, activation="gelu_tanh", num_layers=2, embedding_size=4)
    write_google(tmp_path, config)
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(ModelNotFoundError, match=r"no vocabulary: neither vocab\.txt nor \*\.model"):
        read(tmp_path)
    shutil.copy(model, tmp_path)
    (tmp_path / "30k-clean.vocab").write_text("<pad>\t0\n")
    vocabulary = read(tmp_path).vocabulary
    assert (vocabulary.algorithm, vocabulary.model, vocabulary.unknown) == (
        "sentencepiece",
        model.read_bytes(),
        "<unk>",
    )


@pytest.mark.parametrize("embedding_size", [None, 4])
def test_electra_needs_no_configuration_file(tmp_path: Path, embedding_size: int | None) -> None:
    config = BertConfig(**_SIZES, activation="gelu_tanh", num_layers=3, embedding_size=embedding_size, pooler=False)
    heads = (
        "discriminator_predictions/dense/bias",
        "generator/encoder/layer_0/output/dense/bias",
        "generator/embeddings/word_embeddings",
        "generator_predictions/dense/bias",
        "global_step",
    )
    weights = write_google(tmp_path, config, scope="electra", extra=heads)
    (tmp_path / "bert_config.json").unlink()
    with pytest.raises(CheckpointError, match=r'does not store num_heads, .*settings=\{"num_heads": \.\.\.\}'):
        read(tmp_path)
    checkpoint = read(tmp_path, settings={"num_heads": 2})
    assert checkpoint.config == config
    assert checkpoint.origin.unused == tuple(sorted(heads))
    for name, weight in weights.items():
        np.testing.assert_array_equal(checkpoint.weights[name], weight)


@pytest.mark.parametrize("scope", ["electra", "bert"])
def test_a_graph_beside_the_checkpoint_tells_what_no_configuration_does(tmp_path: Path, scope: str) -> None:
    config = BertConfig(**_SIZES, activation="gelu_tanh", num_layers=1, pooler=False)
    write_google(tmp_path, config, scope=scope)
    (tmp_path / "bert_config.json").unlink()
    constants = {
        f"{scope}/encoder/layer_0/attention/self/Mul/y": 0.5,  # heads of width 4
        f"{scope}/encoder/layer_0/attention/self/mul/y": -10000.0,
        "generator/encoder/layer_0/attention/self/Mul/y": 1.0,
    }
    meta_graph = parse("MetaGraphDef", b"", source="a new graph")
    inner = f"{scope}/encoder/layer_0/intermediate/dense"
    meta_graph.graph_def = graph_def(constants, [(f"{inner}/{kind}", kind, "") for kind in ("Tanh", "Pow")])
    (tmp_path / "model.ckpt-7.meta").write_bytes(meta_graph.SerializeToString())
    checkpoint = read(tmp_path)
    assert checkpoint.config == config
    assert checkpoint.origin.settings["num_heads"] == "the graph in model.ckpt-7.meta"


_MOBILEBERT = {
    "activation": "relu",
    "num_layers": 2,
    "embedding_size": 4,
    "pooler": False,
    "bottleneck_attention": False,
}


@pytest.mark.parametrize(
    "own",
    [
        {"bottleneck_size": 4, "num_feedforward": 3},
        {"bottleneck_size": 4, "num_feedforward": 1, "normalization": "layer_norm"},
        {"bottleneck_size": 4, "num_feedforward": 2, "shared_bottleneck": False, "bottleneck_attention": True},
        {"bottleneck_size": 6, "num_feedforward": 12, "shared_bottleneck": False},
    ],
)
def test_mobilebert(tmp_path: Path, own: dict) -> None:
    config = MobileBertConfig(**{**_SIZES, **_MOBILEBERT, **own})
    head = ("cls/predictions/extra_output_weights", "cls/predictions/output_bias")
    weights = write_google(tmp_path, config, extra=head)
    checkpoint = read(tmp_path)
    assert checkpoint.config == config
    assert checkpoint.origin.unused == head
    assert checkpoint.weights.keys() == weights.keys()
    for name, weight in weights.items():
        np.testing.assert_array_equal(checkpoint.weights[name], weight)
    (tmp_path / "bert_config.json").unlink()
    assert read(tmp_path, settings={"num_heads": 2, "activation": "relu"}).config == config


def test_where_a_mobilebert_takes_its_values_from_is_asked_for_where_it_does_not_show(tmp_path: Path) -> None:
    own = {"bottleneck_size": _SIZES["hidden_size"], "num_feedforward": 2, "shared_bottleneck": False}
    config = MobileBertConfig(**{**_SIZES, **_MOBILEBERT, **own, "bottleneck_attention": True})
    write_google(tmp_path, config)
    path = tmp_path / "bert_config.json"
    # Google's code takes the bottleneck for all, and makes none for queries and keys, whatever else is set.
    stored = json.loads(path.read_text()) | {"key_query_shared_bottleneck": True}
    path.write_text(json.dumps(stored))
    assert read(tmp_path).config == config
    del stored["use_bottleneck_attention"]
    path.write_text(json.dumps(stored))
    with pytest.raises(CheckpointError, match="does not store bottleneck_attention"):
        read(tmp_path)
    assert read(tmp_path, settings={"bottleneck_attention": True}).config == config


def test_a_mobilebert_of_another_build_is_refused(tmp_path: Path) -> None:
    write_google(tmp_path, MobileBertConfig(**_SIZES, **_MOBILEBERT, bottleneck_size=4, num_feedforward=1))
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"trigram_input": False}))
    with pytest.raises(UnsupportedModelError, match="switches trigram_input off"):
        read(tmp_path)
