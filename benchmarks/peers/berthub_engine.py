"""berthub's own steady state: its engine alone, on the batches that `encode` makes, made before the clock starts.

What `encode` takes longer is tokenization, planning, padding, and bringing results into the caller's order.
"""

from typing import Any

from benchmarks.models import Model
from benchmarks.peers.berthub import load_encoder
from benchmarks.peers.peer import Output, Peer


class BerthubEngine(Peer):
    throughput_only = True

    def __init__(self, *, precision: str) -> None:
        self.name, self.precision = "berthub's engine alone", precision

    def load(self, model: Model) -> str:
        self._encoder = load_encoder(model.huggingface, self.precision)
        self._texts: list[str] = []
        self._batches: list[Any] = []
        return str(self._encoder.precision)

    def encode(self, texts: list[str], output: Output) -> None:
        from berthub.networks.outputs import Output as NetworkOutput

        # The call before the rounds has the same texts as they have: it makes the batches, they do not.
        if texts != self._texts:
            self._texts, self._batches = texts, self._cut(texts)
        wanted = NetworkOutput(-1, None if output == "sequence" else output).resolved(self._encoder.config)
        for _ in self._encoder._engine.run(self._batches, [wanted]):
            pass

    def _cut(self, texts: list[str]) -> list[Any]:
        from berthub.engines.batching import Padding, batches, padded

        encoder, limits = self._encoder, self._encoder._engine.limits
        tokens = encoder.tokenizer.tokens(texts, max_length=encoder.max_length)
        return list(padded(batches(tokens, limits), Padding.of(encoder.checkpoint, limits)))
