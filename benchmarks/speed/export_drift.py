"""How far fp16 and int8 move the scores: one export of the model, verified on photographs that nothing was
fitted on.

    python -m benchmarks export_drift --photos ../shared/data/authentic/dev \
        --calibrate-on ../shared/data/authentic/unlabelled

Writes results/export_drift.json: every precision in every runtime, the int8 graph as TensorRT takes it, and
what was tried to find it. No label is read.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, write_result
from dgqa_export import photographs
from dgqa_export.exporter import compare, export, load_source
from dgqa_export.precisions.quantization import symmetric
from dgqa_export.verification import MIN_SRCC, backend_predictor
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how far fp16 and int8 move the scores.")
    parser.add_argument("--model", default="dgqa-lite0")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--calibrate-on", type=Path, required=True)
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
            candidates = {"int8 with zero points of 0, onnxruntime cpu": ("int8", backend_predictor(backend))}
            for_tensorrt = compare(source, candidates, paths, lambda _: None)
    result = {
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
    }
    print(file=sys.stderr)
    write_result("export_drift", {"machine": machine("onnx", "onnxruntime", "openvino", "torch"), **result})
    print(table(result))
    print(trials(result))
    return 0 if done.drift.passed and for_tensorrt.passed else 1


def table(result: dict[str, Any]) -> str:
    """The drift as Markdown."""
    head = "| graph and runtime | photographs | max | mean | SRCC | across batches | allowed |"
    lines = [head, "|---" * 7 + "|"]
    for row in result["drift"]:
        order = MIN_SRCC.get(row["precision"])
        allowed = f"mean {row['tolerance']}, SRCC {order}" if order else f"max {row['tolerance']}"
        figures = f"{row['max_abs']:.1e} | {row['mean_abs']:.1e} | {row['srcc']:.4f} | {row['batches']:.0e}"
        lines.append(f"| {row['candidate']} | {row['photographs']} | {figures} | {allowed} |")
    return "\n".join(lines)


def trials(result: dict[str, Any]) -> str:
    """What was tried for int8, as Markdown."""
    lines = ["| calibration | weights | nodes in fp32 | mean | max | SRCC | |", "|---" * 7 + "|"]
    for row in result["int8_trials"]:
        figures = f"{row['mean_abs']:.3f} | {row['max_abs']:.3f} | {row['srcc']:.4f}"
        lines.append(
            f"| {row['method']} | {row['rounding']} | {row['left_out']} | {figures} | "
            f"{'kept' if row['chosen'] else ''} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
