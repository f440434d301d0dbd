"""Build inputs that are small on disk and large when they are read, and measure what reading each costs.

    python tests/amplify.py --all
    python tests/amplify.py index-shared-key json-lists

Each input is built in two sizes, the second twice the first, and read in a process of its own. What must hold, as
`docs/concepts/reading-files.md` promises: the memory beyond that of a process that read something harmless is at most
`MULTIPLE` times the size of the files and `BASE` bytes; and twice the size takes about twice the time. An error of
berthub's is as good as success: only the cost counts.
"""

import argparse
import io
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from berthub.containers.hdf5 import read_hdf5
from berthub.containers.npz import read_npz
from berthub.containers.protos import parse
from berthub.containers.safetensors import read_safetensors
from berthub.containers.tensorbundle import TensorBundle
from berthub.errors import BerthubError
from berthub.formats import read
from berthub.formats.huggingface.weights import read_weights
from berthub.formats.native import write_native
from berthub.formats.preprocessor import read_preprocessor
from berthub.formats.tensorflow.google_files import checkpoint_prefix
from berthub.formats.vocabularies import sentencepiece_vocabulary, wordpiece_vocabulary
from support import bundles, small_weights
from support.tiny import tiny_checkpoint

MULTIPLE = 48
BASE = 32 << 20
"""Of memory: so many times the files' bytes, and so many bytes."""
GROWTH = 3.2
"""How much longer twice the size may take: linear is 2, quadratic 4."""
SHORT = 0.3
"""Seconds under which growth is noise."""
_TRIES = 3
"""How often time is measured where it seems to grow too much: whatever else the machine does only adds to it."""


@dataclass(frozen=True)
class Attack:
    """What builds an input of about `size` units in a folder, what reads it, and the smaller of its two sizes."""

    build: Callable[[Path, int], None]
    read: Callable[[Path], object]
    size: int


@dataclass(frozen=True)
class Cost:
    """Of one reading: the files' bytes, the memory beyond the harmless process's, and seconds of the processor."""

    files: int
    memory: int
    seconds: float
    outcome: str


def faults(attack: Attack, name: str, *, scale: float = 1.0) -> tuple[list[str], list[Cost]]:
    """What the attack costs beyond the promise, in sentences, and the costs of both sizes."""
    costs = _costs(attack, name, scale)
    for _ in range(_TRIES - 1):
        if not _grows(*costs):
            break
        again = _costs(attack, name, scale)
        costs = [replace(one, seconds=min(one.seconds, other.seconds)) for one, other in zip(costs, again, strict=True)]
    small, large = costs
    found = [
        f"{name}: {cost.memory / 1e6:.0f} MB of memory for {cost.files / 1e6:.2f} MB of files"
        for cost in costs
        if cost.memory > MULTIPLE * cost.files + BASE
    ]
    if _grows(small, large):
        found.append(f"{name}: {small.seconds:.2f} s, and {large.seconds:.2f} s for twice the size")
    return found, costs


def _costs(attack: Attack, name: str, scale: float) -> list[Cost]:
    """Of both sizes, the smaller one first."""
    costs = []
    for factor in (1, 2):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            attack.build(folder, int(attack.size * scale) * factor)
            costs.append(_measure(name, folder))
    return costs


def _grows(small: Cost, large: Cost) -> bool:
    """Whether twice the size takes longer than is promised."""
    return large.seconds > SHORT and large.seconds > GROWTH * small.seconds


def _measure(name: str, folder: Path) -> Cost:
    files = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    script = [sys.executable, __file__, "--child", name, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(script, capture_output=True, text=True, timeout=300, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: the process ended with {done.returncode}\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    return Cost(files, told["memory"], told["seconds"], told["outcome"])


def _read_in_child(name: str, folder: Path) -> None:
    """Read something harmless, which imports and maps what is needed; then the input, and tell what that cost."""
    attack = ATTACKS[name]
    with tempfile.TemporaryDirectory() as scratch:
        harmless = Path(scratch)
        attack.build(harmless, 1)
        _outcome(attack, harmless)
    begin, start = _peak(), time.process_time()
    outcome = _outcome(attack, folder)
    print(json.dumps({"memory": _peak() - begin, "seconds": time.process_time() - start, "outcome": outcome}))


def _outcome(attack: Attack, folder: Path) -> str:
    try:
        attack.read(folder)
    except BerthubError as error:
        return f"{type(error).__name__}: {str(error)[:100]}"
    return "read"


def _peak() -> int:
    """The most memory that this process has had, in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # what getrusage says on Linux begins with the memory of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# --- TensorFlow's index -----------------------------------------------------------------------------------------------


def _table(blocks: list[bytes], handles: Callable[[list[bytes]], list[bytes]] = lambda handles: handles) -> bytes:
    """A table of these data blocks; `handles` changes the list of those that the index names."""
    data, named = b"", []
    for block in blocks:
        data, handle = bundles._append(data, block)
        named.append(handle)
    data, meta = bundles._append(data, bundles._block({}, 1))
    entries = [(f"{number:09d}".encode(), handle) for number, handle in enumerate(handles(named))]
    data, index = bundles._append(data, bundles.encode_block(entries, 1))
    return data + (meta + index).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def _raw_block(entries: bytes) -> bytes:
    return entries + struct.pack("<II", 0, 1)


def _index(folder: Path, table: bytes) -> None:
    (folder / "x.index").write_bytes(table)
    (folder / "x.data-00000-of-00001").write_bytes(b"")


def _entry(shared: int, key: bytes, value: bytes = b"") -> bytes:
    return bundles.varint(shared) + bundles.varint(len(key)) + bundles.varint(len(value)) + key + value


_HEADER = _entry(0, b"", b"\x08\x01")


def _shared_key(folder: Path, size: int) -> None:
    stem = _entry(0, b"k" * 100_000)
    _index(folder, _table([_raw_block(_HEADER + stem + b"".join(_entry(99_990, b"%010d" % n) for n in range(size)))]))


def _shared_short_key(folder: Path, size: int) -> None:
    stem = _entry(0, b"k" * 10_000)
    _index(folder, _table([_raw_block(_HEADER + stem + b"".join(_entry(9_990, b"%010d" % n) for n in range(size)))]))


def _one_block_often(folder: Path, size: int) -> None:
    block = _raw_block(_HEADER + b"".join(_entry(0, b"%05d" % n) for n in range(size)))
    _index(folder, _table([block], lambda handles: handles * size))


def _tiny_entries(folder: Path, size: int) -> None:
    _index(folder, _table([_raw_block(_HEADER + b"".join(_entry(0, n.to_bytes(3, "big")) for n in range(size)))]))


def _whole_entries(folder: Path, size: int) -> None:
    value = b"\x08\x01\x12\x00\x28\x00"
    _index(folder, _table([_raw_block(_HEADER + b"".join(_entry(2, b"%08d" % n, value) for n in range(size)))]))


def _snappy(folder: Path, size: int) -> None:
    import pyarrow as pa

    block = _raw_block(_HEADER + b"".join(_entry(0, b"%012d" % n, bytes(5_000)) for n in range(size)))
    packed = pa.Codec("snappy").compress(block, asbytes=True)
    data, handle = bundles._append(b"", packed, b"\x01")
    data, meta = bundles._append(data, bundles._block({}, 1))
    data, index = bundles._append(data, bundles._block({b"z": handle}, 1))
    _index(folder, data + (meta + index).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57))


def _many_dimensions(folder: Path, size: int) -> None:
    entry = parse("BundleEntryProto", b"\x12" + bundles.varint(2 * size) + b"\x12\x00" * size, source="an entry")
    _index(folder, bundles.table({b"": b"\x08\x01", b"w": entry.SerializeToString()}))


def _many_parts(folder: Path, size: int) -> None:
    _index(folder, bundles.table({b"": b"\x08\x01", b"w": b"\x08\x01" + b"\x3a\x02\x0a\x00" * size}))


def _read_index(folder: Path) -> object:
    bundle = TensorBundle(folder / "x")
    return [bundle.shape(key) for key in bundle.keys]


# --- SavedModels ------------------------------------------------------------------------------------------------------


def _length(data: bytes) -> bytes:
    return bundles.varint(len(data)) + data


def _field(number: int, data: bytes) -> bytes:
    return bundles.varint(number << 3 | 2) + _length(data)


def _saved_model(folder: Path, nodes: bytes = b"", graph: bytes = b"", keys: dict[str, Any] | None = None) -> None:
    meta_graph = _field(1, _field(4, b"serve")) + (_field(2, graph) if graph else b"") + _field(7, nodes)
    (folder / "saved_model.pb").write_bytes(_field(2, meta_graph))
    (folder / "assets").mkdir()
    (folder / "assets" / "vocab.txt").write_text("[PAD]\n")
    bundles.write_bundle(folder / "variables" / "variables", keys or {"x": np.zeros(1, np.float32)})


def _empty_nodes(folder: Path, size: int) -> None:
    _saved_model(folder, _field(1, b"") * size)


def _empty_operations(folder: Path, size: int) -> None:
    _preprocessor(folder, _field(1, b"") * size)


def _empty_attributes(folder: Path, size: int) -> None:
    _preprocessor(folder, _field(1, _field(5, b"") * size))


def _preprocessor(folder: Path, graph: bytes) -> None:
    _saved_model(folder, _field(1, b""), graph)


def _child(node: int, name: str) -> bytes:
    return _field(1, b"\x08" + bundles.varint(node) + _field(2, name.encode()))


def _chain_of_vocabularies(folder: Path, size: int) -> None:
    nodes = [_field(1, _child(number + 1, "next") + _child(0, "vocab_file")) for number in range(size)]
    _saved_model(folder, b"".join(nodes) + _field(1, b""))


def _many_variables_of_one_object(folder: Path, size: int) -> None:
    children = b"".join(_child(1, f"v{number}") for number in range(size))
    keys = {f"v{number}/.ATTRIBUTES/VARIABLE_VALUE": np.zeros(1, np.float32) for number in range(size)}
    _saved_model(folder, _field(1, children) + _field(1, _field(7, _field(6, b"name"))), keys=keys)


def _one_checkpoint_object(folder: Path, size: int) -> None:
    """All objects of the model stand for one of the checkpoint, which has many children."""
    nodes = b"".join(_field(1, _child(number + 1, "c")) for number in range(size)) + _field(1, b"")
    theirs = _field(1, _child(0, "c") + b"".join(_child(0, f"d{number}") for number in range(size)))
    _saved_model(folder, nodes)
    bundles.write_bundle(folder / "variables" / "variables", {"x": np.zeros(1, np.float32)})
    _add_string(folder / "variables" / "variables", "_CHECKPOINTABLE_OBJECT_GRAPH", theirs)


def _add_string(prefix: Path, key: str, value: bytes) -> None:
    import google_crc32c

    from berthub.containers.sstable import masked_crc32c, read_table

    index, shard = (prefix.with_name(f"{prefix.name}.{end}") for end in ("index", "data-00000-of-00001"))
    length = struct.pack("<I", len(value))
    length_crc = struct.pack("<I", masked_crc32c(google_crc32c.value(length)))
    entry = parse("BundleEntryProto", b"", source="a new entry")
    stored = bundles.varint(len(value)) + length_crc + value
    entry.dtype, entry.offset, entry.size = 7, shard.stat().st_size, len(stored)
    entry.crc32c = masked_crc32c(google_crc32c.value(length + length_crc + value))
    with shard.open("ab") as file:
        file.write(stored)
    index.write_bytes(bundles.table({**read_table(index.read_bytes()), key.encode(): entry.SerializeToString()}))


def _many_keras_models(folder: Path, size: int) -> None:
    noted = json.dumps(
        {
            "class_name": "Functional",
            "name": "m",
            "config": {
                "output_layers": [["d", 0, 0]],
                "layers": [
                    {
                        "name": "d",
                        "class_name": "Dense",
                        "config": {"activation": "linear"},
                        "inbound_nodes": [[["m", 0, 0]]],
                    }
                ],
            },
        }
    )
    node = _field(5, _field(3, noted.encode()))
    _saved_model(folder, _field(1, node) * (size // 100 + 1) + _field(1, _field(7, _field(6, b"a name"))) * size)


# --- JSON and vocabularies --------------------------------------------------------------------------------------------


def _native(folder: Path) -> None:
    write_native(tiny_checkpoint("distilbert"), folder)


def _with_json(value: Callable[[int], str]) -> Callable[[Path, int], None]:
    def build(folder: Path, size: int) -> None:
        _native(folder)
        (folder / "berthub.json").write_text('{"format_version": ' + value(size) + "}")

    return build


def _vocabulary(lines: Callable[[int], str]) -> Callable[[Path, int], None]:
    def build(folder: Path, size: int) -> None:
        (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n" + lines(size), encoding="utf-8")

    return build


def _base26(number: int) -> str:
    return chr(0x4E00 + number % 20_000) + chr(0x4E00 + number // 20_000)


def _merges(folder: Path, size: int) -> None:
    _huggingface(folder)
    (folder / "vocab.txt").unlink()
    tokenizer = {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]] * size}
    (folder / "tokenizer.json").write_text(json.dumps({"pre_tokenizer": {"type": "ByteLevel"}, "model": tokenizer}))


def _huggingface(folder: Path) -> None:
    from berthub.formats.huggingface.writer import write_huggingface

    write_huggingface(tiny_checkpoint("bert", mlm=False), folder)


def _added_tokens(folder: Path, size: int) -> None:
    _huggingface(folder)
    (folder / "vocab.txt").unlink()
    added = [{"id": number, "content": _base26(number)} for number in range(size)]
    tokenizer = {"added_tokens": added, "model": {"type": "WordPiece", "vocab": {}}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")))


def _weight_map(folder: Path, size: int) -> None:
    _huggingface(folder)
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    names = {f"{number}": "a.safetensors" for number in range(size)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def _sentencepiece(folder: Path, size: int) -> None:
    (folder / "spiece.model").write_bytes(_field(1, b"") * size)


def _checkpoint_lines(folder: Path, size: int) -> None:
    (folder / "checkpoint").write_text("\n" * size)
    for name in "ab":
        (folder / f"{name}.index").write_bytes(b"")


def _groups(folder: Path, size: int) -> None:
    _native(folder)
    stored = json.loads((folder / "berthub.json").read_text())
    stored["config"] |= {"architecture": "albert", "embedding_size": 8, "num_layers": 1024}
    stored["config"] |= {"num_groups": min(size, 1024), "inner_layers": min(size, 1024)}
    (folder / "berthub.json").write_text(json.dumps(stored))


# --- Arrays -----------------------------------------------------------------------------------------------------------


def _safetensors(folder: Path, size: int) -> None:
    entries = {f"{n}": {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n in range(size)}
    header = json.dumps(entries, separators=(",", ":")).encode()
    (folder / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))


def _safetensors_shape(folder: Path, size: int) -> None:
    header = b'{"a":{"dtype":"U8","shape":[' + b",".join([b"1"] * size) + b'],"data_offsets":[0,1]}}'
    (folder / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0")


def _onnx(initializer: bytes) -> Callable[[Path, int], None]:
    def build(folder: Path, size: int) -> None:
        _native(folder)
        (folder / "model.onnx").write_bytes(_field(7, initializer * size))

    return build


def _foreign_onnx(graph: bytes) -> Callable[[Path, int], None]:
    def build(folder: Path, size: int) -> None:
        (folder / "config.json").write_text('{"model_type": "bert"}')
        (folder / "model.onnx").write_bytes(_field(7, graph * size))

    return build


def _gguf(entry: bytes, *, tensors: bool = False) -> Callable[[Path, int], None]:
    """A GGUF file of so many entries: of its metadata, or of its tensors."""

    def build(folder: Path, size: int) -> None:
        counts = (size, 0) if tensors else (0, size)
        (folder / "x.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, *counts) + entry * size)

    return build


def _gguf_strings(folder: Path, size: int) -> None:
    array = struct.pack("<QIIQ", 0, 9, 8, size) + b"\0" * 8 * size
    (folder / "x.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + array)


def _onnx_tensor(inside: bytes) -> Callable[[Path, int], None]:
    def build(folder: Path, size: int) -> None:
        _native(folder)
        (folder / "model.onnx").write_bytes(_field(7, _field(5, b"\x10\x01" + inside * size)))

    return build


def _hdf5(build: Callable[[Any, int], None]) -> Callable[[Path, int], None]:
    def make(folder: Path, size: int) -> None:
        import h5py

        with h5py.File(folder / "x.h5", "w", libver="latest") as file:
            build(file, size)

    return make


def _deep_groups(file: Any, size: int) -> None:
    for _ in range(size):
        file = file.create_group("g")


def _many_datasets(file: Any, size: int) -> None:
    for number in range(size):
        file[f"{number}"] = np.zeros(1, np.float32)


def _packed_dataset(file: Any, size: int) -> None:
    file.create_dataset(
        "w", data=np.zeros(size * 1000, np.float32), chunks=(min(size, 1000) * 1000,), compression="gzip"
    )


def _empty_dataset(file: Any, size: int) -> None:
    for number in range(16):
        file.create_dataset(f"w{number}", (size, 1_000_000), "<f4")


def _npz(folder: Path, size: int) -> None:
    with zipfile.ZipFile(folder / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", _npy(np.zeros(size, np.float32)))


def _npz_claim(folder: Path, size: int) -> None:
    data = _npy(np.zeros(1, np.float32)).replace(
        b"'shape': (1,), }" + b" " * 12, b"'shape': (%012d,), }" % (size << 20)
    )
    with zipfile.ZipFile(folder / "x.npz", "w") as archive:
        for number in range(size // 1000 + 1):
            archive.writestr(f"{number}.npy", data)


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


ATTACKS: dict[str, Attack] = {
    "index-shared-key": Attack(_shared_key, _read_index, 20_000),
    "index-shared-short-key": Attack(_shared_short_key, _read_index, 40_000),
    "index-one-block-often": Attack(_one_block_often, _read_index, 10_000),
    "index-tiny-entries": Attack(_tiny_entries, _read_index, 200_000),
    "index-entries": Attack(_whole_entries, _read_index, 100_000),
    "index-snappy": Attack(_snappy, _read_index, 20_000),
    "index-dimensions": Attack(_many_dimensions, _read_index, 500_000),
    "index-parts": Attack(_many_parts, _read_index, 300_000),
    "saved-model-empty-nodes": Attack(_empty_nodes, read, 1_000_000),
    "saved-model-empty-operations": Attack(_empty_operations, read_preprocessor, 1_000_000),
    "saved-model-empty-attributes": Attack(_empty_attributes, read_preprocessor, 1_000_000),
    "saved-model-vocabularies": Attack(_chain_of_vocabularies, read, 20_000),
    "saved-model-variables": Attack(_many_variables_of_one_object, read, 5_000),
    "saved-model-checkpoint-object": Attack(_one_checkpoint_object, read, 20_000),
    "saved-model-keras-models": Attack(_many_keras_models, read, 50_000),
    "json-lists": Attack(_with_json(lambda size: "[" + "[]," * size + "0]"), read, 300_000),
    "json-nested-lists": Attack(_with_json(lambda size: "[" + ("[" * 50 + "]" * 50 + ",") * size + "0]"), read, 10_000),
    "json-depth": Attack(_with_json(lambda size: "[" * size + "]" * size), read, 200_000),
    "json-keys": Attack(
        _with_json(lambda size: "{" + ",".join(f'"{_base26(n)}":0' for n in range(size)) + "}"), read, 200_000
    ),
    "json-objects": Attack(_with_json(lambda size: "[" + '{"a":0},' * size + "0]"), read, 200_000),
    "json-strings": Attack(_with_json(lambda size: "[" + '"ab",' * size + "0]"), read, 400_000),
    "json-numbers": Attack(_with_json(lambda size: "[" + "999," * size + "0]"), read, 400_000),
    "json-digits": Attack(_with_json(lambda size: "9" * size), read, 1_000_000),
    "json-float": Attack(_with_json(lambda size: "0." + "9" * size), read, 1_000_000),
    "json-escapes": Attack(_with_json(lambda size: '"' + "\\ud83d\\ude00" * size + '"'), read, 200_000),
    "config-groups": Attack(_groups, read, 512),
    "vocabulary-characters": Attack(
        _vocabulary(lambda size: "a\n" * size), lambda folder: wordpiece_vocabulary(folder / "vocab.txt"), 1_000_000
    ),
    "vocabulary-short-lines": Attack(
        _vocabulary(lambda size: "".join(f"{_base26(n)}\n" for n in range(size))),
        lambda folder: wordpiece_vocabulary(folder / "vocab.txt"),
        500_000,
    ),
    "vocabulary-empty-lines": Attack(
        _vocabulary(lambda size: "\n" * size), lambda folder: wordpiece_vocabulary(folder / "vocab.txt"), 2_000_000
    ),
    "tokenizer-merges": Attack(_merges, read, 200_000),
    "tokenizer-added": Attack(_added_tokens, read, 100_000),
    "weight-map": Attack(_weight_map, read, 100_000),
    "sentencepiece-empty-pieces": Attack(
        _sentencepiece,
        lambda folder: sentencepiece_vocabulary((folder / "spiece.model").read_bytes(), source="x"),
        1_000_000,
    ),
    "checkpoint-empty-lines": Attack(_checkpoint_lines, checkpoint_prefix, 100_000),
    "safetensors-tensors": Attack(_safetensors, lambda folder: read_safetensors(folder / "x.safetensors"), 100_000),
    "safetensors-shape": Attack(_safetensors_shape, lambda folder: read_safetensors(folder / "x.safetensors"), 500_000),
    "onnx-empty-tensors": Attack(_onnx(b"\x2a\x00"), read, 1_000_000),
    "onnx-empty-nodes": Attack(_onnx(b"\x0a\x00"), read, 1_000_000),
    "onnx-dimensions": Attack(_onnx_tensor(b"\x08\x01"), read, 1_000_000),
    "onnx-places": Attack(_onnx_tensor(b"\x70\x01\x08\x01\x6a\x00"), read, 500_000),
    "onnx-foreign-empty-nodes": Attack(_foreign_onnx(b"\x0a\x00"), read, 1_000_000),
    "onnx-foreign-nodes": Attack(_foreign_onnx(b"\x0a\x0c\x0a\x01a\x12\x01b\x22\x04Cast"), read, 100_000),
    "onnx-foreign-inputs": Attack(_foreign_onnx(b"\x0a\x06" + b"\x0a\x00" * 3), read, 300_000),
    "onnx-foreign-attributes": Attack(_foreign_onnx(b"\x0a\x06" + b"\x2a\x00" * 3), read, 300_000),
    "gguf-metadata": Attack(_gguf(struct.pack("<QIB", 0, 0, 0)), read, 300_000),
    "gguf-tensors": Attack(_gguf(struct.pack("<QIQIQ", 0, 1, 1, 0, 0), tensors=True), read, 100_000),
    "gguf-strings": Attack(_gguf_strings, read, 500_000),
    "hdf5-deep-groups": Attack(_hdf5(_deep_groups), lambda folder: read_hdf5(folder / "x.h5"), 1_500),
    "hdf5-datasets": Attack(_hdf5(_many_datasets), lambda folder: read_hdf5(folder / "x.h5"), 5_000),
    "hdf5-packed": Attack(_hdf5(_packed_dataset), lambda folder: read_hdf5(folder / "x.h5"), 50_000),
    "hdf5-never-written": Attack(_hdf5(_empty_dataset), lambda folder: read_hdf5(folder / "x.h5"), 100_000),
    "npz-packed": Attack(_npz, lambda folder: read_npz(folder / "x.npz"), 50_000_000),
    "npz-claims": Attack(_npz_claim, lambda folder: read_npz(folder / "x.npz"), 1_000_000),
    **{name: Attack(build, read_weights, size) for name, (build, size) in small_weights.FILES.items()},
}


def main() -> int:
    """Measure the attacks named, or all; 1 if one costs more than is promised."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--child", nargs=2, metavar=("NAME", "FOLDER"), help="read that folder here, and tell the cost")
    arguments = parser.parse_args()
    if arguments.child:
        _read_in_child(arguments.child[0], Path(arguments.child[1]))
        return 0
    wrong = []
    print(f"{'input':<32}{'files':>10}{'memory':>10}{'x':>7}{'seconds':>9}{'growth':>8}  outcome")
    for name in ATTACKS if arguments.all else arguments.names:
        found, (small, large) = faults(ATTACKS[name], name)
        wrong += found
        growth = large.seconds / max(small.seconds, 1e-3)
        print(
            f"{name:<32}{large.files / 1e6:>8.2f}MB{large.memory / 1e6:>8.0f}MB{large.memory / large.files:>7.1f}"
            f"{large.seconds:>9.2f}{growth:>8.1f}  {large.outcome[:70]}",
            flush=True,
        )
    for fault in wrong:
        print(f"FAILED  {fault}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
