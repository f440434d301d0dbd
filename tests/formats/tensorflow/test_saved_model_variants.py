"""SavedModels that differ from those at hand: version 1, other names and numbers, encoders inside other models."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.checkpoint import Checkpoint
from berthub.containers.files import read_bytes
from berthub.containers.protos import parse
from berthub.containers.tensorbundle import TensorBundle
from berthub.errors import CheckpointError, UnsupportedModelError
from berthub.formats import read
from berthub.formats.renaming import Rule, rename
from berthub.formats.tensorflow.graph import Graph
from berthub.formats.tensorflow.saved_model_objects import SavedObjects
from berthub.networks.albert import AlbertConfig
from berthub.networks.bert import BertConfig
from berthub.networks.mobilebert import MobileBertConfig
from berthub.networks.network import weight_shapes
from berthub.networks.talking_heads import TalkingHeadsConfig
from support.saved_models import Operation, graph_def, write_saved_model

Arrays = Mapping[str, np.ndarray]
_TANH: list[Operation] = [("Tanh", "layer_0/Tanh"), ("Pow", "layer_0/Pow")]
_NORM: list[Operation] = [("Const", "embeddings/layer_norm/batchnorm/add/y", 1e-12), ("Rsqrt", "Rsqrt")]
_HEADS: list[Operation] = [("Const", "bert_model/encoder/layer_0/self_attention/Mul/y", 8**-0.5)]
_GRAPH = [*_TANH, *_NORM]

_OLD = r"bert/encoder/(layer_\d+)"
# From the canonical names to those of the first version.
_VERSION_1: list[Rule] = [
    (r"bert/embeddings/word_embeddings", "bert_model/word_embeddings/embeddings"),
    (r"bert/embeddings/position_embeddings", "bert_model/embedding_postprocessor/position_embeddings"),
    (r"bert/embeddings/token_type_embeddings", "bert_model/embedding_postprocessor/type_embeddings"),
    (r"bert/embeddings/LayerNorm/(.*)", r"bert_model/embedding_postprocessor/layer_norm/\1"),
    (_OLD + r"/attention/self/(.*)", r"bert_model/encoder/\1/self_attention/\2"),
    (_OLD + r"/attention/output/dense/(.*)", r"bert_model/encoder/\1/self_attention_output/\2"),
    (
        r"bert/encoder/(layer_\d+)/attention/output/LayerNorm/(.*)",
        r"bert_model/encoder/\1/self_attention_layer_norm/\2",
    ),
    (_OLD + r"/intermediate/dense/(.*)", r"bert_model/encoder/\1/intermediate/\2"),
    (_OLD + r"/output/dense/(.*)", r"bert_model/encoder/\1/output/\2"),
    (_OLD + r"/output/LayerNorm/(.*)", r"bert_model/encoder/\1/output_layer_norm/\2"),
    (r"bert/pooler/dense/(.*)", r"bert_model/pooler_transform/\1"),
]


@pytest.fixture
def bert(models: Path) -> Checkpoint:
    return read(models / "tf2_v4")


@pytest.fixture
def write(models: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a model with the vocabulary of the tiny ones."""

    def make(variables: Arrays, **options: Any) -> Path:
        vocabulary = models / "tf2_v4" / "assets" / "vocab.txt"
        return write_saved_model(tmp_path / "model", variables, vocabulary=vocabulary, **options)

    return make


@pytest.mark.parametrize("axis_for_heads", [True, False])
def test_version_1(bert: Checkpoint, write: Callable[..., Path], axis_for_heads: bool) -> None:
    foreign, _ = rename(bert.weights, _VERSION_1)
    variables = {name: np.asarray(bert.weights[canonical]) for name, canonical in foreign.items()}
    if axis_for_heads:
        variables = {name: _by_head(name, array) for name, array in variables.items()}
    checkpoint = read(write(variables, operations=[*_GRAPH, *_HEADS]))
    _same_weights(checkpoint, bert)
    expected = {"initializer_range": 0.02, "hidden_dropout": 0.1, **bert.config.to_dict()}
    assert checkpoint.config.to_dict() == expected
    assert checkpoint.origin.settings["num_heads"] == (
        "the shapes of the variables" if axis_for_heads else "the operations and constants of the graph"
    )
    assert "of the vocabulary's words have capitals" in checkpoint.origin.settings["lower_case"]


def test_what_shows_nowhere_is_asked_for(bert: Checkpoint, write: Callable[..., Path]) -> None:
    foreign, _ = rename(bert.weights, _VERSION_1)
    folder = write({name: np.asarray(bert.weights[canonical]) for name, canonical in foreign.items()})
    with pytest.raises(CheckpointError, match=r"does not store num_heads, activation, layer_norm_eps.*settings="):
        read(folder)
    given = {"num_heads": 4, "activation": "gelu_tanh", "layer_norm_eps": 1e-12}
    assert read(folder, settings=given).config == bert.config


@pytest.mark.parametrize(
    "scopes",
    [
        ("transformer_scaffold", "transformer_scaffold_1"),
        ("transformer_scaffold_9", "transformer_scaffold_10"),
        ("model/encoder_scaffold/transformer_scaffold", "model/encoder_scaffold/transformer_scaffold_1"),
    ],
)
def test_blocks_of_a_scaffold_are_numbered(models: Path, write: Callable[..., Path], scopes: tuple[str, str]) -> None:
    expected = read(models / "talking_heads")
    variables = _raw(models / "talking_heads")
    first, second = scopes
    renamed = {
        re.sub(r"^transformer_scaffold_1(?=/)", second, name)
        if name.startswith("transformer_scaffold_1/")
        else re.sub(r"^transformer_scaffold(?=/)", first, name): array
        for name, array in reversed(variables.items())
    }
    checkpoint = read(write(renamed, operations=_GRAPH))
    assert isinstance(checkpoint.config, TalkingHeadsConfig)
    _same_weights(checkpoint, expected)


def test_blocks_without_layer_numbers_are_a_bert(models: Path, write: Callable[..., Path]) -> None:
    variables = {
        name.replace("transformer/layer_0/", "transformer/").replace("transformer/layer_1/", "transformer_1/"): array
        for name, array in _raw(models / "tf2_v4").items()
    }
    checkpoint = read(write(variables, operations=_GRAPH))
    assert isinstance(checkpoint.config, BertConfig)
    _same_weights(checkpoint, read(models / "tf2_v4"))


@pytest.mark.parametrize("head", ["bert/cls/predictions", "cls/predictions", "masked_lm", "cls/predictions_1"])
def test_names_of_the_language_model_head(models: Path, write: Callable[..., Path], head: str) -> None:
    variables = _raw(models / "tf2_v4_mlm")
    renamed = {name.replace("bert/cls/predictions", head): array for name, array in variables.items()}
    checkpoint = read(write(renamed, operations=_GRAPH))
    assert checkpoint.config.mlm
    _same_weights(checkpoint, read(models / "tf2_v4_mlm"))


@pytest.mark.parametrize("name", ["albert_v3", "electra"])
def test_a_language_model_head_leads_to_the_width_of_the_embeddings(models: Path, tmp_path: Path, name: str) -> None:
    variables = _raw(models / name)
    pieces, width = variables["word_embeddings/embeddings"].shape
    head = {
        "cls/predictions/transform/dense/kernel": np.ones((32, width), np.float32),
        "cls/predictions/transform/dense/bias": np.ones(width, np.float32),
        "cls/predictions/transform/LayerNorm/gamma": np.ones(width, np.float32),
        "cls/predictions/transform/LayerNorm/beta": np.ones(width, np.float32),
        "cls/predictions/output_bias/bias": np.ones(pieces, np.float32),
    }
    (vocabulary,) = (models / name / "assets").iterdir()
    folder = write_saved_model(
        tmp_path / "model",
        {**variables, **head},
        vocabulary=vocabulary,
        attribute="sp_model_file" if name == "albert_v3" else "vocab_file",
        operations=[*_GRAPH, *(("Softmax", f"transformer/self_attention/softmax/Softmax_{n}") for n in range(12))],
    )
    config = read(folder).config
    assert config.mlm
    assert config.num_layers == (12 if isinstance(config, AlbertConfig) else 2)


_HEAD = "cls/predictions/transform"


@pytest.mark.parametrize(
    ("head", "whole"),
    [
        ([("Tanh", f"{_HEAD}/dense/Gelu/Tanh"), ("Pow", f"{_HEAD}/dense/Gelu/Pow")], True),
        ([("Relu", f"{_HEAD}/dense/Relu")], False),
        ([("Const", f"{_HEAD}/LayerNorm/batchnorm/add/y", 1e-5)], False),
    ],
)
def test_a_language_model_head_that_computes_otherwise_is_left_aside(
    models: Path, write: Callable[..., Path], head: list[Operation], whole: bool
) -> None:
    checkpoint = read(write(_raw(models / "tf2_v4_mlm"), operations=[*_GRAPH, *head]))
    assert (checkpoint.config.activation, checkpoint.config.layer_norm_eps) == ("gelu_tanh", 1e-12)
    assert checkpoint.config.mlm is whole
    assert len(checkpoint.origin.unused) == (0 if whole else 5)


def test_a_mobilebert_may_have_a_language_model_head(models: Path, write: Callable[..., Path]) -> None:
    variables, width = _raw(models / "mobilebert"), read(models / "mobilebert").config.to_dict()["embedding_size"]
    hidden, pieces = (read(models / "mobilebert").config.to_dict()[name] for name in ("hidden_size", "vocab_size"))
    shapes = {"dense/kernel": (hidden, width), "dense/bias": (width,), "LayerNorm/gamma": (width,)}
    shapes |= {"LayerNorm/beta": (width,)}
    head = {f"{_HEAD}/{name}": np.ones(shape, np.float32) for name, shape in shapes.items()}
    head["cls/predictions/output_bias/bias"] = np.ones(pieces, np.float32)
    operations: list[Operation] = [
        ("Relu", "ffn_layer_0/Relu"),
        ("Relu", f"{_HEAD}/dense/Relu"),
        ("Const", f"{_HEAD}/LayerNorm/batchnorm/add/y", 1e-6),
        ("Rsqrt", f"{_HEAD}/LayerNorm/batchnorm/Rsqrt"),
    ]
    config = read(write({**variables, **head}, operations=operations)).config
    assert isinstance(config, MobileBertConfig)
    # The only layer norm is the head's.
    assert (config.mlm, config.normalization, config.layer_norm_eps) == (True, "no_norm", 1e-6)


def test_another_number_of_heads_than_the_kernels_have_is_refused(models: Path) -> None:
    with pytest.raises(CheckpointError, match=r"num_heads is 2 \(given by the caller\), but .* is shaped for 4"):
        read(models / "tf2_v4", settings={"num_heads": 2})


def test_the_layers_of_an_albert_are_asked_for_where_nothing_tells(models: Path, tmp_path: Path) -> None:
    (vocabulary,) = (models / "albert_v3" / "assets").iterdir()
    folder = write_saved_model(
        tmp_path / "model",
        _raw(models / "albert_v3"),
        vocabulary=vocabulary,
        attribute="sp_model_file",
        operations=_GRAPH,
    )
    with pytest.raises(CheckpointError, match="does not store num_layers"):
        read(folder)
    assert read(folder, settings={"num_layers": 7}).config.num_layers == 7


@pytest.mark.parametrize(
    ("changes", "operations"),
    [
        ({"normalization": "layer_norm", "activation": "gelu_tanh"}, [*_TANH, *_NORM]),
        ({"bottleneck_attention": True, "shared_bottleneck": False, "num_feedforward": 4}, [("Relu", "Relu")]),
        ({"shared_bottleneck": False, "pooler": True, "num_layers": 11}, [("Relu", "Relu"), ("Tanh", "pooler/Tanh")]),
        ({"hidden_size": 24, "bottleneck_attention": True}, [("Relu", "Relu")]),
    ],
)
def test_other_mobileberts(
    models: Path, write: Callable[..., Path], changes: dict[str, Any], operations: list[Operation]
) -> None:
    settings = {**read(models / "mobilebert").config.to_dict(), **changes}
    # Stored nowhere, so that the usual values count.
    settings |= {"hidden_dropout": 0.1, "attention_dropout": 0.1, "initializer_range": 0.02}
    config = MobileBertConfig.from_dict(settings)
    arrays = {name: np.full(shape, 0.5, np.float32) for name, shape in weight_shapes(config).items()}
    foreign, unknown = rename(arrays, _MOBILEBERT)
    assert not unknown
    folder = write(
        {name: _by_head(canonical, arrays[canonical], 4) for name, canonical in foreign.items()}, operations=operations
    )
    if config.hidden_size == config.bottleneck_size:
        with pytest.raises(CheckpointError, match="does not store bottleneck_attention"):
            read(folder)
    given = {} if config.hidden_size != config.bottleneck_size else {"bottleneck_attention": True}
    assert read(folder, settings=given).config == config


def test_the_encoder_may_hang_anywhere(models: Path, write: Callable[..., Path]) -> None:
    variables = _raw(models / "tf2_v4")
    beside = {
        "classifier/kernel": np.ones((32, 2), np.float32),
        "layer_norm/gamma": np.ones(7, np.float32),
        "Adam/m/word_embeddings/embeddings": np.zeros((1126, 32), np.float32),
    }
    folder = write(variables, at=["layer-3", "inner", "resolved_object"], beside=beside, operations=_GRAPH)
    checkpoint = read(folder)
    _same_weights(checkpoint, read(models / "tf2_v4"))
    assert checkpoint.origin.unused == tuple(sorted(beside))
    assert checkpoint.head is None


def test_an_encoder_without_a_vocabulary_of_its_own(models: Path, write: Callable[..., Path]) -> None:
    beside = {"classifier/kernel": np.ones((32, 2), np.float32)}
    folder = write(_raw(models / "tf2_v4"), at=["net"], attribute="words", beside=beside, operations=_GRAPH)
    checkpoint = read(folder)
    _same_weights(checkpoint, read(models / "tf2_v4"))
    assert checkpoint.origin.unused == ("classifier/kernel",)


def test_unknown_weights_of_an_encoder_are_refused(models: Path, write: Callable[..., Path]) -> None:
    variables = {**_raw(models / "tf2_v4"), "final_layer_norm/gamma": np.ones(32, np.float32)}
    with pytest.raises(UnsupportedModelError, match=r"no encoder of a known .*final_layer_norm/gamma"):
        read(write(variables, operations=_GRAPH))


def test_an_encoder_without_attention_is_refused(models: Path, write: Callable[..., Path]) -> None:
    variables = {name: array for name, array in _raw(models / "tf2_v4").items() if "/self_attention/" not in name}
    with pytest.raises(UnsupportedModelError, match="no attention layers"):
        read(write(variables, operations=_GRAPH))


def test_layers_that_begin_with_their_norms_are_refused(models: Path, write: Callable[..., Path]) -> None:
    norm = "transformer/layer_0/self_attention_layer_norm/batchnorm/add_1:z:0"
    query: Operation = ("Einsum", "transformer/layer_0/self_attention/query/einsum/Einsum", [norm, "kernel"])
    with pytest.raises(UnsupportedModelError, match="begin with their layer norms"):
        read(write(_raw(models / "tf2_v4"), operations=[*_GRAPH, query]))


def test_two_encoders_are_refused(models: Path, write: Callable[..., Path]) -> None:
    variables = _raw(models / "tf2_v4")
    doubled = {**variables, **{f"other/{name}": array for name, array in variables.items()}}
    with pytest.raises(CheckpointError, match="more than one encoder"):
        read(write(doubled, operations=_GRAPH))


def test_the_graph_counts_the_layers() -> None:
    block: list[Operation] = [("Softmax", "transformer/self_attention/softmax/Softmax")]
    inline = {"model": block * 5, "head": [("Softmax", "classifier/Softmax")] * 9}
    called = {"block": block, "model": [("PartitionedCall", f"transformer_{n}", "block") for n in range(6)]}
    single = {"block": block, "model": [("PartitionedCall", "transformer", "block")]}
    for functions, layers in ((inline, 5), (called, 6), (single, 1), ({"model": []}, None)):
        assert Graph(graph_def(functions), source=Path("x"), functions=["model"]).attentions() == layers


def test_only_the_encoders_functions_count() -> None:
    other: list[Operation] = [("Erf", "head/Erf"), ("Const", "head/layer_norm/batchnorm/add/y", 1e-3)]
    functions = {"encoder": [("PartitionedCall", "inner", "inner")], "inner": _GRAPH, "head": other}
    graph = Graph(graph_def(functions), source=Path("x"), functions=["encoder"])
    assert graph.settings() == {"activation": "gelu_tanh", "layer_norm_eps": 1e-12}
    with pytest.raises(UnsupportedModelError, match="different epsilons"):
        Graph(graph_def(functions), source=Path("x")).settings()


_THIN = r"bert/encoder/(layer_\d+)"
_MOBILEBERT: list[Rule] = [
    (r"bert/embeddings/(word|position)_embeddings", r"mobile_bert_embedding/\1_embedding/embeddings"),
    (r"bert/embeddings/token_type_embeddings", "mobile_bert_embedding/type_embedding/embeddings"),
    (r"bert/embeddings/embedding_transformation/(.*)", r"mobile_bert_embedding/embedding_projection/\1"),
    (r"bert/embeddings/LayerNorm/(.*)", r"mobile_bert_embedding/embedding_norm/\1"),
    (_THIN + r"/bottleneck/input/dense/(.*)", r"transformer_\1/bottleneck_input/dense/\2"),
    (_THIN + r"/bottleneck/input/LayerNorm/(.*)", r"transformer_\1/bottleneck_input/norm/\2"),
    (_THIN + r"/bottleneck/attention/dense/(.*)", r"transformer_\1/kq_shared_bottleneck/dense/\2"),
    (_THIN + r"/bottleneck/attention/LayerNorm/(.*)", r"transformer_\1/kq_shared_bottleneck/norm/\2"),
    (_THIN + r"/attention/self/(.*)", r"transformer_\1/attention/\2"),
    (_THIN + r"/attention/output/dense/(.*)", r"transformer_\1/attention/attention_output/\2"),
    (_THIN + r"/attention/output/LayerNorm/(.*)", r"transformer_\1/attention/norm/\2"),
    (_THIN + r"/(ffn_layer_\d+)/(intermediate|output)/dense/(.*)", r"transformer_\1/\2/\3_dense/\4"),
    (_THIN + r"/(ffn_layer_\d+)/output/LayerNorm/(.*)", r"transformer_\1/\2/norm/\3"),
    (_THIN + r"/output/bottleneck/dense/(.*)", r"transformer_\1/bottleneck_output/dense/\2"),
    (_THIN + r"/output/bottleneck/LayerNorm/(.*)", r"transformer_\1/bottleneck_output/norm/\2"),
    (r"bert/pooler/dense/(.*)", r"pooler/\1"),
]


def _raw(folder: Path) -> dict[str, np.ndarray]:
    """The variables of a model under the names in its files, in their order."""
    path = folder / "saved_model.pb"
    bundle = TensorBundle(folder / "variables" / "variables")
    (meta_graph,) = parse("SavedModel", read_bytes(path), source=str(path)).meta_graphs
    variables = SavedObjects(meta_graph, bundle, source=path).all_variables
    return {v.name: bundle.array(v.key) for v in variables if not v.key.startswith("do_lower_case")}


def _by_head(name: str, array: np.ndarray, heads: int = 4) -> np.ndarray:
    if re.search(r"attention/(self/)?(query|key|value)/(kernel|bias)", name):
        return array.reshape(*array.shape[:-1], heads, -1)
    if re.search(r"(attention_output|attention/output/dense)/kernel", name):
        return array.reshape(heads, -1, array.shape[-1])
    return array


def _same_weights(checkpoint: Checkpoint, expected: Checkpoint) -> None:
    assert checkpoint.weights.keys() == expected.weights.keys()
    for name, weight in expected.weights.items():
        np.testing.assert_array_equal(checkpoint.weights[name], weight)
