"""JPEGs are decoded and shrunk on an NVIDIA GPU, and only the small picture comes back.

nvImageCodec decodes, with nvJPEG; ONNX Runtime shrinks what lies on the device, with the filter that
`preprocessing.shrink` has of Pillow. Both decode and shrink to nearly the CPU's pixels and not quite, so this
is another preprocessing, with an id of its own. Whatever is not plain is left to the CPU: nothing here says
what is wrong with a file.

Experimental, see docs/speed.md. Tests run it on nvImageCodec's own codec for CPUs; on a GPU each process
first compares one picture with the CPU's, and ends with a `BackendError` if it is another.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from dgqa_infer.backends import gpu
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import BackendError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import shrink
from dgqa_infer.images.decoders.orientation import SIDEWAYS, upright
from dgqa_infer.images.decoders.pillow import open_as

GRAPHS: Final = {
    False: Path(__file__).with_name("shrink.onnx"),
    True: Path(__file__).with_name("shrink_lying.onnx"),
}
"""What shrinks a picture that stands, and one on its side; `dgqa_export.graphs.shrink_graph` writes both."""

_MODULE = "nvidia.nvimgcodec"
_INSTALL = "pip install 'dgqa-infer[gpu-decode]'"
_WITH_GPU = re.compile(r"(?:auto|cuda|tensorrt|tensorrt_rtx|onnxruntime-tensorrt)(?::(\d+))?")
# Chroma is enlarged smoothly, as libjpeg-turbo does it; nvJPEG alone would repeat samples.
_OPTIONS = ":fancy_upsampling=1"

# Markers that stand in JPEG data by themselves: not a zero that keeps a byte from being one, no restart.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
# ITU-T T.81, table B.1: frames and tables, scans, quantisation and the like, applications' data, comments.
_WITH_LENGTH = {*range(0xC0, 0xD0), *range(0xDA, 0xE0), *range(0xE0, 0xF0), 0xFE}

# What is left of an orientation when rows and columns have changed places.
_STANDING = {5: 1, 6: 2, 7: 3, 8: 4}

# What the first picture may be off by, in levels. A decoder of another make is off by one or two; planes that
# are exchanged, a picture that is not finished or colours that are not converted are off by far more.
_MEAN_OFF, _MOST_OFF = 1.0, 16


def device_beside(device: str) -> str:
    """Where JPEGs can be decoded for a model.

    Args:
        device: the model's, as `dgqa_infer.Scorer` takes it.

    Returns:
        The GPU, "cuda:N"; 0 for "auto".

    Raises:
        BackendError: the model is not to run on a GPU, there is none, or what decodes is not installed.
    """
    if (match := _WITH_GPU.fullmatch(device)) is None:
        raise BackendError(
            f"a GPU decodes JPEGs for a model that runs there, not on {device}: --device cuda, and {_INSTALL}"
        )
    if not _is_installed():
        raise BackendError(f"a GPU decodes JPEGs with nvImageCodec, which is not installed: {_INSTALL}")
    index = int(match.group(1) or 0)
    try:
        gpu.gpu(index)
    except BackendError as error:
        raise BackendError(f"no GPU can decode JPEGs: {error}; where there is one, {_INSTALL}") from error
    return f"cuda:{index}"


class DeviceDecoder:
    """Decodes and shrinks plain JPEGs on one device; for one thread at a time.

    Attributes:
        active: whether it decodes; if not, all is left to the CPU.
    """

    def __init__(self, device: str, preprocessing: Preprocessing) -> None:
        """Start the decoder, and make sure that it gives the CPU's pixels, or nearly so.

        Args:
            device: "cuda:N"; or "cpu", nvImageCodec's codec without a GPU, for tests.
            preprocessing: short side and filter.

        Raises:
            BackendError: a library is missing or the device does not work; or its pixels are not those.
        """
        if preprocessing.filter != "bicubic":
            raise BackendError(f"a GPU shrinks with the filter bicubic, not with {preprocessing.filter}")
        # Imported here: ONNX Runtime takes its time, and most workers need none.
        from dgqa_infer.backends.onnx_runtime import open_session

        kind, _, number = device.partition(":")
        self.active = True
        self._place = (kind, int(number or 0))
        self._preprocessing = preprocessing
        with _silence():
            self._codec = _import()
            self._decoder = _open(self._codec, *self._place)
        self._params = self._codec.DecodeParams(
            apply_exif_orientation=False,
            color_spec=self._codec.SRGB,
            sample_format=self._codec.P_RGB,
        )
        self._sessions = {
            lying: open_session(path.read_bytes(), device, 1, every_node=True)
            for lying, path in GRAPHS.items()
        }
        self._wait = gpu.synchronizer(self._place[1]) if kind == "cuda" else lambda: None
        for orientation in (1, 6):
            self._prove(device, orientation)

    def decode(self, data: bytes, image: Image.Image, orientation: int) -> Pixels | None:
        """Decode and shrink one JPEG.

        Args:
            data: the file.
            image: the same, opened by Pillow and not loaded.
            orientation: 1–8, as EXIF numbers them.

        Returns:
            uint8 [height, width, 3], upright, its short side as the preprocessing says, in the file's own
            colours; None where the CPU has to decode: it is not larger than that, is neither grey nor YCbCr,
            is not whole, or the device has failed.
        """
        large = min(image.size) > self._preprocessing.short_side
        if not (self.active and large and _is_ycbcr(image) and _is_whole(data)):
            return None
        try:
            return self._shrunk(data, *image.size, orientation)
        except Exception:
            # Whatever a codec, a runtime or a driver raises; the CPU finds out whether the file is to blame.
            return None

    def _shrunk(self, data: bytes, width: int, height: int, orientation: int) -> Pixels | None:
        picture = self._decoder.decode(self._codec.CodeStream(data), params=self._params)
        if picture is None or tuple(picture.shape) != (3, height, width):
            return None
        cuda = self._place[0] == "cuda"
        memory = picture.__cuda_array_interface__ if cuda else picture.__array_interface__
        if memory["typestr"] != "|u1" or memory["strides"] not in (None, (height * width, width, 1)):
            return None
        # It is decoded in a stream of its own, which ONNX Runtime knows nothing of.
        self._wait()
        scale = self._preprocessing.short_side / min(width, height)
        size = [round(height * scale), round(width * scale)]
        if lying := orientation in SIDEWAYS:
            size.reverse()
        session = self._sessions[lying]
        binding = session.io_binding()
        binding.bind_input("picture", *self._place, np.uint8, (1, 3, height, width), memory["data"][0])
        binding.bind_cpu_input("size", np.array([1, 3, *size], np.int64))
        binding.bind_output("shrunk")
        session.run_with_iobinding(binding)
        return upright(binding.copy_outputs_to_cpu()[0][0], _STANDING.get(orientation, orientation))

    def _prove(self, device: str, orientation: int) -> None:
        """Decode one picture and compare it with the CPU's."""
        data = _picture(self._preprocessing.short_side)
        image = open_as(data, "JPEG")
        try:
            found = self._shrunk(data, *image.size, orientation)
        except Exception as error:
            raise BackendError(f"JPEGs cannot be decoded on {device}: {error}") from error
        if found is None:
            raise BackendError(
                f"JPEGs cannot be decoded on {device}: nvImageCodec gives no picture; is nvJPEG installed "
                f"({_INSTALL})?"
            )
        wanted = shrink(upright(np.asarray(image), orientation), self._preprocessing)
        off = np.abs(found.astype(np.int16) - wanted) if found.shape == wanted.shape else np.array([255])
        if off.mean() > _MEAN_OFF or off.max() > _MOST_OFF:
            raise BackendError(
                f"what is decoded on {device} is another picture than the CPU's: {off.mean():.1f} levels off "
                f"in the mean, {off.max()} at most; leave out --gpu-decode, and please report it"
            )


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec(_MODULE) is not None
    except ImportError:
        return False


def _import() -> Any:
    # It logs much unasked, so its level is set before it is imported.
    os.environ.setdefault("PYNVIMGCODEC_VERBOSITY", "0")
    try:
        return importlib.import_module(_MODULE)
    except (ImportError, OSError) as error:
        raise BackendError(f"nvImageCodec cannot be imported ({error}): {_INSTALL}") from error


def _open(codec: Any, kind: str, index: int) -> Any:
    """A decoder that uses this device and no other: never the CPU where a GPU is meant."""
    kinds = ("HW_GPU_ONLY", "GPU_ONLY", "HYBRID_CPU_GPU") if kind == "cuda" else ("CPU_ONLY",)
    try:
        return codec.Decoder(
            device_id=index if kind == "cuda" else codec.NVIMGCODEC_DEVICE_CPU_ONLY,
            max_num_cpu_threads=1,
            backends=[codec.Backend(getattr(codec, each)) for each in kinds],
            options=_OPTIONS,
        )
    except Exception as error:
        raise BackendError(f"nvImageCodec does not start on {kind}:{index}: {error}") from error


@contextmanager
def _silence() -> Iterator[None]:
    """What is loaded meanwhile does not write to the terminal: it names unneeded libraries."""
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def _is_ycbcr(image: Image.Image) -> bool:
    """Whether all decoders agree on what the planes are: grey, or YCbCr by the rules of libjpeg."""
    if image.mode == "L":
        return True
    if image.mode != "RGB":
        return False
    if "jfif" in image.info:
        return True
    if "adobe" in image.info:
        return image.info.get("adobe_transform") == 1
    return [layer[0] for layer in getattr(image, "layer", ())] == [1, 2, 3]


def _is_whole(data: bytes) -> bool:
    """Whether segments follow one another, then scans, and the end of the image follows those.

    A decoder may fill up what is missing and not say so. What is damaged within a scan is not seen here.
    """
    at, scanned = 2, False
    while found := (_MARKER.search if scanned else _MARKER.match)(data, at):
        code = data[found.end() - 1]
        if code == _END_OF_IMAGE:
            return scanned
        if code not in _WITH_LENGTH:
            return False
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
        scanned = scanned or code == _START_OF_SCAN
    return False


def _picture(short_side: int) -> bytes:
    """A JPEG large enough to be shrunk to less than half, with soft shapes in all colours."""
    spots = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    size = short_side * 10 // 3, short_side * 5 // 2
    file = io.BytesIO()
    Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=95)
    return file.getvalue()
