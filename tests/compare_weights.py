"""Save models of every architecture in every kind of file, by their owners' libraries, and compare what is read.

    python tests/compare_weights.py [--base] [--transformers4 PYTHON]

transformers and PyTorch of this environment save each model as safetensors and in every form of pytorch_model.bin. With
`--transformers4`, that interpreter, which has transformers 4 with TensorFlow and Flax, loads the safetensors and saves
tf_model.h5 and flax_model.msgpack. From each, berthub must read the same settings, weights and head to the bit (of
float16 and bfloat16 files: the rounded weights), and transformers' own outputs follow from them within 1e-5 of their
scale. `--base` adds BERT-base with random weights.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from berthub.checkpoint import Checkpoint
from berthub.errors import BerthubError
from berthub.formats import read
from support.transformers_models import ours, randomize, theirs

_BERT = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 36,
    "max_position_embeddings": 20,
}
_DISTIL = {"vocab_size": 40, "dim": 24, "n_layers": 2, "n_heads": 3, "hidden_dim": 36, "max_position_embeddings": 20}
CONFIGS: dict[str, dict[str, Any]] = {
    "Bert": {**_BERT, "hidden_act": "gelu_new"},
    "Electra": {**_BERT, "embedding_size": 12},
    "Albert": {**_BERT, "embedding_size": 12, "num_hidden_layers": 4, "num_hidden_groups": 2},
    "DistilBert": _DISTIL,
    "Roberta": {**_BERT, "type_vocab_size": 1, "pad_token_id": 1},
    "MobileBert": {**_BERT, "embedding_size": 8, "intra_bottleneck_size": 12, "num_feedforward_networks": 3},
}
KINDS = ("Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification")
_HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}
_CONVERT = """
import sys, transformers
for line in open(sys.argv[1]):
    folder, kind = line.split()
    for prefix in ("TF", "Flax"):
        if hasattr(transformers, prefix + kind):
            model = getattr(transformers, prefix + kind).from_pretrained(folder)
            model.save_pretrained(f"{folder}-{prefix}")
            model.save_pretrained(f"{folder}-{prefix}-sharded", max_shard_size="20KB")
"""


def main() -> int:
    """Compare, and print a line for each model; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--base", action="store_true")
    parser.add_argument("--transformers4", metavar="PYTHON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        made = [save(Path(scratch), title, kind, CONFIGS[title]) for title in CONFIGS for kind in KINDS]
        if arguments.base:
            made.append(save(Path(scratch), "Bert", "Model", {}))
        if arguments.transformers4:
            _convert(arguments.transformers4, [folder for folder, _ in made], Path(scratch))
        faults = [fault for folder, model in made for fault in compare(folder, model)]
    for fault in faults:
        print(f"FAILED  {fault}")
    return 1 if faults else 0


def save(scratch: Path, title: str, kind: str, settings: dict[str, Any]) -> tuple[Path, Any]:
    """Save one model as safetensors, and beside that in each form of pytorch_model.bin; its folder, and the model."""
    model = randomize(getattr(transformers, f"{title}{kind}")(getattr(transformers, f"{title}Config")(**settings)))
    folder = scratch / f"{title}{kind}{'' if settings else '-base'}"
    model.save_pretrained(folder)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(35))]
    if title == "Roberta":
        pieces[:2] = pieces[1::-1]
    (folder / "vocab.txt").write_text("\n".join(pieces))
    state = model.state_dict()
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in state.items()
    }
    forms: dict[str, tuple[Any, dict[str, Any]]] = {
        "zip": (state, {}),
        "older": (state, {"_use_new_zipfile_serialization": False}),
        "protocol-5": (state, {"pickle_protocol": 5}),
        "old-names": ({f"module.{name}": tensor for name, tensor in old.items()}, {}) if kind == "Model" else (old, {}),
        "training": ({"epoch": 3, "state_dict": state}, {}),
        **{name: ({key: tensor.to(dtype) for key, tensor in state.items()}, {}) for name, dtype in _HALVES.items()},
    }
    for name, (value, options) in forms.items():
        torch.save(value, _beside(folder, name) / "pytorch_model.bin", **options)
    sharded = _beside(folder, "sharded")
    names = list(state)
    parts = {f"pytorch_model-0000{n + 1}-of-00002.bin": names[n::2] for n in range(2)}
    for part, own in parts.items():
        torch.save({key: state[key] for key in own}, sharded / part)
    listed = {key: part for part, own in parts.items() for key in own}
    (sharded / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": listed}))
    return folder, model


def compare(folder: Path, model: Any) -> list[str]:
    """What differs between safetensors and each other form, and between ours and transformers' outputs."""
    expected = read(folder)
    faults = []
    outputs, reference = ours(expected), theirs(model, expected)
    for name, theirs_ in (("sequence_output", "last_hidden_state"), ("head_logits", "logits")):
        if name in outputs and hasattr(reference, theirs_) and outputs[name].shape == getattr(reference, theirs_).shape:
            right = getattr(reference, theirs_).numpy()
            inside = np.abs(outputs[name] - right)[:, 0]  # the first token, which no padding is
            if inside.max() > 1e-5 * max(1.0, np.abs(right).max()):
                faults.append(f"{folder.name}: {name} differs from transformers' by {inside.max()}")
    forms = sorted(path for path in folder.parent.glob(f"{folder.name}-*") if path.name != f"{folder.name}-base")
    for path in forms:
        form = path.name.removeprefix(f"{folder.name}-")
        if not (path / "vocab.txt").exists():
            shutil.copy(folder / "vocab.txt", path)
        try:
            found = read(path)
        except BerthubError as error:
            faults.append(f"{path.name}: {error}")
            continue
        faults += [f"{path.name}: {fault}" for fault in _differences(found, expected, _HALVES.get(form))]
    print(f"{folder.name:<40} {len(expected.weights):>3} weights, {len(forms)} forms", flush=True)
    return faults


def _differences(found: Checkpoint, expected: Checkpoint, dtype: Any) -> list[str]:
    faults = []
    if found.config != expected.config:
        faults.append(f"other settings: {found.config} and not {expected.config}")
    weights = {**expected.weights, **({} if expected.head is None else vars(expected.head))}
    here = {**found.weights, **({} if found.head is None else vars(found.head))}
    if weights.keys() != here.keys():
        faults.append(f"other weights: {sorted(weights.keys() ^ here.keys())}")
    for name, weight in weights.items():
        if isinstance(weight, np.ndarray):
            rounded = weight if dtype is None else torch.from_numpy(weight.copy()).to(dtype).float().numpy()
            if name in here and not np.array_equal(here[name], rounded):
                faults.append(f"{name} differs")
        elif name in here and here[name] != weight:
            faults.append(f"the head's {name} is {here[name]}, not {weight}")
    return faults


def _beside(folder: Path, form: str) -> Path:
    return Path(shutil.copytree(folder, f"{folder}-{form}", ignore=shutil.ignore_patterns("*.safetensors")))


def _convert(python: str, folders: list[Path], scratch: Path) -> None:
    listed = scratch / "folders.txt"
    listed.write_text("".join(f"{folder} {folder.name.removesuffix('-base')}\n" for folder in folders))
    environment = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "PATH": ""}
    subprocess.run([python, "-c", _CONVERT, listed], check=True, env=environment, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
