"""A customer's criteria for a set of photographs, and the verdict on each row and on the set.

    [[rule]]                            # the first rule whose pattern fits a path decides
    match = "**/products/**"            # optional; every path
    name = "products"                   # optional; the pattern
    minimum_score = 60                  # optional
    forbidden = { "motion blur" = 0.5 } # optional; named with at least this probability, 0: whenever named
    maximum_share_failed = 0.02         # optional; 0: no photograph may fail

A photograph that could not be scored fails its rule. One that no rule fits is not judged.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dgqa_infer.bundle.card import Card
from dgqa_infer.domains.classes import words
from dgqa_infer.errors import UsageError
from dgqa_infer.inputs.globs import matches
from dgqa_infer.results import GateRow, Row

_KEYS = {"name", "match", "minimum_score", "forbidden", "maximum_share_failed"}


@dataclass(slots=True)
class Rule:
    """One rule and the result so far.

    Attributes:
        name: in verdicts.
        match: pattern of the paths that it is for.
        minimum_score: 0–100; a lower score fails.
        forbidden: distortion → probability from which on it fails, if it is named at all.
        maximum_share_failed: share of its photographs that may fail, 0–1.
        judged: photographs so far.
        failed: of these, those that failed.
        close_passes: passes that the backend's tolerance could turn.
        close_failures: failures that it could turn.
    """

    name: str
    match: str = "**"
    minimum_score: float | None = None
    forbidden: Mapping[str, float] = field(default_factory=dict)
    maximum_share_failed: float = 0.0
    judged: int = 0
    failed: int = 0
    close_passes: int = 0
    close_failures: int = 0

    def verdict(self) -> dict[str, Any]:
        """What the rule says of its set."""
        share = self.failed / self.judged if self.judged else 0.0
        allowed = self.maximum_share_failed * self.judged
        passed = self.failed <= allowed
        other_way = self.failed - self.close_failures if not passed else self.failed + self.close_passes
        return {
            "rule": self.name,
            "match": self.match,
            "judged": self.judged,
            "failed": self.failed,
            "share_failed": round(share, 6),
            "maximum_share_failed": self.maximum_share_failed,
            "passed": passed,
            "within_tolerance": passed != (other_way <= allowed),
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
            rule.judged = rule.failed = rule.close_passes = rule.close_failures = 0

    def judge(self, row: Row) -> GateRow | None:
        """The verdict on a row; None where no rule fits its path."""
        rule = next((each for each in self._rules if matches(row["path"] or "", each.match)), None)
        if rule is None:
            self._not_judged += 1
            return None
        reasons, close = self._reasons(rule, row)
        rule.judged += 1
        rule.failed += bool(reasons)
        rule.close_failures += close and bool(reasons)
        rule.close_passes += close and not reasons
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
        low, high = (self._calibration(row["raw"] + way * self._tolerance) for way in (-1, 1))
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
    if "minimum_score" not in data and not forbidden and "maximum_share_failed" not in data:
        raise UsageError(f"{where} demands nothing")
    limits = {}
    for distortion, probability in forbidden.items():
        if distortion not in known:
            raise UsageError(
                f"{where}: this model knows no distortion {distortion!r}, "
                f"but: {', '.join(sorted(set(known.values()))) or 'none at all'}"
            )
        limits[known[distortion]] = _number(probability, 0, 1, f"{where}: forbidden {distortion!r}")
    least = data.get("minimum_score")
    return Rule(
        name=name,
        match=match,
        minimum_score=None if least is None else _number(least, 0, 100, f"{where}: minimum_score"),
        forbidden=limits,
        maximum_share_failed=_number(
            data.get("maximum_share_failed", 0), 0, 1, f"{where}: maximum_share_failed"
        ),
    )


def _number(value: object, low: float, high: float, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError(f"{where} is {value!r}, not a number from {low:g} to {high:g}")
    return float(value)
