"""What a graph must look like: each breach is refused with its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dgqa_export.graphs.contract import check, parse
from dgqa_infer.errors import ModelError

GreyModel: TypeAlias = Callable[..., onnx.ModelProto]


def test_a_graph_that_keeps_the_contract_says_what_it_is(grey_model: GreyModel) -> None:
    facts = check(grey_model(16).SerializeToString())
    assert (facts.side, facts.outputs, facts.opset, facts.nodes) == (16, ("quality", "quality_map"), 20, 4)


def _external(model: onnx.ModelProto) -> None:
    weight = model.graph.initializer[2]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../weights.bin")


def _external_in_attribute(model: onnx.ModelProto) -> None:
    constant = helper.make_node("Constant", [], ["far"], value=numpy_helper.from_array(np.zeros(1)))
    constant.attribute[0].t.external_data.add(key="location", value="weights.bin")
    model.graph.node.insert(0, constant)


def _custom(model: onnx.ModelProto) -> None:
    model.graph.node[2].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def _custom_in_branch(model: onnx.ModelProto) -> None:
    branch = helper.make_graph(
        [helper.make_node("Secret", [], ["x"], domain="evil")],
        "branch",
        [],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
    )
    model.graph.node.append(helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=branch))


def _function(model: onnx.ModelProto) -> None:
    model.functions.add(name="Twice", domain="ours")


def _unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[2].op_type = "Teleport"


def _wrong_type_inside(model: onnx.ModelProto) -> None:
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.array(1, np.int32), "one"))


def _float_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def _other_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = model.graph.node[0].input[0] = "images"


def _free_side(model: onnx.ModelProto) -> None:
    for axis in (1, 2):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "side"


def _fixed_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def _planes_first(model: onnx.ModelProto) -> None:
    for axis, size in ((1, 3), (3, 8)):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size


def _no_cast(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["crops"], ["again"]))


def _no_map(model: onnx.ModelProto) -> None:
    del model.graph.output[1]


def _whole_quality(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def _flat_map(model: onnx.ModelProto) -> None:
    del model.graph.output[1].type.tensor_type.shape.dim[2]


@pytest.mark.parametrize(
    ("breach", "said"),
    [
        (_external, "keeps 'one' in another file"),
        (_external_in_attribute, "in another file"),
        (_custom, "com.microsoft.Mul"),
        (_custom_in_branch, "evil.Secret"),
        (_function, "its own operator 'Twice'"),
        (_unknown_operator, "not valid ONNX.*Teleport"),
        (_wrong_type_inside, "not valid ONNX"),
        (_float_input, "'crops' is float, not uint8"),
        (_other_input, r"inputs are \['images'\]"),
        (_free_side, "height and width must be fixed"),
        (_fixed_batch, "batch free"),
        (_planes_first, r"not \[batch, side, side, 3\]"),
        (_no_cast, "must go into one Cast"),
        (_no_map, r"outputs are \['quality'\]"),
        (_whole_quality, "is double, not float"),
        (_flat_map, "not 3 axes"),
    ],
)
def test_each_breach_is_refused_by_name(
    grey_model: GreyModel, breach: Callable[[onnx.ModelProto], None], said: str
) -> None:
    model = grey_model()
    breach(model)
    with pytest.raises(ModelError, match=said):
        check(model.SerializeToString())


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\x0a"])
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"damaged|empty"):
        check(data)


def test_a_truncated_model_is_refused(small_graph: bytes) -> None:
    for length in range(0, len(small_graph), len(small_graph) // 50):
        with pytest.raises(ModelError):
            check(small_graph[:length])


def test_parse_does_not_open_files_that_the_graph_names(grey_model: GreyModel) -> None:
    model = grey_model()
    _external(model)
    assert parse(model.SerializeToString()).graph.initializer[2].external_data
