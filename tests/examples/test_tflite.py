"""examples/to_tflite.py rebuilds an exported graph, and LiteRT's converter keeps its scores."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import decode

onnx = pytest.importorskip("onnx", reason="dgqa-infer[export] is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    path.write_bytes(Bundle.load("dgqa-lite0").graph_bytes("model.onnx"))
    return path


@pytest.fixture(scope="module")
def cut(repository: Path) -> Pixels:
    photograph = decode(repository / "examples" / "photos" / "coffee.webp")
    return crops(photograph.pixels, STANDARD)[0]


@pytest.fixture(scope="module")
def right(graph: Path, cut: Pixels) -> list[np.ndarray]:
    import onnxruntime

    return onnxruntime.InferenceSession(graph).run(["quality", "quality_map"], {"crops": cut})  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def program(repository: Path) -> Any:
    spec = importlib.util.spec_from_file_location("to_tflite", repository / "examples" / "to_tflite.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_network_is_the_graph(program: Any, graph: Path, cut: Pixels, right: list[np.ndarray]) -> None:
    network = program.Network(onnx.load(graph).graph).eval()
    with torch.no_grad():
        found = network(torch.from_numpy(cut))
    for one, other in zip(found, right, strict=True):
        np.testing.assert_allclose(one.numpy(), other, atol=1e-4)


def test_an_operator_that_it_does_not_know_is_named(program: Any, graph: Path) -> None:
    model = onnx.load(graph)
    model.graph.node[-1].op_type = "ReduceMax"
    with pytest.raises(SystemExit, match="the graph has a ReduceMax"):
        program.Network(model.graph)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("GRAPH", "OUT/a.tflite", "--crops", "0"), "argument --crops: 0 is not 1 or more"),
        (("GRAPH", "OUT/a.tflite", "--crops", "-1"), "argument --crops: -1 is not 1 or more"),
        (("GRAPH", "OUT/a.tflite", "--crops", "two"), "argument --crops: invalid"),
        (("GRAPH", "OUT/none/a.tflite"), "none/a.tflite is not there"),
        (("OUT/none.onnx", "OUT/a.tflite"), "none.onnx is no ONNX file that can be read"),
        (("OUT/text.onnx", "OUT/a.tflite"), "text.onnx is no ONNX file that can be read"),
    ],
)
def test_what_cannot_be_converted_is_told_before_anything_is(
    repository: Path, graph: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "text.onnx").write_text("no graph")
    named = [each.replace("OUT", str(tmp_path)).replace("GRAPH", str(graph)) for each in arguments]
    command = [sys.executable, repository / "examples" / "to_tflite.py", *named]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2
    assert words in ran.stderr.splitlines()[-1]


def test_the_file_that_it_writes_gives_the_graphs_quality(
    repository: Path, graph: Path, cut: Pixels, right: list[np.ndarray], tmp_path: Path
) -> None:
    pytest.importorskip("litert_torch", reason="LiteRT's converter is not installed (litert-torch)")
    from ai_edge_litert.interpreter import Interpreter

    command = [sys.executable, repository / "examples" / "to_tflite.py", graph, tmp_path / "model.tflite"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stderr
    interpreter = Interpreter(model_path=str(tmp_path / "model.tflite"))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], cut)
    interpreter.invoke()
    for details, other in zip(interpreter.get_output_details(), right, strict=True):
        np.testing.assert_allclose(interpreter.get_tensor(details["index"]), other, atol=1e-3)
