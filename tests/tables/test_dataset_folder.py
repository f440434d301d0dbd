"""Folders that Hugging Face's `datasets` writes, made by hand as its version 5 writes them."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from berthub.errors import InputError
from berthub.tables.reading import TextColumns, reading
from berthub.tables.reading_options import ReadingOptions
from berthub.tables.source import find_source


def save_to_disk(folder: Path, shards: list[list[str]], **state: Any) -> Path:
    folder.mkdir(parents=True)
    names = [f"data-{index:05d}-of-{len(shards):05d}.arrow" for index in range(len(shards))]
    features = {"text": {"dtype": "string", "_type": "Value"}}
    for name, texts in zip(names, shards, strict=True):
        table = pa.table({"text": texts}).replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
        with pa.ipc.new_stream(folder / name, table.schema) as writer:
            writer.write_table(table)
    values = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": "5dc5cd474bcd87c5",
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "state.json").write_text(json.dumps(values | state, indent=2))
    info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
    (folder / "dataset_info.json").write_text(json.dumps(info, indent=2))
    return folder


def texts(name: Path | str, **options: Any) -> list[Any]:
    with reading(find_source([str(name)], ReadingOptions(**options)), TextColumns()) as rows:
        return [text for block in rows.blocks for text in block.texts]


SHARDS = [["one", "two"], ["three"], ["four"]]


def test_all_files_in_their_order(tmp_path: Path) -> None:
    folder = save_to_disk(tmp_path / "data", SHARDS)
    assert texts(folder) == texts(f"{folder}/") == texts(folder, format="arrow") == ["one", "two", "three", "four"]


def test_the_order_of_the_state_and_no_caches(tmp_path: Path) -> None:
    files = [{"filename": f"data-0000{index}-of-00003.arrow"} for index in (2, 0)]
    folder = save_to_disk(tmp_path / "data", SHARDS, _data_files=files)
    (folder / "cache-0123456789abcdef.arrow").write_bytes(b"of a map")
    assert texts(folder) == ["four", "one", "two"]


@pytest.mark.parametrize("end", ["", "/"])
def test_splits(tmp_path: Path, end: str) -> None:
    for split in ("train", "test"):
        save_to_disk(tmp_path / "data" / split, SHARDS)
    (tmp_path / "data" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(InputError, match=r"several splits: train, test; name one, as in .*data/train$"):
        texts(f"{tmp_path / 'data'}{end}")
    assert texts(tmp_path / "data" / "test") == ["one", "two", "three", "four"]


def test_a_dataset_further_below(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "data" / "deep", SHARDS)
    with pytest.raises(InputError, match=r'folder ".*data" holds a dataset in .*data/deep: name that folder'):
        texts(tmp_path / "data")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"_indices_files": [{"filename": "indices.arrow"}]}, r"chosen by indices.*flatten_indices\(\)"),
        ({"_indices_data_files": [{"filename": "indices.arrow"}]}, r"chosen by indices.*flatten_indices\(\)"),
        ({"_data_files": []}, "has no rows"),
        ({"_data_files": None}, "is not what Hugging Face's datasets writes"),
        ({"_data_files": ["a.arrow"]}, "is not what Hugging Face's datasets writes"),
        ({"_data_files": [{"filename": "../other/a.arrow"}]}, "is not what Hugging Face's datasets writes"),
        ({"_data_files": [{"filename": "gone.arrow"}]}, "file not found: .*gone.arrow, which is part of the dataset"),
    ],
)
def test_what_is_refused(tmp_path: Path, state: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        texts(save_to_disk(tmp_path / "data", SHARDS, **state))


@pytest.mark.parametrize("name", ["state.json", "dataset_dict.json"])
@pytest.mark.parametrize("content", ["", "[]", "{}", "{"])
def test_damaged_descriptions(tmp_path: Path, name: str, content: str) -> None:
    folder = save_to_disk(tmp_path / "data", SHARDS)
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=f"data/{name} is not what Hugging Face's datasets writes"):
        texts(folder)


def test_a_remote_folder(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    folder = save_to_disk(tmp_path / "data", SHARDS)
    (folder / "cache-0123456789abcdef.arrow").write_bytes(b"of a map")
    memory.put(str(folder), "/sets/data", recursive=True)
    try:
        assert texts("memory://sets/data/") == ["one", "two", "three", "four"]
        with pytest.raises(InputError, match="holds a dataset in memory://sets/data: name that folder"):
            texts("memory://sets")
        memory.rm("/sets/data/data-00001-of-00003.arrow")
        with pytest.raises(InputError, match="file not found: memory://sets/data/data-00001"):
            texts("memory://sets/data")
    finally:
        memory.rm("/sets", recursive=True)


def test_a_folder_of_json_files_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('[{"text": "one"}]')
    assert texts(tmp_path) == ["one"]
