"""One run of `score-cluster`, from the checks to the summary."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.cli._cluster import ClusterTarget
from dgqa_infer.cli._output import Output
from dgqa_infer.cli._summary import Summary
from dgqa_infer.errors import UsageError
from dgqa_infer.inputs.addresses import is_remote, may_be_addresses
from dgqa_infer.inputs.finder import InputFinder
from dgqa_infer.options import ScoringOptions
from dgqa_infer.ray.connection import check_nodes, connected
from dgqa_infer.ray.destination import Destination
from dgqa_infer.ray.manifest import claim, manifest, release
from dgqa_infer.ray.partitions import Report
from dgqa_infer.ray.plan import PartitionPlan, make_plan, read_plan
from dgqa_infer.ray.resources import Resources, share_out
from dgqa_infer.ray.run import finished, score_partitions
from dgqa_infer.ray.secrets import Secrets
from dgqa_infer.ray.settings import Settings
from dgqa_infer.ray.stores import answer, check_stores
from dgqa_infer.statistics import Statistics


@dataclass(slots=True)
class ClusterSummary(Summary):
    """A run on a cluster in numbers.

    Attributes:
        partitions: of this run.
        nodes: photographs by the node that had them.
        statistics: None: rows are on other machines.
    """

    partitions: int = 0
    statistics: Statistics | None = None
    nodes: Counter[str] = field(default_factory=Counter)

    def add(self, report: Report) -> None:
        """Count a partition of this run."""
        self.backend, self.device = report.backend, report.device
        self.partitions += 1
        self.scored += report.scored
        self.failed.update(report.failed)
        self.nodes[report.node] += report.rows
        self._count_ballots(report)

    def skip(self, report: Report) -> None:
        """Count a partition of an earlier run."""
        self.skipped += report.scored
        self.skipped_failed += report.failed.total()
        self._count_ballots(report)

    def _count_ballots(self, report: Report) -> None:
        for ballot, photographs in report.ballots.items():
            self.profile.add([int(number) for number in ballot.split(",")], photographs)

    def as_json(self) -> dict[str, Any]:
        """For `--summary`."""
        seconds = max(time.monotonic() - self._began, 1e-9)
        nodes = {
            node: {"images": images, "images_per_second": round(images / seconds, 2)}
            for node, images in sorted(self.nodes.items())
        }
        return {**Summary.as_json(self), "partitions": self.partitions, "nodes": nodes}

    def sentences(self) -> list[str]:
        """For a person, a line each."""
        lines = Summary.sentences(self)
        for node, told in self.as_json()["nodes"].items():
            lines.append(f"{node}: {told['images']:,} images, {told['images_per_second']:g} images/s")
        return lines


def run(
    target: ClusterTarget,
    names: Iterable[str],
    patterns: bool,
    finder: InputFinder,
    bundle: Bundle,
    options: ScoringOptions,
    out: Output,
) -> ClusterSummary:
    """Score all that is named.

    Args:
        target: which cluster, and where the rows go.
        names: files, folders, addresses and patterns.
        patterns: whether a name that does not exist may be a pattern.
        finder: says which files in folders are scored.
        bundle: that scores.
        options: how.
        out: where a person is spoken to.

    Raises:
        UsageError: something would spoil the run; found before it begins.
        OutputError: rows cannot be written.
        BackendError: the model cannot be run.
    """
    where = target.output if is_remote(target.output) else str(Path(target.output).absolute())
    destination = Destination(where)
    sources = list(names) if isinstance(names, Sequence) else ["-"]
    folder = os.getcwd()  # noqa: PTH109
    with connected(target.address, progress=not out.quiet and os.isatty(1)) as nodes:
        each = [node["Resources"] for node in nodes]
        resources = share_out(each, device=options.device, cpus=target.cores, gpus=target.gpus)
        check_stores(sources, allow_private=options.limits.allow_private)
        settings = Settings.of(bundle, options, gpus=resources.gpus > 0, addresses=may_be_addresses(sources))
        as_scored = settings.options.bundle_for(bundle)
        found = ClusterSummary.of(as_scored)
        found.backend = found.device = "none"
        wanted = manifest(as_scored, settings, target.format, sources, finder)
        _claim(destination, wanted, target.resume, nodes, sources, folder)
        plan, secrets = _planned(target, names, patterns, finder, destination, resources.actors, out)
        found.passed_over = plan.passed_over
        done = finished(plan, destination, settings.setup, target.retry)
        for report in done:
            found.skip(report)
        left = sorted(set(plan.partitions) - {report.partition for report in done})
        out.note(_begin(plan, len(left), resources, len(nodes)))
        for report in score_partitions(
            left, destination, target.format, settings, resources, folder, secrets
        ):
            found.add(report)
    found.compare()
    return found


def _planned(
    target: ClusterTarget,
    names: Iterable[str],
    patterns: bool,
    finder: InputFinder,
    destination: Destination,
    actors: int,
    out: Output,
) -> tuple[PartitionPlan, Secrets]:
    """The plan of this run or of the one that it continues, and the addresses that no plan holds."""
    secrets = Secrets()
    if (plan := read_plan(destination)) is not None:
        for _ in secrets.kept(names):
            pass
        return plan, secrets
    with out.progress("listing") as bar:
        sizes = {"actors": actors, "largest": target.largest}
        plan = make_plan(
            names, finder, destination, **sizes, patterns=patterns, told=bar.advance, secrets=secrets
        )
    return plan, secrets


def _claim(
    destination: Destination,
    wanted: dict[str, Any],
    resume: bool,
    nodes: Sequence[Mapping[str, Any]],
    sources: Sequence[str],
    folder: str,
) -> None:
    """Take the destination, and see that every node has it too."""
    begun = answer(destination.name, partial(claim, destination, wanted, resume=resume))
    try:
        check_nodes(nodes, destination, sources, folder)
    except UsageError:
        if not begun:
            release(destination)
        raise


def _begin(plan: PartitionPlan, left: int, resources: Resources, nodes: int) -> str:
    share = f" and {resources.gpus:g} GPU" if resources.gpus else ""
    return (
        f"{plan.inputs:,} photographs in {sum(plan.groups):,} partitions, {left:,} to do:"
        f" {resources.actors} actors with {resources.cpus} cores{share} each on {nodes} nodes"
    )
