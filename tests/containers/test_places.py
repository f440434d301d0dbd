"""Two weights on the same bytes, or one name twice: in every format an error that names them."""

import io
import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from berthub.containers.hdf5 import read_hdf5
from berthub.containers.npz import read_npz
from berthub.containers.places import check_apart
from berthub.containers.protos import parse
from berthub.containers.safetensors import read_safetensors
from berthub.containers.sstable import read_table
from berthub.containers.tensorbundle import TensorBundle
from berthub.errors import CorruptFileError, ModelError, UnsupportedModelError
from berthub.formats import read
from berthub.formats.onnx import writer as onnx_writer
from berthub.formats.onnx.reader import read_onnx
from berthub.formats.onnx.writer import write_onnx
from support import bundles
from support.tiny import tiny_checkpoint

_TWO = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(6, 12, dtype=np.float32).reshape(2, 3)}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), max_size=6))
def test_shared_bytes_are_found(places: list[tuple[int, int]]) -> None:
    taken = [byte for offset, size in places for byte in range(offset, offset + size)]
    named = [(f"w{number}", offset, size) for number, (offset, size) in enumerate(places)]
    if len(set(taken)) == len(taken):
        check_apart(named, source="x")
    else:
        with pytest.raises(CorruptFileError, match=r"x is damaged: 'w\d' and 'w\d' lie on the same bytes"):
            check_apart(named, source="x")


def _safetensors(path: Path, header: str, data: bytes) -> Path:
    encoded = header.encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)
    return path


def _entry(begin: int, end: int, shape: str = "[2]", dtype: str = "F32", more: str = "") -> str:
    return f'{{"dtype": "{dtype}", "shape": {shape}, "data_offsets": [{begin}, {end}]{more}}}'


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (f'{{"a": {_entry(0, 8)}, "a": {_entry(8, 16)}}}', "the key 'a' twice"),
        (f'{{"a": {_entry(0, 8)}, "b": {_entry(0, 8)}}}', "'a' and 'b' lie on the same bytes"),
        (f'{{"a": {_entry(0, 8)}, "b": {_entry(4, 12)}}}', "'a' and 'b' lie on the same bytes, 4 to 8"),
        (f'{{"a": {_entry(0, 4, "[1]")}, "b": {_entry(8, 16)}}}', "'b' begins at byte 8, and not at 4"),
        (f'{{"a": {_entry(0, 8)}}}', "its tensors have 8 bytes, and the file holds 16"),
        (f'{{"a": {_entry(0, 8)}, "b": {_entry(8, 16, "[3]")}}}', "'b' of type F32 and shape .* has 8 bytes"),
        (f'{{"a": {_entry(0, 16, "[2]", "F64", ", {q}k{q}: 1".format(q=chr(34)))}}}', "'a' should have"),
        (f'{{"a": {_entry(0, 16, "[true]")}}}', "'a' should have dtype"),
        (f'{{"a": {_entry(8, 0)}}}', "'a' should have dtype"),
        (f'{{"__metadata__": {{"format": 1}}, "a": {_entry(0, 16, "[4]")}}}', "should map names to texts"),
        ("[1]", "is no object"),
        ('{"a": 1}', "'a' should have dtype"),
    ],
)
def test_a_header_of_two_meanings_is_an_error(tmp_path: Path, header: str, message: str) -> None:
    with pytest.raises(CorruptFileError, match=message):
        read_safetensors(_safetensors(tmp_path / "x.safetensors", header, bytes(16)))


@given(data=st.data())
def test_what_the_library_refuses_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("flipped") / "x.safetensors"
    save_file(_TWO, path)
    changed = bytearray(path.read_bytes())
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(changed)
    try:
        theirs = load_file(path)
    except (SafetensorError, ValueError, KeyError, UnicodeError):
        with pytest.raises(ModelError):
            read_safetensors(path)
        return
    try:
        ours = read_safetensors(path)
    except ModelError:  # types that are not read, shapes that no weight has
        return
    assert theirs.keys() == ours.keys()
    for name, array in theirs.items():
        if array.dtype in (np.float32, np.int32, np.int64, np.bool_):
            np.testing.assert_array_equal(ours[name], array)


def test_a_tensor_in_two_shards_is_an_error(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(models / "hf_bert", folder)
    arrays = {name: np.array(array) for name, array in load_file(folder / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    names = list(arrays)
    halves = {"model-1.safetensors": names[:5], "model-2.safetensors": names[5:]}
    index = {"weight_map": {name: part for part, held in halves.items() for name in held}}
    for part, held in halves.items():
        save_file({name: arrays[name] for name in held}, folder / part)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    read(folder)
    save_file({name: arrays[name] + 1 for name in names[4:]}, folder / "model-2.safetensors")
    with pytest.raises(CorruptFileError, match=rf"model-1.safetensors and model-2.safetensors both hold '{names[4]}'"):
        read(folder)
    save_file({name: arrays[name] for name in names[6:]}, folder / "model-2.safetensors")
    with pytest.raises(CorruptFileError, match=rf"has '{names[5]}' in model-2.safetensors, and it lies in no file"):
        read(folder)


def test_two_variables_on_the_same_bytes_of_a_shard_are_an_error(tmp_path: Path) -> None:
    bundles.write_bundle(tmp_path / "x", _TWO)
    index = tmp_path / "x.index"
    entries = read_table(index.read_bytes())
    for change in ({b"b": entries[b"a"]}, {b"b": _moved(entries[b"b"], -4)}):
        index.write_bytes(bundles.table({**entries, **change}))
        with pytest.raises(CorruptFileError, match=r"shard 0, is damaged: 'a' and 'b' lie on the same bytes"):
            TensorBundle(tmp_path / "x")


def _moved(entry: bytes, by: int) -> bytes:
    proto = parse("BundleEntryProto", entry, source="an entry")
    proto.offset += by
    return bytes(proto.SerializeToString())


def _hard_link(file: Any) -> None:
    file["b"] = file["a"]


def _soft_link(file: Any) -> None:
    file["b"] = h5py.SoftLink("/a")


def _external_link(file: Any) -> None:
    file["b"] = h5py.ExternalLink("other.h5", "/a")


@pytest.mark.parametrize(
    ("link", "kind", "message"),
    [
        (_hard_link, CorruptFileError, "'a' and 'b' are the same object"),
        (_soft_link, UnsupportedModelError, "'b' is a link"),
        (_external_link, UnsupportedModelError, "'b' is a link"),
    ],
)
def test_links_in_hdf5_are_errors(
    tmp_path: Path, link: Callable[[Any], None], kind: type[ModelError], message: str
) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = _TWO["a"]
        link(file)
    with pytest.raises(kind, match=message):
        read_hdf5(tmp_path / "x.h5")


def test_a_circle_of_groups_in_hdf5_is_an_error(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_group("g")["back"] = file["/"]
    with pytest.raises(CorruptFileError, match="'the root' and 'g/back' are the same object"):
        read_hdf5(tmp_path / "x.h5")


def test_two_datasets_on_the_same_bytes_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        for name, array in _TWO.items():
            file[name] = array
        places = [file[name].id.get_offset() for name in _TWO]
    # Where b's description says that its bytes are, it says a's.
    first, second = (struct.pack("<Q", place) for place in places)
    data = path.read_bytes()
    assert data.count(second) == 1
    path.write_bytes(data.replace(second, first))
    with pytest.raises(CorruptFileError, match="'a' and 'b' lie on the same bytes"):
        read_hdf5(path)


def _change_onnx(folder: Path, change: Callable[[Any], None]) -> None:
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    change(model.graph.initializer)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def test_two_initializers_of_one_name_are_an_error(tmp_path: Path) -> None:
    write_onnx(tiny_checkpoint("bert"), tmp_path / "out")

    def double(tensors: Any) -> None:
        tensors.append(tensors[0])

    _change_onnx(tmp_path / "out", double)
    with pytest.raises(CorruptFileError, match="two of its tensors are called 'bert/embeddings/word_embeddings'"):
        read_onnx(tmp_path / "out")


def test_two_initializers_on_the_same_bytes_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_writer, "_LARGEST", 0)
    write_onnx(tiny_checkpoint("bert"), tmp_path / "out")

    def move(tensors: Any) -> None:
        same = [
            tensor for tensor in tensors if tensor.name.endswith(("layer_0/output/LayerNorm/gamma", "LayerNorm/beta"))
        ]
        offset = next(entry.value for entry in same[0].external_data if entry.key == "offset")
        for entry in same[1].external_data:
            entry.value = offset if entry.key == "offset" else entry.value

    _change_onnx(tmp_path / "out", move)
    with pytest.raises(CorruptFileError, match="lie on the same bytes"):
        read_onnx(tmp_path / "out")

    def twice(tensors: Any) -> None:
        move(tensors)
        tensors[0].external_data.add(key="offset", value="4")

    _change_onnx(tmp_path / "out", twice)
    with pytest.raises(CorruptFileError, match="only places in"):
        read_onnx(tmp_path / "out")


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _npz(path: Path, members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_npz_files_are_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **_TWO, columns=np.asfortranarray(_TWO["a"]), number=np.array(3, np.uint32), empty=np.zeros((0, 4)))
    with np.load(path) as theirs:
        ours = read_npz(path)
        assert sorted(ours) == sorted(theirs.files)
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name])
            assert array.dtype == theirs[name].dtype
            assert array.flags.writeable
    whole = _npy(_TWO["a"])
    huge = whole.replace(b"(2, 3)", b"(9999,)".ljust(6), 1)
    for members, compression, message in (
        ([("a.npy", whole), ("a.npy", whole)], zipfile.ZIP_STORED, r"holds a\.npy twice"),
        ([("a.npy", _npy(np.zeros(10**6)))], zipfile.ZIP_DEFLATED, "compressed"),
        ([("a.npy", whole[:-1])], zipfile.ZIP_STORED, "23 bytes for float32"),
        ([("a.npy", huge)], zipfile.ZIP_STORED, "is damaged"),
        ([("a.txt", b"x")], zipfile.ZIP_STORED, "is damaged"),
        ([("a.npy", b"x")], zipfile.ZIP_STORED, "is damaged: ValueError"),
        ([("a.npy", _pickled())], zipfile.ZIP_STORED, "is damaged"),
    ):
        with pytest.raises(CorruptFileError, match=message):
            read_npz(_npz(path, members, compression))


def _pickled() -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.array([{}], object), allow_pickle=True)
    return file.getvalue()
