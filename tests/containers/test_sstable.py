import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from berthub.containers.sstable import read_table, varint
from berthub.errors import BerthubError, CorruptFileError, UnsupportedModelError
from support import bundles

_ENTRIES = st.dictionaries(st.binary(max_size=20), st.binary(max_size=50), max_size=30)


@given(entries=_ENTRIES, block_size=st.integers(1, 500), restart_interval=st.integers(1, 20))
def test_reads_what_was_written(entries: dict[bytes, bytes], block_size: int, restart_interval: int) -> None:
    table = bundles.table(entries, block_size=block_size, restart_interval=restart_interval)
    assert read_table(table) == entries


@given(data=st.binary(max_size=200))
def test_garbage_is_an_error(data: bytes) -> None:
    with pytest.raises(CorruptFileError):
        read_table(data)


@given(st.data())
def test_a_damaged_byte_is_found_or_harmless(data: st.DataObject) -> None:
    entries = {b"a": b"1", b"ab": b"2" * 40, b"b": b""}
    table = bytearray(bundles.table(entries))
    table[data.draw(st.integers(0, len(table) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert read_table(bytes(table)) == entries  # the byte was padding, or in the unused meta-index
    except BerthubError as error:
        assert str(error)


@given(value=st.integers(0, 2**64 - 1))
def test_varint(value: int) -> None:
    encoded = bundles.varint(value)
    assert varint(encoded + b"\x01", 0) == (value, len(encoded))
    with pytest.raises(CorruptFileError, match="past the end"):
        varint(encoded[:-1], 0)


def test_a_varint_without_end_is_an_error() -> None:
    with pytest.raises(CorruptFileError, match="64 bits"):
        varint(b"\xff" * 20, 0)


def _with_compression(block: bytes, compression: bytes) -> bytes:
    """A table whose one data block is `block`, stored as it is under the name of a compression."""
    data, handle = bundles._append(b"", block, compression)
    data, meta_handle = bundles._append(data, bundles._block({}, 1))
    data, index_handle = bundles._append(data, bundles._block({b"z": handle}, 1))
    return data + (meta_handle + index_handle).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def test_snappy_blocks_are_read() -> None:
    block = bundles._block({b"key": b"value" * 10}, 1)
    compressed = pa.Codec("snappy").compress(block, asbytes=True)
    assert read_table(_with_compression(compressed, b"\x01")) == {b"key": b"value" * 10}


def test_a_damaged_snappy_block_is_an_error() -> None:
    compressed = pa.Codec("snappy").compress(bundles._block({b"key": b"value" * 10}, 1), asbytes=True)
    with pytest.raises(CorruptFileError, match="claims to hold"):
        read_table(_with_compression(b"\xff\xff\xff\xff\x07" + compressed, b"\x01"))
    with pytest.raises(CorruptFileError, match="cannot be unpacked"):
        read_table(_with_compression(compressed[:-3], b"\x01"))


def test_an_unknown_compression_is_an_error() -> None:
    with pytest.raises(UnsupportedModelError, match="compression 9"):
        read_table(_with_compression(b"\0\0\0\0", b"\x09"))


def test_a_key_that_stands_twice_is_an_error() -> None:
    block = bundles._block({b"k": b"1"}, 1)[:-8] * 2 + struct.pack("<II", 0, 1)
    with pytest.raises(CorruptFileError, match="twice"):
        read_table(_with_compression(block, b"\0"))
