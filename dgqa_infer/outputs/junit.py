"""Verdicts as JUnit XML, which continuous integration shows beside its own tests.

Written as Windy Road's schema of Apache Ant's format has it, the strictest of those in use
(https://github.com/windyroad/JUnit-Schema).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

from dgqa_infer.text import printable


@dataclass(frozen=True, slots=True)
class Case:
    """One verdict.

    Attributes:
        name: what was judged.
        problem: why it failed, in a line; None where it passed.
        details: more on that, any number of lines.
        error: the verdict could not be given, rather than being a failure.
    """

    name: str
    problem: str | None = None
    details: str = ""
    error: bool = False


def junit(suite: str, cases: Sequence[Case], properties: Mapping[str, str], seconds: float) -> bytes:
    """One test suite as a document.

    Args:
        suite: its name, and the class name of its cases.
        cases: its verdicts, in order.
        properties: what they rest on, such as the model.
        seconds: that it all took.
    """
    failures = sum(each.problem is not None and not each.error for each in cases)
    errors = sum(each.problem is not None and each.error for each in cases)
    root = ElementTree.Element("testsuites")
    element = ElementTree.SubElement(
        root,
        "testsuite",
        {
            "name": suite,
            "package": suite,
            "id": "0",
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "hostname": _token(socket.gethostname()) or "localhost",
            "tests": str(len(cases)),
            "failures": str(failures),
            "errors": str(errors),
            "time": f"{seconds:.3f}",
        },
    )
    listed = ElementTree.SubElement(element, "properties")
    for name, value in properties.items():
        ElementTree.SubElement(listed, "property", {"name": _token(name), "value": printable(value)})
    for each in cases:
        case = ElementTree.SubElement(
            element, "testcase", {"name": _token(each.name), "classname": suite, "time": "0"}
        )
        if each.problem is not None:
            kind = "error" if each.error else "failure"
            found = ElementTree.SubElement(case, kind, {"message": printable(each.problem), "type": suite})
            found.text = "\n".join(printable(line) for line in each.details.split("\n"))
    ElementTree.SubElement(element, "system-out")
    ElementTree.SubElement(element, "system-err")
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _token(text: str) -> str:
    """Without spaces at its ends or several side by side, as XML Schema's tokens are."""
    return " ".join(printable(text).split())
