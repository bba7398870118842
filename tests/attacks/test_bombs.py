"""Small files that ask for much. They are decoded in a process that may have little, and made here."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from typing import Any

import pytest
from PIL import Image

DECODE = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (700_000_000, 700_000_000))
from dgqa_infer.errors import ImageError
from dgqa_infer.images import decode
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    photograph = decode(sys.stdin.buffer.read())
    said = [photograph.width, photograph.height]
except ImageError as error:
    said = error.code
print(json.dumps([said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


def decoded(data: bytes) -> tuple[Any, int]:
    """What became of it, and how many kilobytes the process grew by."""
    ran = subprocess.run(
        [sys.executable, "-c", DECODE], input=data, capture_output=True, timeout=60, check=True
    )
    said, kilobytes = json.loads(ran.stdout)
    return said, kilobytes


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, body: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """So many zeros, deflated without holding them."""
    packer = zlib.compressobj(9)
    block = bytes(1_000_000)
    return b"".join(packer.compress(block) for _ in range(-(-count // len(block)))) + packer.flush()


def tiff(width: int, height: int) -> bytes:
    entries = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 200)]
    entries += [(277, 3, 1), (278, 4, height), (279, 4, width * height & 0xFFFFFFFF)]
    body = struct.pack("<H", len(entries))
    body += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<I", 8) + body + bytes(200)


def webp(width: int, height: int) -> bytes:
    canvas = struct.pack("<I", 0x10) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "WEBP", lossless=True)
    inner = file.getvalue()[12:]
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + canvas + inner
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 100, 0, 0, 54) + header + bytes(100)


def avif(width: int, height: int) -> bytes:
    """A real picture whose header announces another size."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, "AVIF")
    return file.getvalue().replace(struct.pack(">II", 64, 48), struct.pack(">II", width, height))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png(30_000, 30_000, zeros(30_000_000)), id="png"),
        pytest.param(png(0x7FFFFFFF, 0x7FFFFFFF, b""), id="png-largest"),
        pytest.param(tiff(60_000, 60_000), id="tiff"),
        pytest.param(webp(30_000, 30_000), id="webp"),
        pytest.param(bmp(50_000, 50_000), id="bmp"),
        pytest.param(avif(60_000, 60_000), id="avif"),
    ],
)
def test_a_header_that_announces_gigapixels_costs_nothing(data: bytes) -> None:
    code, kilobytes = decoded(data)
    assert code in ("too_large", "corrupt")
    assert kilobytes < 60_000


def test_more_memory_than_there_is_is_a_reason_and_not_an_end() -> None:
    code, _ = decoded(png(16_000, 15_000, zeros(16_001 * 15_000)))
    assert code == "too_large"


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_text_that_unfolds_to_much_is_not_unfolded(kind: bytes) -> None:
    packed = zeros(200_000_000)
    text = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[kind] + packed
    _, kilobytes = decoded(png(4, 4, zlib.compress(bytes(20)), chunk(kind, text)))
    assert kilobytes < 60_000


def test_directories_in_a_loop_come_to_an_end() -> None:
    data = bytearray(tiff(4, 4))
    (count,) = struct.unpack_from("<H", data, 8)
    struct.pack_into("<I", data, 10 + 12 * count, 8)
    said, _ = decoded(bytes(data))
    assert said == [4, 4] or isinstance(said, str)


def test_a_jpeg_of_thousands_of_scans_comes_to_an_end_within_the_limit(
    cli: Any, tiny_bundle: Any, tmp_path: Any
) -> None:
    file = io.BytesIO()
    Image.new("L", (4096, 4096), 100).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    # The last scan once more, and once more …: each goes over all coefficients.
    last = data[data.rindex(b"\xff\xda") : -2]
    (tmp_path / "scans.jpg").write_bytes(data[:-2] + last * 3000 + b"\xff\xd9")
    Image.new("L", (40, 40), 255).save(tmp_path / "good.png")
    ran = cli(
        "score", "--model", tiny_bundle, "--device", "cpu", "--workers", 1, "--limit-time", "2s", tmp_path
    )
    good, scans = ran.rows
    assert good["score"] == 100
    assert scans["error"]["code"] in ("timed_out", "corrupt", "truncated")
