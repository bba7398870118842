"""What shape each operator's outputs have: the operators that a graph may use, and no others.

The list holds what convolutional and attention networks are exported to. It leaves out loops, scans and
branches, whose work has no bound, operators whose outputs' sizes depend on the pixels, and those of text,
sequences and random numbers.

Source: the ONNX operators' documentation (onnx.ai/onnx/operators); a test compares each rule with the onnx
package's own examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Final, TypeAlias

import numpy as np

from dgqa_infer.bundle.graph_values import Call, Shape, constant_of, place_of

Rule: TypeAlias = Callable[[Call], list[Shape]]


def _same(call: Call) -> list[Shape]:
    return [call.shape()]


def _broadcast(call: Call) -> list[Shape]:
    shapes = [value.shape for value in call.values if value is not None]
    return [reduce(np.broadcast_shapes, shapes)]


def _places(size: int, window: int, stride: int, pads: tuple[int, int], mode: str, *, ceil: bool) -> int:
    """How many places a window has along one axis."""
    if stride < 1 or window < 1:
        raise ValueError("its window has no size, or does not move")
    if mode.startswith("SAME"):
        return -(-size // stride)
    before, after = (0, 0) if mode == "VALID" else pads
    room = size + before + after - window
    if room < 0:
        return 0
    if not ceil:
        return room // stride + 1
    places = -(-room // stride) + 1
    # A window that begins behind the end has nothing to look at.
    return places - (1 if (places - 1) * stride >= size + before else 0)


def _windows(call: Call, image: Shape, kernel: Sequence[int]) -> Shape:
    rank = len(image) - 2
    strides, dilations = call.integers("strides", [1] * rank), call.integers("dilations", [1] * rank)
    pads, mode = call.integers("pads", [0] * 2 * rank), call.text("auto_pad", "NOTSET")
    if rank < 1 or not len(kernel) == len(strides) == len(dilations) == rank or len(pads) != 2 * rank:
        raise ValueError("its window has another number of axes than its input")
    ceil = call.integer("ceil_mode", 0) != 0
    return tuple(
        _places(
            size,
            dilations[axis] * (kernel[axis] - 1) + 1,
            strides[axis],
            (pads[axis], pads[axis + rank]),
            mode,
            ceil=ceil,
        )
        for axis, size in enumerate(image[2:])
    )


def _convolution(weights: int) -> Rule:
    """Of `Conv` and its kin, whose weights are this input."""

    def rule(call: Call) -> list[Shape]:
        image, kernel = call.shape(), call.shape(weights)
        if len(kernel) != len(image):
            raise ValueError("its weights have another number of axes than its input")
        return [(image[0], kernel[0], *_windows(call, image, kernel[2:]))]

    return rule


def _transposed_convolution(call: Call) -> list[Shape]:
    image, kernel = call.shape(), call.shape(1)
    rank = len(image) - 2
    if rank < 1 or len(kernel) != len(image):
        raise ValueError("its weights have another number of axes than its input")
    sides = call.integers("output_shape", [])
    if not sides:
        strides, dilations = call.integers("strides", [1] * rank), call.integers("dilations", [1] * rank)
        pads, more = call.integers("pads", [0] * 2 * rank), call.integers("output_padding", [0] * rank)
        if call.text("auto_pad", "NOTSET").startswith("SAME"):
            sides = [size * stride for size, stride in zip(image[2:], strides, strict=True)]
        else:
            sides = [
                strides[i] * (image[2 + i] - 1) + more[i] + (kernel[2 + i] - 1) * dilations[i] + 1
                - pads[i] - pads[i + rank]
                for i in range(rank)
            ]  # fmt: skip
    return [(image[0], kernel[1] * call.integer("group", 1), *sides[-rank:])]


def _pool(call: Call) -> list[Shape]:
    image, kernel = call.shape(), call.integers("kernel_shape", [])
    found = (*image[:2], *_windows(call, image, kernel))
    return [found, found]


def _global_pool(call: Call) -> list[Shape]:
    image = call.shape()
    return [(*image[:2], *(1 for _ in image[2:]))]


def _product(left: int, right: int) -> Rule:
    """Of `MatMul` and its kin, whose factors are these inputs."""

    def rule(call: Call) -> list[Shape]:
        a, b = call.shape(left), call.shape(right)
        if not a or not b:
            raise ValueError("a factor of its product is a single number")
        outer = np.broadcast_shapes(a[:-2], b[:-2])
        return [(*outer, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))]

    return rule


def _gemm(call: Call) -> list[Shape]:
    a, b = call.shape(), call.shape(1)
    if len(a) != 2 or len(b) != 2:
        raise ValueError("a factor of its product is no matrix")
    return [(a[1] if call.integer("transA", 0) else a[0], b[0] if call.integer("transB", 0) else b[1])]


def _einsum(call: Call) -> list[Shape]:
    inputs, arrow, output = call.text("equation", "").replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow or "." in inputs or len(terms) != len(call.values) or len(terms) > 2:
        raise ValueError("its equation is not one of one or two terms that all axes are named in")
    sizes: dict[str, int] = {}
    for place, term in enumerate(terms):
        for letter, size in zip(term, call.shape(place), strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    if not set(output) <= set(sizes):
        raise ValueError("its equation has an output that no term has")
    return [tuple(sizes[letter] for letter in output)]


def _reduction(call: Call) -> list[Shape]:
    shape = call.shape()
    found = call.content(1, "axes")
    axes = range(len(shape)) if found is None or not found.size else [int(axis) for axis in found.ravel()]
    if (found is None or not found.size) and call.integer("noop_with_empty_axes", 0):
        return [shape]
    return [_reduced(shape, axes, keep=call.integer("keepdims", 1) != 0)]


def _extreme_place(call: Call) -> list[Shape]:
    shape = call.shape()
    return [_reduced(shape, [call.axis(len(shape), 0)], keep=call.integer("keepdims", 1) != 0)]


def _reduced(shape: Shape, axes: Sequence[int], *, keep: bool) -> Shape:
    gone = {place_of(axis, len(shape)) for axis in axes}
    return tuple(1 if at in gone else size for at, size in enumerate(shape) if keep or at not in gone)


def _reshape(call: Call) -> list[Shape]:
    shape, sides = call.shape(), call.numbers(1, "shape")
    if not call.integer("allowzero", 0):
        sides = [shape[at] if side == 0 else side for at, side in enumerate(sides)]
    if -1 in sides:
        rest = math.prod(side for side in sides if side != -1)
        sides[sides.index(-1)] = math.prod(shape) // rest if rest else 0
    if math.prod(sides) != math.prod(shape) or min(sides, default=0) < 0:
        raise ValueError(f"it makes {list(shape)} to {sides}")
    return [tuple(sides)]


def _flatten(call: Call) -> list[Shape]:
    shape = call.shape()
    axis = call.integer("axis", 1)
    axis = axis if axis == len(shape) else place_of(axis, len(shape))
    return [(math.prod(shape[:axis]), math.prod(shape[axis:]))]


def _squeeze(call: Call) -> list[Shape]:
    shape = call.shape()
    found = call.content(1, "axes")
    if found is None:
        return [tuple(size for size in shape if size != 1)]
    gone = {place_of(int(axis), len(shape)) for axis in found.ravel()}
    if any(shape[axis] != 1 for axis in gone):
        raise ValueError("an axis that it drops is longer than 1")
    return [tuple(size for at, size in enumerate(shape) if at not in gone)]


def _unsqueeze(call: Call) -> list[Shape]:
    shape, axes = call.shape(), call.numbers(1, "axes")
    rank = len(shape) + len(axes)
    new, old = {place_of(axis, rank) for axis in axes}, iter(shape)
    if len(new) != len(axes):
        raise ValueError("it adds an axis twice")
    return [tuple(1 if at in new else next(old) for at in range(rank))]


def _transpose(call: Call) -> list[Shape]:
    shape = call.shape()
    order = call.integers("perm", range(len(shape))[::-1])
    if sorted(order) != list(range(len(shape))):
        raise ValueError("its order of axes is none")
    return [tuple(shape[axis] for axis in order)]


def _concat(call: Call) -> list[Shape]:
    shapes = [call.shape(place) for place in range(len(call.values))]
    axis = call.axis(len(shapes[0]), 0)
    return [(*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])]


def _split(call: Call) -> list[Shape]:
    shape = call.shape()
    axis, found = call.axis(len(shape), 0), call.content(1, "split")
    if found is not None:
        parts = [int(part) for part in found.ravel()]
    else:
        count = call.integer("num_outputs", len(call.node.outputs))
        each = -(-shape[axis] // count)
        parts = [*[each] * (count - 1), shape[axis] - each * (count - 1)]
    if sum(parts) != shape[axis] or min(parts) < 0:
        raise ValueError("its parts are not the whole")
    return [(*shape[:axis], part, *shape[axis + 1 :]) for part in parts]


def slices(call: Call) -> tuple[slice, ...]:
    """What `Slice` takes of each axis."""
    shape = call.shape()
    starts, ends = call.numbers(1, "starts"), call.numbers(2, "ends")
    axes_found, steps_found = call.content(3, "axes"), call.content(4)
    axes = list(range(len(starts))) if axes_found is None else [int(axis) for axis in axes_found.ravel()]
    steps = [1] * len(starts) if steps_found is None else [int(step) for step in steps_found.ravel()]
    taken = [slice(None)] * len(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = place_of(axis, len(shape))
        size = shape[place]
        # An end below the first place, counted from the back, is before it.
        before = None if step < 0 and end < -size else end
        taken[place] = slice(start, before, step)
    return tuple(taken)


def _slice(call: Call) -> list[Shape]:
    pairs = zip(slices(call), call.shape(), strict=True)
    return [tuple(len(range(*taken.indices(size))) for taken, size in pairs)]


def _gather(call: Call) -> list[Shape]:
    shape, indices = call.shape(), call.shape(1)
    axis = call.axis(len(shape), 0)
    return [(*shape[:axis], *indices, *shape[axis + 1 :])]


def _pad(call: Call) -> list[Shape]:
    shape, pads = list(call.shape()), call.numbers(1, "pads")
    found = call.content(3)
    axes = range(len(shape)) if found is None else [place_of(int(axis), len(shape)) for axis in found.ravel()]
    if len(pads) != 2 * len(axes):
        raise ValueError("it pads another number of axes than there are")
    for at, axis in enumerate(axes):
        shape[axis] += pads[at] + pads[at + len(axes)]
    return [tuple(shape)]


def _expand(call: Call) -> list[Shape]:
    return [np.broadcast_shapes(call.shape(), tuple(call.numbers(1)))]


def _tile(call: Call) -> list[Shape]:
    return [tuple(size * times for size, times in zip(call.shape(), call.numbers(1), strict=True))]


def _resize(call: Call) -> list[Shape]:
    shape = call.shape()
    axes = [place_of(axis, len(shape)) for axis in call.integers("axes", range(len(shape)))]
    if call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("it keeps the sides' ratio, and so chooses its size itself")
    # Before version 11 there was no region of interest.
    place = 1 if len(call.values) <= 2 else 2
    sizes = call.content(3)
    if sizes is not None and sizes.size:
        sides = [int(size) for size in sizes.ravel()]
    else:
        scales = call.content(place, "scales")
        if scales is None or scales.dtype.kind != "f" or not np.isfinite(scales).all():
            raise ValueError("it says neither how large its output is nor how much larger than its input")
        sides = [math.floor(shape[a] * float(s)) for a, s in zip(axes, scales.ravel(), strict=True)]
    given = dict(zip(axes, sides, strict=True))
    return [tuple(given.get(axis, size) for axis, size in enumerate(shape))]


def _depth_to_space(call: Call) -> list[Shape]:
    n, c, h, w = call.shape()
    block = call.integer("blocksize", 0)
    return [(n, c // block**2, h * block, w * block)]


def _space_to_depth(call: Call) -> list[Shape]:
    n, c, h, w = call.shape()
    block = call.integer("blocksize", 0)
    return [(n, c * block**2, h // block, w // block)]


def _shape_of(call: Call) -> list[Shape]:
    rank = len(call.shape())
    start, end = call.integer("start", 0), call.integer("end", rank)
    return [(len(range(rank)[start:end]),)]


def _constant(call: Call) -> list[Shape]:
    return [constant_of(call.node).shape]


def _filled(call: Call) -> list[Shape]:
    return [tuple(call.numbers(0))]


def _range(call: Call) -> list[Shape]:
    ends = [call.content(place) for place in range(3)]
    if any(end is None or end.size != 1 or not np.isfinite(end).all() for end in ends):
        raise ValueError("its ends are no numbers")
    start, limit, step = (end.item() for end in ends if end is not None)
    if step == 0:
        raise ValueError("it does not move")
    return [(max(0, math.ceil((limit - start) / step)),)]


def _largest(call: Call) -> list[Shape]:
    shape = call.shape()
    axis, (count,) = call.axis(len(shape), -1), call.numbers(1, "k")
    found = (*shape[:axis], count, *shape[axis + 1 :])
    return [found, found]


def _indexed(call: Call) -> list[Shape]:
    return [call.shape(1)]


def _normalized(call: Call) -> list[Shape]:
    # Statistics are never larger than what they are of.
    return [call.shape()] * len(call.node.outputs)


def _quantized(call: Call) -> list[Shape]:
    return [call.shape(), (), ()]


_RULES: Final[Mapping[str, tuple[Rule, str]]] = {
    "elementwise": (
        _same,
        "Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Clip Cos Cosh CumSum "
        "DequantizeLinear Elu Erf Exp Floor Gelu GroupNormalization HardSigmoid HardSwish Hardmax "
        "Identity InstanceNormalization IsInf IsNaN LRN LeakyRelu Log LogSoftmax LpNormalization "
        "MeanVarianceNormalization Mish Neg Not QuantizeLinear RMSNormalization Reciprocal Relu Round "
        "ScatterElements ScatterND Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish "
        "Tan Tanh ThresholdedRelu Trilu",
    ),
    "normalized": (_normalized, "BatchNormalization Dropout LayerNormalization"),
    "broadcast": (
        _broadcast,
        "Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual "
        "Max Mean Min Mod Mul Or PRelu Pow Sub Sum Where Xor",
    ),
    "reduction": (
        _reduction,
        "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum "
        "ReduceSumSquare",
    ),
    "place": (_extreme_place, "ArgMax ArgMin"),
    "convolution": (_convolution(1), "Conv ConvInteger"),
    "quantized convolution": (_convolution(3), "QLinearConv"),
    "transposed convolution": (_transposed_convolution, "ConvTranspose"),
    "pool": (_pool, "AveragePool LpPool MaxPool"),
    "global pool": (_global_pool, "GlobalAveragePool GlobalLpPool GlobalMaxPool"),
    "product": (_product(0, 1), "MatMul MatMulInteger"),
    "quantized product": (_product(0, 3), "QLinearMatMul"),
    "resize": (_resize, "Resize Upsample"),
}

RULES: Final[Mapping[str, Rule]] = {
    **{name: rule for rule, names in _RULES.values() for name in names.split()},
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "DepthToSpace": _depth_to_space,
    "DynamicQuantizeLinear": _quantized,
    "Einsum": _einsum,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _indexed,
    "Gemm": _gemm,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape_of,
    "Size": lambda _: [()],
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "TopK": _largest,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""The operators that a graph may use, and the shapes of their outputs."""
