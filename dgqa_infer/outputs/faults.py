"""What a row says is wrong with its photograph."""

from __future__ import annotations

from dgqa_infer.results import Row


def faults_of(row: Row) -> tuple[str, ...] | None:
    """Names of the faults, the likeliest first; empty where none was found, None where not requested."""
    found = row.get("distortions")
    return None if found is None else tuple(str(each["name"]) for each in found)
