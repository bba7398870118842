"""`dgqa-infer export`, run as a user runs it."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bad_decoder import commented, write_bad_decoder
from PIL import Image

from dgqa_infer.backends import gpu
from dgqa_infer.backends.tensorrt.engine_cache import EngineCache
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.cli.app import main
from dgqa_infer.errors import BackendError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.options import WorkerLimits
from dgqa_training.networks import checkpoints
from dgqa_training.networks.heads import Head, QualityNetwork, build_backbone

SMALL = Preprocessing(id="test-short128-grid5-64", short_side=128, crop=64, grid=5)
Ran = tuple[int, Any, str]
Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Exit code, what was written to stdout (JSON is read), what was told on stderr. There is no GPU."""

    def none() -> Any:
        raise BackendError("there is no NVIDIA driver here (libcuda.so.1 is not found)")

    monkeypatch.setattr(gpu, "gpus", none)
    monkeypatch.setenv("DGQA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr(sys, "argv", ["dgqa-infer", "export", *map(str, arguments)])
            with pytest.raises(SystemExit) as left:
                main()
        text = out.getvalue()
        return int(left.value.code or 0), json.loads(text) if text.startswith("{") else text, err.getvalue()

    return run


@pytest.fixture(scope="module")
def folder(many_crops: list[Pixels], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("photos")
    for number, crops in enumerate(many_crops):
        Image.fromarray(np.concatenate(list(crops[:2]), axis=1)).save(place / f"{number:03}.png")
    return place


def test_one_command_writes_three_verified_precisions_and_says_what(
    run: Run, small_bundle: Bundle, folder: Path, tmp_path: Path
) -> None:
    code, said, err = run(
        small_bundle.path, "--fp32", "--fp16", "--int8", "--photos", folder, "--out", "out", "--json"
    )
    assert code == 0, err
    assert {row["precision"] for row in said["drift"]} == {"fp32", "fp16", "int8"}
    assert all(row["passed"] for row in said["drift"])
    assert sum(trial["chosen"] for trial in said["calibration"]) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["small", "small-fp16", "small-int8"]
    for row in said["files"]:
        assert (tmp_path / row["file"]).stat().st_size == row["bytes"]
    for name in ("small", "small-fp16", "small-int8"):
        assert Bundle.load(tmp_path / "out" / name).card.name == name
    assert "no engine: there is no NVIDIA driver here" in err


def test_a_photograph_that_hangs_or_crashes_its_decoder_is_left_out(
    run: Run, small_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(write_bad_decoder(tmp_path / "path"))
    monkeypatch.setattr(WorkerLimits.__init__, "__defaults__", (2.0, 4_000_000_000, 600_000_000))
    commented(tmp_path / "photos", "", "HANG", "", "QUIT", "", side=90)
    code, said, err = run(
        small_bundle.path, "--no-engine", "--photos", "photos", "--workers", 2, "--out", "out", "--json"
    )
    assert code == 0, err
    assert {drift["photographs"] for drift in said["drift"]} == {3}
    told = [line for line in err.splitlines() if line.startswith("left out: ")]
    assert len(told) == 2
    assert "longer than 2" in told[0] or "2 s" in told[0]


def test_a_runtime_that_cannot_load_the_graph_is_told_with_its_reason(
    run: Run, small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")

    class Core(openvino.Core):  # type: ignore[misc, name-defined]
        def compile_model(self, *_: Any) -> Any:
            raise RuntimeError("Unsupported operator: Resize\nand more")

    monkeypatch.setattr(openvino, "Core", Core)
    code, said, err = run(small_bundle.path, "--fp16", "--no-engine", "--out", "out", "--json")
    assert code == 0, err
    assert [row["candidate"] for row in said["drift"]] == ["fp16, onnxruntime cpu"]
    reason = "OpenVINO cannot load the graph: Unsupported operator: Resize"
    assert said["not_compared"] == {"fp16, openvino cpu": reason}
    assert f"not compared: fp16, openvino cpu: {reason}\n" in err


def test_people_get_tables(run: Run, small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, text, _ = run(small_bundle.path, "--fp16", "--table", "--no-engine")
    assert code == 0
    assert "fp16, onnxruntime cpu" in text
    assert "passed" in text
    assert "Written" in text


def test_a_checkpoint_of_the_house_becomes_a_bundle(run: Run, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = QualityNetwork(build_backbone("efficientnet_lite0"), Head(("blocks5", "blocks7")))
    torch.nn.init.normal_(network.linear.weight, std=0.05)
    tensors = network.state_dict()
    checkpoint = checkpoints.Checkpoint(
        "quality", "efficientnet_lite0", network.head, SMALL, tensors, {"seed": 3}
    )
    checkpoints.save(tmp_path / "Regressor.safetensors", checkpoint)
    code, said, err = run("Regressor.safetensors", "--fp32", "--opset", 21, "--json", "--no-engine")
    assert code == 0, err
    assert {row["reference"] for row in said["drift"]} == {"torch"}
    bundle = Bundle.load(tmp_path / "exported" / "regressor")
    assert bundle.card.training["seed"] == 3
    assert bundle.card.licence == "NOASSERTION"


def test_drift_beyond_the_tolerance_writes_nothing_and_exits_1(
    run: Run, small_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgqa_export.bundles.tolerance", lambda card, precision: 0.0)
    code, said, err = run(small_bundle.path, "--fp16", "--json")
    assert code == 1
    assert not any(row["passed"] for row in said["drift"])
    assert said["files"] == []
    assert "nothing was written (--allow-drift writes it all the same)" in err
    assert list((tmp_path / "exported").iterdir()) == []
    code, said, _ = run(small_bundle.path, "--fp16", "--json", "--allow-drift", "--no-engine")
    assert code == 0
    assert len(said["files"]) == 2


def test_an_engine_is_built_without_a_gpu_where_it_is_asked_for_and_not_passed_off_as_verified(
    run: Run, small_bundle: Bundle, tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is a package for Linux and Windows on x86-64")
    code, said, err = run(
        small_bundle.path, "--fp16", "--engine", "--batch", "1:2:4", "--triton", "served", "--json"
    )
    assert code == 0, err
    assert "the engine was built, but not verified" in err
    (engine,) = said["engines"]
    (record,) = EngineCache().records()
    assert (engine["engine"], engine["sha256"], engine["profile"]) == ("small-fp16", record.sha256, "1:2:4")
    # Triton runs the full TensorRT: an engine of TensorRT-RTX is not for it.
    assert said["triton"] == ["served/small-fp16-onnx"]
    assert not any("tensorrt" in row["candidate"] for row in said["drift"])


def test_an_engine_that_cannot_be_built_is_an_error_before_anything_is_written_or_verified(
    run: Run, small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(flavour: str | None = None) -> Any:
        raise BackendError("not installed")

    def begun(*_: Any, **__: Any) -> Any:
        raise AssertionError("this takes minutes, and comes later")

    monkeypatch.setattr("dgqa_export.exporter.export", begun)
    monkeypatch.setattr("dgqa_infer.backends.tensorrt.api.load", missing)
    code, _, err = run(small_bundle.path, "--fp32", "--engine")
    assert code == 2
    assert "error: there is no NVIDIA driver here" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--int8"], "int8 is calibrated and verified on photographs of your kind: --photos DIR"),
        (["--fp16", "--photos", "none"], "none is not a folder"),
        (["--fp16", "--calibrate-on", "."], "--calibrate-on goes with --int8"),
        (["--fp16", "--batch", "8"], "batch sizes are MIN:OPT:MAX"),
        (["--fp16", "--batch", "8:4:2"], "must rise"),
        (["--fp16", "--workspace", "much"], "invalid --workspace 'much': expected e.g. "),
        (["--fp16", "--out", "taken"], "taken is a file: name a folder"),
        (["--fp16", "--triton", "taken"], "taken is a file: name a folder"),
        (["--fp32", "--opset", "20"], "a bundle's graph keeps its opset"),
        (["--fp16", "--packed"], "--packed is for the fp32 graph"),
        (["--name", "../mine"], "a model cannot be called '../mine': give it a --name of lower-case letters"),
    ],
)
def test_a_request_that_makes_no_sense_is_one_line_and_exit_code_2(
    run: Run, small_bundle: Bundle, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "taken").write_text("")
    code, out, err = run(small_bundle.path, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ("out/small-fp16/notes.txt", "out/small-fp16 holds something that is no bundle; it is left alone"),
        ("out/small-fp16", "out/small-fp16 is no folder; it is left alone"),
        ("served/small-fp16-onnx/notes.txt", "small-fp16-onnx holds something that is no model of Triton's"),
    ],
)
def test_what_is_in_the_way_of_a_model_is_told_before_anything_is_verified_or_written(
    run: Run,
    small_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    taken: str,
    said: str,
) -> None:
    def begun(*_: Any, **__: Any) -> Any:
        raise AssertionError("this takes minutes, and comes later")

    monkeypatch.setattr("dgqa_export.exporter._verify", begun)
    (tmp_path / taken).parent.mkdir(parents=True)
    (tmp_path / taken).write_text("mine")
    code, _, err = run(
        small_bundle.path, "--fp32", "--fp16", "--out", "out", "--triton", "served", "--no-engine"
    )
    assert code == 2, err
    assert said in err
    assert (tmp_path / taken).read_text() == "mine"
    assert not (tmp_path / "out" / "small").exists()


def test_a_file_beside_a_bundle_is_told_before_anything_is_verified(
    run: Run, small_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(small_bundle.path, tmp_path / "out" / "small")
    (tmp_path / "out" / "small" / "notes.txt").write_text("mine")
    monkeypatch.setattr("dgqa_export.exporter._verify", None)
    code, _, err = run(small_bundle.path, "--out", "out", "--no-engine")
    assert code == 2, err
    assert "holds more than a bundle, notes.txt; it is left alone" in err


def test_photographs_none_of_which_can_be_decoded_are_told_with_the_reason(
    run: Run, small_bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    code, _, err = run(small_bundle.path, "--photos", "photos", "--no-engine", "--workers", 1)
    assert code == 2
    assert "left out: photos/a.jpg: the file has no bytes" in err
    assert "error: there are no photographs to compare on" in err
    # What lists models would not help.
    assert "hint" not in err


@pytest.mark.parametrize("source", ["nowhere", "nowhere.safetensors"])
def test_a_source_that_is_missing_is_named_and_no_folder_is_made(
    run: Run, tmp_path: Path, source: str
) -> None:
    code, _, err = run(source, "--fp16", "--out", "out", "--triton", "served")
    assert code == 2
    assert source in err
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "served").exists()


def test_a_missing_extra_is_one_sentence(
    run: Run, small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("dgqa_export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, _, err = run(small_bundle.path, "--fp16")
    assert code == 2
    assert "pip install 'dgqa-infer[export]'" in err


@pytest.mark.parametrize("option", ["--out", "--triton"])
def test_a_file_is_no_place_for_models(run: Run, tmp_path: Path, option: str) -> None:
    (tmp_path / "taken").write_text("mine")
    code, _, said = run("dgqa-lite0", option, "taken")
    assert (code, "taken is a file: name a folder" in said) == (2, True), said
    assert (tmp_path / "taken").read_text() == "mine"
