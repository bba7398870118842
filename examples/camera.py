"""Score the frames of a camera within a fixed time a frame.

    python camera.py examples/photos --fps 5 --budget 200 --frames 50

A camera does not wait: while one frame is scored the next ones arrive, and only the newest of them is
scored next. The photographs of a folder stand in for a camera here; put your own source of arrays in the
place of `frames`. The exit code is 1 if more than one frame in a hundred took longer than the budget, or
the camera ended early.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgqa_infer import DgqaError, Scorer
from dgqa_infer.images.decode import decode

Frame = NDArray[np.uint8]


def frames(folder: Path) -> Iterator[Frame]:
    """Frames for ever, as arrays uint8 [height, width, 3] in RGB. Your camera goes here."""
    pictures = [decode(path).pixels for path in sorted(folder.iterdir()) if path.is_file()]
    if not pictures:
        raise FileNotFoundError(f"{folder} holds no photographs")
    yield from itertools.cycle(pictures)


class Newest:
    """Holds the newest frame only; what nobody fetched in time is dropped."""

    def __init__(self) -> None:
        self.arrived = 0
        self._ended = False
        self._frame: tuple[int, Frame] | None = None
        self._news = threading.Condition()

    def put(self, frame: Frame) -> None:
        """A frame arrives."""
        with self._news:
            self.arrived += 1
            self._frame = (self.arrived, frame)
            self._news.notify()

    def end(self) -> None:
        """No further frame will arrive."""
        with self._news:
            self._ended = True
            self._news.notify()

    def get(self) -> tuple[int, Frame] | None:
        """The newest frame and its number; waits for it. None where the camera has ended."""
        with self._news:
            self._news.wait_for(lambda: self._frame is not None or self._ended)
            frame, self._frame = self._frame, None
            return frame


def film(source: Iterator[Frame], newest: Newest, fps: float) -> None:
    """Deliver frames at a fixed rate, whoever takes them."""
    due = time.monotonic()
    try:
        for frame in source:
            newest.put(frame)
            due += 1 / fps
            time.sleep(max(0.0, due - time.monotonic()))
    finally:
        # A camera that fails must not be waited for.
        newest.end()


def above_0(text: str) -> float:
    """A number above 0."""
    if not 0 < (value := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def at_least_1(text: str) -> int:
    """A whole number from 1 on."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def main() -> int:
    """Film, score, and say how long it took."""
    parser = argparse.ArgumentParser(description="Score the frames of a camera within a fixed time a frame.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="dgqa-lite0")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--fps", type=above_0, default=5)
    parser.add_argument("--budget", type=above_0, default=200, help="milliseconds a frame")
    parser.add_argument("--frames", type=at_least_1, default=50, help="how many to score")
    chosen = parser.parse_args()

    newest = Newest()
    took: list[float] = []
    try:
        with Scorer(chosen.model, device=chosen.device) as scorer:
            source = frames(chosen.folder)
            scorer.score(next(source))  # the first one loads and chooses kernels
            threading.Thread(target=film, args=(source, newest, chosen.fps), daemon=True).start()
            while len(took) < chosen.frames and (arrived := newest.get()) is not None:
                number, frame = arrived
                start = time.perf_counter()
                result = scorer.score(frame)
                took.append(1000 * (time.perf_counter() - start))
                ms = round(took[-1], 1)
                print(json.dumps({"frame": number, "score": round(result.score, 1), "ms": ms}))
            ran = f"{scorer.backend} on {scorer.device}"
    except (DgqaError, OSError) as error:
        parser.error(str(error))
    if not took:
        parser.error("the camera has no frames")
    p50, p99 = np.percentile(took, [50, 99])
    dropped = newest.arrived - len(took)
    words = f"{len(took)} frames scored, {dropped} dropped, p50 {p50:.0f} ms, p99 {p99:.0f} ms, by {ran}"
    print(words, file=sys.stderr)
    return int(p99 > chosen.budget or len(took) < chosen.frames)


if __name__ == "__main__":
    sys.exit(main())
