from pathlib import Path

import pytest

from berthub.errors import HandleError
from berthub.sources.handle import parse
from berthub.sources.kinds import LocalFolder


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.onnx", "is a graph of ONNX. Give its folder"),
        ("model.weights.h5", "a KerasHub preset, or transformers' with tf_model.h5"),
        ("flax_model.msgpack", "Flax's weights"),
        ("pytorch_model.bin", "the weights as pytorch_model.bin"),
        ("model.PT", "no other object of a pickle is ever made"),
        ("model.safetensors", "Give the folder that holds it: "),
        ("saved_model.pb", "Give the folder that holds it: "),
        ("bert_model.ckpt.index", "a part of the checkpoint bert_model.ckpt. Give its folder, "),
        ("bert_model.ckpt.data-00000-of-00001", "a part of the checkpoint bert_model.ckpt. Give its folder, "),
    ],
)
def test_a_single_file_is_told_what_it_is(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(HandleError) as caught:
        parse(str(tmp_path / name))
    assert said in str(caught.value)
    if "Give the folder that holds it" in said:
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("name", ["bert_model.ckpt", "model.ckpt-343"])
def test_the_name_of_a_checkpoint_is_told_its_folder(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{name}.index").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    for handle in (name, f"./{name}", str(tmp_path / name)):
        with pytest.raises(HandleError, match=r"is the name of a checkpoint.*Give its folder, ") as caught:
            parse(handle)
        assert str(tmp_path) in str(caught.value)
    assert parse(str(tmp_path)) == LocalFolder(tmp_path)
