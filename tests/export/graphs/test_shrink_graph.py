"""The graphs that `dgqa_infer` comes with are those that this package writes."""

from __future__ import annotations

import onnx
import pytest

from dgqa_export.graphs.shrink_graph import shrink_graph
from dgqa_infer.bundle import onnx_file
from dgqa_infer.images.decoders.nvjpeg import GRAPHS


@pytest.mark.parametrize("lying", [False, True])
def test_the_files_are_what_is_built(lying: bool) -> None:
    assert onnx.load_model_from_string(GRAPHS[lying].read_bytes()) == shrink_graph(lying=lying)


@pytest.mark.parametrize("lying", [False, True])
def test_they_need_nothing_but_onnx_s_own_operators(lying: bool) -> None:
    graph = onnx_file.read(GRAPHS[lying].read_bytes())
    assert [port.name for port in graph.inputs] == ["picture", "size"]
    assert [(port.name, port.element) for port in graph.outputs] == [("shrunk", onnx_file.UINT8)]
