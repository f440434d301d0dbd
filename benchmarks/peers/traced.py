"""The transformers model as one module from three arrays to the pooled vector, for the peers that convert it."""

from typing import Any

from benchmarks.models import Model


def pooled_module(model: Model, *, attention: str) -> Any:
    import torch
    from transformers import BertModel

    bert = BertModel.from_pretrained(model.huggingface, attn_implementation=attention).eval()

    class Pooled(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.bert = bert

        def forward(self, ids: Any, mask: Any, type_ids: Any) -> Any:
            return self.bert(input_ids=ids, attention_mask=mask, token_type_ids=type_ids).pooler_output

    return Pooled().eval()


def example() -> tuple[Any, Any, Any]:
    import torch

    ones = torch.ones((2, 16), dtype=torch.int64)
    return ones, ones.clone(), torch.zeros_like(ones)
