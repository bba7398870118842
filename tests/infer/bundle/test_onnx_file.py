"""Expected values come from the onnx package, which writes the files that are read here without it."""

from __future__ import annotations

import contextlib

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from dgqa_infer.bundle import onnx_file
from dgqa_infer.bundle.onnx_file import Port
from dgqa_infer.errors import ModelError


def small_model(
    *nodes: onnx.NodeProto, initializers: list[onnx.TensorProto] | None = None
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, ["n", 4, None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, None, 3])],
        initializers or [],
    )
    return helper.make_model(graph)


def external_tensor() -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    onnx.external_data_helper.set_external_data(tensor, location="../../etc/passwd")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


def test_ports_are_read_as_onnx_wrote_them() -> None:
    found = onnx_file.read(small_model().SerializeToString())
    assert found.inputs == [Port("x", onnx_file.UINT8, ("n", 4, None, 3))]
    assert found.outputs == [Port("y", onnx_file.FLOAT32, ("n", 4, None, 3))]


def test_a_port_without_a_shape_has_none() -> None:
    model = small_model()
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert onnx_file.read(model.SerializeToString()).outputs[0].shape is None


def test_metadata_is_read() -> None:
    model = small_model()
    helper.set_model_props(model, {"name": "dgqa", "crop": "224"})
    assert onnx_file.read(model.SerializeToString()).metadata == {"name": "dgqa", "crop": "224"}


def test_a_sound_model_is_not_refused() -> None:
    weights = numpy_helper.from_array(np.ones((512, 512), np.float32), "w")
    onnx_file.read(small_model(initializers=[weights]).SerializeToString()).refuse_unsafe()


def test_external_data_is_found_among_the_initializers() -> None:
    found = onnx_file.read(small_model(initializers=[external_tensor()]).SerializeToString())
    with pytest.raises(ModelError, match="outside its own file"):
        found.refuse_unsafe()


def test_external_data_is_found_in_a_constant_within_a_branch() -> None:
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=external_tensor())],
        "inner",
        [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [4])],
    )
    model = small_model(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))
    assert onnx_file.read(model.SerializeToString()).external


@pytest.mark.parametrize("domain", ["com.evil", "com.microsoft", "ai.onnx.contrib"])
def test_foreign_operators_are_refused_by_name(domain: str) -> None:
    model = small_model(helper.make_node("Shell", ["x"], ["y"], domain=domain))
    with pytest.raises(ModelError, match=domain):
        onnx_file.read(model.SerializeToString()).refuse_unsafe()


def test_training_information_is_refused() -> None:
    model = small_model()
    model.training_info.add()
    model.training_info[0].algorithm.name = "a"
    with pytest.raises(ModelError, match="training"):
        onnx_file.read(model.SerializeToString()).refuse_unsafe()


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff" * 100, b"\x80" * 40, bytes(range(256))])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="not an ONNX model"):
        onnx_file.read(data)


def test_deep_nesting_ends_in_an_error_and_not_in_a_crash() -> None:
    graph = b""
    for _ in range(200):
        attribute = b"\x32" + _length(graph) + graph  # AttributeProto.g
        node = b"\x2a" + _length(attribute) + attribute  # NodeProto.attribute
        graph = b"\x0a" + _length(node) + node  # GraphProto.node
    with pytest.raises(ModelError, match="deep"):
        onnx_file.read(b"\x3a" + _length(graph) + graph)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 500), st.integers(0, 500))
def test_any_damage_ends_in_a_model_error_or_in_a_reading(junk: bytes, at: int, cut: int) -> None:
    data = small_model(initializers=[external_tensor()]).SerializeToString()
    at, cut = at % len(data), cut % len(data)
    with contextlib.suppress(ModelError):
        onnx_file.read(data[:at] + junk + data[at + cut :])


def _length(data: bytes) -> bytes:
    value, out = len(data), bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
