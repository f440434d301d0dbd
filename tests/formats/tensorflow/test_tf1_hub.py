import dataclasses
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.config import EncoderConfig
from berthub.containers.protos import parse
from berthub.containers.tensorbundle import TensorBundle
from berthub.errors import CheckpointError, CorruptFileError, ModelNotFoundError, UnsupportedModelError
from berthub.formats import read
from berthub.networks.albert import AlbertConfig
from berthub.networks.bert import BertConfig
from berthub.networks.mobilebert import MobileBertConfig
from berthub.networks.network import weight_shapes
from support.bundles import write_bundle
from support.golden import batches
from support.graphs import graph_def

_INPUTS = ("input_word_ids", "input_mask", "input_type_ids", "masked_lm_positions")


# The plain BERTs hold the same weights, so that what TensorFlow computed with one is right for all.
@pytest.mark.parametrize(
    ("name", "golden_of"), [("tf1_hub_module", "google_checkpoint"), ("albert_tf1_hub", "albert_tf1_hub")]
)
def test_outputs_equal_the_original(models: Path, name: str, golden_of: str) -> None:
    bert = hub.load(models / name, engine="numpy", precision="float32")
    for golden in batches(models / golden_of):
        outputs = bert({key: golden[key] for key in _INPUTS})
        for output in ("sequence_output", "pooled_output", "mlm_logits"):
            np.testing.assert_allclose(outputs[output], golden[output], rtol=0, atol=1e-5)


def test_every_setting_says_where_it_was_read(models: Path) -> None:
    checkpoint = read(models / "albert_tf1_hub")
    assert checkpoint.config == AlbertConfig(
        vocab_size=500,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        intermediate_size=96,
        max_positions=64,
        type_vocab_size=2,
        activation="gelu_tanh",
        layer_norm_eps=1e-12,
        lower_case=True,
        embedding_size=16,
        mlm=True,
        hidden_dropout=0.0,
        attention_dropout=0.0,
    )
    assert checkpoint.vocabulary.algorithm == "sentencepiece"
    sources = checkpoint.origin.settings
    assert sources["num_heads"] == sources["num_layers"] == "the graph's constants and scopes"
    assert sources["lower_case"] == "the signature tokenization_info"
    assert sources["hidden_dropout"] == "the graph for training"
    assert sources["hidden_size"] == "the names and shapes of the variables"
    assert checkpoint.origin.unused == ()


@pytest.fixture
def module(models: Path, tmp_path: Path) -> Path:
    """A copy of the BERT module, to change."""
    folder = tmp_path / "module"
    shutil.copytree(models / "tf1_hub_module", folder)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def _change(module: Path, change: Callable[[Any], None]) -> None:
    """Change each meta graph of the module."""
    path = module / "saved_model.pb"
    saved_model = parse("SavedModel", path.read_bytes(), source=str(path))
    for meta_graph in saved_model.meta_graphs:
        change(meta_graph)
    path.write_bytes(saved_model.SerializeToString())


def _change_graph(module: Path, change: Callable[[Any], None]) -> None:
    def within(meta_graph: Any) -> None:
        graph = parse("GraphDef", meta_graph.graph_def, source="the graph")
        for node in graph.node:
            change(node)
        meta_graph.graph_def = graph.SerializeToString()

    _change(module, within)


@pytest.mark.parametrize(
    ("scope", "beside"),
    [("module/bert/", "module/"), ("module/", ""), ("module/", "module/"), ("", ""), ("a.b/bert_1/", "a.b/")],
)
def test_any_scope_may_stand_before_the_names(models: Path, module: Path, scope: str, beside: str) -> None:
    whole = read(models / "tf1_hub_module")
    bundle = TensorBundle(module / "variables" / "variables")
    arrays = {
        (scope + key.removeprefix("bert/") if key.startswith("bert/") else beside + key): bundle.array(key).copy()
        for key in bundle.keys
    }
    slots = {f"{key}/adam_m": arrays[key] for key in arrays if key.endswith("pooler/dense/kernel")}
    write_bundle(module / "variables" / "variables", {**arrays, **slots, "global_step": np.array(7)})
    checkpoint = read(module)
    assert checkpoint.config == whole.config
    assert checkpoint.config.mlm
    assert checkpoint.origin.unused == tuple(sorted([*slots, "global_step"]))
    for name, weight in whole.weights.items():
        np.testing.assert_array_equal(checkpoint.weights[name], weight)


def test_a_module_is_known_by_its_tags(module: Path) -> None:
    (module / "tfhub_module.pb").unlink()
    assert read(module).origin.format == "TF1 hub module"


def test_the_graph_for_training_alone_will_do(module: Path) -> None:
    whole = read(module).config
    path = module / "saved_model.pb"
    saved_model = parse("SavedModel", path.read_bytes(), source=str(path))
    del saved_model.meta_graphs[0]
    path.write_bytes(saved_model.SerializeToString())
    assert read(module).config == whole


def test_a_cased_module_says_so(module: Path) -> None:
    def cased(node: Any) -> None:
        for entry in node.attr:
            if entry.value.tensor.dtype == 10:
                del entry.value.tensor.bool_val[:]
                entry.value.tensor.tensor_content = b"\0"

    _change_graph(module, cased)
    assert read(module).config.lower_case is False


def test_a_language_model_head_of_another_activation_is_left_aside(models: Path, module: Path) -> None:
    def relu(node: Any) -> None:
        if node.name.startswith("cls/predictions/transform/dense/"):
            node.op = {"Tanh": "Relu", "Pow": "Identity"}.get(node.op, node.op)

    _change_graph(module, relu)
    checkpoint, whole = read(module), read(models / "tf1_hub_module")
    assert checkpoint.config == dataclasses.replace(whole.config, mlm=False)
    assert set(checkpoint.origin.unused) == {name for name in whole.weights if name.startswith("cls/")}
    assert "activation" in checkpoint.origin.settings["mlm"]


def test_lower_casing_that_is_stored_nowhere_is_asked_for(module: Path) -> None:
    def forget(meta_graph: Any) -> None:
        for entry in [*meta_graph.signature_def]:
            if entry.key == "tokenization_info":
                meta_graph.signature_def.remove(entry)

    _change(module, forget)
    with pytest.raises(CheckpointError, match=r'does not store lower_case, .*settings=\{"lower_case": \.\.\.\}'):
        read(module)
    assert read(module, settings={"lower_case": True}).config.lower_case


def test_heads_that_the_graph_does_not_tell_are_asked_for(module: Path) -> None:
    def rename(node: Any) -> None:
        node.name = node.name.replace("self/Mul", "self/scale")

    _change_graph(module, rename)
    with pytest.raises(CheckpointError, match=r'settings=\{"num_heads": \.\.\.\}'):
        read(module)


def test_without_a_collection_the_only_asset_is_the_vocabulary(module: Path) -> None:
    whole = read(module).vocabulary
    _change(module, lambda meta_graph: meta_graph.ClearField("collection_def"))
    (module / "assets" / "vocab.txt").rename(module / "assets" / "words.txt")
    assert read(module).vocabulary == whole
    (module / "assets" / "more.txt").touch()
    with pytest.raises(ModelNotFoundError, match=r"which asset its vocabulary is.*more\.txt, words\.txt"):
        read(module)


@pytest.mark.parametrize("name", ["../vocab.txt", "/etc/passwd", "..", "", "missing.txt", "x" * 1000])
def test_an_asset_outside_of_the_folder_is_not_read(module: Path, name: str) -> None:
    shutil.copy(module / "assets" / "vocab.txt", module / "vocab.txt")

    def lead_out(meta_graph: Any) -> None:
        for entry in meta_graph.collection_def:
            for value in entry.value.any_list.value:
                asset = parse("AssetFileDef", value.value, source="an asset")
                asset.filename = name
                value.value = asset.SerializeToString()

    _change(module, lead_out)
    with pytest.raises(ModelNotFoundError, match="is not in"):
        read(module)


def test_another_module_is_no_bert(module: Path) -> None:
    write_bundle(module / "variables" / "variables", {"embeddings": np.zeros((3, 4), np.float32)})
    with pytest.raises(UnsupportedModelError, match=r"holds no BERT: .*it has embeddings"):
        read(module)


def test_damage_is_named(module: Path) -> None:
    path = module / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptFileError, match=r"saved_model\.pb is damaged"):
        read(module)


def _write_module(
    folder: Path,
    config: EncoderConfig,
    constants: Mapping[str, float | bool],
    scopes: Iterable[str],
    names: Callable[[str], str] = str,
) -> None:
    draw = np.random.default_rng(0)
    arrays = {names(name): draw.normal(size=size).astype(np.float32) for name, size in weight_shapes(config).items()}
    write_bundle(folder / "variables" / "variables", arrays)
    (folder / "assets").mkdir()
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"p{i}" for i in range(config.vocab_size - 5))]
    (folder / "assets" / "vocab.txt").write_text("\n".join(pieces) + "\n")
    saved_model = parse("SavedModel", b"", source="a new module")
    meta_graph = saved_model.meta_graphs.add()
    operations = [(f"{scope}/Tanh", "Tanh", "") for scope in scopes]
    operations += [("pow", "Pow", "")] if config.activation == "gelu_tanh" else [("relu", "Relu", "")]
    # As in a module made of another: what the signature names is an identity of the constant.
    operations += [("again", "Identity", "once:0"), ("once", "Identity", "is_lower")]
    meta_graph.graph_def = graph_def({"is_lower": config.lower_case, **constants}, operations)
    signature = meta_graph.signature_def.add(key="tokenization_info").value
    signature.outputs.add(key="do_lower_case").value.name = "again:0"
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())


_SIZES: dict[str, Any] = {
    "vocab_size": 12,
    "hidden_size": 24,
    "intermediate_size": 20,
    "max_positions": 16,
    "type_vocab_size": 3,
    "lower_case": False,
}


@pytest.mark.parametrize(("heads", "scale"), [(8, 3**-0.5), (24, 1.0), (1, 24**-0.5)])
def test_heads_of_any_width(tmp_path: Path, heads: int, scale: float) -> None:
    config = BertConfig(**_SIZES, num_layers=1, num_heads=heads, activation="relu", layer_norm_eps=1e-6)
    scope = "module_apply_tokens/bert/encoder/layer_0"
    constants = {
        f"{scope}/attention/self/Mul/y": scale,
        f"{scope}/attention/self/mul/y": -10000.0,
        f"{scope}/output/LayerNorm/batchnorm/add/y": 1e-6,
    }
    _write_module(tmp_path, config, constants, [])
    assert read(tmp_path).config == config


def test_albert_of_groups_and_inner_layers(tmp_path: Path) -> None:
    config = AlbertConfig(
        **_SIZES,
        embedding_size=6,
        num_layers=5,
        num_groups=2,
        inner_layers=2,
        num_heads=6,
        activation="gelu_tanh",
        layer_norm_eps=1e-12,
    )
    scopes = [
        f"bert/encoder/transformer/{group}/layer_{layer}/inner_group_{inner}"
        for layer, group in enumerate(["group_0", "group_0_1", "group_0_2", "group_1", "group_1_1"])
        for inner in range(2)
    ]
    constants = {f"{scope}/attention_1/self/Mul/y": 0.5 for scope in scopes}
    constants |= {f"{scope}/LayerNorm/batchnorm/add/y": 1e-12 for scope in scopes}
    _write_module(tmp_path, config, constants, scopes)
    assert read(tmp_path).config == config
    # A layer that is missing from the scopes: then they do not tell how many there are.
    constants = {name: value for name, value in constants.items() if "layer_3" not in name}
    _write_module(tmp_path / "gap", config, constants, [])
    with pytest.raises(CheckpointError, match=r"does not store num_layers, activation"):
        read(tmp_path / "gap")


def test_mobilebert(tmp_path: Path) -> None:
    config = MobileBertConfig(
        **_SIZES,
        embedding_size=6,
        bottleneck_size=8,
        num_feedforward=3,
        bottleneck_attention=False,
        num_layers=2,
        num_heads=2,
        activation="relu",
        layer_norm_eps=1e-12,
        pooler=False,
    )

    def foreign(name: str) -> str:
        return name.replace("/ffn_layer_2/", "/").replace("/LayerNorm/", "/FakeLayerNorm/")

    _write_module(tmp_path, config, {"bert/encoder/layer_0/attention/self/Mul/y": 0.5}, [], foreign)
    checkpoint = read(tmp_path)
    assert checkpoint.config == config
    assert checkpoint.origin.settings["layer_norm_eps"] == "nothing: no layer of the model uses it"
