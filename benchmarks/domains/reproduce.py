"""Train on KADID-10k and print the papers' tables: DGQA and SynDR-IQA against all 25 types, on the real sets.

    python -m benchmarks reproduce runs/reproduce --kadid10k ROOT --livec ROOT --koniq10k ROOT \\
        --bid ROOT --pipal ROOT --weights resnet50-0676ba61.pth --add PHOTOS --seeds 123 124 125

Only the targets whose roots are given are evaluated. One network is trained for each line of the tables and
seed, by the authors' recipe: on all 25 types, on those that DGQA selects, greedily selects where that is
published, and on the selected ones as SynDR-IQA reshapes them, by thinning look-alikes (DRCDown) and, with
--add PHOTOS, by adding contents of these photographs (DDCUp) or both. The network of each epoch is kept, so
a target may be added later: nothing is trained again, and what was evaluated stands. That takes 94 MB an
epoch for ResNet-50, 2.3 GB a training. A target is evaluated after each epoch under the papers' protocol, and
at the end under ours; the two have a table each. An interrupted run goes on where it was.

torchvision publishes two sets of ImageNet weights of ResNet-50, which differ in accuracy; the papers are of
the first (IMAGENET1K_V1). Which one --weights is, is told from its content and stands in the results.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
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
from dgqa_training.loop.loop import Progress, Training
from dgqa_training.loop.recipe import Recipe
from dgqa_training.networks.heads import QualityNetwork, pretrained_backbone
from dgqa_training.networks.resnet import weights_name
from dgqa_training.regressor.training import RegressorConfig, absolute_error, samples_of
from dgqa_training.reshaping.training_set import Thinning
from dgqa_training.selection.published import GREEDY, SELECTED

ALL_TYPES = tuple(DISTORTIONS)
SETS = ("livec", "koniq10k", "bid", "pipal")


@dataclass(frozen=True, order=True)
class Variant:
    """What a network is trained on.

    Attributes:
        types: of distortion.
        add: contents that DDCUp chooses.
        thin: look-alikes, as DRCDown does.
    """

    types: tuple[int, ...]
    add: bool = False
    thin: bool = False

    def folder(self, seed: int) -> str:
        """Name of the run's folder."""
        words = "all" if self.types == ALL_TYPES else "-".join(map(str, self.types))
        return f"types-{words}{'-ddcup' * self.add}{'-drcdown' * self.thin}-seed{seed}"


@dataclass(frozen=True)
class Options:
    """What the command line says beside the targets.

    Attributes:
        out: folder of all runs and of the results.
        kadid: root of KADID-10k.
        backbone: of the networks.
        weights: ImageNet weights of the backbone, where no package carries them.
        add: pristine photographs that DDCUp may add; None for no lines with it.
        epochs: of each training.
        batch: crops a step.
        device: "cpu" or "cuda".
        workers: processes that decode.
    """

    out: Path
    kadid: Path
    backbone: str
    weights: Path | None
    add: Path | None
    epochs: int
    batch: int
    device: str
    workers: int


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder of the runs and of results.json")
    parser.add_argument("--kadid10k", type=Path, required=True, help="root of KADID-10k")
    for name in SETS:
        parser.add_argument(f"--{name}", type=Path, help=f"root of {datasets.DATASETS[name].facts.title}")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--weights", type=Path, help="torchvision's ImageNet state dict of resnet50")
    parser.add_argument("--add", type=Path, metavar="PHOTOS", help="pristine photographs for DDCUp")
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
        given.add,
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
    targets: dict[str, LabelledSet] = {}
    for name, root in roots.items():
        if root is not None:
            names = [target for target in SELECTED if target == name or target.startswith(f"{name}-")]
            targets |= {target: datasets.load(target, root) for target in names}
    return targets


def reproduce(targets: Mapping[str, LabelledSet], seeds: Sequence[int], options: Options) -> None:
    """Train and evaluate what is missing, print a table for each protocol, and write results.json."""
    lines = {target: variants(target, options) for target in targets}
    runs = {}
    for variant in sorted({each for line in lines.values() for each in line.values()}):
        wanted = {name: target for name, target in targets.items() if variant in lines[name].values()}
        runs[variant] = [train_and_evaluate(variant, seed, wanted, options) for seed in seeds]
    out = Output(json=False)
    document: dict[str, Any] = {}
    for protocol in (PAPERS, OURS):
        outcomes = [
            Outcome(words, target, protocol, median([run[protocol.name][target] for run in runs[variant]]))
            for target, line in lines.items()
            for words, variant in line.items()
        ]
        rows = table(outcomes)
        document[protocol.name] = rows
        out.table(rows, title=f"KADID-10k → target; {protocol}; median of {len(seeds)} seeds by SRCC")
    document["settings"] = {
        "backbone": options.backbone,
        "weights": weights_name(options.weights) if options.weights else "the backbone's package",
        "epochs": options.epochs,
        "batch": options.batch,
        "seeds": list(seeds),
    }
    (options.out / "results.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def variants(target: str, options: Options) -> dict[str, Variant]:
    """The lines of a target's table: words → what is trained on."""
    selected = SELECTED[target]
    found = {"all 25 types": Variant(ALL_TYPES), "selected": Variant(selected)}
    if target in GREEDY:
        found["selected greedily"] = Variant(GREEDY[target])
    found["selected + DRCDown"] = Variant(selected, thin=True)
    if options.add is not None:
        found["selected + DDCUp"] = Variant(selected, add=True)
        found["selected + DDCUp + DRCDown (SynDR-IQA)"] = Variant(selected, add=True, thin=True)
    return found


def train_and_evaluate(
    variant: Variant, seed: int, targets: Mapping[str, LabelledSet], options: Options
) -> dict[str, dict[str, Evaluation]]:
    """One training and the result: protocol's name → target → figures."""
    folder = options.out / variant.folder(seed)
    recipe = Recipe(epochs=options.epochs, batch=options.batch, seed=seed)
    config = RegressorConfig(
        types=variant.types, backbone=options.backbone, ridge=0, recipe=recipe, thin=variant.thin
    )
    network = train(config, variant, seed, folder, options)
    for epoch in range(options.epochs):
        predictions(network, epoch, PAPERS, targets, config, folder, options)
    predictions(network, options.epochs - 1, OURS, targets, config, folder, options)
    found: dict[str, dict[str, Evaluation]] = {PAPERS.name: {}, OURS.name: {}}
    for name, target in targets.items():
        better = target.facts.higher_is_better
        epochs = [np.load(kept(folder, PAPERS, epoch, name)) for epoch in range(options.epochs)]
        last = np.load(kept(folder, OURS, options.epochs - 1, name))
        found[PAPERS.name][name] = best_epoch(epochs, target.scores, better)[1]
        found[OURS.name][name] = evaluate(last, target.scores, higher_is_better=better)
    return found


def train(config: RegressorConfig, variant: Variant, seed: int, folder: Path, options: Options) -> nn.Module:
    """The network after its last epoch; each epoch's weights are in the folder."""
    source, facts = samples_of(options.kadid, config, options.add if variant.add else None, options.weights)
    torch.manual_seed(seed)
    network = build(config, options.weights)
    originals = len(source) - int(facts.get("added_images", 0))
    training = Training(
        network,
        source,
        absolute_error,
        config.recipe,
        folder,
        {"plan": config.record(), **facts},
        device=options.device,
        workers=options.workers,
        choose=Thinning(source, originals, seed, options.device, options.workers) if variant.thin else None,
    )

    def step(progress: Progress) -> None:
        if progress.step == progress.steps:
            print(f"{folder.name}: epoch {progress.epoch + 1}, loss {progress.loss:.3f}", file=sys.stderr)
            save_file(contiguous(network), weights_of(folder, progress.epoch))

    return training.run(step)


def predictions(
    network: nn.Module,
    epoch: int,
    protocol: Protocol,
    targets: Mapping[str, LabelledSet],
    config: RegressorConfig,
    folder: Path,
    options: Options,
) -> None:
    """What the network of an epoch says of each target, unless that is known."""
    missing = [name for name in targets if not kept(folder, protocol, epoch, name).exists()]
    if not missing:
        return
    network.load_state_dict(load_file(weights_of(folder, epoch)))
    for name in missing:
        found = predict(
            network,
            targets[name].samples,
            protocol,
            preprocessing=config.preprocessing,
            device=options.device,
            workers=options.workers,
            seed=config.recipe.seed,
        )
        np.save(kept(folder, protocol, epoch, name), found)


def kept(folder: Path, protocol: Protocol, epoch: int, target: str) -> Path:
    """Where a target's predictions are."""
    return folder / f"{protocol.name}-{epoch:03}-{target}.npy"


def weights_of(folder: Path, epoch: int) -> Path:
    """Where the network of an epoch is."""
    return folder / f"epoch-{epoch:03}.safetensors"


def contiguous(network: nn.Module) -> dict[str, torch.Tensor]:
    """A network's tensors as a file holds them."""
    return {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}


def build(config: RegressorConfig, weights: Path | None) -> nn.Module:
    """The authors' network: an ImageNet backbone and a random linear head."""
    return QualityNetwork(pretrained_backbone(config.backbone, weights), config.head)


def median(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The evaluation with the median SRCC, the lower one of an even number."""
    return sorted(evaluations, key=lambda evaluation: evaluation.srcc.value)[(len(evaluations) - 1) // 2]


if __name__ == "__main__":
    sys.exit(main())
