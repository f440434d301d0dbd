import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import berthub
from berthub.formats import read
from berthub.sources.resolve import resolve


@pytest.fixture
def archive(models: Path, tmp_path: Path) -> Path:
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as out:
        for file in (models / "hf_bert").iterdir():
            out.write(file, file.name)
    return path


@pytest.mark.parametrize("engine", ["openvino", "numpy"])
def test_a_loaded_model_survives_its_cache_entry(engine: str, archive: Path, tmp_path: Path) -> None:
    """Nothing that is in use is overwritten: not when the entry is made anew, and not when the cache is removed."""
    cache = tmp_path / "cache"
    loaded = berthub.load(archive, cache_dir=cache, engine=engine, precision="float32")
    checkpoint = read(resolve(archive, cache_dir=cache))
    before = loaded.encode(["a text"])["pooled_output"].copy()
    weights = {name: weight.copy() for name, weight in checkpoint.weights.items()}
    folder = resolve(archive, cache_dir=cache)
    inode = (folder / "model.safetensors").stat().st_ino
    (folder / "vocab.txt").unlink()
    assert resolve(archive, cache_dir=cache) == folder
    assert (folder / "model.safetensors").stat().st_ino != inode
    (folder / "model.safetensors").write_bytes(b"another file now")
    shutil.rmtree(cache)
    np.testing.assert_array_equal(loaded.encode(["a text"])["pooled_output"], before)
    longer = loaded.encode(["a text of another length, for which nothing is prepared"])["pooled_output"]
    assert np.isfinite(longer).all()
    for name, weight in weights.items():
        np.testing.assert_array_equal(checkpoint.weights[name], weight)
