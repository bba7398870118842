"""The C++ example gives Python's scores: built here with CMake and run on JPEG photographs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgqa_infer import Scorer
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.bundle.preprocessing import FULL, STANDARD, Preprocessing
from dgqa_infer.images.crops import crops

TOOLS = ("cmake", "g++", "apt-get", "dpkg-deb")
TURBOJPEG = any(Path("/usr/include").rglob("turbojpeg.h"))
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)) or not TURBOJPEG,
    reason=f"{', '.join(TOOLS)} and libturbojpeg0-dev are needed to build the C++ example",
)


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=240)


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )


def commands(repository: Path) -> list[str]:
    """The lines of docs/device.md's first shell block; the second is test_tflite.py's."""
    page = (repository / "docs" / "device.md").read_text(encoding="utf-8")
    block, _ = re.findall(r"```sh\n(.*?)```", page, re.S)
    return [str(line) for line in block.splitlines()]


@pytest.fixture(scope="module")
def program(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built by the commands of docs/device.md, but for installing Debian's packages."""
    folder = tmp_path_factory.mktemp("cpp")
    (folder / "examples").symlink_to(repository / "examples")
    lines = commands(repository)[1:]
    got = shell(lines[0], folder)
    if got.returncode:
        pytest.skip(f"ONNX Runtime's C++ headers cannot be had here: {got.stderr[-300:]}")
    for line in lines[1:3]:
        built = shell(line, folder)
        assert built.returncode == 0, built.stdout + built.stderr
        assert "warning:" not in built.stderr
    return folder / "build" / "dgqa-score"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in model's graph, as `export` writes it: with its card's essentials in its metadata."""
    bundles = pytest.importorskip("dgqa_export.bundles", reason="dgqa-infer[export] is not installed")
    bundle = Bundle.load("dgqa-lite0")
    file = tmp_path_factory.mktemp("lone") / "model.onnx"
    file.write_bytes(bundles.describe(bundle.graph_bytes("model.onnx"), bundle.card))
    return file


@pytest.fixture(scope="module")
def photos(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """JPEGs: the examples, a large one, all eight orientations, a small one, grey, and a strip."""
    folder = tmp_path_factory.mktemp("photos")
    for path in sorted((repository / "examples" / "photos").glob("*.webp")):
        Image.open(path).convert("RGB").save(folder / f"{path.stem}.jpg", quality=92)
    picture = Image.open(repository / "examples" / "photos" / "coffee.webp").convert("RGB")
    picture.resize((2311, 1537)).save(folder / "large.jpg", quality=95, subsampling=0)
    larger = picture.resize((3461, 2309))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture.resize((801, 533)).save(folder / f"turned-{orientation}.jpg", exif=exif)
        larger.save(folder / f"larger-{orientation}.jpg", exif=exif)
    picture.resize((150, 101)).save(folder / "small.jpg")
    picture.convert("L").save(folder / "grey.jpg")
    picture.resize((1201, 5)).save(folder / "strip.jpg")
    return sorted(folder.iterdir())


def test_its_scores_are_pythons(program: Path, model: Path, photos: list[Path]) -> None:
    ran = run(program, model, *photos)
    assert ran.returncode == 0, ran.stderr
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [row["path"] for row in rows] == list(map(str, photos))
    with Scorer("dgqa-lite0", device="cpu", precision="fp32") as scorer:
        for path, row in zip(photos, rows, strict=True):
            right = scorer.score(path)
            assert row["raw"] == pytest.approx(right.raw, abs=0.001), path.name
            assert row["score"] == pytest.approx(right.score, abs=0.02), path.name
            assert row["spread"] == pytest.approx(right.spread, abs=0.001), path.name
            assert (row["width"], row["height"]) == (right.width, right.height)


@pytest.fixture(scope="module")
def cropper(repository: Path, program: Path) -> Path:
    """crops.cpp beside this file, built with the example's header."""
    built, runtime = program.with_name("crops"), program.parent.parent / "runtime"
    command = ["g++", "-std=c++17", "-O2", Path(__file__).with_name("crops.cpp"), "-o", built]
    command += ["-I", repository / "examples" / "cpp", "-isystem", runtime / "include" / "onnxruntime"]
    ran = run(*command, "-L", runtime / "lib", "-lonnxruntime", f"-Wl,-rpath,{runtime / 'lib'}")
    assert ran.returncode == 0, ran.stderr
    return built


@pytest.mark.parametrize("way", [STANDARD, FULL], ids=lambda way: way.id)
@pytest.mark.parametrize("size", [(513, 512), (701, 1000), (1999, 601), (1537, 2311), (300, 150), (1, 40)])
def test_its_crops_are_pythons_byte_for_byte(
    cropper: Path, way: Preprocessing, size: tuple[int, int], tmp_path: Path
) -> None:
    pytest.importorskip("cykooz_resizer", reason="fast_image_resize is not installed (cykooz.resizer)")
    height, width = size
    noise = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    (tmp_path / "rgb").write_bytes(noise.tobytes())
    numbers = (width, height, way.short_side, way.crop, way.grid, int(way.resizer is not None))
    command = [cropper, tmp_path / "rgb", *map(str, numbers)]
    found = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout
    right, _ = crops(noise, way)
    np.testing.assert_array_equal(np.frombuffer(found, np.uint8).reshape(right.shape), right)


def test_the_pages_commands_run(repository: Path, program: Path, photos: list[Path], tmp_path: Path) -> None:
    """What `program` has not run already; `examples/photos` are the reader's photographs."""
    install, _, configure, build, export, score, repeat = commands(repository)
    assert install.startswith("apt-get install ")
    assert configure.startswith("cmake -S ")
    assert build.startswith("cmake --build ")
    (tmp_path / "build").symlink_to(program.parent)
    (tmp_path / "photos").mkdir()
    for path in photos:
        if path.stem in ("coffee", "rocket"):
            shutil.copy(path, tmp_path / "photos")
    for line in (f"{export} --photos photos", score, repeat):
        ran = shell(line, tmp_path)
        assert ran.returncode == 0, ran.stderr


def test_it_says_how_long_a_frame_takes(program: Path, model: Path, photos: list[Path]) -> None:
    ran = run(program, "--repeat", 3, model, photos[0])
    told = json.loads(ran.stderr)
    assert told["rounds"] == 3
    assert 0 < told["model_ms"] <= told["p50_ms"] <= told["p99_ms"]


def test_what_cannot_be_scored_says_why_and_the_others_are_scored(
    program: Path, model: Path, photos: list[Path], tmp_path: Path
) -> None:
    torn, text = tmp_path / "torn.jpg", tmp_path / 'a "text".jpg'
    torn.write_bytes(photos[0].read_bytes()[:20_000])
    text.write_text("no picture")
    ran = run(program, model, torn, tmp_path / "absent.jpg", text, photos[0])
    assert ran.returncode == 1
    assert [json.loads(line)["path"] for line in ran.stdout.splitlines()] == [str(photos[0])]
    for path in (torn, tmp_path / "absent.jpg", text):
        assert f"{path}: " in ran.stderr
    assert run(program).returncode == 2
    assert run(program, text, photos[0]).returncode == 1


@pytest.mark.parametrize(
    "bytes_of_exif", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
def test_damaged_metadata_is_no_orientation(
    program: Path, model: Path, photos: list[Path], tmp_path: Path, bytes_of_exif: bytes
) -> None:
    file = photos[0].read_bytes()
    segment = b"\xff\xe1" + (len(bytes_of_exif) + 2).to_bytes(2, "big") + bytes_of_exif
    (tmp_path / "odd.jpg").write_bytes(file[:2] + segment + file[2:])
    ran = run(program, model, tmp_path / "odd.jpg", photos[0])
    assert ran.returncode == 0, ran.stderr
    odd, plain = (json.loads(line) for line in ran.stdout.splitlines())
    assert odd["raw"] == plain["raw"]


def test_the_preprocessing_fits_150_lines(repository: Path) -> None:
    text = (repository / "examples" / "cpp" / "dgqa.hpp").read_text()
    begin, end = text.index("// ---- Resizing"), text.index("// ---- The model")
    lines = [line.strip() for line in text[begin:end].splitlines()]
    assert len([line for line in lines if line and not line.startswith("//")]) <= 150
