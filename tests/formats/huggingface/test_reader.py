import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from berthub.errors import CheckpointError, CorruptFileError, ModelError, ModelNotFoundError, UnsupportedModelError
from berthub.formats import read
from support.tokenizer_files import write_tokenizer_json


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(models / "hf_bert", tmp_path / "hf_bert"))


def _change(path: Path, **values: object) -> None:
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in (stored | values).items() if value != "-"}))


@pytest.mark.parametrize("name", ["hf_bert", "hf_bert_pretraining"])
def test_the_weights_are_those_of_the_original(models: Path, name: str) -> None:
    ours, reference = read(models / name), read(models / "google_checkpoint")
    assert {key for key in ours.weights if key.startswith("bert/")} == {
        key for key in reference.weights if key.startswith("bert/")
    }
    for key in ours.weights.keys() & reference.weights.keys():
        weight = ours.weights[key]
        np.testing.assert_array_equal(weight, reference.weights[key])
        assert not weight.flags.owndata


@pytest.mark.parametrize(
    ("stored", "activation"),
    [
        ("gelu", "gelu_erf"),
        ("-", "gelu_erf"),
        ("gelu_new", "gelu_tanh"),
        ("gelu_pytorch_tanh", "gelu_tanh"),
        ("relu", "relu"),
    ],
)
def test_activations_are_told_apart(folder: Path, stored: str, activation: str) -> None:
    _change(folder / "config.json", hidden_act=stored, layer_norm_eps=1e-5)
    config = read(folder).config
    assert config.activation == activation
    assert config.layer_norm_eps == 1e-5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "t5"}, "model_type to 't5'; what is supported: albert, bert"),
        ({"model_type": "-", "architectures": "-"}, "model_type to None"),
        ({"hidden_act": "quick_gelu"}, "hidden_act to 'quick_gelu'"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"is_decoder": True}, "decoder"),
        ({"model_type": "x" * 1000}, r"model_type to 'x{199}; what is supported"),
        ({"quantization_config": {"load_in_8bit": True}}, "has the weights quantized .quantization_config: "),
    ],
)
def test_other_models_are_refused(folder: Path, change: dict, message: str) -> None:
    _change(folder / "config.json", **change)
    with pytest.raises(UnsupportedModelError, match=message):
        read(folder)


def test_an_adapter_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(UnsupportedModelError, match=r"an adapter beside its model .*merge_and_unload"):
        read(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ModelNotFoundError, match=r"no model, but an adapter .*merge_and_unload"):
        read(folder)


def test_the_tokenizer_settings_are_read(folder: Path) -> None:
    _change(folder / "tokenizer_config.json", do_lower_case=False, strip_accents=True, tokenize_chinese_chars=False)
    config = read(folder).config
    assert (config.lower_case, config.strip_accents, config.split_chinese) == (False, True, False)
    # transformers' BertTokenizer takes no settings from tokenizer.json; where it runs that file alone, all.
    normalizer = {
        "type": "BertNormalizer",
        "lowercase": True,
        "strip_accents": None,
        "handle_chinese_chars": True,
        "clean_text": True,
    }
    pieces = read(folder).vocabulary.pieces
    write_tokenizer_json(folder, pieces, normalizer=normalizer)
    config = read(folder).config
    assert (config.lower_case, config.strip_accents, config.split_chinese) == (False, True, False)
    _change(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    config = read(folder).config
    assert (config.lower_case, config.strip_accents, config.split_chinese) == (True, None, True)


def test_the_vocabulary_can_be_in_the_tokenizer_file(folder: Path) -> None:
    pieces = read(folder).vocabulary.pieces
    (folder / "vocab.txt").unlink()
    path = folder / "tokenizer.json"
    ids = {piece: index for index, piece in enumerate(pieces)}
    path.write_text(json.dumps({"model": {"type": "WordPiece", "vocab": ids}}))
    assert read(folder).vocabulary.pieces == pieces
    ids[pieces[3]] = 10**9
    path.write_text(json.dumps({"model": {"type": "WordPiece", "vocab": ids}}))
    with pytest.raises(CorruptFileError, match="without gaps"):
        read(folder)
    path.write_text(json.dumps({"model": {"type": "BPE", "vocab": {}}}))
    with pytest.raises(UnsupportedModelError, match="no WordPiece vocabulary and no byte-pair encoding"):
        read(folder)
    path.unlink()
    with pytest.raises(ModelNotFoundError, match=r"neither vocab\.txt nor tokenizer\.json"):
        read(folder)


def test_sharded_weights_are_read(folder: Path) -> None:
    whole = folder / "model.safetensors"
    expected, tensors = read(folder).weights, load_file(whole)
    names = sorted(tensors)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for part, own in parts.items():
        save_file({name: tensors[name] for name in own}, folder / part)
    whole.unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: part for part, own in parts.items() for name in own}}))
    for key, weight in read(folder).weights.items():
        np.testing.assert_array_equal(weight, expected[key])
    index.write_text(json.dumps({"weight_map": {names[0]: "../model-1.safetensors"}}))
    with pytest.raises(CorruptFileError, match="no safetensors file in its own folder"):
        read(folder)


def test_another_tokenizer_over_the_same_files_is_refused(folder: Path) -> None:
    _change(folder / "tokenizer_config.json", tokenizer_class="BertJapaneseTokenizer")
    with pytest.raises(UnsupportedModelError, match="BertJapaneseTokenizer"):
        read(folder)


def test_a_sentence_piece_vocabulary_in_the_tokenizer_file_alone_is_asked_for(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram", "vocab": [["a", 0.0]]}}))
    with pytest.raises(ModelNotFoundError, match=r"spiece\.model"):
        read(folder)


def test_settings_that_are_left_out_have_transformers_values_and_say_so(folder: Path) -> None:
    _change(folder / "config.json", layer_norm_eps="-", hidden_act="-")
    origin = read(folder).origin
    assert origin.settings["layer_norm_eps"] == "transformers' BertConfig"
    assert origin.settings["activation"] == "transformers' BertConfig"
    assert origin.settings["hidden_size"] == "config.json"
    _change(folder / "config.json", num_attention_heads="-")
    with pytest.raises(CheckpointError, match="does not store num_heads"):
        read(folder)
    assert read(folder, settings={"num_heads": 4}).config.num_heads == 4


def test_the_names_of_outputs_must_fit_the_head(folder: Path) -> None:
    path = folder / "model.safetensors"
    head = {"classifier.weight": np.ones((2, 32), np.float32), "classifier.bias": np.zeros(2, np.float32)}
    save_file({**{f"bert.{name}": tensor for name, tensor in load_file(path).items()}, **head}, path)
    _change(folder / "config.json", architectures=["BertForSequenceClassification"])
    head = read(folder).head
    assert head is not None
    assert head.labels == ("LABEL_0", "LABEL_1")
    _change(folder / "config.json", id2label={"0": "no", "2": "yes"})
    with pytest.raises(CheckpointError, match="id2label"):
        read(folder)


def test_half_precision_weights_become_float32(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({name: tensor.astype(np.float16) for name, tensor in tensors.items()}, path)
    for key, weight in read(folder).weights.items():
        assert weight.dtype == np.float32, key
    np.testing.assert_array_equal(
        read(folder).weights["bert/embeddings/word_embeddings"],
        tensors["embeddings.word_embeddings.weight"].astype(np.float16).astype(np.float32),
    )


def test_bfloat16_weights_become_float32(folder: Path) -> None:
    path = folder / "model.safetensors"
    expected = {}
    header, data = {}, b""
    for name, tensor in load_file(path).items():
        bits = (tensor.astype("<f4").view(np.uint32) >> 16).astype("<u2")
        expected[name] = (bits.astype(np.uint32) << 16).view(np.float32)
        raw = bits.tobytes()
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    encoded = json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)
    np.testing.assert_array_equal(
        read(folder).weights["bert/embeddings/word_embeddings"], expected["embeddings.word_embeddings.weight"]
    )


def test_heads_are_left_aside(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    prefixed = {f"bert.{name}": tensor for name, tensor in tensors.items()}
    save_file({**prefixed, "classifier.weight": np.zeros((2, 32), np.float32)}, path)
    assert read(folder).origin.unused == ("classifier.weight",)
    save_file({**prefixed, "bert.embeddings.adapter.weight": np.zeros((2, 32), np.float32)}, path)
    with pytest.raises(UnsupportedModelError, match=r"bert\.embeddings\.adapter\.weight"):
        read(folder)


def test_a_model_without_pooler_is_read(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file({name: tensor for name, tensor in load_file(path).items() if "pooler" not in name}, path)
    assert read(folder).config.pooler is False


@pytest.mark.parametrize("size", [0, 4, 100, 5000, -1])
def test_a_truncated_file_is_an_error(folder: Path, size: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptFileError, match=r"model\.safetensors is damaged"):
        read(folder)


@pytest.mark.parametrize("shape", [[0, 2**40], [1] * 70])
def test_a_shape_that_no_weight_has_is_an_error(folder: Path, shape: list[int]) -> None:
    size = 4 * int(np.prod(shape, dtype=object))
    header = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    with pytest.raises(CorruptFileError, match="no weight's"):
        read(folder)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": ' * 100_000])
def test_a_configuration_that_is_no_object_is_an_error(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(CorruptFileError, match=r"config\.json"):
        read(folder)


def test_special_pieces_can_have_other_names(folder: Path) -> None:
    path = folder / "vocab.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("[CLS]", "<s>"), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"lacks \[CLS\]"):
        read(folder)
    _change(folder / "tokenizer_config.json", cls_token={"content": "<s>", "lstrip": False})
    assert read(folder).vocabulary.classify == "<s>"


def test_an_unreadable_file_is_named(folder: Path) -> None:
    (folder / "vocab.txt").unlink()
    (folder / "vocab.txt").mkdir()
    with pytest.raises(ModelError, match="vocabulary"):
        read(folder)
