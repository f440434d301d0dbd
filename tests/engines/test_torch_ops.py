"""PyTorch's operations against the NumPy reference, on plain tensors: Keras is not needed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.checkpoint import Checkpoint
from berthub.engines.numpy import NumpyOps
from berthub.formats import read
from berthub.networks.outputs import Output, build
from support.golden import KINDS
from support.tiny import ARCHITECTURES, tiny_checkpoint

torch: Any = pytest.importorskip("torch")

from berthub.engines.torch.ops import TorchOps  # noqa: E402
from berthub.engines.torch.ragged import Ragged  # noqa: E402

# More texts than attend together.
LENGTHS = np.array([9, 5, 3, 8, 1, 9, 2, 7, 4, 6, 9])
POOLINGS = ("cls", "mean", "max", "pooled")
Arrays = dict[str, np.ndarray]


@pytest.fixture(params=[*ARCHITECTURES, *KINDS])
def checkpoint(request: pytest.FixtureRequest, models: Path) -> Checkpoint:
    if request.param in ARCHITECTURES:
        return tiny_checkpoint(request.param)
    return read(models / request.param)


def _inputs(checkpoint: Checkpoint) -> Arrays:
    config, draw = checkpoint.config, np.random.default_rng(1)
    mask = (np.arange(LENGTHS.max()) < LENGTHS[:, None]).astype(np.int32)
    ids = draw.integers(5, config.vocab_size, mask.shape).astype(np.int32)
    types = draw.integers(0, config.type_vocab_size, mask.shape).astype(np.int32)
    return {"ids": ids * mask, "mask": mask, "type_ids": types * mask}


def _outputs(checkpoint: Checkpoint) -> list[list[Output]]:
    """Outputs that are asked for together: of all positions, and such that need the first ones alone."""
    config = checkpoint.config
    last = config.num_states - 1
    poolings = POOLINGS if config.has_pooled_output else POOLINGS[:3]
    tokens = [*(Output(layer) for layer in range(config.num_states)), *(Output(last, pooling) for pooling in poolings)]
    firsts = [Output(last, pooling) for pooling in poolings if pooling in ("cls", "pooled")]
    return [tokens, firsts, [Output(last, mlm=True)]] if config.mlm else [tokens, firsts]


def _run(checkpoint: Checkpoint, outputs: list[Output], *, dtype: Any, ragged: bool) -> list[np.ndarray]:
    inputs = {name: torch.from_numpy(array) for name, array in _inputs(checkpoint).items()}
    inputs["positions"] = torch.zeros((len(LENGTHS), 2), dtype=torch.int32)
    inputs["positions"][:, 1] = torch.from_numpy(LENGTHS - 1)
    weights = {name: torch.tensor(np.array(weight)).to(dtype) for name, weight in checkpoint.weights.items()}
    places = Ragged.of_mask(inputs["mask"]) if ragged else None
    if places is not None:
        inputs |= {name: places.take(inputs[name]) for name in ("ids", "type_ids")}
    with torch.inference_mode():
        found = build(TorchOps(dtype, ragged=places), checkpoint.config, weights, outputs, **inputs)
    arrays = []
    for output, array in zip(outputs, found, strict=True):
        tokens = output.pooling is None and not output.mlm
        arrays.append((places.pad(array) if places is not None and tokens else array).float().numpy())
    return arrays


def _reference(checkpoint: Checkpoint, outputs: list[Output]) -> list[np.ndarray]:
    positions = np.stack([np.zeros_like(LENGTHS), LENGTHS - 1], axis=1)
    return build(NumpyOps(), checkpoint.config, checkpoint.weights, outputs, positions=positions, **_inputs(checkpoint))


def _real(array: np.ndarray) -> np.ndarray:
    """The vectors where there are tokens: what stands at padding means nothing."""
    return array[np.arange(array.shape[1]) < LENGTHS[:, None]] if array.shape[1:2] == (LENGTHS.max(),) else array


@pytest.mark.parametrize("ragged", [False, True], ids=["padded", "ragged"])
def test_every_output_equals_the_reference(checkpoint: Checkpoint, ragged: bool) -> None:
    if ragged and checkpoint.config.sees_padding:
        pytest.skip("this architecture sees its padding")
    for outputs in _outputs(checkpoint):
        expected = _reference(checkpoint, outputs)
        for ours, theirs in zip(_run(checkpoint, outputs, dtype=torch.float32, ragged=ragged), expected, strict=True):
            assert ours.shape == theirs.shape
            ours, theirs = _real(ours), _real(theirs)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * max(1.0, np.abs(theirs).max()))


@pytest.mark.parametrize("ragged", [False, True], ids=["padded", "ragged"])
@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
def test_it_computes_in_the_type_that_it_is_given(models: Path, ragged: bool, weights: str) -> None:
    checkpoint = read(models / "tf2_v4")
    ids, mask, type_ids = (torch.from_numpy(array) for array in _inputs(checkpoint).values())
    places = Ragged.of_mask(mask) if ragged else None
    if places is not None:
        ids, type_ids = places.take(ids), places.take(type_ids)
    tensors = {
        name: torch.tensor(np.array(weight)).to(getattr(torch, weights)) for name, weight in checkpoint.weights.items()
    }
    outputs = [Output(checkpoint.config.num_states - 1, "pooled")]
    ops = TorchOps(torch.bfloat16, ragged=places)
    (found,) = build(ops, checkpoint.config, tensors, outputs, ids=ids, mask=mask, type_ids=type_ids)
    assert found.dtype == torch.bfloat16
    (expected,) = _reference(checkpoint, outputs)
    np.testing.assert_allclose(found.float().numpy(), expected, rtol=0, atol=0.1)


def test_it_is_imported_only_where_it_is_used() -> None:
    program = "import sys, berthub.engines.torch, berthub.encoding.load; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"
