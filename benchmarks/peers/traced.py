"""The transformers model as one module from three arrays to one output, for the peers that convert it.

What they convert it to is made once and kept among the model's exports: a program that loads it needs no PyTorch.
"""

from pathlib import Path
from typing import Any

from benchmarks.models import Model
from benchmarks.peers.peer import Output

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def onnx_file(model: Model, output: Output) -> Path:
    path = model.exports / "onnx" / f"{output}.onnx"
    if not path.exists():
        import torch

        axes = {name: {0: "batch", 1: "tokens"} for name in INPUTS}
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        torch.onnx.export(
            # Eager attention: a graph of plain operations, in which ONNX Runtime finds what it can fuse.
            _module(model, output, attention="eager"),
            _example(),
            str(temporary),
            input_names=list(INPUTS),
            output_names=[output],
            dynamic_axes={**axes, output: {0: "batch", **({1: "tokens"} if output == "sequence" else {})}},
            opset_version=17,
            dynamo=False,
        )
        temporary.replace(path)
    return path


def openvino_file(model: Model, output: Output) -> Path:
    path = model.exports / "openvino" / f"{output}.xml"
    if not path.exists():
        import openvino as ov

        path.parent.mkdir(parents=True, exist_ok=True)
        converted = ov.convert_model(_module(model, output, attention="sdpa"), example_input=_example())
        ov.save_model(converted, path, compress_to_fp16=False)
    return path


def chosen(found: Any, mask: Any, output: Output) -> Any:
    """The wanted output of what `BertModel` returns; a mean is over real tokens."""
    match output:
        case "pooled":
            return found.pooler_output
        case "sequence":
            return found.last_hidden_state
        case "mean":
            weights = mask.unsqueeze(1).to(found.last_hidden_state.dtype)
            return (weights @ found.last_hidden_state).squeeze(1) / weights.sum(dim=2)


def _module(model: Model, output: Output, *, attention: str) -> Any:
    import torch
    from transformers import BertModel

    bert = BertModel.from_pretrained(model.huggingface, attn_implementation=attention).eval()

    class Chosen(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.bert = bert

        def forward(self, ids: Any, mask: Any, type_ids: Any) -> Any:
            return chosen(self.bert(input_ids=ids, attention_mask=mask, token_type_ids=type_ids), mask, output)

    return Chosen().eval()


def _example() -> tuple[Any, Any, Any]:
    import torch

    ones = torch.ones((2, 16), dtype=torch.int64)
    return ones, ones.clone(), torch.zeros_like(ones)
