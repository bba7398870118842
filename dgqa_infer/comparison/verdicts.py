"""A comparison's verdict for continuous integration."""

from __future__ import annotations

from dgqa_infer.comparison.compare import Comparison, difference
from dgqa_infer.outputs.junit import Case, junit

_SUITE = "dgqa-infer.compare"


def as_junit(found: Comparison, old: str, new: str, seconds: float) -> bytes:
    """JUnit XML: one case for the mean score, and one for each photograph that has lost its score.

    Args:
        found: the comparison; without a verdict its mean passes.
        old: what the old set is called.
        new: likewise.
        seconds: that it took.
    """
    verdict = found.verdict
    failed = verdict is not None and not verdict.passed
    worst = "\n".join(f"{each.name}: {difference(each):+.1f}" for each in found.worst())
    cases = [Case("mean score", verdict.sentence if failed and verdict else None, worst if failed else "")]
    cases += [
        Case(each.name, f"{each.new['error']['code']}: {each.new['error']['message']}", error=True)
        for each in found.new_failures
    ]
    properties = {
        "old": old,
        "new": new,
        "model": found.model,
        "pairs": str(found.all.pairs),
        "mean difference": found.all.mean.signed(),
        "median difference": found.all.median.signed(),
        "new is better": f"{found.all.win_rate.value:.4f}",
    }
    return junit(_SUITE, cases, properties, seconds)
