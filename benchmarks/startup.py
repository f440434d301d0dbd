"""From the start of a new process to its first vector, and the memory that it has used by then."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.models import Model

_BERTHUB = """
import berthub as hub
hub.load(sys.argv[1]).encode(["x"])
"""
_TENSORFLOW = """
import tensorflow as tf
from tokenizers import BertWordPieceTokenizer
model = tf.saved_model.load(sys.argv[1])
ids = tf.constant([BertWordPieceTokenizer(sys.argv[2], lowercase=True).encode("x").ids], tf.int32)
inputs = {"input_word_ids": ids, "input_mask": tf.ones_like(ids), "input_type_ids": tf.zeros_like(ids)}
model(inputs, training=False)["pooled_output"].numpy()
"""
_TRANSFORMERS = """
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertModel
model = BertModel.from_pretrained(sys.argv[1])
ids = torch.tensor([BertWordPieceTokenizer(sys.argv[2], lowercase=True).encode("x").ids])
with torch.inference_mode():
    model(ids).pooler_output.numpy()
"""
_SENTENCE_TRANSFORMERS = """
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer
transformer = Transformer(sys.argv[1])
pooling = Pooling(transformer.get_word_embedding_dimension(), "mean")
SentenceTransformer(modules=[transformer, pooling], device="cpu").encode(["x"])
"""
# Name, program, which form of the model it reads (None: no model).
_WAYS: tuple[tuple[str, str, str | None], ...] = (
    ("Python alone", "", None),
    ("import berthub", "import berthub", None),
    ("import tensorflow", "import tensorflow", None),
    ("import torch, transformers", "import torch; from transformers import BertModel", None),
    ("berthub, SavedModel", _BERTHUB, "saved_model"),
    ("berthub, Hugging Face folder", _BERTHUB, "huggingface"),
    ("TensorFlow, SavedModel", _TENSORFLOW, "saved_model"),
    ("PyTorch + transformers", _TRANSFORMERS, "huggingface"),
    ("sentence-transformers, torch", _SENTENCE_TRANSFORMERS, "huggingface"),
)
_SCRIPT = """
import sys
{program}
print("ready", flush=True)
# Not getrusage: what that reports begins with the memory of the process that started this one.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@dataclass
class Start:
    """One way to a first vector: seconds and peak resident MiB of each run; `skipped` says why there are none."""

    name: str
    model: str
    seconds: list[float] = field(default_factory=list)
    mebibytes: list[float] = field(default_factory=list)
    skipped: str | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def measure(models: list[Model], *, runs: int, say: Callable[[str], None]) -> list[Start]:
    """All ways in turn, `runs` times; one run before them is not counted (it fills the file cache)."""
    jobs: list[tuple[Start, list[str]]] = [
        (Start(name, ""), _command(program, [])) for name, program, form in _WAYS if form is None
    ]
    for model in models:
        for name, program, form in _WAYS:
            folder = model.saved_model if form == "saved_model" else model.huggingface
            if form and folder:
                jobs.append((Start(name, model.name), _command(program, [folder, model.vocabulary])))
    for turn in range(runs + 1):
        say(f"start-up, run {turn} of {runs}")
        for start, command in jobs:
            if start.skipped is None:
                _run(start, command, counted=turn > 0)
    return [start for start, _ in jobs]


def _command(program: str, arguments: list[Path]) -> list[str]:
    return [sys.executable, "-c", _SCRIPT.format(program=program), *map(str, arguments)]


def _run(start: Start, command: list[str], *, counted: bool) -> None:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        begin = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            assert process.stdout is not None
            # Libraries print, too: this line is what counts.
            ready = any(line == "ready\n" for line in process.stdout)
            seconds = time.perf_counter() - begin
            kibibytes = process.stdout.read()
        if not ready or process.returncode:
            errors.seek(0)
            start.skipped = (errors.read().strip() or "it ended without a word").splitlines()[-1]
        elif counted:
            start.seconds.append(seconds)
            start.mebibytes.append(int(kibibytes) / 1024)
