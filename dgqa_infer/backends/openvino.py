"""OpenVINO on the CPU: another runtime for the same graphs, and the faster one for int8."""

from __future__ import annotations

import io
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dgqa_infer.backends.batches import crops_a_call, in_parts, runtime_threads
from dgqa_infer.errors import BackendError

_INSTALL = "pip install 'dgqa-infer[openvino]'"


class OpenVinoBackend:
    """A graph compiled by OpenVINO.

    Attributes:
        name: "openvino".
        device: "cpu".
        cpu_operators: none; see `Backend`.
    """

    name = "openvino"
    device = "cpu"
    cpu_operators: tuple[str, ...] = ()

    def __init__(self, graph: bytes, threads: int | None = None) -> None:
        """Compile a graph.

        Args:
            graph: a serialised ONNX model, as `Bundle.graph_bytes` returns it.
            threads: of the CPU for one batch; None for every core that this process may use.

        Raises:
            BackendError: OpenVINO is not installed or refuses the graph.
        """
        try:
            import openvino
        except ImportError as error:
            raise BackendError(f"OpenVINO is not installed: {_INSTALL}") from error
        # By itself it would take bfloat16 where the CPU has it, which moves scores far beyond any tolerance.
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1}
        if (threads := runtime_threads(threads)) is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._most = crops_a_call(threads)
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(io.BytesIO(graph)), "CPU", settings)
            self._request: Any = compiled.create_infer_request()
            self._outputs: list[str] = [output.any_name for output in compiled.outputs]
        except Exception as error:
            raise BackendError(f"OpenVINO cannot load the graph: {_first_line(error)}") from error

    def infer(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run the graph; see `Backend.infer`."""
        # Another thread may close this backend meanwhile: the batch then ends with what it began with.
        if (request := self._request) is None:
            raise BackendError("this backend is closed")
        if len(crops) > self._most:
            return in_parts(self.infer, crops, self._most)
        try:
            request.infer({"crops": crops})
            return {name: request.get_tensor(name).data.copy() for name in self._outputs}
        except Exception as error:
            raise BackendError(f"OpenVINO failed: {_first_line(error)}") from error

    def close(self) -> None:
        """Free the graph; see `Backend.close`."""
        self._request = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
