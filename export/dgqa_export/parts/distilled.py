"""A bundle's network is trained to say of a photograph, however it is turned, what it says on average.

    python -m dgqa_export.parts.distilled BUNDLE PRISTINE PHOTOS RUN OUT --version 2.3.0

PHOTOS are ordinary photographs, of any quality, PRISTINE those that are distorted. No rating is read. Half of
PHOTOS score below 50 afterwards, a tenth above 90. `dgqa-infer train moments --model OUT` makes what `adapt`
needs. Interrupted, the same command goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dgqa_export.bundles import describe, graph_of
from dgqa_export.graphs.head import linear_head
from dgqa_export.graphs.packing import pack
from dgqa_export.graphs.pooling import exponent_of, with_pooling
from dgqa_export.parts.quality_head import rescaled
from dgqa_infer.bundle.bundle import DOMAIN_GRAPH, QUALITY_GRAPH, Bundle, write_bundle
from dgqa_infer.errors import ModelError
from dgqa_infer.inputs.finder import photographs_in
from dgqa_training.distillation.material import Sources, Where
from dgqa_training.distillation.training import DistillationConfig, Observers, distil
from dgqa_training.loop.loop import Progress
from dgqa_training.networks.heads import Head, QualityNetwork, pretrained_backbone
from dgqa_training.regressor.linear_probe import set_head

_TOLD = 50  # steps between two lines of progress


def network_of(bundle: Bundle) -> QualityNetwork:
    """The bundle's network, if its backbone is a pretrained one.

    Raises:
        ModelError: its backbone was trained, or its head is not linear.
    """
    plan = bundle.card.training.get("plan", {})
    if plan.get("recipe", {}).get("epochs") or "backbone" in bundle.card.training:
        raise ModelError(f"{bundle.card.name}: its backbone was trained already, so it cannot be made anew")
    network = QualityNetwork(pretrained_backbone(plan["backbone"]), Head(tuple(plan["stages"])))
    set_head(network, *linear_head(bundle.graph_bytes(QUALITY_GRAPH)))
    return network


def distilled(
    bundle: Bundle,
    sources: Sources,
    photographs: Path,
    run: Path,
    folder: Path,
    version: str,
    *,
    where: Where,
    report: Callable[[str], None] = lambda _: None,
) -> Bundle:
    """Write a bundle again, its quality network distilled and its scale made anew.

    Args:
        bundle: in fp32, with a pretrained backbone, a linear head and pooling.
        sources: of the crops.
        photographs: folder of ordinary photographs, for the scale.
        run: folder of material and states; the same one goes on where it was.
        folder: of the new bundle; may be that of the old one.
        version: of the new bundle.
        where: it is done.
        report: called with a line about what is being done.

    Raises:
        ModelError: the bundle's network cannot be distilled.
        UsageError: there are too few photographs, or `run` holds another run.
        OutputError: the folder cannot be written.
    """
    exponent = exponent_of(bundle.graph_bytes(QUALITY_GRAPH))
    if exponent is None:
        raise ModelError(f"{bundle.card.name} has no pooling; give it some with pooled_bundle first")
    old = bundle.card
    config = DistillationConfig(
        backbone=old.training["plan"]["backbone"],
        exponent=round(exponent, 6),  # the graph has it as a float32
    )
    observers = Observers(_Looked(sources.count, report), lambda progress: _tell(progress, report))
    checkpoint = distil(network_of(bundle), sources, config, run, observers=observers, **where)
    record: dict[str, Any] = {**old.training, **checkpoint.training}
    for replaced in ("scale", "int8"):  # the int8 graph is of the old network, and is left out
        record.pop(replaced, None)
    card = replace(old, version=version, training=record, figures=())
    graph = pack(with_pooling(graph_of(checkpoint, card), exponent))
    card = rescaled(card, graph, photographs)
    others = {name: bundle.graph_bytes(name) for name in old.files if name == DOMAIN_GRAPH}
    return write_bundle(folder, {**others, QUALITY_GRAPH: describe(graph, card)}, card)


class _Looked:
    """Says now and then how many crops were looked at."""

    def __init__(self, count: int, report: Callable[[str], None]) -> None:
        self._done, self._count, self._report = 0, count, report

    def __call__(self, new: int) -> None:
        before, self._done = self._done, self._done + new
        if self._done * 20 // self._count > before * 20 // self._count:
            self._report(f"looked at {self._done:,} of {self._count:,} crops")


def _tell(progress: Progress, report: Callable[[str], None]) -> None:
    if progress.step % _TOLD == 0 or progress.step == progress.steps:
        report(
            f"step {progress.step} of {progress.steps}: loss {progress.loss:.4f}, "
            f"{progress.crops_per_second:.1f} crops/s"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("pristine", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--version", required=True, help="of the new bundle, such as 2.3.0")
    parser.add_argument("--rounds", type=int, default=3, help="crops of each photograph")
    parser.add_argument("--synthetic", type=int, default=3500, help="crops of distorted photographs")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--workers", type=int, default=0, help="processes that make crops; 0 makes them here")
    given = parser.parse_args(arguments)
    sources = Sources(
        photographs_in(given.photographs), photographs_in(given.pristine), given.rounds, given.synthetic
    )
    bundle = distilled(
        Bundle.load(given.bundle),
        sources,
        given.photographs,
        given.run,
        given.out,
        given.version,
        where={"device": given.device, "workers": given.workers},
        report=lambda line: print(line, flush=True),
    )
    print(f"{given.out}: {bundle.model_id}")


if __name__ == "__main__":
    main()
