"""What every graph of this project must look like, checked before it is written, converted or built.

One file, standard operators, one uint8 input `crops` of a fixed side that goes straight into a Cast, and the
outputs of a quality graph or of a domain classifier. What passes runs in every supported runtime.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx
from google.protobuf.message import DecodeError

from dgqa_infer.errors import ModelError

INPUT = "crops"
QUALITY_OUTPUTS = ("quality", "quality_map")
DOMAIN_OUTPUTS = ("domain_logits",)

_RANKS = {"quality": 1, "quality_map": 3, "domain_logits": 2}
_STANDARD = ("", "ai.onnx")


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """What a graph that keeps the contract says of itself.

    Attributes:
        side: height and width of a crop, in pixels.
        outputs: names, `QUALITY_OUTPUTS` or `DOMAIN_OUTPUTS`.
        opset: version of the standard operator set.
        nodes: number of nodes.
    """

    side: int
    outputs: tuple[str, ...]
    opset: int
    nodes: int


def check(graph: bytes) -> GraphFacts:
    """Check a serialized graph against the contract.

    Args:
        graph: an ONNX model.

    Returns:
        What the graph says of itself.

    Raises:
        ModelError: the graph is damaged, invalid, spread over several files, uses operators that are not
            ONNX's own, or has other inputs or outputs.
    """
    model = parse(graph)
    _refuse_external_data(model)
    _refuse_custom_operators(model)
    side = _check_input(model)
    outputs = _check_outputs(model)
    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"the graph is not valid ONNX: {_first_line(error)}") from error
    opset = next(entry.version for entry in model.opset_import if entry.domain in _STANDARD)
    return GraphFacts(side, outputs, opset, len(model.graph.node))


def parse(graph: bytes) -> onnx.ModelProto:
    """Read a serialized graph; nothing but its encoding is checked.

    Raises:
        ModelError: the bytes are not an ONNX model.
    """
    try:
        model = onnx.load_model_from_string(graph)
    except DecodeError as error:
        raise ModelError("the graph is not an ONNX file, or it is damaged") from error
    if not model.graph.node:
        raise ModelError("the graph is not an ONNX file, or it is empty")
    return model


def _refuse_external_data(model: onnx.ModelProto) -> None:
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ModelError(
                f"the graph keeps {tensor.name!r} in another file; "
                "save it as one file (torch.onnx.export(..., external_data=False))"
            )


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                if inner.node or inner.initializer:
                    yield from _tensors(inner)


def _refuse_custom_operators(model: onnx.ModelProto) -> None:
    if model.functions:
        raise ModelError(f"the graph defines its own operator {model.functions[0].name!r}; inline it first")
    foreign = {
        f"{node.domain}.{node.op_type}" for node in _nodes(model.graph) if node.domain not in _STANDARD
    }
    if foreign:
        raise ModelError(f"the graph uses operators that are not ONNX's own: {', '.join(sorted(foreign))}")


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _check_input(model: onnx.ModelProto) -> int:
    inputs = list(model.graph.input)
    if [value.name for value in inputs] != [INPUT]:
        raise ModelError(f"the graph's inputs are {[value.name for value in inputs]}, not [{INPUT!r}]")
    kind = inputs[0].type.tensor_type
    if kind.elem_type != onnx.TensorProto.UINT8:
        raise ModelError(f"the graph's input {INPUT!r} is {_type_name(kind.elem_type)}, not uint8")
    shape = _shape(inputs[0])
    if len(shape) != 4 or isinstance(shape[0], int) or shape[3] != 3 or shape[1] != shape[2]:
        raise ModelError(f"the graph's input {INPUT!r} is {shape}, not [batch, side, side, 3], batch free")
    side = shape[1]
    if not isinstance(side, int) or side < 1:
        raise ModelError(f"the graph's input {INPUT!r} is {shape}: height and width must be fixed")
    readers = [node.op_type for node in model.graph.node if INPUT in node.input]
    if readers != ["Cast"]:
        # TensorRT takes uint8 into a Cast and into nothing else.
        raise ModelError(f"the graph's input {INPUT!r} goes into {readers}; it must go into one Cast")
    return side


def _check_outputs(model: onnx.ModelProto) -> tuple[str, ...]:
    names = tuple(value.name for value in model.graph.output)
    if names not in (QUALITY_OUTPUTS, DOMAIN_OUTPUTS):
        raise ModelError(
            f"the graph's outputs are {list(names)}, not {list(QUALITY_OUTPUTS)} or {list(DOMAIN_OUTPUTS)}"
        )
    for value in model.graph.output:
        kind = value.type.tensor_type
        if kind.elem_type != onnx.TensorProto.FLOAT:
            raise ModelError(f"the graph's output {value.name!r} is {_type_name(kind.elem_type)}, not float")
        shape, rank = _shape(value), _RANKS[value.name]
        if len(shape) != rank or isinstance(shape[0], int):
            raise ModelError(f"the graph's output {value.name!r} is {shape}, not {rank} axes, batch free")
    return names


def _shape(value: onnx.ValueInfoProto) -> list[int | str]:
    axes = value.type.tensor_type.shape.dim
    return [axis.dim_value if axis.HasField("dim_value") else axis.dim_param for axis in axes]


def _type_name(kind: int) -> str:
    return str(onnx.TensorProto.DataType.Name(kind)).lower()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
