"""Hostile and damaged pickles: nothing of them runs, and the error says what was asked for or what is wrong."""

import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from berthub.containers.pickles import Maker, read_pickle
from berthub.containers.torch_files import read_torch
from berthub.errors import CorruptFileError, ModelError, UnsupportedModelError
from support.torch_files import (
    PROTOCOL,
    integer,
    integers,
    many,
    name,
    ordered,
    plain,
    row,
    state,
    storage,
    tensor,
    text,
    write_zip,
)


def _call(canary: Path) -> bytes:
    """Instructions that touch the file, for a reader that does what they say."""
    return name("os", "system") + many(text(f"touch {canary}")) + b"R"


def _laughs(levels: int) -> bytes:
    """A tuple of two, each of two ... : 2 to the power of `levels` items, of which none is there twice."""
    return b")" + b"".join(b"\x94" + b"h" + bytes([level]) + b"\x86" for level in range(levels))


def _global(module: str, attribute: str) -> bytes:
    return (
        b"\x80\x04\x8c"
        + bytes([len(module)])
        + module.encode()
        + b"\x8c"
        + bytes([len(attribute)])
        + (attribute.encode() + b"\x93)R.")
    )


_ASKS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "reduce": (lambda canary: plain(_call(canary)), "'os.system'"),
    "reduce of posix": (lambda canary: plain(_call(canary).replace(b"cos\n", b"cposix\n")), "'posix.system'"),
    "reduce beside weights": (lambda canary: state(a=tensor(), b=_call(canary)), "'os.system'"),
    "reduce for a key": (lambda canary: PROTOCOL + b"}" + _call(canary) + tensor() + b"s.", "'os.system'"),
    "reduce in a tensor": (lambda canary: state(a=tensor((2, 3), (3, 1), 0, None, _call(canary))), "'os.system'"),
    "reduce in a storage": (
        lambda canary: state(a=tensor((2, 3), (3, 1), 0, many(text("storage"), _call(canary)) + b"Q")),
        "'os.system'",
    ),
    "reduce in a state": (lambda canary: plain(ordered() + _call(canary) + b"b"), "'os.system'"),
    "reduce after the memo": (lambda canary: plain(b"}q\x000" + _call(canary)), "instruction POP"),
    "stack_global": (lambda canary: _global("os", "system"), "'os.system'"),
    "a harmless name": (lambda canary: plain(name("builtins", "len")), "'builtins.len'"),
    "a harmless class": (lambda canary: _global("collections", "Counter"), "'collections.Counter'"),
    "eval": (
        lambda canary: plain(name("builtins", "eval") + many(text(f"open({str(canary)!r}, 'w')")) + b"R"),
        "'builtins.eval'",
    ),
    "a nested pickle": (
        lambda canary: plain(
            name("pickle", "loads")
            + many(b"B" + len(plain(_call(canary))).to_bytes(4, "little") + plain(_call(canary)))
        ),
        "'pickle.loads'",
    ),
    "an attribute of what is known": (
        lambda canary: _global("torch", "_utils._rebuild_tensor_v2.__globals__"),
        "__globals__",
    ),
    "another function of torch": (lambda canary: plain(name("torch.hub", "load")), "'torch.hub.load'"),
    "a module of torch": (lambda canary: plain(name("torch.nn.modules.linear", "Linear")), "modules.linear.Linear"),
    "inst": (lambda canary: plain(b"(" + text(f"touch {canary}") + b"ios\nsystem\n"), "instruction INST"),
    "obj": (lambda canary: plain(b"(" + name("collections", "OrderedDict") + b"o"), "instruction OBJ"),
    "newobj": (lambda canary: plain(name("collections", "OrderedDict") + b")\x81"), "instruction NEWOBJ"),
    "newobj_ex": (lambda canary: plain(name("collections", "OrderedDict") + b")}\x92"), "instruction NEWOBJ_EX"),
    "ext1": (lambda canary: plain(b"\x82\x01"), "instruction EXT1"),
    "ext2": (lambda canary: plain(b"\x83\x01\x01"), "instruction EXT2"),
    "ext4": (lambda canary: plain(b"\x84\x01\x01\x01\x01"), "instruction EXT4"),
    "persid": (lambda canary: plain(b"Pstorage\n"), "instruction PERSID"),
    "build on a tensor": (lambda canary: plain(tensor() + b"}b"), "to set the state of an object"),
    "build on a number": (lambda canary: plain(integer(1) + b"}b"), "to set the state of an object"),
    "a call of a type": (lambda canary: plain(name("torch", "float32") + b")R"), "to call what is no function"),
    "a call of a text": (lambda canary: plain(text("os.system") + b")R"), "to call what is no function"),
    "a call without a tuple": (
        lambda canary: plain(name("collections", "OrderedDict") + b"]R"),
        "to call what is no function",
    ),
    "an out-of-band buffer": (lambda canary: plain(b"\x97"), "instruction NEXT_BUFFER"),
    "a large bytearray": (lambda canary: plain(b"\x96" + b"\xff" * 7 + b"\x7f"), "instruction BYTEARRAY8"),
    "a text of protocol 0": (lambda canary: plain(b"S'a'\n"), "instruction STRING"),
}


@pytest.mark.parametrize("kind", _ASKS)
@pytest.mark.parametrize("older", [False, True])
def test_nothing_but_tensors_is_made(kind: str, older: bool, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    build, asked = _ASKS[kind]
    path = tmp_path / "pytorch_model.bin"
    if older:
        path.write_bytes(row(build(canary)))
    else:
        write_zip(path, build(canary))
    with pytest.raises(UnsupportedModelError, match=r"pytorch_model\.bin is refused: its pickle asks") as caught:
        read_torch(path)
    assert asked in str(caught.value)
    assert "model.safetensors" in str(caught.value)
    assert not canary.exists()


def test_the_canary_lives(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    assert pickle.loads(plain(_call(canary))) == 0
    assert canary.exists()


_DAMAGED: dict[str, tuple[bytes, str]] = {
    "no end": (PROTOCOL + b"}", "1 bytes, of which 0 are there"),
    "nothing": (b"", "1 bytes, of which 0"),
    "no value": (plain(b""), "0 values at its end"),
    "two values": (plain(b"}}"), "2 values at its end"),
    "an open list": (plain(b"}("), "1 values at its end"),
    "no such instruction": (plain(b"\xfe"), "0xfe, which is no instruction"),
    "a value taken from nothing": (plain(b"a"), "without a value"),
    "a value taken from before the list": (plain(b"](a"), "without a value"),
    "an end without a beginning": (plain(b"t"), "never began"),
    "an item for a number": (plain(b"K\x01Na"), "what is no list"),
    "items for a tuple": (plain(b")(Ne"), "what is no list"),
    "an entry for a list": (plain(b"]NNs"), "what is no dictionary"),
    "a key without a value": (plain(b"}(" + text("a") + b"u"), "what is no dictionary"),
    "a key twice": (plain(b"}(" + (text("a") + b"N") * 2 + b"u"), "the key 'a' twice"),
    "a tuple as key": (plain(b"})Ns"), "a key that is neither"),
    "endless laughs as key": (b"\x80\x04}" + _laughs(60) + b"Ns.", "a key that is neither"),
    "none under the number": (plain(b"h\x05"), "no value under the number 5"),
    "two under one number": (plain(b"}q\x00q\x00"), "two values under the number 0"),
    "a name that is no text": (plain(b"NN\x93"), "a name that is no text"),
    "a name without end": (plain(b"c" + b"a" * 1000), "a name that does not end"),
    "a name of no characters": (plain(b"c\xff\n\xff\n"), "no UTF-8"),
    "a text of no characters": (plain(b"X\x01\0\0\0\xff"), "no UTF-8"),
    "a frame that lies": (b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f}.", "a frame of 9,223,372,036,854,775,807 bytes"),
    "a long integer": (plain(b"\x8a\xff" + bytes(255)), "an integer of 255 bytes"),
    "an integer of gigabytes": (plain(b"\x8b\xff\xff\xff\x7f"), "an integer of 2,147,483,647 bytes"),
    "an integer below nothing": (plain(b"\x8b\xff\xff\xff\xff"), "an integer of 4,294,967,295 bytes"),
    "bytes of exabytes": (plain(b"\x8e" + b"\xff" * 7 + b"\x7f"), "9,223,372,036,854,775,807 bytes, of which"),
    "a text of exabytes": (plain(b"\x8d" + b"\xff" * 8), "18,446,744,073,709,551,615 bytes, of which"),
    "a text of gigabytes": (plain(b"X\xff\xff\xff\xff"), "4,294,967,295 bytes, of which"),
    "lists in lists": (plain(b"(" * 100 + b"t" * 100), "lists more than 64 deep"),
    "too many values": (plain(b"N" * 40_000), "more than 32,768 values"),
    "too many lists": (plain(b"(" + b"]" * 100_000 + b"t"), "call for"),
    "too many in the memo": (plain(b"}" + b"\x94" * 100_000), "call for"),
    "tuples in tuples": (plain(b")" + b"\x85" * 100_000), "call for"),
    "bytes behind it": (plain(b"}") + b"N", "1 bytes are left after its pickle"),
}


@pytest.mark.parametrize("kind", _DAMAGED)
def test_damage_is_named(kind: str, tmp_path: Path) -> None:
    pickled, fault = _DAMAGED[kind]
    path = write_zip(tmp_path / "x.bin", pickled)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFileError) as caught:
            read_torch(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert fault in str(caught.value)
    assert peak < 48 * path.stat().st_size + (1 << 20)


@pytest.mark.parametrize("version", [0, 1, 6, 255])
def test_other_protocols_are_refused(version: int) -> None:
    with pytest.raises(UnsupportedModelError, match=f"protocol {version}"):
        read_pickle(memoryview(bytes([0x80, version]) + b"N."), source="x")


def test_a_pickle_that_ends_anywhere_is_an_error(tmp_path: Path) -> None:
    pickled = state(a=tensor(), b=integers([1, 2]) + b"q\x01", c=many(storage()) + b"r\x02\0\0\0")
    assert read_torch(write_zip(tmp_path / "x.bin", pickled))["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    for size in range(0, len(pickled), 3):
        with pytest.raises(ModelError, match=r"is damaged|is refused"):
            read_torch(write_zip(tmp_path / "x.bin", pickled[:size]))


def test_endless_values_are_passed_over(tmp_path: Path) -> None:
    laughs = _laughs(60)
    circle = b"]\x94h" + bytes([60]) + b"a"
    pickled = b"\x80\x04}(" + text("x") + laughs + text("y") + circle + text("w") + tensor() + b"u."
    assert list(read_torch(write_zip(tmp_path / "x.bin", pickled))) == ["w"]
    for stored in (state(w=tensor((2, 3), (3, 1), 0, None, laughs)), b"\x80\x04" + laughs + b"."):
        with pytest.raises(ModelError):
            read_torch(write_zip(tmp_path / "x.bin", stored))


def test_plain_values_are_those_of_pickle() -> None:
    value = [{"a": (1, 2.5, None, True, -7, 300, 70_000, 2**70), 3: b"x" * 300, "é": ["y" * 300, ()]}, (), False]
    for protocol in range(2, 6):
        data = b"junk" + pickle.dumps(value, protocol)
        if protocol == 2:  # which has no bytes
            data = b"junk" + pickle.dumps(value[1:], protocol)
        found, end = read_pickle(memoryview(data), 4, source="x")
        assert found == (value[1:] if protocol == 2 else value)
        assert end == len(data)


def test_what_is_known_gets_the_arguments() -> None:
    found, _ = read_pickle(
        memoryview(plain(name("a.b", "c") + integers([1, 2]) + b"R")),
        source="x",
        known={"a.b.c": Maker(lambda arguments: sum(arguments))},
    )
    assert found == 3
    with pytest.raises(UnsupportedModelError, match="for a value outside of it"):
        read_pickle(memoryview(plain(b"NQ")), source="x")
