"""The few TensorFlow messages that the readers need, declared for the protobuf runtime.

Only the fields that are read are declared; the runtime skips the others. `MetaGraphDef.graph_def` is declared as
bytes (the same on the wire), so that its megabytes are parsed only when a setting has to be looked up in the graph.
They live in a descriptor pool of their own, apart from TensorFlow's where both are loaded. Field numbers are from
https://github.com/tensorflow/tensorflow/tree/master/tensorflow/core/protobuf and .../core/framework.
"""

import functools
from collections.abc import Iterable, Sized
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from berthub.errors import CorruptFileError

__all__ = ["by_key", "check_count", "parse"]

_PACKAGE = "berthub.tensorflow"

# Of small messages there may be so many, whatever the size of what they lie in.
_MANY = 1000

# message -> field -> (number, type); a type in capitals is another message here, a leading * means repeated.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "BundleHeaderProto": {"num_shards": (1, "int32"), "endianness": (2, "int32")},
    "BundleEntryProto": {
        "dtype": (1, "int32"),
        "shape": (2, "TensorShapeProto"),
        "shard_id": (3, "int32"),
        "offset": (4, "int64"),
        "size": (5, "int64"),
        "crc32c": (6, "fixed32"),
        "slices": (7, "*TensorSliceProto"),
    },
    "TensorSliceProto": {"extent": (1, "*Extent")},
    "Extent": {"start": (1, "int64"), "length": (2, "int64")},
    "TensorShapeProto": {"dim": (2, "*Dim"), "unknown_rank": (3, "bool")},
    "Dim": {"size": (1, "int64")},
    "TrackableObjectGraph": {"nodes": (1, "*TrackableObject")},
    "TrackableObject": {"children": (1, "*ObjectReference"), "attributes": (2, "*SerializedTensor")},
    "SerializedTensor": {"name": (1, "string"), "full_name": (2, "string"), "checkpoint_key": (3, "string")},
    "SavedModel": {"meta_graphs": (2, "*MetaGraphDef")},
    "MetaGraphDef": {
        "meta_info_def": (1, "MetaInfoDef"),
        "graph_def": (2, "bytes"),
        "collection_def": (4, "*CollectionEntry"),
        "signature_def": (5, "*SignatureEntry"),
        "asset_file_def": (6, "*AssetFileDef"),
        "object_graph_def": (7, "SavedObjectGraph"),
    },
    "MetaInfoDef": {"tags": (4, "*string"), "tensorflow_version": (5, "string")},
    "AssetFileDef": {"tensor_info": (1, "TensorInfo"), "filename": (2, "string")},
    "CollectionEntry": {"key": (1, "string"), "value": (2, "CollectionDef")},
    "CollectionDef": {"any_list": (5, "AnyList")},
    "AnyList": {"value": (1, "*Any")},
    "Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "SignatureEntry": {"key": (1, "string"), "value": (2, "SignatureDef")},
    "SignatureDef": {"outputs": (2, "*TensorInfoEntry")},
    "TensorInfoEntry": {"key": (1, "string"), "value": (2, "TensorInfo")},
    "TensorInfo": {"name": (1, "string")},
    "SavedObjectGraph": {"nodes": (1, "*SavedObject"), "concrete_functions": (2, "*ConcreteFunctionEntry")},
    "ConcreteFunctionEntry": {"key": (1, "string"), "value": (2, "SavedConcreteFunction")},
    "SavedConcreteFunction": {
        "bound_inputs": (2, "*int32"),
        "canonicalized_input_signature": (3, "StructuredValue"),
        "output_signature": (4, "StructuredValue"),
    },
    "StructuredValue": {
        "tensor_spec_value": (33, "TensorSpecProto"),
        "list_value": (51, "ListValue"),
        "tuple_value": (52, "ListValue"),  # a TupleValue, which is the same on the wire
        "dict_value": (53, "DictValue"),
    },
    "ListValue": {"values": (1, "*StructuredValue")},
    "DictValue": {"fields": (1, "*DictEntry")},
    "DictEntry": {"key": (1, "string"), "value": (2, "StructuredValue")},
    "TensorSpecProto": {"shape": (2, "TensorShapeProto")},
    "SavedObject": {
        "children": (1, "*ObjectReference"),
        "user_object": (4, "SavedUserObject"),
        "asset": (5, "SavedAsset"),
        "function": (6, "SavedFunction"),
        "variable": (7, "SavedVariable"),
    },
    "ObjectReference": {"node_id": (1, "int32"), "local_name": (2, "string")},
    "SavedUserObject": {"identifier": (1, "string"), "metadata": (3, "string")},
    "SavedAsset": {"asset_file_def_index": (1, "int32")},
    "SavedFunction": {"concrete_functions": (1, "*string")},
    "SavedVariable": {"name": (6, "string")},
    "GraphDef": {"node": (1, "*NodeDef"), "library": (2, "FunctionDefLibrary")},
    "FunctionDefLibrary": {"function": (1, "*FunctionDef")},
    "FunctionDef": {"signature": (1, "OpDef"), "node_def": (3, "*NodeDef"), "ret": (4, "*RetEntry")},
    "RetEntry": {"key": (1, "string"), "value": (2, "string")},
    "OpDef": {"name": (1, "string"), "input_arg": (2, "*ArgDef")},
    "ArgDef": {"name": (1, "string")},
    "NodeDef": {"name": (1, "string"), "op": (2, "string"), "input": (3, "*string"), "attr": (5, "*AttrEntry")},
    "AttrEntry": {"key": (1, "string"), "value": (2, "AttrValue")},
    "AttrValue": {
        "s": (2, "bytes"),
        "i": (3, "int64"),
        "b": (5, "bool"),
        "tensor": (8, "TensorProto"),
        "func": (10, "NameAttrList"),
    },
    "NameAttrList": {"name": (1, "string")},
    "TensorProto": {
        "dtype": (1, "int32"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "*float"),
        "bool_val": (11, "*bool"),
    },
    # Of https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto.
    "ModelProto": {
        "pieces": (1, "*SentencePiece"),
        "trainer_spec": (2, "TrainerSpec"),
        "normalizer_spec": (3, "NormalizerSpec"),
    },
    "SentencePiece": {"piece": (1, "string"), "score": (2, "float"), "type": (3, "int32")},
    "TrainerSpec": {"model_type": (3, "int32"), "unk_id": (40, "int32")},
    "NormalizerSpec": {"precompiled_charsmap": (2, "bytes")},
    # Of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto; the initializers are OnnxTensor, each parsed by itself.
    "OnnxModel": {"graph": (7, "OnnxGraph")},
    "OnnxGraph": {"initializer": (5, "*bytes")},
    "OnnxTensor": {
        "dims": (1, "*int64"),
        "data_type": (2, "int32"),
        "float_data": (4, "*float"),
        "int32_data": (5, "*int32"),
        "int64_data": (7, "*int64"),
        "name": (8, "string"),
        "raw_data": (9, "bytes"),
        "external_data": (13, "*OnnxPlace"),
        "data_location": (14, "int32"),
    },
    "OnnxPlace": {"key": (1, "string"), "value": (2, "string")},
    # Those of other programs, with their nodes; tensors stay bytes, too.
    "OnnxForeignModel": {"graph": (7, "OnnxForeignGraph")},
    "OnnxForeignGraph": {
        "node": (1, "*OnnxNode"),
        "initializer": (5, "*bytes"),
        "output": (12, "*OnnxValue"),
    },
    "OnnxNode": {
        "input": (1, "*string"),
        "output": (2, "*string"),
        "name": (3, "string"),
        "op_type": (4, "string"),
        "attribute": (5, "*OnnxAttribute"),
        "domain": (7, "string"),
    },
    "OnnxAttribute": {
        "name": (1, "string"),
        "f": (2, "float"),
        "i": (3, "int64"),
        "s": (4, "bytes"),
        "t": (5, "bytes"),
        "ints": (8, "*int64"),
    },
    "OnnxValue": {"name": (1, "string")},
    "KerasMetadata": {"nodes": (1, "*KerasMetadataNode")},
    "KerasMetadataNode": {"node_id": (2, "int32"), "identifier": (4, "string"), "metadata": (5, "string")},
}


def parse(kind: str, data: bytes, *, source: str) -> Any:
    """Parse `data` as the message `kind`; `CorruptFileError`, naming `source`, if it is not one."""
    parsed = _classes()[kind]()
    try:
        parsed.ParseFromString(data)
    except message.DecodeError as error:
        raise CorruptFileError(f"{source} is damaged: no valid {kind} protocol buffer ({error})") from error
    return parsed


def by_key(entries: Iterable[tuple[str, Any]], *, source: str) -> dict[str, Any]:
    """The entries of a message by their keys; `CorruptFileError`, naming `source` and the key, if one is double."""
    found: dict[str, Any] = {}
    for key, value in entries:
        if key in found:
            raise CorruptFileError(f"{source} is damaged: it has {key[:200]!r} twice")
        found[key] = value
    return found


def check_count(found: Sized, *, size: int, least: int, source: str) -> None:
    """`CorruptFileError`, naming `source`, if `size` bytes hold more messages than can have `least` bytes each.

    An empty message has two bytes in a file and a hundred in memory; those of a model hold something.
    """
    if len(found) > _MANY + size // least:
        raise CorruptFileError(f"{source} is no model's: {size:,} bytes have {len(found):,} messages in them")


@functools.cache
def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="berthub/tensorflow.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        declared = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            repeated, kind = kind.startswith("*"), kind.removeprefix("*")
            proto = declared.field.add(
                name=field,
                number=number,
                label=descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
                if repeated
                else descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
            )
            if kind in _MESSAGES:
                proto.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
                proto.type_name = f".{_PACKAGE}.{kind}"
            else:
                proto.type = descriptor_pb2.FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }
