"""Files that commands write beside their main output."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgqa_infer.gate import Gate


def gate_junit(gate: Gate, model: str, seconds: float) -> bytes:
    """A gate's verdict as JUnit XML, a case for each rule.

    Args:
        gate: that has judged.
        model: that scored, as rows name it.
        seconds: that the run took.
    """
    from dgqa_infer.outputs.junit import Case, junit

    verdict, examples = gate.verdict(), gate.examples()
    cases = []
    for rule in verdict["rules"]:
        problem = None if rule["passed"] else "; ".join(rule["findings"])
        cases.append(Case(rule["rule"], problem, "\n".join(examples[rule["rule"]])))
    properties = {"model": model, "not judged": str(verdict["not_judged"])}
    return junit("dgqa-infer.gate", cases, properties, seconds)
