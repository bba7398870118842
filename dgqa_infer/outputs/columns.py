"""The columns of tabular outputs: always the same ones in the same order, empty where a row has nothing.

Where the probabilities of all classes were asked for, each class has a column more, at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dgqa_infer.results import Row

NONE_FOUND = "none found"
"""Said of a photograph in which no distortion is clearly there; where not requested, nothing is said."""

ATTRIBUTES = ("sharpness", "brightness", "clipped", "noise")
NUMBERS = ("score", "raw", "spread", *ATTRIBUTES, "mtime")
INTEGERS = ("width", "height", "size")
COLUMNS = (
    *("path", "score", "raw", "spread", "width", "height", "warnings", "distortions", *ATTRIBUTES),
    *("error_code", "error_message", "verdict", "verdict_reasons", "within_tolerance"),
    *("model", "size", "mtime"),
)


def probability_column(name: str) -> str:
    """The column of a class's probability: "p_motion_blur" of "motion-blur"."""
    return "p_" + name.replace("-", "_")


def flatten(row: Row, classes: Sequence[str] = ()) -> dict[str, Any]:
    """A row's values by column.

    Args:
        row: from a run, or from a file.
        classes: whose probabilities have columns.

    Returns:
        `warnings` and `verdict_reasons` are lists of text, `distortions` a list of mappings with name,
        probability and perhaps severity; None stands for nothing.
    """
    flat: dict[str, Any] = {name: row.get(name) for name in COLUMNS}
    flat |= row.get("attributes") or {}
    shares = row.get("probabilities") or {}
    flat |= {probability_column(name): shares.get(name) for name in classes}
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
