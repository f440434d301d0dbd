"""Weights beside safetensors: from each kind of file the same model, and the same as transformers makes of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from berthub.engines.engine import PaddedBatch
from berthub.engines.numpy import NumpyEngine
from berthub.errors import CorruptFileError, ModelNotFoundError
from berthub.formats import read
from berthub.formats.huggingface.weights import FILES, KINDS, read_weights
from berthub.formats.table import find_model
from berthub.networks.outputs import Output
from support.torch_files import name, plain, write_zip
from support.transformers_models import torch, transformers

_NAMES = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "foreign_names.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    """A Hugging Face folder without its weights."""
    return Path(
        shutil.copytree(models / "hf_bert", tmp_path / "hf_bert", ignore=shutil.ignore_patterns("*.safetensors"))
    )


@pytest.fixture(scope="module")
def tensors(models: Path) -> dict[str, Any]:
    return {key: torch.from_numpy(array) for key, array in load_file(models / "hf_bert" / "model.safetensors").items()}


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("prefix", ["", "bert.", "module.bert.", "model."])
def test_a_pickle_gives_the_weights_of_safetensors(
    older: bool, prefix: str, folder: Path, tensors: dict[str, Any], models: Path
) -> None:
    renamed = {
        prefix + key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for key, tensor in tensors.items()
    }
    path = folder / "pytorch_model.bin"
    torch.save(renamed, path, _use_new_zipfile_serialization=not older)
    found, expected = read(folder), read(models / "hf_bert")
    assert found.origin.format == "Hugging Face folder with pytorch_model.bin"
    assert find_model(folder)[0].name == "Hugging Face folder without safetensors"
    assert found.config == expected.config
    for key, weight in expected.weights.items():
        np.testing.assert_array_equal(found.weights[key], weight)
        assert not found.weights[key].flags.owndata


def test_a_sharded_pickle_is_read(folder: Path, tensors: dict[str, Any], models: Path) -> None:
    names = sorted(tensors)
    parts = {"pytorch_model-1.bin": names[::2], "pytorch_model-2.bin": names[1::2]}
    for part, own in parts.items():
        torch.save({key: tensors[key] for key in own}, folder / part)
    index = folder / "pytorch_model.bin.index.json"
    listed = {key: part for part, own in parts.items() for key in own}
    index.write_text(json.dumps({"metadata": {}, "weight_map": listed}))
    for key, weight in read(models / "hf_bert").weights.items():
        np.testing.assert_array_equal(read(folder).weights[key], weight)
    index.write_text(json.dumps({"weight_map": {**listed, names[0]: "../pytorch_model-1.bin"}}))
    with pytest.raises(CorruptFileError, match="no bin file in its own folder"):
        read(folder)
    index.write_text(json.dumps({"weight_map": {**listed, names[0]: "pytorch_model-2.bin"}}))
    with pytest.raises(CorruptFileError, match=r"index\.json is damaged: it has"):
        read(folder)
    torch.save(tensors, folder / "pytorch_model-2.bin")
    with pytest.raises(CorruptFileError, match="both hold"):
        read(folder)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_floats_become_float32(dtype: str, folder: Path, tensors: dict[str, Any]) -> None:
    narrow = {key: tensor.to(getattr(torch, dtype)) for key, tensor in tensors.items()}
    torch.save(narrow, folder / "pytorch_model.bin")
    table = read(folder).weights["bert/embeddings/word_embeddings"]
    np.testing.assert_array_equal(table, narrow["embeddings.word_embeddings.weight"].float().numpy())


def test_the_first_kind_of_file_counts(folder: Path, tensors: dict[str, Any], models: Path) -> None:
    for file in FILES:
        (folder / file).write_bytes(b"")
    left = list(FILES)
    while left:
        with pytest.raises(CorruptFileError) as caught:
            read_weights(folder)
        assert str(folder / left[0]) in str(caught.value)
        (folder / left.pop(0)).unlink()
    with pytest.raises(ModelNotFoundError, match=r"none of model\.safetensors, .*flax_model\.msgpack\.index\.json"):
        read_weights(folder)
    shutil.copy(models / "hf_bert" / "model.safetensors", folder)
    write_zip(folder / "pytorch_model.bin", plain(name("os", "system")))
    assert read(folder).origin.format == "Hugging Face folder"


@pytest.mark.parametrize("saved", ["tf_bert", "tf_bert_sharded", "flax_bert", "flax_bert_sharded"])
def test_tensorflows_and_flaxs_folders_give_their_numbers(saved: str, models: Path) -> None:
    if saved.startswith("tf"):
        pytest.importorskip("h5py")
    checkpoint = read(models / saved)
    file = "tf_model.h5" if saved.startswith("tf") else "flax_model.msgpack"
    assert checkpoint.origin.format == f"Hugging Face folder with {file}"
    assert not checkpoint.origin.unused
    with np.load(models / saved / "golden.npz") as golden:
        arrays = {key.removeprefix("a."): golden[key] for key in golden.files}
    batch = [arrays[key] for key in ("input_word_ids", "input_mask", "input_type_ids")]
    outputs = [Output().resolved(checkpoint.config), Output(pooling="pooled").resolved(checkpoint.config)]
    (result,) = NumpyEngine(checkpoint).run([PaddedBatch(*batch, rows=np.arange(2))], outputs)
    sequence, pooled = (np.array(output) for output in result.outputs)
    inside = arrays["input_mask"].astype(bool)
    np.testing.assert_allclose(sequence[inside], arrays["sequence_output"][inside], rtol=0, atol=1e-5)
    np.testing.assert_allclose(pooled, arrays["pooled_output"], rtol=0, atol=1e-5)
    equal = read(models / saved.replace("_sharded", "")).weights
    assert all(np.array_equal(weight, equal[key]) for key, weight in checkpoint.weights.items())


@pytest.mark.parametrize("case", _NAMES, ids=[f"{case['by']}{case['title']}{case['kind']}" for case in _NAMES])
def test_names_and_shapes_become_those_of_pytorch(case: dict[str, Any]) -> None:
    kind = next(kind for kind in KINDS if kind.whole == {"TF": "tf_model.h5", "Flax": "flax_model.msgpack"}[case["by"]])
    config = getattr(transformers, f"{case['title']}Config")(**case["config"])
    model = getattr(transformers, f"{case['title']}{case['kind']}")(config)
    arrays = ((name, np.broadcast_to(np.float32(0), shape)) for name, shape in case["names"].items())
    found = {name: array.shape for name, array in kind.renamed(((*each, "x") for each in arrays), Path("x")).items()}
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    # TensorFlow's MPNet has its pooler below heads, too, where nothing uses it.
    assert {each for each in found.items() if "mpnet.pooler" not in each[0]} <= set(expected.items())
    # What is tied to the table and the bias.
    assert all(
        "decoder" in name or name.endswith(("lm_head.weight", "projector.weight")) for name in expected.keys() - found
    )
