import numpy as np
import pytest

from berthub.formats.head_axes import as_matrix, heads_of

_LAYER, _GROUP = "bert/encoder/layer_0/attention", "bert/encoder/transformer/group_0/inner_group_0/attention_1"


@pytest.mark.parametrize("scope", [_LAYER, _GROUP])
@pytest.mark.parametrize(
    ("name", "shape", "heads", "matrix"),
    [
        ("self/query/kernel", (12, 3, 4), 3, (12, 12)),
        ("self/value/bias", (3, 4), 3, (12,)),
        ("output/dense/kernel", (3, 4, 10), 3, (12, 10)),
        ("self/key/kernel", (12, 12), None, (12, 12)),
        ("output/dense/bias", (12,), None, (12,)),
        ("output/LayerNorm/gamma", (12,), None, (12,)),
        ("self/pre_softmax_weight", (3, 3), None, (3, 3)),
    ],
)
def test_the_axis_of_the_heads(
    scope: str, name: str, shape: tuple[int, ...], heads: int | None, matrix: tuple[int, ...]
) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    assert heads_of(f"{scope}/{name}", array) == heads
    flat = as_matrix(f"{scope}/{name}", array)
    assert flat.shape == matrix
    np.testing.assert_array_equal(flat.ravel(), array.ravel())
