"""The OpenVINO engine: runs batches on the processor.

The graph is built from the network with the checkpoint's arrays as its constants, without copying them. A graph is
compiled for each set of outputs that is asked for, and kept.
"""

import contextlib
import itertools
import logging
import time
import weakref
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import openvino.opset13 as op

from berthub.checkpoint import Checkpoint
from berthub.choices import Precision
from berthub.cores import quota_cores
from berthub.engines.batching import Padding, padded
from berthub.engines.engine import AnyBatch, Engine, Limits, PaddedBatch, Result
from berthub.engines.openvino.forking import GATE
from berthub.engines.openvino.int8_ops import Int8Ops
from berthub.engines.openvino.ops import OpenVinoOps, named_weights
from berthub.engines.openvino.pages import given_back
from berthub.engines.openvino.processor import processor_has_bfloat16
from berthub.engines.openvino.runtime import Graphs, core
from berthub.errors import InputError
from berthub.networks.outputs import Output, build

__all__ = ["OpenVinoEngine"]

_LOGGER = logging.getLogger(__name__)

# Tokens in a batch: enough to keep the matrix units busy, few enough for activations to stay in cache.
# From so many batches on, several are computed side by side, each on some of the cores: these wait less for each other
# than where all work on one. Fewer batches, or one text, are done sooner by all cores together.
_LIMITS = Limits(tokens=1024, few_shapes=True, concurrent_from=8)
_HINTS = {"bfloat16": "bf16", "float32": "f32"}


class OpenVinoEngine(Engine):
    """Runs batches by OpenVINO, as many at a time as there are streams, with one more waiting.

    All of them together take `threads` threads: None is one for each core of the machine that the process may use.
    """

    name = "openvino"
    limits = _LIMITS

    def __init__(self, checkpoint: Checkpoint, *, precision: Precision = "auto", threads: int | None = None) -> None:
        native = processor_has_bfloat16()
        if precision == "bfloat16" and not native:
            raise InputError('this processor does not compute in bfloat16; use precision="float32" or "auto"')
        if precision == "int8" and checkpoint.quantization is None:
            raise InputError('precision="int8" needs a checkpoint that was calibrated; `berthub.load` does that')
        best = "bfloat16" if native else "float32"
        self.precision = best if precision == "auto" else precision
        # Beside int8 everything that is not in bytes is computed as with "auto".
        self._hint = _HINTS[best if precision == "int8" else self.precision]
        self.threads = threads
        self._checkpoint = checkpoint
        self._padding = Padding.of(checkpoint, self.limits)
        self._graphs: Graphs[tuple[bool, tuple[Output, ...]], _Compiled] = Graphs()
        # Its graphs end with it, but not while a thread forks; at the end of the process nothing has to be done.
        weakref.finalize(self, self._graphs.end).atexit = False

    def run(self, batches: Iterable[AnyBatch], outputs: Sequence[Output]) -> Generator[Result]:
        """The outputs of every batch, in order; the arrays hold until the next result is taken."""
        ready = padded(batches, self._padding)
        many = self.limits.concurrent_from
        first = list(itertools.islice(ready, many))
        waiting = itertools.chain(first, ready)
        # One session, and another after each fork that another thread waited for meanwhile.
        for batch in waiting:
            yield from self._session(
                itertools.chain([batch], waiting), tuple(outputs), many=len(first) == many, alone=len(first) == 1
            )

    def run_many(self, batches: Iterable[AnyBatch | None], outputs: Sequence[Output]) -> Generator[Result]:
        """The outputs of every batch, in order, computed side by side; arrays hold until the next result is taken."""
        waiting = (
            None if batch is None else next(padded([batch], self._padding))
            for batch in batches  # each is padded when it is read
        )
        for batch in waiting:
            if batch is not None:
                yield from self._session(itertools.chain([batch], waiting), tuple(outputs), many=True, alone=False)

    def _session(
        self, batches: Iterable[PaddedBatch | None], outputs: tuple[Output, ...], *, many: bool, alone: bool
    ) -> Generator[Result]:
        """Run batches until they end, or until a thread waits to fork; nothing of the graph is held after it."""
        packing = contextlib.ExitStack()
        running: deque[_Started] = deque()
        with GATE.inside():
            try:
                compiled = self._model(outputs, many=many, packing=packing)
                taken = 0
                for batch in batches:
                    if running and (batch is None or len(running) == compiled.in_flight):
                        done = running.popleft()
                        yield _result(done)
                        compiled.idle.append(done.request)
                        taken += 1
                        if taken == compiled.in_flight:
                            packing.close()
                    if batch is None:
                        continue
                    running.append(_start(compiled.request(), batch, alone=alone))
                    if GATE.wanted:
                        break
                while running:
                    done = running.popleft()
                    yield _result(done)
                    compiled.idle.append(done.request)
            finally:
                packing.close()
                # Requests read the batches' memory: they must end before it goes.
                for started in running:
                    started.request.wait()

    def _model(self, outputs: tuple[Output, ...], *, many: bool, packing: contextlib.ExitStack) -> "_Compiled":
        """The compiled graph; `packing` is to be closed when as many batches are through as are computed at a time.

        Only then have all weights been packed. Of threads that need the same graph at once one compiles it.
        """
        graphs, key = self._graphs, (many, outputs)
        with graphs.lock:
            if key not in graphs.compiled:
                model = _graph(self._checkpoint, outputs, self._ops())
                settings = {
                    "PERFORMANCE_HINT": "THROUGHPUT" if many else "LATENCY",
                    "INFERENCE_PRECISION_HINT": self._hint,
                    **_threading(self.threads),
                }
                begin = time.perf_counter()
                packing.enter_context(given_back(self._checkpoint.weights))
                graphs.compiled[key] = _Compiled(core().compile_model(model, "CPU", settings))
                _LOGGER.info(
                    "compiled %s for %s in %.1f s",
                    self._checkpoint.config.architecture,
                    "many batches" if many else "few batches",
                    time.perf_counter() - begin,
                )
                _LOGGER.debug("its outputs: %s; settings: %s", outputs, settings)
            return graphs.compiled[key]

    def _ops(self) -> OpenVinoOps:
        quantization = self._checkpoint.quantization
        if self.precision != "int8" or quantization is None:
            return OpenVinoOps()
        return Int8Ops(quantization)


def _threading(threads: int | None) -> dict[str, Any]:
    """The settings for so many threads.

    They are not tied to cores: a process that does not have the machine alone cannot know which ones others took, and
    all that asked for one thread would be tied to the same core. By itself OpenVINO takes a thread for each
    core; where a container has the time of fewer, they would wait for each other.
    """
    if threads is None:
        threads = quota_cores()
    return {} if threads is None else {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}


class _Compiled:
    """A compiled graph, its requests that wait for work, and how many batches are in flight."""

    def __init__(self, model: ov.CompiledModel) -> None:
        self.idle: list[ov.InferRequest] = []
        # While some compute, the next batch is prepared and the last is read out.
        self.in_flight: int = model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1
        self._model = model

    def request(self) -> ov.InferRequest:
        """An idle request: several threads may run batches at a time."""
        try:
            return self.idle.pop()
        except IndexError:
            return self._model.create_infer_request()


@dataclass(frozen=True)
class _Started:
    """A running request: it computes a batch, and keeps the memory that it reads."""

    request: ov.InferRequest
    batch: PaddedBatch
    inputs: list[npt.NDArray[np.int32]]


def _start(request: ov.InferRequest, batch: PaddedBatch, *, alone: bool) -> _Started:
    given = [batch.ids, batch.mask, batch.type_ids, *([] if batch.positions is None else [batch.positions])]
    # OpenVINO reads arrays in place, if they are as it wants them.
    inputs = [np.require(array, requirements=["C", "W"]) for array in given]
    for index, array in enumerate(inputs):
        request.set_input_tensor(index, ov.Tensor(array, shared_memory=True))
    if alone:
        # In this thread: to hand it to another, which is to wake up first, takes 4% of the time of a short text.
        request.infer()
    else:
        request.start_async()
    return _Started(request, batch, inputs)


def _result(started: _Started) -> Result:
    request = started.request
    request.wait()
    count = len(request.model_outputs)
    return Result(started.batch, [request.get_output_tensor(index).data for index in range(count)])


def _graph(checkpoint: Checkpoint, outputs: tuple[Output, ...], ops: OpenVinoOps) -> ov.Model:
    names = ["ids", "mask", "type_ids", *(["positions"] if any(output.mlm for output in outputs) else [])]
    inputs = {name: op.parameter([-1, -1], np.int32, name=name) for name in names}
    results = build(ops, checkpoint.config, named_weights(checkpoint.weights), outputs, **inputs)
    return ov.Model(results, list(inputs.values()), checkpoint.config.architecture)
