import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from berthub.engines.create import create_engine
from berthub.engines.engine import Engine, PaddedBatch
from berthub.engines.numpy import NumpyOps
from berthub.errors import InputError
from berthub.formats import read
from berthub.networks.outputs import Output


def _batch(*rows: list[int]) -> PaddedBatch:
    ids = np.array(rows, np.int32)
    return PaddedBatch(ids=ids, mask=(ids != 0).astype(np.int32), type_ids=np.zeros_like(ids), rows=np.arange(len(ids)))


@pytest.fixture(params=["numpy", "openvino"])
def engine(models: Path, request: pytest.FixtureRequest) -> Engine:
    return create_engine(read(models / "tf2_v4"), engine=request.param, precision="float32")


# Few batches, and so many that an engine may compute them side by side.
@pytest.mark.parametrize("count", [1, 7, 40])
def test_every_batch_comes_back_once_with_its_own_outputs(engine: Engine, count: int) -> None:
    batches = [_batch([11, 20 + index, 12], [11, 12, 0]) for index in range(count)]
    alone = [next(iter(engine.run([batch], [Output(1), Output(1, "mean")]))) for batch in batches]
    expected = {id(batch): [output.copy() for output in one.outputs] for batch, one in zip(batches, alone, strict=True)}
    seen = []
    for result in engine.run(iter(batches), [Output(1), Output(1, "mean")]):
        seen.append(id(result.batch))
        for ours, theirs in zip(result.outputs, expected[id(result.batch)], strict=True):
            assert ours.dtype == np.float32
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert sorted(seen) == sorted(map(id, batches))


def test_no_batches(engine: Engine) -> None:
    assert list(engine.run([], [Output(1)])) == []


def test_two_threads_use_one_engine(engine: Engine) -> None:
    def pooled(first: int) -> list[np.ndarray]:
        batches = [_batch([11, first + index, 12]) for index in range(30)]
        return [result.outputs[0].copy() for result in engine.run(batches, [Output(1, "mean")])]

    alone = [pooled(first) for first in (20, 60)]
    with ThreadPoolExecutor(2) as pool:
        together = [*pool.map(pooled, (20, 60))]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)


def test_batches_whose_arrays_are_views_or_read_only(engine: Engine) -> None:
    whole = _batch([11, 20, 0, 12, 30, 0], [11, 21, 0, 12, 31, 0])
    every = PaddedBatch(
        ids=whole.ids[:, ::2], mask=whole.mask[:, ::2], type_ids=whole.type_ids[:, ::2], rows=whole.rows
    )
    every.ids.flags.writeable = False
    copied = PaddedBatch(ids=every.ids.copy(), mask=every.mask.copy(), type_ids=every.type_ids.copy(), rows=every.rows)
    ours, theirs = (next(iter(engine.run([batch], [Output(1)]))).outputs[0].copy() for batch in (every, copied))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("count", [5, 20])
def test_an_abandoned_run_leaves_the_engine_usable(engine: Engine, count: int) -> None:
    results = engine.run((_batch([11, 20, 12]) for _ in range(count)), [Output(1)])
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(list(engine.run([_batch([11, 20, 12])], [Output(1)]))) == 1


def test_a_failing_source_of_batches_comes_through(engine: Engine) -> None:
    def batches():
        yield _batch([11, 20, 12])
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        list(engine.run(batches(), [Output(1)]))


def test_the_choice_of_engine_and_precision(models: Path) -> None:
    checkpoint = read(models / "tf2_v4")
    assert create_engine(checkpoint).name == "openvino"
    assert create_engine(checkpoint, precision="float32").precision == "float32"
    with pytest.raises(InputError, match="engine='tensorrt' is not known; use one of auto, numpy, openvino"):
        create_engine(checkpoint, engine="tensorrt")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="precision='int4' is not known"):
        create_engine(checkpoint, precision="int4")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="float32 only"):
        create_engine(checkpoint, engine="numpy", precision="bfloat16")
    assert create_engine(checkpoint, threads=3).threads == 3
    for threads in (0, -1, 1.5, True, "2"):
        with pytest.raises(InputError, match="threads must be a whole number from 1"):
            create_engine(checkpoint, threads=threads)  # type: ignore[arg-type]


def test_a_processor_without_bfloat16(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from berthub.engines.openvino import engine as openvino

    monkeypatch.setattr(openvino, "processor_has_bfloat16", lambda: False)
    checkpoint = read(models / "tf2_v4")
    assert create_engine(checkpoint).precision == "float32"
    with pytest.raises(InputError, match="does not compute in bfloat16"):
        create_engine(checkpoint, precision="bfloat16")


def test_activations_of_the_reference() -> None:
    ops, x = NumpyOps(), np.linspace(-4, 4, 41, dtype=np.float32)
    exact = np.array([0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.astype(float)])
    tanh = np.array(
        [0.5 * v * (1 + math.tanh(math.sqrt(2 / math.pi) * (v + 0.044715 * v**3))) for v in x.astype(float)]
    )
    np.testing.assert_allclose(ops.activation(x, "gelu_erf"), exact, rtol=0, atol=1e-6)
    np.testing.assert_allclose(ops.activation(x, "gelu_tanh"), tanh, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(ops.activation(x, "relu"), np.maximum(x, 0))
    assert np.abs(exact - tanh).max() > 1e-4


def test_weights_are_shared_not_copied(models: Path) -> None:
    from berthub.engines.openvino import engine as openvino
    from berthub.engines.openvino.ops import OpenVinoOps

    checkpoint = read(models / "hf_bert")
    graph = openvino._graph(checkpoint, (Output(1),), OpenVinoOps())
    addresses = {node.data.ctypes.data for node in graph.get_ops() if node.get_type_name() == "Constant"}
    for name, weight in checkpoint.weights.items():
        if "pooler" not in name:
            assert weight.ctypes.data in addresses, name
