"""OpenVINO runs the same graphs, in float32 where the CPU would offer less."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgqa_infer.backends.base import Backend
from dgqa_infer.backends.openvino import OpenVinoBackend
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import BackendError


@pytest.fixture
def graph(tiny_bundle: Path) -> bytes:
    return Bundle.load(tiny_bundle).graph_bytes("model.onnx")


def crops(count: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def test_any_batch_gives_one_quality_a_crop(graph: bytes) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    with OpenVinoBackend(graph, threads=1) as backend:
        assert isinstance(backend, Backend)
        assert (backend.name, backend.device) == ("openvino", "cpu")
        for count in (1, 7, 2, 23):
            outputs = backend.infer(crops(count))
            assert outputs["quality"] == pytest.approx(crops(count).mean(axis=(1, 2, 3)) / 25.5, abs=1e-5)
            assert outputs["quality_map"].shape == (count, 2, 2)


def test_it_computes_in_float32_whatever_the_cpu_offers(graph: bytes) -> None:
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    with OpenVinoBackend(graph) as backend:
        compiled = backend._request.get_compiled_model()
        assert compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.f32


def test_faults_are_backend_errors(graph: bytes) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    with pytest.raises(BackendError, match="OpenVINO cannot load the graph"):
        OpenVinoBackend(b"nonsense")
    backend = OpenVinoBackend(graph)
    with pytest.raises(BackendError, match="OpenVINO failed"):
        backend.infer(np.zeros((1, 16, 16, 3), np.uint8))
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(crops(1))


class Closing(np.ndarray):
    """Crops during whose inference another thread closes the backend."""

    backend: Backend

    def __len__(self) -> int:
        thread = threading.Thread(target=self.backend.close)
        thread.start()
        thread.join()
        return super().__len__()


def test_a_backend_that_is_closed_while_it_infers_ends_its_batch(graph: bytes) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    backend = OpenVinoBackend(graph)
    batch = crops(2).view(Closing)
    batch.backend = backend
    assert backend.infer(batch)["quality"] == pytest.approx(crops(2).mean(axis=(1, 2, 3)) / 25.5, abs=1e-5)
    with pytest.raises(BackendError, match="closed"):
        backend.infer(crops(1))


def test_of_a_containers_share_of_the_cores_no_more_threads_are_started(
    graph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    monkeypatch.setattr("dgqa_infer.system.visible_cores", lambda: 64)
    monkeypatch.setattr("dgqa_infer.system.cores", lambda: 1)
    with OpenVinoBackend(graph) as backend:
        assert backend._request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == 1


def test_without_openvino_the_extra_is_named(graph: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError) as error:
        OpenVinoBackend(graph)
    assert str(error.value) == "OpenVINO is not installed: pip install 'dgqa-infer[openvino]'"
