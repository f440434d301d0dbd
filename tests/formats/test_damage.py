"""A sample of `tests/fuzz_readers.py`, whose full run is a script."""

from pathlib import Path

import pytest

import fuzz_readers


@pytest.mark.parametrize("block", range(5))
def test_damaged_models_raise_berthubs_errors_only(models: Path, block: int) -> None:
    folders = fuzz_readers.model_folders(models)
    outcomes = {fuzz_readers.run_case(folders, seed) for seed in range(block * 60, (block + 1) * 60)}
    assert "CorruptFileError" in outcomes
