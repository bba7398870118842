"""Files that commands write: whether they can be, and those beside the main output."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dgqa_infer import system
from dgqa_infer.atomic import check_output
from dgqa_infer.errors import OutputError, UsageError
from dgqa_infer.inputs.formats import HEAD_BYTES, is_refused_picture, sniff
from dgqa_infer.inputs.own_pictures import is_own
from dgqa_infer.streams import is_stream

if TYPE_CHECKING:
    from dgqa_infer.gate import Gate


def check_outputs(
    *outputs: Path | str | None,
    overwrite: bool,
    continued: Path | str | None = None,
    read: Sequence[str] = (),
) -> None:
    """Before hours of work, find out what would keep files from being written at its end.

    Args:
        outputs: files or streams; None for those that were not asked for.
        overwrite: whether files that are there are replaced; photographs never are.
        continued: another output, which may be there.
        read: what the command reads, which none of them may be.

    Raises:
        OutputError: one cannot be written, or is there and is not to be replaced.
        UsageError: two are the same file.
    """
    names = dict[str, Path | str]()
    for output in (*outputs, continued):
        if output is None:
            continue
        if output is not continued:
            check_output(Path(output), overwrite=overwrite)
        if _is_photograph(Path(output)):
            raise OutputError(f"{output} is a picture, and is not replaced: name another file")
        other = names.setdefault(os.path.realpath(output), output)
        if other is not output and not is_stream(Path(output)):
            raise UsageError(f"{other} and {output} are the same file: one would replace the other")
    for name in read:
        if (output := names.get(os.path.realpath(name))) is not None and not is_stream(Path(name)):
            raise UsageError(f"{output} would replace {name}, which is read: name another file")


def _is_photograph(path: Path) -> bool:
    """Whether there is a picture in this place that this program has not made."""
    if is_stream(path) or not path.is_file():
        return False
    try:
        with open(system.open_to_read(os.fspath(path)), "rb") as file:  # noqa: PTH123 (a descriptor)
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    return not is_own(head) and (sniff(head) is not None or is_refused_picture(head))


def gate_junit(gate: Gate, model: str, seconds: float) -> bytes:
    """A gate's verdict as JUnit XML, a case for each rule.

    Args:
        gate: that has judged.
        model: that scored, as rows name it.
        seconds: that the run took.
    """
    from dgqa_infer.outputs.junit import Case, junit

    verdict = gate.verdict()
    cases = []
    for rule, examples in zip(verdict["rules"], gate.examples(), strict=True):
        problem = None if rule["passed"] else "; ".join(rule["findings"])
        cases.append(Case(rule["rule"], problem, "\n".join(examples)))
    properties = {"model": model, "not judged": str(verdict["not_judged"])}
    return junit("dgqa-infer.gate", cases, properties, seconds)
