"""An engine's key: everything that it depends on changes it, and each obstacle is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from dgqa_infer.backends.tensorrt.engine_key import BatchProfile, EngineKey, EngineRecord, Environment
from dgqa_infer.errors import UsageError

HERE = Environment("tensorrt", "11.4.0.106", "NVIDIA H100 80GB HBM3", "9.0", "580.82.07")
KEY = EngineKey("ab" * 32, "fp16", "short512-grid5-224", HERE, BatchProfile(1, 8, 32))


@pytest.mark.parametrize(
    "change",
    [
        {"graph": "cd" * 32},
        {"precision": "int8"},
        {"preprocessing": "other"},
        {"environment": replace(HERE, flavour="tensorrt_rtx")},
        {"environment": replace(HERE, version="11.4.1")},
        {"environment": replace(HERE, gpu="NVIDIA L4")},
        {"environment": replace(HERE, compute_capability="8.9")},
        {"environment": replace(HERE, driver="580.83")},
        {"profile": BatchProfile(1, 8, 64)},
        {"options": ("stripped",)},
    ],
)
def test_every_part_changes_the_name_of_the_engines_files(change: dict[str, Any]) -> None:
    assert replace(KEY, **change).digest != KEY.digest


def test_the_same_key_has_the_same_name_in_every_process() -> None:
    program = f"from dgqa_infer.backends.tensorrt.engine_key import *; print({KEY!r}.digest)"
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": "7"}, capture_output=True, check=True)
    assert said.stdout.decode().strip() == KEY.digest


def test_an_engine_of_this_place_has_no_obstacle() -> None:
    assert KEY.obstacle(HERE) is None


@pytest.mark.parametrize(
    ("here", "said"),
    [
        (replace(HERE, flavour="tensorrt_rtx"), "built with tensorrt, this is tensorrt_rtx"),
        (replace(HERE, version="11.4.0.107"), "built with tensorrt 11.4.0.106, this is 11.4.0.107"),
        (replace(HERE, gpu="NVIDIA L4"), "built for NVIDIA H100 80GB HBM3, this is NVIDIA L4"),
        (replace(HERE, driver="590.1"), "built under driver 580.82.07, this is 590.1"),
    ],
)
def test_each_obstacle_is_named(here: Environment, said: str) -> None:
    assert said in (KEY.obstacle(here) or "")


@pytest.mark.parametrize(
    ("version", "runs"),
    [("11.4.0.106", True), ("11.5.0.1", True), ("12.0", True), ("11.3.9", False), ("10.16.1", False)],
)
def test_a_version_compatible_engine_runs_in_later_versions_alone(version: str, runs: bool) -> None:
    key = replace(KEY, options=("version-compatible",))
    assert (key.obstacle(replace(HERE, version=version)) is None) is runs


@pytest.mark.parametrize(("capability", "runs"), [("8.0", True), ("12.1", True), ("7.5", False)])
def test_a_hardware_compatible_engine_runs_on_ampere_and_later(capability: str, runs: bool) -> None:
    key = replace(KEY, options=("hardware-compatible",))
    there = replace(HERE, gpu="NVIDIA Other", compute_capability=capability)
    assert (key.obstacle(there) is None) is runs


def test_batch_sizes_are_read_as_they_are_written() -> None:
    assert BatchProfile.parse("1:8:32") == BatchProfile(1, 8, 32)
    assert str(BatchProfile(2, 4, 8)) == "2:4:8"


@pytest.mark.parametrize(
    "text", ["", "8", "1:8", "0:1:2", "1:9:8", "4:2:8", "1:8:32:64", "a:b:c", "-1:8:32", "1.5:8:9"]
)
def test_batch_sizes_that_are_none_are_usage_errors(text: str) -> None:
    with pytest.raises(UsageError, match="batch sizes"):
        BatchProfile.parse(text)


def test_a_sidecar_reads_as_it_was_written() -> None:
    record = EngineRecord(replace(KEY, options=("stripped",)), "dgqa-lite0", "ef" * 32, 1234, 5.5)
    assert EngineRecord.from_json(json.loads(json.dumps(record.as_json()))) == record


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data.pop("key"),
        lambda data: data["key"].pop("driver", data["key"].pop("environment")),
        lambda data: data["key"]["environment"].update(extra="x"),
        lambda data: data["key"].update(profile={"smallest": 9, "usual": 1, "largest": 1}),
        lambda data: data.update(format=2),
        lambda data: data.update(bytes="many"),
        lambda data: data.clear(),
    ],
)
def test_a_sidecar_of_another_form_is_refused(harm: Any) -> None:
    data = json.loads(json.dumps(EngineRecord(KEY, "m", "ef" * 32, 1, 1.0).as_json()))
    harm(data)
    with pytest.raises(ValueError, match=r"field|format|invalid literal"):
        EngineRecord.from_json(data)


@pytest.mark.parametrize("data", [None, [], "text", 7])
def test_what_is_no_object_is_no_sidecar(data: Any) -> None:
    with pytest.raises(ValueError, match="field"):
        EngineRecord.from_json(data)
