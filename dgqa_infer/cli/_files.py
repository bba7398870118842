"""Files that commands write beside their main output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dgqa_infer.errors import OutputError

if TYPE_CHECKING:
    from dgqa_infer.gate import Gate


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    from dgqa_infer.outputs.files import whole_file

    try:
        with whole_file(path) as file:
            file.write(data)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


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
