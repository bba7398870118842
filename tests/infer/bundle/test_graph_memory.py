from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dgqa_infer.bundle import onnx_file
from dgqa_infer.bundle.bundle import Bundle, write_bundle
from dgqa_infer.bundle.graph_memory import GraphMemory, graph_memory, tensor_shapes
from dgqa_infer.errors import ModelError


def memory_of(model: onnx.ModelProto) -> GraphMemory:
    return graph_memory(onnx_file.read(model.SerializeToString()))


def test_weights_and_the_tensors_that_are_there_at_once_are_counted(models: Any) -> None:
    """Counted by hand: crops of 32 × 32 × 3 as bytes, as floats, and transposed."""
    memory = memory_of(models.quality_graph())
    assert memory.weights == 8 + 16 + 4
    assert memory.crop == 2 * 32 * 32 * 3 * 4


def test_what_is_computed_from_weights_alone_counts_with_them(models: Any) -> None:
    model = models.quality_graph()
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1000, np.float16), "half"))
    model.graph.node.insert(0, helper.make_node("Cast", ["half"], ["whole"], to=TensorProto.FLOAT))
    plain = memory_of(models.quality_graph())
    assert memory_of(model) == GraphMemory(plain.weights + 2000 + 4000, plain.crop)


def test_a_batch_that_is_multiplied_by_itself_shows(models: Any) -> None:
    model = models.quality_graph()
    pair = [
        helper.make_node("Unsqueeze", ["quality", "first"], ["row"]),
        helper.make_node("Unsqueeze", ["quality", "second"], ["column"]),
        helper.make_node("Add", ["row", "column"], ["pairs"]),
        helper.make_node("Expand", ["pairs", "many"], ["out"]),
    ]
    for name, value in {"first": [0], "second": [1], "many": [100_000, 1, 1]}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    model.graph.node.extend(pair)
    assert memory_of(model).crop > 100_000 * 64 * 4


LARGE: dict[str, tuple[str, dict[str, list[int]], dict[str, Any]]] = {
    "Expand": ("Expand", {"size": [1_000_000, 1, 32, 32, 3]}, {}),
    "Tile": ("Tile", {"size": [1, 100, 1000, 1]}, {}),
    "ConstantOfShape": ("ConstantOfShape", {"size": [1 << 40]}, {}),
    "Pad": ("Pad", {"size": [0, 0, 0, 0, 0, 100_000, 100_000, 0]}, {}),
    "Resize": ("Resize", {"a": [], "b": [], "size": [1, 100_000, 100_000, 3]}, {}),
    "Conv": ("Conv", {"size": []}, {"pads": [1 << 20] * 4}),
}


@pytest.mark.parametrize("operator", LARGE)
def test_a_graph_that_grows_beyond_the_limit_is_refused(models: Any, operator: str) -> None:
    name, constants, attributes = LARGE[operator]
    model = models.quality_graph()
    inputs = [] if name == "ConstantOfShape" else ["pixels"]
    for each, values in constants.items():
        value = np.array(values, np.int64) if values else np.zeros((3, 32, 1, 1), np.float32)
        if name == "Resize" and not values:
            inputs.append("")
            continue
        model.graph.initializer.append(numpy_helper.from_array(value, each))
        inputs.append(each)
    model.graph.node.insert(1, helper.make_node(name, inputs, ["large"], **attributes))
    with pytest.raises(ModelError, match="GB for its weights and one crop; the limit is 2 GB"):
        memory_of(model).refuse_large()


@pytest.mark.parametrize(
    "operator", ["Loop", "Scan", "If", "NonZero", "RandomNormal", "StringConcat", "SequenceEmpty", "Nonsense"]
)
def test_an_operator_that_is_not_on_the_list_is_refused_by_name(models: Any, operator: str) -> None:
    model = models.quality_graph()
    model.graph.node.append(helper.make_node(operator, ["quality"], ["more"]))
    with pytest.raises(ModelError, match=f"operator {operator}, which is not supported"):
        memory_of(model)


def test_a_size_that_depends_on_the_pixels_is_refused(models: Any) -> None:
    model = models.quality_graph()
    model.graph.node.append(helper.make_node("Cast", ["quality"], ["size"], to=TensorProto.INT64))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["size"], ["large"]))
    with pytest.raises(ModelError, match="depends on what its input 0 holds"):
        memory_of(model)


def test_what_the_file_says_of_its_own_shapes_is_not_believed(models: Any) -> None:
    model = models.quality_graph()
    model.graph.initializer.append(numpy_helper.from_array(np.array([1 << 40], np.int64), "size"))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["size"], ["large"]))
    model.graph.value_info.append(helper.make_tensor_value_info("large", TensorProto.FLOAT, [1]))
    assert memory_of(model).weights > 1 << 40


def test_two_tensors_of_one_name_are_refused(models: Any) -> None:
    model = models.quality_graph()
    model.graph.node.append(helper.make_node("Relu", ["quality"], ["grey"]))
    with pytest.raises(ModelError, match="two tensors that are called 'grey'"):
        memory_of(model)


def test_shapes_that_are_computed_from_the_batch_are_followed(models: Any) -> None:
    """As exporters write `x.reshape(len(x), -1)`."""
    model = models.quality_graph()
    constants = {"zero": np.array(0), "axis": np.array([0]), "rest": np.array([-1])}
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(value.astype(np.int64), name))
    chain = [
        helper.make_node("Shape", ["pixels"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"], axis=0),
        helper.make_node("Unsqueeze", ["batch", "axis"], ["list"]),
        helper.make_node("Concat", ["list", "rest"], ["flat"], axis=0),
        helper.make_node("Reshape", ["pixels", "flat"], ["rows"]),
    ]
    model.graph.node.extend(chain)
    found = tensor_shapes(onnx_file.read(model.SerializeToString()), 7)
    assert found["rows"].shape == (7, 32 * 32 * 3)


@pytest.mark.parametrize("name", ["model.onnx", "domains.onnx"])
def test_the_built_in_graphs_are_far_below_the_limit(name: str) -> None:
    memory = Bundle.load("dgqa-lite0").graph_memory(name)
    assert memory.weights < 50_000_000
    assert memory.crop < 20_000_000


def test_a_bundle_with_a_graph_too_large_is_refused(tmp_path: Path, models: Any) -> None:
    model = models.quality_graph()
    model.graph.initializer.append(numpy_helper.from_array(np.array([1 << 32], np.int64), "size"))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["size"], ["large"]))
    graphs = {
        "model.onnx": model.SerializeToString(),
        "domains.onnx": models.domain_graph().SerializeToString(),
    }
    with pytest.raises(ModelError, match="the limit is 2 GB"):
        write_bundle(tmp_path / "bundle", graphs, models.card())
