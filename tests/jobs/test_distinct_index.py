"""The index of distinct texts is that of a dictionary of all texts, whatever the sizes of blocks and shards."""

import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from berthub.errors import InputError
from berthub.jobs import distinct_index
from berthub.jobs.distinct_index import INDEX, DistinctIndex, build_index, distinct_texts
from berthub.jobs.folder import LocalFolder
from berthub.jobs.partition import BUCKETS, Partition
from berthub.tables.block import Block, JsonRows


def _begun(path: Path) -> LocalFolder:
    folder = LocalFolder(path)
    folder.begin()
    return folder


def _plan(monkeypatch: pytest.MonkeyPatch, texts: list[Any], *, block: int, shard_rows: int, left_out: int = 0) -> Any:
    """A plan whose rows have these texts, and so many rows more that are left out."""

    def blocks(plan: Any, shard: Any, tally: Any, *, lenient: bool) -> Iterator[Block]:
        end = min(shard.number * shard_rows + shard_rows, len(texts))
        for begin in range(shard.number * shard_rows, end, block):
            yield Block(
                name="",
                texts=texts[begin : min(begin + block, end)],
                carried=JsonRows([], [], []),
                first_row=1,
                lines=None,
                begin=0,
                end=0,
            )

    monkeypatch.setattr(distinct_index, "shard_blocks", blocks)
    shards = [SimpleNamespace(number=number) for number in range(-(-len(texts) // shard_rows))]
    return SimpleNamespace(rows=len(texts) + left_out, shards=shards, reading=SimpleNamespace(missing=None))


@pytest.mark.parametrize("seed", range(40))
def test_index(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    kinds = draw.choice([1, 5, 100, 10000])
    texts: list[Any] = [f"text {draw.randrange(kinds)}" for _ in range(draw.choice([0, 1, 7, 333]))]
    if seed % 3 == 0:
        texts = [(text, text[: draw.randrange(3)]) for text in texts]
    monkeypatch.setattr(distinct_index, "_CHUNK", draw.choice([1, 7, 64, 1000]))
    rows = draw.choice([1, 10, 1000])
    monkeypatch.setattr(distinct_index, "Partition", lambda folder: Partition(folder, rows=rows))
    plan = _plan(
        monkeypatch, texts, block=draw.choice([1, 3, 16]), shard_rows=draw.choice([1, 4, 50, 999]), left_out=seed % 4
    )
    build_index(plan, _begun(tmp_path))
    index = DistinctIndex.read(tmp_path / INDEX, plan)
    numbers: dict[Any, int] = {}
    expected = [numbers.setdefault(text, len(numbers)) for text in texts]
    assert index.numbers.tolist() == expected + [-1] * (seed % 4)
    assert [number for shard in plan.shards for number in index.of_shard(shard.number).tolist()] == expected
    assert index.texts == len(numbers) == distinct_index.read_count(LocalFolder(tmp_path))
    order = list(numbers)
    for size in (1, 7, 400):
        for begin in range(0, len(order), size):
            found = distinct_texts(plan, index, begin, min(begin + size, len(order)))
            assert [text for group in found for text in group] == order[begin : begin + size]
    assert [path.name for path in (tmp_path / INDEX).parent.iterdir() if path.name.startswith(".")] == []


def test_pairs_of_the_same_letters_are_not_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", ""), ("a", "b\n2\nc"), ("a\n", "b"), ("\ud800", "")]
    plan = _plan(monkeypatch, texts, block=9, shard_rows=9)
    build_index(plan, _begun(tmp_path))
    assert DistinctIndex.read(tmp_path / INDEX, plan).texts == len(texts)


def test_buckets_are_small_and_a_text_that_is_everywhere_makes_none_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole is on the disk: memory holds a bucket at a time."""
    sizes: list[int] = []
    link = distinct_index._link_equals
    monkeypatch.setattr(
        distinct_index, "_link_equals", lambda bucket, firsts: (sizes.append(len(bucket)), link(bucket, firsts))
    )
    texts = [f"text {row}" if row % 2 else "" for row in range(40_000)]
    plan = _plan(monkeypatch, texts, block=2048, shard_rows=10_000)
    build_index(plan, _begun(tmp_path))
    assert len(sizes) == BUCKETS
    assert sum(sizes) == 20_000 + 20
    assert max(sizes) < 4 * 20_000 / BUCKETS


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan(monkeypatch, ["a", "b"], block=9, shard_rows=9)
    path = tmp_path / "index.npy"
    np.save(path, np.zeros(3, np.int64))
    with pytest.raises(InputError, match="is no index of this job: remove it"):
        DistinctIndex.read(path, plan)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="cannot be read"):
        DistinctIndex.read(path, plan)
