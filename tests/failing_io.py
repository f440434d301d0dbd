"""Disks that fail: the n-th call of the system fails, n = 1, 2, ... until the work is done without it.

    python tests/failing_io.py                      everything, which takes some minutes
    python tests/failing_io.py encode:parquet read:hf_bert --every 3

Each piece of work writes into (or, under `read:`, reads from) one folder. A small library (`support/failing_io.c`,
compiled here, loaded by LD_PRELOAD) makes the n-th call of the system there fail, whoever makes it: Python, Arrow,
HDF5, TensorFlow. Once with "no space left", that and every later call; once with an I/O error, that call alone.
What must hold, each time: a `BerthubError` (from the command line: its exit status, and no traceback), what was at the
target before is untouched, or the new is there whole, and nothing else is left.
"""

import argparse
import collections
import contextlib
import ctypes
import errno
import gc
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
MODELS = _HERE / "data" / "models"
MODES = {"no space": (errno.ENOSPC, True), "I/O error": (errno.EIO, False)}
# Where the call fails after the new file has its name, or did no harm, the new one is there.
LIBRARY = "FAILING_IO_LIBRARY"


@dataclass(frozen=True)
class Work:
    """`run(folder)` does it in a new folder, after `before(folder)`; `check(folder)` raises unless it is done."""

    run: Callable[[Path], Any]
    check: Callable[[Path], None]
    before: Callable[[Path], None] = lambda folder: None
    # What may stay after a failure, by what a name ends in.
    may_stay: tuple[str, ...] = ()
    # What must work after a failure.
    after: Callable[[Path], None] | None = None
    reading: bool = False


def compiled(folder: Path) -> Path:
    """The library that makes calls fail, made anew in `folder`."""
    library = folder / "failing_io.so"
    source = _HERE / "support" / "failing_io.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


class Failing:
    """The library, which has to be loaded before all others."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(os.environ[LIBRARY])
        self.library.failing_io_what.restype = ctypes.c_char_p
        self.library.failing_io_disarm.restype = ctypes.c_long
        self.calls, self.what = 0, ""

    @contextlib.contextmanager
    def call(self, number: int, folder: Path, mode: str, *, reading: bool) -> Iterator[None]:
        """Make a call fail; afterwards it is known how many there were, and which failed."""
        code, lasting = MODES[mode]
        under = str(folder.resolve()).encode()
        self.library.failing_io_arm(under, ctypes.c_long(number), code, int(lasting), int(reading))
        try:
            yield
        finally:
            self.calls = self.library.failing_io_disarm()
            self.what = self.library.failing_io_what().decode()


def tried(work: Work, *, every: int) -> dict[str, Any]:
    """What came of it, call after call: how many failed, in which calls, and what was wrong then."""
    failing, faults, counts = Failing(), [], collections.Counter[str]()
    ignored: list[str] = []
    sys.unraisablehook = lambda told: ignored.append(f"{told.exc_type.__name__} ignored in {told.object!r:.80}")
    with tempfile.TemporaryDirectory() as scratch:
        # What is imported, compiled and kept at the first time is not of interest.
        first = Path(scratch, "first")
        first.mkdir()
        work.before(first)
        work.run(first)
        work.check(first)
        for mode in MODES:
            number = 1
            while True:
                folder = Path(scratch, f"{mode[0]}{number}")
                folder.mkdir()
                work.before(folder)
                before = _found(folder)
                raised = None
                with failing.call(number, folder, mode, reading=work.reading):
                    try:
                        work.run(folder)
                    except BaseException as error:
                        raised = error
                if failing.calls < number:
                    counts["calls"] = max(counts["calls"], failing.calls)
                    if raised is not None:
                        faults.append(f"without a failure: {raised!r}")
                    break
                fault = _fault(work, folder, before, raised)
                raised = None
                gc.collect()
                counts["failures"] += 1
                counts[failing.what] += 1
                if fault or ignored:
                    faults.append(f"{mode} in call {number} ({failing.what}): {fault or '; '.join(ignored)}")
                    ignored.clear()
                shutil.rmtree(folder)
                number += every
    return {"counts": dict(counts), "faults": faults}


def _fault(work: Work, folder: Path, before: dict[str, bytes | None], raised: BaseException | None) -> str:
    from berthub.errors import BerthubError

    if raised is not None and not isinstance(raised, BerthubError):
        return "".join(traceback.format_exception(raised))[-3000:]
    if work.reading:
        return ""
    left = {name: content for name, content in _found(folder).items() if not name.endswith(work.may_stay or ("\0",))}
    if any(".part" in name for name in left):
        return f"left {sorted(left)} after {raised!r}"
    if raised is not None and left == before:
        return _after(work, folder)
    # Then the new must be there.
    try:
        work.check(folder)
    except Exception as error:
        return _after(work, folder) if work.after and raised else f"left {sorted(left)} after {raised!r}, and {error!r}"
    return ""


def _after(work: Work, folder: Path) -> str:
    if work.after is not None:
        try:
            work.after(folder)
            work.check(folder)
        except Exception:
            return f"then: {traceback.format_exc()[-2000:]}"
    return ""


def _found(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# The pieces of work.


def all_works(scratch: Path) -> dict[str, Callable[[], Work]]:
    """Every piece of work by its name; `scratch` keeps what they need."""
    works: dict[str, Callable[[], Work]] = {}
    for kind in ("parquet", "jsonl", "npy"):
        works[f"encode:{kind}"] = lambda kind=kind: _encoding(scratch, kind)
    works["encode:new"] = lambda: _encoding(scratch, "parquet", new=True)
    for kind in ("parquet", "jsonl", "csv", "tsv"):
        works[f"predict:{kind}"] = lambda kind=kind: _predicting(scratch, kind, "classify")
    works["predict:conll"] = lambda: _predicting(scratch, "conll", "tag")
    works["save"] = lambda: _saving(empty=False)
    works["save:empty folder"] = lambda: _saving(empty=True)
    for to in ("native", "google", "huggingface", "onnx", "keras", "savedmodel"):
        works[f"export:{to}"] = lambda to=to: _exporting(to)
    works["cache"] = lambda: _caching(scratch)
    works["train"] = _training
    for model in sorted(path.name for path in MODELS.iterdir() if not path.name.startswith("preprocess")):
        works[f"read:{model}"] = lambda model=model: _reading_model(model)
    for kind in ("csv", "tsv", "jsonl", "txt", "parquet"):
        works[f"read:.{kind}"] = lambda kind=kind: _reading_texts(kind)
    works["read:cache"] = lambda: _reading_cache(scratch)
    return works


def _command(*words: object) -> None:
    """Run the command; its errors are what it says on stderr."""
    from berthub.cli.main import main
    from berthub.errors import BerthubError

    told = io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
        status = main([str(word) for word in words])
    if status == 0:
        return
    if status not in (2, 3, 4, 6) or "Traceback" in told.getvalue() or not told.getvalue().startswith("error: "):
        raise AssertionError(f"exit status {status}: {told.getvalue()}")
    raise BerthubError(told.getvalue())


def _texts(folder: Path, kind: str, rows: int = 3000) -> Path:
    """A file of texts; long enough that it is written, and read, by several calls."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"texts.{kind}"
    texts = [f"the quick fox {row} {'was ' * 20}" for row in range(rows)]
    match kind:
        case "parquet":
            pq.write_table(pa.table({"text": texts}), path, row_group_size=rows // 2)
        case "jsonl":
            path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        case "conll":
            path.write_text("".join("\n".join(text.split()) + "\n\n" for text in texts))
        case _:
            path.write_text("".join(f"{text}\n" for text in (["text"] if kind != "txt" else []) + texts))
    return path


def _precious(name: str) -> Callable[[Path], None]:
    def before(folder: Path) -> None:
        (folder / name).write_text("precious")

    return before


def _rows(path: Path) -> None:
    """Whether the rows are there, all of them."""
    import numpy as np
    import pyarrow.parquet as pq

    match path.suffix:
        case ".parquet":
            count = pq.read_table(path).num_rows
        case ".npy":
            count = len(np.load(path))
        case ".conll":
            count = path.read_text().count("\n\n")
        case _:
            count = path.read_text().count("\n") - (path.suffix in (".csv", ".tsv"))
    if count not in (300, 600):
        raise AssertionError(f"{count} rows")


def _encoding(scratch: Path, kind: str, *, new: bool = False) -> Work:
    texts, out = _texts(scratch, "csv", 600), f"out.{kind}"
    # So much that there are several calls to write.
    many = () if kind == "npy" else ("--output", "sequence_output")
    options = ("-m", MODELS / "tf2_v4", "--engine", "numpy", "--quiet", "--overwrite", *many)
    return Work(
        run=lambda folder: _command("encode", texts, "-o", folder / out, *options),
        check=lambda folder: _rows(folder / out),
        before=(lambda folder: None) if new else _precious(out),
    )


def _predicting(scratch: Path, kind: str, task: Any) -> Work:
    from support.heads import with_head

    model, out = scratch / task, f"out.{kind}"
    if not model.exists():
        with_head(MODELS / "tf2_v4", model, task)
    texts = _texts(scratch, "conll" if task == "tag" else "csv", 300)
    options = ("--engine", "numpy", "--quiet", "--overwrite")
    return Work(
        run=lambda folder: _command("predict", model, texts, "-o", folder / out, *options),
        check=lambda folder: _rows(folder / out),
        before=_precious(out),
    )


def _same(folder: Path, checkpoint: Any) -> None:
    from berthub.formats import read
    from support.exports import assert_same

    assert_same(read(folder), checkpoint)


def _checkpoint() -> Any:
    from support.tiny import tiny_checkpoint

    return tiny_checkpoint("bert", embedding_size=None, mlm=False)


def _saving(*, empty: bool) -> Work:
    import berthub as hub
    from berthub.formats import read

    encoder, saved = hub.load(MODELS / "tf2_v4", engine="numpy"), read(MODELS / "tf2_v4")
    return Work(
        run=lambda folder: encoder.save(folder / "above" / "model"),
        check=lambda folder: _same(folder / "above" / "model", saved),
        before=lambda folder: (folder / "above" / "model").mkdir(parents=True) if empty else None,
    )


def _exporting(to: Any) -> Work:
    import berthub as hub

    checkpoint, name = _checkpoint(), "model.keras" if to == "keras" else "model"

    def check(folder: Path) -> None:
        if to != "keras":
            return _same(folder / name, checkpoint)
        import keras

        from support.exports import assert_same

        return assert_same(keras.models.load_model(folder / name).get_layer("bert").checkpoint(), checkpoint)

    return Work(run=lambda folder: hub.export(checkpoint, folder / name, to=to), check=check)


def _caching(scratch: Path) -> Work:
    from berthub.formats import read
    from berthub.sources.resolve import resolve

    archive = Path(shutil.make_archive(str(scratch / "model"), "gztar", MODELS / "tf2_v4"))
    known = read(MODELS / "tf2_v4")

    def check(folder: Path) -> None:
        _same(resolve(archive, cache_dir=folder / "cache", offline=True), known)

    # The folder of the cache, of the kind of the model, and the lock.
    stay = ("cache", "archive", ".lock")

    def run(folder: Path) -> None:
        resolve(archive, cache_dir=folder / "cache")

    return Work(run=run, check=check, may_stay=stay, after=check)


def _training() -> Work:
    import numpy as np

    import berthub as hub
    from berthub.formats import read
    from support.finetuning import data, tuner

    texts, labels = data("two", count=8)
    fit = {"epochs": 2, "batch_size": 4, "checkpoint_steps": 1, "precision": "float32", "progress": False}
    expected: list[Any] = []

    def run(folder: Path, *, resume: bool = False) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", hub.TruncationWarning)
            tuner("two", MODELS / "tf2_v4", seed=3).fit(
                texts, labels, dev=(texts, labels), run=folder / "run", resume=resume, **fit
            )

    def check(folder: Path) -> None:
        found = read(folder / "run")
        if not expected:
            expected.append(found)
        for name, weight in found.weights.items():
            np.testing.assert_array_equal(weight, expected[0].weights[name], err_msg=name)
        wanted = {"metrics.json", "README.md", "learning_curves.png", "confusion_matrix.png", "berthub.json"}
        missing = wanted - {path.name for path in (folder / "run").iterdir()}
        if missing:
            raise AssertionError(f"no {missing}")

    def after(folder: Path) -> None:
        state = folder / "run" / "training-state"
        names = {path.name for path in (folder / "run").iterdir()} if state.exists() else set()
        if names - {"training-state"}:
            raise AssertionError(f"beside the state there are {names}")
        run(folder, resume=state.exists())

    return Work(run=run, check=check, after=after)


def _reading_model(name: str) -> Work:
    import berthub as hub

    return Work(
        run=lambda folder: hub.load(folder / name, engine="numpy").encode(["the fox"]),
        check=lambda folder: None,
        before=lambda folder: _copied(MODELS / name, folder / name),
        reading=True,
    )


def _copied(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.npz"))


def _reading_texts(kind: str) -> Work:
    def before(folder: Path) -> None:
        _texts(folder, kind)

    return Work(
        run=lambda folder: _command("tokenize", MODELS / "tf2_v4", "--input", folder / f"texts.{kind}"),
        check=lambda folder: None,
        before=before,
        reading=True,
    )


def _reading_cache(scratch: Path) -> Work:
    import berthub as hub

    archive = Path(shutil.make_archive(str(scratch / "cached"), "gztar", MODELS / "tf2_v4"))

    def before(folder: Path) -> None:
        hub.resolve(archive, cache_dir=folder / "cache")

    def run(folder: Path) -> None:
        hub.load(archive, cache_dir=folder / "cache", engine="numpy").encode(["the fox"])

    return Work(run=run, check=lambda folder: None, before=before, reading=True)


def main() -> int:
    """Run each piece of work in a process of its own, and tell what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", help="which work; all by default, those of a kind for encode, read ...")
    parser.add_argument("--every", type=int, default=1, help="only every so many-th call fails (default 1)")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        known = all_works(Path(scratch))
        if options.alone:
            print(json.dumps(tried(known[options.works[0]](), every=options.every)))
            return 0
        library = compiled(Path(scratch))
        environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            LIBRARY: str(library),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "torch"),
        }
        wanted = options.works or [*known]
        names = [name for name in known if any(name == each or name.startswith(f"{each}:") for each in wanted)]
        failures = faults = 0
        for name in names:
            words = [sys.executable, __file__, name, "--alone", "--every", str(options.every)]
            done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                print(f"{name}: the process ended with {done.returncode}", flush=True)
                faults += 1
                continue
            said = json.loads(done.stdout.splitlines()[-1])
            failures += said["counts"].get("failures", 0)
            faults += len(said["faults"])
            print(f"{name}: {said['counts']}, {len(said['faults'])} faults", flush=True)
            for fault in said["faults"][:5]:
                print("   ", fault.replace("\n", "\n    "), flush=True)
    print(f"{len(names)} pieces of work, {failures} failures of the system, {faults} faults")
    return 1 if faults or not names else 0


if __name__ == "__main__":
    sys.exit(main())
