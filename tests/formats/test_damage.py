"""A sample of `tests/fuzz_readers.py`, whose full run is a script."""

from pathlib import Path

import pytest

pytest.importorskip("resource", reason="the script limits memory as POSIX does")
import fuzz_readers


@pytest.fixture(scope="module")
def folders(models: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return fuzz_readers.model_folders(models) + fuzz_readers.write_models(models, tmp_path_factory.mktemp("written"))


@pytest.mark.parametrize("block", range(6))
def test_damaged_models_raise_berthubs_errors_only(folders: list[Path], block: int) -> None:
    outcomes = {fuzz_readers.run_case(folders, seed) for seed in range(block * 60, (block + 1) * 60)}
    assert "CorruptFileError" in outcomes
