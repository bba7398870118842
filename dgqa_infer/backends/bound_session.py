"""An ONNX Runtime session whose inputs and outputs stay where they are, in a few fixed batch sizes.

A GPU copies each batch into the same memory and runs the same kernels; a new batch size would make it
search for new ones, so batches are filled up to a power of two. With fixed memory and sizes, CUDA graphs
can be recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 64
"""Larger batches are cut: by then a GPU is busy, and more only takes memory."""


@dataclass(slots=True)
class _Slot:
    """One batch size: its binding, and the values that are bound."""

    binding: Any
    pixels: Any
    outputs: dict[str, Any]
    options: Any


class BoundSession:
    """Runs a session through bound memory on one device."""

    def __init__(
        self, runtime: Any, session: Any, kind: str, index: int, *, cuda_graphs: bool = False
    ) -> None:
        """Bind a session.

        Args:
            runtime: the module onnxruntime.
            session: with one input of uint8 [batch, side, side, 3].
            kind: "cuda", or "cpu", whose memory is bound just the same.
            index: of the device.
            cuda_graphs: whether the session's provider records them.
        """
        self._runtime = runtime
        self._session = session
        self._place = (kind, index)
        self._cuda_graphs = cuda_graphs
        self._slots: dict[int, _Slot] = {}

    def run(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Run any batch.

        Args:
            crops: uint8 [batch, side, side, 3].

        Returns:
            The outputs by name, float32 [batch, …].
        """
        parts = [self._run(crops[start : start + LARGEST]) for start in range(0, len(crops), LARGEST)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        size = 1 << (len(crops) - 1).bit_length()
        slot = self._slots.get(size) or self._slots.setdefault(size, self._bind(size))
        filled = np.zeros((size, *crops.shape[1:]), np.uint8)
        filled[: len(crops)] = crops
        slot.pixels.update_inplace(filled)
        try:
            self._session.run_with_iobinding(slot.binding, slot.options)
        except Exception:
            # Where memory is short, what was bound for a size that does not fit is needed for smaller ones.
            del self._slots[size]
            raise
        # A copy: the next batch of this size is written into the same memory.
        return {name: value.numpy()[: len(crops)].copy() for name, value in slot.outputs.items()}

    def _bind(self, size: int) -> _Slot:
        binding = self._session.io_binding()
        (source,) = self._session.get_inputs()
        pixels = self._empty((size, *source.shape[1:]), np.uint8)
        binding.bind_ortvalue_input(source.name, pixels)
        outputs = {}
        for output in self._session.get_outputs():
            outputs[output.name] = self._empty((size, *output.shape[1:]), np.float32)
            binding.bind_ortvalue_output(output.name, outputs[output.name])
        options = self._runtime.RunOptions()
        if self._cuda_graphs:
            options.add_run_config_entry("gpu_graph_id", str(size))
        return _Slot(binding, pixels, outputs, options)

    def _empty(self, shape: tuple[int, ...], kind: type[np.generic]) -> Any:
        return self._runtime.OrtValue.ortvalue_from_shape_and_type(list(shape), kind, *self._place)
