"""Small files that ask for much. They are decoded in a process that may have little, and made here."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from typing import Any

from PIL import Image

DECODE = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (700_000_000, 700_000_000))
from dgqa_infer.errors import ImageError
from dgqa_infer.images.decode import decode
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
said = []
for size in map(int, sys.argv[1:]):
    try:
        photograph = decode(sys.stdin.buffer.read(size))
        said.append([photograph.width, photograph.height])
    except ImageError as error:
        said.append(error.code)
print(json.dumps([said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]))
"""


def decoded(*files: bytes) -> tuple[list[Any], int]:
    """What became of each, and how many kilobytes the process grew by."""
    sizes = [str(len(data)) for data in files]
    ran = subprocess.run(
        [sys.executable, "-c", DECODE, *sizes],
        input=b"".join(files),
        capture_output=True,
        timeout=60,
        check=True,
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


def test_headers_that_announce_gigapixels_cost_nothing() -> None:
    said, kilobytes = decoded(
        png(30_000, 30_000, zeros(10_000_000)),
        png(0x7FFFFFFF, 0x7FFFFFFF, b""),
        tiff(60_000, 60_000),
        webp(30_000, 30_000),
        bmp(50_000, 50_000),
        avif(60_000, 60_000),
    )
    assert said[:5] == ["too_large"] * 5
    assert said[5] in ("too_large", "corrupt")
    assert kilobytes < 60_000


def test_more_memory_than_there_is_is_a_reason_and_not_an_end() -> None:
    said, _ = decoded(png(16_000, 15_000, zeros(16_001 * 15_000)), png(4, 4, zlib.compress(bytes(20))))
    assert said == ["too_large", [4, 4]]


def test_text_that_unfolds_to_much_is_not_unfolded() -> None:
    packed = zeros(200_000_000)
    chunks = [(b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")]
    _, kilobytes = decoded(
        *(png(4, 4, zlib.compress(bytes(20)), chunk(kind, head + packed)) for kind, head in chunks)
    )
    assert kilobytes < 60_000


def test_directories_in_a_loop_come_to_an_end() -> None:
    data = bytearray(tiff(4, 4))
    (count,) = struct.unpack_from("<H", data, 8)
    struct.pack_into("<I", data, 10 + 12 * count, 8)
    (said,), _ = decoded(bytes(data))
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
