"""A bundle's classifier is made indifferent to how files are saved: a new head, trained on views.

python -m dgqa_export.parts.domain_head BUNDLE PRISTINE OUT
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgqa_export.graphs.statistics_head import STATISTICS, replace_domain_head, with_statistics
from dgqa_export.parts.explanations import replace_domain_graph
from dgqa_infer.backends.onnx_runtime import OnnxRuntimeBackend
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, Bundle
from dgqa_infer.domains.classes import require_kadid
from dgqa_training.classifier.material import crops, split
from dgqa_training.classifier.statistics_head import StatisticsRecipe, fit
from dgqa_training.loop.crops import Crops, CropSource
from dgqa_training.loop.loading import batches
from dgqa_training.loop.loop import software

RECIPE = StatisticsRecipe()
HELD_OUT = 0.2
"""Share of the contents that the head never sees; temperature and thresholds are chosen on them."""
PRIOR = 5.0
"""Pristine images for each image of a type, as in KADIS-700k."""

_BATCH = 32


def retrain_head(
    bundle: Bundle,
    source: Path,
    folder: Path,
    *,
    recipe: StatisticsRecipe = RECIPE,
    workers: int = 1,
    advance: Callable[[int], None] = lambda _: None,
) -> Bundle:
    """Write a bundle again, with a statistics head for its domain classifier.

    Args:
        bundle: its classifier's trunk must not have been trained on the contents that are kept back, which
            are those of a training with the same seed.
        source: pristine photographs.
        folder: of the new bundle; may be that of the old one.
        recipe: of the head.
        workers: processes that make crops; 0 makes them here.
        advance: called with the number of further crops done.

    Raises:
        ModelError: the bundle has no domain classifier with KADID's classes, or one of another kind.
        UsageError: there are too few photographs.
        OutputError: the folder cannot be written.
    """
    domains, preprocessing = bundle.card.domains, bundle.card.preprocessing
    require_kadid(domains, bundle.card.name)
    assert domains is not None
    references, kept = split(source, HELD_OUT, recipe.seed)
    material = crops(source, references, preprocessing, preprocessing.crop, prior=PRIOR)
    graph = bundle.graph_bytes(DOMAIN_GRAPH)
    statistics, classes = take(with_statistics(graph), material, recipe.seed, workers, advance)
    graph = replace_domain_head(graph, fit(statistics, classes, recipe))
    head: dict[str, Any] = {
        "recipe": recipe.record(),
        "contents": len(references),
        "crops": len(classes),
        "prior": PRIOR,
        "views": True,
        "held_out": [path.name for path in kept],
        "software": software(),
    }
    return replace_domain_graph(bundle, graph, {"domain_head": head}, kept, folder)


def take(
    graph: bytes, source: CropSource, seed: int, workers: int, advance: Callable[[int], None]
) -> tuple[NDArray[np.float16], NDArray[np.int64]]:
    """Statistics of one random crop of each sample, float16 [n, d], and its class, int [n]."""
    statistics, classes = [], []
    with OnnxRuntimeBackend(graph) as backend:
        for crops, targets in batches(Crops(source, seed, epoch=0, flip=False), _BATCH, workers):
            statistics.append(backend.infer(crops.numpy())[STATISTICS].astype(np.float16))
            classes.append(targets.numpy().astype(np.int64))
            advance(len(targets))
    return np.concatenate(statistics), np.concatenate(classes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("pristine", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args(arguments)
    done = 0

    def advance(crops: int) -> None:
        nonlocal done
        if (done + crops) // 1000 > done // 1000:
            print(f"{done + crops:,} crops", flush=True)
        done += crops

    bundle = retrain_head(
        Bundle.load(given.bundle), given.pristine, given.out, workers=given.workers, advance=advance
    )
    print(f"{given.out}: {bundle.model_id}")


if __name__ == "__main__":
    main()
