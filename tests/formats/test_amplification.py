"""A sample of `tests/amplify.py`, whose full run is a script: inputs that are small on disk and large when read."""

import pytest

pytest.importorskip("resource", reason="measures memory as POSIX tells it")
import amplify


@pytest.mark.parametrize(
    "name",
    [
        "index-shared-key",
        "index-one-block-often",
        "saved-model-empty-nodes",
        "json-nested-lists",
        "vocabulary-short-lines",
        "onnx-empty-tensors",
        "onnx-foreign-attributes",
        "gguf-tensors",
        "hdf5-deep-groups",
        "torch-tensors",
    ],
)
def test_reading_costs_a_small_multiple_of_the_files(name: str) -> None:
    found, costs = amplify.faults(amplify.ATTACKS[name], name, scale=0.4)
    assert not found
    assert all(cost.files for cost in costs)
