"""A crop's bytes are int8 codes already: normalising them in float32 and rounding again is left out.

A network that reads (pixel − m) / s, with one whole m and one s for all channels, reads what the byte says
as a code with the scale 1/s and the zero point m. ONNX Runtime takes longer for that subtraction and
division of whole crops than for any convolution of an int8 graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from dgqa_export.graphs.contract import INPUT

_SCALE, _ZERO = "_scale", "_zero_point"


@dataclass(frozen=True, slots=True)
class PixelCodes:
    """A tensor that is (pixels − mean) / spread.

    Attributes:
        name: of the tensor.
        pixels: float32 tensor that holds the crop's bytes as they are.
        mean: a whole number, 0–255.
        spread: above 0.
    """

    name: str
    pixels: str
    mean: int
    spread: float

    def nodes(self, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
        """Q/DQ nodes that give the tensor from the pixels, exactly; their constants go into the graph."""
        one, none = f"{self.name}_pixel{_SCALE}", f"{self.name}_pixel_zero"
        scale, zero = self.name + _SCALE, self.name + _ZERO
        graph.initializer.extend(
            [
                numpy_helper.from_array(np.array(1, np.float32), one),
                numpy_helper.from_array(np.array(0, np.uint8), none),
                numpy_helper.from_array(np.array(1 / self.spread, np.float32), scale),
                numpy_helper.from_array(np.array(self.mean, np.uint8), zero),
            ]
        )
        codes, whole = f"{self.name}_codes", f"{self.name}_dequantized"
        return [
            helper.make_node(
                "QuantizeLinear", [self.pixels, one, none], [codes], name=f"Quantize_{self.name}"
            ),
            helper.make_node(
                "DequantizeLinear", [codes, scale, zero], [whole], name=f"Dequantize_{self.name}"
            ),
        ]


def find(model: onnx.ModelProto) -> PixelCodes | None:
    """The tensor that is the normalised crop, if one number for all channels normalises it."""
    makers = {name: node for node in model.graph.node for name in node.output}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Div" or (before := makers.get(node.input[0])) is None or before.op_type != "Sub":
            continue
        mean, spread = _single(constants, before.input[1]), _single(constants, node.input[1])
        if mean is None or spread is None or spread <= 0 or mean not in range(256):
            continue
        source = before.input[0]
        while (maker := makers.get(source)) is not None and maker.op_type in ("Cast", "Transpose"):
            source = maker.input[0]
        if source == INPUT:
            return PixelCodes(node.output[0], before.input[0], int(mean), spread)
    return None


def normalised_again(model: onnx.ModelProto) -> list[onnx.NodeProto] | None:
    """Undo what `PixelCodes.nodes` left out, for runtimes that want zero points of zero.

    Returns:
        The graph's nodes, with pixels normalised in float32 before they are quantised; None where they are.
    """
    nodes: list[onnx.NodeProto] = []
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[1].endswith(f"_pixel{_SCALE}"):
            name = node.input[1].removesuffix(f"_pixel{_SCALE}")
            mean = numpy_helper.to_array(constants[name + _ZERO]).astype(np.float32)
            step = numpy_helper.to_array(constants[name + _SCALE])
            model.graph.initializer.extend(
                [numpy_helper.from_array(mean, f"{name}_mean"), numpy_helper.from_array(step, f"{name}_step")]
            )
            nodes += [
                helper.make_node("Sub", [node.input[0], f"{name}_mean"], [f"{name}_centred"]),
                helper.make_node("Mul", [f"{name}_centred", f"{name}_step"], [f"{name}_normalised"]),
            ]
            node.input[:] = [f"{name}_normalised", name + _SCALE, name + _ZERO]
        nodes.append(node)
    return nodes if len(nodes) > len(model.graph.node) else None


def _single(constants: dict[str, NDArray[np.generic]], name: str) -> float | None:
    """A constant's value, if it has only one."""
    values = np.unique(constants[name]) if name in constants else np.array([])
    return float(values[0]) if len(values) == 1 else None
