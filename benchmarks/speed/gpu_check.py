"""Everything that needs an NVIDIA GPU, in one go: engines and CUDA against the CPU's scores, and their speed.

    python -m benchmarks gpu_check --photos FOLDER [--calibrate-on FOLDER] [--model dgqa-lite0]

For each precision and each device it loads the model (and builds its engine first, where the device runs
engines), compares the scores with the CPU's on the photographs, in several batch sizes and orders, and
measures latency and throughput. It also makes sure that damaged engines and too large batches are refused,
and compares photographs as a GPU decodes them with the CPU's (`gpu_decoding.py`).
What fails is written down with its reason and does not stop the rest. The report goes to
results/gpu_check.json; the exit code is 0 if every device that there is passed.

This program has not run on a GPU yet: it was written against the interfaces of TensorRT 11.4, TensorRT-RTX
1.7, ONNX Runtime 1.31 and cuda-python 13.4, and tried with --devices cpu openvino.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine, write_result
from benchmarks.speed import gpu_decoding
from dgqa_export import photographs
from dgqa_export.exporter import Exported, Source, compare, export, load_source
from dgqa_export.targets import tensorrt
from dgqa_export.targets.tensorrt import BuildOptions
from dgqa_export.verification import backend_predictor
from dgqa_infer.backends import gpu
from dgqa_infer.backends.base import Backend
from dgqa_infer.backends.choice import open_backend
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.backends.tensorrt.backend import TensorRtBackend, open_tensorrt
from dgqa_infer.backends.tensorrt.cuda import Cuda
from dgqa_infer.backends.tensorrt.engine_cache import EngineCache
from dgqa_infer.backends.tensorrt.engine_key import BatchProfile
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.errors import BackendError, DgqaError

PROFILE = BatchProfile(1, 8, 32)
BATCHES = (1, 2, 5, 8, 32)
WARM_UP, RUNS = 20, 200
ENGINES = ("tensorrt", "tensorrt_rtx")
DEVICES = (*ENGINES, "cuda", "cuda-graphs", "onnxruntime-tensorrt")


def main() -> int:
    chosen = _arguments()
    checks: list[dict[str, Any]] = []
    result: dict[str, Any] = {"gpus": _described(), "profile": str(PROFILE), "checks": checks}
    with tempfile.TemporaryDirectory() as folder:
        source, paths, done = _exported(chosen, Path(folder))
        result["model"] = source.card.name
        result["cpu"] = done.drift.rows()
        cache = EngineCache(Path(folder) / "engines")
        for bundle in done.bundles:
            for device in chosen.devices:
                check: dict[str, Any] = {"device": device, "precision": bundle.card.precision}
                checks.append(check)
                with _noted(check):
                    _check(check, device, bundle, source, paths, cache, chosen.runs)
                print(_line(check), flush=True)
        if done.bundles and set(chosen.devices) & set(ENGINES):
            result["faults"] = _faults(done.bundles[0], cache)
        if done.bundles and chosen.decode_on != "none":
            result["jpeg_decoding"] = decoding = {"decode_on": chosen.decode_on}
            with _noted(decoding):
                decoding |= gpu_decoding.measure(
                    done.bundles[0], chosen.photos, chosen.decode_on, chosen.workers
                )
            print(json.dumps(decoding, indent=1), flush=True)
    packages = (
        "onnxruntime",
        "onnxruntime-gpu",
        "openvino",
        "tensorrt",
        "tensorrt_rtx",
        "cuda-python",
        "torch",
        "nvidia-nvimgcodec-cu13",
        "nvidia-nvjpeg",
    )
    write_result(chosen.name, {"machine": machine(*packages), **result})
    ran = [check for check in checks if "drift" in check]
    others = (*result.get("faults", ()), result.get("jpeg_decoding", {}))
    broken = [check for check in (*checks, *others) if _is_broken(check)]
    passed = bool(ran) and not broken and all(check["drift"]["passed"] for check in ran)
    print("passed" if passed else "FAILED" if ran else "nothing ran: see the reasons above")
    return 0 if passed else 1


def _is_broken(check: dict[str, Any]) -> bool:
    """Whether it went wrong after it had begun; what is not here at all is no fault."""
    begun = "engine" in check or "load_seconds" in check
    return "bug" in check or ("failed" in check and begun)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Check and measure everything that needs an NVIDIA GPU.")
    parser.add_argument("--photos", type=Path, required=True, help="photographs to compare on")
    parser.add_argument("--calibrate-on", type=Path, help="others, for int8; else half of --photos")
    parser.add_argument("--model", default="dgqa-lite0")
    parser.add_argument("--devices", nargs="+", default=list(DEVICES))
    parser.add_argument("--precisions", nargs="+", default=["fp32", "fp16", "int8"])
    parser.add_argument("--runs", type=int, default=RUNS, help="measured runs of each batch size")
    parser.add_argument("--decode-on", default="cuda:0", help="where JPEGs are decoded, or none")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="that decode")
    parser.add_argument("--name", default="gpu_check", help="of the report in results/")
    return parser.parse_args()


def _described() -> list[dict[str, Any]] | str:
    try:
        return [
            {
                "name": found.name,
                "compute_capability": found.compute_capability,
                "memory": found.memory,
                "driver": found.driver,
            }
            for found in gpu.gpus()
        ]
    except BackendError as error:
        return str(error)


def _exported(chosen: argparse.Namespace, folder: Path) -> tuple[Source, photographs.Split, Exported]:
    source = load_source(chosen.model)
    others = photographs.files(chosen.calibrate_on) if chosen.calibrate_on else None
    paths = photographs.split(photographs.files(chosen.photos), others, int8="int8" in chosen.precisions)
    done = export(source, chosen.precisions, folder / "bundles", paths, allow_drift=True)
    return source, paths, done


@contextmanager
def _noted(check: dict[str, Any]) -> Iterator[None]:
    """What fails is a line of the report: with its reason if we raised it, as a bug if we did not."""
    try:
        yield
    except DgqaError as error:
        check["failed"] = str(error)
    except Exception as error:
        check["bug"] = "".join(traceback.format_exception(error))


def _check(
    check: dict[str, Any],
    device: str,
    bundle: Bundle,
    source: Source,
    paths: photographs.Split,
    cache: EngineCache,
    runs: int,
) -> None:
    if device in ENGINES:
        gpu.gpus()  # TensorRT-RTX would build without one, for nothing
        start = time.monotonic()
        record = tensorrt.build_for_bundle(bundle, BuildOptions(PROFILE), cache, flavour=device)
        check["engine"] = {"bytes": record.bytes, "seconds": round(time.monotonic() - start, 1)}
    start = time.monotonic()
    with _opener(device, bundle, cache)() as backend:
        check["load_seconds"] = round(time.monotonic() - start, 3)
        check["runs_on"] = f"{backend.name} {backend.device}"
        candidate = {check["runs_on"]: (bundle.card.precision, backend_predictor(backend))}
        report = compare(source, candidate, paths, lambda _: None, largest_batch=PROFILE.largest)
        (check["drift"],) = report.rows()
        check["speed"] = [_speed(backend, bundle.card.preprocessing.crop, size, runs) for size in BATCHES]
        if isinstance(backend, TensorRtBackend):
            check["cuda_graphs"] = backend.cuda_graphs


def _opener(device: str, bundle: Bundle, cache: EngineCache) -> Callable[[], Backend]:
    if device in ENGINES:
        return partial(open_tensorrt, bundle, QUALITY_GRAPH, flavour=device, cache=cache)
    if device == "cuda-graphs":
        return partial(OnnxRuntimeBackend, bundle.graph_bytes(QUALITY_GRAPH), "cuda", cuda_graphs=True)
    return partial(open_backend, bundle, QUALITY_GRAPH, device)


def _speed(backend: Backend, side: int, batch: int, runs: int) -> dict[str, float]:
    """Latency of one call, copies to and from the device included, in milliseconds; and crops a second."""
    crops = np.random.default_rng(batch).integers(0, 256, (batch, side, side, 3), np.uint8)
    for _ in range(WARM_UP):
        backend.infer(crops)
    took = []
    for _ in range(runs):
        start = time.perf_counter()
        backend.infer(crops)
        took.append(1000 * (time.perf_counter() - start))
    p50, p90, p99 = (round(float(value), 3) for value in np.percentile(took, [50, 90, 99]))
    throughput = round(1000 * batch * runs / sum(took), 1)
    return {"batch": batch, "p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "crops_per_second": throughput}


def _faults(bundle: Bundle, cache: EngineCache) -> list[dict[str, Any]]:
    """What must be refused on a real GPU as it is in the tests: each is a line with what was said."""
    found = []
    for name, provoke in (("damaged engine", _damaged), ("too little memory", _too_much_memory)):
        fault: dict[str, Any] = {"fault": name}
        found.append(fault)
        with _noted(fault):
            gpu.gpus()
            fault["refused"] = provoke(bundle, cache)
            if fault["refused"] is None:
                fault["bug"] = "it was not refused"
    return found


def _damaged(bundle: Bundle, cache: EngineCache) -> str | None:
    """Load the first engine that was built here, cut in half."""
    for record in cache.records():
        path = cache.folder / f"{record.key.digest}.engine"
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        try:
            open_tensorrt(bundle, QUALITY_GRAPH, flavour=record.key.environment.flavour, cache=cache).close()
        except BackendError as error:
            return str(error)
        finally:
            path.write_bytes(whole)
        return None
    raise BackendError("no engine was built")


def _too_much_memory(_bundle: Bundle, _cache: EngineCache) -> str | None:
    """Ask for more memory than the GPU has."""
    cuda = Cuda(0)
    try:
        cuda.device(gpu.gpu(0).memory * 2)
    except BackendError as error:
        return str(error)
    finally:
        cuda.close()
    return None


def _line(check: dict[str, Any]) -> str:
    head = f"{check['precision']:5} {check['device']:22}"
    if "drift" not in check:
        return f"{head} {check.get('failed') or check.get('bug', '').strip().splitlines()[-1]}"
    drift = check["drift"]
    words = "passed" if drift["passed"] else "FAILED"
    line = f"{head} {words}: max {drift['max_abs']:.5f} mean {drift['mean_abs']:.5f}"
    if check.get("speed"):
        one, most = check["speed"][0], check["speed"][-1]
        line += f"; batch 1 p50 {one['p50_ms']} ms p99 {one['p99_ms']} ms; {most['crops_per_second']} crops/s"
    return line + (f"; then: {check['failed']}" if "failed" in check else "")


if __name__ == "__main__":
    sys.exit(main())
