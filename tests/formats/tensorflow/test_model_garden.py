import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berthub as hub
from berthub.containers.tensorbundle import TensorBundle
from berthub.errors import CheckpointError, ModelNotFoundError
from berthub.formats import read
from berthub.networks.albert import AlbertConfig
from berthub.networks.bert import BertConfig
from berthub.networks.network import weight_shapes
from support.bundles import write_bundle
from support.golden import batches

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_HEADED = re.compile(r"bert/encoder/layer_\d+/attention/self/(query|key|value)/(kernel|bias)")


# The plain BERTs hold the same weights, so that what TensorFlow computed with one is right for all.
@pytest.mark.parametrize(
    ("name", "golden_of"), [("model_garden", "google_checkpoint"), ("model_garden_old", "model_garden_old")]
)
def test_outputs_equal_the_original(models: Path, name: str, golden_of: str) -> None:
    bert = hub.load(models / name, engine="numpy", precision="float32")
    assert bert.config.mlm == (name == "model_garden")
    for golden in batches(models / golden_of):
        inputs = [
            "input_word_ids",
            "input_mask",
            "input_type_ids",
            *(["masked_lm_positions"] if bert.config.mlm else []),
        ]
        outputs = bert({key: golden[key] for key in inputs})
        for output in ("sequence_output", "pooled_output", *(["mlm_logits"] if bert.config.mlm else [])):
            np.testing.assert_allclose(outputs[output], golden[output], rtol=0, atol=1e-5)
        np.testing.assert_allclose(np.stack(outputs["encoder_outputs"]), golden["encoder_outputs"], rtol=0, atol=1e-5)


def test_kernels_are_views_of_the_file(models: Path) -> None:
    checkpoint = read(models / "model_garden")
    assert checkpoint.origin.format == "Model Garden checkpoint"
    assert checkpoint.origin.unused == ("save_counter",)
    for name, weight in checkpoint.weights.items():
        assert not weight.flags.owndata, name


_CONFIG = BertConfig(
    vocab_size=12,
    hidden_size=8,
    num_layers=12,  # so that the tenth block's number has two digits
    num_heads=2,
    intermediate_size=20,
    max_positions=16,
    type_vocab_size=3,
    activation="relu",
    layer_norm_eps=1e-12,
    lower_case=True,
)

_PARTS = {
    "attention/self/query": "_attention_layer/_query_dense",
    "attention/self/key": "_attention_layer/_key_dense",
    "attention/self/value": "_attention_layer/_value_dense",
    "attention/output/dense": "_attention_layer/_output_dense",
    "attention/output/LayerNorm": "_attention_layer_norm",
    "intermediate/dense": "_intermediate_dense",
    "output/dense": "_output_dense",
    "output/LayerNorm": "_output_layer_norm",
}


def _counted(config: BertConfig) -> Callable[[str], str]:
    """Canonical name -> the key behind the encoder's, by the number of each part."""
    projected = config.embedding_width != config.hidden_size
    numbers = {
        "bert/embeddings/word_embeddings": "0/embeddings",
        "bert/embeddings/position_embeddings": "1/embeddings",
        "bert/embeddings/token_type_embeddings": "2/embeddings",
        "bert/embeddings/LayerNorm": "3",
        "bert/embeddings_project": "4",
        "bert/pooler/dense": f"{config.num_layers + 4 + projected}",
    }
    for layer in range(config.num_layers):
        for part, path in _PARTS.items():
            numbers[f"bert/encoder/layer_{layer}/{part}"] = f"{layer + 4 + projected}/{path}"
    return lambda name: f"layer_with_weights-{_look_up(numbers, name)}"


def _attributes(config: BertConfig) -> Callable[[str], str]:
    """The same for a BertEncoderV2, by its attributes."""
    paths = {
        "bert/embeddings/word_embeddings": "_embedding_layer/embeddings",
        "bert/embeddings/position_embeddings": "_position_embedding_layer/embeddings",
        "bert/embeddings/token_type_embeddings": "_type_embedding_layer/embeddings",
        "bert/embeddings/LayerNorm": "_embedding_norm_layer",
        "bert/embeddings_project": "_embedding_projection",
        "bert/pooler/dense": "_pooler_layer",
    }
    for layer in range(config.num_layers):
        for part, path in _PARTS.items():
            paths[f"bert/encoder/layer_{layer}/{part}"] = f"_transformer_layers/{layer}/{path}"
    return lambda name: _look_up(paths, name)


def _look_up(paths: dict[str, str], name: str) -> str:
    scope, _, last = name.rpartition("/")
    return paths[name] if name in paths else f"{paths[scope]}/{last}"


def _write(
    folder: Path,
    config: Any,
    *,
    scope: str = "encoder/",
    form: Callable[[Any], Callable[[str], str]] = _counted,
    change: Callable[[str], str] = str,
) -> dict[str, np.ndarray]:
    """A Model Garden folder with random weights; these by their canonical names."""
    draw = np.random.default_rng(0)
    weights = {name: draw.normal(size=size).astype(np.float32) for name, size in weight_shapes(config).items()}
    heads, keys = config.num_heads, form(config)
    arrays = {}
    for name, weight in weights.items():
        if _HEADED.fullmatch(name):
            weight = weight.reshape(*weight.shape[:-1], heads, -1)
        elif name.endswith("/attention/output/dense/kernel"):
            weight = weight.reshape(heads, -1, weight.shape[-1])
        arrays[change(scope + keys(name)) + _VALUE] = weight
    slot = f"{scope}layer_with_weights-0/embeddings/.OPTIMIZER_SLOT/optimizer/m{_VALUE}"
    arrays |= {
        key: np.zeros(3, np.float32) for key in (slot, f"optimizer/_variables/5{_VALUE}", f"save_counter{_VALUE}")
    }
    write_bundle(folder / "ckpt-100", {**arrays, "_CHECKPOINTABLE_OBJECT_GRAPH": np.zeros(1, np.float32)})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"p{i}" for i in range(config.vocab_size - 5))]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    return weights


def _check(folder: Path, config: Any, weights: dict[str, np.ndarray]) -> None:
    checkpoint = read(folder, settings={"activation": config.activation})
    assert checkpoint.config == config
    assert checkpoint.weights.keys() == weights.keys()
    for name, weight in weights.items():
        np.testing.assert_array_equal(checkpoint.weights[name], weight)
    assert len(checkpoint.origin.unused) == 3


@pytest.mark.parametrize("form", [_counted, _attributes])
@pytest.mark.parametrize("embedding_size", [None, 6])
@pytest.mark.parametrize("scope", ["encoder/", "model/", "pretrainer/encoder/", ""])
def test_encoders_of_any_name(tmp_path: Path, form: Any, embedding_size: int | None, scope: str) -> None:
    config = dataclasses.replace(_CONFIG, embedding_size=embedding_size)
    _check(tmp_path, config, _write(tmp_path, config, form=form, scope=scope))


def test_the_names_of_2019(tmp_path: Path) -> None:
    def older(key: str) -> str:
        key = key.replace("_attention_layer/_output_dense", "_attention_output_dense")
        return re.sub(r"_dense/(kernel|bias)$", r"_dense/_\1", key)

    _check(tmp_path, _CONFIG, _write(tmp_path, _CONFIG, change=older))


def test_the_dense_layers_of_a_classifier_are_no_part_of_its_encoder(tmp_path: Path) -> None:
    config = dataclasses.replace(_CONFIG, num_layers=2)
    weights = _write(tmp_path, config, scope="model/layer_with_weights-0/")
    bundle = TensorBundle(tmp_path / "ckpt-100")
    head = {f"model/layer_with_weights-{n}/kernel{_VALUE}": np.zeros((8, 2), np.float32) for n in (1, 3)}
    write_bundle(tmp_path / "ckpt-100", {key: bundle.array(key).copy() for key in bundle.keys} | head)
    checkpoint = read(tmp_path, settings={"activation": "relu"})
    assert checkpoint.config == config
    np.testing.assert_array_equal(checkpoint.weights["bert/pooler/dense/kernel"], weights["bert/pooler/dense/kernel"])
    assert "model/layer_with_weights-1/kernel" in checkpoint.origin.unused


def test_what_is_stored_nowhere_is_asked_for(tmp_path: Path) -> None:
    _write(tmp_path, _CONFIG)
    with pytest.raises(CheckpointError, match=r'does not store activation, .*settings=\{"activation": \.\.\.\}'):
        read(tmp_path)


def test_one_block_that_all_layers_run_is_an_albert(tmp_path: Path) -> None:
    albert = AlbertConfig(
        **{
            field.name: getattr(_CONFIG, field.name)
            for field in dataclasses.fields(_CONFIG)
            if field.name != "embedding_size"
        },
        embedding_size=6,
    )
    one = dataclasses.replace(_CONFIG, num_layers=1, embedding_size=6)
    weights = _write(tmp_path, one)
    with pytest.raises(CheckpointError, match=r'settings=\{"num_layers": \.\.\.\}'):
        read(tmp_path, settings={"activation": "relu"})
    assert read(tmp_path, settings={"activation": "relu", "num_layers": 1}).config == one
    (tmp_path / "albert_config.json").write_text(
        json.dumps({"num_hidden_layers": 12, "hidden_act": "relu", "num_attention_heads": 2, "embedding_size": 6})
    )
    checkpoint = read(tmp_path)
    assert checkpoint.config == albert
    block = "bert/encoder/transformer/group_0/inner_group_0"
    for ours, theirs in {
        "bert/encoder/embedding_hidden_mapping_in/kernel": "bert/embeddings_project/kernel",
        f"{block}/attention_1/self/key/bias": "bert/encoder/layer_0/attention/self/key/bias",
        f"{block}/attention_1/output/dense/kernel": "bert/encoder/layer_0/attention/output/dense/kernel",
        f"{block}/LayerNorm/beta": "bert/encoder/layer_0/attention/output/LayerNorm/beta",
        f"{block}/ffn_1/intermediate/output/dense/bias": "bert/encoder/layer_0/output/dense/bias",
        f"{block}/LayerNorm_1/gamma": "bert/encoder/layer_0/output/LayerNorm/gamma",
    }.items():
        np.testing.assert_array_equal(checkpoint.weights[ours], weights[theirs])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_attention_heads": 8}, r"num_heads is 8 \(bert_config\.json\), but .* is shaped for 4"),
        ({"num_hidden_layers": 3}, "layer_2/output/dense/kernel .* is missing"),
        ({"max_position_embeddings": 9}, "position_embeddings has shape"),
        ({"hidden_act": "swish"}, "hidden_act to 'swish'"),
    ],
)
def test_a_configuration_of_another_model_is_an_error(models: Path, tmp_path: Path, change: dict, message: str) -> None:
    shutil.copytree(models / "model_garden", tmp_path / "model")
    path = tmp_path / "model" / "bert_config.json"
    stored = json.loads(path.read_text())
    path.chmod(0o644)
    path.write_text(json.dumps(stored | change))
    with pytest.raises(hub.errors.ModelError, match=message):
        read(tmp_path)


def test_of_several_checkpoints_the_named_one_is_read(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "model_garden", tmp_path / "model")
    (tmp_path / "model").chmod(0o755)
    shutil.copy(tmp_path / "model" / "bert_model.ckpt-1.index", tmp_path / "model" / "bert_model.ckpt-2.index")
    assert read(tmp_path).config.num_layers == 2
    (tmp_path / "model" / "checkpoint").unlink()
    with pytest.raises(ModelNotFoundError, match=r"holds bert_model\.ckpt-1\.index, bert_model\.ckpt-2\.index"):
        read(tmp_path)


def test_two_encoders_in_one_checkpoint_are_an_error(tmp_path: Path) -> None:
    config = dataclasses.replace(_CONFIG, num_layers=1)
    _write(tmp_path, config)
    bundle = TensorBundle(tmp_path / "ckpt-100")
    arrays = {key: bundle.array(key).copy() for key in bundle.keys}
    other = {key.replace("encoder/", "teacher/"): array for key, array in arrays.items()}
    write_bundle(tmp_path / "ckpt-100", arrays | other)
    with pytest.raises(CheckpointError, match=r"more than one encoder.*: encoder/, teacher/"):
        read(tmp_path)


def test_another_model_is_no_bert(tmp_path: Path) -> None:
    _write(tmp_path, _CONFIG, change=lambda key: key.replace("_attention_layer/", "_mixer/"))
    with pytest.raises(ModelNotFoundError, match="holds no BERT: none of its objects has an _attention_layer"):
        read(tmp_path)
