"""How far fp16 and int8 move the scores: one export of the model, verified on photographs that nothing was
fitted on.

    python benchmarks/export_drift.py --photos ../shared/data/authentic/dev \
        --calibrate-on ../shared/data/authentic/unlabelled

Writes results/export_drift.json: every precision in every runtime, the int8 graph as TensorRT takes it, and
what was tried to find it. No label is read.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

from dgqa_export import photographs
from dgqa_export.exporter import compare, export, load_source
from dgqa_export.quantization import symmetric
from dgqa_export.verification import backend_judge
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how far fp16 and int8 move the scores.")
    parser.add_argument("--model", default="dgqa-lite0")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--calibrate-on", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=RESULTS / "export_drift.json")
    chosen = parser.parse_args()

    start = time.monotonic()
    source = load_source(chosen.model)
    paths = photographs.split(
        photographs.files(chosen.photos), photographs.files(chosen.calibrate_on), int8=True
    )
    with tempfile.TemporaryDirectory() as folder:
        done = export(
            source,
            ["fp32", "fp16", "int8"],
            Path(folder),
            paths,
            allow_drift=True,
            report=lambda note: print(f"\r{note:60}", end="", file=sys.stderr),
        )
        int8 = done.bundles[-1].graph_bytes("model.onnx")
        files = {bundle.card.name: bundle.card.files["model.onnx"].bytes for bundle in done.bundles}
        with OnnxRuntimeBackend(symmetric(int8)) as backend:
            candidates = {"int8 with zero points of 0, onnxruntime cpu": ("int8", backend_judge(backend))}
            for_tensorrt = compare(source, candidates, paths, lambda _: None)
    report = {
        "model": source.card.name,
        "photographs": {
            "calibration": len(paths.calibration),
            "choice": len(paths.choosing),
            "verification": len(paths.verification),
        },
        "drift": done.drift.rows() + for_tensorrt.rows(),
        "int8_trials": [trial.row() for trial in done.trials],
        "bytes": files,
        "seconds": round(time.monotonic() - start),
        "machine": machine("onnx", "onnxruntime", "openvino", "torch"),
    }
    chosen.output.write_text(json.dumps(report, indent=2) + "\n")
    print(file=sys.stderr)
    for row in report["drift"]:
        print(
            f"{row['candidate']:45} max {row['max_abs']:.5f}  mean {row['mean_abs']:.5f}  SRCC {row['srcc']:.5f}"
        )
    return 0 if done.drift.passed and for_tensorrt.passed else 1


if __name__ == "__main__":
    sys.exit(main())
