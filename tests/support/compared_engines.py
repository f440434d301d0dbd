"""What transformers computes of texts with a folder, and what berthub does on each engine and in each export."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import berthub as hub
from berthub.checkpoint import Checkpoint
from berthub.engines.create import create_engine
from berthub.formats import read
from berthub.networks.outputs import Output, build
from support.transformers_models import torch, transformers

__all__ = ["ENGINES", "FILES", "Outputs", "difference", "ours", "theirs", "weights_differ"]

ENGINES = ("numpy", "openvino", "onnx", "keras", "torch", "ragged")
FILES = ("native", "sharded", "zip .bin", "older .bin")
Outputs = dict[str, list[Any]]
"""Arrays of each text: `sequence_output`, `layer -1` and so on, and `pooled_output` where the model has it."""


def theirs(folder: Path, given: list[Any], checkpoint: Checkpoint) -> tuple[list[Any], Outputs]:
    """transformers' ids and outputs, one text or pair at a time."""
    tokenizer, model = (kind.from_pretrained(folder) for kind in (transformers.AutoTokenizer, transformers.AutoModel))
    model.eval()
    ids: list[Any] = []
    outputs: Outputs = {}
    for text in given:
        parts = text if isinstance(text, tuple) else (text,)
        tokens = tokenizer(*parts, truncation=True, return_tensors="pt")
        length = tokens["input_ids"].shape[1]
        ids.append(tokens["input_ids"][0].tolist())
        if checkpoint.config.sees_padding and length < checkpoint.config.max_positions:
            # As in every batch but that of the longest text alone.
            pad = {"input_ids": tokenizer.pad_token_id}
            tokens = {
                name: torch.nn.functional.pad(each, (0, 1), value=pad.get(name, 0)) for name, each in tokens.items()
            }
        with torch.no_grad():
            found = model(**tokens, output_hidden_states=True)
        named = {"sequence_output": found.last_hidden_state, **_named(found.hidden_states[1:])}
        if checkpoint.config.has_pooled_output:
            outputs.setdefault("pooled_output", []).append(found.pooler_output[0].numpy())
        for name, array in named.items():
            outputs.setdefault(name, []).append(array[0, :length].numpy())
    return ids, outputs


def _named(states: Iterable[Any]) -> dict[str, Any]:
    # Counted from the top: of some models berthub gives the embeddings, too, as TensorFlow Hub did.
    return {f"layer -{number}": state for number, state in enumerate(reversed([*states]), 1)}


def ours(checkpoint: Checkpoint, given: list[Any], engine: str, scratch: Path) -> Outputs:
    """berthub's, all texts at once; `scratch` is an empty folder."""
    tokenizer = hub.Tokenizer.from_checkpoint(checkpoint)
    if engine in ("numpy", "openvino"):
        made = create_engine(checkpoint, engine=engine, precision="float32")  # type: ignore[arg-type]
        encoded = hub.Encoder(checkpoint, tokenizer, made).encode(given, layers="all")
        arrays = {name: encoded[name] for name in encoded if name not in ("default", "encoder_outputs")}
        lengths = encoded.attention_mask.sum(1)
        return _rows({**arrays, **_named(encoded["encoder_outputs"])}, lengths)
    tokens = tokenizer.tokens(given, max_length=tokenizer.max_length)
    lengths = np.diff(tokens.row_splits)
    width = min(int(lengths.max()) + checkpoint.config.sees_padding, checkpoint.config.max_positions)
    mask = (np.arange(width) < lengths[:, None]).astype(np.int32)
    ids = np.full_like(mask, checkpoint.vocabulary.ids[checkpoint.vocabulary.pad])
    types = np.zeros_like(mask)
    ids[mask != 0] = tokens.ids
    if checkpoint.config.type_vocab_size > 1:
        types[mask != 0] = tokens.type_ids
    batch = {"ids": ids, "mask": mask, "type_ids": types}
    compute = {"onnx": _onnx, "keras": _keras}.get(engine)
    if compute is not None:
        return _rows(compute(checkpoint, batch, scratch), lengths)
    return _rows(_torch(checkpoint, batch, ragged=engine == "ragged"), lengths)


def _rows(arrays: dict[str, Any], lengths: Any) -> Outputs:
    return {
        name: [row[:length] if row.ndim > 1 else row for row, length in zip(np.asarray(array), lengths, strict=True)]
        for name, array in arrays.items()
    }


def _onnx(checkpoint: Checkpoint, batch: dict[str, Any], scratch: Path) -> dict[str, Any]:
    import onnxruntime

    from berthub.formats.onnx.writer import write_onnx

    write_onnx(checkpoint, scratch / "onnx")
    session = onnxruntime.InferenceSession(scratch / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    named = dict(zip(("input_ids", "attention_mask", "token_type_ids"), batch.values(), strict=True))
    given = {each.name: named[each.name].astype(np.int64) for each in session.get_inputs() if each.name in named}
    names = [each.name for each in session.get_outputs() if each.name in ("sequence_output", "pooled_output")]
    return dict(zip(names, session.run(names, given), strict=True))


def _keras(checkpoint: Checkpoint, batch: dict[str, Any], scratch: Path) -> dict[str, Any]:
    import keras

    named = dict(zip(("input_word_ids", "input_mask", "input_type_ids"), batch.values(), strict=True))
    found = hub.KerasLayer(checkpoint)(named)
    arrays = {name: found[name] for name in ("sequence_output", "pooled_output") if name in found}
    arrays |= _named(found["encoder_outputs"])
    return {name: keras.ops.convert_to_numpy(array) for name, array in arrays.items()}


def _torch(checkpoint: Checkpoint, batch: dict[str, Any], *, ragged: bool) -> dict[str, Any]:
    from berthub.engines.torch.ops import TorchOps
    from berthub.engines.torch.ragged import Ragged

    config = checkpoint.config
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    places = Ragged.of_mask(tensors["mask"]) if ragged else None
    if places is not None:
        tensors |= {name: places.take(tensors[name]) for name in ("ids", "type_ids")}
    weights = {name: torch.from_numpy(np.array(array)) for name, array in checkpoint.weights.items()}
    wanted = {"sequence_output": Output(), **_named(map(Output, range(config.num_states)))}
    if config.has_pooled_output:
        wanted["pooled_output"] = Output(pooling="pooled")
    outputs = [output.resolved(config) for output in wanted.values()]
    with torch.inference_mode():
        found = build(TorchOps(torch.float32, ragged=places), config, weights, outputs, **tensors)
    return {
        name: (array if places is None or name == "pooled_output" else places.pad(array)).numpy()
        for name, array in zip(wanted, found, strict=True)
    }


def difference(found: Outputs, expected: Outputs) -> float:
    """The largest difference in any output that both have, as a share of the output's largest value."""
    shares = []
    for name in sorted(found.keys() & expected.keys()):
        scale = max(float(np.abs(row).max()) for row in expected[name])
        pairs = zip(found[name], expected[name], strict=True)
        shares.append(max(float(np.abs(left - right).max()) for left, right in pairs) / scale)
    # Not a number is a difference, which `max` may pass over.
    return float(np.max(shares))


def weights_differ(folder: Path, checkpoint: Checkpoint, files: str, scratch: Path) -> str:
    """What another form of the folder's files gives otherwise than `checkpoint`: "" for nothing, to the bit."""
    if files == "native":
        hub.export(checkpoint, scratch / "native", to="native")
        again = read(scratch / "native")
    else:
        model = transformers.AutoModel.from_pretrained(folder)
        to = scratch / "files"
        to.mkdir()
        for path in folder.iterdir():
            if path.is_file() and path.suffix != ".safetensors":
                (to / path.name).write_bytes(path.read_bytes())
        if files == "sharded":
            model.save_pretrained(to, max_shard_size="50KB")
            assert len(json.loads((to / "model.safetensors.index.json").read_text())["weight_map"]) > 1
        else:
            zipped = files == "zip .bin"
            torch.save(model.state_dict(), to / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
        again = read(to)
    parts = {name: getattr(again, name) == getattr(checkpoint, name) for name in ("config", "vocabulary", "embedding")}
    same = again.weights.keys() == checkpoint.weights.keys()
    parts["weights"] = same and all(
        again.weights[name].tobytes() == np.ascontiguousarray(weight).tobytes()
        for name, weight in checkpoint.weights.items()
    )
    return ", ".join(name for name, equal in parts.items() if not equal)
