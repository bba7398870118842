"""Triton's repository: checked against Triton's own protobuf schema, and whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dgqa_export.targets.triton import write_repository
from dgqa_infer.backends.tensorrt.engine_key import BatchProfile
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.errors import OutputError

PROFILE = BatchProfile(1, 8, 32)


@pytest.fixture(scope="module")
def schema() -> Any:
    """model_config.proto, as NVIDIA's client package carries it."""
    pytest.importorskip("google.protobuf.text_format")
    return pytest.importorskip(
        "tritonclient.grpc.model_config_pb2",
        reason="tritonclient[grpc], which has Triton's schema, is not installed",
    )


def read(schema: Any, folder: Path) -> Any:
    from google.protobuf import text_format

    # Parse refuses unknown fields, unknown enum values and wrong types.
    return text_format.Parse((folder / "config.pbtxt").read_text(), schema.ModelConfig())


def test_the_graphs_model_is_what_triton_expects(schema: Any, small_bundle: Bundle, tmp_path: Path) -> None:
    (folder,) = write_repository(tmp_path, small_bundle, PROFILE)
    model = read(schema, folder)
    assert (model.name, model.platform, model.max_batch_size) == ("small-onnx", "onnxruntime_onnx", 32)
    assert folder.name == model.name
    (pixels,) = model.input
    assert (pixels.name, pixels.data_type, list(pixels.dims)) == ("crops", schema.TYPE_UINT8, [64, 64, 3])
    quality, quality_map = model.output
    assert (quality.name, quality.data_type, list(quality.dims)) == ("quality", schema.TYPE_FP32, [1])
    assert quality.HasField("reshape")
    assert list(quality.reshape.shape) == []
    assert (quality_map.name, list(quality_map.dims)) == ("quality_map", [4, 4])
    assert list(model.dynamic_batching.preferred_batch_size) == [8, 32]
    (group,) = model.instance_group
    assert group.kind == schema.ModelInstanceGroup.KIND_AUTO
    assert (folder / "1" / "model.onnx").read_bytes() == small_bundle.graph_bytes("model.onnx")


def test_a_client_finds_preprocessing_and_calibration_in_the_parameters(
    schema: Any, small_bundle: Bundle, tmp_path: Path
) -> None:
    (folder,) = write_repository(tmp_path, small_bundle, PROFILE)
    parameters = read(schema, folder).parameters
    card = small_bundle.card.as_json()
    assert json.loads(parameters["preprocessing"].string_value) == card["preprocessing"]
    assert json.loads(parameters["calibration"].string_value) == card["score"]["calibration"]
    assert parameters["precision"].string_value == "fp32"


def test_an_engine_is_a_model_of_its_own_on_the_gpu(
    schema: Any, small_bundle: Bundle, tmp_path: Path
) -> None:
    _, folder = write_repository(tmp_path, small_bundle, BatchProfile(1, 4, 4), b"plan")
    model = read(schema, folder)
    assert (model.name, model.platform, model.max_batch_size) == ("small-plan", "tensorrt_plan", 4)
    assert model.instance_group[0].kind == schema.ModelInstanceGroup.KIND_GPU
    assert list(model.dynamic_batching.preferred_batch_size) == [4]
    assert (folder / "1" / "model.plan").read_bytes() == b"plan"


def test_a_model_is_replaced_and_its_neighbours_are_left_alone(small_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    write_repository(tmp_path, small_bundle, PROFILE)
    (tmp_path / "small-onnx" / "1" / "old").write_text("")
    write_repository(tmp_path, small_bundle, PROFILE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "small-onnx"]
    assert [path.name for path in (tmp_path / "small-onnx" / "1").iterdir()] == ["model.onnx"]


def test_something_else_of_the_same_name_is_not_touched(small_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "small-onnx").mkdir()
    (tmp_path / "small-onnx" / "photo.jpg").write_text("mine")
    with pytest.raises(OutputError, match="no model of Triton's; it is left alone"):
        write_repository(tmp_path, small_bundle, PROFILE)
    assert (tmp_path / "small-onnx" / "photo.jpg").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["small-onnx"]


def test_a_full_disk_leaves_nothing_half_written(
    small_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_repository(tmp_path / "repository", small_bundle, PROFILE)
    assert list((tmp_path / "repository").iterdir()) == []


def test_a_file_in_the_repositorys_place_is_named(small_bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="taken cannot be written"):
        write_repository(tmp_path / "taken", small_bundle, PROFILE)
