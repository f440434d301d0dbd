"""From the start of a new process to its first vector, and the memory that it has used by then."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.models import Model
from benchmarks.peers import PEERS
from benchmarks.peers.sentence_transformers import SentenceTransformers, exported
from benchmarks.processes import UnavailableError
from benchmarks.worker import Worker

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
_EXPORTED = """
from sentence_transformers import SentenceTransformer
SentenceTransformer(sys.argv[1], backend={backend!r}, device="cpu").encode(["x"])
"""


@dataclass(frozen=True)
class _Way:
    """`form` is what of the model it reads, None no model at all; `optimum`: in the environment that holds optimum."""

    name: str
    program: str
    form: str | None = None
    optimum: bool = False


_WAYS = (
    _Way("Python alone", ""),
    _Way("import berthub", "import berthub"),
    _Way("import tensorflow", "import tensorflow"),
    _Way("import torch, transformers", "import torch; from transformers import BertModel"),
    _Way("berthub, SavedModel", _BERTHUB, "saved_model"),
    _Way("berthub, Hugging Face folder", _BERTHUB, "huggingface"),
    _Way("TensorFlow, SavedModel", _TENSORFLOW, "saved_model"),
    _Way("PyTorch + transformers", _TRANSFORMERS, "huggingface"),
    _Way("sentence-transformers, torch", _SENTENCE_TRANSFORMERS, "huggingface"),
    _Way("sentence-transformers, onnx", _EXPORTED.format(backend="onnx"), "onnx", optimum=True),
    _Way("sentence-transformers, openvino", _EXPORTED.format(backend="openvino"), "openvino", optimum=True),
)
_EXPORTERS = {
    peer.backend: peer for peer in PEERS if isinstance(peer, SentenceTransformers) and peer.backend != "torch"
}
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


def measure(models: Sequence[Model], *, runs: int, optimum: Path | None, say: Callable[[str], None]) -> list[Start]:
    """All ways in turn, `runs` times; one run before them is not counted (it fills the file cache)."""
    jobs = [(Start(way.name, ""), _command(way, [])) for way in _WAYS if way.form is None]
    for model in models:
        for way in _WAYS:
            if way.form is None:
                continue
            start = Start(way.name, model.name)
            try:
                folder = _folder(model, way, optimum)
            except UnavailableError as error:
                start.skipped, folder = str(error), Path()
            jobs.append((start, _command(way, [folder, model.vocabulary], optimum)))
    for turn in range(runs + 1):
        say(f"start-up, run {turn} of {runs}")
        for start, command in jobs:
            if start.skipped is None:
                _run(start, command, counted=turn > 0)
    return [start for start, _ in jobs]


def _folder(model: Model, way: _Way, optimum: Path | None) -> Path:
    if way.form == "huggingface":
        return model.huggingface
    if way.form == "saved_model":
        if model.saved_model is None:
            raise UnavailableError(model.reason)
        return model.saved_model
    # Loading is what exports: once, before the clock starts.
    assert way.form is not None
    Worker(_EXPORTERS[way.form], model, optimum=optimum).close()
    return exported(model, way.form)


def _command(way: _Way, arguments: Sequence[Path], optimum: Path | None = None) -> list[str]:
    interpreter = str(optimum) if way.optimum and optimum else sys.executable
    return [interpreter, "-c", _SCRIPT.format(program=way.program), *map(str, arguments)]


def _environment() -> dict[str, str]:
    """This one's, with compiled modules, as every installation has them: the run before the first writes them."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _run(start: Start, command: list[str], *, counted: bool) -> None:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        begin = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=_environment(), text=True) as process:
            assert process.stdout is not None
            # Libraries print, too: this line is what counts.
            ready = any(line == "ready\n" for line in process.stdout)
            seconds = time.perf_counter() - begin
            kibibytes = process.stdout.read() if ready else ""
        # Some libraries fail when Python ends, with all said: that is not looked at.
        if not kibibytes:
            errors.seek(0)
            told = errors.read().strip() or f"it ended with code {process.returncode}"
            start.skipped = told.splitlines()[-1]
        elif counted:
            start.seconds.append(seconds)
            start.mebibytes.append(int(kibibytes) / 1024)
