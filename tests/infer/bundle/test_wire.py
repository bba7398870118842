"""Expected fields come from the onnx package's own descriptors, forms from protobuf's documentation."""

from __future__ import annotations

import onnx
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from dgqa_infer.bundle.onnx_schema import SCHEMAS
from dgqa_infer.bundle.wire import read_message

KINDS = {
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT64: "int64",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_ENUM: "enum",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_DOUBLE: "float",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_MESSAGE: "message",
}


def descriptor(kind: str) -> Descriptor:
    found = onnx
    for name in kind.split("."):
        found = getattr(found, name)
    return found.DESCRIPTOR


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_schema_is_onnx_s(kind: str) -> None:
    theirs = {field.number: field for field in descriptor(kind).fields}
    assert set(SCHEMAS[kind]) == set(theirs)
    for number, field in SCHEMAS[kind].items():
        their = theirs[number]
        assert field.name == their.name
        if field.kind == "refused":
            continue
        assert field.kind == KINDS[their.type]
        packed = their.is_repeated and their.has_options and their.GetOptions().packed
        assert (field.packed is not None) == packed
        assert field.repeated == (their.is_repeated and not packed)
        if field.kind == "message":
            assert descriptor(field.schema) == their.message_type
        if field.kind == "enum":
            assert sorted(their.enum_type.values_by_number) == list(range(field.values))


# Each says of an operator set, {1: "domain", 2: version}, what the comment says.
ODD = {
    "a tag with a needless byte": b"\x90\x00\x07",
    "a tag with bit 32 set": b"\x90\x80\x80\x80\x10\x07",
    "a number with a needless byte": b"\x10\x87\x00",
    "a number of 65 bits": b"\x10\x87\x80\x80\x80\x80\x80\x80\x80\x80\x02",
    "a number of eleven bytes": b"\x10\x87\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",
    "the field 0": b"\x00\x07\x10\x07",
    "a field twice": b"\x10\x07\x10\x08",
    "fields out of order": b"\x10\x07\x0a\x01a",
    "an unknown field": b"\x10\x07\x18\x01",
    "another wire type": b"\x15\x07\x00\x00\x00",
    "a group": b"\x13\x10\x07\x14",
    "text that is no UTF-8": b"\x0a\x01\xff",
    "a length beyond the end": b"\x0a\x05ab",
    "an end within a number": b"\x10\x87",
    "an end within a tag": b"\x10\x07\x90",
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_a_form_that_is_not_canonical_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"OperatorSet|field|number|utf-8"):
        read_message(memoryview(data), "OperatorSetIdProto", SCHEMAS)


@pytest.mark.parametrize(
    "name",
    ["a tag with a needless byte", "a number with a needless byte", "a field twice", "fields out of order"],
)
def test_onnx_reads_some_of_them_nevertheless(name: str) -> None:
    """So that the test above refuses what some reader takes."""
    onnx.OperatorSetIdProto.FromString(ODD[name])


@pytest.mark.parametrize("version", [0, 1, 127, 128, 2**31, 2**63 - 1, -1, -(2**63)])
def test_numbers_are_read_as_onnx_wrote_them(version: int) -> None:
    message = onnx.OperatorSetIdProto(domain="ai.onnx", version=version)
    found = read_message(memoryview(message.SerializeToString()), "OperatorSetIdProto", SCHEMAS)
    assert found == {"domain": "ai.onnx", "version": version}


@pytest.mark.parametrize(
    "packed",
    [b"", b"\x80", b"\x87\x00", b"\x01\x87\x80\x80\x80\x80\x80\x80\x80\x80\x02", b"\x80" * 10 + b"\x01"],
)
def test_packed_numbers_have_their_shortest_form_too(packed: bytes) -> None:
    data = b"\x3a" + bytes([len(packed)]) + packed  # TensorProto.int64_data
    with pytest.raises(ValueError, match="int64_data"):
        read_message(memoryview(data), "TensorProto", SCHEMAS)


def test_a_type_of_more_than_32_bits_is_refused_for_onnx_would_cut_it() -> None:
    data = b"\x10" + b"\x81\x80\x80\x80\x10"  # TensorProto.data_type = 2³² + 1
    assert onnx.TensorProto.FromString(data).data_type == 1
    with pytest.raises(ValueError, match="more than 32 bits"):
        read_message(memoryview(data), "TensorProto", SCHEMAS)
