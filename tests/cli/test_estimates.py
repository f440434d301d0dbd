from typing import Any

import numpy as np
import pytest

from berthub.cli.estimates import LENGTH, flops_per_token, parameters_by_part, peak_bytes, relative_cost
from berthub.cli.published import config_of
from berthub.engines.numpy import NumpyOps
from berthub.engines.openvino import OpenVinoEngine
from berthub.networks.ops import Dense
from berthub.networks.outputs import Output, build
from berthub.sources.catalogue import find_tfhub
from support.tiny import ARCHITECTURES, tiny_checkpoint


class CountingOps(NumpyOps):
    """Counts two operations for each multiplication in a matrix product."""

    def __init__(self) -> None:
        self.flops = 0

    def dense(self, x: Any, layer: Dense[Any]) -> Any:
        self.flops += 2 * x.size * layer.kernel.shape[1]
        return super().dense(x, layer)

    def table_dense(self, x: Any, layer: Dense[Any]) -> Any:
        # The same for all texts.
        return super().dense(x, layer)

    def relative_scores(self, query: Any, key: Any, ids: Any, rows: Any, **options: Any) -> Any:
        length = key.shape[1]
        for x, vectors in ((query, options["keys"]), (key, options["queries"])):
            self.flops += 2 * x.size * min(2 * length - 1, vectors.shape[1])
        return super().relative_scores(query, key, ids, rows, **options)

    def attention(self, query: Any, key: Any, value: Any, bias: Any, **options: Any) -> Any:
        length, heads = query.shape[1], options["heads"]
        self.flops += 2 * query.size * length + 2 * length * value.size
        if options.get("mixing") is not None:
            self.flops += 2 * 2 * heads * heads * length * length
        return super().attention(query, key, value, bias, **options)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_flops_are_those_of_the_network(architecture: str) -> None:
    checkpoint = tiny_checkpoint(architecture, max_positions=LENGTH)
    config, ops = checkpoint.config, CountingOps()
    inputs = {name: np.ones((1, LENGTH), np.int32) for name in ("ids", "mask")}
    outputs = [Output(layer) for layer in range(config.num_states)]
    if config.pooler:
        outputs.append(Output(-1, "pooled"))
    resolved = [output.resolved(config) for output in outputs]
    build(ops, config, checkpoint.weights, resolved, type_ids=np.zeros((1, LENGTH), np.int32), **inputs)
    assert flops_per_token(config) == round(ops.flops / LENGTH)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parts_add_up(architecture: str) -> None:
    checkpoint = tiny_checkpoint(architecture)
    parts = parameters_by_part(checkpoint.config)
    assert sum(parts.values()) == checkpoint.parameters
    assert parts["embeddings"] > 40 * 8
    assert parts["layers"] > 0
    assert (parts["pooler"] > 0) == checkpoint.config.pooler
    assert (parts["mlm_head"] > 0) == checkpoint.config.mlm


@pytest.mark.parametrize(
    ("name", "billions"),
    # Table 4 of the MobileBERT paper: operations (there a multiplication and an addition are two) for 128 tokens.
    [
        ("tensorflow/bert_en_uncased_L-12_H-768_A-12", 22.5),
        ("tensorflow/mobilebert_en_uncased_L-24_H-128_B-512_A-4_F-4_OPT", 5.7),
    ],
)
def test_costs_are_near_published_ones(name: str, billions: float) -> None:
    config = config_of(find_tfhub(name))
    assert config is not None
    assert LENGTH * flops_per_token(config) == pytest.approx(billions * 1e9, rel=0.06)


def test_base_costs_what_base_costs() -> None:
    base = config_of(find_tfhub("tensorflow/bert_en_uncased_L-12_H-768_A-12"))
    assert base is not None
    assert relative_cost(base) == 1
    # Measured: 0.75 GB (Linux, OpenVINO, float32, 1,000 sentences; two cores).
    assert peak_bytes(base) == pytest.approx(0.745e9, rel=0.05)


def test_a_batch_is_as_large_as_the_engine_wants_it() -> None:
    from berthub.cli import estimates

    assert OpenVinoEngine.limits.tokens == estimates._BATCH
