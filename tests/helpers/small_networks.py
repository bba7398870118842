"""A small network of the same kind as the real ones, its graph, and crops of real photographs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from dgqa_export import bundles, photographs
from dgqa_export.graphs.graph import export_quality
from dgqa_infer.bundle.bundle import Bundle, write_bundle
from dgqa_infer.bundle.card import Calibration, Card
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.arrays import Pixels

SIDE = 64
PREPROCESSING = Preprocessing(id="test-short128-grid5-64", short_side=128, crop=SIDE, grid=5)


# Its threads spin while they wait, which starves whoever shares the machine.
torch.set_num_threads(1)


class _Unit(nn.Sequential):
    """Convolution as TensorFlow pads it, batch normalisation, ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        padding = kernel - stride if stride > 1 else kernel - 1
        super().__init__(
            nn.ZeroPad2d((padding // 2, padding - padding // 2) * 2),
            nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU6(),
        )


class SmallNetwork(nn.Module):
    """Two stages with depthwise convolutions and a residual; both are pooled to one grid."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Unit(3, 8, 3, 2)
        self.expand = _Unit(8, 24)
        self.depthwise = _Unit(24, 24, 3, groups=24)
        self.project = nn.Sequential(nn.Conv2d(24, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.second = nn.Sequential(_Unit(8, 32), _Unit(32, 32, 5, 2, groups=32))
        self.linear = nn.Conv2d(8 + 32, 1, 1)

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        x = (crops.to(torch.float32).permute(0, 3, 1, 2) - 127) / 128
        x = self.stem(x)
        first = x + self.project(self.depthwise(self.expand(x)))
        second = self.second(first)
        pooled = [functional.avg_pool2d(stage, cell) for stage, cell in ((first, 8), (second, 4))]
        quality_map = self.linear(torch.cat(pooled, 1)).squeeze(1)
        return {"quality": quality_map.mean((1, 2)), "quality_map": quality_map}


@pytest.fixture(scope="session")
def small_network() -> SmallNetwork:
    """With statistics in its normalisations, so that folding them is not for nothing."""
    torch.manual_seed(0)
    network = SmallNetwork()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="session")
def small_graph(small_network: SmallNetwork) -> bytes:
    return export_quality(small_network, SIDE, {"name": "small"})


@pytest.fixture(scope="session")
def small_bundle(small_graph: bytes, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    card = Card(
        name="small",
        version="1",
        licence="Apache-2.0",
        precision="fp32",
        files={},
        preprocessing=PREPROCESSING,
        raw_range=(0.0, 10.0),
        calibration=Calibration((0.0, 10.0), (0.0, 100.0)),
        tolerances=bundles.TOLERANCES,
    )
    return write_bundle(tmp_path_factory.mktemp("bundles") / "small", {"model.onnx": small_graph}, card)


@pytest.fixture(scope="session")
def sample_crops() -> list[Pixels]:
    """Crops [5, 64, 64, 3] of 20 photographs: four samples, as they are, blurred and compressed."""
    return list(photographs.samples(PREPROCESSING))


@pytest.fixture(scope="session")
def many_crops(sample_crops: list[Pixels]) -> list[Pixels]:
    """Crops of 80 photographs: the samples in four exposures."""
    exposures = [
        np.clip(crops * gain, 0, 255).astype(np.uint8) for gain in (0.5, 0.75, 1.3) for crops in sample_crops
    ]
    return [*sample_crops, *exposures]


@pytest.fixture
def grey_model() -> Callable[..., onnx.ModelProto]:
    return _grey_model


def _grey_model(crop: int = 8) -> onnx.ModelProto:
    """A quality graph of four nodes; quality is the crop's mean value."""
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "channel"], ["grey"], keepdims=0),
        helper.make_node("Mul", ["grey", "one"], ["quality_map"]),
        helper.make_node("ReduceMean", ["quality_map", "space"], ["quality"], keepdims=0),
    ]
    constants = {
        "channel": np.array([3], np.int64),
        "space": np.array([1, 2], np.int64),
        "one": np.array(1, np.float32),
    }
    outputs = {"quality": ["batch"], "quality_map": ["batch", crop, crop]}
    graph = helper.make_graph(
        nodes,
        "grey",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["batch", crop, crop, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
