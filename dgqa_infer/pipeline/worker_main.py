"""The process that decodes: a file's path comes in, its crops go into shared memory.

It holds nothing worth stealing and may die of any file. What it sends home is JSON, never a pickle: a decoder
that a hostile file has taken over must not reach the process that scores.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
import zlib
from collections import deque
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.errors import ImageError
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import crops, random_crops
from dgqa_infer.images.decode import DecodeLimits, decode
from dgqa_infer.inputs.files import file_status, read_file
from dgqa_infer.pipeline.shared_memory import shrink_to_preview, views

if TYPE_CHECKING:
    from dgqa_infer.images.decoders.nvjpeg import DeviceDecoder

# A worker that its parent has lost sight of ends itself, so much later than its parent would have ended it.
_GRACE_SECONDS = 10


def main(descriptor: int) -> None:
    """Serve until the parent hangs up.

    Args:
        descriptor: of the socket to the parent. Through it come the memory for crops, settings, and tasks.
    """
    # Ctrl-C is the parent's business; it says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ours = socket.socket(fileno=descriptor)
    try:
        _, descriptors, *_ = socket.recv_fds(ours, 1, 1)
        if not descriptors:
            raise EOFError
        connection = Connection(ours.detach())
        settings = json.loads(connection.recv_bytes())
        preprocessing = Preprocessing.from_card(settings["preprocessing"])
        slots, previews = views(descriptors[0], settings["slots"], preprocessing, settings["preview"])
        on_device = _on_device(settings, preprocessing)
        _confine(settings)
        _send(connection, {"ready": True})
        tasks: deque[Mapping[str, Any]] = deque()
        while True:
            task = tasks.popleft() if tasks else json.loads(connection.recv_bytes())
            _serve(connection, task, tasks, slots, previews, preprocessing, settings, on_device)
    except (EOFError, ConnectionError):
        # The parent has ended, perhaps by force. So does this process, without a word.
        os._exit(0)


def _serve(
    connection: Connection,
    task: Mapping[str, Any],
    later: deque[Mapping[str, Any]],
    slots: Pixels,
    previews: Pixels,
    preprocessing: Preprocessing,
    settings: Mapping[str, Any],
    on_device: DeviceDecoder | None,
) -> None:
    def admit(pixels: int) -> None:
        if pixels <= settings["free_pixels"]:
            return
        signal.alarm(0)
        _send(connection, {"ask": pixels})
        # The next task may have been on its way already.
        while "go" not in (message := json.loads(connection.recv_bytes())):
            later.append(message)
        signal.alarm(seconds)

    limits = DecodeLimits(**settings["limits"])
    seconds = int(settings["seconds"]) + _GRACE_SECONDS
    signal.alarm(seconds)
    reply: dict[str, Any] = {}
    if on_device is not None:
        # A file that has ended a process may have done it there.
        on_device.active = not task["crashes"]
    try:
        file = read_file(task["path"], limits.file_bytes)
        reply |= {"size": file.size, "mtime": file.mtime}
        photograph = decode(
            file.data,
            limits,
            name=task["path"],
            strict=settings["strict"],
            before_pixels=admit,
            short_side=preprocessing.decoded_side if settings["seed"] is None else None,
            on_device=on_device,
        )
        if settings["seed"] is None:
            slots[task["slot"]], more = crops(photograph.pixels, preprocessing, photograph.box)
        else:
            # Of the file's content, so that neither its name nor its place among others matters.
            generator = np.random.default_rng([settings["seed"], zlib.crc32(file.data)])
            slots[task["slot"]], more = random_crops(photograph.pixels, preprocessing, generator)
        reply |= {
            "width": photograph.width,
            "height": photograph.height,
            "warnings": [*photograph.warnings, *more],
        }
        if settings["preview"]:
            small = shrink_to_preview(photograph.pixels, settings["preview"])
            previews[task["slot"], : small.size] = small.ravel()
            reply["preview"] = [small.shape[1], small.shape[0]]
    except ImageError as error:
        if not reply:
            # It could not be read; that it is the same file next time can be told nevertheless.
            size, changed = file_status(task["path"])
            reply = {"size": size, "mtime": changed}
        reply["error"] = [error.code, error.message]
    except MemoryError:
        reply["error"] = ["too_large", "it needs more memory than there is"]
    except (EOFError, ConnectionError):
        raise
    except Exception as error:
        # A bug, ours or a decoder's; it costs this file and no other.
        reply["error"] = ["crashed", f"decoding it failed ({type(error).__name__}: {error})"]
    signal.alarm(0)
    _send(connection, reply)


def _on_device(settings: Mapping[str, Any], preprocessing: Preprocessing) -> DeviceDecoder | None:
    """What decodes JPEGs on a GPU, if one is to: random crops need the photograph at its full size."""
    if settings["jpeg_device"] is None or settings["seed"] is not None:
        return None
    from dgqa_infer.images.decoders.nvjpeg import DeviceDecoder

    return DeviceDecoder(settings["jpeg_device"], preprocessing)


def _confine(settings: Mapping[str, Any]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    memory = settings["memory_bytes"]
    if settings["jpeg_device"] is not None:
        # CUDA has reserved addresses for all memory of all GPUs by now; what files need comes on top of it.
        memory += _address_space()
    if hard != resource.RLIM_INFINITY:
        memory = min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Decoders' own complaints go nowhere; until now stderr was kept, in case this process could not start.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # Our own limit is checked before any pixel. Pillow's, within its decoders, shall be no stricter; it
    # raises at twice this number.
    Image.MAX_IMAGE_PIXELS = settings["limits"]["pixels"] // 2 + 1


def _address_space() -> int:
    """What this process has reserved, in bytes; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _send(connection: Connection, message: Mapping[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode("ascii"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
