"""Train on KADID-10k and print the papers' tables: DGQA's selected types against all 25, on the real sets.

    python -m benchmarks reproduce runs/reproduce --kadid10k ROOT --livec ROOT --koniq10k ROOT \\
        --bid ROOT --pipal ROOT --weights resnet50.pth --seeds 123 124 125

Only the targets whose roots are given are evaluated. One network is trained for each selection of types and
seed by the authors' recipe. It is evaluated on every target after each epoch under the papers' protocol, and
at the end under ours; the two have a table each. An interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dgqa_infer.cli._errors import report
from dgqa_infer.cli._output import Output
from dgqa_infer.errors import DgqaError
from dgqa_training import datasets
from dgqa_training.datasets import LabelledSet
from dgqa_training.distortions import DISTORTIONS
from dgqa_training.evaluation.metrics import Evaluation, evaluate
from dgqa_training.evaluation.of_network import predict
from dgqa_training.evaluation.protocols import OURS, PAPERS, Outcome, Protocol, best_epoch, table
from dgqa_training.loop.loop import Progress, Recipe, Training
from dgqa_training.networks.heads import QualityNetwork, pretrained_backbone
from dgqa_training.regressor.training import RegressorConfig, absolute_error, samples_of
from dgqa_training.selection.published import GREEDY, SELECTED

ALL_TYPES = tuple(DISTORTIONS)
SETS = ("livec", "koniq10k", "bid", "pipal")


@dataclass(frozen=True)
class Options:
    """What the command line says beside the targets.

    Attributes:
        out: folder of all runs and of the results.
        kadid: root of KADID-10k.
        backbone: of the networks.
        weights: ImageNet weights of the backbone, where no package carries them.
        epochs: of each training.
        batch: crops a step.
        device: "cpu" or "cuda".
        workers: processes that decode.
    """

    out: Path
    kadid: Path
    backbone: str
    weights: Path | None
    epochs: int
    batch: int
    device: str
    workers: int


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder of the runs and of results.json")
    parser.add_argument("--kadid10k", type=Path, required=True, help="root of KADID-10k")
    for name in SETS:
        parser.add_argument(f"--{name}", type=Path, help=f"root of {datasets.DATASETS[name].facts.title}")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--weights", type=Path, help="torchvision's ImageNet state dict of resnet50")
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--batch", type=int, default=Recipe().batch)
    parser.add_argument("--seeds", type=int, nargs="+", default=[Recipe().seed])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args(arguments)
    options = Options(
        given.out,
        given.kadid10k,
        given.backbone,
        given.weights,
        given.epochs,
        given.batch,
        given.device,
        given.workers,
    )
    try:
        reproduce(load_targets({name: getattr(given, name) for name in SETS}), given.seeds, options)
    except DgqaError as error:
        return report(error)
    return 0


def load_targets(roots: Mapping[str, Path | None]) -> dict[str, LabelledSet]:
    """The target sets whose roots are given; PIPAL as the six sub-types that the papers evaluate."""
    targets = {}
    for name, root in roots.items():
        if root is not None:
            names = [target for target in SELECTED if target == name or target.startswith(f"{name}-")]
            targets |= {target: datasets.load(target, root) for target in names}
    return targets


def reproduce(targets: Mapping[str, LabelledSet], seeds: Sequence[int], options: Options) -> None:
    """Train what is missing, then print a table for each protocol and write both to results.json."""
    results = {}
    for types in sorted({types for target in targets for types in selections(target).values()}):
        results[types] = [train_and_evaluate(types, seed, targets, options) for seed in seeds]
    out, document = Output(json=False), {}
    for protocol in (PAPERS, OURS):
        outcomes = [
            Outcome(words, target, protocol, median([run[protocol.name][target] for run in results[types]]))
            for target in targets
            for words, types in selections(target).items()
        ]
        rows = table(outcomes)
        document[protocol.name] = rows
        out.table(rows, title=f"KADID-10k → target; {protocol}; median of {len(seeds)} seeds by SRCC")
    document["settings"] = {
        "backbone": options.backbone,
        "epochs": options.epochs,
        "batch": options.batch,
        "seeds": list(seeds),
    }
    (options.out / "results.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def selections(target: str) -> dict[str, tuple[int, ...]]:
    """What is compared on a target: words → types."""
    chosen = {"all 25 types": ALL_TYPES, "selected": SELECTED[target]}
    return chosen | ({"selected greedily": GREEDY[target]} if target in GREEDY else {})


def train_and_evaluate(
    types: tuple[int, ...], seed: int, targets: Mapping[str, LabelledSet], options: Options
) -> dict[str, dict[str, Evaluation]]:
    """One training and what came of it: protocol's name → target → figures."""
    recipe = Recipe(epochs=options.epochs, batch=options.batch, seed=seed)
    config = RegressorConfig(types=types, backbone=options.backbone, ridge=0, recipe=recipe)
    words = "all" if types == ALL_TYPES else "-".join(map(str, types))
    folder = options.out / f"types-{words}-seed{seed}"
    source, facts = samples_of(options.kadid, config)
    torch.manual_seed(seed)
    network = build(config, options.weights)
    # A run that is resumed with another target would lack the epochs before; then it is another run.
    settings = {"plan": config.record(), "targets": sorted(targets), **facts}
    training = Training(
        network,
        source,
        absolute_error,
        recipe,
        folder,
        settings,
        device=options.device,
        workers=options.workers,
    )

    def predictions(protocol: Protocol, file: Path) -> None:
        kept = {
            name: predict(
                network,
                target.samples,
                protocol,
                preprocessing=config.preprocessing,
                device=options.device,
                workers=options.workers,
                seed=seed,
            )
            for name, target in targets.items()
        }
        np.savez(file, **kept)

    def step(progress: Progress) -> None:
        if progress.step == progress.steps:
            print(f"{folder.name}: epoch {progress.epoch + 1}, loss {progress.loss:.3f}", file=sys.stderr)
            predictions(PAPERS, folder / f"papers-{progress.epoch:03}.npz")

    training.run(step)
    if not (folder / "ours.npz").exists():
        predictions(OURS, folder / "ours.npz")
    return {
        PAPERS.name: {name: papers_figures(folder, name, target) for name, target in targets.items()},
        OURS.name: {name: our_figures(folder, name, target) for name, target in targets.items()},
    }


def build(config: RegressorConfig, weights: Path | None) -> nn.Module:
    """The authors' network: an ImageNet backbone and a random linear head."""
    return QualityNetwork(pretrained_backbone(config.backbone, weights), config.head)


def papers_figures(folder: Path, name: str, target: LabelledSet) -> Evaluation:
    epochs = [np.load(file)[name] for file in sorted(folder.glob("papers-*.npz"))]
    return best_epoch(epochs, target.scores, target.facts.higher_is_better)[1]


def our_figures(folder: Path, name: str, target: LabelledSet) -> Evaluation:
    last = np.load(folder / "ours.npz")[name]
    return evaluate(last, target.scores, higher_is_better=target.facts.higher_is_better)


def median(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The evaluation with the median SRCC, the lower one of an even number."""
    return sorted(evaluations, key=lambda evaluation: evaluation.srcc.value)[(len(evaluations) - 1) // 2]


if __name__ == "__main__":
    sys.exit(main())
