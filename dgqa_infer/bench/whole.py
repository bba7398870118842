"""From files to scores: each part alone on one core, all parts together, and what bounds them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dgqa_infer.bench.figures import RATE, Figure, of_rounds
from dgqa_infer.bench.rounds import Effort, Way, rates
from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.arrays import Pixels
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import decode
from dgqa_infer.inputs.addresses import may_be_addresses
from dgqa_infer.inputs.files import read_file
from dgqa_infer.pipeline.crops import CropsPredictor, read_crops
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.results import Failure
from dgqa_infer.scorer import Scorer

_STACKS = 64


def parts(paths: Sequence[str], scorer: Scorer, effort: Effort) -> Iterator[Figure]:
    """Milliseconds of one photograph: reading, decoding, crops, each on one core; inference on all cores.

    The sample is gone through once a round, however long that takes. Worker processes have decoded each of
    its files before.
    """
    way, limits = scorer.bundle.card.preprocessing, scorer.limits
    batch = _stack(paths[: scorer.batch_size], way)
    scorer.infer(batch)
    found: dict[str, list[float]] = {"read": [], "decode": [], "crops": [], "infer": []}
    for _ in range(effort.rounds):
        took = np.zeros(3)
        for path in paths:
            moments = [time.perf_counter()]
            data = read_file(path, limits.file_bytes).data
            moments.append(time.perf_counter())
            photograph = decode(data, limits, short_side=way.decoded_side)
            moments.append(time.perf_counter())
            crops(photograph.pixels, way, photograph.box)
            moments.append(time.perf_counter())
            took += np.diff(moments)
        began = time.perf_counter()
        scorer.infer(batch)
        inferred = (time.perf_counter() - began) * way.grid / len(batch)
        for part, seconds in zip(found, [*took / len(paths), inferred], strict=True):
            found[part].append(1000 * seconds)
    for part, each in found.items():
        yield of_rounds("parts of one photograph", part, "time", "ms", each)


def end_to_end(paths: Sequence[str], scorer: Scorer, workers: int | None, effort: Effort) -> Iterator[Figure]:
    """Photographs a second of decoding alone, of inference alone, and of both; and what share is reached.

    Decoding alone and both go through worker processes that have already started. Where the model runs on the
    cores that also decode, no arrangement can reach either ceiling, so the one that follows from sharing the
    cores is given too.
    """
    way, size = scorer.bundle.card.preprocessing, scorer.batch_size
    stack = _stack(paths[:_STACKS], way, workers)
    step = size * way.grid
    nothing = CropsPredictor(scorer.preprocessing, scorer.model_id, batch_size=size)
    addresses = may_be_addresses(paths)
    with (
        Pipeline(nothing, workers=workers, addresses=addresses) as decoding,
        Pipeline(scorer, workers=workers, addresses=addresses) as whole,
    ):
        ways: dict[str, Way] = {
            "decode only": lambda: _drained(decoding, paths),
            "infer only": lambda: sum(
                len(scorer.infer(stack[start : start + step])) for start in range(0, len(stack), step)
            ),
            "end to end": lambda: _drained(whole, paths),
        }
        found = rates(ways, effort)
    group = f"whole, {scorer.bundle.card.name} on {scorer.device} ({scorer.backend})"
    for name, each in found.items():
        yield of_rounds(group, name, "rate", RATE, each)
    decode_rate, infer_rate, both = (np.array(found[name]) for name in ways)
    shared = 1 / (1 / decode_rate + 1 / infer_rate)
    lower = np.minimum(decode_rate, infer_rate)
    yield of_rounds(group, "end to end of the lower ceiling", "share", "%", list(100 * both / lower))
    if scorer.device == "cpu":
        yield of_rounds(group, "ceiling of shared cores", "rate", RATE, list(shared))
        yield of_rounds(group, "end to end of that", "share", "%", list(100 * both / shared))


def _stack(paths: Sequence[str], preprocessing: Preprocessing, workers: int | None = None) -> Pixels:
    """The crops of some photographs, one after the other, uint8 [photographs × grid, crop, crop, 3]."""
    outcomes = [outcome.result for outcome in read_crops(paths, preprocessing, workers)]
    return np.concatenate([found.crops for found in outcomes if not isinstance(found, Failure)])


def _drained(pipeline: Pipeline[Any], paths: Sequence[str]) -> int:
    return sum(1 for _ in pipeline.run(paths))
