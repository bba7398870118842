"""What a runtime must offer to score crops."""

from __future__ import annotations

from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Backend(Protocol):
    """One loaded graph on one device of this process; a context manager.

    Attributes:
        name: the runtime that runs, such as "onnxruntime".
        device: where it runs, proven at load: "cpu", "cuda:0".
    """

    name: str
    device: str

    def infer(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run the graph.

        Args:
            crops: uint8 [batch, height, width, 3], RGB, 0–255; any batch ≥ 1.

        Returns:
            The graph's outputs by name: `quality` float32 [batch] and `quality_map` float32 [batch, h, w]
            of a quality graph, `domain_logits` float32 [batch, 26] of a domain classifier.

        Raises:
            BackendError: the runtime failed.
        """
        ...

    def close(self) -> None:
        """Free the device; further calls of `infer` are an error."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, /, *_: object) -> None: ...
