"""`dgqa-infer doctor` and `dgqa-infer models` tell what is here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from dgqa_infer.backends import gpu
from dgqa_infer.backends.tensorrt.engine_cache import EngineCache
from dgqa_infer.backends.tensorrt.engine_key import BatchProfile, EngineKey, Environment
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import BackendError


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No GPU, and no engines of the developer's."""

    def none() -> Any:
        raise BackendError("there is no NVIDIA driver here (libcuda.so.1 is not found)")

    monkeypatch.setattr(gpu, "gpus", none)
    monkeypatch.setenv("DGQA_CACHE", str(tmp_path / "cache"))


def engine() -> EngineKey:
    here = Environment("tensorrt", "11.4.0.106", "NVIDIA H100", "9.0", "580.82.07")
    return EngineKey("ab" * 32, "fp16", "short512-grid5-224", here, BatchProfile(1, 8, 32), ("stripped",))


def said(ran: Any) -> Any:
    return json.loads(ran.stdout)


def test_doctor_tries_every_device_and_says_why_not(cli: Any, tiny_bundle: Path) -> None:
    ran = cli("doctor", "--model", tiny_bundle, "--json")
    assert ran.code == 0
    devices = {row["device"]: row for row in said(ran)["devices"]}
    assert list(devices) == ["tensorrt", "tensorrt_rtx", "cuda", "cpu", "openvino"]
    assert devices["cpu"] == {"device": "cpu", "works": True, "note": "auto takes it, in fp32"}
    assert "no NVIDIA driver" in devices["tensorrt"]["note"]
    assert not devices["cuda"]["works"]
    (decoders,) = said(ran)["jpeg_decoders"]
    assert "pip install 'dgqa-infer[gpu-decode]'" in decoders["none"]
    assert said(ran)["gpus"] == [{"none": "there is no NVIDIA driver here (libcuda.so.1 is not found)"}]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_doctor_says_in_which_precision_the_model_would_run(
    cli: Any, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setenv("DGQA_PRECISION", precision)
    devices = {row["device"]: row for row in said(cli("doctor", "--json"))["devices"]}
    assert devices["cpu"]["note"] == f"auto takes it, in {precision}"


def test_doctor_says_that_the_wish_for_a_precision_is_none(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGQA_PRECISION", "int9")
    ran = cli("doctor", "--json")
    assert ran.code == 2
    assert "DGQA_PRECISION is 'int9', not fp32 or int8" in ran.stderr
    assert said(ran)["packages"]
    assert "no runtime" not in ran.stderr


def test_doctor_names_versions_and_the_extras_of_what_is_missing(cli: Any, tiny_bundle: Path) -> None:
    packages = {
        row["package"]: row for row in said(cli("doctor", "--model", tiny_bundle, "--json"))["packages"]
    }
    assert packages["numpy"]["version"] == np.__version__
    assert "CPUExecutionProvider" in packages["onnxruntime"]["note"]
    missing = [row for row in packages.values() if row["version"] is None]
    assert all(row["note"] == "" or row["note"].startswith("pip install 'dgqa-infer[") for row in missing)


def test_doctor_says_what_of_the_model_a_gpu_leaves_to_the_cpu(
    cli: Any, tiny_bundle: Path, a_gpu: gpu.Gpu, gpu_runtime: dict[str, Any]
) -> None:
    gpu_runtime["on_cpu"] = True
    ran = cli("doctor", "--model", tiny_bundle, "--json")
    devices = {row["device"]: row for row in said(ran)["devices"]}
    graph = onnx.load_from_string(Bundle.load(tiny_bundle).graph_bytes("model.onnx")).graph
    operators = ", ".join(sorted({node.op_type for node in graph.node}))
    assert devices["cuda"] == {
        "device": "cuda",
        "works": True,
        "note": f"auto takes it, in fp32; {len(graph.node)} nodes run on the CPU ({operators})",
    }
    assert devices["cpu"]["note"] == ""


def test_doctor_shows_gpus_and_engines(cli: Any, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = gpu.Gpu(0, "NVIDIA H100 80GB HBM3", "9.0", 85 << 30, "580.82.07")
    monkeypatch.setattr(gpu, "gpus", lambda: (found,))
    EngineCache().store(engine(), "dgqa-lite0", b"x", 1)
    document = said(cli("doctor", "--model", tiny_bundle, "--json"))
    assert document["gpus"][0]["name"] == "NVIDIA H100 80GB HBM3"
    assert document["engines"][0]["built with"] == "tensorrt 11.4.0.106"


def test_doctor_without_any_runtime_ends_with_the_command_that_helps(
    cli: Any, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    ran = cli("doctor", "--model", tiny_bundle, "--json")
    assert ran.code == 2
    assert "no runtime here can run the model: pip install 'dgqa-infer[cpu]'" in ran.stderr
    assert not any(row["works"] for row in said(ran)["devices"])


def test_doctor_of_a_missing_model_still_shows_the_machine(cli: Any) -> None:
    ran = cli("doctor", "--model", "nowhere", "--json")
    assert ran.code == 2
    assert "no model 'nowhere'" in said(ran)["devices"][0]["none"]
    assert said(ran)["machine"]["python"]


def test_doctor_speaks_to_people_in_tables(cli: Any, tiny_bundle: Path) -> None:
    ran = cli("doctor", "--model", tiny_bundle, "--table")
    assert ran.code == 0
    assert "auto takes it" in ran.stdout.decode()


def test_models_lists_what_is_built_in_and_the_engines(cli: Any) -> None:
    EngineCache().store(engine(), "dgqa-lite0", b"engine", 1)
    document = said(cli("models", "--json"))
    (row,) = [row for row in document["bundles"] if row["model"].startswith("dgqa-lite0@")]
    bundle = Bundle.load("dgqa-lite0")
    assert row["model"] == bundle.model_id
    assert row["precision"] == bundle.card.precision
    (built,) = document["engines"]
    assert (built["model"], built["batch"], built["options"]) == ("dgqa-lite0", "1:8:32", "stripped")
    assert Path(built["file"]).read_bytes() == b"engine"
    assert "TensorRT engines" in cli("models", "--table").stdout.decode()


def test_models_prints_one_card(cli: Any, tiny_bundle: Path) -> None:
    assert said(cli("models", tiny_bundle)) == Bundle.load(tiny_bundle).card.as_json()


def test_models_prints_where_a_bundle_lies(cli: Any, tiny_bundle: Path) -> None:
    for named, expected in (
        ((), "dgqa-lite0"),
        (("dgqa-lite0",), "dgqa-lite0"),
        ((tiny_bundle,), tiny_bundle),
    ):
        ran = cli("models", *named, "--path")
        assert ran.code == 0
        (line,) = ran.stdout.decode().splitlines()
        assert Path(line) == Bundle.load(expected).path
        assert (Path(line) / "model.onnx").is_file()
    ran = cli("models", "nowhere", "--path")
    assert (ran.code, ran.stdout) == (2, b"")
    assert "nowhere" in ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="modes say nothing on Windows")
def test_models_warns_of_a_cache_that_is_open_to_others(cli: Any) -> None:
    cache = EngineCache()
    cache.store(engine(), "m", b"x", 1)
    cache.folder.chmod(0o777)
    ran = cli("models", "--json")
    assert ran.code == 0
    assert "is open to other users" in ran.stderr
    assert said(ran)["engines"] == []


def test_doctor_says_which_protections_hold_here(cli: Any, tiny_bundle: Path) -> None:
    rows = said(cli("doctor", "--model", tiny_bundle, "--json"))["protections"]
    held = {row["protection"]: row["holds"] for row in rows}
    assert list(held) == ["no_new_privileges", "no_changes", "no_network", "ends_first", "sealed_memory"]
    assert set(held.values()) <= {True, False}
    on_gpu = {row["protection"]: row["with_gpu_decode"] for row in rows}
    assert on_gpu == dict.fromkeys(held, False) | {"sealed_memory": held["sealed_memory"]}
    if sys.platform == "linux" and Path("/proc/self/oom_score_adj").exists():
        assert held["ends_first"]
        assert held["sealed_memory"]
