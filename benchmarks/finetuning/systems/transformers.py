"""PyTorch and transformers, the ordinary way: shuffled batches padded to their longest, AdamW, dropout."""

import random
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.finetuning.pieces import Padded, Pieces, Row, pad
from benchmarks.finetuning.settings import LARGEST_NORM, WARM_UP, WEIGHT_DECAY, Settings
from benchmarks.finetuning.systems.system import System
from benchmarks.finetuning.tasks import Examples, Task

_PREDICTED_AT_ONCE = 64


class Transformers(System):
    """`bfloat16`: the forward pass under autocast; weights, gradients and AdamW stay float32.

    `paired`: with the batches and the first head that berthub has for a seed. What then differs between the two is the
    dropout masks and the rounding, and so their scores differ less by chance. With `own_head` the first head is the
    library's.
    """

    def __init__(self, *, bfloat16: bool, paired: bool = False, own_head: bool = False) -> None:
        self._bfloat16, self._paired, self._own_head = bfloat16, paired, own_head
        self.name = "transformers" + ("-bf16" if bfloat16 else "") + ("-paired" if paired else "")
        self.name += "-own-head" if own_head else ""
        self.title = "PyTorch + transformers, " + ("bfloat16 autocast" if bfloat16 else "float32")
        self.title += (", berthub's batches" + ("" if own_head else " and head")) if paired else ""

    def load(self, task: Task, settings: Settings, seed: int) -> None:
        import torch
        import transformers

        torch.manual_seed(seed)
        self._torch: Any = torch
        self._transformers: Any = transformers
        self._settings, self._seed, self._random = settings, seed, random.Random(seed)
        self._tagging = task.tagging
        self._pieces = Pieces(settings.model / "vocab.txt", task, settings.max_length)
        name = "BertForTokenClassification" if task.tagging else "BertForSequenceClassification"
        kind: Any = getattr(transformers, name)
        self._model: Any = kind.from_pretrained(settings.model, num_labels=len(task.labels))
        if self._paired and not self._own_head:
            self._set_head(len(task.labels))

    def fit(self, examples: Examples, epochs: int) -> list[float]:
        model, size = self._model, self._settings.batch_size
        rows = self._pieces.rows(examples.inputs, examples.labels)
        optimizer, schedule = self._optimizer(steps=-(-len(rows) // size) * epochs)
        model.train()
        seconds = []
        for epoch in range(epochs):
            start = time.perf_counter()
            for places in self._order(rows, epoch):
                batch = pad([rows[place] for place in places])
                with self._autocast():
                    loss = model(**self._inputs(batch), labels=self._torch.from_numpy(batch.targets)).loss
                loss.backward()
                self._torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            seconds.append(time.perf_counter() - start)
        return seconds

    def _order(self, rows: Sequence[Row], epoch: int) -> list[Any]:
        """The rows of each batch of an epoch."""
        size = self._settings.batch_size
        if self._paired:
            from berthub.training.examples import order_of_epoch

            lengths = np.array([len(row.ids) for row in rows])
            return order_of_epoch(lengths, batch_size=size, seed=self._seed_of_berthub(), epoch=epoch)
        order = list(range(len(rows)))
        self._random.shuffle(order)
        return [order[first : first + size] for first in range(0, len(rows), size)]

    def _seed_of_berthub(self) -> int:
        """The seed that berthub uses for the first fit of an object with this seed."""
        from berthub.training.randomness import Use, seed_for

        return seed_for(self._seed, Use.FIT, 0, bits=62)

    def _set_head(self, labels: int) -> None:
        """The head that berthub begins with."""
        from berthub import load
        from berthub.training.randomness import Use, stream
        from berthub.training.weights import initial_value

        config = load(self._settings.model, engine="numpy").config
        rng = stream(self._seed_of_berthub(), Use.HEAD)
        kernel = initial_value("head/kernel", (config.hidden_size, labels), config, rng)
        head = self._model.classifier
        with self._torch.no_grad():
            head.weight.copy_(self._torch.from_numpy(kernel.T.copy()))
            head.bias.zero_()

    def probabilities(self, inputs: Sequence[Any]) -> Any:
        if self._tagging:
            return None
        return np.concatenate(
            [logits.float().softmax(-1).numpy() for logits in self._logits(self._pieces.rows(inputs))]
        )

    def _logits(self, rows: Sequence[Row]) -> Any:
        """The logits of batches of `rows`, in their order."""
        self._model.eval()
        with self._torch.inference_mode(), self._autocast():
            for first in range(0, len(rows), _PREDICTED_AT_ONCE):
                yield self._model(**self._inputs(pad(rows[first : first + _PREDICTED_AT_ONCE]))).logits

    def predict(self, inputs: Sequence[Any]) -> list[Any]:
        rows = self._pieces.rows(inputs)
        order = sorted(range(len(rows)), key=lambda row: len(rows[row].ids))
        found: list[Any] = [None] * len(rows)
        for part, logits in enumerate(self._logits([rows[place] for place in order])):
            places = order[part * _PREDICTED_AT_ONCE :][:_PREDICTED_AT_ONCE]
            for place, numbers in zip(places, logits.argmax(-1).tolist(), strict=True):
                found[place] = numbers
        return self._pieces.labels(inputs, rows, found)

    def _optimizer(self, *, steps: int) -> tuple[Any, Any]:
        """AdamW, without decay of biases and norms, and its learning rate, which rises and falls in straight lines."""
        plain = [weight for weight in self._model.parameters() if weight.dim() == 1]
        decayed = [weight for weight in self._model.parameters() if weight.dim() > 1]
        groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}]
        optimizer = self._torch.optim.AdamW(groups, lr=self._settings.learning_rate)
        schedule = self._transformers.get_linear_schedule_with_warmup(optimizer, int(WARM_UP * steps), steps)
        return optimizer, schedule

    def _autocast(self) -> Any:
        return self._torch.autocast("cpu", self._torch.bfloat16, enabled=self._bfloat16)

    def _inputs(self, batch: Padded) -> dict[str, Any]:
        tensor = self._torch.from_numpy
        return {
            "input_ids": tensor(batch.ids),
            "attention_mask": tensor(batch.mask),
            "token_type_ids": tensor(batch.type_ids),
        }
