"""PyTorch and transformers, the ordinary way: shuffled batches padded to their longest, AdamW, dropout."""

import random
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.finetuning.pieces import Padded, Pieces, pad
from benchmarks.finetuning.settings import LARGEST_NORM, WARM_UP, WEIGHT_DECAY, Settings
from benchmarks.finetuning.systems.system import System
from benchmarks.finetuning.tasks import Examples, Task

_PREDICTED_AT_ONCE = 64


class Transformers(System):
    """`bfloat16`: the forward pass under autocast; weights, gradients and AdamW stay float32."""

    def __init__(self, *, bfloat16: bool) -> None:
        self._bfloat16 = bfloat16
        self.name = "transformers-bf16" if bfloat16 else "transformers"
        self.title = "PyTorch + transformers, " + ("bfloat16 autocast" if bfloat16 else "float32")

    def load(self, task: Task, settings: Settings, seed: int) -> None:
        import torch
        import transformers

        torch.manual_seed(seed)
        self._torch: Any = torch
        self._transformers: Any = transformers
        self._settings, self._random = settings, random.Random(seed)
        self._pieces = Pieces(settings.model / "vocab.txt", task, settings.max_length)
        name = "BertForTokenClassification" if task.tagging else "BertForSequenceClassification"
        kind: Any = getattr(transformers, name)
        self._model: Any = kind.from_pretrained(settings.model, num_labels=len(task.labels))

    def fit(self, examples: Examples, epochs: int) -> list[float]:
        model, size = self._model, self._settings.batch_size
        rows = self._pieces.rows(examples.inputs, examples.labels)
        optimizer, schedule = self._optimizer(steps=-(-len(rows) // size) * epochs)
        model.train()
        seconds = []
        for _ in range(epochs):
            start = time.perf_counter()
            self._random.shuffle(rows)
            for first in range(0, len(rows), size):
                batch = pad(rows[first : first + size])
                with self._autocast():
                    loss = model(**self._inputs(batch), labels=self._torch.from_numpy(batch.targets)).loss
                loss.backward()
                self._torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            seconds.append(time.perf_counter() - start)
        return seconds

    def predict(self, inputs: Sequence[Any]) -> list[Any]:
        rows = self._pieces.rows(inputs)
        order = sorted(range(len(rows)), key=lambda row: len(rows[row].ids))
        found: list[Any] = [None] * len(rows)
        self._model.eval()
        with self._torch.inference_mode(), self._autocast():
            for first in range(0, len(rows), _PREDICTED_AT_ONCE):
                places = order[first : first + _PREDICTED_AT_ONCE]
                batch = pad([rows[place] for place in places])
                best = self._model(**self._inputs(batch)).logits.argmax(-1).tolist()
                for place, numbers in zip(places, best, strict=True):
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
