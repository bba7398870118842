"""The columns of tabular outputs: always the same ones in the same order, empty where a row has nothing."""

from __future__ import annotations

from typing import Any

from dgqa_infer.results import Row

NUMBERS = ("score", "raw", "spread", "mtime")
INTEGERS = ("width", "height", "size")
COLUMNS = (
    *("path", "score", "raw", "spread", "width", "height", "warnings", "distortions"),
    *("error_code", "error_message", "verdict", "verdict_reasons", "within_tolerance"),
    *("model", "size", "mtime"),
)


def flatten(row: Row) -> dict[str, Any]:
    """A row's values by column.

    Returns:
        `warnings` and `verdict_reasons` are lists of text, `distortions` a list of mappings with name and
        probability; None stands for nothing.
    """
    flat: dict[str, Any] = {name: row.get(name) for name in COLUMNS}
    if error := row.get("error"):
        flat |= {"error_code": error["code"], "error_message": error["message"]}
    if gate := row.get("gate"):
        flat |= {
            "verdict": "passed" if gate["passed"] else "failed",
            "verdict_reasons": gate["reasons"],
            "within_tolerance": gate["within_tolerance"],
        }
    return flat


def encodable(text: str) -> str:
    """A text that UTF-8 can hold: an undecodable byte of a name is spelled as in JSON, "\\udce9"."""
    return text.encode("utf-8", "backslashreplace").decode()
