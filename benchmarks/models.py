"""The models that are measured: one set of weights as a Hugging Face folder and as a TF Hub SavedModel."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Model:
    """`huggingface` (erf GELU) is what PyTorch, ONNX Runtime, OpenVINO and berthub read; `saved_model` (tanh GELU)
    what TensorFlow and berthub read. None: there is none, and `reason` says why."""

    name: str
    huggingface: Path
    saved_model: Path | None
    reason: str = ""

    @property
    def vocabulary(self) -> Path:
        return self.huggingface / "vocab.txt"


def bert_base(cache: Path, vocabulary: Path) -> Model:
    """BERT-base with random weights, made once and kept in `cache`. Speed does not depend on the weights."""
    folder = cache / "bert_base"
    if not (folder / "model.safetensors").exists():
        _make_huggingface(folder, vocabulary)
    saved_model = cache / "bert_base_saved_model"
    if not (saved_model / "saved_model.pb").exists():
        command = [sys.executable, "-m", "benchmarks.export_saved_model", str(folder), str(saved_model)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(saved_model, ignore_errors=True)
            reason = (done.stderr.strip() or "no message").splitlines()[-1]
            return Model("BERT-base", folder, None, f"the SavedModel could not be exported: {reason}")
    return Model("BERT-base", folder, saved_model)


def _make_huggingface(folder: Path, vocabulary: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    model = BertModel(BertConfig())
    # Fresh biases are zero and fresh norms are one: moved, so that agreement tells something.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.02)
    model.save_pretrained(folder)
    shutil.copyfile(vocabulary, folder / "vocab.txt")
