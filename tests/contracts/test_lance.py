"""What the guide says of Lance: a dataset of a job's files is one commit, wherever its writer is killed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.needs import needs

_WRITE = """
import os, signal, sys
import lance
import pyarrow.dataset as ds

vectors = ds.dataset("vectors/").filter(ds.field("embedding").is_valid())

def batches(killed_at):
    for number, batch in enumerate(vectors.to_batches()):
        if number == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch

if len(sys.argv) > 1:
    reader = batches(int(sys.argv[1]))
    lance.write_dataset(reader, "vectors.lance", schema=vectors.schema, mode="overwrite", max_rows_per_file=100)
else:
    reader = vectors.scanner(batch_readahead=2, fragment_readahead=1).to_reader()
    lance.write_dataset(reader, "vectors.lance", mode="overwrite")
"""
_READ = """
import lance
dataset = lance.dataset("vectors.lance")
print(dataset.version, dataset.count_rows(), dataset.to_table()["id"].to_pylist() == list(range(dataset.count_rows())))
"""


def _run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@needs("lance")
def test_a_dataset_is_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vectors" / "_job").mkdir(parents=True)
    (tmp_path / "vectors" / "_job" / "plan.json").write_text("{}")
    for shard in range(4):
        ids = np.arange(1000 * shard, 1000 * (shard + 1))
        vectors = pa.FixedSizeListArray.from_arrays(np.zeros(8000, np.float32), 8)
        pq.write_table(pa.table({"id": ids, "embedding": vectors}), tmp_path / "vectors" / f"shard-{shard:06}.parquet")
    # Killed before there is a dataset: there is none. Killed after that: it is as it was.
    assert _run(_WRITE, 3).returncode == -9
    assert list((tmp_path / "vectors.lance").rglob("*.lance"))
    assert _run(_READ).returncode != 0
    assert _run(_WRITE).returncode == 0
    assert _run(_READ).stdout == "1 4000 True\n"
    assert _run(_WRITE, 2).returncode == -9
    assert _run(_READ).stdout == "1 4000 True\n"
    assert _run(_WRITE).returncode == 0
    assert _run(_READ).stdout == "2 4000 True\n"
