import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from berthub.errors import ChecksumError, InputError
from berthub.sources.checksum import Pins, check_file, check_folder, hash_file, is_sha256, read_pins

A, B, C = (letter * 64 for letter in "abc")


def test_reading_pins() -> None:
    assert read_pins(None) == Pins()
    assert not read_pins(None)
    assert not read_pins({})
    assert read_pins(A.upper()) == Pins(whole=A)
    pins = read_pins({"./v/model.safetensors": A.upper(), "w\\x": B})
    assert pins.files == {"v/model.safetensors": A, "w/x": B}


@pytest.mark.parametrize(
    "pin", ["", "12", A[:-1], A + "a", "g" * 64, f" {A}", 5, b"a" * 64, {"f": "12"}, {"": A}, {3: A}, {"f": None}]
)
def test_what_is_no_pin(pin: object) -> None:
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        read_pins(pin)  # type: ignore[arg-type]


def test_is_sha256() -> None:
    assert is_sha256(A)
    assert not is_sha256(A + "\n")
    assert not is_sha256(None)


def test_hash_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"content")
    assert hash_file(tmp_path / "f") == hashlib.sha256(b"content").hexdigest()


def test_a_mismatch_says_expected_and_actual() -> None:
    check_file("f", expected=A, actual=A)
    with pytest.raises(ChecksumError, match=f"f is not what was pinned: expected SHA-256 {A}, actual SHA-256 {B}"):
        check_file("f", expected=A, actual=B)


FOLDER = {"m/model.safetensors": A, "m/vocab.txt": B, "n/vocab.txt": C, "README": A}


def check(pins: Pins, files: Mapping[str, str] = FOLDER, *, weights_too: bool = True) -> None:
    check_folder(pins, where="here", names=files, digest=files.__getitem__, weights_too=weights_too)


def test_files_are_found_by_name_or_path() -> None:
    check(Pins(whole=A))
    check(Pins(files={"model.safetensors": A, "m/vocab.txt": B, "n/vocab.txt": C}))
    check(Pins(whole=B), weights_too=False)


@pytest.mark.parametrize("shard", ["variables/variables.data-00000-of-00001", "bert_model.ckpt.data-00000-of-00001"])
def test_tensorflow_weights_are_weights(shard: str) -> None:
    check(Pins(whole=C), {shard: C, "variables.index": A})


@pytest.mark.parametrize(
    ("pins", "error", "why"),
    [
        (Pins(whole=B), ChecksumError, "m/model.safetensors in here is not what was pinned"),
        (Pins(files={"m/vocab.txt": C}), ChecksumError, "m/vocab.txt in here is not what was pinned"),
        (Pins(files={"absent": C}), ChecksumError, "'absent' was pinned, and here has no such file"),
        (Pins(files={"odel.safetensors": A}), ChecksumError, "no such file"),
        (Pins(files={"vocab.txt": B}), InputError, "several files of that name: m/vocab.txt, n/vocab.txt"),
    ],
)
def test_refusals(pins: Pins, error: type[Exception], why: str) -> None:
    with pytest.raises(error) as caught:
        check(pins)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "0_T/pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "model.onnx", "b.gguf"]
)
def test_other_formats_of_weights_count_where_there_are_no_better_ones(name: str) -> None:
    check(Pins(whole=A), {name: A, "training_args.bin": B, "config.json": B})
    check(Pins(whole=B), {name: A, "model.safetensors": B})


def test_one_pin_needs_one_file_of_weights() -> None:
    with pytest.raises(InputError, match=r"2 files of weights: a.safetensors, b.safetensors.*by its name"):
        check(Pins(whole=A), {"a.safetensors": A, "b.safetensors": B})
    with pytest.raises(ChecksumError, match="no file of weights"):
        check(Pins(whole=A), {"README": A})
