"""Write a model as ONNX: the network of `berthub.networks` as a graph, weights under their canonical names."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from berthub.atomic import written_folder
from berthub.checkpoint import Checkpoint
from berthub.embedding import Embedding
from berthub.errors import MissingDependencyError
from berthub.formats.native import CONFIG, EMBEDDING_SCOPE, all_weights, description
from berthub.formats.onnx.ops import OPSET, OnnxOps, Value, Weight
from berthub.formats.sentence_transformers.files import VECTOR
from berthub.formats.vocabularies import write_vocabulary_files
from berthub.head import head_logits
from berthub.networks.interface import MLM_LOGITS, POSITIONS
from berthub.networks.outputs import Output, build
from berthub.vector_layers import UnitLength

__all__ = ["DATA", "MODEL", "write_onnx"]

MODEL = "model.onnx"
DATA = "model.onnx.data"
# The version of the file format that goes with the opset.
_IR_VERSION = 8
_INPUTS = {"ids": "input_ids", "mask": "attention_mask", "type_ids": "token_type_ids"}
# A protocol buffer ends at 2 GiB; the graph has its share.
_LARGEST = (1 << 31) - (1 << 24)


def write_onnx(checkpoint: Checkpoint, folder: Path) -> None:
    """Write `model.onnx` into `folder`, which appears when it is whole, with vocabulary and description beside it.

    Inputs are `input_ids`, `attention_mask` and `token_type_ids`, int64 [batch, sequence]; outputs `sequence_output`
    [batch, sequence, hidden] and, where the model has it, `pooled_output` [batch, hidden], float32. Where the model's
    files say how sentence vectors are made, there is `sentence_embedding` [batch, width]; it pools the ids of a prompt,
    too, also where the model's own vectors leave them out (`include_prompt`). A masked-language-model head
    adds the optional input `masked_lm_positions`, int64 [batch, positions] (without it: none), and `mlm_logits`
    [batch, positions, vocabulary]; a fine-tuned head adds `logits`, [batch, labels] or [batch, sequence, labels].
    Weights of more than 2 GB lie in `model.onnx.data`. Raises `MissingDependencyError` where the onnx library is not
    installed.
    """
    if importlib.util.find_spec("onnx") is None:
        raise MissingDependencyError("ONNX models are written with the onnx library: pip install 'berthub[onnx]'")
    with written_folder(folder, last=MODEL) as unfinished:
        model = _model(checkpoint, unfinished)
        write_vocabulary_files(checkpoint.vocabulary, unfinished)
        (unfinished / CONFIG).write_text(description(checkpoint), encoding="utf-8")
        (unfinished / MODEL).write_bytes(model.SerializeToString())


def _model(checkpoint: Checkpoint, folder: Path) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    config, head = checkpoint.config, checkpoint.head
    arrays = all_weights(checkpoint)
    weights = {name: Weight(name, array.shape) for name, array in arrays.items()}
    ops = OnnxOps()
    wanted = {"sequence_output": Output()}
    if config.has_pooled_output:
        wanted["pooled_output"] = Output(-1, "pooled")
    if config.mlm:
        wanted[MLM_LOGITS] = Output(mlm=True)
    if head is not None:
        wanted["logits"] = Output(-1, head.pooling)
    own = checkpoint.embedding
    poolings = () if own.unsupported else own.poolings
    outputs = [each.resolved(config) for each in (*wanted.values(), *(Output(-1, pooling) for pooling in poolings))]
    built = _built(ops, checkpoint, weights, outputs)
    values = dict(zip(wanted, built, strict=False))
    if poolings:
        values[VECTOR] = _embedding(ops, own, built[len(wanted) :])
    if head is not None:
        values["logits"] = head_logits(ops, head, weights, values["logits"])
    axes: dict[str, tuple[str, ...]] = {
        "sequence_output": ("batch", "sequence"),
        "pooled_output": ("batch",),
        VECTOR: ("batch",),
        MLM_LOGITS: ("batch", "positions"),
        "logits": ("batch", "sequence") if head is not None and head.pooling is None else ("batch",),
    }
    results = [
        helper.make_tensor_value_info(ops.renamed(value, name).name, TensorProto.FLOAT, [*axes[name], value.width])
        for name, value in values.items()
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in _INPUTS.values()
    ]
    if config.mlm:
        inputs.append(helper.make_tensor_value_info(POSITIONS, TensorProto.INT64, ["batch", "positions"]))
        # An initializer of an input's name is its default: no positions.
        ops.constants[POSITIONS] = np.zeros((1, 0), np.int64)
    stored = _stored(arrays, folder)
    constants = [numpy_helper.from_array(array, name) for name, array in ops.constants.items()]
    graph = helper.make_graph(ops.nodes, config.architecture, inputs, results, [*stored, *constants])
    return helper.make_model(
        graph,
        producer_name="berthub",
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )


def _built(ops: OnnxOps, checkpoint: Checkpoint, weights: dict[str, Weight], outputs: Sequence[Output]) -> list[Value]:
    inputs = {name: Value(foreign) for name, foreign in _INPUTS.items()}
    return build(ops, checkpoint.config, weights, outputs, positions=Value(POSITIONS), **inputs)


def _embedding(ops: OnnxOps, own: Embedding, pooled: Sequence[Value]) -> Value:
    """The model's own sentence vectors, of texts as they are: a prompt is the caller's to put before them."""
    x = pooled[0] if len(pooled) == 1 else ops.joined(pooled)
    for number, layer in enumerate(own.layers):
        x = ops.vector_layer(x, layer, f"{EMBEDDING_SCOPE}{number}")
    return ops.vector_layer(x, UnitLength(), "") if own.normalize else x


def _stored(arrays: dict[str, npt.NDArray[np.float32]], folder: Path) -> list[Any]:
    """The weights as initializers; those of a model that is too large for one file go into another."""
    from onnx import TensorProto, numpy_helper

    if sum(array.nbytes for array in arrays.values()) < _LARGEST:
        return [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]
    tensors = []
    with (folder / DATA).open("wb") as file:
        for name, array in arrays.items():
            tensor = TensorProto(
                name=name, dims=array.shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL
            )
            for key, value in {"location": DATA, "offset": file.tell(), "length": array.nbytes}.items():
                tensor.external_data.add(key=key, value=str(value))
            file.write(np.ascontiguousarray(array).data)
            tensors.append(tensor)
    return tensors
