"""The messages of an ONNX file: what a model of ours may hold, and what is refused with its reason.

Source: onnx/onnx.proto, IR version 13; a test compares each field with the onnx package.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dgqa_infer.bundle.wire import Field, Kind, Schema


def _one(name: str, kind: Kind, schema: str = "", values: int = 0) -> Field:
    return Field(name, kind, schema=schema, values=values)


def _many(name: str, kind: Kind, schema: str = "") -> Field:
    return Field(name, kind, repeated=True, schema=schema)


def _message(name: str, schema: str) -> Field:
    return _one(name, "message", schema)


def _messages(name: str, schema: str) -> Field:
    return _many(name, "message", schema)


def _no(name: str, reason: str) -> Field:
    return Field(name, "refused", reason=reason)


_OUTSIDE = "the graph keeps weights outside its own file, which is never loaded"
_INNER = "the graph holds another graph, as loops, scans and branches do, whose work has no bound"
_SPARSE = "the graph has sparse weights, which are not supported"
_TYPES = "the graph has values that are no tensors, which are not supported"
_NAMED = "the graph refers to attributes of a function, which are not supported"
_PARALLEL = "the graph is made for several devices at once, which is not supported"

SCHEMAS: Final[Mapping[str, Schema]] = {
    "ModelProto": {
        1: _one("ir_version", "int64"),
        2: _one("producer_name", "string"),
        3: _one("producer_version", "string"),
        4: _one("domain", "string"),
        5: _one("model_version", "int64"),
        6: _one("doc_string", "string"),
        7: _message("graph", "GraphProto"),
        8: _messages("opset_import", "OperatorSetIdProto"),
        14: _messages("metadata_props", "StringStringEntryProto"),
        20: _no("training_info", "the graph carries training information, which is never loaded"),
        25: _no("functions", "the graph defines operators of its own; inline them first"),
        26: _no("configuration", _PARALLEL),
    },
    "OperatorSetIdProto": {1: _one("domain", "string"), 2: _one("version", "int64")},
    "StringStringEntryProto": {1: _one("key", "string"), 2: _one("value", "string")},
    "GraphProto": {
        1: _messages("node", "NodeProto"),
        2: _one("name", "string"),
        5: _messages("initializer", "TensorProto"),
        10: _one("doc_string", "string"),
        11: _messages("input", "ValueInfoProto"),
        12: _messages("output", "ValueInfoProto"),
        13: _messages("value_info", "ValueInfoProto"),
        14: _messages("quantization_annotation", "TensorAnnotation"),
        15: _no("sparse_initializer", _SPARSE),
        16: _messages("metadata_props", "StringStringEntryProto"),
    },
    "TensorAnnotation": {
        1: _one("tensor_name", "string"),
        2: _messages("quant_parameter_tensor_names", "StringStringEntryProto"),
    },
    "NodeProto": {
        1: _many("input", "string"),
        2: _many("output", "string"),
        3: _one("name", "string"),
        4: _one("op_type", "string"),
        5: _messages("attribute", "AttributeProto"),
        6: _one("doc_string", "string"),
        7: _one("domain", "string"),
        8: _one("overload", "string"),
        9: _messages("metadata_props", "StringStringEntryProto"),
        10: _no("device_configurations", _PARALLEL),
    },
    "AttributeProto": {
        1: _one("name", "string"),
        2: _one("f", "float"),
        3: _one("i", "int64"),
        4: _one("s", "bytes"),
        5: _message("t", "TensorProto"),
        6: _no("g", _INNER),
        7: _many("floats", "float"),
        8: _many("ints", "int64"),
        9: _many("strings", "bytes"),
        10: _no("tensors", "a node has several tensors for one attribute, which is not supported"),
        11: _no("graphs", _INNER),
        13: _one("doc_string", "string"),
        14: _no("tp", _TYPES),
        15: _no("type_protos", _TYPES),
        20: _one("type", "enum", values=15),
        21: _no("ref_attr_name", _NAMED),
        22: _no("sparse_tensor", _SPARSE),
        23: _no("sparse_tensors", _SPARSE),
    },
    "TensorProto": {
        1: _many("dims", "int64"),
        2: _one("data_type", "int32"),
        3: _no("segment", "a weight is only a part of one, which is not supported"),
        4: Field("float_data", "float", packed="float"),
        5: Field("int32_data", "int32", packed="varint"),
        6: _no("string_data", "the graph has text for weights, which is not supported"),
        7: Field("int64_data", "int64", packed="varint"),
        8: _one("name", "string"),
        9: _one("raw_data", "bytes"),
        10: Field("double_data", "float", packed="double"),
        11: Field("uint64_data", "int64", packed="varint"),
        12: _one("doc_string", "string"),
        13: _no("external_data", _OUTSIDE),
        # 0 is within the file, 1 outside.
        14: _one("data_location", "enum", values=2),
        16: _messages("metadata_props", "StringStringEntryProto"),
    },
    "ValueInfoProto": {
        1: _one("name", "string"),
        2: _message("type", "TypeProto"),
        3: _one("doc_string", "string"),
        4: _messages("metadata_props", "StringStringEntryProto"),
    },
    "TypeProto": {
        1: _message("tensor_type", "TypeProto.Tensor"),
        4: _no("sequence_type", _TYPES),
        5: _no("map_type", _TYPES),
        6: _one("denotation", "string"),
        7: _no("opaque_type", _TYPES),
        8: _no("sparse_tensor_type", _TYPES),
        9: _no("optional_type", _TYPES),
    },
    "TypeProto.Tensor": {1: _one("elem_type", "int32"), 2: _message("shape", "TensorShapeProto")},
    "TensorShapeProto": {1: _messages("dim", "TensorShapeProto.Dimension")},
    "TensorShapeProto.Dimension": {
        1: _one("dim_value", "int64"),
        2: _one("dim_param", "string"),
        3: _one("denotation", "string"),
    },
}
