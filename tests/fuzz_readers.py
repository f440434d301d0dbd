"""Damage model folders at random and read them: a `BerthubError` may come out, or the undamaged model's numbers.

    python tests/fuzz_readers.py tests/data/models --cases 10000

The models are those in the folder, and some of them once more in the forms that berthub writes. Each case copies one
model folder, damages one or two of its files (bit flips, truncations, wrong lengths, swapped and repeated stretches,
odd JSON values; an index also with its checksums made right again, so that what lies behind them is reached, a
SavedModel also within its messages) and reads it, down to a tokenized text. The cases run in child processes with a
limit on memory, so that a crash, a hang or a runaway allocation is seen and reported with its seed, by which
`--first SEED --cases 1` repeats it.

What was read in spite of the damage is compared with the undamaged model: weights, settings, pieces, head, and the ids
of two texts. Some differences no reader can see: a format without checksums says nothing of a bit in a weight, and a
text file nothing of a letter. They are counted by format and by the files that were damaged (`_UNSEEN`); every other
one is a silent wrong success, which fails.
"""

import argparse
import dataclasses
import fnmatch
import functools
import importlib.util
import json
import multiprocessing
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from berthub.checkpoint import Checkpoint
from berthub.containers.safetensors import read_safetensors
from berthub.containers.tensorbundle import TensorBundle
from berthub.embedding import Embedding
from berthub.errors import BerthubError
from berthub.formats import read
from berthub.formats.huggingface.writer import write_huggingface
from berthub.formats.native import write_native
from berthub.formats.onnx.writer import write_onnx
from berthub.formats.tensorflow.google_writer import write_google
from berthub.tokenization.tokenizer import Tokenizer
from support.bundles import write_bundle
from support.damage import damage
from support.gguf_files import write_gguf
from support.torch_files import save_arrays

_SECONDS = 20  # for one case; a tiny model is read in milliseconds
_BYTES = 1 << 29  # beyond what the process has mapped at the start: the models have less than one megabyte
_CHUNK = 200
# Not read, or not part of a model.
_IGNORED = ("golden.npz", "golden.json", "golden_tokens.json", "fingerprint.pb")
# Forms that no folder of the models has: the model, and what writes it.
_WRITTEN = (
    ("albert_v3", write_google),
    ("electra", write_google),
    ("mobilebert", write_google),
    ("albert_v3", write_huggingface),
    ("electra", write_huggingface),
    ("keras_hub_distil_bert", write_huggingface),
    ("keras_hub_roberta", write_huggingface),
    ("albert_v3", write_native),
    ("keras_hub_roberta", write_native),
    ("tf2_v2", write_onnx),
    ("albert_v3", write_onnx),
)
_SENTENCE_VECTORS = _PICKLED = "hf_bert"
_PARTITIONED = "google_checkpoint"
# What a damaged file may change unseen: it has no checksum of it.
_UNSEEN = {
    "*.safetensors": {"weights", "head weights"},
    "*.h5": {"weights", "head weights"},
    "*.bin": {"weights", "head weights"},  # the older form; members of archives have checksums
    "*.msgpack": {"weights"},
    # The graph, which tells the names of weights and its own pooling.
    "*.onnx": {"weights", "head weights", "settings"},
    "*.data": {"weights"},
    "*.gguf": {"weights", "settings", "pieces", "ids"},
    "*.json": {"settings", "pieces", "head", "head weights", "ids"},
    "*.txt": {"settings", "pieces", "ids"},
    "*.model": {"pieces", "ids"},
    "*.spm": {"pieces", "ids"},
    # The graph and the metadata, in which settings are found.
    "*.pb": {"settings", "pieces", "head", "head weights", "ids"},
}
_SAID = ("the quick brown fox", ("a", "ö"))


def main() -> int:
    """Run the cases and print how they ended; 1 if any ended in anything but success or a `BerthubError`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", type=Path, help="a folder of model folders")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        return _fuzz(arguments, model_folders(arguments.models) + write_models(arguments.models, Path(scratch)))


def _fuzz(arguments: argparse.Namespace, folders: list[Path]) -> int:
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    started = time.monotonic()
    seeds = range(arguments.first, arguments.first + arguments.cases)
    context = multiprocessing.get_context("fork")
    for start in range(0, len(seeds), _CHUNK):
        remaining = list(seeds[start : start + _CHUNK])
        while remaining:
            remaining = _run_child(context, folders, remaining, outcomes, failures)
        print(f"\r{start + _CHUNK:,} cases, {time.monotonic() - started:.0f} s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for outcome, count in outcomes.most_common():
        print(f"{count:>7,}  {outcome}")
    for failure in failures:
        print(f"FAILED  {failure}")
    print(f"{len(seeds):,} cases over {len(folders)} models, {len(failures)} failures")
    return 1 if failures else 0


def model_folders(root: Path) -> list[Path]:
    """The model folders to damage, in a fixed order."""
    return sorted(path for path in root.iterdir() if path.is_dir())


def write_models(root: Path, folder: Path) -> list[Path]:
    """Write the models that are in no folder of `root` into `folder`; their folders, in a fixed order."""
    written = []
    for name, write in _WRITTEN:
        written.append(folder / f"{name}_{write.__name__}")
        write(read(root / name), written[-1])
    if importlib.util.find_spec("gguf") is not None:
        for kind in ("F32", "F16"):
            (folder / kind).mkdir()
            write_gguf(read(root / "hf_bert"), folder / kind / "bert.gguf", kind=kind)
            written.append(folder / kind)
    partitioned = folder / "partitioned"
    shutil.copytree(root / _PARTITIONED, partitioned, ignore=shutil.ignore_patterns(*_IGNORED, "*.ckpt.*"))
    bundle = TensorBundle(root / _PARTITIONED / "bert_model.ckpt")
    words = "bert/embeddings/word_embeddings"
    rows, width = bundle.shape(words)
    parts = [((0, 500), (0, -1)), ((500, rows - 500), (0, 7)), ((500, rows - 500), (7, width - 7))]
    arrays = {key: bundle.array(key) for key in bundle.keys}
    write_bundle(partitioned / "bert_model.ckpt", arrays, shards=2, parts={words: parts})
    own = Embedding(poolings=("mean",), normalize=True, max_length=20)
    vectors = folder / "sentence_vectors"
    write_huggingface(dataclasses.replace(read(root / _SENTENCE_VECTORS), embedding=own), vectors)
    prompts = {"prompts": {"query": ""}, "default_prompt_name": "query"}
    (vectors / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    return [*written, partitioned, vectors, *_write_pickles(root / _PICKLED, folder)]


def _write_pickles(source: Path, folder: Path) -> list[Path]:
    """The model in both forms of `torch.save`."""
    written = []
    for older in (False, True):
        written.append(folder / f"pickled{'_before_2020' * older}")
        shutil.copytree(source, written[-1], ignore=shutil.ignore_patterns(*_IGNORED, "*.safetensors"))
        save_arrays(written[-1] / "pytorch_model.bin", read_safetensors(source / "model.safetensors"), older=older)
    return written


def run_case(folders: list[Path], seed: int) -> str:
    """Damage and read one model; the name of the outcome. Exceptions that are not berthub's come through."""
    chance = random.Random(seed)
    source = chance.choice(folders)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / source.name
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*_IGNORED))
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        # Small files hold the structure; the large ones are mostly weights, in which any bits are valid.
        weights = [4 if path.stat().st_size < 100_000 else 1 for path in files]
        chosen = chance.choices(files, weights, k=chance.choice((1, 1, 2)))
        for path in chosen:
            damage(path, chance)
        try:
            checkpoint = read(folder)
            found = _fingerprint(checkpoint)
        except BerthubError as error:
            assert str(error)
            return type(error).__name__
    whole = _undamaged(source)
    differing = {name for name in whole if found[name] != whole[name]}
    if not differing:
        return f"read, the same: {checkpoint.origin.format}"
    unseen = {each for path in chosen for name, those in _UNSEEN.items() if _fits(path, name) for each in those}
    kinds = ", ".join(sorted({path.suffix for path in chosen}))
    outcome = f"{checkpoint.origin.format}, {kinds}: {', '.join(sorted(differing))}"
    if not differing <= unseen:
        raise SilentlyWrongError(f"read, and wrong without a word: {outcome} ({source.name})")
    return f"read, unseen: {outcome}"


class SilentlyWrongError(Exception):
    """A damaged model was read as another one, though the damage could be seen."""


def _fits(path: Path, pattern: str) -> bool:
    return fnmatch.fnmatchcase(path.name, pattern)


@functools.cache
def _undamaged(folder: Path) -> dict[str, Any]:
    return _fingerprint(read(folder))


def _fingerprint(checkpoint: Checkpoint) -> dict[str, Any]:
    """All that a model is; `ids` are those of two texts."""
    tokens = Tokenizer.from_checkpoint(checkpoint).tokens(list(_SAID))
    assert len(tokens) == 2
    head = checkpoint.head
    of_head = {} if head is None else {"kernel": head.kernel, "bias": head.bias}
    return {
        "weights": _hashes(checkpoint.weights),
        # That of a head that damage hides is not read, which is seen.
        "head weights": _hashes(of_head),
        "settings": (checkpoint.config.to_dict(), checkpoint.embedding),
        "pieces": checkpoint.vocabulary,
        "head": None if head is None else (head.task, head.labels, head.pooling, head.max_length),
        "ids": tokens.ids.tolist(),
    }


def _hashes(weights: Mapping[str, Any]) -> dict[str, int]:
    return {name: zlib.crc32(np.ascontiguousarray(weight).tobytes()) for name, weight in weights.items()}


def _run_child(
    context: Any, folders: list[Path], seeds: list[int], outcomes: Counter[str], failures: list[str]
) -> list[int]:
    """Run cases in a child until one of them breaks it; the seeds that are left."""
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(folders, seeds, sender))
    child.start()
    sender.close()
    done = 0
    try:
        while done < len(seeds):
            if not receiver.poll(_SECONDS + 10):
                child.kill()
                failures.append(f"seed {seeds[done]}: hangs, even to signals")
                return seeds[done + 1 :]
            seed, outcome, failed = receiver.recv()
            outcomes[outcome] += 1
            if failed:
                failures.append(f"seed {seed}: {outcome}")
            done += 1
    except EOFError:
        child.join()
        failures.append(f"seed {seeds[done]}: the process died with {child.exitcode}")
        return seeds[done + 1 :]
    child.join()
    return []


def _child(folders: list[Path], seeds: list[int], sender: Any) -> None:
    run_case(folders, seeds[0])  # what is imported lazily is mapped before the limit is set
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + _BYTES, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, _too_slow)
    for seed in seeds:
        signal.alarm(_SECONDS)
        try:
            sender.send((seed, run_case(folders, seed), False))
        except BaseException as error:  # whatever it is, it is the finding
            sender.send((seed, f"{type(error).__name__}: {error}"[:300], True))
        signal.alarm(0)


def _too_slow(signum: int, frame: Any) -> None:
    raise TimeoutError(f"more than {_SECONDS} s")


if __name__ == "__main__":
    sys.exit(main())
