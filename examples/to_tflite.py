"""Turn a graph that dgqa-infer exported into a TensorFlow Lite file, by LiteRT's own converter.

    pip install litert-torch torch onnx onnxruntime
    python to_tflite.py model.onnx model.tflite

The result takes the same crops, uint8 [crops, 224, 224, 3], as many at once as `--crops` says, and gives
quality and its map as its first and second output. It is compared with ONNX Runtime on noise before it
is written; the exit code is 1 where they differ by more than 0.001. What the graph's metadata says you
have to take along yourself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch.nn import functional

ALLOWED = 1e-3


class Network(torch.nn.Module):
    """A graph's nodes, in their order, as PyTorch runs them. Of an operator it does not know it says so."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        super().__init__()
        constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self._input = graph.input[0].name
        self._outputs = [each.name for each in graph.output]
        self._weights: dict[str, str] = {}
        self._steps = []
        for node in graph.node:
            (first, *others), operator = node.input, node.op_type
            attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
            if operator == "Cast" and first in constants:  # weights are stored as float16
                constants[node.output[0]] = constants[first].astype(np.float32)
                continue
            if operator not in OPERATORS:
                sys.exit(f"the graph has a {operator}, which is not known here: was it exported with --fp32?")
            if operator in NUMBERS:
                attributes["numbers"] = [constants[name].tolist() for name in others]
                others = []
            for name in (first, *others):
                if name in constants and name not in self._weights:
                    self._weights[name] = f"weight{len(self._weights)}"
                    self.register_buffer(self._weights[name], torch.from_numpy(constants[name].copy()))
            self._steps.append((OPERATORS[operator], (first, *others), node.output[0], attributes))

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The graph's outputs of uint8 [crops, 224, 224, 3]."""
        values = {self._input: crops}
        for operator, inputs, output, attributes in self._steps:
            given = [
                values[name] if name in values else getattr(self, self._weights[name]) for name in inputs
            ]
            values[output] = operator(given, attributes)
        return tuple(values[name] for name in self._outputs)


def convolution(given: Sequence[torch.Tensor], attributes: dict[str, Any]) -> torch.Tensor:
    """ONNX's Conv; padding may differ from side to side."""
    image, weight = given[:2]
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    padded = functional.pad(image, (left, right, top, bottom))
    strides, dilations, groups = (attributes[name] for name in ("strides", "dilations", "group"))
    (bias,) = given[2:] or (None,)
    return functional.conv2d(padded, weight, bias, stride=strides, dilation=dilations, groups=groups)


def same(given: Sequence[torch.Tensor], attributes: dict[str, Any]) -> torch.Tensor:
    """An average over one pixel, which the network's exporter leaves behind."""
    if list(attributes["kernel_shape"]) != [1, 1]:
        sys.exit(f"an AveragePool over {attributes['kernel_shape']} is not known here, only over 1 × 1")
    return given[0]


OPERATORS: dict[str, Callable[[Sequence[torch.Tensor], dict[str, Any]], torch.Tensor]] = {
    "Add": lambda given, _: given[0] + given[1],
    "AveragePool": same,
    "Cast": lambda given, _: given[0].float(),
    "Clip": lambda given, attributes: torch.clamp(given[0], *attributes["numbers"]),
    "Concat": lambda given, attributes: torch.cat(list(given), attributes["axis"]),
    "Conv": convolution,
    "Div": lambda given, _: given[0] / given[1],
    "Exp": lambda given, _: torch.exp(given[0]),
    "Mul": lambda given, _: given[0] * given[1],
    "ReduceMean": lambda given, attributes: given[0].mean(attributes["numbers"][0]),
    "Squeeze": lambda given, attributes: given[0].squeeze(attributes["numbers"][0]),
    "Sub": lambda given, _: given[0] - given[1],
    "Transpose": lambda given, attributes: given[0].permute(*attributes["perm"]),
}


NUMBERS = {"Clip", "ReduceMean", "Squeeze"}
"""Operators whose further inputs are numbers and no tensors: limits and axes."""


def at_least_1(text: str) -> int:
    """A whole number from 1 on."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def main() -> int:
    """Convert, compare, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a model.onnx that `dgqa-infer export --fp32` wrote")
    parser.add_argument("out", help="the .tflite file to write")
    parser.add_argument("--crops", type=at_least_1, default=5, help="how many crops it takes at once")
    chosen = parser.parse_args()
    if not Path(chosen.out).absolute().parent.is_dir():
        parser.error(f"the folder of {chosen.out} is not there")
    try:
        graph = onnx.load(chosen.model).graph
    except (OSError, DecodeError) as error:
        parser.error(f"{chosen.model} is no ONNX file that can be read: {error}")

    import litert_torch

    network = Network(graph).eval()
    crops = np.random.default_rng(0).integers(0, 256, (chosen.crops, 224, 224, 3), dtype=np.uint8)
    right = onnxruntime.InferenceSession(chosen.model).run(None, {"crops": crops})
    converted = litert_torch.convert(network, (torch.from_numpy(crops),))
    found = converted(torch.from_numpy(crops))
    off = max(float(np.abs(np.asarray(one) - other).max()) for one, other in zip(found, right, strict=True))
    print(f"differs from ONNX Runtime by {off:.1e}", file=sys.stderr)
    if not off <= ALLOWED:
        return 1
    converted.export(chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
