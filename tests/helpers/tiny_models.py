"""A bundle whose score can be computed by hand, photographs made at test time, and the program run here."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bad_decoder import write_bad_decoder
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from dgqa_infer.bundle.bundle import Bundle, Calibration, Card, Domains, write_bundle
from dgqa_infer.bundle.preprocessing import Preprocessing

CROP = 32
PREPROCESSING = Preprocessing(id="test-short64-grid5-32", short_side=64, crop=CROP, grid=5)
CLASSES = ("pristine", "dust_spots", "red_eyes")


def quality_graph(crop: int = CROP) -> onnx.ModelProto:
    """raw quality = mean of the crop's values / 25.5, so grey 255 is 10 and black is 0; the map is 2 × 2."""
    half = [crop // 2] * 2
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["planes"], ["pooled"], kernel_shape=half, strides=half),
        helper.make_node("ReduceMean", ["pooled", "channel"], ["grey"], keepdims=0),
        helper.make_node("Div", ["grey", "scale"], ["quality_map"]),
        helper.make_node("ReduceMean", ["quality_map", "space"], ["quality"], keepdims=0),
    ]
    constants = {
        "channel": np.array([1], np.int64),
        "space": np.array([1, 2], np.int64),
        "scale": np.array(25.5, np.float32),
    }
    return model(nodes, constants, {"quality": ["batch"], "quality_map": ["batch", 2, 2]}, crop)


def domain_graph(crop: int = CROP) -> onnx.ModelProto:
    """Logits of three classes: the mean of the red, green and blue plane, in tenths."""
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "space"], ["colour"], keepdims=0),
        helper.make_node("Div", ["colour", "scale"], ["domain_logits"]),
    ]
    constants = {"space": np.array([1, 2], np.int64), "scale": np.array(10, np.float32)}
    return model(nodes, constants, {"domain_logits": ["batch", 3]}, crop)


def model(
    nodes: list[onnx.NodeProto],
    constants: dict[str, NDArray[Any]],
    outputs: dict[str, list[str | int]],
    crop: int = CROP,
) -> onnx.ModelProto:
    """A model with our input and any inside."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["batch", crop, crop, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def tiny_card(**changes: object) -> Card:
    """The tiny bundle's card; `write_bundle` fills in its files."""
    fields: dict[str, object] = {
        "name": "tiny",
        "version": "1",
        "licence": "Apache-2.0",
        "precision": "fp32",
        "files": {},
        "preprocessing": PREPROCESSING,
        "raw_range": (0.0, 10.0),
        "calibration": Calibration((0.0, 10.0), (0.0, 100.0)),
        "tolerances": {"fp32": 1e-4, "fp16": 0.02, "int8": 0.08},
        "domains": Domains(CLASSES, 1.0),
    }
    return Card(**(fields | changes))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Models:
    """What tests build bundles from."""

    quality_graph: Callable[..., onnx.ModelProto] = quality_graph
    domain_graph: Callable[..., onnx.ModelProto] = domain_graph
    model: Callable[..., onnx.ModelProto] = model
    card: Callable[..., Card] = tiny_card

    def write(self, folder: Path, **changes: object) -> Bundle:
        graphs = {
            "model.onnx": quality_graph().SerializeToString(),
            "domains.onnx": domain_graph().SerializeToString(),
        }
        return write_bundle(folder, graphs, tiny_card(**changes))


@pytest.fixture(scope="session")
def models() -> Models:
    return Models()


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in a folder: score = mean grey of the crops / 2.55; its domain graph looks at colour."""
    return Models().write(tmp_path_factory.mktemp("models") / "tiny").path


@pytest.fixture(scope="session")
def tiny_model_id(tiny_bundle: Path) -> str:
    return Bundle.load(tiny_bundle).model_id


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture with detail in every place, smooth enough for lossy formats."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


MakePhoto = Callable[..., Path]


@pytest.fixture(scope="session")
def make_photo() -> MakePhoto:
    """Write a small photograph; its content depends on the seed, and grey gives an even one."""

    def make(
        path: Path, seed: int = 0, size: tuple[int, int] = (96, 80), grey: int | None = None, **save: Any
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if grey is None:
            image = Image.fromarray(noise(size[1], size[0], seed))
        else:
            image = Image.new("RGB", size, (grey, grey, grey))
        image.save(path, **save)
        return path

    return make


@pytest.fixture
def bad_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes have a decoder that hangs or crashes where a JPEG's comment says so."""
    monkeypatch.syspath_prepend(write_bad_decoder(tmp_path / "path"))


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    """A folder of nine photographs in three folders and three formats."""
    folder = tmp_path / "photos"
    for number in range(9):
        ending = ("jpg", "png", "webp")[number % 3]
        make_photo(folder / "abc"[number // 3] / f"{number}.{ending}", seed=number)
    return folder


@dataclass(frozen=True)
class Ran:
    """What came of a run of the program."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]


@pytest.fixture(scope="session")
def cli() -> Callable[..., Ran]:
    """Run the program in this process, with stdout a pipe."""
    from dgqa_infer.cli.app import main

    def run(*arguments: object) -> Ran:
        out, err = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr(sys, "argv", ["dgqa-infer", *map(os.fspath, map(str, arguments))])
            with pytest.raises(SystemExit) as end:
                main()
        streams = [stream.buffer.getvalue() for stream in (out, err)]  # type: ignore[attr-defined]
        return Ran(int(end.value.code or 0), streams[0], streams[1].decode())

    return run


@pytest.fixture
def program(tiny_bundle: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Start `score` with the tiny bundle as a process of its own."""

    def start(*arguments: object, before: str = "", **options: Any) -> subprocess.Popen[bytes]:
        code = f"{before}\nfrom dgqa_infer.cli.app import main; main()"
        fixed = ["score", "--model", tiny_bundle, "--device", "cpu", "--workers", "1"]
        command = [sys.executable, "-c", code, *fixed, *arguments]
        streams: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        return subprocess.Popen(list(map(str, command)), **(streams | options))

    return start
