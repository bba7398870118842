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
    assert found.inputs == (Port("x", onnx_file.UINT8, ("n", 4, None, 3)),)
    assert found.outputs == (Port("y", onnx_file.FLOAT32, ("n", 4, None, 3)),)


def test_a_port_without_a_shape_has_none() -> None:
    model = small_model()
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert onnx_file.read(model.SerializeToString()).outputs[0].shape is None


def test_metadata_is_read() -> None:
    model = small_model()
    helper.set_model_props(model, {"name": "dgqa", "crop": "224"})
    assert onnx_file.read(model.SerializeToString()).metadata == {"name": "dgqa", "crop": "224"}


def test_nodes_and_weights_are_read_as_onnx_wrote_them() -> None:
    weights = numpy_helper.from_array(np.arange(6, dtype=np.int64).reshape(2, 3), "w")
    node = helper.make_node("Pad", ["x", "", "w"], ["y"], mode="edge", axis=-2, scales=[0.5, 2.0])
    found = onnx_file.read(small_model(node, initializers=[weights]).SerializeToString())
    (read,), (tensor,) = found.nodes, found.weights
    assert (read.operator, read.inputs, read.outputs) == ("Pad", ("x", "", "w"), ("y",))
    assert read.attributes == {"mode": b"edge", "axis": -2, "scales": [0.5, 2.0]}
    assert (tensor.name, tensor.shape) == ("w", (2, 3))
    np.testing.assert_array_equal(tensor.values(), np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("element", [TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT])
def test_values_are_read_wherever_onnx_keeps_them(element: int) -> None:
    values = [0, -1, 1, 127, 128, -(2**31), 2**31 - 1]
    tensor = helper.make_tensor("w", element, [7], values)  # not raw: in the type's own field
    (found,) = onnx_file.read(small_model(initializers=[tensor]).SerializeToString()).weights
    np.testing.assert_array_equal(found.values(), numpy_helper.to_array(tensor))


def test_external_data_among_the_initializers_is_refused() -> None:
    with pytest.raises(ModelError, match="outside its own file"):
        onnx_file.read(small_model(initializers=[external_tensor()]).SerializeToString())


def test_external_data_in_a_constant_is_refused() -> None:
    model = small_model(helper.make_node("Constant", [], ["y"], value=external_tensor()))
    with pytest.raises(ModelError, match="outside its own file"):
        onnx_file.read(model.SerializeToString())


def test_a_graph_within_a_graph_is_refused() -> None:
    inner = helper.make_graph([], "inner", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [4])])
    model = small_model(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))
    with pytest.raises(ModelError, match="holds another graph"):
        onnx_file.read(model.SerializeToString())


def test_a_function_is_refused() -> None:
    model = small_model()
    model.functions.add().name = "f"
    with pytest.raises(ModelError, match="operators of its own"):
        onnx_file.read(model.SerializeToString())


@pytest.mark.parametrize("domain", ["com.evil", "com.microsoft", "ai.onnx.contrib"])
def test_foreign_operators_are_refused_by_name(domain: str) -> None:
    model = small_model(helper.make_node("Shell", ["x"], ["y"], domain=domain))
    with pytest.raises(ModelError, match=domain):
        onnx_file.read(model.SerializeToString())


def test_training_information_is_refused() -> None:
    model = small_model()
    model.training_info.add()
    model.training_info[0].algorithm.name = "a"
    with pytest.raises(ModelError, match="training"):
        onnx_file.read(model.SerializeToString())


def test_a_weight_that_claims_more_values_than_it_has_is_refused() -> None:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    tensor.dims[0] = 10**12
    with pytest.raises(ModelError, match="fewer values"):
        onnx_file.read(small_model(initializers=[tensor]).SerializeToString())


def test_an_attribute_whose_type_says_another_value_is_refused() -> None:
    node = helper.make_node("Flatten", ["x"], ["y"], axis=1)
    node.attribute[0].ints.append(2)
    with pytest.raises(ModelError, match="'axis' has not the value"):
        onnx_file.read(small_model(node).SerializeToString())


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff" * 100, b"\x80" * 40, bytes(range(256))])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="not an ONNX model"):
        onnx_file.read(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 500), st.integers(0, 500))
def test_any_damage_ends_in_a_model_error_or_in_a_reading(junk: bytes, at: int, cut: int) -> None:
    data = small_model(initializers=[external_tensor()]).SerializeToString()
    at, cut = at % len(data), cut % len(data)
    with contextlib.suppress(ModelError):
        onnx_file.read(data[:at] + junk + data[at + cut :])
