"""A job that is killed twice: what each system computes again, and how long it takes.

    python -m benchmarks.jobs --model HANDLE --texts FILE --rows 20000 --out benchmarks/results/DATE-jobs

Every system reads the same Parquet file and writes a vector for each row. It runs once undisturbed, and once killed
(KILL, its whole process group) after a third of the rows, and again after two thirds of those that were left, by the
count of rows that its encoder was given. All but sentence-transformers compute with berthub's encoder, so that what
differs is what the job costs. Rows, not seconds, decide when to kill: the machine may be busy. Ray is stopped by
`ray stop`, which ends all clusters of this machine.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import machine

# What each program begins with: an encoder that logs how many rows it was given.
_ENCODER = """
import os, sys
source, out, log, model = sys.argv[1:]
def counted(rows):
    with open(log, "a") as file:
        file.write(f"{rows}\\n")
def encoder():
    import berthub
    bert = berthub.load(model)
    def encode(texts):
        vectors = bert.embed(texts, pooling="mean")
        counted(len(texts))
        return vectors
    return encode
"""
_BERTHUB = """
import berthub as hub
last = [0]
def progress(now):
    counted(now.rows - last[0])
    last[0] = now.rows
hub.EncodeJob(source, out, model=model, output="mean", shard_rows=1024).run(on_progress=progress)
"""
_DATASETS = """
import datasets
encode = encoder()
data = datasets.load_dataset("parquet", data_files=source, split="train", cache_dir=out + "-cache")
def add(batch):
    return {"mean": encode(batch["text"])}
data.map(add, batched=True, batch_size=1024, writer_batch_size=1024).to_parquet(os.path.join(out, "all.parquet"))
"""
_SENTENCE_TRANSFORMERS = """
import datasets
from sentence_transformers import SentenceTransformer
bert = SentenceTransformer(os.environ["BENCHMARK_EXPORTED"], device="cpu")
data = datasets.load_dataset("parquet", data_files=source, split="train", cache_dir=out + "-cache")
def add(batch):
    vectors = bert.encode(batch["text"])
    counted(len(batch["text"]))
    return {"mean": vectors}
data.map(add, batched=True, batch_size=1024, writer_batch_size=1024).to_parquet(os.path.join(out, "all.parquet"))
"""
_RAY = """
import ray
from ray.data.checkpoint import CheckpointConfig
ray.init(num_cpus=4, include_dashboard=False, object_store_memory=500_000_000, logging_level="ERROR")
context = ray.data.DataContext.get_current()
context.enable_progress_bars = False
context.checkpoint_config = CheckpointConfig("n", out + "-checkpoint", delete_checkpoint_on_success=True)
class Encode:
    def __init__(self):
        self.encode = encoder()
    def __call__(self, batch):
        batch["mean"] = self.encode(batch["text"].tolist())
        return batch
data = ray.data.read_parquet(source, override_num_blocks=20)
data.map_batches(Encode, batch_size=1024, concurrency=1, num_cpus=2).write_parquet(out)
"""
_DATATROVE = """
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
class Encode(PipelineStep):
    def run(self, data, rank=0, world_size=1):
        encode, waiting = encoder(), []
        def done():
            for document, vector in zip(waiting, encode([each.text for each in waiting])):
                document.metadata["mean"] = vector.tolist()
                yield document
            waiting.clear()
        for document in data:
            waiting.append(document)
            if len(waiting) == 1024:
                yield from done()
        if waiting:
            yield from done()
folder = source + "-files"
LocalPipelineExecutor([ParquetReader(folder, id_key="n"), Encode(), ParquetWriter(out)],
                      tasks=len(os.listdir(folder)), workers=1, logging_dir=out + "-log").run()
"""
SYSTEMS = {
    "berthub": _BERTHUB,
    "datasets.map": _DATASETS,
    "datasets.map, sentence-transformers": _SENTENCE_TRANSFORMERS,
    "Ray Data, map_batches and checkpoint": _RAY,
    "datatrove, 20 files": _DATATROVE,
}
# A third of the rows, and then two thirds of the rest.
_KILLS = (1 / 3, 7 / 9)
_SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@dataclass
class Outcome:
    """Seconds and rows given to the encoder; `vectors` tell whether the results are whole and the same."""

    seconds: float
    encoded: int
    rows: int
    digest: str


def run(system: str, source: Path, out: Path, model: str, *, kills: tuple[float, ...], rows: int) -> Outcome:
    """Run a system until it is done, killed whenever so many shares of the rows have been encoded in all."""
    log = out.with_name(f"{out.name}.log")
    for path in out.parent.glob(f"{out.name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    log.touch()
    command = [sys.executable, "-W", "ignore", "-c", _ENCODER + SYSTEMS[system], str(source), str(out), str(log), model]
    begin = time.perf_counter()
    for share in kills:
        target = _count(log) + (rows * share if not _count(log) else (rows - _done(out, rows)) * 2 / 3)
        process = subprocess.Popen(command, start_new_session=True, **_SILENT)
        while process.poll() is None and _count(log) < target:
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if system.startswith("Ray"):
            subprocess.run(["ray", "stop", "--force"], check=False, **_SILENT)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{system} failed:\n{done.stderr[-2000:]}")
    return Outcome(seconds, _count(log), *_found(out))


def _count(log: Path) -> int:
    return sum(map(int, log.read_text().split()))


def _done(out: Path, rows: int) -> int:
    """How many rows are in finished files; those of a map are only at its end."""
    found = 0
    for path in out.glob("*.parquet"):
        with contextlib.suppress(pa.ArrowException, OSError):
            found += pq.read_metadata(path).num_rows
    return min(found, rows)


def _found(out: Path) -> tuple[int, str]:
    """The rows of all files, and a hash of their bytes in the order of their names."""
    digest, rows = hashlib.sha256(), 0
    for path in sorted(out.glob("*.parquet")):
        digest.update(path.name.encode() + path.read_bytes())
        rows += pq.read_metadata(path).num_rows
    return rows, digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", type=Path, required=True, help="a text a line")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--scratch", type=Path, default=Path("jobs-scratch"))
    parser.add_argument("--out", type=Path, required=True, help="without extension: .json and .md are written")
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    lines = arguments.texts.read_text().splitlines()
    texts = [f"{lines[index % len(lines)]} {index}" for index in range(arguments.rows)]
    source = (arguments.scratch / "in.parquet").absolute()
    table = pa.table({"n": [str(index) for index in range(arguments.rows)], "text": texts})
    pq.write_table(table, source, row_group_size=1024)
    files = Path(f"{source}-files")
    files.mkdir(exist_ok=True)
    part = -(-arguments.rows // 20)
    for index in range(20):
        pq.write_table(table.slice(index * part, part), files / f"{index:02}.parquet")
    found = {}
    for system in arguments.systems:
        slug = "".join(char if char.isalnum() else "-" for char in system)
        out = (arguments.scratch / slug).absolute()
        whole = run(system, source, out, arguments.model, kills=(), rows=arguments.rows)
        killed = run(system, source, out, arguments.model, kills=_KILLS, rows=arguments.rows)
        found[system] = {
            "seconds": whole.seconds,
            "seconds_killed_twice": killed.seconds,
            "rows_again": killed.encoded - arguments.rows,
            "rows_written": killed.rows,
            "bytes_equal": killed.digest == whole.digest,
        }
        print(system, json.dumps(found[system]), flush=True)
        _write(arguments.out, arguments.rows, found)


def _write(out: Path, rows: int, found: dict[str, dict[str, object]]) -> None:
    described = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "rows": rows, "systems": found}
    out.with_suffix(".json").write_text(json.dumps(described, indent=2) + "\n")
    first = found.get("berthub")
    lines = [
        f"# A job of {rows:,} rows that is killed twice",
        "",
        "{processor}, {cores} cores, {flags}; load at the end {load_at_start}".format(**machine()),
        "",
        "| system | undisturbed | killed twice | against berthub | rows computed again | bytes equal |",
        "|---|---|---|---|---|---|",
    ]
    for system, each in found.items():
        seconds, killed = float(str(each["seconds"])), float(str(each["seconds_killed_twice"]))
        ratio = "" if first is None else f"{killed / float(str(first['seconds_killed_twice'])):.2f}"
        again = f"{each['rows_again']:,} ({100 * int(str(each['rows_again'])) / rows:.0f}%)"
        equal = "yes" if each["bytes_equal"] else "no"
        lines.append(f"| {system} | {seconds:.1f} s | {killed:.1f} s | {ratio} | {again} | {equal} |")
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
