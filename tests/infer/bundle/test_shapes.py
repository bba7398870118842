"""Expected shapes come from the onnx package: its examples of each operator, and its own inference."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import onnx
import pytest

from dgqa_infer.bundle import onnx_file
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.bundle.graph_memory import outputs_of, tensor_shapes
from dgqa_infer.bundle.graph_values import Value
from dgqa_infer.bundle.shapes import RULES

# Operators that no example shows, or none in types that numpy has.
WITHOUT_EXAMPLES = {"Cast", "GlobalLpPool"}
# What is left out of an operator that is supported.
LEFT_OUT = ("test_einsum_batch_diagonal", "test_einsum_inner_prod", "_not_larger", "_not_smaller")


@functools.cache
def examples() -> dict[str, list[Any]]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    found: dict[str, list[Any]] = {}
    for case in cases:
        if case.model is None or len(case.model.graph.node) != 1 or case.name.endswith(LEFT_OUT):
            continue
        inputs, outputs = case.data_sets[0]
        # Types that numpy does not have come as messages.
        if all(
            isinstance(each, np.ndarray | np.generic) and each.dtype != object for each in inputs + outputs
        ):
            found.setdefault(case.model.graph.node[0].op_type, []).append(case)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("operator", sorted(set(RULES) - WITHOUT_EXAMPLES))
def test_outputs_have_the_shapes_of_onnx_s_examples(operator: str) -> None:
    assert examples()[operator]
    for case in examples()[operator]:
        graph = onnx_file.read(case.model.SerializeToString())
        inputs, outputs = case.data_sets[0]
        values = {
            port.name: Value(np.shape(each), each.itemsize, np.asarray(each))
            for port, each in zip(graph.inputs, inputs, strict=True)
        }
        found = outputs_of(graph.nodes[0], values)[: len(outputs)]
        for place, (value, right) in enumerate(zip(found, outputs, strict=True)):
            assert value.element_bytes >= right.itemsize, case.name
            if operator in ("BatchNormalization", "LayerNormalization") and place > 0:
                assert np.prod(value.shape) >= right.size, case.name
                continue
            assert value.shape == right.shape, case.name
            if value.content is not None:
                np.testing.assert_array_equal(value.content, right, case.name)


@pytest.mark.parametrize("name", ["model.onnx", "domains.onnx"])
def test_shapes_in_the_built_in_graphs_are_those_that_onnx_infers(name: str) -> None:
    data = Bundle.load("dgqa-lite0").graph_bytes(name)
    model = onnx.ModelProto.FromString(data)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    ours = tensor_shapes(onnx_file.read(data), 3)
    assert len(inferred.value_info) > 100
    for value in (*inferred.value_info, *inferred.output):
        theirs = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
        assert ours[value.name].shape == theirs, value.name
