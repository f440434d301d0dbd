"""GGUF files of BERT encoders, written and read back with llama.cpp's own library as the judge."""

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.containers.gguf import read_gguf
from berthub.errors import (
    ChecksumError,
    CorruptFileError,
    InferredSettingWarning,
    ModelNotFoundError,
    UnsupportedModelError,
)
from berthub.formats import read
from support.gguf_files import write_gguf
from support.needs import needs
from support.tiny import tiny_checkpoint

pytestmark = needs("gguf")
TEXTS = ["The music was great.", "Not so good, they said [MASK] unbelievable!", ""]


@pytest.fixture(scope="module")
def bert(models: Path) -> Checkpoint:
    return read(models / "hf_bert")


@pytest.mark.parametrize("brackets", [False, True])
def test_the_model_is_the_one_that_was_converted(bert: Checkpoint, tmp_path: Path, brackets: bool) -> None:
    path = write_gguf(bert, tmp_path / "bert.gguf", brackets=brackets)
    found = read(path)
    assert found.origin.format == "GGUF file"
    assert found.vocabulary.pieces == bert.vocabulary.pieces
    assert found.vocabulary.special == bert.vocabulary.special
    assert {**found.config.to_dict(), "pooler": True} == bert.config.to_dict()
    assert found.embedding.poolings == ("mean",)
    for name, weight in found.weights.items():
        np.testing.assert_array_equal(weight, bert.weights[name], err_msg=name)
    assert {name for name in bert.weights if name not in found.weights} == {
        "bert/pooler/dense/kernel",
        "bert/pooler/dense/bias",
    }


def test_ids_and_vectors(bert: Checkpoint, models: Path, tmp_path: Path) -> None:
    write_gguf(bert, tmp_path / "bert.gguf", pooling=2)
    expected = hub.load(models / "hf_bert", engine="numpy")
    for handle in (tmp_path / "bert.gguf", str(tmp_path)):
        found = hub.load(handle, engine="numpy")
        np.testing.assert_array_equal(found.encode(TEXTS).input_ids, expected.encode(TEXTS).input_ids)
        np.testing.assert_array_equal(found.embed(TEXTS), expected.embed(TEXTS, pooling="cls"))
    found.save(tmp_path / "saved")
    saved = hub.load(tmp_path / "saved", engine="numpy").embed(TEXTS)
    np.testing.assert_allclose(saved, found.embed(TEXTS), rtol=0, atol=1e-5)


def test_nomic_bert(tmp_path: Path) -> None:
    nomic = tiny_checkpoint("nomic_bert")
    path = write_gguf(nomic, tmp_path / "nomic.gguf", architecture="nomic-bert")
    found = read(path)
    said = {"pooler": True, "mlm": nomic.config.mlm, "tokenization": nomic.config.tokenization}
    assert found.config.to_dict() | said == nomic.config.to_dict()
    assert found.weights.keys() == {name for name in nomic.weights if "pooler" not in name and "cls/" not in name}
    for name, weight in found.weights.items():
        np.testing.assert_array_equal(weight, nomic.weights[name], err_msg=name)


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0"])
def test_other_kinds_as_the_library_reads_them(bert: Checkpoint, tmp_path: Path, kind: str) -> None:
    import gguf

    path = write_gguf(bert, tmp_path / "bert.gguf", kind=kind)
    reader = gguf.GGUFReader(path)
    found = read_gguf(path)
    for tensor in reader.tensors:
        expected = gguf.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(found.tensors[tensor.name], expected, err_msg=tensor.name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InferredSettingWarning)
        assert read(path).weights
    assert any("stored in 8 bits (Q8_0)" in str(each.message) for each in caught) == (kind == "Q8_0")


def test_what_is_refused(bert: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "bert.gguf"
    with pytest.raises(UnsupportedModelError, match="architecture to 'nomic-bert-moe'"):
        read(write_gguf(bert, path, architecture="nomic-bert-moe"))
    with pytest.raises(UnsupportedModelError, match=r"tokenizer of the kind 'gpt2'.*vocabulary=PATH"):
        read(write_gguf(bert, path, tokenizer="gpt2"))
    with pytest.raises(UnsupportedModelError, match=r"is of the kind Q4_0.*Files of F32"):
        read(write_gguf(bert, path, kind="Q4_0"))
    assert read(write_gguf(bert, path, pooling=4)).embedding.unsupported == ("the pooling 'rank' (pooling_type)",)
    write_gguf(bert, tmp_path / "other.gguf")
    with pytest.raises(ModelNotFoundError, match="2 GGUF files"):
        read(tmp_path)
    with pytest.raises(ChecksumError):
        hub.load(path, sha256="0" * 64)


def test_damaged_files(bert: Checkpoint, tmp_path: Path) -> None:
    whole = write_gguf(bert, tmp_path / "bert.gguf").read_bytes()
    path = tmp_path / "damaged.gguf"

    def refused(data: bytes, said: str) -> None:
        path.write_bytes(data)
        with pytest.raises((CorruptFileError, UnsupportedModelError), match=said):
            read_gguf(path)

    refused(b"", "truncated or damaged")
    refused(b"GGML" + whole[4:], "no GGUF file")
    refused(whole[:4] + struct.pack(">I", 3) + whole[8:], "other order of bytes")
    refused(whole[:8] + struct.pack("<Q", 1 << 60) + whole[16:], "entries are said to follow")
    refused(whole[:24] + struct.pack("<Q", 1 << 62) + whole[32:], "entries are said to follow")
    refused(whole[:-100], "ends behind its last byte")
    for length in range(0, len(whole) - 200_000, 1999):
        refused(whole[:length], "truncated|damaged")
    # The last tensor's place, given to all of them.
    name = b"token_embd_norm.weight"
    place = whole.index(name) + len(name) + 4 + 8 + 4
    refused(whole[:place] + struct.pack("<Q", 32) + whole[place + 8 :], "lie on the same bytes")
