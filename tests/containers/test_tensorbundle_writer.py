from pathlib import Path

import numpy as np
import pytest

from berthub.containers.tensorbundle import TensorBundle
from berthub.containers.tensorbundle_writer import write_bundle
from berthub.errors import InputError

# As many names as make the writer close a block and cut the keys at restart points; a large array; no dimension.
_ARRAYS = {
    **{f"bert/encoder/layer_{i}/{'x' * 400}": np.full((2, 3), i, np.float32) for i in range(700)},
    "large": np.arange(700_000, dtype=np.float32),
    "transposed": np.arange(12, dtype=np.float64).reshape(3, 4).T,
    "flag": np.array(True),
    "step": np.array(2**40, np.int64),
    "ünïcode": np.array([1, -2], np.int32),
}


@pytest.mark.parametrize("shards", [1, 3])
def test_what_is_written_is_read(tmp_path: Path, shards: int) -> None:
    write_bundle(tmp_path / "x.ckpt", _ARRAYS, shards=shards)
    bundle = TensorBundle(tmp_path / "x.ckpt")
    assert sorted(bundle.keys) == sorted(_ARRAYS)
    for key, array in _ARRAYS.items():
        found = bundle.array(key)
        assert found.dtype == (np.float32 if array.dtype == np.float64 else array.dtype)
        np.testing.assert_array_equal(found, array)


def test_tensorflow_reads_it(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    write_bundle(tmp_path / "x.ckpt", _ARRAYS, shards=2)
    reader = tf.train.load_checkpoint(str(tmp_path / "x.ckpt"))
    assert reader.get_variable_to_shape_map() == {key: list(array.shape) for key, array in _ARRAYS.items()}
    for key in ("bert/encoder/layer_699/" + "x" * 400, "large", "transposed", "flag", "step", "ünïcode"):
        np.testing.assert_array_equal(reader.get_tensor(key), _ARRAYS[key])


def test_other_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not text \(<U1\)"):
        write_bundle(tmp_path / "x.ckpt", {"text": np.array(["a"])})
    assert not any(tmp_path.iterdir())
