"""Tiny models made by transformers, and what transformers and berthub compute with a folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from berthub.checkpoint import Checkpoint
from berthub.encoding.prediction import head_outputs
from berthub.engines.engine import PaddedBatch
from berthub.engines.numpy import NumpyEngine, NumpyOps
from berthub.networks.outputs import Output

transformers = pytest.importorskip("transformers", reason="compares with transformers: pip install transformers")
torch = pytest.importorskip("torch", reason="transformers computes on PyTorch: pip install torch")

# Padding is id 0, but 1 for RoBERTa: no token within a text has either.
_IDS = np.array([[2, 5, 6, 7, 8, 9, 10, 3], [2, 30, 31, 32, 3, 0, 0, 0], [2, 11, 12, 4, 14, 3, 0, 0]], np.int32)
_LENGTHS = np.array([[8], [5], [6]])
POSITIONS = np.array([[1, 3]] * 3, np.int32)


def inputs(checkpoint: Checkpoint) -> dict[str, Any]:
    """A batch that the model can take, by the names of TF Hub."""
    mask = (np.arange(_IDS.shape[1]) < _LENGTHS).astype(np.int32)
    types = ((np.arange(_IDS.shape[1]) > 2) * mask * (checkpoint.config.type_vocab_size > 1)).astype(np.int32)
    pad = checkpoint.vocabulary.ids[checkpoint.vocabulary.pad]
    return {"input_word_ids": np.where(mask, _IDS, pad).astype(np.int32), "input_mask": mask, "input_type_ids": types}


def ours(checkpoint: Checkpoint) -> dict[str, Any]:
    """The outputs of the NumPy engine that the model has: sequence_output, pooled_output, mlm_logits, head_logits."""
    config, batch = checkpoint.config, inputs(checkpoint)
    wanted = {"sequence_output": Output()}
    if config.has_pooled_output:
        wanted["pooled_output"] = Output(pooling="pooled")
    if config.mlm:
        wanted["mlm_logits"] = Output(mlm=True)
    engine = NumpyEngine(checkpoint)
    run = PaddedBatch(*batch.values(), rows=np.arange(len(_IDS)), positions=POSITIONS if config.mlm else None)
    (result,) = engine.run([run], [output.resolved(config) for output in wanted.values()])
    found = {name: np.array(array) for name, array in zip(wanted, result.outputs, strict=True)}
    if (head := checkpoint.head) is not None:
        tokens = found["sequence_output"]
        means = NumpyOps().masked_mean(tokens, batch["input_mask"])
        seen = {None: tokens, "pooled": found.get("pooled_output"), "cls": tokens[:, 0], "mean": means}[head.pooling]
        found["head_logits"] = head_outputs(head, seen)
    return found


def theirs(model: Any, checkpoint: Checkpoint) -> Any:
    """What transformers computes on the same batch."""
    batch = {name: torch.from_numpy(array).long() for name, array in inputs(checkpoint).items()}
    named = {"input_ids": batch["input_word_ids"], "attention_mask": batch["input_mask"]}
    if checkpoint.config.type_vocab_size > 1:
        named["token_type_ids"] = batch["input_type_ids"]
    with torch.no_grad():
        return model.eval()(**named)


def loaded(folder: Path, kind: str = "AutoModel") -> tuple[Any, set[str]]:
    """The model that transformers reads, and the names of weights that it missed in the files."""
    model, report = getattr(transformers, kind).from_pretrained(folder, output_loading_info=True)
    assert not report["mismatched_keys"]
    return model, set(report["missing_keys"])


def randomize(model: Any, seed: int = 0) -> Any:
    """Weights so wide that every one of them, norms and biases included, shows in the outputs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return model


def assert_close(left: Any, right: Any) -> None:
    """Equal within 1e-5 of their scale."""
    right = np.asarray(right)
    np.testing.assert_allclose(np.asarray(left), right, rtol=0, atol=1e-5 * max(1.0, np.abs(right).max()))
