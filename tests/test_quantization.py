import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from berthub.errors import CheckpointError
from berthub.quantization import DenseQuantization, quantized_kernel


def _layer(**fields: object) -> DenseQuantization:
    return DenseQuantization(
        **{
            "shift": np.array([0.5, -2], np.float32),
            "smoothing": np.array([1, 4], np.float32),
            "exact": np.zeros(2, np.bool_),
            "scale": 0.25,
            "correction": np.zeros(3, np.float32),
            **fields,
        }
    )


def test_inputs_are_rounded_to_multiples_of_the_scale_and_cut() -> None:
    layer = _layer()
    x = np.array([[0.5, -2], [0.6, -1.5], [1e9, -1e9]], np.float32)
    np.testing.assert_array_equal(layer.rounded(x), [[0, 0], [0, 0.0], [layer.high, layer.low]])
    assert (layer.low, layer.high) == (-32, 31.75)


@given(seed=st.integers(0, 2**32 - 1), inside=st.integers(1, 40), outside=st.integers(1, 20))
def test_a_dense_layer_in_bytes_is_near_the_exact_one(seed: int, inside: int, outside: int) -> None:
    random = np.random.default_rng(seed)
    x, kernel = (random.normal(size=size).astype(np.float32) for size in ((7, inside), (inside, outside)))
    bias = random.normal(size=outside).astype(np.float32)
    smoothing = random.uniform(0.5, 2, inside).astype(np.float32)
    shift = random.normal(size=inside).astype(np.float32)
    exact = random.random(inside) < 0.2
    reach = float(np.abs((x - shift) / smoothing).max())
    layer = DenseQuantization(
        shift=shift, smoothing=smoothing, exact=exact, scale=reach / 127, correction=np.zeros(outside, np.float32)
    )
    values, scales, moved = layer.quantized(kernel, bias)
    assert values.dtype == np.int8
    assert np.abs(values.astype(int)).max() <= 127
    assert not values[exact].any()
    ours = layer.rounded(x) @ (values * scales) + moved + x[:, exact] @ kernel[exact]
    # Half a step of each factor, for every term of the sum.
    smoothed = np.abs(kernel * smoothing[:, None])
    bound = layer.scale / 2 * smoothed.sum(0) + (reach + layer.scale) * scales / 2 * inside
    assert (np.abs(ours - (x @ kernel + bias)) <= bound + 1e-4).all()


def test_a_column_of_zeros_stays_one() -> None:
    values, scales = quantized_kernel(np.zeros((2, 3), np.float32), np.ones(2, np.float32))
    assert not values.any()
    assert np.isfinite(scales).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shift": np.zeros(2)}, r"shift is float64 \(2,\)"),
        ({"shift": np.zeros(3, np.float32)}, r"shift has shape \(3,\), and smoothing \(2,\)"),
        ({"smoothing": np.array([1, 0], np.float32)}, "not positive"),
        ({"smoothing": np.array([1, np.nan], np.float32)}, "smoothing is"),
        ({"exact": np.zeros(3, np.bool_)}, r"exact has shape \(3,\)"),
        ({"scale": 0.0}, "scale is 0.0"),
        ({"correction": np.zeros((3, 1), np.float32)}, "correction is"),
    ],
)
def test_what_is_not_valid_is_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        _layer(**fields)


def test_the_correction_goes_into_the_bias() -> None:
    layer = dataclasses.replace(_layer(), correction=np.array([1, 2, 3], np.float32))
    _, _, moved = layer.quantized(np.zeros((2, 3), np.float32), np.ones(3, np.float32))
    np.testing.assert_array_equal(moved, [2, 3, 4])
