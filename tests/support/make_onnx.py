"""Write `tests/data/models/onnx_*`: the model in `hf_bert` as other programs export it to ONNX.

    pip install "optimum-onnx==0.1.0" onnx onnxruntime onnxscript
    python tests/support/make_onnx.py

The weights are those of `hf_bert`, whose golden outputs hold for these, too. optimum leaves out the pooler, which none
of its outputs needs, and lets PyTorch's older exporter write; the newer one keeps weights in a file of their own.
"""

import shutil
from pathlib import Path

import torch
from optimum.exporters.onnx import main_export
from transformers import BertModel

_MODELS = Path(__file__).parent.parent / "data" / "models"
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def main() -> None:
    """Export the model twice."""
    source, older, newer = (_MODELS / name for name in ("hf_bert", "onnx_optimum", "onnx_dynamo"))
    main_export(str(source), str(older), task="feature-extraction", opset=14)
    for path in older.iterdir():
        if path.name not in ("model.onnx", "config.json", "tokenizer_config.json", "vocab.txt"):
            path.unlink()
    newer.mkdir()
    for name in ("config.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(source / name, newer / name)
    (newer / "onnx").mkdir()
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence")}
    torch.onnx.export(
        BertModel.from_pretrained(source, attn_implementation="sdpa").eval(),
        (torch.tensor([[2, 5, 6, 3]]), torch.ones(1, 4, dtype=torch.long), torch.zeros(1, 4, dtype=torch.long)),
        str(newer / "onnx" / "model.onnx"),
        input_names=_INPUTS,
        output_names=["last_hidden_state", "pooler_output"],
        dynamo=True,
        dynamic_shapes=(sizes,) * 3,
    )


if __name__ == "__main__":
    main()
