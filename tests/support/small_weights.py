"""Inputs of `tests/amplify.py`: files of PyTorch and Flax, small on disk, and large or slow when they are read."""

import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from support.torch_files import (
    NUMBERS,
    integer,
    integers,
    name,
    ordered,
    row,
    state,
    storage,
    tensor,
    text,
    write_zip,
)

__all__ = ["FILES"]

Build = Callable[[Path, int], None]


def _pickle(value: Callable[[int], bytes], protocol: int = 2) -> Build:
    """A file of the older form, which has least around its pickle; that has these instructions for its value."""

    def build(folder: Path, size: int) -> None:
        (folder / "pytorch_model.bin").write_bytes(row(bytes([0x80, protocol]) + value(size) + b"."))

    return build


def _listed(item: bytes) -> Callable[[int], bytes]:
    """Items in a list, a thousand at a time, as `pickle` writes them."""
    return lambda size: b"]" + (b"(" + item * 1000 + b"e") * (size // 1000 + 1)


def _key(number: int) -> bytes:
    return b"\x8c\x08" + f"{number:08x}".encode()


def _laughs(size: int) -> bytes:
    return b")" + b"".join(b"\x94j" + struct.pack("<I", level) + b"\x86" for level in range(size))


def _numbers_as_keys(size: int) -> bytes:
    return b"}" + b"".join(integer((number << 20) & 0x7FFFFFFF) + b"Ns" for number in range(min(size, 2000)))


def _aliases(size: int) -> bytes:
    return b"}" + _key(size) + tensor() + b"q\x00s" + b"".join(_key(number) + b"h\x00s" for number in range(size))


def _tensors(folder: Path, size: int) -> None:
    """Many tensors of one number, in one storage, of what the memo holds."""
    memo = {"m": name("torch._utils", "_rebuild_tensor_v2"), "s": storage("0", size, "BoolStorage")}
    memo |= {"n": integers([1]), "h": ordered()}
    begin = b"".join(text(key) + value + b"q" + bytes([n]) + b"s" for n, (key, value) in enumerate(memo.items()))
    views = (b"h\x00(h\x01" + integer(number) + b"h\x02h\x02\x89h\x03tR" for number in range(size))
    entries = b"".join(_key(number) + view + b"s" for number, view in enumerate(views))
    write_zip(folder / "pytorch_model.bin", b"\x80\x02}" + begin + entries + b".", {"0": bytes(size)})


def _views(folder: Path, size: int) -> None:
    """Large tensors of half precision, each of which would become a copy."""
    on_it = {f"w{n}": tensor((size - n,), (1,), n, storage("0", size, "HalfStorage")) for n in range(64)}
    write_zip(folder / "pytorch_model.bin", state(**on_it), {"0": bytes(2 * size)})


def _storages(folder: Path, size: int) -> None:
    tensors = {f"{n}": tensor((1,), (1,), 0, storage(f"{n}", 1, "BoolStorage")) for n in range(size)}
    write_zip(folder / "pytorch_model.bin", state(**tensors), {f"{n}": b"\1" for n in range(size)})


def _members(folder: Path, size: int) -> None:
    write_zip(folder / "pytorch_model.bin", state(a=tensor()), members={f"{n}": b"" for n in range(size)})


def _packed(storage_bytes: int, lists: int) -> Build:
    """An archive that unpacks to as much as it may: to so many bytes of half floats, and so many empty lists."""

    def build(folder: Path, size: int) -> None:
        count = storage_bytes * size // 2
        halves = tensor((count,), (1,), 0, storage("0", count, "HalfStorage")) if count else tensor()
        pickled = state(a=halves, b=_listed(b"]")(lists * size) if lists else b"N")
        stored = {"0": bytes(2 * count) if count else NUMBERS, "1": random.Random(0).randbytes(size)}
        write_zip(folder / "pytorch_model.bin", pickled, stored, compression=zipfile.ZIP_DEFLATED)

    return build


def _msgpack(value: Callable[[int], bytes]) -> Build:
    def build(folder: Path, size: int) -> None:
        (folder / "flax_model.msgpack").write_bytes(b"\x81\xa1w" + value(size))

    return build


def _array(shape: int, data: bytes) -> bytes:
    inner = b"\x93\x91" + bytes([shape]) + b"\xa4bool\xc4" + bytes([len(data)]) + data
    return b"\xc7" + bytes([len(inner)]) + b"\x01" + inner


def _map(value: bytes, size: int) -> bytes:
    return b"\xdf" + struct.pack(">I", size) + b"".join(b"\xa8" + f"{n:08x}".encode() + value for n in range(size))


def _many(item: bytes) -> Callable[[int], bytes]:
    return lambda size: b"\xdd" + struct.pack(">I", size) + item * size


def _below_a_long_name(size: int) -> bytes:
    long = b"\xdb" + struct.pack(">I", 10 * size) + b"k" * (10 * size)
    return b"\x81" + long + _map(_array(1, b"\1"), size)


FILES: dict[str, tuple[Build, int]] = {
    "pickle-lists": (_pickle(_listed(b"]")), 400_000),
    "pickle-dictionaries": (_pickle(_listed(b"}")), 400_000),
    "pickle-entries": (_pickle(_listed(b"}K\x01Ns")), 200_000),
    "pickle-tuples": (_pickle(lambda size: b")" + b"\x85" * size), 500_000),
    "pickle-nothing": (_pickle(_listed(b"N")), 1_000_000),
    "pickle-numbers": (_pickle(_listed(b"M\xff\xff")), 300_000),
    "pickle-texts": (_pickle(_listed(text("ab"))), 200_000),
    "pickle-wide-texts": (_pickle(_listed(text("é😀é"))), 200_000),
    "pickle-memo": (_pickle(lambda size: b"}" + b"\x94" * size, 4), 500_000),
    "pickle-laughs": (_pickle(_laughs, 4), 100_000),
    "pickle-number-keys": (_pickle(_numbers_as_keys), 1000),
    "torch-aliases": (_pickle(_aliases), 100_000),
    "torch-tensors": (_tensors, 5_000),
    "torch-views": (_views, 100_000),
    "torch-storages": (_storages, 7_000),
    "torch-members": (_members, 20_000),
    "torch-packed": (_packed(storage_bytes=2, lists=0), 2_000_000),
    "torch-packed-pickle": (_packed(storage_bytes=0, lists=2), 500_000),
    "msgpack-maps": (_msgpack(_many(b"\x80")), 500_000),
    "msgpack-lists": (_msgpack(_many(b"\x90")), 500_000),
    "msgpack-numbers": (_msgpack(_many(b"\x01")), 500_000),
    "msgpack-arrays": (_msgpack(lambda size: _map(_array(1, b"\1"), size)), 40_000),
    "msgpack-scopes": (_msgpack(lambda size: _map(b"\x80", size)), 100_000),
    "msgpack-long-name": (_msgpack(_below_a_long_name), 10_000),
}
"""What builds a file in a folder, and the smaller of its two sizes. PyTorch's are called pytorch_model.bin."""
