"""Small files that ask for much. They are decoded in a process that may have little, and made here."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
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


SCORE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (1_000_000_000, 1_000_000_000))
from dgqa_infer.cli.entry import main
main()
"""
"""The program, when neither it nor a process that it starts can have much memory."""


def scored(archive: Path, model: Path) -> list[dict[str, Any]]:
    ran = subprocess.run(
        [sys.executable, "-c", SCORE, "score", archive, "-m", model, "--device", "cpu", "--workers", "1"],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode in (3, 4), ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def photograph() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (80, 64), (9, 90, 200)).save(file, "JPEG")
    return file.getvalue()


def zip_of(path: Path, names: list[bytes]) -> None:
    """A zip of one photograph, whose directory has it under many names; its own name is the last one."""
    data = photograph()
    sizes = struct.pack("<III", zlib.crc32(data), len(data), len(data))
    local = (
        b"PK\3\4"
        + struct.pack("<HHHHH", 20, 0, 0, 0, 0)
        + sizes
        + struct.pack("<HH", len(names[-1]), 0)
        + names[-1]
        + data
    )
    head = b"PK\1\2" + struct.pack("<HHHHHH", 20, 20, 0, 0, 0, 0) + sizes
    tail = bytes(8 + 8)
    directory = b"".join(head + len(name).to_bytes(2, "little") + tail + name for name in names)
    ends = struct.pack(
        "<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, *[len(names)] * 2, len(directory), len(local)
    )
    ends += struct.pack("<4sIQI", b"PK\6\7", 0, len(local) + len(directory), 1)
    ends += struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    path.write_bytes(local + directory + ends)


def test_a_zip_of_two_million_entries_is_one_row(tmp_path: Path, tiny_bundle: Path) -> None:
    path = tmp_path / "x.zip"
    zip_of(path, [b"%07d.jpg" % number for number in range(2_000_000)])
    (row,) = scored(path, tiny_bundle)
    assert row["error"]["code"] == "too_large"
    assert "divide the archive, or unpack it" in row["error"]["message"]


def test_of_a_zip_of_a_hundred_thousand_entries_each_can_be_read(tmp_path: Path, tiny_bundle: Path) -> None:
    path = tmp_path / "x.zip"
    zip_of(path, [b"%07d.jpg" % number for number in range(100_000)] + [b"sub/z.jpg"])
    ran = subprocess.run(
        [sys.executable, "-c", SCORE, "score", f"zip://sub::{path}", "-m", tiny_bundle, "--device", "cpu"],
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert json.loads(ran.stdout)["width"] == 80


def test_a_tar_of_gigabytes_of_zeros_is_read_up_to_there(tmp_path: Path, tiny_bundle: Path) -> None:
    path = tmp_path / "x.tgz"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        first = tarfile.TarInfo("a.jpg")
        first.size = len(photograph())
        tar.addfile(first, io.BytesIO(photograph()))
        first.name, first.size = "b.jpg", 20_000_000_000
        tar.addfile(first)
    # gzip files may be joined. The end of the tar, which the first one has, is part of b.jpg.
    packer = zlib.compressobj(wbits=31)
    block = b"".join(packer.compress(bytes(1_000_000)) for _ in range(250)) + packer.flush()
    path.write_bytes(packed.getvalue() + 20 * block)
    good, large, rest = scored(path, tiny_bundle)
    assert (good["path"], good["width"]) == (f"tar://a.jpg::{path}", 80)
    assert (large["path"], large["error"]["code"]) == (f"tar://b.jpg::{path}", "too_large")
    assert rest["error"]["code"] == "too_large"
    assert rest["error"]["message"] == "the archive unpacks to far more than photographs do"


@pytest.mark.parametrize("honest", [True, False])
def test_a_member_that_unpacks_to_gigabytes_is_too_large_or_damaged(
    tmp_path: Path, tiny_bundle: Path, honest: bool
) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("a.jpg", "w") as member:
        for _ in range(1000):
            member.write(bytes(1_000_000))
    if not honest:
        data = bytearray(path.read_bytes())
        for at in (22, data.rindex(b"PK\1\2") + 24):
            assert int.from_bytes(data[at : at + 4], "little") == 1_000_000_000
            data[at : at + 4] = (1000).to_bytes(4, "little")
        path.write_bytes(data)
    (row,) = scored(path, tiny_bundle)
    assert row["error"]["code"] == ("too_large" if honest else "unreadable")
