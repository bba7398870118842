"""One partition: its names in, its rows in a file of their own, and a report of the result of them.

The report is written last. Where there is one, the partition is done and not repeated.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from dgqa_infer.errors import PASSING_CODES
from dgqa_infer.outputs import open_sink
from dgqa_infer.pipeline.pipeline import Pipeline
from dgqa_infer.ray.destination import Destination
from dgqa_infer.ray.plan import read_names
from dgqa_infer.ray.secrets import Secrets
from dgqa_infer.ray.settings import Settings, where
from dgqa_infer.results import Row, Score

if TYPE_CHECKING:
    from ray import ObjectRef

REPORTS = "_dgqa/done"
FORMATS = ("jsonl", "parquet")
"""How rows can be written: the formats that many files of one table can have."""


@dataclass(slots=True)
class Report:
    """Result of a partition.

    Attributes:
        partition: its name.
        scored: rows with a score.
        failed: rows with an error, by its code.
        ballots: domains that photographs resemble, where they were asked for: "0,3,7,12" → photographs.
        seconds: that it took.
        node: that scored it.
        backend: that ran the model.
        device: that it ran on.
        setup: `dgqa_infer.setup.setup_of` the run.
    """

    partition: str
    scored: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    ballots: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    node: str = ""
    backend: str = ""
    device: str = ""
    setup: str = ""

    @property
    def rows(self) -> int:
        """All rows of the partition."""
        return self.scored + self.failed.total()

    def complete(self, setup: str, retry: bool | None = None) -> bool:
        """Whether it is not done again.

        Args:
            setup: of the run that asks.
            retry: whether failures are tried again; None: those that may have passed since, or that another
                setup led to.
        """
        if retry is None:
            retry = self.setup != setup or not PASSING_CODES.isdisjoint(self.failed)
        return not (retry and self.failed)

    def count(self, row: Row) -> None:
        """Count a row."""
        if (error := row.get("error")) is not None:
            self.failed[error["code"]] += 1
            return
        self.scored += 1
        if votes := row.get("votes"):
            self.ballots[",".join(map(str, sorted(votes)))] += 1

    def as_json(self) -> bytes:
        """As it is written."""
        return json.dumps({each.name: getattr(self, each.name) for each in fields(self)}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Report:
        """Read one."""
        found = json.loads(data)
        found |= {"failed": Counter(found["failed"]), "ballots": Counter(found["ballots"])}
        return cls(**found)


def read_report(destination: Destination, partition: str) -> Report | None:
    """Result of a partition; None while it is not done."""
    data = destination.read(f"{REPORTS}/{partition}.json")
    return None if data is None else Report.from_json(data)


def score_partition(
    partition: str,
    destination: Destination,
    format: str,
    pipeline: Pipeline[Score],
    *,
    secrets: Secrets | None = None,
    classes: Sequence[str] = (),
    made_by: Mapping[str, str] | None = None,
) -> Report:
    """Score a partition and write its rows, unless that is done.

    Args:
        partition: its name.
        destination: where its names are and its rows go.
        format: one of `FORMATS`.
        pipeline: that scores.
        secrets: the addresses that the names lack.
        classes: whose probabilities have columns in a table.
        made_by: the report's `node`, `backend`, `device` and `setup`.

    Raises:
        BackendError: the runtime failed.
        OutputError: the rows cannot be written.
    """
    if (done := read_report(destination, partition)) is not None:
        return done
    began = time.monotonic()
    report = Report(partition)
    for name, value in (made_by or {}).items():
        setattr(report, name, value)
    with (
        destination.writing(f"{partition}.{format}") as file,
        open_sink(format, file, classes=classes) as sink,
    ):
        for outcome in pipeline.run(read_names(destination, partition, secrets)):
            row = outcome.row()
            if "error" in row:
                row["error"]["setup"] = report.setup
            sink.write(row)
            report.count(row)
    report.seconds = round(time.monotonic() - began, 3)
    destination.write(f"{REPORTS}/{partition}.json", report.as_json())
    return report


class PartitionScorer:
    """An actor: one model, worker processes of its own, and a partition at a time."""

    def __init__(
        self, settings: ObjectRef[Settings], destination: Destination, format: str, folder: str
    ) -> None:
        """Load the model.

        Args:
            settings: the settings of every actor.
            destination: where names are and rows go.
            format: one of `FORMATS`.
            folder: that names of files are relative to.
        """
        import ray

        if os.path.isdir(folder):  # noqa: PTH112 (a Path would take the empty name for the current folder)
            os.chdir(folder)
        self._destination, self._format = destination, format
        self._stack = ExitStack()
        told = ray.get(settings)
        scorer, self._pipeline = self._stack.enter_context(told.open())
        self._made_by = {
            **{"node": where(), "backend": scorer.backend, "device": scorer.device},
            "setup": told.setup,
        }
        self._classes = scorer.probability_classes

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        """Score the partitions of the column `partition`, with their `secrets`; one row a report."""
        reports = [
            score_partition(
                str(name),
                self._destination,
                self._format,
                self._pipeline,
                secrets=Secrets.from_part(str(secrets)),
                classes=self._classes,
                made_by=self._made_by,
            )
            for name, secrets in zip(batch["partition"], batch["secrets"], strict=True)
        ]
        return {"report": [report.as_json().decode() for report in reports]}
