"""Damage the bytes of a file at random, in ways that reach what lies behind its checksums."""

import io
import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from berthub.containers.protos import parse
from berthub.containers.sstable import read_table
from berthub.errors import BerthubError
from support.bundles import table

__all__ = ["damage"]

_NUMBERS = (0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 1e308, float("nan"), float("inf"), 0.5)
_TEXTS = ("", "x", "a/b", "../../../etc/passwd", "x" * 1000, "group_0/layer_99999999999/inner_group_0/x")


def damage(path: Path, chance: random.Random) -> None:
    """Change the file in one of many ways."""
    data = bytearray(path.read_bytes())
    ways = [_flip, _flip, _truncate, _extend, _overwrite, _repeat, _lengths]
    if path.suffix == ".json":
        ways += [_json, _json, _json]
    if path.suffix == ".index":
        ways += [_entries] * 20
    if path.name == "saved_model.pb":
        ways += [_messages] * 7
    if data[:2] == b"PK":
        ways += [_member] * 14
    path.chmod(0o644)
    path.write_bytes(bytes(chance.choice(ways)(data, chance)))


def _flip(data: bytearray, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 8, 64))):
        if data:
            data[_position(data, chance)] ^= 1 << chance.randrange(8)
    return data


def _truncate(data: bytearray, chance: random.Random) -> bytes:
    return data[: chance.choice((0, 1, 8, 47, 48, chance.randrange(len(data) + 1), max(0, len(data) - 1)))]


def _extend(data: bytearray, chance: random.Random) -> bytes:
    return data + chance.randbytes(chance.choice((1, 7, 48, 4096)))


def _overwrite(data: bytearray, chance: random.Random) -> bytes:
    start = _position(data, chance) if data else 0
    length = chance.choice((1, 4, 8, 100))
    data[start : start + length] = chance.choice((b"\0", b"\xff", b"\x80", chance.randbytes(1))) * length
    return data


def _repeat(data: bytearray, chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + chance.choice((1, 16, 512)))
    return data[:end] + data[start:end] * chance.choice((1, 3)) + data[end:]


def _lengths(data: bytearray, chance: random.Random) -> bytes:
    """A stretch that may be a length, of a varint or a fixed width, becomes a large one."""
    start = _position(data, chance) if data else 0
    large = chance.choice((b"\xff\xff\xff\xff\x07", b"\xff" * 9 + b"\x01", b"\xff\xff\xff\x7f", b"\xff" * 7 + b"\x7f"))
    data[start : start + len(large)] = large
    return data


def _entries(data: bytearray, chance: random.Random) -> bytes:
    """Entries of an index are damaged, and the index is written with checksums that fit."""
    try:
        entries = read_table(bytes(data))
    except BerthubError:  # damaged before, in this same case
        return data
    for key in chance.sample(sorted(entries), k=min(len(entries), chance.choice((1, 1, 2, 10)))):
        damaged = bytearray(entries.pop(key) if chance.random() < 0.9 else key)
        way = chance.choice((_flip, _flip, _truncate, _overwrite, _lengths))
        entries[key if chance.random() < 0.9 else bytes(_flip(bytearray(key), chance))] = bytes(way(damaged, chance))
    return table(entries, block_size=chance.choice((64, 1 << 20)))


def _member(data: bytearray, chance: random.Random) -> bytes:
    """A member of an archive, the pickle more often than others, is damaged, and gets a checksum that fits."""
    written = io.BytesIO()
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = {name: bytearray(archive.read(name)) for name in archive.namelist()}
    except Exception:  # damaged before, in this same case
        return data
    with zipfile.ZipFile(written, "w") as changed:
        chosen = chance.choice((next(iter(members)), chance.choice(list(members))))
        for name, member in members.items():
            way = chance.choice((_flip, _flip, _truncate, _extend, _overwrite, _repeat, _lengths))
            changed.writestr(name, bytes(way(member, chance) if name == chosen else member))
    return written.getvalue()


def _messages(data: bytearray, chance: random.Random) -> bytes:
    """A field somewhere within a SavedModel or one of its graphs gets another value, or goes."""
    try:
        saved_model = parse("SavedModel", bytes(data), source="a model")
        for _ in range(chance.choice((1, 3, 10))):
            graphs = [meta_graph for meta_graph in saved_model.meta_graphs if meta_graph.graph_def]
            if graphs and chance.random() < 0.5:
                meta_graph = chance.choice(graphs)
                graph = parse("GraphDef", meta_graph.graph_def, source="a graph")
                _change_field(graph, chance)
                meta_graph.graph_def = graph.SerializeToString()
            else:
                _change_field(saved_model, chance)
    except BerthubError:  # damaged before, in this same case
        return data
    return bytes(saved_model.SerializeToString())


def _change_field(message: Any, chance: random.Random) -> None:
    while fields := message.ListFields():
        field, value = chance.choice(fields)
        repeated = not isinstance(value, str | bytes | int | float) and not hasattr(value, "ListFields")
        if chance.random() < 0.1:
            message.ClearField(field.name)
            return
        index = chance.randrange(len(value)) if repeated else 0
        one = value[index] if repeated else value
        if hasattr(one, "ListFields"):
            message = one
            continue
        changed: Any = chance.randbytes(chance.choice((0, 1, 4, 9)))
        if isinstance(one, str):
            changed = chance.choice((*_TEXTS, one[::-1], one[:-1]))
        elif not isinstance(one, bytes):
            changed = type(one)(chance.choice((0, 1, 2, 10, 2**31 - 1, -1)))
        if repeated:
            value[index] = changed
        else:
            setattr(message, field.name, changed)
        return


def _json(data: bytearray, chance: random.Random) -> bytes:
    """One value anywhere in a JSON document becomes another, its key another, or it goes."""
    try:
        document = json.loads(bytes(data))
    except ValueError:  # damaged before, in this same case
        return data
    places = list(_places(document))
    if places:
        container, key = chance.choice(places)
        value: Any = chance.choice((*_NUMBERS, None, True, "", "x" * 1000, [], {}, [[]], {"a": {}}))
        if chance.random() < 0.2:
            del container[key]
        else:
            container[key] = value
    return json.dumps(document).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for key in keys[:200]:
        yield value, key
        yield from _places(value[key])


def _position(data: bytearray, chance: random.Random) -> int:
    """Any position, the first and last kilobyte more often: headers and footers are there."""
    edge = min(len(data), 1024)
    return chance.choice((chance.randrange(len(data)), chance.randrange(edge), len(data) - 1 - chance.randrange(edge)))
