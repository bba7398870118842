"""A bundle whose score can be computed by hand, and photographs made at test time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from dgqa_infer.bundle import Calibration, Card, Domains, write_bundle
from dgqa_infer.preprocessing import Preprocessing

CROP = 32
PREPROCESSING = Preprocessing(id="test-short64-grid5-32", short_side=64, crop=CROP, grid=5)
CLASSES = ("pristine", "gaussian_blur", "jpeg_compression")


def quality_graph(crop: int = CROP) -> onnx.ModelProto:
    """raw quality = mean of the crop's values / 25.5, so grey 255 is 10 and black is 0; the map is 2 × 2."""
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool", ["planes"], ["pooled"], kernel_shape=[crop // 2] * 2, strides=[crop // 2] * 2
        ),
        helper.make_node("ReduceMean", ["pooled", "channel"], ["grey"], keepdims=0),
        helper.make_node("Div", ["grey", "scale"], ["quality_map"]),
        helper.make_node("ReduceMean", ["quality_map", "space"], ["quality"], keepdims=0),
    ]
    constants = {
        "channel": np.array([1], np.int64),
        "space": np.array([1, 2], np.int64),
        "scale": np.array(25.5, np.float32),
    }
    outputs = {"quality": ["batch"], "quality_map": ["batch", 2, 2]}
    return _model(nodes, constants, outputs, crop)


def domain_graph(crop: int = CROP) -> onnx.ModelProto:
    """Logits of three classes: the mean of the red, green and blue plane, in tenths."""
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "space"], ["colour"], keepdims=0),
        helper.make_node("Div", ["colour", "scale"], ["domain_logits"]),
    ]
    constants = {"space": np.array([1, 2], np.int64), "scale": np.array(10, np.float32)}
    return _model(nodes, constants, {"domain_logits": ["batch", 3]}, crop)


def _model(
    nodes: list[onnx.NodeProto], constants: dict[str, NDArray], outputs: dict[str, list[str | int]], crop: int
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["batch", crop, crop, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def tiny_card(**changes: object) -> Card:
    """The tiny bundle's card; `write_bundle` fills in its files."""
    fields: dict[str, object] = {
        "name": "tiny",
        "version": "1",
        "licence": "Apache-2.0",
        "precision": "fp32",
        "files": {},
        "preprocessing": PREPROCESSING,
        "raw_range": (0.0, 10.0),
        "calibration": Calibration((0.0, 10.0), (0.0, 100.0)),
        "tolerances": {"fp32": 1e-4, "fp16": 0.02, "int8": 0.08},
        "domains": Domains(CLASSES, 1.0),
    }
    return Card(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in a folder: score = mean grey of the crops / 2.55; its domain graph looks at colour."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    graphs = {
        "model.onnx": quality_graph().SerializeToString(),
        "domains.onnx": domain_graph().SerializeToString(),
    }
    write_bundle(folder, graphs, tiny_card())
    return folder
