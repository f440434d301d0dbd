"""Our writer of safetensors beside the library's."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from berthub.containers.safetensors import read_safetensors, write_safetensors

ARRAYS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a/ä": np.ones((3,), np.float32),
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
}


def test_the_library_reads_what_we_write(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "ours", ARRAYS, {"format": "pt"})
    for found in (load_file(tmp_path / "ours"), read_safetensors(tmp_path / "ours")):
        assert {*found} == {*ARRAYS}
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(found[name], array)


def test_the_bytes_are_those_of_the_library(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "ours", ARRAYS, {"format": "pt"})
    save_file(
        {name: np.ascontiguousarray(array) for name, array in ARRAYS.items()}, tmp_path / "theirs", {"format": "pt"}
    )
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="POSIX rights")
def test_whoever_may_read_new_files_may_read_weights(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_safetensors(tmp_path / "ours", ARRAYS, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == 0o644
