"""A decoder that a file has taken over paints all memory for crops that it reaches: other scores stay."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from bad_decoder import commented

from dgqa_infer import Scorer
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.results import Failure, Score

# In the place of simplejpeg. White is not among the photographs' colours.
TAKEN_OVER = """
import mmap, os, time

def paint():
    for fd in os.listdir("/proc/self/fd"):
        try:
            if "dgqa-crops" not in os.readlink(f"/proc/self/fd/{fd}"):
                continue
        except OSError:
            continue
        with mmap.mmap(int(fd), 0) as memory:
            memory[:] = b"\\xff" * len(memory)

def decode_jpeg(data, **options):
    if b"PAINT" in data:
        # The photographs before it, and those of the process beside it, are decoded by then.
        time.sleep(0.5)
        paint()
        raise KeyError("painted")
    if b"LEAVE" in data and os.fork() == 0:
        # It outlives the process, and paints whatever comes into the memory that it still has.
        end = time.monotonic() + 3
        while time.monotonic() < end:
            paint()
        os._exit(0)
    if b"LEAVE" in data:
        os._exit(1)
    if b"SLOW" in data:
        time.sleep(0.2)
    raise ValueError("could not determine subsampling: not for this decoder")
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="attacks by Linux's /proc")


@pytest.fixture
def scores(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The score of each photograph, rounded, or its code; all of them go into one batch."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "simplejpeg.py").write_text(TAKEN_OVER)
    monkeypatch.syspath_prepend(tmp_path / "path")

    def run(workers: int, *comments: str) -> list[Any]:
        photos = commented(tmp_path / "photos", *comments)
        with (
            Scorer(tiny_bundle, device="cpu", batch_size=len(photos)) as scorer,
            Pipeline(scorer, workers=workers) as pipeline,
        ):
            results = [outcome.result for outcome in pipeline.run(photos)]
        assert all(isinstance(result, Score | Failure) for result in results)
        return [result.code if isinstance(result, Failure) else round(result.score) for result in results]

    return run


def own_scores(count: int) -> list[int]:
    """Of `commented`: each is even, and brighter than the one before."""
    return [round(15 * number / 2.55) for number in range(count)]


@pytest.mark.parametrize("workers", [1, 2])
def test_it_reaches_no_crops_of_photographs_before_it_or_beside_it(scores: Any, workers: int) -> None:
    found = scores(workers, "", "", "", "PAINT", "", "")
    assert found == [*own_scores(6)[:3], "crashed", *own_scores(6)[4:]]


def test_what_it_leaves_behind_reaches_no_crops_of_the_processes_that_follow(scores: Any) -> None:
    found = scores(2, "", "LEAVE", *["SLOW"] * 8)
    assert found == [own_scores(10)[0], "crashed", *own_scores(10)[2:]]
