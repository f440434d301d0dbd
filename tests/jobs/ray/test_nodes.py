"""A job on a cluster of several nodes, one of which is killed under load: each node is a set of processes here."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import berthub as hub
from support.ray_cluster import OBJECT_STORE, quiet_ray, shut_down

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(280)]

ROWS = 1200


@pytest.fixture
def nodes() -> Iterator[Any]:
    """A cluster of a head without processors and two nodes with one each."""
    ray = quiet_ray()
    from ray.cluster_utils import Cluster

    if ray.is_initialized():
        ray.shutdown()
    cluster = Cluster(head_node_args={"num_cpus": 0, "object_store_memory": OBJECT_STORE, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE)
    cluster.wait_for_nodes()
    yield cluster
    shut_down(ray)
    cluster.shutdown()


def _files(folder: str | os.PathLike[str]) -> dict[str, str]:
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.parametrize("graceful", [True, False])
def test_a_node_that_is_lost_changes_nothing(nodes: Any, graceful: bool, models: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    texts = (f"text number {index} of " + "many words " * (index % 25) for index in range(ROWS))
    path.write_text("text\n" + "".join(f"{text}\n" for text in texts))
    job = hub.EncodeJob(
        path, tmp_path / "out", model=models / "tf2_v4", output="mean", engine="numpy", shard_rows=30, threads=1
    )
    local = replace(job, output_folder=tmp_path / "local")
    local.run()

    done: list[int] = []

    def lose() -> None:
        while len(list(Path(job.output_folder).glob("*.parquet"))) < 6:
            time.sleep(0.02)
        nodes.remove_node(nodes.list_all_nodes()[-1], allow_graceful=graceful)
        done.append(len(list(Path(job.output_folder).glob("*.parquet"))))

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    job.run(runner=hub.ray.RayRunner(nodes.address))
    thread.join()
    # There was work left when it was gone.
    assert done[0] < 40
    assert _files(job.output_folder) == _files(local.output_folder)
