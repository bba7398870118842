"""Two sets compared: what changed, by how much, and whether that may pass."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dgqa_infer.comparison.intervals import Differences, by_group, drops_beyond, summarise
from dgqa_infer.comparison.pairing import Pair, Pairs
from dgqa_infer.errors import UsageError
from dgqa_infer.outputs.faults import faults_of
from dgqa_infer.results import Row
from dgqa_infer.statistics import ranked

WORST: Final = 10
"""Pairs with the greatest drops that are named and shown."""

FEW: Final = 20
"""With fewer pairs intervals of very skewed differences are too narrow."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the new set may pass.

    Attributes:
        max_drop: of the mean score, in points; what is allowed.
        passed: false only where the whole interval of the mean difference lies beyond it.
        sentence: for a person.
    """

    max_drop: float
    passed: bool
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"max_drop": self.max_drop, "passed": self.passed, "reason": self.sentence}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sets compared.

    Attributes:
        model: that scored both, as rows name it.
        pairs: how they were paired.
        all: of all pairs with two scores.
        folders: of each folder of the old set, by name; empty where there is only one.
        gained: fault → pairs in which only the new photograph has it.
        lost: fault → pairs in which only the old one has it.
        explained: pairs of which both rows say what is wrong.
        verdict: None where no drop was given.
    """

    model: str
    pairs: Pairs
    all: Differences
    folders: dict[str, Differences]
    gained: Counter[str]
    lost: Counter[str]
    explained: int
    verdict: Verdict | None

    @property
    def new_failures(self) -> list[Pair]:
        """Scenes of which the old photograph has a score and the new one has none."""
        return [each for each in self.pairs.pairs if "error" in each.new and "error" not in each.old]

    @property
    def old_failures(self) -> list[Pair]:
        """Scenes of which the old photograph has no score."""
        return [each for each in self.pairs.pairs if "error" in each.old]

    def worst(self, count: int = WORST) -> list[Pair]:
        """The pairs with the greatest drops, the greatest first; none that did not drop."""
        dropped = [each for each in self.pairs.pairs if each.scored and difference(each) < 0]
        return sorted(dropped, key=difference)[:count]

    def faults_changed(self) -> list[str]:
        """Faults that were gained or lost: those more often gained than lost first, then by name."""
        return sorted(
            {*self.gained, *self.lost}, key=lambda name: (self.lost[name] - self.gained[name], name)
        )

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "model": self.model,
            "all": self.all.as_json(),
            "folders": {name: found.as_json() for name, found in self.folders.items()},
            "faults": {
                "pairs": self.explained,
                "gained": dict(ranked(self.gained)),
                "lost": dict(ranked(self.lost)),
            },
            "worst": [_pair_json(each) for each in self.worst()],
            "no_score": {
                "old": [each.name for each in self.old_failures],
                "new": [{"name": each.name, **each.new["error"]} for each in self.new_failures],
            },
            "not_paired": {"old": list(self.pairs.only_old), "new": list(self.pairs.only_new)},
            "verdict": None if self.verdict is None else self.verdict.as_json(),
        }


def compare(pairs: Pairs, max_drop: float | None = None) -> Comparison:
    """Compare.

    Args:
        pairs: of the two sets.
        max_drop: points by which the mean score may drop; None for no verdict.

    Raises:
        UsageError: different models scored, no pair has two scores, or a row is not as rows are.
    """
    model = _model([row for each in pairs.pairs for row in (each.old, each.new)])
    scored = [each for each in pairs.pairs if each.scored]
    if not scored:
        raise UsageError("none of the pairs has two scores, so there is nothing to compare")
    differences = np.array([difference(each) for each in scored], np.float64)
    folders: defaultdict[str, list[float]] = defaultdict(list)
    for each, change in zip(scored, differences.tolist(), strict=True):
        folders[each.folder].append(change)
    gained, lost, explained = _faults(scored)
    found = summarise(differences)
    return Comparison(
        model,
        pairs,
        found,
        by_group(folders) if len(folders) > 1 else {},
        gained,
        lost,
        explained,
        None if max_drop is None else _verdict(found, max_drop),
    )


def difference(pair: Pair) -> float:
    """New score minus old score, in points."""
    try:
        return float(pair.new["score"]) - float(pair.old["score"])
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"a row of {pair.name} is not a row of `score`: {error!r}") from error


def _model(rows: Sequence[Row]) -> str:
    models = Counter(str(row.get("model")) for row in rows)
    if len(models) > 1:
        raise UsageError(
            f"the rows are of different models ({', '.join(sorted(models))}), and their scores cannot be "
            "compared: score both sets with one model, the same --precision and the same decoding"
        )
    return next(iter(models))


def _verdict(found: Differences, max_drop: float) -> Verdict:
    passed = not drops_beyond(found.mean, max_drop)
    moved = f"the mean score changes by {found.mean.signed()}"
    if not passed:
        sentence = f"{moved}: it drops by more than {max_drop:g}"
    elif found.mean.value < -max_drop:
        doubt = f"{found.pairs:,} pairs are too few to say that it drops by more than {max_drop:g}"
        sentence = f"{moved}: {doubt}"
    else:
        sentence = f"{moved}; a drop of {max_drop:g} is allowed"
    return Verdict(max_drop, passed, sentence)


def _faults(pairs: Sequence[Pair]) -> tuple[Counter[str], Counter[str], int]:
    gained, lost, explained = Counter[str](), Counter[str](), 0
    for each in pairs:
        old, new = faults_of(each.old), faults_of(each.new)
        if old is not None and new is not None:
            explained += 1
            gained.update(set(new) - set(old))
            lost.update(set(old) - set(new))
    return gained, lost, explained


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "name": pair.name,
        "old": {"path": pair.old["path"], "score": pair.old["score"], "faults": faults_of(pair.old)},
        "new": {"path": pair.new["path"], "score": pair.new["score"], "faults": faults_of(pair.new)},
        "difference": round(difference(pair), 2),
    }
