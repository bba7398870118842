"""How a quality graph makes one number of a map: the better a part of a photograph, the more it counts.

A linear head judges every cell of a photograph, and its mean over all cells would take a sharp flower before
a soft background for a mediocre picture. People look at the flower. So each cell's quality q, held to the
label scale 0–10, is bent to

    10 · (exp(e · q) − 1) / (exp(10 · e) − 1)

before the mean is taken: the ends of the scale stay, and the better a cell, the more a further step counts.
The bent cells are the graph's `quality_map`, so its mean is `quality` still, and the mean over crops the
photograph's. No weight is trained; a graph without pooling has the linear cells themselves.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from dgqa_export.graphs.contract import parse
from dgqa_export.graphs.packing import pack, unpack
from dgqa_infer.bundle.card import Calibration
from dgqa_infer.errors import ModelError, UsageError
from dgqa_training.labels.labels import PRISTINE_LABEL

MAP = "quality_map"

_PREFIX = "pooling_"
_EXPONENT = f"{_PREFIX}exponent"
_LINEAR = f"{_PREFIX}cells"
_LARGEST = 1.0  # exp(10 · e) must be a number in fp16
_STEP = 0.25  # between the knots of a scale that is carried over


def pooled(cells: NDArray[np.floating], exponent: float) -> NDArray[np.float64]:
    """What the graph makes of linear cells.

    Args:
        cells: quality on the label scale, of any shape.
        exponent: above 0, see the module's formula.

    Returns:
        float64 of the same shape, 0–10; never descending in `cells`.
    """
    held = np.clip(cells.astype(np.float64), 0, PRISTINE_LABEL)
    return np.asarray(PRISTINE_LABEL * np.expm1(exponent * held) / math.expm1(exponent * PRISTINE_LABEL))


def carried(
    scale: Calibration, exponent: float, linear: NDArray[np.float64], raw: NDArray[np.float64]
) -> Calibration:
    """A scale for a graph that takes the mean of linear cells, carried over to the same graph with pooling.

    Photographs are uneven, so pooling places them higher than their mean; the scale moves by how much that is
    in the median of some.

    Args:
        scale: for linear means.
        exponent: of the pooling.
        linear: float64 [n], means of linear cells of some photographs.
        raw: float64 [n], what the graph with pooling gives for the same photographs.
    """
    top = math.expm1(exponent * PRISTINE_LABEL)
    offset = float(np.median(np.log1p(raw / PRISTINE_LABEL * top) / exponent - linear))
    inner = [place for place in np.arange(_STEP, PRISTINE_LABEL, _STEP) if 0 < scale(place - offset) < 100]
    knots = [(float(pooled(np.array(place), exponent)), scale(place - offset)) for place in inner]
    knots = [(0.0, 0.0), *knots, (PRISTINE_LABEL, 100.0)]
    ascending = [knots[0]]
    for knot in knots[1:]:
        if knot[0] > ascending[-1][0] and knot[1] > ascending[-1][1]:
            ascending.append(knot)
    return Calibration(*(tuple(ends) for ends in zip(*ascending, strict=True)))


def exponent_of(graph: bytes) -> float | None:
    """The exponent that a quality graph pools with; None for one that takes the mean of linear cells."""
    for tensor in parse(graph).graph.initializer:
        if tensor.name == _EXPONENT:
            return float(numpy_helper.to_array(tensor))
    return None


def with_pooling(graph: bytes, exponent: float) -> bytes:
    """The same graph with pooling, in the place of any that it has.

    Args:
        graph: of quality in fp32, packed or not; it stays as it is in that.
        exponent: above 0, up to 1.

    Raises:
        ModelError: the graph has no map.
        UsageError: the exponent is out of range.
    """
    if not 0 < exponent <= _LARGEST:
        raise UsageError(f"the exponent of pooling is {exponent}, not above 0 and up to {_LARGEST:g}")
    plain = unpack(graph)
    model = parse(without_pooling(plain))
    _rename_output(_producer(model), MAP, _LINEAR)
    constants = {
        f"{_PREFIX}low": 0.0,
        f"{_PREFIX}high": PRISTINE_LABEL,
        _EXPONENT: exponent,
        f"{_PREFIX}one": 1.0,
        f"{_PREFIX}scale": PRISTINE_LABEL / math.expm1(exponent * PRISTINE_LABEL),
    }
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()
    )
    steps = [
        ("Clip", [_LINEAR, f"{_PREFIX}low", f"{_PREFIX}high"], f"{_PREFIX}held"),
        ("Mul", [f"{_PREFIX}held", _EXPONENT], f"{_PREFIX}stretched"),
        ("Exp", [f"{_PREFIX}stretched"], f"{_PREFIX}risen"),
        ("Sub", [f"{_PREFIX}risen", f"{_PREFIX}one"], f"{_PREFIX}lowered"),
        ("Mul", [f"{_PREFIX}lowered", f"{_PREFIX}scale"], MAP),
    ]
    # Behind the map's own node, and before whatever takes its mean.
    place = 1 + next(at for at, node in enumerate(model.graph.node) if _LINEAR in node.output)
    for offset, (operator, inputs, output) in enumerate(steps):
        node = helper.make_node(operator, inputs, [output], f"{_PREFIX}{offset}")
        model.graph.node.insert(place + offset, node)
    result = bytes(model.SerializeToString(deterministic=True))
    return result if plain == graph else pack(result)


def without_pooling(graph: bytes) -> bytes:
    """The same graph with the mean of linear cells; one that has that already is returned as it is.

    Raises:
        ModelError: the graph has no map.
    """
    if exponent_of(graph) is None:
        return graph
    plain = unpack(graph)
    model = parse(plain)
    nodes = [node for node in model.graph.node if not node.name.startswith(_PREFIX)]
    tensors = [tensor for tensor in model.graph.initializer if not tensor.name.startswith(_PREFIX)]
    kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
    constants = [type(tensor).FromString(tensor.SerializeToString()) for tensor in tensors]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(constants)
    (producer,) = [node for node in model.graph.node if _LINEAR in node.output]
    _rename_output(producer, _LINEAR, MAP)
    result = bytes(model.SerializeToString(deterministic=True))
    return result if plain == graph else pack(result)


def _producer(model: onnx.ModelProto) -> onnx.NodeProto:
    found: list[onnx.NodeProto] = [node for node in model.graph.node if MAP in node.output]
    if found:
        return found[0]
    raise ModelError(f"the graph has no {MAP}")


def _rename_output(node: onnx.NodeProto, before: str, after: str) -> None:
    names = [after if name == before else name for name in node.output]
    del node.output[:]
    node.output.extend(names)
