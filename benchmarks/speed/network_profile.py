"""Where the network's own time goes: OpenVINO's counters, by kind of operation.

    python -m benchmarks network_profile PHOTOS [--model dgqa-lite0 --model exported/dgqa-lite0-int8]

Each bundle judges some of the photographs, one at a time, on all cores, with the precision that scoring has.
Milliseconds of a photograph by operation and kernel, and how near multiplications come to what the
processor can do, go to `results/network_profile.json`.
"""

from __future__ import annotations

import io
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_infer import Bundle
from dgqa_infer.bundle.bundle import QUALITY_GRAPH
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import decode

PHOTOGRAPHS, WARM_UP = 40, 5


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", action="append")
    arguments = parser.parse_args()

    files = sorted(arguments.photos.iterdir())[: PHOTOGRAPHS + WARM_UP]
    models = [profile(Bundle.load(model), files) for model in arguments.model or ["dgqa-lite0"]]
    peak = peak_gflops()
    for model in models:
        print(model["model"], model["milliseconds"], model["by_kernel"])
    result = {
        "machine": machine("openvino"),
        "photographs": PHOTOGRAPHS,
        "float32_matrix_product_gflops": peak,
        "models": models,
    }
    write_result("network_profile", result)


def profile(bundle: Bundle, files: list[Path]) -> dict[str, Any]:
    """Mean milliseconds of a photograph, and of it each kind of operation, the longest first."""
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "PERF_COUNT": True}
    core = openvino.Core()
    graph = core.read_model(io.BytesIO(bundle.graph_bytes(QUALITY_GRAPH)))
    request = core.compile_model(graph, "CPU", settings).create_infer_request()
    spent: Counter[str] = Counter()
    for number, file in enumerate(files):
        stack: Pixels = crops(decode(file).pixels, bundle.card.preprocessing)[0]
        request.infer({"crops": stack})
        if number >= WARM_UP:
            for part in request.get_profiling_info():
                spent[f"{part.node_type} {part.exec_type}"] += part.real_time.total_seconds()
    by_kernel = {name: round(1000 * seconds / PHOTOGRAPHS, 3) for name, seconds in spent.most_common(8)}
    return {
        "model": bundle.model_id,
        "precision": bundle.card.precision,
        "milliseconds": round(1000 * spent.total() / PHOTOGRAPHS, 2),
        "by_kernel": by_kernel,
    }


def peak_gflops(side: int = 1536, rounds: int = 8) -> float:
    """What the machine reaches in a large product of matrices, in 10⁹ operations a second: the best round."""
    left = np.random.default_rng(0).random((side, side), dtype=np.float32)
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        left @ left
        seconds.append(time.perf_counter() - began)
    return round(2 * side**3 / min(seconds) / 1e9, 1)


if __name__ == "__main__":
    main()
