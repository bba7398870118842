"""A bundle's classifier is trained further on views, trunk and head together.

python -m dgqa_export.parts.domain_trunk BUNDLE PRISTINE RUN OUT
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from dgqa_export.graphs.trunk import head_of, trunk_of, with_trunk
from dgqa_export.parts.domain_head import HELD_OUT, PRIOR
from dgqa_export.parts.explanations import replace_domain_graph
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, Bundle
from dgqa_infer.domains.classes import require_kadid
from dgqa_infer.errors import UsageError
from dgqa_training.classifier.material import crops, split
from dgqa_training.classifier.statistics_network import StatisticsNetwork, TrunkConfig, train_trunk
from dgqa_training.loop.kept_crops import keep_crops
from dgqa_training.loop.loop import Progress, software
from dgqa_training.networks.efficientnet_lite import EfficientNetLite

CONFIG = TrunkConfig()

_TOLD = 100  # steps between two lines of progress


def train_further(
    bundle: Bundle,
    source: Path,
    run: Path,
    folder: Path,
    *,
    config: TrunkConfig = CONFIG,
    device: str = "cpu",
    workers: int = 1,
    report: Callable[[str], None] = lambda _: None,
) -> Bundle:
    """Write a bundle again, its classifier trained further.

    Args:
        bundle: with a classifier in fp32 that has a statistics head, see `domain_head`.
        source: pristine photographs; those that the head's training kept back are kept back again.
        run: folder of crops and states; the same one goes on where it was.
        folder: of the new bundle; may be that of the old one.
        config: how.
        device: "cpu" or "cuda".
        workers: processes that make crops; 0 makes them here.
        report: called with a line about what is being done.

    Raises:
        ModelError: the bundle has no domain classifier with KADID's classes, or one of another kind.
        UsageError: there are too few photographs, or others than the head was trained on; or `run` holds
            another run.
        OutputError: the folder cannot be written.
    """
    require_kadid(bundle.card.domains, bundle.card.name)
    preprocessing = bundle.card.preprocessing
    graph = bundle.graph_bytes(DOMAIN_GRAPH)
    head, backbone = head_of(graph), bundle.card.training["classifier"]["backbone"]
    network = StatisticsNetwork(trunk_of(graph, backbone), head, config.dropout)
    references, kept = _split(bundle, source, config.recipe.seed)
    report(f"{len(references)} photographs to train on; making crops of them")
    made = keep_crops(
        crops(source, references, preprocessing, preprocessing.crop, prior=PRIOR),
        run,
        names=[path.name for path in references],
        kept=preprocessing.crop,
        side=config.crop,
        rounds=config.rounds,
        seed=config.recipe.seed,
        workers=workers,
    )
    facts: dict[str, Any] = {"contents": len(references), "crops": len(made), "prior": PRIOR}
    facts |= {"start": bundle.card.files[DOMAIN_GRAPH].sha256}
    train_trunk(
        network, made, config, run, facts, device=device, observe=lambda progress: _tell(progress, report)
    )
    head = network.head()
    head.outer_bias[0] += config.pristine
    graph = with_trunk(graph, cast(EfficientNetLite, network.backbone), head)
    record = {**config.record(), **facts, "software": software()}
    report("choosing temperature and thresholds on the photographs that were kept back")
    return replace_domain_graph(bundle, graph, {"domain_trunk": record}, kept, folder)


def _split(bundle: Bundle, source: Path, seed: int) -> tuple[list[Path], list[Path]]:
    """The photographs to train on, and those that the head's training kept back."""
    references, kept = split(source, HELD_OUT, seed)
    if [path.name for path in kept] != bundle.card.training["domain_head"]["held_out"]:
        raise UsageError(
            f"{source} does not hold the photographs that the head was trained on: others would be kept back"
        )
    return references, kept


def _tell(progress: Progress, report: Callable[[str], None]) -> None:
    if progress.step % _TOLD == 0 or progress.step == progress.steps:
        report(
            f"epoch {progress.epoch + 1}, step {progress.step} of {progress.steps}: "
            f"loss {progress.loss:.3f}, {progress.crops_per_second:.0f} crops/s"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("pristine", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args(arguments)
    bundle = train_further(
        Bundle.load(given.bundle),
        given.pristine,
        given.run,
        given.out,
        device=given.device,
        workers=given.workers,
        report=lambda line: print(line, flush=True),
    )
    print(f"{given.out}: {bundle.model_id}")


if __name__ == "__main__":
    main()
