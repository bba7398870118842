"""Measure how far a TensorFlow Lite file's scores are from those of the graph that it was made of.

    python examples/to_tflite.py model.onnx model.tflite
    python -m benchmarks tflite_parity model.onnx model.tflite FOLDER... [--each 40]

Both run on the library's crops of so many photographs of each folder, evenly over its names. The
differences of `raw` go to `results/tflite_parity.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer.bundle.preprocessing import STANDARD
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import decode


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("tflite", type=Path)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--each", type=int, default=40, help="photographs of each folder, at most")
    arguments = parser.parse_args()

    from ai_edge_litert.interpreter import Interpreter

    session = onnxruntime.InferenceSession(arguments.model)
    interpreter = Interpreter(model_path=str(arguments.tflite))
    interpreter.allocate_tensors()
    (taken,), (quality, *_) = interpreter.get_input_details(), interpreter.get_output_details()
    off = []
    for path in (path for folder in arguments.folders for path in chosen(folder, arguments.each)):
        image = decode(path, short_side=STANDARD.decoded_side)
        cut, _ = crops(image.pixels, STANDARD, image.box)
        interpreter.set_tensor(taken["index"], cut)
        interpreter.invoke()
        found = float(interpreter.get_tensor(quality["index"]).mean())
        off.append(found - float(session.run(["quality"], {"crops": cut})[0].mean()))
    result = {
        "photographs": len(off),
        "raw": {"mean": float(np.abs(off).mean()), "max": float(np.abs(off).max())},
        "bytes": arguments.tflite.stat().st_size,
        "machine": machine("onnxruntime", "litert-torch", "ai-edge-litert", "torch"),
    }
    write_result("tflite_parity", result)
    print(json.dumps(result, indent=1))


def chosen(folder: Path, most: int) -> list[Path]:
    """So many files of a folder, evenly over their names."""
    paths = sorted(folder.iterdir())
    return [paths[int(place)] for place in np.linspace(0, len(paths) - 1, min(most, len(paths)))]


if __name__ == "__main__":
    main()
