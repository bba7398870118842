"""Which range of values each tensor holds on real photographs, by three methods."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator

from dgqa_export.graphs.contract import INPUT
from dgqa_export.precisions.quantization import Ranges
from dgqa_infer.errors import ModelError, UsageError
from dgqa_infer.images.arrays import Pixels

METHODS = ("minmax", "percentile", "entropy")
"""All values; 99.999 % of them; or those that lose the least information (Kullback–Leibler)."""

_METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}
_PORTION = 16  # crops whose activations are held at once


def calibrate(graph: bytes, crops: Pixels, method: str) -> Ranges:
    """Measure the range of every tensor around convolutions, additions and ReLUs.

    Args:
        graph: an ONNX model in float32 that keeps `dgqa_export.graphs.contract`.
        crops: uint8 [n, side, side, 3], of photographs as the model will meet.
        method: one of `METHODS`.

    Returns:
        Tensor → (lowest, highest).

    Raises:
        UsageError: there are no crops.
        ModelError: a tensor is not finite.
    """
    if not len(crops):
        raise UsageError("there are no photographs to calibrate on: none could be decoded")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        # The calibrator reads a file, writes another, and prints as it goes.
        source = Path(folder) / "model.onnx"
        source.write_bytes(graph)
        calibrator = create_calibrator(
            source,
            ["Conv", "Add", "Clip", "Relu"],
            augmented_model_path=str(Path(folder) / "augmented.onnx"),
            calibrate_method=_METHODS[method],
        )
        for start in range(0, len(crops), _PORTION):
            calibrator.collect_data(_Reader(crops[start : start + _PORTION]))
        data = calibrator.compute_data()
        ranges = {name: _range(value) for name, value in data.items()}
    if broken := [name for name, ends in ranges.items() if not np.all(np.isfinite(ends))]:
        raise ModelError(f"the graph's tensor {broken[0]!r} is not finite on the calibration photographs")
    return ranges


def _range(value: Any) -> tuple[float, float]:
    low, high = value.range_value
    return float(np.ravel(low)[0]), float(np.ravel(high)[0])


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the calibrator one crop at a time."""

    def __init__(self, crops: Pixels) -> None:
        self._feeds: Iterator[dict[str, Pixels]] = ({INPUT: crop[np.newaxis]} for crop in crops)

    def get_next(self) -> dict[str, Pixels] | None:
        return next(self._feeds, None)
