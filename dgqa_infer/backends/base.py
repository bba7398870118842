"""What a runtime must offer to score crops."""

from __future__ import annotations

from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray


def cpu_share(backend: Backend) -> str | None:
    """In words, what of a graph runs on the CPU although its device is a GPU; None for nothing."""
    if not (operators := backend.cpu_operators):
        return None
    nodes = "1 node runs" if len(operators) == 1 else f"{len(operators)} nodes run"
    return f"{nodes} on the CPU ({', '.join(sorted(set(operators)))})"


@runtime_checkable
class Backend(Protocol):
    """One loaded graph on one device of this process; a context manager.

    Attributes:
        name: the runtime that runs, such as "onnxruntime".
        device: where it runs, proven at load: "cpu", "cuda:0".
        cpu_operators: of the graph's nodes that run on the CPU although the device is a GPU, each node's ONNX
            operator; empty where there are none, as with every backend on a CPU.
    """

    name: str
    device: str
    cpu_operators: tuple[str, ...]

    def infer(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run the graph.

        Args:
            crops: uint8 [batch, height, width, 3], RGB, 0–255; any batch ≥ 1.

        Returns:
            The graph's outputs by name: `quality` float32 [batch] and `quality_map` float32 [batch, h, w]
            of a quality graph, `domain_logits` float32 [batch, 26] of a domain classifier.

        Raises:
            BackendError: the runtime failed, or the backend is closed.
        """
        ...

    def close(self) -> None:
        """Free the device; any thread may call it. Further calls of `infer` are an error.

        A call of `infer` that has begun in another thread is not disturbed: it ends with its result, or, in
        parts, with the same error.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, /, *_: object) -> None: ...
