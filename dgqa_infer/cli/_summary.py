"""Summary of a run: counted while it goes, shown at its end, and turned into its exit code."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from dgqa_infer.atomic import write_whole
from dgqa_infer.bundle.bundle import Bundle
from dgqa_infer.cli._errors import ExitCode
from dgqa_infer.cli._output import Output
from dgqa_infer.domains.drift import DomainDrift, drift
from dgqa_infer.domains.profile import DomainProfile
from dgqa_infer.errors import UsageError
from dgqa_infer.results import Row
from dgqa_infer.statistics import Statistics, ranked


@dataclass(slots=True)
class Summary:
    """A run in numbers.

    Attributes:
        model: that scored, as rows name it.
        backend: that ran it.
        device: that it ran on.
        scored: rows with a score.
        failed: rows with an error, by its code.
        skipped: inputs that an earlier run had scored already.
        skipped_failed: inputs that an earlier run had failed on already.
        passed_over: what folders hold besides, by reason.
        gate: the gate's verdict on the set; None without a gate.
        interrupted: whether the run was stopped before its end.
        unwritten: exit code of a run whose rows could not all be written; None where they could.
        target: domain profile of the photographs that the model was trained for; None where unknown.
        profile: that of the photographs of this run and of those that it continues.
        drift: how far the two are from each other; None until `compare`, and where one of them is not known.
        cpu_decoded: JPEGs of this run that a GPU was to decode and did not.
        statistics: scores and faults of this run and of those that it continues; None where nobody counts.
    """

    model: str
    backend: str = ""
    device: str = ""
    scored: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    skipped_failed: int = 0
    passed_over: Mapping[str, int] = field(default_factory=Counter)
    gate: Mapping[str, Any] | None = None
    interrupted: bool = False
    unwritten: ExitCode | None = None
    target: DomainProfile | None = None
    profile: DomainProfile = field(default_factory=DomainProfile)
    drift: DomainDrift | None = None
    cpu_decoded: int = 0
    statistics: Statistics | None = field(default_factory=Statistics)
    _began: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, bundle: Bundle, passed_over: Mapping[str, int] | None = None) -> Self:
        """Of a run that begins.

        Args:
            bundle: as it scores.
            passed_over: what folders hold besides, by reason; counted on while the run goes.
        """
        summary = cls(bundle.model_id, passed_over=Counter() if passed_over is None else passed_over)
        if (domains := bundle.card.domains) is not None:
            summary.target = DomainProfile.from_card(domains.profile)
        return summary

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._began

    @property
    def inputs(self) -> int:
        """All inputs so far; each is counted exactly once."""
        return self.scored + self.failed.total() + self.skipped + self.skipped_failed

    def count(self, row: Row) -> None:
        """Count a row of this run."""
        if (error := row.get("error")) is None:
            self.scored += 1
            self.cpu_decoded += "cpu_decoded" in row["warnings"]
        else:
            self.failed[error["code"]] += 1
        self.count_content(row)

    def forget_content(self) -> None:
        """Begin anew with what rows say, as of runs that are continued."""
        self.profile.ballots.clear()
        if self.statistics is not None:
            self.statistics = Statistics()

    def count_content(self, row: Row) -> None:
        """Count a row's score and faults, and what domains its photograph resembles, if the row says so."""
        if self.statistics is not None:
            self.statistics.count(row)
        if votes := row.get("votes"):
            # The row of an earlier run may have been written by anybody.
            with suppress(UsageError, TypeError):
                self.profile.add(votes)

    def compare(self) -> None:
        """At the end: how far are the photographs from those that the model was trained for?"""
        if self.target is not None and self.target.photos and self.profile.photos:
            self.drift = drift(self.profile, self.target)

    def exit_code(self) -> ExitCode:
        """What the run's end means."""
        if self.unwritten is not None:
            return self.unwritten
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.gate is not None and not self.gate["passed"]:
            return ExitCode.GATE_FAILED
        if self.scored + self.skipped == 0:
            return ExitCode.NOTHING_SCORED
        return ExitCode.SOME_FAILED if self.failed or self.skipped_failed else ExitCode.OK

    def as_json(self) -> dict[str, Any]:
        """For `--summary`."""
        seconds = self.seconds
        return {
            "inputs": self.inputs,
            "scored": self.scored,
            "failed": dict(sorted(self.failed.items())),
            "skipped": self.skipped,
            "skipped_failed": self.skipped_failed,
            "passed_over": dict(sorted(self.passed_over.items())),
            "seconds": round(seconds, 3),
            "images_per_second": round((self.scored + self.failed.total()) / max(seconds, 1e-9), 2),
            "model": self.model,
            "backend": self.backend,
            "device": self.device,
            "interrupted": self.interrupted,
            **(Statistics() if self.statistics is None else self.statistics).as_json(),
            "gate": self.gate,
            "drift": None if self.drift is None else self.drift.as_json(),
            "exit_code": int(self.exit_code()),
        }

    def report(self, out: Output, path: Path | None, *, overwrite: bool) -> None:
        """Tell a person the result of the run, and write `as_json` to a file if one is named.

        Raises:
            OutputError: the file cannot be written.
        """
        for line in self.sentences():
            out.note(line)
        if path is None:
            return
        data = json.dumps(self.as_json(), indent=2).encode() + b"\n"
        write_whole(path, data, overwrite=overwrite)

    def sentences(self) -> list[str]:
        """For a person, a line each."""
        data = self.as_json()
        if self.inputs == 0 and (self.unwritten is not None or self.interrupted):
            lines = ["the run ended before the first photograph had its row"]
        elif self.inputs == 0:
            lines = ["no photographs were found"]
        else:
            lines = [
                f"{self.scored:,} scored{_by_reason(', {} failed', self.failed)}"
                f" in {data['seconds']:.1f} s, {data['images_per_second']:g} images/s,"
                f" {self.model} with {self.backend} on {self.device}"
            ]
        if self.skipped or self.skipped_failed:
            earlier = ""
            if self.skipped_failed:
                earlier = (
                    f", {self.skipped_failed:,} of them without a score: --retry-failed tries these again"
                )
            lines.append(f"{self.skipped + self.skipped_failed:,} done by an earlier run{earlier}")
        if self.cpu_decoded:
            lines.append(
                f"{self.cpu_decoded:,} JPEGs decoded by the CPU instead of the GPU; their rows say so"
            )
        if any(self.passed_over.values()):
            lines.append(_by_reason("{} passed over", Counter(self.passed_over)))
        if self.statistics is not None and (figures := self.statistics.sentence()) is not None:
            lines.append(figures)
        if self.drift is not None:
            lines.append(self.drift.sentence(self.model))
        for rule in self.gate["rules"] if self.gate is not None else ():
            word = "passed" if rule["passed"] else "FAILED"
            close = (
                "; so close to a limit that the tolerance of this precision could turn it"
                if rule["within_tolerance"]
                else ""
            )
            lines.append(f"gate {rule['rule']}: {word}: {'; '.join(rule['findings'])}{close}")
        return lines


def _by_reason(sentence: str, counts: Counter[str]) -> str:
    if not counts.total():
        return ""
    reasons = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in ranked(counts))
    return f"{sentence.format(f'{counts.total():,}')} ({reasons})"
