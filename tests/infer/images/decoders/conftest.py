"""nvImageCodec for the tests of decoding on a device: its codec for CPUs, and a stand-in that misbehaves."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageCms

# For the channels' other order tests write ::-1 in the place of ::1.
STAND_IN = """
import io, os, signal
import numpy as np
from PIL import Image

CPU_ONLY = GPU_ONLY = HW_GPU_ONLY = HYBRID_CPU_GPU = SRGB = P_RGB = 0
NVIMGCODEC_DEVICE_CPU_ONLY = -99999

def Backend(kind):
    return kind

def DecodeParams(**options):
    return options

def CodeStream(data):
    return data

class Decoder:
    def __init__(self, **options):
        assert options["max_num_cpu_threads"] == 1

    def decode(self, data, params):
        if b"SEGV" in data:
            os.kill(os.getpid(), signal.SIGSEGV)
        if b"RAISE" in data:
            raise RuntimeError("CUDA error 700")
        if b"NONE" in data:
            return None
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        if b"SIZE" in data:
            pixels = pixels[1:]
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)[::1])
"""


@pytest.fixture(scope="session")
def codec() -> None:
    try:
        there = importlib.util.find_spec("nvidia.nvimgcodec") is not None
    except ImportError:
        there = False
    if not there:
        pytest.skip("nvidia-nvimgcodec-cu13 is not installed: there are wheels for Linux alone")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path with the stand-in, for this process and for workers."""
    folder = tmp_path / "path"
    module = folder / "nvidia" / "nvimgcodec"
    module.mkdir(parents=True)
    (module.parent / "__init__.py").touch()
    (module / "__init__.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(folder)
    names = "nvidia", "nvidia.nvimgcodec"
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield module / "__init__.py"
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture(scope="session")
def nearly() -> Callable[[NDArray[np.uint8], NDArray[np.uint8]], None]:
    """Holds that two pictures are the same but for rounding.

    ONNX Runtime computes the filter's weights in single precision, Pillow in double: where a sum is within
    that of a half, it is rounded the other way. How many of photographs of cameras are is measured by
    `benchmarks/speed/gpu_decoding.py --device cpu`.
    """

    def check(found: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> None:
        assert found.shape == wanted.shape
        assert found.dtype == np.uint8
        off = np.abs(found.astype(int) - wanted)
        assert off.max() <= 1
        assert (off > 0).mean() < 0.001

    return check


@pytest.fixture(scope="session")
def wide_gamut() -> bytes:
    """sRGB's profile with another colorant for green, as Adobe RGB has one: 0.2, 0.63 and 0.07."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = data.index(b"gXYZ")
    where = int.from_bytes(data[at + 4 : at + 8], "big") + 8
    data[where : where + 12] = b"".join(
        round(value * 65536).to_bytes(4, "big") for value in (0.2, 0.63, 0.07)
    )
    return bytes(data)
