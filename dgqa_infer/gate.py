"""A customer's criteria for a set of photographs, and the verdict on each row and on the set.

    [[rule]]                            # the first rule whose pattern fits a path decides
    match = "**/products/**"            # optional; every path
    name = "products"                   # optional; the pattern
    minimum_score = 60                  # optional
    forbidden = { "motion blur" = 0.5 } # optional; named with at least this probability, 0: whenever named
    maximum_share_failed = 0.02         # optional; 0: no photograph may fail
    minimum_median = 70                 # optional; of the scores of the set
    minimum_percentiles = { 10 = 40 }   # optional; at most 10 % of the set score below 40

A photograph that could not be scored fails its rule. One that no rule fits is not judged.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dgqa_infer.bundle.card import Card
from dgqa_infer.domains.classes import words
from dgqa_infer.errors import UsageError
from dgqa_infer.inputs.globs import matches
from dgqa_infer.results import GateRow, Row
from dgqa_infer.statistics import ScoreCounts

EXAMPLES: Final = 100
"""Photographs that failed a rule and are remembered by name."""

_KEYS = {"name", "match", "minimum_score", "forbidden", "maximum_share_failed"}
_KEYS |= {"minimum_median", "minimum_percentiles"}
_DEMANDS = _KEYS - {"name", "match"}


@dataclass(slots=True)
class Tally:
    """What came of a rule so far.

    Attributes:
        judged: photographs.
        failed: of these, those that failed.
        close_passes: passes that the backend's tolerance could turn.
        close_failures: failures that it could turn.
        scores: as rows give them.
        lowest: as low as the tolerance could make them.
        highest: as high.
        examples: some of the photographs that failed, and why.
    """

    judged: int = 0
    failed: int = 0
    close_passes: int = 0
    close_failures: int = 0
    scores: ScoreCounts = field(default_factory=ScoreCounts)
    lowest: ScoreCounts = field(default_factory=ScoreCounts)
    highest: ScoreCounts = field(default_factory=ScoreCounts)
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Rule:
    """One rule and the result so far.

    Attributes:
        name: in verdicts.
        match: pattern of the paths that it is for.
        minimum_score: 0–100; a lower score fails.
        forbidden: distortion → probability from which on it fails, if it is named at all.
        maximum_share_failed: share of its photographs that may fail, 0–1.
        minimum_median: 0–100; a lower median of the scores fails the set.
        minimum_percentiles: percentile → score; the set fails where the percentile is lower.
        tally: what came of it so far.
    """

    name: str
    match: str = "**"
    minimum_score: float | None = None
    forbidden: Mapping[str, float] = field(default_factory=dict)
    maximum_share_failed: float = 0.0
    minimum_median: float | None = None
    minimum_percentiles: Mapping[float, float] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    def verdict(self) -> dict[str, Any]:
        """What the rule says of its set."""
        tally = self.tally
        few = self._allows(tally.failed)
        other_way = tally.failed - tally.close_failures if not few else tally.failed + tally.close_passes
        quantiles = [self._quantile(*each) for each in self._demanded()]
        return {
            "rule": self.name,
            "match": self.match,
            "judged": tally.judged,
            "failed": tally.failed,
            "share_failed": round(self._share(tally.failed), 6),
            "maximum_share_failed": self.maximum_share_failed,
            "quantiles": quantiles,
            "findings": [
                f"{tally.failed:,} of {tally.judged:,} failed; {self.maximum_share_failed * 100:g} % allowed"
                if tally.judged
                else f"no photograph fits {self.match}",
                *(
                    f"{each['name']} {'–' if each['score'] is None else each['score']}; "
                    f"at least {each['minimum']:g} demanded"
                    for each in quantiles
                ),
            ],
            "passed": few and all(each["passed"] for each in quantiles),
            "within_tolerance": few != self._allows(other_way)
            or any(each["within_tolerance"] for each in quantiles),
        }

    def _share(self, failed: int) -> float:
        return failed / self.tally.judged if self.tally.judged else 0.0

    def _allows(self, failed: int) -> bool:
        # Not the share times the number: 0.29 of 100 is less than 29 then.
        return self._share(failed) <= self.maximum_share_failed

    def _demanded(self) -> Iterator[tuple[str, float, float]]:
        """Name of a quantile, its share, and the score that it must have."""
        if self.minimum_median is not None:
            yield "median", 0.5, self.minimum_median
        for percentile, score in sorted(self.minimum_percentiles.items()):
            yield f"percentile {percentile:g}", percentile / 100, score

    def _quantile(self, name: str, share: float, least: float) -> dict[str, Any]:
        """What a demand on the set's scores comes to; without a score it is not met."""
        score, low, high = (
            counts.quantile(share) for counts in (self.tally.scores, self.tally.lowest, self.tally.highest)
        )
        return {
            "name": name,
            "score": score,
            "minimum": least,
            "passed": score is not None and score >= least,
            "within_tolerance": low is not None and high is not None and low < least <= high,
        }


class Gate:
    """Judges rows, and at the end the set."""

    def __init__(self, rules: Iterable[Rule], card: Card) -> None:
        """Prepare.

        Args:
            rules: in the order in which they are tried.
            card: of the bundle that scores; says how far a score may be off.
        """
        self._rules = list(rules)
        self._calibration = card.calibration
        self._tolerance = card.tolerances[card.precision]
        self._not_judged = 0

    @property
    def needs_distortions(self) -> bool:
        """Whether a rule forbids one."""
        return any(rule.forbidden for rule in self._rules)

    def forget(self) -> None:
        """Begin anew with the same rules."""
        self._not_judged = 0
        for rule in self._rules:
            rule.tally = Tally()

    def judge(self, row: Row) -> GateRow | None:
        """The verdict on a row; None where no rule fits its path."""
        rule = next((each for each in self._rules if matches(row["path"] or "", each.match)), None)
        if rule is None:
            self._not_judged += 1
            return None
        reasons, close = self._reasons(rule, row)
        tally = rule.tally
        tally.judged += 1
        tally.failed += bool(reasons)
        tally.close_failures += close and bool(reasons)
        tally.close_passes += close and not reasons
        if reasons and len(tally.examples) < EXAMPLES:
            tally.examples.append(f"{row['path']}: {', '.join(reasons)}")
        if "error" not in row:
            tally.scores.add(row["score"])
            low, high = self._around(row)
            tally.lowest.add(low, math.floor)
            tally.highest.add(high, math.ceil)
        return {"rule": rule.name, "passed": not reasons, "reasons": reasons, "within_tolerance": close}

    def verdict(self) -> dict[str, Any]:
        """The verdict on all rows that were judged."""
        rules = [rule.verdict() for rule in self._rules]
        return {
            "passed": all(rule["passed"] for rule in rules),
            "within_tolerance": any(rule["within_tolerance"] for rule in rules),
            "rules": rules,
            "not_judged": self._not_judged,
        }

    def examples(self) -> list[list[str]]:
        """Some of the photographs that failed, and why, of each rule."""
        return [rule.tally.examples for rule in self._rules]

    def _around(self, row: Row) -> tuple[float, float]:
        """The lowest and the highest score that the tolerance allows for a row."""
        low, high = (self._calibration(row["raw"] + way * self._tolerance) for way in (-1, 1))
        return low, high

    def _reasons(self, rule: Rule, row: Row) -> tuple[list[str], bool]:
        """Why the row fails, and whether the backend's tolerance could change that."""
        if (error := row.get("error")) is not None:
            return [error["code"]], False
        certain = [
            f"{found['name']} {found['probability']:.2f}"
            for found in row.get("distortions") or ()
            if found["probability"] >= rule.forbidden.get(found["name"], 2.0)
        ]
        least = rule.minimum_score
        if least is None:
            return certain, False
        low, high = self._around(row)
        below = [f"score {row['score']:.1f} is below {least:g}"] if row["score"] < least else []
        return below + certain, low < least <= high and not certain


def read_gate(path: str, card: Card) -> Gate:
    """Read a gate file.

    Args:
        path: of a TOML file as the module says.
        card: of the bundle that scores.

    Raises:
        UsageError: the file cannot be read, or a rule makes no sense; names the rule and the key.
    """
    try:
        # Some editors begin it with a byte order mark.
        data = tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"the gate file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the gate file {path} is not TOML: {error}") from error
    rules = data.pop("rule", None)
    if data or not isinstance(rules, list) or not rules or not all(isinstance(rule, dict) for rule in rules):
        raise UsageError(f"the gate file {path} must hold [[rule]] tables and nothing else")
    classes = card.domains.classes[1:] if card.domains else ()
    known = {alias: words(name) for name in classes for alias in (name, words(name))}
    return Gate([_rule(rule, f"{path}, rule {number}", known) for number, rule in enumerate(rules, 1)], card)


def _rule(data: dict[str, Any], where: str, known: Mapping[str, str]) -> Rule:
    if unknown := sorted(set(data) - _KEYS):
        raise UsageError(f"{where}: unknown key {unknown[0]!r}; there are {', '.join(sorted(_KEYS))}")
    match = data.get("match", "**")
    name = data.get("name", match)
    forbidden = data.get("forbidden", {})
    if not isinstance(match, str) or not isinstance(name, str) or not isinstance(forbidden, dict):
        raise UsageError(f"{where}: match and name must be text, forbidden a table")
    if not any(data.get(key) not in (None, {}) for key in _DEMANDS):
        raise UsageError(f"{where} demands nothing")
    limits = {}
    for distortion, probability in forbidden.items():
        if distortion not in known:
            raise UsageError(
                f"{where}: this model knows no distortion {distortion!r}, "
                f"but: {', '.join(sorted(set(known.values()))) or 'none at all'}"
            )
        limits[known[distortion]] = _number(probability, 0, 1, f"{where}: forbidden {distortion!r}")
    least, median = data.get("minimum_score"), data.get("minimum_median")
    return Rule(
        name=name,
        match=match,
        minimum_score=None if least is None else _number(least, 0, 100, f"{where}: minimum_score"),
        forbidden=limits,
        maximum_share_failed=_number(
            data.get("maximum_share_failed", 0), 0, 1, f"{where}: maximum_share_failed"
        ),
        minimum_median=None if median is None else _number(median, 0, 100, f"{where}: minimum_median"),
        minimum_percentiles=_percentiles(
            data.get("minimum_percentiles", {}), f"{where}: minimum_percentiles"
        ),
    )


def _percentiles(data: object, where: str) -> dict[float, float]:
    """Percentile → score, from a table such as { 10 = 40 }; TOML's keys are text."""
    if not isinstance(data, dict):
        raise UsageError(f"{where} must be a table such as {{ 10 = 40 }}")
    found = {}
    for key, score in data.items():
        try:
            percentile = float(key)
        except ValueError:
            percentile = math.nan
        if not 0 < percentile < 100:
            raise UsageError(f"{where}: {key!r} is not a percentile between 0 and 100")
        found[percentile] = _number(score, 0, 100, f"{where}: {key}")
    return found


def _number(value: object, low: float, high: float, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError(f"{where} is {value!r}, not a number from {low:g} to {high:g}")
    return float(value)
