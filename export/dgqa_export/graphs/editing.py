"""Editing a graph: its constants by their names, and other nodes in place of those that nothing reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import onnx

from dgqa_infer.errors import ModelError


def initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    """The graph's constant of this name, itself and not a copy.

    Raises:
        ModelError: there is none.
    """
    found: list[onnx.TensorProto] = [tensor for tensor in model.graph.initializer if tensor.name == name]
    if found:
        return found[0]
    raise ModelError(f"the graph keeps no weights called {name}")


def without_unread(nodes: Sequence[onnx.NodeProto], outputs: Collection[str]) -> list[onnx.NodeProto]:
    """The nodes that the outputs depend on, in their order."""
    kept: list[onnx.NodeProto] = []
    read = set(outputs)
    for node in reversed(nodes):
        if read.intersection(node.output):
            kept.append(node)
            read.update(node.input)
    return kept[::-1]


def replace_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Give the graph these nodes, its own among them, and drop the weights that none of them reads."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    read = {name for node in copies for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]  # types and shapes of before
