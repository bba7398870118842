"""The process that decodes: a file's path comes in, its crops go into shared memory.

It may die of any file. What it sends home is JSON, never a pickle: a decoder that a hostile file has taken
over must not reach the process that scores. It could still read what this user may read; so its environment
holds no other program's secrets, and it gives up what decoding does not need: see `dgqa_infer.confinement`.
"""

from __future__ import annotations

import os
import signal
import time
import zlib
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from dgqa_infer import system
from dgqa_infer.confinement import confine
from dgqa_infer.errors import ErrorCode, ImageError
from dgqa_infer.images.attributes import attributes
from dgqa_infer.images.crops import crops, random_crops, shrink
from dgqa_infer.images.decode import decode
from dgqa_infer.inputs.files import ImageFile, file_status, read_file
from dgqa_infer.pipeline.messages import (
    Admit,
    Answer,
    Ask,
    Decode,
    Decoded,
    Failed,
    Read,
    Ready,
    WorkerSettings,
    decode_order,
    decode_settings,
    encode,
)
from dgqa_infer.pipeline.shared_memory import shared_bytes, shrink_to_preview, views

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
    try:
        memory = system.take_over(descriptor)
        connection = Connection(descriptor)
        decoder = _Decoder(_Parent(connection), decode_settings(connection.recv_bytes()), memory)
        decoder.serve()
    except (EOFError, ConnectionError):
        # The parent has ended, perhaps by force. So does this process, without a word.
        os._exit(0)


class _Parent:
    """The connection to the scoring process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def say(self, answer: Answer) -> None:
        self._connection.send_bytes(encode(answer))

    def next_task(self) -> tuple[Decode, int | None]:
        """A task, and the descriptor of a photograph that is in memory."""
        order = decode_order(self._connection.recv_bytes())
        if not isinstance(order, Decode):
            raise ValueError("nothing was asked that could be admitted")
        return order, system.take_over(self._connection.fileno()) if order.in_memory else None

    def ask(self, needed: int) -> None:
        """Wait until there are so many bytes of memory for a photograph."""
        self.say(Ask(needed))
        if not isinstance(decode_order(self._connection.recv_bytes()), Admit):
            raise ValueError("another file came before this one was decoded")


class _Decoder:
    """Turns tasks into crops, one after the other."""

    def __init__(self, parent: _Parent, settings: WorkerSettings, memory: int) -> None:
        self._parent = parent
        self._settings = settings
        self._shared, self._preview = views(memory, settings.preprocessing, settings.preview)
        self._on_device = _on_device(settings)
        self._seconds = int(settings.seconds) + _GRACE_SECONDS
        _confine(settings)

    def serve(self) -> None:
        self._parent.say(Ready())
        while True:
            task, memory = self._parent.next_task()
            system.end_after(self._seconds)
            answer = self._answer(task, memory)
            system.end_after(0)
            self._parent.say(answer)

    def _answer(self, task: Decode, memory: int | None) -> Answer:
        if self._on_device is not None:
            # A file that has ended a process may have done it there.
            self._on_device.active = not task.crashes
        code: ErrorCode
        file: ImageFile | None = None
        try:
            file = self._read(task, memory)
            self._parent.say(Read(file.size, file.mtime))
            return self._crops(task, file)
        except ImageError as error:
            code, message = error.code, error.message
        except MemoryError:
            code, message = "too_large", "it needs more memory than there is"
        except (EOFError, ConnectionError):
            raise
        except Exception as error:
            # A bug, ours or a decoder's; it costs this file and no other.
            code, message = "crashed", f"decoding it failed ({type(error).__name__}: {error})"
        if file is not None:
            return Failed(code, message, file.size, file.mtime)
        # It could not be read; that it is the same file next time can be told nevertheless.
        size, changed = (None, None) if task.in_memory else file_status(task.name or "")
        return Failed(code, message, size, changed)

    def _read(self, task: Decode, memory: int | None) -> ImageFile:
        if memory is None:
            limits = self._settings.limits
            return read_file(task.name or "", limits.file_bytes, allow_private=limits.allow_private)
        with open(memory, "rb") as file:  # noqa: PTH123 (a descriptor)
            file.seek(0)
            data = file.read(self._settings.limits.file_bytes + 1)
        return ImageFile(data, len(data), None)

    def _crops(self, task: Decode, file: ImageFile) -> Decoded:
        settings = self._settings
        preprocessing, fixed = settings.preprocessing, settings.seed is None
        measured, begun = None, time.perf_counter()
        photograph = decode(
            file.data,
            settings.limits,
            name=task.name,
            strict=settings.strict,
            before_decoding=self._admit,
            short_side=preprocessing.decoded_side if fixed else None,
            on_device=self._on_device,
        )
        if settings.seed is None:
            picture = shrink(photograph.pixels, preprocessing, photograph.box)
            cut, more = crops(picture, preprocessing)
            measured = attributes(picture) if settings.measure and task.measure else None
        else:
            # Of the file's content, so that neither its name nor its place among others matters.
            generator = np.random.default_rng([settings.seed, zlib.crc32(file.data)])
            cut, more = random_crops(photograph.pixels, preprocessing, generator)
        self._shared[:] = cut
        preview = None
        if settings.preview:
            small = shrink_to_preview(photograph.pixels, settings.preview)
            self._preview[: small.size] = small.ravel()
            preview = (small.shape[1], small.shape[0])
        warnings = (*photograph.warnings, *more)
        seconds = time.perf_counter() - begun
        return Decoded(
            file.size, file.mtime, photograph.width, photograph.height, warnings, preview, measured, seconds
        )

    def _admit(self, needed: int) -> None:
        if needed > (most := self._settings.most_bytes):
            raise ImageError(
                "too_large",
                f"decoding it takes up to {needed / 1e9:.2g} GB, and --limit-total-memory leaves it "
                f"{most / 1e9:.2g} GB",
            )
        if needed > self._settings.free_bytes:
            system.end_after(0)
            self._parent.ask(needed)
            system.end_after(self._seconds)


def _on_device(settings: WorkerSettings) -> DeviceDecoder | None:
    """What decodes JPEGs on a GPU, if one is to: random crops need the photograph at its full size."""
    if settings.jpeg_device is None or settings.seed is not None:
        return None
    from dgqa_infer.images.decoders.nvjpeg import DeviceDecoder

    return DeviceDecoder(settings.jpeg_device, settings.preprocessing)


def _confine(settings: WorkerSettings) -> None:
    # The place for crops is no file's.
    memory = settings.memory_bytes + shared_bytes(settings.preprocessing, settings.preview)
    if settings.jpeg_device is not None:
        # CUDA has reserved addresses for all memory of all GPUs by now; what files need comes on top of it.
        memory += system.address_space()
    system.limit_itself(memory=memory, file_bytes=0)
    # Decoders' own complaints go nowhere; until now stderr was kept, in case this process could not start.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if settings.jpeg_device is None:
        # CUDA's driver needs more than it had until now.
        confine(addresses=settings.addresses)
    # Our own limit is checked before any pixel. Pillow's, within its decoders, shall be no stricter; it
    # raises at twice this number.
    Image.MAX_IMAGE_PIXELS = settings.limits.pixels // 2 + 1
