"""`dgqa-infer bench` as a user runs it, for as short a time as it can be told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dgqa_infer.backends import gpu
from dgqa_infer.bench.inference import places
from dgqa_infer.bundle.bundle import Bundle

GROUPS = {
    "latency, one photograph",
    "throughput by batch",
    "parts of one photograph",
    "whole, tiny on cpu (onnxruntime)",
    "start-up",
}


@pytest.fixture(scope="module")
def short(tiny_bundle: Path) -> list[str]:
    return [
        "--model",
        str(tiny_bundle),
        "--device",
        "cpu",
        "--rounds",
        "1",
        "--seconds",
        "0.01",
        "--workers",
        "1",
    ]


def test_everything_is_measured_and_can_be_compared(
    cli: Any, short: list[str], photos: Path, tmp_path: Path
) -> None:
    ran = cli("bench", photos, *short, "--batch-size", "1", "--batch-size", "3", "--json", "--fast-decode")
    assert ran.code == 0, ran.stderr
    document = json.loads(ran.stdout)
    conditions, figures = document["conditions"], document["figures"]
    assert conditions["photographs"]["count"] == 9
    assert conditions["fast_decode"] is True
    assert conditions["models"][0].startswith("tiny@")
    assert GROUPS <= {figure["group"] for figure in figures} <= {*GROUPS, "memory"}
    assert all(figure["value"] > 0 for figure in figures)
    batches = [figure["name"] for figure in figures if figure["group"] == "throughput by batch"]
    assert batches == ["1", "3"]

    values = {(figure["subject"], figure["name"]): figure["value"] for figure in figures}
    lower = min(values["decode only", "rate"], values["infer only", "rate"])
    share = values["end to end of the lower ceiling", "share"]
    assert share == pytest.approx(100 * values["end to end", "rate"] / lower, rel=1e-3)
    together = 1 / (1 / values["decode only", "rate"] + 1 / values["infer only", "rate"])
    assert values["ceiling of shared cores", "rate"] == pytest.approx(together, rel=1e-3)

    before = tmp_path / "before.json"
    before.write_bytes(ran.stdout)
    again = cli("bench", photos, *short, "--batch-size", "1", "--table", "--compare", before)
    assert again.code == 0, again.stderr
    assert "throughput by batch" in again.stdout.decode()
    assert "fast_decode: True → False" in again.stderr
    piped = cli("bench", photos, *short, "--batch-size", "1", "--compare", before)
    comparison = json.loads(piped.stdout)["comparison"]
    assert "fast_decode: True → False" in comparison["conditions_changed"]
    assert {figure["group"] for figure in comparison["figures"]} >= GROUPS


def test_other_programs_make_figures_worse_and_not_just_lower(
    cli: Any, short: list[str], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times become longer, rates lower."""
    monkeypatch.setattr("dgqa_infer.system.load", lambda: 3.0)
    ran = cli("bench", photos, *short, "--batch-size", "1")
    assert (
        "other programs were at work (load 3.0): this machine may be faster than the figures say"
        in ran.stderr
    )


def test_a_model_that_runs_partly_on_the_cpu_is_measured_under_that_name(
    tiny_bundle: Path, a_gpu: gpu.Gpu, gpu_runtime: dict[str, Any]
) -> None:
    bundle, missing = Bundle.load(tiny_bundle), dict[str, str]()
    with places([bundle], ["cuda"], missing) as (place,):
        assert place.name == "tiny fp32 on cuda:0 (onnxruntime)"
    gpu_runtime["on_cpu"] = True
    with places([bundle], ["cuda"], missing) as (place,):
        assert place.name.startswith("tiny fp32 on cuda:0 (onnxruntime, ")
        assert "on the CPU (" in place.name


def test_a_device_that_is_named_must_work(cli: Any, short: list[str], photos: Path) -> None:
    ran = cli("bench", photos, *short, "--device", "tensorrt:7")
    assert ran.code == 2
    assert "error: " in ran.stderr


def test_what_cannot_be_compared_with_is_told_before_anything_is_measured(
    cli: Any, short: list[str], photos: Path, tmp_path: Path
) -> None:
    ran = cli("bench", photos, *short, "--compare", tmp_path / "none.json")
    assert ran.code == 2
    assert "none.json cannot be read" in ran.stderr
