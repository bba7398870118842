"""The short programs in examples/ do what they say, as a user runs them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from PIL import Image

from dgqa_infer import Scorer
from dgqa_infer.bundle.bundle import Bundle

MODEL = "dgqa-lite0"


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def photos(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A large photograph, one whose camera lay on its side, and one smaller than a crop."""
    folder = tmp_path_factory.mktemp("photos")
    picture = Image.open(repository / "examples" / "photos" / "coffee.webp").convert("RGB")
    large = picture.resize((1500, 1000))
    large.save(folder / "large.jpg", quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6
    large.save(folder / "turned.jpg", quality=60, exif=exif)
    picture.resize((300, 150)).save(folder / "small.png")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def lone_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in model's graph, as `export` writes it: with its card's essentials in its metadata."""
    bundles = pytest.importorskip("dgqa_export.bundles", reason="dgqa-infer[export] is not installed")
    bundle = Bundle.load(MODEL)
    file = tmp_path_factory.mktemp("lone") / "model.onnx"
    file.write_bytes(bundles.describe(bundle.graph_bytes("model.onnx"), bundle.card))
    return file


def test_the_lone_graph_gives_the_scores_of_the_library(
    repository: Path, photos: list[Path], lone_graph: Path
) -> None:
    with Scorer(MODEL, device="cpu", precision="fp32") as scorer:
        for photo in photos:
            ran = run(repository / "examples" / "onnx_only.py", lone_graph, photo)
            assert ran.returncode == 0, ran.stderr
            row = json.loads(ran.stdout)
            right = scorer.score(photo)
            # The example shrinks with Pillow's own filter, whose pixels are within a level of the library's.
            assert row["raw"] == pytest.approx(right.raw, abs=0.02)
            assert row["score"] == pytest.approx(right.score, abs=0.5)


def test_onnx_only_is_short_and_needs_nothing_of_ours(repository: Path) -> None:
    text = (repository / "examples" / "onnx_only.py").read_text()
    program = text.split('"""', 2)[2]
    assert "import dgqa" not in program
    assert "from dgqa" not in program
    assert len([line for line in program.splitlines() if line.strip()]) <= 32


def test_a_camera_is_scored_in_time_and_late_frames_are_dropped(repository: Path, photos: list[Path]) -> None:
    program = repository / "examples" / "camera.py"
    arguments = (photos[0].parent, "--device", "cpu", "--frames", 6, "--fps", 1000)
    ran = run(program, *arguments, "--budget", 60_000)
    assert ran.returncode == 0, ran.stderr
    numbers = [json.loads(line)["frame"] for line in ran.stdout.splitlines()]
    assert len(numbers) == 6
    assert numbers == sorted(set(numbers))
    # A thousand arrive in a second; those that came while one was scored are gone, but for the newest.
    assert numbers[-1] > 6
    dropped = re.search(r"6 frames scored, (\d+) dropped", ran.stderr)
    assert dropped is not None
    assert int(dropped[1]) >= numbers[-1] - 6
    assert run(program, *arguments, "--budget", 0.001).returncode == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--fps", value) for value in ("0", "-1", "nan", "inf", "fast")),
        *(("--frames", value) for value in ("0", "-3", "1.5")),
        *(("--budget", value) for value in ("0", "nan")),
    ],
)
def test_a_camera_is_not_waited_for_at_a_rate_or_for_a_number_that_is_none(
    repository: Path, photos: list[Path], option: str, value: str
) -> None:
    ran = run(repository / "examples" / "camera.py", photos[0].parent, option, value, "--device", "cpu")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1].startswith(f"camera.py: error: argument {option}: ")


def test_a_camera_without_photographs_is_told_in_a_sentence(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("no photograph")
    for name, words in (
        ("empty", "empty holds no photographs"),
        ("none", "No such file or directory"),
        ("text", "a.txt"),
    ):
        ran = run(repository / "examples" / "camera.py", tmp_path / name, "--device", "cpu")
        assert ran.returncode == 2
        assert "Traceback" not in ran.stderr
        assert words in ran.stderr.splitlines()[-1]


def test_a_camera_that_fails_is_waited_for_no_longer(repository: Path, photos: list[Path]) -> None:
    """With somebody's own source of frames, which ends after the third."""
    code = (
        "import sys, runpy, itertools; cycle = itertools.cycle; "
        "itertools.cycle = lambda pictures: itertools.islice(cycle(pictures), 3); "
        "program = sys.argv.pop(1); sys.argv[0] = program; runpy.run_path(program, run_name='__main__')"
    )
    program = repository / "examples" / "camera.py"
    command = [sys.executable, "-c", code, program, photos[0].parent, "--device", "cpu", "--fps", "1000"]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1, ran.stderr
    assert re.search(r"[12] frames scored", ran.stderr)


@pytest.fixture
def server(lone_graph: Path, tmp_path: Path) -> Iterator[str]:
    """A server that speaks Triton's protocol and serves a repository that `export --triton` wrote."""
    grpc = pytest.importorskip("grpc", reason="tritonclient[grpc] is not installed")
    service = pytest.importorskip(
        "tritonclient.grpc.service_pb2_grpc", reason="tritonclient[grpc] is not installed"
    )
    from google.protobuf import text_format
    from tritonclient.grpc import service_pb2

    from dgqa_export.targets.triton import write_repository
    from dgqa_infer.backends.tensorrt.engine_key import BatchProfile

    (folder,) = write_repository(tmp_path, Bundle.load(MODEL), BatchProfile(1, 8, 32))
    session = onnxruntime.InferenceSession(folder / "1" / "model.onnx")

    class Server(service.GRPCInferenceServiceServicer):  # type: ignore[name-defined, misc]
        def ModelConfig(self, request: Any, context: Any) -> Any:
            answer = service_pb2.ModelConfigResponse()
            text_format.Parse((folder / "config.pbtxt").read_text(), answer.config)
            assert request.name == answer.config.name
            return answer

        def ModelInfer(self, request: Any, context: Any) -> Any:
            import numpy as np

            (pixels,) = request.inputs
            assert (pixels.name, pixels.datatype) == ("crops", "UINT8")
            stack = np.frombuffer(request.raw_input_contents[0], np.uint8).reshape(list(pixels.shape))
            (quality,) = session.run(["quality"], {"crops": stack})
            answer = service_pb2.ModelInferResponse(model_name=request.model_name)
            answer.outputs.add(name="quality", datatype="FP32", shape=quality.shape)
            answer.raw_output_contents.append(quality.tobytes())
            return answer

    running = grpc.server(ThreadPoolExecutor(2))
    service.add_GRPCInferenceServiceServicer_to_server(Server(), running)
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield f"127.0.0.1:{port}"
    running.stop(0).wait()


def test_the_client_gets_the_librarys_scores_from_a_server(
    repository: Path, photos: list[Path], server: str
) -> None:
    program = repository / "examples" / "triton_client.py"
    ran = run(program, "--model", f"{MODEL}-onnx", "--url", server, *photos)
    assert ran.returncode == 0, ran.stderr
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    with Scorer(MODEL, device="cpu", precision="fp32") as scorer:
        for row, photo in zip(rows, photos, strict=True):
            assert row["path"] == str(photo)
            assert row["raw"] == pytest.approx(scorer.score(photo).raw, abs=1e-4)
