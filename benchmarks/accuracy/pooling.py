"""Which way of pooling a photograph's cells agrees with people, chosen on one half and reported on both.

    python -m benchmarks pooling LABELS.csv FOLDER [--model dgqa-lite0]

LABELS.csv has one row a photograph, with the columns image and mos; the photographs lie in FOLDER. Their
halves are those of the first bit of their name's SHA-256. Every way that was ever looked at is a row of the
result, so that nobody need wonder what else was tried; groups are photographs whose names begin alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from scipy.stats import spearmanr

from benchmarks.machine import machine, write_result
from benchmarks.options import new_parser
from dgqa_export.graphs.pooling import exponent_of, without_pooling
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import QUALITY_GRAPH, Bundle
from dgqa_infer.images.crops import crops, shrink
from dgqa_infer.images.decode import decode
from dgqa_training.datasets import read_table

Cells = NDArray[np.float64]
Pool = Callable[[Cells], NDArray[np.float64]]
_PREFIX = 4
_RESAMPLES = 2000


def main() -> None:
    parser = new_parser(__doc__, model=True)
    parser.add_argument("labels", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()

    bundle = Bundle.load(arguments.model)
    labelled = read_table(arguments.labels, arguments.folder)
    files = [Path(sample.path) for sample in labelled.samples]
    names, opinions = [file.name for file in files], labelled.scores
    cells = linear_cells(bundle, files)
    rows = {
        name: figures(pool(cells), opinions, names) for name, pool in (_over_crops() | _over_cells()).items()
    }
    exponents = {name: row for name, row in rows.items() if name.startswith("exp, held to 0–10")}
    chosen = max(exponents, key=lambda name: exponents[name]["chosen_on"])
    gain = difference(_over_cells()[chosen](cells), _over_cells()["mean"](cells), opinions, names)
    write_result(
        "pooling",
        {
            "machine": machine("onnxruntime"),
            "model": bundle.model_id,
            "photographs": len(files),
            "shipped_exponent": exponent_of(bundle.graph_bytes(QUALITY_GRAPH)),
            "chosen": chosen,
            "gain_of_the_chosen_over_the_mean": gain,
            "srcc": rows,
        },
    )
    for name, row in rows.items():
        print(f"{name:32} all {row['all']:.4f}  chosen on {row['chosen_on']:.4f}  other {row['other']:.4f}")


def linear_cells(bundle: Bundle, files: list[Path]) -> Cells:
    """Quality of every cell before pooling, float64 [photographs, crops, cells of a crop]."""
    found = []
    preprocessing = bundle.card.preprocessing
    with OnnxRuntimeBackend(without_pooling(bundle.graph_bytes(QUALITY_GRAPH)), threads=1) as backend:
        for file in files:
            picture = shrink(decode(file, short_side=preprocessing.decoded_side).pixels, preprocessing)
            cells = backend.infer(crops(picture, preprocessing)[0])["quality_map"]
            found.append(cells.reshape(preprocessing.grid, -1).astype(np.float64))
    return np.stack(found)


def halves(names: list[str]) -> NDArray[np.bool_]:
    """Which photographs choose: the first bit of the SHA-256 of their name is 0."""
    return np.array([hashlib.sha256(name.encode()).digest()[0] & 1 == 0 for name in names])


def figures(raw: NDArray[np.float64], opinions: NDArray[np.float64], names: list[str]) -> dict[str, Any]:
    """SRCC on all, on the half that chooses, on the other, and by group with their mean."""
    first, groups = halves(names), np.array([name[:_PREFIX] for name in names])
    by_group = {
        str(group): _srcc(raw[groups == group], opinions[groups == group]) for group in np.unique(groups)
    }
    return {
        "all": _srcc(raw, opinions),
        "chosen_on": _srcc(raw[first], opinions[first]),
        "other": _srcc(raw[~first], opinions[~first]),
        "groups": by_group,
        "mean_of_groups": round(float(np.mean(list(by_group.values()))), 4),
    }


def difference(
    raw: NDArray[np.float64], against: NDArray[np.float64], opinions: NDArray[np.float64], names: list[str]
) -> dict[str, dict[str, float]]:
    """How much better one ranks than the other, with 95 % intervals of a paired bootstrap."""
    generator, first = np.random.default_rng(0), halves(names)
    result = {}
    for name, chosen in {"all": np.ones(len(names), bool), "chosen_on": first, "other": ~first}.items():
        places = np.flatnonzero(chosen)
        drawn = [generator.choice(places, len(places)) for _ in range(_RESAMPLES)]
        gains = [_srcc(raw[at], opinions[at]) - _srcc(against[at], opinions[at]) for at in drawn]
        low, high = np.quantile(gains, [0.025, 0.975])
        value = _srcc(raw[places], opinions[places]) - _srcc(against[places], opinions[places])
        result[name] = {"value": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4)}
    return result


def _srcc(raw: NDArray[np.float64], opinions: NDArray[np.float64]) -> float:
    return round(float(spearmanr(raw, opinions).statistic), 4)


def _over_crops() -> dict[str, Pool]:
    """Ways that see the mean of each crop."""

    def weighted(*weights: float) -> Pool:
        return lambda cells: cells.mean(2) @ np.array(weights)

    def by_rank(first: int, last: int) -> Pool:
        return lambda cells: np.sort(cells.mean(2), axis=1)[:, first:last].mean(1)

    def spread(times: float) -> Pool:
        return lambda cells: cells.mean(2).mean(1) + times * cells.mean(2).std(1)

    def soft(sharpness: float, centre: float = 1) -> Pool:
        def pool(cells: Cells) -> NDArray[np.float64]:
            means, prior = cells.mean(2), np.log([1, 1, 1, 1, centre])
            return np.asarray((means * softmax(sharpness * means + prior, axis=1)).sum(1))

        return pool

    ways: dict[str, Pool] = {}
    for subset in range(1, 32):
        kept = [float(subset >> place & 1) for place in range(5)]
        ways["crops " + "".join(str(place) for place in range(5) if kept[place])] = weighted(*kept)
    ways |= {f"centre × {times:g}": weighted(1, 1, 1, 1, times) for times in (1.5, 2.0, 3.0, 4.0, 6.0, 10.0)}
    for centre in (1.0, 2.0, 3.0):
        for top in (0.5, 0.7):
            ways[f"centre × {centre:g}, top × {top:g}"] = weighted(top, top, 1, 1, centre)
    ranks = {"best": (4, 5), "worst": (0, 1), "median": (2, 3), "best two": (3, 5), "worst two": (0, 2)}
    ways |= {f"{name} crop": by_rank(*which) for name, which in ranks.items()}
    for times in (-0.5, -0.3, -0.2, -0.1, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5):
        ways[f"mean {times:+g} σ of crops"] = spread(times)
    for sharpness in (0.25, 0.5, 1.0, 2.0):
        ways[f"softmax of crops {sharpness:g}"] = soft(sharpness)
        ways[f"softmax of crops {sharpness:g}, centre × 2"] = soft(sharpness, 2.0)
    return ways


def _over_cells() -> dict[str, Pool]:
    """Ways that see each cell."""

    def of(function: Pool) -> Pool:
        return lambda cells: function(cells.reshape(len(cells), -1))

    def soft(sharpness: float, weights: NDArray[np.float64] | float = 1.0) -> Pool:
        prior = np.log(weights)
        return of(lambda cells: np.asarray((cells * softmax(sharpness * cells + prior, axis=1)).sum(1)))

    def in_turn(within: float, across: float) -> Pool:
        def pool(cells: Cells) -> NDArray[np.float64]:
            crop = (cells * softmax(within * cells, axis=2)).sum(2)
            return np.asarray((crop * softmax(across * crop, axis=1)).sum(1))

        return pool

    def best(share: float) -> Pool:
        return of(lambda cells: np.sort(cells, axis=1)[:, int(share * cells.shape[1]) :].mean(1))

    def kinked(at: float) -> Pool:
        return of(lambda cells: np.maximum(cells - at, 0.2 * (cells - at)).mean(1))

    def place(*weights: float) -> NDArray[np.float64]:
        return np.repeat(weights, 49)

    ways: dict[str, Pool] = {"mean": of(lambda cells: cells.mean(1))}
    for sharpness in (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.8):
        ways[f"softmax {sharpness:g}"] = soft(sharpness)
    for sharpness in (0.3, 0.4):
        ways[f"softmax {sharpness:g}, centre × 1.5"] = soft(sharpness, place(1, 1, 1, 1, 1.5))
        ways[f"softmax {sharpness:g}, top × 0.7"] = soft(sharpness, place(0.7, 0.7, 1, 1, 1))
    for within in (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.2):
        ways[f"softmax {within:g} within crops"] = in_turn(within, 0)
    for within in (0.3, 0.4, 0.5, 0.6):
        for across in (0.3, 0.6):
            ways[f"softmax {within:g} within, {across:g} across"] = in_turn(within, across)
    for times in (0.25, 0.5, 1.0):
        ways[f"mean + {times:g} σ"] = of(lambda cells, t=times: cells.mean(1) + t * cells.std(1))  # type: ignore[misc]
    for share in (0.5, 0.7, 0.9):
        ways[f"quantile {share:g}"] = of(lambda cells, q=share: np.quantile(cells, q, axis=1))  # type: ignore[misc]
        ways[f"mean above quantile {share:g}"] = best(share)
    for power in (2, 3, 4, 5, 6):
        ways[f"power {power}"] = of(lambda cells, p=power: (np.maximum(cells, 0) ** p).mean(1))  # type: ignore[misc]
    ways |= {f"kinked at {at:g}": kinked(at) for at in (4.0, 5.0, 5.5, 6.0, 6.5)}
    for exponent in (0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2):
        ways[f"exp {exponent:g}"] = of(lambda cells, e=exponent: np.exp(e * cells).mean(1))  # type: ignore[misc]
        ways[f"exp, held to 0–10, {exponent:g}"] = of(
            lambda cells, e=exponent: np.exp(e * np.clip(cells, 0, 10)).mean(1)  # type: ignore[misc]
        )
    for slope in (0.8, 1.0, 1.2, 1.5):
        for middle in (6.0, 6.5, 7.0, 7.5, 8.0, 9.0):
            ways[f"logistic {slope:g} at {middle:g}"] = of(
                lambda cells, s=slope, m=middle: expit(s * (cells - m)).mean(1)  # type: ignore[misc]
            )
    return ways


if __name__ == "__main__":
    main()
