"""Weights become int8 so that what a convolution gives stays, not each weight for itself.

Rounding every weight to the nearest code moves the sums that a convolution makes: the input's values are
seldom negative, so errors of one sign add up. Two remedies, both computed in closed form from a few
photographs and from no label:

* each weight's rounding error is made good by the weights that are rounded after it, so that the expected
  square of the output's error is small (Frantar et al., GPTQ, 2022; as in optimal brain surgery);
* what remains in the mean is taken off the bias (Nagel et al., data-free quantization, 2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from dgqa_export.graphs.contract import INPUT, parse
from dgqa_export.precisions.precision import convertible
from dgqa_infer.backends.onnx_runtime import open_session
from dgqa_infer.images.arrays import Pixels

LARGEST = 127
_POSITIONS = 256  # of one crop and convolution; neighbours say nearly the same
_PORTION = 8  # crops whose activations are held at once
_DAMPING = 0.01  # of the mean second moment: what few photographs leave unknown
_SEED = 7


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """What a convolution reads at one place of its output: d = inputs of a group × kernel height × width.

    Attributes:
        mean: float64 [groups, d].
        second: float64 [groups, d, d], the mean of the products.
    """

    mean: NDArray[np.float64]
    second: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Rounded:
    """A convolution's weight in int8.

    Attributes:
        codes: int8 [outputs, inputs of a group, height, width], −127 to 127.
        scale: float32 [outputs].
        bias: float32 [outputs].
    """

    codes: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]


def measure(graph: bytes, crops: Pixels) -> dict[str, Moments]:
    """What each convolution of the backbone reads, of some places of every crop.

    Args:
        graph: an ONNX model in float32 that keeps `dgqa_export.graphs.contract`.
        crops: uint8 [n, side, side, 3].

    Returns:
        The node, named by its output → what it reads. Convolutions whose padding is not given in numbers are
        left out.
    """
    model = parse(graph)
    sizes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    nodes = [node for node in convertible(model) if node.op_type == "Conv" and _explicit(node)]
    read = sorted({node.input[0] for node in nodes})
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in read)
    session = open_session(bytes(model.SerializeToString()), "cpu")
    random = np.random.default_rng(_SEED)
    sums: dict[str, tuple[Any, Any]] = {}
    counts: dict[str, int] = {}
    for start in range(0, len(crops), _PORTION):
        values = dict(zip(read, session.run(read, {INPUT: crops[start : start + _PORTION]}), strict=True))
        for node in nodes:
            patches = _patches(node, values[node.input[0]], sizes[node.input[1]], random)
            name = node.output[0]
            mean, second = sums.get(name, (0.0, 0.0))
            products = patches.transpose(0, 2, 1) @ patches
            sums[name] = mean + patches.sum(1, dtype=np.float64), second + products.astype(np.float64)
            counts[name] = counts.get(name, 0) + patches.shape[1]
    return {
        name: Moments(mean / counts[name], second / counts[name]) for name, (mean, second) in sums.items()
    }


def nearest(weight: NDArray[np.float32], bias: NDArray[np.float32]) -> Rounded:
    """Every weight as the nearest code."""
    scale = _scale(weight)
    return Rounded(np.round(weight / scale.reshape(-1, 1, 1, 1)).astype(np.int8), scale, bias)


def compensated(weight: NDArray[np.float32], bias: NDArray[np.float32], moments: Moments) -> Rounded:
    """Codes and a bias that keep what the convolution gives of inputs with these moments.

    Args:
        weight: float32 [outputs, inputs of a group, height, width].
        bias: float32 [outputs].
        moments: of what it reads.
    """
    groups, wide = moments.mean.shape
    scale = _scale(weight).astype(np.float64).reshape(groups, -1)
    left = weight.astype(np.float64).reshape(groups, -1, wide)
    was = left.copy()
    codes = np.zeros_like(left)
    spread = _spread(moments.second)
    for place in range(wide):
        codes[..., place] = np.clip(np.round(left[..., place] / scale), -LARGEST, LARGEST)
        error = (left[..., place] - codes[..., place] * scale) / spread[:, place, place, np.newaxis]
        left[..., place + 1 :] -= error[..., np.newaxis] * spread[:, np.newaxis, place, place + 1 :]
    moved = ((codes * scale[..., np.newaxis] - was) * moments.mean[:, np.newaxis]).sum(-1)
    return Rounded(
        codes.reshape(weight.shape).astype(np.int8),
        scale.ravel().astype(np.float32),
        (bias - moved.ravel()).astype(np.float32),
    )


def round_weights(graph: bytes, moments: Mapping[str, Moments] | None = None) -> dict[str, Rounded]:
    """The weights of the backbone's convolutions.

    Args:
        graph: an ONNX model in float32 that keeps `dgqa_export.graphs.contract`.
        moments: of `measure`; convolutions that are not among them, and all for None, take the nearest codes.

    Returns:
        The node, named by its output → its weight and bias.
    """
    model = parse(graph)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    found = {}
    for node in convertible(model):
        if node.op_type != "Conv":
            continue
        weight = numpy_helper.to_array(constants[node.input[1]])
        _, _, *given = node.input
        bias = numpy_helper.to_array(constants[given[0]]) if given else np.zeros(len(weight), np.float32)
        name = node.output[0]
        known = (moments or {}).get(name)
        found[name] = nearest(weight, bias) if known is None else compensated(weight, bias, known)
    return found


def _scale(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    step = np.abs(weight).reshape(len(weight), -1).max(1) / LARGEST
    return np.where(step >= np.finfo(np.float32).tiny, step, 1.0).astype(np.float32)


def _spread(second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row j: how the weights after j make good an error of weight j, times its own entry."""
    wide = second.shape[-1]
    power = np.trace(second, axis1=1, axis2=2) / wide
    damping = np.maximum(_DAMPING * power, np.finfo(np.float32).tiny)
    known = second + damping[:, np.newaxis, np.newaxis] * np.eye(wide)
    return np.linalg.cholesky(np.linalg.inv(known)).transpose(0, 2, 1)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _explicit(node: onnx.NodeProto) -> bool:
    return _attributes(node).get("auto_pad", b"NOTSET") in (b"", b"NOTSET")


def _patches(
    node: onnx.NodeProto, values: NDArray[np.float32], size: Iterable[int], random: np.random.Generator
) -> NDArray[np.float32]:
    """What the convolution reads at some places of its output: float32 [groups, places, d]."""
    _, _, high, wide = size
    known = _attributes(node)
    top, left, bottom, right = known.get("pads", (0, 0, 0, 0))
    down, across = known.get("strides", (1, 1))
    apart, beside = known.get("dilations", (1, 1))
    groups = known.get("group", 1)
    values = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
    window = ((high - 1) * apart + 1, (wide - 1) * beside + 1)
    views = sliding_window_view(values, window, axis=(2, 3))[:, :, ::down, ::across, ::apart, ::beside]
    crops, _, rows, columns = views.shape[:4]
    places = random.permutation(crops * rows * columns)[: crops * _POSITIONS]
    crop, row, column = np.unravel_index(np.sort(places), (crops, rows, columns))
    chosen = views[crop, :, row, column].reshape(len(places), groups, -1)
    return np.ascontiguousarray(chosen.transpose(1, 0, 2))
